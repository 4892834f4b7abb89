"""TLS for the OCPP port: which versions and ciphers, whose client certificates, and why a handshake failed.

TLS 1.2 and 1.3; under 1.2 the four suites that the OCPP security whitepaper demands of a central system, and the ECDHE
ones for RSA keys, which keep what was said secret when a key is lost. They need two certificates, one for each kind of key
(A00.FR.318 of OCPP 2.0.1); which one is shown follows from the suites that the station can do. A client certificate is asked
of everybody and demanded of none: whether one is needed is the table's business (:mod:`ocpp_server.access`). One that is
shown must be signed by a trusted authority and in date, else the handshake ends. Session tickets are on: a whole depot
reconnects at once.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from ocpp_server.access import PeerCertificate

SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""Cipher suites of TLS 1.2, best first, by their OpenSSL names. Those of TLS 1.3 are all fit for use."""

_VERIFY_REASONS: Final = {
    9: "certificate_not_in_date",
    10: "certificate_not_in_date",
    18: "certificate_foreign",
    19: "certificate_foreign",
    20: "certificate_foreign",
    21: "certificate_foreign",
}
"""OpenSSL's X509_V_ERR numbers: not yet valid, expired; self-signed, its authority not known."""
_REASONS: Final = {
    "UNSUPPORTED_PROTOCOL": "tls_version",
    "UNKNOWN_PROTOCOL": "tls_version",
    "VERSION_TOO_LOW": "tls_version",
    "TLSV1_ALERT_PROTOCOL_VERSION": "tls_version",
    "NO_SHARED_CIPHER": "tls_cipher",
    "NO_CIPHERS_SPECIFIED": "tls_cipher",
    "HTTP_REQUEST": "not_tls",
    "HTTPS_PROXY_REQUEST": "not_tls",
    "WRONG_VERSION_NUMBER": "not_tls",
    "TLSV1_ALERT_UNKNOWN_CA": "refused_ours",
    "SSLV3_ALERT_BAD_CERTIFICATE": "refused_ours",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "refused_ours",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "refused_ours",
}
"""OpenSSL's words: what they mean here. ``refused_ours``: the station does not trust the depot's certificate."""


def server_context(*, shown: Iterable[tuple[Path, Path]], authorities: str) -> ssl.SSLContext:
    """The context of the listener. ``shown``: certificate and key in PEM, one pair for each kind of key; ``authorities``:
    certificates in PEM whose stations are trusted. Raises as :func:`show`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=authorities)
    show(context, shown)
    return context


def show(context: ssl.SSLContext, shown: Iterable[tuple[Path, Path]]) -> None:
    """Let new handshakes have these certificates, each in the place of the one for its kind of key. Raises ``ssl.SSLError``
    and ``OSError`` for files that do not serve."""
    for certificate, key in shown:
        context.load_cert_chain(certificate, key)


def peer_certificate(tls: ssl.SSLObject | ssl.SSLSocket | None) -> PeerCertificate | None:
    """The certificate that the other side has shown, and TLS has verified; None without one."""
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    return None if not der else described(x509.load_der_x509_certificate(der))


def described(certificate: x509.Certificate) -> PeerCertificate:
    """What of a certificate matters here."""
    return PeerCertificate(
        common_name=_first(certificate.subject, NameOID.COMMON_NAME),
        organization=_first(certificate.subject, NameOID.ORGANIZATION_NAME),
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """The only value of an attribute; "" where there is none, or several: then it names nobody."""
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if len(found) == 1 else ""


def failure(error: BaseException) -> str:
    """Why a handshake failed, in one word of ours; ``broken_off`` where the other side just went."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_REASONS.get(error.verify_code, "certificate_invalid")
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", "tls_other")
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return "timeout"  # asyncio says the latter of a handshake that takes too long
    return "broken_off"
