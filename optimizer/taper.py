"""The taper of a battery that is nearly full, by bounds: planned powers stay below what a battery accepts at the charge that it will have.

    plan --what each battery holds--> most that a slot takes --> tighter bounds --> plan again

What a battery accepts depends on what it holds, which depends on the plan. Rows that say so exactly make a model of 1,000 vehicles ten
times as slow. So the plan is made without, then held against the curves; what a slot could not take becomes its bound, and the model is
solved again from the old basis, :data:`PASSES` times at most. Bounds only ever fall, so that this ends.
What a slot can take is first counted from what the battery holds at its beginning; where it is too much once more, because energy moved
to slots before it, from what the battery holds in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer.cell_bounds import CellBounds
from optimizer.life_bands import cell_powers

if TYPE_CHECKING:
    from optimizer.compiled import Compiled
    from optimizer.problem import Problem
    from optimizer.solver import Solver

FloatArray = npt.NDArray[np.float64]

PASSES = 4
STEPS = 5
"""In so many parts of a slot its power follows the curve, where what a battery can reach is computed."""

MOST_OF_A_SLOT = 0.85
"""For so much of its slot a battery must accept the planned power: what it takes less in the rest is a hundredth of the slot's energy, and
a plan that never lets it taper inside of a slot would need more of them."""

HALVINGS, REPEATS = 12, 3
KNOTS = 201
TOLERANCE_KW = 1e-3
LEAST_SHARE = 0.02
"""Of a curve's highest power: less than this no battery is taken to accept, or it would never be full."""


def tighten(
    problem: Problem, compiled: Compiled, *, solver: Solver, columns: FloatArray, bounds: CellBounds, passes: int = PASSES
) -> FloatArray:
    """A solution that the batteries of vehicles with a curve can take; ``bounds`` are left as they are for it. Raises
    :class:`SolverFailed` when the time is over; then the given solution still stands."""
    if all(vehicle.curve is None for vehicle in problem.vehicles):
        return columns
    curves = _Curves(problem, compiled)
    seen = np.zeros(len(compiled.cells), dtype=bool)
    for _ in range(passes if len(curves.who) else 0):
        onward, back = (most[compiled.vehicle, compiled.slot] for most in curves.most_kw(_powers(problem, compiled, columns)))
        most = np.where(seen, back, np.maximum(onward, back))
        over = np.flatnonzero((cell_powers(compiled, columns) > most + TOLERANCE_KW) & (most < bounds.upper - TOLERANCE_KW))
        if not len(over):
            break
        seen[over] = True
        bounds.upper[over] = most[over]
        bounds.lower[over] = np.minimum(bounds.lower[over], most[over])  # a floor that the battery does not take is no floor
        bounds.send(over)
        columns = solver.solve()
    return columns


def _powers(problem: Problem, compiled: Compiled, columns: FloatArray) -> FloatArray:
    """[vehicle × slot] as the solution says it; what is given is negative."""
    power = np.zeros_like(problem.upper_kw)
    power[compiled.vehicle, compiled.slot] = cell_powers(compiled, columns)
    power[compiled.vehicle[compiled.gives], compiled.slot[compiled.gives]] -= columns[compiled.giving]
    return power


class _Curves:
    """The curves that can bind, those of the vehicles ``who``, on one grid of states of charge, so that all are asked at once."""

    def __init__(self, problem: Problem, compiled: Compiled) -> None:
        self._problem = problem
        planned = set(compiled.vehicle.tolist())
        found = [(i, curve) for i, vehicle in enumerate(problem.vehicles) if i in planned and (curve := vehicle.curve) is not None]
        grid = np.linspace(0.0, 1.0, KNOTS)
        on_grid = [np.interp(grid, curve.soc, curve.accepts_kw) for _, curve in found]
        # from what it holds on, does it ever accept less than the charger gives?
        binds = [
            bool(row[int(curve.stored_kwh / curve.capacity_kwh * (KNOTS - 1)) :].min(initial=np.inf) < problem.upper_kw[i].max())
            for (i, curve), row in zip(found, on_grid, strict=True)
        ]
        found = [pair for pair, may in zip(found, binds, strict=True) if may]
        self.who = np.array([i for i, _ in found], dtype=np.intp)
        kept = np.array([row for row, may in zip(on_grid, binds, strict=True) if may]).reshape(len(found), KNOTS)
        self._accepts = np.maximum(kept, LEAST_SHARE * kept.max(axis=1, initial=0.0)[:, None])
        self._capacity = np.array([curve.capacity_kwh for _, curve in found])
        self._stored = np.array([curve.stored_kwh for _, curve in found])
        self._eff = np.array([problem.vehicles[i].eff for i in self.who])
        self._row = np.arange(len(found))
        self._reached = self._reach() if len(found) else self._stored

    def most_kw(self, power_kw: FloatArray) -> tuple[FloatArray, FloatArray]:
        """[vehicle × slot] the most that each slot takes at one power: going on from what ``power_kw`` has charged before it, and going
        back from what it leaves in the end. What a slot cannot take and comes later instead changes nothing for the first, what
        comes earlier nothing for the second."""
        onward, back = np.full(power_kw.shape, np.inf), np.full(power_kw.shape, np.inf)
        theirs, problem = power_kw[self.who], self._problem
        gained = np.where(theirs > 0, theirs * self._eff[:, None], theirs / self._eff[:, None]) * problem.hours
        held = self._stored
        for k, hours in enumerate(problem.hours):
            onward[self.who, k] = self._onward(held, problem.upper_kw[self.who, k], self._eff * hours)
            held = held + np.minimum(gained[:, k], onward[self.who, k] * self._eff * hours)
        held = np.minimum(self._stored + gained.sum(axis=1), self._reached)
        for k in range(problem.n_slots - 1, -1, -1):
            per_kw = self._eff * problem.hours[k]
            back[self.who, k] = np.minimum(self._back(held, per_kw), self._accepted(held - gained[:, k]))
            held = held - np.minimum(gained[:, k], back[self.who, k] * per_kw)
        return onward, back

    def _onward(self, held: FloatArray, upper: FloatArray, per_kw: FloatArray) -> FloatArray:
        """The power that is still accepted when most of a slot is over; the least of both where the slot's beginning takes less."""
        low, high = np.zeros(len(held)), upper
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            taken = middle <= self._accepted(held + MOST_OF_A_SLOT * middle * per_kw)
            low, high = np.where(taken, middle, low), np.where(taken, high, middle)
        most: FloatArray = np.minimum(high, self._accepted(held))
        return most

    def _back(self, held: FloatArray, per_kw: FloatArray) -> FloatArray:
        power = self._accepted(held)
        for _ in range(REPEATS):  # what is accepted a little before the end is more, so that this only rises and holds at each step
            power = self._accepted(held - (1.0 - MOST_OF_A_SLOT) * power * per_kw)
        return power

    def _accepted(self, held: FloatArray) -> FloatArray:
        place = np.clip(held / self._capacity, 0.0, 1.0) * (KNOTS - 1)
        low = np.minimum(place.astype(np.intp), KNOTS - 2)
        part = place - low
        accepted: FloatArray = self._accepts[self._row, low] * (1 - part) + self._accepts[self._row, low + 1] * part
        return accepted

    def _reach(self) -> FloatArray:
        """What each battery holds in the end when it takes all it can from its arrival on."""
        held = self._stored.copy()
        upper = self._problem.upper_kw[self.who]
        for k, hours in enumerate(self._problem.hours):
            for _ in range(STEPS):
                held = held + np.minimum(upper[:, k], self._accepted(held)) * self._eff * hours / STEPS
        return held
