"""The planning model once more, written straight into arrays: what :mod:`optimizer.model` says, thirty times as fast.

The Pyomo model is the reference, to be read and changed first; this twin is what runs in the loop, where a new plan is
wanted every few minutes. A test holds both together: the same rows and the same columns for random depots.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from optimizer.model import Compiled, Costs, IntArray
from optimizer.problem import FloatArray, Problem

_Index = npt.NDArray[np.integer]


class _Matrix:
    """Coefficients and bounds of rows, collected block by block."""

    def __init__(self) -> None:
        self._rows: list[_Index] = []
        self._columns: list[_Index] = []
        self._values: list[FloatArray] = []
        self._lower: list[FloatArray] = []
        self._upper: list[FloatArray] = []
        self.height = 0

    def block(self, *, lower: FloatArray, upper: FloatArray) -> int:
        """New rows; returns the number of the first."""
        first = self.height
        self._lower.append(lower)
        self._upper.append(upper)
        self.height += len(lower)
        return first

    def put(self, rows: _Index, columns: _Index, values: FloatArray | float) -> None:
        """One coefficient per (row, column)."""
        self._rows.append(rows)
        self._columns.append(columns)
        self._values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), rows.shape))

    def compiled(self, width: int) -> tuple[FloatArray, FloatArray, IntArray, IntArray, FloatArray]:
        """Row bounds and the matrix by columns."""
        place = (np.concatenate(self._rows), np.concatenate(self._columns))
        matrix = coo_array((np.concatenate(self._values), place), shape=(self.height, width)).tocsc()
        bounds = np.concatenate(self._lower), np.concatenate(self._upper)
        return *bounds, matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), np.asarray(matrix.data, dtype=np.float64)


def build(problem: Problem, costs: Costs) -> Compiled:
    """As :func:`optimizer.model.build`. Columns: cells, unmet, totals, peak (where it costs), imports."""
    started = perf_counter()
    need = np.array([v.energy_kwh for v in problem.vehicles])
    eff = np.array([v.eff for v in problem.vehicles])
    on_feeder = np.array([-1 if v.feeder is None else v.feeder for v in problem.vehicles])
    needy = np.flatnonzero(need > 0).astype(np.int32)
    usable = (problem.upper_kw > 0) & (need > 0)[:, None]
    vehicle, slot = (index.astype(np.int32) for index in np.nonzero(usable))
    slots = np.unique(slot)
    sunny = slots[costs.imported[slots] != 0]
    n, m, s = len(vehicle), len(needy), len(slots)
    cells = np.arange(n, dtype=np.int32)
    unmet = np.arange(n, n + m, dtype=np.int32)
    totals = np.arange(n + m, n + m + s, dtype=np.int32)
    peaks = np.arange(n + m + s, n + m + s + bool(costs.peak), dtype=np.int32)
    imports = np.arange(len(peaks) + n + m + s, len(peaks) + n + m + s + len(sunny), dtype=np.int32)
    width = n + m + s + len(peaks) + len(sunny)
    of_slot = np.searchsorted(slots, slot).astype(np.int32)

    matrix = _Matrix()
    first = matrix.block(lower=need[needy], upper=need[needy])
    matrix.put(first + np.searchsorted(needy, vehicle), cells, eff[vehicle] * problem.hours[slot])
    matrix.put(first + np.arange(m), unmet, 1.0)

    first = matrix.block(lower=np.zeros(s), upper=np.zeros(s))
    matrix.put(first + of_slot, cells, 1.0)
    matrix.put(first + np.arange(s), totals, -1.0)

    binding = problem.feeder_sums(np.where(usable, problem.upper_kw, 0.0)) > problem.feeder_room_kw
    number = np.cumsum(binding.ravel()).reshape(binding.shape) - 1  # [feeder × slot] which of the rows that are written
    first = matrix.block(lower=np.full(int(binding.sum()), -np.inf), upper=problem.feeder_room_kw[binding])
    if binding.any():
        bound = (on_feeder[vehicle] >= 0) & binding[on_feeder[vehicle], slot]
        matrix.put(first + number[on_feeder[vehicle[bound]], slot[bound]], cells[bound], 1.0)

    if len(peaks):
        background = problem.block_means(problem.background_kw)
        block = problem.blocks[slots]
        blocks = np.unique(block)
        hours = np.bincount(problem.blocks, problem.hours)
        first = matrix.block(lower=np.full(len(blocks), -np.inf), upper=-background[blocks])
        matrix.put(first + np.searchsorted(blocks, block), totals, problem.hours[slots] / hours[block])
        matrix.put(first + np.arange(len(blocks)), np.repeat(peaks, len(blocks)), -1.0)

    first = matrix.block(lower=np.full(len(sunny), -np.inf), upper=-problem.background_kw[sunny])
    matrix.put(first + np.arange(len(sunny)), totals[np.searchsorted(slots, sunny)], 1.0)
    matrix.put(first + np.arange(len(sunny)), imports, -1.0)

    lower, upper, cost = np.zeros(width), np.full(width, np.inf), np.zeros(width)
    lower[cells], upper[cells], cost[cells] = problem.lower_kw[usable], problem.upper_kw[usable], costs.cell[usable]
    cost[unmet] = costs.unmet[needy]
    if costs.site_limited:
        upper[totals] = problem.room_kw[slots]
    lower[peaks], cost[peaks] = costs.peak_from_kw, costs.peak
    cost[imports] = costs.imported[sunny]
    written = perf_counter()
    row_lower, row_upper, starts, rows, values = matrix.compiled(width)
    return Compiled(
        cost=cost,
        lower=lower,
        upper=upper,
        row_lower=row_lower,
        row_upper=row_upper,
        starts=starts,
        rows=rows,
        values=values,
        cells=cells,
        unmet=unmet,
        vehicle=vehicle,
        slot=slot,
        needy=needy,
        build_s=written - started,
        compile_s=perf_counter() - written,
    )
