"""What would let a vehicle leave with all that it needs: found by trying, and proved by planning the changed problem.

    ShortReason --candidates by its cause--> Change(amount) --plan--> still short? --> the least amount that helps

An amount counts as a remedy when nothing of the shortfall is left with it, and something is with half of it. Whoever else is short may take
what is added first: by their class, as the plan always decides; so what is told is what the vehicle really needs added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from optimizer.errors import InvalidProblem, SolverFailed
from optimizer.explain_shortfalls import SHORT_KWH, limits_of
from optimizer.explain_values import Cause, LimitKind, LimitPrice, Remedy, RemedyKind, ShortReason
from optimizer.planning import plan
from optimizer.problem import FloatArray, PlanResult, Policy, Problem
from optimizer.weights import Weights
from optimizer.what_if_changes import changed
from optimizer.what_if_values import Change, ChangeKind

DOUBLINGS = 5
HALVINGS = 5
MOST_LATER_MIN = 240.0
"""A departure that would have to be later than this is no remedy."""

Plan = Callable[[Problem], PlanResult]


def with_remedies(
    problem: Problem,
    policy: Policy | Weights,
    short: Sequence[ShortReason],
    *,
    unmet_kwh: FloatArray,
    limits: Sequence[LimitPrice],
    cost: float,
    most: int,
    deadline: float,
) -> tuple[ShortReason, ...]:
    """``short`` with remedies for the first ``most``, as far as the time until ``deadline`` suffices; the others are marked as not tried.
    ``cost``: what the plan costs now."""

    def solve(other: Problem) -> PlanResult:
        return plan(other, policy=policy, deadline_s=deadline - perf_counter())

    found = []
    for number, reason in enumerate(short):
        if number >= most:
            found.append(replace(reason, tried=False))
            continue
        try:
            remedies = list(_remedies(problem, solve, reason, unmet_kwh=unmet_kwh, limits=limits, cost=cost))
        except SolverFailed:
            found.append(replace(reason, tried=False))
            continue
        remedies.sort(key=lambda one: (one.others_short_kwh > SHORT_KWH, one.bill, one.kind))
        found.append(replace(reason, remedies=tuple(remedies)))
    return tuple(found)


def _remedies(
    problem: Problem, solve: Plan, reason: ShortReason, *, unmet_kwh: FloatArray, limits: Sequence[LimitPrice], cost: float
) -> Iterator[Remedy]:
    i = reason.vehicle

    def remedy(kind: RemedyKind, where: str, amount: float, unit: str, span: tuple[int, int], result: PlanResult) -> Remedy:
        others = np.delete(result.unmet_kwh - unmet_kwh, i)
        worse = float(np.maximum(others, 0.0).sum())
        return Remedy(kind, where, amount, unit, *span, result.cost - cost, worse if worse > SHORT_KWH else 0.0)

    for kind, where, unit, guess, grid, most, span, change in _candidates(problem, reason, limits):
        found = _least(problem, solve, i, change, guess=guess, grid=grid, most=most)
        if found is not None:
            yield remedy(kind, where, found[0], unit, span, found[1])
    if reason.ahead:
        first = max(vehicle.priority for vehicle in problem.vehicles)
        vehicle = replace(problem.vehicles[i], priority=first + 1)
        other = replace(problem, vehicles=(*problem.vehicles[:i], vehicle, *problem.vehicles[i + 1 :]))
        result = solve(other)
        if result.unmet_kwh[i] <= SHORT_KWH:
            classes = len({v.priority for v in problem.vehicles if v.priority > problem.vehicles[i].priority})
            yield remedy(RemedyKind.PRIORITY, "", float(classes), "classes", (0, problem.n_slots), result)


_Candidate = tuple[RemedyKind, str, str, float, float, float, tuple[int, int], Callable[[float], list[Change]]]
"""Kind, where, unit, first guess, grid of amounts, most, slots, and the changes of an amount."""


def _candidates(problem: Problem, reason: ShortReason, limits: Sequence[LimitPrice]) -> Iterator[_Candidate]:
    vehicle = problem.vehicles[reason.vehicle]
    stay = vehicle.arrival_slot, vehicle.departure_slot
    needed_kwh = reason.short_kwh / vehicle.eff
    until = math.ceil(vehicle.departure_slot + MOST_LATER_MIN / problem.slot_minutes)
    if vehicle.departure_slot < problem.n_slots and vehicle.p_max_kw > 0:
        most = min(MOST_LATER_MIN, (problem.n_slots - vehicle.departure_slot) * problem.slot_minutes)
        later = (vehicle.departure_slot, min(until, problem.n_slots))
        guess = 60 * needed_kwh / vehicle.p_max_kw
        yield RemedyKind.LATER, "", "min", guess, 1.0, most, later, lambda minutes: [Change(ChangeKind.DEPART, minutes, target=vehicle.id)]
    if reason.cause is Cause.OWN or reason.own_kwh > SHORT_KWH:
        there_h = float(problem.hours[slice(*stay)].sum())
        if there_h > 0:
            guess, most = needed_kwh / there_h, 10 * max(vehicle.p_max_kw, needed_kwh / there_h)
            yield (
                RemedyKind.CHARGER,
                vehicle.id,
                "kW",
                guess,
                _grid(guess),
                most,
                stay,
                lambda kw: [Change(ChangeKind.CHARGER, kw, target=vehicle.id)],
            )
        return
    tight = [limit for limit, _ in limits_of(problem, reason.vehicle, limits) if (limit.penalty > 0).any()]
    ways = [[limit] for limit in tight]
    if len(tight) > 1:
        ways.append(tight)
    for way in ways:
        span = _span(problem, reason, way)
        hours = float(problem.hours[slice(*span)].sum())
        guess = needed_kwh / max(hours, 1e-6)
        where = " + ".join(limit.id if limit.kind is not LimitKind.SITE else "site" for limit in way)
        named = "" if where == "site" else where
        if all(limit.kind in (LimitKind.SITE, LimitKind.FEEDER) for limit in way):
            yield RemedyKind.LIMIT, named, "kW", guess, _grid(guess), 1000 * guess, span, _more_of(way, span)


def _more_of(way: Sequence[LimitPrice], span: tuple[int, int]) -> Callable[[float], list[Change]]:
    def changes(kw: float) -> list[Change]:
        kinds = [(ChangeKind.LIMIT if limit.kind is LimitKind.SITE else ChangeKind.FEEDER, limit.id) for limit in way]
        return [Change(kind, kw, target=name, from_slot=span[0], until_slot=span[1]) for kind, name in kinds]

    return changes


def _span(problem: Problem, reason: ShortReason, way: Sequence[LimitPrice]) -> tuple[int, int]:
    """From the first to the last slot of its stay in which one of these limits keeps energy from somebody."""
    vehicle = problem.vehicles[reason.vehicle]
    tight = np.zeros(problem.n_slots, dtype=bool)
    for limit in way:
        tight |= limit.penalty > 0
    tight &= problem.upper_kw[reason.vehicle] > 0
    its = np.flatnonzero(tight)
    return (int(its[0]), int(its[-1]) + 1) if len(its) else (vehicle.arrival_slot, vehicle.departure_slot)


def _grid(guess: float) -> float:
    """Amounts of power are told in steps of 1 kW, small ones of 0.1 kW."""
    return 1.0 if guess >= 5 else 0.1


def _least(
    problem: Problem, solve: Plan, i: int, change: Callable[[float], list[Change]], *, guess: float, grid: float, most: float
) -> tuple[float, PlanResult] | None:
    """The least amount on the grid, nearly, with which vehicle ``i`` is not short any more, with the plan that says so; None: none is."""

    def tried(amount: float) -> PlanResult | None:
        try:
            result = solve(changed(problem, change(amount)))
        except InvalidProblem:
            return None
        return result if result.unmet_kwh[i] <= SHORT_KWH else None

    low, high = 0.0, _up(guess, grid)
    best: PlanResult | None = None
    for _ in range(DOUBLINGS):
        high = min(high, most)
        best = tried(high)
        if best is not None or high >= most:
            break
        low, high = high, _up(2 * high, grid)
    if best is None:
        return None
    for _ in range(HALVINGS):
        middle = _up((low + high) / 2, grid)
        if middle >= high:
            break
        result = tried(middle)
        if result is None:
            low = middle
        else:
            high, best = middle, result
    for _ in range(HALVINGS):  # half of it must not do: that is what "needed" means
        if high / 2 == low or (result := tried(high / 2)) is None:
            return high, best
        high, best = high / 2, result
    return None


def _up(amount: float, grid: float) -> float:
    return round(max(1, math.ceil(amount / grid - 1e-9)) * grid, 6)
