"""How long the digital twin takes for a fleet over years, and whether measured cells lie within what it foresees.

    python -m benchmarks.twin [--packs 1000] [--years 10] [--data DIR] [--json FILE]

Speed: packs of both chemistries, half of them used, each under a duty of its own (powers and climates differ), so that no day serves two
packs; goal: 1,000 packs and 10 years within 60 s. With ``--data``: cells stored for years (Lam et al., Joule, 2024; LFP and NMC at 24
and 45 °C, 50 and 100 % charged), which none of the twin's tables of loss was made from. Is their loss after five years within P10 to P90,
with nothing known of them, and with their loss after two years told? Exit code 1: too slow.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bms_bridge.twin.duty import Duty, shipped
from bms_bridge.twin.members import Pack
from bms_bridge.twin.years import outlook

GOAL_S = 60.0
STORED_YEARS, TOLD_YEARS = 5, 2
MOST_LOSS = 0.5
"""Cells that lost more in five years were broken, not stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Losses as shares: P10, P50, P90 of health each. ``blind``: nothing known; ``told``: with the loss after two years."""

    what: str
    cells: int
    lost: float
    blind: tuple[float, ...]
    blind_inside: float
    told: tuple[float, ...]
    told_inside: float
    told_miss: float


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


def stored(data: Path) -> list[Stored]:
    """Measured cells beside the twin, per chemistry, temperature and charge."""
    groups: dict[tuple[str, float, float], list[tuple[float, float]]] = {}
    with (data / "battery" / "joule_calendar" / "cap_powerlaw_fits.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = (row["Chemistry"], float(row["Temperature"]), float(row["SOC"]) / 100)
            if key[0] in ("LFP", "NMC") and key[1] <= 45:
                early, late = (float(row["a"]) * (52.18 * years) ** float(row["b"]) / 100 for years in (TOLD_YEARS, STORED_YEARS))
                if late < MOST_LOSS:
                    groups.setdefault(key, []).append((early, late))
    out = []
    for (chemistry, temp_c, soc), losses in sorted(groups.items()):
        duty = Duty("stored", ((24.0, 0.0),), ambient_c=(temp_c,), top_soc=soc, floor_soc=0.0)
        blind = outlook([Pack("cell", chemistry, 1.0, soh_sd=0.0)], [duty], years=STORED_YEARS).health[0, -1]
        packs = [
            Pack(f"{i}", chemistry, 1.0, 1 - early, 0.005, TOLD_YEARS, 0.0, temp_c, soc, past_told=True)
            for i, (early, _) in enumerate(losses)
        ]
        told = outlook(packs, [duty] * len(packs), years=STORED_YEARS - TOLD_YEARS).health[:, -1]
        late = np.array([loss for _, loss in losses])
        out.append(
            Stored(
                f"{chemistry} {temp_c:g} °C {soc:.0%}",
                len(losses),
                float(np.median(late)),
                tuple(float(1 - value) for value in blind),
                float(np.mean((blind[0] <= 1 - late) & (1 - late <= blind[2]))),
                tuple(float(np.median(1 - told[:, k])) for k in range(3)),
                float(np.mean((told[:, 0] <= 1 - late) & (1 - late <= told[:, 2]))),
                float(np.mean(np.abs(1 - told[:, 1] - late))),
            )
        )
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=int, default=1000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, object] = {}
    slow = False
    for name, shared in (("shared duties", True), ("a duty each", False)):
        took = measured(arguments.packs, arguments.years, shared=shared)
        found[name] = took
        print(f"{arguments.packs:,} packs, {arguments.years} years, {name}: {took['wall_s']} s ({took['cpu_s']} s of processor)")
        slow = slow or took["wall_s"] > GOAL_S * arguments.packs / 1000 * arguments.years / 10
    if arguments.data:
        rows = stored(arguments.data)
        found["stored"] = [asdict(row) for row in rows]
        for row in rows:
            blind, told = (f"{losses[1]:.1%} ({losses[2]:.1%} to {losses[0]:.1%})" for losses in (row.blind, row.told))
            print(
                f"  {row.what}: {row.cells} cells lost {row.lost:.1%} in {STORED_YEARS} years; twin {blind}, {row.blind_inside:.0%} inside;"
            )
            print(f"    told after {TOLD_YEARS} years: {told}, {row.told_inside:.0%} inside, mean miss {row.told_miss:.1%}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
