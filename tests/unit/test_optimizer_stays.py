"""Milestones, several visits, shared shortages, and the needs that are built from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from optimizer import InvalidProblem, Milestone, Need, Policy, Problem, Vehicle, min_peak_kw, plan
from optimizer.baselines import BASELINES
from optimizer.evaluate import evaluate
from optimizer.needs import Load, NextVisit, full_charge, minimum_now, preconditioned, several_visits

T0 = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
HOUR_SLOTS = 8


def problem(*vehicles: Vehicle, **changes: Any) -> Problem:
    """Eight hours, 100 kW, cheap in the last four."""
    values: dict[str, Any] = {
        "t0": T0,
        "n_slots": HOUR_SLOTS,
        "slot_minutes": 60,
        "price_per_kwh": np.repeat([0.3, 0.1], 4),
        "site_limit_kw": 100.0,
        "background_kw": 0.0,
        "vehicles": vehicles,
    }
    return Problem(**(values | changes))


def van(name: str = "van", **changes: Any) -> Vehicle:
    values: dict[str, Any] = {"id": name, "arrival_slot": 0, "departure_slot": 8, "energy_kwh": 20.0, "p_max_kw": 20.0}
    return Vehicle(**(values | changes))


def test_a_milestone_is_met_whatever_it_costs() -> None:
    early = van(milestones=(Milestone(2, at_least_kwh=15.0),))
    result = plan(problem(early))
    assert result.power_kw[0, :2].sum() == pytest.approx(15)
    assert result.power_kw[0, 4:].sum() == pytest.approx(5)
    assert result.short == ()


def test_a_battery_takes_no_more_than_fits_before_a_trip() -> None:
    full = van(milestones=(Milestone(4, at_most_kwh=5.0),))
    result = plan(problem(full, price_per_kwh=np.repeat([0.1, 0.3], 4)))
    assert result.power_kw[0, :4].sum() == pytest.approx(5)
    assert result.unmet_kwh[0] == pytest.approx(0)


def test_what_cannot_be_met_is_named() -> None:
    greedy = van(milestones=(Milestone(1, at_least_kwh=50.0, label="trip"),), energy_kwh=60.0, departure_slot=2)
    result = plan(problem(greedy))
    assert result.power_kw[0] == pytest.approx([20, 20, 0, 0, 0, 0, 0, 0])
    first, second = result.short
    assert (first.vehicle, first.milestone, first.visit, first.label, first.need) == ("van", 0, 0, "trip", Need.READINESS)
    assert first.kwh == pytest.approx(30)
    assert (second.milestone, second.by_slot) == (None, 2)
    assert second.kwh == pytest.approx(20)


def test_a_milestone_may_ask_for_more_than_the_need() -> None:
    result = plan(problem(van(energy_kwh=4.0, milestones=(Milestone(8, at_least_kwh=10.0, need=Need.COMFORT),))))
    assert result.power_kw.sum() == pytest.approx(10)
    assert result.short == ()
    assert result.unmet_kwh == pytest.approx(0)


def test_safety_comes_before_the_highest_class_and_comfort_after_the_least() -> None:
    def only(first: Vehicle, second: Vehicle) -> list[float]:
        """20 kWh for two that want as much each."""
        return plan(problem(first, second, site_limit_kw=2.5)).power_kw.sum(axis=1).tolist()

    assert only(van("a", need=Need.SAFETY), van("b", priority=9, urgency=1.0)) == pytest.approx([20, 0])
    assert only(van("a", need=Need.COMFORT, priority=9, urgency=1.0), van("b")) == pytest.approx([0, 20])


def test_energy_is_bought_in_an_earlier_visit_for_a_later_one() -> None:
    bus = several_visits(van(departure_slot=3, energy_kwh=10.0), [NextVisit(5, 7, energy_kwh=30.0)], spare_kwh=12.0)
    cheap_first = problem(bus, price_per_kwh=np.repeat([0.1, 0.3], 4))
    result = plan(cheap_first)
    assert result.power_kw[0, :3].sum() == pytest.approx(22)
    assert result.power_kw[0, 3:5] == pytest.approx(0)
    assert result.power_kw[0, 5:7].sum() == pytest.approx(18)
    assert (result.short, evaluate(cheap_first, result.power_kw).outside_window_kwh) == ((), 0)


def test_each_visit_is_served_and_its_shortage_named() -> None:
    bus = several_visits(van(departure_slot=1, energy_kwh=30.0), [NextVisit(4, 8, energy_kwh=5.0)], spare_kwh=10.0)
    result = plan(problem(bus))
    (short,) = result.short
    assert (short.visit, short.by_slot, short.label) == (0, 1, "departure")
    assert short.kwh == pytest.approx(10)
    assert result.power_kw[0, 4:].sum() == pytest.approx(15)


def test_a_vehicle_gives_in_its_first_visit_only() -> None:
    bus = van(departure_slot=4, energy_kwh=0.0, discharge_kw=10.0, stored_kwh=40.0, capacity_kwh=60.0, reserve_kwh=10.0, wear_per_kwh=0.0)
    bus = several_visits(bus, [NextVisit(5, 8, energy_kwh=5.0)], spare_kwh=20.0)
    lending = problem(bus, background_kw=50.0, price_per_kwh=np.array([0.1, 0.1, 0.9, 0.9, 0.1, 0.9, 0.9, 0.1]))
    result = plan(lending)
    assert result.power_kw[0].min() < -1
    assert result.power_kw[0, 5:].min() >= 0
    assert result.short == ()
    assert evaluate(lending, result.power_kw).keeps_limits


def test_rules_know_the_visit_that_a_vehicle_is_in() -> None:
    bus = several_visits(van(departure_slot=3, energy_kwh=10.0), [NextVisit(5, 7, energy_kwh=30.0)], spare_kwh=12.0)
    for name in ("earliest_departure", "least_laxity_first"):
        power = BASELINES[name](problem(bus))[0]
        assert power[:3].sum() == pytest.approx(22)
        assert power.sum() == pytest.approx(40)


def test_the_least_peak_serves_every_visit() -> None:
    bus = several_visits(van(departure_slot=1, energy_kwh=18.0), [NextVisit(4, 8, energy_kwh=4.0)])
    assert min_peak_kw(problem(bus)) == pytest.approx(18, abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"windows": ((7, 8),)}, r"vehicle van: visit 1 has the slots \(7, 8\)"),
        ({"departure_slot": 4, "windows": ((5, 9),)}, "must end by slot 8"),
        ({"departure_slot": 4, "windows": ((5, 6), (5, 7))}, r"visit 2 has the slots \(5, 7\)"),
        ({"milestones": (Milestone(9, 1.0),)}, r"milestones\[0\]: by_slot 9 is not in 0 … 8"),
        ({"milestones": (Milestone(1, float("nan")),)}, r"milestones\[0\]: at_least_kwh is nan"),
        ({"milestones": (Milestone(1, 1.0, -1.0),)}, r"milestones\[0\]: at_most_kwh is -1.0"),
    ],
)
def test_visits_and_milestones_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidProblem, match=words):
        problem(van(**changes))


def test_a_nearly_empty_vehicle_is_brought_to_its_minimum_first() -> None:
    """Before others of its class, before cheap hours, as fast as the limit allows."""
    depot = problem(van("low", energy_kwh=40.0), van("b", energy_kwh=20.0, departure_slot=2, urgency=1.0), site_limit_kw=10.0)
    depot = replace(depot, vehicles=(minimum_now(depot, 0, 15.0), depot.vehicles[1]))
    result = plan(depot)
    assert result.power_kw[0, :2] == pytest.approx([10, 5])
    assert result.power_kw[1, :2] == pytest.approx([0, 5])
    assert {short.label for short in result.short if short.vehicle == "low"} == {"minimum"}


def test_a_minimum_that_its_rating_cannot_reach_is_asked_for_at_full_power() -> None:
    depot = problem(van(energy_kwh=0.0, departure_slot=3))
    result = plan(replace(depot, vehicles=(minimum_now(depot, 0, 100.0),)))
    assert result.power_kw[0] == pytest.approx([20, 20, 20, 0, 0, 0, 0, 0])


def test_a_pack_is_full_before_it_departs_unless_others_would_be_short() -> None:
    lfp = full_charge(van("lfp", energy_kwh=10.0), full_kwh=25.0, dwell_slots=2)
    alone = plan(problem(lfp))
    assert alone.power_kw[0, :6].sum() == pytest.approx(25)
    assert alone.short == ()
    together = plan(problem(lfp, van("b", energy_kwh=20.0), site_limit_kw=30.0 / 8))
    assert together.unmet_kwh == pytest.approx([0, 0], abs=1e-6)
    (short,) = together.short
    assert (short.vehicle, short.label, short.need) == ("lfp", "full", Need.COMFORT)
    assert full_charge(lfp, full_kwh=25.0, dwell_slots=8) is lfp


def test_preconditioning_shares_the_outlet_and_is_shed_first() -> None:
    bus = van("bus", energy_kwh=30.0, departure_slot=2)
    depot = preconditioned(problem(bus), [Load(0, 8.0, 1, 2, name="cabin"), Load(0, 4.0, 1, 2, name="battery")])
    assert [v.id for v in depot.vehicles] == ["bus", "bus/cabin", "bus/battery"]
    result = plan(depot)
    assert result.unmet_kwh[0] == pytest.approx(0)
    assert result.power_kw[:, 1].sum() == pytest.approx(20)
    assert result.site_kw[1] == pytest.approx(20)
    assert {short.vehicle for short in result.short} <= {"bus/cabin", "bus/battery"}
    assert sum(short.kwh for short in result.short) == pytest.approx(2)
    with pytest.raises(InvalidProblem, match="load bus/heat: slots 1 to 3 are not in the stay, 0 to 2"):
        preconditioned(problem(bus), [Load(0, 8.0, 1, 3, name="heat")])


def test_a_shortage_is_shared_inside_of_a_class() -> None:
    depot = problem(
        *(van(f"v{n}", energy_kwh=10.0 * (n + 1), urgency=n / 4) for n in range(4)), van("first", priority=1), site_limit_kw=8.0
    )
    shared = plan(replace(depot, share_shortage=True))
    need = np.array([v.energy_kwh for v in depot.vehicles])
    parts = shared.unmet_kwh / need
    assert parts[4] == pytest.approx(0)
    assert parts.max() <= 0.75 + 1e-6
    assert shared.unmet_kwh.sum() == pytest.approx(plan(depot).unmet_kwh.sum())
    assert (plan(depot).unmet_kwh / need).max() == pytest.approx(1)  # without, somebody gets nothing at all


@pytest.mark.parametrize("policy", list(Policy))
def test_a_shared_shortage_costs_no_energy_under_any_policy(policy: Policy) -> None:
    depot = problem(*(van(f"v{n}", energy_kwh=12.0 + n, departure_slot=4 + n % 4) for n in range(6)), site_limit_kw=7.0)
    alone, shared = (plan(replace(depot, share_shortage=on), policy=policy).unmet_kwh for on in (False, True))
    assert shared.sum() == pytest.approx(alone.sum(), abs=1e-4)
    assert (shared / [v.energy_kwh for v in depot.vehicles]).max() <= (alone / [v.energy_kwh for v in depot.vehicles]).max() + 1e-6
