"""Numbers and times as people read them: kW, kWh, %, money, the depot's own clock. Unknown is "?", absent is "–"."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from depot.money_text import MINUS as MINUS
from depot.money_text import amount_of
from depot.money_text import currency_symbol as currency_symbol

UNKNOWN = "?"
ABSENT = "–"


def number(value: float, digits: int = 0) -> str:
    """``1146.4`` -> ``1,146``; a true minus sign; never "−0"."""
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.,") else MINUS + text[1:]
    return text


def kw(power_w: int | float | None, *, digits: int | None = None) -> str:
    """Watts as kW: whole from 10 kW on (below, one decimal unless it is zero); None is unknown."""
    if power_w is None:
        return UNKNOWN
    value = power_w / 1000
    if digits is None:
        digits = 0 if abs(value) >= 10 or abs(value) < 0.05 or abs(value - round(value)) < 0.05 else 1
    return number(value, digits)


def kwh(energy_wh: int | float | None) -> str:
    """Watt-hours as kWh with one decimal below 1,000 kWh."""
    if energy_wh is None:
        return UNKNOWN
    return number(energy_wh / 1000, 1 if abs(energy_wh) < 999_950 else 0)


def percent(fraction: float | None) -> str:
    """A fraction 0–1 as whole per cent; None is unknown."""
    return UNKNOWN if fraction is None else number(fraction * 100)


def money(amount: float | None, currency: str, *, digits: int = 0) -> str:
    """An amount without its symbol; rupees are grouped 1,23,456; None is unknown."""
    return UNKNOWN if amount is None or not math.isfinite(amount) else amount_of(amount, currency, digits=digits)


def cost(amount: float, currency: str, *, digits: int = 0) -> str:
    """An amount of 0 or more with its symbol: ``₹1,23,456``."""
    return f"{currency_symbol(currency)}{money(amount, currency, digits=digits)}"


def age(seconds: float | None) -> str:
    """How long ago: ``0.4 s``, ``35 s``, ``4 min``, ``2 h``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


class DepotTime:
    """Times in the depot's zone, seen from ``now``. Another day than today's night says its date."""

    def __init__(self, timezone: str, now: datetime) -> None:
        self.zone = ZoneInfo(timezone)
        self.now = now.astimezone(self.zone)

    def local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def clock(self, at: datetime | None) -> str:
        """``05:30``; more than 18 h away with its date, ``Sat 22 Nov 05:30``."""
        if at is None:
            return ABSENT
        local = self.local(at)
        far = abs(local - self.now) > timedelta(hours=18)
        return local.strftime("%a %-d %b %H:%M" if far else "%H:%M")

    def seconds(self, at: datetime | None) -> str:
        """``05:30:12``, with the date when it is another day's and more than 18 h away."""
        if at is None:
            return ABSENT
        local = self.local(at)
        far = abs(local - self.now) > timedelta(hours=18)
        return local.strftime("%a %-d %b %H:%M:%S" if far else "%H:%M:%S")

    def day(self, at: datetime | None = None) -> str:
        """``Fri 21 Nov · IST``."""
        local = self.now if at is None else self.local(at)
        return local.strftime("%a %-d %b · %Z")

    def span(self, since: datetime, until: datetime | None) -> str:
        """``03:40 to 05:00``, ``since 03:40``; ``always`` for what was never set by anybody."""
        if until is None and self.now - since > timedelta(days=366):
            return "always"
        return f"since {self.clock(since)}" if until is None else f"{self.clock(since)} to {self.clock(until)}"


def minutes(margin_min: int | None) -> str:
    """A margin: ``+19 min`` early, ``−12 min`` late; from two hours on in hours."""
    if margin_min is None:
        return ""
    sign = "+" if margin_min >= 0 else MINUS
    size = abs(margin_min)
    return f"{sign}{size} min" if size < 120 else f"{sign}{size / 60:.0f} h"


def countdown(seconds: float) -> str:
    """Time left: ``23:48``; from an hour on ``1:02:00``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"
