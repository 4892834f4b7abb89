"""The frontier between bill, battery wear, peak and readiness, by ε-constraint: plans of which none is better in everything.

    cheapest plan ----------------------+
    per aim: the plan that is best in it +--> the way between both in even steps
    each step: least bill with  aim ≤ ε  --dual--> what the aim is worth there --rounded--> Weights --> a plan = FrontierPoint

What bounds this night's wear says nothing of the next one; the dual of the bound, a price, does. So the bound places the points
evenly, and the point itself is the plan that its price makes: :func:`optimizer.plan` with ``policy=point.weights`` makes it again.
The bounded model is held warm: only the bound of a row moves. Points are planned each from its own beginning: warm ones would be
faster, but what is a tie to a point's weights (whose battery is charged late, where only the peak counts) would fall
otherwise when it is planned again. What an aim gains without money is taken first: the way to it begins there.

Deterministic, except for where a deadline or a cancellation cuts the work off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import floor, log10
from time import perf_counter

import numpy as np
import numpy.typing as npt

from optimizer import arrays, planning
from optimizer.aims import delay_per_kw, point_of, wear_per_kw
from optimizer.errors import SolverFailed
from optimizer.keys import Family, keys_of
from optimizer.problem import Problem
from optimizer.solver import Solver
from optimizer.weights import Aim, Frontier, FrontierPoint, FrontierProgress, Weights

AIMS = (Aim.WEAR, Aim.PEAK, Aim.READINESS)
"""What money can be given up for."""

STEPS = 6
DEADLINE_S = 60.0

LEAST = {Aim.WEAR: 0.05, Aim.PEAK: 1e-3, Aim.READINESS: 1.5e-3}
MOST = {Aim.WEAR: 100.0, Aim.PEAK: 100.0, Aim.READINESS: 100.0}
"""Weight of an aim at both ends of its way, in multiples of the mean price where it is per kW or per kWh·h: hardly more than ties are
broken by, and more than any exchange on the way is worth."""

TRACE = 1e-6
"""Of the mean price, per kW of peak: where the tariff has no demand charge, the lowest of the peaks that cost the same."""

DIGITS = 3
"""Weights are rounded to so many: a price at which two plans cost the same is a matter of chance, one beside it is not."""

EVEN = 1e-6
"""Relative difference of two scores that is none."""

_WORDS = {Aim.COST: "the cheapest plan", Aim.WEAR: "less wear", Aim.PEAK: "a lower peak", Aim.READINESS: "earlier readiness"}


class _Stopped(Exception):
    """The time is over, or somebody has cancelled."""


def frontier(
    problem: Problem,
    *,
    aims: Sequence[Aim] = AIMS,
    steps: int = STEPS,
    deadline_s: float = DEADLINE_S,
    progress: Callable[[FrontierProgress], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Frontier:
    """Points from the cheapest plan towards each of ``aims``, at most ``steps`` on each way.

    Each point serves the same energy, as far as the limits allow. ``progress`` is called before each plan; ``cancelled`` is asked
    then, too. What is there when ``deadline_s`` are over, or when somebody cancels, is returned as incomplete; raises
    :class:`SolverFailed` where that is nothing, ValueError for less than one step.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps: at least one is needed")
    began = perf_counter()
    ways = [aim for aim in AIMS if aim in aims]
    work = _Work(problem, deadline=began + deadline_s, of=1 + len(ways) * steps, progress=progress, cancelled=cancelled)
    points: list[FrontierPoint] = []
    complete = False
    try:
        cheapest = work.plan(Aim.COST, work.base)
        points.append(cheapest)
        for aim in ways:
            points.extend(_way(work, aim, steps=steps, cheapest=cheapest))
        complete = True
    except _Stopped:
        pass
    except SolverFailed:
        if not points:
            raise
    if not points:
        raise SolverFailed("the frontier was stopped before its first plan was there")
    return Frontier(
        points=_undominated(_stepped(points)),
        complete=complete,
        solved=work.done,
        seconds=perf_counter() - began,
        currency=problem.currency,
    )


def _way(work: _Work, aim: Aim, *, steps: int, cheapest: FrontierPoint) -> Iterator[FrontierPoint]:
    """From the plan that gains what costs nothing to the one that is best in ``aim``."""
    best = work.plan(aim, work.weighing(aim, MOST))
    most, least = _score(cheapest, aim), _score(best, aim)
    if most - least <= EVEN * max(abs(most), 1.0):
        work.skip(steps - 1)
        return
    yield best
    if steps == 1:
        return
    free = work.plan(aim, work.weighing(aim, LEAST))
    yield free
    seen = {best.weights, free.weights}
    most = max(_score(free, aim), least)
    for step in range(1, steps - 1):
        weights = work.weights_at(aim, most - (most - least) * step / (steps - 1))
        if weights is None or weights in seen:
            work.skip(1)
            continue
        seen.add(weights)
        yield work.plan(aim, weights)


class _Work:
    """One frontier in the making: the two warm models, and the time."""

    def __init__(
        self,
        problem: Problem,
        *,
        deadline: float,
        of: int,
        progress: Callable[[FrontierProgress], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self._problem = problem
        self._deadline = deadline
        self._of, self._progress, self._cancelled = of, progress, cancelled
        self._scale = planning.price_scale(problem)
        self._alone = problem.with_lenders()
        self._bounded: _Bounded | None = None
        self._told = 0
        self.done = 0
        trace = 0.0 if problem.demand_charge_per_kw else TRACE * self._scale
        self.base = Weights(peak_per_kw=_rounded(trace) if trace else 0.0)

    def weighing(self, aim: Aim, weight: Mapping[Aim, float]) -> Weights:
        """Weights at an end of an aim's way."""
        return self._with(aim, _rounded(weight[aim] * (1.0 if aim is Aim.WEAR else self._scale)))

    def skip(self, plans: int) -> None:
        """So many will not be needed."""
        self._told += plans

    def plan(self, aim: Aim, weights: Weights) -> FrontierPoint:
        """The point that ``weights`` make."""
        if self._cancelled() or perf_counter() >= self._deadline:
            raise _Stopped
        self._progress(FrontierProgress(self._told, self._of, _WORDS[aim]))
        left_s = self._deadline - perf_counter()
        result = planning.plan(self._problem, policy=weights, deadline_s=left_s)
        self.done += 1
        self._told += 1
        return point_of(self._problem, result.power_kw, result.storage_kw, aim=aim, weights=weights)

    def weights_at(self, aim: Aim, bound: float) -> Weights | None:
        """What the aim is worth where the least bill keeps it at ``bound``; None: nothing, it is reached anyway."""
        if self._bounded is None:
            self._bounded = _Bounded(self._alone, self.base, dearest=[self.weighing(aim, MOST) for aim in AIMS], deadline=self._deadline)
        worth = self._bounded.worth(aim, bound)
        if worth <= 0:
            return None
        weights = self._with(aim, _rounded(worth))
        return weights if weights != self.base else None

    def _with(self, aim: Aim, worth: float) -> Weights:
        if aim is Aim.WEAR:
            return replace(self.base, wear=worth)
        if aim is Aim.PEAK:
            return replace(self.base, peak_per_kw=_rounded(self.base.peak_per_kw + worth))
        return replace(self.base, delay_per_kwh_h=worth)


class _Bounded:
    """The cheapest plan under a bound on each aim, held warm. What is not served stays as dear as at the end of every way: no bound
    is kept by serving less."""

    def __init__(self, problem: Problem, base: Weights, *, dearest: Sequence[Weights], deadline: float) -> None:
        costs = planning.costs_of(problem, base)
        unmet = np.max([planning.costs_of(problem, weights).unmet for weights in dearest], axis=0, initial=0.0)
        compiled = arrays.build(problem, replace(costs, unmet=unmet))
        self._solver = Solver(compiled, deadline=deadline)
        cells = (compiled.vehicle, compiled.slot)
        peak = np.flatnonzero(compiled.column_keys == keys_of(Family.PEAK)).astype(np.int32)
        self._rows = {
            Aim.WEAR: self._solver.add_row(compiled.cells, wear_per_kw(problem)[cells], upper=np.inf),
            Aim.READINESS: self._solver.add_row(compiled.cells, delay_per_kw(problem)[cells], upper=np.inf),
            Aim.PEAK: self._solver.add_row(peak, np.ones(len(peak)), upper=np.inf),
        }
        self._now: Aim | None = None

    def worth(self, aim: Aim, bound: float) -> float:
        """What one less of ``aim`` costs where it is bound."""
        if self._now is not None and self._now is not aim:
            self._solver.change_row(self._rows[self._now], upper=np.inf)
        self._now = aim
        self._solver.change_row(self._rows[aim], upper=bound)
        self._solver.solve()
        return -float(self._solver.duals()[0][self._rows[aim]])


def _score(point: FrontierPoint, aim: Aim) -> float:
    return {Aim.COST: point.cost, Aim.WEAR: point.wear_cost, Aim.PEAK: point.peak_kw, Aim.READINESS: point.delay_kwh_h}[aim]


def _rounded(value: float) -> float:
    return round(value, DIGITS - 1 - floor(log10(value))) if value > 0 else 0.0


def _stepped(points: list[FrontierPoint]) -> list[FrontierPoint]:
    """The points in their order, each with how far it goes towards its aim."""
    cheapest = points[0]
    out = [cheapest]
    for aim in AIMS:
        way = [point for point in points if point.aim is aim]
        if not way:
            continue
        most, least = _score(cheapest, aim), min(_score(point, aim) for point in way)
        span = max(most - least, EVEN)
        out += sorted((replace(point, step=min(1.0, max(0.0, (most - _score(point, aim)) / span))) for point in way), key=lambda p: p.step)
    return out


def _undominated(points: list[FrontierPoint]) -> tuple[FrontierPoint, ...]:
    """Those to which no other is at least as good in every aim; of equal ones the first."""
    scores: npt.NDArray[np.float64] = np.array([point.scores for point in points])
    play = EVEN * np.maximum(np.abs(scores).max(axis=0), 1.0)
    kept: list[int] = []
    for n, mine in enumerate(scores):
        as_good = (scores <= mine + play).all(axis=1)
        better = as_good & (scores < mine - play).any(axis=1)
        same = as_good & ~better
        if not better.any() and not same[:n].any():
            kept.append(n)
    return tuple(points[n] for n in kept)
