"""The state of one pack: normal → derated → tripped. Pure: (state, what was heard, now) -> (state, verdict or None).

    NORMAL ──hot, cold, what a rule finds, silence──▶ DERATED (a share of the level, or watts)
       ▲  ◀── the reason is gone for HOLD_S, temperatures by HYSTERESIS_K ──  │
       │                                                                      │ what a rule finds that trips (bms_bridge.rules)
       └──────────── reset by a person, after the cause has gone ── TRIPPED ◀─┘ (from NORMAL as well)

A tripped pack is left by :func:`reset` alone. Silence never trips. ``now_s`` is a monotonic time in seconds, so that a
wall clock that is set neither ends nor begins anything.

No flapping: the temperature that counts follows the measured one up at once and down only when it has fallen by
``HYSTERESIS_K`` (a play, as in a gear); shares are rounded down to steps of ``STEP``; every other reason holds on for
``HOLD_S`` after it was last seen, and gives back what it took by at most ``RELAX_SHARE`` at a time. A verdict is given when what
the pack may take changes, not before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bms_bridge.charging import NOTHING_KNOWN, Charging, PackFacts
from bms_bridge.chemistry import LEAST_SHARE, Thresholds
from bms_bridge.contract import OWN_UNIT, Source
from bms_bridge.rules import RULES, TIMED
from bms_bridge.rules.frame import (
    Cells,
    Declared,
    Finding,
    Look,
    Moment,
    Rates,
    SampleRule,
    TimeRule,
    cells_of,
    heard_again,
    judged,
    signals_in,
)
from bms_bridge.rules.past import EMPTY, Entry, Past, added, kept
from bms_bridge.rules.rise import RISE_OVER_S, RUNAWAY_OVER_S
from bms_bridge.rules.sensors import SENSORS_NEEDED
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.validation import Checked
from bms_bridge.verdicts import Cause, Clear, Derate, PackVerdict, Trip, Why
from depot.values import PackKey

__all__ = [
    "CAUTIOUS_SHARE", "HOLD_S", "HYSTERESIS_K", "RISE_OVER_S", "RUNAWAY_OVER_S", "SENSORS_NEEDED", "SILENT_AFTER_S", "STEP", "Hold",
    "PackState", "found", "hear", "latched", "pressed", "recalled", "reset", "silent_s", "tick", "why_not_reset",
]  # fmt: skip

HYSTERESIS_K: Final = 3.0
HOLD_S: Final = 60.0
STEP: Final = 0.05
RELAX_SHARE: Final = 0.1
"""So much of its level a reason that grows weaker gives back, once in :data:`HOLD_S`."""

WATTS_STEP: Final = 0.05
"""A limit in watts is told again when it falls by this part, or has risen by two of them."""

SILENT_AFTER_S: Final[Mapping[Source, float]] = {**dict.fromkeys(Source, 60.0), Source.OCPP: 180.0}
"""A source that has said nothing for so long is not counted on (fault no. 16: a cautious default after 60 s)."""

FORGET_S: Final = 1800.0
"""A source that was silent for so long no longer counts beside one that speaks."""

COOL_BEFORE_RESET_S: Final = 60.0
FACILITY: Final = frozenset({Cause.SMOKE, Cause.GAS, Cause.PRESSURE, Cause.CAMERA})
"""What a detector of the depot sees, whatever the pack says."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason, as long as it holds: ``share`` of the level, and ``limit_w`` at the battery (None: no watts), until ``until_s``. ``text``
    is for people. ``set_s``: when it was last as strong as this."""

    share: float
    until_s: float
    text: str
    limit_w: int | None = None
    set_s: float = 0.0


class PackState(Struct, frozen=True):
    """One pack. ``share``, ``limit_w``: what was last told. ``hot_c``, ``cold_c``: the temperatures that count (with play), by source.
    ``heard``: the newest sample of each source that was not late, and when. ``cool_since_s``: since when a reset is
    possible. ``expected_since_s``: since when it should be heard of; None: it need not be. ``past``: the last minute of each
    source. ``minds``, ``timed``: what the rules remember, by source, and of time. ``rates``: how often each source sends what.
    ``danger``: what would trip now, by source (None: a rule of time or of the fleet) and rule. ``pressing``: detectors of the depot
    that see something. ``pace``: silence is borne so many times longer (a clock that runs fast leaves the network little time)."""

    pack: PackKey
    tripped: Trip | None = None
    share: float = 1.0
    limit_w: int | None = None
    holds: Mapping[Why, Hold] = msgspec.field(default_factory=dict)
    hot_c: Mapping[Source, float] = msgspec.field(default_factory=dict)
    cold_c: Mapping[Source, float] = msgspec.field(default_factory=dict)
    heard: Mapping[Source, tuple[Checked, float]] = msgspec.field(default_factory=dict)
    past: Mapping[Source, Past] = msgspec.field(default_factory=dict)
    minds: Mapping[Source, tuple[Any, ...]] = msgspec.field(default_factory=dict)
    timed: tuple[Any, ...] = ()
    rates: Mapping[Source, Rates] = msgspec.field(default_factory=dict)
    danger: Mapping[tuple[Source | None, str], str] = msgspec.field(default_factory=dict)
    pressing: Mapping[str, str] = msgspec.field(default_factory=dict)
    cool_since_s: float | None = None
    expected_since_s: float | None = None
    pace: float = 1.0


def _no_session() -> Charging | None:
    return None


def hear(
    state: PackState,
    sample: Checked,
    now_s: float,
    limits: Thresholds,
    *,
    facts: PackFacts = NOTHING_KNOWN,
    charging: Callable[[], Charging | None] = _no_session,
    rules: Sequence[SampleRule] = RULES,
) -> tuple[PackState, PackVerdict | None]:
    """A sample came. A late one can trip, and does nothing else."""
    source, cells = sample.source, cells_of(sample)
    past = EMPTY if sample.late else kept(state.past.get(source, EMPTY), now_s - sample.age_s)
    look = Look(sample=sample, now_s=now_s, limits=limits, facts=facts, cells=cells, past=past, charging=charging, pace=state.pace)
    signals = signals_in(sample, cells)
    findings, minds, danger = _judged(state, look, frozenset(signals), rules)
    if not sample.late:
        known = bool(_fresh(state, now_s))
        rates = {**state.rates, source: heard_again(state.rates.get(source, {}), signals, now_s)}
        state = replace(_remembered(state, sample, now_s, cells, past), minds={**state.minds, source: minds}, rates=rates, danger=danger)
        state = replace(state, cool_since_s=_cool_since(state, now_s, limits, known=known))
    for declared, finding in findings:
        if finding.trip:
            state = replace(state, cool_since_s=None)
            if state.tripped is None:
                trip = Trip(sample.pack, declared.cause, _evidence(sample, **finding.evidence))
                return replace(state, tripped=trip), trip
    if sample.late:
        return state, None
    for declared, finding in findings:
        state = _held(state, declared.why, finding, now_s)
    return _told(state, now_s, limits)


def tick(
    state: PackState,
    now_s: float,
    limits: Thresholds,
    *,
    bus_lost: bool = False,
    facts: PackFacts = NOTHING_KNOWN,
    charging: Callable[[], Charging | None] = _no_session,
    rules: Sequence[TimeRule] = TIMED,
) -> tuple[PackState, PackVerdict | None]:
    """Time went on. ``bus_lost``: nothing is heard of any vehicle; a pack that is expected is derated, for that reason."""
    quiet_s = silent_s(state, now_s)
    if quiet_s is not None:
        why, text = Why.BUS_LOST if bus_lost else Why.SILENT, _silence(quiet_s, bus_lost)
        state = _held(state, why, Finding(text=text, share=CAUTIOUS_SHARE), now_s)
    session = charging()
    if session is not None or state.timed:  # a rule of time is about a session
        heard = _fresh(state, now_s)
        moment = Moment(now_s=now_s, limits=limits, facts=facts, heard=heard, charging=lambda: session, pace=state.pace)
        before = state.timed or (None,) * len(rules)
        after = []
        for rule, memory in zip(rules, before, strict=True):
            remembered, finding = judged(rule, memory, moment)
            after.append(remembered)
            if finding is not None or state.danger:
                state, trip = _taken(state, rule.declared, finding, now_s)
                if trip is not None:
                    return state, trip
        timed = tuple(after) if any(memory is not None for memory in after) else ()
        if timed != state.timed:
            state = replace(state, timed=timed)
    # heat and cold are told of as they are heard: only reasons that run out, or were just found, change with time
    return _told(state, now_s, limits) if state.holds else (state, None)


def found(
    state: PackState, declared: Declared, finding: Finding | None, now_s: float, limits: Thresholds
) -> tuple[PackState, PackVerdict | None]:
    """A rule of the fleet has found something of this pack; None: nothing any more."""
    state, trip = _taken(state, declared, finding, now_s)
    return (state, trip) if trip is not None else _told(state, now_s, limits)


def pressed(state: PackState, detector: str, text: str) -> PackState:
    """A detector of the depot sees something at this pack, in words; empty: no longer. While it does, no reset is possible."""
    if state.pressing.get(detector, "") == text:
        return state
    pressing = {name: words for name, words in state.pressing.items() if name != detector} | ({detector: text} if text else {})
    return replace(state, pressing=pressing)


def latched(state: PackState, trip: Trip) -> PackState:
    """The state with a trip that is already known (read from the latches)."""
    return replace(state, tripped=state.tripped or trip, cool_since_s=None)


def recalled(state: PackState, share: float, now_s: float) -> PackState:
    """The state of a pack that was derated before a restart: it stays so until enough has been heard of it."""
    return _held(state, Why.RESTART, Finding(text="it was derated before the restart", share=share), now_s)


def why_not_reset(state: PackState, now_s: float, limits: Thresholds) -> str | None:
    """What speaks against a reset now; None: nothing, the cause has gone. What a detector of the depot saw at a pack that is never heard
    of is over when the detector says so."""
    if state.tripped is None:
        return f"{state.pack} is not tripped"
    if state.pressing:
        return f"{state.pack}: {'; '.join(state.pressing.values())}"
    if state.tripped.cause in FACILITY and not state.heard:
        return None
    if state.cool_since_s is None or not _fresh(state, now_s):
        hottest = _hottest_now(state, now_s)
        if hottest is None:
            return f"nothing is known of {state.pack} now: it must be heard of for {COOL_BEFORE_RESET_S:.0f} s"
        danger = _danger_now(state, now_s)
        if danger:
            return f"{state.pack}: {'; '.join(danger)}"
        return f"{state.pack} is at {hottest:.1f} °C; it must be at {limits.reset_below_c:g} °C or less"
    cool_s = now_s - state.cool_since_s
    if cool_s < COOL_BEFORE_RESET_S:
        left_s = math.ceil(COOL_BEFORE_RESET_S - cool_s)
        return f"{state.pack} must be in order for {COOL_BEFORE_RESET_S:.0f} s first; wait another {left_s} s"
    return None


def reset(state: PackState, now_s: float, limits: Thresholds) -> tuple[PackState, PackVerdict]:
    """Not tripped any more; the verdict says what holds now. :func:`why_not_reset` must have been asked."""
    share, limit_w, _ = _allowed(state, now_s, limits)
    state = replace(state, tripped=None, share=share, limit_w=limit_w)
    return state, _verdict(state, now_s, limits)


# -- what the rules find -------------------------------------------------------------------------------------------------


def _judged(
    state: PackState, look: Look, signals: frozenset[Any], rules: Sequence[SampleRule]
) -> tuple[list[tuple[Declared, Finding]], tuple[Any, ...], Mapping[tuple[Source | None, str], str]]:
    """What the rules find in a sample, what they remember, and what is dangerous now. A rule whose signals are not in the sample keeps
    what it knew."""
    source, late = look.sample.source, look.sample.late
    own = source in OWN_UNIT
    minds = state.minds.get(source) if not late else None
    before = minds if minds is not None and len(minds) == len(rules) else (None,) * len(rules)
    after, findings, danger = list(before), list[tuple[Declared, Finding]](), state.danger
    for k, rule in enumerate(rules):
        declared = rule.declared
        if not rule.needs <= signals or (declared.own_unit and not own):
            continue
        after[k], finding = judged(rule, before[k], look)
        if finding is not None:
            findings.append((declared, finding))
        danger = _with_danger(danger, (source, declared.name), finding)
    return findings, tuple(after), danger


def _with_danger(
    danger: Mapping[tuple[Source | None, str], str], key: tuple[Source | None, str], finding: Finding | None
) -> Mapping[tuple[Source | None, str], str]:
    if finding is not None and finding.trip:
        return {**danger, key: finding.text}
    return {other: text for other, text in danger.items() if other != key} if key in danger else danger


def _taken(state: PackState, declared: Declared, finding: Finding | None, now_s: float) -> tuple[PackState, Trip | None]:
    """The state with what a rule without a sample of its own has found."""
    danger = _with_danger(state.danger, (None, declared.name), finding)
    if danger is not state.danger:
        state = replace(state, danger=danger, cool_since_s=None if finding is not None and finding.trip else state.cool_since_s)
    if finding is None:
        return state, None
    if not finding.trip:
        return _held(state, declared.why, finding, now_s), None
    if state.tripped is not None:
        return state, None
    newest = max(state.heard.values(), key=lambda entry: entry[1], default=None)
    evidence = dict(finding.evidence) if newest is None else _evidence(newest[0], **finding.evidence)
    trip = Trip(state.pack, declared.cause, evidence)
    return replace(state, tripped=trip, cool_since_s=None), trip


def _evidence(sample: Checked, **more: str) -> dict[str, str]:
    seen = dict(more)
    if sample.temperatures_c:
        number, hottest = max(sample.temperatures_c, key=lambda pair: pair[1])
        seen |= {"hottest_c": f"{hottest:g}", "sensor": str(number), "sensors": str(len(sample.temperatures_c))}
    if sample.soc is not None:
        seen["soc"] = f"{sample.soc:.2f}"
    return seen | {"source": str(sample.source), "age_s": f"{sample.age_s:.0f}"}


def _danger_now(state: PackState, now_s: float) -> list[str]:
    """What would trip it now, in words. What a source said that has been silent for long no longer counts."""
    heard = {source for source, (_, at_s) in state.heard.items() if now_s - at_s <= FORGET_S}
    return list(dict.fromkeys(text for (source, _), text in state.danger.items() if source is None or source in heard))


# -- what is remembered --------------------------------------------------------------------------------------------------


def _remembered(state: PackState, sample: Checked, now_s: float, cells: Cells | None, past: Past) -> PackState:
    """The state that has heard ``sample``."""
    hottest, coldest, source = sample.hottest_c, sample.coldest_c, sample.source
    hot, cold, pasts = state.hot_c, state.cold_c, state.past
    if hottest is not None and coldest is not None:
        hot = {**hot, source: _play(hot.get(source), hottest + sample.uncertainty_c, down=True)}
        cold = {**cold, source: _play(cold.get(source), coldest - sample.uncertainty_c, down=False)}
    if sample.temperatures_c or cells is not None:
        low_v, high_v, mean_v = (None, None, None) if cells is None else (cells.low_v, cells.high_v, cells.mean_v)
        pasts = {**pasts, source: added(past, Entry(now_s - sample.age_s, dict(sample.temperatures_c), low_v, high_v, mean_v))}
    # the last word of each source holds, however long it is silent, until another has known better for long
    forgotten = {other for other, (_, at_s) in state.heard.items() if other is not source and now_s - at_s > FORGET_S}
    if forgotten:
        hot = {other: value for other, value in hot.items() if other not in forgotten}
        cold = {other: value for other, value in cold.items() if other not in forgotten}
    return replace(state, hot_c=hot, cold_c=cold, heard={**state.heard, source: (sample, now_s)}, past=pasts)


def _cool_since(state: PackState, now_s: float, limits: Thresholds, *, known: bool) -> float | None:
    """Since when nothing speaks against a reset; None: something does. ``known``: it was heard of all the time."""
    reading = _hottest_now(state, now_s)
    if reading is None or reading > limits.reset_below_c or _danger_now(state, now_s):
        return None
    return state.cool_since_s if known and state.cool_since_s is not None else now_s


def _play(held: float | None, value: float, *, down: bool) -> float:
    """``held`` drawn along by ``value``: at once towards danger (up where ``down`` is the way back), else with the play."""
    if held is None:
        return value
    return min(max(held, value), value + HYSTERESIS_K) if down else max(min(held, value), value - HYSTERESIS_K)


def _fresh(state: PackState, now_s: float) -> dict[Source, Checked]:
    return {source: sample for source, (sample, at_s) in state.heard.items() if now_s - at_s <= SILENT_AFTER_S[source] * state.pace}


def _hottest_now(state: PackState, now_s: float) -> float | None:
    values = [s.hottest_c + s.uncertainty_c for s in _fresh(state, now_s).values() if s.hottest_c is not None]
    return max(values, default=None)


def silent_s(state: PackState, now_s: float) -> float | None:
    """For how long an expected pack has been silent beyond what is usual; None: it is not silent."""
    if state.expected_since_s is None or _hottest_now(state, now_s) is not None:
        return None
    told = (at_s for sample, at_s in state.heard.values() if sample.hottest_c is not None)
    quiet_s = now_s - max([state.expected_since_s, *told])
    return quiet_s if quiet_s > SILENT_AFTER_S[Source.MQTT] * state.pace else None


def _silence(quiet_s: float, bus_lost: bool) -> str:
    return "no telemetry of any vehicle" if bus_lost else f"no temperature heard for {quiet_s:.0f} s"


# -- reasons to derate -----------------------------------------------------------------------------------------------------


def _held(state: PackState, why: Why, finding: Finding, now_s: float) -> PackState:
    """The state with a reason to derate. One that grows stronger counts at once; one that grows weaker gives back by steps."""
    before = state.holds.get(why)
    if finding.trip or (finding.share >= 1.0 and finding.limit_w is None and before is None):
        return state
    share, limit_w, text, set_s = finding.share, finding.limit_w, finding.text, now_s
    if before is not None and now_s < before.until_s and (share > before.share or _looser(limit_w, before.limit_w)):
        if now_s - before.set_s < HOLD_S:
            share, limit_w, text, set_s = before.share, before.limit_w, before.text, before.set_s
        else:
            share = min(share, before.share + RELAX_SHARE)
    if share >= 1.0 and limit_w is None:
        return state  # nothing is found any more: what was found runs out
    return replace(state, holds={**state.holds, why: Hold(share, now_s + HOLD_S, text, limit_w, set_s)})


def _looser(limit_w: int | None, than: int | None) -> bool:
    return than is not None and (limit_w is None or limit_w > than)


def _by_heat(hot_c: float, limits: Thresholds) -> float:
    """Share that a pack of ``hot_c`` may have: 1 up to derate_from_c, falling to the least at derate_full_c."""
    if hot_c <= limits.derate_from_c:
        return 1.0
    part = min(1.0, (hot_c - limits.derate_from_c) / (limits.derate_full_c - limits.derate_from_c))
    return 1.0 - part * (1.0 - LEAST_SHARE)


def _by_cold(cold_c: float, limits: Thresholds) -> float:
    """Share by the coldest sensor: 0 up to cold_stop_c, rising to 1 at cold_full_c."""
    return min(1.0, max(0.0, (cold_c - limits.cold_stop_c) / (limits.cold_full_c - limits.cold_stop_c)))


def _allowed(state: PackState, now_s: float, limits: Thresholds) -> tuple[float, int | None, dict[Why, tuple[float, str]]]:
    """The share that holds now, the watts (None: any), and each reason with its own share and words."""
    reasons = {why: (hold.share, hold.text) for why, hold in state.holds.items() if now_s < hold.until_s}
    watts = [hold.limit_w for hold in state.holds.values() if hold.limit_w is not None and now_s < hold.until_s]
    for source, hot_c in state.hot_c.items():
        share = _by_heat(hot_c, limits)
        if share < 1.0:
            reasons[Why.HOT] = min(reasons.get(Why.HOT, (1.0, "")), (share, f"{hot_c:.0f} °C, derated from {limits.derate_from_c:g} °C"))
        share = _by_cold(state.cold_c[source], limits)
        if share < 1.0:
            text = f"{state.cold_c[source]:.0f} °C, derated below {limits.cold_full_c:g} °C"
            reasons[Why.COLD] = min(reasons.get(Why.COLD, (1.0, "")), (share, text))
    least = min((share for share, _ in reasons.values()), default=1.0)
    return round(math.floor(least / STEP + 1e-9) * STEP, 2), min(watts, default=None), reasons


def _told(state: PackState, now_s: float, limits: Thresholds) -> tuple[PackState, PackVerdict | None]:
    """The verdict, where what it may take has changed. A tripped pack has no other verdict than its trip."""
    if any(now_s >= hold.until_s for hold in state.holds.values()):
        state = replace(state, holds={why: hold for why, hold in state.holds.items() if now_s < hold.until_s})
    share, limit_w, _ = _allowed(state, now_s, limits)
    if state.tripped is not None or (abs(share - state.share) < STEP / 2 and not _other_watts(state.limit_w, limit_w)):
        return state, None
    state = replace(state, share=share, limit_w=limit_w)
    return state, _verdict(state, now_s, limits)


def _other_watts(told_w: int | None, now_w: int | None) -> bool:
    if told_w is None or now_w is None:
        return told_w is not now_w
    return now_w < told_w * (1.0 - WATTS_STEP) or now_w > told_w * (1.0 + 2 * WATTS_STEP)


def _verdict(state: PackState, now_s: float, limits: Thresholds) -> PackVerdict:
    share, limit_w, reasons = _allowed(state, now_s, limits)
    if share >= 1.0 - STEP / 2 and limit_w is None:
        return Clear(state.pack)
    ranked = sorted(reasons.items(), key=lambda item: item[1][0])
    words = "; ".join(text for _, (_, text) in ranked)
    return Derate(state.pack, share, tuple(why for why, _ in ranked), words, limit_w)
