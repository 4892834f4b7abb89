"""The demo's outside world as a process: stations on real sockets, vehicles and their telematics, the meter, the
utility's RTU, a driver who pays.

    python -m controller.app.demo_world demo.toml stations.json units.json SEED

Announces fleet and timetable over the core's local socket, plays the night once with its acts, then leaves the stations
connected.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from controller.app.announcing import announcement
from controller.app.clocks import clock_of
from controller.app.demo_acts import play_acts, programme
from controller.app.demo_batteries import wears as demo_wears
from controller.app.demo_programme import Stage, acts_of
from controller.app.demo_rims import GUEST_CONTACT, GUEST_TAG, chemistry_of, registration
from controller.link import CoreLink, CoreUnreachable
from controller.logs import set_up
from controller.settings import Settings
from controller.supervisor import notify_ready, wait_for_go
from depot import commands as cmd
from depot.ports import Clock
from grid.meter_map import MeterMap
from simulator.cells import MAKES
from simulator.demo_day import demo_day
from simulator.meter_face import MeterFace
from simulator.meter_server import MeterServer
from simulator.payer import Payer
from simulator.personas import assign
from simulator.rtu import Rtu
from simulator.telematics import BrokerAddress, Telematics
from simulator.trace import trace_file
from simulator.wear import worn_day
from simulator.wire import SocketWire, dial
from simulator.world import World

log = logging.getLogger(__name__)

SHARE_201 = 0.25
"""Of the demo's stations so many speak OCPP 2.0.1, the others 1.6."""

SAMPLE_EVERY_S = 1.5
BEAT_EVERY_S = 0.5
"""Real seconds between two samples of a vehicle, two heartbeats of the RTU."""

WAITS_S = 30.0
LEAVES_S = 2.0


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens the depot to its stations (by station) and its vehicles' units (by vehicle)."""

    stations: dict[str, str]
    units: dict[str, str]


def _meter(settings: Settings, world: World, clock: Clock) -> MeterServer:
    """The meter at the depot's connection, with the face of the map by which the core reads it."""
    meter = settings.meter
    if meter is None or not meter.map:
        return MeterServer(world.plant.site_power_w, port=meter.port if meter is not None else 0)
    file = MeterMap.named(meter.map).file
    assert file is not None
    return MeterServer(world.plant.site_power_w, face=MeterFace.read(file), clock=clock, port=meter.port)


async def play(settings: Settings, keys: Keys, seed: int, console: Console) -> None:
    """Play the night of ``seed`` against the core that ``settings`` describe, until cancelled."""
    clock, speed = clock_of(settings), settings.clock.speed
    start = settings.clock.epoch or clock.now()
    day = demo_day(start=start, seed=seed)
    url = f"ws://127.0.0.1:{settings.ocpp_port}/ocpp"
    wears = demo_wears(day, seed)
    night = worn_day(day, wears)  # what is registered is what the batteries were when new
    personas = assign([station.station_id for station in day.spec.stations], seed=seed)

    async def connect(station_id: str) -> SocketWire:
        return await dial(
            url, station_id=station_id, key=keys.stations[station_id], subprotocol=world.stations[station_id].voice.subprotocol
        )

    async with AsyncExitStack() as stack:
        trace = stack.enter_context(trace_file(settings.storage.path / "trace.jsonl"))
        world = World(night, personas=personas, seed=seed, clock=clock, connect=connect, trace=trace, share_201=SHARE_201)
        await stack.enter_async_context(_meter(settings, world, clock))
        link = await stack.enter_async_context(CoreLink(settings.link_path))
        await _tell(link, registration(day.spec, day.stays))
        for stay in night.stays:
            visit = announcement(stay, day.start, known_pausable=None)
            await _tell(
                link,
                cmd.AnnounceVisit(command_id=f"announce {visit.visit_id}", actor="timetable", reason="tonight's timetable", visit=visit),
            )
        utility = settings.utility
        port = utility.port + settings.port_offset if utility is not None else 0
        rtu = await stack.enter_async_context(Rtu(port=port, clock=clock, beat_s=BEAT_EVERY_S * speed))
        telematics = Telematics(
            world.plant,
            [stay.connector for stay in day.stays],
            depot_id=settings.depot.id,
            broker=BrokerAddress(port=settings.mqtt_port, keys=keys.units),
            clock=clock,
            seed=seed,
            every_s=SAMPLE_EVERY_S * speed,
            makes={stay.vehicle_id: MAKES[chemistry_of(stay.vehicle_id)] for stay in day.stays},
            wears=wears,
        )
        gateway = f"http://127.0.0.1:{settings.mock_gateway_port}"
        payer = await stack.enter_async_context(Payer(gateway, contact=GUEST_CONTACT, tag=GUEST_TAG))
        await stack.enter_async_context(world)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        notify_ready()
        acts = acts_of(Stage(world, rtu, telematics, payer, lambda command: _tell(link, command), clock, day))
        zone = ZoneInfo(settings.depot.timezone)
        console.print("\n  What happens tonight, in so many minutes, at this hour of the depot:\n")
        for line in programme(acts, start=start, now=clock.now(), zone=zone, speed=speed):
            console.print(f"   {line}", soft_wrap=True, highlight=False, markup=False)
        console.print()
        tasks.create_task(telematics.run(), name="telematics")
        tasks.create_task(
            play_acts(
                acts, start=start, zone=zone, clock=clock, tell=lambda words: console.print(f"  ► {words}", soft_wrap=True, markup=False)
            ),
            name="acts",
        )
        await world.run()
        log.info("the night is over")
        await asyncio.Event().wait()


async def _tell(link: CoreLink, command: cmd.Command) -> cmd.CommandResult:
    """Give a command, waiting for a core that is still starting."""
    until = asyncio.get_running_loop().time() + WAITS_S
    while True:
        try:
            result = await link.command(command)
        except CoreUnreachable:
            if asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(0.2)
            continue
        if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
            log.warning("%s: %s", command.TITLE, result.message)
        return result


async def _until_told(settings: Settings, keys: Keys, seed: int) -> None:
    """Play until a signal. Whatever still holds on a second after it is left to the operating system."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    night = asyncio.create_task(play(settings, keys, seed, Console()), name="night")
    signalled = asyncio.create_task(told.wait(), name="signal")
    await asyncio.wait([night, signalled], return_when=asyncio.FIRST_COMPLETED)
    if night.done():
        night.result()
        return
    night.cancel()
    _, holding = await asyncio.wait([night], timeout=LEAVES_S)
    if holding:
        os._exit(0)


def main(argv: list[str]) -> int:
    """Entry point."""
    wait_for_go()
    settings = Settings.load(argv[0])
    set_up("world", level=settings.logging.level)
    stations, units = (json.loads(Path(path).read_text(encoding="utf-8")) for path in argv[1:3])
    asyncio.run(_until_told(settings, Keys(stations, units), int(argv[3])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
