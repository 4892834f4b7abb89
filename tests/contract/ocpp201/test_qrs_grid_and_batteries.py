"""Blocks Q (energy both ways), R (DER control) and S (battery swap) of OCPP 2.1."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from octt.station import Payload, now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station, Transaction, id_token

pytestmark = pytest.mark.anyio

DROOP = {"priority": 0, "overFreq": 50.2, "underFreq": 49.8, "overDroop": 5.0, "underDroop": 5.0, "responseTime": 1.0}


def both_ways(number: int, running: Transaction, mode: str, *, kind: str = "Absolute", **period: Any) -> Payload:
    """A TxProfile of one period in an operation mode."""
    schedule: Payload = {
        "id": number, "duration": 300, "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "operationMode": mode, **period}],
    }  # fmt: skip
    if kind == "Absolute":
        schedule["startSchedule"] = now()
    return {
        "id": number, "stackLevel": 5, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": kind,
        "transactionId": running.name, "chargingSchedule": [schedule],
    }  # fmt: skip


async def needs(station: Station, transfer: str, available: list[str] | None = None) -> str:
    """What a vehicle asks for; the central system's word."""
    wanted: Payload = {
        "requestedEnergyTransfer": transfer,
        "v2xChargingParameters": {"maxChargePower": 11_000, "maxDischargePower": 11_000, "evTargetEnergyRequest": 20_000},
    }
    if available is not None:
        wanted["availableEnergyTransfer"] = available
    said = await station.say("NotifyEVChargingNeeds", evseId=1, chargingNeeds=wanted, timestamp=now())
    status: str = said["status"]
    return status


async def controlled(depot: Depot, station: Station, running: Transaction, profile: Payload) -> None:
    """A profile by hand, which the station gets as it was given."""
    asked = {"evseId": 1, "chargingProfile": profile}
    assert await depot.call(station, "SetChargingProfile", **asked) == {"status": "Accepted"}
    assert asked in station.calls("SetChargingProfile")
    mode = profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]["operationMode"]
    assert await running.updated("OperationModeChanged", operationMode=mode) == {}


# -- Q: energy both ways ----------------------------------------------------------------------------------------------


@case("TC_Q_102_CSMS")
async def test_modes_of_energy_transfer_are_allowed(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await needs(station, "DC_BPT", ["DC", "DC_BPT"])
        allowed = {"transactionId": running.name, "allowedEnergyTransfer": ["DC", "DC_BPT"]}
        assert await depot.call(station, "NotifyAllowedEnergyTransfer", **allowed) == {"status": "Accepted"}
        assert station.calls("NotifyAllowedEnergyTransfer") == [allowed]


@case("TC_Q_103_CSMS")
async def test_needs_that_are_rejected_end_no_session(depot: Depot) -> None:
    async with depot.station() as station:
        said = await station.say("NotifyEVChargingNeeds", evseId=1, chargingNeeds={"requestedEnergyTransfer": "AC_BPT"}, timestamp=now())
        assert said["status"] == "Rejected", "no transaction runs there"
        running = await station.session()
        await running.ended("EnergyLimitReached", stoppedReason="ReqEnergyTransferRejected", chargingState="EVConnected")
        assert (await depot.connector(station))["transaction_id"] is None


@case("TC_Q_107_CSMS")
async def test_charging_only_before_energy_goes_both_ways(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await controlled(depot, station, running, both_ways(201, running, "ChargingOnly", limit=5_000.0))
        allowed = {"transactionId": running.name, "allowedEnergyTransfer": ["DC_BPT"]}
        assert await depot.call(station, "NotifyAllowedEnergyTransfer", **allowed) == {"status": "Accepted"}
        await controlled(
            depot, station, running, both_ways(201, running, "CentralSetpoint", setpoint=-3_000.0, limit=5_000.0, dischargeLimit=-5_000.0)
        )


@case("TC_Q_108_CSMS")
async def test_central_control_by_a_schedule(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        made = both_ways(202, running, "CentralSetpoint", setpoint=4_000.0)
        made["chargingSchedule"][0]["chargingSchedulePeriod"].append(
            {"startPeriod": 120, "operationMode": "CentralSetpoint", "setpoint": -4_000.0}
        )
        await controlled(depot, station, running, made)


@case("TC_Q_109_CSMS")
async def test_central_control_by_a_setpoint_that_is_pushed(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        made = both_ways(203, running, "CentralSetpoint", kind="Dynamic", setpoint=4_000.0, limit=5_000.0)
        await controlled(depot, station, running, made)
        update = {"chargingProfileId": 203, "scheduleUpdate": {"setpoint": -4_000.0}}
        assert await depot.call(station, "UpdateDynamicSchedule", **update) == {"status": "Accepted"}
        assert station.calls("UpdateDynamicSchedule") == [update]


@case("TC_Q_110_CSMS")
async def test_central_control_by_a_setpoint_that_is_pulled(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        made = both_ways(204, running, "CentralSetpoint", kind="Dynamic", setpoint=4_000.0, limit=5_000.0)
        await controlled(depot, station, running, made | {"dynUpdateInterval": 60})
        said = await station.say("PullDynamicScheduleUpdate", chargingProfileId=204)
        assert said == {"status": "Accepted", "scheduleUpdate": {"setpoint": 4_000.0, "limit": 5_000.0}}
        await depot.call(station, "UpdateDynamicSchedule", chargingProfileId=204, scheduleUpdate={"setpoint": -2_000.0})
        said = await station.say("PullDynamicScheduleUpdate", chargingProfileId=204)
        assert said["scheduleUpdate"] == {"setpoint": -2_000.0, "limit": 5_000.0}
        assert (await station.say("PullDynamicScheduleUpdate", chargingProfileId=999))["status"] == "Rejected"


@case("TC_Q_111_CSMS")
async def test_external_control_by_a_setpoint(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await controlled(depot, station, running, both_ways(205, running, "ExternalSetpoint"))


@case("TC_Q_112_CSMS")
async def test_external_control_by_limits(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await controlled(depot, station, running, both_ways(206, running, "ExternalLimits", limit=5_000.0, dischargeLimit=-5_000.0))


@case("TC_Q_117_CSMS")
async def test_frequency_support_by_central_control(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        made = both_ways(207, running, "CentralFrequency", kind="Dynamic", setpoint=1_000.0)
        await controlled(depot, station, running, made)
        for setpoint in (-3_000.0, 2_000.0):
            update = {"chargingProfileId": 207, "scheduleUpdate": {"setpoint": setpoint}}
            assert await depot.call(station, "UpdateDynamicSchedule", **update) == {"status": "Accepted"}
        assert [said["scheduleUpdate"]["setpoint"] for said in station.calls("UpdateDynamicSchedule")] == [-3_000.0, 2_000.0]


@case("TC_Q_120_CSMS")
async def test_frequency_support_by_a_signal(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        curve = [{"signal": -10, "power": -5_000.0}, {"signal": 0, "power": 0.0}, {"signal": 10, "power": 5_000.0}]
        await controlled(depot, station, running, both_ways(208, running, "LocalFrequency", v2xBaseline=0.0, v2xSignalWattCurve=curve))
        signal = {"timestamp": now(), "signal": -4}
        assert await depot.call(station, "AFRRSignal", **signal) == {"status": "Accepted"}
        assert station.calls("AFRRSignal") == [signal]


@case("TC_Q_121_CSMS")
async def test_frequency_support_by_the_station_itself(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        curve = [{"frequency": 49.5, "power": -5_000.0}, {"frequency": 50.0, "power": 0.0}, {"frequency": 50.5, "power": 5_000.0}]
        await controlled(depot, station, running, both_ways(209, running, "LocalFrequency", v2xBaseline=0.0, v2xFreqWattCurve=curve))


@case("TC_Q_124_CSMS")
async def test_load_balancing_by_the_station_itself(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session()
        await controlled(depot, station, running, both_ways(210, running, "LocalLoadBalancing"))


# -- R: DER control ---------------------------------------------------------------------------------------------------


@case("TC_R_107_CSMS")
async def test_der_controls_are_set_read_and_cleared(depot: Depot) -> None:
    async with depot.station() as station:
        control = {"station_id": station.id, "control_type": "FreqDroop", "settings": DROOP, "because": "the grid operator's letter of May"}
        done = await depot.post("/der-controls", control | {"control_id": "droop"})
        assert done["answer"]["state"] == "Accepted"
        assert station.calls("SetDERControl") == [
            {"isDefault": False, "controlId": "droop", "controlType": "FreqDroop", "freqDroop": DROOP}
        ]
        (shown,) = (await depot.get("/der-controls", station_id=station.id))["stations"][0]["controls"]
        assert (shown["control_id"], shown["because"], shown["running"]) == ("droop", "the grid operator's letter of May", None)

        asked = (await depot.post("/der-controls/refresh", {"station_id": station.id}))["answer"]["request_id"]
        assert station.calls("GetDERControl") == [{"requestId": asked}]
        listed = {"id": "droop", "isDefault": False, "isSuperseded": False, "freqDroop": DROOP}
        own = {"id": "own", "enterService": {"priority": 1, "highVoltage": 253, "lowVoltage": 195, "highFreq": 50.2, "lowFreq": 49.5}}
        await station.say("ReportDERControl", requestId=asked, tbc=True, freqDroop=[listed])
        assert (await depot.get("/der-controls", station_id=station.id))["stations"][0]["awaited"]
        await station.say("ReportDERControl", requestId=asked, enterService=[own])
        view = (await depot.get("/der-controls", station_id=station.id))["stations"][0]
        assert ([c["control_id"] for c in view["controls"]], view["awaited"]) == (["droop", "own"], False)

        await depot.delete("/der-controls", params={"station_id": station.id, "control_id": "droop"})
        assert station.calls("ClearDERControl") == [{"isDefault": False, "controlId": "droop"}]
        view = (await depot.get("/der-controls", station_id=station.id))["stations"][0]
        assert [c["control_id"] for c in view["controls"]] == ["own"]


@case("TC_R_108_CSMS")
async def test_what_happens_to_the_grid_is_told(depot: Depot) -> None:
    async with depot.station() as station:
        control = {"station_id": station.id, "control_type": "FreqDroop", "settings": DROOP, "because": "frequency", "control_id": "f1"}
        await depot.post("/der-controls", control)
        assert await station.say("NotifyDERStartStop", controlId="f1", started=True, timestamp=now()) == {}
        alarm = {"controlType": "LFMustTrip", "gridEventFault": "UnderFrequency", "timestamp": now()}
        assert await station.say("NotifyDERAlarm", **alarm) == {}
        view = (await depot.get("/der-controls", station_id=station.id))["stations"][0]
        assert (view["controls"][0]["running"], view["active_alarms"]) == (True, 1)
        await station.say("NotifyDERAlarm", **alarm, alarmEnded=True)
        await station.say("NotifyDERStartStop", controlId="f1", started=False, timestamp=now())
        view = (await depot.get("/der-controls", station_id=station.id))["stations"][0]
        assert (view["controls"][0]["running"], view["active_alarms"], len(view["alarms"])) == (False, 0, 2)


# -- S: battery swap --------------------------------------------------------------------------------------------------


def battery(slot: int, serial: str, soc: float) -> Payload:
    return {"evseId": slot, "serialNumber": serial, "soC": soc, "soH": 95.0}


async def moved(station: Station, **payload: Any) -> None:
    """A BatterySwap as the norm spells it: the package makes other words of ``soC`` and ``soH``."""
    await station.connection.send(json.dumps([2, str(uuid.uuid4()), "BatterySwap", payload]))


@case("TC_S_102_CSMS")
async def test_a_station_without_enough_batteries(depot: Depot) -> None:
    async with depot.station() as station:
        station.answers["RequestBatterySwap"] = {"status": "Rejected", "statusInfo": {"reasonCode": "NoBatteryAvailable"}}
        done = await depot.post("/battery-swaps", {"station_id": station.id, "id_token": "VALID"})
        assert (done["status"], done["answer"]["state"], done["answer"]["note"]) == ("failed", "rejected", "NoBatteryAvailable")


@case("TC_S_103_CSMS")
async def test_a_swap(depot: Depot) -> None:
    async with depot.station() as station:
        done = await depot.post("/battery-swaps", {"station_id": station.id, "id_token": "VALID"})
        number = done["answer"]["request_id"]
        assert done["answer"]["state"] == "accepted"
        (told,) = station.calls("RequestBatterySwap")
        assert (told["requestId"], told["idToken"]["idToken"]) == (number, "VALID")
        who = {"requestId": number, "idToken": id_token("VALID")}
        await moved(station, eventType="BatteryIn", batteryData=[battery(1, "OLD", 11.0)], **who)
        await moved(station, eventType="BatteryOut", batteryData=[battery(2, "NEW", 97.0)], **who)
        view = await depot.shows(f"/battery-swaps?station_id={station.id}", lambda shown: len(shown["events"]) == 2)
        assert [(e["kind"], e["batteries"][0]["serial"], e["batteries"][0]["soc"]) for e in view["events"]] == [
            ("BatteryOut", "NEW", 0.97),
            ("BatteryIn", "OLD", 0.11),
        ]
        assert [b["serial"] for b in view["inside"][station.id]] == ["OLD"]
