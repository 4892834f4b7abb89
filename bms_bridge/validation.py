"""Whether to believe a sample: ranges, sensors that lie, order and clocks. Pure: (memory, sample) -> (memory, checked).

Nothing is thrown away here: a value that cannot be is left out with an :class:`Issue`, the rest of the sample counts. A
sensor that is stuck or repeats another one no longer counts as a sensor, but its temperature is still looked at: too hot
is taken seriously from whoever says it.

A vehicle's clock is never trusted. The smallest delay between its time and ours over the last samples is taken as the
difference of the two clocks; what comes later than that is late, and says how things were, not how they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Final

from bms_bridge.contract import PackSample, Source
from depot.values import PackKey

LATE_S: Final = 30.0
"""A sample that is later than this is late: it can trip, but neither refresh nor clear anything."""

TOO_OLD_S: Final = 900.0
"""A sample that is older than this says nothing at all."""

STUCK_S: Final = 600.0
STUCK_OTHERS_K: Final = 5.0
"""A sensor that has not moved for so long while the pack's median moved by so much is stuck."""

SAME_CHANGES: Final = 12
"""Two sensors whose last so many changes came in the same samples, to the same values, are one sensor."""

_DELAYS = 16
_ABSURD_S = 366 * 86400.0
_REBASE_SAMPLES, _REBASE_S = 10, 30.0
_PACE_S, _PACE_SHARE = 2.0, 0.1
_RANGES = {
    "soc": (0.0, 1.0),
    "current_a": (-3000.0, 3000.0),
    "voltage_v": (0.0, 1500.0),
    "cell_min_v": (0.0, 5.0),
    "cell_max_v": (0.0, 5.0),
    "insulation_ohm": (0.0, 1e9),
    "limit_a": (0.0, 3000.0),
    "limit_v": (0.0, 1500.0),
    "soh": (0.0, 1.2),
}
COLDEST_C: Final = -40.0
HOTTEST_C: Final = 200.0
"""What a sensor can say. J1939's and similar codes for "not available" (214, 215 °C and more) lie outside."""


class IssueKind(StrEnum):
    """What was wrong with a part of a sample."""

    RANGE = "range"
    MISSING = "missing"
    STUCK = "stuck"
    DUPLICATE = "duplicate"
    CLOCK = "clock"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Issue:
    """One complaint about a sample, in words."""

    kind: IssueKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What of a sample can be believed. ``temperatures_c``: (sensor's number, °C) of all that can be. ``distinct``: how many
    different sensors these are. ``age_s``: how long before it came it was true. ``late``: it says how things were. ``cells_v``: by
    cell; None: it has no value that can be believed."""

    pack: PackKey
    source: Source
    temperatures_c: tuple[tuple[int, float], ...]
    distinct: int
    age_s: float
    late: bool
    soc: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    cell_min_v: float | None = None
    cell_max_v: float | None = None
    cells_v: tuple[float | None, ...] = ()
    insulation_ohm: float | None = None
    limit_a: float | None = None
    limit_v: float | None = None
    stop: bool = False
    soh: float | None = None
    firmware: str = ""
    alarms: tuple[str, ...] = ()
    uncertainty_c: float = 0.0
    issues: tuple[Issue, ...] = ()

    @property
    def hottest_c(self) -> float | None:
        return max((c for _, c in self.temperatures_c), default=None)

    @property
    def coldest_c(self) -> float | None:
        return min((c for _, c in self.temperatures_c), default=None)

    @property
    def spread_c(self) -> float:
        return 0.0 if self.hottest_c is None or self.coldest_c is None else self.hottest_c - self.coldest_c

    @property
    def too_old(self) -> bool:
        return self.age_s > TOO_OLD_S


@dataclass(frozen=True, slots=True)
class _Sensor:
    """One sensor's past. ``changes``: (sample's number, value) of the last ones, newest last."""

    value_c: float
    since_s: float
    median_c: float
    changes: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _LateRun:
    """Late samples one after the other: how many, and when the first one came and was reported."""

    count: int
    received_s: float
    reported_s: float
    last_reported_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one pack and source between samples. Times are Unix seconds of our clock's or the vehicle's.
    ``pace``: lateness is borne so many times longer (see :class:`~bms_bridge.thermal.PackState`)."""

    count: int = 0
    delays_s: tuple[float, ...] = ()
    reported_s: float | None = None
    late_run: _LateRun | None = None
    sensors: tuple[_Sensor | None, ...] = ()
    pace: float = 1.0


def check(memory: Memory, sample: PackSample) -> tuple[Memory, Checked]:
    """``sample`` as far as it can be believed, and the memory with it."""
    issues: list[Issue] = []
    memory, age_s, late = _placed_in_time(memory, sample, issues)
    valid: list[tuple[int, float]] = []
    for number, value in enumerate(sample.temperatures_c):
        if value is None:
            issues.append(Issue(IssueKind.MISSING, f"sensor {number} has no value"))
        elif not COLDEST_C <= value <= HOTTEST_C:  # also refuses NaN
            issues.append(Issue(IssueKind.RANGE, f"sensor {number} says {value:g} °C; it can say {COLDEST_C:g} to {HOTTEST_C:g}"))
        else:
            valid.append((number, value))
    if late:
        doubtful: frozenset[int] = frozenset()
    else:
        memory, doubtful = _sensors_watched(memory, sample, valid, issues)
    numbers = {name: _in_range(name, getattr(sample, name), issues) for name in _RANGES}
    checked = Checked(
        pack=sample.pack,
        source=sample.source,
        temperatures_c=tuple(valid),
        distinct=len(valid) - len(doubtful),
        age_s=age_s,
        late=late,
        cells_v=_cells(sample.cells_v, issues),
        stop=sample.stop,
        firmware=sample.firmware,
        alarms=sample.alarms,
        uncertainty_c=sample.uncertainty_c,
        issues=tuple(issues),
        **numbers,
    )
    return memory, checked


def _cells(cells_v: tuple[float | None, ...], issues: list[Issue]) -> tuple[float | None, ...]:
    """By cell, what can be believed."""
    least, most = _RANGES["cell_max_v"]
    if all(value is not None and least <= value <= most for value in cells_v):
        return cells_v
    wrong = [number for number, value in enumerate(cells_v) if value is not None and not least <= value <= most]
    if wrong:
        issues.append(Issue(IssueKind.RANGE, f"cell {wrong[0]} says {cells_v[wrong[0]]:g} V; it can say {least:g} to {most:g}"))
    return tuple(value if value is not None and least <= value <= most else None for value in cells_v)


def _in_range(name: str, value: float | None, issues: list[Issue]) -> float | None:
    least, most = _RANGES[name]
    if value is None or least <= value <= most:
        return value
    hint = "; a state of charge is a fraction, 1 is full" if name == "soc" and 1 < value <= 100 else ""
    issues.append(Issue(IssueKind.RANGE, f"{name} is {value:g}; it can be {least:g} to {most:g}{hint}"))
    return None


def _placed_in_time(memory: Memory, sample: PackSample, issues: list[Issue]) -> tuple[Memory, float, bool]:
    """The memory of the clocks, how old the sample is, and whether it is late or out of order."""
    received_s = sample.received_at.timestamp()
    reported_s = math.nan if sample.reported_at is None else sample.reported_at.timestamp()
    delay_s = received_s - reported_s
    if not abs(delay_s) <= _ABSURD_S:  # also a time that is not there
        if sample.reported_at is not None:
            issues.append(Issue(IssueKind.CLOCK, f"its clock is {abs(delay_s) / 86400:.0f} days off; the time of arrival counts"))
        return memory, math.inf if sample.retained else 0.0, sample.retained
    if sample.retained:
        # perhaps kept by the broker since long ago: it says nothing of the clocks, and is never the newest
        age_s = max(0.0, delay_s - min(memory.delays_s, default=0.0))
        issues.append(Issue(IssueKind.LATE, f"the broker had kept it, for about {age_s:.0f} s"))
        return memory, age_s, True
    delays = (*memory.delays_s, delay_s)[-_DELAYS:]
    age_s = delay_s - min(delays)
    backwards = memory.reported_s is not None and reported_s < memory.reported_s
    if not backwards and age_s <= LATE_S * memory.pace:
        return replace(memory, delays_s=delays, reported_s=reported_s, late_run=None), age_s, False
    run = _run_on(memory.late_run, received_s, reported_s)
    if run.count >= _REBASE_SAMPLES and received_s - run.received_s >= _REBASE_S:
        # not one delayed sample but a stream at the pace of time: its clock was set
        issues.append(Issue(IssueKind.CLOCK, f"its clock was set by about {min(memory.delays_s) - delay_s:.0f} s"))
        return replace(memory, delays_s=(delay_s,), reported_s=reported_s, late_run=None), 0.0, False
    issues.append(Issue(IssueKind.LATE, "out of order" if backwards else f"{age_s:.0f} s late"))
    return replace(memory, late_run=run), age_s, True


def _run_on(run: _LateRun | None, received_s: float, reported_s: float) -> _LateRun:
    """The run of late samples with one more. It begins anew where time does not go on in it as it does here: out of order,
    or a store of the past that is emptied faster than it was filled."""
    if run is not None and reported_s > run.last_reported_s:
        passed_s = received_s - run.received_s
        if abs(reported_s - run.reported_s - passed_s) <= _PACE_S + _PACE_SHARE * passed_s:
            return replace(run, count=run.count + 1, last_reported_s=reported_s)
    return _LateRun(1, received_s, reported_s, reported_s)


def _sensors_watched(
    memory: Memory, sample: PackSample, valid: list[tuple[int, float]], issues: list[Issue]
) -> tuple[Memory, frozenset[int]]:
    """The memory of the sensors, and those of ``valid`` that do not count as sensors of their own."""
    if not valid:
        return replace(memory, count=memory.count + 1), frozenset()
    now_s = sample.received_at.timestamp()
    middle_c = median(c for _, c in valid)
    sensors = list(memory.sensors) + [None] * (len(sample.temperatures_c) - len(memory.sensors))
    doubtful: set[int] = set()
    seen: dict[tuple[tuple[int, float], ...], int] = {}
    for number, value in valid:
        before = sensors[number]
        if before is None:
            sensors[number] = _Sensor(value, now_s, middle_c)
            continue
        if value != before.value_c:
            changes = (*before.changes, (memory.count, value))[-SAME_CHANGES:]
            sensors[number] = before = _Sensor(value, now_s, middle_c, changes)
        elif now_s - before.since_s >= STUCK_S and abs(middle_c - before.median_c) >= STUCK_OTHERS_K:
            doubtful.add(number)
            issues.append(Issue(IssueKind.STUCK, f"sensor {number} has said {value:g} °C for {now_s - before.since_s:.0f} s"))
            continue
        if len(before.changes) == SAME_CHANGES:
            twin = seen.setdefault(before.changes, number)
            if twin != number:
                doubtful.add(number)
                issues.append(Issue(IssueKind.DUPLICATE, f"sensor {number} repeats sensor {twin}"))
    return replace(memory, count=memory.count + 1, sensors=tuple(sensors)), frozenset(doubtful)
