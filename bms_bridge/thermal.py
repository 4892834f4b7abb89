"""The state of one pack: normal → derated → tripped. Pure: (state, what was heard, now) -> (state, verdict or None).

    NORMAL ──hot, cold, rising, spread, too few sensors, alarm, silence──▶ DERATED (a share of the level)
       ▲  ◀── the reason is gone for HOLD_S, temperatures by HYSTERESIS_K ──  │
       │                                                                      │ trip temperature, runaway, alarm that trips
       └──────────── reset by a person, after the cause has gone ── TRIPPED ◀─┘ (from NORMAL as well)

A tripped pack is left by :func:`reset` alone. Silence never trips. ``now_s`` is a monotonic time in seconds, so that a
wall clock that is set neither ends nor begins anything.

No flapping: the temperature that counts follows the measured one up at once and down only when it has fallen by
``HYSTERESIS_K`` (a play, as in a gear); shares are rounded down to steps of ``STEP``; every other reason holds on for
``HOLD_S`` after it was last seen. A verdict is given when the share changes, not before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from bms_bridge.chemistry import LEAST_SHARE, Effect, Thresholds, effect_of
from bms_bridge.contract import OWN_UNIT, Source
from bms_bridge.validation import Checked
from bms_bridge.verdicts import Cause, Clear, Derate, PackVerdict, Trip, Why
from depot.values import PackKey

HYSTERESIS_K: Final = 3.0
HOLD_S: Final = 60.0
STEP: Final = 0.05
CAUTIOUS_SHARE: Final = 0.5
"""Share while something is wrong that is not a temperature, and while nothing is known."""

SILENT_AFTER_S: Final[Mapping[Source, float]] = {**dict.fromkeys(Source, 60.0), Source.OCPP: 180.0}
"""A source that has said nothing for so long is not counted on (fault no. 16: a cautious default after 60 s)."""

FORGET_S: Final = 1800.0
"""A source that was silent for so long no longer counts beside one that speaks."""

SENSORS_NEEDED: Final = 4
"""Distinct temperatures in a pack (AIS-156 Annex 8K, phase 2; AIS-038 Rev 2 for buses and trucks)."""

COOL_BEFORE_RESET_S: Final = 60.0
RISE_OVER_S: Final = 30.0
RUNAWAY_OVER_S: Final = 3.0
_HISTORY_S = 60.0
_HISTORY_STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason, as long as it holds: ``share`` of the level until ``until_s``. ``text`` is for people."""

    share: float
    until_s: float
    text: str


@dataclass(frozen=True, slots=True)
class PackState:
    """One pack. ``share``: what was last told. ``hot_c``, ``cold_c``: the temperatures that count (with play), by source.
    ``heard``: the newest sample of each source that was not late, and when. ``cool_since_s``: since when a reset is
    possible. ``expected_since_s``: since when it should be heard of; None: it need not be. ``history``: (time, °C by sensor)
    of the last minute of the vehicle's own samples, at most one a second. ``pace``: silence is borne so many times longer
    (a clock that runs fast leaves the network little time)."""

    pack: PackKey
    tripped: Trip | None = None
    share: float = 1.0
    holds: Mapping[Why, Hold] = field(default_factory=dict)
    hot_c: Mapping[Source, float] = field(default_factory=dict)
    cold_c: Mapping[Source, float] = field(default_factory=dict)
    heard: Mapping[Source, tuple[Checked, float]] = field(default_factory=dict)
    history: tuple[tuple[float, Mapping[int, float]], ...] = ()
    cool_since_s: float | None = None
    expected_since_s: float | None = None
    pace: float = 1.0


def hear(state: PackState, sample: Checked, now_s: float, limits: Thresholds) -> tuple[PackState, PackVerdict | None]:
    """A sample came. A late one can trip, and does nothing else."""
    rising = 0.0
    if not sample.late:
        state, rising = _remembered(state, sample, now_s, limits)
    found = _danger(sample, rising, limits)
    if found is not None:
        state = replace(state, cool_since_s=None)
        if state.tripped is None:
            return replace(state, tripped=found), found
    if sample.late:
        return state, None
    state = _with_holds(state, sample, now_s, limits)
    return _told(state, now_s, limits)


def tick(state: PackState, now_s: float, limits: Thresholds, *, bus_lost: bool = False) -> tuple[PackState, PackVerdict | None]:
    """Time went on. ``bus_lost``: nothing is heard of any vehicle; a pack that is expected is derated, for that reason."""
    quiet_s = silent_s(state, now_s)
    if quiet_s is not None:
        state = _held(state, Why.BUS_LOST if bus_lost else Why.SILENT, CAUTIOUS_SHARE, now_s, _silence(quiet_s, bus_lost))
    return _told(state, now_s, limits)


def latched(state: PackState, trip: Trip) -> PackState:
    """The state with a trip that is already known (read from the latches)."""
    return replace(state, tripped=state.tripped or trip, cool_since_s=None)


def recalled(state: PackState, share: float, now_s: float) -> PackState:
    """The state of a pack that was derated before a restart: it stays so until enough has been heard of it."""
    return _held(state, Why.RESTART, share, now_s, "it was derated before the restart")


def why_not_reset(state: PackState, now_s: float, limits: Thresholds) -> str | None:
    """What speaks against a reset now; None: nothing, the cause has gone."""
    if state.tripped is None:
        return f"{state.pack} is not tripped"
    if state.cool_since_s is None or not _fresh(state, now_s):
        hottest = _hottest_now(state, now_s)
        if hottest is None:
            return f"nothing is known of {state.pack} now: it must be heard of for {COOL_BEFORE_RESET_S:.0f} s"
        alarms = _trip_alarms(state, now_s)
        if alarms:
            return f"{state.pack} still raises {', '.join(alarms)}"
        return f"{state.pack} is at {hottest:.1f} °C; it must be at {limits.reset_below_c:g} °C or less"
    cool_s = now_s - state.cool_since_s
    if cool_s < COOL_BEFORE_RESET_S:
        left_s = math.ceil(COOL_BEFORE_RESET_S - cool_s)
        return f"{state.pack} must be in order for {COOL_BEFORE_RESET_S:.0f} s first; wait another {left_s} s"
    return None


def reset(state: PackState, now_s: float, limits: Thresholds) -> tuple[PackState, PackVerdict]:
    """Not tripped any more; the verdict says what holds now. :func:`why_not_reset` must have been asked."""
    state = replace(state, tripped=None)
    share, _ = _share(state, now_s, limits)
    state = replace(state, share=share)
    return state, _verdict(state, now_s, limits)


# -- danger ------------------------------------------------------------------------------------------------------------


def _danger(sample: Checked, rising_c_per_s: float, limits: Thresholds) -> Trip | None:
    alarms = [alarm for alarm in sample.alarms if effect_of(alarm) is Effect.TRIP]
    if alarms:
        return Trip(sample.pack, Cause.BMS_ALARM, _evidence(sample, alarms=", ".join(alarms)))
    hottest = sample.hottest_c
    if hottest is None:
        return None
    if hottest >= limits.trip_c:
        return Trip(sample.pack, Cause.OVER_TEMPERATURE, _evidence(sample, limit_c=f"{limits.trip_c:g}"))
    if rising_c_per_s >= limits.runaway_c_per_s and hottest >= limits.derate_from_c:
        return Trip(sample.pack, Cause.RUNAWAY, _evidence(sample, rise_c_per_s=f"{rising_c_per_s:.2f}"))
    return None


def _evidence(sample: Checked, **more: str) -> dict[str, str]:
    seen = dict(more)
    if sample.temperatures_c:
        number, hottest = max(sample.temperatures_c, key=lambda pair: pair[1])
        seen |= {"hottest_c": f"{hottest:g}", "sensor": str(number), "sensors": str(len(sample.temperatures_c))}
    if sample.soc is not None:
        seen["soc"] = f"{sample.soc:.2f}"
    return seen | {"source": str(sample.source), "age_s": f"{sample.age_s:.0f}"}


def _trip_alarms(state: PackState, now_s: float) -> list[str]:
    return [a for sample in _fresh(state, now_s).values() for a in sample.alarms if effect_of(a) is Effect.TRIP]


# -- what is remembered --------------------------------------------------------------------------------------------------


def _remembered(state: PackState, sample: Checked, now_s: float, limits: Thresholds) -> tuple[PackState, float]:
    """The state that has heard ``sample``, and the fastest confirmed rise over :data:`RUNAWAY_OVER_S`, K/s."""
    known = bool(_fresh(state, now_s))
    hottest, coldest, source = sample.hottest_c, sample.coldest_c, sample.source
    history, rising = state.history, 0.0
    hot, cold = state.hot_c, state.cold_c
    if hottest is not None and coldest is not None:
        hot = {**hot, source: _play(hot.get(source), hottest + sample.uncertainty_c, down=True)}
        cold = {**cold, source: _play(cold.get(source), coldest - sample.uncertainty_c, down=False)}
        if source in OWN_UNIT:
            kept = tuple(entry for entry in history if now_s - entry[0] <= _HISTORY_S)
            rising = _rise(kept, now_s, sample, RUNAWAY_OVER_S, steadily=True)
            history = kept if kept and now_s - kept[-1][0] < _HISTORY_STEP_S else (*kept, (now_s, dict(sample.temperatures_c)))
    # the last word of each source holds, however long it is silent, until another has known better for long
    forgotten = {other for other, (_, at_s) in state.heard.items() if other is not source and now_s - at_s > FORGET_S}
    if forgotten:
        hot = {other: value for other, value in hot.items() if other not in forgotten}
        cold = {other: value for other, value in cold.items() if other not in forgotten}
    state = replace(state, hot_c=hot, cold_c=cold, heard={**state.heard, source: (sample, now_s)}, history=history)
    reading = _hottest_now(state, now_s)
    cool = reading is not None and reading <= limits.reset_below_c and not _trip_alarms(state, now_s)
    since = state.cool_since_s if known and state.cool_since_s is not None else now_s
    return replace(state, cool_since_s=since if cool else None), rising


def _play(held: float | None, value: float, *, down: bool) -> float:
    """``held`` drawn along by ``value``: at once towards danger (up where ``down`` is the way back), else with the play."""
    if held is None:
        return value
    return min(max(held, value), value + HYSTERESIS_K) if down else max(min(held, value), value - HYSTERESIS_K)


def _rise(
    history: tuple[tuple[float, Mapping[int, float]], ...], now_s: float, sample: Checked, over_s: float, *, steadily: bool = False
) -> float:
    """K/s of the sensor that rose fastest since the newest entry that is at least ``over_s`` old; 0 without one. Sensor by
    sensor, because one that comes back is no rise. ``steadily``: those between must lie along the way, within 1 K, so that
    a single wrong value is none either."""
    start = next((k for k in range(len(history) - 1, -1, -1) if now_s - history[k][0] >= over_s), None)
    if start is None:
        return 0.0
    at_s, before = history[start]
    fastest = 0.0
    for sensor, value in sample.temperatures_c:
        if sensor not in before:
            continue
        rate = (value - before[sensor]) / (now_s - at_s)
        between = history[start + 1 :] if steadily else ()
        if rate > fastest and all(then.get(sensor, value) >= before[sensor] + rate * (t - at_s) - 1.0 for t, then in between):
            fastest = rate
    return fastest


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


def _with_holds(state: PackState, sample: Checked, now_s: float, limits: Thresholds) -> PackState:
    """The reasons that ``sample`` gives beside the temperatures themselves."""
    if sample.spread_c > limits.spread_c:
        state = _held(state, Why.SPREAD, CAUTIOUS_SHARE, now_s, f"sensors differ by {sample.spread_c:.1f} K")
    if sample.source in OWN_UNIT:
        if sample.distinct < SENSORS_NEEDED:
            text = f"{sample.distinct} distinct temperatures, {SENSORS_NEEDED} are needed"
            state = _held(state, Why.SENSORS, CAUTIOUS_SHARE, now_s, text)
        rise = _rise(state.history, now_s, sample, RISE_OVER_S)
        if rise >= limits.rise_c_per_s:
            state = _held(state, Why.RISING, CAUTIOUS_SHARE, now_s, f"it warms by {rise * 60:.0f} K a minute")
    warnings = [alarm for alarm in sample.alarms if effect_of(alarm) is Effect.DERATE]
    if warnings:
        state = _held(state, Why.ALARM, CAUTIOUS_SHARE, now_s, f"alarm {', '.join(warnings)}")
    return state


def _held(state: PackState, why: Why, share: float, now_s: float, text: str) -> PackState:
    return replace(state, holds={**state.holds, why: Hold(share, now_s + HOLD_S, text)})


def _by_heat(hot_c: float, limits: Thresholds) -> float:
    """Share that a pack of ``hot_c`` may have: 1 up to derate_from_c, falling to the least at derate_full_c."""
    if hot_c <= limits.derate_from_c:
        return 1.0
    part = min(1.0, (hot_c - limits.derate_from_c) / (limits.derate_full_c - limits.derate_from_c))
    return 1.0 - part * (1.0 - LEAST_SHARE)


def _by_cold(cold_c: float, limits: Thresholds) -> float:
    """Share by the coldest sensor: 0 up to cold_stop_c, rising to 1 at cold_full_c."""
    return min(1.0, max(0.0, (cold_c - limits.cold_stop_c) / (limits.cold_full_c - limits.cold_stop_c)))


def _share(state: PackState, now_s: float, limits: Thresholds) -> tuple[float, dict[Why, tuple[float, str]]]:
    """The share that holds now, and each reason with its own share and words."""
    reasons = {why: (hold.share, hold.text) for why, hold in state.holds.items() if now_s < hold.until_s}
    for source, hot_c in state.hot_c.items():
        share = _by_heat(hot_c, limits)
        if share < 1.0:
            reasons[Why.HOT] = min(reasons.get(Why.HOT, (1.0, "")), (share, f"{hot_c:.0f} °C, derated from {limits.derate_from_c:g} °C"))
        share = _by_cold(state.cold_c[source], limits)
        if share < 1.0:
            text = f"{state.cold_c[source]:.0f} °C, derated below {limits.cold_full_c:g} °C"
            reasons[Why.COLD] = min(reasons.get(Why.COLD, (1.0, "")), (share, text))
    least = min((share for share, _ in reasons.values()), default=1.0)
    return round(math.floor(least / STEP + 1e-9) * STEP, 2), reasons


def _told(state: PackState, now_s: float, limits: Thresholds) -> tuple[PackState, PackVerdict | None]:
    """The verdict, where the share has changed. A tripped pack has no other verdict than its trip."""
    live = {why: hold for why, hold in state.holds.items() if now_s < hold.until_s}
    if len(live) != len(state.holds):
        state = replace(state, holds=live)
    share, _ = _share(state, now_s, limits)
    if state.tripped is not None or abs(share - state.share) < STEP / 2:
        return state, None
    state = replace(state, share=share)
    return state, _verdict(state, now_s, limits)


def _verdict(state: PackState, now_s: float, limits: Thresholds) -> PackVerdict:
    share, reasons = _share(state, now_s, limits)
    if share >= 1.0 - STEP / 2:
        return Clear(state.pack)
    ranked = sorted(reasons.items(), key=lambda item: item[1][0])
    return Derate(state.pack, share, tuple(why for why, _ in ranked), "; ".join(text for _, (_, text) in ranked))
