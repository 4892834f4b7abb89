"""A bus whose battery is tested while another one charges beside it, through the whole controller and simulated chargers; and one whose
test the site has no room for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from controller.app.night import NightResult, NightSettings, play
from controller.planning_settings import PlanningSettings
from depot import commands as cmd
from depot.reference_tests import ReferenceOutcome
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId
from grid.tariff import Tariff
from simulator.day import Day, Stay
from simulator.trace import Trace

START = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
HOURS = 8.0
LEAVES_S = 7.5 * 3600
OUTLET = ConnectorSpec(1, 50_000, 5_000, Current.DC, voltage_v=600, pausable=True)
ONE, TWO = ConnectorId("C1", 1), ConnectorId("C2", 1)
ORDER = cmd.OrderReferenceTest(command_id="order", actor="Meera", reason="yearly", vehicle_id="bus 1", until=START + timedelta(hours=2))


def afternoon(contract_w: int = 100_000) -> Day:
    stations = tuple(StationSpec(key.station_id, "A", (OUTLET,)) for key in (ONE, TWO))
    spec = DepotSpec("t", "Two buses", contract_w, 10_000, 5_000, (FeederSpec("A", 90_000),), stations, metered=True)
    stays = tuple(
        Stay(f"bus {n}", key, 300.0, LEAVES_S, LEAVES_S, 50_000, 50_000, 50_000, 5_000, 80_000, 0.375) for n, key in ((1, ONE), (2, TWO))
    )
    return Day("two buses", START, HOURS * 3600, spec, stays, ((0.0, 2_000),), ((0.0, 6.0),))


def played(day: Day, *orders: tuple[float, cmd.Command]) -> tuple[NightResult, list[tuple[float, str, int]]]:
    lines: list[str] = []
    planning = PlanningSettings(cadence_s=1800.0, spacing_s=180.0, horizon_h=8, demand_share=0.0)
    tariff = Tariff.named("stylised-tou", timezone="Asia/Kolkata")
    settings = NightSettings(planning=planning, orders=orders)
    result = play(day, tariff=tariff, personas={}, seed=1, settings=settings, trace=Trace(lines.append))
    rows = [json.loads(line) for line in lines]
    return result, [(row["t"], row["connector"], row["w"]) for row in rows if row["kind"] == "power"]


def drawn(powers: list[tuple[float, str, int]], key: ConnectorId) -> list[tuple[float, int]]:
    return [(t, w) for t, name, w in powers if name == str(key)]


@pytest.fixture(scope="module")
def tested() -> tuple[NightResult, list[tuple[float, str, int]]]:
    return played(afternoon(), (60.0, ORDER))


def test_it_rests_pulses_charges_at_one_rate_and_rests(tested: tuple[NightResult, list[tuple[float, str, int]]]) -> None:
    result, powers = tested
    test = result.state.reference_tests["bus 1"]
    assert (test.outcome, test.why) == (ReferenceOutcome.DONE, "")
    assert test.began_at is not None
    assert test.ended_at is not None
    began_s, ended_s = ((at - START).total_seconds() for at in (test.began_at, test.ended_at))
    course = [(t, w) for t, w in drawn(powers, ONE) if began_s <= t <= ended_s]
    first_s = next(t for t, w in course if w > 1_000)
    last_s = max(t for t, w in course if w > 1_000)
    assert first_s - began_s > 2_000
    assert ended_s - last_s > 2_000
    held = [w for (t, w), (until, _) in pairwise(course) if until - t >= 25 and first_s <= t <= first_s + 1_800]
    steps = [w for a, w in pairwise([0, *held]) if abs(w - a) > 15_000]
    assert steps[:6] == pytest.approx([40_000, 10_000, 40_000, 10_000, 40_000, 10_000], rel=0.1)
    charging = [(t, w, until) for (t, w), (until, _) in pairwise(course) if until >= first_s + 900 and t <= last_s]
    steady_s = sum(until - t for t, w, until in charging if w == pytest.approx(test.rate_w, rel=0.05))
    assert steady_s > 0.6 * sum(until - t for t, _, until in charging)
    assert max(w for _, w, _ in charging) <= 1.02 * test.rate_w
    assert all(w > 500 for _, w, until in charging if until < last_s)  # it never pauses


def test_both_leave_with_what_they_need_and_no_limit_gives_way(tested: tuple[NightResult, list[tuple[float, str, int]]]) -> None:
    result, powers = tested
    assert [round(one.got_wh / one.need_wh, 2) for one in result.outcomes] == [1.0, 1.0]
    now: dict[str, int] = {}
    most = 0
    for _, name, watts in powers:
        now[name] = watts
        most = max(most, sum(now.values()))
    assert most <= 90_000


def test_other_buses_come_first_where_the_site_has_no_room() -> None:
    day = replace(afternoon(30_000), name="a narrow site")
    result, powers = played(day, (60.0, replace(ORDER, until=START + timedelta(hours=1))))
    test = result.state.reference_tests["bus 1"]
    assert test.outcome is ReferenceOutcome.BROKEN_OFF
    assert "a pulse wanted 40.0 kW" in test.why
    assert "had no room" in test.why
    now: dict[str, int] = {}
    for _, name, watts in powers:
        now[name] = watts
        assert sum(now.values()) <= 30_000
