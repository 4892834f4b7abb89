"""The power of a whole depot is cut and comes back: nothing flows, then chargers begin one after the other, within limits."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from controller.app.night import NightSettings, play
from controller.app.trace_slots import TraceSlots, trace_to_slots
from controller.pickup import PickupSettings
from controller.planning_settings import PlanningSettings
from controller.traffic import LoopSettings
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId
from grid.tariff import Tariff
from simulator.day import Day, Stay
from simulator.trace import Trace

VANS = 12
CUT_S, LASTS_S = 1500.0, 600.0
BACK_S = CUT_S + LASTS_S
HOURS = 2.0
VAN = ConnectorSpec(1, 30_000, 5_000, Current.DC, voltage_v=400, settle_s=3.0, pausable=True)
CONTRACT_W = 600_000
"""More than all take: without a pick-up nothing but the chargers themselves would hold the load back."""


def cut_day() -> Day:
    stations = tuple(StationSpec(f"S{i:02d}", "A", (VAN,)) for i in range(1, VANS + 1))
    stays = tuple(
        Stay(
            f"V{i:02d}", ConnectorId(station.station_id, 1), 10.0 * i, HOURS * 3600 - 60, HOURS * 3600 - 120.0 * i, 30_000, 30_000, 30_000,
            5_000, 100_000, 0.2,
        )
        for i, station in enumerate(stations, start=1)
    )  # fmt: skip
    spec = DepotSpec(
        depot_id="cut",
        name="Cut depot",
        contract_w=CONTRACT_W,
        failsafe_w=100_000,
        worst_background_w=60_000,
        feeders=(FeederSpec("A", CONTRACT_W),),
        stations=stations,
        metered=True,
    )
    return Day(
        "a power cut", datetime(2026, 1, 12, 12, 0, tzinfo=UTC), HOURS * 3600, spec, stays, base_w=((0.0, 40_000),), price=((0.0, 0.2),),
        power_cuts=((CUT_S, LASTS_S),),
    )  # fmt: skip


def played(pickup: PickupSettings, *, share_201: float = 0.5, seed: int = 3) -> tuple[TraceSlots, list[dict[str, object]]]:
    lines: list[str] = []
    settings = NightSettings(
        planning=PlanningSettings(cadence_s=900.0, spacing_s=180.0, horizon_h=2, demand_share=0.0),
        loop=LoopSettings(pickup=pickup),
        share_201=share_201,
    )
    tariff = Tariff.named("stylised-tou", timezone="Asia/Kolkata")
    play(cut_day(), tariff=tariff, personas={}, seed=seed, settings=settings, trace=Trace(lines.append))
    return trace_to_slots(lines, 900), [json.loads(line) for line in lines]


def begins_s(rows: list[dict[str, object]]) -> dict[str, float]:
    """When each connector first drew power after the return, seconds from it."""
    found: dict[str, float] = {}
    for row in rows:
        if row["kind"] == "power" and float(str(row["t"])) >= BACK_S and int(str(row["w"])) > 0:
            found.setdefault(str(row["connector"]), float(str(row["t"])) - BACK_S)
    return found


@pytest.fixture(scope="module")
def spread() -> tuple[TraceSlots, list[dict[str, object]]]:
    return played(PickupSettings(0.0, 300.0))


def test_nothing_flows_while_the_power_is_gone_and_no_limit_is_exceeded(spread: tuple[TraceSlots, list[dict[str, object]]]) -> None:
    slots, rows = spread
    assert slots.violations == 0
    drawn: dict[str, int] = {}
    for row in rows:
        if row["kind"] == "power":
            drawn[str(row["connector"])] = int(str(row["w"]))
        if CUT_S + 1 <= float(str(row["t"])) < BACK_S and row["kind"] in ("power", "base"):
            assert row["w"] == 0, row
    before = [row for row in rows if row["kind"] == "power" and float(str(row["t"])) < CUT_S]
    assert len({row["connector"] for row in before}) == VANS, "all charged when the power went"


def test_chargers_begin_one_after_the_other_and_all_of_them_do(spread: tuple[TraceSlots, list[dict[str, object]]]) -> None:
    begins = sorted(begins_s(spread[1]).values())
    assert len(begins) == VANS
    most = max(sum(at <= other < at + 20 for other in begins) for at in begins)
    assert most <= 5, f"{most} of {VANS} began within 20 s: {begins}"
    assert begins[-1] > 120
    assert begins[-1] < 420


def test_without_a_window_most_begin_at_once() -> None:
    begins = sorted(begins_s(played(PickupSettings(0.0, 0.0))[1]).values())
    assert len(begins) == VANS
    assert begins[-1] < 120


def test_who_leaves_first_begins_first(spread: tuple[TraceSlots, list[dict[str, object]]]) -> None:
    """V12 says that it leaves first. A station that takes its session up by itself, or boots late, breaks the order a little."""
    begins = begins_s(spread[1])
    urgent = [begins[f"S{i:02d}/1"] for i in range(VANS, VANS // 2, -1)]
    patient = [begins[f"S{i:02d}/1"] for i in range(VANS // 2, 0, -1)]
    assert sum(urgent) / len(urgent) < sum(patient) / len(patient)


def test_the_vehicles_still_get_their_energy(spread: tuple[TraceSlots, list[dict[str, object]]]) -> None:
    slots, _ = spread
    share = sum(min(v.got_wh, v.need_wh) for v in slots.visits) / sum(v.need_wh for v in slots.visits)
    assert share > 0.97


def test_the_day_can_be_cut_more_than_once() -> None:
    day = replace(cut_day(), power_cuts=((CUT_S, 300.0), (CUT_S + 1200.0, 300.0)))
    lines: list[str] = []
    settings = NightSettings(planning=PlanningSettings(cadence_s=900.0, spacing_s=180.0, horizon_h=2, demand_share=0.0))
    tariff = Tariff.named("stylised-tou", timezone="Asia/Kolkata")
    night = play(day, tariff=tariff, personas={}, seed=4, settings=settings, trace=Trace(lines.append))
    assert trace_to_slots(lines, 900).violations == 0
    assert not night.state.transactions
