"""The physical site: ramps, phases, energy, faults, trace."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_central import START, small_day, stay, until

from controller.clock import VirtualClock, run_virtual
from depot.registry import Current
from depot.values import ConnectorId
from simulator.agenda import Agenda
from simulator.day import Day
from simulator.plant import ConnectionPointMeter, OutletState, Plant
from simulator.trace import Trace

CP1 = ConnectorId("CP1", 1)


def play(day: Day, script: Callable[[VirtualClock, Plant], Awaitable[None]]) -> list[dict[str, Any]]:
    """Run ``script`` against the plant of ``day``; returns the trace."""
    lines: list[str] = []

    async def main(clock: VirtualClock) -> None:
        agenda = Agenda(clock)
        plant = Plant(day, clock=clock, agenda=agenda, trace=Trace(lines.append))
        keeper = asyncio.create_task(agenda.run())
        await script(clock, plant)
        plant.end()
        keeper.cancel()

    run_virtual(main, start=START)
    return [json.loads(line) for line in lines]


def powers(trace: list[dict[str, Any]]) -> list[tuple[float, int]]:
    return [(row["t"], row["w"]) for row in trace if row["kind"] == "power"]


@pytest.mark.parametrize(("current", "up_s", "down_s"), [(Current.AC, 1.0, 1.0), (Current.DC, 2.0, 1.5)])
def test_power_ramps_in_steps_and_settles_in_time(current: Current, up_s: float, down_s: float) -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        plant.plug(stay())
        plant.order(CP1, obeyed_w=20_000, granted_w=20_000)
        plant.energise(CP1, True)
        await until(clock, 100)
        plant.order(CP1, obeyed_w=5_000, granted_w=5_000)
        await until(clock, 200)

    trace = powers(play(small_day(current=current), script))
    up, down = [p for p in trace if p[0] < 100], [p for p in trace if p[0] > 100]
    assert len(up) >= 2
    assert up[-1][1] == 20_000
    assert up[-1][0] <= up_s
    assert [w for _, w in up] == sorted(w for _, w in up)
    assert down[-1][1] == 5_000
    assert down[-1][0] <= 100 + down_s
    assert [w for _, w in down] == sorted((w for _, w in down), reverse=True)


def test_below_the_vehicles_minimum_there_is_only_zero() -> None:
    states: list[OutletState] = []

    async def script(clock: VirtualClock, plant: Plant) -> None:
        plant.listen(CP1, lambda _, state: states.append(state))
        plant.plug(stay())
        plant.order(CP1, obeyed_w=4_139, granted_w=4_139)
        plant.energise(CP1, True)
        await until(clock, 10)
        assert plant.power_w(CP1) == 0
        plant.order(CP1, obeyed_w=4_140, granted_w=4_140)
        await until(clock, 20)
        assert plant.power_w(CP1) == 4_140
        plant.energise(CP1, False)
        assert plant.power_w(CP1) == 0

    play(small_day(), script)
    assert states == [OutletState.IDLE, OutletState.HELD, OutletState.DRAWING, OutletState.IDLE]


def test_a_vehicle_that_has_what_it_needs_stops_by_itself() -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        plant.plug(stay(need_wh=9_900, efficiency=0.9))
        plant.energise(CP1, True)
        await until(clock, 3600)
        assert plant.state(CP1) is OutletState.SATISFIED
        vehicle = plant.unplug(CP1)
        assert vehicle.pack.got_wh == pytest.approx(9_900, abs=0.01)
        assert vehicle.grid_wh == pytest.approx(11_000, abs=0.01)

    last = powers(play(small_day(), script))[-1]
    assert last[1] == 0
    assert last[0] == pytest.approx(1800, abs=2)


def test_site_power_is_background_and_outlets_at_every_instant() -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        meter = ConnectionPointMeter(plant, clock)
        assert plant.site_power_w() == 1000
        plant.plug(stay())
        plant.order(CP1, obeyed_w=10_000, granted_w=10_000)
        plant.energise(CP1, True)
        first = meter.reading
        await until(clock, 0.5)
        assert meter.reading is first, "one sample a second"
        await until(clock, 5)
        assert plant.site_power_w() == 11_000
        assert plant.feeder_power_w("F1") == plant.charging_power_w() == 10_000
        plant.set_base(-3_000)
        assert plant.site_power_w() == 7_000
        assert meter.reading is not None
        assert meter.reading.power_w == 7_000
        meter.blind = True
        plant.set_base(0)
        await until(clock, 60)
        assert meter.reading.power_w == 7_000

    play(small_day(), script)


def faults(trace: list[dict[str, Any]]) -> list[float]:
    return [row["t"] for row in trace if row["kind"] == "fault"]


def test_obeying_within_the_ramp_is_no_fault() -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        plant.plug(stay())
        plant.order(CP1, obeyed_w=20_000, granted_w=20_000)
        plant.energise(CP1, True)
        for t in range(5, 100, 5):
            await until(clock, t)
            w = 20_000 if t % 2 else 5_000
            plant.order(CP1, obeyed_w=w, granted_w=w)
        await until(clock, 200)

    assert faults(play(small_day(current=Current.DC), script)) == []


def test_disobedience_is_noted_once_when_it_begins() -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        plant.plug(stay())
        plant.order(CP1, obeyed_w=20_000, granted_w=20_000)
        plant.energise(CP1, True)
        await until(clock, 100)
        plant.order(CP1, obeyed_w=20_000, granted_w=10_000)
        await until(clock, 200)
        plant.order(CP1, obeyed_w=20_000, granted_w=5_000)
        await until(clock, 300)
        plant.order(CP1, obeyed_w=20_000, granted_w=21_000)
        await until(clock, 400)
        plant.order(CP1, obeyed_w=22_000, granted_w=21_000)
        await until(clock, 500)

    first, second = faults(play(small_day(), script))
    assert 100 < first <= 102
    assert 400 < second <= 401


def test_a_fault_line_comes_before_the_power_that_it_explains() -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        plant.plug(stay())
        plant.order(CP1, obeyed_w=20_000, granted_w=5_000)
        plant.energise(CP1, True)
        await until(clock, 10)

    kinds = [(row["kind"], row.get("w", 0)) for row in play(small_day(), script)]
    assert kinds.index(("fault", 0)) < min(i for i, (kind, w) in enumerate(kinds) if kind == "power" and w > 5_000)


def test_trace_begins_with_depot_limits_and_background() -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        await until(clock, 50)
        plant.set_limit("site", 40_000)
        plant.set_limit("site", 40_000)

    trace = play(small_day(contract_w=50_000), script)
    assert trace[0]["kind"] == "depot"
    assert trace[0]["feeders"] == {"F1": ["CP1/1"]}
    assert [(r["t"], r["scope"], r["w"]) for r in trace if r["kind"] == "limit"] == [
        (0, "site", 50_000),
        (0, "F1", 50_000),
        (50, "site", 40_000),
    ]
    assert [r["w"] for r in trace if r["kind"] == "base"] == [1000]


def test_need_is_what_the_stay_allowed() -> None:
    async def script(clock: VirtualClock, plant: Plant) -> None:
        short = stay(arrive_s=0, depart_s=1800, need_wh=30_000)
        plant.plug(short)
        await until(clock, 1800)
        outcome = plant.leave(short, plant.unplug(CP1))
        assert outcome.need_wh == pytest.approx(22_000 * 0.9 / 2)
        assert outcome.got_wh == 0
        gone = plant.leave(stay(arrive_s=0, depart_s=1800, need_wh=500), None)
        assert (gone.need_wh, gone.got_wh) == (500, 0)

    visits = [row for row in play(small_day(), script) if row["kind"] == "visit"]
    assert visits[0]["need_wh"] == pytest.approx(9_900)
    assert (visits[0]["arrive"], visits[0]["depart"]) == (0, 1800)


@pytest.mark.data
def test_the_judge_accepts_the_trace_and_finds_what_is_wrong(data_dir: Path, tmp_path: Path) -> None:
    """A vehicle draws 20 kW; the limit drops to 10 kW with base 1 kW; the plant's station follows after 2 s, or never."""
    judge = data_dir.parent / "tools" / "judge_trace.py"
    if not judge.is_file():
        pytest.skip(f"the judge of traces is not there: {judge}")

    def judged(obey: bool) -> tuple[int, dict[str, Any]]:
        async def script(clock: VirtualClock, plant: Plant) -> None:
            plant.plug(stay())
            plant.order(CP1, obeyed_w=20_000, granted_w=20_000)
            plant.energise(CP1, True)
            await until(clock, 100)
            plant.set_limit("site", 10_000)
            await until(clock, 102)
            if obey:
                plant.order(CP1, obeyed_w=9_000, granted_w=9_000)
            await until(clock, 7000)
            plant.leave(stay(), plant.unplug(CP1))

        path = tmp_path / "trace.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in play(small_day(), script)))
        done = subprocess.run([sys.executable, str(judge), str(path)], capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)

    code, verdict = judged(obey=True)
    assert code == 0, verdict
    assert verdict["ramping_kws"] > 0
    assert verdict["visits"] == 1
    code, verdict = judged(obey=False)
    assert code == 1
    assert verdict["violating_kws"] > 0


@settings(max_examples=40, deadline=None)
@given(
    orders=st.lists(st.tuples(st.floats(0.01, 900), st.integers(0, 30_000)), min_size=1, max_size=25),
    dc=st.booleans(),
    efficiency=st.floats(0.7, 1.0),
)
def test_the_trace_the_register_and_the_battery_agree(orders: list[tuple[float, int]], dc: bool, efficiency: float) -> None:
    """Energy balance: Σ trace power × time = register = vehicle's grid energy; × efficiency = battery gain."""
    result: dict[str, float] = {}

    async def script(clock: VirtualClock, plant: Plant) -> None:
        before = plant.register_wh(CP1)
        plant.plug(stay(efficiency=efficiency, need_wh=20_000))
        plant.energise(CP1, True)
        for pause, w in orders:
            plant.order(CP1, obeyed_w=w, granted_w=w)
            await clock.sleep(pause)
        vehicle = plant.unplug(CP1)
        result.update(register=plant.register_wh(CP1) - before, grid=vehicle.grid_wh, got=vehicle.pack.got_wh)

    trace = play(small_day(current=Current.DC if dc else Current.AC), script)
    rows = [*powers(trace), (trace[-1]["t"], 0)]
    traced = sum(w * (following[0] - t) for (t, w), following in itertools.pairwise(rows)) / 3600
    assert result["register"] == pytest.approx(result["grid"], abs=1e-6)
    assert result["grid"] * efficiency == pytest.approx(result["got"], rel=1e-9, abs=1e-6)
    assert traced == pytest.approx(result["grid"], abs=0.5 + 0.01 * len(rows))  # the trace's times are whole milliseconds
