"""A hundred thousand mutated frames against the real core: is everything answered that can be, and does nothing break?

    python -m benchmarks.mutants [--version 1.6|2.0.1|2.1] [--frames 100000] [--stations 100] [--per-second 1500] [--seed 1]

The core process as it runs in a depot, journal on; stations that have their keys send it frames that were bent in eighteen ways
(:mod:`benchmarks.faultkit.mutants`), no faster than the flood limits allow, and answer half of its own calls with bent payloads.
Goals: the same process at the end, no connection lost, every CALL answered whose message id can be read, memory grown by 20 MB at
most. A plain station's Heartbeat is answered at the end. Exit 1 where one is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.evidence import write_evidence
from benchmarks.faultkit.mutants import MUTANTS, bombard
from benchmarks.faultkit.nemesis import rss_mb
from benchmarks.herd import Herd
from benchmarks.message_load import core_of, listening, pin
from benchmarks.reconnect_storm import yard_of

GOAL_GROWTH_MB = 20.0
WARM_EACH = 300
"""Frames of each station after which what fills once is full: the message logs, journal, caches of schemas and of text."""


async def run(*, frames: int, stations: int, per_s: float, seed: int, folder: Path, version: str = "1.6") -> dict[str, object]:
    """Start the core, connect, bombard."""
    processors = sorted(os.sched_getaffinity(0))
    with core_of(yard_of(stations), folder, processor=processors[0]) as (core, settings, keys):
        if len(processors) > 1:
            pin(*processors[1:])
        await listening(settings.ocpp_port)
        herd = Herd(list(keys), port=settings.ocpp_port, keys=keys, kind=MUTANTS[version])
        await herd.connect(within_s=2.0)
        assert not herd.failed, herd.failed[:3]
        await bombard(herd, random.Random(f"{seed}/warm"), count=WARM_EACH * stations, per_s=per_s, name="warm")
        before_mb = rss_mb(core.pid)
        found = await bombard(herd, random.Random(seed), count=frames, per_s=per_s, name="m")
        for text in found.missing:
            print("not answered:", text)
        growth_mb = rss_mb(core.pid) - before_mb
        took, _, _ = await herd.paced(lambda s, done, due: s.heartbeat(done, since=due), per_s=stations, seconds=1.0)
        return {
            "version": version,
            **found.row(),
            "crashes": int(core.poll() is not None),
            "rss_growth_mb": round(growth_mb, 1),
            "alive_after": len(took),
            "stations": stations,
        }


def good(row: dict[str, object], stations: int) -> bool:
    """Whether the goals are met."""
    nothing = not (row["unanswered"] or row["lost_connections"] or row["crashes"])
    return nothing and float(str(row["rss_growth_mb"])) <= GOAL_GROWTH_MB and row["alive_after"] == stations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", choices=MUTANTS, default="1.6", help="OCPP version of the stations")
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--stations", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=1500.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chargeyard-mutants-") as folder:
        row = asyncio.run(
            run(
                frames=options.frames, stations=options.stations, per_s=options.per_second, seed=options.seed, folder=Path(folder),
                version=options.version,
            )
        )  # fmt: skip
    result = "held" if good(row, options.stations) else "broken"
    print(write_evidence("mutants", {"fault": "11 mutated_frames", "result": result, **row, "seed": options.seed}))
    return 0 if result == "held" else 1


if __name__ == "__main__":
    sys.exit(main())
