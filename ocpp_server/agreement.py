"""Whether a station's own composite schedule says what ours does, within what real stations get wrong (reference no. 14). Pure.

Tolerated: a step some seconds early or late and fractional seconds (``599.989``), limits rounded to 0.1 A, the other unit,
trailing periods left out, a shorter schedule than was asked for, a rating in place of "no limit". What a station does not
show is not judged: after its last period only that counts which follows from a period of ours that has already begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import inf, isfinite
from typing import Any

from depot.registry import ConnectorSpec, Current
from ocpp_server.composite import Period, Segment, UnreadableProfile, converted, read_time
from ocpp_server.profiles import watts_per_ampere

TIME_S = 10.0
"""A step may be so much early or late: clocks, and the time that the question took."""
AMPERES = 0.11
"""Limits may be rounded to 0.1 A a phase, and their watts accordingly."""
SHARE = 0.01
CONVERTED_SHARE = 0.06
"""The same where the station answers in another unit than was installed: it may take 220 V or 240 V for a phase."""


@dataclass(frozen=True, slots=True)
class Told:
    """A station's answer to GetCompositeSchedule. ``start``: the moment of its 0, by the station's clock, where it says it.
    ``duration_s``: how far the answer reaches, where it says it."""

    unit: str
    periods: tuple[Period, ...]
    start: datetime | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """``agrees`` None: nothing could be compared. ``shown_s``: so far, from its start, the answer agrees. ``differs_s``: from
    here on it does not, and ``more``: it would allow more than was installed."""

    agrees: bool | None
    shown_s: float = 0.0
    differs_s: float = 0.0
    more: bool = False
    text: str = ""


def read_answer(payload: Mapping[str, Any]) -> Told | None:
    """The answer in the words of 1.6 (``Dialect.schedule``); None: it says nothing that can be used."""
    schedule = payload.get("chargingSchedule")
    try:
        if payload.get("status") != "Accepted" or schedule is None or schedule["chargingRateUnit"] not in ("W", "A"):
            return None
        rows = schedule["chargingSchedulePeriod"]
        periods = tuple(Period(float(row["startPeriod"]), float(row["limit"]), row.get("numberPhases")) for row in rows)
        start, duration = read_time(payload.get("scheduleStart")), schedule.get("duration")
        ordered = tuple(sorted(periods, key=lambda period: period.start_s))
        if not ordered or not all(isfinite(p.start_s) and isfinite(p.limit) for p in ordered):
            return None
        return Told(schedule["chargingRateUnit"], ordered, start, None if duration is None else float(duration))
    except (UnreadableProfile, KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def compare(
    ours: Sequence[Segment], told: Told, *, spec: ConnectorSpec, asked_s: float, other_unit: bool = False, idle: bool = False
) -> Finding:
    """``ours``: the composite from the same moment on, in the answer's unit. ``other_unit``: something was installed in the
    other one. ``idle``: no transaction runs, and a station may show nothing of what would hold for one."""
    if other_unit and spec.current is Current.DC:
        return Finding(None, text="a DC station answers in another unit: its voltage is not known")
    end_s = min(asked_s, told.duration_s if told.duration_s else asked_s)
    last_s = told.periods[-1].start_s
    tail_s = next((s.start_s for s in ours if s.start_s > last_s + TIME_S), inf)
    full = converted(Period(0, spec.rated_w), "W", told.unit, spec)
    tolerance = least_difference(told.unit, spec)
    edges = sorted({0.0, end_s} | {at for at in (*(s.start_s for s in ours), *(p.start_s for p in told.periods)) if 0 < at < end_s})
    shown_s, agrees = 0.0, False
    for begin_s, until_s in pairwise(edges):
        if until_s - begin_s <= TIME_S:
            continue
        at_s = (begin_s + until_s) / 2
        mine, theirs = _ours_at(ours, at_s), _theirs_at(told, at_s)
        if theirs is None:
            continue
        mine, theirs = min(full if mine is None else mine, full), min(theirs, full)
        if idle and theirs >= full > mine:
            continue
        allowed = tolerance + max(mine, theirs) * (CONVERTED_SHARE if other_unit else SHARE)
        if abs(mine - theirs) <= allowed:
            shown_s, agrees = until_s, True
        elif begin_s >= tail_s:
            break
        else:
            text = f"in {begin_s:.0f} s it would allow {theirs:.1f} {told.unit}, installed is {mine:.1f} {told.unit}"
            return Finding(False, shown_s, begin_s, theirs > mine, text)
    return Finding(True, shown_s) if agrees else Finding(None, text="it shows nothing that can be compared")


def least_difference(unit: str, spec: ConnectorSpec) -> float:
    """Two limits that are no further apart cannot be told from each other."""
    return AMPERES * (1 if unit == "A" else watts_per_ampere(spec))


def _ours_at(ours: Sequence[Segment], at_s: float) -> float | None:
    return next((segment.limit for segment in reversed(ours) if segment.start_s <= at_s), None)


def _theirs_at(told: Told, at_s: float) -> float | None:
    return next((period.limit for period in reversed(told.periods) if period.start_s <= at_s), None)
