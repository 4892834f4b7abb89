"""How a pack is used and how even it is: coulombic efficiency, rainflow cycles, histograms, spread of cells, gradients of temperature.

Each function takes samples of any stretch (a trip, a night, a year); time over a gap counts nowhere. Rainflow cycles are those of the
lake (:mod:`bms_bridge.lake.cycles`, ASTM E1049-85), so that a file and the lake count alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bms_bridge.features import WindowMissing
from bms_bridge.features.samples import Floats, Phase, Samples, phases
from bms_bridge.lake import cycles

TEMPERATURES_C = (-10.0, 0.0, 10.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0)
C_RATES = (-3.0, -2.0, -1.0, -0.5, -0.2, -0.02, 0.02, 0.2, 0.5, 1.0, 2.0, 3.0)
SAME_V = 0.01
LEAST_CELLS = 2
PLATEAU_QUANTILE = 0.9


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Of one charge and the discharge before or after it. ``coulombic``: discharged over charged Ah; ``energy``: Wh over Wh; ``offset_a``:
    the least offset of the current sensor that would by itself make the coulombic loss (or gain) that was seen."""

    cycle: float
    charged_ah: float
    discharged_ah: float
    coulombic: float
    energy: float
    hours: float
    offset_a: float


def efficiencies(samples: Samples, nominal_ah: float, *, least_share: float = 0.5) -> list[Efficiency]:
    """Of every charge with the discharge that follows it between the same two voltages. A pair counts where at least ``least_share`` of
    the nominal capacity flowed, no gap lies between, and both ends are turning points of a full cycle: the discharge ends within
    :data:`SAME_V` of where the charge before began, or as low as the discharge before. Above 1 the current sensor is off, not the pack.
    """
    merged = _merged(samples, nominal_ah)
    charge, energy = samples.charge_ah(), _energy_wh(samples)
    found = []
    for before, charging, after in zip(merged, merged[1:], merged[2:], strict=False):
        if (before.sign, charging.sign, after.sign) != (-1, 1, -1):
            continue
        whole = slice(charging.begin, after.end)
        if np.diff(samples.time_s[whole]).max(initial=0.0) > samples.gap_s or before.end - before.begin < 2:
            continue
        started, ended = samples.voltage_v[before.end - 1], samples.voltage_v[after.end - 1]
        taken = float(charge[charging.end - 1] - charge[charging.begin - 1])
        given = float(charge[charging.end - 1] - charge[after.end - 1])
        if min(taken, given) < least_share * nominal_ah or abs(started - ended) > SAME_V * max(1.0, started / 4):
            continue
        into = float(energy[charging.end - 1] - energy[charging.begin - 1])
        out = float(energy[charging.end - 1] - energy[after.end - 1])
        hours = float(samples.time_s[after.end - 1] - samples.time_s[charging.begin]) / 3600
        found.append(
            Efficiency(
                float(samples.cycle[charging.begin]), taken, given, given / taken, out / into, hours, (taken - given) / max(hours, 1e-9)
            )
        )
    return found


def rainflow(soc: Floats) -> list[float]:
    """Cycles by depth (:data:`bms_bridge.lake.cycles.DEPTHS`; halves count 0.5) of a state of charge over time (shares, NaN left out).
    WindowMissing: none is known."""
    known = soc[np.isfinite(soc)]
    if not len(known):
        raise WindowMissing("no state of charge is known: nothing to count cycles of")
    counted = cycles.Cycles()
    for value in known:
        cycles.add(counted, float(value))
    return cycles.open_halves(counted)


def equivalent_full_cycles(samples: Samples, nominal_ah: float) -> float:
    """Charge that went through, in and out, over twice the nominal capacity."""
    return float(np.abs(np.diff(samples.charge_ah())).sum()) / (2 * nominal_ah)


def swing(samples: Samples, nominal_ah: float) -> Floats:
    """[n] state of charge as far as counting tells: shares of the nominal capacity from an unknown level, laid so that its highest is 1.
    For depths of cycles only, which do not ask where a swing lies; over long times the sensor's offset drifts in."""
    share = samples.charge_ah() / nominal_ah
    return np.asarray(share - share.max() + 1.0)


def temperature_hours(samples: Samples, *, charging_only: bool = False) -> Floats:
    """Hours of the warmest sensor in each bin of :data:`TEMPERATURES_C` (one bin more than edges). WindowMissing: no temperature."""
    warm = samples.temperatures_c
    there = np.isfinite(warm).any(axis=1) if warm.shape[1] else np.zeros(len(samples), dtype=np.bool_)
    if not there.any():
        raise WindowMissing("no temperature was measured")
    hottest = np.full(len(samples), np.nan)
    hottest[there] = np.nanmax(warm[there], axis=1)
    hours = _hours(samples)
    keep = there & (samples.current_a > 0 if charging_only else True)
    return _binned(np.searchsorted(TEMPERATURES_C, hottest[keep], side="right"), hours[keep], len(TEMPERATURES_C) + 1)


def c_rate_hours(samples: Samples, nominal_ah: float) -> Floats:
    """Hours in each bin of :data:`C_RATES` (one bin more than edges); charging is positive."""
    rates = samples.current_a / nominal_ah
    return _binned(np.searchsorted(C_RATES, rates, side="right"), _hours(samples), len(C_RATES) + 1)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a pack's cells, V. ``deviation_v``: median over time of the deviation between cells; ``range_v``: median of highest less lowest;
    ``worst_range_v``: its 99 % quantile; ``at_rest_v``: median range without current (NaN without rests); ``under_load_v``: with more
    than a fifth of the nominal capacity an hour; ``lowest``, ``highest``: which cell (from 0) was it most often, and in what share of
    the time."""

    deviation_v: float
    range_v: float
    worst_range_v: float
    at_rest_v: float
    under_load_v: float
    lowest: tuple[int, float]
    highest: tuple[int, float]


def cell_spread(samples: Samples, nominal_ah: float) -> Spread:
    """Of rows in which all but a tenth of the cells were told. WindowMissing: there is none."""
    cells = samples.cells_v
    if cells.shape[1] < LEAST_CELLS:
        raise WindowMissing("no voltages of cells were measured")
    whole = np.isfinite(cells).mean(axis=1) >= 0.9
    if not whole.any():
        raise WindowMissing("in no sample nine of ten cells were told")
    told = cells[whole]
    width = np.nanmax(told, axis=1) - np.nanmin(told, axis=1)
    rate = np.abs(samples.current_a[whole]) / nominal_ah
    counts = [np.bincount(found(told, axis=1), minlength=cells.shape[1]) for found in (np.nanargmin, np.nanargmax)]
    (low, low_share), (high, high_share) = ((int(np.argmax(count)), float(count.max() / count.sum())) for count in counts)
    return Spread(
        float(np.median(np.nanstd(told, axis=1))),
        float(np.median(width)),
        float(np.quantile(width, 0.99)),
        float(np.median(width[rate < 0.01])) if (rate < 0.01).any() else float("nan"),
        float(np.median(width[rate > 0.2])) if (rate > 0.2).any() else float("nan"),
        (low, low_share),
        (high, high_share),
    )


@dataclass(frozen=True, slots=True)
class Gradients:
    """Of temperatures. ``between_k``: median over time of warmest less coldest sensor, ``worst_between_k`` its 99 % quantile (both NaN
    with one sensor); ``rise_k_per_min``: 99 % quantile of a sensor's rise, over at least a minute each; ``hottest_c``."""

    between_k: float
    worst_between_k: float
    rise_k_per_min: float
    hottest_c: float


def gradients(samples: Samples) -> Gradients:
    """WindowMissing: no temperature was measured."""
    warm = samples.temperatures_c
    known = np.isfinite(warm)
    if not known.any():
        raise WindowMissing("no temperature was measured")
    both = known.sum(axis=1) >= 2
    width = np.nanmax(warm[both], axis=1) - np.nanmin(warm[both], axis=1) if both.any() else np.array([np.nan])
    rises = [_rises(samples.time_s[known[:, sensor]], warm[known[:, sensor], sensor], samples.gap_s) for sensor in range(warm.shape[1])]
    rise = np.concatenate(rises)
    return Gradients(
        float(np.median(width)),
        float(np.quantile(width, 0.99)),
        float(np.quantile(rise, 0.99)) if len(rise) else float("nan"),
        float(np.nanmax(warm)),
    )


def _rises(time_s: Floats, warm_c: Floats, gap_s: float) -> Floats:
    """K a minute over steps of at least a minute; none over gaps."""
    if len(time_s) < 2:
        return np.zeros(0)
    ahead = np.searchsorted(time_s, time_s + 60.0)
    rows = np.flatnonzero(ahead < len(time_s))
    span = time_s[ahead[rows]] - time_s[rows]
    near = span <= 60.0 + gap_s
    return np.asarray((warm_c[ahead[rows]] - warm_c[rows])[near] / span[near] * 60)


def _binned(bins: NDArray[np.int64], hours: Floats, count: int) -> Floats:
    return np.bincount(bins, hours, count).astype(np.float64)


def _hours(samples: Samples) -> Floats:
    """[n] how long each sample stands: until the next one, nothing before a gap."""
    steps = np.diff(samples.time_s, append=samples.time_s[-1])
    return np.where(steps > samples.gap_s, 0.0, steps) / 3600


def _energy_wh(samples: Samples) -> Floats:
    power_w = samples.current_a * samples.voltage_v
    steps = np.diff(samples.time_s)
    moved = np.where(steps > samples.gap_s, 0.0, steps * (power_w[1:] + power_w[:-1]) / 2)
    return np.concatenate([[0.0], np.cumsum(moved)]) / 3600


def _merged(samples: Samples, nominal_ah: float) -> list[Phase]:
    """Charges and discharges; rests between fall out, and two charges with a rest between are one."""
    found: list[Phase] = []
    for phase in phases(samples, nominal_ah):
        if phase.sign == 0:
            continue
        if found and found[-1].sign == phase.sign:
            found[-1] = Phase(phase.sign, found[-1].begin, phase.end)
        else:
            found.append(phase)
    return found
