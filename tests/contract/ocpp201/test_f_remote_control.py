"""Block F, remote control: start, stop, unlock, and all that can be triggered."""

from __future__ import annotations

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station, Transaction, id_token, register

pytestmark = pytest.mark.anyio

STARTED_BY = 17


async def _start(depot: Depot, station: Station, **answer: str) -> Payload:
    """The central system asks for a transaction; what the station was told."""
    station.answers["RequestStartTransaction"] = {"status": "Accepted", **answer}
    asked = {"evseId": 1, "idToken": id_token("VALID"), "remoteStartId": STARTED_BY}
    assert (await depot.call(station, "RequestStartTransaction", **asked))["status"] == "Accepted"
    assert station.calls("RequestStartTransaction") == [asked]
    return asked


async def _charges(depot: Depot, station: Station, running: Transaction) -> None:
    """Plugged in and authorised: energy flows, and the depot has its session."""
    await running.updated("ChargingStateChanged", chargingState="Charging")
    shown = await depot.connector(station)
    assert (shown["status"], shown["transaction_id"] is not None) == ("Charging", True)


async def _trigger(depot: Depot, station: Station, message: str, evse: Payload | None = None, status: str = "Accepted") -> None:
    station.answers["TriggerMessage"] = {"status": status}
    station.heard.clear()
    asked = {"requestedMessage": message} | ({} if evse is None else {"evse": evse})
    assert await depot.call(station, "TriggerMessage", **asked) == {"status": status}
    assert asked in station.calls("TriggerMessage")


# ---------------------------------------------------------------------- remote start


@case("TC_F_01_CSMS")
async def test_remote_start_cable_first(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        await _start(depot, station, transactionId=running.name)
        said = await running.updated("RemoteStart", token="VALID", remoteStartId=STARTED_BY, chargingState="EVConnected")
        assert said["idTokenInfo"]["status"] == "Accepted"
        await _charges(depot, station, running)


@case("TC_F_01_CSMS")
async def test_remote_start_of_a_plugged_in_vehicle_by_a_station_that_does_not_repeat_the_token(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        await _start(depot, station, transactionId=running.name)
        assert await running.updated("RemoteStart", remoteStartId=STARTED_BY, chargingState="EVConnected") == {}
        await _charges(depot, station, running)


@case("TC_F_02_CSMS")
async def test_remote_start_first_and_the_station_authorizes(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Available")
        await _start(depot, station)
        assert (await station.authorize())["status"] == "Accepted"
        running = station.transaction()
        said = await running.started("RemoteStart", token="VALID", remoteStartId=STARTED_BY, wh=1000)
        assert said["idTokenInfo"]["status"] == "Accepted"
        await station.status("Occupied")
        await running.updated("CablePluggedIn", chargingState="EVConnected")
        await _charges(depot, station, running)


@case("TC_F_03_CSMS")
async def test_remote_start_first_without_an_authorization(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Available")
        await _start(depot, station)
        running = station.transaction()
        said = await running.started("RemoteStart", token="VALID", remoteStartId=STARTED_BY, wh=1000)
        assert said["idTokenInfo"]["status"] == "Accepted"
        await station.status("Occupied")
        await running.updated("CablePluggedIn", chargingState="EVConnected")
        await _charges(depot, station, running)


@case("TC_F_04_CSMS")
async def test_remote_start_first_and_nobody_plugs_in(depot: Depot) -> None:
    async with depot.station() as station:
        await station.status("Available")
        await _start(depot, station)
        running = station.transaction()
        await running.started("RemoteStart", token="VALID", remoteStartId=STARTED_BY, wh=1000)
        await running.ended("EVConnectTimeout", stoppedReason="Timeout", wh=1000)
        assert (await depot.connector(station))["transaction_id"] is None


# ---------------------------------------------------------------------- unlock


@case("TC_F_06_CSMS")
async def test_unlock_without_a_transaction(depot: Depot) -> None:
    async with depot.station() as station:
        asked = {"evseId": 1, "connectorId": 1}
        assert await depot.call(station, "UnlockConnector", **asked) == {"status": "Unlocked"}
        assert station.calls("UnlockConnector") == [asked]


async def test_unlock_with_a_transaction_is_the_stations_word_and_ends_nothing(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        station.answers["UnlockConnector"] = {"status": "OngoingAuthorizedTransaction"}
        said = await depot.call(station, "UnlockConnector", evseId=1, connectorId=1)
        assert said == {"status": "OngoingAuthorizedTransaction"}
        await _charges(depot, station, running)


# ---------------------------------------------------------------------- triggers


@case("TC_F_11_CSMS")
@case("TC_F_12_CSMS")
@pytest.mark.parametrize("evse", [{"id": 1}, None])
async def test_trigger_meter_values(depot: Depot, evse: Payload | None) -> None:
    async with depot.station() as station:
        await _trigger(depot, station, "MeterValues", evse)
        for number in (1,) if evse else (1, 2):
            assert await station.say("MeterValues", evseId=number, meterValue=[register(1234, "Trigger")]) == {}


@case("TC_F_13_CSMS")
@case("TC_F_14_CSMS")
@pytest.mark.parametrize("evse", [{"id": 1}, None])
async def test_trigger_transaction_events(depot: Depot, evse: Payload | None) -> None:
    async with depot.station() as station:
        running = [await station.session(evse=number) for number in ((1,) if evse else (1, 2))]
        await _trigger(depot, station, "TransactionEvent", evse)
        for one in running:
            value = [register(1500, "Trigger")]
            assert await one.updated("Trigger", chargingState="Charging", meterValue=value) == {}
        assert [(await depot.connector(station, n))["transaction_id"] is not None for n in (1, 2)] == [True, evse is None]


@case("TC_F_15_CSMS")
@case("TC_F_18_CSMS")
@pytest.mark.parametrize("message", ["LogStatusNotification", "FirmwareStatusNotification"])
async def test_trigger_a_status_of_files_that_is_idle(depot: Depot, message: str) -> None:
    async with depot.station() as station:
        await _trigger(depot, station, message)
        assert await station.say(message, status="Idle") == {}


@case("TC_F_20_CSMS")
async def test_trigger_a_heartbeat(depot: Depot) -> None:
    async with depot.station() as station:
        await _trigger(depot, station, "Heartbeat")
        assert (await station.say("Heartbeat"))["currentTime"] <= now(seconds=-1)


@case("TC_F_23_CSMS")
@case("TC_F_24_CSMS")
@pytest.mark.parametrize(("status", "shown"), [("Available", "Available"), ("Occupied", "Preparing")])
async def test_trigger_the_status_of_a_connector(depot: Depot, status: str, shown: str) -> None:
    async with depot.station() as station:
        await _trigger(depot, station, "StatusNotification", {"id": 1, "connectorId": 1})
        assert await station.status(status) == {}
        assert await station.notify("Connector", "AvailabilityState", status) == {}
        assert (await depot.connector(station))["status"] == shown


@case("TC_F_27_CSMS")
async def test_trigger_what_is_not_implemented(depot: Depot) -> None:
    async with depot.station() as station:
        await _trigger(depot, station, "MeterValues", {"id": 1}, "NotImplemented")


@case("TC_F_100_CSMS")
async def test_trigger_of_a_vendors_own_message(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["TriggerMessage"] = {"status": "Accepted"}
        asked = {"requestedMessage": "CustomTrigger", "customTrigger": "AcmeSelfTest"}
        assert await depot.call(station, "TriggerMessage", **asked) == {"status": "Accepted"}
        assert asked in station.calls("TriggerMessage")
