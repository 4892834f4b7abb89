"""The last minute of one source of one pack, at most one entry a second, and how fast sensors rose in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

KEPT_S: Final = 60.0
STEP_S: Final = 1.0
STEADY_WITHIN_K: Final = 1.0
"""So far a sensor's values between two moments may lie below the straight line and still be a steady rise."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was true at one moment: °C by sensor; the lowest, the highest and the mean cell, V (None: not said)."""

    at_s: float
    temperatures_c: Mapping[int, float]
    low_v: float | None = None
    high_v: float | None = None
    mean_v: float | None = None


Past = tuple[Entry, ...]
EMPTY: Final[Past] = ()


def kept(past: Past, now_s: float) -> Past:
    """What of it is not too old."""
    first = next((k for k, entry in enumerate(past) if now_s - entry.at_s <= KEPT_S), len(past))
    return past[first:] if first else past


def added(past: Past, entry: Entry) -> Past:
    """The past with one more moment; one that follows too soon is left out."""
    return past if past and entry.at_s - past[-1].at_s < STEP_S else (*past, entry)


def before(past: Past, now_s: float, over_s: float) -> int | None:
    """The newest entry that is at least ``over_s`` old, as its place; None: there is none."""
    return next((k for k in range(len(past) - 1, -1, -1) if now_s - past[k].at_s >= over_s), None)


def rise(past: Past, now_s: float, temperatures_c: tuple[tuple[int, float], ...], over_s: float, *, steadily: bool = False) -> float:
    """K/s of the sensor that rose fastest since the newest entry that is at least ``over_s`` old; 0 without one. Sensor by sensor, because
    one that comes back is no rise. ``steadily``: those between, at least one, must lie along the way, so that a single wrong value is
    none either."""
    start = before(past, now_s, over_s)
    if steadily and start is not None:
        start = min(start, len(past) - 2)
    if start is None or start < 0:
        return 0.0
    then = past[start]
    fastest = 0.0
    for sensor, value in temperatures_c:
        from_c = then.temperatures_c.get(sensor)
        if from_c is None:
            continue
        rate = (value - from_c) / (now_s - then.at_s)
        if rate <= fastest:
            continue
        between = past[start + 1 :] if steadily else ()
        if all(entry.temperatures_c.get(sensor, value) >= from_c + rate * (entry.at_s - then.at_s) - STEADY_WITHIN_K for entry in between):
            fastest = rate
    return fastest
