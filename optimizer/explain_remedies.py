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
from optimizer.explain_shortfalls import SHORT_KWH, full_limits
from optimizer.explain_values import Cause, Remedy, RemedyKind, ShortReason
from optimizer.planning import plan
from optimizer.problem import FloatArray, PlanResult, Policy, Problem
from optimizer.replan import Replanner
from optimizer.weights import Weights
from optimizer.what_if_changes import changed
from optimizer.what_if_values import Change, ChangeKind

DOUBLINGS = 5
HALVINGS = 5
MOST_LATER_MIN = 240.0
"""A departure that would have to be later than this is no remedy."""

COARSE_KW = 5.0
"""Amounts of power are told in steps of 1 kW from here on, smaller ones of 0.1 kW."""

Plan = Callable[[Problem], PlanResult]


def with_remedies(
    problem: Problem,
    policy: Policy | Weights,
    short: Sequence[ShortReason],
    *,
    unmet_kwh: FloatArray,
    powers: tuple[FloatArray, FloatArray],
    cost: float,
    most: int,
    deadline: float,
) -> tuple[ShortReason, ...]:
    """``short`` with remedies for the first ``most``, as far as the time until ``deadline`` suffices; the others are marked as not tried.
    ``cost``: what the plan costs now; ``powers``: its powers [vehicle × slot], and what counts under the site's limit [slot]."""

    warm = Replanner()

    def search(other: Problem) -> PlanResult:
        return warm.plan(other, policy=policy, deadline_s=deadline - perf_counter())

    def prove(other: Problem) -> PlanResult:
        return plan(other, policy=policy, deadline_s=deadline - perf_counter())

    found = []
    for number, reason in enumerate(short):
        if number >= most:
            found.append(replace(reason, tried=False))
            continue
        remedies, tried = [], True
        try:
            for remedy in _remedies(problem, (search, prove), reason, unmet_kwh=unmet_kwh, powers=powers, cost=cost):
                remedies.append(remedy)  # what was found before the time was over stands
        except SolverFailed:
            tried = False
        remedies.sort(key=lambda one: (one.others_short_kwh > SHORT_KWH, one.bill, one.kind))
        found.append(replace(reason, remedies=tuple(remedies), tried=tried))
    return tuple(found)


def changes_of(problem: Problem, vehicle_id: str, remedy: Remedy) -> list[Change]:
    """A remedy as changes to the problem, to see what else it does. None for a class of priority, which is no change of what there is."""
    match remedy.kind:
        case RemedyKind.LATER:
            return [Change(ChangeKind.DEPART, remedy.amount, target=vehicle_id)]
        case RemedyKind.CHARGER:
            return [Change(ChangeKind.CHARGER, remedy.amount, target=vehicle_id)]
        case RemedyKind.LIMIT:
            feeders = {feeder.id for feeder in problem.feeders}
            kinds = [
                (ChangeKind.FEEDER if name in feeders else ChangeKind.CAP if name else ChangeKind.LIMIT, name) for name in remedy.where
            ]
            return [
                Change(kind, remedy.amount, target=name, from_slot=remedy.from_slot, until_slot=remedy.until_slot) for kind, name in kinds
            ]
        case RemedyKind.PRIORITY:
            return []


def _remedies(
    problem: Problem,
    solve: tuple[Plan, Plan],
    reason: ShortReason,
    *,
    unmet_kwh: FloatArray,
    powers: tuple[FloatArray, FloatArray],
    cost: float,
) -> Iterator[Remedy]:
    i = reason.vehicle

    def told(remedy: Remedy, result: PlanResult) -> Remedy:
        worse = float(np.maximum(np.delete(result.unmet_kwh - unmet_kwh, i), 0.0).sum())
        return replace(remedy, bill=round(result.cost - cost, 6) + 0.0, others_short_kwh=worse if worse > SHORT_KWH else 0.0)

    for wanted, guess, most in _candidates(problem, reason, powers):
        grid = 1.0 if wanted.kind is RemedyKind.LATER or guess >= COARSE_KW else 0.1
        found = _least(problem, solve, i, lambda amount: replace(wanted, amount=amount), guess=guess, grid=grid, most=most)  # noqa: B023
        if found is not None:
            yield told(replace(wanted, amount=found[0]), found[1])
    if reason.ahead:
        first = max(vehicle.priority for vehicle in problem.vehicles)
        vehicle = replace(problem.vehicles[i], priority=first + 1)
        other = replace(problem, vehicles=(*problem.vehicles[:i], vehicle, *problem.vehicles[i + 1 :]))
        result = solve[1](other)
        if result.unmet_kwh[i] <= SHORT_KWH:
            classes = len({v.priority for v in problem.vehicles if v.priority > problem.vehicles[i].priority})
            yield told(Remedy(RemedyKind.PRIORITY, (), float(classes), "classes", 0, problem.n_slots, 0.0), result)


def _candidates(problem: Problem, reason: ShortReason, powers: tuple[FloatArray, FloatArray]) -> Iterator[tuple[Remedy, float, float]]:
    """(remedy without its amount, first guess of that, the most that is tried)."""
    vehicle = problem.vehicles[reason.vehicle]
    stay = vehicle.arrival_slot, vehicle.departure_slot
    needed_kwh = reason.short_kwh / vehicle.eff
    if vehicle.departure_slot < problem.n_slots and vehicle.p_max_kw > 0:
        until = min(math.ceil(vehicle.departure_slot + MOST_LATER_MIN / problem.slot_minutes), problem.n_slots)
        later = Remedy(RemedyKind.LATER, (), 0.0, "min", vehicle.departure_slot, until, 0.0)
        yield later, 60 * needed_kwh / vehicle.p_max_kw, (until - vehicle.departure_slot) * problem.slot_minutes
    if reason.cause is Cause.OWN or reason.own_kwh > SHORT_KWH:
        there_h = float(problem.hours[slice(*stay)].sum())
        if there_h > 0:
            guess = needed_kwh / there_h
            yield Remedy(RemedyKind.CHARGER, (vehicle.id,), 0.0, "kW", *stay, 0.0), guess, 10 * max(vehicle.p_max_kw, guess)
        return
    tight = full_limits(problem, reason.vehicle, *powers)
    for way in [[one] for one in tight] + ([tight] if len(tight) > 1 else []):
        slots = np.flatnonzero(np.any([full for _, full in way], axis=0))
        span = int(slots[0]), int(slots[-1]) + 1
        guess = needed_kwh / max(float(problem.hours[slice(*span)].sum()), 1e-6)
        yield Remedy(RemedyKind.LIMIT, tuple(name for name, _ in way), 0.0, "kW", *span, 0.0), guess, 1000 * guess


def _least(
    problem: Problem, solve: tuple[Plan, Plan], i: int, remedy: Callable[[float], Remedy], *, guess: float, grid: float, most: float
) -> tuple[float, PlanResult] | None:
    """The least amount on the grid, nearly, with which vehicle ``i`` is not short any more, with the plan that says so; None: none is.

    ``solve``: from the last plan's basis, for the search, and from nothing, for the proof: where plans cost the same, who is short
    may depend on where the search began.
    """
    search, prove = solve

    def tried(amount: float, plan_of: Plan) -> PlanResult | None:
        try:
            result = plan_of(changed(problem, changes_of(problem, problem.vehicles[i].id, remedy(amount))))
        except InvalidProblem:
            return None
        return result if result.unmet_kwh[i] <= SHORT_KWH else None

    for plan_of in (search, prove):
        amount = _searched(lambda kw: tried(kw, plan_of) is not None, guess=guess, grid=grid, most=most)  # noqa: B023  # used at once
        if amount is None:
            return None
        for _ in range(HALVINGS):
            proof = tried(amount, prove)
            if proof is None:
                break
            if tried(amount / 2, prove) is None:
                return amount, proof
            amount /= 2  # half of it must not do: that is what "needed" means
    return None


def _searched(helps: Callable[[float], bool], *, guess: float, grid: float, most: float) -> float | None:
    """The least amount on the grid that helps, nearly; None: not even ``most`` does."""
    low, high = 0.0, min(_up(guess, grid), most)
    for _ in range(DOUBLINGS):
        if helps(high):
            break
        if high >= most:
            return None
        low, high = high, min(_up(2 * high, grid), most)
    else:
        return None
    for _ in range(HALVINGS):
        middle = _up((low + high) / 2, grid)
        if middle >= high:
            break
        if helps(middle):
            high = middle
        else:
            low = middle
    return high


def _up(amount: float, grid: float) -> float:
    return round(max(1, math.ceil(amount / grid - 1e-9)) * grid, 6)
