"""Block B, provisioning: boot, variables, reports, reset. Network profiles and Pending are in a module of their own."""

from __future__ import annotations

from typing import Any

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station, name_of

pytestmark = pytest.mark.anyio

WAIT = {"component": "OCPPCommCtrlr", "variable": "OfflineThreshold"}
ON_WIRE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"}}


def several(count: int) -> list[dict[str, str]]:
    return [{"component": "OCPPCommCtrlr", "variable": f"Of{number}"} for number in range(count)]


def reported(value: str, *, component: str = "OCPPCommCtrlr", variable: str = "OfflineThreshold") -> Payload:
    return {
        "component": {"name": component}, "variable": {"name": variable}, "variableAttribute": [{"value": value}],
        "variableCharacteristics": {"dataType": "integer", "unit": "s", "supportsMonitoring": False},
    }  # fmt: skip


async def results(depot: Depot, station: Station, path: str, variables: list[dict[str, str]]) -> list[dict[str, Any]]:
    """What the API says of each variable."""
    done = await depot.post(path, {"station_id": station.id, "variables": variables})
    found: list[dict[str, Any]] = (done.get("answer") or done)["results"]
    return found


async def tell(station: Station, request_id: int, *parts: list[Payload]) -> None:
    for number, rows in enumerate(parts):
        more = number + 1 < len(parts)
        await station.say("NotifyReport", requestId=request_id, generatedAt=now(), seqNo=number, tbc=more, reportData=rows)


@case("TC_B_01_CSMS")
async def test_cold_boot(depot: Depot) -> None:
    async with depot.connected(*await depot.new()) as station:
        said = await station.boot()
        assert (said["status"], said["interval"] > 0) == ("Accepted", True)
        await station.status("Available")
        await station.notify("Connector", "AvailabilityState", "Available")
        assert (await station.say("Heartbeat"))["currentTime"].endswith("Z")
        assert (await depot.connector(station))["status"] == "Available"


@case("TC_B_06_CSMS")
async def test_get_a_variable(depot: Depot) -> None:
    async with depot.station() as station:
        station.variables["OCPPCommCtrlr.OfflineThreshold"] = "300"
        (found,) = await results(depot, station, "/variables/get", [WAIT])
        assert (found["status"], found["value"]) == ("Accepted", "300")
        assert station.calls("GetVariables")[-1] == {"getVariableData": [ON_WIRE]}
        shown = (await depot.get("/variables", station_id=station.id, text="OfflineThreshold"))["variables"]
        assert [row["actual"] for row in shown] == ["300"]


@case("TC_B_07_CSMS")
async def test_get_several_variables(depot: Depot) -> None:
    async with depot.station() as station:
        station.variables |= {"OCPPCommCtrlr.Of0": "0", "OCPPCommCtrlr.Of1": "1"}
        found = await results(depot, station, "/variables/get", several(3))
        assert [(one["status"], one["value"]) for one in found] == [("Accepted", "0"), ("Accepted", "1"), ("UnknownVariable", None)]
        assert len(station.calls("GetVariables")[-1]["getVariableData"]) == 3


@case("TC_B_08_CSMS")
async def test_no_more_variables_are_asked_for_than_the_station_takes(depot: Depot) -> None:
    async with depot.station() as station:
        station.heard.clear()
        assert len(await results(depot, station, "/variables/get", several(14))) == 14
        assert [len(asked["getVariableData"]) for asked in station.calls("GetVariables")] == [6, 6, 2]


@case("TC_B_09_CSMS")
async def test_set_a_variable(depot: Depot) -> None:
    async with depot.station() as station:
        (found,) = await results(depot, station, "/variables/set", [WAIT | {"value": "600"}])
        assert (found["status"], found["outcome"]) == ("Accepted", "result")
        assert station.calls("SetVariables")[-1] == {"setVariableData": [ON_WIRE | {"attributeValue": "600"}]}


@case("TC_B_10_CSMS")
async def test_set_several_variables_in_messages_that_the_station_takes(depot: Depot) -> None:
    async with depot.station() as station:
        station.heard.clear()
        found = await results(depot, station, "/variables/set", [one | {"value": "1"} for one in several(3)])
        assert [one["status"] for one in found] == ["Accepted"] * 3
        asked = [[name_of(one) for one in call["setVariableData"]] for call in station.calls("SetVariables")]
        assert asked == [["OCPPCommCtrlr.Of0", "OCPPCommCtrlr.Of1"], ["OCPPCommCtrlr.Of2"]]


async def _base_report(depot: Depot, base: str) -> None:
    async with depot.station() as station:
        done = await depot.post("/reports", {"station_id": station.id, "base": base, "reason": "case"})
        number = done["answer"]["report_id"]
        asked = await station.told("GetBaseReport", where=lambda payload: payload["reportBase"] == base)
        assert asked == {"requestId": number, "reportBase": base}
        await tell(station, number, [reported("300")], [reported("true", variable="Enabled")])
        found = await depot.shows(f"/reports/{number}", lambda shown: shown["report"]["state"] == "complete")
        assert [(row["variable"], row["actual"]) for row in found["variables"]] == [("OfflineThreshold", "300"), ("Enabled", "true")]


@case("TC_B_12_CSMS")
async def test_configuration_inventory(depot: Depot) -> None:
    await _base_report(depot, "ConfigurationInventory")


@case("TC_B_13_CSMS")
async def test_full_inventory(depot: Depot) -> None:
    await _base_report(depot, "FullInventory")


@case("TC_B_14_CSMS")
async def test_summary_inventory(depot: Depot) -> None:
    await _base_report(depot, "SummaryInventory")


@case("TC_B_18_CSMS")
async def test_custom_report(depot: Depot) -> None:
    async with depot.station() as station:
        body = {"station_id": station.id, "criteria": ["Problem"], "variables": [{"component": "EVSE", "evse": 1, "variable": "Problem"}]}
        number = (await depot.post("/reports", body))["answer"]["report_id"]
        assert station.calls("GetReport") == [
            {
                "requestId": number, "componentCriteria": ["Problem"],
                "componentVariable": [{"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Problem"}}],
            }
        ]  # fmt: skip
        await tell(station, number, [reported("true", component="EVSE", variable="Problem")])
        await depot.shows(f"/reports/{number}", lambda shown: shown["report"]["state"] == "complete")


async def _reset(depot: Depot, kind: str, *, evse: int | None = None, charging: bool = False, answer: str = "Accepted") -> None:
    """A reset is asked for; what runs ends, as far as the station is asked to end it."""
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await depot.booted(station)
        running = await station.session() if charging else None
        station.answers["Reset"] = {"status": answer}
        asked: Payload = {"type": kind} | ({} if evse is None else {"evseId": evse})
        assert await depot.call(station, "Reset", **asked) == {"status": answer}
        assert station.calls("Reset") == [asked]
        if running is not None:
            why, reason = ("ResetCommand", "ImmediateReset") if kind == "Immediate" else ("StopAuthorized", "Local")
            await running.ended(why, stoppedReason=reason, chargingState="EVConnected", wh=2000)
            assert (await depot.connector(station))["transaction_id"] is None
        if evse is not None:
            await station.status("Available", evse)
            assert (await depot.connector(station, evse))["status"] == "Available"
    if evse is None:
        async with depot.connected(name, password) as station:
            reason = "RemoteReset" if answer == "Accepted" else "ScheduledReset"
            assert (await station.boot(reason))["status"] == "Accepted"


@case("TC_B_20_CSMS")
async def test_reset_when_idle(depot: Depot) -> None:
    await _reset(depot, "OnIdle")


@case("TC_B_21_CSMS")
async def test_reset_when_idle_waits_for_the_transaction(depot: Depot) -> None:
    await _reset(depot, "OnIdle", charging=True, answer="Scheduled")


@case("TC_B_22_CSMS")
async def test_reset_at_once_ends_the_transaction(depot: Depot) -> None:
    await _reset(depot, "Immediate", charging=True)


@case("TC_B_25_CSMS")
async def test_reset_of_an_evse(depot: Depot) -> None:
    await _reset(depot, "OnIdle", evse=1)


@case("TC_B_26_CSMS")
async def test_reset_of_an_evse_when_idle(depot: Depot) -> None:
    await _reset(depot, "OnIdle", evse=1, charging=True, answer="Scheduled")


@case("TC_B_27_CSMS")
async def test_reset_of_an_evse_at_once(depot: Depot) -> None:
    await _reset(depot, "Immediate", evse=1, charging=True)


@case("TC_B_58_CSMS")
async def test_the_sub_protocol_is_agreed_on(depot: Depot) -> None:
    async with depot.connected(*await depot.new()) as station:
        assert station.connection.subprotocol == depot.protocol
        assert (await station.boot())["status"] == "Accepted"
