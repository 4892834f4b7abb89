"""Modbus/TLS for the limit server: mutual TLS, and the role that the master's certificate gives it.

TLS 1.2 and 1.3; under 1.2 the ECDHE suites with AES-GCM, for ECDSA and RSA keys. Every master must show a certificate of a
configured authority that is in date, else the handshake ends. Its role is the UTF8String in the extension
1.3.6.1.4.1.50316.802.1; see :mod:`grid.limit_access` for what a role may do. Sessions are not resumed by tickets, so that
each connection is judged by the files as they are now: these are read again when they change, and while what is new does
not serve, what was there stays.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from grid.limit_access import LimitServerError, LimitTlsSettings, Role

log = logging.getLogger(__name__)

ROLE_OID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.50316.802.1")

SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
"""Cipher suites of TLS 1.2, best first, by their OpenSSL names."""

_UTF8_STRING: Final = 0x0C
_NAME_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a master's certificate says. ``role`` None: nothing that counts. ``name``: its common name, for people."""

    role: Role | None
    name: str


def role_of(certificate: x509.Certificate) -> Role | None:
    """The role in the certificate; None where there is none, or what is there is not exactly one role as a UTF8String."""
    try:
        found = [extension.value for extension in certificate.extensions if extension.oid == ROLE_OID]
    except (ValueError, x509.DuplicateExtension):
        return None
    if len(found) != 1 or not isinstance(found[0], x509.UnrecognizedExtension):
        return None
    data = found[0].value
    # DER: tag, length in one byte (roles are short), text
    if len(data) < 2 or data[0] != _UTF8_STRING or data[1] != len(data) - 2 or data[1] >= 0x80:
        return None
    try:
        return Role(data[2:].decode("utf-8"))
    except ValueError:
        return None


def role_extension(role: str) -> x509.UnrecognizedExtension:
    """The extension that gives a certificate this role: for whoever issues certificates."""
    text = role.encode("utf-8")
    if not 1 <= len(text) < 0x80:
        raise ValueError(f"a role has 1 to 127 bytes, not {len(text)}")
    return x509.UnrecognizedExtension(ROLE_OID, bytes((_UTF8_STRING, len(text))) + text)


def credentials(tls: ssl.SSLObject | None) -> Credentials:
    """What the other side's certificate says, which TLS has verified."""
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if not der:
        return Credentials(None, "")
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return Credentials(None, "")
    name = "".join(ch if ch.isprintable() else "?" for ch in str(names[0].value)) if len(names) == 1 else ""
    return Credentials(role_of(certificate), name[:_NAME_MOST])


class TlsFiles:
    """The context of the TLS port, from files. Raises :class:`LimitServerError` where they do not serve at the start."""

    def __init__(self, settings: LimitTlsSettings) -> None:
        self._settings = settings
        self._stamp: tuple[tuple[int, int], ...] | None = None
        try:
            self._stamp = self._stamped()
            self.context = self._made()
        except (OSError, ValueError) as error:
            raise LimitServerError(f"limit server tls: {_names(settings)} do not serve: {error}") from None

    def refresh(self) -> bool:
        """Read the files again where one has changed; whether there is a new context, for connections to come."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return False
            self._stamp = stamp  # what does not serve is said once, and tried again when it changes again
            self.context = self._made()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            log.error("limit server: the new TLS files cannot be used, those before stay: %s", error)
            return False
        log.info("limit server: the TLS port uses new files")
        return True

    def _stamped(self) -> tuple[tuple[int, int], ...]:
        files = (self._settings.certificate, self._settings.key, self._settings.authorities)
        return tuple((found.st_mtime_ns, found.st_size) for found in (path.stat() for path in files))

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(":".join(SUITES))
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self._settings.authorities)
        context.load_cert_chain(self._settings.certificate, self._settings.key)
        return context


def _names(settings: LimitTlsSettings) -> str:
    return f"{settings.certificate}, {settings.key}, {settings.authorities}"


_FAILURES: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "showed no certificate",
    "UNSUPPORTED_PROTOCOL": "speaks an old TLS",
    "VERSION_TOO_LOW": "speaks an old TLS",
    "NO_SHARED_CIPHER": "knows no cipher suite of ours",
    "HTTP_REQUEST": "speaks no TLS",
    "WRONG_VERSION_NUMBER": "speaks no TLS",
    "TLSV1_ALERT_UNKNOWN_CA": "does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "does not trust our certificate",
}


def failure(error: BaseException) -> str:
    """Why a handshake failed, in words that follow "a master that"."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "showed a certificate that does not count"
    if isinstance(error, ssl.SSLError):
        return _FAILURES.get(error.reason or "", "failed the TLS handshake")
    return "broke off the TLS handshake, or took too long"
