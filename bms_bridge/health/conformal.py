"""Intervals that hold for a cell that was never seen: quantiles of misses, in which every cell counts the same.

A miss is |measured − estimated| in multiples of the estimator's own deviation, of charges of cells that the estimator had not been
taught. Charges of one cell resemble one another: a hundred of them say little more than one. So each cell has the weight one, and the
cell to come has one, too, with an infinite miss (hierarchical conformal prediction: Lee, Barber and Willett, 2023; Dunn, Wasserman
and Ramdas, 2018). With n cells the interval covers a charge of the next cell with the level asked for, if that cell is drawn like the
n; with fewer than level/(1 − level) cells nobody can promise that, and the largest miss is taken.

That holds over all taught batches together: one batch, whose cells are all missed alike, may stay far below. So each batch has a scale
of its own (:func:`batch_factors`), drawn towards that of all as far as its few cells leave it open (random effects, variances by the
analysis of variance: Searle, Casella and McCulloch, Variance Components, 1992, chapter 3). A cell's misses are divided by the scale that
the *other* cells give its batch, and the quantile of those is taken: then the next cell is again drawn like the n, and the promise stands.
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


def batch_factors(misses: Floats, cells: Sequence[object] | NDArray[np.str_], batch: NDArray[np.int64], count: int, level: float) -> Floats:
    """[count]: the factor of each taught batch; see the module. ``batch`` [n]: a cell's number is that of its first row. Where nothing is
    known of differences (one batch, or no second cell in any) it is :func:`grouped_quantile` for all."""
    if not len(misses):
        return np.full(count, np.inf)
    _, first, which, sizes = np.unique(np.asarray(cells), return_index=True, return_inverse=True, return_counts=True)
    of = batch[first]
    size = 0.5 * np.log(np.maximum(np.bincount(which, weights=misses**2) / sizes, 1e-12))
    each = np.arange(len(sizes))
    scale = np.exp(np.array([batch_scales(size[each != cell], of[each != cell], count)[of[cell]] for cell in each]))
    return grouped_quantile(misses / scale[which], np.asarray(cells), level) * np.exp(batch_scales(size, of, count))


def batch_scales(size: Floats, of: NDArray[np.int64], count: int) -> Floats:
    """[count]: the mean of each batch's cells, drawn towards that of all batches. ``size`` [cells]; ``of`` [cells]: their batches. Nothing
    but zeros where differences of batches cannot be told from those of cells."""
    cells = np.bincount(of, minlength=count).astype(np.float64)
    there = cells > 0
    free = len(size) - int(there.sum())
    if there.sum() < 2 or free < 2:
        return np.zeros(count)
    mean = np.bincount(of, weights=size, minlength=count) / np.maximum(cells, 1.0)
    within = float(np.sum((size - mean[of]) ** 2)) / free
    batches = int(there.sum()) - 1
    usual = (len(size) - float(np.sum(cells**2)) / len(size)) / batches
    between = (float(np.sum(cells * (mean - size.mean()) ** 2)) / batches - within) / usual
    if between <= 0:
        return np.zeros(count)
    weight = there / (between + within / np.maximum(cells, 1.0))
    middle = float(np.sum(weight * mean) / weight.sum())
    return np.asarray(between * weight * (mean - middle))


def grouped_share(inside: NDArray[np.bool_], groups: Sequence[object] | NDArray[np.str_]) -> float:
    """Share of what is true, each group counting the same; NaN without any."""
    if not len(inside):
        return float("nan")
    _, which, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(which, weights=inside) / sizes))
