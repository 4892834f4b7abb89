"""The heat columns and rows, written straight into arrays: the twin of :mod:`optimizer.heat_model`."""

from __future__ import annotations

import numpy as np

from optimizer.heat import Index, heat_rows
from optimizer.keys import Family, KeyArray, keys_of
from optimizer.problem import FloatArray, Problem
from optimizer.storage_arrays import Matrix


class HeatArrays:
    """Columns from ``first_column`` on, one for each cell of a vehicle that could pass its ceiling; ``width``: all columns so far."""

    def __init__(self, problem: Problem, vehicle: Index, slot: Index, *, first_column: int) -> None:
        self._rows = heat_rows(problem, vehicle, slot)
        self._vehicle, self._slot = vehicle[self._rows.cells], slot[self._rows.cells]
        self.width = first_column + len(self._rows.cells)
        self._rise = np.arange(first_column, self.width, dtype=np.int32)

    def write(self, matrix: Matrix, *, giving: Index, gives: Index) -> None:
        """``giving``: the columns of what is given, in the cells ``gives``. The cells' own columns are their places."""
        rows = self._rows
        count = len(rows.cells)
        first = matrix.block(lower=np.full(count, -np.inf), upper=np.zeros(count), keys=keys_of(Family.HEAT, self._vehicle, self._slot))
        matrix.put(first + np.arange(count), rows.cells, rows.per_kw)
        matrix.put(first + np.arange(count), self._rise, -1.0)
        follows = np.flatnonzero(rows.keep)
        matrix.put(first + follows, self._rise[follows - 1], rows.keep[follows])
        place = np.searchsorted(rows.cells, gives)
        mine = np.flatnonzero(np.isin(gives, rows.cells))
        matrix.put(first + place[mine], giving[mine], rows.per_kw[place[mine]])

    def name(self, column_keys: KeyArray) -> None:
        """Keys of its columns."""
        column_keys[self._rise] = keys_of(Family.RISE, self._vehicle, self._slot)

    def bound(self, upper: FloatArray) -> None:
        """Most rise."""
        upper[self._rise] = self._rows.most_k
