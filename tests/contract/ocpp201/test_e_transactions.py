"""Block E: every point at which a station begins and ends a transaction, and what becomes of it in the depot."""

from __future__ import annotations

import pytest
from octt.station import now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station, Transaction, id_token, register

pytestmark = pytest.mark.anyio

ACCEPTED = {"idTokenInfo": {"status": "Accepted"}}


async def runs(depot: Depot, station: Station, evse: int = 1) -> bool:
    return (await depot.connector(station, evse))["transaction_id"] is not None


async def status(depot: Depot, station: Station, evse: int = 1) -> str:
    found: str = (await depot.connector(station, evse))["status"]
    return found


async def goes(depot: Depot, station: Station) -> None:
    """The vehicle is unplugged."""
    await station.status("Available")
    assert await status(depot, station) == "Available"


async def authorized(running: Transaction, token: str = "VALID") -> None:
    assert (await running.station.authorize(token))["status"] == "Accepted"


# ---------------------------------------------------------------------- start points


@case("TC_E_01_CSMS")
async def test_start_at_power_path_closed(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await authorized(running)
        assert await running.started("Authorized", token="VALID", chargingState="EVConnected", wh=1000) == ACCEPTED
        assert await running.updated("ChargingStateChanged", chargingState="Charging") == {}
        assert await runs(depot, station)
        assert await status(depot, station) == "Charging"


@case("TC_E_02_CSMS")
async def test_start_at_energy_transfer(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await authorized(running)
        assert await running.started("ChargingStateChanged", token="VALID", chargingState="Charging", wh=1000) == ACCEPTED
        assert await status(depot, station) == "Charging"


@case("TC_E_03_CSMS")
async def test_cable_first(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        assert not await runs(depot, station)
        await authorized(running)
        assert await running.updated("Authorized", token="VALID", chargingState="EVConnected") == ACCEPTED
        assert await runs(depot, station)
        await running.updated("ChargingStateChanged", chargingState="Charging")
        assert await status(depot, station) == "Charging"


@case("TC_E_04_CSMS")
async def test_authorization_first(depot: Depot) -> None:
    """The EVSE is known only when the vehicle is plugged in."""
    async with depot.station() as station:
        running = station.transaction(evse=None)
        await authorized(running)
        assert await running.started("Authorized", token="VALID") == ACCEPTED
        assert not await runs(depot, station)
        running.evse = 2
        await station.status("Occupied", 2)
        await running.updated("CablePluggedIn", chargingState="EVConnected", wh=1000)
        assert await runs(depot, station, 2)
        await running.updated("ChargingStateChanged", chargingState="Charging")
        assert await status(depot, station, 2) == "Charging"


@case("TC_E_09_CSMS")
async def test_start_at_ev_connected(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        assert await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000) == {}
        assert await status(depot, station) == "Preparing"
        assert not await runs(depot, station)


@case("TC_E_10_CSMS")
async def test_start_at_authorized(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await authorized(running)
        assert await running.started("Authorized", token="VALID", wh=1000) == ACCEPTED
        await station.status("Occupied")
        await running.updated("CablePluggedIn", chargingState="EVConnected")
        assert await runs(depot, station)


@case("TC_E_11_CSMS")
async def test_start_at_data_signed(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await authorized(running)
        signed = register(1000, "Transaction.Begin")
        signed["sampledValue"][0]["signedMeterValue"] = {
            "signedMeterData": "AAEC", "signingMethod": "ECDSA-secp256r1-SHA256", "encodingMethod": "OCMF", "publicKey": "AA==",
        }  # fmt: skip
        said = await running.started("SignedDataReceived", token="VALID", chargingState="EVConnected", meterValue=[signed])
        assert said == ACCEPTED
        assert await runs(depot, station)


@case("TC_E_12_CSMS")
async def test_start_at_parking_bay_occupied(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        assert await running.started("EVDetected", chargingState="Idle") == {}
        assert not await runs(depot, station)
        await station.status("Occupied")
        await running.updated("CablePluggedIn", chargingState="EVConnected", wh=1000)
        assert await running.updated("Authorized", token="VALID", chargingState="EVConnected") == ACCEPTED
        assert await runs(depot, station)


@case("TC_E_38_CSMS")
async def test_vehicle_not_ready(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        assert await running.updated("Authorized", token="VALID", chargingState="EVConnected") == ACCEPTED
        await running.updated("ChargingStateChanged", chargingState="SuspendedEV")
        assert await status(depot, station) == "SuspendedEV"


# ---------------------------------------------------------------------- stop points


@case("TC_E_07_CSMS")
async def test_stop_at_power_path_closed_locally(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        said = await running.ended("StopAuthorized", token="VALID", chargingState="EVConnected", wh=3000)
        assert said["idTokenInfo"]["status"] == "Accepted"
        assert not await runs(depot, station)
        assert await status(depot, station) == "Finishing"
        await goes(depot, station)


@case("TC_E_08_CSMS")
async def test_stop_at_energy_transfer_by_stop_authorized(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        said = await running.ended("StopAuthorized", stoppedReason="Local", token="VALID", chargingState="EVConnected", wh=2500)
        assert said["idTokenInfo"]["status"] == "Accepted"
        assert not await runs(depot, station)


@case("TC_E_14_CSMS")
async def test_stop_at_ev_disconnected_from_the_station(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        said = await running.updated("StopAuthorized", token="VALID", chargingState="EVConnected", wh=3000)
        assert said["idTokenInfo"]["status"] == "Accepted"
        assert await runs(depot, station)
        await running.ended("EVCommunicationLost", stoppedReason="EVDisconnected", chargingState="Idle", wh=3000)
        assert not await runs(depot, station)
        await goes(depot, station)


@case("TC_E_15_CSMS")
async def test_stop_authorized_locally(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        said = await running.ended("StopAuthorized", stoppedReason="Local", token="VALID", chargingState="EVConnected", wh=3000)
        assert said["idTokenInfo"]["status"] == "Accepted"
        assert not await runs(depot, station)


@case("TC_E_16_CSMS")
async def test_deauthorized_by_an_invalid_token(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        said = await running.started("Authorized", token="UNKNOWN", chargingState="EVConnected", wh=1000)
        assert said["idTokenInfo"]["status"] == "Invalid"
        assert await running.ended("Deauthorized", stoppedReason="DeAuthorized", chargingState="EVConnected", wh=1000) == {}
        assert not await runs(depot, station)


@case("TC_E_17_CSMS")
async def test_deauthorized_by_the_vehicle_that_left(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await running.updated("EVCommunicationLost", chargingState="Idle")
        assert await running.ended("Deauthorized", stoppedReason="EVDisconnected", chargingState="Idle", wh=2000) == {}
        assert not await runs(depot, station)


@case("TC_E_19_CSMS")
async def test_stop_at_parking_bay_unoccupied(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await running.updated("StopAuthorized", token="VALID", chargingState="EVConnected", wh=3000)
        await running.updated("EVCommunicationLost", chargingState="Idle")
        await station.status("Available")
        assert await running.ended("EVDeparted", stoppedReason="Local", chargingState="Idle", wh=3000) == {}
        assert not await runs(depot, station)
        assert await status(depot, station) == "Available"


@case("TC_E_20_CSMS")
async def test_stop_at_ev_disconnected_by_the_vehicle(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await running.updated("ChargingStateChanged", chargingState="SuspendedEV", wh=2000)
        assert await running.ended("EVCommunicationLost", stoppedReason="EVDisconnected", chargingState="Idle", wh=2000) == {}
        await goes(depot, station)
        assert not await runs(depot, station)


@case("TC_E_21_CSMS")
async def test_stop_authorized_remotely(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        assert (await depot.call(station, "RequestStopTransaction", transactionId=running.name))["status"] == "Accepted"
        assert (await station.told("RequestStopTransaction"))["transactionId"] == running.name
        assert await running.ended("RemoteStop", stoppedReason="Remote", chargingState="EVConnected", wh=3000) == {}
        assert not await runs(depot, station)


@case("TC_E_22_CSMS")
async def test_stop_at_energy_transfer_by_the_vehicle(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        said = await running.ended("ChargingStateChanged", stoppedReason="StoppedByEV", chargingState="SuspendedEV", wh=3000)
        assert said == {}
        assert not await runs(depot, station)
        assert await status(depot, station) == "Finishing"


@case("TC_E_26_CSMS")
async def test_unplugged_and_only_suspended(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await running.updated("EVCommunicationLost", chargingState="Idle", wh=1500)
        assert await runs(depot, station)
        await running.updated("CablePluggedIn", chargingState="EVConnected")
        await running.updated("ChargingStateChanged", chargingState="Charging")
        assert await status(depot, station) == "Charging"
        assert await runs(depot, station)


@case("TC_E_39_CSMS")
async def test_deauthorized_by_the_connection_time_out(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        assert await running.started("Authorized", token="VALID", wh=1000) == ACCEPTED
        assert await running.ended("EVConnectTimeout", stoppedReason="Timeout", wh=1000) == {}
        assert not await runs(depot, station)


# ---------------------------------------------------------------------- what is asked, and numbers


async def asked(depot: Depot, *, ongoing: bool | None, queued: bool) -> None:
    """GetTransactionStatus, of a transaction or of the whole station."""
    async with depot.station() as station:
        running = await station.session()
        if ongoing is False:
            await running.ended("StopAuthorized", chargingState="EVConnected", wh=2000)
        answer = {"messagesInQueue": queued} | ({} if ongoing is None else {"ongoingIndicator": ongoing})
        station.answers["GetTransactionStatus"] = answer
        payload = {} if ongoing is None else {"transactionId": running.name}
        station.heard.clear()
        assert await depot.call(station, "GetTransactionStatus", **payload) == answer
        assert station.calls("GetTransactionStatus") == [payload]
        if queued:
            told = await running.updated("MeterValuePeriodic", chargingState="Charging", wh=1800, offline=True, timestamp=now(minutes=9))
            assert told == {}


@case("TC_E_29_CSMS")
async def test_ongoing_with_messages_in_its_queue(depot: Depot) -> None:
    await asked(depot, ongoing=True, queued=True)


@case("TC_E_30_CSMS")
async def test_ongoing_without_messages_in_its_queue(depot: Depot) -> None:
    await asked(depot, ongoing=True, queued=False)


@case("TC_E_31_CSMS")
async def test_ended_with_messages_in_its_queue(depot: Depot) -> None:
    await asked(depot, ongoing=False, queued=True)


@case("TC_E_33_CSMS")
async def test_the_station_with_messages_in_its_queue(depot: Depot) -> None:
    await asked(depot, ongoing=None, queued=True)


@case("TC_E_34_CSMS")
async def test_the_station_without_messages_in_its_queue(depot: Depot) -> None:
    await asked(depot, ongoing=None, queued=False)


@case("TC_E_53_CSMS")
async def test_each_transaction_counts_from_zero(depot: Depot) -> None:
    async with depot.station() as station:
        for wh in (1000, 4000):
            running = station.transaction()
            await station.status("Occupied")
            said = await running.started("Authorized", token="VALID", chargingState="EVConnected", seqNo=0, wh=wh)
            assert said == ACCEPTED
            assert await runs(depot, station)
            await running.ended("EVCommunicationLost", stoppedReason="EVDisconnected", chargingState="Idle", seqNo=1, wh=wh + 1000)
            assert not await runs(depot, station)
            await goes(depot, station)


async def test_a_transaction_that_is_met_at_its_end_is_answered_and_ends_nothing_else(depot: Depot) -> None:
    async with depot.station() as station:
        other = await station.session(evse=2)
        late = station.transaction(1)
        assert await late.ended("EVDeparted", chargingState="Idle", wh=2000, offline=True, timestamp=now(hours=3)) == {}
        assert not await runs(depot, station)
        assert await runs(depot, station, 2)
        assert await other.updated("MeterValuePeriodic", chargingState="Charging", wh=1200) == {}


async def test_the_token_that_comes_late_is_the_sessions(depot: Depot) -> None:
    """The idToken in a later event than the EVSE, and a reservation's number in between."""
    async with depot.station() as station:
        running = station.transaction()
        await running.started("EVDetected", chargingState="Idle")
        await running.updated("CablePluggedIn", chargingState="EVConnected", reservationId=99, wh=1000)
        assert not await runs(depot, station)
        said = await running.updated(
            "Authorized", idToken=id_token("VALID"), chargingState="EVConnected", numberOfPhasesUsed=1, cableMaxCurrent=20
        )
        assert said == ACCEPTED
        assert await runs(depot, station)
