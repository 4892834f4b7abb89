"""The production batch that a passport's own fields tell: maker, plant and month. Pure.

The data model (Battery Pass 1.2.0) has no field for a batch. Batteries that one plant of one maker made in one month stand in for one: a
judgement of this project, finer than a maker's models and coarser than its lots. It only says with whom a pack is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bms_bridge.passport import PassportError
from bms_bridge.passport.fields import BY_PATH, at
from bms_bridge.passport.foreign import aspects_of

MOST: Final = 80
"""Characters."""

FIRST_YEAR: Final = 1990
_GENERAL: Final = "/GeneralProductInformation"
_DATE: Final = f"{_GENERAL}/manufacturingDate"
_MAKER: Final = (f"{_GENERAL}/manufacturerInformation/identifier", f"{_GENERAL}/manufacturerInformation/contactName")
_PLANT: Final = (f"{_GENERAL}/manufacturingPlace/addressCountry", f"{_GENERAL}/manufacturingPlace/postalCode")


def batch_of(aspects: Mapping[str, Any], absent: Mapping[str, Any], *, now: datetime) -> str:
    """MAKER, COUNTRY POSTCODE, 2024-03; "" where maker, plant or date is not told, or the date cannot be. ``absent``: places that hold no
    value; ``now``: aware."""
    return _named(lambda path: None if path in absent else at(aspects, path), now)


def batch_in(document: Mapping[str, Any], *, now: datetime) -> str:
    """The same of a passport from elsewhere, as it came."""
    try:
        aspects, absent = aspects_of(document)
    except PassportError:
        return ""
    return batch_of(aspects, absent, now=now)


def batch_of_sheet(values: Mapping[str, Any], *, now: datetime) -> str:
    """The same of a data sheet, whose values stand by their paths."""
    return _named(values.get, now)


def _named(told: Callable[[str], Any], now: datetime) -> str:
    maker = next((words for path in _MAKER if (words := _words(told(path), path))), "")
    plant = " ".join(words for path in _PLANT if (words := _words(told(path), path)))
    month = _month(told(_DATE), now)
    if not (maker and plant and month):
        return ""
    return f"{maker[:40]}, {plant[: MOST - 52]}, {month}"


def _words(value: Any, path: str) -> str:
    """As one line in capitals: makers do not write themselves alike everywhere."""
    found = " ".join(value.split()).upper() if isinstance(value, str) else ""
    return found if found.isprintable() and found != str(BY_PATH[path].missing).upper() else ""


def _month(value: Any, now: datetime) -> str:
    try:
        made = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        made = made.replace(tzinfo=UTC) if made.tzinfo is None else made
        possible = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) <= made <= now + timedelta(days=1)
    except (ValueError, OverflowError):
        return ""
    return f"{made:%Y-%m}" if possible else ""
