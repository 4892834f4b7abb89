"""Block N, as far as it is about customers: what stations keep about them is reported and cleared."""

from __future__ import annotations

import asyncio

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio

CERTIFICATE = {"hash_algorithm": "SHA256", "issuer_name_hash": "ab" * 32, "issuer_key_hash": "cd" * 32, "serial_number": "1a2b"}


def _tells(station: Station, *parts: str) -> None:
    telling: set[asyncio.Task[None]] = set()

    async def tell(number: int) -> None:
        for n, part in enumerate(parts):
            more = n < len(parts) - 1
            said = await station.say("NotifyCustomerInformation", requestId=number, data=part, seqNo=n, tbc=more, generatedAt=now())
            assert said == {}

    def asked(payload: Payload) -> Payload:
        telling.add(asyncio.ensure_future(tell(payload["requestId"])))
        return {"status": "Accepted"}

    station.answers["CustomerInformation"] = asked


async def _ask(depot: Depot, station: Station, **more: object) -> Payload:
    named = {} if {"identifier", "certificate"} & set(more) else {"id_token": "VALID"}
    done: Payload = await depot.post("/customer-information", {"station_id": station.id, "reason": "case", **named, **more})
    return done


async def _told_with(depot: Depot, station: Station, data: str, **more: object) -> Payload:
    """Ask; the station tells this in two parts. What it was asked."""
    _tells(station, data[:5], data[5:])
    done = await _ask(depot, station, **more)
    assert done["state"] == "done"
    shown = await depot.get(f"/customer-information/{done['request_id']}")
    assert (shown["data"], shown["asked_by"]) == (data, "token octt")
    log = await depot.get("/messages", station_id=station.id, action="NotifyCustomerInformation")
    assert data[:5] not in str(log)
    asked = await station.told("CustomerInformation")
    assert asked["requestId"] == done["request_id"]
    return asked


@case("TC_N_27_CSMS")
async def test_report_with_data(depot: Depot) -> None:
    async with depot.station() as station:
        asked = await _told_with(depot, station, "Anna Rao, Pune")
        assert (asked["report"], asked["clear"], asked["idToken"]["idToken"]) == (True, False, "VALID")


async def _nothing(depot: Depot, **more: object) -> None:
    async with depot.station() as station:
        _tells(station, "")
        done = await _ask(depot, station, **more)
        assert done["state"] == "done"
        assert (await depot.get(f"/customer-information/{done['request_id']}"))["data"] == ""


@case("TC_N_28_CSMS")
async def test_report_without_data(depot: Depot) -> None:
    await _nothing(depot)


@case("TC_N_29_CSMS")
async def test_not_accepted(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["CustomerInformation"] = {"status": "Rejected"}
        done = await _ask(depot, station)
        assert (done["status"], done["state"], done["said"]) == ("failed", "refused", "Rejected")


@case("TC_N_30_CSMS")
async def test_clear_and_report_with_data(depot: Depot) -> None:
    async with depot.station() as station:
        asked = await _told_with(depot, station, "Anna Rao, Pune", clear=True)
        assert (asked["report"], asked["clear"]) == (True, True)


@case("TC_N_31_CSMS")
async def test_clear_and_report_without_data(depot: Depot) -> None:
    await _nothing(depot, clear=True)


@case("TC_N_32_CSMS")
async def test_clear_without_report(depot: Depot) -> None:
    async with depot.station() as station:
        done = await _ask(depot, station, clear=True, report=False)
        assert done["state"] == "done"
        asked = await station.told("CustomerInformation")
        assert (asked["report"], asked["clear"]) == (False, True)
        assert await station.say("NotifyCustomerInformation", requestId=asked["requestId"], data="", seqNo=0, generatedAt=now()) == {}


@case("TC_N_46_CSMS")
async def test_clear_updates_the_local_list(depot: Depot) -> None:
    async with depot.station() as station:
        await depot.put(f"/local-lists/{station.id}", {"entries": [{"token": "VALID"}, {"token": "FAMILY-1"}], "reason": "case"})
        done = await _ask(depot, station, clear=True, report=False)
        assert done["local_list"] == "Accepted"
        told = await station.told("SendLocalList", times=2)
        assert (told["updateType"], told["versionNumber"]) == ("Differential", 2)
        (row,) = told["localAuthorizationList"]
        assert (row["idToken"]["idToken"], "idTokenInfo" in row) == ("VALID", False)
        assert [entry["token"] for entry in (await depot.get(f"/local-lists/{station.id}"))["entries"]] == ["FAMILY-1"]


@case("TC_N_62_CSMS")
async def test_clear_and_report_by_identifier(depot: Depot) -> None:
    async with depot.station() as station:
        asked = await _told_with(depot, station, "Anna Rao, Pune", clear=True, identifier="OpenChargeAlliance")
        assert (asked["customerIdentifier"], "idToken" in asked) == ("OpenChargeAlliance", False)


@case("TC_N_63_CSMS")
async def test_clear_and_report_by_certificate(depot: Depot) -> None:
    async with depot.station() as station:
        asked = await _told_with(depot, station, "Anna Rao, Pune", clear=True, certificate=CERTIFICATE)
        assert asked["customerCertificate"] == {
            "hashAlgorithm": "SHA256", "issuerNameHash": "ab" * 32, "issuerKeyHash": "cd" * 32, "serialNumber": "1a2b"
        }  # fmt: skip
