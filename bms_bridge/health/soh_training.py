"""Teaching state of health: what is learned from a table of charges with measured capacities, and how far it may be trusted.

    rows --thinned--> folds by cell ──> misses, distances ──> share, usual factors and distance
                      folds by batch ─> misses, distances ──> share, unusual factor (of the worst batch), farthest
                      all rows ───────> the three estimators

Everything that is chosen here (lengths of the kernel, share of the estimators, factors, distances) is chosen inside of the table that is
handed in. Who wants to know how good the result is keeps cells apart before (``benchmarks/soh.py`` does, fold by fold).
Needs scikit-learn (the extra ``analytics``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold

from bms_bridge.health import DataRefused
from bms_bridge.health.charge_table import ChargeTable
from bms_bridge.health.conformal import batch_factors, grouped_quantile, grouped_share
from bms_bridge.health.fade_network import FadeNetworks
from bms_bridge.health.features import Scale, comparable, since_new, steadied, thinned
from bms_bridge.health.files import Floats, Words
from bms_bridge.health.gauss import GaussianProcess, Kernel
from bms_bridge.health.likelihood import likeliest
from bms_bridge.health.novelty import Novelty
from bms_bridge.health.soh import Blend, Part, Placed, Said, Share, SohModel, Trio, mixed, placed
from bms_bridge.health.trees import Forest

THIRD: Share = (1 / 3, 1 / 3, 1 / 3)
MIDDLE_SHARES: tuple[Share, ...] = (THIRD, (0.5, 0.25, 0.25), (0.25, 0.5, 0.25), (0.25, 0.25, 0.5))
"""Of taught batches no estimator is left alone: some dozens of cells do not tell which one is better."""
SHARES: tuple[Share, ...] = (
    *MIDDLE_SHARES,
    (0.5, 0.5, 0.0),
    (0.5, 0.0, 0.5),
    (0.0, 0.5, 0.5),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.0, 1.0),
)
MOST_PLACED = 40
"""With more batches than these, nobody is told which one a charge is of."""
WORTH_KNOWING = 0.98
"""Estimators are told the batch where that makes their mean miss in cells kept apart so much smaller …"""
WORST = 0.1
"""… and that of so many of the worst cells no greater."""
LEAST_CELLS = 4
LEAST_ROWS = 60


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is learned: rows of each cell, rows of the process, rows from which its kernel is found, trees, folds
    by cell and by batch, steps towards the kernel, networks."""

    rows_per_cell: int = 30
    process_rows: int = 1_000
    kernel_rows: int = 300
    trees: int = 100
    folds: int = 5
    most_batches: int = 6
    kernel_steps: int = 40
    networks: int = 5


@dataclass(frozen=True, slots=True)
class Told:
    """What the estimators (process, forest, networks) said of rows that had not taught them, and how far those lay. ``mean``, ``off``
    [3, n]."""

    mean: Floats
    off: Floats
    distance: Floats

    def mixed(self, share: Share) -> Said:
        """Mean and deviation of the blend."""
        return mixed(list(zip(self.mean, self.off, strict=True)), share)


@dataclass(frozen=True, slots=True)
class Both:
    """The estimators that are not told the batch and those that are, half and half."""

    blind: Told
    knowing: Told

    def mixed(self, share: Share) -> Said:
        """Mean and deviation."""
        return mixed([self.blind.mixed(share), self.knowing.mixed(share)], (0.5, 0.5))


def train(table: ChargeTable, *, level: float = 0.9, last: int = 9, seed: int = 0, effort: Effort | None = None) -> SohModel:
    """Teach one kind of charge. DataRefused: fewer than four cells, or too few charges, with a measured capacity."""
    effort = effort or Effort()
    values = comparable(table)
    steady = steadied(values, table.cells, last)
    wide, new = since_new(values, steady, table)
    known = np.isfinite(table.soh)
    rows = thinned_rows(table.cells, known, effort)
    cells = set(table.cells[rows])
    if len(cells) < LEAST_CELLS or len(rows) < LEAST_ROWS:
        raise DataRefused(
            f"{table.kind}: {len(cells)} cells with {len(rows)} measured charges are too few; "
            f"at least {LEAST_CELLS} cells and {LEAST_ROWS} charges are needed"
        )
    random = np.random.default_rng(seed)
    names = tuple(sorted(set(map(str, table.batches))))
    plain, told = _part(steady[rows], table.rows(rows), names, level, effort, random)
    young, grown = thinned_rows(table.cells, known & new, effort), None
    if len(set(table.cells[young])) >= max(LEAST_CELLS, 0.7 * len(cells)) and len(young) >= LEAST_ROWS:
        grown, told_grown = _part(wide[young], table.rows(young), names, level, effort, random)
        told = {f"plain_{name}": value for name, value in told.items()} | told_grown
    soh = table.soh[rows]
    taught: dict[str, Any] = {
        "cells": len(cells),
        "charges": int(known.sum()),
        "lowest_soh": float(soh.min()),
        "highest_soh": float(soh.max()),
        "seed": seed,
    } | told
    chemistries = tuple(sorted(set(map(str, table.chemistries)) - {""}))
    return SohModel(table.kind, plain, grown, last, names, level, taught, chemistries)


def thinned_rows(cells: Words, wanted: NDArray[np.bool_], effort: Effort) -> NDArray[np.int64]:
    """The wanted rows, at most so many of each cell as the effort says."""
    there = np.flatnonzero(wanted)
    return there[thinned(cells[there], effort.rows_per_cell)]


def _part(
    values: Floats, table: ChargeTable, names: tuple[str, ...], level: float, effort: Effort, random: np.random.Generator
) -> tuple[Part, dict[str, float]]:
    """One blend with its factors, and what its folds by cell said of it."""
    soh, cells, batches = table.soh, table.cells, table.batches
    batch = np.array([names.index(str(one)) for one in batches], dtype=np.int64)
    blind = _kept_apart(values, soh, cells, cells, min(effort.folds, len(set(cells))), effort, random)
    by_cell: Told | Both = blind
    several = len(set(batches)) > 1
    by_batch = _kept_apart(values, soh, cells, batches, min(effort.most_batches, len(set(batches))), effort, random) if several else blind
    usual_share = _best_share(blind, soh, cells, MIDDLE_SHARES)
    own = None
    if several and len(names) <= MOST_PLACED:
        scale = Scale.of(values)
        points = placed(scale(values), batch, len(names))
        folds = min(effort.folds, len(set(cells)))
        both = Both(blind, _kept_apart(values, soh, cells, cells, folds, effort, random, (batch, len(names))))
        share = _best_share(both, soh, cells, MIDDLE_SHARES)
        better = _miss(both, share, soh, cells) < WORTH_KNOWING * _miss(blind, usual_share, soh, cells)
        if better and _miss(both, share, soh, cells, WORST) <= _miss(blind, usual_share, soh, cells, WORST):
            by_cell, usual_share = both, share
            own = Placed(_trio(points, soh, cells, find_kernel(points, soh, effort, random), effort, random))
    misses = _misses(by_cell, usual_share, soh)
    usual_factors = batch_factors(misses, cells, batch, len(names), level)
    usual_distance = grouped_quantile(blind.distance, cells, 0.98)
    farthest = max(1.25 * usual_distance, min(3 * usual_distance, grouped_quantile(by_batch.distance, cells, level)))
    unusual_share, unusual_factor = _best_share(blind, soh, cells), float("inf")
    if several:
        unusual_share = _best_share(by_batch, soh, cells)
        off = _misses(by_batch, unusual_share, soh)
        within = by_batch.distance <= farthest
        factors = [
            grouped_quantile(off[rows], cells[rows], (1 + level) / 2) for rows in ((batches == one) & within for one in set(batches))
        ]
        unusual_factor = max(float(usual_factors.max()), *(factor for factor in factors if np.isfinite(factor)), 0.0)
    mean, _ = by_cell.mixed(usual_share)
    told = {
        "mae_by_cell": float(np.mean(np.abs(mean - soh))),
        "coverage_by_cell": grouped_share(misses <= usual_factors[batch], cells),
    }
    if several:
        told["mae_by_batch"] = float(np.mean(np.abs(by_batch.mixed(unusual_share)[0] - soh)))
    kernel = find_kernel(Scale.of(values)(values), soh, effort, random)
    blend = teach(values, soh, cells, kernel, effort, random=random)
    return Part(blend, usual_factors, unusual_factor, usual_distance, farthest, usual_share, unusual_share, own), told


def teach(values: Floats, soh: Floats, cells: Words, kernel: Kernel, effort: Effort, *, random: np.random.Generator) -> Blend:
    """The estimators and the distance, from comparable features and measured health; the kernel is given. Rows lie in the order of cells
    and cycles."""
    scale = Scale.of(values)
    return Blend(scale, _trio(scale(values), soh, cells, kernel, effort, random), Novelty.of(scale.free(values)))


def _trio(points: Floats, soh: Floats, cells: Words, kernel: Kernel, effort: Effort, random: np.random.Generator) -> Trio:
    some = spread_rows(cells, effort.process_rows, random)
    stored = points[some].astype(np.float32).astype(np.float64)
    process = GaussianProcess(kernel, stored, soh[some], float(soh.mean()), float(soh.std()) or 1.0)
    forest = grow(points, soh, effort.trees, int(random.integers(2**31)))
    return Trio(process, forest, FadeNetworks.fit(points, soh, cells, effort.networks, seed=int(random.integers(2**31))))


def find_kernel(scaled: Floats, soh: Floats, effort: Effort, random: np.random.Generator) -> Kernel:
    """Lengths and variances of largest likelihood, from some of the rows."""
    some = random.permutation(len(soh))[: effort.kernel_rows]
    return likeliest(scaled[some], (soh[some] - soh.mean()) / (soh.std() or 1.0), effort.kernel_steps)


def grow(scaled: Floats, target: Floats, trees: int, seed: int) -> Forest:
    """A forest of extremely randomised trees, as arrays. Single thread: depots have slow, shared machines."""
    fitted = ExtraTreesRegressor(trees, min_samples_leaf=3, max_features=0.5, random_state=seed, n_jobs=1).fit(scaled, target)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    roots, at, depth = [], 0, 0
    for estimator in fitted.estimators_:
        tree = estimator.tree_
        own = np.arange(at, at + tree.node_count)
        leaf = tree.children_left < 0
        parts["feature"].append(np.where(leaf, 0, tree.feature))
        parts["threshold"].append(np.where(leaf, 0.0, tree.threshold))
        parts["left"].append(np.where(leaf, own, tree.children_left + at))
        parts["right"].append(np.where(leaf, own, tree.children_right + at))
        parts["value"].append(tree.value[:, 0, 0])
        roots.append(at)
        at += tree.node_count
        depth = max(depth, int(tree.max_depth))
    joined = {name: np.concatenate(pieces) for name, pieces in parts.items()}
    return Forest(
        np.array(roots, dtype=np.int32),
        joined["feature"].astype(np.int16),
        joined["threshold"].astype(np.float64),
        joined["left"].astype(np.int32),
        joined["right"].astype(np.int32),
        joined["value"].astype(np.float32),
        depth,
    )


def spread_rows(cells: Words, most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """At most ``most`` rows, drawn so that every cell has about as many."""
    if len(cells) <= most:
        return np.arange(len(cells))
    _, which, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    weights = 1.0 / sizes[which]
    return np.sort(random.choice(len(cells), most, replace=False, p=weights / weights.sum()))


def _kept_apart(
    values: Floats,
    soh: Floats,
    cells: Words,
    groups: Words,
    folds: int,
    effort: Effort,
    random: np.random.Generator,
    batches: tuple[NDArray[np.int64], int] | None = None,
) -> Told:
    """What estimators say of each row that were taught without its group, kernel and all; ``batches``: of each row, and how many,
    where estimators are told them."""
    mean, off = np.full((2, 3, len(soh)), np.nan)
    distance = np.full(len(soh), np.nan)
    for taught, kept in GroupKFold(folds, shuffle=True, random_state=int(random.integers(2**31))).split(values, groups=groups):
        scale = Scale.of(values[taught])
        points, asked = scale(values[taught]), scale(values[kept])
        if batches is not None:
            batch, count = batches
            points, asked = placed(points, batch[taught], count), placed(asked, batch[kept], count)
        kernel = find_kernel(points, soh[taught], effort, random)
        trio = _trio(points, soh[taught], cells[taught], kernel, effort, random)
        distance[kept] = Novelty.of(scale.free(values[taught])).distance(scale.free(values[kept]))
        mean[0, kept], off[0, kept] = trio.process.predict(asked)
        mean[1, kept], off[1, kept] = trio.forest.predict(asked)
        mean[2, kept], off[2, kept] = trio.networks.predict(asked)
    return Told(mean, off, distance)


def _misses(told: Told | Both, share: Share, soh: Floats) -> Floats:
    mean, deviation = told.mixed(share)
    return np.asarray(np.abs(mean - soh) / np.maximum(deviation, 1e-6))


def _best_share(told: Told | Both, soh: Floats, cells: Words, shares: tuple[Share, ...] = SHARES) -> Share:
    """The share with the least mean miss; each cell counts the same."""
    return min(shares, key=lambda share: _miss(told, share, soh, cells))


def _miss(told: Told | Both, share: Share, soh: Floats, cells: Words, worst: float = 1.0) -> float:
    """Mean over cells, each counting the same; of a share of them, the worst ones."""
    _, which, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    by_cell = np.sort(np.bincount(which, weights=np.abs(told.mixed(share)[0] - soh)) / sizes)
    return float(np.mean(by_cell[-max(round(worst * len(by_cell)), 1) :]))
