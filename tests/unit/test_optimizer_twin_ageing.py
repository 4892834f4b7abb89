"""How packs age in the twin's run: by the shipped table, at the states of charge and temperatures that the run finds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from bms_bridge.twin.lump import lumps_of
from optimizer import Problem, Vehicle, life_cost
from optimizer.life_table import rates_of
from optimizer.twin import TwinPack, TwinReport, run

SLOTS = 32
COOL = TwinPack(capacity_kwh=200.0, soc=0.3, chemistry="NMC", temp_c=25.0)


def depot(*, price_per_kwh: float = 0.0) -> Problem:
    """One bus, eight hours, 100 kW."""
    life = life_cost("NMC", temp_c=25.0, nominal_kwh=200.0, price_per_kwh=price_per_kwh, power_kw=100.0, eff=1.0) if price_per_kwh else None
    return Problem(
        t0=datetime(2026, 1, 12, 20, tzinfo=UTC), n_slots=SLOTS, slot_minutes=15, price_per_kwh=np.ones(SLOTS),
        site_limit_kw=np.full(SLOTS, 500.0), background_kw=np.zeros(SLOTS),
        vehicles=(Vehicle("bus", 0, SLOTS, energy_kwh=100.0, p_max_kw=100.0, life=life),),
    )  # fmt: skip


def charged(power_kw: float, *, from_slot: int, slots: int, pack: TwinPack = COOL, price_per_kwh: float = 0.0) -> TwinReport:
    power = np.zeros((1, SLOTS))
    power[0, from_slot : from_slot + slots] = power_kw
    return run(depot(price_per_kwh=price_per_kwh), power, np.zeros(1), (pack,), lumps_of=lumps_of)


def test_at_rest_a_pack_ages_by_the_calendar_alone() -> None:
    found = charged(0.0, from_slot=0, slots=0)
    rates = rates_of("NMC_50Ah_B1", 25.0)
    assert found.fade == pytest.approx(8 / 8760 * (rates.at_empty + 0.3 * rates.per_soc))
    assert found.fade == pytest.approx(found.fade_at_rest)


def test_a_gentle_charge_takes_its_cycles_and_what_holding_it_takes() -> None:
    found = charged(50.0, from_slot=24, slots=8, pack=replace(COOL, temp_c=25.0))  # 0.25 C for the last two hours
    rates = rates_of("NMC_50Ah_B1", 25.0)
    held = 8 / 8760 * rates.at_empty + rates.per_soc * (6 * 0.3 + 2 * 0.55) / 8760
    assert found.fade == pytest.approx(held + 0.5 * rates.cycle, rel=0.03)  # it warms a little, too


def test_fast_early_and_hot_wear_more() -> None:
    late = charged(50.0, from_slot=24, slots=8).fade[0]
    assert charged(50.0, from_slot=0, slots=8).fade[0] > late
    assert charged(100.0, from_slot=28, slots=4).fade[0] > 1.1 * late
    hot = charged(50.0, from_slot=24, slots=8, pack=replace(COOL, temp_c=45.0, ambient_c=45.0))
    assert hot.fade[0] > 1.5 * late


def test_what_it_costs_is_what_is_lost_beyond_rest_at_the_packs_price() -> None:
    found = charged(50.0, from_slot=0, slots=8, price_per_kwh=12_000.0)
    lost = found.fade[0] - found.fade_at_rest[0]
    assert found.wear_cost == pytest.approx(lost * 200.0 * 12_000.0 / 0.2)
    # the plan's own lines say about the same
    life = depot(price_per_kwh=12_000.0).vehicles[0].life
    assert life is not None
    planned = 100.0 * float(life.wear_per_kwh) + float(life.rent_per_kwh_h) * 100.0 * (8 - 1)
    assert found.wear_cost[0] == pytest.approx(planned, rel=0.1)


def test_of_a_chemistry_without_a_model_no_ageing_is_told() -> None:
    for pack in (replace(COOL, chemistry="LTO"), replace(COOL, chemistry="unknown")):
        found = charged(50.0, from_slot=0, slots=8, pack=pack)
        assert np.isnan(found.fade).all()
        assert np.isfinite(found.wear_cost).all()


def test_a_pack_that_tells_no_temperature_ages_as_warm_as_its_surroundings() -> None:
    found = charged(0.0, from_slot=0, slots=0, pack=replace(COOL, temp_c=None, ambient_c=35.0))
    rates = rates_of("NMC_50Ah_B1", 35.0)
    assert found.fade == pytest.approx(8 / 8760 * (rates.at_empty + 0.3 * rates.per_soc))
    assert np.isnan(found.hottest_c).all()
