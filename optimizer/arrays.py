"""The planning model once more, written straight into arrays: what :mod:`optimizer.model` says, thirty times as fast.

The Pyomo model is the reference, to be read and changed first; this twin is what runs, in the loop and everywhere else. A test
holds both together: the same rows and the same columns for random depots, called by the same keys (:mod:`optimizer.keys`).
"""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from optimizer.compiled import Compiled, Costs, IntArray, Shape, levels_of, shape_of
from optimizer.heat_arrays import HeatArrays
from optimizer.keys import NO_KEY, Family, KeyArray, keys_of
from optimizer.life_bands import with_bands
from optimizer.limit_rows_arrays import LimitArrays
from optimizer.pieces import counted_blocks, groups, over_background_kw
from optimizer.problem import FloatArray, Problem, level_bounds_kwh
from optimizer.stays_arrays import StayArrays
from optimizer.storage_arrays import StorageArrays

_Index = npt.NDArray[np.integer]


class _Matrix:
    """Coefficients, bounds and keys of rows, collected block by block."""

    def __init__(self) -> None:
        self._rows: list[_Index] = []
        self._columns: list[_Index] = []
        self._values: list[FloatArray] = []
        self._lower: list[FloatArray] = []
        self._upper: list[FloatArray] = []
        self._keys: list[KeyArray] = []
        self.height = 0

    def block(self, *, lower: FloatArray, upper: FloatArray, keys: KeyArray) -> int:
        """New rows; returns the number of the first."""
        first = self.height
        self._keys.append(keys)
        self._lower.append(lower)
        self._upper.append(upper)
        self.height += len(lower)
        return first

    def put(self, rows: _Index, columns: _Index, values: FloatArray | float) -> None:
        """One coefficient per (row, column)."""
        self._rows.append(rows)
        self._columns.append(columns)
        self._values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), rows.shape))

    @property
    def keys(self) -> KeyArray:
        """Keys of all rows."""
        return np.concatenate(self._keys)

    def compiled(self, width: int) -> tuple[FloatArray, FloatArray, IntArray, IntArray, FloatArray]:
        """Row bounds and the matrix by columns."""
        place = (np.concatenate(self._rows), np.concatenate(self._columns))
        matrix = coo_array((np.concatenate(self._values), place), shape=(self.height, width)).tocsc()
        bounds = np.concatenate(self._lower), np.concatenate(self._upper)
        return *bounds, matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), np.asarray(matrix.data, dtype=np.float64)


def build(problem: Problem, costs: Costs) -> Compiled:
    """As :func:`optimizer.model.build`. Columns: cells, unmet, totals, peak (where it costs), imports; what is given, its sums,
    levels and exports; stationary batteries; demand pieces; what milestones ask for; heat."""
    started = perf_counter()
    need = np.array([v.energy_kwh for v in problem.vehicles])
    eff = np.array([v.eff for v in problem.vehicles])
    shape = shape_of(problem, costs)
    needy, usable, vehicle, slot = shape.needy, shape.usable, shape.vehicle, shape.slot
    slots = shape.slots
    sunny = slots[costs.imported[slots] != 0]
    n, m, s = len(vehicle), len(needy), len(slots)
    cells = np.arange(n, dtype=np.int32)
    unmet = np.arange(n, n + m, dtype=np.int32)
    totals = np.arange(n + m, n + m + s, dtype=np.int32)
    peaks = np.arange(n + m + s, n + m + s + bool(costs.peak), dtype=np.int32)
    imports = np.arange(len(peaks) + n + m + s, len(peaks) + n + m + s + len(sunny), dtype=np.int32)
    lent = _Lent(problem, costs, shape, sunny, first_column=n + m + s + len(peaks) + len(sunny))
    storage = StorageArrays(problem, costs.storage, first_column=lent.width)
    pieces = _Pieces(problem, costs, slots, first_column=storage.width)
    stays = StayArrays(problem, costs.stays, shape, first_column=pieces.width)
    heat = HeatArrays(problem, vehicle, slot, first_column=stays.width)
    of_slot = np.searchsorted(slots, slot).astype(np.int32)

    matrix = _Matrix()
    first = matrix.block(lower=need[needy], upper=need[needy], keys=keys_of(Family.ENERGY, needy))
    matrix.put(first + np.searchsorted(needy, vehicle), cells, eff[vehicle] * problem.hours[slot])
    matrix.put(first + np.arange(m), unmet, 1.0)
    matrix.put(first + np.searchsorted(needy, vehicle[shape.gives]), lent.giving, -lent.hours / lent.eff)
    stays.put_energy(matrix, first)

    first = matrix.block(lower=np.zeros(s), upper=np.zeros(s), keys=keys_of(Family.TOTALS, 0, slots))
    matrix.put(first + of_slot, cells, 1.0)
    matrix.put(first + np.arange(s), totals, -1.0)
    storage.put_totals(matrix, first)

    limits = LimitArrays(problem, usable=usable, vehicle=vehicle, slot=slot, gives=shape.gives, giving=lent.giving, drawn=storage.drawn)
    limits.write(matrix)

    means = _Means(problem, slots=slots, totals=totals, lent=lent)
    if len(peaks):
        means.write(matrix, problem.windows.holding(slots), column=int(peaks[0]), free_kw=0.0, family=Family.PEAKS)
    pieces.write(matrix, means)

    most = -problem.background_kw[sunny]
    first = matrix.block(lower=np.full(len(sunny), -np.inf), upper=most, keys=keys_of(Family.IMPORTS, 0, sunny))
    matrix.put(first + np.arange(len(sunny)), totals[np.searchsorted(slots, sunny)], 1.0)
    matrix.put(first + np.arange(len(sunny)), imports, -1.0)
    crossing = np.isin(lent.slots, sunny)
    matrix.put(first + np.searchsorted(sunny, lent.slots[crossing]), lent.given[crossing], -1.0)
    matrix.put(first + np.searchsorted(sunny, lent.sold), lent.exports, 1.0)
    lent.write(matrix)
    limits.write_back(matrix)
    storage.write(matrix, totals=totals, given=lent.given, given_slots=lent.slots)
    stays.write(matrix, cells=cells, unmet=unmet, giving=lent.giving)
    heat.write(matrix, giving=lent.giving, gives=shape.gives)

    width = heat.width
    lower, upper, cost = np.zeros(width), np.full(width, np.inf), np.zeros(width)
    lower[cells], upper[cells], cost[cells] = problem.lower_kw[usable], problem.upper_kw[usable], costs.cell[usable]
    cost[unmet] = costs.unmet[needy]
    if costs.site_limited:
        upper[totals] = problem.room_kw[slots]
    if costs.storage is not None:
        lower[totals] = -problem.discharge_room_kw
    lower[peaks], cost[peaks] = costs.peak_from_kw, costs.peak
    cost[imports] = costs.imported[sunny]
    lent.bound(lower, upper, cost)
    storage.bound(lower, upper, cost)
    pieces.bound(lower, cost)
    stays.bound(upper, cost)
    heat.bound(upper)
    column_keys = np.full(width, NO_KEY, dtype=np.int64)
    column_keys[cells] = keys_of(Family.P, vehicle, slot)
    column_keys[unmet] = keys_of(Family.UNMET, needy)
    column_keys[totals] = keys_of(Family.TOTAL, 0, slots)
    column_keys[peaks] = keys_of(Family.PEAK)
    column_keys[imports] = keys_of(Family.IMPORTED, 0, sunny)
    lent.name(column_keys)
    storage.name(column_keys)
    pieces.name(column_keys)
    stays.name(column_keys)
    heat.name(column_keys)
    written = perf_counter()
    row_lower, row_upper, starts, rows, values = matrix.compiled(width)
    plain = Compiled(
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
        totals=totals,
        total_slots=slots,
        giving=lent.giving,
        gives=shape.gives,
        storage_drawn=storage.drawn,
        storage_given=storage.given,
        column_keys=column_keys,
        row_keys=matrix.keys,
        build_s=written - started,
        compile_s=perf_counter() - written,
    )
    return with_bands(problem, costs.steep, plain)


class _Means:
    """Rows that hold the mean of demand blocks."""

    def __init__(self, problem: Problem, *, slots: _Index, totals: IntArray, lent: _Lent) -> None:
        self._problem, self._slots, self._totals, self._lent = problem, slots, totals, lent
        self._background = problem.block_means(problem.background_kw)

    def write(self, matrix: _Matrix, blocks: _Index, *, column: int, free_kw: float, family: Family, who: int = 0) -> None:
        """Mean of each of ``blocks`` ≤ ``free_kw`` + what ``column`` says."""
        problem, lent = self._problem, self._lent
        windows = problem.windows
        keys = keys_of(family, who, windows.last_slots[blocks], windows.last_parts[blocks])
        first = matrix.block(lower=np.full(len(blocks), -np.inf), upper=free_kw - self._background[blocks], keys=keys)
        for columns, slots, sign in ((self._totals, self._slots, 1.0), (lent.given, lent.slots, -1.0)):
            of_block, of_slot, share = windows.parts(blocks, slots)
            matrix.put(first + of_block, columns[of_slot], sign * share)
        matrix.put(first + np.arange(len(blocks)), np.full(len(blocks), column), -1.0)


class _Pieces:
    """Demand pieces: a column each, and one more for each group of several, from ``first_column`` on."""

    def __init__(self, problem: Problem, costs: Costs, slots: _Index, *, first_column: int) -> None:
        self._problem, self._weight = problem, costs.pieces
        reached = problem.windows.holding(slots)
        wanted = enumerate(problem.demand_pieces) if costs.pieces else ()
        found = {p: np.intersect1d(counted_blocks(problem, piece), reached) for p, piece in wanted}
        self._blocks = {p: blocks for p, blocks in found.items() if len(blocks)}
        self._over = {p: first_column + k for k, p in enumerate(self._blocks)}
        its = ([p for p in members if p in self._over] for members in groups(problem).values())
        several = [members for members in its if len(members) > 1]
        self._dear = {first_column + len(self._over) + k: members for k, members in enumerate(several)}
        self.width = first_column + len(self._over) + len(self._dear)

    def write(self, matrix: _Matrix, means: _Means) -> None:
        """What is above free in each block that counts, and the dearest of a group."""
        for p, blocks in self._blocks.items():
            free_kw = self._problem.demand_pieces[p].free_kw
            means.write(matrix, blocks, column=self._over[p], free_kw=free_kw, family=Family.PIECE, who=p)
        for dear, members in self._dear.items():
            keys = keys_of(Family.DEAREST, np.array(members))
            first = matrix.block(lower=np.full(len(members), -np.inf), upper=np.zeros(len(members)), keys=keys)
            rows, per_kw = first + np.arange(len(members)), np.array([self._problem.demand_pieces[p].per_kw for p in members])
            matrix.put(rows, np.array([self._over[p] for p in members]), per_kw)
            matrix.put(rows, np.full(len(members), dear), -1.0)

    def name(self, column_keys: KeyArray) -> None:
        """Keys of its columns."""
        for p, column in self._over.items():
            column_keys[column] = keys_of(Family.OVER, p)[0]
        for column, members in self._dear.items():
            column_keys[column] = keys_of(Family.DEAR, members[0])[0]

    def bound(self, lower: FloatArray, cost: FloatArray) -> None:
        """Bounds and costs of its columns."""
        grouped = {p for members in self._dear.values() for p in members}
        for p, column in self._over.items():
            lower[column] = over_background_kw(self._problem, self._problem.demand_pieces[p])
            cost[column] = 0.0 if p in grouped else self._weight * self._problem.demand_pieces[p].per_kw
        for column in self._dear:
            cost[column] = self._weight


class _Lent:
    """What vehicles may give: its columns from ``first_column`` on, and its rows. ``hours``, ``eff``: of each such cell;
    ``slots``: those in which anything may be given; ``sold``: those in which export is paid for."""

    def __init__(self, problem: Problem, costs: Costs, shape: Shape, sunny: _Index, *, first_column: int) -> None:
        self._problem, self._costs, self._shape = problem, costs, shape
        self._vehicle, self._slot = shape.vehicle[shape.gives], shape.slot[shape.gives]
        self.slots = np.unique(self._slot)
        self._levels_of = levels_of(problem, shape)
        exported = np.zeros(problem.n_slots) if costs.exported is None else costs.exported
        self.sold = np.array([k for k in sunny if exported[k]], dtype=np.int32)
        counts = np.cumsum([first_column, len(shape.gives), len(self.slots), len(self._levels_of), len(self.sold)])
        self.giving, self.given, self._levels, self.exports = (np.arange(a, b, dtype=np.int32) for a, b in pairwise(counts))
        self.width = int(counts[-1])
        self.hours = problem.hours[self._slot]
        self.eff = np.array([problem.vehicles[i].eff for i in self._vehicle])

    def write(self, matrix: _Matrix) -> None:
        """Sums per slot, and how the batteries' levels follow."""
        zeros, keys = np.zeros(len(self.slots)), keys_of(Family.GIFTS, 0, self.slots)
        first = matrix.block(lower=zeros, upper=zeros, keys=keys)
        matrix.put(first + np.searchsorted(self.slots, self._slot), self.giving, 1.0)
        matrix.put(first + np.arange(len(self.slots)), self.given, -1.0)
        self._write_levels(matrix)

    def _write_levels(self, matrix: _Matrix) -> None:
        problem, cells = self._problem, self._levels_of
        count = len(cells)
        vehicle, hours = self._shape.vehicle[cells], problem.hours[self._shape.slot[cells]]
        eff = np.array([problem.vehicles[i].eff for i in vehicle])
        keys = keys_of(Family.LEVELS, vehicle, self._shape.slot[cells])
        first = matrix.block(lower=np.zeros(count), upper=np.zeros(count), keys=keys)
        matrix.put(first + np.arange(count), cells, eff * hours)
        matrix.put(first + np.arange(count), self._levels, -1.0)
        matrix.put(first + np.searchsorted(cells, self._shape.gives), self.giving, -self.hours / self.eff)
        follows = np.flatnonzero(vehicle[1:] == vehicle[:-1]) + 1
        matrix.put(first + follows, self._levels[follows - 1], 1.0)

    def name(self, column_keys: KeyArray) -> None:
        """Keys of its columns."""
        column_keys[self.giving] = keys_of(Family.GIVES, self._vehicle, self._slot)
        column_keys[self.given] = keys_of(Family.GIVEN, 0, self.slots)
        column_keys[self._levels] = keys_of(Family.LEVEL, self._shape.vehicle[self._levels_of], self._shape.slot[self._levels_of])
        column_keys[self.exports] = keys_of(Family.EXPORTED, 0, self.sold)

    def bound(self, lower: FloatArray, upper: FloatArray, cost: FloatArray) -> None:
        """Bounds and costs of its columns."""
        problem = self._problem
        upper[self.giving] = problem.discharge_upper_kw[self._vehicle, self._slot]
        upper[self.given] = problem.discharge_room_kw[self.slots]
        for column, i in zip(self._levels, self._shape.vehicle[self._levels_of], strict=True):
            lower[column], upper[column] = level_bounds_kwh(problem.vehicles[i])
        if self._costs.given is not None:
            cost[self.giving] = self._costs.given[self._vehicle, self._slot]
        if self._costs.exported is not None:
            cost[self.exports] = self._costs.exported[self.sold]
