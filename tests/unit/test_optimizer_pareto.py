"""The frontier: no point is worse than another in everything, each is made again by its weights, and it can be cut short."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from optimizer import (
    Aim,
    Frontier,
    FrontierPoint,
    FrontierProgress,
    InvalidProblem,
    Policy,
    Problem,
    SolverFailed,
    Storage,
    Vehicle,
    Weights,
    plan,
)
from optimizer.aims import point_of
from optimizer.pareto import frontier
from optimizer.planning import costs_of

SLOTS = 24


def depot(seed: int = 1, *, vehicles: int = 8, demand: float = 4.0, gives: bool = False) -> Problem:
    chance = np.random.default_rng(seed)
    stays = [(int(a), int(d)) for a, d in zip(chance.integers(0, 6, vehicles), chance.integers(14, SLOTS + 1, vehicles), strict=True)]
    return Problem(
        t0=datetime(2026, 1, 12, 18, tzinfo=UTC),
        n_slots=SLOTS,
        slot_minutes=30,
        price_per_kwh=np.repeat([9.0, 6.0, 4.0, 7.0], SLOTS // 4),
        site_limit_kw=np.full(SLOTS, 28.0 * vehicles),
        background_kw=np.full(SLOTS, 20.0),
        vehicles=tuple(
            Vehicle(
                id=f"v{n}",
                arrival_slot=arrival,
                departure_slot=departure,
                energy_kwh=float(chance.uniform(30, 150)),
                p_max_kw=50.0,
                eff=0.92,
                holding_per_kwh_h=float(chance.choice([0.01, 0.05])),
                discharge_kw=20.0 if gives and n < 2 else 0.0,
                stored_kwh=80.0 if gives and n < 2 else 0.0,
                capacity_kwh=300.0 if gives and n < 2 else 0.0,
                wear_per_kwh=0.2,
            )
            for n, (arrival, departure) in enumerate(stays)
        ),
        demand_charge_per_kw=demand,
    )


def again(problem: Problem, point: FrontierPoint) -> FrontierPoint:
    result = plan(problem, policy=point.weights)
    return point_of(problem, result.power_kw, result.storage_kw, aim=point.aim, weights=point.weights)


@pytest.fixture(scope="module")
def found() -> Frontier:
    return frontier(depot())


def test_no_point_is_worse_than_another_in_everything(found: Frontier) -> None:
    assert found.complete
    assert len(found.points) >= 8
    scores = np.array([point.scores for point in found.points])
    for mine in scores:
        worse = (scores <= mine + 1e-9).all(axis=1) & (scores < mine * (1 - 1e-4) - 1e-4).any(axis=1)
        assert not worse.any()


def test_every_point_is_made_again_by_its_weights(found: Frontier) -> None:
    problem = depot()
    for point in found.points:
        made = again(problem, point)
        assert made.scores == pytest.approx(point.scores, rel=1e-9)
        assert np.allclose(made.site_kw, point.site_kw)


def test_money_is_given_up_for_something_and_nobody_is_served_less(found: Frontier) -> None:
    cheapest = plan(depot())
    for point in found.points:
        assert point.cost >= cheapest.cost * (1 - 1e-6)
        assert point.unmet_kwh <= float(cheapest.unmet_kwh.sum()) + 1e-4
        assert 0 <= point.step <= 1
        assert point.site_kw.shape == (SLOTS,)
    for aim, score in ((Aim.WEAR, "wear_cost"), (Aim.PEAK, "peak_kw"), (Aim.READINESS, "delay_kwh_h")):
        way = [point for point in found.points if point.aim is aim]
        assert len(way) >= 2, aim
        assert sorted((getattr(p, score) for p in way), reverse=True) == pytest.approx([getattr(p, score) for p in way])
        assert [p.cost for p in way] == pytest.approx(sorted(p.cost for p in way))


def test_the_same_problem_gives_the_same_frontier(found: Frontier) -> None:
    other = frontier(depot())
    assert [(p.aim, p.weights, p.scores) for p in other.points] == [(p.aim, p.weights, p.scores) for p in found.points]


def test_it_tells_how_far_it_is_and_stops_when_told(found: Frontier) -> None:
    told: list[FrontierProgress] = []
    short = frontier(depot(), progress=told.append, cancelled=lambda: len(told) >= 3)
    assert [p.done for p in told] == [0, 1, 2]
    assert {p.of for p in told} == {19}
    assert not short.complete
    assert short.solved == 3
    assert short.points


def test_nothing_at_all_is_an_error_and_so_is_no_step() -> None:
    with pytest.raises(SolverFailed):
        frontier(depot(), cancelled=lambda: True)
    with pytest.raises(SolverFailed):
        frontier(depot(), deadline_s=0.0)
    with pytest.raises(ValueError, match="at least one"):
        frontier(depot(), steps=0)


def test_only_the_aims_that_are_wanted() -> None:
    found = frontier(depot(), aims=[Aim.PEAK], steps=3)
    assert {point.aim for point in found.points} <= {Aim.COST, Aim.PEAK}


@pytest.mark.parametrize(
    "problem",
    [
        depot(demand=0.0),
        depot(gives=True),
        replace(depot(), mtd_peak_kw=1e4),
        replace(depot(), site_limit_kw=np.full(SLOTS, 60.0)),
        replace(depot(vehicles=2), storages=(Storage("b", 30.0, 30.0, 20.0, 60.0),)),
        replace(depot(), vehicles=()),
        replace(depot(vehicles=1), price_per_kwh=np.zeros(SLOTS)),
    ],
    ids=["no demand charge", "v2g", "high peak before", "short", "battery", "nobody", "free energy"],
)
def test_every_kind_of_depot_has_one(problem: Problem) -> None:
    found = frontier(problem, steps=3)
    assert found.complete
    assert found.points
    best = plan(problem).unmet_kwh.sum()
    for point in found.points:
        assert point.unmet_kwh <= best + 1e-3
        assert again(problem, point).cost == pytest.approx(point.cost, rel=1e-4, abs=1e-4)


def test_no_weights_are_the_cheapest_policy() -> None:
    problem = depot()
    mine, theirs = costs_of(problem, Weights()), costs_of(problem, Policy.CHEAPEST)
    assert np.array_equal(mine.cell, theirs.cell)
    assert np.array_equal(mine.unmet, theirs.unmet)
    assert mine.peak == theirs.peak


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weights_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(InvalidProblem, match="peak_per_kw"):
        Weights(peak_per_kw=bad)
