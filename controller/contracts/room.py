"""The room of contracts: the desk that chargers ask about Plug & Charge, and the list of authorities that people trust.

    TrustContractRoot, DistrustContractRoot --> facts                      (certificates of authorities are public)
    ContractDesk.contract: chain --> trusted authority, dates, eMAID --> each certificate's responder --> CertificateStatus
    what is refused, and what could not be asked --> a security event, without the contract's name or certificate

Deny by default: no authority is trusted that nobody put into the list, and a certificate whose responder cannot be asked
is refused unless the settings say otherwise. A station's word that it has checked a chain is believed only as far as the
authority that it names is trusted, and its responder says that the certificate is good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from controller.contracts.responders import Responders, Unreachable
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import Command, CommandStatus
from depot.contracts import (
    MAX_ROOTS,
    CertificateStatus,
    EvAnswer,
    EvCertificates,
    EvRequest,
    Revocation,
    RootUse,
    StatusAnswer,
    StatusTarget,
    TrustedRoot,
)
from depot.values import DepotError, InvalidValue, UnknownThing
from ocpp_server.authority import RequestRefused, bits_of
from ocpp_server.contract_chain import ChainRefused, Link, check_chain, check_emaid, hashes_of, issuer_named, read_chain, target_of
from ocpp_server.ocsp import AnswerRefused, Believed, certificates_in, peek, read_answer
from ocpp_server.tls import described

log = logging.getLogger(__name__)

PEM_MOST: Final = 10_000
REFUSED: Final = "contract_refused"
NOT_ASKED: Final = "contract_not_checked"
Note = Callable[..., None]


class TrustedRootRow(Struct, frozen=True, kw_only=True):
    """One authority. Hashes by SHA-256, hex, as chargers name it."""

    fingerprint: str
    use: RootUse
    common_name: str
    serial_number: str
    issuer_name_hash: str
    issuer_key_hash: str
    not_before: datetime
    not_after: datetime
    in_date: bool
    pem: str


class TrustedRootsView(Struct, frozen=True, kw_only=True):
    """``unreachable``: what becomes of a contract whose responder cannot be asked (refuse, accept). ``provider``: who installs contracts
    in vehicles, "" for nobody."""

    at: datetime
    roots: list[TrustedRootRow]
    unreachable: str
    provider: str


class Contracts:
    """The room, and the :class:`~depot.contracts.ContractDesk`. ``lenient``: a certificate whose responder cannot be asked counts.
    ``note``: tells of what was refused."""

    def __init__(self, yard: Yard, responders: Responders, *, provider: EvCertificates | None, lenient: bool, note: Note) -> None:
        self._yard = yard
        self._responders = responders
        self._provider = provider
        self._lenient = lenient
        self._note = note
        self._read: tuple[object, list[x509.Certificate]] = (None, [])
        self.commands: Mapping[type[Command], Carrier] = {cmd.TrustContractRoot: self._trust, cmd.DistrustContractRoot: self._distrust}
        self.views: Mapping[type[Struct], Viewer] = {TrustedRootsView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    # -- the desk -----------------------------------------------------------------------------------------------

    async def contract(self, station_id: str, emaid: str, chain: str, targets: Sequence[StatusTarget]) -> CertificateStatus:
        """See :class:`depot.contracts.ContractDesk`."""
        try:
            asked = self._asked_of_chain(emaid, chain, targets) if chain else self._asked_of_hashes(targets)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._is_good(station_id, target, known)) for target, known in asked]
            for refused in (task.result() for task in tasks):
                if refused is not None:
                    raise refused
        except ChainRefused as error:
            return self._refuse(station_id, error)
        except (ValueError, TypeError, UnsupportedAlgorithm, RequestRefused):  # cryptography reads many fields only when it is asked
            return self._refuse(station_id, ChainRefused(CertificateStatus.CHAIN, "a certificate cannot be read"))
        return CertificateStatus.ACCEPTED

    def _refuse(self, station_id: str, error: ChainRefused) -> CertificateStatus:
        self._note(station_id, REFUSED, detail=f"{error.status.value}: {error}"[:200])
        return error.status

    def _asked_of_chain(self, emaid: str, chain: str, targets: Sequence[StatusTarget]) -> list[tuple[StatusTarget, list[x509.Certificate]]]:
        """Who is to be asked about a chain that was found in order, and who may answer. Raises :class:`ChainRefused`."""
        certificates = read_chain(chain)
        path = check_chain(certificates, self._trusted(), now=self._yard.clock.now())
        check_emaid(certificates[0], emaid)
        return [(_asked_as(link, targets), [link.issuer]) for link in path]

    def _asked_of_hashes(self, targets: Sequence[StatusTarget]) -> list[tuple[StatusTarget, list[x509.Certificate]]]:
        """The same where the station has checked the chain: one of its certificates must be of a trusted authority."""
        trusted = self._trusted()
        if not any(issuer_named(target, trusted) for target in targets):
            raise ChainRefused(CertificateStatus.CHAIN, "none of the authorities that it names is trusted here")
        return [(target, [found] if (found := issuer_named(target, trusted)) else []) for target in targets]

    async def _is_good(self, station_id: str, target: StatusTarget, issuers: list[x509.Certificate]) -> ChainRefused | None:
        """None: it is; else how the station is told that it is not."""
        try:
            said = (await self._responders.ask(target, lambda der: self._checked(der, target, issuers))).said.status
        except Unreachable as error:
            if self._lenient:
                self._note(station_id, NOT_ASKED, detail=f"{error}"[:200])
                return None
            return ChainRefused(CertificateStatus.CHAIN, f"whether it is revoked could not be asked: {error}")
        if said is Revocation.REVOKED:
            return ChainRefused(CertificateStatus.REVOKED, "its authority has revoked it")
        return None if said is Revocation.GOOD else ChainRefused(CertificateStatus.NONE, "its authority's responder does not know it")

    def _checked(self, der: bytes, target: StatusTarget, issuers: Sequence[x509.Certificate]) -> Believed:
        """What a responder says; its authority is one of the chain, trusted, or sent along and signed by one that is."""
        now = self._yard.clock.now()
        issuer = next(iter(issuers), None) or self._sent_along(der, target, now)
        if issuer is None:
            raise AnswerRefused("who signed it is not known: put the authority into the list of trusted ones")
        return read_answer(der, target, issuer, now=now)

    def _sent_along(self, der: bytes, target: StatusTarget, now: datetime) -> x509.Certificate | None:
        found = certificates_in(der)
        issuer = issuer_named(target, found)
        trusted = self._trusted()
        return issuer if issuer is not None and any(signed_by(issuer, root, now) for root in trusted) else None

    async def status_of(self, station_id: str, target: StatusTarget) -> StatusAnswer:
        """See :class:`depot.contracts.ContractDesk`. The station checks the answer by itself; where its authority is known here, it
        is checked before, too."""
        issuer = issuer_named(target, self._trusted())
        now = self._yard.clock.now()
        try:
            if issuer is None:
                answer = await self._responders.ask(target, lambda der: peek(der, target), checked=False)
            else:
                answer = await self._responders.ask(target, lambda der: read_answer(der, target, issuer, now=now))
        except Unreachable as error:
            return StatusAnswer(Revocation.FAILED, why=str(error))
        return StatusAnswer(answer.said.status, answer.der, answer.said.next_update)

    async def ev_certificate(self, request: EvRequest) -> EvAnswer:
        """See :class:`depot.contracts.ContractDesk`."""
        if self._provider is None:
            return EvAnswer(code="NotConfigured", why="no provider of contract certificates is configured (settings, contracts.provider)")
        answer = await self._provider.exchange(request)
        how = "installed" if answer.exi else f"not installed ({answer.code})"
        log.info("station %s: contract certificate %s by %s", request.station_id, how, self._provider.name)
        return answer

    # -- trusted authorities ------------------------------------------------------------------------------------

    def _trusted(self) -> list[x509.Certificate]:
        roots = self._yard.state.contract_roots
        if self._read[0] is not roots:
            self._read = (roots, [x509.load_pem_x509_certificate(root.pem.encode()) for root in roots.values()])
        return self._read[1]

    async def _trust(self, command: cmd.TrustContractRoot, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        root = self._root(command)
        known = self._yard.state.contract_roots
        if known.get(root.fingerprint) == root:
            return CommandStatus.DONE, f"{root.common_name} is trusted already"
        if root.fingerprint not in known and len(known) >= MAX_ROOTS:
            raise DepotError(f"a depot trusts at most {MAX_ROOTS} authorities of contracts")
        await self._append(ev.ContractRootTrusted(root), cause)
        return CommandStatus.DONE, f"contracts of {root.common_name} are honoured from now on ({root.fingerprint})"

    def _root(self, command: cmd.TrustContractRoot) -> TrustedRoot:
        if len(command.certificate) > PEM_MOST:
            raise InvalidValue(f"the certificate has {len(command.certificate)} characters; {PEM_MOST} are taken")
        try:
            (certificate,) = x509.load_pem_x509_certificates(command.certificate.encode())
            authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            bits_of(certificate.public_key())
            said = described(certificate)
        except (ValueError, TypeError, UnsupportedAlgorithm, RequestRefused, x509.ExtensionNotFound):
            raise InvalidValue("give one certificate of an authority in PEM, with a key of ECDSA, EdDSA or RSA") from None
        if not authority:
            raise InvalidValue("this certificate is no authority's: it may not sign contracts")
        if said.not_after <= self._yard.clock.now():
            raise InvalidValue(f"this certificate ended on {said.not_after:%Y-%m-%d}")
        pem = certificate.public_bytes(Encoding.PEM).decode()
        return TrustedRoot(said.fingerprint, command.use, pem, said.common_name, said.serial, said.not_before, said.not_after)

    async def _distrust(self, command: cmd.DistrustContractRoot, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        root = self._yard.state.contract_roots.get(command.fingerprint.lower())
        if root is None:
            raise UnknownThing("this authority is not in the list: GET /api/v1/trusted-roots shows it")
        await self._append(ev.ContractRootDistrusted(root.fingerprint), cause)
        return CommandStatus.DONE, f"contracts of {root.common_name} are honoured no more"

    async def _append(self, fact: ev.Event, cause: ev.Envelope) -> None:
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now(), actor=cause.actor, cause_id=cause.id)])

    async def _show(self, args: Mapping[str, str]) -> TrustedRootsView:
        now = self._yard.clock.now()
        rows = [_row(root, now) for root in self._yard.state.contract_roots.values()]
        provider = "" if self._provider is None else self._provider.name
        return TrustedRootsView(at=now, roots=rows, unreachable="accept" if self._lenient else "refuse", provider=provider)


def signed_by(certificate: x509.Certificate, root: x509.Certificate, now: datetime) -> bool:
    """Whether a trusted authority has made this one an authority, too."""
    try:
        check_chain([certificate], [root], now=now, leaf=False)
    except (ChainRefused, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _asked_as(link: Link, targets: Sequence[StatusTarget]) -> StatusTarget:
    """How a certificate of a chain is asked about: where the station says, else where the certificate says."""
    own = target_of(link)
    for target in targets:
        same = (target.issuer_name_hash.lower(), target.issuer_key_hash.lower()) == hashes_of(link.issuer, target.algorithm)
        if same and target.key[3] == own.key[3]:
            return target
    return own


def _row(root: TrustedRoot, now: datetime) -> TrustedRootRow:
    name, key = hashes_of(x509.load_pem_x509_certificate(root.pem.encode()), "SHA256")
    return TrustedRootRow(
        fingerprint=root.fingerprint, use=root.use, common_name=root.common_name, serial_number=root.serial, issuer_name_hash=name,
        issuer_key_hash=key, not_before=root.not_before, not_after=root.not_after,
        in_date=root.not_before <= now <= root.not_after, pem=root.pem,
    )  # fmt: skip
