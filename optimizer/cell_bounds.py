"""Bounds of a solved model's cells, moved one after the other: what relax-and-round does to a plan.

    solve --> powers that cannot stand --> bounds of their cells (within what still fits) --> solve again from the old basis

Lower bounds never ask for more than there is: :class:`Room` keeps what is left of each limit and each need beside them, so that
the model stays feasible whatever is decided.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from optimizer.compiled import Compiled
from optimizer.keys import PLACE_SHIFT, WHO_MASK, Family
from optimizer.life_bands import cell_bounds, column_bounds
from optimizer.problem import EPS, FloatArray, Problem, Vehicle
from optimizer.solver import Solver
from optimizer.stays import most_asked_kwh

Index = npt.NDArray[np.integer]

SHORT_KWH = 0.01
"""More unmet energy than before by less than this is the solver's rounding."""

TOLERANCE_KW = 1e-6


class CellBounds:
    """``lower``, ``upper`` [cell]: as they are in the solver; ``first``: the beginning of each vehicle's cells."""

    def __init__(self, problem: Problem, compiled: Compiled, solver: Solver) -> None:
        self._compiled, self._solver = compiled, solver
        self.lower, self.upper = cell_bounds(compiled)
        self.first = np.searchsorted(compiled.vehicle, np.arange(len(problem.vehicles) + 1))

    def of(self, vehicle: int) -> slice:
        """The cells of a vehicle."""
        return slice(int(self.first[vehicle]), int(self.first[vehicle + 1]))

    def send(self, cells: Index) -> None:
        """Tell the solver how the bounds of ``cells`` are now."""
        cells = np.unique(cells)  # HiGHS refuses a column that is named twice
        if len(cells):
            columns, lower, upper = column_bounds(self._compiled, cells, self.lower[cells], self.upper[cells])
            self._solver.change_bounds(columns, lower=lower, upper=upper)

    def copy(self) -> tuple[FloatArray, FloatArray]:
        """Bounds to come back to."""
        return self.lower.copy(), self.upper.copy()

    def restore(self, kept: tuple[FloatArray, FloatArray], cells: Index) -> None:
        """``cells`` as they were, in the solver, too."""
        self.lower[cells], self.upper[cells] = kept[0][cells], kept[1][cells]
        self.send(cells)


class Room:
    """What lower bounds still fit: under the site's limit, those of feeders and caps, and into each vehicle's need. Into the heat of a
    battery near its ceiling none does."""

    def __init__(self, problem: Problem, compiled: Compiled, lower: FloatArray) -> None:
        held = np.zeros_like(problem.upper_kw)
        held[compiled.vehicle, compiled.slot] = lower
        self._hours = problem.hours
        self._site = problem.room_kw - held.sum(axis=0)
        rows = problem.limit_rows
        self._rows = rows.room_kw - rows.sums(held)
        self._rows_of = rows.of_vehicles(len(problem.vehicles))
        keys = compiled.column_keys[compiled.column_keys >> 48 == Family.RISE]
        self._hot = set(((keys >> PLACE_SHIFT) & WHO_MASK).tolist())
        most = np.array([max(v.energy_kwh, most_asked_kwh(v)) * (1 - EPS) / v.eff for v in problem.vehicles])
        self._need = most - held @ problem.hours
        self._before = {i: _before(v, held[i], problem.hours) for i, v in enumerate(problem.vehicles) if v.milestones}

    def takes(self, vehicle: int, slots: Index, more_kw: FloatArray) -> bool:
        """Reserve ``more_kw`` [slots] for a vehicle; False, and nothing reserved, where it does not fit."""
        if vehicle in self._hot:
            return False
        rows, more_kwh = self._rows_of[vehicle], float(more_kw @ self._hours[slots])
        fits = bool((more_kw <= np.maximum(self._site[slots], 0.0)).all()) and more_kwh <= max(self._need[vehicle], 0.0)
        before = [
            (slot, left - float(more_kw @ np.where(slots < slot, self._hours[slots], 0.0))) for slot, left in self._before.get(vehicle, ())
        ]
        fits = fits and all(left >= 0 for _, left in before)
        if not fits or not all((weight * more_kw <= np.maximum(self._rows[row, slots], 0.0)).all() for row, weight in rows if weight > 0):
            return False
        self._site[slots] -= more_kw
        self._need[vehicle] -= more_kwh
        self._before[vehicle] = before
        for row, weight in rows:
            self._rows[row, slots] -= weight * more_kw
        return True


def _before(vehicle: Vehicle, held_kw: FloatArray, hours: FloatArray) -> list[tuple[int, float]]:
    """(slot, kWh grid side) what its battery still takes before a slot, where a milestone says that."""
    bounded = ((m.by_slot, m.at_most_kwh) for m in vehicle.milestones)
    return [(by, most / vehicle.eff - float(held_kw[:by] @ hours[:by])) for by, most in bounded if most is not None]
