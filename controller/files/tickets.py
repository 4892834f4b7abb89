"""Addresses that stations get for a file: each is for one station and one order, sealed by the depot, and expires.

    /firmware/{station}/{number}/{sha256}/{seal}/{name}      what it may fetch
    /logs/{station}/{number}/{seal}[/anything]               where it may send

The seal is ``{expiry in Unix seconds, base 36}.{HMAC-SHA-256, 192 bits}`` over all that the address allows. Nothing is
kept: who has the depot's secret can check it. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from controller.files import FilesError

GRACE = timedelta(hours=24)
"""An address is good for so long after the time at which the station should have used it."""
MOST_VALID = timedelta(days=30)
_SEAL_BYTES = 24
_DIGITS = string.digits + string.ascii_lowercase
_MOST_NAME = 60


class BadTicket(FilesError):
    """``expired``: it was good once."""

    def __init__(self, words: str, *, expired: bool = False) -> None:
        super().__init__(words)
        self.expired = expired


def key_of(depot_secret: bytes) -> bytes:
    """The key of the seals: known to the core, which makes addresses, and to the service, which checks them."""
    return hmac.digest(depot_secret, b"chargeyard files/1", "sha256")


@dataclass(frozen=True, slots=True)
class Tickets:
    """``public_url``: how stations reach the service, without a slash at its end."""

    key: bytes
    public_url: str

    def firmware(self, station_id: str, number: int, *, sha256: str, name: str, until: datetime) -> str:
        """Where the station fetches this image."""
        seal = _seal(self.key, ("firmware", station_id, str(number), sha256), until)
        return f"{self.public_url}/firmware/{quote(station_id, safe='')}/{number}/{sha256}/{seal}/{safe_name(name)}"

    def logs(self, station_id: str, number: int, *, until: datetime) -> str:
        """Where the station sends its log."""
        seal = _seal(self.key, ("logs", station_id, str(number)), until)
        return f"{self.public_url}/logs/{quote(station_id, safe='')}/{number}/{seal}"


def check(key: bytes, parts: tuple[str, ...], seal: str, now: datetime) -> None:
    """Whether an address is ours and still good. ``parts``: verb, station, number and what else is sealed. Raises
    :class:`BadTicket`."""
    expiry, _, _ = seal.partition(".")
    try:
        until_s = int(expiry, 36) if 0 < len(expiry) <= 8 else 0
    except ValueError:
        until_s = 0
    if not hmac.compare_digest(_sealed(key, parts, expiry).encode(), seal.encode()):
        raise BadTicket("this address is not one of the depot's; ask for a new one")
    if until_s < now.timestamp():
        raise BadTicket("this address has expired; ask for a new one", expired=True)


def valid_until(now: datetime, *, start: datetime | None, retries: int | None, interval_s: int | None) -> datetime:
    """How long an address shall be good: the first try, its repeats, and a day; never longer than MOST_VALID from now."""
    repeats = timedelta(seconds=min(10**7, (retries or 0) * (interval_s or 0)))
    return min(max(now, start or now) + repeats + GRACE, now + MOST_VALID)


def safe_name(name: str, otherwise: str = "file.bin") -> str:
    """A name for addresses and downloads: letters, digits, ``.``, ``-``, ``_``; its end is kept, for stations look at it."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name).lstrip(".")[-_MOST_NAME:].lstrip(".")
    return kept or otherwise


def _seal(key: bytes, parts: tuple[str, ...], until: datetime) -> str:
    return _sealed(key, parts, _base36(int(until.timestamp())))


def _sealed(key: bytes, parts: tuple[str, ...], expiry: str) -> str:
    digest = hmac.new(key, "\n".join((*parts, expiry)).encode(), hashlib.sha256).digest()[:_SEAL_BYTES]
    return f"{expiry}.{base64.urlsafe_b64encode(digest).decode()}"


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def file_headers(name: str) -> Mapping[str, str]:
    """For an answer that is a file: saved under our name, never shown in a page."""
    return {"content-disposition": f'attachment; filename="{safe_name(name)}"', "x-content-type-options": "nosniff"}
