"""Control charts on robust scales: each pack beside its cohort (EWMA), and its change beside the cohort's change (CUSUM). Pure.

    values [packs, days] --temperature and age taken out--> EWMA --median, MAD of the cohort--> level z
                         --less its own beginning---------> change z --sum of what is beyond--> CUSUM

Packs differ when they are new, and go on differing: a level alone finds what was always so. The change asks what became of it, and
is measured by how differently the others of the cohort have changed, so that a fleet that ages unevenly raises no alarms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.anomalies.cohorts import LEAST_PACKS, Grid, alike
from bms_bridge.health.files import Floats

EWMA: Final = 0.2
LEVEL_SIGMAS: Final = 6.0
CUSUM_SLACK: Final = 3.0
CUSUM_LIMIT: Final = 15.0
BEGINNING: Final = 14
"""Readings from which a pack's own beginning is known."""

AGE_MATCHED_D: Final = 60.0
MOST_PAIRED: Final = 150
"""With more packs than this the line over age is drawn through pairs of a younger and an older one, not through all pairs."""

CONFIRM_DAYS: Final = 5

FLOORS: Final = {"spread_v": 0.004, "resistance_ohm": 0.03, "self_discharge": 0.0005, "relaxation_v": 0.002, "stripping_v": 0.0005}
"""A cohort's scatter is never taken for less (resistance: a share of the cohort's median)."""


@dataclass(frozen=True, slots=True)
class Charted:
    """Of one signal [packs, days]: ``smooth`` (EWMA, temperature taken out), ``usual``: of the cohort at that age;
    ``level`` and ``change`` in robust sigmas, ``cusum`` of the change; NaN where there is no cohort or no reading yet. ``read``: the days
    with a reading."""

    signal: str
    smooth: Floats
    usual: Floats
    level: Floats
    change: Floats
    cusum: Floats
    read: NDArray[np.bool_]

    def out(self) -> Floats:
        """1.0 where the pack is out of control at the :data:`CONFIRM_DAYS` th reading in a row. A day without a reading confirms nothing:
        one odd reading of a signal that is seldom told is no alert."""
        with np.errstate(invalid="ignore"):
            beyond = (self.level > LEVEL_SIGMAS) & (self.change > CUSUM_SLACK) | (self.cusum > CUSUM_LIMIT)
        run = np.zeros(beyond.shape)
        for day in range(beyond.shape[1]):
            before = run[:, day - 1] if day else np.zeros(len(run))
            run[:, day] = np.where(self.read[:, day], np.where(beyond[:, day], before + 1, 0), before)
        return (run >= CONFIRM_DAYS).astype(np.float64)


def charted(grid: Grid, signal: str) -> Charted:
    """The charts of one signal over all packs and days."""
    shape = grid.values[signal].shape
    read = np.isfinite(grid.values[signal])
    blank = [np.full(shape, np.nan) for _ in range(5)]
    found = Charted(signal, blank[0], blank[1], blank[2], blank[3], blank[4], read)
    for group in range(len(grid.cohorts)):
        own = alike(grid, group)
        values = _at_one_temperature(grid.values[signal][own], grid.temperature_c[own])
        if np.isfinite(values).any(axis=1).sum() < LEAST_PACKS:
            continue
        floor = FLOORS[signal] * (abs(float(np.nanmedian(values))) if signal == "resistance_ohm" else 1.0)
        smooth = ewma(values)
        usual, level = beside(smooth, grid.age_d[own], floor)
        change = beside(smooth - _beginning(values), grid.age_d[own], floor)[1]
        found.smooth[own], found.usual[own], found.level[own], found.change[own] = smooth, usual, level, change
        found.cusum[own] = cusum(np.where(read[own], change, np.nan))
    return found


def ewma(values: Floats) -> Floats:
    """Exponentially weighted means along the days; a day without a reading keeps the mean of before."""
    found = np.full(values.shape, np.nan)
    mean = np.full(len(values), np.nan)
    for day in range(values.shape[1]):
        new = values[:, day]
        mean = np.where(np.isfinite(new), np.where(np.isfinite(mean), (1 - EWMA) * mean + EWMA * new, new), mean)
        found[:, day] = mean
    return found


def cusum(sigmas: Floats) -> Floats:
    """Sum of what goes beyond :data:`CUSUM_SLACK`, never below 0; a day without a reading (NaN) changes nothing."""
    total = np.zeros(len(sigmas))
    found = np.zeros(sigmas.shape)
    for day in range(sigmas.shape[1]):
        total = np.maximum(0.0, total + np.nan_to_num(np.clip(sigmas[:, day], -10, 10), nan=CUSUM_SLACK) - CUSUM_SLACK)
        found[:, day] = total
    return found


def beside(values: Floats, age_d: Floats, floor: float) -> tuple[Floats, Floats]:
    """What is usual for each pack's age on each day, and how far it lies from that in robust sigmas, above positive.

    ``floor``: the least scatter. Few packs tell their scatter badly: it is taken for larger, by 1 + 5/n."""
    usual, sigmas = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    for day in range(values.shape[1]):
        there = np.isfinite(values[:, day])
        count = int(there.sum())
        if count < LEAST_PACKS:
            continue
        x = values[there, day]
        expected = np.full(count, np.median(x))
        age = age_d[there, day]
        if count > LEAST_PACKS + 1 and np.isfinite(age).all() and age.std() > AGE_MATCHED_D:
            expected = _by_age(age, x)
        left = x - expected
        scale = max(1.4826 * float(np.median(np.abs(left))) * (1 + 5 / count), floor)
        usual[there, day], sigmas[there, day] = expected, left / scale
    return usual, sigmas


def _by_age(age: Floats, x: Floats) -> Floats:
    """The robust straight line (Theil and Sen) of the signal over age."""
    if len(x) <= MOST_PAIRED:
        one, other = np.triu_indices(len(x), 1)
    else:  # the younger half beside the older one: all pairs would be millions
        order = np.argsort(age, kind="stable")
        half = len(x) // 2
        one, other = order[:half], order[-half:]
    apart = np.abs(age[one] - age[other]) > 1.0
    slope = float(np.median((x[one] - x[other])[apart] / (age[one] - age[other])[apart])) if apart.any() else 0.0
    return np.asarray(np.median(x - slope * age) + slope * age, dtype=np.float64)


def _at_one_temperature(values: Floats, temperature_c: Floats) -> Floats:
    """Values less what the cohort shows to be the temperature's influence (one slope for all, within packs)."""
    with np.errstate(invalid="ignore"):
        both = np.isfinite(values) & np.isfinite(temperature_c)
        count = np.maximum(both.sum(axis=1, keepdims=True), 1)
        off = np.where(both, temperature_c - np.where(both, temperature_c, 0).sum(axis=1, keepdims=True) / count, 0.0)
        from_mean = np.where(both, values - np.where(both, values, 0).sum(axis=1, keepdims=True) / count, 0.0)
    weight = float((off**2).sum())
    if not both.any() or weight < 1.0 * both.sum():  # less than 1 K of scatter tells nothing
        return values
    slope = float((off * from_mean).sum()) / weight
    return np.asarray(values - slope * off, dtype=np.float64)


def _beginning(values: Floats) -> Floats:
    """Each pack's median over its first :data:`BEGINNING` readings, from the last of them on; NaN before [packs, days]."""
    there = np.isfinite(values)
    first = np.argsort(~there, axis=1, kind="stable")[:, :BEGINNING]
    count = np.cumsum(there, axis=1)
    middle = np.full(len(values), np.nan)
    known = count[:, -1] > BEGINNING
    middle[known] = np.median(np.take_along_axis(values[known], first[known], axis=1), axis=1)
    return np.asarray(np.where(count >= BEGINNING, middle[:, None], np.nan), dtype=np.float64)
