"""The sixteen numbers of a partial charge, made comparable: per nominal Ah, logarithms of what spans decades, calmed by the charges before.

    table --comparable--> [n, 16] --steadied--> median of each cell's last charges (never of later ones)

No cycle count, no age and no earlier capacity takes part. A pack whose history nobody knows can be estimated from its next charges; one
that was heard of since it was new is compared with its own first charges, too (:func:`since_new`): cells differ when they are new, and
that says little of their fade.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bms_bridge.health.charge_table import FEATURES, ChargeTable
from bms_bridge.health.files import Floats, Words

PER_AH = ("CC_Q", "CV_Q", "current_mean", "current_std", "current_slope")
DECADES = ("CC_Q", "CV_Q", "CC_charge_time", "CV_charge_time", "voltage_slope", "current_slope")
LEAST = 1e-6
FARTHEST = 8.0
FIRST = 8
"""So many charges make a cell's beginning; fewer say too little …"""
SETTLED = 32
"""… and with so many it is over. A new cell's very first charges are unlike those that follow (it settles), so more count as they come."""
YOUNG_CYCLE = 10.0


def comparable(table: ChargeTable) -> Floats:
    """[n, 16]: charge and currents per nominal Ah; the natural logarithm of the size of what spans decades."""
    found = table.features.copy()
    for name in PER_AH:
        found[:, FEATURES.index(name)] /= table.nominal_ah
    for name in DECADES:
        column = FEATURES.index(name)
        found[:, column] = np.log(np.abs(found[:, column]) + LEAST)
    return found


def steadied(values: Floats, cells: Words, last: int) -> Floats:
    """The median of each cell's ``last`` charges up to and with each one; rows lie in the order of cells and cycles."""
    if last <= 1 or not len(values):
        return values
    starts = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    since = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    there = np.minimum(since + 1, last)
    found = np.empty_like(values)
    for count in np.unique(there):
        rows = np.flatnonzero(there == count)
        found[rows] = _middle(np.stack([values[rows - back] for back in range(count)]))
    return found


def _middle(stacked: Floats) -> Floats:
    """The median along the first axis; ``stacked`` is put in order. Twice as fast as NumPy's for a handful of numbers each."""
    stacked.sort(axis=0)
    count = len(stacked)
    return np.asarray((stacked[(count - 1) // 2] + stacked[count // 2]) / 2)


def since_new(values: Floats, steady: Floats, table: ChargeTable) -> tuple[Floats, NDArray[np.bool_]]:
    """``steady`` and how far it lies from the median of the cell's own first charges, [n, 32]; and for which rows that is known: from the
    eighth charge on, of cells whose first charge in the table was one of their first ten. First charges are the first thirty-two, of those
    only that came before. ``values``: before they were steadied."""
    starts = np.flatnonzero(np.r_[True, table.cells[1:] != table.cells[:-1]]) if len(values) else np.empty(0, dtype=np.int64)
    sizes = np.diff(np.r_[starts, len(values)])
    new = (table.cycles[starts] <= YOUNG_CYCLE) & (sizes >= FIRST)
    since = np.arange(len(values)) - np.repeat(starts, sizes)
    young = np.repeat(new, sizes) & (since >= FIRST - 1)
    first = values.copy()
    for count in range(FIRST, SETTLED + 1):
        known = np.flatnonzero(new & (sizes >= count))
        if not len(known):
            break
        middle = _middle(values[starts[known] + np.arange(count)[:, None]])
        rows = starts[known] + count - 1
        first[rows] = middle
        if count == SETTLED:
            over = sizes[known] - count
            later = np.repeat(rows + 1, over) + np.arange(over.sum()) - np.repeat(np.cumsum(over) - over, over)
            first[later] = np.repeat(middle, over, axis=0)
    return np.hstack([steady, steady - first]), young


def thinned(cells: Words, most: int) -> NDArray[np.int64]:
    """At most ``most`` rows of each cell, evenly over its life; so that a cell that lived long does not teach more than others."""
    starts = np.flatnonzero(np.r_[True, cells[1:] != cells[:-1]])
    ends = np.r_[starts[1:], len(cells)]
    chosen = [
        begin + np.unique(np.linspace(0, end - begin - 1, min(most, end - begin)).astype(np.int64))
        for begin, end in zip(starts, ends, strict=True)
    ]
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)


class Scale:
    """Where each feature lies in the taught charges, and how far it spreads there: median, and half of the middle 68 %."""

    __slots__ = ("middle", "spread")

    def __init__(self, middle: Floats, spread: Floats) -> None:
        self.middle, self.spread = middle, spread

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """From the taught charges [n, d]."""
        low, middle, high = np.quantile(values, (0.16, 0.5, 0.84), axis=0)
        wide = np.maximum((high - low) / 2, 1e-3 * np.maximum(values.std(axis=0), 1e-9))
        return cls(middle, wide)

    def __call__(self, values: Floats) -> Floats:
        """In spreads from the middle, held within ±8: what lies beyond is told by :mod:`novelty`, not by estimators."""
        return np.clip(self.free(values), -FARTHEST, FARTHEST)

    def free(self, values: Floats) -> Floats:
        """The same, not held."""
        return np.asarray((values - self.middle) / self.spread)
