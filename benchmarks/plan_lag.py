"""How late the controller's loop is while 1,000 vehicles are planned: the real Planning, the real planner child, a yard in memory.

    python -m benchmarks.plan_lag [--vehicles 1000] [--plans 10] [--json]

A task asks every 5 ms how much later than wanted it is woken, from a plan's request to its acceptance, plan after plan; between
plans the vehicles' needs move a little. Half of them are plugged in and charging, the others announced. ``idle_p99_ms``: the
same while nothing is planned, which is what the machine itself does. ``build``, ``frame``, ``answer``: milliseconds of the
parts on the loop, measured alone. Exit 1 above 50 ms at the 99th percentile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from controller.clock import SystemClock
from controller.limits import built_in
from controller.planner import PlannerProcess
from controller.planner_wire import Request, frame
from controller.planning import Planning, read_answer
from controller.planning_problem import build
from controller.planning_settings import PlanningSettings
from controller.yard import Yard
from depot import events as ev
from depot.events import Envelope, NewEvent
from depot.fold import fold
from depot.readings import LinkReading, MeterReading, SiteReading
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.state import DepotState
from depot.values import ConnectorId
from optimizer import plan

GOAL_MS = 50.0
EVERY_S = 0.005
IDLE_S = 3.0
PER_FEEDER = 25
ZONE = "Asia/Kolkata"


class MemoryJournal:
    """``depot.ports.Journal`` without a disk."""

    def __init__(self) -> None:
        self.state = DepotState()
        self.frozen = False
        self._seq = 0

    async def append(self, events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
        return [self.put(new) for new in events]

    def put(self, new: NewEvent) -> Envelope:
        self._seq += 1
        envelope = Envelope(
            f"e{self._seq}", "bench", self._seq, new.data.TYPE, new.data.VERSION, new.occurred_at, new.reported_at,
            new.occurred_at, new.actor, new.cause_id, new.key, new.data,
        )  # fmt: skip
        self.state = fold(self.state, [envelope])
        return envelope


class Meter:
    """The connection point: 400 kW of other load."""

    def __init__(self) -> None:
        self.reading = SiteReading(datetime.now(UTC), 400_000)


class DayNight:
    """Six rupees at night, nine by day."""

    currency = "INR"
    demand_charge_per_kw_month = 300.0
    demand_interval_min = 30

    def vector(self, start: datetime, slots: int, slot_s: int) -> list[float]:
        hours = ((start + timedelta(seconds=k * slot_s)).astimezone(ZoneInfo(ZONE)).hour for k in range(slots))
        return [6.0 if hour in (22, 23, 0, 1, 2, 3, 4, 5) else 9.0 for hour in hours]


def yard_of(vehicles: int, seed: int = 1) -> tuple[Yard, list[ConnectorId]]:
    """A yard with a vehicle for every charger: half of them there and charging."""
    rng, now = random.Random(seed), datetime.now(UTC)
    keys = [ConnectorId(f"CP-{n:04}", 1) for n in range(vehicles)]
    feeders = tuple(FeederSpec(f"F{f}", 1_500_000, f"Feeder {f}") for f in range(-(-vehicles // PER_FEEDER)))
    spec = DepotSpec(
        depot_id="bench",
        name="Bench",
        contract_w=13_000 * vehicles,
        failsafe_w=1_000_000,
        worst_background_w=500_000,
        feeders=feeders,
        stations=tuple(
            StationSpec(key.station_id, feeders[n // PER_FEEDER].feeder_id, (ConnectorSpec(1, 150_000, 6_000, Current.DC, pausable=True),))
            for n, key in enumerate(keys)
        ),
        metered=True,
        timezone=ZONE,
    )
    journal = MemoryJournal()
    yard = Yard(spec, journal, SystemClock(), Meter())
    for n, key in enumerate(keys):
        present = n % 2 == 0
        arrive = now - timedelta(hours=1) if present else now + timedelta(minutes=rng.randint(10, 300))
        depart = now + timedelta(minutes=rng.randint(420, 900))
        stay = ev.VisitAnnounced(
            f"visit-{n}", f"bus-{n}", arrive, depart, rng.randint(40_000, 300_000), 150_000,
            connector=key, efficiency=0.94, battery_wh=400_000, soc_arrival=0.3,
        )  # fmt: skip
        facts: list[ev.Event] = [ev.ConnectorStatusChanged(key, ev.ConnectorStatus.AVAILABLE, "NoError"), stay]
        if present:
            facts += [ev.VisitArrived(stay.visit_id, key), ev.TransactionStarted(n, f"session {n}", key, "TAG", 1_000, stay.visit_id)]
        for fact in facts:
            journal.put(NewEvent(fact, now))
        yard.links[key.station_id] = LinkReading(key.station_id, True, now, now)
    yard.restore(life_s=180.0)
    for n, key in enumerate(keys[::2]):
        grant = yard.grants[key]
        grant.in_session, grant.default_w = True, 6_000
        grant.told_w = grant.confirmed_w = grant.measured_w = 60_000
        yard.readings[key] = MeterReading(key, now, power_w=60_000, energy_wh=1_000, transaction_id=2 * n)
    return yard, keys


def step(yard: Yard, keys: Sequence[ConnectorId], rng: random.Random) -> None:
    """Some minutes later: every session has delivered a little more."""
    for key in keys:
        reading = yard.readings.get(key)
        if reading is not None:
            yard.readings[key] = replace(reading, energy_wh=(reading.energy_wh or 0) + rng.randint(500, 4_000))


async def late(found: list[float]) -> None:
    """Milliseconds that this is woken too late, for ever."""
    while True:
        began = perf_counter()
        await asyncio.sleep(EVERY_S)
        found.append((perf_counter() - began - EVERY_S) * 1000)


async def lags(planning: Planning, plans: int, move: Callable[[], None]) -> tuple[list[float], list[float]]:
    """Lags while planning, ms, and seconds from request to acceptance of each plan."""
    found: list[float] = []
    took: list[float] = []
    runner = asyncio.create_task(planning.run())
    try:
        for _ in range(plans + 1):
            made, began = planning.made, perf_counter()
            watch = asyncio.create_task(late(found))
            planning.request("bench")
            while planning.made == made:  # it says so nowhere else
                if planning.failed_since is not None:
                    raise RuntimeError(planning.text)
                await asyncio.sleep(EVERY_S)
            watch.cancel()
            took.append(perf_counter() - began)
            if made == 0:
                found.clear()  # the child was still starting, and everything ran for the first time
            move()
    finally:
        runner.cancel()
        with suppress(asyncio.CancelledError):
            await runner
    return found, took[1:]


async def measure(vehicles: int, plans: int) -> dict[str, float]:
    """The whole, and the parts on the loop alone."""
    yard, keys = yard_of(vehicles)
    rng = random.Random(2)
    settings, prices = PlanningSettings(spacing_s=0.0), DayNight()
    in_force = built_in(yard.spec)
    async with PlannerProcess(deadline_s=60) as planner:
        planning = Planning(yard, planner, prices, settings, limits_in_force=lambda: in_force, peak_w=lambda: 0, on_plan=lambda: None)
        idle: list[float] = []
        watch = asyncio.create_task(late(idle))
        await asyncio.sleep(IDLE_S)
        watch.cancel()
        found, took = await lags(planning, plans, lambda: step(yard, keys, rng))
    now = datetime.now(UTC)
    began = perf_counter()
    asked = build(yard, settings, prices, in_force, now=now, peak_w=0)
    built = perf_counter()
    assert asked is not None
    size = len(frame(Request(1, asked.problem, settings.policy, 10.0)))
    framed = perf_counter()
    result = plan(asked.problem)
    solved = perf_counter()
    read_answer(asked, result, now=now, settings=settings)
    answered = perf_counter()
    found.sort()
    idle.sort()
    return {
        "vehicles": len(asked.visit_ids),
        "plans": plans,
        "samples": len(found),
        "p99_ms": round(found[min(len(found) - 1, int(len(found) * 0.99))], 1),
        "max_ms": round(found[-1], 1),
        "idle_p99_ms": round(idle[int(len(idle) * 0.99)], 1),
        "plan_s": round(statistics.median(took), 3),
        "build_ms": round((built - began) * 1000, 1),
        "frame_ms": round((framed - built) * 1000, 1),
        "frame_mb": round(size / 1e6, 2),
        "answer_ms": round((answered - solved) * 1000, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=1000)
    parser.add_argument("--plans", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    arguments = parser.parse_args()
    found: dict[str, Any] = asyncio.run(measure(arguments.vehicles, arguments.plans))
    print(json.dumps(found) if arguments.json else " ".join(f"{k}={v}" for k, v in found.items()) + f" goal_ms={GOAL_MS:.0f}")
    return 0 if found["p99_ms"] <= GOAL_MS or arguments.json else 1


if __name__ == "__main__":
    sys.exit(main())
