"""Block H: reservations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from octt.station import Payload

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio


async def _reserve(depot: Depot, station: Station, **more: object) -> Payload:
    until = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    done: Payload = await depot.post(
        "/reservations", {"station_id": station.id, "id_token": "VALID", "expires_at": until, "reason": "case", **more}
    )
    return done


async def _state(depot: Depot, number: int) -> str:
    state: str = (await depot.get(f"/reservations/{number}"))["state"]
    return state


@case("TC_H_01_CSMS")
async def test_specific_evse(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, connector=1))["reservation_id"]
        told = await station.told("ReserveNow")
        assert (told["id"], told["evseId"], told["idToken"]["idToken"]) == (number, 1, "VALID")
        running = station.transaction()
        await station.status("Reserved")
        assert (await station.authorize())["status"] == "Accepted"
        await running.started("Authorized", token="VALID", reservationId=number, wh=1000)
        assert await _state(depot, number) == "used"


@case("TC_H_07_CSMS")
async def test_reservation_ended_without_use(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, connector=1))["reservation_id"]
        await station.status("Reserved")
        assert await station.say("ReservationStatusUpdate", reservationId=number, reservationUpdateStatus="Expired") == {}
        await station.status("Available")
        assert await _state(depot, number) == "expired"


@case("TC_H_08_CSMS")
async def test_unspecified_evse(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station))["reservation_id"]
        assert "evseId" not in await station.told("ReserveNow")
        running = station.transaction()
        await running.started("Authorized", token="VALID", reservationId=number, wh=1000)
        assert await _state(depot, number) == "used"


@case("TC_H_14_CSMS")
async def test_as_many_reservations_as_evses(depot: Depot) -> None:
    async with depot.station() as station:
        numbers = [(await _reserve(depot, station, id_token=token))["reservation_id"] for token in ("VALID", "FAMILY-1")]
        assert [told["id"] for told in station.calls("ReserveNow")] == numbers
        for evse in (1, 2):
            await station.status("Reserved", evse)
        assert {await _state(depot, number) for number in numbers} == {"accepted"}


@case("TC_H_15_CSMS")
async def test_connector_type(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, connector_type="cCCS2"))["reservation_id"]
        told = await station.told("ReserveNow")
        assert (told["connectorType"], "evseId" in told) == ("cCCS2", False)
        assert (await depot.get(f"/reservations/{number}"))["connector_type"] == "cCCS2"


@case("TC_H_17_CSMS")
async def test_cancel(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, connector=1))["reservation_id"]
        assert (await depot.delete(f"/reservations/{number}"))["state"] == "cancelled"
        assert station.calls("CancelReservation") == [{"reservationId": number}]


@case("TC_H_19_CSMS")
async def test_used_by_group(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, connector=1, id_token="FAMILY-1", group="FAMILY"))["reservation_id"]
        assert (await station.told("ReserveNow"))["groupIdToken"]["idToken"] == "FAMILY"
        said = await station.authorize("FAMILY-2")
        assert (said["status"], said["groupIdToken"]["idToken"]) == ("Accepted", "FAMILY")
        await station.transaction().started("Authorized", token="FAMILY-2", reservationId=number, wh=1000)
        assert await _state(depot, number) == "used"


@case("TC_H_20_CSMS")
async def test_cancelled_by_a_station_that_is_faulted(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, connector=1))["reservation_id"]
        await station.status("Faulted")
        assert await station.say("ReservationStatusUpdate", reservationId=number, reservationUpdateStatus="Removed") == {}
        shown = await depot.get(f"/reservations/{number}")
        assert (shown["state"], shown["note"]) == ("cancelled", "the station removed it")


@case("TC_H_22_CSMS")
async def test_configured_to_reject(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["ReserveNow"] = {"status": "Rejected"}
        done = await _reserve(depot, station, connector=1)
        assert (done["status"], done["state"]) == ("failed", "rejected")


async def test_a_word_on_another_stations_reservation_changes_nothing(depot: Depot) -> None:
    async with depot.station() as station, depot.station() as other:
        number = (await _reserve(depot, station, connector=1))["reservation_id"]
        await other.say("ReservationStatusUpdate", reservationId=number, reservationUpdateStatus="Removed")
        assert await _state(depot, number) == "accepted"
