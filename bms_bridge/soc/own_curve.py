"""A pack's own open-circuit curve, learned while it is used: voltages at states of charge that are known by counting from a full charge.

    Samples + Track of one cell (or mean cell) --gather--> Seen          what its curve is off the base curve, by state of charge
    Seen --own_kind--> CellKind                                          the base curve corrected where it was seen, wide elsewhere

Between two charges that end full the state of charge is known at both ends: charge counted over a day or a week, closed at the second
one, is good to about a hundredth, whatever the sensor's offset. There the voltage, less what current and hysteresis add by
the filter's belief, is the curve's. One look at a hundredth of the charge is one observation, however many samples it has. The
correction is a Gaussian process over the states of charge: where nothing was seen it stays as uncertain as the base curve, and
more so where the base curve was found wrong.

The axis is the told capacity's: where that is 3 % wrong, the low end of the axis is, and with it every state of charge that is read
from the curve. Nothing that a pack shows in use tells it (the knee of another curve is no zero: taking it for one was 5 % off for LFP),
so intervals carry it (``CellKind.axis_sd``), widest at empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.soc import CurveRefused
from bms_bridge.soc.cells import FITTED_LEAST_ERROR_V, CellKind
from bms_bridge.soc.estimate import REST_C, Samples, Track
from bms_bridge.soc.ocv import Floats, OcvCurve, mean_current

BINS: Final = 50
LEAST_FULLS: Final = 2
LEAST_BINS: Final = 12
MOST_HOURS: Final = 200.0
"""Between two full charges."""

MOST_POINTS: Final = 1_200
MOST_STEP_S: Final = 900.0
MOST_ASLEEP_S: Final = 86_400.0
MOST_OFFSET_C: Final = 0.02
"""A count that closes only with a larger offset has missed something."""

CLOSED_SD: Final = 0.01
PER_HOUR: Final = 0.0003
STEP_SOC: Final = 0.01
OFFSET_SD_C: Final = 0.0005
ONE_WAY_V: Final = 0.02
"""Of a state of charge that was only seen while discharging (or charging): what the load's voltage may be wrong there, alike in all
of them."""
VOLTAGE_SD_V: Final = 0.004
LOAD_SHARE: Final = 0.25
LENGTH_SOC: Final = 0.12
AXIS_SD: Final = 0.004
SHIFTED_SOC: Final = 0.25
"""Steps of the base curve that lie so near to each other are shifted alike."""

MOST_WEIGHT: Final = 1.0 / 0.003**2
"""An average of many looks is not believed better than 3 mV: resistances are wrong in all of them."""

WRONG: Final = 2.0
"""A base curve is called wrong where it is off by so many of its own deviations, in the mean of what was seen."""

KNOTS: Final = 101
CAPACITY_SD: Final = 0.04
"""Of a told capacity of which nothing more is known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """``off_v``, ``weight`` [2, BINS]: mean difference to the base curve, V, and its weight (1/V²), while discharging and while charging.
    ``offset_c``: of the current sensor, capacities per hour, by which the last count closed, within ``offset_sd_c``.
    ``fulls``: full charges between which it
    was counted; ``begun`` state of charge at the last one (NaN: none yet). ``counted``, ``hours``: since then, shares of
    charge as the sensor says. ``log`` [n, 5]: looks since then: counted, hours, voltage at rest (V), what the load added (V), samples."""

    off_v: Floats = field(default_factory=lambda: np.zeros((2, BINS)))
    weight: Floats = field(default_factory=lambda: np.zeros((2, BINS)))
    offset_c: float = float("nan")
    offset_sd_c: float = float("nan")
    fulls: int = 0
    begun: float = float("nan")
    counted: float = 0.0
    hours: float = 0.0
    log: Floats = field(default_factory=lambda: np.zeros((0, 5)))


def gather(base: CellKind, seen: Seen, samples: Samples, track: Track, before: tuple[float, float] | None = None) -> Seen:
    """Add what one trace (row 0) shows. ``base``: the kind whose curve is corrected; ``track``: how the samples were followed, by whatever
    kind. ``before``: time (s) and current (capacities per hour) of the sample before the first one."""
    time, current = samples.time_s[0], samples.current_c[0]
    if not len(time):
        return seen
    times = np.concatenate([[time[0] if before is None else before[0]], time])
    currents = np.concatenate([[current[0] if before is None else before[1]], current])
    steps = np.diff(times)
    asleep = (np.abs(currents[:-1]) < REST_C) & (np.abs(currents[1:]) < REST_C)
    sound = np.isfinite(currents[:-1]) & np.isfinite(current) & (steps <= np.where(asleep, MOST_ASLEEP_S, MOST_STEP_S))
    passed = np.where(sound, mean_current(np.nan_to_num(currents)) * steps / 3600, 0.0)
    at_rest_v = samples.voltage_v[0] - track.load_v[0]
    found, log = seen, seen.log.tolist()
    counted, hours = seen.counted, seen.hours
    for place in range(len(time)):
        if not sound[place]:
            found, log = replace(found, begun=float("nan")), []
        counted += float(passed[place])
        hours += float(steps[place]) / 3600
        if track.full[0, place]:
            at = float(track.soc[0, place])
            if np.isfinite(found.begun):
                found = _closed(base, replace(found, log=np.array(log).reshape(-1, 5)), counted, hours, at)
            found, log, counted, hours = replace(found, begun=at), [], 0.0, 0.0
        elif np.isfinite(found.begun) and np.isfinite(at_rest_v[place]):
            look = [counted, hours, float(at_rest_v[place]), float(track.load_v[0, place]), 1.0]
            if log and abs(log[-1][0] - counted) < STEP_SOC and hours - log[-1][1] < 2.0:
                _joined(log[-1], look)
            else:
                log.append(look)
        if hours > MOST_HOURS or len(log) > MOST_POINTS:
            found, log = replace(found, begun=float("nan")), []
    return replace(found, counted=counted, hours=hours, log=np.array(log, dtype=np.float64).reshape(-1, 5))


def _joined(last: list[float], look: list[float]) -> None:
    """One more sample of the same look: voltage and load in the mean, place and time as they were first."""
    last[4] += 1
    for column in (2, 3):
        last[column] += (look[column] - last[column]) / last[4]


def _closed(base: CellKind, seen: Seen, counted: float, hours: float, at: float) -> Seen:
    """Between two full charges: each look to its state of charge."""
    if hours <= 0 or len(seen.log) < BINS // 5:
        return seen
    open_by = seen.begun + counted - at
    if abs(open_by) > MOST_OFFSET_C * hours + 3 * CLOSED_SD:
        return seen
    share = seen.log[:, 1] / hours
    soc = seen.begun + seen.log[:, 0] - open_by * share
    doubt = np.hypot(CLOSED_SD, PER_HOUR * hours * np.minimum(share, 1 - share))
    off_v, weight = seen.off_v.copy(), seen.weight.copy()
    inside = (soc >= 0) & (soc < 1)
    for place in np.flatnonzero(inside):
        within = float(soc[place])
        spot = int(within * BINS)
        slope = float(base.curve.slope(np.array([within]))[0])
        variance = VOLTAGE_SD_V**2 + (LOAD_SHARE * seen.log[place, 3]) ** 2 + (slope * doubt[place]) ** 2
        way = int(seen.log[place, 3] > 0)
        total = min(weight[way, spot] + 1.0 / variance, MOST_WEIGHT)
        difference = float(seen.log[place, 2] - base.curve.voltage(np.array([within]))[0])
        off_v[way, spot] += (difference - off_v[way, spot]) * min(1.0 / variance / total, 1.0)
        weight[way, spot] = total
    offset_sd_c = float(np.hypot(1.5 * CLOSED_SD / hours, OFFSET_SD_C))
    return replace(seen, off_v=off_v, weight=weight, offset_c=open_by / hours, offset_sd_c=offset_sd_c, fulls=max(seen.fulls, 1) + 1)


def both_ways(base: CellKind, seen: Seen) -> tuple[Floats, Floats]:
    """Difference to the base curve, V, and its weight [BINS]: the middle of charging and discharging, in which what is wrong of resistances
    and hysteresis goes out; of one way alone it stays in."""
    there = seen.weight > 0
    variance = 1.0 / np.where(there, seen.weight, 1.0)
    middle_v = seen.off_v.mean(axis=0)
    one_v = np.where(there[0], seen.off_v[0], seen.off_v[1])
    one_variance = np.where(there[0], variance[0], variance[1]) + base.hysteresis_v**2
    both = there.all(axis=0)
    weight = np.where(both, 4.0 / variance.sum(axis=0), np.where(there.any(axis=0), 1.0 / one_variance, 0.0))
    return np.where(both, middle_v, np.where(there.any(axis=0), one_v, 0.0)), weight


def own_kind(base: CellKind, seen: Seen, capacity_sd: float = CAPACITY_SD) -> CellKind | None:
    """The kind with the pack's own curve; None: too little was seen of it yet. ``capacity_sd``: of the told capacity, a share."""
    if seen.fulls < LEAST_FULLS or int((seen.weight > 0).any(axis=0).sum()) < LEAST_BINS:
        return None
    grid = np.linspace(0.0, 1.0, KNOTS)
    off, sd = _posterior(base, seen, grid, capacity_sd)
    volts = np.maximum.accumulate(base.curve.voltage(grid) + off)
    error = np.maximum(sd, FITTED_LEAST_ERROR_V)
    try:
        curve = OcvCurve(tuple(grid.tolist()), tuple(volts.tolist()))
    except CurveRefused:
        return None
    low, high = seen_range(seen)
    return replace(
        base,
        curve=curve,
        ocv_error_v=float(np.sqrt((error**2).mean())),
        error_grid_v=tuple(error.tolist()),
        ocv_error_soc=2 * LENGTH_SOC,
        shift_soc=0.01,
        interval_factor=OWN_FACTOR,
        axis_sd=capacity_sd,
        family_v=0.0,
        source=f"its own, from {seen.fulls} full charges, seen from {low:.0%} to {high:.0%}",
    )


OWN_FACTOR: Final = 1.8
"""Of intervals with such a curve; from particle cells of kinds 0 to 4 (docs/models/state-of-charge.md)."""


def seen_range(seen: Seen) -> tuple[float, float]:
    """Lowest and highest state of charge that were seen; (NaN, NaN): none."""
    bins = np.flatnonzero((seen.weight > 0).any(axis=0))
    return (float(bins[0]) / BINS, float(bins[-1] + 1) / BINS) if len(bins) else (float("nan"), float("nan"))


def mismatch_v(base: CellKind, seen: Seen, capacity_sd: float = CAPACITY_SD) -> tuple[float, bool]:
    """How far the base curve is off where it was seen (V, root of the mean square), and whether that is more than it claims and a
    capacity that is off by ``capacity_sd`` would explain."""
    off_v, weight = both_ways(base, seen)
    there = weight > 0
    if seen.fulls < LEAST_FULLS or int(there.sum()) < LEAST_BINS // 2:
        return float("nan"), False
    centres = (np.arange(BINS) + 0.5) / BINS
    off = off_v[there]
    moved = np.hypot(base.shift_soc, capacity_sd * (1.0 - centres[there]))
    allowed = np.hypot(base.ocv_error_v, np.abs(base.curve.slope(centres[there])) * moved)
    return float(np.sqrt((off**2).mean())), bool(np.sqrt(((off / allowed) ** 2).mean()) > WRONG)


def mean_off_v(base: CellKind, seen: Seen) -> float:
    """How far its curve lies above the base curve in the mean of what was seen, V (below: negative; NaN: too little was seen)."""
    off_v, weight = both_ways(base, seen)
    there = weight > 0
    if seen.fulls < LEAST_FULLS or int(there.sum()) < LEAST_BINS // 2:
        return float("nan")
    return float(off_v[there].mean())


def _posterior(base: CellKind, seen: Seen, grid: Floats, capacity_sd: float) -> tuple[Floats, Floats]:
    """Mean and deviation of the correction at these states of charge, V."""
    off_v, weight = both_ways(base, seen)
    there: NDArray[np.bool_] = weight > 0
    at = ((np.arange(BINS) + 0.5) / BINS)[there]
    slope = base.curve.slope(at)
    _, wrong = mismatch_v(base, seen, capacity_sd)
    worst = float(np.sqrt((off_v[there] ** 2).mean()))
    wide = max(2 * base.ocv_error_v, base.family_v, worst if wrong else 0.0)

    def prior(a: Floats, b: Floats) -> Floats:
        apart = (a[:, None] - b[None, :]) / LENGTH_SOC
        far = (a[:, None] - b[None, :]) / 0.5
        steps = base.shift_soc**2 * np.outer(base.curve.slope(a), base.curve.slope(b))
        steps *= np.exp(-0.5 * ((a[:, None] - b[None, :]) / SHIFTED_SOC) ** 2)
        return np.asarray(wide**2 * np.exp(-0.5 * far**2) + (0.5 * base.ocv_error_v) ** 2 * np.exp(-0.5 * apart**2) + steps)

    axis = AXIS_SD * slope
    one_way = np.where((seen.weight > 0).all(axis=0), 0.0, ONE_WAY_V)[there]
    noise = np.diag(1.0 / weight[there] + one_way**2) + np.outer(axis, axis) + np.outer(one_way, one_way)
    cross = prior(grid, at)
    whole = prior(at, at) + noise + 1e-8 * np.eye(len(at))
    mean = cross @ np.linalg.solve(whole, off_v[there])
    variance = np.diag(prior(grid, grid)) - np.einsum("ij,ji->i", cross, np.linalg.solve(whole, cross.T))
    return np.asarray(mean), np.sqrt(np.maximum(variance, 0.0))
