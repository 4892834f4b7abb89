"""Block J: clock-aligned and sampled meter values, in events and beside them, plain and signed."""

from __future__ import annotations

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station, Transaction, register

pytestmark = pytest.mark.anyio

SIGNED = {"signedMeterData": "AAEC", "signingMethod": "ECDSA-secp256r1-SHA256", "encodingMethod": "OCMF", "publicKey": "AA=="}


def signed(wh: float, context: str) -> Payload:
    """A register that the meter signed."""
    value = register(wh, context)
    value["sampledValue"][0]["signedMeterValue"] = SIGNED
    return value


async def delivered_wh(depot: Depot, station: Station, evse: int = 1) -> int | None:
    """What the running session has had, as the depot shows it."""
    session: Payload | None = (await depot.get(f"/chargers/{station.id}/{evse}"))["session"]
    return None if session is None else session["delivered_wh"]


async def ends(running: Transaction, **more: object) -> None:
    assert await running.ended("EVCommunicationLost", stoppedReason="EVDisconnected", chargingState="Idle", **more) == {}


@case("TC_J_01_CSMS")
async def test_clock_aligned_without_a_transaction(depot: Depot) -> None:
    async with depot.station() as station:
        for evse in (0, 1, 2):
            assert await station.say("MeterValues", evseId=evse, meterValue=[register(5000, "Sample.Clock")]) == {}
        assert await delivered_wh(depot, station) is None


@case("TC_J_02_CSMS")
async def test_clock_aligned_in_a_transaction(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        assert await running.updated("MeterValueClock", chargingState="Charging", meterValue=[register(1700, "Sample.Clock")]) == {}
        assert await delivered_wh(depot, station) == 700


@case("TC_J_03_CSMS")
async def test_clock_aligned_at_the_end(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        values = [register(1500, "Sample.Clock", at=now(minutes=1)), register(1900, "Transaction.End")]
        await ends(running, meterValue=values)
        assert await delivered_wh(depot, station) is None


@case("TC_J_04_CSMS")
async def test_clock_aligned_and_signed(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        assert await running.updated("MeterValueClock", chargingState="Charging", meterValue=[signed(1400, "Sample.Clock")]) == {}
        assert await delivered_wh(depot, station) == 400
        await ends(running, meterValue=[signed(1500, "Transaction.End")])


@case("TC_J_07_CSMS")
async def test_sampled_at_the_start_with_a_known_evse(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        said = await running.started("Authorized", token="VALID", chargingState="EVConnected", wh=3000)
        assert said["idTokenInfo"]["status"] == "Accepted"
        assert await running.updated("MeterValuePeriodic", chargingState="Charging", wh=3250) == {}
        assert await delivered_wh(depot, station) == 250


@case("TC_J_08_CSMS")
async def test_the_begin_comes_once_the_evse_is_known(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction(evse=None)
        await running.started("Authorized", token="VALID")
        running.evse = 1
        await station.status("Occupied")
        begin = [register(7000, "Transaction.Begin")]
        assert await running.updated("CablePluggedIn", chargingState="EVConnected", meterValue=begin) == {}
        assert await running.updated("MeterValuePeriodic", chargingState="Charging", wh=7350) == {}
        assert await delivered_wh(depot, station) == 350


@case("TC_J_09_CSMS")
async def test_sampled_while_it_runs(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        for wh in (1100, 1200, 1300):
            assert await running.updated("MeterValuePeriodic", chargingState="Charging", wh=wh) == {}
            assert await delivered_wh(depot, station) == wh - 1000


@case("TC_J_10_CSMS")
async def test_sampled_at_the_end(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        values = [register(wh, context, at=now(minutes=m)) for wh, context, m in (
            (1000, "Transaction.Begin", 30), (1400, "Sample.Periodic", 20), (1900, "Transaction.End", 0),
        )]  # fmt: skip
        await ends(running, meterValue=values)
        assert (await depot.connector(station))["transaction_id"] is None


@case("TC_J_11_CSMS")
async def test_sampled_and_signed(depot: Depot) -> None:
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await running.started("Authorized", token="VALID", chargingState="EVConnected", meterValue=[signed(1000, "Transaction.Begin")])
        assert await running.updated("MeterValuePeriodic", chargingState="Charging", meterValue=[signed(1300, "Sample.Periodic")]) == {}
        assert await delivered_wh(depot, station) == 300
        await ends(running, meterValue=[signed(1500, "Transaction.End")])
