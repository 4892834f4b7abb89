"""Does a flood of reads over Modbus reach the safety path? And how much is read where it is allowed?

    python -m benchmarks.modbus_flood [--rounds 3] [--orders 3] [--beats 80] [--seed 1]

24 chargers on real sockets, a real core, a real RTU. First with the rate as it is by default: by turns quiet, and while a
master at another address reads on four connections as fast as it is answered, with 64 requests under way on each. Then
    beat     an OCPP Heartbeat of a station to its answer: a turn of the core's loop
    out      from the write of a lower limit until the last lower SetChargingProfile, of those that it took, has left
    ack      from the write until AckSeq shows it (it waits until the chargers have settled)
Then a core without a rate: reads that are answered in five seconds, of 64 registers each, and the beats meanwhile. Exit 1 where
the flooder gets more than 1.5 times its rate, the flood doubles the p99 of beat (and it is above 50 ms) or of out (above 300 ms),
or fewer than 5,000 registers a second are read.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.attacks import declared
from benchmarks.evidence import percentile, write_evidence
from benchmarks.faultkit.attackers import dial, latency_s
from benchmarks.faultkit.nemesis import until
from benchmarks.faultkit.night import live_level_w
from benchmarks.limit_drop import full_depot
from benchmarks.real_depot import UTILITY_PORT, RealDepot, open_depot
from grid.limit_access import REQUESTS_PER_S
from simulator.demo_day import demo_spec
from simulator.rtu import LimitOrder, Rtu

GOAL_REGISTERS_PER_S = 5_000
GOAL_BEAT_S = 0.05
GOAL_OUT_S = 0.3
LOW_W = 260_000
CHARGING_W = 330_000
BACK_S = 60.0

SETTINGS = f"""
[limiter]
max_writes_per_hour = 3600
min_change_s = 1
comeback_max_s = 0
comeback_ramp_s = 0
[utility]
port = {UTILITY_PORT}
request_rate = """


@dataclass(slots=True)
class Told:
    """The newest level of each station, and when the newest lower one left the core, by the monotonic clock."""

    level_w: dict[str, float] = field(default_factory=dict)
    newest_s: float = 0.0

    def frame(self, station_id: str, way: str, frame: list[Any]) -> None:
        """A frame at a station's socket."""
        if way == "in" and frame[0] == 2 and frame[2] == "SetChargingProfile" and (level_w := live_level_w(frame[3])) is not None:
            if level_w < self.level_w.get(station_id, 0.0):
                self.newest_s = time.monotonic()
            self.level_w[station_id] = level_w


@contextlib.asynccontextmanager
async def depot_with(rate: float, seed: int) -> AsyncIterator[tuple[RealDepot, Told, Rtu]]:
    """A depot that charges, with this rate for readers."""
    told = Told()
    day = full_depot(demo_spec(), start=datetime.now(UTC) + timedelta(seconds=4), duration_s=3600)
    async with open_depot(
        day, speed=1, seed=seed, personas={}, seen=told.frame, extra=f"{SETTINGS}{rate:g}\n", beside=declared("GOOD")
    ) as depot:
        world = asyncio.create_task(depot.world.run())
        try:
            async with Rtu(port=UTILITY_PORT + depot.settings.port_offset, clock=depot.clock) as rtu:
                await rtu.order(LimitOrder(None))
                await until(lambda: depot.world.plant.site_power_w() > CHARGING_W, 120, "the depot charges")
                yield depot, told, rtu
        finally:
            world.cancel()
            await asyncio.gather(world, return_exceptions=True)


async def orders(depot: RealDepot, told: Told, rtu: Rtu, count: int) -> tuple[list[float], list[float]]:
    """Lower limits, ``count`` times: seconds until the last charger was told, and until the acknowledgement."""
    out, acks = [], []
    for _ in range(count):
        began = time.monotonic()
        seq = await rtu.write(LimitOrder(LOW_W))
        await until(lambda: depot.world.plant.site_power_w() <= LOW_W, 20, "the limit is obeyed")
        out.append(told.newest_s - began)
        await rtu.acknowledged(seq)
        acks.append(time.monotonic() - began)
        await rtu.order(LimitOrder(None))
        await until(lambda: depot.world.plant.site_power_w() > CHARGING_W, BACK_S, "the depot charges again")
    return out, acks


async def beats(depot: RealDepot, count: int) -> list[float]:
    """An OCPP Heartbeat's answer, ``count`` times."""
    async with dial(depot.settings.ocpp_port, "GOOD", depot.passwords["GOOD"]) as station:
        return await latency_s(station, count)


@contextlib.asynccontextmanager
async def flooded(depot: RealDepot, *, seconds: float, source: str, depth: int) -> AsyncIterator[asyncio.Task[dict[str, Any]]]:
    """While a flooder reads; its own account is the task's result."""
    port = UTILITY_PORT + depot.settings.port_offset
    words = ["-m", "benchmarks.faultkit.modbus_flooder", str(port), "--source", source, "--depth", str(depth), "--seconds", str(seconds)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)

    async def account() -> dict[str, Any]:
        out, _ = await process.communicate()
        found: dict[str, Any] = json.loads(out)
        return found

    task = asyncio.create_task(account())
    try:
        yield task
        await task
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.gather(task, return_exceptions=True)


def row_of(phase: str, beat: list[float], out: list[float], acks: list[float]) -> dict[str, object]:
    """Percentiles in milliseconds."""
    row: dict[str, object] = {}
    for name, values in (("beat", beat), ("out", out), ("ack", acks)):
        if values:
            row |= {
                f"{phase}_{name}_p50_ms": round(1000 * percentile(values, 0.5)),
                f"{phase}_{name}_p99_ms": round(1000 * percentile(values, 0.99)),
            }
    return row


async def measure(depot: RealDepot, told: Told, rtu: Rtu, options: argparse.Namespace, into: tuple[list[float], ...]) -> None:
    """One turn: beats, then orders; added to beat, out, ack."""
    for values, found in zip(into, (await beats(depot, options.beats), *await orders(depot, told, rtu, options.orders)), strict=True):
        values += found


async def run(options: argparse.Namespace) -> bool:
    """Both parts; whether the goals are met."""
    rate = REQUESTS_PER_S
    async with depot_with(rate, options.seed) as (depot, told, rtu):
        quiet: tuple[list[float], ...] = ([], [], [])
        loud: tuple[list[float], ...] = ([], [], [])
        got, cut_short = 0.0, 0
        for _ in range(options.rounds):
            await measure(depot, told, rtu, options, quiet)
            async with flooded(depot, seconds=options.seconds, source="127.0.0.2", depth=64) as account:
                await measure(depot, told, rtu, options, loud)
                cut_short += account.done()
            flood = account.result()
            got = max(got, flood["answers"] / flood["seconds"])
    row = row_of("quiet", *quiet) | row_of("flood", *loud) | {"flooder_reads_per_s": round(got), "rounds_cut_short": cut_short}
    print(write_evidence("modbus_flood", {"n": len(loud[1]), "rate": rate, "seed": options.seed, **row}), flush=True)
    good = got <= 1.5 * rate and not cut_short
    for before, after, floor_s in ((quiet[0], loud[0], GOAL_BEAT_S), (quiet[1], loud[1], GOAL_OUT_S)):
        good &= percentile(after, 0.99) <= max(floor_s, 2 * percentile(before, 0.99))
    async with depot_with(0, options.seed) as (depot, _, _), flooded(depot, seconds=5, source="127.0.0.1", depth=16) as account:
        free = await beats(depot, 40)
    flood = account.result()
    per_s = flood["registers"] / flood["seconds"]
    row = {"reads_per_s": round(flood["answers"] / flood["seconds"]), "registers_per_s": round(per_s), **row_of("free", free, [], [])}
    print(write_evidence("modbus_reads", {"n": flood["answers"], "connections": 4, "registers": 64, **row}))
    return good and per_s >= GOAL_REGISTERS_PER_S


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=3)
    parser.add_argument("--beats", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the flood of a round lasts")
    parser.add_argument("--seed", type=int, default=1)
    return 0 if asyncio.run(run(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
