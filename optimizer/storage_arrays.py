"""The batteries' columns and rows, written straight into arrays: the twin of :mod:`optimizer.storage_model`."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from optimizer.keys import Family, KeyArray, keys_of
from optimizer.problem import FloatArray, Problem
from optimizer.storage import StorageCosts, upper_kw

_Index = npt.NDArray[np.integer]


class Matrix(Protocol):
    """Where rows are put."""

    def block(self, *, lower: FloatArray, upper: FloatArray, keys: KeyArray) -> int: ...
    def put(self, rows: _Index, columns: _Index, values: FloatArray | float) -> None: ...


class StorageArrays:
    """Columns from ``first_column`` on. ``drawn``, ``given``, ``held``: by storage, then by slot; ``width``: all columns so far."""

    def __init__(self, problem: Problem, costs: StorageCosts | None, *, first_column: int) -> None:
        self._problem, self._costs = problem, costs
        count = len(problem.storages) * problem.n_slots if costs is not None else 0
        edges = np.cumsum([first_column, count, count, count])
        self.drawn, self.given, self.held = (np.arange(a, b, dtype=np.int32) for a, b in pairwise(edges))
        self.width = int(edges[-1])
        self.slot = np.arange(count, dtype=np.int32) % problem.n_slots
        self.storage = np.arange(count, dtype=np.int32) // problem.n_slots

    def put_totals(self, matrix: Matrix, first: int) -> None:
        """What they add to the rows of the totals, which are those of all slots."""
        matrix.put(first + self.slot, self.drawn, 1.0)
        matrix.put(first + self.slot, self.given, -1.0)

    def write(self, matrix: Matrix, *, totals: _Index, given: _Index, given_slots: _Index) -> None:
        """Their own rows. ``totals``: columns of all slots; ``given``: of what vehicles give, in ``given_slots``."""
        if not len(self.drawn):
            return
        problem, count = self._problem, len(self.drawn)
        hours = problem.hours[self.slot]
        eff = np.array([s.eff for s in problem.storages])[self.storage]
        first = matrix.block(lower=np.zeros(count), upper=np.zeros(count), keys=keys_of(Family.HOLDS, self.storage, self.slot))
        rows = first + np.arange(count)
        matrix.put(rows, self.drawn, eff * hours)
        matrix.put(rows, self.given, -hours / eff)
        matrix.put(rows, self.held, -1.0)
        follows = np.flatnonzero(self.slot > 0)
        matrix.put(first + follows, self.held[follows - 1], 1.0)
        m = len(given_slots)
        room = -problem.discharge_room_kw[given_slots]
        first = matrix.block(lower=room, upper=np.full(m, np.inf), keys=keys_of(Family.OUT, 0, given_slots))
        matrix.put(first + np.arange(m), totals[given_slots], 1.0)
        matrix.put(first + np.arange(m), given, -1.0)

    def name(self, column_keys: KeyArray) -> None:
        """Keys of its columns."""
        for family, columns in ((Family.STORAGE_DRAWN, self.drawn), (Family.STORAGE_GIVEN, self.given), (Family.STORAGE_HELD, self.held)):
            column_keys[columns] = keys_of(family, self.storage, self.slot)

    def bound(self, lower: FloatArray, upper: FloatArray, cost: FloatArray) -> None:
        """Bounds and costs of its columns."""
        if self._costs is None or not len(self.drawn):
            return
        problem = self._problem
        draws, gives = upper_kw(problem)
        upper[self.drawn], upper[self.given] = draws.ravel(), gives.ravel()
        bounds = np.array([s.held_bounds_kwh for s in problem.storages])
        lower[self.held], upper[self.held] = bounds[self.storage, 0], bounds[self.storage, 1]
        cost[self.drawn] = np.tile(self._costs.drawn, len(problem.storages))
        cost[self.given] = self._costs.given.ravel()
        cost[self.held] = self._costs.held.ravel()
