"""From samples to states of charge: counted charge between samples, a filter's corrections, anchors, intervals, and reasons to say
nothing.

    Samples [n traces, m] --follow--> Track: soc, low, high, verdict; resistances, capacity and offset as they were found

**Anchors.** At the end of a charge (voltage at the maker's end, current tapered) the charge is 1; where a discharge
reaches the maker's lowest voltage it is about 0. After half an hour of rest the current
that the sensor shows is its offset, and the voltage is the open-circuit one. **Gaps.** While the current is missing the interval
grows by what
may have flowed; after :data:`MOST_GAP_S` there is no estimate. Steps with a resting sample
on either side are taken for a vehicle asleep, unless the voltages differ.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bms_bridge.soc import filters
from bms_bridge.soc.cells import CellKind
from bms_bridge.soc.ocv import Floats, mean_current

Method = Literal["ekf", "ukf", "counting"]

LEVEL: Final = 0.90
NORMAL_90: Final = 1.6449
MOST_GAP_S: Final = 900.0
MOST_WIDTH: Final = 0.70
"""A 90 % interval wider than this says nothing: no estimate."""
SHORT_STEP_S: Final = 120.0
UNSEEN_C: Final = 0.3
ASLEEP_C: Final = 0.003
AWAKE_V: Final = 0.03
"""A cell whose voltage at rest differs by more from the one before a gap did not sleep."""
REST_C: Final = 0.02
REST_S: Final = 1800.0
REST_SD_C: Final = 0.003
TAPER_C: Final = 0.07
FULL_BELOW_V: Final = 0.015
FULL_SD: Final = 0.008
EMPTY_ABOVE_V: Final = 0.05
EMPTY_SOC: Final = 0.008
EMPTY_SD: Final = 0.012
EMPTY_MOST_C: Final = 1.2
COLD_C: Final = 10.0
COLD_MOST_C: Final = 0.3
STEADY: Final = 0.3
STEEP_C: Final = 0.5
STEEP_BELOW_V: Final = 0.08
LEFT_PER_C: Final = 0.06
LEAST_SD: Final = 0.003
LOST_SOC: Final = 0.15
"""More than this may have flowed unseen in one step: the next voltage places the charge anew."""


class Verdict(IntEnum):
    """Whether a state of charge is told, or why not."""

    TOLD = 0
    NO_CURRENT = 1
    NO_VOLTAGE = 2
    TOO_WIDE = 3


WORDS: Final = {
    Verdict.TOLD: "told",
    Verdict.NO_CURRENT: f"none: the current has been missing for more than {MOST_GAP_S / 60:.0f} minutes",
    Verdict.NO_VOLTAGE: f"none: the voltage has been missing for more than {MOST_GAP_S / 60:.0f} minutes",
    Verdict.TOO_WIDE: "none: nothing has fixed the state of charge yet (no rest off the plateau, no full charge)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Traces as rows [n, m]; times rise; NaN: missing, or behind a trace's end (times). ``current_c``: capacities per hour,
    charging positive;
    ``voltage_v``: of a cell."""

    time_s: Floats
    current_c: Floats
    voltage_v: Floats
    temperature_c: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is told beforehand, for each trace [n] or for all. ``soc`` NaN: nobody knows. Standard deviations: of the state of
    charge, of the
    sensor's offset (``offset``: its mean) in capacities per hour, of the capacity as a share.
    ``capacity``, ``ohmic``, ``lagging``: logarithms of ratios
    to the told
    capacity and to the table's resistances, from an earlier trace of the same cell."""

    soc: float | Floats = float("nan")
    soc_sd: float | Floats = 0.10
    offset: float | Floats = 0.0
    offset_sd: float | Floats = 0.01
    capacity_sd: float | Floats = 0.04
    capacity: float | Floats = 0.0
    ohmic: float | Floats = 0.0
    lagging: float | Floats = 0.0
    resistance_sd: float | Floats | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """What was found, [n, m] each; NaN where a trace has ended. ``soc``, ``low``, ``high``: fractions (also where the verdict is
    not TOLD:
    look at it first). ``capacity``, ``ohmic``, ``lagging``: ratios to what was told; ``offset_c``: capacities per hour; ``*_sd``: one
    standard deviation. ``load_v``: V that current and hysteresis add, as believed; ``curve_v``: what the curve is off here, and
    ``curve_sd``: what it may be off elsewhere, V. ``full``, ``empty``, ``rest``: an anchor was taken at this sample."""

    soc: Floats
    low: Floats
    high: Floats
    sd: Floats
    verdict: NDArray[np.int8]
    capacity: Floats
    capacity_sd: Floats
    ohmic: Floats
    ohmic_sd: Floats
    lagging: Floats
    offset_c: Floats
    load_v: Floats
    curve_v: Floats
    curve_sd: Floats
    full: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    rest: NDArray[np.bool_]


@dataclass(slots=True)
class Mark:
    """Where a trace was left, one row each [n], so that it can be followed on with the next samples (:func:`follow_on`). ``time_s``,
    ``held_c``, ``held_v``: of the last sample, current and voltage as last seen, NaN where there was
    none; ``blind_s``: how long the current is missing."""

    belief: filters.Belief
    time_s: Floats
    held_c: Floats
    held_v: Floats
    blind_s: Floats
    since_voltage_s: Floats
    resting_s: Floats
    rested: NDArray[np.bool_]
    charged: NDArray[np.bool_]
    emptied: NDArray[np.bool_]
    placed: NDArray[np.bool_]


def begin(kind: CellKind, known: Knowledge, count: int) -> Mark:
    """The mark before the first sample of so many traces."""
    nothing = [np.full(count, np.nan) for _ in range(3)] + [np.zeros(count) for _ in range(3)]
    flags = [np.zeros(count, dtype=bool) for _ in range(4)]
    return Mark(filters.begin(kind, _start(kind, known, count)), *nothing, *flags)


def follow(kind: CellKind, samples: Samples, known: Knowledge, *, method: Method = "ekf") -> Track:
    """Follow all traces at once. ``counting`` uses charge alone after the start: for comparison. ValueError: not one row a trace."""
    shape = np.shape(samples.time_s)
    if len(shape) != 2 or any(np.shape(one) != shape for one in (samples.current_c, samples.voltage_v, samples.temperature_c)):
        raise ValueError("times, currents, voltages and temperatures must be tables of one shape, a row for each trace: array[None, :]")
    return follow_on(kind, samples, begin(kind, known, len(samples.time_s)), method=method)[0]


def follow_on(kind: CellKind, samples: Samples, mark: Mark, *, method: Method = "ekf") -> tuple[Track, Mark]:
    """Follow traces on from where they were left; the mark that is given is not changed."""
    count, length = samples.time_s.shape
    belief = copy.deepcopy(mark.belief)
    names = ("soc", "sd", "capacity", "capacity_sd", "ohmic", "ohmic_sd", "lagging", "offset_c", "load_v", "curve_v", "curve_sd")
    found = {name: np.full((count, length), np.nan) for name in names}
    verdict = np.zeros((count, length), dtype=np.int8)
    full, empty, rest = (np.zeros((count, length), dtype=bool) for _ in range(3))
    steps, mean_c, unknown2, held_c, blind_s = _steps(samples, mark)
    since_voltage, resting_s = mark.since_voltage_s, mark.resting_s
    rested, charged, emptied, placed = mark.rested, mark.charged, mark.emptied, mark.placed.copy()
    inner: filters.Method = "ukf" if method == "ukf" else "ekf"
    for place in range(length):
        here = np.isfinite(samples.time_s[:, place])
        current, voltage = samples.current_c[:, place], samples.voltage_v[:, place]
        temperature, step = samples.temperature_c[:, place], steps[:, place]
        filters.advance(kind, belief, mean_c[:, place], step, unknown2[:, place], method=inner)
        seen_current, seen_voltage = np.isfinite(current), np.isfinite(voltage)
        since_voltage = np.where(seen_voltage, 0.0, since_voltage + step)
        if method != "counting":
            lost = unknown2[:, place] > LOST_SOC**2
            filters.lose(belief, lost)
            placed &= ~lost
            first = ~placed & seen_current & seen_voltage
            if first.any():
                filters.place_by_voltage(kind, belief, np.where(first, current, np.nan), np.where(first, voltage, np.nan), temperature)
                placed |= first
            usable = np.where(first | ~here, np.nan, voltage)
            filters.see_voltage(kind, belief, current, usable, temperature, step, method=inner)
            at_end = _at_end(kind, current, voltage, belief.state[:, filters.SLOW])
            full[:, place] = at_end & ~charged
            if full[:, place].any():
                # What remains to be charged at this current, were it to taper off as usual.
                left = np.where(full[:, place], LEFT_PER_C * current, np.nan)
                filters.see_charge(kind, belief, 1.0 - left, FULL_SD + 0.7 * np.nan_to_num(left))
            ending = _at_empty(kind, current, voltage, temperature, belief.state[:, filters.SLOW])
            empty[:, place] = ending & ~emptied
            if empty[:, place].any():
                filters.see_charge(kind, belief, np.where(empty[:, place], EMPTY_SOC, np.nan), np.full(count, EMPTY_SD))
            emptied = (emptied | ending) & ~(current > REST_C)
            charged = (charged | at_end) & ~(current < -REST_C)
            quiet = seen_current & (np.abs(current) < REST_C)
            resting_s = np.where(quiet, resting_s + np.where(resting_s > 0, step, 1e-9), np.where(here, 0.0, resting_s))
            rest[:, place] = quiet & (resting_s >= REST_S) & ~rested & seen_voltage
            if rest[:, place].any():
                filters.see_rest(belief, np.where(rest[:, place], held_c[:, place], np.nan), REST_SD_C)
                filters.see_curve(kind, belief, rest[:, place])
            rested = (rested | rest[:, place]) & (quiet | ~here)
        state, cov = belief.state, belief.cov
        found["soc"][:, place] = np.clip(state[:, filters.SOC], 0.0, 1.0)
        found["sd"][:, place] = np.sqrt(cov[:, filters.SOC, filters.SOC])
        found["capacity"][:, place] = np.exp(state[:, filters.CAPACITY])
        found["capacity_sd"][:, place] = np.sqrt(cov[:, filters.CAPACITY, filters.CAPACITY] + kind.axis_sd**2)
        found["ohmic"][:, place] = np.exp(state[:, filters.OHMIC])
        found["ohmic_sd"][:, place] = np.sqrt(cov[:, filters.OHMIC, filters.OHMIC])
        found["lagging"][:, place] = np.exp(state[:, filters.LAGGING])
        found["offset_c"][:, place] = state[:, filters.OFFSET]
        found["load_v"][:, place] = filters.load_v(kind, belief, current, temperature)
        found["curve_v"][:, place] = state[:, filters.CURVE]
        found["curve_sd"][:, place] = np.sqrt(kind.ocv_error_at(state[:, filters.SOC]) ** 2 + belief.more_v2)
        verdict[:, place] = np.where(
            blind_s[:, place] > MOST_GAP_S, Verdict.NO_CURRENT, np.where(since_voltage > MOST_GAP_S, Verdict.NO_VOLTAGE, Verdict.TOLD)
        )
    gone = ~np.isfinite(samples.time_s)
    for values in found.values():
        values[gone] = np.nan
    # Of a learned axis that is stretched no voltage tells: it is told beside what the filter believes.
    half = NORMAL_90 * np.hypot(kind.interval_factor * np.maximum(found["sd"], LEAST_SD), kind.axis_sd * (1.0 - found["soc"]))
    low, high = np.clip(found["soc"] - half, 0.0, 1.0), np.clip(found["soc"] + half, 0.0, 1.0)
    wide = (high - low > MOST_WIDTH) & (verdict == Verdict.TOLD)
    verdict[wide] = Verdict.TOO_WIDE
    last = _last(samples.time_s, mark.time_s)
    held = np.where(np.isfinite(samples.current_c).any(axis=1) | np.isfinite(mark.held_c), held_c[:, -1], np.nan) if length else mark.held_c
    blind = blind_s[:, -1] if length else mark.blind_s
    after = Mark(belief, last, held, _held_v(samples, mark)[:, -1], blind, since_voltage, resting_s, rested, charged, emptied, placed)
    return Track(**found, low=low, high=high, verdict=verdict, full=full, empty=empty, rest=rest), after


def _at_end(kind: CellKind, current_c: Floats, voltage_v: Floats, slow_c: Floats) -> NDArray[np.bool_]:
    """Whether a charge is at its end: the maker's voltage is reached and the current has tapered (a steep end: is not high, and
    has flowed for a while: no recuperation)."""
    most, below_v = (STEEP_C, STEEP_BELOW_V) if kind.steep_end else (TAPER_C, FULL_BELOW_V)
    return np.asarray((voltage_v >= kind.full_v - below_v) & (current_c > 0) & (current_c <= most) & (slow_c > STEADY * current_c))


def _at_empty(kind: CellKind, current_c: Floats, voltage_v: Floats, temperature_c: Floats, slow_c: Floats) -> NDArray[np.bool_]:
    """Whether a discharge is at its end: the lowest voltage under a current that has flowed for a while; a cold cell dips early."""
    most = np.where(temperature_c < COLD_C, COLD_MOST_C, EMPTY_MOST_C)
    low = voltage_v <= kind.empty_v + EMPTY_ABOVE_V
    return np.asarray(low & (current_c < -TAPER_C) & (current_c >= -most) & (slow_c < STEADY * current_c))


def _start(kind: CellKind, known: Knowledge, count: int) -> filters.Start:
    def each(value: float | Floats) -> Floats:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)).copy()

    return filters.Start(
        soc=each(known.soc),
        soc_sd=each(known.soc_sd),
        offset=each(known.offset),
        offset_sd=each(known.offset_sd),
        capacity=each(known.capacity),
        capacity_sd=each(known.capacity_sd),
        ohmic=each(known.ohmic),
        lagging=each(known.lagging),
        resistance_sd=each(kind.resistance_spread if known.resistance_sd is None else known.resistance_sd),
    )


def _last(time_s: Floats, before_s: Floats) -> Floats:
    """The newest time of each trace."""
    there = np.isfinite(time_s)
    newest = np.where(there, time_s, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(there.any(axis=1), newest, before_s)


def _held_v(samples: Samples, mark: Mark) -> Floats:
    """The voltage as it was last seen, one column before the samples and one for each."""
    told = np.concatenate([mark.held_v[:, None], samples.voltage_v], axis=1)
    place = np.maximum.accumulate(np.where(np.isfinite(told), np.arange(told.shape[1])[None, :], 0), axis=1)
    return np.asarray(np.take_along_axis(told, place, axis=1))


def _steps(samples: Samples, mark: Mark) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Length of the step before each sample (0 behind the end), mean current over it, variance of the charge that was not seen in it,
    the current as it was last seen, and for how long it is missing."""
    time = np.concatenate([mark.time_s[:, None], samples.time_s], axis=1)
    told = np.concatenate([mark.held_c[:, None], samples.current_c], axis=1)
    steps = np.zeros_like(time)
    steps[:, 1:] = np.nan_to_num(np.diff(time, axis=1), nan=0.0)
    there = np.isfinite(told)
    place = np.maximum.accumulate(np.where(there, np.arange(time.shape[1])[None, :], 0), axis=1)
    held = np.nan_to_num(np.take_along_axis(told, place, axis=1), nan=0.0)
    mean = held.copy()
    mean[:, 1:] = mean_current(held)
    before = np.concatenate([held[:, :1], held[:, :-1]], axis=1)
    quiet = (np.abs(held) < REST_C) & (np.abs(before) < REST_C)
    spread = np.where(steps > 10.0, 0.15 * np.abs(held - before), 0.0)
    spread = spread + np.where(steps > SHORT_STEP_S, np.where(quiet, ASLEEP_C, 0.03), 0.0)
    volts = _held_v(samples, mark)
    with np.errstate(invalid="ignore"):
        driven = np.concatenate([np.zeros((len(time), 1)), np.abs(np.diff(volts, axis=1))], axis=1) > AWAKE_V
    spread = np.where((steps > MOST_GAP_S) & (~quiet | driven), UNSEEN_C, spread)
    unknown = (spread * steps / 3600) ** 2
    blind = np.zeros_like(time)
    blind[:, 0] = mark.blind_s
    for column in range(1, time.shape[1]):
        missing = ~there[:, column]
        blind[:, column] = np.where(missing, blind[:, column - 1] + steps[:, column], 0.0)
        grown = (UNSEEN_C / 3600) ** 2 * (blind[:, column] ** 2 - blind[:, column - 1] ** 2)
        unknown[:, column] = np.where(missing, grown, unknown[:, column])
    return steps[:, 1:], mean[:, 1:], unknown[:, 1:], held[:, 1:], blind[:, 1:]
