"""Each persona shows its habit, and the trace says when a station begins to draw more than it was granted."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator_central import START, Central, default_profile, small_day, stay, tx_profile, until

from controller.clock import VirtualClock, run_virtual
from simulator.personas import BEHAVIOURS, GIVING, Persona, assign
from simulator.trace import Trace
from simulator.world import World


@given(count=st.integers(0, 120), seed=st.integers(0, 2**32))
def test_assignment_covers_every_persona_and_is_mostly_polite(count: int, seed: int) -> None:
    stations = [f"CP{n}" for n in range(count)]
    given_to = assign(stations, seed)
    assert list(given_to) == stations
    assert given_to == assign(stations, seed)
    counts = Counter(given_to.values())
    field = set(Persona) - set(GIVING)  # those that show only where a vehicle gives power are asked for by name
    if count >= len(field):
        assert set(counts) == field
    if count >= 2 * len(field):
        assert counts[Persona.POLITE] > count / 2


def test_shares_are_kept_and_nonsense_is_refused() -> None:
    stations = [f"CP{n}" for n in range(100)]
    only = assign(stations, 1, dict.fromkeys(Persona, 0.0) | {Persona.LATE: 0.3})
    assert Counter(only.values()) == {Persona.LATE: 30, Persona.POLITE: 70}
    with pytest.raises(ValueError, match="at most 1"):
        assign(stations, 1, {Persona.LATE: 0.9, Persona.SILENT: 0.3})
    with pytest.raises(ValueError, match="0 or more"):
        assign(stations, 1, {Persona.LATE: -0.1})


def test_every_persona_has_a_behaviour() -> None:
    assert set(BEHAVIOURS) == set(Persona)


Script = Callable[[VirtualClock, Central, World], Awaitable[None]]


def play(persona: Persona, script: Script, *, hours: float = 2.0, **options: Any) -> tuple[Central, list[dict[str, Any]]]:
    """One vehicle on one station of ``persona``, plugged at 60 s; a 5 kW default is installed. Returns central and trace."""
    lines: list[str] = []

    async def main(clock: VirtualClock) -> Central:
        central = Central(clock)
        day = small_day(hours=hours, stays=(stay(depart_s=hours * 3600 - 200, need_wh=options.pop("need_wh", 50_000)),))
        world = World(
            day,
            personas={"CP1": persona},
            seed=options.pop("seed", 3),
            clock=clock,
            connect=central.connect,
            trace=Trace(lines.append),
            rate_units={"CP1": ("W",)},
            **options,
        )
        async with world:
            running = asyncio.create_task(world.run())
            await central.call_when_up("CP1")
            await clock.sleep(5)
            await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=default_profile(5_000))
            await until(clock, 70)
            await script(clock, central, world)
            await running
        return central

    central = run_virtual(main, start=START)
    return central, [json.loads(line) for line in lines]


def faults(trace: list[dict[str, Any]]) -> list[float]:
    return [row["t"] for row in trace if row["kind"] == "fault"]


async def start(central: Central, clock: VirtualClock, w: float, life_s: float = 3600.0) -> None:
    until_ = clock.now() + timedelta(seconds=life_s)
    await central.call("CP1", "RemoteStartTransaction", idTag="van-1", connectorId=1, chargingProfile=tx_profile(w, until=until_))


async def set_level(central: Central, clock: VirtualClock, w: float, life_s: float = 3600.0) -> dict[str, Any]:
    profile = tx_profile(w, until=clock.now() + timedelta(seconds=life_s))
    return await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=profile)


def test_polite_draws_what_it_may_and_never_faults() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000)
        for w in (15_000, 6_000, 0, 12_000):
            await clock.sleep(60)
            assert (await set_level(central, clock, w))["status"] == "Accepted"
            await clock.sleep(5)
            assert world.plant.charging_power_w() == w

    _, trace = play(Persona.POLITE, script)
    assert faults(trace) == []


def test_ignores_limits_accepts_everything_and_draws_the_most_but_stops_when_told() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000)
        await clock.sleep(10)
        assert world.plant.charging_power_w() == 22_000
        assert (await set_level(central, clock, 0))["status"] == "Accepted"
        await clock.sleep(10)
        assert world.plant.charging_power_w() == 22_000
        assert (await central.call("CP1", "RemoteStopTransaction", transactionId=101))["status"] == "Accepted"
        await clock.sleep(2)
        assert world.plant.charging_power_w() == 0

    _, trace = play(Persona.IGNORES_LIMITS, script)
    assert len(faults(trace)) == 1
    assert 70 <= faults(trace)[0] < 72


def test_overdraws_by_an_eighth() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 10_000)
        await clock.sleep(10)
        assert world.plant.charging_power_w() == 11_200
        await set_level(central, clock, 21_000)
        await clock.sleep(10)
        assert world.plant.charging_power_w() == 22_000, "the vehicle takes no more"

    _, trace = play(Persona.OVERDRAWS, script)
    assert [round(t) for t in faults(trace)] == [71, 81], "each time that it goes beyond what it may"


def test_silent_goes_deaf_on_an_open_connection_falls_back_to_the_default_and_returns() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000, life_s=180)
        station = world.stations["CP1"]
        while station.connection.hears:
            await clock.sleep(20)
            with_answer = asyncio.create_task(set_level(central, clock, 9_000, life_s=180))
            await asyncio.wait([with_answer], timeout=5)
            if not with_answer.done():
                with_answer.cancel()
        wires = len(central.wires)
        deaf_since = clock.monotonic()
        assert not central.wires[-1][0].closed, "the socket is half open"
        assert world.plant.charging_power_w() == 9_000
        while len(central.wires) == wires:
            await clock.sleep(1)
            if clock.monotonic() > deaf_since + 182:
                assert world.plant.charging_power_w() == 5_000, "by its default once the live profile ran out"
        assert clock.monotonic() - deaf_since >= 90
        await clock.sleep(5)
        assert central.wires[wires - 1][0].closed
        assert (await set_level(central, clock, 8_000))["status"] == "Accepted"

    central, trace = play(Persona.SILENT, script, hours=8, need_wh=75_000 * 7 // 10)
    assert faults(trace) == []
    assert len(central.of("BootNotification")) == 1


def test_late_answers_and_acts_8_to_25_s_late_and_is_a_fault_only_downwards() -> None:
    delays: list[float] = []

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000)
        for w in (12_000, 6_000):
            await clock.sleep(100)
            before, asked = world.plant.charging_power_w(), clock.monotonic()
            waiting = asyncio.create_task(set_level(central, clock, w))
            await clock.sleep(7)
            assert world.plant.charging_power_w() == before
            await waiting
            delays.append(clock.monotonic() - asked)
            await clock.sleep(2)
            assert world.plant.charging_power_w() == w

    _, trace = play(Persona.LATE, script)
    assert all(8 <= delay <= 25 for delay in delays)
    (fault,) = faults(trace)
    assert fault > 270, "from the moment at which the lower level should have shown"


def test_kwh_for_wh_everywhere() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000)
        await clock.sleep(600)
        register = world.plant.register_wh(next(iter(world.day.spec.connectors)))
        sample = central.of("MeterValues")[-1].payload["meterValue"][0]["sampledValue"]
        energy = next(v for v in sample if v["measurand"] == "Energy.Active.Import.Register")
        assert float(energy["value"]) == pytest.approx(register / 1000, abs=0.2)
        assert energy.get("unit", "Wh") == "Wh"
        assert central.of("StartTransaction")[0].payload["meterStart"] == 1000

    units = set()
    for seed in range(6):
        central, _ = play(Persona.KWH_FOR_WH, script, seed=seed)
        sample = central.of("MeterValues")[-1].payload["meterValue"][0]["sampledValue"]
        units |= {v.get("unit") for v in sample if v["measurand"] == "Energy.Active.Import.Register"}
    assert units == {"Wh", None}


def test_ends_at_zero_stops_refuses_and_is_plugged_again_later() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000)
        await clock.sleep(100)
        await set_level(central, clock, 3_000)  # below the vehicle's 4.14 kW
        await clock.sleep(10)
        assert central.of("StopTransaction")[0].payload["reason"] == "Other"
        assert central.statuses("CP1")[-1] == "Finishing"
        answer = await central.call("CP1", "RemoteStartTransaction", idTag="van-1", connectorId=1)
        assert answer["status"] == "Rejected"
        await clock.sleep(1230)
        assert central.statuses("CP1")[-2:] == ["Available", "Preparing"]
        await start(central, clock, 9_000)
        await clock.sleep(10)
        assert world.plant.charging_power_w() == 9_000

    play(Persona.ENDS_AT_ZERO, script)


def test_ends_at_zero_without_a_yard_worker_is_lost() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000)
        await clock.sleep(100)
        await set_level(central, clock, 0)
        await clock.sleep(3600)
        assert central.statuses("CP1")[-1] == "Finishing"

    _, trace = play(Persona.ENDS_AT_ZERO, script, replug_after_s=None)
    (visit,) = (row for row in trace if row["kind"] == "visit")
    assert visit["got_wh"] < 1_000 < visit["need_wh"]


def test_forgets_profiles_reboots_and_goes_on_at_full_power() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000, life_s=30_000)
        station = world.stations["CP1"]
        while station.connection.boots < 2:
            await clock.sleep(1)
        await clock.sleep(5)
        assert len(station.limits.kept) == 0
        assert world.plant.charging_power_w() == 22_000
        assert station.transaction_id(1) == 101, "the same session"
        assert (await set_level(central, clock, 6_000))["status"] == "Accepted"
        await clock.sleep(5)
        assert world.plant.charging_power_w() == 6_000

    central, trace = play(Persona.FORGETS_PROFILES, script, hours=16, need_wh=52_000, seed=6)
    assert len(central.of("StartTransaction")) == 1
    assert faults(trace)
    off = [row["t"] for row in trace if row["kind"] == "power" and row["w"] == 0]
    assert off[0] < faults(trace)[0]


def test_doubles_stop_with_different_message_ids() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(central, clock, 9_000)
        await clock.sleep(100)
        await central.call("CP1", "RemoteStopTransaction", transactionId=101)

    central, _ = play(Persona.DOUBLES_STOP, script)
    first, second = central.of("StopTransaction")
    assert first.payload == second.payload
    assert first.message_id != second.message_id


def test_all_personas_can_live_a_night_beside_each_other() -> None:
    """One station of each persona, a central system that changes levels all the time; nothing breaks, energies agree."""
    stations = [f"CP{n}" for n in range(1, 10)]
    personas = dict(zip(stations, (p for p in Persona if p not in GIVING), strict=True))

    async def main(clock: VirtualClock) -> None:
        central = Central(clock)
        day = small_day(stations=9, hours=4, stays=tuple(stay(n, arrive_s=60 * n, depart_s=14_000, need_wh=30_000) for n in range(1, 10)))
        world = World(day, personas=personas, seed=11, clock=clock, connect=central.connect, autostart=True)

        async def levels(station_id: str, phase: int) -> None:
            for step in itertools.count():
                await clock.sleep(90)
                number = world.stations[station_id].transaction_id(1)
                if number is not None:
                    profile = tx_profile(
                        5_000 + 3_000 * ((step + phase) % 5), until=clock.now() + timedelta(seconds=180), transaction_id=number
                    )
                    try:
                        await central.call(station_id, "SetChargingProfile", connectorId=1, csChargingProfiles=profile)
                    except (TimeoutError, ConnectionError):
                        continue

        async with world:
            tasks = [asyncio.create_task(levels(s, n)) for n, s in enumerate(stations)]
            outcomes = await world.run()
            for task in tasks:
                task.cancel()
        assert len(outcomes) == 9
        for outcome in outcomes:
            assert outcome.grid_wh * outcome.stay.efficiency == pytest.approx(outcome.got_wh, rel=1e-6)
        assert sum(o.got_wh for o in outcomes) > 0.8 * sum(o.need_wh for o in outcomes)
        assert {h.station_id for h in central.of("StopTransaction")} == set(stations)

    run_virtual(main, start=START)
