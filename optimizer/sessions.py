"""Sessions that cannot pause: begun late rather than interrupted, and then kept at their floor until they have what they need.

    relaxed plan --duals--> what each cell is worth to its vehicle --> a begin and an end per vehicle --> bounds --> solve again, warm

A semi-continuous model with a begin and an end for each vehicle does not close in the loop's time. Of the relaxed plan's sessions
those that are broken (a gap, or less than the floor on the way) are mended: the reduced costs say what a kW in a cell costs beyond
what it is worth there, so that the best run of cells for a vehicle, at these prices, is the one whose sum is least: its floor where
a cell is dear, its upper bound where it is cheap. Then the cells of the run have the floor as lower bound, all others 0, and the
model is solved again from the old basis. Nobody may be shorter than before: whose session cannot be mended so keeps the relaxed
plan, and the limiter deals with it. Of runs that cost the same the one that begins later is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from optimizer.cell_bounds import SHORT_KWH, TOLERANCE_KW, CellBounds, Index, Room
from optimizer.compiled import Compiled, shortages_of
from optimizer.errors import SolverFailed
from optimizer.life_bands import cell_powers
from optimizer.problem import FloatArray, Problem
from optimizer.solver import Solver
from optimizer.steps import Steps

SESSIONS = "sessions"
PASSES = 8
PORTIONS = 3
"""So many times prices are asked anew before everybody has had a turn: who is mended later finds what the others left."""

SPARE = (0.3, 1.0, 3.0)
"""By try: how much more than what is needed a run must be able to hold, as a share. Who lost by a tight one gets a wider one."""

BOUNDED, CANDIDATES = 192, 12
"""Runs that are looked at closely, and of these the ones that are tried."""

DEARER = 5e-4
"""Of what a plan costs: sessions of the last plan stay where they are while that costs at most so much more than it did when they were
found."""

MOVED_SHARE = 0.02
"""Of the mean cost of a kWh: what moving a kWh counts, because the prices hold for small changes only."""


@dataclass(frozen=True, eq=False, slots=True)
class _Stay:
    """A vehicle whose session cannot pause, and its cells: ``floor_kw``, ``upper_kw``, ``lower_kw`` (what it must draw whatever is
    decided), ``hours`` of each; ``runs``: the session has begun."""

    vehicle: int
    cells: Index
    slots: Index
    floor_kw: FloatArray
    upper_kw: FloatArray
    lower_kw: FloatArray
    hours: FloatArray
    runs: bool

    def between(self, begin: int, end: int) -> tuple[int, int]:
        """Its cells (as places in ``cells``) in the slots from ``begin`` to before ``end``."""
        first, last = np.searchsorted(self.slots, (begin, end)).tolist()
        return first, last

    def strain(self, power_kw: FloatArray) -> float:
        """How much of what it could take it takes, 0–1: the more, the less freedom it has."""
        return float(power_kw @ self.hours) / float(self.upper_kw @ self.hours)

    def whole(self, power_kw: FloatArray) -> bool:
        """Whether a session of these powers is never interrupted. In its last cell it may end."""
        active = np.flatnonzero(power_kw > TOLERANCE_KW)
        if not len(active):
            return True
        first, last = active[0], active[-1]
        if self.runs and first > 0:
            return False
        if self.slots[last] - self.slots[first] != last - first:
            return False
        return bool((power_kw[first:last] >= self.floor_kw[first:last] - TOLERANCE_KW).all())


def hold_sessions(
    problem: Problem, compiled: Compiled, *, solver: Solver, columns: FloatArray, bounds: CellBounds, steps: Steps | None = None
) -> tuple[FloatArray, bool]:
    """A solution with fewer broken sessions, nobody shorter than in ``columns``, and whether there was time for all of them;
    ``bounds`` are left as they are for it. ``steps``: of the last plan, whose sessions stay where they are as long as that costs no
    more than it did."""
    mending = _Mending(problem, compiled, solver=solver, columns=columns, bounds=bounds)
    try:
        if steps is not None:
            mending.resume(steps)
        for _ in range(PASSES):
            if not mending.turn():
                break
    except SolverFailed:
        return mending.best, False
    if steps is not None:
        mending.remember(steps)
    mending.keep_whole()
    return mending.best, True


class _Mending:
    """``best``: the solution so far; ``done``: vehicles whose bounds keep their sessions whole."""

    def __init__(self, problem: Problem, compiled: Compiled, *, solver: Solver, columns: FloatArray, bounds: CellBounds) -> None:
        self._problem, self._compiled, self._solver, self._bounds = problem, compiled, solver, bounds
        self._stays = _stays(problem, compiled, bounds)
        self._given = bounds.copy()
        self._most = self._batch = -(-len(self._stays) // PORTIONS)
        self._tried: Counter[int] = Counter()
        self.best = self._relaxed = columns
        self.done: set[int] = set()
        self._dearer_before: float | None = None

    def resume(self, steps: Steps) -> None:
        """All sessions at once as the last plan has them, where they still fit. Nothing is changed where somebody were shorter by it, or
        all of it dearer than it was."""
        runs, dearer = steps.runs(SESSIONS)
        power = cell_powers(self._compiled, self.best)
        broken = [s for s in self._stays if s.vehicle in runs and not s.whole(power[s.cells])]
        if not broken:
            return
        kept, moved = self._bounds.copy(), _moved(self._problem, self._compiled)
        worth = self._solver.duals()[1][self._compiled.cells]
        found = [(s, _still(s, s.between(*runs[s.vehicle]), power[s.cells], worth[s.cells], moved=moved)) for s in broken]
        mended = _held(self._problem, self._compiled, self._bounds, found, power=power)
        if not mended:
            return
        steps.begin(self._solver, SESSIONS)
        columns = self._solver.solve()
        if _short(self._compiled, columns, self.best) or self._dearer(columns) > dearer + DEARER:
            self._bounds.restore(kept, np.concatenate([s.cells for s in mended]))
            self._solver.solve()  # for the duals
            return
        self.best, self.done, self._dearer_before = columns, {s.vehicle for s in mended}, dearer

    def remember(self, steps: Steps) -> None:
        """The sessions as they are now, for the next plan."""
        if not self.done:
            return
        power, runs = cell_powers(self._compiled, self.best), {}
        for stay in self._stays:
            active = stay.slots[power[stay.cells] > TOLERANCE_KW]
            if len(active) and stay.whole(power[stay.cells]):
                runs[stay.vehicle] = int(active[0]), int(active[-1]) + 1
        dearer = self._dearer(self.best) if self._dearer_before is None else self._dearer_before  # what is resumed must not become a habit
        steps.keep(self._solver, SESSIONS, runs=runs, dearer=dearer)

    def _dearer(self, columns: FloatArray) -> float:
        """What a solution costs more than the relaxed one, as a share of what that costs beside its shortages."""
        cost = self._compiled.cost
        money = cost.copy()
        money[shortages_of(self._compiled)[0]] = 0.0
        return float(cost @ columns - cost @ self._relaxed) / max(abs(float(money @ self._relaxed)), 1e-9)

    def turn(self) -> bool:
        """Mend some of the broken sessions; False: there are none that have not had their turns."""
        power = cell_powers(self._compiled, self.best)
        broken = [s for s in self._stays if s.vehicle not in self.done and not s.whole(power[s.cells])]
        broken = [s for s in broken if self._tried[s.vehicle] < len(SPARE)]
        broken = sorted(broken, key=lambda s: (-s.strain(power[s.cells]), s.vehicle))[: self._batch]
        if not broken:
            return False
        self._tried.update(s.vehicle for s in broken)
        kept, done = self._bounds.copy(), set(self.done)
        spare = [SPARE[self._tried[s.vehicle] - 1] for s in broken]
        worth = self._solver.duals()[1][self._compiled.cells]
        mended = _mend(self._problem, self._compiled, self._bounds, broken, power=power, worth=worth, spare=spare)
        if not mended:
            return True
        columns = self._solver.solve()
        short = _short(self._compiled, columns, self.best)
        self.done |= {s.vehicle for s in mended}
        changed = list(mended)
        for some in (mended, self._stays):  # whoever lost by it is free again, those of before only then, and has another turn
            losers = [s for s in some if s.vehicle in short & self.done]
            if losers:
                self._bounds.restore(self._given, np.concatenate([s.cells for s in losers]))
                self.done -= {s.vehicle for s in losers}
                changed += losers
                columns = self._solver.solve()
                short = _short(self._compiled, columns, self.best)
        if short:  # somebody else did: fewer at once
            self._bounds.restore(kept, np.concatenate([s.cells for s in changed]))
            self._solver.solve()  # for the duals; of several plans that are as good, the one before stands
            self.done, self._batch = done, max(1, len(mended) // 2)
        else:
            self.best, self._batch = columns, max(self._batch, min(2 * self._batch, self._most))
        return True

    def keep_whole(self) -> None:
        """Bounds that keep sessions whole which are so already, whatever is solved next. The present solution is within them."""
        power, bounds = cell_powers(self._compiled, self.best), self._bounds
        others = [s for s in self._stays if s.vehicle not in self.done and (power[s.cells] > TOLERANCE_KW).any()]
        kept = [s for s in others if s.whole(power[s.cells])]
        for stay in kept:
            active = np.flatnonzero(power[stay.cells] > TOLERANCE_KW)
            begin, end = int(active[0]), int(active[-1])
            bounds.upper[stay.cells[:begin]] = bounds.upper[stay.cells[end + 1 :]] = 0.0
            inside = stay.cells[begin:end]
            bounds.lower[inside] = np.maximum(bounds.lower[inside], np.minimum(stay.floor_kw[begin:end], power[inside]))
        if kept:
            bounds.send(np.concatenate([stay.cells for stay in kept]))


def broken_sessions(problem: Problem, power_kw: FloatArray) -> list[int]:
    """Vehicles that cannot pause and whose session in ``power_kw`` [vehicle × slot] is interrupted or below its floor on the way."""
    found = []
    for i, (vehicle, row) in enumerate(zip(problem.vehicles, power_kw, strict=True)):
        active = np.flatnonzero(row[: vehicle.departure_slot] > TOLERANCE_KW)
        if vehicle.pausable or not len(active):
            continue
        run = slice(active[0], active[-1])
        floor = _floor(problem, i, np.arange(problem.n_slots))
        late = bool(vehicle.floor_kw) and active[0] > vehicle.arrival_slot
        if late or (row[run] < floor[run] - 1e-4).any():
            found.append(i)
    return found


def _stays(problem: Problem, compiled: Compiled, bounds: CellBounds) -> list[_Stay]:
    gives = set(compiled.vehicle[compiled.gives].tolist())
    found = []
    for i in compiled.needy.tolist():
        vehicle = problem.vehicles[i]
        if vehicle.pausable or i in gives or not max(vehicle.floor_kw, vehicle.p_min_kw):
            continue
        its = bounds.of(i)
        cells = np.arange(its.start, its.stop)
        cells = cells[compiled.slot[cells] < vehicle.departure_slot]  # later visits are sessions of their own, and planned again by then
        slots = compiled.slot[cells]
        if not len(cells):
            continue
        lower = bounds.lower[cells]
        found.append(
            _Stay(
                vehicle=i,
                cells=cells,
                slots=slots,
                floor_kw=np.maximum(_floor(problem, i, slots), lower),
                upper_kw=bounds.upper[cells],
                lower_kw=lower,
                hours=problem.hours[slots],
                runs=vehicle.floor_kw > 0 and int(slots[0]) == vehicle.arrival_slot,
            )
        )
    return found


def _floor(problem: Problem, i: int, slots: Index) -> FloatArray:
    """What the session draws at least in each of ``slots``; in the first and the last, in which it may be there in part, that part."""
    vehicle, upper = problem.vehicles[i], problem.upper_kw[i, slots]
    level = min(vehicle.floor_kw or vehicle.p_min_kw, vehicle.p_max_kw)
    ends = (slots == vehicle.arrival_slot) | (slots == vehicle.departure_slot - 1)
    in_part = level * upper / vehicle.p_max_kw if vehicle.p_max_kw else upper
    floor: FloatArray = np.where(ends, np.minimum(in_part, upper), np.minimum(level, upper))
    return floor


def _short(compiled: Compiled, columns: FloatArray, before: FloatArray) -> set[int]:
    """Vehicles that are short by more than before."""
    shortages, whose = shortages_of(compiled)
    return set(whose[columns[shortages] > before[shortages] + SHORT_KWH].tolist())


def _mend(
    problem: Problem,
    compiled: Compiled,
    bounds: CellBounds,
    broken: list[_Stay],
    *,
    power: FloatArray,
    worth: FloatArray,
    spare: list[float],
) -> list[_Stay]:
    """Bounds of a whole session for each of ``broken`` in turn, in the solver, too; returns those for whom there is one that fits.
    ``spare``: of each, how much more than what it needs its run shall be able to hold."""
    moved = _moved(problem, compiled)
    found = (
        (stay, _runs(stay, power[stay.cells], worth[stay.cells], moved=moved, spare=more)) for stay, more in zip(broken, spare, strict=True)
    )
    return _held(problem, compiled, bounds, found, power=power)


def _moved(problem: Problem, compiled: Compiled) -> float:
    """What moving a kWh counts."""
    return MOVED_SHARE * float(np.mean(np.abs(compiled.cost[compiled.cells]) / problem.hours[compiled.slot]))


def _held(
    problem: Problem,
    compiled: Compiled,
    bounds: CellBounds,
    wanted: Iterable[tuple[_Stay, list[tuple[int, int]]]],
    *,
    power: FloatArray,
) -> list[_Stay]:
    """Bounds of a whole session for each stay in turn, of its runs the first that fits beside the others', in the solver, too; returns
    those for whom one does."""
    room = Room(problem, compiled, bounds.lower)
    mended = []
    for stay, runs in wanted:
        its = power[stay.cells]
        for begin, end in runs:
            inside = slice(begin, end)
            floor = stay.floor_kw[inside]
            if end - begin == 1:  # so little is needed that one slot at the floor is too much
                floor = np.minimum(floor, its @ stay.hours / stay.hours[inside])
            if room.takes(stay.vehicle, stay.slots[inside], np.maximum(floor - stay.lower_kw[inside], 0.0)):
                bounds.upper[stay.cells[:begin]] = bounds.upper[stay.cells[end:]] = 0.0
                bounds.lower[stay.cells[inside]] = np.maximum(floor * (1 - 1e-9), stay.lower_kw[inside])
                mended.append(stay)
                break
    bounds.send(np.concatenate([s.cells for s in mended]) if mended else np.zeros(0, dtype=np.int32))
    return mended


def _runs(stay: _Stay, power: FloatArray, worth: FloatArray, *, moved: float, spare: float) -> list[tuple[int, int]]:
    """The best begins and ends (of cells, half-open) in which what the stay gets fits, and not less than its floors, best first.

    For all of them a bound: each cell at its floor or its upper bound, as it is worth. For the best of these the least cost: the
    floors, and the rest in the cheapest cells.
    """
    begin, end = _fitting(stay, float(power @ stay.hours), spare=spare)
    begin, end = _bounded(stay, begin, end, worth)
    total = _totals(stay, begin, end, power, worth, moved=moved)
    best = np.lexsort((-begin, np.round(total / max(moved, 1e-12), 6)))[:CANDIDATES]
    return list(zip(begin[best].tolist(), end[best].tolist(), strict=True))


def _still(stay: _Stay, run: tuple[int, int], power: FloatArray, worth: FloatArray, *, moved: float) -> list[tuple[int, int]]:
    """Runs in which what the stay gets fits that begin and end where ``run`` does, or a slot further out; none of them where another is
    cheaper by more than moving its energy counts."""
    need = float(power @ stay.hours)
    begin, end = _fitting(stay, need, spare=0.0)
    near = (run[0] - begin >= 0) & (run[0] - begin <= 1) & (end - run[1] >= 0) & (end - run[1] <= 1)
    if not near.any():
        return []
    best = _totals(stay, *_bounded(stay, begin, end, worth), power, worth, moved=moved).min()
    begin, end = begin[near], end[near]
    good = _totals(stay, begin, end, power, worth, moved=moved) <= best + moved * need
    order = np.lexsort((-begin, end - begin))
    return list(zip(begin[order][good[order]].tolist(), end[order][good[order]].tolist(), strict=True))


def _bounded(stay: _Stay, begin: Index, end: Index, worth: FloatArray) -> tuple[Index, Index]:
    """Of some runs those whose bounds are the least."""
    bound = _sums(np.where(worth > 0, stay.floor_kw, stay.upper_kw) * worth)
    nearest = np.lexsort((-begin, bound[end] - bound[begin]))[:BOUNDED]
    return begin[nearest], end[nearest]


def _totals(stay: _Stay, begin: Index, end: Index, power: FloatArray, worth: FloatArray, *, moved: float) -> FloatArray:
    """[run] what each costs beyond what it is worth: the floors, the rest in the cheapest cells, and what is moved."""
    need, place = float(power @ stay.hours), np.arange(len(power))
    inside = (begin[:, None] <= place) & (place < end[:, None])
    floor = np.where(inside, stay.floor_kw, 0.0)
    per_kwh = worth / stay.hours
    order = np.argsort(per_kwh, kind="stable")
    left = need - floor @ stay.hours
    space = (np.where(inside, stay.upper_kw - stay.floor_kw, 0.0) * stay.hours)[:, order]
    filled = np.clip(left[:, None] - (np.cumsum(space, axis=1) - space), 0.0, space)
    got = floor * stay.hours
    got[:, order] += filled
    total: FloatArray = got @ per_kwh + moved * np.abs(got - power * stay.hours).sum(axis=1)
    return total


def _fitting(stay: _Stay, need: float, *, spare: float) -> tuple[Index, Index]:
    """All begins and ends of runs without a gap that can hold ``need`` kWh and the share ``spare`` more, or as much of that as any
    can, and neither ask for more than ``need`` nor leave out what it must draw."""
    floor, upper = _sums(stay.floor_kw * stay.hours), _sums(stay.upper_kw * stay.hours)
    begin, end = np.triu_indices(len(stay.cells) + 1, 1)
    holds = upper[end] - upper[begin]
    fits = (holds >= need * (1 - 1e-9)) & ((floor[end] - floor[begin] <= need * (1 + 1e-9)) | (end == begin + 1))
    fits &= stay.slots[end - 1] - stay.slots[begin] == end - 1 - begin
    must = np.flatnonzero(stay.lower_kw > 0)
    if stay.runs or len(must):
        fits &= begin == 0
    if len(must):
        fits &= end > must[-1]
    fits &= holds >= min(need * (1 + spare), holds[fits].max(initial=0.0)) * (1 - 1e-9)
    return begin[fits], end[fits]


def _sums(parts: FloatArray) -> FloatArray:
    return np.concatenate(([0.0], np.cumsum(parts)))
