"""Cells that lose charge: the leak current of an internal short from charge to charge, with its limit of detection. Pure.

    cell voltage - pack's median --/ dV/dSoC--> charge difference --+ what balancing took--> line over 6 to 28 days --> leak current

All cells of a string get the same charge. What a cell lies behind the others at the same point of two charges, it has lost by itself,
or by balancing. A leak of C/5000 loses 0.48 % of the capacity a day. How well a voltage tells charge is the slope of the curve at that
point, so each reading weighs with its slope: on the plateau of LFP next to nothing, and :func:`detectable_share_per_day` says what
that means.

A line must explain the readings better than a step does: a sensor that was exchanged, or cells that were balanced by hand, are no
leak. It must stand out of the scatter of all cells in the pack, whose own self-discharge differs, and hold for some readings. Nothing
is said below :data:`LEAST_SHARE_PER_DAY`, and below :data:`LEAST_UNTOLD_SHARE_PER_DAY` where nobody tells what was balanced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.anomalies.pack_days import PackDays
from bms_bridge.health.files import Floats

Flags = NDArray[np.bool_]

WINDOWS_D: Final = (6, 10, 18, 28)
LEAST_READINGS: Final = 6
"""In a window, and this must be spread over most of it."""

LEAST_SHARE_PER_DAY: Final = 24 / 10_000
"""C/10000: below it cells differ by themselves, and nobody is called."""

LEAST_UNTOLD_SHARE_PER_DAY: Final = 24 / 7_000
"""Where balancing is not told it may be what moves the cells: only a larger drift counts."""

SIGMAS: Final = 6.0
CONFIRM: Final = 3
"""Readings in a row that must say so."""

HEALTHY_SHARE_PER_DAY: Final = 0.0002
"""Scatter of self-discharge among healthy cells, at least: 0.6 % a month."""

LEAST_VOLTAGE_NOISE_V: Final = 0.0005
LEAST_SLOPE_V: Final = 0.02
"""0.2 mV for each percent: below it a voltage says nothing of charge, and the reading is left out."""

MOST_SLOPE_V: Final = 50.0
"""0.5 V for each percent: no curve of a cell is steeper, the number is a mistake."""

HOURS_PER_DAY: Final = 24.0
WEIGHED_SOC: Final = 0.003
"""Scatter of the state of charge at the like points from which on its influence is fitted too (cells of other capacity)."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A cell that loses charge. ``share_per_day``: of the nominal capacity, with an interval of 90 %; ``sigmas``: how far out of the
    pack's scatter; ``behind``: how far it lies behind the median now (fraction); ``since_day``: begin of the window that shows it;
    ``day``: when it was sure (days since 1970); ``balancing_told``: whether balancing was counted; ``now``: its newest readings
    still say so."""

    pack: str
    cell: int
    day: int
    since_day: int
    share_per_day: float
    low: float
    high: float
    current_a: float
    sigmas: float
    behind: float
    spread_v: float
    slope_v: float
    readings: int
    balancing_told: bool
    now: bool

    @property
    def c_rate(self) -> float:
        """Leak current over capacity, 1/h: 0.0002 is C/5000."""
        return self.share_per_day / HOURS_PER_DAY

    def days_to_spread(self, threshold_v: float) -> float:
        """Days until the cells differ by ``threshold_v`` at the like point, should it go on so; 0: already."""
        room_v = threshold_v - self.spread_v
        return max(0.0, room_v / max(self.slope_v * self.share_per_day, 1e-9))


@dataclass(frozen=True, slots=True)
class Drift:
    """Of every reading and cell of a pack [n, cells]: loss in shares of the capacity a day, its standard error, sigmas beyond the pack;
    NaN where no window has enough readings. ``found``: that a leak is sure there."""

    share_per_day: Floats
    error: Floats
    sigmas: Floats
    window_d: Floats
    found: Flags


def charge_difference(series: PackDays) -> Floats:
    """How far each cell lies from the pack's median in charge (fraction), as if nothing had been balanced; NaN where the slope is
    unknown or too flat [n, cells]."""
    slope_v = series.numbers["slope_v"]
    with np.errstate(invalid="ignore"):
        usable = np.where((slope_v >= LEAST_SLOPE_V) & (slope_v <= MOST_SLOPE_V), slope_v, np.nan)
    behind = (series.cells_v - np.nanmedian(series.cells_v, axis=1, keepdims=True)) / usable[:, None]
    taken = np.nan_to_num(series.balanced_ah) / series.numbers["capacity_ah"][:, None]
    taken -= np.median(taken, axis=1, keepdims=True)
    return np.asarray(behind + np.cumsum(taken, axis=0), dtype=np.float64)


def drift(series: PackDays) -> Drift:
    """Losses of one pack's cells at each of its readings; see the module. ``series``: of one pack, sorted by day."""
    n, cells = series.cells_v.shape
    share, error, sigmas, window = (np.full((n, cells), np.nan) for _ in range(4))
    candidate = np.zeros((n, cells), dtype=np.bool_)
    differences = charge_difference(series)
    least = LEAST_SHARE_PER_DAY if np.isfinite(series.balanced_ah).any() else LEAST_UNTOLD_SHARE_PER_DAY
    usable = np.isfinite(differences).sum(axis=1) >= 2
    with np.errstate(invalid="ignore"):
        weights = np.where(usable, (series.numbers["slope_v"] / LEAST_VOLTAGE_NOISE_V) ** 2, 0.0)
    days, soc = series.days.astype(np.float64), series.numbers["soc"]
    for last in range(n):
        if not usable[last]:
            continue
        for width in WINDOWS_D:
            own = np.flatnonzero(usable & (days > days[last] - width) & (np.arange(n) <= last))
            if len(own) < LEAST_READINGS or days[last] - days[own[0]] < 0.6 * (width - 1):
                continue
            fitted = _line(days[own], soc[own], differences[own], weights[own])
            loss = -fitted.slope
            if np.isfinite(loss).sum() < 2:
                continue
            scatter = max(_robust_scale(loss), HEALTHY_SHARE_PER_DAY)
            beyond = (loss - np.nanmedian(loss)) / np.hypot(fitted.error, scatter)
            better = ~np.isfinite(sigmas[last]) | (beyond > sigmas[last])
            share[last, better], error[last, better] = loss[better], np.hypot(fitted.error, scatter)[better]
            sigmas[last, better], window[last, better] = beyond[better], width
            with np.errstate(invalid="ignore"):
                candidate[last] |= (beyond > SIGMAS) & (loss - np.nanmedian(loss) > least) & fitted.no_step
    return Drift(share, error, sigmas, window, _confirmed(candidate, usable))


def leaks(table: PackDays) -> list[Leak]:
    """The first sure reading of every leaking cell of every pack, with the newest estimate of its size."""
    found: list[Leak] = []
    for pack in table.names():
        series = table.of_pack(pack)
        seen = drift(series)
        told = bool(np.isfinite(series.balanced_ah).any())
        for cell in np.flatnonzero(seen.found.any(axis=0)):
            at = np.flatnonzero(seen.found[:, cell])
            first, newest = int(at[0]), int(at[-1])
            size, error = float(seen.share_per_day[newest, cell]), float(seen.error[newest, cell])
            behind_v = float(np.nanmedian(series.cells_v[newest]) - series.cells_v[newest, cell])
            slope_v = float(series.numbers["slope_v"][newest])
            found.append(
                Leak(
                    pack=pack,
                    cell=int(cell),
                    day=int(series.days[first]),
                    since_day=int(series.days[first] - seen.window_d[first, cell] + 1),
                    share_per_day=size,
                    low=max(0.0, size - 1.645 * error),
                    high=size + 1.645 * error,
                    current_a=size * float(series.numbers["capacity_ah"][newest]) / HOURS_PER_DAY,
                    sigmas=float(seen.sigmas[newest, cell]),
                    behind=behind_v / slope_v,
                    spread_v=float(series.spread_v[newest]),
                    slope_v=slope_v,
                    readings=int((series.days > series.days[newest] - seen.window_d[newest, cell]).sum()),
                    balancing_told=told,
                    now=newest >= len(series) - CONFIRM,
                )
            )
    return found


def detectable_share_per_day(slope_v: float, noise_v: float, window_d: int, readings_per_day: float = 1.0) -> float:
    """The smallest loss (share of the capacity a day) that :func:`drift` would find in a window, where a cell's voltage scatters by
    ``noise_v`` from one like point to the next and the curve rises by ``slope_v`` over the whole charge. ``inf``: none."""
    count = int(window_d * readings_per_day)
    if count < LEAST_READINGS or slope_v < LEAST_SLOPE_V:
        return math.inf
    step_d = 1 / readings_per_day
    spread = step_d * math.sqrt(count * (count**2 - 1) / 12)
    noise = max(noise_v, LEAST_VOLTAGE_NOISE_V) / slope_v
    return max(LEAST_SHARE_PER_DAY, SIGMAS * math.hypot(noise / spread, HEALTHY_SHARE_PER_DAY))


@dataclass(frozen=True, slots=True)
class _Line:
    slope: Floats
    error: Floats
    no_step: Flags


def _line(days: Floats, soc: Floats, values: Floats, weights: Floats) -> _Line:
    """Weighted lines through the columns of ``values`` [rows, cells], and whether one step would explain a column as well."""
    there = np.isfinite(values)
    mean_day = float((days * weights).sum() / weights.sum())
    columns = [np.ones_like(days), days - mean_day]
    mean_soc = float((soc * weights).sum() / weights.sum())
    if len(days) >= LEAST_READINGS + 1 and float(np.sqrt((weights * (soc - mean_soc) ** 2).sum() / weights.sum())) > WEIGHED_SOC:
        columns.append(soc - mean_soc)
    design = np.stack(columns, axis=1)
    filled = np.where(there, values, 0.0)
    w = weights[:, None] * there
    scale = float(weights.mean())
    design /= np.maximum(np.abs(design).max(axis=0), 1e-12)
    per_day = float(np.abs(days - mean_day).max())
    normal = np.einsum("rp,rc,rq->cpq", design, w / scale, design) + 1e-9 * np.eye(design.shape[1])
    right = np.einsum("rp,rc->cp", design, w * filled / scale)
    inverse = np.linalg.inv(normal)
    solved = np.einsum("cpq,cq->cp", inverse, right)
    left = np.where(there, values - design @ solved.T, 0.0)
    freedom = np.maximum(there.sum(axis=0) - design.shape[1], 1)
    variance = (w * left**2).sum(axis=0) / freedom
    pooled = float(np.median(variance))
    slope = np.where(there.sum(axis=0) >= LEAST_READINGS, solved[:, 1] / per_day, np.nan)
    error = np.sqrt(np.maximum(np.maximum(variance, pooled), 1.0) * inverse[:, 1, 1] / scale) / per_day
    plain = filled - (design[:, 2:] @ solved[:, 2:].T if design.shape[1] > 2 else 0.0)
    return _Line(slope, error, (w * left**2).sum(axis=0) < _step_residual(plain, w))


def _step_residual(values: Floats, weights: Floats) -> Floats:
    """Of the best explanation by one step, for each column."""
    w, wv, wvv = (np.cumsum(part, axis=0) for part in (weights, weights * values, weights * values**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        before = wvv - wv**2 / w
        rest = w[-1] - w
        after = (wvv[-1] - wvv) - (wv[-1] - wv) ** 2 / rest
        both = np.where((w > 0) & (rest > 0), before + after, np.inf)
    return np.asarray(np.maximum(both.min(axis=0), 0.0), dtype=np.float64)


def _robust_scale(values: Floats) -> float:
    """Of the middle of the pack: the scaled median of absolute deviations."""
    return float(1.4826 * np.nanmedian(np.abs(values - np.nanmedian(values))))


def _confirmed(candidate: Flags, usable: Flags) -> Flags:
    """Where a cell was a candidate in :data:`CONFIRM` usable readings in a row."""
    found = np.zeros_like(candidate)
    rows: Sequence[int] = [int(row) for row in np.flatnonzero(usable)]
    for place in range(CONFIRM - 1, len(rows)):
        found[rows[place]] = candidate[rows[place - CONFIRM + 1 : place + 1]].all(axis=0)
    return found
