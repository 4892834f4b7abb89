"""Block K, smart charging: profiles by hand, what stations report of them, others' limits, vehicles that speak ISO 15118."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.exceptions import NotSupportedError
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station, Transaction

pytestmark = pytest.mark.anyio

REJECTED = {"status": "Rejected"}


def profile(
    number: int = 101, purpose: str = "TxDefaultProfile", *, limit: float = 6_000.0, level: int = 1, kind: str = "Absolute",
    schedule: Payload | None = None, period: Payload | None = None, **more: Any,
) -> Payload:  # fmt: skip
    """A ``chargingProfile`` of one period; Relative ones have no start."""
    made: Payload = {"id": number, "duration": 300, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    if kind in ("Absolute", "Recurring"):
        made["startSchedule"] = now()
    made["chargingSchedulePeriod"][0] |= period or {}
    head = {"id": number, "stackLevel": level, "chargingProfilePurpose": purpose, "chargingProfileKind": kind}
    return {**head, "chargingSchedule": [made | (schedule or {})], **more}


async def install(depot: Depot, station: Station, asked: Payload, *, evse: int = 1) -> tuple[str, Payload]:
    """A profile by hand: the station's word, and what it was told."""
    answer = await depot.post("/charging-profiles", {"station_id": station.id, "connector": evse, "profile": asked})
    told = await station.told("SetChargingProfile", where=lambda said: said["chargingProfile"]["id"] == asked["id"])
    said = [call for call in station.calls("SetChargingProfile") if call["chargingProfile"]["id"] == asked["id"]][-1]
    assert told["evseId"] == evse
    return answer["payload"]["status"] if answer["outcome"] == "result" else answer["error"]["code"], said


def held(payload: Payload) -> Payload:
    """The schedule of a SetChargingProfile."""
    schedule: Payload = payload["chargingProfile"]["chargingSchedule"][0]
    return schedule


# -- K01: profiles by hand --------------------------------------------------------------------------------------------


@case("TC_K_01_CSMS")
async def test_a_default_on_an_evse(depot: Depot) -> None:
    async with depot.station() as station:
        status, told = await install(depot, station, profile())
        assert status == "Accepted"
        assert held(told)["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6_000.0}]


@case("TC_K_02_CSMS")
async def test_a_tx_profile_without_a_transaction(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["SetChargingProfile"] = REJECTED
        status, told = await install(depot, station, profile(purpose="TxProfile", kind="Relative", limit=7_000.0))
        assert status == "Rejected"
        assert "startSchedule" not in held(told)


@case("TC_K_03_CSMS")
async def test_a_limit_of_the_whole_station(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await install(depot, station, profile(purpose="ChargingStationMaxProfile"), evse=0))[0] == "Accepted"
        shown = await depot.get("/charging-profiles", station_id=station.id)
        assert [(p["connector"], p["limit"], p["source"]) for p in shown["profiles"] if p["profile_id"] == 101] == [(0, 6_000.0, "call")]


@case("TC_K_04_CSMS")
async def test_a_profile_is_replaced_by_its_id(depot: Depot) -> None:
    async with depot.station() as station:
        for limit in (8_000.0, 6_000.0):
            status, told = await install(depot, station, profile(limit=limit))
            assert (status, held(told)["chargingSchedulePeriod"][0]["limit"]) == ("Accepted", limit)
        shown = await depot.get("/charging-profiles", station_id=station.id)
        assert [p["limit"] for p in shown["profiles"] if p["profile_id"] == 101] == [6_000.0]


@case("TC_K_10_CSMS")
async def test_a_default_on_all_evses(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await install(depot, station, profile(), evse=0))[0] == "Accepted"


@case("TC_K_15_CSMS")
async def test_a_station_that_does_not_support_profiles(depot: Depot) -> None:
    def not_supported(_: Payload) -> Payload:
        raise NotSupportedError

    async with depot.station() as station:
        station.answers["SetChargingProfile"] = not_supported
        assert (await install(depot, station, profile()))[0] == "NotSupported"


@case("TC_K_19_CSMS")
async def test_a_recurring_profile(depot: Depot) -> None:
    async with depot.station() as station:
        status, told = await install(depot, station, profile(kind="Recurring", recurrencyKind="Daily"))
        assert (status, told["chargingProfile"]["recurrencyKind"]) == ("Accepted", "Daily")


@case("TC_K_60_CSMS")
async def test_a_tx_profile_names_the_transaction_that_runs(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        status, told = await install(depot, station, profile(purpose="TxProfile", kind="Relative", level=7))
        assert (status, told["chargingProfile"]["transactionId"]) == ("Accepted", running.name)


@case("TC_K_70_CSMS")
async def test_several_profiles(depot: Depot) -> None:
    async with depot.station() as station:
        await station.session()
        assert (await install(depot, station, profile(101)))[0] == "Accepted"
        assert (await install(depot, station, profile(102, "ChargingStationMaxProfile"), evse=0))[0] == "Accepted"
        shown = await depot.get("/charging-profiles", station_id=station.id)
        assert {101, 102} <= {p["profile_id"] for p in shown["profiles"]}


@case("TC_K_37_CSMS")
async def test_a_remote_start_with_a_profile(depot: Depot) -> None:
    async with depot.station() as station:
        asked = {
            "evseId": 1, "idToken": {"idToken": "VALID", "type": "Central"}, "remoteStartId": 7,
            "chargingProfile": profile(purpose="TxProfile", kind="Relative"),
        }  # fmt: skip
        assert await depot.call(station, "RequestStartTransaction", **asked) == {"status": "Accepted"}
        (told,) = station.calls("RequestStartTransaction")
        assert "transactionId" not in told["chargingProfile"]
        running = station.transaction()
        said = await running.started("RemoteStart", token="VALID", remoteStartId=7, chargingState="EVConnected", wh=0)
        assert said["idTokenInfo"]["status"] == "Accepted"


# -- K10: clearing ----------------------------------------------------------------------------------------------------


@case("TC_K_05_CSMS")
async def test_a_profile_is_cleared_by_its_id(depot: Depot) -> None:
    async with depot.station() as station:
        await install(depot, station, profile(102, "ChargingStationMaxProfile"), evse=0)
        assert (await depot.delete(f"/charging-profiles?station_id={station.id}&profile_id=102"))["payload"] == {"status": "Accepted"}
        assert station.calls("ClearChargingProfile") == [{"chargingProfileId": 102}]
        shown = await depot.get("/charging-profiles", station_id=station.id)
        assert 102 not in {p["profile_id"] for p in shown["profiles"]}


@case("TC_K_06_CSMS")
async def test_a_profile_is_cleared_by_level_and_purpose(depot: Depot) -> None:
    async with depot.station() as station:
        await install(depot, station, profile(level=3))
        await depot.delete(f"/charging-profiles?station_id={station.id}&stack_level=3&purpose=TxDefaultProfile")
        wanted = {"chargingProfileCriteria": {"stackLevel": 3, "chargingProfilePurpose": "TxDefaultProfile"}}
        assert station.calls("ClearChargingProfile") == [wanted]


@case("TC_K_08_CSMS")
async def test_a_profile_that_is_not_there_is_cleared(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["ClearChargingProfile"] = {"status": "Unknown"}
        answer = await depot.delete(f"/charging-profiles?station_id={station.id}&connector=1&stack_level=3&purpose=TxDefaultProfile")
        assert answer["payload"] == {"status": "Unknown"}
        wanted = {"evseId": 1, "stackLevel": 3, "chargingProfilePurpose": "TxDefaultProfile"}
        assert station.calls("ClearChargingProfile") == [{"chargingProfileCriteria": wanted}]


# -- K09: what a station reports --------------------------------------------------------------------------------------


async def reported(depot: Depot, station: Station, query: str, *, source: str = "CSO", parts: int = 1) -> tuple[Payload, Payload]:
    """Ask for a report of so many parts: what the station was asked, and what the API shows."""
    sent: list[asyncio.Task[Payload]] = []

    async def say(request_id: int) -> Payload:
        for part in range(1, parts + 1):
            more = {"tbc": True} if part < parts else {}
            await station.say(
                "ReportChargingProfiles", requestId=request_id, chargingLimitSource=source, evseId=1, chargingProfile=[profile(100 + part)],
                **more,
            )  # fmt: skip
        return {}

    def accept(asked: Payload) -> Payload:
        sent.append(asyncio.create_task(say(asked["requestId"])))
        return {"status": "Accepted"}

    station.answers["GetChargingProfiles"] = accept
    shown = await depot.request("GET", f"/charging-profiles/report?station_id={station.id}&{query}")
    (asked,) = [call for call in station.calls("GetChargingProfiles") if call["requestId"]][-1:]
    assert shown["complete"]
    assert [found["profile"]["id"] for found in shown["profiles"]] == list(range(101, 101 + parts))
    return asked, shown


@case("TC_K_29_CSMS")
async def test_a_report_of_the_whole_station(depot: Depot) -> None:
    async with depot.station() as station:
        asked, _ = await reported(depot, station, "evse=0&purpose=TxDefaultProfile")
        assert (asked["evseId"], asked["chargingProfile"]) == (0, {"chargingProfilePurpose": "TxDefaultProfile"})


@case("TC_K_30_CSMS")
async def test_a_report_of_an_evse_in_parts(depot: Depot) -> None:
    async with depot.station() as station:
        asked, shown = await reported(depot, station, "evse=1&purpose=TxDefaultProfile", parts=3)
        assert (asked["evseId"], asked["chargingProfile"]) == (1, {"chargingProfilePurpose": "TxDefaultProfile"})
        assert [found["source"] for found in shown["profiles"]] == ["CSO"] * 3


@case("TC_K_31_CSMS")
async def test_a_report_of_every_place(depot: Depot) -> None:
    async with depot.station() as station:
        asked, _ = await reported(depot, station, "purpose=TxDefaultProfile")
        assert "evseId" not in asked


@case("TC_K_32_CSMS")
async def test_a_report_by_ids(depot: Depot) -> None:
    async with depot.station() as station:
        asked, _ = await reported(depot, station, "profile_id=101&profile_id=102")
        assert asked["chargingProfile"] == {"chargingProfileId": [101, 102]}


@case("TC_K_33_CSMS")
async def test_a_report_by_stack_level(depot: Depot) -> None:
    async with depot.station() as station:
        asked, _ = await reported(depot, station, "evse=1&stack_level=0")
        assert (asked["evseId"], asked["chargingProfile"]) == (1, {"stackLevel": 0})


@case("TC_K_34_CSMS")
async def test_a_report_by_source(depot: Depot) -> None:
    async with depot.station() as station:
        asked, shown = await reported(depot, station, "evse=1&limit_source=EMS", source="EMS")
        assert asked["chargingProfile"] == {"chargingLimitSource": ["EMS"]}
        assert shown["profiles"][0]["source"] == "EMS"


@case("TC_K_35_CSMS")
async def test_a_report_by_purpose(depot: Depot) -> None:
    async with depot.station() as station:
        asked, _ = await reported(depot, station, "evse=1&purpose=ChargingStationMaxProfile")
        assert asked["chargingProfile"] == {"chargingProfilePurpose": "ChargingStationMaxProfile"}


@case("TC_K_36_CSMS")
async def test_a_report_by_purpose_and_stack_level(depot: Depot) -> None:
    async with depot.station() as station:
        asked, _ = await reported(depot, station, "evse=1&purpose=TxDefaultProfile&stack_level=2")
        assert asked["chargingProfile"] == {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 2}


# -- K08: composite schedules -----------------------------------------------------------------------------------------


@case("TC_K_43_CSMS")
async def test_the_composite_schedule_of_an_evse(depot: Depot) -> None:
    async with depot.station() as station:
        shown = await depot.get("/charging-profiles/composite", station_id=station.id, connector=1, duration_s=300)
        assert shown["theirs"] == [{"start_s": 0.0, "limit": 16.0, "phases": None}]
        assert {"evseId": 1, "duration": 300} in station.calls("GetCompositeSchedule")


@case("TC_K_44_CSMS")
async def test_the_composite_schedule_of_the_station(depot: Depot) -> None:
    async with depot.station() as station:
        await install(depot, station, profile(102, "ChargingStationMaxProfile", limit=9_000.0), evse=0)
        shown = await depot.get("/charging-profiles/composite", station_id=station.id, connector=0, duration_s=300)
        assert {"evseId": 0, "duration": 300} in station.calls("GetCompositeSchedule")
        assert (shown["unit"], shown["agrees"]) == ("A", None)
        assert shown["ours"][0]["limit"] == pytest.approx(9_000 / 690, abs=0.1)


# -- K12, K13: what others limit --------------------------------------------------------------------------------------


def external(limit: float = 6_000.0) -> Payload:
    schedule = {"id": 9, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {"evseId": 1, "chargingLimit": {"chargingLimitSource": "EMS", "isGridCritical": True}, "chargingSchedule": [schedule]}


@case("TC_K_48_CSMS")
async def test_an_external_limit_is_kept_and_shown(depot: Depot) -> None:
    async with depot.station() as station:
        assert await station.say("NotifyChargingLimit", chargingLimit={"chargingLimitSource": "EMS", "isGridCritical": False}) == {}
        assert await station.say("NotifyChargingLimit", **external()) == {}
        (whole, evse) = (await depot.get("/external-limits", station_id=station.id))["limits"]
        assert (whole["evse"], whole["level_w"], whole["counts"]) == (0, None, False)
        assert (evse["source"], evse["level_w"], evse["critical"], evse["counts"]) == ("EMS", 6_000, True, True)


@case("TC_K_50_CSMS")
async def test_an_external_limit_is_released(depot: Depot) -> None:
    async with depot.station() as station:
        assert await station.say("ClearedChargingLimit", chargingLimitSource="EMS") == {}
        await station.say("NotifyChargingLimit", **external())
        assert await station.say("ClearedChargingLimit", chargingLimitSource="EMS") == {}
        assert (await depot.get("/external-limits", station_id=station.id))["limits"] == []


@case("TC_K_51_CSMS")
async def test_an_external_limit_of_a_running_transaction_lowers_its_level_until_it_is_released(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await station.say("NotifyChargingLimit", **external())
        told = await station.told("SetChargingProfile", where=lambda said: said["chargingProfile"].get("transactionId") == running.name)
        await depot.shows(f"/chargers/{station.id}/1", lambda c: any(r["title"] == "External limit" for r in c["chain"]))
        assert told["evseId"] == 1
        assert await station.say("ClearedChargingLimit", chargingLimitSource="EMS", evseId=1) == {}
        assert await running.updated("ChargingRateChanged", chargingState="Charging") == {}


@case("TC_K_52_CSMS")
async def test_an_external_constraint_is_reported_and_kept_by_its_source(depot: Depot) -> None:
    async with depot.station() as station:
        constraint = profile(-3, "ChargingStationExternalConstraints", limit=5_000.0)
        part = {"chargingLimitSource": "EMS", "evseId": 1, "chargingProfile": [constraint]}
        station.answers["GetChargingProfiles"] = {"status": "Accepted"}
        asking = asyncio.create_task(depot.get("/charging-profiles/report", station_id=station.id, limit_source="EMS"))
        asked = await station.told("GetChargingProfiles", where=lambda said: "chargingLimitSource" in said["chargingProfile"])
        assert await station.say("ReportChargingProfiles", requestId=asked["requestId"], **part) == {}
        assert (await asking)["profiles"][0]["profile"]["chargingProfilePurpose"] == "ChargingStationExternalConstraints"
        shown = await depot.get("/charging-profiles", station_id=station.id)
        assert [(p["source"], p["limit"]) for p in shown["profiles"] if p["profile_id"] == -3] == [("EMS", 5_000.0)]


# -- K15 to K17: vehicles that speak ISO 15118 --------------------------------------------------------------------------


def needs(**more: Any) -> Payload:
    return {"evseId": 1, "maxScheduleTuples": 10, "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase", **more}}


def of(running: Transaction) -> Any:
    """Profiles of a transaction with an outlook: those that a vehicle's needs brought about."""

    def wanted(said: Payload) -> bool:
        return bool(said["chargingProfile"].get("transactionId") == running.name and len(held(said)["chargingSchedulePeriod"]) > 1)

    return wanted


@asynccontextmanager
async def vehicle(depot: Depot) -> AsyncIterator[tuple[Station, Transaction]]:
    """A station with a transaction that is authorised and does not charge yet."""
    async with depot.station() as station:
        running = station.transaction()
        await station.status("Occupied")
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        assert (await running.updated("Authorized", token="VALID", chargingState="EVConnected"))["idTokenInfo"]["status"] == "Accepted"
        yield station, running


async def agree(station: Station, running: Transaction, *, times: int = 1) -> Payload:
    """The vehicle says what it needs, gets a profile, and means to follow it: the profile."""
    assert (await station.say("NotifyEVChargingNeeds", **needs()))["status"] == "Accepted"
    told = await station.told("SetChargingProfile", times=times, where=of(running))
    assert (told["evseId"], told["chargingProfile"]["chargingProfilePurpose"]) == (1, "TxProfile")
    assert await follow(station, held(told)) == "Accepted"
    return told


async def follow(station: Station, schedule: Payload, *, times: float = 1.0) -> str:
    """The station's word on a vehicle's schedule: what it was given, multiplied."""
    kept = {key: schedule[key] for key in ("id", "startSchedule", "duration", "chargingRateUnit") if key in schedule}
    periods = [{**period, "limit": period["limit"] * times} for period in schedule["chargingSchedulePeriod"]]
    said = await station.say(
        "NotifyEVChargingSchedule", timeBase=now(), evseId=1, chargingSchedule={**kept, "chargingSchedulePeriod": periods}
    )
    status: str = said["status"]
    return status


@case("TC_K_53_CSMS")
async def test_needs_are_answered_by_a_profile_and_by_no_second_one_without_a_cause(depot: Depot) -> None:
    async with vehicle(depot) as (station, running):
        await agree(station, running)
        await running.updated("ChargingStateChanged", chargingState="Charging")
        (row,) = (await depot.get("/charging-needs", station_id=station.id))["vehicles"]
        assert (row["mode"], row["schedule_ok"], row["exceeds"]) == ("AC_three_phase", True, "")
        count = len([said for said in station.calls("SetChargingProfile") if of(running)(said)])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await station.told("SetChargingProfile", times=count + 1, where=of(running))


@case("TC_K_55_CSMS")
async def test_a_schedule_beyond_the_limits_is_refused_and_renegotiated(depot: Depot) -> None:
    async with vehicle(depot) as (station, running):
        assert (await station.say("NotifyEVChargingNeeds", **needs()))["status"] == "Accepted"
        told = await station.told("SetChargingProfile", where=of(running))
        assert await follow(station, held(told), times=2.0) == "Rejected"
        await running.updated("ChargingStateChanged", chargingState="Charging")
        again = await station.told("SetChargingProfile", times=2, where=of(running))
        assert again["chargingProfile"]["transactionId"] == running.name
        assert await follow(station, held(again)) == "Accepted"
        assert await running.updated("ChargingRateChanged", chargingState="Charging") == {}


@case("TC_K_57_CSMS")
async def test_the_vehicle_renegotiates(depot: Depot) -> None:
    async with vehicle(depot) as (station, running):
        await agree(station, running)
        await running.updated("ChargingStateChanged", chargingState="Charging")
        await agree(station, running, times=2)


@case("TC_K_58_CSMS")
async def test_the_central_system_renegotiates(depot: Depot) -> None:
    async with vehicle(depot) as (station, running):
        await agree(station, running)
        await running.updated("ChargingStateChanged", chargingState="Charging")
        status, told = await install(depot, station, profile(purpose="TxProfile", kind="Relative", level=7, limit=5_000.0))
        assert (status, told["chargingProfile"]["transactionId"]) == ("Accepted", running.name)
        assert await follow(station, held(told)) == "Accepted"


@case("TC_K_59_CSMS")
async def test_the_central_system_renegotiates_and_the_vehicle_says_what_it_needs(depot: Depot) -> None:
    async with vehicle(depot) as (station, running):
        await agree(station, running)
        await running.updated("ChargingStateChanged", chargingState="Charging")
        assert (await install(depot, station, profile(purpose="TxProfile", kind="Relative", level=1, limit=5_000.0)))[0] == "Accepted"
        await agree(station, running, times=2)


async def test_a_vehicle_that_says_how_much_and_until_when_has_a_stay(depot: Depot) -> None:
    """The plan knows it from then on; the profile carries prices and ends no later than it leaves."""
    async with vehicle(depot) as (station, running):
        leaves = (datetime.now(UTC) + timedelta(hours=5)).isoformat(timespec="seconds").replace("+00:00", "Z")
        ac = {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400}
        assert (await station.say("NotifyEVChargingNeeds", **needs(departureTime=leaves, acChargingParameters=ac)))["status"] == "Accepted"
        told = await station.told("SetChargingProfile", where=of(running))
        assert held(told)["duration"] <= 5 * 3600 + 15
        assert held(told)["salesTariff"]["salesTariffEntry"]
        (row,) = (await depot.get("/charging-needs", station_id=station.id))["vehicles"]
        assert (row["own_stay"], row["energy_wh"], row["max_w"]) == (True, 20_000, 16 * 3 * 230)


# -- what 2.1 adds ------------------------------------------------------------------------------------------------------


@case("TC_K_100_CSMS")
async def test_a_profile_that_ends_some_time_after_the_connection(depot: Depot) -> None:
    async with depot.station() as station:
        status, told = await install(depot, station, profile(maxOfflineDuration=600, invalidAfterOfflineDuration=True))
        assert status == "Accepted"
        assert (told["chargingProfile"]["maxOfflineDuration"], told["chargingProfile"]["invalidAfterOfflineDuration"]) == (600, True)


@case("TC_K_101_CSMS")
async def test_a_profile_with_another_operation_mode(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        mode = {"operationMode": "CentralSetpoint", "setpoint": 5_000.0}
        asked = profile(purpose="TxProfile", kind="Relative", level=7, period=mode)
        status, told = await install(depot, station, asked)
        assert (status, told["chargingProfile"]["transactionId"]) == ("Accepted", running.name)
        assert held(told)["chargingSchedulePeriod"][0]["operationMode"] == "CentralSetpoint"
        assert await running.updated("OperationModeChanged", chargingState="Charging", operationMode="CentralSetpoint") == {}


@case("TC_K_102_CSMS")
async def test_a_profile_with_a_limit_beyond_a_state_of_charge(depot: Depot) -> None:
    async with depot.station() as station:
        await station.session()
        asked = profile(purpose="TxProfile", kind="Relative", level=7, schedule={"limitAtSoC": {"soc": 80, "limit": 3_000.0}})
        status, told = await install(depot, station, asked)
        assert (status, held(told)["limitAtSoC"]) == ("Accepted", {"soc": 80, "limit": 3_000.0})
        shown = await depot.get("/charging-profiles/composite", station_id=station.id, connector=1)
        assert (shown["agrees"], shown["text"]) == (None, "a limit that depends on the state of charge")


@case("TC_K_104_CSMS")
async def test_a_profile_for_priority_charging(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await install(depot, station, profile(purpose="PriorityCharging", kind="Relative", limit=20_000.0)))[0] == "Accepted"
        shown = await depot.get(f"/stations/{station.id}")
        assert shown is not None


@case("TC_K_106_CSMS")
async def test_a_profile_that_begins_after_a_random_time(depot: Depot) -> None:
    async with depot.station() as station:
        status, told = await install(depot, station, profile(schedule={"randomizedDelay": 120}))
        assert (status, held(told)["randomizedDelay"]) == ("Accepted", 120)


@case("TC_K_113_CSMS")
async def test_the_central_system_renegotiates_with_a_vehicle_of_iso_15118_20(depot: Depot) -> None:
    async with vehicle(depot) as (station, running):
        said = await station.say("NotifyEVChargingNeeds", **needs(controlMode="ScheduledControl", mobilityNeedsMode="EVCC"))
        assert said["status"] == "Accepted"
        told = await station.told("SetChargingProfile", where=of(running))
        assert held(told)["absolutePriceSchedule"]["priceRuleStacks"]
        assert await follow(station, held(told)) == "Accepted"
        status, again = await install(depot, station, profile(purpose="TxProfile", kind="Relative", level=7, limit=5_000.0))
        assert (status, await follow(station, held(again))) == ("Accepted", "Accepted")


@case("TC_K_114_CSMS")
async def test_the_vehicle_renegotiates_v2x(depot: Depot) -> None:
    async with vehicle(depot) as (station, running):
        v2x = {"maxChargePower": 11_000, "minChargePower": 1_400, "maxDischargePower": 11_000, "evTargetEnergyRequest": 20_000}
        for times, energy in ((1, 20_000), (2, 8_000)):
            asked = needs(v2xChargingParameters={**v2x, "evTargetEnergyRequest": energy}, controlMode="ScheduledControl")
            assert (await station.say("NotifyEVChargingNeeds", **asked))["status"] == "Accepted"
            told = await station.told("SetChargingProfile", times=times, where=of(running))
            assert await follow(station, held(told)) == "Accepted"
        (row,) = (await depot.get("/charging-needs", station_id=station.id))["vehicles"]
        assert (row["energy_wh"], row["discharge_max_w"], row["control"]) == (8_000, 11_000, "ScheduledControl")


@case("TC_K_118_CSMS")
async def test_priority_charging_is_asked_for(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        assert (await install(depot, station, profile(purpose="PriorityCharging", kind="Relative", limit=20_000.0)))[0] == "Accepted"
        asked = {"transactionId": running.name, "activate": True}
        assert await depot.call(station, "UsePriorityCharging", **asked) == {"status": "Accepted"}
        assert station.calls("UsePriorityCharging") == [asked]
        assert await station.say("NotifyPriorityCharging", transactionId=running.name, activated=True) == {}


@case("TC_K_121_CSMS")
async def test_a_dynamic_profile_is_pulled(depot: Depot) -> None:
    async with depot.station() as station:
        await station.session()
        asked = profile(purpose="TxProfile", kind="Dynamic", level=7, limit=6_000.0, dynUpdateInterval=5)
        del asked["chargingSchedule"][0]["duration"]
        assert (await install(depot, station, asked))[0] == "Accepted"
        said = await station.say("PullDynamicScheduleUpdate", chargingProfileId=101)
        assert (said["status"], said["scheduleUpdate"]["limit"]) == ("Accepted", 6_000.0)
        update = {"chargingProfileId": 101, "scheduleUpdate": {"limit": 4_500.0}}
        assert await depot.call(station, "UpdateDynamicSchedule", **update) == {"status": "Accepted"}
        said = await station.say("PullDynamicScheduleUpdate", chargingProfileId=101)
        assert (said["status"], said["scheduleUpdate"]["limit"]) == ("Accepted", 4_500.0)
        shown = await depot.get("/charging-profiles", station_id=station.id)
        assert [p["limit"] for p in shown["profiles"] if p["profile_id"] == 101] == [4_500.0]
