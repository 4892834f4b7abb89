"""How fast is a lowered site limit obeyed? 24 simulated chargers on real sockets, in real time.

    python -m benchmarks.limit_drop [--drops 30] [--seed 1] [--personas]

All charge, then a person limits the site over the core's local link; lifted again between the drops. From the command:
    out        the last lower SetChargingProfile has left (taken when its station's socket gave it)
    below      the plant's site power is below the new limit, and stays there
    settled    the last lowered charger draws its new level at the plant
    metered    the last lowered charger has said so in a meter value of its own
Only chargers whose profile came before the site was below the limit count: what is shared out anew afterwards is
another matter. Exit 1 where out has a p99 above 300 ms, or metered above 5 s. All stations are polite, unless
``--personas`` puts every misbehaving one among them. Changes per hour are not rationed here: 30 drops are more than a
day has.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.evidence import percentile, write_evidence
from benchmarks.real_depot import RealDepot, open_depot, tell
from depot import commands as cmd
from depot.registry import DepotSpec
from depot.values import ConnectorId
from simulator.day import Day, Stay
from simulator.demo_day import demo_spec
from simulator.personas import assign
from simulator.trace import Trace

GOAL_OUT_S = 0.3
GOAL_METERED_S = 5.0
BASE_W = 40_000
MOST_W = 17_000
"""What a vehicle takes at most: then all 24 charge at once below the demo's contract."""

HIGHEST_W, LOWEST_W = 290_000, 200_000
OBSERVE_S = 6.0
RECOVER_S = 4.0
WARM_UP_S = 40.0
DROP_W = 25_000
"""A drop counts that takes at least this much from what the site draws."""

UNRATIONED = "\n[limiter]\nmax_writes_per_hour = 3600\nmin_change_s = 1\n"


def full_depot(spec: DepotSpec, *, start: datetime, duration_s: float) -> Day:
    """A battery that never fills on every connector, and no time to lose: all charge as fast as the limit lets them."""
    stays = []
    for i, station in enumerate(spec.stations):
        connector = station.connectors[0]
        max_w = min(connector.rated_w, MOST_W)
        need_wh = round(max_w * duration_s / 3600)
        stays.append(
            Stay(
                f"D{i:02d}", ConnectorId(station.station_id, 1), 1.0 + i * 0.1, duration_s, duration_s, need_wh, need_wh, max_w,
                connector.min_w, need_wh * 8, 0.2, 0.95, len(connector.phases) or 3,
            )
        )  # fmt: skip
    return Day("full depot", start, duration_s, spec, tuple(stays), base_w=((0.0, BASE_W),), price=((0.0, 7.0),), currency="INR")


@dataclass(slots=True)
class Watch:
    """What leaves and what flows, by the monotonic clock. ``lower``: profiles below what their station had before."""

    level: dict[str, float] = field(default_factory=dict)
    lower: list[tuple[float, str, float]] = field(default_factory=list)
    meter: list[tuple[float, str, float]] = field(default_factory=list)
    flows: list[tuple[float, str, float]] = field(default_factory=list)

    def frame(self, station_id: str, way: str, frame: list[Any]) -> None:
        now = time.monotonic()
        if way == "in" and frame[0] == 2 and frame[2] == "SetChargingProfile":
            profile = frame[3]["csChargingProfiles"]
            if profile["chargingProfilePurpose"] != "TxProfile":
                return
            schedule = profile["chargingSchedule"]
            period = schedule["chargingSchedulePeriod"][0]
            level = float(period["limit"]) * (1.0 if schedule["chargingRateUnit"] == "W" else 230.0 * period.get("numberPhases", 3))
            if level < self.level.get(station_id, math.inf) - 50:
                self.lower.append((now, station_id, level))
            self.level[station_id] = level
        elif way == "out" and frame[0] == 2 and frame[2] == "MeterValues":
            for sample in frame[3]["meterValue"][0]["sampledValue"]:
                if sample.get("measurand") == "Power.Active.Import":
                    self.meter.append((now, station_id, float(sample["value"])))

    def forget(self) -> None:
        self.lower.clear()
        self.meter.clear()
        self.flows.clear()


class WatchedTrace(Trace):
    """Notes the plant's powers as they change; writes nothing."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(lambda _line: None)
        self._watch = watch

    def power(self, t: float, connector: ConnectorId, w: int) -> None:
        self._watch.flows.append((time.monotonic(), connector.station_id, float(w)))


@dataclass(frozen=True, slots=True)
class Drop:
    """Seconds from the command; inf: did not happen while it was watched."""

    chargers: int
    out_s: float
    below_s: float
    settled_s: float
    metered_s: float


async def drop(depot: RealDepot, watch: Watch, *, number: int, limit_w: int) -> Drop:
    """Lower the limit once, watch, lift it."""
    watch.forget()
    powers = {key.station_id: depot.world.plant.power_w(key) for key in depot.day.spec.connectors}
    before_w = BASE_W + sum(powers.values())
    began = time.monotonic()
    command = asyncio.create_task(
        tell(depot.link, cmd.SetManualLimit(command_id=f"drop {number} {began}", actor="benchmark", reason="drop", value_w=limit_w))
    )
    await asyncio.sleep(OBSERVE_S)
    await command
    below_s, site_w = 0.0, float(before_w)
    for at, station_id, w in watch.flows:
        above = site_w > limit_w
        site_w += w - powers[station_id]
        powers[station_id] = round(w)
        if above and site_w <= limit_w:
            below_s = at - began
    if site_w > limit_w:
        below_s = math.inf
    wave = {station_id: (at, level) for at, station_id, level in watch.lower if at - began <= below_s}
    settled = [_first(watch.flows, station_id, *told) - began for station_id, told in wave.items()]
    metered = [_first(watch.meter, station_id, *told) - began for station_id, told in wave.items()]
    result = Drop(
        len(wave), max((at - began for at, _ in wave.values()), default=math.inf), below_s, max(settled, default=math.inf),
        max(metered, default=math.inf),
    )  # fmt: skip
    await tell(depot.link, cmd.ClearManualLimit(command_id=f"lift {number} {began}", actor="benchmark", reason="lift"))
    return result


def _first(rows: list[tuple[float, str, float]], station_id: str, told_at: float, level: float) -> float:
    """When ``station_id`` first was at or below ``level`` after it was told; at once where it was there already."""
    before = [w for at, name, w in rows if name == station_id and at < told_at]
    if (before and before[-1] <= level + 50) or not any(name == station_id for _, name, _ in rows):
        return told_at
    return next((at for at, name, w in rows if name == station_id and at >= told_at and w <= level + 50), math.inf)


async def run(*, drops: int, seed: int, misbehaving: bool, loud: bool) -> list[Drop]:
    """All drops of one depot."""
    duration_s = WARM_UP_S + drops * (OBSERVE_S + RECOVER_S + 10) + 60
    day = full_depot(demo_spec(), start=datetime.now(UTC) + timedelta(seconds=5), duration_s=duration_s)
    personas = assign([station.station_id for station in day.spec.stations], seed=seed) if misbehaving else {}
    rng = random.Random(f"{seed}/drops")
    watch = Watch()
    done: list[Drop] = []
    async with open_depot(
        day, speed=1, seed=seed, personas=personas, trace=WatchedTrace(watch), seen=watch.frame, extra=UNRATIONED, loud=loud
    ) as depot:
        playing = asyncio.create_task(depot.world.run())
        await asyncio.sleep(WARM_UP_S)
        for number in range(drops):
            limit_w = round(rng.uniform(LOWEST_W, HIGHEST_W))
            async with asyncio.timeout(RECOVER_S + 30):
                while depot.world.plant.site_power_w() < limit_w + DROP_W:  # noqa: ASYNC110  # the plant tells nobody
                    await asyncio.sleep(0.1)
            from_w = depot.world.plant.site_power_w()
            running = sum(depot.world.plant.power_w(key) > 0 for key in day.spec.connectors)
            done.append(await drop(depot, watch, number=number, limit_w=limit_w))
            d = done[-1]
            print(
                f"drop {number + 1:2d}: {from_w / 1000:3.0f} -> {limit_w / 1000:3.0f} kW, {running} charging, "
                f"{d.chargers} lowered: out {d.out_s * 1000:4.0f} ms, "
                f"below {d.below_s:.2f} s, settled {d.settled_s:.2f} s, metered {d.metered_s:.2f} s", flush=True,
            )  # fmt: skip
            await asyncio.sleep(RECOVER_S)
        playing.cancel()
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drops", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--personas", action="store_true", help="every misbehaving station is among them")
    parser.add_argument("--loud", action="store_true", help="show what the core says")
    options = parser.parse_args()
    done = asyncio.run(run(drops=options.drops, seed=options.seed, misbehaving=options.personas, loud=options.loud))
    row: dict[str, object] = {"fault": "limit_drop", "n": len(done), "chargers": 24, "personas": options.personas}
    for name in ("out_s", "below_s", "settled_s", "metered_s"):
        values = [getattr(d, name) for d in done]
        row[f"{name[:-2]}_p50_s"] = round(percentile(values, 0.5), 3)
        row[f"{name[:-2]}_p99_s"] = round(percentile(values, 0.99), 3)
    print(write_evidence("limit_drop", row | {"seed": options.seed}))
    good = percentile([d.out_s for d in done], 0.99) <= GOAL_OUT_S and percentile([d.metered_s for d in done], 0.99) <= GOAL_METERED_S
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
