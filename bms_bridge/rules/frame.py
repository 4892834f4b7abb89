"""The frame of the rules: what a rule is given, what it finds, and what it promises.

    SampleRule   judge(memory, Look)   -> memory, Finding or None      with each sample that has its signals
    TimeRule     judge(memory, Moment) -> memory, Finding or None      about once a second
    FleetRule    judge(now_s)          -> findings of many packs       about once a second, for what is computed over all packs at once

A rule is pure: what it remembers it is given back with the next sample of the same source (a late sample is judged without memory
and without a past, and counts only if it trips). A finding that trips is given for as long as its danger lasts, by the rule's own
hysteresis: that is what stands against a reset. Everything else derates, and :mod:`bms_bridge.thermal` keeps it from flapping.

**Promises.** ``every_s`` is the longest time between two samples with which a rule finds its danger ``within_s``. A rule whose signals
come more rarely, or not at all, is *not monitored* (:func:`why_not`): it still judges what comes, but nobody may rely on it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final, Protocol

from bms_bridge.charging import Charging, PackFacts
from bms_bridge.chemistry import Thresholds
from bms_bridge.contract import OWN_UNIT, Source
from bms_bridge.rules.past import EMPTY, Past
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.validation import Checked
from bms_bridge.verdicts import Cause, Why
from depot.values import PackKey

log = logging.getLogger(__name__)

RATE_SLACK: Final = 1.5
"""A source that is heard this much more rarely than a rule asks for, or is silent for so long, does not keep it monitored."""

_GAP_FADES = 0.8


class Layer(StrEnum):
    """How soon a rule acts. L1 belongs to battery management system and charger: the depot mirrors and confirms it."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"


class Signal(StrEnum):
    """What a rule must hear."""

    SAMPLE = "any sample"
    TEMPERATURES = "temperatures"
    CELLS = "cell voltages"
    CURRENT = "current"
    VOLTAGE = "pack voltage"
    INSULATION = "insulation"
    LIMIT = "limit of the battery"
    SOC = "state of charge"
    METER = "the charger's meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule has found. ``share`` of the level that it leaves, ``limit_w``: watts at the battery that it leaves; ``trip``: stop,
    and keep it stopped. ``text`` is for people, ``evidence`` goes with a trip, by name."""

    text: str
    share: float = 1.0
    limit_w: int | None = None
    trip: bool = False
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cells:
    """Voltages of a pack's cells at one moment. ``mean_v`` None: only the extremes are known. ``low_at``, ``high_at``: which cell."""

    low_v: float | None
    high_v: float | None
    mean_v: float | None = None
    low_at: int | None = None
    high_at: int | None = None

    @property
    def spread_v(self) -> float | None:
        return None if self.low_v is None or self.high_v is None else self.high_v - self.low_v


def cells_of(sample: Checked) -> Cells | None:
    """The cells of a sample, of each or as extremes; None: it says nothing of them."""
    told = sample.cells_v
    if told and None not in told:
        low_v, high_v = min(told), max(told)  # type: ignore[type-var]  # no None: above
        return Cells(low_v, high_v, sum(told) / len(told), told.index(low_v), told.index(high_v))  # type: ignore[arg-type]
    known = [(value, number) for number, value in enumerate(told) if value is not None]
    if known:
        (low_v, low_at), (high_v, high_at) = min(known), max(known)
        return Cells(low_v, high_v, sum(value for value, _ in known) / len(known), low_at, high_at)
    if sample.cell_min_v is None and sample.cell_max_v is None:
        return None
    return Cells(sample.cell_min_v, sample.cell_max_v)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a rule is given with a sample. ``past``: what the same source said in the last minute, without this sample. ``charging``
    is asked only where it matters. ``pace``: chargers are given so many times longer to follow (a clock that runs fast).

    ``now_s``: when it came. ``at_s``: when it was true, on the same clock: seconds that were held back on the way and come at once
    are no second."""

    sample: Checked
    now_s: float
    limits: Thresholds
    facts: PackFacts
    cells: Cells | None
    past: Past = EMPTY
    charging: Callable[[], Charging | None] = lambda: None
    pace: float = 1.0

    @property
    def at_s(self) -> float:
        return self.now_s - self.sample.age_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a rule of time is given. ``heard``: the newest sample of each source that speaks now. ``pace``: as in :class:`Look`."""

    now_s: float
    limits: Thresholds
    facts: PackFacts
    heard: Mapping[Source, Checked]
    charging: Callable[[], Charging | None] = lambda: None
    pace: float = 1.0


def _nothing_lacks(_facts: PackFacts, _charging: Charging | None) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a rule promises, as docs/trips.md shows it. ``every_s``: the longest time between two samples with all ``signals``;
    ``within_s``: how soon the trip follows then, from the first moment at which its danger is there. ``own_unit``: only the pack's own unit
    counts. ``lacks``: what it needs beside signals and has not got, in words; empty: nothing."""

    name: str
    cause: Cause
    why: Why
    layer: Layer
    signals: tuple[Signal, ...]
    every_s: float
    within_s: float
    threshold: str
    derates: str
    hysteresis: str
    own_unit: bool = False
    lacks: Callable[[PackFacts, Charging | None], str] = _nothing_lacks


@dataclass(frozen=True, slots=True)
class SampleRule:
    """A rule that judges samples."""

    declared: Declared
    judge: Callable[[Any, Look], tuple[Any, Finding | None]]
    needs: frozenset[Signal] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "needs", frozenset(self.declared.signals))


@dataclass(frozen=True, slots=True)
class TimeRule:
    """A rule that judges as time goes on."""

    declared: Declared
    judge: Callable[[Any, Moment], tuple[Any, Finding | None]]


class FleetRule(Protocol):
    """A rule over all packs at once. It keeps its own memory and is told of every sample that is not late; :meth:`judge` returns each pack
    of which something holds, or no longer holds (None). All of it on the loop: it must return within milliseconds."""

    @property
    def declared(self) -> Declared: ...
    def heard(self, sample: Checked, now_s: float, limits: Thresholds, facts: PackFacts) -> None: ...
    def judge(self, now_s: float) -> Iterable[tuple[PackKey, Finding | None]]: ...
    def lacks(self, pack: PackKey, now_s: float) -> str:
        """Why this pack is not monitored; empty: it is."""


def judged(rule: SampleRule | TimeRule, memory: Any, given: Any) -> tuple[Any, Finding | None]:
    """What a rule finds. One that falls must hide no other: the pack is derated, and the rule begins anew with the next sample."""
    try:
        return rule.judge(memory, given)
    except Exception as error:  # noqa: BLE001  # whatever it is
        _fell(rule.declared.name, type(error).__name__)
        return None, Finding(text=f"the rule {rule.declared.name} failed: {type(error).__name__}", share=CAUTIOUS_SHARE)


def judged_all(rule: FleetRule, now_s: float) -> Iterable[tuple[PackKey, Finding | None]]:
    """What a rule over all packs finds, as far as it gets: it must not keep the clock of the others from going on."""
    try:
        yield from rule.judge(now_s)
    except Exception as error:  # noqa: BLE001  # whatever it is
        _fell(rule.declared.name, type(error).__name__)


def tell(rule: FleetRule, sample: Checked, now_s: float, limits: Thresholds, facts: PackFacts) -> None:
    """A rule over all packs hears a sample; it must not keep the next one from hearing it."""
    try:
        rule.heard(sample, now_s, limits, facts)
    except Exception as error:  # noqa: BLE001  # whatever it is
        _fell(rule.declared.name, type(error).__name__)


@cache
def _fell(name: str, kind: str) -> None:
    """Said once: it may come with every sample."""
    log.exception("the rule %s failed (%s); more of this is not said", name, kind)


# -- confirmation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beyond:
    """A value lies beyond its threshold: since when, in how many samples, and whether that is confirmed."""

    since_s: float
    samples: int
    sure: bool = False


def beyond(memory: Beyond | None, now_s: float, *, over: bool, back: bool, for_s: float, samples: int) -> Beyond | None:
    """What is remembered of a value with one more sample. ``over``: it lies beyond its threshold; ``back``: it has come back by the
    hysteresis. Confirmed after ``samples`` in a row over ``for_s``; once confirmed it stays so until the value is back."""
    if memory is not None and memory.sure:
        return None if back else memory
    if not over:
        return None
    since_s, count = (now_s, 1) if memory is None else (memory.since_s, memory.samples + 1)
    return Beyond(since_s, count, count >= samples and now_s - since_s >= for_s)


# -- how often signals come ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rate:
    """When a signal was heard last, and how far apart it comes: the longest gap of late, fading. ``gap_s`` None: heard once."""

    last_s: float
    gap_s: float | None = None


Rates = Mapping[Signal, Rate]


def signals_in(sample: Checked, cells: Cells | None) -> list[Signal]:
    """The signals that a sample carries."""
    found = [Signal.SAMPLE]
    if sample.temperatures_c:
        found.append(Signal.TEMPERATURES)
    if cells is not None:
        found.append(Signal.CELLS)
    if sample.current_a is not None:
        found.append(Signal.CURRENT)
    if sample.voltage_v is not None:
        found.append(Signal.VOLTAGE)
    if sample.insulation_ohm is not None:
        found.append(Signal.INSULATION)
    if sample.limit_a is not None:
        found.append(Signal.LIMIT)
    if sample.soc is not None:
        found.append(Signal.SOC)
    return found


def heard_again(rates: Rates, signals: Iterable[Signal], now_s: float) -> Rates:
    """The rates of one source with one more sample."""
    new = dict(rates)
    for signal in signals:
        before = new.get(signal)
        if before is None:
            new[signal] = Rate(now_s)
        else:
            gap_s = now_s - before.last_s
            new[signal] = Rate(now_s, gap_s if before.gap_s is None else max(gap_s, before.gap_s * _GAP_FADES))
    return new


def why_not(declared: Declared, rates: Mapping[Source, Rates], facts: PackFacts, charging: Charging | None, *, now_s: float) -> str:
    """Why a pack is not monitored by a rule, in words; empty: it is."""
    lacking = declared.lacks(facts, charging)
    if lacking:
        return lacking
    if declared.signals == (Signal.METER,):
        return ""
    told = [of for source, of in rates.items() if source in OWN_UNIT or not declared.own_unit]
    reasons = [_too_rare(declared, of, now_s) for of in told]
    if not reasons:
        return "nothing is heard of it"
    return "" if "" in reasons else reasons[-1]


def _too_rare(declared: Declared, rates: Rates, now_s: float) -> str:
    missing = [signal.value for signal in declared.signals if signal not in rates]
    if missing:
        return f"no {' and no '.join(missing)} heard" if missing != [Signal.SAMPLE.value] else "nothing is heard of it"
    most_s = declared.every_s * RATE_SLACK
    quiet_s = max(now_s - rates[signal].last_s for signal in declared.signals)
    if quiet_s > most_s:
        return f"silent for {quiet_s:.0f} s"
    gap_s = max((rates[signal].gap_s or 0.0 for signal in declared.signals), default=0.0)
    if any(rates[signal].gap_s is None for signal in declared.signals):
        return "heard once"
    return f"heard every {gap_s:.1f} s, must be every {declared.every_s:g} s" if gap_s > most_s else ""
