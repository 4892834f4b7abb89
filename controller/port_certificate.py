"""The depot's authority on the disk, and the certificate of the OCPP port: files in, a TLS context out, kept fresh.

    DEPOT-authority.pem   root and its key, made at the first start, mode 0600, part of every backup: without it no station
                          with a certificate would be let in again
    DEPOT-port.pem        certificate and key of the port, made for ``ocpp.tls.names``, mode 0600; can be made anew at any time
    DEPOT-port-rsa.pem    the same with an RSA key, for stations without ECDSA suites; its key stays when it is renewed, as a
                          new one takes a moment

Where the settings name a certificate of somebody else's, that one is shown, and read again when its file changes.
"""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from controller.secrets import SecretError, private_text, replace_private
from controller.sections import OcppTlsSection
from ocpp_server.access import PeerCertificate
from ocpp_server.authority import Authority, AuthorityBroken, RequestRefused, new_rsa_key, read_certificates, read_rsa_key
from ocpp_server.tls import described, server_context, show

log = logging.getLogger(__name__)

PORT_DAYS: Final = 397
"""How long the certificate of the port lasts; it is made anew while the controller runs."""
PORT_RENEW: Final = timedelta(days=30)


def authority_path(folder: Path, depot_id: str) -> Path:
    """Where the root and its key are kept."""
    return folder / f"{depot_id}-authority.pem"


def read_authority(path: Path) -> Authority:
    """An authority that somebody else made, from its key and certificate in one file. Raises :class:`SecretError`."""
    try:
        if path.stat().st_mode & 0o077:
            raise SecretError(f"{path} can be read by others; run: chmod 600 {path}")
        return Authority.read(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path} cannot be read ({type(error).__name__})") from None
    except AuthorityBroken as error:
        raise SecretError(f"{path}: {error}") from None


def keep_authority(path: Path, *, name: str, organization: str, now: datetime) -> Authority:
    """The depot's authority; made at the first call. Raises :class:`~controller.secrets.SecretError`."""
    text = private_text(path, lambda: Authority.new(name, organization=organization, now=now).to_pem())
    try:
        return Authority.read(text)
    except AuthorityBroken as error:
        raise SecretError(f"{path}: {error}") from None


class PortCertificate:
    """What the port shows, and whom it trusts. ``context``: for the listener, for as long as the process runs."""

    def __init__(self, section: OcppTlsSection, authority: Authority, *, path: Path, now: datetime) -> None:
        self._section = section
        self._authority = authority
        self._path = path
        self._rsa_path = path.with_name(f"{path.stem}-rsa.pem")
        self._stamp: tuple[float, ...] = ()
        trusted = authority.root_pem + _read(section.authorities)
        self._make(now)
        try:
            self.context = server_context(shown=self._files, authorities=trusted)
        except (ssl.SSLError, OSError) as error:
            named = ", ".join(dict.fromkeys(str(path) for pair in self._files for path in pair))
            raise SecretError(f"certificate and key of the OCPP port do not serve ({named}): {error}") from None
        self.foreign = section.authorities is not None
        """Whether stations with certificates of other authorities may come."""
        self.own = section.certificate is None
        """Whether stations know the port by the depot's own root."""

    @property
    def _files(self) -> tuple[tuple[Path, Path], ...]:
        """Certificate and key; the first pair is the one for whoever can do it."""
        if self._section.certificate is not None and self._section.key is not None:
            return ((self._section.certificate, self._section.key),)
        return (self._path, self._path), (self._rsa_path, self._rsa_path)

    @property
    def shown(self) -> PeerCertificate:
        """What the port's certificate says. Raises :class:`~controller.secrets.SecretError` where it cannot be read."""
        return _described(self._files[0][0])

    @property
    def ends(self) -> datetime:
        """When the first of the port's certificates ends. Raises as :attr:`shown`."""
        return min(_described(certificate).not_after for certificate, _ in self._files)

    def refresh(self, now: datetime | None = None) -> bool:
        """Make or read the certificate anew where it is time; what does not serve leaves the one that was there. Returns
        whether there is another one now. New handshakes get it; nobody is cut off."""
        before = self._stamp
        try:
            self._make(now or datetime.now(UTC))
            if self._stamp == before:
                return False
            show(self.context, self._files)
        except (SecretError, ssl.SSLError, OSError) as error:
            log.error("the new certificate of the OCPP port cannot be used, the one before stays: %s", error)
            return False
        log.info("the OCPP port shows a new certificate")
        return True

    def _make(self, now: datetime) -> None:
        if self._section.certificate is None:
            if not self._serves(self._path, now):
                self._issue(self._path, now)
            if not self._serves(self._rsa_path, now, with_rsa=True):
                self._issue(self._rsa_path, now, rsa_key=_kept_key(self._rsa_path) or new_rsa_key())
        self._stamp = tuple(_changed_at(path) for pair in self._files for path in pair)

    def _issue(self, path: Path, now: datetime, *, rsa_key: rsa.RSAPrivateKey | None = None) -> None:
        section = self._section
        try:
            issued, key = self._authority.server(section.names, organization=section.owner, days=PORT_DAYS, now=now, rsa_key=rsa_key)
        except ValueError as error:
            raise SecretError(f"ocpp.tls.names: {error}") from None
        replace_private(path, issued.pem + key)

    def _serves(self, path: Path, now: datetime, *, with_rsa: bool = False) -> bool:
        """Whether the certificate that is there is of this authority, for these names and this kind of key, and lasts a while."""
        if not path.exists():
            return False
        try:
            (certificate,) = read_certificates(_read(path))
        except (RequestRefused, SecretError, ValueError):
            return False
        ours = self._authority.signed(certificate) and self._authority.names(certificate) == self._section.names
        return ours and _has_rsa(certificate) == with_rsa and certificate.not_valid_after_utc - now > PORT_RENEW


def _has_rsa(certificate: x509.Certificate) -> bool:
    return isinstance(certificate.public_key(), rsa.RSAPublicKey)


def _kept_key(path: Path) -> rsa.RSAPrivateKey | None:
    """The RSA key that is there, where nobody else could read it."""
    try:
        return None if path.stat().st_mode & 0o077 else read_rsa_key(_read(path))
    except (OSError, SecretError):
        return None


def _described(path: Path) -> PeerCertificate:
    try:
        return described(read_certificates(_read(path))[0])
    except RequestRefused as error:
        raise SecretError(f"{path}: {error}") from None


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path} cannot be read as PEM: {error}") from None


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise SecretError(f"{path}: {error.strerror}") from None
