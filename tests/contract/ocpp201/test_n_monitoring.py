"""Block N, diagnostics: logs, monitors and their reports, events. Customer information is in a module of its own."""

from __future__ import annotations

from typing import Any

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio

POWER = {"component": "EVSE", "evse": 1, "variable": "Power"}
POWER_ON_WIRE = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}


# -- monitoring reports -------------------------------------------------------------------------------------------


async def _monitors_report(depot: Depot, asked: Payload, expected: Payload) -> None:
    async with depot.station() as station:
        done = await depot.post("/monitors/report", {"station_id": station.id, "reason": "case", **asked})
        number = done["answer"]["report_id"]
        assert station.calls("GetMonitoringReport")[-1] == {"requestId": number, **expected}
        monitor = {"id": 3, "transaction": False, "value": 7, "type": "Delta", "severity": 5}
        if depot.version == "2.1":
            monitor["eventNotificationType"] = "CustomMonitor"
        for seq_no in (0, 1):
            rows = [POWER_ON_WIRE | {"variableMonitoring": [monitor | {"id": 3 + seq_no}]}]
            await station.say("NotifyMonitoringReport", requestId=number, seqNo=seq_no, tbc=not seq_no, generatedAt=now(), monitor=rows)
        found = await depot.shows(f"/reports/{number}", lambda shown: shown["report"]["state"] == "complete")
        assert [row["monitor_id"] for row in found["monitors"]] == [3, 4]
        shown = (await depot.get("/monitors", station_id=station.id))["monitors"]
        assert [(row["monitor_id"], row["kind"], row["severity"]) for row in shown] == [(3, "Delta", 5), (4, "Delta", 5)]


@case("TC_N_01_CSMS")
async def test_monitors_by_criteria(depot: Depot) -> None:
    await _monitors_report(depot, {"criteria": ["DeltaMonitoring"]}, {"monitoringCriteria": ["DeltaMonitoring"]})


@case("TC_N_02_CSMS")
async def test_monitors_of_a_variable(depot: Depot) -> None:
    await _monitors_report(depot, {"variables": [POWER]}, {"componentVariable": [POWER_ON_WIRE]})


@case("TC_N_03_CSMS")
async def test_monitors_by_criteria_of_a_variable(depot: Depot) -> None:
    await _monitors_report(
        depot,
        {"criteria": ["ThresholdMonitoring"], "variables": [POWER]},
        {"monitoringCriteria": ["ThresholdMonitoring"], "componentVariable": [POWER_ON_WIRE]},
    )


@case("TC_N_60_CSMS")
async def test_monitors_by_criteria_of_several_variables(depot: Depot) -> None:
    other = {"component": {"name": "ChargingStation"}}
    await _monitors_report(
        depot,
        {"criteria": ["DeltaMonitoring"], "variables": [POWER, {"component": "ChargingStation"}]},
        {"monitoringCriteria": ["DeltaMonitoring"], "componentVariable": [POWER_ON_WIRE, other]},
    )


@case("TC_N_47_CSMS")
async def test_all_monitors(depot: Depot) -> None:
    await _monitors_report(depot, {}, {})


# -- monitors -----------------------------------------------------------------------------------------------------


@case("TC_N_05_CSMS")
async def test_monitoring_base(depot: Depot) -> None:
    async with depot.station() as station:
        for base in ("All", "FactoryDefault", "HardWiredOnly"):
            done = await depot.put("/monitors/base", {"station_id": station.id, "base": base})
            assert done["answer"]["status"] == "Accepted"
        assert [asked["monitoringBase"] for asked in station.calls("SetMonitoringBase")] == ["All", "FactoryDefault", "HardWiredOnly"]


async def _set(depot: Depot, station: Station, *monitors: Payload) -> list[dict[str, Any]]:
    done = await depot.post("/monitors", {"station_id": station.id, "monitors": list(monitors)})
    found: list[dict[str, Any]] = done["answer"]["results"]
    return found


@case("TC_N_08_CSMS")
async def test_set_a_monitor(depot: Depot) -> None:
    async with depot.station() as station:
        (found,) = await _set(depot, station, POWER | {"kind": "UpperThreshold", "value": 20000, "severity": 4})
        assert (found["status"], found["monitor_id"]) == ("Accepted", 1)
        expected = POWER_ON_WIRE | {"type": "UpperThreshold", "value": 20000.0, "severity": 4, "transaction": False}
        assert station.calls("SetVariableMonitoring") == [{"setMonitoringData": [expected]}]
        assert [row["monitor_id"] for row in (await depot.get("/monitors", station_id=station.id))["monitors"]] == [1]


@case("TC_N_09_CSMS")
async def test_set_monitors_of_different_variables(depot: Depot) -> None:
    async with depot.station() as station:
        other = {"component": "ChargingStation", "variable": "Temperature", "kind": "Delta", "value": 5, "severity": 6}
        found = await _set(depot, station, POWER | {"kind": "UpperThreshold", "value": 20000, "severity": 4}, other)
        assert [(one["status"], one["monitor_id"]) for one in found] == [("Accepted", 1), ("Accepted", 2)]


@case("TC_N_24_CSMS")
async def test_a_periodic_monitor_and_what_it_tells(depot: Depot) -> None:
    async with depot.station() as station:
        (found,) = await _set(depot, station, POWER | {"kind": "Periodic", "value": 30, "severity": 8})
        assert found["status"] == "Accepted"
        await _event(depot, station, "Periodic", "11000", origin="CustomMonitor", monitor=1)


@case("TC_N_16_CSMS")
async def test_monitoring_level(depot: Depot) -> None:
    async with depot.station() as station:
        done = await depot.put("/monitors/level", {"station_id": station.id, "severity": 4})
        assert done["answer"]["status"] == "Accepted"
        assert station.calls("SetMonitoringLevel") == [{"severity": 4}]


@case("TC_N_17_CSMS")
async def test_monitoring_level_out_of_range(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["SetMonitoringLevel"] = {"status": "Rejected"}
        assert await depot.call(station, "SetMonitoringLevel", severity=10) == {"status": "Rejected"}
        await depot.put("/monitors/level", {"station_id": station.id, "severity": 10}, expect=(422,))


@case("TC_N_18_CSMS")
async def test_no_more_monitors_are_cleared_at_once_than_the_station_takes(depot: Depot) -> None:
    async with depot.station() as station:
        station.variables["MonitoringCtrlr.ItemsPerMessage.ClearVariableMonitoring"] = "2"
        done = await depot.delete("/monitors", params={"station_id": station.id, "monitor_id": [1, 2, 3]})
        assert [one["status"] for one in done["answer"]["results"]] == ["Accepted"] * 3
        assert [asked["id"] for asked in station.calls("ClearVariableMonitoring")] == [[1, 2], [3]]


@case("TC_N_44_CSMS")
async def test_a_monitor_that_cannot_be_cleared(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["ClearVariableMonitoring"] = {"clearMonitoringResult": [{"id": 1, "status": "Rejected"}]}
        done = await depot.delete("/monitors", params={"station_id": station.id, "monitor_id": [1]})
        assert [one["status"] for one in done["answer"]["results"]] == ["Rejected"]


# -- events -------------------------------------------------------------------------------------------------------


async def _event(
    depot: Depot, station: Station, trigger: str, value: str, *, origin: str = "HardWiredMonitor", monitor: int | None = None, **more: Any
) -> None:
    """An event of the EVSE's power is told, answered and shown."""
    extra = more | ({} if monitor is None else {"variableMonitoringId": monitor})
    said = await station.notify("EVSE", "Power", value, connector=None, trigger=trigger, eventNotificationType=origin, **extra)
    assert said == {}
    found = (await depot.get("/events", station_id=station.id))["events"][0]
    assert (found["trigger"], found["value"], found["origin"], found["monitor_id"]) == (trigger, value, origin, monitor)
    assert found["cleared"] == more.get("cleared", False)


@case("TC_N_21_CSMS")
async def test_an_alert_of_a_hard_wired_monitor(depot: Depot) -> None:
    async with depot.station() as station:
        await _event(depot, station, "Alerting", "25000", monitor=9)
        shown = (await depot.get("/variables", station_id=station.id, component="EVSE"))["variables"]
        assert [row["actual"] for row in shown] == ["25000"]


@case("TC_N_48_CSMS")
async def test_an_alert_of_a_variable_that_can_only_be_written(depot: Depot) -> None:
    async with depot.station() as station:
        said = await station.notify(
            "SecurityCtrlr", "BasicAuthPassword", "", evse=None, trigger="Delta", eventNotificationType="CustomMonitor",
            variableMonitoringId=3,
        )  # fmt: skip
        assert said == {}
        assert [row["value"] for row in (await depot.get("/events", station_id=station.id))["events"]] == [""]


@case("TC_N_49_CSMS")
async def test_thresholds_are_over_after_a_reboot(depot: Depot) -> None:
    name, password = await depot.new()
    async with depot.connected(name, password) as station:
        await depot.booted(station)
        await _set(depot, station, POWER | {"kind": "UpperThreshold", "value": 20000, "severity": 2})
        await _event(depot, station, "Alerting", "25000", origin="CustomMonitor", monitor=1)
    async with depot.connected(name, password) as station:
        await depot.booted(station)
        await _event(depot, station, "Alerting", "0", origin="CustomMonitor", monitor=1, cleared=True, eventId=2)


@case("TC_N_50_CSMS")
async def test_a_periodic_event(depot: Depot) -> None:
    async with depot.station() as station:
        await _event(depot, station, "Periodic", "11000", origin="PreconfiguredMonitor", monitor=5)


# -- logs ---------------------------------------------------------------------------------------------------------


async def _log(depot: Depot, station: Station, kind: str, *, status: str = "Accepted") -> int:
    """A log is asked for; its request id."""
    station.answers["GetLog"] = {"status": status, "filename": "station.log"}
    asked = len(station.calls("GetLog"))
    told = await depot.post("/logs", {"station_id": station.id, "kind": kind, "reason": "case"})
    assert len(told["transfers"]) == 1
    payload = await station.told("GetLog", times=asked + 1)
    assert payload["logType"] == {"diagnostics": "DiagnosticsLog", "security": "SecurityLog"}[kind]
    assert payload["log"]["remoteLocation"].startswith("http://127.0.0.1:")
    number: int = payload["requestId"]
    return number


async def _uploaded(depot: Depot, station: Station, number: int, *statuses: str) -> None:
    for status in statuses:
        await station.say("LogStatusNotification", status=status, requestId=number)
        await depot.shows(f"/logs?station_id={station.id}", lambda shown, status=status: status in [one["state"] for one in shown["logs"]])  # type: ignore[misc]


@case("TC_N_25_CSMS")
async def test_diagnostics_log(depot: Depot) -> None:
    async with depot.station() as station:
        await _uploaded(depot, station, await _log(depot, station, "diagnostics"), "Uploading", "Uploaded")


@case("TC_N_35_CSMS")
async def test_security_log(depot: Depot) -> None:
    async with depot.station() as station:
        await _uploaded(depot, station, await _log(depot, station, "security"), "Uploading", "Uploaded")


@case("TC_N_34_CSMS")
async def test_a_log_is_refused(depot: Depot) -> None:
    async with depot.station() as station:
        await _log(depot, station, "diagnostics", status="Rejected")
        shown = await depot.get("/logs", station_id=station.id)
        assert [one["standing"] for one in shown["logs"]] == ["failed"]


@case("TC_N_36_CSMS")
async def test_a_second_log_cancels_the_first(depot: Depot) -> None:
    async with depot.station() as station:
        first = await _log(depot, station, "diagnostics")
        await _uploaded(depot, station, first, "Uploading")
        second = await _log(depot, station, "diagnostics", status="AcceptedCanceled")
        assert second != first
        await station.say("LogStatusNotification", status="AcceptedCanceled", requestId=first)
        await _uploaded(depot, station, second, "Uploading", "Uploaded")
