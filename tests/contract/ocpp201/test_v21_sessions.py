"""OCPP 2.1: resets that resume, transactions with limits, resumed transactions, periodic event streams (blocks B, E, N)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from octt.station import now

from ocpp201.cases import case
from ocpp201.depot import Depot
from ocpp201.station import Station

pytestmark = pytest.mark.anyio


async def resumed(depot: Depot, *, running: bool) -> None:
    """ImmediateAndResume: the station boots, and its transaction goes on."""
    async with depot.station() as station:
        session = await station.session() if running else None
        assert await depot.call(station, "Reset", type="ImmediateAndResume") == {"status": "Accepted"}
        assert station.calls("Reset") == [{"type": "ImmediateAndResume"}]
        before = (await depot.connector(station))["transaction_id"]
        await station.boot("RemoteReset")
        if session is not None:
            await session.updated("TxResumed", chargingState="Charging", wh=1500)
            assert (await depot.connector(station))["transaction_id"] == before is not None
            await session.ended("StopAuthorized", token="VALID", wh=2000)
        assert (await depot.connector(station))["transaction_id"] is None


@case("TC_B_103_CSMS")
async def test_a_reset_with_a_transaction_that_resumes(depot: Depot) -> None:
    await resumed(depot, running=True)


@case("TC_B_104_CSMS")
async def test_a_reset_to_resume_without_a_transaction(depot: Depot) -> None:
    await resumed(depot, running=False)


async def limited(depot: Depot, **limit: Any) -> None:
    """The station limits the transaction, reaches the limit and ends it."""
    async with depot.station() as station:
        session = await station.session()
        assert await session.updated("LimitSet", transactionLimit=limit) == {}
        reason = {"maxEnergy": "EnergyLimitReached", "maxTime": "TimeLimitReached", "maxCost": "LocalOutOfCredit"}[next(iter(limit))]
        why = {"maxEnergy": "EnergyLimitReached", "maxTime": "TimeLimitReached", "maxCost": "CostLimitReached"}[next(iter(limit))]
        await session.updated(why, chargingState="SuspendedEVSE", wh=3000)
        assert (await depot.connector(station))["transaction_id"] is not None
        await session.ended(why, stoppedReason=reason, chargingState="EVConnected", wh=3000)
        assert (await depot.connector(station))["transaction_id"] is None


@case("TC_E_106_CSMS")
async def test_the_station_limits_the_energy(depot: Depot) -> None:
    await limited(depot, maxEnergy=2000.0)


@case("TC_E_107_CSMS")
async def test_the_station_limits_the_time(depot: Depot) -> None:
    await limited(depot, maxTime=600)


@case("TC_E_108_CSMS")
async def test_the_station_works_out_costs_and_limits_them(depot: Depot) -> None:
    await limited(depot, maxCost=50.0)


@case("TC_E_113_CSMS")
async def test_a_transaction_goes_on_after_an_interruption(depot: Depot) -> None:
    station_id, password = await depot.new()
    async with depot.connected(station_id, password) as station:
        await depot.booted(station)
        session = await station.session()
        before = (await depot.connector(station))["transaction_id"]
    async with depot.connected(station_id, password) as station:
        session.station = station
        await station.boot("PowerUp")
        await station.status("Occupied")
        await session.updated("TxResumed", chargingState="Charging", wh=1600)
        assert (await depot.connector(station))["transaction_id"] == before is not None


@case("TC_N_107_CSMS")
async def test_event_streams_are_opened_told_adjusted_and_closed(depot: Depot) -> None:
    async with depot.station() as station:
        data = {"id": 5, "params": {"interval": 60, "values": 10}, "variableMonitoringId": 17}
        assert await station.say("OpenPeriodicEventStream", constantStreamData=data) == {"status": "Accepted"}
        station.answers["GetPeriodicEventStream"] = {"constantStreamData": [data]}
        assert await depot.call(station, "GetPeriodicEventStream") == {"constantStreamData": [data]}
        await sent(
            station, "NotifyPeriodicEventStream", id=5, pending=2, basetime=now(), data=[{"t": 0, "v": "49.9"}, {"t": 1, "v": "50.1"}]
        )
        view = await depot.shows(f"/event-streams?station_id={station.id}", lambda shown: shown["streams"][0]["heard"] == 2)
        assert [value["value"] for value in view["streams"][0]["values"]] == ["50.1", "49.9"]
        await depot.put(f"/event-streams/{station.id}/5", {"interval_s": 5})
        assert station.calls("AdjustPeriodicEventStream") == [{"id": 5, "params": {"interval": 5}}]
        view = await depot.get("/event-streams", station_id=station.id)
        assert (view["streams"][0]["interval_s"], view["streams"][0]["values_at_once"], view["streams"][0]["pending"]) == (5, 10, 2)
        assert await station.say("ClosePeriodicEventStream", id=5) == {}
        assert (await depot.get("/event-streams", station_id=station.id))["streams"] == []


@case("TC_N_105_CSMS")
async def test_a_frequent_periodic_monitor_is_told_as_a_stream(depot: Depot) -> None:
    async with depot.station() as station:
        wanted = {
            "value": 1.0, "type": "Periodic", "severity": 8, "transaction": False, "component": {"name": "Connector"},
            "variable": {"name": "Voltage"}, "periodicEventStream": {"interval": 10, "values": 10},
        }  # fmt: skip
        said = await depot.call(station, "SetVariableMonitoring", setMonitoringData=[wanted])
        assert said["setMonitoringResult"][0]["status"] == "Accepted"
        assert station.calls("SetVariableMonitoring") == [{"setMonitoringData": [wanted]}]
        number = said["setMonitoringResult"][0]["id"]
        data = {"id": 1, "params": {"interval": 10, "values": 10}, "variableMonitoringId": number}
        assert await station.say("OpenPeriodicEventStream", constantStreamData=data) == {"status": "Accepted"}
        await sent(station, "NotifyPeriodicEventStream", id=1, pending=0, basetime=now(), data=[{"t": 0.5, "v": "231"}])
        view = await depot.shows(f"/event-streams?station_id={station.id}", lambda shown: shown["streams"][0]["heard"] == 1)
        assert view["streams"][0]["monitor_id"] == number


async def sent(station: Station, action: str, **payload: Any) -> None:
    """A SEND, which the package does not know."""
    await station.connection.send(json.dumps([6, f"{action}-{now()}", action, payload]))
