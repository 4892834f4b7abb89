"""Attacks on the charger side of a running depot: malformed frames, half-open handshakes, stations that never read.

    python -m benchmarks.attacks [--frames 10000] [--half-open 500] [--deaf 100] [--seed 1]

24 stations charge on real sockets meanwhile, behind a limit that binds, and the plant is judged afterwards. Goals: every
CALL whose message id can be read is answered, no connection ends but by a frame that has to end it, the core's memory
grows by 20 MB at most; half-open handshakes and deaf stations are closed within 10 s, and another station's Heartbeat
takes at most twice as long (p99). Exit 1 where one is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.evidence import percentile, write_evidence
from benchmarks.faultkit.attackers import Deaf, HalfOpen, attack, dial, latency_s, malformed
from benchmarks.faultkit.checker import judge
from benchmarks.faultkit.nemesis import open_files, rss_mb, until
from benchmarks.limit_drop import full_depot
from benchmarks.real_depot import RealDepot, open_depot
from depot.registry import ConnectorSpec, Current, StationSpec
from simulator.demo_day import demo_spec
from simulator.trace import Trace

GOAL_GROWTH_MB = 20.0
GOAL_CLOSED_S = 10.0
GOAL_SLOWER = 2.0
CHARGING_W = 300_000
STREAMS = 4


def declared(*names: str) -> tuple[StationSpec, ...]:
    """Stations that nobody plays: what attacks comes in by their keys. So small that they take no room."""
    return tuple(StationSpec(name, "A", (ConnectorSpec(1, 400, 0, Current.AC, (1,)),)) for name in names)


async def malformed_frames(depot: RealDepot, names: Sequence[str], *, count: int, seed: int) -> dict[str, Any]:
    """``count`` malformed frames from the stations ``names`` at once; what came of it."""
    port, core = depot.settings.ocpp_port, depot.core_pid
    assert core is not None
    warm = malformed(random.Random(f"{seed}/warm"), 200, name="warm")
    await attack(port, names[0], depot.passwords[names[0]], warm)
    before_mb, files = rss_mb(core), open_files(core)
    streams = {name: malformed(random.Random(f"{seed}/{n}"), count // len(names), name=f"m{n}") for n, name in enumerate(names)}
    results = await asyncio.gather(*(attack(port, name, depot.passwords[name], frames) for name, frames in streams.items()))
    growth_mb = rss_mb(core) - before_mb
    await until(lambda: open_files(core) <= files + 5, 60, "every connection of the attack is closed")
    return {
        "n": sum(r.sent for r in results),
        "must_answer": sum(r.must for r in results),
        "unanswered": sum(len(r.unanswered) for r in results),
        "unexpected_closes": sum(len(r.unexpected) for r in results),
        "close_codes": sorted({code for r in results for code in r.closed}),
        "rss_growth_mb": round(growth_mb, 1),
        "crashes": int(depot.core_pid != core),
    }


async def slow_loris(depot: RealDepot, good: str, deaf_names: Sequence[str], *, half_open: int) -> dict[str, Any]:
    """Half-open handshakes that drip, stations that never read, and what station ``good`` feels of it."""
    port, core = depot.settings.ocpp_port, depot.core_pid
    assert core is not None
    files = open_files(core)
    half, deaf = HalfOpen(), [Deaf(name, depot.passwords[name]) for name in deaf_names]
    try:
        async with dial(port, good, depot.passwords[good]) as station, asyncio.TaskGroup() as group:
            calm = await latency_s(station, 100)
            await half.open(port, half_open)
            closing = group.create_task(half.all_closed(120))
            tasks = [group.create_task(half.drip())]
            for one in deaf:
                await one.open(port)
            opened = time.monotonic()
            tasks += [group.create_task(one.talk()) for one in deaf]
            stormy = await latency_s(station, 100)
            await until(lambda: not any(one.open_still for one in deaf), 120, "who never reads is cut off")
            deaf_s = time.monotonic() - opened
            half_s = await closing
            for task in tasks:
                task.cancel()
    finally:
        half.close()
        for one in deaf:
            one.close()
    await until(lambda: open_files(core) <= files + 5, 60, "every connection of the attack is closed")
    latency = {
        f"{name}_{word}_ms": round(percentile(values, share) * 1000, 1)
        for name, values in (("calm", calm), ("stormy", stormy))
        for word, share in (("p50", 0.5), ("p99", 0.99))
    }
    closed = {"half_open_closed_s": round(half_s, 1), "deaf_closed_s": round(deaf_s, 1)}
    return {"n": half_open + len(deaf), "half_open": half_open, "deaf": len(deaf), **closed, **latency}


async def run(*, frames: int, half_open: int, deaf: int, seed: int, loud: bool) -> list[tuple[str, dict[str, Any], bool]]:
    """Both attacks on one depot: (name, numbers, whether the goals were met)."""
    day = full_depot(demo_spec(), start=datetime.now(UTC) + timedelta(seconds=5), duration_s=3600)
    mad, deaf_names = [f"MAD-{n}" for n in range(STREAMS)], [f"DEAF-{n}" for n in range(deaf)]
    lines: list[str] = []
    found: list[tuple[str, dict[str, Any], bool]] = []
    beside = declared(*mad, "GOOD", *deaf_names)
    async with open_depot(day, speed=1, seed=seed, personas={}, trace=Trace(lines.append), beside=beside, loud=loud) as depot:
        playing = asyncio.create_task(depot.world.run())
        await until(lambda: depot.world.plant.site_power_w() > CHARGING_W, 120, "the depot charges")
        row = await malformed_frames(depot, mad, count=frames, seed=seed)
        good = not (row["unanswered"] or row["unexpected_closes"] or row["crashes"]) and row["rss_growth_mb"] <= GOAL_GROWTH_MB
        found.append(("11 malformed_frames", row, good))
        row = await slow_loris(depot, "GOOD", deaf_names, half_open=half_open)
        good = max(row["half_open_closed_s"], row["deaf_closed_s"]) <= GOAL_CLOSED_S + 1
        found.append(("12 slow_loris", row, good and row["stormy_p99_ms"] <= GOAL_SLOWER * row["calm_p99_ms"]))
        playing.cancel()
    with tempfile.TemporaryDirectory() as folder:
        judged = judge(lines, Path(folder))
    return [(name, {**row, **judged.row()}, good and not judged.violations) for name, row, good in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--half-open", type=int, default=500)
    parser.add_argument("--deaf", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loud", action="store_true", help="show what the core says")
    options = parser.parse_args()
    found = asyncio.run(run(frames=options.frames, half_open=options.half_open, deaf=options.deaf, seed=options.seed, loud=options.loud))
    for name, row, good in found:
        print(write_evidence("attacks", {"fault": name, "result": "held" if good else "broken", **row, "seed": options.seed}))
    return 0 if all(good for _, _, good in found) else 1


if __name__ == "__main__":
    sys.exit(main())
