"""Local authorization list and reservations: what a station keeps for the depot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ocpp16.depot import Depot, Payload, Station

pytestmark = pytest.mark.anyio

INFO = {"status": "Accepted"}


# ---------------------------------------------------------------------- local authorization list


async def _version(depot: Depot, said: int) -> Payload:
    async with depot.station() as station:
        station.answers["GetLocalListVersion"] = {"listVersion": said}
        shown: Payload = await depot.get(f"/local-lists/{station.id}")
        assert station.calls("GetLocalListVersion") == [{}]
        return shown


async def test_tc_042_1_local_list_version_not_supported(depot: Depot) -> None:
    shown = await _version(depot, -1)
    assert (shown["station_version"], shown["version"], shown["entries"]) == (-1, 0, [])


async def test_tc_042_2_local_list_version_empty(depot: Depot) -> None:
    assert (await _version(depot, 0))["station_version"] == 0


async def _send(depot: Depot, station: Station, **body: Any) -> Payload:
    done = await depot.put(f"/local-lists/{station.id}", {"reason": "case", **body})
    answer: Payload = done["answer"]
    return answer


async def test_tc_043_1_local_list_not_supported(depot: Depot) -> None:
    await _refused(depot, "NotSupported")


async def test_tc_043_3_local_list_failed(depot: Depot) -> None:
    await _refused(depot, "Failed")


async def _refused(depot: Depot, status: str) -> None:
    async with depot.station() as station:
        station.answers["SendLocalList"] = {"status": status}
        answer = await _send(depot, station, entries=[{"token": "VALID"}])
        assert [part["status"] for part in answer["parts"]] == [status]
        assert (answer["version"], (await depot.get(f"/local-lists/{station.id}"))["entries"]) == (0, [])


async def test_tc_043_4_local_list_full(depot: Depot) -> None:
    async with depot.station() as station:  # takes three entries in one message, the depot lists five
        answer = await _send(depot, station, update_type="full")
        assert [part["status"] for part in answer["parts"]] == ["Accepted", "Accepted"]
        first, second = station.calls("SendLocalList")
        assert [(m["update_type"], m["list_version"]) for m in (first, second)] == [("Full", 1), ("Differential", 2)]
        told = {row["id_tag"]: row["id_tag_info"] for m in (first, second) for row in m["local_authorization_list"]}
        assert {tag: info["status"] for tag, info in told.items()} == {
            "VALID": "Accepted", "EXPIRED": "Expired", "BLOCKED": "Blocked", "FAMILY-1": "Accepted", "FAMILY-2": "Accepted",
        }  # fmt: skip
        assert told["FAMILY-1"]["parent_id_tag"] == "FAMILY"
        shown = await depot.get(f"/local-lists/{station.id}")
        assert (shown["version"], len(shown["entries"])) == (2, 5)


async def test_tc_043_5_local_list_differential(depot: Depot) -> None:
    async with depot.station() as station:
        await _send(depot, station, entries=[{"token": "VALID"}, {"token": "FAMILY-1"}])
        answer = await _send(
            depot, station, update_type="differential", entries=[{"token": "GUEST"}, {"token": "FAMILY-1", "remove": True}]
        )
        assert answer["version"] == 2
        told = station.calls("SendLocalList")[1]
        assert (told["update_type"], told["list_version"]) == ("Differential", 2)
        assert told["local_authorization_list"] == [{"id_tag": "GUEST", "id_tag_info": INFO}, {"id_tag": "FAMILY-1"}]
        shown = await depot.get(f"/local-lists/{station.id}")
        assert [entry["token"] for entry in shown["entries"]] == ["GUEST", "VALID"]


async def test_a_station_that_has_a_newer_list_is_sent_a_higher_version(depot: Depot) -> None:
    async with depot.station() as station:
        held = 41

        def judge(payload: Payload) -> Payload:
            return {"status": "Accepted" if payload["list_version"] > held else "VersionMismatch"}

        station.answers |= {"SendLocalList": judge, "GetLocalListVersion": {"listVersion": held}}
        answer = await _send(depot, station, update_type="differential", entries=[{"token": "VALID"}])
        assert [(part["version"], part["status"]) for part in answer["parts"]] == [(1, "VersionMismatch"), (42, "Accepted")]
        refused = await depot.put(
            f"/local-lists/{station.id}", {"update_type": "full", "version": 42, "entries": []}, expect=(409,)
        )  # the one that it has
        assert "above 42" in refused["detail"]
        emptied = await depot.delete(f"/local-lists/{station.id}")
        assert (emptied["answer"]["version"], station.calls("SendLocalList")[-1]) == (43, {"list_version": 43, "update_type": "Full"})


# ---------------------------------------------------------------------- reservations


def later(**kw: float) -> str:
    return (datetime.now(UTC) + timedelta(**kw)).isoformat()


async def _reserve(depot: Depot, station: Station, **more: Any) -> Payload:
    body = {"station_id": station.id, "connector": 1, "id_token": "VALID", "expires_at": later(minutes=10), "reason": "case", **more}
    done: Payload = await depot.post("/reservations", body)
    return done


async def _state(depot: Depot, number: int) -> str:
    state: str = (await depot.get(f"/reservations/{number}"))["state"]
    return state


async def test_tc_046_reservation_of_a_connector_transaction(depot: Depot) -> None:
    async with depot.station() as station:
        done = await _reserve(depot, station)
        number = done["reservation_id"]
        told = await station.told("ReserveNow")
        assert (told["connector_id"], told["id_tag"], told["reservation_id"]) == (1, "VALID", number)
        assert done["state"] == "accepted"
        await station.status("Reserved")
        assert await station.authorize() == "Accepted"
        await station.status("Preparing")
        started = await station.start_transaction(reservation_id=number)
        assert started.id_tag_info["status"] == "Accepted"
        await station.status("Charging")
        shown = await depot.get(f"/reservations/{number}")
        assert (shown["state"], shown["transaction_id"]) == ("used", started.transaction_id)


async def test_tc_047_reservation_expires(depot: Depot) -> None:
    async with depot.station() as station:
        expires_at = later(seconds=1.5)
        number = (await _reserve(depot, station, expires_at=expires_at))["reservation_id"]
        said = (await station.told("ReserveNow"))["expiry_date"]
        assert datetime.fromisoformat(said) - datetime.fromisoformat(expires_at) < timedelta(milliseconds=2)
        await station.status("Reserved")
        await depot.shows(f"/reservations/{number}", lambda shown: shown["state"] != "accepted")
        assert await _state(depot, number) == "expired"
        await station.status("Available")


async def _not_reserved(depot: Depot, status: str, before: str) -> None:
    async with depot.station() as station:
        await station.status(before)
        station.answers["ReserveNow"] = {"status": status}
        done = await _reserve(depot, station)
        assert (done["status"], done["state"]) == ("failed", status.lower())
        assert done["call"]["payload"] == {"status": status}
        assert await _state(depot, done["reservation_id"]) == status.lower()


async def test_tc_048_1_reservation_faulted(depot: Depot) -> None:
    await _not_reserved(depot, "Faulted", "Faulted")


async def test_tc_048_2_reservation_occupied(depot: Depot) -> None:
    await _not_reserved(depot, "Occupied", "Preparing")


async def test_tc_048_3_reservation_unavailable(depot: Depot) -> None:
    async with depot.station() as station:
        await depot.post(f"/chargers/{station.id}/1/availability", {"operative": False, "reason": "case"})
        assert await station.told("ChangeAvailability") == {"connector_id": 1, "type": "Inoperative"}
        await station.status("Unavailable")
        station.answers["ReserveNow"] = {"status": "Unavailable"}
        assert (await _reserve(depot, station))["state"] == "unavailable"


async def test_tc_048_4_reservation_rejected(depot: Depot) -> None:
    await _not_reserved(depot, "Rejected", "Available")


async def test_tc_049_reservation_of_the_whole_charge_point(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, connector=0))["reservation_id"]
        assert (await station.told("ReserveNow"))["connector_id"] == 0
        await station.status("Reserved", 0)
        await station.status("Preparing", 2)
        started = await station.start_transaction(connector=2, reservation_id=number)
        assert started.id_tag_info["status"] == "Accepted"
        assert await _state(depot, number) == "used"


async def test_tc_051_cancel_a_reservation(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station))["reservation_id"]
        await station.status("Reserved")
        done = await depot.delete(f"/reservations/{number}")
        assert (done["status"], done["state"]) == ("done", "cancelled")
        assert station.calls("CancelReservation") == [{"reservation_id": number}]
        await station.status("Available")
        again = await depot.delete(f"/reservations/{number}", expect=(409,))
        assert "over already" in again["detail"]


async def test_tc_052_cancel_a_reservation_rejected(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station))["reservation_id"]
        station.answers["CancelReservation"] = {"status": "Rejected"}
        done = await depot.delete(f"/reservations/{number}")
        assert (done["status"], done["state"]) == ("failed", "accepted")


async def test_tc_053_reserved_connector_used_by_parent_id_tag(depot: Depot) -> None:
    async with depot.station() as station:
        number = (await _reserve(depot, station, id_token="FAMILY-1", group="FAMILY"))["reservation_id"]
        told = await station.told("ReserveNow")
        assert (told["id_tag"], told["parent_id_tag"]) == ("FAMILY-1", "FAMILY")
        await station.status("Reserved")
        info = (await station.say("Authorize", id_tag="FAMILY-2")).id_tag_info
        assert (info["status"], info["parent_id_tag"]) == ("Accepted", "FAMILY")
        started = await station.start_transaction("FAMILY-2", reservation_id=number)
        assert started.id_tag_info["status"] == "Accepted"
        assert await _state(depot, number) == "used"


async def test_reservations_by_hand_stand_in_the_same_book_and_no_number_is_given_twice(depot: Depot) -> None:
    async with depot.station() as station, depot.station() as other:
        payload = {"connectorId": 1, "expiryDate": later(minutes=5), "idTag": "VALID", "reservationId": 900_001}
        assert await depot.call(station, "ReserveNow", **payload) == {"status": "Accepted"}
        assert await _state(depot, 900_001) == "accepted"
        refused = await depot.post(f"/stations/{other.id}/calls/ReserveNow", payload, expect=(409,))
        assert f"is held on {station.id}" in refused["detail"]
        assert other.calls("ReserveNow") == []
        assert await depot.call(station, "CancelReservation", reservationId=900_001) == {"status": "Accepted"}
        assert await _state(depot, 900_001) == "cancelled"
