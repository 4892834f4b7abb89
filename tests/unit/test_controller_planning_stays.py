"""What stays ask for beside energy: from what the depot knows to what the optimizer plans."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from controller.planning_stays import Beside, StaySettings, lacking_kwh, with_needs
from depot.values import ConnectorId
from optimizer import Problem, Vehicle, plan

START = datetime(2026, 1, 12, tzinfo=UTC)
CP1 = ConnectorId("CP1", 1)
WANTED = StaySettings(minimum_soc=0.2)


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
