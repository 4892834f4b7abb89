"""Milestones and shared shortages, written straight into arrays: the twin of :mod:`optimizer.stays_model`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer.keys import Family, KeyArray, keys_of
from optimizer.problem import FloatArray, Problem
from optimizer.stays import SHARE_EDGES, Mark, StayCosts, extra_kwh, least_marks, most_marks, share_bounds_kwh

if TYPE_CHECKING:
    from optimizer.compiled import Shape
    from optimizer.storage_arrays import Matrix

_Index = npt.NDArray[np.integer]


class StayArrays:
    """Columns from ``first_column`` on: ``extra``, ``short``, ``share``; ``width``: all columns so far."""

    def __init__(self, problem: Problem, costs: StayCosts | None, shape: Shape, *, first_column: int) -> None:
        self._problem, self._costs, self._shape = problem, costs, shape
        asks = costs is not None and any(v.milestones for v in problem.vehicles)
        self._least = list(least_marks(problem, shape.usable, shape.lends)) if asks else []
        beyond = {i: extra_kwh(problem.vehicles[i]) for i in sorted({mark.vehicle for _, mark, _ in self._least})}
        self._beyond = {i: kwh for i, kwh in beyond.items() if kwh > 0}
        shares = costs is not None and costs.share is not None
        self._sharing = np.array([i for i in shape.needy.tolist() if problem.vehicles[i].energy_kwh > 0] if shares else [], dtype=np.int32)
        edges = np.cumsum([first_column, len(self._beyond), len(self._least), len(self._sharing) * len(SHARE_EDGES)])
        self.extra, self.short, self.share = (np.arange(a, b, dtype=np.int32) for a, b in pairwise(edges))
        self.width = int(edges[-1])

    def put_energy(self, matrix: Matrix, first: int) -> None:
        """What they add to the energy rows, which are those of the needy vehicles."""
        matrix.put(first + np.searchsorted(self._shape.needy, list(self._beyond)), self.extra, -1.0)

    def write(self, matrix: Matrix, *, cells: _Index, unmet: _Index, giving: _Index) -> None:
        """Their own rows."""
        problem = self._problem
        if self._least:
            bounds = np.array([kwh for _, _, kwh in self._least])
            keys = keys_of(Family.LEAST, *_places([mark for _, mark, _ in self._least]))
            first = matrix.block(lower=bounds, upper=np.full(len(bounds), np.inf), keys=keys)
            for row, (_, mark, _) in enumerate(self._least, start=first):
                self._put_received(matrix, row, mark.vehicle, mark.milestone.by_slot, cells=cells, giving=giving)
            matrix.put(first + np.arange(len(bounds)), self.short, 1.0)
        if bounded := list(most_marks(problem, self._shape.usable)):
            bounds = np.array([kwh for _, kwh in bounded])
            keys = keys_of(Family.MOST, *_places([mark for mark, _ in bounded]))
            first = matrix.block(lower=np.full(len(bounds), -np.inf), upper=bounds, keys=keys)
            for row, (mark, _) in enumerate(bounded, start=first):
                self._put_received(matrix, row, mark.vehicle, mark.milestone.by_slot, cells=cells, giving=giving)
        if len(self._sharing):
            count = len(self._sharing)
            free = np.array([share_bounds_kwh(problem.vehicles[i])[0] for i in self._sharing])
            first = matrix.block(lower=np.full(count, -np.inf), upper=free, keys=keys_of(Family.SHARES, self._sharing))
            matrix.put(first + np.arange(count), unmet[np.searchsorted(self._shape.needy, self._sharing)], 1.0)
            matrix.put(first + np.repeat(np.arange(count), len(SHARE_EDGES)), self.share, -1.0)

    def name(self, keys: KeyArray) -> None:
        """Keys of its columns."""
        keys[self.extra] = keys_of(Family.EXTRA, np.array(list(self._beyond), dtype=np.int64))
        keys[self.short] = keys_of(Family.SHORT, *_places([mark for _, mark, _ in self._least]))
        count = len(SHARE_EDGES)
        keys[self.share] = keys_of(Family.SHARE, np.repeat(self._sharing, count), 0, np.tile(np.arange(count), len(self._sharing)))

    def bound(self, upper: FloatArray, cost: FloatArray) -> None:
        """Bounds and costs of its columns."""
        upper[self.extra] = list(self._beyond.values())
        if self._costs is None:
            return
        cost[self.short] = self._costs.short[[place for place, _, _ in self._least]]
        if self._costs.share is not None and len(self._sharing):
            upper[self.share] = np.concatenate([share_bounds_kwh(self._problem.vehicles[i])[1] for i in self._sharing])
            cost[self.share] = self._costs.share[self._sharing].ravel()

    def _put_received(self, matrix: Matrix, row: int, i: int, by_slot: int, *, cells: _Index, giving: _Index) -> None:
        """Battery energy of a vehicle before a slot."""
        shape, hours, eff = self._shape, self._problem.hours, self._problem.vehicles[i].eff
        low, high = np.searchsorted(shape.vehicle, (i, i + 1)).tolist()
        high = low + int(np.searchsorted(shape.slot[low:high], by_slot))
        matrix.put(np.full(high - low, row), cells[low:high], eff * hours[shape.slot[low:high]])
        a, b = np.searchsorted(shape.gives, (low, high)).tolist()
        matrix.put(np.full(b - a, row), giving[a:b], -hours[shape.slot[shape.gives[a:b]]] / eff)


def _places(its: Sequence[Mark]) -> _Index:
    """[vehicle, slot, part] × mark."""
    return np.array([mark.places for mark in its], dtype=np.int64).reshape(-1, 3).T
