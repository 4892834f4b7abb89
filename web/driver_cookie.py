"""What a phone brings back: one signed cookie, out of reach for scripts, that says where it scanned and which driver it is.

    {nonce, place, driver, language, since} --HMAC-SHA256--> "<payload>.<signature>"        CSRF value: HMAC of the nonce

There is no sign-in: whoever holds the cookie is that driver. It is made anew when the driver is, so that no cookie from before is worth
more than it was. Pure but for the random numbers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace

import msgspec

__all__ = ["LANGUAGES", "Cookies", "Visitor", "new_driver", "new_tag"]

LANGUAGES = ("en", "hi")
_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_TAG_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_MOST = 600


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: str
    p: str = ""
    d: str = ""
    l: str = ""  # noqa: E741  # one letter each: it travels with every request
    t: int = 0


@dataclass(frozen=True, slots=True)
class Visitor:
    """``place``: ``STATION/EVSE`` as scanned, "" none yet; ``driver_id``: "" nobody yet; ``language``: "" as the browser wishes;
    ``since_s``: when the cookie was made, Unix seconds."""

    nonce: str
    place: str = ""
    driver_id: str = ""
    language: str = ""
    since_s: int = 0

    @property
    def station_id(self) -> str:
        return self.place.rpartition("/")[0]

    @property
    def evse(self) -> int:
        number = self.place.rpartition("/")[2]
        return int(number) if number.isdecimal() else 0

    def at_place(self, station_id: str, evse: int) -> Visitor:
        """The same phone at another charger."""
        return replace(self, place=f"{station_id}/{evse}")


@dataclass(frozen=True, slots=True)
class Cookies:
    """``key``: 32 bytes, the depot's own; ``most_s``: how long a cookie holds."""

    key: bytes = field(repr=False)
    most_s: int

    def fresh(self, now_s: int, *, place: str = "", driver_id: str = "", language: str = "") -> Visitor:
        """A new visitor."""
        return Visitor(secrets.token_urlsafe(16), place, driver_id, language, now_s)

    def seal(self, visitor: Visitor) -> str:
        """The cookie's value."""
        wire = _Wire(visitor.nonce, visitor.place, visitor.driver_id, visitor.language, visitor.since_s)
        payload = base64.urlsafe_b64encode(msgspec.json.encode(wire)).decode().rstrip("=")
        return f"{payload}.{self._mac('cookie', payload)}"

    def open(self, value: str, now_s: int) -> Visitor | None:
        """The visitor of a cookie; None for one that is not ours, or is too old."""
        payload, dot, mac = value.partition(".")
        if not dot or len(value) > _MOST or not hmac.compare_digest(self._mac("cookie", payload).encode(), mac.encode()):
            return None
        try:
            wire = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Wire)
        except (ValueError, msgspec.DecodeError):
            return None
        if not 0 <= now_s - wire.t + 60 <= self.most_s + 60:
            return None
        return Visitor(wire.n, wire.p, wire.d, wire.l if wire.l in LANGUAGES else "", wire.t)

    def csrf(self, visitor: Visitor) -> str:
        """What this visitor's forms repeat."""
        return self._mac("form", visitor.nonce)

    def is_own(self, visitor: Visitor, sent: object) -> bool:
        """Whether a form is one of this visitor's."""
        return isinstance(sent, str) and hmac.compare_digest(self.csrf(visitor).encode(), sent.encode())

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self.key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()[:40]


def new_driver() -> str:
    """An id for a driver who comes without one: letters only, so that it can never be taken for a phone number."""
    return "g-" + "".join(secrets.choice(_LETTERS) for _ in range(20))


def new_tag() -> str:
    """A tag that stations take (OCPP 1.6: 20 characters), 95 bits: nobody guesses another driver's."""
    return "G" + "".join(secrets.choice(_TAG_LETTERS) for _ in range(19))
