"""How far one sensor's clock lies behind another's, from the current's steps that the voltage must answer at once.

steps of current, steps of voltage --> the lag at which they explain each other best, or nothing where too few steps are there
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bms_bridge.soc.ocv import Floats

MOST_LAG_S: Final = 30.0
LEAST_STEPS: Final = 8
MOST_POINTS: Final = 1_000_000
LEAST_SHARE: Final = 0.25
LEAST_GAIN: Final = 0.05


@dataclass(frozen=True, slots=True)
class Lag:
    """``lag_s``: so much later the voltage's time stamps are than the current's. ``explained``: share of the voltage's steps that
    the current's
    explain at that lag; ``before``: without it."""

    lag_s: float
    explained: float
    before: float


def find_lag(time_s: Floats, current_a: Floats, voltage_v: Floats, *, most_s: float = MOST_LAG_S) -> Lag | None:
    """The lag of the voltage [n] behind the current [n]; s, A, V with NaN for missing. None: too few or too small steps, or no lag
    explains them
    clearly better than none does."""
    own = np.isfinite(current_a) & np.isfinite(time_s)
    other = np.isfinite(voltage_v) & np.isfinite(time_s)
    if own.sum() < 30 or other.sum() < 30:
        return None
    step = float(np.clip(np.median(np.diff(time_s[own])), 0.1, 10.0))
    if not 50 <= (float(time_s[-1]) - float(time_s[0])) / step <= MOST_POINTS:
        return None
    grid = np.arange(float(time_s[0]), float(time_s[-1]), step)
    near = _near(grid, time_s[own], step) & _near(grid, time_s[other], step)
    current = np.interp(grid, time_s[own], current_a[own])
    voltage = np.interp(grid, time_s[other], voltage_v[other])
    rise_a, rise_v = np.diff(current), np.diff(voltage)
    use = near[1:] & near[:-1]
    spread = float(np.std(rise_a[use])) if use.any() else 0.0
    if spread <= 0 or int((np.abs(rise_a[use]) > 0.02 * np.abs(current[near]).max()).sum()) < LEAST_STEPS:
        return None
    most = int(most_s / step)
    shares = np.array([_explained(rise_a, rise_v, use, lag) for lag in range(-most, most + 1)])
    best = int(shares.argmax())
    lag, before = best - most, float(shares[most])
    if lag == 0 or shares[best] < LEAST_SHARE or shares[best] < before + LEAST_GAIN:
        return None
    shift = 0.0
    if 0 < best < len(shares) - 1:
        left, middle, right = (float(share) for share in shares[best - 1 : best + 2])
        bend = left - 2 * middle + right
        shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return Lag((lag + shift) * step, float(shares[best]), before)


def moved(time_s: Floats, values: Floats, lag_s: float) -> Floats:
    """Values whose time stamps are late by ``lag_s``, read at the times of the others; NaN where a gap lies between."""
    there = np.isfinite(values)
    if not there.any():
        return values
    step = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
    found = np.interp(time_s + lag_s, time_s[there], values[there], left=np.nan, right=np.nan)
    return np.where(_near(time_s + lag_s, time_s[there], max(2 * step, 1.0)), found, np.nan)


def _near(grid: Floats, times: Floats, most_s: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    place = np.searchsorted(times, grid)
    after = times[np.minimum(place, len(times) - 1)] - grid
    before = grid - times[np.maximum(place - 1, 0)]
    return np.asarray(np.minimum(np.abs(after), np.abs(before)) <= most_s)


def _explained(rise_a: Floats, rise_v: Floats, use: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], lag: int) -> float:
    """Share of the voltage's variance that currents ``lag`` steps earlier explain; 0 where the resistance would be negative."""
    if lag >= 0:
        x, y, both = rise_a[: len(rise_a) - lag], rise_v[lag:], use[: len(use) - lag] & use[lag:]
    else:
        x, y, both = rise_a[-lag:], rise_v[:lag], use[-lag:] & use[:lag]
    if both.sum() < LEAST_STEPS:
        return 0.0
    x, y = x[both] - x[both].mean(), y[both] - y[both].mean()
    down = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return max(float((x * y).sum()) / down, 0.0) ** 2 if down > 0 else 0.0
