"""What charging plans cost batteries: plans that know their life, the cheapest ones, and least laxity first, by chemistry and heat.

    python benchmarks/ageing.py --degradation DIR --data DIR [--scenario mix-200] [--headroom 1.5]

``--data DIR/scenarios/*.json``: one night, its limits times ``headroom`` (a site at its limit leaves a plan nothing to choose). All
packs are of one kind and as warm as told, all night; 12,000 a kWh, worth 30 % of that at 80 % health; energy at ``--rate`` times the
scenario's price (83 makes rupees of its dollars).

The judge is not the plan's own table of straight lines: calendar loss by the full curves of ``calendar_rates.csv`` over the state of
charge, slot by slot from arrival to departure; a kWh that is charged by ``cycle_rates.csv`` at the night's own depth and top, and above
0.25 C by the measured slope. Neither directory is a part of the project. Wear is in money, and in %-points of health in a year of
such nights. Exit 1 where a plan that knows of the batteries' life costs more than the cheapest, bill and wear together.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from optimizer import FloatArray, Policy, Problem, Vehicle, life_cost, plan
from optimizer.baselines import least_laxity_first
from optimizer.evaluate import evaluate
from optimizer.life import fade_value
from optimizer.life_table import GENTLE_C, MODEL_OF, rates_of
from optimizer.scenario import read

PACK_PRICE, WORTH_SHARE = 12_000.0, 0.3
TEMPERATURES_C = (25.0, 35.0, 45.0)
NIGHTS = 365
DEADLINE_S = 120.0


class Cells:
    """One cell model of the full tables at one temperature."""

    def __init__(self, degradation: Path, model: str, temp_c: float) -> None:
        calendar = sorted(
            (float(r["soc"]), float(r["cal_loss_per_yr_avg8y"])) for r in _rows(degradation / "calendar_rates.csv", model, temp_c)
        )
        self._soc, self._loss = (np.array(column) for column in zip(*calendar, strict=True))
        self._cycles = [
            (float(r["dod"]), float(r["soc_top"]), float(r["cyc_loss_per_efc"]))
            for r in _rows(degradation / "cycle_rates.csv", model, temp_c)
            if r["c_charge"] == "0.33"
        ]

    def calendar(self, soc: FloatArray) -> FloatArray:
        """Loss a year; straight on to 0 where the table ends."""
        loss: FloatArray = np.interp(soc, np.append(0.0, self._soc), np.append(0.0, self._loss))
        return loss

    def cycle(self, depth: float, top: float) -> float:
        """Loss of a full cycle, by the nearest row that is not below 0 (what is left after taking off what time takes can be)."""
        return max(0.0, min((abs(d - depth) + abs(t - top), loss) for d, t, loss in self._cycles)[1])


@cache
def _all(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _rows(file: Path, model: str, temp_c: float) -> list[dict[str, str]]:
    return [row for row in _all(file) if row["model"] == model and float(row["T_C"]) == temp_c]


def losses(
    problem: Problem, power_kw: FloatArray, told: dict[str, dict[str, float]], cells: Cells, steep_per_c: float
) -> tuple[float, float]:
    """Calendar and cycle loss of the night, in kWh of nominal capacity, all vehicles together."""
    calendar = cycle = 0.0
    for vehicle, power in zip(problem.vehicles, power_kw, strict=True):
        size, soh = told[vehicle.id]["battery_kwh"], told[vehicle.id]["soh"]
        gained = power * vehicle.eff * problem.hours
        stay = slice(vehicle.arrival_slot, vehicle.departure_slot)
        soc = told[vehicle.id]["soc_arrival"] + (np.cumsum(gained) - 0.5 * gained)[stay] / (size * soh)
        calendar += float(cells.calendar(soc) @ problem.hours[stay]) / 8760 * size
        rate = power * vehicle.eff / (size * soh)
        depth = float(gained.sum()) / (size * soh)
        per_kwh = cells.cycle(depth, told[vehicle.id]["soc_arrival"] + depth) / soh
        cycle += float(gained @ (1 + steep_per_c * np.maximum(rate - GENTLE_C, 0.0))) * per_kwh
    return calendar, cycle


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--degradation", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scenario", default="mix-200")
    parser.add_argument("--headroom", type=float, default=1.5)
    parser.add_argument("--rate", type=float, default=83.0)
    arguments = parser.parse_args()
    file = arguments.data / "scenarios" / f"{arguments.scenario}.json"
    told = {row["id"]: row for row in json.loads(file.read_text(encoding="utf-8"))["vehicles"]}
    night = read(file)
    night = replace(
        night,
        price_per_kwh=night.price_per_kwh * arguments.rate,
        demand_charge_per_kw=night.demand_charge_per_kw * arguments.rate,
        site_limit_kw=night.site_limit_kw * arguments.headroom,
        feeders=tuple(replace(feeder, limit_kw=feeder.limit_kw * arguments.headroom) for feeder in night.feeders),
    )
    fleet_kwh = sum(row["battery_kwh"] for row in told.values())
    table = Table(title=f"{night.id}, limit × {arguments.headroom:g}: a night's bill and wear, and health lost in a year of them")
    for title in ("cells", "°C", "plan", "bill", "wear", "bill + wear", "calendar %/year", "cycle %/year", "unmet kWh"):
        table.add_column(title, justify="left" if title in ("cells", "plan") else "right")
    cheapest = plan(night, deadline_s=DEADLINE_S)
    laxity = least_laxity_first(night)
    good = True
    for chemistry, model in MODEL_OF.items():
        for temp_c in TEMPERATURES_C:
            cells = Cells(arguments.degradation, model, temp_c)
            aware_of = replace(
                night, vehicles=tuple(_with_life(vehicle, told[vehicle.id], chemistry, temp_c) for vehicle in night.vehicles)
            )
            aware = plan(aware_of, policy=Policy.BATTERY_LIFE, deadline_s=DEADLINE_S)
            steep = float(rates_of(model, temp_c).steep_per_c)
            sums = []
            for name, power in (("least laxity", laxity), ("cheapest", cheapest.power_kw), ("knows life", aware.power_kw)):
                verdict = _verdict(night, power)
                calendar, cycle = losses(night, power, told, cells, steep)
                wear = (calendar + cycle) * fade_value(PACK_PRICE, worth_per_kwh=WORTH_SHARE * PACK_PRICE)
                sums.append(verdict[0] + wear)
                share = 100 * NIGHTS / fleet_kwh
                numbers = (verdict[0], wear, verdict[0] + wear)
                row = [f"{number:,.0f}" for number in numbers] + [f"{share * calendar:.3f}", f"{share * cycle:.3f}", f"{verdict[1]:.1f}"]
                table.add_row(chemistry, f"{temp_c:g}", name, *row)
            good = good and sums[2] <= sums[1] * (1 + 1e-3)
            table.add_section()
    Console(width=140).print(table)
    return 0 if good else 1


def _with_life(vehicle: Vehicle, row: dict[str, float], chemistry: str, temp_c: float) -> Vehicle:
    life = life_cost(
        chemistry,
        temp_c=temp_c,
        nominal_kwh=row["battery_kwh"],
        price_per_kwh=PACK_PRICE,
        worth_per_kwh=WORTH_SHARE * PACK_PRICE,
        soh=row["soh"],
        power_kw=vehicle.p_max_kw,
        least_kw=vehicle.p_min_kw,
        eff=vehicle.eff,
    )
    return replace(vehicle, life=life)


def _verdict(problem: Problem, power_kw: FloatArray) -> tuple[float, float]:
    verdict = evaluate(problem, power_kw)
    return verdict.cost, float(verdict.unmet_kwh.sum())


if __name__ == "__main__":
    sys.exit(main())
