"""Is every danger caught within the time that its rule promises, and is nothing healthy stopped? Faults injected into traces.

    python -m benchmarks.detection_matrix [--data DIR] [--seed 1] [--summer-days 30]

One line a rule and trace: how often its signals came, how soon the trip followed the first moment of its danger, what was promised;
and with signals that come four times too rarely, whether the rule is shown as *not monitored*. Traces: a synthetic pack (noise, gradients,
1 mV and 0.1 K steps), and with ``--data`` the charge curves of real cells (calce: current and voltage of a cell, repeated as a
pack) and a real charging session (the GB/T 27930 log), which are also run without a fault. ``--summer-days``: buses that come back at
50–55 °C at 45 °C ambient and charge every night. All of it in artificial time, through the guard as the depot runs it. Exit 1 where a
danger is missed, late, or a healthy pack is stopped. There is no field data of such faults to be had: nothing here says how often they
are found in the field.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.evidence import write_evidence
from bms_bridge.can.log_file import LogFile
from bms_bridge.charging import Charging, PackFacts
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.gbt27930 import CYCLES_S
from bms_bridge.gbt_session import GbtListener
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.pseudonym import Pseudonyms
from bms_bridge.rules import RULES, TIMED
from bms_bridge.rules.frame import Declared
from bms_bridge.verdicts import Clear, Derate, Trip, Verdict
from depot.values import PackKey

PACK = PackKey("BUS1", "P1")
CELLS = 96
CAPACITY_AH = 200.0
HEALTHY_S = 120.0
START = datetime(2026, 5, 1, tzinfo=UTC)

DECLARED: dict[str, Declared] = {one.name: one for one in (*(rule.declared for rule in RULES), *(rule.declared for rule in TIMED))}


class HandClock:
    """Time that moves when it is told."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        await asyncio.sleep(0)


@dataclass(slots=True)
class Bench:
    """A guard over one pack, and what it said with the time of it."""

    folder: Path
    chemistry: Chemistry = Chemistry.LFP
    charging: Charging | None = None
    clock: HandClock = field(default_factory=HandClock)
    said: list[tuple[float, Verdict]] = field(default_factory=list)
    latches: LatchFile = field(init=False)
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        nominal_v = 3.2 if self.chemistry is Chemistry.LFP else 3.65
        facts = PackFacts(chemistry=self.chemistry, capacity_wh=CAPACITY_AH * CELLS * nominal_v, cells=CELLS)
        self.latches = LatchFile.open(Path(tempfile.mkdtemp(dir=self.folder)) / "latches")
        self.guard = Guard(
            self.latches,
            clock=self.clock,
            chemistry_of=lambda _pack: self.chemistry,
            on_verdict=lambda verdict: self.said.append((self.clock.passed_s, verdict)),
            facts_of=lambda _pack: facts,
            charging_of=lambda _pack: self.charging,
        )

    def hear(self, values: dict[str, Any]) -> None:
        now = self.clock.now()
        self.guard.heard(PackSample(pack=PACK, source=Source.CAN, received_at=now, reported_at=now, **values))

    def until(self, at_s: float) -> None:
        """Let time go on to ``at_s``, second by second."""
        while math.floor(self.clock.passed_s) < math.floor(at_s):
            self.clock.passed_s = math.floor(self.clock.passed_s) + 1.0
            self.guard.tick()
        self.clock.passed_s = at_s

    @property
    def trip(self) -> tuple[float, Trip] | None:
        return next(((at, verdict) for at, verdict in self.said if isinstance(verdict, Trip)), None)

    @property
    def not_monitored(self) -> tuple[tuple[str, str], ...]:
        return self.guard.view(PACK).not_monitored

    def close(self) -> None:
        self.latches.close()


Healthy = Callable[[float, random.Random], dict[str, Any]]
CHARGING = Charging(told_w=40_000, metered_w=34_000, running_s=3600, taken_wh=30_000, room_wh=60_000)


def synthetic(at_s: float, rng: random.Random) -> dict[str, Any]:
    """A healthy LFP pack at half of its charge that takes 100 A."""
    cells = tuple(round(3.33 + 0.003 * math.sin(cell) + rng.gauss(0, 0.001), 3) for cell in range(CELLS))
    return {
        "temperatures_c": tuple(round(44.0 + 0.5 * sensor + rng.gauss(0, 0.1), 1) for sensor in range(4)),
        "soc": round(0.5 + at_s / 7200 / 10, 4),
        "current_a": round(100 + rng.gauss(0, 0.5), 1),
        "voltage_v": round(sum(cells), 1),
        "cells_v": cells,
        "insulation_ohm": 2_000_000.0,
        "limit_a": 150.0,
    }


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong from a moment on. ``values(healthy, seconds since)``, ``charging(seconds since)``: what it makes of them.
    ``begins_s``: so long after that the danger of its rule is there."""

    rule: str
    what: str
    values: Callable[[dict[str, Any], float], dict[str, Any]] = lambda values, _s: values
    charging: Callable[[Charging, float], Charging] = lambda charging, _s: charging
    begins_s: float = 0.0


def _cell(values: dict[str, Any], number: int, volts: float) -> tuple[float, ...]:
    cells = list(values["cells_v"])
    cells[number] = volts
    return tuple(cells)


def _sensor(values: dict[str, Any], number: int, by_c: float) -> tuple[float, ...]:
    told = list(values["temperatures_c"])
    told[number] = round(told[number] + by_c, 1)
    return tuple(told)


def _apart(values: dict[str, Any]) -> tuple[float, ...]:
    high = _cell(values, 5, values["cells_v"][5] + 0.24)
    return _cell({"cells_v": high}, 6, values["cells_v"][6] - 0.3)


FAULTS: Sequence[Fault] = (
    Fault("bms_alarm", "the battery raises smoke_or_gas", lambda v, _s: v | {"alarms": ("smoke_or_gas",)}),
    Fault("over_temperature", "a sensor at 61 °C", lambda v, _s: v | {"temperatures_c": (61.0, *v["temperatures_c"][1:])}),
    Fault("runaway", "a sensor rises by 1.5 K/s from 48 °C", lambda v, s: v | {"temperatures_c": _sensor(v, 3, min(4 + 1.5 * s, 13))}),
    Fault(
        "temperature_rise",
        "all rise by 0.13 K/s",
        lambda v, s: v | {"temperatures_c": tuple(round(t - 8 + 0.13 * s, 1) for t in v["temperatures_c"])},
    ),
    Fault(
        "temperature_spread",
        "a sensor that creeps 22 K above the others",
        lambda v, s: v | {"temperatures_c": (34.0, 34.5, 35.0, round(min(57.5, 45.5 + 0.8 * s), 1))},
        begins_s=12.0,
    ),
    Fault("sensors_lost", "no temperature any more", lambda v, _s: v | {"temperatures_c": (None,) * 4}),
    Fault("cell_over_voltage", "a cell 60 mV above its trip", lambda v, _s: v | {"cells_v": _cell(v, 5, v["trip_high_v"] + 0.06)}),
    Fault("cell_under_voltage", "all cells 60 mV below their trip", lambda v, _s: v | {"cells_v": (v["trip_low_v"] - 0.06,) * CELLS}),
    Fault("voltage_spread", "two cells 0.54 V apart", lambda v, _s: v | {"cells_v": _apart(v)}),
    Fault("voltage_collapse", "a cell loses 30 %", lambda v, _s: v | {"cells_v": _cell(v, 5, v["cells_v"][5] * 0.7)}),
    Fault("over_current", "the battery's limit falls below the current", lambda v, _s: v | {"limit_a": v["current_a"] * 0.6}),
    Fault("over_current_cells", "more than its cells take", lambda v, _s: v | {"current_a": 1300.0, "limit_a": 1300.0}),
    Fault("over_current_charger", "the charger ignores its level", charging=lambda c, _s: replace(c, told_w=10_000)),
    Fault("insulation", "50 Ω per volt", lambda v, _s: v | {"insulation_ohm": 50 * v["voltage_v"]}),
    Fault("stop_ignored", "current goes on after the battery's stop", lambda v, _s: v | {"stop": True}),
    Fault("over_time", "90 kWh into 60 kWh of room", charging=lambda c, _s: replace(c, taken_wh=95_000)),
)
"""One of each rule that trips; ``full`` and ``power`` only derate."""


def values_of(healthy: Healthy, at_s: float, rng: random.Random, *, chemistry: Chemistry) -> dict[str, Any]:
    """A healthy sample, with the trip voltages of its chemistry for the faults to aim at."""
    high, low = (3.8, 2.0) if chemistry is Chemistry.LFP else (4.3, 2.5)
    return healthy(at_s, rng) | {"trip_high_v": high, "trip_low_v": low}


@dataclass(frozen=True, slots=True)
class Outcome:
    """``took_s`` None: it was not caught. ``early``: it was stopped before anything was wrong. ``cause``: what was told."""

    took_s: float | None
    cause: str = ""
    early: bool = False
    not_monitored: str = ""


def play(
    fault: Fault, every_s: float, folder: Path, *, seed: int, healthy: Healthy = synthetic, chemistry: Chemistry = Chemistry.LFP
) -> Outcome:
    """A healthy time, then the fault for three times its promise, at most 600 s."""
    declared, rng = DECLARED[fault.rule], random.Random(f"{seed} {fault.rule} {every_s}")
    bench = Bench(folder, chemistry, CHARGING)
    onset_s = max(HEALTHY_S, 12 * every_s) + rng.uniform(0, every_s)
    end_s = onset_s + min(600.0, max(3 * declared.within_s, 5 * every_s))
    at_s, why = 0.0, ""
    try:
        while at_s < end_s:
            if at_s < onset_s <= at_s + every_s:
                why = dict(bench.not_monitored).get(fault.rule, "")
            bench.until(at_s)
            values, since_s = values_of(healthy, at_s, rng, chemistry=chemistry), at_s - onset_s
            if since_s >= 0:
                values = fault.values(values, since_s)
                bench.charging = fault.charging(CHARGING, since_s)
            bench.hear({name: value for name, value in values.items() if not name.startswith("trip_")})
            if bench.trip is not None:
                break
            at_s += every_s
        trip = bench.trip
        if trip is None:
            return Outcome(None, not_monitored=why)
        return Outcome(trip[0] - onset_s - fault.begins_s, trip[1].cause.value, trip[0] < onset_s, why)
    finally:
        bench.close()


def calce_curves(data: Path) -> Iterator[tuple[str, list[tuple[float, float, float]]]]:
    """The charging parts of the real curves: (name, [(second, V, A)]). None where the file or pyarrow is not there."""
    path = data / "battery" / "calce" / "calce_curves_every10th.parquet"
    if not path.exists():
        return
    try:
        import pyarrow.parquet as pq  # only where the data is there
    except ImportError:
        return
    table = pq.read_table(path).to_pydict()
    names = [name for name in table if name not in ("t_s", "V", "I_A")]
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for row in zip(*(table[name] for name in (*names, "t_s", "V", "I_A")), strict=True):
        curves.setdefault("/".join(map(str, row[: len(names)])), []).append(row[len(names) :])
    yield from curves.items()


def calce_pack(curve: Sequence[tuple[float, float, float]]) -> Healthy:
    """A pack of cells like the one that was measured: its voltage in each cell, its current scaled to the pack's capacity."""
    scale = CAPACITY_AH / 1.1
    first_s = curve[0][0]

    def healthy(at_s: float, rng: random.Random) -> dict[str, Any]:
        place = min(len(curve) - 1, max(0, _place(curve, first_s + at_s)))
        _, volts, amps = curve[place]
        cells = tuple(round(volts + 0.002 * math.sin(cell) + rng.gauss(0, 0.001), 3) for cell in range(CELLS))
        return {
            "temperatures_c": tuple(round(44.0 + 0.5 * sensor + rng.gauss(0, 0.1), 1) for sensor in range(4)),
            "current_a": round(amps * scale, 1),
            "voltage_v": round(sum(cells), 1),
            "cells_v": cells,
            "insulation_ohm": 2_000_000.0,
            "limit_a": 250.0,
        }

    return healthy


def _place(curve: Sequence[tuple[float, float, float]], at_s: float) -> int:
    low, high = 0, len(curve) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if curve[middle][0] <= at_s else (low, middle - 1)
    return low


def gbt_samples(data: Path) -> list[tuple[float, PackSample]]:
    """The samples of the real charging session in the log, with their seconds; none where it is not there."""
    logs = sorted((data / "can" / "logs").glob("candump-*.log"))
    listener, out, first_s = GbtListener(Pseudonyms.passing().of), list[tuple[float, PackSample]](), None
    for frame in LogFile(logs[0], CYCLES_S) if logs else ():
        first_s = frame.at_s if first_s is None else first_s
        at_s = frame.at_s - first_s
        listener.look(frame.at_s)
        if listener.hear(frame) is not None and listener.due(frame.at_s):
            sample = listener.take(PACK, frame.at_s, received_at=START + timedelta(seconds=at_s))
            out.append((at_s, sample))
    return out


GBT_FAULTS: Mapping[str, Callable[[PackSample], PackSample]] = {
    "cell_over_voltage": lambda sample: replace(sample, cell_max_v=3.86),
    "over_temperature": lambda sample: replace(sample, temperatures_c=(61.0, 4.0)),
    "over_current": lambda sample: replace(sample, limit_a=(sample.current_a or 0.0) * 0.5),
    "stop_ignored": lambda sample: replace(sample, stop=True),
}
"""What can be wrong in the words of a charging line, and is promised within the 21 s of current that the log has. The charger's meter
goes on with 34 kW in all of them."""


def play_gbt(told: Sequence[tuple[float, PackSample]], folder: Path, rule: str | None) -> tuple[float | None, str, int]:
    """The log with a fault from the middle of its current on (None: as it is): how soon it was caught, by which cause, and in how
    many samples current flowed."""
    flows = [at_s for at_s, sample in told if (sample.current_a or 0.0) > 5]
    onset_s = flows[len(flows) // 3] if flows else math.inf
    bench = Bench(folder, Chemistry.LFP, CHARGING if rule is not None else None)
    try:
        for at_s, sample in told:
            bench.until(at_s)
            wrong = rule is not None and at_s >= onset_s and (sample.current_a or 0.0) > 5
            bench.guard.heard(GBT_FAULTS[rule](sample) if rule is not None and wrong else sample)
        trip = bench.trip
        return (None, "", len(flows)) if trip is None else (trip[0] - onset_s, trip[1].cause.value, len(flows))
    finally:
        bench.close()


@dataclass(slots=True)
class Summer:
    """``tripped``: packs that were stopped; ``derated``: that were held back; ``least``: the smallest share; ``hottest_c``."""

    nights: int = 0
    tripped: int = 0
    derated: int = 0
    least: float = 1.0
    hottest_c: float = 0.0
    changes: int = 0


def summer(days: int, folder: Path, *, seed: int, buses: int = 4) -> Summer:
    """Buses that come back at 50–55 °C, at 45 °C ambient in the evening (34 °C at dawn), and charge 8 hours at up to C/3 of what the guard
    leaves, with the auxiliary cooling at work. One sample every 10 s, sensors with a gradient of 2 K."""
    result, rng = Summer(), random.Random(f"{seed} summer")
    for _ in range(days * buses):
        bench = Bench(folder)
        pack_c, soc, share = rng.uniform(50.0, 55.0), rng.uniform(0.2, 0.5), 1.0
        derated = False
        for step in range(8 * 360):
            at_s = step * 10.0
            ambient_c = 45.0 - 11.0 * at_s / 28_800
            c_rate = share / 3 if soc < 0.97 else 0.0
            pack_c += (c_rate**2 * 0.10 / (3.2 * 6.5) - (pack_c - ambient_c) / 7200) * 10.0
            soc = min(0.98, soc + c_rate * 10.0 / 3600)
            temperatures = tuple(round(pack_c + (sensor - 1.5) * 2 / 3 + rng.gauss(0, 0.15), 1) for sensor in range(4))
            cells = tuple(round(3.3 + 0.05 * soc + 0.03 * c_rate + rng.gauss(0, 0.001), 3) for _ in range(CELLS))
            bench.until(at_s)
            bench.hear(
                {"temperatures_c": temperatures, "soc": round(soc, 4), "cells_v": cells, "current_a": round(c_rate * CAPACITY_AH, 1),
                 "voltage_v": round(sum(cells), 1), "insulation_ohm": 1_500_000.0, "limit_a": 150.0}
            )  # fmt: skip
            share = bench.guard.share_of(PACK)
            result.hottest_c = max(result.hottest_c, *temperatures)
            result.least = min(result.least, share)
            derated |= share < 1.0
        result.nights += 1
        result.derated += derated
        result.tripped += bench.trip is not None
        result.changes = max(result.changes, sum(isinstance(verdict, Derate | Clear) for _, verdict in bench.said))
        bench.close()
    return result


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection_matrix", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the real data sets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--summer-days", type=int, default=30, help="nights of each of four buses; 0: leave it out")
    parser.add_argument("--curves", type=int, default=12, help="real curves that are run without a fault; 0: all")
    asked = parser.parse_args(words)
    logging.disable(logging.CRITICAL)  # every trip is an error in the log
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        curves = list(calce_curves(asked.data)) if asked.data is not None else []
        traces: list[tuple[str, Healthy, Chemistry]] = [("synthetic LFP", synthetic, Chemistry.LFP)]
        if curves:
            traces.append((f"calce {curves[0][0]}", calce_pack(_charging(curves[0][1])), Chemistry.NMC))
        for trace, healthy, chemistry in traces:
            for fault in FAULTS:
                declared = DECLARED[fault.rule]
                for every_s in (min(1.0, declared.every_s), declared.every_s):
                    found = play(fault, every_s, folder, seed=asked.seed, healthy=healthy, chemistry=chemistry)
                    good = found.took_s is not None and not found.early and found.took_s <= declared.within_s and not found.not_monitored
                    good = good and found.cause == declared.cause.value
                    wrong += not good
                    row = {
                        "trace": trace, "rule": fault.rule, "fault": fault.what, "every_s": every_s, "took_s": _rounded(found.took_s),
                        "promised_s": declared.within_s, "told": found.cause, "good": good,
                    }  # fmt: skip
                    print(write_evidence("detection_matrix", row))
                if fault.rule == "over_time":
                    continue  # it hears the charger's meter, not samples
                rare = play(fault, 4 * declared.every_s, folder, seed=asked.seed, healthy=healthy, chemistry=chemistry)
                wrong += not rare.not_monitored
                print(f"trace={trace} rule={fault.rule} every_s={4 * declared.every_s:g} not_monitored={rare.not_monitored!r}")
        stopped = 0
        chosen = curves[:: max(1, len(curves) // asked.curves)] if asked.curves else curves
        for label, curve in chosen:
            bench = Bench(folder, Chemistry.NMC)
            healthy, rng = calce_pack(curve), random.Random(asked.seed)
            for step in range(int((curve[-1][0] - curve[0][0]) / 10)):
                bench.until(step * 10.0)
                bench.hear(healthy(step * 10.0, rng))
            if bench.trip is not None:
                stopped += 1
                print(f"calce {label}: stopped at {bench.trip[0]:.0f} s: {bench.trip[1].cause} {dict(bench.trip[1].evidence)}")
            bench.close()
        if curves:
            wrong += stopped
            print(write_evidence("healthy_traces", {"trace": "calce", "curves": len(chosen), "stopped": stopped}))
        log = gbt_samples(asked.data) if asked.data is not None else []
        if log:
            took_s, cause, flows = play_gbt(log, folder, None)
            wrong += took_s is not None
            row = {"trace": "gbt log", "samples": len(log), "with_current": flows, "stopped": int(took_s is not None), "told": cause}
            print(write_evidence("healthy_traces", row))
            for rule in GBT_FAULTS:
                took_s, cause, _ = play_gbt(log, folder, rule)
                promised_s = DECLARED[rule].within_s
                good = took_s is not None and 0 <= took_s <= promised_s and cause == DECLARED[rule].cause.value
                wrong += not good
                row = {"trace": "gbt log", "rule": rule, "took_s": _rounded(took_s), "promised_s": promised_s, "told": cause, "good": good}
                print(write_evidence("detection_matrix", row))
        if asked.summer_days:
            seen = summer(asked.summer_days, folder, seed=asked.seed)
            wrong += seen.tripped
            row = {
                "nights": seen.nights, "stopped": seen.tripped, "derated": seen.derated, "least_share": seen.least,
                "hottest_c": seen.hottest_c, "most_changes_a_night": seen.changes,
            }  # fmt: skip
            print(write_evidence("hot_summer", row))
    return 1 if wrong else 0


def _charging(curve: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """The middle of the longest run of charging, so that the fault meets current."""
    runs, run = list[list[tuple[float, float, float]]](), list[tuple[float, float, float]]()
    for row in curve:
        if row[2] > 0.3:
            run.append(row)
        elif run:
            runs.append(run)
            run = []
    longest = max([*runs, run], key=len)
    return longest[len(longest) // 4 :]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


if __name__ == "__main__":
    sys.exit(main())
