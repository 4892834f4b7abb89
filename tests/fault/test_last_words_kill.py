"""Fault 1 for stations of 2.x: the core is killed while their events come, and no Updated that it answered is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchmarks.evidence import proof
from benchmarks.faultkit.nemesis import until
from benchmarks.herd import Herd
from benchmarks.herd2x import HerdStation21, HerdStation201
from benchmarks.message_load import end_core, listening, settle, start_core
from benchmarks.reconnect_storm import yard_of
from controller.replay import replay
from controller.settings import Settings
from depot import events as ev
from depot.events import Envelope
from depot.last_words import LastWord
from storage import Store

pytestmark = [pytest.mark.anyio, pytest.mark.apart, pytest.mark.timeout(180)]

STATIONS = 10
STEP_WH = 10.0
PER_S = 200.0


def kept(settings: Settings) -> dict[str, LastWord]:
    """What is on disk, by station."""
    with Store.open(settings.database, read_only=True) as store, store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT station_id, body FROM last_words").all()
    return {station_id: msgspec.json.decode(body, type=LastWord) for station_id, body in rows}


def measure(station: HerdStation201, done: Callable[[float, bytes], None], due: float) -> None:
    station.energy_wh += STEP_WH
    station.meter_values(done, since=due)


@pytest.mark.parametrize("kind", [HerdStation201, HerdStation21])
async def test_fault_01_no_acknowledged_event_of_a_transaction_is_lost_when_the_core_is_killed(
    kind: type[HerdStation201], tmp_path: Path
) -> None:
    config, keys = settle(yard_of(STATIONS), tmp_path)
    settings = Settings.load(config)
    core = start_core(config)
    try:
        with proof(1, "core_killed_while_measuring", seed=0) as row:
            await listening(settings.ocpp_port)
            herd = Herd(list(keys), port=settings.ocpp_port, keys=keys, kind=kind)
            stations = [station for station in herd.stations if isinstance(station, HerdStation201)]
            await herd.connect()
            await herd.start_all(within_s=0.5)
            load = asyncio.create_task(herd.paced(measure, per_s=PER_S, seconds=30.0))
            await until(lambda: min(station.acked for station in stations) >= 10, 30, "every station was answered ten times")
            core.kill()
            core.wait()
            await until(lambda: all(station.closed for station in stations), 10, "the connections are gone")
            load.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await load
            words = kept(settings)
            lost = [s.station_id for s in stations if words[s.station_id].heard[-1][1] < s.acked]
            acked_wh = {s.station_id: int(s.acked_wh) - 1 for s in stations}  # a station writes a tenth, the depot whole ones
            behind = [words[name] for name, wh in acked_wh.items() if (words[name].register_wh or 0) < wh]
            row |= {"version": kind.SUBPROTOCOL, "acked": sum(s.acked for s in stations), "lost": len(lost), "behind": len(behind)}
            assert not lost
            assert not behind, behind[:3]

            core = start_core(config)
            await listening(settings.ocpp_port)
            await herd.connect()
            assert not herd.failed
            for station in stations:  # a station that says no register at the end, as one that was cut off may
                answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
                ended = {
                    "eventType": "Ended", "timestamp": "2026-11-22T12:00:00Z", "triggerReason": "EVDeparted", "seqNo": 10_000,
                    "transactionInfo": {"transactionId": station.transaction_id, "chargingState": "Idle"},
                }  # fmt: skip
                station.transaction_id = None
                station.call("TransactionEvent", json.dumps(ended), lambda _seconds, body, done=answered: done.set_result(body))
                assert json.loads(await asyncio.wait_for(answered, 20))[0] == 3
            end_core(core)
            wrong = _ends(settings, acked_wh)
            assert not wrong, wrong
            assert not kept(settings)
            herd.cut_all()
    finally:
        end_core(core)


def _ends(settings: Settings, least_wh: dict[str, int]) -> dict[str, object]:
    """Stations whose session has not exactly one end, at the last register that was acknowledged or a later one."""
    found: dict[str, list[int]] = {}
    with Store.open(settings.database) as store:
        facts: list[Envelope] = []
        replay(store, settings.depot.id, show=facts.append)
    for envelope in facts:
        if isinstance(envelope.data, ev.TransactionStopped):
            found.setdefault(envelope.data.connector.station_id, []).append(envelope.data.meter_stop_wh)
    return {name: found.get(name) for name, wh in least_wh.items() if len(found.get(name, [])) != 1 or found[name][0] < wh}
