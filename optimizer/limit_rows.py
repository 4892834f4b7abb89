"""Limits on sums of powers, feeders and caps alike, as the rows that a model needs of them.

    feeders (with all that hangs below them), caps --limit_rows()--> who counts how much in which row --binding()--> rows to write

A row is written only for the slots in which it can bind: where what could flow at most, feeder by feeder from below and no more
than the ones below let through, exceeds the room. The Pyomo model and its twin in arrays ask here which rows there are, and
write them each in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer import feeders as fd
from optimizer.series import FloatArray

if TYPE_CHECKING:
    from optimizer.problem import Problem

IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class LimitRows:
    """The rows: feeders first, then caps. Entry e says that ``vehicle[e]`` counts with ``weight[e]`` in ``row[e]``, sorted by row;
    the same for stationary batteries. ``limit_kw`` [row × slot] as given; ``room_kw``: at least what floors make of it.
    ``gives_kw``: what may be given, infinite where nothing is said of it."""

    row: IntArray
    vehicle: IntArray
    weight: FloatArray
    storage_row: IntArray
    storage: IntArray
    storage_weight: FloatArray
    limit_kw: FloatArray
    room_kw: FloatArray
    gives_kw: FloatArray

    def of_vehicles(self, count: int) -> list[list[tuple[int, float]]]:
        """Of each of ``count`` vehicles: the rows in which it counts, and its weight there."""
        found: list[list[tuple[int, float]]] = [[] for _ in range(count)]
        for row, vehicle, weight in zip(self.row.tolist(), self.vehicle.tolist(), self.weight.tolist(), strict=True):
            found[vehicle].append((row, weight))
        return found

    def sums(self, power_kw: FloatArray, weight: FloatArray | None = None) -> FloatArray:
        """[row × slot] weighted sums of ``power_kw`` [vehicle × slot]; ``weight``: other ones, by entry."""
        return _sums(self.row, self.vehicle, self.weight if weight is None else weight, power_kw, self.limit_kw.shape)


def limit_rows(problem: Problem) -> LimitRows:
    """All rows of ``problem`` that limit sums of powers."""
    entries = [(f, i, 1.0) for i, v in enumerate(problem.vehicles) if v.feeder is not None for f in problem.feeder_paths[v.feeder]]
    batteries = [(f, s, 1.0) for s, b in enumerate(problem.storages) if b.feeder is not None for f in problem.feeder_paths[b.feeder]]
    n = len(problem.feeders)
    for c, cap in enumerate(problem.caps):
        entries += [(n + c, i, weight) for i, weight in cap.weights.items()]
        batteries += [(n + c, s, weight) for s, weight in cap.storages.items()]
    row, vehicle, weight = _columns(sorted(entries))
    storage_row, storage, storage_weight = _columns(sorted(batteries))
    limits = [feeder.limit_kw for feeder in problem.feeders] + [cap.limit_kw for cap in problem.caps]
    limit = np.array(limits, dtype=np.float64).reshape(-1, problem.n_slots)
    sided = np.array([True] * n + [cap.one_sided for cap in problem.caps], dtype=bool)
    return LimitRows(
        row=row,
        vehicle=vehicle,
        weight=weight,
        storage_row=storage_row,
        storage=storage,
        storage_weight=storage_weight,
        limit_kw=limit,
        room_kw=np.maximum(limit, _sums(row, vehicle, weight, problem.lower_kw, limit.shape)),
        gives_kw=np.where(sided[:, None], np.maximum(limit, 0.0), np.inf),
    )


def binding(problem: Problem, usable: BoolArray, *, gives: BoolArray | None, storages: bool) -> BoolArray:
    """[row × slot] whether it can bind. ``usable`` [vehicle × slot]: the cells; ``gives``: those in which a vehicle may give;
    ``storages``: whether batteries draw."""
    rows, n = problem.limit_rows, len(problem.feeders)
    upper = np.where(usable, problem.upper_kw, 0.0)
    most = rows.sums(upper, np.maximum(rows.weight, 0.0))
    if gives is not None:
        most += rows.sums(np.where(gives, problem.discharge_upper_kw, 0.0), np.maximum(-rows.weight, 0.0))
    if storages:
        draws = np.array([s.charge_kw for s in problem.storages], dtype=np.float64)
        np.add.at(most, rows.storage_row, (rows.storage_weight * draws[rows.storage])[:, None])
    most[:n] = _through(problem, upper, storages=storages)
    found: BoolArray = most > rows.room_kw
    return found


def binding_back(problem: Problem, gives: BoolArray) -> BoolArray:
    """[row × slot] whether what is given can exceed what may be; ``gives`` [vehicle × slot]: the cells in which that is."""
    rows = problem.limit_rows
    found: BoolArray = rows.sums(np.where(gives, problem.discharge_upper_kw, 0.0)) > rows.gives_kw
    return found


def _through(problem: Problem, upper: FloatArray, *, storages: bool) -> FloatArray:
    """[feeder × slot] the most that can flow through each: what is on it, and what the feeders below let through."""
    feeders, tree = problem.feeders, problem.feeder_paths
    flat = [fd.Feeder(feeder.id, feeder.limit_kw) for feeder in feeders]
    alone = fd.paths(flat)
    most = fd.sums(flat, alone, places=[v.feeder for v in problem.vehicles], power_kw=upper)
    if storages:
        draws = np.outer([s.charge_kw for s in problem.storages], np.ones(problem.n_slots))
        most += fd.sums(flat, alone, places=[s.feeder for s in problem.storages], power_kw=draws)
    for place in fd.from_below(feeders, tree):
        parent = feeders[place].parent
        if parent is not None:
            most[parent] += np.minimum(most[place], problem.limit_rows.room_kw[place])
    return most


def _columns(entries: list[tuple[int, int, float]]) -> tuple[IntArray, IntArray, FloatArray]:
    row, thing = (np.array([entry[n] for entry in entries], dtype=np.int32) for n in (0, 1))
    return row, thing, np.array([entry[2] for entry in entries], dtype=np.float64)


def _sums(row: IntArray, thing: IntArray, weight: FloatArray, power_kw: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    sums = np.zeros(shape)
    if len(row):
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        sums[row[starts]] = np.add.reduceat(weight[:, None] * power_kw[thing], starts, axis=0)
    return sums
