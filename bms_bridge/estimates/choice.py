"""Which of several estimates of one pack's health counts: the narrower that is honest. Pure; plain data.

    newest of each method --counting()--> Counting: the one that counts, and a sentence where two disagree

An estimate that is much older than the newest one is out. Of the others the one with the narrower interval counts, as long as all of them
can be true at once. Where two intervals have nothing in common one of them is wrong, and nobody knows which: counted charge counts then,
because it leans on no other cells, and whoever decides by it takes the span of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bms_bridge.estimates.estimate import COUNTS
from bms_bridge.estimates.view import HealthEstimate

FRESH: Final = timedelta(days=90)
"""So much older than the newest one an estimate may be; a pack loses about half a percentage point in that time. Ours."""


@dataclass(frozen=True, slots=True)
class Counting:
    """``one``: None where there is none; ``low``, ``high``: what may be taken for granted, its interval or the span of those that disagree;
    ``note``: why it counts, or that two disagree, "" where there is but one."""

    one: HealthEstimate | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    disagree: bool = False


def counting(newest: Sequence[HealthEstimate]) -> Counting:
    """``newest``: the newest estimate with a value of each method."""
    told = [one for one in newest if one.value is not None and one.low is not None and one.high is not None]
    if not told:
        return Counting(None)
    latest = max(one.until for one in told)
    fresh = [one for one in told if latest - one.until <= FRESH]
    best = min(fresh, key=_width)
    if len(told) == 1:
        return Counting(best, best.low, best.high)
    if len(fresh) == 1:
        days = (latest - min(one.until for one in told)).days
        return Counting(best, best.low, best.high, f"By {best.method}: the other one is {days} days older.")
    low, high = max(one.low or 0.0 for one in fresh), min(one.high or 0.0 for one in fresh)
    if low <= high:
        return Counting(best, best.low, best.high, f"By {best.method}, the narrower of {len(fresh)} that agree.")
    best = next((one for one in fresh if one.method in COUNTS), best)
    span = (min(one.low or 0.0 for one in fresh), max(one.high or 0.0 for one in fresh))
    words = "; ".join(f"{one.method} says {one.low:.1%} to {one.high:.1%}" for one in fresh)
    note = (
        f"They disagree: {words}. One of them is wrong. {best.method[:1].upper()}{best.method[1:]} counts meanwhile; "
        "look at the curve, the capacity and the window in the settings, or have the pack tested."
    )
    return Counting(best, *span, note, disagree=True)


def _width(one: HealthEstimate) -> float:
    assert one.low is not None
    assert one.high is not None
    return one.high - one.low
