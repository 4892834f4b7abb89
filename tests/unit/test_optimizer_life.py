"""What holding and charging costs a battery of its life: the shipped table, the money, and where it stands in a plan's objective."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer import InvalidProblem, LifeCost, Policy, Problem, Vehicle, Weights, life, life_cost, plan
from optimizer.life_table import MODEL_OF, models, rates_of
from optimizer.planning import battery_per_kwh, costs_of

INR = 12_000.0


def problem(*vehicles: Vehicle, slots: int = 8, **fields: Any) -> Problem:
    told: dict[str, Any] = {"price_per_kwh": np.full(slots, 8.0), "site_limit_kw": np.full(slots, 1000.0)} | fields
    return Problem(
        t0=datetime(2026, 1, 12, tzinfo=UTC), n_slots=slots, slot_minutes=60, background_kw=np.zeros(slots), vehicles=vehicles, **told
    )


def bus(name: str = "bus", cost: LifeCost | None = None, **fields: Any) -> Vehicle:
    told: dict[str, Any] = {"arrival_slot": 0, "departure_slot": 8, "energy_kwh": 100.0, "p_max_kw": 100.0, "eff": 1.0} | fields
    return Vehicle(id=name, life=cost, **told)


def known(cells: str, **fields: Any) -> LifeCost:
    told: dict[str, Any] = {"temp_c": 35.0, "nominal_kwh": 200.0, "price_per_kwh": INR} | fields
    found = life_cost(cells, **told)
    assert found is not None
    return found


def test_an_nmc_bus_held_fuller_for_six_hours_in_the_heat_costs_what_the_reference_says() -> None:
    rent = float(known("NMC_50Ah_B1").rent_per_kwh_h)
    assert 200 * (0.9 - 0.5) * 6 * rent == pytest.approx(113, rel=0.05)


def test_what_a_kwh_wears_is_what_the_reference_says() -> None:
    found = {t: float(known("LFP", temp_c=t).wear_per_kwh) for t in (0.0, 25.0, 45.0)}
    assert found == {0.0: pytest.approx(3.3, rel=0.02), 25.0: pytest.approx(1.76, rel=0.02), 45.0: pytest.approx(1.38, rel=0.02)}


@pytest.mark.parametrize("model", models())
def test_the_table_is_physical(model: str) -> None:
    rates = rates_of(model, np.arange(-20.0, 80.0, 2.5))
    for column in (rates.at_empty, rates.per_soc, rates.cycle, rates.steep_per_c):
        assert np.isfinite(column).all()
        assert (column >= 0).all()
    assert (np.diff(rates.at_empty + 0.5 * rates.per_soc) >= 0).all()
    assert (np.diff(rates.steep_per_c) <= 0).all()


def test_chemistries_without_a_physical_model_have_no_cost() -> None:
    assert set(MODEL_OF.values()) <= set(models())
    for cells in ("LTO", "unknown", "NCA", "LMO", ""):
        assert life_cost(cells, temp_c=25.0, nominal_kwh=200, price_per_kwh=INR) is None


@pytest.mark.parametrize("worth", [0.0, 0.5 * INR, 0.99 * INR, 2 * INR])
@pytest.mark.parametrize("soh", [1.0, 0.81, 0.8, 0.5, 0.0])
def test_wearing_a_pack_is_never_free(worth: float, soh: float) -> None:
    """Not where it sells at nearly its price, and not where it brings nothing any more."""
    least = float(known("NMC").wear_per_kwh) * life.LEAST_SHARE
    assert float(known("NMC", worth_per_kwh=worth, soh=soh).wear_per_kwh) >= least * (1 - 1e-9)


def test_a_second_life_writes_off_what_the_first_left() -> None:
    first = known("NMC", worth_per_kwh=0.4 * INR, soh=1.0)
    second = known("NMC", worth_per_kwh=0.4 * INR, soh=0.75)
    assert first.fade_cost == pytest.approx(0.6 * INR * 200 / 0.2)
    assert second.fade_cost == pytest.approx(0.4 * INR * 200 / 0.2)


def test_a_small_pack_on_a_strong_charger_has_a_steep_band_and_a_large_one_has_not() -> None:
    cold = known("NMC", temp_c=5.0, power_kw=150.0, eff=0.9)
    assert cold.gentle_kw == pytest.approx(0.25 * 200 / 0.9)
    assert cold.steep_per_kwh is not None
    assert float(cold.steep_per_kwh) > float(cold.wear_per_kwh)
    warm = known("NMC", temp_c=40.0, power_kw=150.0, eff=0.9)
    assert warm.steep_per_kwh is not None
    assert float(warm.steep_per_kwh / warm.wear_per_kwh) < 0.2 * float(cold.steep_per_kwh / cold.wear_per_kwh)
    assert known("NMC", temp_c=5.0, power_kw=40.0).gentle_kw is None
    assert known("NMC", temp_c=5.0, power_kw=150.0, least_kw=100.0).gentle_kw == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rent_per_kwh_h": np.array(-1.0)}, "rent_per_kwh_h"),
        ({"wear_per_kwh": np.array([1.0, 2.0])}, "wear_per_kwh"),
        ({"wear_per_kwh": np.array(np.nan)}, "wear_per_kwh"),
        ({"gentle_kw": 5.0}, "belong together"),
        ({"fade_cost": -1.0}, "fade_cost"),
        ({"gentle_kw": np.inf, "steep_per_kwh": np.array(1.0)}, "gentle_kw"),
    ],
)
def test_a_cost_that_cannot_be_is_refused_by_name(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidProblem, match=f"vehicle bus.*{words}"):
        problem(bus(cost=replace(known("NMC"), **fields)))


@pytest.mark.parametrize("numbers", [{"temp_c": np.nan}, {"nominal_kwh": 0.0}, {"price_per_kwh": -1.0}, {"soh": np.nan}, {"eff": 0.0}])
def test_numbers_that_cannot_be_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(InvalidProblem):
        known("NMC", **numbers)


def test_rent_is_paid_until_the_departure() -> None:
    rent = np.arange(1.0, 9.0)
    asked = problem(bus(cost=LifeCost(rent, np.zeros(8)), arrival_slot=2, departure_slot=6))
    assert life.rent_until(asked)[0].tolist() == [0, 0, 3 / 2 + 4 + 5 + 6, 4 / 2 + 5 + 6, 5 / 2 + 6, 6 / 2, 0, 0]


def test_rent_takes_the_place_of_the_holding_cost() -> None:
    stay = bus(cost=known("NMC"), holding_per_kwh_h=1e6)
    asked = problem(stay, bus("other", holding_per_kwh_h=0.5))
    per_kwh = battery_per_kwh(asked)
    assert per_kwh[0] == pytest.approx(life.cell_costs(asked)[0])
    assert per_kwh[1] == pytest.approx(0.5 * np.arange(8, 0, -1))
    costs = costs_of(asked, Policy.BATTERY_LIFE).cell[0]
    assert (np.diff(costs) < 0).all()
    assert costs.max() < 100


def test_cheapest_stays_blind_to_it() -> None:
    asked, blind = problem(bus(cost=known("NMC"))), problem(bus())
    assert (costs_of(asked, Policy.CHEAPEST).cell == costs_of(blind, Policy.CHEAPEST).cell).all()


def test_a_pack_in_the_heat_is_charged_late_unless_the_price_speaks_against_it() -> None:
    price = np.full(8, 8.0)
    price[:2] = 7.5
    blind = plan(problem(bus(), price_per_kwh=price))
    aware = plan(problem(bus(cost=known("NMC", temp_c=45.0)), price_per_kwh=price), policy=Policy.BATTERY_LIFE)
    dear = plan(problem(bus(cost=known("NMC", temp_c=45.0)), price_per_kwh=np.where(price < 8, 1.0, 8.0)), policy=Policy.BATTERY_LIFE)
    assert blind.power_kw[0, :2].sum() == pytest.approx(100)
    assert aware.power_kw[0, 7] == pytest.approx(100)
    assert dear.power_kw[0, :2].sum() == pytest.approx(100)


def test_what_differs_between_slots_is_wear_too() -> None:
    """An LFP pack that is cold now and warm later wears less later."""
    cost = known("LFP", temp_c=np.array([0.0] * 4 + [20.0] * 4))
    asked = problem(bus(cost=replace(cost, rent_per_kwh_h=np.array(0.0))))
    assert life.cell_costs(asked)[0, :4].min() > life.cell_costs(asked)[0, 4:].max()
    assert life.cell_costs(asked)[0, 4:].max() == 0.0


def test_giving_wears_what_charging_back_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plan with giving costs the battery in the objective is what it wears, up to what every plan wears."""
    monkeypatch.setattr(life, "RENT_STEP", 1.0001)
    cost = known("NMC", temp_c=np.linspace(20, 40, 8))
    stay = bus(cost=cost, eff=0.9, energy_kwh=50.0, discharge_kw=50.0, stored_kwh=100.0, capacity_kwh=200.0, reserve_kwh=20.0)
    asked = replace(problem(stay), background_kw=np.full(8, 100.0))
    weights = Weights(wear=1.0)
    costs = costs_of(asked, weights)
    assert costs.given is not None
    price = np.full(8, 8.0)

    def in_objective(power: np.ndarray) -> float:
        drawn, given_kw = np.maximum(power, 0.0), np.maximum(-power, 0.0)
        tie = 7e-4 * 8.0 * np.arange(8, 0, -1)
        return float((drawn * (costs.cell[0] - price - tie)).sum() + (given_kw * (costs.given[0] + price)).sum())

    plain = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 50 / 0.9, 0.0])
    lent = np.array([-40.0, 0.0, 0.0, 0.0, 0.0, 0.0, 50 / 0.9, 40 / 0.81])
    worn = [life.ageing_of(asked, row[None, :]).total[0] for row in (plain, lent)]
    assert in_objective(lent) - in_objective(plain) == pytest.approx(worn[1] - worn[0], rel=1e-3)


def test_rents_count_in_steps_that_many_vehicles_share() -> None:
    asked = problem(*(bus(f"b{n}", known("NMC", soh=1.0 - n / 100)) for n in range(5)))
    assert len(np.unique(np.round(life.cell_costs(asked)[:, 0], 9))) <= 2
    assert life.rent_until(asked, in_steps=True) == pytest.approx(life.rent_until(asked), rel=0.15)


@given(
    cells=st.sampled_from(sorted(MODEL_OF)),
    temp=st.floats(-60, 120),
    warmer=st.floats(0, 60),
    soh=st.floats(0, 1.2),
    worth=st.floats(0, 2e4),
    power=st.floats(0, 1000),
)
def test_no_cost_is_negative_and_rent_never_falls_with_the_temperature(
    cells: str, temp: float, warmer: float, soh: float, worth: float, power: float
) -> None:
    found = known(cells, temp_c=np.array([temp, temp + warmer]), soh=soh, worth_per_kwh=worth, power_kw=power)
    assert (found.wear_per_kwh >= 0).all()
    assert found.rent_per_kwh_h[0] >= 0
    assert found.rent_per_kwh_h[1] >= found.rent_per_kwh_h[0]
    assert found.steep_per_kwh is None or (found.steep_per_kwh >= 0).all()
