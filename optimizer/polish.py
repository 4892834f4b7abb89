"""What a relaxed plan still needs before it can be driven: powers that batteries take, sessions in one piece, none below a minimum.

optimal columns --tighten()--> --hold_sessions()--> --round_minimum_powers()--> columns that can be followed; each step solves again, warm
"""

from __future__ import annotations

from typing import Literal

from optimizer.cell_bounds import CellBounds
from optimizer.compiled import Compiled
from optimizer.errors import SolverFailed
from optimizer.problem import FloatArray, Problem
from optimizer.rounding import round_minimum_powers
from optimizer.sessions import hold_sessions
from optimizer.solver import Solver
from optimizer.steps import Steps
from optimizer.taper import tighten

RoundMinimum = bool | Literal["all"]
"""False: powers below the minimum stay. True: none in the next hour, where possible. ``all``: none in any slot."""


def polish(
    problem: Problem,
    compiled: Compiled,
    *,
    solver: Solver,
    columns: FloatArray,
    round_minimum: RoundMinimum,
    bounds: CellBounds | None = None,
    steps: Steps | None = None,
) -> tuple[FloatArray, bool]:
    """Columns after all steps, and whether there was time for them; what was done before the time was over stands. Where nobody
    is unable to pause and nothing is to be rounded, ``columns`` come back as they are. ``bounds``: where the caller wants to know
    which are left in the solver. ``steps``: what the last plan did here, to begin with, and for what this one does."""
    bounds = bounds or CellBounds(problem, compiled, solver)
    try:
        columns = tighten(problem, compiled, solver=solver, columns=columns, bounds=bounds, steps=steps)
        columns, finished = hold_sessions(problem, compiled, solver=solver, columns=columns, bounds=bounds, steps=steps)
        if finished and round_minimum:
            columns = round_minimum_powers(
                problem, compiled, solver=solver, columns=columns, bounds=bounds, everywhere=round_minimum == "all"
            )
    except SolverFailed:
        return columns, False
    return columns, finished
