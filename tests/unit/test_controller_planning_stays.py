"""What stays ask for beside energy: from what the depot knows to what the optimizer plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from controller.planning_stays import Beside, StaySettings, lacking_kwh, with_needs
from depot.values import ConnectorId
from optimizer import Problem, Vehicle, plan
from optimizer.charge_curve import ChargeCurve
from optimizer.needs import PACE

START = datetime(2026, 1, 12, tzinfo=UTC)
CP1 = ConnectorId("CP1", 1)
WANTED = StaySettings(minimum_soc=0.2)
PACED = [Beside(full_kwh=60.0, pace_kw=25.0), Beside()]


def lacks(settings: StaySettings = WANTED, *, soc: float | None = 0.1, present: bool = True, remaining_wh: int = 50_000) -> float:
    """kWh that a bus of 100 kWh lacks."""
    yard: Any = SimpleNamespace(
        least_soc=lambda *_, **__: soc, remaining_wh=lambda _: remaining_wh, battery_wh=lambda _: 100_000, clock=None
    )
    visit: Any = SimpleNamespace(present=present, connector=CP1, announced=SimpleNamespace(efficiency=0.9))
    return lacking_kwh(yard, visit, settings, fresh_s=900.0)


def depot(**values: Any) -> Problem:
    """Two vans, the second with more time; 10 kW for both."""
    vans = tuple(Vehicle(f"v{n}", 0, 2 + 2 * n, energy_kwh=20.0, p_max_kw=20.0) for n in range(2))
    settings: dict[str, Any] = {
        "t0": datetime(2026, 1, 12, tzinfo=UTC), "n_slots": 4, "slot_minutes": 60, "price_per_kwh": 1.0, "site_limit_kw": 10.0,
        "background_kw": 0.0, "vehicles": vans,
    }  # fmt: skip
    return Problem(**(settings | values))


def test_a_vehicle_lacks_what_its_visit_may_bring_of_the_minimum() -> None:
    assert lacks() == pytest.approx(10)
    assert lacks(remaining_wh=5_000) == pytest.approx(4.5)
    assert (lacks(soc=0.5), lacks(soc=None), lacks(present=False), lacks(StaySettings())) == (0, 0, 0, 0)


def test_the_minimum_comes_before_departures() -> None:
    asked, _ = with_needs(depot(), [Beside(), Beside(lacking_kwh=10.0)], WANTED, start=START)
    result = plan(asked)
    assert result.power_kw[1, 0] == pytest.approx(10)
    assert result.unmet_kwh == pytest.approx([10, 0])


def test_nothing_is_asked_for_unless_it_is_set() -> None:
    problem = depot()
    nothing = [Beside(), Beside()]
    assert with_needs(problem, nothing, StaySettings(), start=START) == (problem, ())
    assert with_needs(problem, nothing, StaySettings(share_shortage=True), start=START)[0].share_shortage


def steady(**values: Any) -> Problem:
    """A bus in a charge at 25 kW that could wait for cheap hours, and a van that leaves soon; 60 kW for both."""
    bus = Vehicle("bus", 0, 8, energy_kwh=20.0, p_max_kw=25.0)
    van = Vehicle("van", 0, 2, energy_kwh=10.0, p_max_kw=50.0)
    prices = np.array([9.0] * 4 + [1.0] * 4)
    return depot(n_slots=8, price_per_kwh=prices, demand_charge_per_kw=300.0, site_limit_kw=60.0, vehicles=(bus, van), **values)


def test_a_charge_at_a_pace_is_held_by_no_bill() -> None:
    free = plan(with_needs(steady(), [Beside(full_kwh=60.0), Beside()], StaySettings(), start=START)[0])
    assert free.power_kw[0, :2].min() < 1.0
    paced, _ = with_needs(steady(), [Beside(full_kwh=60.0, pace_kw=25.0), Beside()], StaySettings(), start=START)
    held = plan(paced)
    assert held.power_kw[0, :2] == pytest.approx([25.0, 25.0])
    assert held.unmet_kwh == pytest.approx([0, 0])


def test_a_pace_gives_way_to_departures_and_limits() -> None:
    narrow, _ = with_needs(replace(steady(), site_limit_kw=np.full(8, 26.0)), PACED, StaySettings(), start=START)
    held = plan(narrow)
    assert held.unmet_kwh[1] == pytest.approx(0)
    assert held.power_kw[:, :2].sum(axis=0) == pytest.approx([26.0, 26.0])
    assert held.power_kw[0, :2].sum() == pytest.approx(42.0)
    tight = replace(steady(), site_limit_kw=np.full(8, 5.0))
    late = plan(with_needs(tight, PACED, StaySettings(), start=START)[0])
    assert late.unmet_kwh[1] == pytest.approx(0)
    assert late.power_kw[0, :2] == pytest.approx([0.0, 0.0])
    assert late.power_kw.sum(axis=0).max() <= 5.0 + 1e-6


def test_a_pace_is_asked_for_until_the_battery_accepts_less() -> None:
    curve = ChargeCurve(np.array([0.8, 1.0]), np.array([50.0, 5.0]), 100.0, 70.0)  # 25 kW are accepted until 91 %
    bus, van = steady().vehicles
    problem = replace(steady(), slot_minutes=15, vehicles=(replace(bus, energy_kwh=0.0, curve=curve), replace(van, energy_kwh=0.0)))
    asked, _ = with_needs(problem, [Beside(full_kwh=30.0, pace_kw=25.0), Beside()], StaySettings(), start=START)
    paces = [stone.at_least_kwh for stone in asked.vehicles[0].milestones if stone.label == PACE]
    assert paces == pytest.approx([6.25, 12.5, 18.75])
