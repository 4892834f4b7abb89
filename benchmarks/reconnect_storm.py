"""Every charger of a depot loses its connection at once and comes back: how fast, and what does it do to the limiter?

    python -m benchmarks.reconnect_storm [--chargers 1000] [--storms 3] [--seed 1]

The stations charge behind a limit that binds; a proxy between them and the core resets every connection in one moment,
in the middle of frames. Each station dials again within 0.25 to 0.75 s, as real ones do after a switch was restarted.
Per storm: how long the handshakes took, when the last one was in, the longest time between two views of the core (it
makes one a second, from the same loop as the limiter), and the core's memory. Goals: all in within 15 s, a handshake's
p99 within 1 s, 1.5 s between two views, 300 MB; no transaction lost or doubled, no limit exceeded.

The stations live in one process with the plant, and share the machine with the core.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.evidence import percentile, write_evidence
from benchmarks.faultkit.chaos_proxy import ChaosProxy
from benchmarks.faultkit.checker import Judged, Verdict, compare, judge
from benchmarks.faultkit.nemesis import rss_mb, until
from benchmarks.limit_drop import full_depot
from benchmarks.real_depot import open_depot
from controller.replay import replay
from controller.settings import Settings
from depot.events import Envelope
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from simulator.trace import Trace
from storage import Store

GOAL_IN_S = 15.0
GOAL_P99_S = 1.0
GOAL_GAP_S = 1.5
GOAL_RSS_MB = 300.0
PER_FEEDER = 100
CHARGER = ConnectorSpec(1, 7_360, 1_380, Current.AC, (1,), pausable=True)
CALM_S = 8.0
PLANNER = "\n[limiter]\nmax_writes_per_hour = 3600\n"


def yard_of(chargers: int) -> DepotSpec:
    """AC chargers behind feeders of a hundred, at a connection that takes 70 % of what they could draw."""
    feeders = tuple(FeederSpec(f"F{n}", PER_FEEDER * CHARGER.rated_w, f"Feeder {n}") for n in range(-(-chargers // PER_FEEDER)))
    stations = tuple(StationSpec(f"R-{n:04d}", f"F{n // PER_FEEDER}", (CHARGER,), bay_id=f"{n}") for n in range(chargers))
    full_w = chargers * CHARGER.rated_w
    return DepotSpec("demo", "Storm", round(0.7 * full_w) + 80_000, round(0.2 * full_w) + 80_000, 70_000, feeders, stations, metered=True)


@dataclass(slots=True)
class Storm:
    """One storm. ``handshakes_s``: each station's; ``in_s``: from the cut to the last one."""

    handshakes_s: list[float] = field(default_factory=list)
    in_s: float = 0.0
    gap_s: float = 0.0
    rss_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    storms: list[Storm]
    verdict: Verdict
    judged: Judged
    same_core: bool

    def row(self) -> dict[str, object]:
        handshakes = [s for storm in self.storms for s in storm.handshakes_s]
        return {
            "n": len(handshakes),
            "storms": len(self.storms),
            "handshake_p50_s": round(percentile(handshakes, 0.5), 3),
            "handshake_p99_s": round(percentile(handshakes, 0.99), 3),
            "all_in_s": round(max(storm.in_s for storm in self.storms), 2),
            "longest_gap_s": round(max(storm.gap_s for storm in self.storms), 2),
            "rss_mb": round(max(storm.rss_mb for storm in self.storms)),
            "transactions": self.verdict.ran,
            "lost": len(self.verdict.lost),
            "doubled": len(self.verdict.doubled),
            **self.judged.row(),
        }

    @property
    def sound(self) -> bool:
        return self.verdict.sound and not self.judged.violations and self.same_core

    @property
    def good(self) -> bool:
        row = self.row()
        times = {"handshake_p99_s": GOAL_P99_S, "all_in_s": GOAL_IN_S, "longest_gap_s": GOAL_GAP_S, "rss_mb": GOAL_RSS_MB}
        return self.sound and all(float(str(row[name])) <= goal for name, goal in times.items())


async def run(*, chargers: int, storms: int, seed: int, folder: Path, loud: bool = False) -> Result:
    """Play the storms on one depot."""
    spec = yard_of(chargers)
    day = full_depot(spec, start=datetime.now(UTC) + timedelta(seconds=5), duration_s=3600)
    lines: list[str] = []
    opened: list[tuple[float, float]] = []
    views: list[float] = []
    done: list[Storm] = []
    proxies: list[ChaosProxy] = []

    async def through(settings: Settings) -> int:
        proxies.append(await ChaosProxy(settings.ocpp_port).__aenter__())
        return proxies[0].port

    def dialled(_: str, seconds: float) -> None:
        opened.append((time.monotonic(), seconds))

    async with open_depot(
        day, speed=1, seed=seed, personas={}, trace=Trace(lines.append), extra=PLANNER, dial_at=through, dialled=dialled, loud=loud
    ) as depot:
        core = depot.core_pid
        assert core is not None

        async def watch() -> None:
            async for _ in depot.link.views():
                views.append(time.monotonic())

        playing = [asyncio.create_task(depot.world.run()), asyncio.create_task(watch())]
        plant = depot.world.plant
        target_w = 0.85 * spec.contract_w
        await until(lambda: plant.site_power_w() >= target_w, 120 + chargers, f"{chargers} stations charge")
        for _ in range(storms):
            await asyncio.sleep(CALM_S)
            opened.clear()
            began = time.monotonic()
            proxies[0].cut()
            await until(lambda: len(opened) >= chargers, 120, "every station is back")
            storm = Storm([seconds for _, seconds in opened], max(at for at, _ in opened) - began)
            await asyncio.sleep(CALM_S)
            storm.gap_s = max((b - a for a, b in itertools.pairwise([at for at in views if at >= began - 1])), default=0.0)
            storm.rss_mb = rss_mb(core)
            done.append(storm)
        await until(lambda: plant.site_power_w() >= target_w, 120, "all charge again")
        assert await depot.drained(120)
        same = depot.core_pid == core
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await asyncio.sleep(1)
        await depot.close_core()
        facts: list[Envelope] = []
        with Store.open(depot.settings.database, read_only=True) as store:
            replay(store, spec.depot_id, show=facts.append)
        verdict = compare(depot.book.ran, facts)
        await proxies[0].__aexit__(None, None, None)
    return Result(done, verdict, judge(lines, folder), same)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chargers", type=int, default=1000)
    parser.add_argument("--storms", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loud", action="store_true", help="show what the core says")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(
            run(chargers=options.chargers, storms=options.storms, seed=options.seed, folder=Path(folder), loud=options.loud)
        )
    for n, storm in enumerate(result.storms, start=1):
        print(
            f"storm {n}: {len(storm.handshakes_s)} stations in after {storm.in_s:.2f} s, handshake p99 "
            f"{percentile(storm.handshakes_s, 0.99):.2f} s, longest {storm.gap_s:.2f} s between two views, core {storm.rss_mb:.0f} MB"
        )
    print(result.verdict)
    row = {"fault": "10 reconnect_storm", "result": "held" if result.good else "broken", "chargers": options.chargers, **result.row()}
    print(write_evidence("reconnect_storm", row | {"seed": options.seed}))
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
