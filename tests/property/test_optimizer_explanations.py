"""Explanations of random depots: prices hold what duals must, parts sum to the whole, remedies do what they say."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_optimizer_random_depots import SLOTS, problems

from optimizer import Policy, Problem, plan
from optimizer.explain import QUICK, Depth, explain
from optimizer.explain_cells import explain_cell
from optimizer.explain_duals import SHORTAGE, Solved, solved
from optimizer.explain_remedies import changes_of
from optimizer.explain_values import LimitKind, RemedyKind
from optimizer.planning import READINESS_MONEY
from optimizer.what_if_changes import changed
from optimizer.what_if_values import Change, ChangeKind

EPS = 1e-5
SHORT_KWH = 0.05
"""What a shortfall must be to be told."""


def weight_of(policy: Policy) -> float:
    return READINESS_MONEY if policy is Policy.READINESS else 1.0


def solve(problem: Problem, policy: Policy) -> Solved | None:
    return solved(problem, policy, deadline=perf_counter() + 20)


@settings(max_examples=20, deadline=None)
@given(problem=problems(most_batteries=1, most_pieces=2, most_caps=2, alive=True), policy=st.sampled_from(Policy))
def test_the_parts_sum_to_the_duals_of_the_solver(problem: Problem, policy: Policy) -> None:
    found = solve(problem, policy)
    assume(found is not None)
    assert found is not None
    rows, columns = found.solver.duals()
    assert found.costs[: SHORTAGE + 1].sum(axis=0) == pytest.approx(found.compiled.cost, abs=1e-9)
    assert found.duals[: SHORTAGE + 1].sum(axis=0) == pytest.approx(rows, abs=1e-5)
    assert found.reduced[: SHORTAGE + 1].sum(axis=0) == pytest.approx(columns, abs=1e-5)


@settings(max_examples=12, deadline=None)
@given(problem=problems(most_batteries=1, most_pieces=2, most_caps=2, alive=True), policy=st.sampled_from(Policy))
def test_no_limit_has_a_negative_price_and_none_that_is_not_full_has_any(problem: Problem, policy: Policy) -> None:
    found = explain(problem, policy=policy, depth=QUICK)
    drawn = np.maximum(found.power_kw, 0.0)
    for limit in found.limits:
        price = weight_of(policy) * limit.saved_bill + limit.saved_life + limit.penalty
        assert (price >= -EPS).all()
        if problem.storages or (limit.kind is LimitKind.CAP and problem.discharge_upper_kw.any()):
            continue  # batteries and what is given count there, too
        if limit.id:
            names = [(LimitKind.FEEDER, feeder.id) for feeder in problem.feeders] + [(LimitKind.CAP, cap.id) for cap in problem.caps]
            row = names.index((limit.kind, limit.id))
            room = problem.limit_rows.room_kw[row] - problem.limit_rows.sums(drawn)[row]
            assert (room[price > EPS] <= 1e-4).all()
        else:
            assert ((problem.room_kw - drawn.sum(axis=0))[price > EPS] <= 1e-4).all()
    assert (weight_of(policy) * found.peak_per_kw + found.life_per_kw + found.penalty_per_kw >= -EPS).all() or problem.storages
    assert all(peak.saved_per_kw <= peak.per_kw + EPS for peak in found.peaks)


@settings(max_examples=20, deadline=None)
@given(problem=problems(most_batteries=1, most_pieces=2, most_caps=2, alive=True), policy=st.sampled_from(Policy))
def test_a_vehicle_draws_where_it_is_cheap_and_not_where_it_is_dear(problem: Problem, policy: Policy) -> None:
    found = explain(problem, policy=policy, depth=QUICK)
    for i in range(len(problem.vehicles)):
        for k in np.flatnonzero(problem.upper_kw[i] > 0).tolist():
            reason = explain_cell(problem, found, vehicle=i, slot=k)
            assert reason.words
            life = problem.vehicles[i].life
            steep = life is not None and life.gentle_kw is not None and reason.power_kw >= life.gentle_kw - 1e-4
            if problem.vehicles[i].energy_kwh <= 0 or reason.power_kw < 0 or steep:  # above its gentle rate a kWh costs more than told
                continue
            size = EPS * max(1.0, abs(reason.per_kwh), abs(reason.worth_per_kwh))
            if reason.power_kw > reason.least_kw + 1e-4:
                assert reason.reduced_per_kwh <= size
            if reason.power_kw < reason.most_kw - 1e-4:
                assert reason.reduced_per_kwh >= -size


@settings(max_examples=20, deadline=None)
@given(problem=problems(), policy=st.sampled_from(Policy), slot=st.integers(0, SLOTS - 1))
def test_a_price_lies_between_what_a_kw_more_saves_and_a_kw_less_costs(problem: Problem, policy: Policy, slot: int) -> None:
    """Both sides of a corner, by solving with the limit moved a little."""
    problem = problem.with_lenders()
    step = 1e-3
    assume(problem.site_limit_kw[slot] - problem.background_kw[slot] > problem.lower_kw.sum(axis=0)[slot] + step)
    found = explain(problem, policy=policy, depth=QUICK)
    limit = found.limits[0]
    price = float((weight_of(policy) * limit.saved_bill + limit.saved_life + limit.penalty)[slot])

    def objective(by_kw: float) -> float:
        moved = changed(problem, [Change(ChangeKind.LIMIT, by_kw, from_slot=slot, until_slot=slot + 1)])
        other = solve(moved, policy)
        return 0.0 if other is None else float(other.compiled.cost @ other.columns)

    now, more, less = objective(0.0), objective(step), objective(-step)
    rounding = 1e-6 * max(1.0, abs(now)) / step
    assert (now - more) / step - rounding <= price <= (less - now) / step + rounding


@settings(max_examples=20, deadline=None)
@given(problem=problems(), data=st.data())
def test_a_target_costs_between_a_kwh_less_and_a_kwh_more(problem: Problem, data: st.DataObject) -> None:
    problem = problem.with_lenders()
    needy = [
        i for i, vehicle in enumerate(problem.vehicles) if vehicle.energy_kwh > 1 and problem.upper_kw[i].any() and not vehicle.floor_kw
    ]
    assume(needy)
    i, step = data.draw(st.sampled_from(needy)), 1e-3
    found = explain(problem, depth=QUICK)
    price = float((found.vehicles.target_bill + found.vehicles.target_life + found.vehicles.target_penalty)[i])

    def objective(by_kwh: float) -> float:
        other = solve(changed(problem, [Change(ChangeKind.NEED, by_kwh, target=problem.vehicles[i].id)]), Policy.CHEAPEST)
        return 0.0 if other is None else float(other.compiled.cost @ other.columns)

    now, more, less = objective(0.0), objective(step), objective(-step)
    rounding = 1e-6 * max(1.0, abs(now)) / step
    assert (now - less) / step - rounding <= price <= (more - now) / step + rounding


@settings(max_examples=12, deadline=None)
@given(problem=problems())
def test_a_remedy_does_and_half_of_it_does_not(problem: Problem) -> None:
    found = explain(problem, depth=Depth(remedies=2, departures=0, next_kw=False), deadline_s=60)
    for reason in found.shortfalls:
        assert reason.short_kwh == pytest.approx(plan(problem).unmet_kwh[reason.vehicle], abs=1e-4)
        for remedy in reason.remedies:
            if remedy.kind is RemedyKind.PRIORITY:
                continue
            whole = plan(changed(problem, changes_of(problem, reason.id, remedy)))
            half = plan(changed(problem, changes_of(problem, reason.id, replace(remedy, amount=remedy.amount / 2))))
            assert whole.unmet_kwh[reason.vehicle] <= SHORT_KWH
            assert half.unmet_kwh[reason.vehicle] > SHORT_KWH


@settings(max_examples=12, deadline=None)
@given(problem=problems(), policy=st.sampled_from(Policy))
def test_duals_never_say_more_than_a_departure_costs(problem: Problem, policy: Policy) -> None:
    problem = problem.with_lenders()
    found = solve(problem, policy)
    assume(found is not None)
    quick = explain(problem, policy=policy, depth=QUICK).vehicles
    deep = explain(problem, policy=policy, depth=Depth(remedies=0, departures=9, next_kw=False)).vehicles
    if not quick.earlier_short_kwh.any() and not deep.earlier_short_kwh.any() and policy is Policy.CHEAPEST:
        holding = 7e-4 * float(np.abs(problem.price_per_kwh).mean() or 1.0) * 60 * SLOTS
        assert (quick.earlier_bill <= deep.earlier_bill + holding + 1e-6).all()
