"""Block D: local authorization lists."""

from __future__ import annotations

import pytest
from octt.station import Payload

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio


async def _send(depot: Depot, station: Station, **body: object) -> Payload:
    done = await depot.put(f"/local-lists/{station.id}", {"reason": "case", **body})
    answer: Payload = done["answer"]
    assert [part["status"] for part in answer["parts"]] == ["Accepted"] * len(answer["parts"]), answer
    return answer


def _tokens(told: Payload) -> list[str]:
    return [row["idToken"]["idToken"] for row in told.get("localAuthorizationList", ())]


@case("TC_D_01_CSMS")
async def test_full_list(depot: Depot) -> None:
    async with depot.station() as station:
        answer = await _send(depot, station, update_type="full", entries=[{"token": "VALID"}, {"token": "FAMILY-1", "group": "FAMILY"}])
        told = await station.told("SendLocalList")
        assert (told["versionNumber"], told["updateType"], _tokens(told)) == (1, "Full", ["VALID", "FAMILY-1"])
        infos = [row["idTokenInfo"] for row in told["localAuthorizationList"]]
        assert [info["status"] for info in infos] == ["Accepted", "Accepted"]
        assert infos[1]["groupIdToken"]["idToken"] == "FAMILY"
        assert answer["version"] == 1


@case("TC_D_02_CSMS")
async def test_differential_update(depot: Depot) -> None:
    async with depot.station() as station:
        await _send(depot, station, update_type="full", entries=[{"token": "VALID"}])
        await _send(depot, station, update_type="differential", entries=[{"token": "GUEST"}])
        told = await station.told("SendLocalList", times=2)
        assert (told["versionNumber"], told["updateType"], _tokens(told)) == (2, "Differential", ["GUEST"])
        assert "idTokenInfo" in told["localAuthorizationList"][0]


@case("TC_D_03_CSMS")
async def test_differential_remove(depot: Depot) -> None:
    async with depot.station() as station:
        await _send(depot, station, update_type="full", entries=[{"token": "VALID"}, {"token": "GUEST"}])
        await _send(depot, station, update_type="differential", entries=[{"token": "GUEST", "remove": True}])
        told = await station.told("SendLocalList", times=2)
        assert (told["updateType"], _tokens(told)) == ("Differential", ["GUEST"])
        assert "idTokenInfo" not in told["localAuthorizationList"][0]


@case("TC_D_04_CSMS")
async def test_full_with_an_empty_list(depot: Depot) -> None:
    async with depot.station() as station:
        await _send(depot, station, update_type="full", entries=[{"token": "VALID"}])
        await depot.delete(f"/local-lists/{station.id}")
        told = await station.told("SendLocalList", times=2)
        assert (told["updateType"], told["versionNumber"], "localAuthorizationList" in told) == ("Full", 2, False)


@case("TC_D_08_CSMS")
async def test_list_version(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["GetLocalListVersion"] = {"versionNumber": 5}
        assert (await depot.get(f"/local-lists/{station.id}"))["station_version"] == 5


@case("TC_D_09_CSMS")
async def test_list_version_without_a_list(depot: Depot) -> None:
    async with depot.station() as station:
        shown = await depot.get(f"/local-lists/{station.id}")
        assert station.calls("GetLocalListVersion") == [{}]
        assert (shown["station_version"], shown["entries"]) == (0, [])


async def test_a_list_that_is_newer_at_the_station_is_told_under_a_higher_version(depot: Depot) -> None:
    """D01.FR.18: VersionMismatch."""
    async with depot.station() as station:
        station.answers["SendLocalList"] = lambda told: {"status": "Accepted" if told["versionNumber"] > 7 else "VersionMismatch"}
        station.answers["GetLocalListVersion"] = {"versionNumber": 7}
        done = await depot.put(f"/local-lists/{station.id}", {"update_type": "differential", "entries": [{"token": "VALID"}]})
        assert [part["status"] for part in done["answer"]["parts"]] == ["VersionMismatch", "Accepted"]
        assert done["answer"]["version"] == 8
