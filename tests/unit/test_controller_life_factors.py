"""The file of a fleet's own ageing factors, and the loop that it closes: a fleet that ages twice as fast is charged otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bms_bridge.chemistry import Chemistry
from bms_bridge.life.calibration import Factors
from controller.life_factors import FactorsRefused, expected, read_factors, write_factors
from controller.planning_life import LifeSettings, PackNow, basis_of, policy_of, with_life
from controller.sections_life import PackLifeSection
from optimizer import InvalidProblem, Policy, Problem, Vehicle, life_cost, plan
from optimizer.life import ageing_of
from optimizer.life_table import rates_of

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
FACTORS = Factors(2.0, 2.0, 0.1, 0.1, 30, 390, bounded=False)


def test_what_is_written_is_read_and_what_cannot_be_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "factors.json"
    write_factors(file, {"LFP": FACTORS})
    assert read_factors(file) == {"LFP": (2.0, 2.0)}
    assert PackLifeSection(calibration=file).calibration == file
    for text in (
        "",
        "{}",
        '{"schema": "life_factors/2"}',
        '{"schema": "life_factors/1", "chemistries": {"LFP": {"calendar": 9, "cycle": 1}}}',
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(FactorsRefused):
            read_factors(file)
        with pytest.raises(ValueError, match=r"battery calibrate|between 0.25 and 4"):
            PackLifeSection(calibration=file)
    with pytest.raises(FactorsRefused, match="battery calibrate"):
        read_factors(tmp_path / "none.json")
    with pytest.raises(FactorsRefused, match="cannot write"):
        write_factors(tmp_path / "no" / "x.json", {"LFP": FACTORS})


def test_expected_loss_begins_anew_with_each_pack() -> None:
    packs, years, cycles = np.array(["a", "a", "b", "b"]), np.array([1.0, 3.0, 0.0, 1.0]), np.array([0.0, 100.0, 50.0, 40.0])
    flat = np.ones(4)
    time, turns = expected("LFP", packs, years, cycles, temp_c=25 * flat, soc=0.5 * flat, rate_c=0.25 * flat)
    rates = rates_of("LFP_250Ah_prismatic", 25.0)
    assert time == pytest.approx([0, 2 * (rates.at_empty + 0.5 * rates.per_soc), 0, rates.at_empty + 0.5 * rates.per_soc])
    assert turns == pytest.approx([0, 100 * rates.cycle, 0, 0])  # a count that runs backwards wears nothing


def test_factors_multiply_rent_and_wear_and_are_bounded() -> None:
    plain = life_cost("NMC", temp_c=30.0, nominal_kwh=200.0, price_per_kwh=100.0)
    faster = life_cost("NMC", temp_c=30.0, nominal_kwh=200.0, price_per_kwh=100.0, calendar_factor=2.0, cycle_factor=3.0)
    assert plain is not None
    assert faster is not None
    assert faster.rent_per_kwh_h == pytest.approx(2 * plain.rent_per_kwh_h)
    assert faster.wear_per_kwh == pytest.approx(3 * plain.wear_per_kwh)
    assert faster.fade_cost == plain.fade_cost
    with pytest.raises(InvalidProblem, match="cycle_factor"):
        life_cost("NMC", temp_c=30.0, nominal_kwh=200.0, price_per_kwh=100.0, cycle_factor=40.0)


def planned(factors: dict[str, tuple[float, float]]) -> tuple[np.ndarray, LifeSettings, Problem]:
    """A bus for eight hours: energy is cheaper at once, by one and a half of the rent of the table."""
    settings = LifeSettings(price_per_kwh=12_000.0, ambient_c=35.0, factors=factors)
    bus = Vehicle("bus", 0, 8, energy_kwh=100.0, p_max_kw=100.0, eff=1.0, capacity_kwh=200.0)
    known = with_life(bus, PackNow(Chemistry.NMC, capacity_kwh=200.0, soh=1.0, temp_c=35.0), settings, ahead_h=np.arange(8) + 0.5)
    assert known.life is not None
    rent = float(np.max(known.life.rent_per_kwh_h)) / max(factors.get("NMC", (1.0, 1.0))[0], 1.0)
    price = 8.0 + 1.5 * rent * np.arange(8)
    problem = Problem(NOW, 8, 60, price, np.full(8, 200.0), np.zeros(8), (known,))
    return plan(problem, policy=policy_of(Policy.CHEAPEST, settings)).power_kw[0], settings, problem


def test_a_fleet_that_ages_twice_as_fast_changes_the_plan() -> None:
    usual, settings, problem = planned({})
    faster, calibrated, _ = planned({"NMC": (2.0, 2.0)})
    assert usual.sum() == pytest.approx(100.0, abs=0.1)
    assert faster.sum() == pytest.approx(100.0, abs=0.1)
    assert usual[:2].sum() > 90  # at once: waiting would save less rent than it costs
    assert faster[:2].sum() < 10  # late: rent is twice as much
    rents = [float(ageing_of(problem, power[None]).rent.sum()) for power in (usual, faster)]
    assert rents[1] < 0.5 * rents[0]
    assert basis_of(settings) == ""
    assert basis_of(calibrated) == "ageing as your own packs show it: NMC 2 times as fast in time, 2 by cycles"
