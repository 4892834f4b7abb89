"""The demo's outside world as a process: stations on real sockets, vehicles, the meter, the timetable.

    python -m controller.app.demo_world demo.toml stations.json SEED

Announces the timetable over the core's local socket, plays the night once, then leaves the stations connected.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from controller.app.clocks import clock_of
from controller.app.core_process import link_path
from controller.app.night import announcement
from controller.link import CoreLink, CoreUnreachable
from controller.logs import set_up
from controller.settings import Settings
from controller.supervisor import notify_ready, wait_for_go
from depot import commands as cmd
from simulator.demo_day import demo_day
from simulator.meter_server import MeterServer
from simulator.personas import assign
from simulator.trace import trace_file
from simulator.wire import SocketWire, dial
from simulator.world import World

log = logging.getLogger(__name__)

SHARE_201 = 0.25
"""Of the demo's stations so many speak OCPP 2.0.1, the others 1.6."""

WAITS_S = 30.0
LEAVES_S = 2.0


async def play(settings: Settings, passwords: dict[str, str], seed: int) -> None:
    """Play the night of ``seed`` against the core that ``settings`` describe, until cancelled."""
    clock = clock_of(settings)
    start = settings.clock.epoch or clock.now()
    day = demo_day(start=start, seed=seed)
    url = f"ws://127.0.0.1:{settings.ocpp_port}/ocpp"
    personas = assign([station.station_id for station in day.spec.stations], seed=seed)

    async def connect(station_id: str) -> SocketWire:
        return await dial(url, station_id=station_id, key=passwords[station_id], subprotocol=world.stations[station_id].voice.subprotocol)

    with trace_file(settings.storage.path / "trace.jsonl") as trace:
        world = World(day, personas=personas, seed=seed, clock=clock, connect=connect, trace=trace, share_201=SHARE_201)
        meter = settings.meter
        port = meter.port if meter is not None else 0
        async with MeterServer(world.plant.site_power_w, port=port), CoreLink(link_path(settings)) as link:
            for stay in day.stays:
                visit = announcement(stay, day.start, known_pausable=None)
                await _tell(
                    link,
                    cmd.AnnounceVisit(
                        command_id=f"announce {visit.visit_id}", actor="timetable", reason="tonight's timetable", visit=visit
                    ),
                )
            async with world:
                notify_ready()
                await world.run()
                log.info("the night is over")
                await asyncio.Event().wait()


async def _tell(link: CoreLink, command: cmd.Command) -> None:
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
        if result.status is cmd.CommandStatus.REFUSED:
            log.warning("the timetable: %s", result.message)
        return


async def _until_told(settings: Settings, passwords: dict[str, str], seed: int) -> None:
    """Play until a signal. Whatever still holds on a second after it is left to the operating system."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    night = asyncio.create_task(play(settings, passwords, seed), name="night")
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
    set_up("world")
    wait_for_go()
    settings = Settings.load(argv[0])
    set_up("world", level=settings.logging.level, json_lines=settings.logging.json_lines)
    passwords = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    asyncio.run(_until_told(settings, passwords, int(argv[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
