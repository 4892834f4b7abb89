"""A bus that comes twice, through the whole controller: what its dear second stay lacks is bought in the cheap first one, the second is
announced anew when it leaves, and nothing of it flows where the bus comes once only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from controller.app.night import NightSettings, play
from controller.planning_settings import PlanningSettings
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId
from grid.tariff import Tariff
from simulator.day import Day, Stay
from simulator.trace import Trace

BUS = ConnectorId("CP", 1)
HOUR_S = 3600.0
FIRST = Stay("bus", BUS, 300.0, 2 * HOUR_S, 2 * HOUR_S, 60_000, 30_000, 50_000, 5_000, 100_000, 0.3)
SECOND = Stay("bus", BUS, 3.2 * HOUR_S, 5 * HOUR_S, 5 * HOUR_S, 20_000, 20_000, 50_000, 5_000, 100_000, 0.5)  # it drives 10 kWh between


def energies_wh(*stays: Stay) -> list[float]:
    """What the outlet gives before and after the bus drives, at 13:30 local time until the prices rise at 16:30, and after that."""
    spec = DepotSpec(
        "twice", "Twice", 100_000, 20_000, 10_000, (FeederSpec("A", 90_000),),
        (StationSpec("CP", "A", (ConnectorSpec(1, 50_000, 5_000, Current.DC, voltage_v=600),)),), metered=True, worst_power_factor=1.0,
    )  # fmt: skip
    day = Day("twice", datetime(2026, 1, 12, 8, 0, tzinfo=UTC), 5 * HOUR_S, spec, stays, ((0.0, 5_000),), ((0.0, 6.0),))
    lines: list[str] = []
    planning = PlanningSettings(cadence_s=900.0, spacing_s=180.0, horizon_h=6, demand_share=0.0)
    tariff = Tariff.named("stylised-tou", timezone="Asia/Kolkata")
    play(day, tariff=tariff, personas={}, seed=1, settings=NightSettings(planning=planning), trace=Trace(lines.append))
    rows = [json.loads(line) for line in lines]
    powers = [(row["t"], row["w"]) for row in rows if row["kind"] == "power"]
    edges = [*powers, (5 * HOUR_S, 0)]
    parts = [(a, w, b) for (a, w), (b, _) in pairwise(edges)]
    return [sum(w * (b - a) / 3600 for a, w, b in parts if (a < 2.5 * HOUR_S) == first) for first in (True, False)]


def test_what_a_dear_stay_lacks_is_bought_in_a_cheap_one_before() -> None:
    first_wh, second_wh = energies_wh(FIRST, SECOND)
    assert first_wh == pytest.approx(50_000 / 0.9, rel=0.04)
    assert second_wh < 1_000


def test_who_comes_once_is_charged_what_it_asked_for() -> None:
    first_wh, second_wh = energies_wh(FIRST)
    assert first_wh == pytest.approx(30_000 / 0.9, rel=0.05)
    assert second_wh < 1
