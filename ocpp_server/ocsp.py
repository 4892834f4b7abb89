"""Is a certificate revoked? Questions to the responder of its authority and what it answers (OCSP, RFC 6960). No I/O.

    StatusTarget --request_for--> DER --(HTTP, by the controller)--> DER --read_answer--> Believed: good, revoked or unknown

An answer is believed if it is about this certificate, in date, and signed by the certificate's authority or by a responder
whom that authority itself has made one. Whoever keeps an older answer back is caught by the times that stand in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from depot.contracts import Revocation, StatusTarget
from ocpp_server.authority import RequestRefused
from ocpp_server.contract_chain import in_date, is_issued_by
from ocpp_server.errors import OcppError

ANSWER_MOST: Final = 20_000
"""Bytes of one answer; those of real responders have 500 to 3,000."""
SKEW: Final = timedelta(minutes=5)
"""So far a responder's clock may be off."""
WITHOUT_NEXT: Final = timedelta(hours=24)
"""So old an answer may be that does not say when the next one comes."""
_DIGESTS: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {"SHA256": hashes.SHA256, "SHA384": hashes.SHA384, "SHA512": hashes.SHA512}


class AnswerRefused(OcppError):
    """What came is not believed; the message says why, for the operator."""


@dataclass(frozen=True, slots=True)
class Believed:
    """What a responder says, checked. ``next_update`` None: it does not say when it will know more."""

    status: Revocation
    this_update: datetime
    next_update: datetime | None


def request_for(target: StatusTarget) -> bytes:
    """The question in DER. Raises :class:`AnswerRefused` for a target that can be none."""
    try:
        digest = _DIGESTS[target.algorithm]()
        name, key, serial = bytes.fromhex(target.issuer_name_hash), bytes.fromhex(target.issuer_key_hash), int(target.serial, 16)
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, key, serial, digest)
        return builder.build().public_bytes(serialization.Encoding.DER)
    except (KeyError, ValueError, OverflowError):
        raise AnswerRefused("the certificate is not named as OCPP does: hashes and serial number in hex") from None


def peek(der: bytes, target: StatusTarget) -> Believed:
    """What an answer says of the certificate and how long it holds, without a look at who signed it: for one who checks it himself.
    Raises :class:`AnswerRefused`."""
    return _single(_parsed(der), target)


def read_answer(der: bytes, target: StatusTarget, issuer: x509.Certificate, *, now: datetime) -> Believed:
    """What the responder says of the certificate. Raises :class:`AnswerRefused`."""
    response = _parsed(der)
    said = _single(response, target)
    if said.this_update > now + SKEW or now - SKEW > (said.next_update or said.this_update + WITHOUT_NEXT):
        raise AnswerRefused(f"the answer of {said.this_update:%Y-%m-%d %H:%M} UTC does not hold now")
    try:
        responder = _responder(response, issuer, now)
        _verify(responder, response)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, RequestRefused):
        raise AnswerRefused("its signature is not that of the authority or of its responder") from None
    return said


def certificates_in(der: bytes) -> list[x509.Certificate]:
    """Certificates that a responder sent along; nobody has checked them."""
    try:
        return list(_parsed(der).certificates)
    except (AnswerRefused, ValueError, UnsupportedAlgorithm):
        return []


def _parsed(der: bytes) -> ocsp.OCSPResponse:
    if len(der) > ANSWER_MOST:
        raise AnswerRefused(f"the answer has {len(der)} bytes; {ANSWER_MOST} are taken")
    try:
        response = ocsp.load_der_ocsp_response(der)
        status = response.response_status
    except (ValueError, UnsupportedAlgorithm):
        raise AnswerRefused("what came is no OCSP response") from None
    if status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise AnswerRefused(f"the responder said {status.name.lower().replace('_', ' ')}")
    return response


def _single(response: ocsp.OCSPResponse, target: StatusTarget) -> Believed:
    """Its part about this certificate."""
    wanted = target.key
    try:
        for single in response.responses:
            named = (
                single.hash_algorithm.name.upper(), single.issuer_name_hash.hex(), single.issuer_key_hash.hex(),
                f"{single.serial_number:x}",
            )  # fmt: skip
            if named == wanted:
                return Believed(_WORDS[single.certificate_status], single.this_update_utc, single.next_update_utc)
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise AnswerRefused("the answer is about another certificate")


def _responder(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> x509.Certificate:
    """Who signed: the authority, or one of the certificates sent along that it has made a responder's."""
    candidates: Sequence[x509.Certificate] = (issuer, *response.certificates)
    for candidate in candidates:
        if _is_named(response, candidate) and (candidate == issuer or _is_delegated(candidate, issuer, now)):
            return candidate
    raise ValueError("nobody who may")


def _is_named(response: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return candidate.subject == response.responder_name
    return response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(candidate.public_key()).digest


def _is_delegated(candidate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    try:
        purposes = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in purposes and in_date(candidate, now) and is_issued_by(candidate, issuer)


def _verify(responder: x509.Certificate, response: ocsp.OCSPResponse) -> None:
    key, signature, signed = responder.public_key(), response.signature, response.tbs_response_bytes
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key.verify(signature, signed)
    digest = response.signature_hash_algorithm
    if not isinstance(digest, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        raise InvalidSignature
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.verify(signature, signed, ec.ECDSA(digest))
    if isinstance(key, rsa.RSAPublicKey):
        return key.verify(signature, signed, padding.PKCS1v15(), digest)
    raise InvalidSignature


_WORDS: Final = {
    ocsp.OCSPCertStatus.GOOD: Revocation.GOOD,
    ocsp.OCSPCertStatus.REVOKED: Revocation.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: Revocation.UNKNOWN,
}
