"""Stationary batteries in the plan, by cases that can be computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from optimizer import Feeder, InvalidProblem, PlanResult, Policy, Problem, Storage, Vehicle, plan
from optimizer.evaluate import evaluate

T0 = datetime(2026, 11, 22, tzinfo=UTC)


def problem(prices: list[float], background: list[float], *storages: Storage, **more: Any) -> Problem:
    """Slots of an hour."""
    limits = {"site_limit_kw": 1000.0} | more
    return Problem(
        t0=T0, n_slots=len(prices), slot_minutes=60, price_per_kwh=prices, background_kw=background, storages=storages,
        **({"vehicles": ()} | limits),
    )  # fmt: skip


def battery(**changes: Any) -> Storage:
    usual = {"id": "b", "charge_kw": 10, "discharge_kw": 10, "stored_kwh": 0, "capacity_kwh": 10, "eff": 1.0, "wear_per_kwh": 0.0}
    return Storage(**(usual | changes))


def both(asked: Problem, policy: Policy = Policy.CHEAPEST) -> PlanResult:
    """The plan as both writers make it."""
    slow, fast = plan(asked, policy=policy, direct=False), plan(asked, policy=policy)
    assert slow.cost == pytest.approx(fast.cost, abs=1e-6)
    assert evaluate(asked, fast.power_kw, fast.storage_kw).keeps_limits or asked.over_limit_kw.any()
    return fast


def test_cheap_energy_is_bought_and_used_when_it_is_dear() -> None:
    found = both(problem([1.0, 3.0], [10.0, 10.0], battery()))
    assert found.storage_kw[0] == pytest.approx([10.0, -10.0])
    assert found.site_kw == pytest.approx([20.0, 0.0])
    assert found.energy_cost == pytest.approx(10 * 1.0 - 10 * 3.0)  # what it changes on the bill


def test_losses_are_paid_for_each_way() -> None:
    found = both(problem([1.0, 3.0], [10.0, 10.0], battery(eff=0.8, capacity_kwh=8.0)))
    # 10 kWh in, 8 kWh stored, 6.4 kWh out
    assert found.storage_kw[0] == pytest.approx([10.0, -6.4])


def test_wear_that_is_dearer_than_the_spread_leaves_it_at_rest() -> None:
    assert both(problem([1.0, 3.0], [10.0, 10.0], battery(wear_per_kwh=2.1))).storage_kw == pytest.approx(np.zeros((1, 2)))
    assert both(problem([1.0, 3.0], [10.0, 10.0], battery(wear_per_kwh=1.9))).storage_kw[0] == pytest.approx([10.0, -10.0])


def test_nothing_is_bought_only_to_be_held_and_what_is_held_is_not_given_away() -> None:
    assert both(problem([2.0, 2.0], [10.0, 10.0], battery(stored_kwh=5.0, eff=0.9))).storage_kw == pytest.approx(np.zeros((1, 2)))


def test_the_sites_peak_is_shaved_to_the_mean() -> None:
    asked = problem([1.0] * 3, [10.0, 40.0, 10.0], battery(capacity_kwh=100.0, charge_kw=50, discharge_kw=50), demand_charge_per_kw=100.0)
    found = both(asked)
    # it can buy before the peak alone: 10 + x = 40 − x
    assert found.site_kw[:2] == pytest.approx([25.0, 25.0])
    assert found.peak_kw == pytest.approx(25.0)


def test_a_recorded_peak_is_free() -> None:
    asked = problem([1.0] * 2, [10.0, 40.0], battery(capacity_kwh=100.0), demand_charge_per_kw=100.0, mtd_peak_kw=40.0)
    assert both(asked).storage_kw == pytest.approx(np.zeros((1, 2)))


def test_vehicles_are_served_that_the_limit_alone_would_leave_short() -> None:
    vehicle = Vehicle(id="v", arrival_slot=0, departure_slot=1, energy_kwh=30.0, p_max_kw=50.0)
    alone = problem([1.0, 1.0], [5.0, 5.0], vehicles=(vehicle,), site_limit_kw=25.0)
    assert both(alone).unmet_kwh == pytest.approx([10.0])
    helped = problem([1.0, 1.0], [5.0, 5.0], battery(stored_kwh=10.0), vehicles=(vehicle,), site_limit_kw=25.0)
    found = both(helped)
    assert found.unmet_kwh == pytest.approx([0.0])
    assert found.site_kw[0] == pytest.approx(25.0)


def test_a_battery_never_makes_a_problem_infeasible() -> None:
    empty = battery(stored_kwh=1.0, reserve_kwh=5.0, capacity_kwh=8.0, charge_kw=0.0)
    over = battery(id="o", stored_kwh=12.0, capacity_kwh=8.0, discharge_kw=0.0)
    found = both(problem([1.0, 3.0], [50.0, 50.0], empty, over, site_limit_kw=20.0))
    assert found.storage_kw == pytest.approx(np.zeros((2, 2)))
    assert found.over_limit_kw == pytest.approx([30.0, 30.0])


def test_it_gives_no_more_than_the_site_takes_unless_export_is_allowed() -> None:
    full = battery(stored_kwh=10.0)
    assert both(problem([3.0], [4.0], full)).storage_kw[0] == pytest.approx([-4.0])
    paid = both(problem([3.0], [4.0], full, export_limit_kw=[2.0], export_price_per_kwh=[3.0]))
    assert paid.storage_kw[0] == pytest.approx([-6.0])


def test_the_suns_surplus_is_kept_for_the_evening() -> None:
    found = both(problem([2.0, 2.0], [-8.0, 10.0], battery()))
    assert found.storage_kw[0] == pytest.approx([8.0, -8.0])
    assert found.energy_cost == pytest.approx(-8 * 2.0)


def test_its_feeder_carries_what_it_draws() -> None:
    on_feeder = battery(feeder=0, capacity_kwh=50.0, charge_kw=40.0, discharge_kw=40.0)
    vehicle = Vehicle(id="v", arrival_slot=0, departure_slot=1, energy_kwh=12.0, p_max_kw=50.0, feeder=0)
    asked = problem([1.0, 9.0], [0.0, 100.0], on_feeder, vehicles=(vehicle,), feeders=(Feeder("F", np.array([20.0, 20.0])),))
    found = both(asked)
    assert found.power_kw[0, 0] == pytest.approx(12.0)
    assert found.storage_kw[0] == pytest.approx([8.0, -8.0])


def test_nothing_is_given_where_energy_is_paid_to_take() -> None:
    found = both(problem([-1.0, 1.0], [10.0, 10.0], battery(stored_kwh=5.0)))
    assert found.storage_kw[0] == pytest.approx([5.0, -10.0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eff": 0.0}, "eff 0.0 is not in"),
        ({"charge_kw": -1.0}, "charge_kw is -1.0"),
        ({"reserve_kwh": 11.0}, "reserve_kwh 11 is above"),
        ({"stored_kwh": float("nan")}, "stored_kwh is nan"),
        ({"feeder": 3}, "feeder 3, but there are 0"),
    ],
)
def test_what_cannot_be_says_so(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidProblem, match=words):
        problem([1.0], [1.0], battery(**changes))


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidProblem, match="stands twice"):
        problem([1.0], [1.0], battery(), battery())


def test_the_yardstick_sees_what_a_battery_does_wrong() -> None:
    asked = problem([1.0, 1.0], [5.0, 5.0], battery(stored_kwh=2.0))
    verdict = evaluate(asked, np.zeros((0, 2)), np.array([[12.0, -20.0]]))
    assert verdict.over_rating_kwh == pytest.approx(2.0 + 10.0)
    assert verdict.state_of_charge_kwh == pytest.approx(6.0)  # 2 + 12 − 20 kWh at the end, and 4 above its 10 before
    with pytest.raises(InvalidProblem, match="batteries"):
        evaluate(asked, np.zeros((0, 2)), np.zeros((2, 2)))
