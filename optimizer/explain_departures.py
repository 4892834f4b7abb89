"""What the departures cost: what the plan would pay more if a vehicle left one slot earlier.

Exact without solving where the plan does not use that slot: nothing. Else the duals only say the least that it can be: what a plan
weighs is convex in a bound, so that going on at the price of the first kW is no more than the truth (of the bill alone that holds
where nobody falls short by it). Solving again, from the old basis with the cell closed, says what it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optimizer.compiled import IntArray
from optimizer.errors import SolverFailed
from optimizer.explain_duals import BILL, KWH, Solved, family_of, slot_of, who_of
from optimizer.explain_values import Grounds
from optimizer.keys import Family
from optimizer.problem import FloatArray

USED_KW = 1e-6


def departures(found: Solved, power_kw: FloatArray, *, most: int) -> tuple[FloatArray, FloatArray, tuple[Grounds, ...]]:
    """[vehicle] currency and kWh that fall short, and how each was found. ``most``: how many are solved for, those with the most energy
    in their last slot first; uses the solver of ``found``, whose duals must have been taken before."""
    problem = found.problem
    n = len(problem.vehicles)
    bill, short, grounds = np.zeros(n), np.zeros(n), [Grounds.EXACT] * n
    last = [vehicle.departure_slot - 1 for vehicle in problem.vehicles]
    used = [i for i in range(n) if last[i] >= 0 and abs(power_kw[i, last[i]]) > USED_KW]
    columns_of = dict(zip(used, _columns(found, [(i, last[i]) for i in used]), strict=True))
    for i, columns in columns_of.items():
        at_top = found.columns[columns] >= found.upper[columns] - USED_KW
        per_kw = -found.reduced[:, columns] * (at_top * found.columns[columns])
        bill[i] = max(0.0, float(per_kw[BILL].sum()) / found.weight)
        short[i] = max(0.0, float(per_kw[KWH].sum()))
        grounds[i] = Grounds.AT_LEAST
    by_energy = sorted(used, key=lambda i: (-power_kw[i, last[i]] * problem.hours[last[i]], problem.vehicles[i].id))
    for i in by_energy[:most]:
        try:
            bill[i], short[i] = _without(found, columns_of[i])
        except SolverFailed:
            break
        grounds[i] = Grounds.SOLVED
    return bill, short, tuple(grounds)


def _columns(found: Solved, used: Sequence[tuple[int, int]]) -> list[IntArray]:
    """Of each (vehicle, slot) the columns of what is drawn and given there."""
    keys = found.compiled.column_keys
    mine = np.flatnonzero(np.isin(family_of(keys), (Family.P, Family.STEEP, Family.GIVES)))
    cells = who_of(keys[mine]) * found.problem.n_slots + slot_of(keys[mine])
    order = np.argsort(cells, kind="stable")
    wanted = [vehicle * found.problem.n_slots + slot for vehicle, slot in used]
    first, last = (np.searchsorted(cells[order], wanted, side=side) for side in ("left", "right"))
    return [mine[order[a:b]].astype(np.int32) for a, b in zip(first, last, strict=True)]


def _without(found: Solved, columns: IntArray) -> tuple[float, float]:
    """What it costs, and leaves short, to close these columns."""
    solver = found.solver
    nothing = np.zeros(len(columns))
    solver.change_bounds(columns, lower=nothing, upper=nothing)
    try:
        changed = found.cost(solver.solve()) - found.cost(found.columns)
    finally:
        solver.change_bounds(columns, lower=found.lower[columns], upper=found.upper[columns])
    return float(changed[BILL]), max(0.0, float(changed[KWH]))
