"""Block G, availability: in and out of service, and who says so."""

from __future__ import annotations

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio

EVSE: Payload = {"evse": {"id": 1}}
PLUG: Payload = {"evse": {"id": 1, "connectorId": 1}}
STATION: Payload = {}


async def _change(depot: Depot, station: Station, where: Payload, status: str, said: str = "Accepted") -> None:
    station.answers["ChangeAvailability"] = {"status": said}
    station.heard.clear()
    asked = {"operationalStatus": status, **where}
    assert await depot.call(station, "ChangeAvailability", **asked) == {"status": said}
    assert station.calls("ChangeAvailability") == [asked]


async def _report(station: Station, status: str, *evses: int) -> None:
    """Both ways in which a station says so."""
    for evse in evses:
        await station.status(status, evse)
        await station.notify("Connector", "AvailabilityState", status, evse=evse)


async def _books(depot: Depot, station: Station) -> list[tuple[str, bool]]:
    """What the depot shows of both connectors: their status, and whether it counts them as in service."""
    return [(shown["status"], shown["operative"]) for shown in [await depot.connector(station, n) for n in (1, 2)]]


def _evses(where: Payload) -> tuple[int, ...]:
    return (1,) if where else (1, 2)


@case("TC_G_01_CSMS")
async def test_every_status_is_taken(depot: Depot) -> None:
    async with depot.station() as station:
        for status, shown in (
            ("Occupied", "Preparing"),
            ("Reserved", "Reserved"),
            ("Unavailable", "Unavailable"),
            ("Faulted", "Faulted"),
            ("Available", "Available"),
        ):
            assert await station.status(status) == {}
            assert (await depot.connector(station))["status"] == shown


@case("TC_G_03_CSMS")
@case("TC_G_05_CSMS")
@pytest.mark.parametrize("where", [EVSE, STATION])
async def test_out_of_service(depot: Depot, where: Payload) -> None:
    async with depot.station() as station:
        await _report(station, "Available", 1, 2)
        await _change(depot, station, where, "Inoperative")
        await _report(station, "Unavailable", *_evses(where))
        shut, other = ("Unavailable", False), ("Available", True)
        assert await _books(depot, station) == ([shut, other] if where else [shut, shut])


@case("TC_G_04_CSMS")
@case("TC_G_06_CSMS")
@pytest.mark.parametrize("where", [EVSE, STATION])
async def test_back_in_service(depot: Depot, where: Payload) -> None:
    async with depot.station() as station:
        await _change(depot, station, where, "Inoperative")
        await _report(station, "Unavailable", 1, 2)
        await _change(depot, station, where, "Operative")
        await _report(station, "Available", 1, 2)
        assert await _books(depot, station) == [("Available", True)] * 2


@case("TC_G_07_CSMS")
async def test_a_plug_out_of_service(depot: Depot) -> None:
    async with depot.station() as station:
        await _change(depot, station, PLUG, "Inoperative")
        await _report(station, "Unavailable", 1)
        assert (await depot.connector(station))["status"] == "Unavailable"


@case("TC_G_08_CSMS")
async def test_a_plug_back_in_service(depot: Depot) -> None:
    async with depot.station() as station:
        await _change(depot, station, PLUG, "Inoperative")
        await _report(station, "Unavailable", 1)
        await _change(depot, station, PLUG, "Operative")
        await _report(station, "Available", 1)
        assert (await _books(depot, station))[0] == ("Available", True)


@case("TC_G_11_CSMS")
@case("TC_G_14_CSMS")
@case("TC_G_17_CSMS")
@pytest.mark.parametrize("where", [EVSE, STATION, PLUG])
async def test_out_of_service_when_the_transaction_has_ended(depot: Depot, where: Payload) -> None:
    async with depot.station() as station:
        await _report(station, "Available", 2)
        running = await station.session()
        await _change(depot, station, where, "Inoperative", "Scheduled")
        if not where:
            await _report(station, "Unavailable", 2)
        assert (await depot.connector(station))["transaction_id"] is not None
        await running.updated("StopAuthorized", token="VALID", chargingState="EVConnected")
        await running.ended("EVCommunicationLost", stoppedReason="EVDisconnected", chargingState="Idle", wh=2000)
        await _report(station, "Unavailable", 1)
        shown = await depot.connector(station)
        assert (shown["status"], shown["transaction_id"], shown["operative"]) == ("Unavailable", None, where == PLUG)


@case("TC_G_20_CSMS")
async def test_a_lock_failure_is_heard(depot: Depot) -> None:
    async with depot.station() as station:
        assert await station.notify("ConnectorPlugRetentionLock", "Problem", "true") == {}


async def test_a_station_that_says_its_availability_by_events_only(depot: Depot) -> None:
    async with depot.station() as station:
        await station.notify("Connector", "AvailabilityState", "Occupied")
        assert (await depot.connector(station))["status"] == "Preparing"
        await station.notify("Connector", "AvailabilityState", "Available", timestamp=now(seconds=60))
        assert (await depot.connector(station))["status"] == "Preparing"
        await station.notify("ChargingStation", "AvailabilityState", "Faulted", evse=None)
        await depot.shows(f"/stations/{station.id}", lambda shown: shown["status"] == "Faulted")
