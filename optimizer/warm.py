"""From one problem's solution to the next one's beginning: the old basis, carried over column by column and row by row.

    solved model --Kept--> keys, basis --carried()--> basis of the next model, whatever came and went between

A vehicle that left or plugged in, a slot that has passed, a limit that binds now: each is some columns and rows more or
less. By its key (:mod:`optimizer.keys`; vehicles by their ids, slots by the clock) each of the new ones finds what it was;
what is new starts at a bound (columns) or in the basis (rows). What has gone leaves rows behind for which no basic column
is left, or columns without a row: a matching of both finds them, and such a row gets the column that the old prices of the
limits (the duals) find the next best, so that these prices stay nearly what they were. A basis says where the search begins
and nothing else: from any of them, right or wrong, the simplex ends at an optimum of the new model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from optimizer.compiled import Compiled
from optimizer.keys import MOST_SLOTS, OF_SLOTS, OF_VEHICLES, PLACE_SHIFT, SLOT_MASK, WHO_MASK, KeyArray
from optimizer.problem import FloatArray, Problem

Codes = npt.NDArray[np.int8]

LOWER, BASIC, UPPER, FREE, NONBASIC = range(5)
"""Where a column or row stands, in HiGHS' own numbers."""


@dataclass(frozen=True, eq=False, slots=True)
class Basis:
    """Where every column and every row of a model stands."""

    columns: Codes
    rows: Codes

    @property
    def complete(self) -> bool:
        """As many in it as there are rows; else HiGHS has to take some out, or in."""
        return int((self.columns == BASIC).sum() + (self.rows == BASIC).sum()) == len(self.rows)


@dataclass(frozen=True, eq=False, slots=True)
class Kept:
    """A basis with what is needed to know its columns and rows again. ``duals``: of the rows. ``runs``: of sessions that cannot pause, by
    the vehicle's id, the slots in which they run (half-open); ``dearer``: what that cost more than the relaxed plan, as a share, at the
    prices ``price_per_kwh`` [slot]."""

    t0: datetime
    slot_minutes: float
    places: dict[str, int]
    column_keys: KeyArray
    row_keys: KeyArray
    basis: Basis
    duals: FloatArray
    price_per_kwh: FloatArray
    runs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    dearer: float = 0.0

    @classmethod
    def of(cls, problem: Problem, compiled: Compiled, basis: Basis, duals: FloatArray) -> Kept:
        """``basis`` and ``duals`` at the optimum of ``compiled``, which was written from ``problem``."""
        places = {vehicle.id: place for place, vehicle in enumerate(problem.vehicles)}
        return cls(problem.t0, problem.slot_minutes, places, compiled.column_keys, compiled.row_keys, basis, duals, problem.price_per_kwh)


def passed_slots(kept: Kept, problem: Problem) -> int | None:
    """How many slots ``problem`` begins after the problem of ``kept``; None where its slots are others."""
    slots, rest = divmod(problem.t0 - kept.t0, timedelta(minutes=problem.slot_minutes))
    return None if rest or problem.slot_minutes != kept.slot_minutes or abs(slots) > MOST_SLOTS else slots


def carried(kept: Kept, problem: Problem, compiled: Compiled) -> Basis | None:
    """A basis to begin ``compiled`` with, which was written from ``problem``; None where its slots are others."""
    slots = passed_slots(kept, problem)
    if slots is None:
        return None
    places = np.full(max(len(kept.places), 1), -1, dtype=np.int64)
    for place, vehicle in enumerate(problem.vehicles):
        was = kept.places.get(vehicle.id)
        if was is not None:
            places[was] = place
    columns, rows = (_renamed(keys, places=places, slots=slots) for keys in (kept.column_keys, kept.row_keys))
    at, known = matched(compiled.column_keys, columns)
    standing = np.where(known, kept.basis.columns[at], LOWER)
    standing = np.where((standing == UPPER) & np.isinf(compiled.upper), LOWER, standing)
    standing = np.where((standing == LOWER) & np.isinf(compiled.lower), np.where(np.isinf(compiled.upper), FREE, UPPER), standing)
    at, known = matched(compiled.row_keys, rows)
    basis = Basis(standing.astype(np.int8), np.where(known, kept.basis.rows[at], BASIC).astype(np.int8))
    return repaired(basis, compiled, duals=np.where(known, kept.duals[at], 0.0))


def repaired(basis: Basis, compiled: Compiled, *, duals: FloatArray) -> Basis:
    """A basis with as many columns and rows as the model has rows, each of its own: HiGHS would forget at which bounds the others
    stand, were it asked to take a basis that is none. ``duals``: about what the rows' are."""
    basic = np.flatnonzero(basis.columns == BASIC)
    matrix = csc_array((compiled.values, compiled.rows, compiled.starts), shape=(len(basis.rows), len(basis.columns)))[:, basic].tocoo()
    open_rows = basis.rows != BASIC
    wanted = open_rows[matrix.row]
    links = csr_array((np.ones(int(wanted.sum())), (matrix.row[wanted], matrix.col[wanted])), shape=matrix.shape)
    column_of = maximum_bipartite_matching(links, perm_type="column")
    rows, columns = basis.rows.copy(), basis.columns.copy()
    for row, column in _next_best(np.flatnonzero(open_rows & (column_of < 0)), basis, compiled, duals).items():
        if column is None:
            rows[row] = BASIC
        else:
            columns[column] = BASIC
    alone = np.ones(len(basic), dtype=bool)
    alone[column_of[column_of >= 0]] = False
    columns[basic[alone]] = np.where(np.isinf(compiled.lower[basic[alone]]), FREE, LOWER)
    return Basis(columns, rows)


def _next_best(wanting: npt.NDArray[np.intp], basis: Basis, compiled: Compiled, duals: FloatArray) -> dict[int, int | None]:
    """For each of these rows the column that shall be basic with it: of those in the row, or else in a row that it shares a basic
    column with, the one whose reduced cost is next to 0; None: its own slack, where the row's dual is nearer still."""
    found: dict[int, int | None] = dict.fromkeys(wanting.tolist())
    if not found:
        return found
    of_column = np.repeat(np.arange(len(basis.columns)), np.diff(compiled.starts))
    outside = basis.columns[of_column] != BASIC
    summed = np.concatenate(([0.0], np.cumsum(compiled.values * duals[compiled.rows])))
    reduced = compiled.cost - np.diff(summed[compiled.starts])
    far = np.abs(reduced[of_column] / compiled.values)
    taken: set[int] = set()
    for row in wanting.tolist():
        its = compiled.rows == row
        inside = np.flatnonzero(its & outside)
        if not len(inside):
            shared = np.isin(of_column, of_column[its])
            inside = np.flatnonzero(np.isin(compiled.rows, compiled.rows[shared]) & outside)
        for entry in inside[np.argsort(far[inside], kind="stable")].tolist():
            column = int(of_column[entry])
            if far[entry] >= abs(float(duals[row])):
                break
            if column not in taken:
                found[row] = column
                taken.add(column)
                break
    return found


def _renamed(keys: KeyArray, *, places: npt.NDArray[np.int64], slots: int) -> KeyArray:
    """Old keys as the new problem has them, -1 for what it has not."""
    who, slot = (keys >> PLACE_SHIFT) & WHO_MASK, keys & SLOT_MASK
    of_vehicle, of_slot = (keys & (OF_VEHICLES << 48)) != 0, (keys & (OF_SLOTS << 48)) != 0
    whose = np.where(of_vehicle, places[np.minimum(who, len(places) - 1)], who)
    when = np.where(of_slot, slot - slots, slot)
    gone = (keys < 0) | (whose < 0) | (when < 0) | (when > SLOT_MASK)
    same = keys & ~((WHO_MASK << PLACE_SHIFT) | SLOT_MASK)
    renamed: KeyArray = np.where(gone, -1, same | (whose << PLACE_SHIFT) | when)
    return renamed


def matched(wanted: KeyArray, known: KeyArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where each wanted key stands among the known ones, and whether it does."""
    order = np.argsort(known, kind="stable")  # nearly sorted already
    ordered = known[order]
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return order[at], (ordered[at] == wanted) & (wanted >= 0)
