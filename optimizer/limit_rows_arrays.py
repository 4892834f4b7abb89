"""The rows of feeders and caps, written straight into arrays: the twin of :mod:`optimizer.limit_rows_model`."""

from __future__ import annotations

import numpy as np

from optimizer.keys import Family, keys_of
from optimizer.limit_rows import BoolArray, IntArray, binding, binding_back
from optimizer.problem import FloatArray, Problem
from optimizer.storage_arrays import Matrix


class LimitArrays:
    """``vehicle``, ``slot``: of each cell, sorted by vehicle; ``gives``: the cells in which a vehicle may give, whose columns are
    ``giving``; ``drawn``: the columns of what stationary batteries draw, by battery and slot, none where they stay out."""

    def __init__(
        self, problem: Problem, *, usable: BoolArray, vehicle: IntArray, slot: IntArray, gives: IntArray, giving: IntArray, drawn: IntArray
    ) -> None:
        self._problem, self._rows, self._drawn = problem, problem.limit_rows, drawn
        self._usable, self._vehicle, self._slot, self._gives, self._giving = usable, vehicle, slot, gives, giving
        self._given = np.zeros_like(usable)
        self._given[vehicle[gives], slot[gives]] = True

    def write(self, matrix: Matrix) -> None:
        """What is drawn."""
        rows = self._rows
        binds = binding(self._problem, self._usable, gives=self._given, storages=len(self._drawn) > 0)
        number, first = self._block(matrix, binds, rows.room_kw, Family.FEEDER, Family.CAP)
        if not binds.any():
            return
        entry, cell = self._entries(self._vehicle, self._slot, binds)
        matrix.put(first + number[rows.row[entry], self._slot[cell]], cell, rows.weight[entry])
        entry, n = self._entries(self._vehicle[self._gives], self._slot[self._gives], binds)
        against = rows.weight[entry] < 0
        entry, n = entry[against], n[against]
        matrix.put(first + number[rows.row[entry], self._slot[self._gives[n]]], self._giving[n], -rows.weight[entry])
        if len(self._drawn):
            drawn = self._drawn.reshape(len(self._problem.storages), self._problem.n_slots)
            battery, k = np.nonzero(binds[rows.storage_row])
            row = rows.storage_row[battery]
            matrix.put(first + number[row, k], drawn[rows.storage[battery], k], rows.storage_weight[battery])

    def write_back(self, matrix: Matrix) -> None:
        """What is given."""
        rows = self._rows
        binds = binding_back(self._problem, self._given)
        number, first = self._block(matrix, binds, rows.gives_kw, Family.BACK, Family.CAP_BACK)
        if binds.any():
            entry, n = self._entries(self._vehicle[self._gives], self._slot[self._gives], binds)
            matrix.put(first + number[rows.row[entry], self._slot[self._gives[n]]], self._giving[n], rows.weight[entry])

    def _entries(self, vehicle: IntArray, slot: IntArray, binds: BoolArray) -> tuple[IntArray, IntArray]:
        """Pairs (entry of the rows, cell) that belong together in rows that are written."""
        rows = self._rows
        begins = np.searchsorted(vehicle, np.arange(len(self._problem.vehicles) + 1))
        lengths = np.diff(begins)[rows.vehicle]
        entry = np.repeat(np.arange(len(rows.vehicle)), lengths)
        cell = np.arange(len(entry)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + begins[rows.vehicle[entry]]
        written = binds[rows.row[entry], slot[cell]]
        return entry[written].astype(np.int32), cell[written].astype(np.int32)

    def _block(self, matrix: Matrix, binds: BoolArray, most_kw: FloatArray, of_feeders: Family, of_caps: Family) -> tuple[IntArray, int]:
        """New rows for what binds: which of them is that of a row and slot, and the number of the first."""
        number = (np.cumsum(binds.ravel()).reshape(binds.shape) - 1).astype(np.int32)
        row, slot = np.nonzero(binds)
        n = len(self._problem.feeders)
        keys = np.where(row < n, keys_of(of_feeders, row, slot), keys_of(of_caps, np.maximum(row - n, 0), slot))
        return number, matrix.block(lower=np.full(len(row), -np.inf), upper=most_kw[binds], keys=keys)
