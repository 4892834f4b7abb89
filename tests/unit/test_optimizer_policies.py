"""What the named policies promise, on random depots: who is cheapest, who is ready first, whose batteries age least."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from optimizer import PlanResult, Policy, Problem, Vehicle, plan
from optimizer.aims import point_of
from optimizer.problem import FloatArray
from optimizer.weights import Aim, FrontierPoint, Weights

SLOTS = 32


def depot(seed: int) -> Problem:
    chance = np.random.default_rng(seed)
    count = int(chance.integers(4, 12))
    vehicles = []
    for n in range(count):
        arrival, departure = int(chance.integers(0, 12)), int(chance.integers(20, SLOTS + 1))
        vehicles.append(
            Vehicle(
                id=f"v{n}",
                arrival_slot=arrival,
                departure_slot=departure,
                energy_kwh=float(chance.uniform(10, 80)),
                p_max_kw=float(chance.choice([22.0, 50.0])),
                eff=0.9,
                holding_per_kwh_h=float(chance.uniform(0.005, 0.08)),
            )
        )
    return Problem(
        t0=datetime(2026, 1, 12, 18, tzinfo=UTC),
        n_slots=SLOTS,
        slot_minutes=15,
        price_per_kwh=chance.uniform(3, 9, SLOTS // 8).repeat(8),
        site_limit_kw=np.full(SLOTS, float(chance.uniform(14, 40)) * count),
        background_kw=np.full(SLOTS, 10.0),
        vehicles=tuple(vehicles),
        demand_charge_per_kw=float(chance.choice([0.0, 3.0])),
    )


def point(problem: Problem, policy: Policy) -> tuple[PlanResult, FrontierPoint]:
    result = plan(problem, policy=policy)
    return result, point_of(problem, result.power_kw, result.storage_kw, aim=Aim.COST, weights=Weights())


def ready_h(problem: Problem, power: FloatArray) -> FloatArray:
    """[vehicle] when it has all that it gets."""
    got = np.cumsum(power * problem.hours, axis=1)
    done = got >= got[:, -1:] * (1 - 1e-6) - 1e-9
    ready: FloatArray = problem.starts_h[done.argmax(axis=1)]
    return ready


@pytest.mark.parametrize("seed", range(12))
def test_each_policy_is_best_at_what_it_is_for(seed: int) -> None:
    problem = depot(seed)
    cheap, ready, kind = (point(problem, policy)[1] for policy in Policy)
    slack = 1e-4 * max(cheap.cost, 1.0)
    assert cheap.cost <= min(ready.cost, kind.cost) + slack
    assert ready.delay_kwh_h <= min(cheap.delay_kwh_h, kind.delay_kwh_h) + 1e-3 * ready.delay_kwh_h + 1e-6
    assert kind.cost + kind.wear_cost <= min(one.cost + one.wear_cost for one in (cheap, ready)) + 10 * slack
    assert kind.wear_cost <= cheap.wear_cost + 10 * slack


@pytest.mark.parametrize("seed", range(12))
def test_no_policy_serves_less_than_another(seed: int) -> None:
    problem = depot(seed)
    problem = replace(problem, site_limit_kw=problem.site_limit_kw * 0.3 + 10)
    unmet = [float(point(problem, policy)[0].unmet_kwh.sum()) for policy in Policy]
    assert max(unmet) - min(unmet) <= 1e-3


@pytest.mark.parametrize("seed", range(12))
def test_readiness_is_as_early_as_anybody_can_be_at_any_moment(seed: int) -> None:
    """At no moment has any other policy delivered more energy in all: nobody's readiness is put off."""
    problem = depot(seed)
    early, *others = (np.cumsum(point(problem, policy)[0].power_kw.sum(axis=0) * problem.hours) for policy in (Policy.READINESS, *Policy))
    for other in others:
        assert (early >= other - 1e-3).all()


@pytest.mark.parametrize("seed", range(12))
def test_where_there_is_room_for_all_nobody_is_ready_later(seed: int) -> None:
    problem = replace(depot(seed), site_limit_kw=np.full(SLOTS, 1e4))
    ready = ready_h(problem, point(problem, Policy.READINESS)[0].power_kw)
    for policy in Policy:
        assert (ready <= ready_h(problem, point(problem, policy)[0].power_kw) + 1e-9).all()
