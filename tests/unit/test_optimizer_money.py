"""Plans and bills: what a plan says that it costs is what the bill says, by hand and by the exact bill engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from controller.planning_demand import pieces_of
from depot.metering import MeterBlock
from grid.billing import BillExtras, Month, bill
from grid.demand_pieces import demand_pieces
from grid.tariff import Tariff
from optimizer import InvalidProblem, Problem, Vehicle, plan
from optimizer.baselines import equal_share
from optimizer.evaluate import evaluate
from optimizer.money import contract_pieces, per_kwh
from optimizer.problem import FloatArray
from optimizer.windows import clock_blocks

T0 = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
JUNE = Month(2025, 6)


def hours(*vehicles: Vehicle, **changes: Any) -> Problem:
    """Four hours of an hour, 200 kW."""
    given: dict[str, Any] = {
        "t0": T0, "n_slots": 4, "slot_minutes": 60, "price_per_kwh": [8.0, 6.0, 6.0, 8.0], "site_limit_kw": 200.0,
        "background_kw": np.zeros(4), "vehicles": vehicles,
    }  # fmt: skip
    return Problem(**(given | changes))


def bus(**changes: Any) -> Vehicle:
    given: dict[str, Any] = {"id": "bus", "arrival_slot": 0, "departure_slot": 4, "energy_kwh": 120.0, "p_max_kw": 150.0}
    return Vehicle(**(given | changes))


def test_apparent_energy_is_dearer_by_the_power_factor() -> None:
    """₹6/kVAh at 0.8: 100 kWh are 125 kVAh, ₹750."""
    asked = hours(bus(energy_kwh=100.0), price_per_kwh=per_kwh([8.0, 6.0, 6.0, 8.0], 0.8))
    assert plan(asked).energy_cost == pytest.approx(750.0)
    with pytest.raises(InvalidProblem, match="power factor"):
        per_kwh(6.0, 0.0)


def test_a_floor_makes_peaks_below_it_free() -> None:
    """85 % of 100 kW are billed anyway: 85 + 35 kW in the two cheap hours cost no demand; by 2 × 6 · 60 they would be ₹720."""
    asked = hours(bus(), demand_pieces=contract_pieces(180.0, 100.0, floor_share=0.85))
    found = plan(asked)
    assert (found.energy_cost, found.demand_cost) == pytest.approx((720.0, 0.0))
    assert found.peak_kw <= 85.0 + 1e-6
    without = plan(hours(bus(), demand_pieces=contract_pieces(180.0, 100.0)))
    assert without.peak_kw == pytest.approx(30.0)  # spread over all four hours
    assert without.demand_cost == pytest.approx(180 * 30)
    assert without.energy_cost == pytest.approx(30 * 28)


def test_what_exceeds_the_contract_is_dearer() -> None:
    """240 kWh in two hours: 120 kW. The rate on 120 − 85, and as much again on 120 − 100."""
    stay = bus(energy_kwh=240.0, arrival_slot=1, departure_slot=3)
    found = plan(hours(stay, demand_pieces=contract_pieces(180.0, 100.0, floor_share=0.85, excess_multiplier=2.0)))
    assert found.peak_kw == pytest.approx(120.0)
    assert found.demand_cost == pytest.approx(180 * 35 + 180 * 20)
    for wrong in ({"per_kw": -1.0}, {"contract_kw": float("nan")}, {"floor_share": -0.1}, {"excess_multiplier": 0.5}):
        with pytest.raises(InvalidProblem, match="contract"):
            contract_pieces(**({"per_kw": 1.0, "contract_kw": 1.0} | wrong))


def test_carbon_weighs_beside_the_bill_and_stands_on_none() -> None:
    """₹6 by coal (900 g) or ₹6.5 by the sun (100 g): 800 g are worth ₹0.8 at ₹1000 a tonne, and ₹0.16 at ₹200."""
    asked = hours(bus(energy_kwh=100.0), price_per_kwh=[9.0, 6.0, 6.5, 9.0], co2_g_per_kwh=[900.0, 900.0, 100.0, 900.0])
    for price, cost, kg in ((0.0, 600.0, 90.0), (200.0, 600.0, 90.0), (1000.0, 650.0, 10.0)):
        found = plan(replace(asked, co2_price_per_tonne=price), direct=True)
        assert found.energy_cost == pytest.approx(cost)
        assert found.co2_kg == pytest.approx(kg)
    with pytest.raises(InvalidProblem, match="co2"):
        replace(asked, co2_price_per_tonne=-1.0)


def test_export_is_paid_for() -> None:
    """The sun gives 50 kW for four hours; 100 kWh charged out of it are 100 kWh less sold at ₹2, nothing bought."""
    asked = hours(bus(energy_kwh=100.0), background_kw=np.full(4, -50.0), export_limit_kw=50.0, export_price_per_kwh=2.0)
    found = plan(asked)
    assert found.energy_cost == pytest.approx(200.0)  # what is not sold any more


def layered(*demand: dict[str, Any], energy: dict[str, Any]) -> Tariff:
    told = {"name": "t", "title": "T", "currency": "INR", "timezone": "Asia/Kolkata", "order": "o", "source": "s"}
    factor = {"power_factor": {"value": "0.9", "meaning": "kW per kVA"}}
    return Tariff.of_tree({"schema": "tariff/2", **told, "parameters": factor, "energy": [energy], "demand": list(demand)})


TOD = [{"from": "18:00", "to": "22:00", "op": "mul", "value": "1.2"}, {"from": "09:00", "to": "17:00", "op": "mul", "value": "0.8"}]
FLOOR = {"max": [{"ref": "recorded"}, {"ref": "contract", "factor": "0.85"}]}
TARIFFS = {
    "kWh, kW, 15 min": layered({"basis": "kW", "rate": "200", "block_min": 15}, energy={"basis": "kWh", "base": "7", "tod": TOD}),
    "kVAh, kVA, 30 min": layered({"basis": "kVA", "rate": "180", "block_min": 30}, energy={"basis": "kVAh", "base": "6", "tod": TOD}),
    "a floor and an excess": layered(
        {"basis": "kVA", "rate": "180", "block_min": 30, "billing_rule": FLOOR, "excess": {"multiplier": 2}},
        energy={"basis": "kVAh", "base": "6", "tod": TOD},
    ),
}  # fmt: skip


@pytest.mark.parametrize("slot_minutes", [10, 15, 60])
@pytest.mark.parametrize("name", TARIFFS)
def test_the_bill_of_a_month_falls_by_what_the_plan_says(name: str, slot_minutes: int) -> None:
    """Thirty equal days at a depot in India, from midnight on, billed in whole paise: by plan and by equal shares."""
    tariff, contract = TARIFFS[name], 60
    start = datetime(2025, 6, 1, tzinfo=tariff.zone)
    slots = 1440 // slot_minutes
    block, past = clock_blocks(start, slot_minutes=slot_minutes, block_minutes=tariff.demand_interval_min)
    pieces = demand_pieces(tariff, start, contract=contract)
    buses = tuple(
        bus(id=f"b{n}", arrival_slot=from_h * 60 // slot_minutes, departure_slot=to_h * 60 // slot_minutes, energy_kwh=kwh, p_max_kw=60.0)
        for n, (from_h, to_h, kwh) in enumerate([(0, 6, 140.0), (1, 7, 90.0), (17, 23, 150.0), (18, 24, 60.0), (8, 16, 100.0)])
    )
    day = Problem(
        t0=start,
        n_slots=slots,
        slot_minutes=slot_minutes,
        price_per_kwh=tariff.vector(start, slots, slot_minutes * 60),
        site_limit_kw=200.0,
        background_kw=np.full(slots, 12.0),
        vehicles=buses,
        demand_interval_slots=block,
        demand_offset_slots=past,
        demand_pieces=pieces_of(pieces, start, slots, slot_minutes * 60, tariff.zone, share=1 / 30),
    )
    planned, rule = plan(day).power_kw, equal_share(day)
    says = 30 * (evaluate(day, rule).cost - evaluate(day, planned).cost)
    billed = [billed_rupees(tariff, day, power, contract) for power in (rule, planned)]
    assert says > 0
    assert billed[0] - billed[1] == pytest.approx(says, rel=1e-3, abs=2.0)


def billed_rupees(tariff: Tariff, day: Problem, power_kw: FloatArray, contract: int) -> float:
    """The month's bill by the bill engine, of meter blocks that hold the day's energy minute by minute."""
    minutes = np.repeat(power_kw.sum(axis=0) + day.background_kw, int(day.slot_minutes))
    length = tariff.demand_interval_min
    wh = minutes.reshape(-1, length).sum(axis=1) * 1000 / 60
    begins = [day.t0 + timedelta(minutes=length * k) for k in range(30 * len(wh))]
    blocks = [MeterBlock(at.astimezone(UTC), length, round(wh[k % len(wh)]), round(wh[k % len(wh)] / 0.9)) for k, at in enumerate(begins)]
    made = bill(tariff, JUNE, blocks, contract=contract, extras=BillExtras(Fraction(9, 10)))
    return made.total_paise / 100
