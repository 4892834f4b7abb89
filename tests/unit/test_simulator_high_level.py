"""Simulated 2.0.1 stations whose vehicles speak ISO 15118, and an energy manager that limits one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from simulator_central import START, Central, small_day, stay, until

from controller.clock import VirtualClock, run_virtual
from simulator.voice201 import Voice201
from simulator.world import World

TAG = {"idToken": "van-1", "type": "Central"}


def play(script: Callable[[VirtualClock, Central, World], Awaitable[None]]) -> Central:
    async def main(clock: VirtualClock) -> Central:
        heard = Central(clock)
        accepted: dict[str, Any] = {"idTokenInfo": {"status": "Accepted"}}
        heard.answers["Authorize"] = lambda _, payload: dict(accepted)
        heard.answers["TransactionEvent"] = lambda _, payload: dict(accepted) if "idToken" in payload else {}
        heard.answers["NotifyEVChargingNeeds"] = lambda _, payload: {"status": "Accepted"}
        heard.answers["NotifyEVChargingSchedule"] = lambda _, payload: {"status": "Accepted"}
        heard.answers["NotifyChargingLimit"] = heard.answers["ClearedChargingLimit"] = lambda _, payload: {}
        heard.answers["ReportChargingProfiles"] = lambda _, payload: {}
        world = World(
            small_day(stays=(stay(),)), personas={}, seed=7, clock=clock, connect=heard.connect, rate_units={"CP1": ("W", "A")},
            share_201=1.0, high_level=("CP1",),
        )  # fmt: skip
        world.stations["CP1"].voice = world.stations["CP1"].charging.voice = Voice201(starts_at_plug=False)
        async with world:
            running = asyncio.create_task(world.run())
            await script(clock, heard, world)
            running.cancel()
        return heard

    return run_virtual(main, start=START)


def said(central: Central, action: str) -> list[dict[str, Any]]:
    return [message.payload for message in central.heard if message.action == action]


def test_a_vehicle_says_what_it_needs_and_takes_each_new_level_once() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 100)
        await central.call("CP1", "RequestStartTransaction", idToken=TAG, evseId=1, remoteStartId=5)
        await clock.sleep(3)
        (needs,) = said(central, "NotifyEVChargingNeeds")
        assert needs["evseId"] == 1
        assert needs["maxScheduleTuples"] == 12
        assert needs["chargingNeeds"]["departureTime"].startswith("20")
        name = said(central, "TransactionEvent")[0]["transactionInfo"]["transactionId"]
        for limit, schedules in ((6_000, 1), (6_000, 1), (7_000, 2)):
            period = [{"startPeriod": 0, "limit": limit}]
            schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": period}
            profile = {
                "id": 11, "stackLevel": 2, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative",
                "chargingSchedule": [schedule], "transactionId": name,
            }  # fmt: skip
            assert (await central.call("CP1", "SetChargingProfile", evseId=1, chargingProfile=profile))["status"] == "Accepted"
            await clock.sleep(3)
            assert len(said(central, "NotifyEVChargingSchedule")) == schedules
        assert said(central, "NotifyEVChargingSchedule")[-1]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 7_000

    play(script)


def test_an_energy_manager_limits_a_station_which_tells_it_holds_it_and_reports_it() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 100)
        await central.call("CP1", "RequestStartTransaction", idToken=TAG, evseId=1, remoteStartId=5)
        await clock.sleep(30)
        station = world.stations["CP1"]
        assert station.high_level is not None
        connector = station.charging.units[1].key
        assert world.plant.power_w(connector) > 5_000
        station.high_level.limit(5_000)
        await clock.sleep(30)
        assert world.plant.power_w(connector) <= 5_000
        (told,) = said(central, "NotifyChargingLimit")
        assert told["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] == 5_000
        wanted = {"chargingLimitSource": ["EMS"]}
        assert (await central.call("CP1", "GetChargingProfiles", requestId=3, chargingProfile=wanted))["status"] == "Accepted"
        await clock.sleep(3)
        (report,) = said(central, "ReportChargingProfiles")
        assert report["chargingLimitSource"] == "EMS"
        assert report["chargingProfile"][0]["chargingProfilePurpose"] == "ChargingStationExternalConstraints"
        station.high_level.limit(None)
        await clock.sleep(30)
        assert world.plant.power_w(connector) > 5_000
        assert said(central, "ClearedChargingLimit") == [{"chargingLimitSource": "EMS"}]

    play(script)
