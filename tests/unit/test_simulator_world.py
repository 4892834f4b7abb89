"""The world plays a day: arrivals, queues, departures, background, limits; twice the same by its seed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simulator_central import START, Central, small_day, stay, until

from controller.clock import ScaledClock, VirtualClock, run_virtual
from simulator.agenda import Agenda
from simulator.day import Day, Stay
from simulator.personas import assign
from simulator.plant import Outcome
from simulator.trace import Trace, trace_file
from simulator.world import World, id_tag


def play(day: Day, *, trace: list[str] | None = None, seed: int = 5, **options: Any) -> list[Outcome]:
    async def main(clock: VirtualClock) -> list[Outcome]:
        central = Central(clock)
        sink = Trace(trace.append) if trace is not None else None
        personas = options.pop("personas", {})
        async with World(
            day, personas=personas, seed=seed, clock=clock, connect=central.connect, trace=sink, autostart=True, **options
        ) as world:
            return await world.run()

    return run_virtual(main, start=START)


def test_arrivals_departures_background_and_limits_in_their_order() -> None:
    seen: list[tuple[str, Any]] = []
    day = small_day(
        stations=2,
        stays=(stay(1, arrive_s=100, depart_s=4000), stay(2, arrive_s=50, depart_s=3000)),
        base_w=((0, 500), (1000, 900)),
        limits=((2000, 70_000),),
    )
    lines: list[str] = []
    play(
        day,
        trace=lines,
        on_arrival=lambda s: seen.append(("in", s.vehicle_id)),
        on_departure=lambda s: seen.append(("out", s.vehicle_id)),
        on_limit=lambda w: seen.append(("limit", w)),
    )
    assert seen == [("in", "van-2"), ("in", "van-1"), ("limit", 70_000), ("out", "van-2"), ("out", "van-1")]
    rows = [json.loads(line) for line in lines]
    assert [(r["t"], r["w"]) for r in rows if r["kind"] == "base"] == [(0, 500), (1000, 900)]
    assert [(r["t"], r["w"]) for r in rows if r["kind"] == "limit" and r["scope"] == "site"] == [(0, 1_000_000), (2000, 70_000)]
    assert rows[-1] == {"t": 7200, "kind": "end"}


def second(vehicle_id: str, **more: Any) -> Stay:
    return replace(stay(1, **more), vehicle_id=vehicle_id)


def test_a_taken_bay_is_waited_for_and_a_vehicle_that_never_got_in_counts_as_short() -> None:
    day = small_day(
        stays=(
            second("first", arrive_s=0, depart_s=3600, need_wh=10_000),
            second("waits", arrive_s=1800, depart_s=6000, need_wh=5_000),
            second("in vain", arrive_s=2000, depart_s=3000, need_wh=5_000),
            second("next", arrive_s=6000, depart_s=7100, need_wh=5_000),
        )
    )
    outcomes = {o.stay.vehicle_id: o for o in play(day)}
    assert outcomes["waits"].got_wh == pytest.approx(5_000, abs=0.1)
    assert outcomes["next"].got_wh == pytest.approx(5_000, abs=0.1)
    assert outcomes["in vain"].got_wh == 0
    assert outcomes["in vain"].need_wh == pytest.approx(5_000)


def test_who_is_still_there_at_the_end_is_accounted_for_and_later_stays_are_left_out() -> None:
    day = small_day(
        hours=1,
        stays=(second("stays", arrive_s=60, depart_s=99_999, need_wh=60_000 * 8 // 10), second("tomorrow", arrive_s=4000, depart_s=9000)),
    )
    (outcome,) = play(day)
    assert outcome.left_s == 3600
    assert 0.98 * outcome.need_wh < outcome.got_wh < outcome.need_wh < 48_000


def test_the_same_seed_gives_the_same_night() -> None:
    stations = [f"CP{n}" for n in range(1, 10)]
    day = small_day(stations=9, hours=2, stays=tuple(stay(n, arrive_s=30 * n, depart_s=7_000) for n in range(1, 10)))

    def heard(seed: int) -> list[Any]:
        async def main(clock: VirtualClock) -> list[Any]:
            central = Central(clock)
            async with World(day, personas=assign(stations, 5), seed=seed, clock=clock, connect=central.connect, autostart=True) as world:
                await world.run()
            return central.heard

        return run_virtual(main, start=START)

    first = heard(5)
    assert first == heard(5)
    assert first != heard(6)


def test_id_tags_fit_the_protocol() -> None:
    assert len(id_tag(second("a-vehicle-with-a-very-long-name"))) == 20


@pytest.mark.data
def test_the_judge_accepts_the_trace_of_a_night_with_every_persona(data_dir: Path, tmp_path: Path) -> None:
    judge = data_dir.parent / "tools" / "judge_trace.py"
    if not judge.is_file():
        pytest.skip(f"the judge of traces is not there: {judge}")
    stations = [f"CP{n}" for n in range(1, 10)]
    day = small_day(stations=9, hours=4, stays=tuple(stay(n, depart_s=14_000) for n in range(1, 10)))

    async def main(clock: VirtualClock) -> list[Outcome]:
        with trace_file(tmp_path / "deep" / "trace.jsonl") as trace:
            central = Central(clock)
            async with World(
                day, personas=assign(stations, 2), seed=2, clock=clock, connect=central.connect, trace=trace, autostart=True
            ) as world:
                return await world.run()

    outcomes = run_virtual(main, start=START)
    done = subprocess.run([sys.executable, str(judge), str(tmp_path / "deep" / "trace.jsonl")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["visits"] == 9
    assert verdict["hours"] == 4
    assert verdict["energy_kwh"] == pytest.approx(sum(o.grid_wh for o in outcomes) / 1000, rel=1e-3)
    assert verdict["unmet_kwh"] == pytest.approx(sum(max(0.0, o.need_wh - o.got_wh) for o in outcomes) / 1000, abs=0.01)


@pytest.mark.anyio
async def test_the_world_also_runs_on_a_scaled_clock() -> None:
    clock = ScaledClock.starting(START, 600.0)
    central = Central(clock)  # type: ignore[arg-type]  # any clock will do here
    day = small_day(hours=0.5, stays=(stay(arrive_s=600, depart_s=1700, need_wh=1_000),))
    async with World(day, personas={}, seed=1, clock=clock, connect=central.connect, autostart=True) as world:
        outcomes = await world.run()
    assert [o.stay.vehicle_id for o in outcomes] == ["van-1"]
    assert outcomes[0].got_wh > 0


def test_a_bug_in_an_appointment_ends_the_world() -> None:
    def broken(_: Stay) -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as group:
        play(small_day(stays=(stay(),)), on_arrival=broken)
    assert group.group_contains(ZeroDivisionError)

    async def main(clock: VirtualClock) -> None:
        agenda = Agenda(clock)
        agenda.after(5, lambda: [][0])
        await agenda.run()

    with pytest.raises(IndexError):
        run_virtual(main, start=START)


def test_appointments_are_kept_in_order_and_can_be_cancelled() -> None:
    kept: list[str] = []

    async def main(clock: VirtualClock) -> None:
        agenda = Agenda(clock)
        keeper = asyncio.create_task(agenda.run())
        await clock.sleep(1)
        agenda.after(50, lambda: kept.append("late"))
        agenda.after(10, lambda: kept.append("first"))
        agenda.after(10, lambda: kept.append("second"))
        agenda.after(20, lambda: kept.append("never")).cancel()
        await clock.sleep(0)
        agenda.after(5, lambda: kept.append(f"sooner at {clock.monotonic():.0f}"))
        await until(clock, 100)
        keeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeper

    run_virtual(main, start=START)
    assert kept == ["sooner at 6", "first", "second", "late"]
