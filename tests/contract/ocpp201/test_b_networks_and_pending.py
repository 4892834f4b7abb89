"""Block B, as far as it is about who is let in and where stations connect to: pending stations, network profiles."""

from __future__ import annotations

import pytest
from ocpp.exceptions import SecurityError
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio

INTERVAL = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


async def _accept(depot: Depot, station: Station) -> None:
    """A person accepts the station: it is asked to boot again, and is told so."""
    station.answers["TriggerMessage"] = {"status": "Accepted"}
    await depot.request("PATCH", f"/stations/{station.id}", json={"registration": "accepted", "reason": "case"})
    assert (await station.told("TriggerMessage"))["requestedMessage"] == "BootNotification"
    assert (await station.boot("Triggered"))["status"] == "Accepted"
    await station.status("Available")
    assert (await depot.connector(station))["status"] == "Available"


@case("TC_B_02_CSMS")
async def test_cold_boot_pending(depot: Depot) -> None:
    name, password = await depot.new(registration="pending")
    async with depot.connected(name, password) as station:
        assert (await station.boot())["status"] == "Pending"
        station.variables["OCPPCommCtrlr.HeartbeatInterval"] = "300"
        said = await depot.call(station, "SetVariables", setVariableData=[{**INTERVAL, "attributeValue": "600"}])
        assert said["setVariableResult"][0]["attributeStatus"] == "Accepted"
        said = await depot.call(station, "GetVariables", getVariableData=[INTERVAL])
        assert said["getVariableResult"][0]["attributeValue"] == "600"
        assert await depot.call(station, "GetBaseReport", requestId=41, reportBase="FullInventory") == {"status": "Accepted"}
        row = {**INTERVAL, "variableAttribute": [{"type": "Actual", "value": "600"}]}
        assert await station.say("NotifyReport", requestId=41, generatedAt=now(), seqNo=0, reportData=[row]) == {}
        assert (await station.boot())["status"] == "Pending"
        await _accept(depot, station)


@case("TC_B_30_CSMS")
async def test_pending_station_says_what_it_may_not_say_yet(depot: Depot) -> None:
    name, password = await depot.new(registration="pending")
    async with depot.connected(name, password) as station:
        assert (await station.boot())["status"] == "Pending"
        with pytest.raises(SecurityError):
            await station.status("Available")
        with pytest.raises(SecurityError):
            await station.authorize()
        assert (await depot.connector(station))["status"] != "Available"
        await _accept(depot, station)


@case("TC_B_31_CSMS")
async def test_pending_station_is_triggered(depot: Depot) -> None:
    name, password = await depot.new(registration="pending")
    async with depot.connected(name, password) as station:
        assert (await station.boot())["status"] == "Pending"
        station.answers["TriggerMessage"] = {"status": "Accepted"}
        evse = {"id": 1, "connectorId": 1}
        assert await depot.call(station, "TriggerMessage", requestedMessage="StatusNotification", evse=evse) == {"status": "Accepted"}
        assert await station.status("Available") == {}
        station.heard.clear()
        await _accept(depot, station)


# -- network profiles --------------------------------------------------------------------------------------------------


def _here(depot: Depot) -> str:
    return f"ws://127.0.0.1:{depot.settings.ocpp_port}/ocpp"


async def _set(depot: Depot, station: Station, **more: object) -> Payload:
    body = {"url": _here(depot), "security_profile": 1, "message_timeout_s": 30, "interface": "Wired0", "reason": "case", **more}
    done: Payload = await depot.put(f"/network-profiles/{station.id}/1", body)
    return done


@case("TC_B_42_CSMS")
async def test_network_profile_accepted(depot: Depot) -> None:
    async with depot.station() as station:
        assert (await _set(depot, station))["answer"]["state"] == "Accepted"
        told = await station.told("SetNetworkProfile")
        data = told["connectionData"]
        assert (told["configurationSlot"], data["ocppCsmsUrl"], data["ocppTransport"]) == (1, _here(depot), "JSON")
        assert (data["ocppInterface"], data["securityProfile"], data["messageTimeout"]) == ("Wired0", 1, 30)
        shown = await depot.get(f"/network-profiles/{station.id}")
        assert [(slot["slot"], slot["leads_here"]) for slot in shown["slots"]] == [(1, True)]


@case("TC_B_44_CSMS")
async def test_network_profile_failed(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["SetNetworkProfile"] = {"status": "Failed"}
        done = await _set(depot, station)
        assert (done["status"], done["answer"]["state"]) == ("failed", "Failed")
        assert (await depot.get(f"/network-profiles/{station.id}"))["slots"] == []


@case("TC_B_100_CSMS")
async def test_network_profile_with_identity_and_password(depot: Depot) -> None:
    async with depot.station() as station:
        done = await _set(depot, station, identity=station.id, password="a-new-password-of-20")
        assert done["answer"]["state"] == "Accepted"
        data = (await station.told("SetNetworkProfile"))["connectionData"]
        assert (data["identity"], data["basicAuthPassword"]) == (station.id, "a-new-password-of-20")
        log = await depot.get("/messages", station_id=station.id, action="SetNetworkProfile")
        assert "a-new-password-of-20" not in str(log)


@case("TC_B_105_CSMS")
async def test_network_configuration_by_variables(depot: Depot) -> None:
    async with depot.station() as station:
        wanted = {"OcppCsmsUrl": _here(depot), "SecurityProfile": "1", "OcppInterface": "Wired0", "MessageTimeout": "30"}
        component = {"name": "NetworkConfiguration", "instance": "2"}
        rows = [{"component": component, "variable": {"name": name}, "attributeValue": value} for name, value in wanted.items()]
        said = await depot.call(station, "SetVariables", setVariableData=rows)
        assert [row["attributeStatus"] for row in said["setVariableResult"]] == ["Accepted"] * len(rows)
        assert station.calls("SetVariables")[-1]["setVariableData"] == rows
        rows[1]["attributeValue"] = "0"
        await depot.post(f"/stations/{station.id}/calls/SetVariables", {"setVariableData": rows}, expect=(409,))


async def test_the_order_of_slots_keeps_a_way_back(depot: Depot) -> None:
    """B10: the station tries the slots in this order from its next boot on."""
    async with depot.station() as station:
        path = f"/network-profiles/{station.id}"
        await depot.put(path, {"priority": [1]}, expect=(409,))
        await _set(depot, station)
        station.variables["OCPPCommCtrlr.NetworkConfigurationPriority"] = "0"
        assert (await depot.put(path, {"priority": [1, 0]}))["answer"]["state"] == "Accepted"
        assert station.variables["OCPPCommCtrlr.NetworkConfigurationPriority"] == "1,0"
        shown = await depot.get(path, refresh="true")
        assert (shown["priority"], shown["station_priority"]) == ([1, 0], [1, 0])
        await depot.put(f"{path}/2", {"url": _here(depot), "security_profile": 0}, expect=(409,))
        await depot.put(f"{path}/2", {"url": "wss://elsewhere.example/ocpp", "security_profile": 2}, expect=(409,))
