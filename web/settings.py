"""What the web process is told. ``controller.settings`` reads it from the configuration and documents it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from web.driver_links import PlaceLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """``tls``: a proxy in front (or the operator) guarantees HTTPS, so cookies are ``Secure`` and ``__Host-``.

    ``hosts``: names by which browsers may call us, without port; empty: loopback names when ``host`` is loopback,
    else any. ``absolute_s`` and ``idle_s``: life of a session. ``streams_most``: live pages at once.
    ``files``: the shelf of firmware and logs, None where nothing is served; ``incidents``: the folder of incident files;
    ``image_bytes``: of the largest image.
    ``places``: makes the addresses of the QR codes at the chargers, None where drivers have no pages.
    ``exports``: where the lake puts packs' histories, None where there is no lake.
    ``passports``: where passports from elsewhere are laid for the core; ``public_passports``: whether QR codes show a public page.
    """

    depot_id: str
    host: str = "127.0.0.1"
    port: int = 8080
    tls: bool = False
    hosts: tuple[str, ...] = ()
    absolute_s: int = 12 * 3600
    idle_s: int = 30 * 60
    tries_most: int = 10
    tries_window_s: int = 15 * 60
    streams_most: int = 200
    stale_s: float = 3.0
    files: Path | None = None
    incidents: Path | None = None
    exports: Path | None = None
    passports: Path | None = None
    public_passports: bool = False
    image_bytes: int = 512 * 1024 * 1024
    places: PlaceLinks | None = None

    @property
    def cookie(self) -> str:
        """Name of the session cookie."""
        return "__Host-chargeyard" if self.tls else "chargeyard"

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Empty: any. A loopback server answers loopback names only, so that no foreign name can be re-bound to it."""
        if self.hosts:
            return frozenset(self.hosts)
        return frozenset({"127.0.0.1", "localhost", "::1", self.host}) if self.host in ("127.0.0.1", "localhost", "::1") else frozenset()
