"""How many pack messages a second go through the embedded broker on one core? Real processes, real sockets.

    python -m benchmarks.telemetry_broker [--rate 500] [--seconds 20] [--vehicles 100] [--form packed|json] [--saturate]

The broker is a process of its own, bound to one core. Another process is the vehicles: each has its own connection and key and
publishes with QoS 1, one message after the other. This process is the core's side: the real telemetry link, which decodes each
message and hands its samples over. Measured: messages that came out a second, from the publisher's socket to the link's
callback (p50, p99), and the processor time of broker and link. --saturate: as fast as the broker acknowledges, 4 ahead each.
Exit 1 where fewer than the rate came out, or one was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.evidence import percentile, write_evidence
from benchmarks.raw_mqtt import RawMqtt
from bms_bridge.accounts import Account, Accounts, Kind, new_account
from bms_bridge.contract import topic_of
from bms_bridge.edge.recorder import Habits, Recorder
from bms_bridge.edge.wire import Reading
from bms_bridge.mqtt import Kept, MqttSettings, TelemetryLink
from controller.clock import SystemClock
from depot.values import PackKey

DEPOT = "bench"
CELLS = 96
AHEAD = 4


def reading(number: int, at_ms: int) -> Reading:
    """A whole pack: 8 temperatures, 96 cells and what else can be said."""
    return Reading(
        at_ms=at_ms,
        temperatures_c=tuple(25 + k / 10 + number % 7 / 10 for k in range(8)),
        cells_v=tuple(3.3 + (k * 7 + number) % 13 / 1000 for k in range(CELLS)),
        soc=0.5 + number % 100 / 1000,
        current_a=120 + number % 11,
        voltage_v=640 + number % 5,
        insulation_ohm=1.2e6,
        limit_a=200.0,
        limit_v=710.0,
        soh=0.93,
    )


def payloads(vehicle: int, form: str) -> Iterator[bytes]:
    """Messages of one vehicle without end; the time in them is the moment in which they are made."""
    recorder = Recorder(Habits(boot=vehicle + 1, batch_s=0.0))
    number = 0
    while True:
        now_ms = time.time_ns() // 1_000_000
        said = reading(number, now_ms)
        number += 1
        if form == "packed":
            yield from (packet.data for packet in recorder.put(said))
            yield from (packet.data for packet in recorder.flush())
            continue
        fields = {name: getattr(said, name) for name in said.__slots__ if name not in ("at_ms", "cell_min_v", "cell_max_v")}
        stamp = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        more = {"schema": "pack_telemetry/2", "reported_at": stamp, "boot": vehicle + 1, "sequence": number}
        yield json.dumps(more | fields, separators=(",", ":")).encode()


async def vehicle(port: int, name: str, key: str, number: int, form: str, every_s: float, until: float, sent: list[int]) -> None:
    """Connects, publishes, reads acknowledgements."""
    unit = await RawMqtt.open(port, name, key)
    topic = topic_of(DEPOT, PackKey(name, "P1"))
    room = asyncio.Semaphore(AHEAD)

    async def acknowledged() -> None:
        while True:
            await unit.acknowledged()
            room.release()

    reading_acks = asyncio.ensure_future(acknowledged())
    messages = payloads(number, form)
    due = time.monotonic() + number * every_s / 100 % (every_s or 1)
    while time.monotonic() < until:
        if every_s:
            due += every_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await room.acquire()
        unit.publish(topic, next(messages))
        await unit.writer.drain()
        sent[0] += 1
    for _ in range(AHEAD):
        await room.acquire()
    reading_acks.cancel()
    unit.writer.close()


def vehicles(port: int, keys: dict[str, str], form: str, rate: float, seconds: float, told: multiprocessing.Queue[int]) -> None:
    """The process of all vehicles."""
    sent = [0]

    async def all_of_them() -> None:
        until = time.monotonic() + seconds
        every_s = len(keys) / rate if rate else 0.0
        await asyncio.gather(*(vehicle(port, n, k, i, form, every_s, until, sent) for i, (n, k) in enumerate(keys.items())))

    asyncio.run(all_of_them())
    told.put(sent[0])


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def pinned_broker(folder: Path, names: list[str]) -> Iterator[tuple[int, int, dict[str, str], str]]:
    """Process id, port, keys of the vehicles, key of the core."""
    made = {name: new_account(name, Kind.VEHICLE, ["P1"]) for name in names}
    core_key, core = new_account("core", Kind.CORE)
    accounts: list[Account] = [core, *(account for _, account in made.values())]
    Accounts(DEPOT, accounts).save(folder / "accounts")
    read, write = os.pipe()
    core_number = str(sorted(os.sched_getaffinity(0))[-1])
    command = [
        "taskset",
        "-c",
        core_number,
        sys.executable,
        "-m",
        "bms_bridge.broker",
        "--accounts",
        str(folder / "accounts"),
        "--port",
        "0",
    ]
    with subprocess.Popen([*command, "--ready-fd", str(write)], pass_fds=(write,)) as process:
        os.close(write)
        with os.fdopen(read) as told:
            port = int(told.readline())
        try:
            yield process.pid, port, {name: key for name, (key, _) in made.items()}, core_key
        finally:
            process.terminate()


async def measure(
    pid: int, port: int, core_key: str, start: multiprocessing.Process, told: multiprocessing.Queue[int]
) -> dict[str, object]:
    """The core's side while the vehicles send."""
    delays: list[float] = []
    up = asyncio.Event()
    refused: list[str] = []
    links: list[str] = []

    def linked(is_up: bool, reason: str) -> None:
        links.append(reason or "up")
        up.set()

    def kept(what: Kept) -> None:
        for sample in what.samples:
            assert sample.reported_at is not None
            delays.append((sample.received_at - sample.reported_at).total_seconds())

    link = TelemetryLink(
        MqttSettings(port=port, username="core", password=core_key),
        depot_id=DEPOT,
        clock=SystemClock(),
        known=lambda pack: True,
        on_sample=lambda sample: None,
        on_rejected=lambda rejection: refused.append(rejection.text),
        on_link=linked,
        on_kept=kept,
    )
    task = asyncio.create_task(link.run())
    await up.wait()
    broker_s, own_s, began = cpu_s(pid), time.process_time(), time.monotonic()
    start.start()
    sent = await asyncio.to_thread(told.get)
    patience = time.monotonic() + 15
    while len(delays) + len(refused) < sent and time.monotonic() < patience:  # noqa: ASYNC110  # counted elsewhere
        await asyncio.sleep(0.05)
    seconds = time.monotonic() - began
    result: dict[str, object] = {
        "sent": sent,
        "came": len(delays),
        "refused": len(refused),
        "repeated": link.repeated,
        "link_changes": links,
        "per_s": round(len(delays) / seconds),
        "p50_ms": round(percentile(delays, 0.5) * 1000, 1),
        "p99_ms": round(percentile(delays, 0.99) * 1000, 1),
        "broker_cpu_share": round((cpu_s(pid) - broker_s) / seconds, 2),
        "broker_cpu_us_per_message": round((cpu_s(pid) - broker_s) / sent * 1e6),
        "link_cpu_us_per_message": round((time.process_time() - own_s) / sent * 1e6),
        "load_1min": round(os.getloadavg()[0], 1),
    }
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500.0, help="messages a second of all vehicles")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--vehicles", type=int, default=100)
    parser.add_argument("--form", choices=["packed", "json"], default="packed")
    parser.add_argument("--saturate", action="store_true", help="as fast as the broker acknowledges")
    options = parser.parse_args()
    rate = 0.0 if options.saturate else options.rate
    with tempfile.TemporaryDirectory() as folder:
        names = [f"BUS{number:03d}" for number in range(options.vehicles)]
        with pinned_broker(Path(folder), names) as (pid, port, keys, core_key):
            context = multiprocessing.get_context("spawn")
            told: multiprocessing.Queue[int] = context.Queue()
            sender = context.Process(target=vehicles, args=(port, keys, options.form, rate, options.seconds, told), daemon=True)
            row = asyncio.run(measure(pid, port, core_key, sender, told))  # type: ignore[arg-type]  # a process all the same
            sender.join()
    row = {"fault": "telemetry_broker", "form": options.form, "vehicles": options.vehicles, "asked_per_s": rate} | row
    print(write_evidence("telemetry_broker", row))
    whole = row["came"] == row["sent"] and not row["refused"]
    return 0 if whole and (options.saturate or float(str(row["per_s"])) >= 0.95 * rate) else 1


if __name__ == "__main__":
    sys.exit(main())
