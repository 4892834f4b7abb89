"""Vehicles that give energy: when it pays, how far down, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from benchmarks.make_scenarios import everything
from optimizer import InvalidProblem, Policy, Problem, Vehicle, plan
from optimizer.evaluate import evaluate
from optimizer.limit_rows import LimitRows
from optimizer.scenario import read
from optimizer.windows import Windows

T0 = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def night(**changes: object) -> Problem:
    """Four dear hours, eight cheap ones; a bus of 300 kWh that arrives with 180 and needs 60 more; 40 kW of background."""
    bus = Vehicle(
        "bus", 0, 12, energy_kwh=60.0, p_max_kw=50.0, eff=0.95,
        discharge_kw=50.0, stored_kwh=180.0, capacity_kwh=300.0, reserve_kwh=90.0, wear_per_kwh=0.5,
    )  # fmt: skip
    given = {"vehicles": (bus,), "background_kw": np.full(12, 40.0), "site_limit_kw": np.full(12, 100.0)} | changes
    price = np.array([10.0] * 4 + [4.0] * 8)
    return Problem(t0=T0, n_slots=12, slot_minutes=60, price_per_kwh=price, **given)  # type: ignore[arg-type]  # one dict for all


def bus_of(problem: Problem, **changes: object) -> Problem:
    return replace(problem, vehicles=(replace(problem.vehicles[0], **changes),))  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("direct", [False, True])
def test_a_bus_gives_in_the_dear_hours_down_to_its_reserve_and_leaves_with_its_need(direct: bool) -> None:
    result = plan(night(), direct=direct)
    power = result.power_kw[0]
    assert -power[:4].sum() == pytest.approx(90 * 0.95, abs=1e-3)  # from 180 to 90 kWh
    assert power.min() >= -40 - 1e-6  # no more than the background takes
    assert (power[power > 0].sum() * 0.95) == pytest.approx(150, abs=1e-3)
    assert result.unmet_kwh[0] == 0
    assert result.cost < plan(night().with_lenders()).cost - 400


def test_nobody_gives_where_the_wear_costs_more_or_the_day_has_one_price() -> None:
    assert plan(bus_of(night(), wear_per_kwh=6.0)).power_kw.min() >= 0
    flat = replace(night(), price_per_kwh=np.full(12, 5.0))
    assert plan(bus_of(flat, wear_per_kwh=0.0)).power_kw.min() >= 0
    assert plan(night(), policy=Policy.READINESS).power_kw.min() >= 0


def test_a_gain_of_less_than_half_a_percent_of_the_bill_discharges_nobody() -> None:
    small = bus_of(night(), discharge_kw=0.05)
    assert plan(small).power_kw.min() >= 0


def test_export_is_limited_and_paid_for() -> None:
    paid = replace(night(background_kw=np.zeros(12)), export_limit_kw=np.full(12, 20.0), export_price_per_kwh=np.full(12, 9.0))
    result = plan(paid)
    assert result.power_kw.min() == pytest.approx(-20.0)
    assert result.energy_cost == pytest.approx(evaluate(paid, result.power_kw).energy_cost)
    assert result.cost < plan(paid.with_lenders()).cost
    assert plan(replace(paid, export_limit_kw=np.zeros(12))).power_kw.min() >= 0
    assert plan(replace(paid, export_price_per_kwh=np.full(12, 3.0))).power_kw.min() >= 0  # less than what it is bought back for


def test_discharge_pays_for_no_charging_under_the_limit() -> None:
    """A second bus must charge in the dear hours, the site is nearly full: what the first one gives makes no room."""
    other = Vehicle("other", 0, 4, energy_kwh=400.0, p_max_kw=200.0, eff=1.0)
    problem = replace(night(), vehicles=(*night().vehicles, other))
    result = plan(problem)
    assert np.maximum(result.power_kw, 0).sum(axis=0).max() <= 60 + 1e-6  # 100 − 40 of background
    assert result.power_kw[1].sum() == pytest.approx(240, abs=1e-3)


def test_a_battery_that_cannot_be_is_an_error() -> None:
    with pytest.raises(InvalidProblem, match="within its capacity_kwh"):
        bus_of(night(), stored_kwh=301.0)


def test_the_fields_of_a_scenario_are_read(tmp_path: Path) -> None:
    scenario = {
        "id": "x", "t0": "2026-01-12T12:00:00", "n_slots": 2, "slot_minutes": 60,
        "tariff": {"energy_per_kwh": [1, 2], "export_per_kwh": 0.5},
        "site": {"limit_kw": 100, "base_load_kw": [5, 5], "pv_kw": [0, 0], "export_limit_kw": 7},
        "vehicles": [
            {"id": "a", "arrival_slot": 0, "departure_slot": 2, "energy_kwh": 10, "p_max_kw": 50, "eff": 0.9, "battery_kwh": 200,
             "soc_arrival": 0.5, "v2g": True, "v2g_kw": 30, "soc_reserve": 0.4, "pack_cost_per_kwh": 180},
            {"id": "b", "arrival_slot": 0, "departure_slot": 2, "energy_kwh": 10, "p_max_kw": 50, "eff": 0.9, "v2g": True, "v2g_kw": 30},
        ],
    }  # fmt: skip
    problem = read(scenario)
    a, b = problem.vehicles
    assert (a.discharge_kw, a.stored_kwh, a.capacity_kwh, a.reserve_kwh) == (30, 100, 200, 80)
    assert a.wear_per_kwh == pytest.approx(0.036)
    assert b.discharge_kw == 0  # nothing is known of its battery
    assert problem.discharge_room_kw.tolist() == [12, 12]
    assert problem.export_price_per_kwh.tolist() == [0.5, 0.5]


def test_what_is_known_of_a_depot_holds_where_fewer_may_give() -> None:
    """The same as a problem that is made anew, whatever the first one had found out about itself."""
    problem = everything(20, seed=4)
    facts = [name for name in dir(Problem) if isinstance(getattr(Problem, name), cached_property)]
    for name in facts:
        getattr(problem, name)
    for lenders in ((), (0, 3, 5), tuple(range(20))):
        fewer = problem.with_lenders(lenders)
        anew = replace(problem, vehicles=tuple(v if i in lenders else replace(v, discharge_kw=0.0) for i, v in enumerate(problem.vehicles)))
        assert [v.discharge_kw for v in fewer.vehicles] == [v.discharge_kw for v in anew.vehicles]
        for name in facts:
            one, other = getattr(fewer, name), getattr(anew, name)
            for part in one.__slots__ if isinstance(one, LimitRows | Windows) else (None,):
                mine, its = (getattr(thing, part) if part else thing for thing in (one, other))
                assert np.array_equal(mine, its) if isinstance(mine, np.ndarray) else mine == its, (name, part)
    assert problem.discharge_upper_kw.any()
