"""A depot on real sockets for benchmarks and fault tests: the real core under the real supervisor, stations beside it.

    python -m benchmarks.real_depot depot.toml [NAME …]     the supervisor with the core (and other children by name)

    supervisor (process) --> core (process) <==OCPP, Modbus==> world: stations, vehicles, meter (in this process)

The stations live in the process that measures, so that what a station did is read from the station and from the plant,
never from what the controller thinks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.faultkit.checker import StationBook
from controller.app.announcing import announcement
from controller.app.clocks import clock_of
from controller.app.demo import METER_PORT, OCPP_PORT, WEB_PORT, write_depot
from controller.app.run import children
from controller.link import CoreLink, CoreUnreachable
from controller.settings import Settings
from controller.supervisor import Supervisor
from depot import commands as cmd
from depot.ports import Clock
from depot.registry import StationSpec
from simulator.day import Day
from simulator.meter_server import MeterServer
from simulator.personas import Persona
from simulator.trace import Trace
from simulator.wire import SocketWire, dial
from simulator.world import World

ROOT = Path(__file__).resolve().parents[1]
UTILITY_PORT = 5020
"""Where a depot with ``[utility]`` among its ``extra`` settings awaits its utility, before the offset."""

MQTT_PORT = 1883
OCPP_TLS_PORT = 9001
PORTS = (OCPP_PORT, OCPP_TLS_PORT, METER_PORT, WEB_PORT, UTILITY_PORT, MQTT_PORT, 5802, 8070, 8085, 8090, 8091)
"""All that a depot may listen on, before the offset: also its utility over TLS, files, drivers' pages, gateway and webhooks."""

FIRST_OFFSET, LAST_OFFSET = 10_000, 32_768 - OCPP_TLS_PORT
STEADY_S = 10.0
"""In here a core that was up for so long counts as sound, and its next restart is quick: kills come close together."""

FrameSeen = Callable[[str, str, list[Any]], None]
"""``seen(station_id, "in" | "out", frame)`` at the moment at which a station's socket gave or took it."""


def free_offset() -> int:
    """A port offset with which nobody listens on any of the depot's ports. They stay below those that Linux gives to clients of other
    tests (32768 and above), which could take one before the depot comes to listen on it."""
    begin = FIRST_OFFSET + os.getpid() % 1000 * 13
    for offset in chain(range(begin, LAST_OFFSET, 7), range(FIRST_OFFSET, begin, 7)):
        with contextlib.ExitStack() as stack:
            try:
                for port in PORTS:
                    sock = stack.enter_context(socket.socket())
                    sock.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return offset
    raise RuntimeError("no free ports on this machine")


def child_named(parent: int, module: str) -> int | None:
    """Process id of the child of ``parent`` that runs ``module``; None while there is none."""
    for pid, (ppid, line) in processes().items():
        if ppid == parent and module in line:
            return pid
    return None


def processes() -> dict[int, tuple[int, str]]:
    """Living processes (no zombies): id -> (parent's id, command line)."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):
                state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    found[int(folder.name)] = (int(ppid), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


class RecordingWire(SocketWire):
    """A station's socket that tells every frame."""

    def __init__(self, wire: SocketWire, station_id: str, seen: FrameSeen) -> None:
        super().__init__(wire._connection)
        self._station_id = station_id
        self._seen = seen

    async def recv(self) -> str:
        text = await super().recv()
        self._seen(self._station_id, "in", json.loads(text))
        return text

    async def send(self, text: str) -> None:
        self._seen(self._station_id, "out", json.loads(text))
        await super().send(text)


@dataclass(slots=True)
class RealDepot:
    """A running depot. ``supervisor`` leads the core; ``link`` is a client of the core's local socket."""

    day: Day
    folder: Path
    config: Path
    settings: Settings
    passwords: Mapping[str, str]
    clock: Clock
    supervisor: subprocess.Popen[bytes]
    link: CoreLink
    world: World
    book: StationBook

    @property
    def core_pid(self) -> int | None:
        """The core's process id; None while it is down."""
        return child_named(self.supervisor.pid, "controller.app.core_process")

    async def kill_core(self) -> tuple[float, float]:
        """kill -9, then how long in seconds until (it answers on the OCPP port, a new view came over the link)."""
        pid = self.core_pid
        if pid is None:
            raise RuntimeError("the core is down already")
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        while self.core_pid == pid:  # noqa: ASYNC110  # the kernel tells its parent only
            await asyncio.sleep(0.002)
        view = asyncio.create_task(self._next_view())
        await self.until_answers()
        answers_s = time.monotonic() - began
        await asyncio.wait_for(view, 60)
        return answers_s, time.monotonic() - began

    async def until_answers(self, patience_s: float = 150.0) -> None:
        """Wait until the core answers an HTTP request on its OCPP port."""
        async with asyncio.timeout(patience_s):
            while True:
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.settings.ocpp_port)
                    try:
                        writer.write(b"GET / HTTP/1.1\r\nHost: depot\r\nConnection: close\r\n\r\n")
                        if (await reader.readline()).startswith(b"HTTP/1.1"):
                            return
                    finally:
                        writer.close()
                await asyncio.sleep(0.02)

    async def _next_view(self) -> None:
        views = aiter(self.link.views())
        old = self.link.view
        async for view in views:
            if view is not old:
                return

    async def drained(self, patience_s: float = 60.0) -> bool:
        """Wait until every station has said everything; False where one still has something to say."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while any(len(station.outbox) for station in self.world.stations.values()):  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.2)
        return not any(len(station.outbox) for station in self.world.stations.values())

    async def close_core(self) -> int:
        """SIGTERM to the supervisor; its exit code."""
        if self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGTERM)
        while self.supervisor.poll() is None:  # noqa: ASYNC110  # a Popen tells nobody
            await asyncio.sleep(0.05)
        return self.supervisor.returncode


@contextlib.asynccontextmanager
async def open_depot(
    day: Day,
    *,
    speed: float,
    seed: int,
    personas: Mapping[str, Persona],
    trace: Trace | None = None,
    seen: FrameSeen | None = None,
    extra: str = "",
    loud: bool = False,
    announce: bool = True,
    folder: Path | None = None,
    beside: Sequence[StationSpec] = (),
    also: Sequence[str] = (),
    prepare: Callable[[Settings], None] | None = None,
    dial_at: Callable[[Settings], Awaitable[int]] | None = None,
    dialled: Callable[[str, float], None] = lambda _station_id, _seconds: None,
) -> AsyncIterator[RealDepot]:
    """Start everything, announce the day, connect the stations; at the end nothing is left.

    ``extra``: more TOML. ``beside``: stations that are declared, and that nobody here plays. ``also``: children that
    run beside the core. ``prepare``: called before any of them starts. ``dial_at``: the port at which the stations
    connect instead of the core's own, once the core answers there. ``dialled``: told of each connection that was
    opened, and how many seconds the handshake took.
    """
    with contextlib.ExitStack() as rim:
        where = folder or Path(rim.enter_context(tempfile.TemporaryDirectory(prefix="chargeyard-depot-")))
        offset = free_offset()
        declared = replace(day.spec, stations=(*day.spec.stations, *beside))
        config, keys = write_depot(where, spec=declared, start=day.start, speed=speed, port_offset=offset)
        text = config.read_text(encoding="utf-8")
        if speed == 1:
            text = text[: text.index("[clock]")]
        config.write_text(text.replace('level = "error"', f'level = "{"warning" if loud else "error"}"') + extra, encoding="utf-8")
        settings = Settings.load(config)
        passwords: dict[str, str] = json.loads(keys.read_text(encoding="utf-8"))
        clock = clock_of(settings)
        port = settings.ocpp_port

        async def connect(station_id: str) -> SocketWire:
            began = time.monotonic()
            spoken = world.stations[station_id].voice.subprotocol
            wire = await dial(f"ws://127.0.0.1:{port}/ocpp", station_id=station_id, key=passwords[station_id], subprotocol=spoken)
            dialled(station_id, time.monotonic() - began)
            return wire if seen is None else RecordingWire(wire, station_id, seen)

        if prepare is not None:
            prepare(settings)
        supervisor = rim.enter_context(_supervisor(config, loud=loud, also=also))
        world = World(day, personas=personas, seed=seed, clock=clock, connect=connect, trace=trace)
        book = StationBook()
        book.watch(world)
        meter = settings.meter.port if settings.meter is not None else 0
        link = CoreLink(settings.link_path, retry_s=0.02, retry_most_s=0.05)
        async with MeterServer(world.plant.site_power_w, port=meter), link:
            depot = RealDepot(day, where, config, settings, passwords, clock, supervisor, link, world, book)
            await depot.until_answers()
            if dial_at is not None:
                port = await dial_at(settings)
            for stay in day.stays if announce else ():
                visit = announcement(stay, day.start, known_pausable=None)
                await tell(link, cmd.AnnounceVisit(command_id=f"announce {visit.visit_id}", actor="timetable", visit=visit))
            async with world:
                yield depot
            await depot.close_core()


async def tell(link: CoreLink, command: cmd.Command, patience_s: float = 30.0) -> cmd.CommandResult:
    """Give a command; while the core is away, again (its id makes that harmless)."""
    async with asyncio.timeout(patience_s):
        while True:
            try:
                return await link.command(command)
            except CoreUnreachable:
                await asyncio.sleep(0.05)


@contextlib.contextmanager
def _supervisor(config: Path, *, loud: bool, also: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    out = None if loud else subprocess.DEVNULL
    words = [sys.executable, "-m", "benchmarks.real_depot", str(config), *also]
    process = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


def main() -> int:
    wanted = {"core", *sys.argv[2:]}
    return Supervisor([replace(child, steady_s=STEADY_S) for child in children(Path(sys.argv[1])) if child.name in wanted]).run()


if __name__ == "__main__":
    sys.exit(main())
