"""What-if: the same plan for a changed problem, beside the present one.

    Problem --plan--> Figures ──┐
       └ changed() --plan--> Figures ──> Comparison

Both are planned in the same way, so that what differs is the change's doing and nothing else's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from time import perf_counter

import numpy as np

from optimizer.evaluate import evaluate
from optimizer.life import ageing_of
from optimizer.planning import DEADLINE_S, held_h, holding, plan
from optimizer.problem import FloatArray, PlanResult, Policy, Problem
from optimizer.weights import Weights
from optimizer.what_if_changes import changed, in_words
from optimizer.what_if_values import Change, Comparison, Figures, VehicleChange

SHORT_KWH = 0.05
"""Less than this that is missing is rounding."""

MOVED_KWH = 0.1
"""Less than this that moves to other slots is not worth telling."""

Solve = Callable[[Problem], PlanResult]


def what_if(
    problem: Problem,
    changes: Sequence[Change],
    *,
    policy: Policy | Weights = Policy.CHEAPEST,
    deadline_s: float = DEADLINE_S,
    before: PlanResult | None = None,
    zone: tzinfo | None = None,
) -> Comparison:
    """What ``changes`` do to the plan of ``problem``. ``before``: that plan, where it is at hand (it must have been made without
    rounding of minimum powers). ``zone``: whose clock the words use. Each of at most two solves has ``deadline_s`` seconds. Raises
    :class:`InvalidProblem` for a change that makes no sense, :class:`SolverFailed` without a plan in time."""
    started = perf_counter()
    other = changed(problem, changes)
    old = plan(problem, policy=policy, deadline_s=deadline_s) if before is None else before
    new = plan(other, policy=policy, deadline_s=deadline_s)
    return Comparison(
        changes=tuple(
            in_words(change, slot_name=lambda k: clock(problem, k, zone), currency=problem.currency, n_slots=problem.n_slots)
            for change in changes
        ),
        before=figures(problem, old),
        after=figures(other, new),
        vehicles=_differences(problem, old, other, new),
        currency=problem.currency,
        solve_s=perf_counter() - started,
    )


def figures(problem: Problem, result: PlanResult) -> Figures:
    """What a plan comes to."""
    return _figures(
        problem, result.power_kw, result.storage_kw, unmet=result.unmet_kwh, over_limit_kw=float(result.over_limit_kw.max(initial=0.0))
    )


def figures_of(problem: Problem, power_kw: FloatArray) -> Figures:
    """What powers come to that no plan made, such as a rule's (:mod:`optimizer.baselines`); stationary batteries rest.
    ``over_limit_kw``: by how much they exceed the site's limit at most."""
    verdict = evaluate(problem, power_kw)
    over_kw = float((verdict.site_kw - problem.site_limit_kw).max(initial=0.0))
    return _figures(problem, power_kw, None, unmet=verdict.unmet_kwh, over_limit_kw=over_kw)


def _figures(problem: Problem, power_kw: FloatArray, storage_kw: FloatArray | None, *, unmet: FloatArray, over_limit_kw: float) -> Figures:
    verdict = evaluate(problem, power_kw, storage_kw)
    return Figures(
        cost=verdict.cost,
        energy_cost=verdict.energy_cost,
        demand_cost=verdict.demand_cost,
        energy_kwh=float(np.maximum(power_kw, 0.0).sum(axis=0) @ problem.hours),
        peak_kw=verdict.peak_kw,
        unmet_kwh=float(unmet.sum()),
        short=tuple(v.id for v, missing in zip(problem.vehicles, unmet, strict=True) if missing > SHORT_KWH),
        wear_cost=wear_cost(problem, power_kw),
        over_limit_kw=over_limit_kw,
    )


def wear_cost(problem: Problem, power_kw: FloatArray) -> float | None:
    """What a plan costs the batteries, currency, of those vehicles that know it: their life (:mod:`optimizer.life`), or holding the energy
    until the departure; None: none does."""
    known = np.array([vehicle.life is not None or vehicle.holding_per_kwh_h is not None for vehicle in problem.vehicles], dtype=bool)
    if not known.any():
        return None
    eff = np.array([vehicle.eff for vehicle in problem.vehicles])[:, None]
    stored = np.where(power_kw > 0, power_kw * eff, power_kw / eff) * problem.hours
    held = holding(problem) * (stored * held_h(problem)).sum(axis=1)
    return float(held[known].sum() + ageing_of(problem, power_kw).total.sum())


def clock(problem: Problem, slot: int, zone: tzinfo | None = None) -> str:
    """When a slot begins, as people say it: 02:15, with the day where that is another one."""
    at = _local(problem, slot, zone)
    return (
        at.strftime("%H:%M") if at.date() == _local(problem, 0, zone).date() or problem.n_slots * problem.slot_h <= 24 else f"{at:%a %H:%M}"
    )


def _local(problem: Problem, slot: int, zone: tzinfo | None) -> datetime:
    at = problem.t0 + timedelta(minutes=slot * problem.slot_minutes)
    return at if zone is None else at.astimezone(zone)


def _differences(problem: Problem, old: PlanResult, other: Problem, new: PlanResult) -> tuple[VehicleChange, ...]:
    before = {vehicle.id: i for i, vehicle in enumerate(problem.vehicles)}
    after = {vehicle.id: i for i, vehicle in enumerate(other.vehicles)}
    found = []
    for name in {**before, **after}:
        i, j = before.get(name), after.get(name)
        if i is None or j is None:
            moved = float(np.abs((old if j is None else new).power_kw[i if j is None else j]) @ problem.hours)
        else:
            moved = float(np.maximum(new.power_kw[j] - old.power_kw[i], 0.0) @ problem.hours)
            moved = max(moved, float(np.maximum(old.power_kw[i] - new.power_kw[j], 0.0) @ problem.hours))
        one = VehicleChange(name, None if i is None else float(old.unmet_kwh[i]), None if j is None else float(new.unmet_kwh[j]), moved)
        if i is None or j is None or moved > MOVED_KWH or abs(_worse(one)) > SHORT_KWH:
            found.append(one)
    return tuple(sorted(found, key=lambda one: (-_worse(one), -one.moved_kwh, one.id)))


def _worse(one: VehicleChange) -> float:
    """kWh that it lacks more than before."""
    return (one.unmet_after_kwh or 0.0) - (one.unmet_before_kwh or 0.0)
