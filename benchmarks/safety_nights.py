"""Hot nights of healthy batteries, and nights in which one goes wrong: does the guard stop the right ones, and how soon?

    python -m benchmarks.safety_nights [--nights 1000] [--packs 1] [--every 10] [--faults 200]

A night is a summer's: 42 °C in the evening, 33 °C at dawn; every bus comes back with its battery at 50 to 55 °C and charges with what the
guard leaves it; it speaks at 1 Hz for ten minutes, then every ``--every`` seconds (every 30 s once nobody charges), until it leaves ten
hours later. Batteries are the simulator's, not the guard's model. Half are LFP, half NMC. Each says all that its management measures, also
every cell (``--wire``: only what ``pack_telemetry/1`` carries, through the parser).

- **Healthy**: every trip, and every share of 0, is a false stop. The goal is 0.
- **Faults**: one in each night, of each kind in turn, at a random time; from then on the battery speaks once a second. Told is how many
  were caught as they should be, and how long after it began.

Virtual time, one process; nothing of planner, chargers or network is in it: what a stop takes from the sample's arrival is
``benchmarks.hot_sample``'s.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.evidence import percentile, write_evidence
from bms_bridge.charging import Charging, PackFacts
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source, parse
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Derate, Trip, Verdict, Why
from depot.values import PackKey
from simulator.battery_faults import KINDS, Fault, StopDemanded
from simulator.cells import MAKES, series_of
from simulator.pack import Pack
from simulator.telematics import Unit, unit_of

NIGHT_S = 10 * 3600.0
BRISK_S, REST_S = 600.0, 30.0
"""So long every second; and so often where nobody charges any more."""

EVENING_C, DAWN_C = 42.0, 33.0
BACK_C = (50.0, 55.0)
START = datetime(2026, 5, 20, 14, 0, tzinfo=UTC)
PATIENCE_S = 1800.0
"""After so long a fault counts as not caught."""

STUCK_PATIENCE_S = 6 * 3600.0
"""A sensor that is stuck differs from the others only once these have moved."""


class StepClock:
    """Time that the benchmark moves."""

    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.s)

    def monotonic(self) -> float:
        return self.s

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps here")


@dataclass(slots=True)
class Bus:
    """One battery on its charger: what it is, who speaks of it, what it may have."""

    unit: Unit
    pack: Pack
    chemistry: Chemistry
    charger_w: float
    soc: float
    share: float = 1.0
    verdicts: list[tuple[float, Verdict]] = field(default_factory=list)

    @property
    def power_w(self) -> float:
        wants_w = self.pack.acceptance_w()
        if any(isinstance(fault, StopDemanded) and self.unit.plugged_s > fault.after_s for fault in self.unit.cells.faults):
            wants_w = self.pack.allowed_w()  # the charger goes on whatever the battery says
        return min(self.charger_w * self.share, wants_w)

    def advance(self, seconds: float) -> None:
        power_w = self.power_w
        self.pack.advance(power_w, seconds)
        self.unit.advance(seconds, self.pack, power_w=power_w)


class Yard:
    """The buses of one night under one guard, on a clock of their own."""

    def __init__(self, buses: list[Bus], latches: LatchFile, *, wire: bool = False) -> None:
        self.clock = StepClock()
        self.buses = {bus.unit.pack: bus for bus in buses}
        self.samples = 0
        self.wire = wire
        self.guard = Guard(
            latches,
            clock=self.clock,
            chemistry_of=lambda pack: self.buses[pack].chemistry if pack in self.buses else None,
            on_verdict=self.judged,
            facts_of=self.facts_of,
            charging_of=self.session_of,
        )
        self.guard.link(up=True)
        self.guard.expect(self.buses)

    def judged(self, verdict: Verdict) -> None:
        pack = getattr(verdict, "pack", None)
        if pack is None:
            return
        bus = self.buses[pack]
        bus.verdicts.append((self.clock.s, verdict))
        bus.share = 0.0 if isinstance(verdict, Trip) else verdict.share if isinstance(verdict, Derate) else 1.0

    def step(self, seconds: float) -> None:
        """Time goes on; who speaks is heard."""
        self.clock.s += seconds
        for bus in self.buses.values():
            bus.advance(seconds)
            if bus.unit.speaks:
                self.guard.heard(self.word_of(bus))
                self.samples += 1
        self.guard.tick()

    def word_of(self, bus: Bus) -> PackSample:
        """What a bus says now."""
        now, unit = self.clock.now(), bus.unit
        if self.wire:
            found = parse(unit.depot_id, unit.topic, unit.message(self.clock, bus.pack, power_w=bus.power_w), received_at=now)
            assert isinstance(found, PackSample), found
            return found
        look = unit.cells.look(bus.pack, power_w=bus.power_w, on_charger_s=unit.plugged_s)
        return PackSample(
            pack=unit.pack,
            source=Source.MQTT,
            received_at=now,
            reported_at=now + timedelta(seconds=unit.clock_error_s),
            temperatures_c=tuple(look.temperatures_c),
            soc=look.soc,
            current_a=look.current_a,
            voltage_v=look.voltage_v,
            cell_min_v=min(look.cells_v),
            cell_max_v=max(look.cells_v),
            cells_v=tuple(look.cells_v),
            insulation_ohm=look.insulation_ohm,
            limit_a=look.limit_a,
            limit_v=look.limit_v,
            stop=look.stop,
            alarms=tuple(look.alarms),
        )

    def facts_of(self, pack: PackKey) -> PackFacts:
        """What the registry says."""
        bus = self.buses[pack]
        return PackFacts(chemistry=bus.chemistry, capacity_wh=bus.pack.capacity_wh, cells=series_of(bus.pack.capacity_wh))

    def session_of(self, pack: PackKey) -> Charging | None:
        """What the charger does, as its depot knows it; None: no session runs."""
        bus = self.buses.get(pack)
        if bus is None or bus.power_w <= 0:
            return None
        return Charging(
            told_w=round(bus.charger_w * bus.share),
            metered_w=round(bus.power_w),
            running_s=self.clock.s,
            taken_wh=bus.pack.got_wh / bus.pack.efficiency,
            room_wh=bus.pack.capacity_wh * (1.0 - bus.soc) / bus.pack.efficiency,
        )


def bus_of(rng: random.Random, name: str, seed: int) -> Bus:
    """A bus as it comes back on a hot evening."""
    chemistry = rng.choice((Chemistry.LFP, Chemistry.NMC))
    capacity_wh = rng.uniform(200_000, 400_000)
    soc = rng.uniform(0.15, 0.5)
    pack = Pack(
        capacity_wh,
        soc,
        need_wh=capacity_wh * (rng.uniform(0.85, 1.0) - soc),
        efficiency=0.94,
        temp_c=rng.uniform(*BACK_C),
        ambient_c=EVENING_C,
    )
    unit = unit_of("d", name, capacity_wh, make=MAKES[chemistry.value], seed=seed, off_clock_s=120.0)
    return Bus(unit, pack, chemistry, charger_w=rng.choice((60_000.0, 120_000.0, 180_000.0)), soc=soc)


def cooler(bus: Bus, at_s: float) -> None:
    """The air of this hour of the night."""
    bus.pack.ambient_c = EVENING_C + (DAWN_C - EVENING_C) * min(1.0, at_s / NIGHT_S)


def healthy(night: int, *, packs: int, every_s: float, folder: Path, seed: int, wire: bool) -> tuple[Yard, list[str]]:
    """One night; the false stops in words."""
    rng = random.Random(f"{seed}/{night}")
    buses = [bus_of(rng, f"B{k}", seed=hash((seed, night, k)) & 0xFFFFFFFF) for k in range(packs)]
    with LatchFile.open(folder / f"{night}.latches") as latches:
        yard = Yard(buses, latches, wire=wire)
        while yard.clock.s < NIGHT_S:
            for bus in buses:
                cooler(bus, yard.clock.s)
            charging = any(bus.power_w > 0 for bus in buses)
            yard.step(1.0 if yard.clock.s < BRISK_S else every_s if charging else max(every_s, REST_S))
    return yard, [
        f"night {night}, {bus.unit.pack} ({bus.chemistry}) at {at:.0f} s: {verdict}"
        for bus in buses
        for at, verdict in bus.verdicts
        if isinstance(verdict, Trip) or (isinstance(verdict, Derate) and verdict.share <= 0)
    ]


@dataclass(frozen=True, slots=True)
class Caught:
    """What came of a fault. ``after_s`` None: nothing, in time."""

    act: str
    after_s: float | None
    why: str


DOUBTS = {Why.SENSORS, Why.SILENT, Why.SPREAD}
"""Reasons of a derating that are no heat: the summer gives that to everybody."""

WANTED = {
    "hot": "trip",
    "short_fast": "trip",
    "runaway": "trip",
    "insulation": "trip",
    "over_charge": "trip",
    "stop_ignored": "stop",
    "sensors_all_lost": "trip",
    "sensor_stuck": "derate",
    "sensor_lost": "derate",
    "sensor_twin": "derate",
    "clock_wrong": "none",
    "silent": "derate",
}
"""What must follow at least; ``stop``: a share of 0, or a trip.
A slow short (2 A in a cell of some hundred Ah) is nothing that a night shows: it is not among them.
A clock that is set must stop nobody."""


def faulty(number: int, kind: str, fault: Fault, *, folder: Path, seed: int, wire: bool) -> Caught:
    """A night with one fault; what came first that is as bad as wanted."""
    rng = random.Random(f"{seed}/fault/{number}")
    bus = bus_of(rng, "B0", seed=seed * 1_000_003 + number)
    bus.pack.temp_c = rng.uniform(26.0, 32.0) if kind == "sensor_stuck" else rng.uniform(38.0, 46.0)  # one that must move to be told
    begins_s = rng.uniform(300.0, 3600.0)
    bus.unit.cells.faults.append(replace(fault, after_s=begins_s))
    with LatchFile.open(folder / f"fault-{number}.latches") as latches:
        yard = Yard([bus], latches, wire=wire)
        patience_s = STUCK_PATIENCE_S if kind == "sensor_stuck" else PATIENCE_S
        while yard.clock.s < begins_s + patience_s:
            after_s = yard.clock.s - begins_s
            cooler(bus, yard.clock.s)
            yard.step(1.0 if -60 < after_s < PATIENCE_S else 10.0)
            for at, verdict in bus.verdicts:
                if at < begins_s:
                    continue
                if isinstance(verdict, Trip):
                    return Caught("trip", at - begins_s, verdict.cause.value)
                if isinstance(verdict, Derate) and WANTED[kind] == "stop" and verdict.share <= 0:
                    return Caught("stop", at - begins_s, ", ".join(verdict.why))
                if isinstance(verdict, Derate) and WANTED[kind] == "derate" and DOUBTS & set(verdict.why):
                    return Caught("derate", at - begins_s, ", ".join(verdict.why))
    return Caught("none", None, "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=20, help="of healthy batteries")
    parser.add_argument("--packs", type=int, default=1, help="in each of them")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two samples, after the first ten minutes")
    parser.add_argument("--faults", type=int, default=50, help="nights with a fault")
    parser.add_argument("--wire", action="store_true", help="only what pack_telemetry/1 carries, through the parser")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="chargeyard-nights-") as name:
        return _run(options, Path(name))


def _run(options: argparse.Namespace, folder: Path) -> int:
    began = time.perf_counter()
    false: list[str] = []
    samples = derated = 0
    for night in range(options.nights):
        yard, found = healthy(night, packs=options.packs, every_s=options.every, folder=folder, seed=options.seed, wire=options.wire)
        false += found
        samples += yard.samples
        derated += sum(any(isinstance(v, Derate) for _, v in bus.verdicts) for bus in yard.buses.values())
        for words in found:
            print(f"FALSE STOP {words}")
    took_s = time.perf_counter() - began
    if options.nights:
        row = {
            "fault": "none, hot nights", "nights": options.nights, "packs": options.packs, "every_s": options.every, "samples": samples,
            "false_stops": len(false), "derated": derated, "seconds": round(took_s, 1), "seed": options.seed,
        }  # fmt: skip
        print(write_evidence("safety_nights", row))
    missed = 0
    for place, kind in enumerate(WANTED):
        numbers = range(place, options.faults, len(WANTED))
        caught = [faulty(n, kind, KINDS[kind], folder=folder, seed=options.seed, wire=options.wire) for n in numbers]
        if not caught:
            continue
        good = [c for c in caught if c.act == WANTED[kind] or (WANTED[kind] in ("derate", "stop") and c.act == "trip")]
        missed += len(caught) - len(good)
        times = [c.after_s for c in good if c.after_s is not None]
        row = {
            "fault": kind, "nights": len(caught), "wanted": WANTED[kind], "as_wanted": len(good),
            "least_s": round(min(times), 1) if times else None, "median_s": round(percentile(times, 0.5), 1) if times else None,
            "most_s": round(max(times), 1) if times else None, "why": dict(Counter(c.why for c in good if c.why)), "seed": options.seed,
        }  # fmt: skip
        print(write_evidence("safety_nights", row))
    return 1 if false or missed else 0


if __name__ == "__main__":
    sys.exit(main())
