"""HiGHS, held warm: pass a compiled model once, solve, change bounds, solve again from the old basis.

Solver(compiled, start=basis) --solve()--> columns --change_bounds()--> solve() … --basis()--> the next model's start

Rows that limit sums of powers sleep until a solution breaks them (:class:`optimizer.sleeping.Sleeping`). Nobody sees that: what goes in and
comes out speaks of all rows of the model.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from optimizer.compiled import Compiled, IntArray
from optimizer.errors import SolverFailed
from optimizer.problem import FloatArray
from optimizer.sleeping import Rows, Sleeping
from optimizer.warm import BASIC, FREE, LOWER, UPPER, Basis, Codes

_OPTIONS: dict[str, bool | int | str] = {"output_flag": False, "solver": "simplex", "presolve": "off", "threads": 1}


WARM_SHARE = 0.5
"""Of the time that is left: what a search from an old basis gets, before another one begins from nothing."""

VIOLATION = 1e-5
"""kW or kWh: more than HiGHS' own tolerance leaves of a violation."""

WRONG = 1e-9
"""A reduced cost that is further on the wrong side of 0 is on the wrong side."""

_STATUSES = np.array([highspy.HighsBasisStatus(code) for code in range(5)], dtype=object)


class Solver:
    """One model in HiGHS, until ``deadline`` (of :func:`time.perf_counter`). ``start``: where to begin the search.

    Dual simplex without presolve: with a holding cost in the objective the model has few ties, and presolve costs
    more than it saves. One thread: the simplex is serial, and the other core belongs to the controller.
    """

    def __init__(self, compiled: Compiled, *, deadline: float, start: Basis | None = None) -> None:
        self._deadline = deadline
        started = perf_counter()
        self._compiled = compiled
        self._lower, self._upper = compiled.lower.copy(), compiled.upper.copy()
        self._row_lower, self._row_upper = compiled.row_lower, compiled.row_upper
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # its stubs leave the constructor open
        for option, value in _OPTIONS.items():
            if self._highs.setOptionValue(option, value) != highspy.HighsStatus.kOk:
                raise SolverFailed(f"this HiGHS refuses the option {option}={value}; install the version of the lock file")
        self._sleeping = Sleeping(compiled, start=start)
        awake = self._sleeping.awake
        columns = len(compiled.cost)
        starts, rows, values = self._sleeping.matrix()
        passed = self._highs.passModel(  # whole arrays: an HighsLp would take them number by number
            *(columns, len(awake), len(values), int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize), 0.0),
            *(compiled.cost, compiled.lower, compiled.upper, compiled.row_lower[awake], compiled.row_upper[awake]),
            *(starts, rows, values, np.zeros(columns, dtype=np.int32)),
        )
        if passed == highspy.HighsStatus.kError:
            raise SolverFailed("HiGHS refuses the model")
        self._warm = start is not None and self._begin(compiled, start)
        self.pass_s = perf_counter() - started
        self.solve_s = 0.0

    @property
    def iterations(self) -> int:
        """Of the simplex, in its last run."""
        return int(self._highs.getInfo().simplex_iteration_count)

    @property
    def rows_asleep(self) -> int:
        """Rows of the model that HiGHS has not been told of."""
        return self._sleeping.count - len(self._sleeping.awake)

    @property
    def rows_awake(self) -> npt.NDArray[np.intp]:
        """Places of the rows that HiGHS knows."""
        return self._sleeping.awake

    def restart(self, start: Basis) -> None:
        """Begin the next search there; rows that it holds at a bound are awake from now on."""
        self._tell(self._sleeping.wake(np.flatnonzero(start.rows != BASIC)))
        self._warm = self._begin(self._compiled, start)

    def solve(self) -> FloatArray:
        """Values of all columns at the optimum; raises :class:`SolverFailed` when there is none in time."""
        started = perf_counter()
        left_s = self._deadline - started
        if left_s <= 0:
            raise SolverFailed("the time was over before the solver began")
        status = self._run(left_s * WARM_SHARE if self._warm else left_s)
        columns = self._columns() if status == highspy.HighsModelStatus.kOptimal else None
        if self._warm and (columns is None or self._violation(columns) > VIOLATION):
            self._highs.clearSolver()  # a start that leads nowhere: begin from nothing
            status, columns = self._run(max(self._deadline - perf_counter(), 0.0)), None
        self._warm = False
        self.solve_s += perf_counter() - started
        if status == highspy.HighsModelStatus.kTimeLimit:
            raise SolverFailed(f"no plan within {self.solve_s:.1f} s of solving")
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverFailed(f"HiGHS ended with {self._highs.modelStatusToString(status)}")
        return self._columns() if columns is None else columns

    def _columns(self) -> FloatArray:
        return self._sleeping.completed(np.array(self._highs.getSolution().col_value, dtype=np.float64))

    def _run(self, seconds: float) -> Any:
        until = perf_counter() + seconds
        while True:  # each turn wakes a row at least
            # HiGHS counts from the model's first run on
            self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(until - perf_counter(), 0.0))
            self._highs.run()
            status = self._highs.getModelStatus()
            if status != highspy.HighsModelStatus.kOptimal or not self._wake():
                return status

    def _wake(self) -> bool:
        """Tell HiGHS of the rows that its solution breaks; False: there are none."""
        if not self._sleeping.any:
            return False
        return self._tell(self._sleeping.woken(np.array(self._highs.getSolution().col_value, dtype=np.float64)))

    def _tell(self, woken: Rows) -> bool:
        if len(woken.upper):
            self._highs.addRows(len(woken.upper), woken.lower, woken.upper, len(woken.values), woken.starts, woken.columns, woken.values)
        return len(woken.upper) > 0

    def _violation(self, columns: FloatArray) -> float:
        """By how much the solution breaks a row or a bound, counted here: a basis of somebody else has led HiGHS astray before."""
        of_column = np.repeat(np.arange(len(columns)), np.diff(self._compiled.starts))
        rows = np.bincount(self._compiled.rows, self._compiled.values * columns[of_column], minlength=len(self._row_lower))
        over = [self._row_lower - rows, rows - self._row_upper, self._lower - columns, columns - self._upper]
        return max(float(one.max(initial=0.0)) for one in over)

    def _begin(self, compiled: Compiled, start: Basis) -> bool:
        """Begin there; False where HiGHS does not want to.

        A column between two bounds whose reduced cost has the wrong sign is put to its other bound: then the basis is dual
        feasible. One that is not makes HiGHS forget at which bounds the columns stand, and begin with none of them charging.
        """
        if not self._set(start):
            return False
        if self._highs.getBasicVariables()[0] != highspy.HighsStatus.kOk:
            self._highs.clearSolver()  # its columns depend on each other
            return False
        duals = self.duals_under(compiled.cost[None, :])[0]
        summed = np.concatenate(([0.0], np.cumsum(compiled.values * duals[compiled.rows])))
        reduced = compiled.cost - np.diff(summed[compiled.starts])
        up = (start.columns == LOWER) & (reduced < -WRONG) & np.isfinite(compiled.upper)
        down = (start.columns == UPPER) & (reduced > WRONG) & np.isfinite(compiled.lower)
        if not (up | down).any():
            return True
        return self._set(Basis(np.where(up, UPPER, np.where(down, LOWER, start.columns)).astype(np.int8), start.rows))

    def _set(self, start: Basis) -> bool:
        basis = highspy.HighsBasis()
        basis.col_status = _STATUSES[start.columns].tolist()
        basis.row_status = _STATUSES[start.rows[self._sleeping.awake]].tolist()  # those that sleep are basic: it is as complete without
        basis.valid = True
        basis.alien = not start.complete
        return bool(self._highs.setBasis(basis) == highspy.HighsStatus.kOk)

    def basis(self) -> Basis:
        """Where the columns and rows stand after a solve. (HiGHS' own list of them has an object for each.)"""
        solution = self._highs.getSolution()
        values = np.array(solution.col_value, dtype=np.float64), np.array(solution.row_value, dtype=np.float64)
        basic = np.array(self._highs.getBasicVariables()[1], dtype=np.int64)
        awake = self._sleeping.awake
        columns = _standing(values[0], self._lower, self._upper)
        standing = _standing(values[1], self._row_lower[awake], self._row_upper[awake])
        columns[basic[basic >= 0]] = BASIC
        standing[-1 - basic[basic < 0]] = BASIC
        rows: Codes = np.full(len(self._row_lower), BASIC, dtype=np.int8)
        rows[awake] = standing
        return Basis(columns, rows)

    def row_duals(self) -> FloatArray:
        """Of the rows alone, which are few."""
        return self._sleeping.spread(np.array(self._highs.getSolution().row_dual, dtype=np.float64))

    def duals(self) -> tuple[FloatArray, FloatArray]:
        """Of the rows (what one more of its right-hand side costs) and of the columns (reduced costs), at the optimum."""
        solution = self._highs.getSolution()
        return self._sleeping.spread(np.array(solution.row_dual, dtype=np.float64)), np.array(solution.col_dual, dtype=np.float64)

    def duals_under(self, costs: FloatArray) -> FloatArray:
        """[part × row] the duals that the basis of the optimum has under other costs of the columns [part × column]. Duals are linear
        in the costs: those of parts that sum to the model's cost sum to its duals, and say what each part has in them."""
        basic = np.array(self._highs.getBasicVariables()[1], dtype=np.int64)
        found = np.zeros((len(costs), self._sleeping.count))
        for row, part in zip(found, costs, strict=True):
            of_basis = np.where(basic >= 0, part[np.maximum(basic, 0)], 0.0)  # a negative number is a row's own slack: it costs nothing
            row[:] = self._sleeping.spread(np.array(self._highs.getBasisTransposeSolve(of_basis)[1], dtype=np.float64))
        return found

    def change_bounds(self, columns: IntArray, *, lower: FloatArray, upper: FloatArray) -> None:
        """New bounds of some columns; the next solve starts from the last basis."""
        self._highs.changeColsBounds(len(columns), columns, lower, upper)
        self._lower[columns], self._upper[columns] = lower, upper

    def add_row(self, columns: IntArray, values: FloatArray, *, upper: float) -> int:
        """One more row, Σ value · column ≤ upper; returns its number."""
        self._highs.addRow(-np.inf, upper, len(columns), columns, values)
        return self._sleeping.added()

    def change_row(self, row: int, *, upper: float) -> None:
        """Another upper bound of a row; the next solve starts from the last basis."""
        self._highs.changeRowBounds(self._sleeping.place_of(row), -np.inf, upper)


def _standing(values: FloatArray, lower: FloatArray, upper: FloatArray) -> Codes:
    """At which of its bounds each stands that is in no basis."""
    at_upper = np.abs(values - upper) < np.abs(values - lower)
    free = np.isinf(lower) & np.isinf(upper)
    standing: Codes = np.where(free, FREE, np.where(at_upper, UPPER, LOWER)).astype(np.int8)
    return standing
