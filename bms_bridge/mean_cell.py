"""The voltage of a pack's mean cell, from all cells that belong to it.

A cell that lies :data:`ODD_V` or more from the middle of its pack is dead, or its wire is broken: one at 2 V among twelve would move the
mean by 160 mV, a sixth of the charge. It is left out of the mean, and :func:`odd_cells` names it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.float64] | NDArray[np.float32]

ODD_V: Final = 0.3
"""Cells of one string, charged and discharged together, do not differ by so much while all of them live."""
LEAST_CELLS: Final = 3
"""Of fewer nobody can say which one is odd."""


def mean_cell_v(cells_v: Cells, *, least_share: float = 0.5) -> Floats:
    """[n] V from [n, cells] V, NaN where a cell was not told. NaN: fewer than ``least_share`` of the cells were told."""
    told = np.isfinite(cells_v)
    count = told.sum(axis=1)
    mean = np.where(told, cells_v, 0.0).sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
    if cells_v.shape[1] >= LEAST_CELLS:
        highest, lowest = np.where(told, cells_v, -np.inf).max(axis=1), np.where(told, cells_v, np.inf).min(axis=1)
        for row in np.flatnonzero((count >= LEAST_CELLS) & (highest - lowest >= ODD_V)):
            own = cells_v[row][told[row]].astype(np.float64)
            mean[row] = own[_belongs(own)].mean()
    return np.where((count > 0) & (count >= least_share * cells_v.shape[1]), mean, np.nan)


def odd_cells(cells_v: Cells) -> list[int]:
    """Numbers, from 1, of the cells [cells] that are left out of the mean."""
    told = np.flatnonzero(np.isfinite(cells_v))
    if len(told) < LEAST_CELLS:
        return []
    return [int(one) + 1 for one in told[~_belongs(cells_v[told].astype(np.float64))]]


def _belongs(own: Floats) -> NDArray[np.bool_]:
    """Which cells lie near the middle; all of them where fewer than half do."""
    near = np.abs(own - np.median(own)) < ODD_V
    return near if 2 * int(near.sum()) >= len(own) else np.ones(len(own), dtype=np.bool_)
