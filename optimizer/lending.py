"""Which vehicles are worth asking to give energy: priced with the duals of a plan in which nobody does.

    plan without discharge --duals--> what a kWh costs each vehicle, what a kW is worth in each slot --> lenders

Batteries that give need rows for their state of charge, which make the model several times slower, and most of them have
nothing to gain: where the cheap hours are full, each kWh that is given back there pushes somebody else into a dear one. In
the duals that is a number. What could be gained at most is counted, too: less than :data:`WORTH_SHARE` of the bill is less
than the wear of a battery is known to.
"""

from __future__ import annotations

import numpy as np

from optimizer.compiled import Compiled
from optimizer.problem import FloatArray, Problem
from optimizer.solver import Solver

WORTH_SHARE = 0.005
"""Of the bill: a smaller gain than this is no reason to discharge anybody."""

TOLERANCE = 1e-6


def lenders(problem: Problem, given: FloatArray, *, base: Compiled, solver: Solver, bill: float) -> frozenset[int]:
    """Vehicles for which giving would pay, by the plan ``base`` without discharge that ``solver`` has solved; empty: nobody.

    ``given`` [vehicle × slot]: what giving one kW costs in the objective (wear, less the price on the cells), by the prices
    that ``base`` was built with. ``bill``: what that plan costs.
    """
    row_dual, column_dual = solver.duals()
    hours = problem.hours
    # what one kW more in a slot costs beside the cells' price (peak, import): by the column of the slot's total
    row_of_total = np.array([_row(base, column, -1.0) for column in base.totals])
    scarce = np.zeros(problem.n_slots)
    scarce[base.total_slots] = row_dual[row_of_total] - column_dual[base.totals]
    room = np.zeros(problem.n_slots)
    room[base.total_slots] = row_dual[row_of_total]
    energy = np.zeros(len(problem.vehicles))
    energy[base.needy] = row_dual[[_row(base, column, 1.0) for column in base.unmet]]
    for i in np.flatnonzero(problem.takes_part & ~np.isin(np.arange(len(problem.vehicles)), base.needy)):
        window = problem.upper_kw[i] > 0  # it needs nothing itself: what it gives it buys back in its cheapest slot
        price = np.where(problem.weight_per_kwh > 0, problem.weight_per_kwh, 0.0) - room / hours
        energy[i] = float(price[window].min()) / problem.vehicles[i].eff
    eff = np.array([v.eff for v in problem.vehicles])
    reduced = given + hours * (energy / eff)[:, None] + scarce
    gains = np.where(problem.discharge_upper_kw > 0, np.maximum(-reduced - TOLERANCE, 0.0), 0.0)
    if _most(problem, gains) <= WORTH_SHARE * max(bill, 0.0):
        return frozenset()
    return frozenset(np.flatnonzero(gains.any(axis=1)).tolist())


def _most(problem: Problem, gains: FloatArray) -> float:
    """What could be gained at most: in each slot by all that there is room for, or by each battery emptied once from full."""
    most_kw = np.minimum(problem.discharge_room_kw, problem.discharge_upper_kw.sum(axis=0))
    once_kwh = np.array([(v.capacity_kwh - v.reserve_kwh) * v.eff for v in problem.vehicles])
    return min(float(gains.max(axis=0) @ most_kw), float((gains / problem.hours).max(axis=1) @ once_kwh))


def _row(compiled: Compiled, column: int, value: float) -> int:
    """The first row in which a column stands with this coefficient."""
    span = slice(int(compiled.starts[column]), int(compiled.starts[column + 1]))
    return int(compiled.rows[span][compiled.values[span] == value].min())
