"""HiGHS, held warm: pass a compiled model once, solve, change bounds, solve again from the old basis.

Solver(compiled, start=basis) --solve()--> columns --change_bounds()--> solve() … --basis()--> the next model's start
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import highspy
import numpy as np

from optimizer.compiled import Compiled, IntArray
from optimizer.errors import SolverFailed
from optimizer.problem import FloatArray
from optimizer.warm import Basis

_OPTIONS: dict[str, bool | int | str] = {"output_flag": False, "solver": "simplex", "presolve": "off", "threads": 1}


WARM_SHARE = 0.5
"""Of the time that is left: what a search from an old basis gets, before another one begins from nothing."""

_STATUSES = np.array([highspy.HighsBasisStatus(code) for code in range(5)], dtype=object)


class Solver:
    """One model in HiGHS, until ``deadline`` (of :func:`time.perf_counter`). ``start``: where to begin the search.

    Dual simplex without presolve: with a holding cost in the objective the model has few ties, and presolve costs
    more than it saves. One thread: the simplex is serial, and the other core belongs to the controller.
    """

    def __init__(self, compiled: Compiled, *, deadline: float, start: Basis | None = None) -> None:
        self._deadline = deadline
        started = perf_counter()
        lp = highspy.HighsLp()
        lp.num_col_ = len(compiled.cost)
        lp.num_row_ = len(compiled.row_lower)
        lp.col_cost_ = compiled.cost
        lp.col_lower_ = compiled.lower
        lp.col_upper_ = compiled.upper
        lp.row_lower_ = compiled.row_lower
        lp.row_upper_ = compiled.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = compiled.starts
        lp.a_matrix_.index_ = compiled.rows
        lp.a_matrix_.value_ = compiled.values
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # its stubs leave the constructor open
        for option, value in _OPTIONS.items():
            if self._highs.setOptionValue(option, value) != highspy.HighsStatus.kOk:
                raise SolverFailed(f"this HiGHS refuses the option {option}={value}; install the version of the lock file")
        if self._highs.passModel(lp) == highspy.HighsStatus.kError:
            raise SolverFailed("HiGHS refuses the model")
        self._warm = start is not None and self._set(start)
        self.pass_s = perf_counter() - started
        self.solve_s = 0.0

    def solve(self) -> FloatArray:
        """Values of all columns at the optimum; raises :class:`SolverFailed` when there is none in time."""
        started = perf_counter()
        left_s = self._deadline - started
        if left_s <= 0:
            raise SolverFailed("the time was over before the solver began")
        status = self._run(left_s * WARM_SHARE if self._warm else left_s)
        if self._warm and status != highspy.HighsModelStatus.kOptimal:  # a start that leads nowhere: begin from nothing
            self._highs.clearSolver()
            status = self._run(max(self._deadline - perf_counter(), 0.0))
        self._warm = False
        self.solve_s += perf_counter() - started
        if status == highspy.HighsModelStatus.kTimeLimit:
            raise SolverFailed(f"no plan within {self.solve_s:.1f} s of solving")
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverFailed(f"HiGHS ended with {self._highs.modelStatusToString(status)}")
        return np.array(self._highs.getSolution().col_value, dtype=np.float64)

    def _run(self, seconds: float) -> Any:
        # HiGHS counts from the model's first run on
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + seconds)
        self._highs.run()
        return self._highs.getModelStatus()

    def _set(self, start: Basis) -> bool:
        """Begin there; False where HiGHS does not want to."""
        basis = highspy.HighsBasis()
        basis.col_status = _STATUSES[start.columns].tolist()
        basis.row_status = _STATUSES[start.rows].tolist()
        basis.valid = True
        basis.alien = not start.complete
        return bool(self._highs.setBasis(basis) == highspy.HighsStatus.kOk)

    def basis(self) -> Basis:
        """Where the columns and rows stand after a solve."""
        found = self._highs.getBasis()
        columns, rows = (np.array([status.value for status in of], dtype=np.int8) for of in (found.col_status, found.row_status))
        return Basis(columns, rows)

    def duals(self) -> tuple[FloatArray, FloatArray]:
        """Of the rows (what one more of its right-hand side costs) and of the columns (reduced costs), at the optimum."""
        solution = self._highs.getSolution()
        return np.array(solution.row_dual, dtype=np.float64), np.array(solution.col_dual, dtype=np.float64)

    def duals_under(self, costs: FloatArray) -> FloatArray:
        """[part × row] the duals that the basis of the optimum has under other costs of the columns [part × column]. Duals are linear
        in the costs: those of parts that sum to the model's cost sum to its duals, and say what each part has in them."""
        basic = np.array(self._highs.getBasicVariables()[1], dtype=np.int64)
        found = np.zeros((len(costs), len(basic)))
        for row, part in zip(found, costs, strict=True):
            of_basis = np.where(basic >= 0, part[np.maximum(basic, 0)], 0.0)  # a negative number is a row's own slack: it costs nothing
            row[:] = self._highs.getBasisTransposeSolve(of_basis)[1]
        return found

    def change_bounds(self, columns: IntArray, *, lower: FloatArray, upper: FloatArray) -> None:
        """New bounds of some columns; the next solve starts from the last basis."""
        self._highs.changeColsBounds(len(columns), columns, lower, upper)
