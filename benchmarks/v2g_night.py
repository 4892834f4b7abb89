"""A night with ten bidirectional buses, most of them badly behaved, through the whole controller on the virtual clock.

    python -m benchmarks.v2g_night [--seed 1] [--honest] [--judge judge_trace.py] [--hours 13]

The night is invented, drawn by a seed: ten buses that can give 40 kW each (stations of OCPP 2.1, the personas of
:data:`PERSONAS`) and eight other vehicles behind one sharp grid connection, dear hours until 22:00, departures in the morning.
It is played twice, with and without discharge. Judged by the plant's physical trace: limits (``judge_trace.py`` where it is
given, else our reader of traces), energy at departure, lowest state of charge, export. Exit 1 where one of them is violated.
"""

from __future__ import annotations

import argparse
import bisect
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from controller.app.night import NightSettings, play
from controller.app.trace_slots import COMPLY_S, trace_to_slots
from controller.planning_settings import PlanningSettings
from controller.traffic import LoopSettings
from depot.registry import ConnectorSpec, Current, DepotSpec, FeederSpec, StationSpec
from depot.values import ConnectorId
from grid.tariff import Tariff
from simulator.build import with_tariff
from simulator.day import Day, Stay
from simulator.personas import Persona
from simulator.plant import Outcome
from simulator.trace import Trace

START = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
"""18:00 of the depot's clock."""

RESERVE_SOC = 0.3
EXPORT_TOLERANCE_W = 50
BUSES = 10
BUS = ConnectorSpec(1, 60_000, 5_000, Current.DC, voltage_v=700, settle_s=3.0, pausable=True, discharge_w=40_000)
VAN = ConnectorSpec(1, 50_000, 5_000, Current.DC, voltage_v=400, settle_s=3.0, pausable=True)
CAR = ConnectorSpec(1, 22_080, 4_140, Current.AC, (1, 2, 3), pausable=True)
PERSONAS = {
    "B02": Persona.SILENT_GIVER, "B03": Persona.STOPS_GIVING, "B04": Persona.GIVES_TOO_MUCH, "B05": Persona.CHARGES_INSTEAD,
    "B06": Persona.SILENT_GIVER, "B07": Persona.STOPS_GIVING, "B08": Persona.LATE, "B09": Persona.FORGETS_PROFILES,
    "V03": Persona.OVERDRAWS, "C02": Persona.IGNORES_LIMITS,
}  # fmt: skip


def v2g_day(seed: int, *, hours: float = 13.0, buses: int = BUSES, others: int = 4) -> Day:
    """From 18:00 on. A workshop that draws 90 kW until 22:00 and 30 kW at night; a grid connection of 260 kW, 180 kW from 19:30
    to 21:00. ``others``: vans, and as many cars."""
    rng = random.Random(f"v2g/{seed}")
    names = [(f"B{i:02d}", "A", BUS) for i in range(1, buses + 1)]
    names += [(f"{kind}{i:02d}", "B", spec) for kind, spec in (("V", VAN), ("C", CAR)) for i in range(1, others + 1)]
    stations = tuple(StationSpec(name, feeder, (spec,)) for name, feeder, spec in names)
    stays = tuple(_stay(rng, name, spec, hours) for name, _, spec in names)
    spec = DepotSpec(
        "v2g", "V2G night", 260_000, 120_000, 100_000, (FeederSpec("A", 240_000), FeederSpec("B", 150_000)), stations, metered=True
    )
    base = [(0.0, 84_000), (1800.0, 90_000), (3.2 * 3600, 76_000), (4 * 3600.0, 30_000), (11.5 * 3600, 45_000)]
    day = Day(
        name="V2G night",
        start=START,
        duration_s=hours * 3600,
        spec=spec,
        stays=tuple(sorted(stays, key=lambda stay: stay.arrive_s)),
        base_w=tuple((at, round(watts * rng.uniform(0.95, 1.05))) for at, watts in base if at < hours * 3600),
        price=((0.0, 0.0),),
        limits=((1.5 * 3600, 180_000), (3.0 * 3600, 260_000)),
        notes=("invented night, drawn by a seed",),
    )
    return with_tariff(day, tariff())


def tariff() -> Tariff:
    return Tariff.named("stylised-tou", timezone="Asia/Kolkata")


def _stay(rng: random.Random, name: str, spec: ConnectorSpec, hours: float) -> Stay:
    arrive, depart = rng.uniform(60, 0.6 * 3600), (hours - rng.uniform(0.3, 2.0)) * 3600
    if spec is BUS:
        battery, soc, target, eff = 320_000, rng.uniform(0.55, 0.7), rng.uniform(0.78, 0.85), 0.94
    else:
        battery, soc, target, eff = (77_000 if spec is VAN else 45_000), rng.uniform(0.3, 0.5), 0.9, 0.92
    need = round((target - soc) * battery)
    return Stay(
        name, ConnectorId(name, 1), arrive, depart, depart, need, need, spec.rated_w, spec.min_w, battery, soc, eff,
        discharge_w=spec.discharge_w,
    )  # fmt: skip


def only_charging(day: Day) -> Day:
    """The same night with connectors and vehicles that give nothing."""
    stations = tuple(replace(s, connectors=tuple(replace(c, discharge_w=0) for c in s.connectors)) for s in day.spec.stations)
    return replace(day, spec=replace(day.spec, stations=stations), stays=tuple(replace(stay, discharge_w=0) for stay in day.stays))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One night, judged by its trace. Energies kWh; ``cost`` with what discharging saved, without wear."""

    cost: float
    peak_kw: float
    violations: int
    ramping_kws: float
    short: tuple[str, ...]
    below_reserve: tuple[str, ...]
    exported_s: float
    given_kwh: float
    givers: int
    outcomes: list[Outcome]

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return not (self.violations or self.short or self.below_reserve or self.exported_s)


def judged(day: Day, seed: int, trace: Path | None = None, *, personas: dict[str, Persona] | None = None) -> Verdict:
    """Play the night and judge it."""
    lines: list[str] = []
    settings = NightSettings(
        share_201=0.5,
        planning=PlanningSettings(cadence_s=900.0, spacing_s=180.0, horizon_h=14, demand_share=0.0, reserve_soc=RESERVE_SOC),
        loop=LoopSettings(reserve_soc=RESERVE_SOC),
    )
    who = PERSONAS if personas is None else personas
    night = play(day, tariff=tariff(), personas=who, seed=seed, settings=settings, trace=Trace(lines.append))
    if trace is not None:
        trace.write_text("".join(lines), encoding="utf-8")
    slots = trace_to_slots(lines)
    cost, over_s = paid(lines, day)
    return Verdict(
        cost=cost,
        peak_kw=slots.instant_peak_kw,
        violations=slots.violations,
        ramping_kws=slots.ramping_kws,
        short=tuple(o.stay.vehicle_id for o in night.outcomes if o.need_wh - o.got_wh > 0.02 * o.need_wh + 100),
        below_reserve=tuple(
            o.stay.vehicle_id for o in night.outcomes if o.given_wh and o.least_soc < min(RESERVE_SOC, o.stay.soc_arrival) - 1e-3
        ),
        exported_s=over_s,
        given_kwh=sum(o.given_wh for o in night.outcomes) / 1000,
        givers=sum(1 for o in night.outcomes if o.given_wh > 0),
        outcomes=night.outcomes,
    )


def paid(lines: list[str], day: Day) -> tuple[float, float]:
    """What the vehicles' energy cost (less what they gave: nothing is exported), and the seconds in which more flowed to the grid
    than may, by the physical trace. Five seconds after a fall of the background are the time to follow it."""
    base, power, since, grace, cost, over_s = 0.0, dict[str, float](), 0.0, 0.0, 0.0, 0.0
    cuts = [at for at, _ in day.price] + [math.inf]
    for text in lines:
        row = json.loads(text)
        drawn = sum(power.values())
        while since < row["t"]:
            n = bisect.bisect_right(cuts, since)
            until = min(row["t"], cuts[n])
            cost += drawn * (until - since) / 3.6e6 * day.price[n - 1][1]
            if base + drawn < -day.spec.export_limit_w - EXPORT_TOLERANCE_W:
                over_s += max(0.0, until - max(since, grace))
            since = until
        if row["kind"] == "base":
            grace = since + COMPLY_S if row["w"] < base else grace
            base = row["w"]
        elif row["kind"] == "power":
            power[row["connector"]] = row["w"]
    return cost, over_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=13.0)
    parser.add_argument("--honest", action="store_true", help="every station does what it is told: what V2G is worth")
    parser.add_argument("--judge", type=Path, help="judge_trace.py")
    options = parser.parse_args()
    day = v2g_day(options.seed, hours=options.hours)
    good = True
    with tempfile.TemporaryDirectory(prefix="chargeyard-v2g-") as folder:
        for name, night in (("charging only", only_charging(day)), ("with discharge", day)):
            trace, began = Path(folder) / f"{name}.jsonl", time.process_time()
            verdict = judged(night, options.seed, trace, personas={} if options.honest else None)
            print(
                f"{name}: cost={verdict.cost:.0f} {day.currency} peak_kw={verdict.peak_kw:.1f} violations={verdict.violations} "
                f"ramping_kws={verdict.ramping_kws:.0f} short={list(verdict.short)} below_reserve={list(verdict.below_reserve)} "
                f"exported_s={verdict.exported_s:.0f} given_kwh={verdict.given_kwh:.1f} givers={verdict.givers} "
                f"seconds={time.process_time() - began:.0f} seed={options.seed}"
            )
            good = good and verdict.kept
            if options.judge is not None:
                done = subprocess.run([sys.executable, str(options.judge), str(trace)], capture_output=True, text=True, check=False)
                found = json.loads(done.stdout) if done.returncode in (0, 1) else {}
                print(f"  judge_trace: {'kept' if done.returncode == 0 else 'VIOLATED'} {found}")
                good = good and done.returncode == 0
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
