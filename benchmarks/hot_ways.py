"""How long from a hot sample to the stop, by every way and with something broken? Real processes, in real time.

    python -m benchmarks.hot_ways [--packs 500] [--each 3] [--seed 1] [--ways can,ocpp]

The depot and the load of benchmarks.hot_sample. One vehicle after the other runs hot:
    mqtt        its unit says so through the broker
    locked      the same, while another program holds the database: nothing can be recorded
    can         its battery says so on its own CAN bus, while the broker hangs (SIGSTOP), and with it all other telemetry
    ocpp        its charger passes it on (MeterValues) while the broker hangs (SIGSTOP), and with it all telemetry
    back        its unit says so as soon as it can, after the broker was killed (kill -9) and begun again
    isolation   its unit says that something happens in the battery (thermal_event): the bay's emergency solenoid, by an I/O module
Measured is from the moment before the sample is written to its socket (``back``: from the moment at which the broker's port answers)
to the moment at which its station's socket gave RemoteStopTransaction; ``isolation``: to the relay of the bay's emergency solenoid.
Exit 1 where a way has a stop later than 50 ms at its p99 (``back`` 2 s), an isolation later than 100 ms, or one that never came.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import can
from cantools.database.can import Database

from benchmarks.evidence import percentile, write_evidence
from benchmarks.hot_sample import APART_S, HOT_C, PATIENCE_S, WARM_C, Frames, Unit, busy_depot
from benchmarks.limit_drop import full_depot
from benchmarks.real_depot import RealDepot, child_named
from bms_bridge.can.dbc import EXAMPLE
from simulator.day import Stay
from simulator.demo_day import demo_spec
from simulator.io_module import WATCHDOG, IoModule

WAYS = ("mqtt", "locked", "can", "ocpp", "back", "isolation")
"""In this order: what stops its neighbours too comes last."""

GOAL_S = {"mqtt": 0.05, "locked": 0.05, "can": 0.05, "ocpp": 0.05, "back": 2.0, "isolation": 0.1}
METER_WITHIN_S = 90.0
"""A charger sends meter values once a minute."""

SIREN = 0
FIRST_BAY = 1


@dataclass(slots=True)
class HotReadings:
    """When each station's MeterValues with a hot battery left it first."""

    told: dict[str, float] = field(default_factory=dict)

    def seen(self, station_id: str, way: str, frame: list[Any]) -> None:
        if way != "out" or frame[0] != 2 or frame[2] != "MeterValues":
            return
        for values in frame[3]["meterValue"]:
            for sample in values["sampledValue"]:
                if sample.get("measurand") == "Temperature" and float(sample["value"]) >= HOT_C - 1:
                    self.told.setdefault(station_id, time.monotonic())


@dataclass(slots=True)
class Relays:
    """When each relay moved last."""

    moved: dict[int, float] = field(default_factory=dict)

    def changed(self, relay: int, pulled_in: bool) -> None:
        self.moved[relay] = time.monotonic()


def outputs(port: int, bays: list[str]) -> str:
    """A siren of the site, and an undervoltage release for each of these bays."""
    module = f'host = "127.0.0.1"\nport = {port}\nwatchdog_address = {WATCHDOG}\npoll_s = 0.5\n'
    lines = f'[[output]]\nid = "siren"\nkind = "siren"\nscope = "site"\naddress = {SIREN}\nde_energised = "silent"\n{module}'
    for number, bay in enumerate(bays, start=FIRST_BAY):
        lines += (
            f'[[output]]\nid = "Q-{bay}"\nkind = "isolation"\nscope = "bay"\narea = "{bay}"\naddress = {number}\nde_energised = "open"\n'
            f'read_table = "discrete"\nread_address = {number}\nread_on_means = "closed"\nopens_after_s = 0\n{module}'
        )
    return lines


class Buses:
    """A CAN bus of each vehicle, over multicast on this machine: the example pack, one round of its sensors each 100 ms."""

    GROUP = "239.74.163.2"

    def __init__(self, vehicles: list[str]) -> None:
        self.ports: dict[str, int] = {}
        for vehicle in vehicles:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("", 0))
                self.ports[vehicle] = free.getsockname()[1]
        self._pack = Database()
        self._pack.add_dbc_file(str(Path(__file__).resolve().parents[1] / "bms_bridge" / "can" / "maps" / f"{EXAMPLE}.dbc"))

    def sections(self) -> str:
        """The settings that listen to them."""
        common = f'[[telemetry.can]]\ninterface = "udp_multicast"\nchannel = "{self.GROUP}"\ndbc = "{EXAMPLE}"\nmap = "{EXAMPLE}"\n'
        return "".join(f'{common}vehicle = "{vehicle}"\nport = {port}\n' for vehicle, port in self.ports.items())

    def frame(self, block: int, *sensors_c: float) -> can.Message:
        row = {f"Sensor_{3 * block + k:02d}": value for k, value in enumerate(sensors_c)}
        data = self._pack.encode_message("CellTemperatures", {"TemperatureBlock": block, **row})
        return can.Message(arbitration_id=self._pack.get_message_by_name("CellTemperatures").frame_id, data=data, is_extended_id=False)

    async def heat(self, vehicle: str) -> float:
        """Some seconds of a cool pack, then a hot sensor; the moment before that was handed to the socket."""
        with can.Bus(interface="udp_multicast", channel=self.GROUP, port=self.ports[vehicle], hop_limit=0, ignore_config=True) as bus:
            cool = [self.frame(block, WARM_C, WARM_C + 0.3, WARM_C + 0.1) for block in range(8)]
            for _ in range(30):
                for frame in cool:
                    bus.send(frame)
                await asyncio.sleep(0.1)
            hot = self.frame(2, HOT_C, HOT_C - 0.4, HOT_C - 0.8)
            began = time.monotonic()
            bus.send(hot)
            return began


@contextlib.contextmanager
def held(database: str) -> Iterator[None]:
    """Another program has the database."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def hung(pid: int) -> Iterator[None]:
    """A process that does nothing any more."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def broker(depot: RealDepot) -> int:
    """Its process."""
    pid = child_named(depot.supervisor.pid, "broker_process")
    if pid is None:
        raise RuntimeError("there is no broker")
    return pid


async def stopped(frames: Frames, station_id: str, patience_s: float = PATIENCE_S) -> float:
    """When the station's socket gave the stop; inf: it did not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            while station_id not in frames.stop:  # noqa: ASYNC110  # timed where it comes
                await asyncio.sleep(0.01)
    return frames.stop.get(station_id, math.inf)


class Runner:
    """Plays one way with one vehicle at a time."""

    def __init__(
        self, depot: RealDepot, frames: Frames, units: dict[str, Unit], readings: HotReadings, relays: Relays, buses: Buses
    ) -> None:
        self.depot, self.frames, self.units, self.readings, self.relays, self.buses = depot, frames, units, readings, relays, buses

    async def by_mqtt(self, stay: Stay) -> float:
        unit = self.units[stay.vehicle_id]
        self.frames.forget(stay.connector.station_id)
        unit.temperature_c = HOT_C
        began = await unit.say()
        return await stopped(self.frames, stay.connector.station_id) - began

    async def locked(self, stay: Stay) -> float:
        with held(str(self.depot.settings.database)):
            await asyncio.sleep(1.0)
            return await self.by_mqtt(stay)

    async def isolated(self, stay: Stay, relay: int) -> float:
        unit = self.units[stay.vehicle_id]
        unit.alarms = ["thermal_event"]
        began = await unit.say()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.relays.moved.get(relay, 0.0) < began:  # noqa: ASYNC110  # timed where it moves
                    await asyncio.sleep(0.01)
        moved = self.relays.moved.get(relay, 0.0)
        return (moved if moved >= began else math.inf) - began

    async def by_can(self, stay: Stay) -> float:
        self.frames.forget(stay.connector.station_id)
        began = await self.buses.heat(stay.vehicle_id)
        return await stopped(self.frames, stay.connector.station_id) - began

    async def by_charger(self, stay: Stay) -> float:
        station = stay.connector.station_id
        self.frames.forget(station)
        self.readings.told.pop(station, None)
        vehicle = self.depot.world.plant.vehicle(stay.connector)
        assert vehicle is not None
        vehicle.pack.temp_c = HOT_C + 2.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(METER_WITHIN_S):
                while station not in self.readings.told:
                    vehicle.pack.temp_c = HOT_C + 2.0  # it would cool by itself
                    await asyncio.sleep(0.05)
        return await stopped(self.frames, station) - self.readings.told.get(station, -math.inf)

    async def back(self, stay: Stay) -> float:
        station, unit = stay.connector.station_id, self.units[stay.vehicle_id]
        self.frames.forget(station)
        unit.again_s = 0.1
        os.kill(broker(self.depot), signal.SIGKILL)
        await asyncio.sleep(0.5)
        unit.temperature_c = HOT_C
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.depot.settings.mqtt_port)
                    writer.close()
                    break
                await asyncio.sleep(0.005)
        began = time.monotonic()
        return await stopped(self.frames, station, 30.0) - began


@contextlib.asynccontextmanager
async def io_module(relays: Relays, bays: int) -> AsyncIterator[IoModule]:
    async with IoModule(relays=bays + FIRST_BAY, watchdog_s=5.0, on_change=relays.changed) as module:
        yield module


async def run(*, packs: int, each: int, seed: int, loud: bool, ways: Sequence[str] = WAYS) -> dict[str, list[float]]:
    """Seconds of every way."""
    readings, relays = HotReadings(), Relays()
    bays = [f"{number}" for number in range(1, each + 1)]
    done: dict[str, list[float]] = {way: [] for way in WAYS if way in ways}
    spec = demo_spec()
    buses = Buses([stay.vehicle_id for stay in full_depot(spec, start=datetime.now(UTC), duration_s=600).stays] if "can" in ways else [])
    async with (
        io_module(relays, len(bays)) as module,
        busy_depot(
            packs=packs, seed=seed, loud=loud, extra=outputs(module.port, bays) + buses.sections(), seen=readings.seen
        ) as (depot, frames, _, units),
    ):  # fmt: skip
        runner = Runner(depot, frames, units, readings, relays, buses)
        bay_of = {station.station_id: station.bay_id for station in depot.day.spec.stations}
        charging = [stay for stay in depot.day.stays if depot.world.plant.power_w(stay.connector) > 0]
        in_bays = [stay for stay in charging if bay_of[stay.connector.station_id] in bays]
        others = iter(stay for stay in charging if stay not in in_bays)

        def tell(way: str, stay: Stay, took_s: float) -> None:
            done[way].append(took_s)
            print(f"{way:9s} {stay.connector}: {took_s * 1000:7.1f} ms", flush=True)

        async def warmed(stays: list[Stay]) -> list[Stay]:
            await asyncio.gather(*(units[stay.vehicle_id].warm() for stay in stays))
            return stays

        def chosen(way: str) -> list[Stay]:
            return [next(others) for _ in range(each)] if way in ways else []

        for way, play in (("mqtt", runner.by_mqtt), ("locked", runner.locked)):
            for stay in await warmed(chosen(way)):
                tell(way, stay, await play(stay))
                await asyncio.sleep(APART_S)
        with hung(broker(depot)):
            for stay in chosen("can"):
                tell("can", stay, await runner.by_can(stay))
            for stay in chosen("ocpp"):
                tell("ocpp", stay, await runner.by_charger(stay))
        for stay in await warmed(chosen("back")):
            tell("back", stay, await runner.back(stay))
            await asyncio.sleep(5 * APART_S)
        for stay in in_bays if "isolation" in ways else ():
            tell("isolation", stay, await runner.isolated(stay, FIRST_BAY + bays.index(bay_of[stay.connector.station_id])))
            await asyncio.sleep(APART_S)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=int, default=500)
    parser.add_argument("--each", type=int, default=3, help="vehicles of each way, at most 4")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ways", default=",".join(WAYS), help="which, with commas between")
    parser.add_argument("--loud", action="store_true", help="show what the core says")
    options = parser.parse_args()
    ways = options.ways.split(",")
    if unknown := set(ways) - set(WAYS):
        parser.error(f"no such way: {', '.join(sorted(unknown))}")
    done = asyncio.run(run(packs=options.packs, each=min(4, options.each), seed=options.seed, loud=options.loud, ways=ways))
    row: dict[str, object] = {"fault": "hot_ways", "packs": options.packs, "chargers": 24, "each": options.each}
    for way, took in done.items():
        row[f"{way}_p50_ms"] = round(percentile(took, 0.5) * 1000, 1) if took else None
        row[f"{way}_max_ms"] = round(max(took) * 1000, 1) if took else None
    print(write_evidence("hot_ways", row | {"seed": options.seed}))
    return 0 if all(took and percentile(took, 0.99) <= GOAL_S[way] for way, took in done.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
