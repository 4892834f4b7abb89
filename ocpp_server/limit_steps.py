"""Schedules that vehicles and foreign systems tell, as steps in W; whether a vehicle keeps within what it was allowed. Pure.

    chargingSchedule --absolute--> steps        several --least_of--> the least of them at each moment
    a vehicle's steps, our composite schedule --beyond--> how the first goes beyond the second

Amperes become watts by the phases that a period names and the connector has, rounded down. A limit below zero (2.1: of
discharging) is none that charging could use: 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from math import floor, isfinite

from depot.registry import ConnectorSpec
from depot.smart_charging import Step
from ocpp_server.agreement import SHARE, least_difference
from ocpp_server.composite import Period, Segment, after, converted, read_time
from ocpp_server.schemas import Payload

TIME_S = 30.0
"""A vehicle's schedule may step so much earlier or later than what it was given: it took its time to choose."""
MOST_W = 100_000_000


def absolute(schedule: Payload, base: datetime, spec: ConnectorSpec) -> tuple[Step, ...] | None:
    """The periods of a checked ``chargingSchedule`` that begins at ``base``; None: they cannot be read."""
    steps: list[Step] = []
    for row in schedule["chargingSchedulePeriod"]:
        offset_s, limit = float(row["startPeriod"]), _limit(row)
        if offset_s < 0 or not isfinite(offset_s) or (limit is not None and not isfinite(limit)):
            return None
        phases = row.get("numberPhases")
        level = None if limit is None else converted(Period(0, max(0.0, limit), phases or None), schedule["chargingRateUnit"], "W", spec)
        at = after(base, offset_s)
        if steps and at <= steps[-1].at:
            return None
        steps.append(Step(at, None if level is None else min(MOST_W, floor(level + 1e-6))))
    return tuple(steps)


def _limit(row: Payload) -> float | None:
    """2.1: of all phases, or of L1 with L2 and L3 beside it in W; a setpoint where no limit stands."""
    for name in ("limit", "setpoint"):
        if row.get(name) is not None:
            return float(row[name]) + sum(float(row.get(f"{name}_{phase}") or 0.0) for phase in ("L2", "L3"))
    return None


def least_of(schedules: Iterable[Payload], now: datetime, spec: ConnectorSpec) -> tuple[tuple[Step, ...], datetime | None] | None:
    """What several limits allow together, from when on, and when all of them are over (None: never). None: one cannot be read."""
    rows: list[tuple[tuple[Step, ...], datetime | None]] = []
    for schedule in schedules:
        try:
            start = read_time(schedule.get("startSchedule")) or now
        except ValueError:
            return None
        steps = absolute(schedule, start, spec)
        if steps is None:
            return None
        duration_s = schedule.get("duration")
        rows.append((steps, None if duration_s is None else after(start, duration_s)))
    if not rows:
        return (), None
    edges = sorted({at for steps, end in rows for at in (*(step.at for step in steps), end) if at is not None})
    out: list[Step] = []
    for at in edges:
        levels = [level for steps, end in rows if (end is None or at < end) and (level := _level(steps, at)) is not None]
        step = Step(at, min(levels, default=None))
        if not out or out[-1].level_w != step.level_w:
            out.append(step)
    ends = [end for _, end in rows if end is not None]
    return tuple(out), max(ends) if len(ends) == len(rows) else None


def _level(steps: Sequence[Step], at: datetime) -> int | None:
    return next((step.level_w for step in reversed(steps) if step.at <= at), None)


def beyond(steps: Sequence[Step], end: datetime, allowed: Sequence[Segment], *, start: datetime, spec: ConnectorSpec) -> str:
    """How steps that end at ``end`` go beyond ``allowed`` (W, from ``start`` on); empty: they do not.

    A step may come :data:`TIME_S` early or late; a percent or 0.1 A a phase is what rounding makes.
    """
    tolerance_w = least_difference("W", spec)
    offsets = [segment.start_s for segment in allowed]
    edges = sorted({at + shift for at in offsets for shift in (-TIME_S, TIME_S)})
    for n, step in enumerate(steps):
        until = steps[n + 1].at if n + 1 < len(steps) else end
        begin_s, end_s = (step.at - start).total_seconds(), (until - start).total_seconds()
        if step.level_w is None or end_s <= begin_s:
            continue
        cuts = [begin_s, *(at for at in edges if begin_s < at < end_s), end_s]
        for left_s, right_s in pairwise(cuts):
            most_w = _most(allowed, (left_s + right_s) / 2, spec)
            if step.level_w > most_w + tolerance_w + SHARE * most_w:
                at = after(start, max(left_s, begin_s))
                return f"from {at:%H:%M:%S} UTC on it would take {step.level_w / 1000:.1f} kW, allowed are {most_w / 1000:.1f} kW"
    return ""


def _most(allowed: Sequence[Segment], at_s: float, spec: ConnectorSpec) -> float:
    """The most that holds within :data:`TIME_S` of a moment, W; the rating where nothing limits."""
    most = 0.0
    for n, segment in enumerate(allowed):
        over_s = allowed[n + 1].start_s if n + 1 < len(allowed) else float("inf")
        if segment.start_s <= at_s + TIME_S and over_s > at_s - TIME_S:
            most = max(most, spec.rated_w if segment.limit is None else min(segment.limit, spec.rated_w))
    return most if allowed else float(spec.rated_w)
