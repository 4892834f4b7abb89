"""Relax and round: no powers between 0 and the minimum in the next hour, without a mixed-integer model.

The semi-continuous model does not close in the loop's time; of the relaxed one's active cells only a few percent lie
below the minimum. They are fixed, to 0 or to the minimum by the half-way rule, and the model is solved again from the
old basis. What cannot be rounded without leaving somebody short stays: the limiter deals with it.
"""

from __future__ import annotations

import numpy as np

from optimizer.compiled import Compiled
from optimizer.problem import EPS, FloatArray, Problem
from optimizer.solver import Solver

PASSES = 4
HOUR = 1.0
SHORT_KWH = 0.01
TOLERANCE_KW = 1e-6


def round_minimum_powers(problem: Problem, compiled: Compiled, *, solver: Solver, columns: FloatArray) -> FloatArray:
    """A solution with fewer powers below the minimum in the cells that begin within an hour, nobody shorter than in
    ``columns``. Raises :class:`SolverFailed` when the time is over; then the given solution still stands."""
    soon = np.flatnonzero(problem.starts_h[compiled.slot] < HOUR - EPS)
    least = np.array([v.p_min_kw for v in problem.vehicles])[compiled.vehicle]
    lower, upper = compiled.lower[compiled.cells], compiled.upper[compiled.cells]
    free = (least > 0) & (upper >= least)  # a cell that is capped below the minimum is a mean over a part of its slot

    best, missing = columns, columns[compiled.unmet].sum()
    kept_out: set[int] = set()
    for _ in range(PASSES):
        power = columns[compiled.cells]
        small = soon[free[soon] & (power[soon] > TOLERANCE_KW) & (power[soon] < least[soon] - TOLERANCE_KW)]
        small = np.array([c for c in small if int(compiled.vehicle[c]) not in kept_out], dtype=np.int32)
        if not len(small):
            break
        small = small[np.argsort(power[small] / least[small])[::-1]]
        room = _Room(problem, compiled, lower)
        for c in small:
            up = power[c] >= least[c] / 2 and lower[c] < least[c] and room.takes(int(c), least[c] - lower[c])
            if up:
                lower[c] = least[c]
            elif lower[c] < TOLERANCE_KW:
                upper[c] = 0.0
        solver.change_bounds(compiled.cells[small], lower=lower[small], upper=upper[small])
        columns = solver.solve()
        short = columns[compiled.unmet] > best[compiled.unmet] + SHORT_KWH
        if not short.any():
            best = columns
            continue
        losers = set(compiled.needy[short].tolist())  # whoever lost by it gets the old bounds back, and is left alone
        kept_out |= losers
        theirs = np.array([c for c in soon if int(compiled.vehicle[c]) in losers], dtype=np.int32)
        if not len(theirs):
            break
        lower[theirs], upper[theirs] = compiled.lower[compiled.cells[theirs]], compiled.upper[compiled.cells[theirs]]
        solver.change_bounds(compiled.cells[theirs], lower=lower[theirs], upper=upper[theirs])
        columns = solver.solve()
        if columns[compiled.unmet].sum() <= missing + SHORT_KWH:
            best = columns
    return best


class _Room:
    """What lower bounds still fit: under the site's limit, those of feeders and caps, and into each vehicle's need."""

    def __init__(self, problem: Problem, compiled: Compiled, lower: FloatArray) -> None:
        held = np.zeros_like(problem.upper_kw)
        held[compiled.vehicle, compiled.slot] = lower
        self._problem = problem
        self._compiled = compiled
        self._site = problem.room_kw - held.sum(axis=0)
        rows = problem.limit_rows
        self._rows = rows.room_kw - rows.sums(held)
        self._rows_of = rows.of_vehicles(len(problem.vehicles))
        self._need = np.array([v.energy_kwh * (1 - EPS) / v.eff for v in problem.vehicles]) - held @ problem.hours

    def takes(self, cell: int, more_kw: float) -> bool:
        """Reserve ``more_kw`` for the cell; False, and nothing reserved, where it does not fit."""
        i, k = int(self._compiled.vehicle[cell]), int(self._compiled.slot[cell])
        hours, rows = self._problem.hours[k], self._rows_of[i]
        fits = more_kw <= self._site[k] and all(weight * more_kw <= self._rows[row, k] for row, weight in rows if weight > 0)
        if not fits or more_kw * hours > self._need[i]:
            return False
        self._site[k] -= more_kw
        self._need[i] -= more_kw * hours
        for row, weight in rows:
            self._rows[row, k] -= weight * more_kw
        return True
