"""The address behind the QR code at a charger. It carries a code that only the depot can make, so that nobody finds other chargers by
counting: ``https://charge.example/drive/c/CP-01/1?k=7f3k9q2m4xza``. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from dataclasses import dataclass, field
from urllib.parse import quote

import segno

__all__ = ["PlaceLinks", "qr_svg"]

_CODE = 12


@dataclass(frozen=True, slots=True)
class PlaceLinks:
    """``url``: of the drivers' pages, without a slash at its end; ``key``: 32 bytes, the depot's own."""

    url: str
    key: bytes = field(repr=False)

    def code(self, station_id: str, evse: int) -> str:
        """60 bits of an HMAC-SHA256 over the place, in small letters and digits."""
        mac = hmac.new(self.key, f"place\0{station_id}\0{evse}".encode(), hashlib.sha256).digest()
        return base64.b32encode(mac).decode().lower()[:_CODE]

    def fits(self, station_id: str, evse: int, code: str) -> bool:
        """Whether this code is this place's."""
        return hmac.compare_digest(self.code(station_id, evse).encode(), code.lower().encode())

    def address(self, station_id: str, evse: int) -> str:
        """What the QR code says."""
        return f"{self.url}/drive/c/{quote(station_id, safe='')}/{evse}?k={self.code(station_id, evse)}"


def qr_svg(text: str, *, title: str, css: str = "qr") -> str:
    """A QR code (ISO/IEC 18004, error correction M) as inline SVG: dark on white in either theme, with its quiet zone of four modules."""
    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(
        out,
        kind="svg",
        xmldecl=False,
        svgns=False,
        omitsize=True,
        border=4,
        dark="#000",
        light="#fff",
        title=title,
        svgclass=css,
        lineclass=None,
    )
    return out.getvalue().decode().strip()
