"""How long the digital twin takes for a fleet over years, and whether measured cells lie within what it foresees.

    python -m benchmarks.twin [--packs 1000] [--years 10] [--data DIR] [--json FILE]

Speed: packs of both chemistries, half of them used, each under a duty of its own (powers and climates differ), so that no day serves two
packs; goal: 1,000 packs and 10 years within 60 s. With ``--data``: cells of every make, judged by a spread that was learned without it
(benchmarks/twin_coverage.py). Exit code 1: too slow.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bms_bridge.twin.duty import Duty, shipped
from bms_bridge.twin.members import Pack
from bms_bridge.twin.years import outlook

GOAL_S = 60.0


def fleet(count: int, *, shared: bool) -> tuple[list[Pack], list[Duty]]:
    """``shared``: packs share the shipped duties; else each has one of its own."""
    chance = np.random.default_rng(7)
    names = list(shipped().values())
    packs, duties = [], []
    for i in range(count):
        used = i % 2 == 1
        packs.append(
            Pack(f"P{i}", "LFP" if i % 3 else "NMC", 200.0, soh=0.85, age_years=5.0, full_cycles=900.0) if used
            else Pack(f"P{i}", "LFP" if i % 3 else "NMC", 200.0)
        )  # fmt: skip
        duty = names[i % len(names)]
        if not shared:
            factor, warmer = chance.uniform(0.7, 1.2), chance.uniform(-3, 6)
            power = tuple((hours, rate * factor) for hours, rate in duty.power)
            duty = replace(duty, name=f"{duty.name} {i}", power=power, ambient_c=tuple(c + warmer for c in duty.ambient_c))
        duties.append(duty)
    return packs, duties


def measured(count: int, years: int, *, shared: bool) -> dict[str, float]:
    packs, duties = fleet(count, shared=shared)
    wall, cpu = time.perf_counter(), time.process_time()
    outlook(packs, duties, years=years)
    return {"wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=int, default=1000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, object] = {}
    slow = False
    stored = arguments.data / "degradation" if arguments.data else None
    if stored is not None and not (stored / "calendar_rates.csv").is_file():
        print(f"{arguments.data} holds no degradation/calendar_rates.csv: name the folder of data sets", file=sys.stderr)
        return 2
    for name, shared in (("shared duties", True), ("a duty each", False)):
        took = measured(arguments.packs, arguments.years, shared=shared)
        found[name] = took
        print(f"{arguments.packs:,} packs, {arguments.years} years, {name}: {took['wall_s']} s ({took['cpu_s']} s of processor)")
        slow = slow or took["wall_s"] > GOAL_S * arguments.packs / 1000 * arguments.years / 10
    if arguments.data:
        from benchmarks.twin_coverage import told

        found["cells"] = told(arguments.data)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
