"""The taper of a battery that is nearly full, by bounds: planned powers stay below what a battery accepts at the charge that it will have.

    plan --what each battery holds--> most that a slot takes --> tighter bounds --> plan again, warm

What a battery accepts depends on what it holds, which depends on the plan. Rows that say so exactly make a model of 1,000 vehicles ten
times as slow. So the plan is made without, then held against the curves, and the model is solved again from the old basis with what slots
could not take as their bounds: first with a whole tail, backwards from the charge that the battery leaves with, which says where the rest
will have to come; then with what is accepted, going on from the beginning of each slot that still asks for too much, and a little
less, because a part of it moves to slots before. Bounds only ever fall, so that this ends: after :data:`PASSES`, or when a plan asks for
nearly nothing that is not accepted. Whose need no longer fits below them is in a hurry: its bounds
are what it accepts when it is charged as fast as it can from its arrival on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from optimizer.cell_bounds import CellBounds
from optimizer.life_bands import cell_powers
from optimizer.stays import most_asked_kwh

if TYPE_CHECKING:
    from optimizer.compiled import Compiled
    from optimizer.problem import Problem, Vehicle
    from optimizer.solver import Solver
    from optimizer.steps import Steps

FloatArray = npt.NDArray[np.float64]

PASSES = 8
LEFT_SHARE = 1e-3
"""Of the energy: less than this may be asked for where it is not accepted."""

BEYOND, LEAST_OF_ACCEPTED = 0.5, 0.25
"""A bound lies below what is accepted by this part of what was too much, but not below this part of it."""

STEPS = 5
"""In so many parts of a slot its power follows the curve, where what a battery can reach is computed."""

MOST_OF_A_SLOT = 0.85
"""For so much of its slot a battery must accept the planned power: what it takes less in the rest is a hundredth of the slot's energy, and
a plan that never lets it taper inside of a slot would need more of them."""

HALVINGS, REPEATS = 12, 3
KNOTS = 201
TAPER = "taper"
TOLERANCE_KW = 1e-3
LEAST_SHARE = 0.02
"""Of a curve's highest power: less than this no battery is taken to accept, or it would never be full."""


def tighten(
    problem: Problem,
    compiled: Compiled,
    *,
    solver: Solver,
    columns: FloatArray,
    bounds: CellBounds,
    passes: int = PASSES,
    steps: Steps | None = None,
) -> FloatArray:
    """A solution that the batteries of vehicles with a curve can take; ``bounds`` are left as they are for it. ``steps``: of the last
    plan. Raises :class:`SolverFailed` when the time is over; then the given solution still stands."""
    if all(vehicle.curve is None for vehicle in problem.vehicles):
        return columns
    curves = _Curves(problem, compiled)
    given, eff = bounds.copy(), np.array([vehicle.eff for vehicle in problem.vehicles])
    leaves = np.array([vehicle.departure_slot for vehicle in problem.vehicles])
    per_kw = eff[compiled.vehicle] * np.where(compiled.slot < leaves[compiled.vehicle], problem.hours[compiled.slot], 0.0)
    hurried = np.zeros(len(problem.vehicles), dtype=bool)
    for n in range(passes if len(curves.who) else 0):
        powers = _powers(problem, compiled, columns)
        accepted = curves.accepted_kw(powers)[compiled.vehicle, compiled.slot]
        asked = cell_powers(compiled, columns)
        over = np.where(asked > accepted + TOLERANCE_KW, asked - accepted, 0.0)
        if over @ problem.hours[compiled.slot] <= LEFT_SHARE * (asked @ problem.hours[compiled.slot]):
            break
        upper = np.where(over > 0, np.maximum(accepted - BEYOND * over, LEAST_OF_ACCEPTED * accepted), np.inf)
        if n == 0:
            upper = np.minimum(upper, curves.tails_kw(powers)[compiled.vehicle, compiled.slot])
        upper = np.minimum(upper, bounds.upper)
        room = np.bincount(compiled.vehicle, upper * per_kw, minlength=len(problem.vehicles))
        hurried |= room < curves.wants_kwh * (1 - LEFT_SHARE)
        upper = np.where(hurried[compiled.vehicle], np.minimum(given[1], curves.fastest_kw[compiled.vehicle, compiled.slot]), upper)
        changed = np.flatnonzero(np.abs(upper - bounds.upper) > TOLERANCE_KW)
        bounds.upper[changed] = upper[changed]
        bounds.lower[changed] = np.minimum(given[0][changed], upper[changed])  # what the battery does not take is no floor
        bounds.send(changed)
        columns = steps.solve(solver, TAPER) if steps is not None and n == 0 else solver.solve()
    return columns


def _powers(problem: Problem, compiled: Compiled, columns: FloatArray) -> FloatArray:
    """[vehicle × slot] as the solution says it; what is given is negative."""
    power = np.zeros_like(problem.upper_kw)
    power[compiled.vehicle, compiled.slot] = cell_powers(compiled, columns)
    power[compiled.vehicle[compiled.gives], compiled.slot[compiled.gives]] -= columns[compiled.giving]
    return power


def _first_need_kwh(vehicle: Vehicle) -> float:
    """What it must have received when it leaves first; what it buys in that visit for a later one may be less."""
    return most_asked_kwh(vehicle, by_slot=vehicle.departure_slot) if vehicle.windows else vehicle.energy_kwh


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
        self.fastest_kw = np.full(problem.upper_kw.shape, np.inf)
        self._departure = np.array([problem.vehicles[i].departure_slot for i in self.who])
        need = np.array([_first_need_kwh(problem.vehicles[i]) for i in self.who])
        self._end = np.minimum(self._stored + need, self._reach()) if len(found) else self._stored
        self.wants_kwh = np.zeros(len(problem.vehicles))
        """[vehicle] what it can take and needs, of those that the curves bind."""
        self.wants_kwh[self.who] = self._end - self._stored

    def accepted_kw(self, power_kw: FloatArray) -> FloatArray:
        """[vehicle × slot] the most at one power that each slot of the first visit takes, going on from what ``power_kw`` has charged
        before it as far as it was accepted."""
        most, held = np.full(power_kw.shape, np.inf), self._stored
        theirs, problem = power_kw[self.who], self._problem
        for k, hours in enumerate(problem.hours):
            here = k < self._departure
            accepted = self._onward(held, problem.upper_kw[self.who, k], self._eff * hours)
            most[self.who, k] = np.where(here, accepted, np.inf)
            drawn = np.minimum(theirs[:, k], accepted) * hours
            held = held + np.where(here, np.where(drawn > 0, drawn * self._eff, drawn / self._eff), 0.0)
        return most

    def tails_kw(self, power_kw: FloatArray) -> FloatArray:
        """[vehicle × slot] bounds, going back from what the battery holds when it has what it needs: from the last slot that ``power_kw``
        uses, and for the slots after that from its departure. A slot that is not used yet is taken to be filled."""
        most = np.full(power_kw.shape, np.inf)
        theirs, problem = power_kw[self.who], self._problem
        used = (theirs > TOLERANCE_KW) & (np.arange(problem.n_slots) < self._departure[:, None])
        last = np.where(used.any(axis=1), problem.n_slots - 1 - np.argmax(used[:, ::-1], axis=1), -1)
        held = self._end
        for k in range(problem.n_slots - 1, -1, -1):
            per_kw, upper = self._eff * problem.hours[k], problem.upper_kw[self.who, k]
            here = (k < self._departure) & (upper > 0)
            held = np.where(k == last, self._end, held)
            accepted = self._back(held, per_kw)
            most[self.who, k] = np.where(here, accepted, np.inf)
            taken = np.minimum(accepted, np.where(used[:, k], theirs[:, k], upper)) * per_kw
            held = np.where(here, np.maximum(held - taken, self._stored), held)
        return most

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
        """What each battery holds in the end when it takes all it can from its arrival on; keeps what each slot's beginning accepts."""
        held = self._stored.copy()
        upper = self._problem.upper_kw[self.who]
        for k, hours in enumerate(self._problem.hours):
            here = k < self._departure
            self.fastest_kw[self.who, k] = np.where(here, self._accepted(held), np.inf)
            for _ in range(STEPS):
                held = held + here * np.minimum(upper[:, k], self._accepted(held)) * self._eff * hours / STEPS
        return held
