"""A cell that falls out of a string which somebody balances without telling it. Pure.

    charge differences --median of five--> how far behind --+-- the other cells lie close together: a balancer holds them
                                                            +-- one cell is far behind, the furthest, and further than weeks ago
                                                            +-- a line, no step

A passive balancer bleeds all cells but the lowest, so a leak shows only by what exceeds the balancer, and no drift is large enough by
itself. But what a balancer holds together is ten times closer together than what nothing balances: in such a string a cell far
behind is one that the balancer cannot help. A leak that the balancer can follow stays hidden, and makes no event either.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bms_bridge.anomalies.lines import Flags, Ints, Readings, lines, medians, no_step
from bms_bridge.health.files import Floats

SMOOTHED: Final = 5
BEHIND: Final = 0.012
"""Share of the charge that the cell lies behind, at least: twice what an exchanged sensor or the balancer's own threshold make."""

GROWN: Final = 0.008
SINCE_D: Final = 21
MOST_SINCE_D: Final = 35
TIGHT: Final = 0.006
"""Robust scatter of the string in charge below which somebody must balance it."""

BEHIND_SIGMAS: Final = 4.0
GROWN_SIGMAS: Final = 3.0
LEAST_SCATTER: Final = 0.001
CONFIRM: Final = 3
STEP_WINDOW_D: Final = 14
"""In this window a line must explain the cell better than a step does."""

MOST_AT_ONCE: Final = 0.85
"""Share of what it has grown by that may have come from three readings to the next three: more is a sensor, or work by hand."""


def falls_out(readings: Readings, chosen: Ints, owner: Ints, line_up: Ints) -> Flags:
    """Of the ``chosen`` readings which cells have fallen out of their string [chosen, cells]; one that did so stays out until it has come
    back. ``owner``: each reading's pack; ``line_up``: its day, packs far apart."""
    behind = -readings.values
    smooth = _smoothed(behind, owner)
    scale = np.maximum(1.4826 * medians(np.abs(smooth - medians(smooth)[:, None])), LEAST_SCATTER)
    off = smooth - medians(smooth)[:, None]
    before = np.searchsorted(line_up, line_up - SINCE_D, side="right") - 1
    known = (before >= 0) & (owner[np.maximum(before, 0)] == owner) & (line_up - line_up[np.maximum(before, 0)] <= MOST_SINCE_D)
    grown = np.where(known[:, None], smooth - smooth[np.maximum(before, 0)], np.nan)
    grown -= medians(grown)[:, None]
    grown_scale = np.maximum(1.4826 * medians(np.abs(grown)), LEAST_SCATTER)[:, None]
    with np.errstate(invalid="ignore"):
        far = (off > BEHIND) & (off > BEHIND_SIGMAS * scale[:, None]) & (scale < TIGHT)[:, None]
        far &= (grown > GROWN) & (grown > GROWN_SIGMAS * grown_scale) & (off >= np.nan_to_num(off, nan=-1.0).max(axis=1, keepdims=True))
        back = ~(off > BEHIND)
    sure = far.copy()
    for ago in range(1, CONFIRM):
        sure[ago:] &= far[:-ago] & (owner[ago:] == owner[:-ago])[:, None]
        sure[:ago] = False
    ends = np.flatnonzero(sure.any(axis=1))
    if len(ends):
        low = np.maximum(np.searchsorted(line_up, line_up[ends] - STEP_WINDOW_D, side="right"), 0)
        sure[ends] &= _jump(behind, ends, before[ends]) < MOST_AT_ONCE * grown[ends]
        sure[ends] &= no_step(readings, low, ends, lines(readings, low, ends), np.arange(len(ends)))
    return _until_back(sure, back, owner)[chosen]


def _jump(values: Floats, ends: Ints, begins: Ints) -> Floats:
    """The most that a cell's median of three readings rose to the next three between ``begins`` and ``ends`` [ends, cells]."""
    threes = np.sort(np.stack([values[ago : len(values) - 2 + ago] for ago in range(3)]), axis=0)[1]
    rose = threes[3:] - threes[:-3]  # [k]: readings k+3 to k+5 less k to k+2
    place = begins[:, None] - SMOOTHED + np.arange(int((ends - begins).max()) + SMOOTHED)
    place = np.clip(place, 0, np.maximum(ends - 5, 0)[:, None])
    return np.asarray(np.max(np.nan_to_num(rose[place], nan=0.0), axis=1), dtype=np.float64)


def _smoothed(values: Floats, owner: Ints) -> Floats:
    """Medians of each reading and the four before it; NaN where there are fewer [n, cells]."""
    found = np.full(values.shape, np.nan)
    if len(values) < SMOOTHED:
        return found
    last = np.arange(SMOOTHED - 1, len(values))
    near = np.sort(np.stack([values[last - ago] for ago in range(SMOOTHED)]), axis=0)[SMOOTHED // 2]
    whole = np.isfinite(np.stack([values[last - ago] for ago in range(SMOOTHED)])).all(axis=0)
    found[last] = np.where(whole & (owner[last] == owner[last - SMOOTHED + 1])[:, None], near, np.nan)
    return found


def _until_back(sure: Flags, back: Flags, owner: Ints) -> Flags:
    """Sure, and all readings of the same pack after it until the cell is back."""
    place = np.arange(len(sure))[:, None]
    first = np.zeros(len(sure), dtype=np.int64)
    first[1:] = np.where(owner[1:] != owner[:-1], np.arange(1, len(sure)), 0)
    first = np.maximum.accumulate(first)[:, None]
    last_sure = np.maximum.accumulate(np.where(sure, place, -1), axis=0)
    last_back = np.maximum.accumulate(np.where(back, place, -1), axis=0)
    return np.asarray((last_sure >= first) & (last_sure > last_back), dtype=np.bool_)
