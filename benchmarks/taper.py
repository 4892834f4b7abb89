"""Plans for batteries that taper: what is missing when a plan is driven once, with and without the bounds of their charge curves.

    python benchmarks/taper.py --data DIR [--scenario mix-200 --scenario mix-1000]

``DIR/scenarios/*.json``. Each plan is driven once by a plain plant of its own, half a minute at a time: a charger gives the slot's mean
power, a battery takes less where its curve says so, nothing is caught up with later. Two curves: ``cc-cv``, where a full pack's power falls
in proportion to what is missing, from 0.2 h of it on (as the packs of simulated nights do); ``early``, from 80 % on down to a tenth.
``missing``: of the fleet's energy, after driving. Exit 1 where more than 0.2 % is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from optimizer import ChargeCurve, FloatArray, Problem, plan
from optimizer.scenario import read

GOAL_PCT = 0.2
DEADLINE_S = 120.0
STEP_H = 1 / 120
TAPER_H, TRICKLE_PER_H = 0.2, 0.02


def cc_cv(capacity_kwh: float, p_max_kw: float, eff: float) -> tuple[FloatArray, FloatArray]:
    """States of charge, and kW that are accepted there."""
    soc = np.linspace(0.5, 1.0, 101)
    return soc, np.minimum(p_max_kw, capacity_kwh * np.maximum(TRICKLE_PER_H, (1 - soc) / TAPER_H) / eff)


def early(capacity_kwh: float, p_max_kw: float, eff: float) -> tuple[FloatArray, FloatArray]:
    """The same."""
    return np.array([0.8, 1.0]), np.array([p_max_kw, 0.1 * p_max_kw])


def with_curves(problem: Problem, content: dict[str, object], shape: object) -> Problem:
    """The problem whose batteries taper."""
    told = {row["id"]: row for row in content["vehicles"]}  # type: ignore[attr-defined]
    vehicles = []
    for vehicle in problem.vehicles:
        size, soc = told[vehicle.id]["battery_kwh"], told[vehicle.id]["soc_arrival"]
        at, accepts = shape(size, vehicle.p_max_kw, vehicle.eff)  # type: ignore[operator]
        vehicles.append(replace(vehicle, curve=ChargeCurve(at, accepts, size, soc * size)))
    return replace(problem, vehicles=tuple(vehicles))


def driven_kwh(problem: Problem, power_kw: FloatArray) -> FloatArray:
    """[vehicle] what its battery has taken in the end."""
    curves = [vehicle.curve for vehicle in problem.vehicles]
    size, start = (np.array([getattr(curve, name) for curve in curves]) for name in ("capacity_kwh", "stored_kwh"))
    eff, need = (np.array([getattr(vehicle, name) for vehicle in problem.vehicles]) for name in ("eff", "energy_kwh"))
    grid = np.linspace(0, 1, 1001)
    accepts = np.array([np.interp(grid, curve.soc, curve.accepts_kw) for curve in curves if curve is not None])
    held, rows = start.copy(), np.arange(len(size))
    for k, hours in enumerate(problem.hours):
        if not power_kw[:, k].any():
            continue
        for _ in range(round(hours / STEP_H)):
            at = np.clip(np.rint(held / size * 1000), 0, 1000).astype(int)
            power = np.minimum(power_kw[:, k], accepts[rows, at])
            held = np.minimum(held + power * eff * STEP_H, np.maximum(start + need, held))
    gained: FloatArray = held - start
    return gained


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scenario", action="append", help="a name; mix-200 and mix-1000 unless told")
    arguments = parser.parse_args()
    table = Table(title="plans that are driven once with tapering batteries")
    for title in ("scenario", "curve", "plan", "cost", "planned short %", "missing %", "solve s"):
        table.add_column(title, justify="left" if title in ("scenario", "curve", "plan") else "right")
    good = True
    for name in arguments.scenario or ["mix-200", "mix-1000"]:
        file = arguments.data / "scenarios" / f"{name}.json"
        problem, content = read(file), json.loads(file.read_text(encoding="utf-8"))
        need = sum(vehicle.energy_kwh for vehicle in problem.vehicles)
        plan(problem, deadline_s=DEADLINE_S)
        for shape in (cc_cv, early):
            tapering = with_curves(problem, content, shape)
            everything = driven_kwh(tapering, problem.upper_kw).sum()
            for kind, asked in (("blind", problem), ("with curves", tapering)):
                began = time.perf_counter()
                result = plan(asked, deadline_s=DEADLINE_S)
                took = time.perf_counter() - began
                missing = 100 * (need - driven_kwh(tapering, result.power_kw).sum()) / need
                good = good and (kind == "blind" or missing <= GOAL_PCT)
                short = 100 * float(result.unmet_kwh.sum()) / need
                row = (name, shape.__name__.replace("_", "-"), kind, f"{result.cost:,.0f}", f"{short:.3f}", f"{missing:.3f}", f"{took:.2f}")
                table.add_row(*row)
            table.add_row(
                name, shape.__name__.replace("_", "-"), "full power always", "", "", f"{100 * (need - everything) / need:.3f}", ""
            )
    Console(width=120).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
