"""``chargeyard plan``: a charging plan for a scenario file, written beside a table of what it costs.

Exit codes: 0 everybody is served, 1 not everybody can be (the plan is written all the same, and says who is short) or
no plan was found in time, 2 the scenario cannot be read or the plan cannot be written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import optimizer
from optimizer import InvalidScenario, PlanResult, PlanStatus, Policy, Problem, SolverFailed
from optimizer.scenario import read, write_plan

SERVED_SHARE = 0.999
"""Below this share of the required energy the answer is: not everyone can be served."""

DEADLINE_S = 60.0
_NAMED = 10


def run_plan(scenario: Path, output: Path, *, policy: Policy, console: Console, complaints: Console, deadline_s: float = DEADLINE_S) -> int:
    """Read, solve, write, tell. Returns the exit code; tables go to ``console``, errors to ``complaints``."""
    try:
        problem = read(scenario)
    except InvalidScenario as error:
        complaints.print(f"{error}\nThe format is described in docs/optimizer.md.", markup=False, highlight=False, soft_wrap=True)
        return 2
    try:
        with console.status(f"{len(problem.vehicles)} vehicles, {problem.n_slots} slots: solving …"):
            result = optimizer.plan(problem, policy=policy, deadline_s=deadline_s, round_minimum=True)
    except SolverFailed as error:
        complaints.print(f"No plan: {error}. Give it more time with --deadline.", markup=False, highlight=False, soft_wrap=True)
        return 1
    try:
        _write(output, write_plan(problem, result))
    except OSError as error:
        complaints.print(f"{output} can't be written: {error.strerror or error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    console.print(_table(problem, result, output))
    _warn(result, console)
    return 0 if _everyone_served(problem, result, console) else 1


def _write(output: Path, content: Mapping[str, Any]) -> None:
    """All or nothing: whoever reads ``output`` meanwhile finds the old plan."""
    handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _table(problem: Problem, result: PlanResult, output: Path) -> Table:
    required = sum(vehicle.energy_kwh for vehicle in problem.vehicles)
    unmet = float(result.unmet_kwh.sum())
    limit = problem.site_limit_kw
    limits = f"{limit.min():,.0f} kW" if limit.min() == limit.max() else f"{limit.min():,.0f}–{limit.max():,.0f} kW"
    table = Table(title=f"{problem.id}, {result.policy}", show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row("Energy", f"{result.energy_cost:,.2f} {problem.currency}")
    table.add_row("Demand charge", f"{result.demand_cost:,.2f} {problem.currency}")
    table.add_row("Cost", f"{result.cost:,.2f} {problem.currency}")
    table.add_row("Peak", f"{result.peak_kw:,.1f} kW")
    table.add_row("Site limit", limits)
    table.add_row("Required", f"{required:,.1f} kWh")
    table.add_row("Unmet", f"{unmet:,.2f} kWh ({100 * unmet / required if required else 0:.2f} %)")
    table.add_row("Solved in", f"{result.total_s:.2f} s")
    table.add_row("Plan", str(output))
    return table


def _warn(result: PlanResult, console: Console) -> None:
    if result.status is PlanStatus.UNPOLISHED:
        console.print("The time was over before powers below a charger's minimum were rounded away.", highlight=False)
    over = result.over_limit_kw
    if over.any():
        slot = int(np.argmax(over))
        console.print(
            f"In {int((over > 0).sum())} slots the site without its vehicles is above its limit, by {over[slot]:.1f} kW in slot {slot}.",
            highlight=False,
        )


def _everyone_served(problem: Problem, result: PlanResult, console: Console) -> bool:
    required = sum(vehicle.energy_kwh for vehicle in problem.vehicles)
    if float(result.unmet_kwh.sum()) <= (1 - SERVED_SHARE) * required:
        return True
    order = np.argsort(result.unmet_kwh)[::-1]
    short = [(problem.vehicles[i].id, float(result.unmet_kwh[i])) for i in order if result.unmet_kwh[i] > 0]
    named = ", ".join(f"{name} ({missing:.1f} kWh)" for name, missing in short[:_NAMED])
    more = f" and {len(short) - _NAMED} more" if len(short) > _NAMED else ""
    console.print(f"Not everyone can be served under the limits. Short: {named}{more}", markup=False, highlight=False, soft_wrap=True)
    return False
