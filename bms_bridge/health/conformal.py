"""Intervals that hold for a cell that was never seen: quantiles of misses, in which every cell counts the same.

A miss is |measured − estimated| in multiples of the estimator's own deviation, of charges of cells that the estimator had not been
taught. Charges of one cell resemble one another: a hundred of them say little more than one. So each cell has the weight one, and the
cell to come has one, too, with an infinite miss (hierarchical conformal prediction: Lee, Barber and Willett, 2023; Dunn, Wasserman
and Ramdas, 2018). With n cells the interval covers a charge of the next cell with the level asked for, if that cell is drawn like the
n; with fewer than level/(1 − level) cells nobody can promise that, and the largest miss is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def grouped_quantile(misses: Floats, groups: Sequence[object] | NDArray[np.str_], level: float) -> float:
    """The factor for deviations, so that ``level`` (0–1) of the charges of a new group lie within; see the module. ``misses`` [n] ≥ 0."""
    if not len(misses):
        return float("inf")
    _, which, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    weights = 1.0 / (sizes[which] * (len(sizes) + 1))
    order = np.argsort(misses, kind="stable")
    reached = np.cumsum(weights[order])
    enough = np.flatnonzero(reached >= level - 1e-12)
    return float(misses[order[enough[0]]] if len(enough) else misses.max())


def grouped_share(inside: NDArray[np.bool_], groups: Sequence[object] | NDArray[np.str_]) -> float:
    """Share of what is true, each group counting the same; NaN without any."""
    if not len(inside):
        return float("nan")
    _, which, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(which, weights=inside) / sizes))
