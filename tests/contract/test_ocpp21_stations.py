"""OCPP 2.1 over real sockets, against the client side of the ``ocpp`` package: what 2.0.1 has, and what is new."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import test_ocpp201_stations as v201
from ocpp.v21 import call, call_result
from ocpp_fakes import CP1, FakeDepot, setpoint, setpoints, until
from test_ocpp201_stations import STAMP, TAG, dial, listening, soon

from depot.values import Outcome
from ocpp_server import Central

pytestmark = pytest.mark.anyio


class Station(v201.Station):
    """The same station in 2.1: the package's classes of that version, and its schemas."""

    _call, _call_result, _ocpp_version = call, call_result, "2.1"


@asynccontextmanager
async def station(central: Central, station_id: str = "CP1", *offered: str) -> AsyncIterator[Station]:
    async with dial(central, station_id, *offered or ("ocpp2.1",)) as connection:
        client = Station(station_id, connection)
        running = asyncio.create_task(client.start())
        try:
            yield client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_problem_16_the_newest_version_that_both_speak_is_chosen() -> None:
    async with listening(FakeDepot()) as central:
        for offered, chosen in (
            (("ocpp1.6", "ocpp2.0.1", "ocpp2.1"), "ocpp2.1"),
            (("ocpp2.1", "ocpp1.6"), "ocpp2.1"),
            (("ocpp1.6", "ocpp2.0.1"), "ocpp2.0.1"),
        ):
            async with dial(central, "CP1", *offered) as connection:
                assert connection.subprotocol == chosen
                await connection.send('[2,"1","Heartbeat",{}]')
                assert json.loads(await connection.recv())[:2] == [3, "1"]
                assert central.version("CP1") == chosen.removeprefix("ocpp")


async def test_a_session_from_boot_to_stop() -> None:
    depot = FakeDepot()
    async with listening(depot) as central, station(central) as client:
        assert (await client.boot()).status == "Accepted"
        await until(lambda: depot.readies)
        assert (depot.probes[0].rate_units, depot.probes[0].autonomous) == (("W", "A"), False)
        await client.call(call.StatusNotification(timestamp=STAMP, connector_status="Occupied", evse_id=1, connector_id=1))
        assert (await client.call(call.Authorize(id_token={**TAG, "type": "a-kind-of-its-own"}))).id_token_info["status"] == "Accepted"
        await client.event("Started", 0, why="CablePluggedIn", state="EVConnected", wh=1000)
        await client.event("Updated", 1, why="Authorized", state="Charging", id_token=TAG)
        assert await central.apply(setpoints(setpoint(11_000, until=soon()))) == [Outcome.ACCEPTED]
        assert client.profiles[-1][1]["transaction_id"] == "a-transaction"
        for seq_no, why in enumerate(("TxResumed", "LimitSet", "OperationModeChanged", "SoCLimitReached"), 2):  # new in 2.1
            await client.event("Updated", seq_no, why=why, state="Charging")
        assert central.violations("CP1") == {}
        assert await central.stop(CP1, 1) is Outcome.ACCEPTED
        assert client.stopped == ["a-transaction"]
        await client.event("Ended", 6, why="RemoteStop", state="EVConnected", wh=2000)
        assert [(s.transaction_id, s.meter_stop_wh) for s in depot.stops] == [(1, 2000)]


async def test_a_transaction_goes_on_when_the_station_comes_back_in_another_version() -> None:
    depot = FakeDepot()
    async with listening(depot) as central:
        async with v201.station(central) as client:
            await client.boot()
            await client.event("Started", 0, why="Authorized", state="Charging", wh=1000, id_token=TAG)
        async with station(central) as client:
            await client.boot()
            await client.event("Ended", 1, why="RemoteStop", state="EVConnected", wh=2000)
        assert [(s.transaction_id, s.meter_stop_wh) for s in depot.stops] == [(1, 2000)]
        assert list(depot.starts) == ["CP1|2.0.1|a-transaction"]


async def test_a_send_is_never_answered_whatever_is_in_it() -> None:
    async with listening(FakeDepot()) as central, dial(central, "CP1", "ocpp2.1") as connection:
        sends = (
            '[6,"a","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2026-03-01T12:00:00Z","data":[{"t":0,"v":"1"}]}]',
            '[6,"b","NotifyPeriodicEventStream",{}]',
            '[6,"c","BootNotification",{"chargingStation":{"model":"Two","vendorName":"Acme"},"reason":"PowerUp"}]',
            '[6,"d","Invented",{}]',
            '[6,"e"]',
            '[6,{},"NotifyPeriodicEventStream",{}]',
            '[6,"f","NotifyPeriodicEventStream",{',
        )
        for frame in sends:
            await connection.send(frame)
        await connection.send('[2,"z","Heartbeat",{}]')
        assert json.loads(await asyncio.wait_for(connection.recv(), 5))[:2] == [3, "z"], "the first word after all of them"
        counted = central.violations("CP1")
        assert counted["unusable_frame"] == 3
        await until(lambda: sum(n for name, n in central.violations("CP1").items() if name.startswith("refused_")) == 3)
        [stream] = central.streams("CP1")
        assert [value.value for value in stream.values] == ["1"]


@pytest.mark.parametrize(("version", "refused"), [("ocpp2.1", True), ("ocpp2.0.1", False)])
async def test_an_answer_that_breaks_the_schema_is_refused_in_2_1(version: str, refused: bool) -> None:
    depot = FakeDepot()
    async with listening(depot) as central, dial(central, "CP1", version) as connection:
        await connection.send('[2,"b","BootNotification",{"chargingStation":{"model":"Two","vendorName":"Acme"},"reason":"PowerUp"}]')
        assert json.loads(await connection.recv())[0] == 3
        asked = json.loads(await asyncio.wait_for(connection.recv(), 5))
        assert asked[0] == 2
        await connection.send(json.dumps([3, asked[1], {"no": "such key"}]))
        said = json.loads(await asyncio.wait_for(connection.recv(), 5))
        if refused:
            assert said[:3] == [5, asked[1], "OccurrenceConstraintViolation"]
        else:
            assert said[0] == 2, "the next call"
        assert central.violations("CP1")["unreadable_answer"] == 1


async def test_a_refusal_of_our_answer_is_counted_and_kept() -> None:
    async with listening(FakeDepot()) as central, dial(central, "CP1", "ocpp2.1") as connection:
        await connection.send('[2,"h","Heartbeat",{}]')
        await connection.recv()
        for frame in ('[5,"h","FormatViolation","no time",{}]', '[5,"h","FormatViolation","again",{}]', "[5]", '[5,"h",'):
            await connection.send(frame)
        await connection.send('[2,"z","Heartbeat",{}]')
        assert json.loads(await asyncio.wait_for(connection.recv(), 5))[:2] == [3, "z"]
        assert central.violations("CP1") == {"answer_refused": 1, "unusable_frame": 3}
        noted = [m for m in central.messages("CP1") if m.kind == "error"]
        assert [(m.action, m.payload) for m in noted] == [
            ("Heartbeat", '{"errorCode":"FormatViolation","errorDescription":"no time","errorDetails":{}}')
        ]
