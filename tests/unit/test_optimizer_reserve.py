"""The reserve against wrong timetables: quantiles of a depot's own errors, and what they make of a problem."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import Feeder, InvalidProblem, Problem, Vehicle, plan
from optimizer.reserve import AT_ONCE, EXACT, PRIOR, WAITED_MIN, Blend, ForecastErrors, ReserveRule, hedged, hedging

T0 = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
RULE = ReserveRule(arrival_quantile=0.5, departure_quantile=0.8, energy_quantile=0.9, hold_share=0.1, ramp_h=1.0)


def exact_blend() -> Blend:
    return Blend(EXACT, prior=EXACT)


def night(*vehicles: Vehicle, slots: int = 16, **changes: object) -> Problem:
    given: dict[str, object] = {
        "t0": T0, "n_slots": slots, "slot_minutes": 15, "price_per_kwh": 0.1, "site_limit_kw": 100.0, "background_kw": np.full(slots, 20.0),
        "vehicles": vehicles, "feeders": (Feeder("F0", np.full(slots, 50.0)),),
    }  # fmt: skip
    return Problem(**(given | changes))  # type: ignore[arg-type]  # as the test says


def car(name: str = "car", **changes: object) -> Vehicle:
    given: dict[str, object] = {"id": name, "arrival_slot": 0, "departure_slot": 16, "energy_kwh": 10.0, "p_max_kw": 20.0, "feeder": 0}
    return Vehicle(**(given | changes))  # type: ignore[arg-type]  # as the test says


def test_a_prior_counts_until_there_are_samples() -> None:
    late = ForecastErrors(late_min=np.full(400, 60.0))
    assert Blend(ForecastErrors()).delay_min(0.5, overdue_min=-500) == pytest.approx(15, abs=2)
    assert Blend(late).delay_min(0.5, overdue_min=-500) == 60
    few = Blend(ForecastErrors(late_min=np.full(5, 60.0)))
    assert 15 < few.delay_min(0.5, overdue_min=-500) < 60


def test_who_is_late_is_expected_by_those_who_were_as_late() -> None:
    """Ten visits that came 0, 10, …, 90 minutes late. After 65 minutes only those of 70, 80 and 90 are left."""
    blend = Blend(ForecastErrors(late_min=np.arange(10) * 10.0), prior_visits=0.0)
    assert blend.delay_min(0.5, overdue_min=-60) == pytest.approx(45)
    assert blend.delay_min(0.5, overdue_min=65) == pytest.approx(80)
    assert blend.delay_min(0.5, overdue_min=200) == 200 + WAITED_MIN


def test_errors_of_many_level_out() -> None:
    """Ratios of 0.8–1.2, quantile 0.9: 1.16 for one vehicle, a tenth of that above 1 for a hundred equal ones."""
    blend = Blend(ForecastErrors(energy_ratio=np.linspace(0.8, 1.2, 401)), prior_visits=0.0)
    one, many = blend.energy_factor(0.9, np.array([50.0])), blend.energy_factor(0.9, np.full(100, 50.0))
    assert one == pytest.approx(1.16, abs=0.002)
    assert many - 1 == pytest.approx((one - 1) / 10)
    assert blend.energy_factor(0.9, np.zeros(0)) == 1.0


def test_an_exact_timetable_with_everybody_there_is_left_alone() -> None:
    asked = night(car("a"), car("b", departure_slot=9))
    careful = hedged(asked, exact_blend(), RULE, present=np.array([True, True]), overdue_min=np.zeros(2))
    assert careful.vehicles == asked.vehicles
    assert (careful.site_limit_kw == asked.site_limit_kw).all()
    assert (careful.feeder_limit_kw == asked.feeder_limit_kw).all()


def test_who_comes_later_than_said_needs_more_and_keeps_others_from_its_room() -> None:
    errors = ForecastErrors(late_min=np.full(50, 40.0), early_min=np.full(50, 30.0), energy_ratio=np.full(50, 1.2))
    asked = night(car("here"), car("coming", arrival_slot=4))
    careful = hedged(asked, Blend(errors, prior_visits=0.0), RULE, present=np.array([True, False]), overdue_min=np.array([0.0, -60.0]))
    here, coming = careful.vehicles
    assert (here.arrival_slot, here.departure_slot, here.energy_kwh) == (0, 14, 10.0)
    assert (coming.arrival_slot, coming.departure_slot) == (7, 14)  # 100 minutes from now, gone half an hour before its time
    assert coming.energy_kwh == pytest.approx(12.0)
    held = (asked.site_limit_kw - careful.site_limit_kw) / (100 - 20)
    assert held == pytest.approx([0, 0.0125, 0.025, 0.0375, *([0.05] * 12)])  # half of the energy is on its way, of that a tenth
    assert careful.feeder_limit_kw[0] == pytest.approx(50 * (1 - held))


def test_the_running_slot_counts_as_far_as_it_is_ahead() -> None:
    blend = Blend(ForecastErrors(late_min=np.full(9, 20.0)), prior_visits=0.0)
    for fraction, slot in ((1.0, 2), (0.5, 2), (0.1, 3)):  # due in 20 minutes, 0, 7.5 and 13.5 minutes into the slot
        careful = hedged(
            night(car(), first_slot_fraction=fraction), blend, RULE, present=np.array([False]), overdue_min=np.zeros(1)
        )  # fmt: skip
        assert careful.vehicles[0].arrival_slot == slot


def test_nobody_loses_the_time_that_it_needs() -> None:
    """80 kWh at 20 kW are all sixteen slots: whatever the errors say, they stay."""
    wild = Blend(ForecastErrors(late_min=np.full(9, 300.0), early_min=np.full(9, 300.0), energy_ratio=np.full(9, 2.0)), prior_visits=0.0)
    asked = night(car("full", energy_kwh=80.0), car("half", energy_kwh=40.0))
    careful = hedged(asked, wild, RULE, present=np.array([False, False]), overdue_min=np.zeros(2))
    full, half = careful.vehicles
    assert (full.arrival_slot, full.departure_slot, full.energy_kwh) == (0, 16, 80.0)
    assert (half.arrival_slot, half.departure_slot, half.energy_kwh) == (8, 16, 40.0)


def test_a_background_beyond_its_forecast_takes_room_not_the_limit_itself() -> None:
    blend = Blend(ForecastErrors(background_kw=np.full(30, 15.0)), prior=EXACT, prior_visits=0.0)
    careful = hedged(night(car()), blend, RULE, present=np.array([True]), overdue_min=np.zeros(1))
    assert careful.site_limit_kw == pytest.approx([100, 96.25, 92.5, 88.75, *([85.0] * 12)])
    crowded = night(car(), background_kw=np.full(16, 120.0))
    assert (hedged(crowded, blend, RULE, present=np.array([True]), overdue_min=np.zeros(1)).over_limit_kw == crowded.over_limit_kw).all()


@pytest.mark.parametrize(
    "wrong",
    [{"late_min": [float("nan")]}, {"energy_ratio": [-0.1]}, {"early_min": [[1.0]]}],
)
def test_samples_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidProblem, match="forecast errors"):
        ForecastErrors(**wrong)  # type: ignore[arg-type]  # as the test says


@pytest.mark.parametrize(
    "wrong", [{"arrival_quantile": 1.1}, {"hold_share": -0.1}, {"ramp_h": float("inf")}, {"soon_share": -0.1}, {"longest_share": -1}]
)
def test_rules_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidProblem, match="reserve"):
        ReserveRule(**wrong)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), hold=st.floats(0, 1), quantile=st.floats(0, 1))
def test_a_careful_problem_is_a_problem_and_never_asks_for_less(data: st.DataObject, hold: float, quantile: float) -> None:
    count = data.draw(st.integers(1, 4))
    arrivals = [data.draw(st.integers(0, 16)) for _ in range(count)]
    vehicles = [
        car(f"v{n}", arrival_slot=a, departure_slot=data.draw(st.integers(a, 16)), energy_kwh=float(data.draw(st.integers(0, 60))))
        for n, a in enumerate(arrivals)
    ]
    samples = st.lists(st.floats(-600, 600), max_size=6).map(np.array)
    errors = ForecastErrors(
        data.draw(samples), data.draw(samples), np.abs(data.draw(samples)) / 100, data.draw(samples)
    )  # fmt: skip
    asked = night(*vehicles, first_slot_fraction=data.draw(st.sampled_from([1.0, 0.4])))
    present = np.array([a == 0 and data.draw(st.booleans()) for a in arrivals])
    rule = ReserveRule(quantile, quantile, quantile, quantile, hold, 1.0)
    overdue = np.array([data.draw(st.floats(-700, 700)) for _ in arrivals])
    careful = hedged(asked, Blend(errors, prior=PRIOR), rule, present=present, overdue_min=overdue)
    assert (careful.site_limit_kw <= asked.site_limit_kw + 1e-9).all()
    assert careful.site_limit_kw[0] == asked.site_limit_kw[0]
    assert (careful.over_limit_kw <= asked.over_limit_kw + 1e-9).all()
    for before, after in zip(asked.vehicles, careful.vehicles, strict=True):
        assert after.energy_kwh >= before.energy_kwh
        assert after.departure_slot <= before.departure_slot
        moved = replace(before, arrival_slot=after.arrival_slot, departure_slot=after.departure_slot, energy_kwh=after.energy_kwh)
        assert astuple(replace(moved, steady_per_kwh=after.steady_per_kwh)) == astuple(after)
        assert (after.steady_per_kwh > before.steady_per_kwh) == (not present.all())  # the price is the same all day
        within = min(before.energy_kwh, (before.departure_slot - before.arrival_slot) * 5.0)
        assert (after.departure_slot - after.arrival_slot) * 5.0 >= within - 1e-6


@settings(max_examples=60, deadline=None)
@given(
    samples=st.lists(st.integers(-120, 240).map(float), max_size=30),
    overdue=st.lists(st.integers(-300, 400).map(float), min_size=1, max_size=8),
    quantile=st.sampled_from([0.0, 0.1, 0.6, 0.9, 1.0]),
)
def test_delays_of_many_are_those_of_each(samples: list[float], overdue: list[float], quantile: float) -> None:
    for prior_visits in (0.0, 20.0):
        blend = Blend(ForecastErrors(late_min=np.array(samples)), prior_visits=prior_visits)
        assert blend.delays_min(quantile, np.array(overdue)) == pytest.approx(
            [blend.delay_min(quantile, overdue_min=minutes) for minutes in overdue]
        )


def test_room_is_used_soon_where_that_costs_little_and_somebody_is_on_the_way() -> None:
    """Half an hour at 0.13, then 0.12: who is there charges now, as long as somebody is still to come. Never for that in a dear hour."""
    price = np.where(np.arange(16) < 4, 0.13, 0.12)
    both = (car(energy_kwh=5.0), car("late", arrival_slot=2))

    def first_kw(price: np.ndarray, *, waits: bool) -> float:
        present, due = np.array([True, not waits]), np.array([0.0, -30.0])
        careful = hedged(night(*both, price_per_kwh=price), exact_blend(), ReserveRule(), present=present, overdue_min=due)
        return float(plan(careful).power_kw[0, :2].sum())

    assert first_kw(price, waits=True) == pytest.approx(20.0)
    assert first_kw(price, waits=False) == pytest.approx(0.0, abs=1e-6)
    assert first_kw(np.where(np.arange(16) < 4, 0.30, 0.12), waits=True) == pytest.approx(0.0, abs=1e-6)


def test_of_those_there_who_takes_longest_goes_first_as_long_as_somebody_is_on_the_way() -> None:
    """Two that need the same and one of half the power: room for one. Which of them has it now costs nothing, and decides who is left."""
    fast, slow = car("fast", p_max_kw=20.0), car("slow", p_max_kw=10.0)
    late = car("late", arrival_slot=8)
    rule = replace(RULE, hold_share=0.0, soon_share=0.0, longest_share=0.03)
    there = np.array([True, True, False])
    problem = night(fast, slow, late, site_limit_kw=30.0)
    careful = hedged(problem, exact_blend(), rule, present=there, overdue_min=np.array([0.0, 0.0, -120.0]))
    worth = [vehicle.steady_per_kwh for vehicle in careful.vehicles]
    assert worth == pytest.approx([0.03 * 0.1 / 2, 0.03 * 0.1, 0])
    assert plan(careful).power_kw[:2, 0] == pytest.approx([0, 10], abs=1e-6)
    everybody = hedged(problem, exact_blend(), rule, present=np.ones(3, dtype=bool), overdue_min=np.zeros(3))
    assert all(vehicle.steady_per_kwh == 0 for vehicle in everybody.vehicles)


def test_a_large_depot_is_made_careful_with_breaths_between() -> None:
    many = tuple(Vehicle(f"v{n}", 2, 8, energy_kwh=5.0, p_max_kw=11.0) for n in range(3 * AT_ONCE))
    depot = Problem(T0, 8, 15, np.ones(8), np.full(8, 900.0), np.zeros(8), many)
    absent, due = np.zeros(len(many), dtype=bool), np.zeros(len(many))
    assert len(list(hedging(depot, Blend(EXACT), ReserveRule(), present=absent, overdue_min=due))) == 3
