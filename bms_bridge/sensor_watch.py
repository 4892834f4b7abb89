"""Temperature sensors that lie: no value, stuck, a copy of another one, a fall that no mass of cells can make. Pure.

A sensor that lies does not count as one of the four that a pack must have, but when it says that it is too hot, that is taken
seriously: too hot is believed of whoever says it.
"""

from __future__ import annotations

from statistics import median
from typing import Final

from msgspec import Struct

from bms_bridge.issues import Issue, IssueKind
from bms_bridge.units import looks_like

COLDEST_C: Final = -40.0
HOTTEST_C: Final = 200.0
"""What a sensor can say. J1939's and similar codes for "not available" (214, 215 °C and more) lie outside."""

STUCK_S: Final = 600.0
STUCK_OTHERS_K: Final = 5.0
"""A sensor that has not moved for so long while the pack's median moved by so much is stuck."""

SAME_CHANGES: Final = 12
"""Two sensors whose last so many changes came in the same samples, to the same values, are one sensor."""

FALL_K: Final = 10.0
FALL_K_PER_S: Final = 2.0
"""Nothing that is as heavy as a cell cools by so much, and so much more a second."""

_NEVER_COOL_C: Final = 55.0


class Sensor(Struct, frozen=True):
    """One sensor's past. ``heard_s``: when it last had a value; ``since_s``: since when it has this one. ``changes``: (sample's
    number, value) of the last ones, newest last."""

    value_c: float
    heard_s: float
    since_s: float
    median_c: float
    changes: tuple[tuple[int, float], ...] = ()


class SensorTrack(Struct, frozen=True):
    """What is remembered of a pack's sensors. ``cool``: whether any sensor has ever been cooler than a hot battery."""

    count: int = 0
    sensors: tuple[Sensor | None, ...] = ()
    cool: bool = False


def believable(temperatures_c: tuple[float | None, ...], issues: list[Issue]) -> list[tuple[int, float]]:
    """(sensor's number, °C) of all that can be."""
    valid: list[tuple[int, float]] = []
    for number, value in enumerate(temperatures_c):
        if value is None:
            issues.append(Issue(IssueKind.MISSING, f"sensor {number} has no value"))
        elif not COLDEST_C <= value <= HOTTEST_C:  # also refuses NaN
            words = f"sensor {number} says {value:g} °C; it can say {COLDEST_C:g} to {HOTTEST_C:g}{looks_like('temperatures_c', value)}"
            issues.append(Issue(IssueKind.RANGE, words, f"temperatures_c[{number}]"))
        else:
            valid.append((number, value))
    return valid


def watched(
    track: SensorTrack, number_of_sensors: int, valid: list[tuple[int, float]], *, now_s: float, issues: list[Issue]
) -> tuple[SensorTrack, int]:
    """The track with one more sample, and how many of ``valid`` do not count as sensors of their own."""
    if not valid:
        return SensorTrack(track.count + 1, track.sensors, track.cool), 0
    values = [c for _, c in valid]
    middle_c = median(values)
    sensors = list(track.sensors) + [None] * (number_of_sensors - len(track.sensors))
    doubtful: set[int] = set()
    seen: dict[tuple[tuple[int, float], ...], int] = {}
    for number, value in valid:
        before = sensors[number]
        if before is None:
            sensors[number] = Sensor(value, now_s, now_s, middle_c)
            continue
        if value != before.value_c:
            fell_k, waited_s = before.value_c - value, now_s - before.heard_s
            if fell_k > FALL_K + FALL_K_PER_S * max(0.0, waited_s):
                doubtful.add(number)
                issues.append(Issue(IssueKind.JUMP, f"sensor {number} fell by {fell_k:.0f} K in {waited_s:.0f} s"))
            changes = (*before.changes, (track.count, value))[-SAME_CHANGES:]
            sensors[number] = before = Sensor(value, now_s, now_s, middle_c, changes)
        else:
            sensors[number] = Sensor(value, now_s, before.since_s, before.median_c, before.changes)
            if now_s - before.since_s >= STUCK_S and abs(middle_c - before.median_c) >= STUCK_OTHERS_K:
                doubtful.add(number)
                issues.append(Issue(IssueKind.STUCK, f"sensor {number} has said {value:g} °C for {now_s - before.since_s:.0f} s"))
                continue
        if len(before.changes) == SAME_CHANGES:
            twin = seen.setdefault(before.changes, number)
            if twin != number:
                doubtful.add(number)
                issues.append(Issue(IssueKind.DUPLICATE, f"sensor {number} repeats sensor {twin}"))
    cool = track.cool or min(values) < _NEVER_COOL_C
    if not cool and len(values) > 1:
        hint = looks_like("temperatures_c", middle_c)
        if hint:
            words = (
                f"every sensor says {min(values):g} to {max(values):g} °C and never said less{hint}: if so, say so in a firmware profile"
            )
            issues.append(Issue(IssueKind.UNIT, words))
    return SensorTrack(track.count + 1, tuple(sensors), cool), len(doubtful)
