"""The polite station against a central system that speaks raw OCPP-J 1.6."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from simulator_central import START, Central, default_profile, small_day, stay, tx_profile, until

from controller.clock import VirtualClock, run_virtual
from depot.registry import Current
from simulator.day import Day
from simulator.outbox import Kind, Message, Outbox
from simulator.world import World

Script = Callable[[VirtualClock, Central, World], Awaitable[None]]


def play(script: Script, *, day: Day | None = None, central: Callable[[Central], None] | None = None, **options: Any) -> Central:
    """Run ``script`` beside a world with one plugged vehicle (from second 60 on)."""

    async def main(clock: VirtualClock) -> Central:
        heard = Central(clock)
        if central is not None:
            central(heard)
        options.setdefault("rate_units", {"CP1": ("W", "A")})
        async with World(day or small_day(stays=(stay(),)), personas={}, seed=7, clock=clock, connect=heard.connect, **options) as world:
            running = asyncio.create_task(world.run())
            await script(clock, heard, world)
            running.cancel()
        return heard

    return run_virtual(main, start=START)


async def start(clock: VirtualClock, central: Central, **more: Any) -> int:
    """Start a session on CP1 remotely at second 100; returns its transaction id."""
    await until(clock, 100)
    assert await central.call("CP1", "RemoteStartTransaction", idTag="van-1", connectorId=1, **more) == {"status": "Accepted"}
    await clock.sleep(3)
    assert central.of("StartTransaction")
    return 101


def test_boot_statuses_then_a_session_in_order() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        await until(clock, 7100)

    central = play(script)
    actions = [(h.action, h.payload.get("status")) for h in central.heard if h.action not in ("MeterValues", "Heartbeat")]
    assert actions == [
        ("BootNotification", None),
        ("StatusNotification", "Available"),
        ("StatusNotification", "Available"),
        ("StatusNotification", "Preparing"),
        ("StartTransaction", None),
        ("StatusNotification", "Charging"),
        ("StatusNotification", "SuspendedEV"),
        ("StopTransaction", None),
        ("StatusNotification", "Available"),
    ]
    begun, ended = central.of("StartTransaction")[0], central.of("StopTransaction")[0]
    assert ended.payload["transactionId"] == 101
    assert ended.payload["reason"] == "EVDisconnected"
    assert ended.payload["meterStop"] - begun.payload["meterStart"] == pytest.approx(30_000 / 0.9, abs=2)
    assert begun.payload["timestamp"] == "2026-01-12T18:01:40.000Z"


def test_pending_boot_is_repeated_after_the_interval_and_nothing_else_is_said() -> None:
    def central(central: Central) -> None:
        answers = iter(["Rejected", "Pending", "Accepted"])

        def boot(_: str, __: dict[str, Any]) -> dict[str, Any]:
            return {"status": next(answers), "currentTime": central.clock.now().isoformat(), "interval": 40}

        central.answers["BootNotification"] = boot

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 200)

    heard = play(script, central=central).heard
    boots = [h.at_s for h in heard if h.action == "BootNotification"]
    assert [h.action for h in heard[:3]] == ["BootNotification"] * 3
    assert [round(b - a) for a, b in itertools.pairwise(boots)] == [40, 40]
    beats = [h.at_s for h in heard if h.action == "Heartbeat"]
    assert round(beats[0] - boots[-1]) == 40


def test_meter_values_carry_power_register_soc_and_temperature_at_the_interval() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        assert await central_call_later(clock, central) == {"status": "Accepted"}
        await start(clock, central)
        await until(clock, 300)

    async def central_call_later(clock: VirtualClock, central: Central) -> dict[str, Any]:
        await until(clock, 50)
        return await central.call("CP1", "ChangeConfiguration", key="MeterValueSampleInterval", value="20")

    samples = play(script).of("MeterValues")
    assert [round(b.at_s - a.at_s) for a, b in itertools.pairwise(samples)] == [20] * (len(samples) - 1)
    assert len(samples) >= 9
    values = {v["measurand"]: v for v in samples[-1].payload["meterValue"][0]["sampledValue"]}
    assert values["Power.Active.Import"]["value"] == "22000"
    assert values["Energy.Active.Import.Register"]["unit"] == "Wh"
    assert float(values["SoC"]["value"]) > 30
    assert float(values["Temperature"]["value"]) > 25
    assert samples[-1].payload["transactionId"] == 101


def test_tx_profile_is_refused_until_the_start_is_confirmed() -> None:
    verdicts: list[str] = []

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        async def offer() -> None:
            answer = await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=tx_profile(9000))
            verdicts.append(answer["status"])

        central.answers["StartTransaction"] = lambda _, __: None  # the CONF does not come
        await until(clock, 80)
        await offer()
        await central.call("CP1", "RemoteStartTransaction", idTag="x", connectorId=1)
        await clock.sleep(5)
        assert central.of("StartTransaction")
        await offer()
        del central.answers["StartTransaction"]  # the next attempt, after 30 s without an answer, gets one
        await clock.sleep(60)
        assert len(central.of("StartTransaction")) >= 2
        await offer()
        answer = await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=tx_profile(9000, transaction_id=5))
        verdicts.append(answer["status"])

    central = play(script)
    assert verdicts == ["Rejected", "Rejected", "Accepted", "Rejected"]
    first, second = (h for h in central.of("StartTransaction")[:2])
    assert first.payload == second.payload
    assert first.message_id != second.message_id


def test_a_profile_in_the_remote_start_holds_from_the_first_watt_and_expires_into_the_default() -> None:
    peaks: list[int] = []

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 50)
        await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=default_profile(5000))
        await start(clock, central, chargingProfile=tx_profile(11_000, until=START + timedelta(seconds=280)))
        for t in (110, 279, 283):
            await until(clock, t)
            peaks.append(world.plant.power_w(next(iter(world.day.spec.connectors))))
        assert world.plant.faults == 0

    play(script)
    assert peaks == [11_000, 11_000, 5_000]


def test_w_and_a_for_a_vehicle_on_one_phase_of_three() -> None:
    drawn: list[int] = []
    single = small_day(stays=(stay(phases=1, max_w=7_360, min_w=1_380),))

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        for profile in (tx_profile(12_000), tx_profile(16.0, unit="A"), tx_profile(22_080)):
            await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=profile)
            await clock.sleep(5)
            drawn.append(world.plant.charging_power_w())

    play(script, day=single)
    assert drawn == [4_000, 16 * 230, 7_360]


@pytest.mark.parametrize(("units", "w", "a"), [(("W",), "Accepted", "Rejected"), (("A",), "Rejected", "Accepted")])
def test_a_station_refuses_the_unit_it_does_not_know(units: tuple[str, ...], w: str, a: str) -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 20)
        for unit, expected in (("W", w), ("A", a)):
            answer = await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=default_profile(10, unit))
            assert answer["status"] == expected
        answer = await central.call("CP1", "GetConfiguration", key=["ChargingScheduleAllowedChargingRateUnit", "Nonsense"])
        assert answer["configurationKey"][0]["value"] == ("Power" if units == ("W",) else "Current")
        assert answer["unknownKey"] == ["Nonsense"]

    play(script, rate_units={"CP1": units})


def test_an_ampere_of_a_dc_station_is_the_batterys() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central, chargingProfile=tx_profile(30.0, unit="A"))
        assert world.plant.charging_power_w() == 30 * 400

    play(script, day=small_day(current=Current.DC, stays=(stay(),)))


def test_remote_stop_ends_the_session_and_the_vehicle_stays() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        number = await start(clock, central)
        assert await central.call("CP1", "RemoteStopTransaction", transactionId=999) == {"status": "Rejected"}
        assert await central.call("CP1", "RemoteStopTransaction", transactionId=number) == {"status": "Accepted"}
        await clock.sleep(1)
        assert world.plant.charging_power_w() == 0
        assert central.statuses("CP1")[-1] == "Finishing"
        assert central.of("StopTransaction")[-1].payload["reason"] == "Remote"
        assert await central.call("CP1", "RemoteStartTransaction", idTag="again", connectorId=1) == {"status": "Accepted"}
        await clock.sleep(3)
        assert world.plant.charging_power_w() == 22_000

    play(script)


def test_a_remote_start_waits_for_the_vehicle_and_gives_up_after_connection_timeout() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 10)
        for _ in range(2):
            await central.call("CP1", "RemoteStartTransaction", idTag="early", connectorId=1)
        await until(clock, 62)
        assert [h.payload["idTag"] for h in central.of("StartTransaction")] == ["early"]

    play(script)

    async def too_early(clock: VirtualClock, central: Central, world: World) -> None:
        await central.call_when_up("CP1")
        await central.call("CP1", "ChangeConfiguration", key="ConnectionTimeOut", value="30")
        await central.call("CP1", "RemoteStartTransaction", idTag="early", connectorId=1)
        await until(clock, 100)
        assert not central.of("StartTransaction")

    play(too_early)


def test_offline_transactions_are_kept_in_order_and_sent_after_reconnecting_without_a_boot() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 30)
        central.refuse = True
        central.wires[-1][0].cut()
        await until(clock, 3700)  # arrival, start, energy and departure while nobody listens
        central.refuse = False
        await until(clock, 3800)

    offline = small_day(stays=(stay(depart_s=3600),))
    central = play(script, day=offline, autostart=True)
    late = [h for h in central.heard if h.at_s > 3700]
    assert not [h for h in late if h.action == "BootNotification"]
    kinds = [h.action for h in late if h.action != "StatusNotification"]
    assert kinds[0] == "StartTransaction"
    assert kinds[-1] == "StopTransaction"
    assert set(kinds[1:-1]) == {"MeterValues"}
    assert len(kinds) <= 2 + 30
    begun, ended = late[kinds_index(late, "StartTransaction")], late[kinds_index(late, "StopTransaction")]
    assert begun.payload["timestamp"] < ended.payload["timestamp"]
    assert ended.payload["transactionId"] == 101
    assert central.statuses("CP1")[-1] == "Available"


def kinds_index(heard: list[Any], action: str) -> int:
    return next(i for i, h in enumerate(heard) if h.action == action)


def test_a_stop_that_gets_no_answer_is_repeated_until_it_does() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        number = await start(clock, central)
        central.answers["StopTransaction"] = lambda _, __: None
        await central.call("CP1", "RemoteStopTransaction", transactionId=number)
        await clock.sleep(45)
        del central.answers["StopTransaction"]
        await clock.sleep(120)
        assert len(world.stations["CP1"].outbox) == 0

    stops = play(script).of("StopTransaction")
    assert len(stops) >= 2
    assert all(stop.payload == stops[0].payload for stop in stops)


def test_a_silent_central_system_is_left_and_the_session_goes_on() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        for action in ("MeterValues", "Heartbeat", "StatusNotification"):
            central.answers[action] = lambda _, __: None
        await clock.sleep(600)
        assert len(central.wires) >= 2
        assert len(central.of("BootNotification")) == 1
        assert world.plant.charging_power_w() == 22_000

    play(script)


def test_charge_point_max_profile_caps_and_composite_schedule_says_so() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        number = await start(clock, central)
        cap = tx_profile(7000, purpose="ChargePointMaxProfile", level_id=9)
        assert await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=cap) == {"status": "Rejected"}
        await central.call("CP1", "SetChargingProfile", connectorId=0, csChargingProfiles=cap)
        live = tx_profile(11_040, transaction_id=number, until=clock.now() + timedelta(seconds=100))
        await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=live)
        await clock.sleep(3)
        assert world.plant.charging_power_w() == 7000
        await central.call("CP1", "ClearChargingProfile", id=9)
        answer = await central.call("CP1", "GetCompositeSchedule", connectorId=1, duration=300, chargingRateUnit="A")
        rows = [(p["startPeriod"], p["limit"]) for p in answer["chargingSchedule"]["chargingSchedulePeriod"]]
        assert rows == [(0, 16.0), (97, 31.8)]
        assert (await central.call("CP1", "ClearChargingProfile", id=9)) == {"status": "Unknown"}

    play(script)


def test_availability_waits_for_the_session_and_blocks_the_next() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        number = await start(clock, central)
        assert (await central.call("CP1", "ChangeAvailability", connectorId=1, type="Inoperative"))["status"] == "Scheduled"
        await central.call("CP1", "RemoteStopTransaction", transactionId=number)
        await clock.sleep(1)
        assert central.statuses("CP1")[-1] == "Unavailable"
        assert (await central.call("CP1", "RemoteStartTransaction", idTag="x", connectorId=1))["status"] == "Rejected"
        assert (await central.call("CP1", "ChangeAvailability", connectorId=0, type="Operative"))["status"] == "Accepted"
        await clock.sleep(1)
        assert central.statuses("CP1")[-1] == "Preparing"

    play(script)


def test_triggers_reset_unlock_and_what_is_unknown() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        before = len(central.heard)
        for message in ("MeterValues", "StatusNotification", "Heartbeat", "BootNotification"):
            assert (await central.call("CP1", "TriggerMessage", requestedMessage=message))["status"] == "Accepted"
            await clock.sleep(0.1)
        assert [h.action for h in central.heard[before:]] == ["MeterValues", "StatusNotification", "Heartbeat", "BootNotification"]
        assert (await central.call("CP1", "TriggerMessage", requestedMessage="FirmwareStatusNotification"))["status"] == "NotImplemented"
        assert (await central.call("CP1", "DataTransfer", vendorId="acme"))["status"] == "UnknownVendorId"
        assert (await central.call("CP1", "ChangeConfiguration", key="NumberOfConnectors", value="9"))["status"] == "Rejected"
        assert (await central.call("CP1", "ChangeConfiguration", key="Colour", value="red"))["status"] == "NotSupported"
        with pytest.raises(RuntimeError, match="NotImplemented"):
            await central.call("CP1", "UpdateFirmware", location="x", retrieveDate="2026-01-01T00:00:00Z")
        assert (await central.call("CP1", "UnlockConnector", connectorId=1))["status"] == "Unlocked"
        assert (await central.call("CP1", "Reset", type="Soft"))["status"] == "Accepted"
        await clock.sleep(60)
        assert [h.payload["reason"] for h in central.of("StopTransaction")] == ["UnlockCommand"]
        assert world.stations["CP1"].connection.boots == 2

    play(script)


def test_an_invalid_start_is_ended_by_the_station() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        central.answers["StartTransaction"] = lambda _, __: {"idTagInfo": {"status": "Invalid"}, "transactionId": 5}
        await start(clock, central)
        await clock.sleep(2)
        assert central.of("StopTransaction")[0].payload["reason"] == "DeAuthorized"
        assert world.plant.charging_power_w() == 0

    play(script)


def test_the_station_follows_the_central_clock() -> None:
    def central(central: Central) -> None:
        ahead = timedelta(hours=1)
        central.answers["BootNotification"] = lambda _, __: {
            "status": "Accepted",
            "currentTime": (central.clock.now() + ahead).isoformat(),
            "interval": 300,
        }
        central.answers["Heartbeat"] = lambda _, __: {"currentTime": (central.clock.now() + ahead).isoformat()}

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central, chargingProfile=tx_profile(9000, until=START + timedelta(seconds=3600 + 200)))
        await until(clock, 199)
        assert world.plant.charging_power_w() == 9000
        await until(clock, 203)
        assert world.plant.charging_power_w() == 22_000

    play(script, central=central)


def test_malformed_calls_get_an_answer_or_silence_but_never_the_end() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 20)
        wire = central.ends["CP1"]
        for text in ("not json", "{}", "[]", "[9]", '[2,"a"]', '[3,"nobody asked",{}]'):
            await wire.send(text)
        for payload in ({"connectorId": "one"}, {}, {"connectorId": 1, "csChargingProfiles": {"stackLevel": 1}}):
            with pytest.raises(RuntimeError):
                await central.call("CP1", "SetChargingProfile", **payload)
        with pytest.raises(RuntimeError):
            await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=default_profile(16.05))
        assert (await central.call("CP1", "SetChargingProfile", connectorId=1, csChargingProfiles=default_profile(16.1)))[
            "status"
        ] == "Accepted"
        assert len(central.wires) == 1

    play(script)


def test_what_the_station_says_is_json_of_the_schema(caplog: pytest.LogCaptureFixture) -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        await until(clock, 1000)

    central = play(script)
    json.dumps([h.payload for h in central.heard])
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_an_outbox_drops_the_oldest_meter_values_and_no_transaction() -> None:
    async def main(_: VirtualClock) -> None:
        outbox = Outbox(attempts=lambda: 3, retry_s=lambda: 1)
        outbox.put(Message(Kind.TRANSACTION, lambda: None))
        for _ in range(100):
            outbox.put(Message(Kind.METER, lambda: None))
        outbox.put(Message(Kind.TRANSACTION, lambda: None))
        assert len(outbox) == 32

    run_virtual(main, start=START)
