"""Chains of contract certificates (ISO 15118): from a vehicle's own up to an authority that the depot trusts. No I/O.

    Authorize.certificate (PEM, leaf first) + trusted authorities --check_chain--> path, or a CertificateStatus that says why not

Checked by hand, and not by a web browser's rules: contract certificates have no names of hosts and no purposes. What is
checked is what RFC 5280 §6 asks of any chain: each is signed by the next, in date, and only an authority signs others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from depot.contracts import CertificateStatus, StatusTarget
from ocpp_server.authority import bits_of

CHAIN_MOST: Final = 5
"""ISO 15118: a vehicle's own certificate, two authorities under a root; and the root, where somebody sends it along."""
_LIKE_EMAID: Final = re.compile("[A-Za-z]{2}[A-Za-z0-9]{12,13}")
_DIGESTS: Final = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}


class ChainRefused(Exception):
    """``status``: what the station is told; the message: for the operator."""

    def __init__(self, status: CertificateStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate of a checked chain, and who signed it."""

    certificate: x509.Certificate
    issuer: x509.Certificate


def read_chain(pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text. Raises :class:`ChainRefused`."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ChainRefused(CertificateStatus.NONE, "what the station sent is no certificate in PEM") from None
    if len(found) > CHAIN_MOST:
        raise ChainRefused(CertificateStatus.CHAIN, f"it is a chain of {len(found)} certificates; at most {CHAIN_MOST} are taken")
    return found


def check_chain(chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], *, now: datetime, leaf: bool = True) -> list[Link]:
    """The way from the first certificate up to a trusted one, which is left out. ``leaf``: the first is a vehicle's, no authority's.
    Raises :class:`ChainRefused`."""
    if not trusted:
        raise ChainRefused(CertificateStatus.CHAIN, "the depot trusts no authority of contracts")
    current = chain[0]
    if leaf and _is_authority(current):
        raise ChainRefused(CertificateStatus.CHAIN, "the first certificate is an authority's, and no vehicle's")
    path: list[Link] = []
    while True:
        _check_date(current, now)
        if len(path) == CHAIN_MOST:
            raise ChainRefused(CertificateStatus.CHAIN, "the chain does not end")
        anchor = _issuer_of(current, trusted, below=len(path))
        issuer = anchor or _issuer_of(current, chain[1:], below=len(path))
        if issuer is None:
            _refuse_forged(current, (*trusted, *chain[1:]))
            raise ChainRefused(CertificateStatus.CHAIN, f"nobody whom the depot trusts has signed {_named(current.issuer)}'s certificates")
        path.append(Link(current, issuer))
        if anchor is not None:
            _check_date(anchor, now)
            return path
        current = issuer


def check_emaid(certificate: x509.Certificate, emaid: str) -> None:
    """The contract must be of this eMAID (ISO 15118: its common name; hyphens and the check digit may be left out). Raises
    :class:`ChainRefused`."""
    names = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) != 1 or not same_emaid(names[0], emaid):
        raise ChainRefused(CertificateStatus.NONE, "the certificate is of another contract than the eMAID")


def same_emaid(one: str, other: str) -> bool:
    """Whether two spellings mean one contract: 14 characters, and a check digit that may be left out."""
    a, b = (text.replace("-", "").casefold() for text in (one, other))
    return bool(a) and (a == b or ({len(a), len(b)} == {14, 15} and a[:14] == b[:14]))


def target_of(link: Link) -> StatusTarget:
    """How a responder is asked about a certificate; without ``urls`` where the certificate names none."""
    urls: list[str] = []
    try:
        found = link.certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        places = [entry.access_location for entry in found if entry.access_method == AuthorityInformationAccessOID.OCSP]
        urls = [str(place.value) for place in places if isinstance(place, x509.UniformResourceIdentifier)]
    except (x509.ExtensionNotFound, ValueError):
        pass
    name, key = hashes_of(link.issuer, "SHA256")
    return StatusTarget("SHA256", name, key, f"{link.certificate.serial_number:x}", tuple(urls[:2]))


def hashes_of(issuer: x509.Certificate, algorithm: str) -> tuple[str, str]:
    """Hash of an authority's name, and of its key, in hex (RFC 6960 §4.1.1)."""
    digest = _DIGESTS[algorithm]
    return digest(issuer.subject.public_bytes()).hexdigest(), digest(bits_of(issuer.public_key())).hexdigest()


def issuer_named(target: StatusTarget, known: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Who of the known ones is meant as the issuer."""
    wanted = (target.issuer_name_hash.lower(), target.issuer_key_hash.lower())
    return next((c for c in known if hashes_of(c, target.algorithm) == wanted), None)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether this key signed it, and not just somebody of the same name."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def in_date(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _issuer_of(certificate: x509.Certificate, known: Sequence[x509.Certificate], *, below: int) -> x509.Certificate | None:
    """Who signed it, among those who may sign. ``below``: authorities between it and the vehicle's own."""
    return next((c for c in known if c != certificate and _may_sign(c, below) and is_issued_by(certificate, c)), None)


def _refuse_forged(certificate: x509.Certificate, known: Sequence[x509.Certificate]) -> None:
    """An authority of that name is known, and it was not the one who signed."""
    if any(c.subject == certificate.issuer and c != certificate for c in known):
        raise ChainRefused(CertificateStatus.SIGNATURE_ERROR, f"{_named(certificate.issuer)} did not sign it, or may not sign it")


def _check_date(certificate: x509.Certificate, now: datetime) -> None:
    if not in_date(certificate, now):
        raise ChainRefused(CertificateStatus.EXPIRED, f"the certificate of {_named(certificate.issuer)} with serial "
                           f"{certificate.serial_number:x} is not in date")  # fmt: skip


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _may_sign(certificate: x509.Certificate, below: int) -> bool:
    try:
        extensions = certificate.extensions
        limits = extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        usage = True
    return limits.ca and usage and (limits.path_length is None or below <= limits.path_length)


def _named(name: x509.Name) -> str:
    """An authority by its common name. What looks like an eMAID is not shown: who forges may call a vehicle an authority."""
    found = [str(part.value) for part in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not found or _LIKE_EMAID.fullmatch(found[0].replace("-", "")):
        return "an authority without a name"
    return found[0][:64]
