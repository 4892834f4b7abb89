"""The depot's authority on the disk, and the certificate of the OCPP port: files in, a TLS context out, kept fresh.

    DEPOT-authority.pem   root and its key, made at the first start, mode 0600, part of every backup: without it no station
                          with a certificate would be let in again
    DEPOT-port.pem        certificate and key of the port, made for ``ocpp.tls.names``, mode 0600; can be made anew at any time

Where the settings name a certificate of somebody else's, that one is shown, and read again when its file changes.
"""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from controller.secrets import SecretError, private_text, replace_private
from controller.sections import OcppTlsSection
from ocpp_server.access import PeerCertificate
from ocpp_server.authority import Authority, AuthorityBroken, RequestRefused, read_certificates
from ocpp_server.tls import described, server_context

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
        self._stamp: tuple[float, ...] = ()
        trusted = authority.root_pem + _read(section.authorities)
        self._make(now)
        try:
            self.context = server_context(certificate=self._files[0], key=self._files[1], authorities=trusted)
        except (ssl.SSLError, OSError) as error:
            raise SecretError(f"{self._files[0]} and {self._files[1]} do not serve as certificate and key: {error}") from None
        self.foreign = section.authorities is not None
        """Whether stations with certificates of other authorities may come."""
        self.own = section.certificate is None
        """Whether stations know the port by the depot's own root."""

    @property
    def _files(self) -> tuple[Path, Path]:
        return self._section.certificate or self._path, self._section.key or self._path

    @property
    def shown(self) -> PeerCertificate:
        """What the port's certificate says. Raises :class:`~controller.secrets.SecretError` where it cannot be read."""
        try:
            return described(read_certificates(_read(self._files[0]))[0])
        except RequestRefused as error:
            raise SecretError(f"{self._files[0]}: {error}") from None

    def refresh(self, now: datetime | None = None) -> bool:
        """Make or read the certificate anew where it is time; what does not serve leaves the one that was there. Returns
        whether there is another one now. New handshakes get it; nobody is cut off."""
        before = self._stamp
        try:
            self._make(now or datetime.now(UTC))
            if self._stamp == before:
                return False
            self.context.load_cert_chain(*self._files)
        except (SecretError, ssl.SSLError, OSError) as error:
            log.error("the new certificate of the OCPP port cannot be used, the one before stays: %s", error)
            return False
        log.info("the OCPP port shows a new certificate")
        return True

    def _make(self, now: datetime) -> None:
        if self._section.certificate is None and not self._serves(now):
            try:
                issued, key = self._authority.server(self._section.names, organization=self._section.owner, days=PORT_DAYS, now=now)
            except ValueError as error:
                raise SecretError(f"ocpp.tls.names: {error}") from None
            replace_private(self._path, issued.pem + key)
        self._stamp = tuple(_changed_at(path) for path in self._files)

    def _serves(self, now: datetime) -> bool:
        """Whether the certificate that is there is of this authority, for these names, and lasts a while."""
        if not self._path.exists():
            return False
        try:
            (certificate,) = read_certificates(_read(self._path))
        except (RequestRefused, SecretError, ValueError):
            return False
        ours = self._authority.signed(certificate) and self._authority.names(certificate) == self._section.names
        return ours and certificate.not_valid_after_utc - now > PORT_RENEW


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
