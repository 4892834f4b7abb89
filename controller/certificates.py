"""The room of certificates: signs what stations ask for, renews in time, revokes, and manages whom stations trust.

    RenewCertificate --ExtendedTriggerMessage--> station --SignCertificate--> sign_wanted: Accepted, or why not
         the answer is on the wire --sign_answered--> CertificateIssued (fact) --CertificateSigned--> station --> its answer (fact)

A certificate is a fact before it leaves, so none is out that cannot be revoked. Over a connection without TLS a request
is signed only where a person has just asked for it: somebody on the wire could have put in a key of its own. Over TLS a
station may renew by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from controller.access_book import DepotAccess
from controller.alarms import Condition
from controller.port_certificate import PortCertificate
from controller.room import Carrier, Viewer
from controller.secrets import SecretError
from controller.security_view import AuthorityRow, CertificatesView, HashRow, InstalledRow, InstalledView, certificate_row
from controller.station_security import Stations
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import Command, CommandStatus
from depot.values import DepotError, InvalidValue, Outcome, UnknownThing
from ocpp_server import Reply, Version
from ocpp_server.access import PeerCertificate
from ocpp_server.authority import Authority, HashData, Issued, RequestRefused, SigningRequest, read_certificates, read_request
from ocpp_server.dialect import Call
from ocpp_server.security_messages import (
    CENTRAL_SYSTEM,
    CHAIN,
    ROOT_USES,
    SIGNED_USES,
    V2G_CERTIFICATES,
    ask_to_sign,
    certificate_signed,
    delete,
    install,
    installed,
    installed_in,
)

log = logging.getLogger(__name__)

ASKED_FOR: Final = timedelta(minutes=15)
"""So long after a person has asked, a station's request is expected."""
SIGNED_MOST: Final = 6
"""Requests of one station that are signed within an hour."""
LOOK_S: Final = 3600.0
ASK_AGAIN: Final = timedelta(hours=20)
ENDS_SOON: Final = timedelta(days=14)
_ASKING: Final = frozenset(
    {("ExtendedTriggerMessage", "SignChargePointCertificate"), *(("TriggerMessage", f"Sign{use}") for use in SIGNED_USES)}
)
"""Calls that ask a station for a signing request, and which message they name."""
V2G_DAYS: Final = 90
"""So long a V2G certificate lasts where the settings say nothing of certificates."""
PEM_MOST: Final = {Version.V16: 5_500, Version.V201: 5_500, Version.V21: 10_000}
"""InstallCertificate.req takes so many characters."""
_ALL: Final[tuple[tuple[str, ...], ...]] = ((CENTRAL_SYSTEM,), ())
"""What is asked for where nobody said of what: 1.6 wants to be told, 2.x tells all."""


class Certificates:
    """The room. ``authority`` and ``port`` None: there is no TLS port. ``v2g``: who signs what stations show to
    vehicles. ``note``: tells of a request that was refused.
    ``settle``: says how a command ended that was accepted before. ``stations`` is set once they are there."""

    kinds: Final = frozenset({"certificate_ends"})

    def __init__(
        self,
        yard: Yard,
        book: DepotAccess,
        *,
        authority: Authority | None,
        v2g: Authority | None,
        port: PortCertificate | None,
        owner: str,
        days: int,
        renew: timedelta,
        note: Callable[..., None],
        settle: Callable[[str, CommandStatus, str], Awaitable[None]],
    ) -> None:
        self._yard = yard
        self._book = book
        self._authority = authority
        self._v2g = v2g
        self._port = port
        self._owner = owner
        self._days = days
        self._renew = renew
        self._note = note
        self._settle = settle
        self.stations: Stations | None = None
        self._asked: dict[str, tuple[datetime, str]] = {}
        """When a station was asked for a request, and by which command; "": by the depot itself."""
        self._signed: dict[str, deque[datetime]] = {}
        self._requests: dict[str, SigningRequest] = {}
        self._to_sign: asyncio.Queue[SigningRequest] = asyncio.Queue()
        self.commands: Mapping[type[Command], Carrier] = {
            cmd.RenewCertificate: self._renew_one,
            cmd.RevokeCertificate: self._revoke,
            cmd.InstallCertificate: self._install,
            cmd.DeleteCertificate: self._delete,
        }
        self.views: Mapping[type[Struct], Viewer] = {CertificatesView: self._show, InstalledView: self._show_installed}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_fresh(), name="certificates: renewal")
            while True:
                request = await self._to_sign.get()
                group.create_task(self._sign(request), name=f"certificate of {request.station_id}")

    # -- signing ------------------------------------------------------------------------------------------------

    async def sign_wanted(self, station_id: str, csr: str, use: str = "", number: int | None = None) -> bool:
        """See :class:`depot.ports.SecurityDesk`."""
        try:
            self._requests[station_id] = replace(self._in_order(station_id, csr, use), use=use, number=number)
        except RequestRefused as error:
            self._note(station_id, "signing_request_refused", detail=str(error))
            await self._asked_in_vain(station_id, f"the signing request of {station_id} is refused: {error}")
            return False
        return True

    def sign_answered(self, station_id: str) -> None:
        """See :class:`depot.ports.SecurityDesk`."""
        request = self._requests.pop(station_id, None)
        if request is not None:
            self._to_sign.put_nowait(request)

    def _in_order(self, station_id: str, csr: str, use: str) -> SigningRequest:
        v2g = use in V2G_CERTIFICATES
        if v2g and self._v2g is None:
            raise RequestRefused("there is no authority that signs V2G certificates (settings, contracts.v2g_authority)")
        if not v2g and self._authority is None:
            raise RequestRefused("there is no TLS port (settings, section ocpp.tls), so certificates serve nothing")
        now, came = self._yard.clock.now(), self._book.came.get(station_id)
        asked_at, _ = self._asked.get(station_id, (None, ""))
        if (asked_at is None or now - asked_at > ASKED_FOR) and (came is None or came.profile < 2):
            raise RequestRefused("nobody asked for it, and it did not come over TLS")
        signed = self._signed.setdefault(station_id, deque(maxlen=SIGNED_MOST))
        if len(signed) == SIGNED_MOST and now - signed[0] < timedelta(hours=1):
            raise RequestRefused(f"it is the {SIGNED_MOST + 1}th within an hour")
        request = read_request(csr, station_id=station_id, organization="" if v2g else self._owner)
        signed.append(now)
        return request

    async def _sign(self, request: SigningRequest) -> None:
        station_id, now, v2g = request.station_id, self._yard.clock.now(), request.use in V2G_CERTIFICATES
        try:
            issued = self._issue(request, now)
        except RequestRefused as error:
            await self._asked_in_vain(station_id, f"the certificate of {station_id} is not signed: {error}")
            return
        facts, use = issued.facts, request.use if v2g else ""
        await self._append(ev.CertificateIssued(station_id, facts.serial, facts.fingerprint, facts.not_before, facts.not_after, use))
        reply = await self._call(station_id, lambda version: certificate_signed(version, issued.pem, request.use, request.number))
        await self._append(ev.CertificateAnswered(facts.fingerprint, reply.outcome.value))
        _, command_id = self._asked.pop(station_id, (None, ""))
        if command_id:
            await self._settle(command_id, *_end_of_signing(station_id, issued, reply))

    def _issue(self, request: SigningRequest, now: datetime) -> Issued:
        if request.use in V2G_CERTIFICATES:
            assert self._v2g is not None
            return self._v2g.sign_v2g(request, days=self._days or V2G_DAYS, now=now)
        assert self._authority is not None
        return self._authority.sign(request, days=self._days, now=now)

    def announced(self, station_id: str, action: str, payload: Mapping[str, Any]) -> None:
        """A person is about to send a call that they made up: if it asks for a signing request, one is expected."""
        if (action, payload.get("requestedMessage")) in _ASKING:
            self._asked[station_id] = (self._yard.clock.now(), "")

    async def _asked_in_vain(self, station_id: str, why: str) -> None:
        _, command_id = self._asked.pop(station_id, (None, ""))
        if command_id:
            await self._settle(command_id, CommandStatus.FAILED, why)

    async def _keep_fresh(self) -> None:
        """Renew what ends soon: the port's certificate, and those of stations, by asking for a request."""
        while True:
            if self._port is not None:
                self._port.refresh(self._yard.clock.now())
            for station_id in self._to_renew():
                self._asked[station_id] = (self._yard.clock.now(), "")
                reply = await self._call(station_id, ask_to_sign)
                log.info("station %s was asked to renew its certificate: %s", station_id, reply.outcome.value)
            await self._yard.clock.sleep(LOOK_S)

    def _to_renew(self) -> list[str]:
        now, found = self._yard.clock.now(), []
        for station in self._yard.spec.stations:
            station_id = station.station_id
            asked_at, _ = self._asked.get(station_id, (None, ""))
            ends = self._ends(station_id)
            if ends is not None and ends - now < self._renew and self._linked(station_id) and (not asked_at or now - asked_at > ASK_AGAIN):
                found.append(station_id)
        return found

    def _ends(self, station_id: str) -> datetime | None:
        """When the newest certificate of a station ends, where it has one that is not revoked and was taken."""
        ours = [c for c in self._yard.state.security.certificates_of(station_id) if c.revoked_at is None and c.outcome != "refused"]
        return max((c.not_after for c in ours), default=None)

    # -- commands -----------------------------------------------------------------------------------------------

    async def _renew_one(self, command: cmd.RenewCertificate, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        station_id = command.station_id
        self._need(station_id)
        if command.use in V2G_CERTIFICATES and self._v2g is None:
            return CommandStatus.REFUSED, "there is no authority that signs V2G certificates: set contracts.v2g_authority"
        if command.use not in V2G_CERTIFICATES and self._authority is None:
            return CommandStatus.REFUSED, "there is no TLS port, so certificates serve nothing: set the section ocpp.tls"
        if not self._linked(station_id):
            return CommandStatus.REFUSED, f"{station_id} is offline; try again when it is back"
        self._asked[station_id] = (self._yard.clock.now(), command.command_id)
        try:
            reply = await self._call(station_id, lambda version: ask_to_sign(version, command.use))
        except InvalidValue:
            self._asked.pop(station_id, None)
            raise
        if reply.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.TIMEOUT):
            return CommandStatus.ACCEPTED, f"waits for the signing request of {station_id}"
        self._asked.pop(station_id, None)
        return CommandStatus.REFUSED, f"{station_id} sends no signing request: {_said(reply)}"

    async def _revoke(self, command: cmd.RevokeCertificate, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        serial = command.serial.lower().lstrip("0")
        found = self._yard.state.security.by_serial(serial)
        if found is None or found.station_id != command.station_id:
            raise UnknownThing(f"the depot's authority signed no certificate {command.serial[:64]} for {command.station_id}")
        if found.use:
            raise DepotError("a V2G certificate is revoked by the authority that vehicles trust, not here")
        if found.revoked_at is not None:
            return CommandStatus.DONE, f"it was revoked at {found.revoked_at:%Y-%m-%d %H:%M} UTC already"
        await self._append(ev.CertificateRevoked(found.station_id, found.serial, found.fingerprint), cause=cause)
        came = self._book.came.get(found.station_id)
        if came is None or came.fingerprint != found.fingerprint or not self._linked(found.station_id):
            return CommandStatus.DONE, "it counts no more"
        assert self.stations is not None
        self.stations.cut(found.station_id, "its certificate is revoked")
        return CommandStatus.DONE, f"it counts no more; the connection of {found.station_id} was cut"

    async def _install(self, command: cmd.InstallCertificate, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        station_id, pem = command.station_id, command.certificate
        self._need(station_id)
        _check_use(command.use)
        if not pem and self._authority is None:
            return CommandStatus.REFUSED, "the depot has no authority of its own: set the section ocpp.tls, or give a certificate"
        if not pem and self._authority is not None:
            pem = self._authority.root_pem
        _check_pem(pem, self.stations.version(station_id) if self.stations is not None else None)
        return _ended(station_id, await self._call(station_id, lambda version: install(version, command.use, pem)), "trusts it now")

    async def _delete(self, command: cmd.DeleteCertificate, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        self._need(command.station_id)
        if self._cuts_off(command):
            return (
                CommandStatus.REFUSED,
                (f"{command.station_id} comes over TLS and knows this depot by that root: without it, it stays away"),
            )
        named = HashData(command.issuer_name_hash, command.issuer_key_hash, command.serial, command.algorithm)
        return _ended(command.station_id, await self._call(command.station_id, lambda version: delete(named)), "trusts it no more")

    def _cuts_off(self, command: cmd.DeleteCertificate) -> bool:
        """Whether the station would not trust the TLS port any more. Serial numbers of roots are random: no other has this one."""
        access, own = self._book.access(command.station_id), self._authority
        if access is None or own is None or self._port is None or not self._port.own:
            return False
        over_tls = max(access.profile, access.upgrade or 0) >= 2
        return over_tls and own.hash_data.serial_number == command.serial.lower().lstrip("0")

    # -- what is shown ------------------------------------------------------------------------------------------

    def conditions(self, now: datetime) -> Iterable[Condition]:
        """See :class:`controller.alarms.Conditions`."""
        found = []
        if self._port is not None:
            try:
                ends = self._port.ends
                if ends - now < ENDS_SOON:
                    found.append(Condition("certificate_ends", "port", f"The certificate of the OCPP port ends on {ends:%Y-%m-%d}."))
            except SecretError as error:
                found.append(Condition("certificate_ends", "port", str(error)))
        for station in self._yard.spec.stations:
            access = self._book.access(station.station_id)
            ends_at = self._ends(station.station_id) if access is not None and access.profile == 3 else None
            if ends_at is not None and ends_at - now < ENDS_SOON:
                title = f"The certificate of {station.station_id} ends on {ends_at:%Y-%m-%d}; without one it cannot connect."
                found.append(Condition("certificate_ends", station.station_id, title))
        return found

    async def _show(self, args: Mapping[str, str]) -> CertificatesView:
        wanted, now, came = args.get("station", ""), self._yard.clock.now(), self._book.came
        rows = [
            certificate_row(c, in_use=came[c.station_id].fingerprint if c.station_id in came else None, now=now)
            for c in reversed(tuple(self._yard.state.security.certificates.values()))
            if wanted in ("", c.station_id)
        ]
        authority = self._authority
        root = None
        if authority is not None:
            named = authority.hash_data
            root = _row(authority.root, pem=authority.root_pem, name_hash=named.issuer_name_hash, key_hash=named.issuer_key_hash)
        v2g = None if self._v2g is None else _row(self._v2g.root, pem=self._v2g.root_pem)
        return CertificatesView(root, None if self._port is None else _row(self._port.shown), rows, v2g)

    async def _show_installed(self, args: Mapping[str, str]) -> InstalledView | None:
        """``station``; ``use``: types with commas between them, "" for all."""
        station_id, uses = args.get("station", ""), [use for use in args.get("use", "").split(",") if use]
        if self._book.access(station_id) is None:
            return None
        for use in uses:
            _check_use(use, (*ROOT_USES, CHAIN))
        reply = await self._call(station_id, lambda version: installed(version, uses or _ALL[version is not Version.V16]))
        own = self._authority.hash_data if self._authority is not None else None
        rows = [
            InstalledRow(
                *_hashes(found.named), own is not None and _same(found.named, own), found.use or ",".join(uses),
                [HashRow(*_hashes(child)) for child in found.children],
            )
            for found in installed_in(reply.payload)
        ]  # fmt: skip
        return InstalledView(station_id, ",".join(uses), reply.outcome.value, str(reply.payload.get("status", "")), rows)

    # -- within -------------------------------------------------------------------------------------------------

    def _need(self, station_id: str) -> None:
        if self._book.access(station_id) is None:
            raise UnknownThing(f"station {station_id} is not in the registry")

    def _linked(self, station_id: str) -> bool:
        link = self.stations.link(station_id) if self.stations is not None else None
        return link is not None and link.connected

    async def _call(self, station_id: str, say: Callable[[Version], Call]) -> Reply:
        version = self.stations.version(station_id) if self.stations is not None else None
        if self.stations is None or version is None:
            return Reply(Outcome.OFFLINE)
        action, payload = say(version)
        assert isinstance(payload, dict)
        return await self.stations.call(station_id, action, payload)

    async def _append(self, fact: ev.Event, *, cause: ev.Envelope | None = None) -> None:
        actor, cause_id = (cause.actor, cause.id) if cause is not None else ("controller", None)
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now(), actor=actor, cause_id=cause_id)])


def _check_use(use: str, known: Sequence[str] = ROOT_USES) -> None:
    if use not in known:
        raise InvalidValue(f"{use[:64]!r} is no use of an authority's certificate: {' or '.join(known)}")


def _hashes(h: HashData) -> tuple[str, str, str, str]:
    return h.algorithm, h.issuer_name_hash, h.issuer_key_hash, h.serial_number


def _check_pem(pem: str, version: Version | None) -> None:
    most = PEM_MOST[version or Version.V16]
    if len(pem) > most:
        raise InvalidValue(f"the certificate has {len(pem)} characters; this station takes {most}")
    try:
        count = len(read_certificates(pem))
    except RequestRefused as error:
        raise InvalidValue(str(error)) from None
    if count != 1:
        raise InvalidValue(f"give one certificate, not {count}")


def _end_of_signing(station_id: str, issued: Issued, reply: Reply) -> tuple[CommandStatus, str]:
    until = f"certificate {issued.facts.serial}, valid until {issued.facts.not_after:%Y-%m-%d}"
    if reply.outcome is Outcome.ACCEPTED:
        return CommandStatus.DONE, f"{station_id} has taken its {until}"
    return CommandStatus.FAILED, f"{station_id} has not taken its {until}: {_said(reply)}; revoke it, if it stays so"


def _ended(station_id: str, reply: Reply, told: str) -> tuple[CommandStatus, str]:
    if reply.outcome is Outcome.ACCEPTED:
        return CommandStatus.DONE, f"{station_id} {told}"
    if reply.outcome in (Outcome.TIMEOUT, Outcome.UNKNOWN):
        return CommandStatus.FAILED, f"{station_id} gave no clear answer: ask what is installed"
    return CommandStatus.REFUSED, f"{station_id}: {_said(reply)}"


def _said(reply: Reply) -> str:
    status = reply.payload.get("status")
    return f"it answered {status}" if status else f"the call ended with {reply.code or reply.outcome.value}"


def _same(one: HashData, other: HashData) -> bool:
    def plain(h: HashData) -> tuple[str, ...]:
        return h.algorithm, h.issuer_name_hash.lower(), h.issuer_key_hash.lower(), h.serial_number.lower().lstrip("0")

    return plain(one) == plain(other)


def _row(certificate: PeerCertificate, *, pem: str = "", name_hash: str = "", key_hash: str = "") -> AuthorityRow:
    return AuthorityRow(
        common_name=certificate.common_name, serial=certificate.serial, fingerprint=certificate.fingerprint,
        not_before=certificate.not_before, not_after=certificate.not_after, pem=pem, issuer_name_hash=name_hash,
        issuer_key_hash=key_hash,
    )  # fmt: skip
