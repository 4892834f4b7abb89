"""The utility falls silent: how soon is the fail-safe limit in force? 24 simulated chargers on real sockets, in real time.

    python -m benchmarks.heartbeat_lost [--rounds 5] [--seed 1]

All charge under an order of the RTU with a heartbeat every second and the shortest time-out that the register takes
(10 s). Then the RTU says nothing any more, in three variants:
    normal     nothing else is wrong
    hung       the planner is stopped (SIGSTOP) at the same moment
    killed     the core is killed (kill -9) at the same moment; every other time under an order below the fail-safe limit
From the last heartbeat that was answered:
    told       the levels that all chargers hold and the rest of the site together are within the fail-safe limit
    below      what flows through the connection point is within it, and stays there
After each: heartbeats alone must change nothing for three seconds; a fresh order must. After a kill the site may never
draw more than the lower one of fail-safe limit and order, from the time-out until the fresh order. Exit 1 where told or
below takes longer than the time-out + 2 s, or one of these was not so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks.evidence import percentile, write_evidence
from benchmarks.limit_drop import BASE_W, WatchedTrace, full_depot
from benchmarks.limit_drop import Watch as Frames
from benchmarks.real_depot import UTILITY_PORT, RealDepot, open_depot, processes
from simulator.demo_day import demo_spec
from simulator.rtu import IN_FAILSAFE, INIT, LimitOrder, Rtu

TIMEOUT_S = 10
GOAL_S = TIMEOUT_S + 2.0
VARIANTS = ("normal", "hung", "killed")
HIGH_W, LOW_W = 330_000, 120_000
PLANNER_WITHIN_S = 400.0
"""A plan is made every five minutes."""
WARM_UP_S = 40.0
ALONE_S = 3.0
METER_W = 500
"""What the site may draw above a limit: less is a charger's own electronics."""

EXTRA = f"""
[utility]
port = {UTILITY_PORT}
heartbeat_timeout_s = {TIMEOUT_S}
[limiter]
max_writes_per_hour = 3600
min_change_s = 1
comeback_max_s = 0
comeback_ramp_s = 0
"""


@dataclass(frozen=True, slots=True)
class Loss:
    """One silence. Seconds from the last answered heartbeat; inf: not while it was watched. ``worst_w``: the most that
    the site drew from the time-out + 2 s on until the fresh order. ``held``: heartbeats alone released nothing. ``back_s``:
    after a kill, when the last charger was heard of by the new core."""

    variant: str
    order_w: int
    told_s: float
    below_s: float
    worst_w: int
    held: bool
    back_s: float

    def good(self, failsafe_w: int) -> bool:
        allowed_w = min(failsafe_w, self.order_w) if self.variant == "killed" else failsafe_w
        return max(self.told_s, self.below_s) <= GOAL_S and self.held and self.worst_w <= allowed_w + METER_W


@dataclass(slots=True)
class Levels:
    """What each station holds: its live level, by the frames that its socket gave it."""

    frames: Frames
    told_at: list[tuple[float, float]] = field(default_factory=list)
    heard_at: dict[str, float] = field(default_factory=dict)

    def frame(self, station_id: str, way: str, frame: list[object]) -> None:
        if way == "in":
            self.heard_at.setdefault(station_id, time.monotonic())
        before = self.frames.level.get(station_id)
        self.frames.frame(station_id, way, frame)
        if self.frames.level.get(station_id) != before:
            self.told_at.append((time.monotonic(), sum(self.frames.level.values())))


async def planners(core_pid: int) -> list[int]:
    """The planner's processes below the core; one that a round before had made hang is begun anew first."""
    async with asyncio.timeout(PLANNER_WITHIN_S):
        while not (found := [pid for pid, (parent, line) in processes().items() if parent == core_pid and "planner" in line]):  # noqa: ASYNC110 (a process of others)
            await asyncio.sleep(0.5)
    return found


@contextlib.contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end, where they still live."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def lose(depot: RealDepot, rtu: Rtu, levels: Levels, *, variant: str, order_w: int) -> Loss:
    """One silence from its beginning until the fresh order is in force."""
    plant, failsafe_w = depot.world.plant, depot.settings.to_spec().failsafe_w
    levels.told_at.clear()
    levels.heard_at.clear()
    levels.frames.forget()
    pid = depot.core_pid
    if pid is None:
        raise RuntimeError("the core is down")
    with contextlib.ExitStack() as stack:
        there = await planners(pid) if variant == "hung" else []
        rtu.silence()
        await asyncio.sleep(0.2)  # a beat that was under way has been answered
        last_s = rtu.last_beat_s
        if variant == "hung":
            stack.enter_context(stopped(there))
        elif variant == "killed":
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.2)
            levels.heard_at.clear()
        flows: list[tuple[float, int]] = []
        while time.monotonic() - last_s < GOAL_S + 4.0:
            flows.append((time.monotonic() - last_s, plant.site_power_w()))
            await asyncio.sleep(0.02)
        rtu.insists = False
        rtu.speak()
        began = time.monotonic()
        while time.monotonic() - began < ALONE_S:
            flows.append((time.monotonic() - last_s, plant.site_power_w()))
            await asyncio.sleep(0.02)
        held = rtu.report is not None and rtu.report.state in (INIT, IN_FAILSAFE) and rtu.last_beat_s > began
    rtu.insists = True
    told_s = _since(sorted((at - last_s, round(w) + BASE_W) for at, w in levels.told_at), failsafe_w)
    worst_w = max(w for at, w in flows if at >= GOAL_S)
    back_s = max(levels.heard_at.values(), default=last_s) - last_s if variant == "killed" else 0.0
    return Loss(variant, order_w, told_s, _since(flows, failsafe_w + METER_W), worst_w, held, back_s)


def _since(rows: list[tuple[float, int]], limit_w: int) -> float:
    """From when on every value is within the limit; 0 where all are, inf where the last is not."""
    above = [n for n, (_, w) in enumerate(rows) if w > limit_w]
    if not above:
        return 0.0
    return rows[above[-1] + 1][0] if above[-1] + 1 < len(rows) else float("inf")


async def run(*, rounds: int, seed: int, loud: bool) -> tuple[list[Loss], int]:
    """All silences of one depot, and its fail-safe limit."""
    each_s = GOAL_S + 60
    spec = demo_spec()
    day = full_depot(spec, start=datetime.now(UTC) + timedelta(seconds=5), duration_s=WARM_UP_S + rounds * 3 * each_s + 120)
    frames = Frames()
    levels = Levels(frames)
    found: list[Loss] = []
    async with open_depot(
        day, speed=1, seed=seed, personas={}, trace=WatchedTrace(frames), seen=levels.frame, extra=EXTRA, loud=loud
    ) as depot:
        utility = depot.settings.to_limit_server()
        assert utility is not None
        playing = asyncio.create_task(depot.world.run())
        async with Rtu(port=utility.port, clock=depot.clock) as rtu:
            await rtu.order(LimitOrder(HIGH_W))
            await asyncio.sleep(WARM_UP_S)
            for number in range(rounds):
                for variant in VARIANTS:
                    order_w = LOW_W if variant == "killed" and number % 2 == 0 else HIGH_W
                    await rtu.order(LimitOrder(order_w), patience_s=60)
                    await _drawing(depot, min(order_w, HIGH_W) - 30_000)
                    loss = await lose(depot, rtu, levels, variant=variant, order_w=order_w)
                    found.append(loss)
                    back = f", last charger back after {loss.back_s:.1f} s" if variant == "killed" else ""
                    print(
                        f"{variant:>6} under {order_w / 1000:.0f} kW: told {loss.told_s:5.2f} s, below {loss.below_s:5.2f} s, then at most "
                        f"{loss.worst_w / 1000:.0f} kW{back}{'' if loss.good(spec.failsafe_w) else '  NOT AS IT MUST BE'}", flush=True,
                    )  # fmt: skip
        playing.cancel()
    return found, spec.failsafe_w


async def _drawing(depot: RealDepot, least_w: int) -> None:
    async with asyncio.timeout(120):
        while depot.world.plant.site_power_w() < least_w:  # noqa: ASYNC110  # the plant tells nobody
            await asyncio.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loud", action="store_true", help="show what the core says")
    options = parser.parse_args()
    found, failsafe_w = asyncio.run(run(rounds=options.rounds, seed=options.seed, loud=options.loud))
    for variant in VARIANTS:
        mine = [loss for loss in found if loss.variant == variant]
        row = {
            "fault": f"heartbeat_lost {variant}", "n": len(mine), "chargers": 24, "timeout_s": TIMEOUT_S,
            "told_p50_s": round(percentile([loss.told_s for loss in mine], 0.5), 2),
            "told_max_s": round(max(loss.told_s for loss in mine), 2),
            "below_max_s": round(max(loss.below_s for loss in mine), 2),
            "back_max_s": round(max(loss.back_s for loss in mine), 2),
            "worst_kw": round(max(loss.worst_w for loss in mine) / 1000, 1),
            "not_as_it_must_be": sum(not loss.good(failsafe_w) for loss in mine), "seed": options.seed,
        }  # fmt: skip
        print(write_evidence("heartbeat_lost", row))
    return 0 if all(loss.good(failsafe_w) for loss in found) else 1


if __name__ == "__main__":
    sys.exit(main())
