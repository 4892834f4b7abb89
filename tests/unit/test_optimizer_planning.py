"""The plan: cheapest, ready, kind to batteries; always feasible, never above a limit that can be kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from optimizer import Feeder, InvalidProblem, PlanStatus, Policy, Problem, SolverFailed, Vehicle, feasible_energy_kwh, min_peak_kw, plan
from optimizer.evaluate import evaluate

T0 = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)


def problem(*vehicles: Vehicle, **changes: Any) -> Problem:
    """Eight quarters of an hour, 100 kW, cheap in the last four."""
    values: dict[str, Any] = {
        "t0": T0,
        "n_slots": 8,
        "slot_minutes": 15,
        "price_per_kwh": np.repeat([0.3, 0.1], 4),
        "site_limit_kw": np.full(8, 100.0),
        "background_kw": np.zeros(8),
        "vehicles": vehicles,
    }
    values.update(changes)
    return Problem(**values)


def van(name: str = "van", **changes: Any) -> Vehicle:
    values: dict[str, Any] = {"id": name, "arrival_slot": 0, "departure_slot": 8, "energy_kwh": 10.0, "p_max_kw": 20.0, "eff": 1.0}
    values.update(changes)
    return Vehicle(**values)


def test_cheapest_takes_the_cheap_slots() -> None:
    result = plan(problem(van()))
    assert result.status is PlanStatus.OPTIMAL
    assert result.power_kw[0, :4] == pytest.approx(0)
    assert result.power_kw.sum() * 0.25 == pytest.approx(10)
    assert result.energy_cost == pytest.approx(1.0)
    assert result.unmet_kwh == pytest.approx(0)


def test_cheapest_charges_late_where_the_price_is_the_same() -> None:
    result = plan(problem(van(energy_kwh=5.0), price_per_kwh=np.full(8, 0.2)))
    assert result.power_kw[0] == pytest.approx([0] * 7 + [20])


def test_readiness_charges_at_once_and_by_priority() -> None:
    result = plan(problem(van("a", energy_kwh=5.0), van("b", energy_kwh=5.0, priority=1), site_limit_kw=20.0), policy=Policy.READINESS)
    assert result.power_kw[1] == pytest.approx([20] + [0] * 7)
    assert result.power_kw[0] == pytest.approx([0, 20] + [0] * 6)


def test_battery_life_pays_a_little_for_later() -> None:
    price = np.full(8, 0.200)
    price[0] = 0.199
    worn = van(energy_kwh=5.0, holding_per_kwh_h=0.01)
    assert plan(problem(worn, price_per_kwh=price)).power_kw[0, 0] == pytest.approx(20)
    assert plan(problem(worn, price_per_kwh=price), policy=Policy.BATTERY_LIFE).power_kw[0, 7] == pytest.approx(20)


def test_efficiency_counts_at_the_battery() -> None:
    result = plan(problem(van(energy_kwh=9.0, eff=0.9)))
    assert result.power_kw.sum() * 0.25 == pytest.approx(10)


def test_the_window_is_half_open() -> None:
    result = plan(problem(van(arrival_slot=2, departure_slot=4, energy_kwh=100.0)))
    assert result.power_kw[0] == pytest.approx([0, 0, 20, 20, 0, 0, 0, 0])
    assert result.unmet_kwh[0] == pytest.approx(90)


def test_caps_bound_single_slots() -> None:
    cap = np.full(8, 20.0)
    cap[7] = 5.0
    result = plan(problem(van(arrival_slot=6, energy_kwh=100.0, cap_kw=cap)))
    assert result.power_kw[0, 6:] == pytest.approx([20, 5])


def test_the_first_slot_may_be_partly_over() -> None:
    result = plan(problem(van(departure_slot=1, energy_kwh=100.0), first_slot_fraction=0.2))
    assert result.power_kw[0, 0] == pytest.approx(20)
    assert result.unmet_kwh[0] == pytest.approx(100 - 20 * 0.25 * 0.2)
    assert result.energy_cost == pytest.approx(20 * 0.25 * 0.2 * 0.3)


def test_the_higher_priority_is_served_first() -> None:
    vehicles = [van(f"v{n}", energy_kwh=10.0, priority=n, eff=0.95 - 0.1 * n, departure_slot=4) for n in range(3)]
    result = plan(problem(*vehicles, site_limit_kw=20.0))
    assert result.power_kw.sum() == pytest.approx(80)
    assert result.unmet_kwh[2] == pytest.approx(0)
    assert result.unmet_kwh[0] > result.unmet_kwh[1] > 0


def test_no_demand_charge_is_a_reason_to_leave_somebody_short() -> None:
    result = plan(problem(van(arrival_slot=7, energy_kwh=5.0), demand_charge_per_kw=1000.0))
    assert result.unmet_kwh == pytest.approx(0)
    assert result.demand_cost == pytest.approx(20_000)


def test_the_peak_is_shaved_down_to_what_is_free() -> None:
    result = plan(problem(van(energy_kwh=20.0), demand_charge_per_kw=5.0))
    assert result.power_kw[0] == pytest.approx([10] * 8)
    free = plan(problem(van(energy_kwh=20.0), demand_charge_per_kw=5.0, mtd_peak_kw=15.0))
    assert free.demand_cost == pytest.approx(0)
    assert free.power_kw[0, 4:] == pytest.approx([15] * 4)


def test_the_demand_charge_is_on_block_means() -> None:
    price = np.array([0.1, 0.5] * 4)
    blocks = plan(problem(van(energy_kwh=20.0), price_per_kwh=price, demand_charge_per_kw=5.0, demand_interval_slots=2))
    assert blocks.power_kw[0] == pytest.approx([20, 0] * 4)
    assert blocks.peak_kw == pytest.approx(10)
    shifted = problem(van(energy_kwh=20.0), demand_interval_slots=2, demand_offset_slots=1)
    assert shifted.blocks.tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


def test_feeders_bind_where_the_site_does_not() -> None:
    feeders = (Feeder("F0", np.full(8, 10.0)), Feeder("F1", np.full(8, 100.0)))
    result = plan(problem(van("a", feeder=0, energy_kwh=30.0), van("b", feeder=0, energy_kwh=30.0), van("c", feeder=1), feeders=feeders))
    assert result.power_kw[:2].sum(axis=0) == pytest.approx([10] * 8)
    assert result.unmet_kwh.sum() == pytest.approx(40)


def test_sunshine_is_free_to_use() -> None:
    """The bill knows only import: max(net, 0) − max(background, 0)."""
    background = np.zeros(8)
    background[1] = -12.0
    result = plan(problem(van(energy_kwh=5.0), background_kw=background))
    assert result.power_kw[0, 1] == pytest.approx(12)
    assert result.energy_cost == pytest.approx(2 * 0.1)


def test_nobody_is_paid_for_exporting_less() -> None:
    background = np.full(8, -50.0)
    result = plan(problem(van(), price_per_kwh=np.full(8, -0.1), background_kw=background))
    assert result.energy_cost == pytest.approx(0)
    assert result.unmet_kwh == pytest.approx(0)


def test_background_above_the_limit_is_reported_and_leaves_no_room() -> None:
    background = np.zeros(8)
    background[:2] = 130.0
    result = plan(problem(van(departure_slot=3, energy_kwh=100.0), background_kw=background))
    assert result.power_kw[0, :3] == pytest.approx([0, 0, 20])
    assert result.over_limit_kw == pytest.approx([30, 30] + [0] * 6)


def test_a_session_that_cannot_pause_keeps_its_floor_for_an_hour() -> None:
    result = plan(problem(van(floor_kw=4.0)))
    assert result.power_kw[0, :4] == pytest.approx(4)


def test_a_floor_never_exceeds_the_need() -> None:
    result = plan(problem(van(floor_kw=4.0, energy_kwh=2.5)))
    assert result.power_kw[0, :2] == pytest.approx(4)
    assert result.power_kw.sum() * 0.25 == pytest.approx(2.5)


def test_floors_above_the_limit_are_reported() -> None:
    result = plan(problem(van("a", floor_kw=10.0), van("b", floor_kw=10.0), site_limit_kw=15.0))
    assert result.over_limit_kw == pytest.approx([5] * 4 + [0] * 4)
    assert result.power_kw[:, :4] == pytest.approx(10)


def test_small_powers_of_the_next_hour_are_rounded_away() -> None:
    vehicles = [van(f"v{n}", energy_kwh=11.0, p_max_kw=22.0, p_min_kw=4.14, departure_slot=6) for n in range(5)]
    crowded = problem(*vehicles, site_limit_kw=46.0, price_per_kwh=np.arange(8) / 10 + 0.1)

    def small(power: np.ndarray) -> int:
        return int(((power[:, :4] > 1e-6) & (power[:, :4] < 4.14 - 1e-6)).sum())

    relaxed, rounded = plan(crowded), plan(crowded, round_minimum=True)
    assert small(relaxed.power_kw) > 0
    assert small(rounded.power_kw) == 0
    assert rounded.unmet_kwh.sum() <= relaxed.unmet_kwh.sum() + 0.01
    assert rounded.cost <= relaxed.cost * 1.02
    assert evaluate(crowded, rounded.power_kw).keeps_limits


def test_a_minimum_above_the_free_room_stays_small_rather_than_short() -> None:
    tight = problem(van(energy_kwh=6.0, p_min_kw=4.0), site_limit_kw=3.0)
    result = plan(tight, round_minimum=True)
    assert result.unmet_kwh[0] == pytest.approx(0)


@pytest.mark.parametrize("policy", Policy)
def test_nothing_to_do_is_a_plan(policy: Policy) -> None:
    for empty in (problem(), problem(van(energy_kwh=0.0)), problem(van(departure_slot=0))):
        result = plan(empty, policy=policy)
        assert result.power_kw.shape == (len(empty.vehicles), 8)
        assert not result.power_kw.any()
        assert result.cost == 0


def test_one_without_a_window_beside_one_with() -> None:
    result = plan(problem(van("late", arrival_slot=8), van("here")))
    assert result.unmet_kwh == pytest.approx([10, 0])


def test_time_over_is_an_error() -> None:
    with pytest.raises(SolverFailed, match="time"):
        plan(problem(van()), deadline_s=0.0)


def test_least_peak() -> None:
    assert min_peak_kw(problem(van(energy_kwh=20.0), site_limit_kw=1.0)) == pytest.approx(10, abs=1e-3)
    assert min_peak_kw(problem(van(energy_kwh=20.0), background_kw=np.repeat([0.0, 10.0], 4))) == pytest.approx(15, abs=1e-3)
    assert min_peak_kw(problem(background_kw=np.full(8, 7.0))) == 7
    blocks = problem(van(energy_kwh=5.0, arrival_slot=6, departure_slot=7), demand_interval_slots=4)
    assert min_peak_kw(blocks) == pytest.approx(20, abs=1e-3)


def test_feasible_energy() -> None:
    assert feasible_energy_kwh(problem(van(energy_kwh=500.0, eff=0.9))) == pytest.approx(20 * 2 * 0.9)
    assert feasible_energy_kwh(problem(van(), van("b"), site_limit_kw=4.0)) == pytest.approx(8)
    assert feasible_energy_kwh(problem()) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price_per_kwh": [0.1] * 7}, "price_per_kwh: 7 numbers"),
        ({"price_per_kwh": [0.1] * 7 + [float("nan")]}, "price_per_kwh: slot 7"),
        ({"site_limit_kw": -1.0}, "site_limit_kw is negative"),
        ({"first_slot_fraction": 0.0}, "first_slot_fraction"),
        ({"demand_interval_slots": 2, "demand_offset_slots": 2}, "demand block"),
        ({"mtd_peak_kw": float("inf")}, "mtd_peak_kw"),
        ({"n_slots": 0}, "at least one"),
        ({"vehicles": (van(departure_slot=9),)}, "vehicle van: arrival_slot 0, departure_slot 9"),
        ({"vehicles": (van(arrival_slot=5, departure_slot=4),)}, "vehicle van: arrival_slot 5, departure_slot 4"),
        ({"vehicles": (van(), van())}, "stands twice"),
        ({"vehicles": (van(eff=0.0),)}, "vehicle van: eff"),
        ({"vehicles": (van(energy_kwh=-1.0),)}, "vehicle van: energy_kwh"),
        ({"vehicles": (van(feeder=0),)}, "vehicle van: feeder 0"),
        ({"vehicles": (van(cap_kw=np.zeros(3)),)}, "vehicle van: cap_kw: 3 numbers"),
    ],
)
def test_an_impossible_problem_says_where(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidProblem, match=words):
        problem(**changes)


def test_an_answer_leaves_the_problem_as_it_is() -> None:
    given = problem(van(), van("b"))
    before = given.upper_kw.copy()
    plan(given, round_minimum=True)
    assert (given.upper_kw == before).all()
    assert replace(given, site_limit_kw=np.full(8, 1.0)).room_kw == pytest.approx(1)


def test_importing_the_package_loads_no_solver() -> None:
    code = "import sys, optimizer, optimizer.scenario, optimizer.baselines; "
    code += "print([m for m in ('pyomo', 'highspy', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
