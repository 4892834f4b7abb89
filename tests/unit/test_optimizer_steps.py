"""Steps from plan to plan: what the last plan decided about sessions and tapers is where the next one begins, and no more than that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from benchmarks.make_scenarios import everything
from optimizer import Problem, Replanner, Vehicle, plan
from optimizer.evaluate import evaluate
from optimizer.sessions import broken_sessions
from optimizer.solver import Solver


@pytest.fixture
def solves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every solution."""
    found: list[int] = []
    solve = Solver.solve

    def counted(self: Solver) -> object:
        found.append(1)
        return solve(self)

    monkeypatch.setattr(Solver, "solve", counted)
    return found


def depot(vehicles: int = 40) -> Problem:
    problem = everything(vehicles, seed=5)
    return replace(problem, vehicles=tuple(replace(v, pausable=False) if n % 3 == 0 else v for n, v in enumerate(problem.vehicles)))


def a_slot_later(problem: Problem, power_kw: np.ndarray) -> Problem:
    """What was planned for the first slot has been charged; whoever has come stays."""
    gained = np.maximum(power_kw[:, 0], 0.0) * problem.hours[0]
    vehicles = tuple(
        Vehicle(
            id=v.id,
            arrival_slot=max(v.arrival_slot - 1, 0),
            departure_slot=v.departure_slot - 1,
            energy_kwh=max(v.energy_kwh - kwh * v.eff, 0.0),
            p_max_kw=v.p_max_kw,
            p_min_kw=v.p_min_kw,
            eff=v.eff,
            pausable=v.pausable,
        )
        for v, kwh in zip(problem.vehicles, gained.tolist(), strict=True)
    )
    last = problem.n_slots - 1
    return Problem(
        t0=problem.t0 + timedelta(minutes=problem.slot_minutes),
        n_slots=last,
        slot_minutes=problem.slot_minutes,
        price_per_kwh=problem.price_per_kwh[1:],
        site_limit_kw=problem.site_limit_kw[1:],
        background_kw=problem.background_kw[1:],
        vehicles=vehicles,
    )


def test_the_same_problem_again_takes_fewer_solutions_and_costs_the_same(solves: list[int]) -> None:
    problem, replanner = depot(), Replanner()
    first = replanner.plan(problem)
    took = len(solves)
    again = replanner.plan(problem)
    assert len(solves) - took < took
    assert again.cost == pytest.approx(first.cost, rel=1e-3)
    assert again.unmet_kwh.sum() == pytest.approx(first.unmet_kwh.sum(), abs=0.1)
    assert len(broken_sessions(problem, again.power_kw)) <= len(broken_sessions(problem, first.power_kw))
    assert evaluate(problem, again.power_kw, again.storage_kw).violation_kwh < 0.05


def test_sessions_stay_where_they_were_a_slot_later() -> None:
    problem, replanner = depot(), Replanner()
    problem = a_slot_later(problem, np.zeros((len(problem.vehicles), problem.n_slots)))
    for _ in range(4):
        result = replanner.plan(problem)
        alone = plan(problem)
        assert result.cost == pytest.approx(alone.cost, rel=1e-3)
        assert result.unmet_kwh.sum() <= alone.unmet_kwh.sum() + 0.1
        assert len(broken_sessions(problem, result.power_kw)) <= len(broken_sessions(problem, alone.power_kw))
        problem = a_slot_later(problem, result.power_kw)


def test_prices_that_turn_round_move_the_sessions() -> None:
    """Where the old sessions would be dearer than they were, they are sought anew."""
    problem, replanner = depot(), Replanner()
    replanner.plan(problem)
    turned = replace(problem, price_per_kwh=problem.price_per_kwh[::-1].copy())
    assert replanner.plan(turned).cost == pytest.approx(plan(turned).cost, rel=1e-3)


def test_the_same_problems_in_the_same_order_give_the_same_plans() -> None:
    problems = [depot(20), depot(24), depot(20)]
    one, other = Replanner(), Replanner()
    for problem in problems:
        assert np.array_equal(one.plan(problem).power_kw, other.plan(problem).power_kw)


def test_a_plan_of_other_slots_begins_anew() -> None:
    problem, replanner = depot(20), Replanner()
    replanner.plan(problem)
    moved = replace(problem, t0=problem.t0 + timedelta(minutes=7))
    assert np.array_equal(replanner.plan(moved).power_kw, plan(moved).power_kw)
