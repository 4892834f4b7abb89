"""Relax and round: no powers between 0 and the minimum, without a mixed-integer model.

The semi-continuous model does not close in the loop's time; of the relaxed one's active cells only a few percent lie
below the minimum. They are fixed, to 0 or to the minimum by the half-way rule, and the model is solved again from the
old basis. Whoever is short by it has its old bounds back, and its small powers are only raised from then on. Where the result is not close
to the relaxed plan, a search follows (:mod:`optimizer.rounding_search`). What cannot be rounded without leaving somebody short stays: the
limiter deals with it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from optimizer.cell_bounds import SHORT_KWH, TOLERANCE_KW, CellBounds, Index, Room
from optimizer.compiled import Compiled, shortages_of
from optimizer.life_bands import cell_powers
from optimizer.limit_rows import BoolArray
from optimizer.problem import EPS, FloatArray, Problem
from optimizer.rounding_search import searched
from optimizer.solver import Solver

PASSES = 4
PASSES_EVERYWHERE = 12
HALFWAY = 6
"""From this pass on a vehicle's small powers are gathered in cells that it uses already: fixed one by one they come up elsewhere."""

CHANCES = 2
HOUR = 1.0


def round_minimum_powers(
    problem: Problem, compiled: Compiled, *, solver: Solver, columns: FloatArray, bounds: CellBounds | None = None, everywhere: bool = False
) -> FloatArray:
    """A solution with fewer powers below the minimum, nobody shorter than in ``columns``: in the cells that begin within an hour,
    or ``everywhere``. ``bounds``: of the cells as they are in ``solver``, None: those of ``compiled``. Raises
    :class:`SolverFailed` when the time is over; then the given solution still stands."""
    bounds = CellBounds(problem, compiled, solver) if bounds is None else bounds
    begins_h = problem.starts_h[compiled.slot]
    looked_at = np.ones(len(begins_h), dtype=bool) if everywhere else begins_h < HOUR - EPS
    least = np.array([v.p_min_kw for v in problem.vehicles])[compiled.vehicle]
    # a cell that is capped below the minimum is a mean over a part of its slot; one with a floor is decided
    free = looked_at & (least > 0) & (bounds.upper >= least) & (bounds.lower < TOLERANCE_KW)
    given = bounds.copy()

    shortages, whose = shortages_of(compiled)
    relaxed, best, missing = columns, columns, columns[shortages].sum()
    lost: Counter[int] = Counter()
    for n in range(PASSES_EVERYWHERE if everywhere else PASSES):
        power = cell_powers(compiled, columns)
        small = np.flatnonzero(free & (power > TOLERANCE_KW) & (power < least - TOLERANCE_KW))
        small = np.array([c for c in small if lost[int(compiled.vehicle[c])] < CHANCES], dtype=np.int32)
        if not len(small):
            break
        order = small[np.argsort(power[small] / least[small])[::-1]]
        if n < HALFWAY:
            _halfway(problem, compiled, bounds, order, power=power, least=least, only_up=set(lost))
        else:
            for vehicle in dict.fromkeys(compiled.vehicle[order].tolist()):
                _gather(problem, compiled, bounds, vehicle, power=power, least=least, free=free)
        columns = solver.solve()
        short = columns[shortages] > best[shortages] + SHORT_KWH
        if not short.any():
            best = columns
            continue
        losers = set(whose[short].tolist())
        lost.update(losers)
        theirs = np.flatnonzero(looked_at & np.isin(compiled.vehicle, list(losers)))
        if not len(theirs):
            break
        bounds.restore(given, theirs)
        columns = solver.solve()
        if columns[shortages].sum() <= missing + SHORT_KWH:
            best = columns
    return searched(problem, compiled, solver=solver, bounds=bounds, given=given, free=free, least=least, relaxed=relaxed, rounded=best)


def _halfway(
    problem: Problem, compiled: Compiled, bounds: CellBounds, small: Index, *, power: FloatArray, least: FloatArray, only_up: set[int]
) -> None:
    """Fix the cells ``small``, those nearest to their minimum first: at least that where it is half-way and fits, else 0, but not
    for the vehicles ``only_up``."""
    room = Room(problem, compiled, bounds.lower)
    for c in small:
        more_kw = least[c] - bounds.lower[c]
        vehicle = int(compiled.vehicle[c])
        up = more_kw > 0 and (vehicle in only_up or power[c] >= least[c] / 2)
        if up and room.takes(vehicle, compiled.slot[c : c + 1], np.array([more_kw])):
            bounds.lower[c] = least[c]
        elif bounds.lower[c] < TOLERANCE_KW and vehicle not in only_up:
            bounds.upper[c] = 0.0
    bounds.send(small)


def _gather(
    problem: Problem, compiled: Compiled, bounds: CellBounds, vehicle: int, *, power: FloatArray, least: FloatArray, free: BoolArray
) -> None:
    """Let a vehicle draw in the cells in which it draws enough, and in so many of the small ones as their energy makes whole; in no
    others. Left as it is where its energy does not fit into these, or they ask for more than it needs."""
    its = bounds.of(vehicle)
    mine, floor, hours = power[its], least[its], problem.hours[compiled.slot[its]]
    small = np.flatnonzero(free[its] & (mine > TOLERANCE_KW) & (mine < floor - TOLERANCE_KW))
    small = small[np.argsort(-mine[small], kind="stable")]
    whole = round(float(mine[small] @ hours[small]) / float((floor * hours)[small].max()))
    for count in dict.fromkeys((min(whole, len(small)), min(whole + 1, len(small)), max(whole - 1, 0))):
        used = mine > TOLERANCE_KW
        used[small[count:]] = False
        lower = np.where(used & free[its], np.maximum(floor, bounds.lower[its]), bounds.lower[its])
        need = float(mine @ hours)
        if lower @ hours > need or np.where(used, bounds.upper[its], 0.0) @ hours < need or (bounds.lower[its] > 0)[~used].any():
            continue
        if Room(problem, compiled, bounds.lower).takes(vehicle, compiled.slot[its], lower - bounds.lower[its]):
            bounds.lower[its] = lower
            bounds.upper[its] = np.where(used, bounds.upper[its], 0.0)
            bounds.send(np.arange(its.start, its.stop))
            return
