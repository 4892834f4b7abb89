"""Simulated stations that speak OCPP 2.0.1, against a central system that speaks it raw."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema
import msgspec
import ocpp.v201
import pytest
from simulator_central import START, Central, Heard, small_day, stay, until
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from controller.clock import VirtualClock, run_virtual
from simulator.personas import Persona
from simulator.station import Station
from simulator.voice201 import Voice201
from simulator.wire import dial
from simulator.world import World, stations_201

Script = Callable[[VirtualClock, Central, World], Awaitable[None]]
TAG = {"idToken": "van-1", "type": "Central"}


def play(
    script: Script,
    *,
    at_plug: bool = False,
    central: Callable[[Central], None] | None = None,
    persona: Persona = Persona.POLITE,
    **options: Any,
) -> Central:
    """Run ``script`` beside a world with one 2.0.1 station and one plugged vehicle (from second 60 on)."""

    async def main(clock: VirtualClock) -> Central:
        heard = Central(clock)
        accepted: Mapping[str, Any] = {"idTokenInfo": {"status": "Accepted"}}
        heard.answers["Authorize"] = lambda _, payload: dict(accepted)
        heard.answers["TransactionEvent"] = lambda _, payload: dict(accepted) if "idToken" in payload else {}
        if central is not None:
            central(heard)
        world = World(
            small_day(stays=(stay(),)), personas={"CP1": persona}, seed=7, clock=clock, connect=heard.connect,
            rate_units={"CP1": ("W", "A")}, share_201=1.0, **options,
        )  # fmt: skip
        world.stations["CP1"].voice = Voice201(starts_at_plug=at_plug)
        async with world:
            running = asyncio.create_task(world.run())
            await script(clock, heard, world)
            running.cancel()
        return heard

    heard = run_virtual(main, start=START)
    for message in heard.heard:
        schema(message.action)({key: value for key, value in message.payload.items() if key})
    return heard


@cache
def schema(action: str) -> Callable[[Any], Any]:
    text = (Path(ocpp.v201.__file__).parent / "schemas" / f"{action}Request.json").read_text(encoding="utf-8-sig")
    compiled: Callable[[Any], Any] = fastjsonschema.compile(msgspec.json.decode(text), use_formats=False)
    return compiled


async def start(clock: VirtualClock, central: Central, **more: Any) -> str:
    """Start a session on CP1 remotely at second 100; returns the id that the station gave it."""
    await until(clock, 100)
    answer = await central.call("CP1", "RequestStartTransaction", idToken=TAG, evseId=1, remoteStartId=5, **more)
    assert answer == {"status": "Accepted"}
    await clock.sleep(3)
    return name(central)


def events(central: Central) -> list[Heard]:
    return central.of("TransactionEvent")


def name(central: Central) -> str:
    transaction_id: str = events(central)[-1].payload["transactionInfo"]["transactionId"]
    return transaction_id


def profile(
    level: float, *, purpose: str = "TxProfile", until: Any = None, transaction_id: str | None = None, number: int = 1
) -> dict[str, Any]:
    schedule = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": level}]}
    made: dict[str, Any] = {
        "id": number, "stackLevel": 1, "chargingProfilePurpose": purpose, "chargingProfileKind": "Absolute", "chargingSchedule": [schedule],
    }  # fmt: skip
    return made | ({"validTo": until.isoformat()} if until else {}) | ({"transactionId": transaction_id} if transaction_id else {})


def told(central: Central) -> list[tuple[str, str, str]]:
    """(event, why, state) without the periodic samples."""
    rows = [
        (h.payload["eventType"], h.payload["triggerReason"], h.payload["transactionInfo"].get("chargingState", "")) for h in events(central)
    ]
    return [row for row in rows if row[1] != "MeterValuePeriodic"]


@pytest.mark.parametrize(
    ("at_plug", "beginning"),
    [
        (False, [("Started", "RemoteStart", "EVConnected")]),
        (True, [("Started", "CablePluggedIn", "EVConnected"), ("Updated", "RemoteStart", "EVConnected")]),
    ],
)
def test_a_session_is_one_numbered_story_from_its_tx_start_point(at_plug: bool, beginning: list[tuple[str, str, str]]) -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        await until(clock, 7100)

    heard = play(script, at_plug=at_plug)
    assert told(heard) == [
        *beginning,
        ("Updated", "ChargingStateChanged", "Charging"),
        ("Updated", "ChargingStateChanged", "SuspendedEV"),
        ("Ended", "EVCommunicationLost", "Idle"),
    ]
    assert [h.payload["seqNo"] for h in events(heard)] == list(range(len(events(heard))))
    assert len({h.payload["transactionInfo"]["transactionId"] for h in events(heard)}) == 1
    assert [h.payload["connectorStatus"] for h in heard.of("StatusNotification") if h.payload["evseId"] == 1] == [
        "Available", "Occupied", "Available",
    ]  # fmt: skip
    begun, ended = events(heard)[0], events(heard)[-1]
    assert ("idToken" in begun.payload) is not at_plug
    registers = [entry["sampledValue"][0]["value"] for entry in ended.payload["meterValue"]]
    assert registers[1] - registers[0] == pytest.approx(30_000 / 0.9, abs=2)
    periodic = [h for h in events(heard) if h.payload["triggerReason"] == "MeterValuePeriodic"]
    assert [round(b.at_s - a.at_s) for a, b in itertools.pairwise(periodic[:10])] == [60] * 9
    measured = {v["measurand"] for v in periodic[0].payload["meterValue"][0]["sampledValue"]}
    assert measured == {"Power.Active.Import", "Energy.Active.Import.Register", "SoC"}


def test_a_vehicle_that_nobody_authorises_ends_its_transaction_with_the_plug() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 7100)

    assert told(play(script, at_plug=True)) == [
        ("Started", "CablePluggedIn", "EVConnected"),
        ("Ended", "EVCommunicationLost", "Idle"),
    ]


def test_limits_are_obeyed_reported_and_refused_without_their_transaction() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        transaction_id = await start(clock, central, chargingProfile=profile(11_000))
        await clock.sleep(5)
        assert world.plant.charging_power_w() == 11_000
        for wrong in (None, "another"):
            refused = profile(5_000, transaction_id=wrong, until=clock.now() + timedelta(minutes=5))
            assert (await central.call("CP1", "SetChargingProfile", evseId=1, chargingProfile=refused))["status"] == "Rejected"
        lower = profile(6_000, transaction_id=transaction_id, until=clock.now() + timedelta(seconds=30))
        assert await central.call("CP1", "SetChargingProfile", evseId=1, chargingProfile=lower) == {"status": "Accepted"}
        default = profile(4_200, purpose="TxDefaultProfile", number=2)
        assert await central.call("CP1", "SetChargingProfile", evseId=1, chargingProfile=default) == {"status": "Accepted"}
        await clock.sleep(5)
        assert world.plant.charging_power_w() == 6_000
        schedule = (await central.call("CP1", "GetCompositeSchedule", evseId=1, duration=60, chargingRateUnit="W"))["schedule"]
        assert [period["limit"] for period in schedule["chargingSchedulePeriod"]] == [6000.0, 4200.0]
        assert await central.call("CP1", "GetChargingProfiles", requestId=3, chargingProfile={}) == {"status": "Accepted"}
        await clock.sleep(1)
        reports = central.of("ReportChargingProfiles")
        held = [(report.payload["chargingProfile"][0]["chargingProfilePurpose"], report.payload["tbc"]) for report in reports]
        assert held == [("TxProfile", True), ("TxDefaultProfile", False)]
        await clock.sleep(30)
        assert world.plant.charging_power_w() == 4_200
        criteria = {"chargingProfilePurpose": "TxDefaultProfile"}
        assert await central.call("CP1", "ClearChargingProfile", chargingProfileCriteria=criteria) == {"status": "Accepted"}
        assert await central.call("CP1", "ClearChargingProfile", chargingProfileCriteria=criteria) == {"status": "Unknown"}

    play(script)


def test_a_remote_stop_ends_the_session_that_it_names() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        transaction_id = await start(clock, central)
        assert await central.call("CP1", "RequestStopTransaction", transactionId="nobody's") == {"status": "Rejected"}
        assert await central.call("CP1", "RequestStopTransaction", transactionId=transaction_id) == {"status": "Accepted"}
        await clock.sleep(3)
        assert world.plant.charging_power_w() == 0

    heard = play(script)
    assert told(heard)[-1] == ("Ended", "RemoteStop", "EVConnected")
    assert events(heard)[-1].payload["transactionInfo"]["stoppedReason"] == "Remote"


def test_what_runs_is_told_when_asked_and_nothing_when_nothing_runs() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 50)
        asked = {"requestedMessage": "TransactionEvent", "evse": {"id": 1}}
        assert await central.call("CP1", "TriggerMessage", **asked) == {"status": "Rejected"}
        await start(clock, central)
        assert await central.call("CP1", "TriggerMessage", **asked) == {"status": "Accepted"}
        await clock.sleep(1)
        assert told(central)[-1] == ("Updated", "Trigger", "Charging")
        assert "meterValue" in events(central)[-1].payload

    play(script)


def test_an_invalid_token_ends_the_session() -> None:
    def central(central: Central) -> None:
        central.answers["TransactionEvent"] = lambda _, payload: {"idTokenInfo": {"status": "Invalid"}} if "idToken" in payload else {}

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        assert world.plant.charging_power_w() == 0

    assert told(play(script, central=central))[-1] == ("Ended", "Deauthorized", "EVConnected")


def test_what_happens_without_a_connection_is_kept_and_said_to_be_so() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        central.refuse = True
        central.wires[-1][0].cut()
        await until(clock, 7050)
        central.refuse = False
        await until(clock, 7150)

    heard = play(script)
    kept = [h for h in events(heard) if h.payload.get("offline")]
    assert kept[-1].payload["eventType"] == "Ended"
    assert all(h.at_s >= 7050 for h in kept)
    numbers = [h.payload["seqNo"] for h in events(heard)]
    assert numbers == sorted(numbers)


def test_a_doubled_stop_is_the_same_event_twice() -> None:
    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await start(clock, central)
        await until(clock, 7100)

    ended = [h.payload for h in events(play(script, persona=Persona.DOUBLES_STOP)) if h.payload["eventType"] == "Ended"]
    assert len(ended) == 2
    assert ended[0] == ended[1]


def test_the_device_model_answers_in_batches_that_it_can_take() -> None:
    def variable(component: str, of: str, value: str | None = None, instance: str | None = None) -> dict[str, Any]:
        asked: dict[str, Any] = {"component": {"name": component}, "variable": {"name": of} | ({"instance": instance} if instance else {})}
        return asked if value is None else {**asked, "attributeValue": value}

    async def script(clock: VirtualClock, central: Central, world: World) -> None:
        await until(clock, 50)
        asked = [
            variable("smartchargingctrlr", "rateunit"),
            variable("DeviceDataCtrlr", "ItemsPerMessage", instance="GetVariables"),
            variable("SmartChargingCtrlr", "Nonsense"),
            variable("Nobody", "Nonsense"),
        ]
        results = (await central.call("CP1", "GetVariables", getVariableData=asked))["getVariableResult"]
        assert [(row["attributeStatus"], row.get("attributeValue")) for row in results] == [
            ("Accepted", "W,A"), ("Accepted", "8"), ("UnknownVariable", None), ("UnknownComponent", None),
        ]  # fmt: skip
        with pytest.raises(RuntimeError, match="OccurrenceConstraintViolation"):
            await central.call("CP1", "GetVariables", getVariableData=asked * 3)
        written = [
            variable("SampledDataCtrlr", "TxUpdatedInterval", "20"),
            variable("SampledDataCtrlr", "TxUpdatedMeasurands", "SoC,Temperature"),
            variable("SmartChargingCtrlr", "Enabled", "false"),
        ]
        results = (await central.call("CP1", "SetVariables", setVariableData=written))["setVariableResult"]
        assert [row["attributeStatus"] for row in results] == ["Accepted", "Rejected", "Rejected"]
        await start(clock, central)
        await clock.sleep(62)
        assert len([row for row in events(central) if row.payload["triggerReason"] == "MeterValuePeriodic"]) == 3

    play(script)


def test_a_share_of_the_stations_speaks_it_the_same_ones_for_the_same_seed() -> None:
    names = [f"S{n}" for n in range(10)]
    assert stations_201(names, 1, 0.0) == frozenset()
    assert stations_201(names, 1, 1.0) == frozenset(names)
    assert len(stations_201(names, 1, 0.3)) == 3
    assert stations_201(names, 1, 0.3) == stations_201(names, 1, 0.3)
    assert any(stations_201(names, 1, 0.3) != stations_201(names, seed, 0.3) for seed in range(2, 9))
    with pytest.raises(ValueError, match="between 0 and 1"):
        stations_201(names, 1, 1.1)


def test_without_a_share_every_station_speaks_1_6() -> None:
    async def main(clock: VirtualClock) -> list[Station]:
        world = World(small_day(stations=3), personas={}, seed=1, clock=clock, connect=Central(clock).connect)
        return list(world.stations.values())

    assert {station.voice.subprotocol for station in run_virtual(main, start=START)} == {"ocpp1.6"}


@pytest.mark.anyio
async def test_dial_offers_the_sub_protocol_of_the_station() -> None:
    async def echo(connection: ServerConnection) -> None:
        await connection.send(connection.subprotocol or "none")

    offered = [Subprotocol("ocpp2.0.1"), Subprotocol("ocpp1.6")]
    async with serve(echo, "127.0.0.1", 0, subprotocols=offered) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
        assert await (await dial(url, station_id="CP1", subprotocol="ocpp2.0.1")).recv() == "ocpp2.0.1"
        assert await (await dial(url, station_id="CP1")).recv() == "ocpp1.6"


def test_it_tells_its_device_model_in_parts_and_keeps_monitors() -> None:
    async def script(clock: VirtualClock, central: Central, _: World) -> None:
        await until(clock, 30)

        async def told(action: str, **asked: Any) -> list[dict[str, Any]]:
            """The rows of the report that follows."""
            central.heard.clear()
            answer = await central.call("CP1", action, requestId=7, **asked)
            assert answer == {"status": "Accepted"}
            await clock.sleep(5)
            parts = [m.payload for m in (*central.of("NotifyReport"), *central.of("NotifyMonitoringReport"))]
            assert [part["seqNo"] for part in parts] == list(range(len(parts)))
            assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]
            return [row for part in parts for row in part.get("reportData", part.get("monitor", ()))]

        full = await told("GetBaseReport", reportBase="FullInventory")
        assert len(full) > 60
        summary = await told("GetBaseReport", reportBase="SummaryInventory")
        assert {row["variable"]["name"] for row in summary} == {"Available", "AvailabilityState", "Problem", "Tripped"}
        power = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
        (row,) = await told("GetReport", componentVariable=[power])
        assert row["variableCharacteristics"]["unit"] == "W"
        empty = await central.call("CP1", "GetReport", requestId=8, componentVariable=[{"component": {"name": "Nothing"}}])
        assert empty == {"status": "EmptyResultSet"}
        got = await central.call("CP1", "GetVariables", getVariableData=[power])
        assert got["getVariableResult"][0]["attributeValue"] == "0"
        wish = power | {"type": "UpperThreshold", "value": 20_000, "severity": 4}
        unknown = {"component": {"name": "EVSE"}, "variable": {"name": "No"}, "type": "Delta", "value": 1, "severity": 4}
        said = await central.call("CP1", "SetVariableMonitoring", setMonitoringData=[wish, unknown])
        assert [result["status"] for result in said["setMonitoringResult"]] == ["Accepted", "UnknownVariable"]
        own = said["setMonitoringResult"][0]["id"]
        assert [row["variableMonitoring"][0]["id"] for row in await told("GetMonitoringReport")] == [1, 2, own]
        (row,) = await told("GetMonitoringReport", monitoringCriteria=["ThresholdMonitoring"])
        cleared = await central.call("CP1", "ClearVariableMonitoring", id=[own, own, 1])
        assert [result["status"] for result in cleared["clearMonitoringResult"]] == ["Accepted", "NotFound", "Rejected"]

    play(script)
