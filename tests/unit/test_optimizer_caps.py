"""Limits on weighted sums, and feeders as a tree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from optimizer import Cap, Feeder, InvalidProblem, Problem, Storage, Vehicle, plan
from optimizer.baselines import BASELINES
from optimizer.evaluate import evaluate
from optimizer.limit_rows import binding


def depot(*vehicles: Vehicle, **others: Any) -> Problem:
    given = {"site_limit_kw": 1000.0, "background_kw": 0.0, **others}
    return Problem(t0=datetime(2026, 1, 12, tzinfo=UTC), n_slots=4, slot_minutes=15, price_per_kwh=0.1, vehicles=vehicles, **given)


def bus(name: str, feeder: int | None = None, **others: Any) -> Vehicle:
    return Vehicle(
        **{"id": name, "arrival_slot": 0, "departure_slot": 4, "energy_kwh": 50.0, "p_max_kw": 100.0, "feeder": feeder, **others}
    )


def test_a_feeder_carries_what_hangs_on_the_feeders_below_it() -> None:
    feeders = (Feeder("main", 60.0), Feeder("left", 50.0, parent=0), Feeder("right", 50.0, parent=0))
    result = plan(depot(bus("a", 1), bus("b", 2), feeders=feeders))
    assert result.power_kw.sum(axis=0).max() <= 60 + 1e-6
    assert result.power_kw.sum() * 0.25 == pytest.approx(60)
    assert evaluate(depot(bus("a", 1), bus("b", 2), feeders=feeders), np.full((2, 4), 40.0)).over_feeder_limit_kwh == pytest.approx(20)


def test_a_feeder_that_those_below_keep_needs_no_row() -> None:
    feeders = (Feeder("main", 100.0), Feeder("left", 50.0, parent=0), Feeder("right", 50.0, parent=0))
    problem = depot(bus("a", 1), bus("b", 2), feeders=feeders)
    rows = binding(problem, problem.upper_kw > 0, gives=None, storages=False)
    assert rows.any(axis=1).tolist() == [False, True, True]


def test_a_battery_counts_on_its_feeder_and_on_those_above() -> None:
    feeders = (Feeder("main", 60.0), Feeder("left", 1000.0, parent=0))
    storage = Storage("s", charge_kw=500.0, discharge_kw=0.0, stored_kwh=0.0, capacity_kwh=100.0, end_value_per_kwh=1.0, feeder=1)
    result = plan(depot(bus("a", 0), feeders=feeders, storages=(storage,)))
    assert (result.power_kw.sum(axis=0) + result.storage_kw.sum(axis=0)).max() <= 60 + 1e-6
    assert result.storage_kw.sum() > 1


def test_a_negative_weight_makes_room_for_others() -> None:
    cap = Cap("unbalance", {0: 1.0, 1: -1.0}, 10.0)
    result = plan(depot(bus("a"), bus("b", energy_kwh=5.0), caps=(cap,)))
    assert (result.power_kw[0] - result.power_kw[1]).max() <= 10 + 1e-6
    assert result.power_kw.sum(axis=1) * 0.25 == pytest.approx([15, 5])


def test_what_a_vehicle_gives_makes_no_room_under_a_cap() -> None:
    lender = bus("b", energy_kwh=0.0, discharge_kw=50.0, stored_kwh=80.0, capacity_kwh=100.0, wear_per_kwh=0.0)
    prices = np.array([9.0, 9.0, 0.1, 0.1])
    problem = replace(
        depot(bus("a", energy_kwh=4.0), lender, background_kw=200.0, caps=(Cap("both", {0: 1.0, 1: 1.0}, 20.0),)), price_per_kwh=prices
    )
    result = plan(problem)
    assert result.power_kw.min() < -1
    assert np.maximum(result.power_kw, 0).sum(axis=0).max() <= 20 + 1e-6
    assert result.power_kw.min() >= -20 - 1e-6


def test_floors_above_a_cap_are_kept_and_nothing_is_added() -> None:
    cap = Cap("phase", {0: 1.0, 1: 1.0}, 3.0)
    result = plan(depot(bus("a", floor_kw=4.0), bus("b"), caps=(cap,)))
    assert result.power_kw[0] == pytest.approx([4.0] * 4)
    assert result.power_kw[1].max() <= 1e-6


def test_a_cap_whose_background_is_above_it_takes_nothing_and_is_not_infeasible() -> None:
    result = plan(depot(bus("a"), caps=(Cap("phase", {0: 1.0}, np.array([-5.0, 20.0, 20.0, -5.0])),)))
    assert result.power_kw[0] == pytest.approx([0, 20, 20, 0])


@pytest.mark.parametrize("rule", [name for name in BASELINES if name != "uncontrolled"])
def test_rules_keep_trees_and_caps(rule: str) -> None:
    feeders = (Feeder("main", 60.0), Feeder("left", 50.0, parent=0), Feeder("right", 50.0, parent=0))
    problem = depot(bus("a", 1), bus("b", 2), bus("c", 2), feeders=feeders, caps=(Cap("phase", {0: 0.5, 2: 1.0}, 15.0),))
    power = BASELINES[rule](problem)
    verdict = evaluate(problem, power)
    assert power.sum(axis=0).max() == pytest.approx(60)
    assert verdict.keeps_limits


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"caps": (Cap("c", {7: 1.0}, 5.0),)}, "cap c: vehicle 7, but there are 1"),
        ({"caps": (Cap("c", {0: float("nan")}, 5.0),)}, "weight nan"),
        ({"caps": (Cap("c", {0: 1.0}, [1.0, 2.0]),)}, "2 numbers"),  # type: ignore[arg-type]
        ({"caps": (Cap("c", {0: 1.0}, 5.0, storages={0: 1.0}),)}, "storage 0, but there are 0"),
        ({"caps": (Cap("c", {0: 1.0}, 5.0), Cap("c", {}, 5.0))}, "twice"),
        ({"feeders": (Feeder("f", 5.0, parent=0),)}, "parent 0 is none of the other 0"),
        ({"feeders": (Feeder("f", 5.0, parent=1), Feeder("g", 5.0, parent=0))}, "lead back to themselves"),
        ({"feeders": (Feeder("f", 5.0, parent=9),)}, "parent 9"),
    ],
)
def test_what_cannot_be_is_refused(what: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProblem, match=message):
        depot(bus("a"), **what)
