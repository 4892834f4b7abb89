"""Rows that HiGHS is not told of until a solution breaks them: limits on sums of powers, milestones, heat, of which few bind.

    all rows --which may sleep--> model of the others --solve--> broken ones wake --solve again, warm--> … --> none is broken

A depot of 1,000 vehicles with a tree of feeders, cabinets and phases has twenty such rows for each one that binds, and each of them costs
the simplex time in every iteration. A solution of the model without them that breaks none of them is an optimum of the whole model: they
only take solutions away. The duals of those that sleep are 0, as those of rows with slack are. A row that an old basis holds at its bound
is awake from the beginning, and one that has woken never sleeps again.

What a battery's heat rows say depends on one another: they sleep and wake together, vehicle by vehicle. While they sleep, the columns of
the rise are not the solver's to choose: :meth:`Sleeping.completed` writes what the powers make of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import spsolve

from optimizer.compiled import Compiled, IntArray
from optimizer.keys import PLACE_SHIFT, Family
from optimizer.problem import FloatArray
from optimizer.warm import BASIC, Basis, matched

MAY_SLEEP = (Family.FEEDER, Family.CAP, Family.BACK, Family.CAP_BACK, Family.SHARES, Family.LEAST, Family.MOST, Family.HEAT)

LEAST_SHARE = 0.6
"""Of all rows: where fewer may sleep, what they cost is less than the turns that it takes to wake them."""

BROKEN = 1e-7
"""kW, kWh or K: a row is broken from here on. HiGHS' own tolerance."""

_Places = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Rows for HiGHS: bounds, and the matrix by rows."""

    lower: FloatArray
    upper: FloatArray
    starts: IntArray
    columns: IntArray
    values: FloatArray


class Sleeping:
    """Which rows of ``compiled`` HiGHS knows, in which order: ``awake``, by their places in the model; rows that are added to it later
    count on after the model's own. ``start``: the basis that the search begins with."""

    def __init__(self, compiled: Compiled, *, start: Basis | None) -> None:
        self._compiled = compiled
        self.count = len(compiled.row_lower)
        asleep = np.isin(compiled.row_keys >> 48, MAY_SLEEP) & (compiled.row_keys >= 0)
        asleep &= asleep.sum() >= LEAST_SHARE * self.count
        if start is not None:
            asleep &= start.rows == BASIC
            heats = compiled.row_keys >> 48 == Family.HEAT
            asleep &= ~(heats & np.isin(_who(compiled.row_keys), _who(compiled.row_keys[heats & ~asleep])))
        self.awake: _Places = np.flatnonzero(~asleep)
        self._asleep = np.flatnonzero(asleep)
        self._matrix: csr_array | None = None
        self._heat: _Heat | None = None

    @property
    def any(self) -> bool:
        """Whether a row sleeps."""
        return len(self._asleep) > 0

    def matrix(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Starts, rows and values of the model with the rows that are awake, by columns."""
        its = self._compiled
        if not self.any:
            return its.starts, its.rows, its.values
        place = np.full(self.count, -1, dtype=np.int32)
        place[self.awake] = np.arange(len(self.awake), dtype=np.int32)
        rows = place[its.rows]
        kept = rows >= 0
        starts = np.concatenate(([0], np.cumsum(kept)))[its.starts]
        return starts.astype(np.int32), rows[kept], its.values[kept]

    def woken(self, columns: FloatArray) -> Rows:
        """The rows that ``columns`` break, which are awake from now on."""
        its, rows = self._compiled, self._asleep
        sums = self._entries() @ columns
        broken = (sums > its.row_upper[rows] + BROKEN) | (sums < its.row_lower[rows] - BROKEN)
        heats = its.row_keys[rows] >> 48 == Family.HEAT
        if heats.any():
            broken = np.where(heats, np.isin(_who(its.row_keys[rows]), self._heat_of().too_hot(columns)), broken)
        return self._woken(broken)

    def wake(self, rows: _Places) -> Rows:
        """Those of ``rows`` that sleep, and what sleeps and wakes with them; they are awake from now on."""
        keys = self._compiled.row_keys[self._asleep]
        broken = np.isin(self._asleep, rows)
        heats = keys >> 48 == Family.HEAT
        return self._woken(broken | (heats & np.isin(_who(keys), _who(keys[heats & broken]))))

    def _woken(self, broken: npt.NDArray[np.bool_]) -> Rows:
        its = self._compiled
        if not broken.any():
            none = np.zeros(0, dtype=np.int32)
            return Rows(np.zeros(0), np.zeros(0), none, none, np.zeros(0))
        rows, entries = self._asleep[broken], self._entries()
        found = entries[broken]
        self.awake = np.concatenate((self.awake, rows))
        self._asleep, self._matrix, self._heat = self._asleep[~broken], entries[~broken], None
        starts, columns = found.indptr[:-1].astype(np.int32), found.indices.astype(np.int32)
        return Rows(its.row_lower[rows], its.row_upper[rows], starts, columns, found.data)

    def _entries(self) -> csr_array:
        """The rows that sleep."""
        if self._matrix is None:
            its = self._compiled
            self._matrix = csc_array((its.values, its.rows, its.starts), shape=(len(its.row_lower), len(its.cost))).tocsr()[self._asleep]
        return self._matrix

    def completed(self, columns: FloatArray) -> FloatArray:
        """``columns`` with the rise of the batteries whose heat rows sleep, as their powers make it."""
        if not self.any or not (self._compiled.row_keys[self._asleep] >> 48 == Family.HEAT).any():
            return columns
        heat = self._heat_of()
        columns[heat.columns] = heat.rise(columns)
        return columns

    def added(self) -> int:
        """A row more, beside the model's; its place."""
        self.awake = np.append(self.awake, self.count)
        self.count += 1
        return self.count - 1

    def place_of(self, row: int) -> int:
        """Where a row that is awake stands in HiGHS."""
        return int(np.flatnonzero(self.awake == row)[0])

    def spread(self, values: FloatArray) -> FloatArray:
        """Numbers of the rows that are awake as numbers of all rows: 0 for those that sleep."""
        found = np.zeros(self.count)
        found[self.awake] = values
        return found

    def _heat_of(self) -> _Heat:
        if self._heat is None:
            rows = self._compiled.row_keys[self._asleep] >> 48 == Family.HEAT
            self._heat = _Heat(self._compiled, self._entries()[rows], self._compiled.row_keys[self._asleep[rows]])
        return self._heat


class _Heat:
    """The heat rows that sleep, ``matrix`` with ``keys``, as what they say: the ``columns`` of the rise follow from the others."""

    def __init__(self, compiled: Compiled, matrix: csr_array, keys: npt.NDArray[np.int64]) -> None:
        low = (1 << 48) - 1
        at, known = matched((keys & low) | (int(Family.RISE) << 48), compiled.column_keys)
        assert known.all()
        self.columns: _Places = at
        self._who, self._most = _who(keys), compiled.upper[at]
        self._follows = csc_array(-matrix[:, at])  # 1 on the diagonal, less what remains of the cell before
        others = np.ones(len(compiled.cost))
        others[at] = 0.0
        self._powers, self._others = matrix, others

    def rise(self, columns: FloatArray) -> FloatArray:
        """[row] K, under the powers of a solution."""
        found: FloatArray = spsolve(self._follows, self._powers @ (columns * self._others))
        return np.clip(found, 0.0, None)

    def too_hot(self, columns: FloatArray) -> npt.NDArray[np.int64]:
        """Whose battery passes its ceiling."""
        return self._who[self.rise(columns) > self._most + BROKEN]


def _who(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return keys >> PLACE_SHIFT
