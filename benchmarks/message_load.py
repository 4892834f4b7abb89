"""A thousand stations that each send meter values once a second: how fast is the real core, and what does it take?

    python -m benchmarks.message_load [--version 1.6|2.0.1|2.1] [--stations 1000] [--seconds 30] [--profile FILE]

The core process as it runs in a depot (journal on, a transaction and live profiles at every station, one reader on its link as
the web is), on one processor core; the stations (:mod:`benchmarks.herd`) on another. In one run:
    idle        a Heartbeat of each station every 20 s
    load        a MeterValues with three values of each station every second; times count from when each was due
    saturation  every station sends the next one as soon as the last is answered
Goals at 1,000 stations of 1.6: all answered, p99 60 ms, 0.35 ms of processor time a message, 300 MB; saturation 2,500 a second.
Stations of 2.x send a TransactionEvent in the place of MeterValues, which is answered when it is durable: p99 120 ms, 0.45 ms,
and no goal for saturation. The processor time a message is that of all of the core's threads; ``net`` is without what it takes
when idle; ``waited_share`` is the part of the time in which it wanted the processor and others on the machine had it. Exit 1
where one is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.evidence import percentile, write_evidence
from benchmarks.faultkit.nemesis import rss_mb, until
from benchmarks.herd import Herd
from benchmarks.herd2x import KINDS
from benchmarks.real_depot import ROOT, free_offset
from benchmarks.reconnect_storm import yard_of
from controller.app.demo import write_depot
from controller.port_certificate import authority_path
from controller.settings import Settings
from depot.registry import DepotSpec
from ocpp_server.authority import Authority
from simulator.meter_server import MeterServer

GOAL_RSS_MB = 300.0
IDLE_EVERY_S = 20.0
IDLE_S = 15.0
WARM_S = 8.0
QUIET_S = 3.0
QUIET_SHARE_PER_S = 0.03
"""A station is asked nothing but its renewals: one call in ninety seconds, and a look at its profiles an hour."""
SATURATION_S = 12.0
MORE = "\naccept_unknown_tags = true"
SECURE = '\nplain = false\n\n[ocpp.tls]\nnames = ["localhost"]\n'


@dataclass(frozen=True, slots=True)
class Goals:
    """What is wanted of a version's stations."""

    p99_s: float
    cpu_ms: float
    saturation_per_s: float = 0.0


GOALS = {"1.6": Goals(0.060, 0.35, 2500.0), "2.0.1": Goals(0.120, 0.45), "2.1": Goals(0.120, 0.45)}


def pin(*processors: int) -> None:
    """Keep this process, and what it starts, on these processors."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, processors)


def cpu_s(pid: int) -> float:
    """Processor time that all threads of a process have taken, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited_s(pid: int) -> float:
    """How long a process's threads were ready to run and others had the processor, seconds: on a quiet machine next to nothing."""
    found = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            found += int((thread / "schedstat").read_text(encoding="ascii").split()[1])
    return found / 1e9


def settle(spec: DepotSpec, folder: Path, *, tls: bool = False) -> tuple[Path, dict[str, str]]:
    """Write the settings of a depot where every card may charge: (their file, the stations' passwords). ``tls``: it has no plain
    port, and every station comes by security profile 2."""
    config, keys = write_depot(folder, spec=spec, start=datetime.now(UTC), speed=1, port_offset=free_offset())
    text = config.read_text(encoding="utf-8")
    text = text[: text.index("[clock]")].replace("heartbeat_s = 300", f"heartbeat_s = 300{MORE}{SECURE if tls else ''}")
    config.write_text(text, encoding="utf-8")
    return config, json.loads(keys.read_text(encoding="utf-8"))


def start_core(config: Path, *, processor: int | None = None) -> subprocess.Popen[bytes]:
    """The core process of a depot, alone, on one processor or any."""
    before = os.sched_getaffinity(0)
    if processor is not None:
        pin(processor)
    process = subprocess.Popen([sys.executable, "-m", "controller.app.core_process", str(config)], cwd=ROOT)
    os.sched_setaffinity(0, before)
    return process


def end_core(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; make it end."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def core_of(
    spec: DepotSpec, folder: Path, *, processor: int | None, tls: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], Settings, dict[str, str]]]:
    """The core process of a depot, as long as the block lasts: (process, its settings, the stations' passwords)."""
    config, keys = settle(spec, folder, tls=tls)
    process = start_core(config, processor=processor)
    try:
        yield process, Settings.load(config), keys
    finally:
        end_core(process)


async def listening(port: int, patience_s: float = 60.0, *, tls: ssl.SSLContext | None = None) -> None:
    """Wait until the core answers an HTTP request on its OCPP port."""
    name = None if tls is None else "localhost"
    async with asyncio.timeout(patience_s):
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
                try:
                    writer.write(b"GET / HTTP/1.1\r\nHost: depot\r\nConnection: close\r\n\r\n")
                    if (await reader.readline()).startswith(b"HTTP/1.1"):
                        return
                finally:
                    writer.close()
            await asyncio.sleep(0.05)


@dataclass(slots=True)
class Reader:
    """Who reads the core's link as the web does: when each view came, and how large they are."""

    came: list[float]
    size: int = 0

    def longest_gap_s(self, since: float, until_: float) -> float:
        times = [at for at in self.came if since - 2 <= at <= until_]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)


@contextlib.asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Reader]:
    """A reader on the core's link, as long as the block lasts."""
    found = Reader([])
    reader, writer = await asyncio.open_unix_connection(str(settings.link_path), limit=16 * 1024 * 1024)
    writer.write(b'{"kind":"hello","version":2,"name":"benchmark"}\n')

    async def read() -> None:
        while line := await reader.readline():
            found.came.append(time.monotonic())
            found.size = len(line)

    task = asyncio.create_task(read())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()


async def measure(herd: Herd, pid: int, reader: Reader, *, seconds: float, profile: Path | None) -> dict[str, object]:
    """The three phases; the row of evidence."""
    await herd.paced(lambda s, done, due: s.meter_values(done, since=due), per_s=len(herd.stations), seconds=WARM_S)

    began, used = time.monotonic(), cpu_s(pid)
    idle, _, _ = await herd.paced(
        lambda s, done, due: s.heartbeat(done, since=due), per_s=len(herd.stations) / IDLE_EVERY_S, seconds=IDLE_S
    )
    idle_share = (cpu_s(pid) - used) / (time.monotonic() - began)

    spy = None
    if profile is not None:
        words = [
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            "-p",
            str(pid),
            "-d",
            str(int(seconds)),
            "-r",
            "200",
            "-f",
            "raw",
            "-o",
            str(profile),
        ]
        spy = subprocess.Popen(words)  # noqa: ASYNC220  # it starts at once
    began, used, others_s = time.monotonic(), cpu_s(pid), waited_s(pid)
    took, sent, late_s = await herd.paced(lambda s, done, due: s.meter_values(done, since=due), per_s=len(herd.stations), seconds=seconds)
    elapsed_s, cpu, others_s = time.monotonic() - began, cpu_s(pid) - used, waited_s(pid) - others_s
    gap_s = reader.longest_gap_s(began, began + elapsed_s)
    if spy is not None:
        spy.wait()
    memory = rss_mb(pid)

    used, flood_others_s = cpu_s(pid), waited_s(pid)
    answered, flood_s = await herd.flooded(seconds=SATURATION_S)
    flood_cpu, flood_others_s = cpu_s(pid) - used, waited_s(pid) - flood_others_s
    return {
        "stations": len(herd.stations),
        "idle_p50_ms": round(percentile(idle, 0.5) * 1000, 1),
        "idle_p99_ms": round(percentile(idle, 0.99) * 1000, 1),
        "idle_cpu_share": round(idle_share, 3),
        "sent": sent,
        "answered": len(took),
        "per_s": round(sent / seconds),
        "p50_ms": round(percentile(took, 0.5) * 1000, 1),
        "p99_ms": round(percentile(took, 0.99) * 1000, 1),
        "worst_ms": round(max(took) * 1000, 1),
        "sender_late_ms": round(late_s * 1000, 1),
        "cpu_ms_net": round((cpu - idle_share * elapsed_s) / sent * 1000, 3),
        "cpu_ms_raw": round(cpu / sent * 1000, 3),
        "waited_share": round(others_s / elapsed_s, 3),
        "longest_gap_s": round(gap_s, 2),
        "view_kb": round(reader.size / 1000),
        "rss_mb": round(memory),
        "saturation_per_s": round(answered / flood_s),
        "saturation_cpu_ms": round(flood_cpu / max(1, answered) * 1000, 3),
        "saturation_waited_share": round(flood_others_s / flood_s, 3),
        "rss_after_mb": round(rss_mb(pid)),
        "connections_lost": len(herd.closed),
    }


@contextlib.asynccontextmanager
async def charging_herd(
    settings: Settings, keys: Mapping[str, str], stations: int, *, version: str = "1.6"
) -> AsyncIterator[tuple[Herd, Reader]]:
    """The stations of a core that has just been started, all of them charging, and a reader on its link."""
    herd: Herd | None = None
    port = settings.meter.port if settings.meter is not None else 0
    async with MeterServer(lambda: 20_000.0 + (herd.power_w if herd is not None else 0.0), port=port):
        ocpp_port, context = settings.ocpp_port, None
        if not settings.ocpp.plain:
            root = authority_path(settings.storage.path, settings.depot.id)
            await until(root.exists, 60, "the depot has made its authority")
            ocpp_port, context = settings.ocpp_tls_port, ssl.create_default_context(cadata=Authority.read(root.read_text()).root_pem)
        await listening(ocpp_port, tls=context)
        herd = Herd(list(keys), port=ocpp_port, keys=keys, kind=KINDS[version], tls=context)
        async with reading(settings) as reader:
            await herd.connect(within_s=max(2.0, stations / 100))
            assert not herd.failed, herd.failed[:3]
            every = herd.stations  # who charges before it holds a default draws what it likes, and is distrusted for that
            await until(lambda: all(s.default_told for s in every), 120, "the stations hold their defaults")
            await herd.start_all(within_s=max(2.0, stations / 100))
            await until(lambda: sum(s.power_w > 0 for s in every) >= 0.9 * stations, 120, "the stations charge")
            await left_alone(herd)
            yield herd, reader


async def left_alone(herd: Herd, *, patience_s: float = 300.0) -> None:
    """Wait until the stations are asked no more of what every central system asks after a boot: what is measured is a day, not
    its first minute. Levels are renewed all the time."""
    most = max(1.0, QUIET_SHARE_PER_S * len(herd.stations) * QUIET_S)
    async with asyncio.timeout(patience_s):
        while True:
            before = sum(station.asked for station in herd.stations)
            await asyncio.sleep(QUIET_S)
            if sum(station.asked for station in herd.stations) - before <= most:
                return


async def run(*, stations: int, seconds: float, folder: Path, version: str = "1.6", profile: Path | None = None) -> dict[str, object]:
    """Start the core, bring the stations to charge, measure."""
    processors = sorted(os.sched_getaffinity(0))
    with core_of(yard_of(stations), folder, processor=processors[0]) as (core, settings, keys):
        if len(processors) > 1:
            pin(*processors[1:])
        async with charging_herd(settings, keys, stations, version=version) as (herd, reader):
            return {"version": version, **await measure(herd, core.pid, reader, seconds=seconds, profile=profile)}


def good(row: dict[str, object]) -> bool:
    """Whether the goals are met."""
    goals = GOALS[str(row["version"])]
    most = {"p99_ms": goals.p99_s * 1000, "cpu_ms_net": goals.cpu_ms, "rss_mb": GOAL_RSS_MB}
    met = all(float(str(row[name])) <= goal for name, goal in most.items())
    return (
        met
        and row["answered"] == row["sent"]
        and not row["connections_lost"]
        and float(str(row["saturation_per_s"])) >= goals.saturation_per_s
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", choices=GOALS, default="1.6", help="OCPP version of the stations")
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--profile", type=Path, help="where py-spy writes what the core does under load (then no figure counts)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chargeyard-load-") as folder:
        measured = run(
            stations=options.stations, seconds=options.seconds, folder=Path(folder), version=options.version, profile=options.profile
        )
        row = asyncio.run(measured)
    for name, value in row.items():
        print(f"{name:20} {value}")
    print(write_evidence("message_load", {"result": "held" if good(row) else "broken", **row}))
    return 0 if good(row) else 1


if __name__ == "__main__":
    sys.exit(main())
