"""OCPP 2.1: tariffs that stations hold (block I), payments that stations settle (block C)."""

from __future__ import annotations

from typing import Any

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio

PLAIN: Payload = {"tariffId": "T1", "currency": "INR", "energy": {"prices": [{"priceKwh": 12.5}]}}
DAY_AND_NIGHT: Payload = {
    "tariffId": "T2",
    "currency": "INR",
    "energy": {
        "prices": [
            {"priceKwh": 9.0, "conditions": {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00"}},
            {"priceKwh": 14.0, "conditions": {"startTimeOfDay": "06:00", "endTimeOfDay": "22:00"}},
        ]
    },
}


async def given(depot: Depot, station: Station, tariff: Payload, evse: int = 0, **answer: Any) -> str:
    """A default tariff; the station's word."""
    if answer:
        station.answers["SetDefaultTariff"] = answer
    done = await depot.put(f"/tariffs/{station.id}", {"tariff": tariff, "evse_id": evse})
    assert station.calls("SetDefaultTariff")[-1] == {"evseId": evse, "tariff": tariff}
    state: str = done["answer"]["state"]
    return state


async def held(depot: Depot, station: Station) -> list[str]:
    return [t["tariff_id"] for t in (await depot.get(f"/tariffs/{station.id}"))["defaults"]]


@case("TC_I_101_CSMS")
async def test_a_default_tariff_by_the_time_of_day(depot: Depot) -> None:
    async with depot.station() as station:
        assert await given(depot, station, DAY_AND_NIGHT, 1) == "Accepted"
        assert await held(depot, station) == ["T2"]


@case("TC_I_102_CSMS")
async def test_a_tariff_with_too_many_elements(depot: Depot) -> None:
    async with depot.station() as station:
        assert await given(depot, station, DAY_AND_NIGHT, status="TooManyElements") == "TooManyElements"
        assert await held(depot, station) == []


@case("TC_I_105_CSMS")
async def test_a_station_that_knows_no_conditions(depot: Depot) -> None:
    async with depot.station() as station:
        assert await given(depot, station, DAY_AND_NIGHT, status="ConditionNotSupported") == "ConditionNotSupported"
        assert await given(depot, station, PLAIN, status="Accepted") == "Accepted"
        assert await held(depot, station) == ["T1"]


@case("TC_I_106_CSMS")
async def test_a_tariff_that_breaks_the_schema_never_leaves(depot: Depot) -> None:
    async with depot.station() as station:
        await depot.put(f"/tariffs/{station.id}", {"tariff": {"tariffId": "T1"}}, expect=[409])
        assert station.calls("SetDefaultTariff") == []
        assert await given(depot, station, PLAIN, status="DuplicateTariffId") == "DuplicateTariffId"


@case("TC_I_110_CSMS")
async def test_default_tariffs_are_cleared_and_read(depot: Depot) -> None:
    async with depot.station() as station:
        await given(depot, station, PLAIN)
        station.answers["GetTariffs"] = {
            "status": "Accepted",
            "tariffAssignments": [{"tariffId": "T1", "tariffKind": "DefaultTariff", "evseIds": [1, 2]}],
        }
        shown = await depot.get(f"/tariffs/{station.id}", refresh="true")
        assert [t["tariffId"] for t in shown["station_says"]] == ["T1"]
        assert station.calls("GetTariffs") == [{"evseId": 0}]
        station.answers["ClearTariffs"] = {"clearTariffsResult": [{"tariffId": "T1", "status": "Accepted"}]}
        await depot.delete(f"/tariffs/{station.id}", params={"tariff_id": "T1"})
        assert station.calls("ClearTariffs") == [{"tariffIds": ["T1"]}]
        assert await held(depot, station) == []
        station.answers["GetTariffs"] = {"status": "NoTariff"}
        assert (await depot.get(f"/tariffs/{station.id}", refresh="true"))["station_says"] == []


@case("TC_I_113_CSMS")
async def test_a_changed_tariff_of_a_transaction_has_too_many_elements(depot: Depot) -> None:
    await _change(depot, DAY_AND_NIGHT, "TooManyElements")


@case("TC_I_114_CSMS")
async def test_a_changed_tariff_of_a_transaction_has_conditions_that_are_not_known(depot: Depot) -> None:
    await _change(depot, DAY_AND_NIGHT, "ConditionNotSupported")


@case("TC_I_115_CSMS")
async def test_the_tariff_of_a_transaction_is_changed(depot: Depot) -> None:
    await _change(depot, DAY_AND_NIGHT, "Accepted")


async def _change(depot: Depot, tariff: Payload, status: str) -> None:
    async with depot.station() as station:
        running = await station.session()
        station.answers["ChangeTransactionTariff"] = {"status": status}
        done = await depot.put(f"/tariffs/{station.id}/transaction", {"tariff": tariff, "evse_id": 1})
        assert done["answer"]["state"] == status
        assert station.calls("ChangeTransactionTariff") == [{"transactionId": running.name, "tariff": tariff}]
        if status == "Accepted":
            await running.updated("TariffChanged", tariffId=tariff["tariffId"])
        changes = (await depot.get(f"/tariffs/{station.id}"))["changes"]
        assert [c["tariff_id"] for c in changes] == ([tariff["tariffId"]] if status == "Accepted" else [])


@case("TC_I_122_CSMS")
async def test_cost_details_of_a_transaction_are_taken(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        total = {"currency": "INR", "typeOfCost": "NormalCost", "total": {"exclTax": 25.0}, "energy": {"exclTax": 25.0}}
        usage = {"energy": 2.0, "chargingTime": 600, "idleTime": 0}
        assert await running.updated("RunningCost", costDetails={"totalCost": total, "totalUsage": usage}) == {}
        await running.ended("StopAuthorized", token="VALID", wh=3000, costDetails={"totalCost": total, "totalUsage": usage})
        assert (await depot.connector(station))["transaction_id"] is None


# -- payments ---------------------------------------------------------------------------------------------------------


@case("TC_C_108_CSMS")
async def test_a_vat_number_that_nobody_has_checked_is_not_confirmed(depot: Depot) -> None:
    async with depot.station() as station:
        said = await station.say("VatNumberValidation", vatNumber="27ABCDE1234F1Z5", evseId=1)
        assert (said["status"], said["vatNumber"], said["evseId"]) == ("Rejected", "27ABCDE1234F1Z5", 1)


@case("TC_C_119_CSMS")
async def test_a_settlement_that_failed(depot: Depot) -> None:
    await _settled(depot, "Failed", statusInfo="card declined")


@case("TC_C_120_CSMS")
async def test_a_settlement_that_was_rejected(depot: Depot) -> None:
    await _settled(depot, "Rejected")


async def _settled(depot: Depot, status: str, **more: Any) -> None:
    async with depot.station() as station:
        running = await station.session()
        await running.ended("StopAuthorized", token="VALID", wh=3000)
        said = await station.say(
            "NotifySettlement", transactionId=running.name, pspRef="4111-REF-0042", status=status, settlementAmount=120.5,
            settlementTime=now(), **more,
        )  # fmt: skip
        assert said == {}
        (note,) = (await depot.get("/station-notes", station_id=station.id))["notes"]
        assert (note["kind"], note["transaction"], note["said"]["status"]) == ("settlement", running.name, status)
        assert (note["said"]["amount"], note["said"]["reference"]) == ("120.5", "…0042")
