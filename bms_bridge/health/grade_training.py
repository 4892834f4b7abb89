"""Teaching grades: one Gaussian process per kind of cell, and how sure it must be, from folds by cell.

    pulses --folds by cell--> misses, probabilities --> spread, factor, least probability
           --all---------> the process

How sure a grade must be is one number for all kinds of cells, set so that of the taught cells about :data:`ABSTAIN` of the pulses would
have been sent to a test, in the mean over the kinds: doubt is then spent where it is worth most.
Needs scikit-learn (the extra ``analytics``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from bms_bridge.health import DataRefused
from bms_bridge.health.conformal import grouped_quantile
from bms_bridge.health.features import Scale
from bms_bridge.health.files import Floats, Words
from bms_bridge.health.gauss import GaussianProcess
from bms_bridge.health.grading import GradeModel, GradePart, band_of, band_probabilities, shape_of
from bms_bridge.health.novelty import Novelty
from bms_bridge.health.pulse_table import PulseTable
from bms_bridge.health.soh_training import Effort, find_kernel, spread_rows

ABSTAIN = 0.08
LEVEL = 0.9
LEAST_CELLS = 8
EFFORT = Effort(rows_per_cell=40, process_rows=1_200, kernel_rows=280, trees=0, folds=5, most_batches=0, kernel_steps=30)


@dataclass(frozen=True, slots=True)
class _Taught:
    scale: Scale
    process: GaussianProcess
    novelty: Novelty


def train_grades(table: PulseTable, *, seed: int = 0, effort: Effort = EFFORT) -> dict[str, GradeModel]:
    """One model per kind of cell with at least eight measured cells. DataRefused: no kind has so many."""
    found: dict[str, GradeModel] = {}
    sure: dict[str, dict[str, Floats]] = {"counted": {}, "blind": {}}
    for kind in sorted(set(map(str, table.kinds))):
        own = table.rows((table.kinds == kind) & np.isfinite(table.soh))
        cells = len(set(own.cells))
        if cells < LEAST_CELLS:
            continue
        random = np.random.default_rng(seed)
        blind, sure["blind"][kind], told = _part(shape_of(own, counted=False), own.soh, own.cells, effort, random)
        taught: dict[str, Any] = {"cells": cells, "pulses": len(own), "seed": seed, "blind": told}
        counted, with_soc = None, np.isfinite(own.soc)
        if len(set(own.cells[with_soc])) >= LEAST_CELLS:
            some = own.rows(with_soc)
            counted, sure["counted"][kind], told = _part(shape_of(some, counted=True), some.soh, some.cells, effort, random)
            taught["counted"] = told
        found[kind] = GradeModel(kind, counted, blind, taught)
    if not found:
        raise DataRefused(
            f"no kind of cell has {LEAST_CELLS} cells with a measured health (the column SOH, a share); nothing can be learned"
        )
    least = {name: least_probability(list(by_kind.values())) for name, by_kind in sure.items()}
    return {
        kind: replace(
            model,
            counted=None if model.counted is None else replace(model.counted, least_probability=least["counted"]),
            blind=replace(model.blind, least_probability=least["blind"]),
        )
        for kind, model in found.items()
    }


def least_probability(sure: Sequence[Floats], share: float = ABSTAIN) -> float:
    """How probable a band must be to be told, the same for all kinds of cells: so that ``share`` of the pulses are sent to a test in the
    mean over the kinds. ``sure``: probabilities of the likeliest bands, per kind."""
    if not sure:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        sent = float(np.mean([np.mean(of_kind < middle) for of_kind in sure]))
        low, high = (middle, high) if sent <= share else (low, middle)
    return low


def _part(
    shapes: Floats, soh: Floats, cells: Words, effort: Effort, random: np.random.Generator
) -> tuple[GradePart, Floats, dict[str, float]]:
    """One process with its factors (how sure it must be is still open), how sure it was of cells kept apart, and how right."""
    mean, deviation, distance = np.empty(len(soh)), np.empty(len(soh)), np.empty(len(soh))
    folds = GroupKFold(min(effort.folds, len(set(cells))), shuffle=True, random_state=int(random.integers(2**31)))
    for taught, kept in folds.split(shapes, groups=cells):
        one = _teach(shapes[taught], soh[taught], cells[taught], effort, random)
        scaled = one.scale(shapes[kept])
        mean[kept], deviation[kept] = one.process.predict(scaled)
        distance[kept] = one.novelty.distance(one.scale.free(shapes[kept]))
    off = np.abs(mean - soh)
    spread = float(np.sqrt(np.mean((off / deviation) ** 2)))
    probability = band_probabilities(mean, spread * deviation)
    best = probability.max(axis=1)
    farthest = 1.5 * grouped_quantile(distance, cells, 0.98)
    factor = grouped_quantile(off / (spread * deviation), cells, LEVEL)
    told = {"mae": float(off.mean()), "right": float((probability.argmax(axis=1) == band_of(soh)).mean())}
    whole = _teach(shapes, soh, cells, effort, random)
    return GradePart(whole.scale, whole.process, whole.novelty, spread, 1.0, farthest, factor), best, told


def _teach(shapes: Floats, soh: Floats, cells: Words, effort: Effort, random: np.random.Generator) -> _Taught:
    """The kernel is found from these rows alone: cells that are kept apart would look easier than new ones."""
    scale = Scale.of(shapes)
    scaled = scale(shapes)
    kernel = find_kernel(scaled, soh, effort, random)
    some = spread_rows(cells, effort.process_rows, random)
    points = scaled[some].astype(np.float32).astype(np.float64)
    return _Taught(
        scale, GaussianProcess(kernel, points, soh[some], float(soh.mean()), float(soh.std()) or 1.0), Novelty.of(scale.free(shapes))
    )
