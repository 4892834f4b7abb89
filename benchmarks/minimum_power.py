"""What it costs that chargers have a minimum power, and that sessions cannot pause: relax-and-round against the relaxed plan and MILP.

    python -m benchmarks.minimum_power --data DIR [--milp 60] [--only mix-50 van-50]

``DIR`` holds ``scenarios/*.json``. Plans: ``relaxed`` (the LP, a bound from below), ``hour`` (powers of the first hour rounded),
``all`` (of every slot), ``held`` (no session can pause; every slot rounded), ``milp`` (binary, as far as it gets in so many
seconds, small scenarios only; beside it the gap to its own bound).

``above``: what bill, tie-break and unmet energy are above the relaxed plan. ``small``: cells between 0 and the minimum. ``broken``:
sessions that are interrupted or fall below their floor. ``cpu`` is what a busy machine does not distort. Exit 1 where ``all`` is
more than 0.1 % above the bound, or anybody is shorter by it.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csc_array, hstack, vstack
from scipy.sparse import eye_array as identity

from optimizer import Policy, Problem, arrays, plan
from optimizer.evaluate import evaluate
from optimizer.planning import costs_of, power_of
from optimizer.problem import FloatArray
from optimizer.scenario import read
from optimizer.sessions import broken_sessions

MOST = 0.001
SMALL_SCENARIO = 60
DEADLINE_S = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--milp", type=float, default=0.0, help="seconds for each mixed-integer model; 0: none")
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    files = [f for f in sorted((arguments.data / "scenarios").glob("*.json")) if not arguments.only or f.stem in arguments.only]
    if not files:
        parser.error(f"no such scenario files in {arguments.data / 'scenarios'}")
    table = Table(title="minimum powers and sessions that cannot pause, cheapest")
    for title in ("scenario", "plan", "cost", "above %", "unmet kWh", "small", "broken", "wall s", "cpu s"):
        table.add_column(title, justify="left" if title in ("scenario", "plan") else "right")
    good = True
    for file in files:
        good = _measure(read(file), table, milp_s=arguments.milp) and good
    Console(width=140).print(table)
    return 0 if good else 1


def _measure(problem: Problem, table: Table, *, milp_s: float) -> bool:
    held = replace(problem, vehicles=tuple(replace(v, pausable=False) for v in problem.vehicles))
    asked: tuple[tuple[str, Problem, Any], ...] = (
        ("relaxed", problem, False),
        ("hour", problem, True),
        ("all", problem, "all"),
        ("held", held, "all"),
    )
    bound, missing, good = 0.0, np.zeros(0), True
    for name, one, round_minimum in asked:
        began, cpu = time.perf_counter(), time.process_time()
        result = plan(one, deadline_s=DEADLINE_S, round_minimum=round_minimum)
        took = time.perf_counter() - began, time.process_time() - cpu
        value = _objective(problem, result.power_kw)
        if name == "relaxed":
            bound, missing = value, result.unmet_kwh
        if name == "all":
            good = value / bound - 1 <= MOST and bool((result.unmet_kwh <= missing + 0.05).all())
        _row(table, held, name, result.power_kw, above=value / bound - 1, took=took)
    if milp_s and len(problem.vehicles) <= SMALL_SCENARIO:
        began, cpu = time.perf_counter(), time.process_time()
        power, gap = _milp(problem, milp_s)
        took = time.perf_counter() - began, time.process_time() - cpu
        if power is not None:
            _row(table, held, f"milp (gap {100 * gap:.2f} %)", power, above=_objective(problem, power) / bound - 1, took=took)
    table.add_section()
    return good


def _row(table: Table, problem: Problem, name: str, power: FloatArray, *, above: float, took: tuple[float, float]) -> None:
    verdict = evaluate(problem, power)
    numbers = (f"{verdict.cost:,.2f}", f"{100 * above:.3f}", f"{verdict.unmet_kwh.sum():.2f}", str(verdict.below_minimum))
    broken = str(len(broken_sessions(problem, power)))
    table.add_row(problem.id, name, *numbers, broken, f"{took[0]:.2f}", f"{took[1]:.2f}")


def _objective(problem: Problem, power: FloatArray) -> float:
    """The model's objective for these powers: bill, tie-break and what is not served."""
    costs, verdict = costs_of(problem, Policy.CHEAPEST), evaluate(problem, power)
    return float((costs.cell * power).sum() + costs.unmet @ verdict.unmet_kwh) + verdict.demand_cost


def _milp(problem: Problem, seconds: float) -> tuple[FloatArray | None, float]:
    """The best powers in {0} ∪ [minimum, most] that a mixed-integer model finds in the time, and the gap to its own bound."""
    compiled = arrays.build(problem, costs_of(problem, Policy.CHEAPEST))
    columns, cells = len(compiled.cost), compiled.cells
    least = np.minimum(np.array([v.p_min_kw for v in problem.vehicles])[compiled.vehicle], compiled.upper[cells])
    n = len(cells)
    rows = csc_array((compiled.values, compiled.rows, compiled.starts), shape=(len(compiled.row_lower), columns))
    picks = csc_array((np.ones(n), (np.arange(n), cells)), shape=(n, columns))
    matrix = vstack(
        [
            hstack([rows, csc_array((rows.shape[0], n))]),
            hstack([picks, -identity(n) * compiled.upper[cells]]),
            hstack([picks, -identity(n) * least]),
        ]
    )
    low = np.concatenate([compiled.row_lower, np.full(n, -np.inf), np.zeros(n)])
    high = np.concatenate([compiled.row_upper, np.zeros(n), np.full(n, np.inf)])
    found = milp(
        np.concatenate([compiled.cost, np.zeros(n)]),
        integrality=np.concatenate([np.zeros(columns), np.ones(n)]),
        bounds=Bounds(np.concatenate([compiled.lower, np.zeros(n)]), np.concatenate([compiled.upper, np.ones(n)])),
        constraints=LinearConstraint(matrix.tocsc(), low, high),
        options={"time_limit": seconds, "mip_rel_gap": 1e-4},
    )
    if found.x is None:
        return None, float("inf")
    return power_of(problem, compiled, found.x[:columns]), float(found.mip_gap)


if __name__ == "__main__":
    sys.exit(main())
