"""``chargeyard plan``: a charging plan for a scenario file, written beside a table of what it costs; and questions about it.

Exit codes: 0 everybody is served, 1 not everybody can be (the plan is written all the same, and says who is short) or
no plan was found in time (what a rule would do is written instead, and says so), 2 the scenario or a question cannot
be read, or the plan cannot be written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import optimizer
from controller.app import plan_explain
from depot.money_text import amount_of
from optimizer import InvalidProblem, InvalidScenario, Need, PlanResult, PlanStatus, Policy, Problem, SolverFailed
from optimizer.scenario import read, write_plan
from optimizer.what_if_text import read_changes
from optimizer.what_if_values import Change

SERVED_SHARE = 0.999
"""Below this share of the required energy the answer is: not everyone can be served."""

DEADLINE_S = 60.0
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked beside the plan. ``vehicle``: explain its stay; ``cell``: VEHICLE@02:15; ``what_if``: changes, each for itself;
    ``as_json``: the answers as JSON instead of tables."""

    explain: bool = False
    vehicle: str = ""
    cell: str = ""
    what_if: tuple[str, ...] = ()
    as_json: bool = False

    @property
    def asks_why(self) -> bool:
        """Whether an explanation is needed."""
        return self.explain or bool(self.vehicle or self.cell)


@dataclass(frozen=True, slots=True)
class _Understood:
    vehicle: int | None
    cell: tuple[int, int] | None
    changes: tuple[tuple[Change, ...], ...]


def run_plan(
    scenario: Path,
    output: Path | None,
    *,
    policy: Policy,
    console: Console,
    complaints: Console,
    deadline_s: float = DEADLINE_S,
    questions: Questions | None = None,
) -> int:
    """Read, solve, write, tell. Returns the exit code; tables go to ``console``, errors to ``complaints``. ``output`` None: it is written
    nowhere."""
    questions = questions or Questions()
    try:
        problem = read(scenario)
    except InvalidScenario as error:
        complaints.print(f"{error}\nThe format is described in docs/optimizer.md.", markup=False, highlight=False, soft_wrap=True)
        return 2
    try:
        asked = _understood(questions, problem)
    except InvalidProblem as error:
        complaints.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 2
    try:
        with console.status(f"{len(problem.vehicles)} vehicles, {problem.n_slots} slots: solving …"):
            result = optimizer.plan(problem, policy=policy, deadline_s=deadline_s, round_minimum=True)
    except SolverFailed as error:
        said = f"No plan: {error}. A rule stands in for it, least laxity first. Give it more time with --deadline."
        complaints.print(said, markup=False, highlight=False, soft_wrap=True)
        result = optimizer.rule_plan(problem, policy=policy)
    try:
        if output is not None:
            _write(output, write_plan(problem, result))
    except OSError as error:
        complaints.print(f"{output} can't be written: {error.strerror or error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    quiet = Console(quiet=True) if questions.as_json else console
    quiet.print(_table(problem, result, output))
    _warn(result, quiet)
    served = _everyone_served(problem, result, quiet)
    if result.status is PlanStatus.RULE:
        return 1
    try:
        _answer(problem, policy, questions, asked, console, deadline_s=deadline_s)
    except InvalidProblem as error:
        complaints.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 2
    except SolverFailed as error:
        complaints.print(f"No answer: {error}. Give it more time with --deadline.", markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0 if served else 1


def _understood(questions: Questions, problem: Problem) -> _Understood:
    """Raises :class:`InvalidProblem` for a question that names what is not there."""
    return _Understood(
        vehicle=plan_explain.vehicle_at(questions.vehicle, problem) if questions.vehicle else None,
        cell=plan_explain.cell_at(questions.cell, problem) if questions.cell else None,
        changes=tuple(read_changes(text, problem) for text in questions.what_if),
    )


def _answer(problem: Problem, policy: Policy, questions: Questions, asked: _Understood, console: Console, *, deadline_s: float) -> None:
    """What was asked beside the plan. Only what is asked is loaded and solved."""
    explanation = reason = None
    comparisons = []
    if questions.asks_why:
        from optimizer.explain import QUICK, Depth, explain

        depth = Depth() if questions.explain or questions.as_json else QUICK
        with console.status("explaining …"):
            explanation = explain(problem, policy=policy, depth=depth, deadline_s=deadline_s)
    if explanation is not None and asked.cell is not None:
        from optimizer.explain_cells import explain_cell

        reason = explain_cell(problem, explanation, vehicle=asked.cell[0], slot=asked.cell[1])
    if asked.changes:
        from optimizer.what_if import what_if

        for changes in asked.changes:
            with console.status("planning with what is changed …"):
                comparisons.append(what_if(problem, changes, policy=policy, deadline_s=deadline_s))
    if questions.as_json:
        console.file.write(plan_explain.as_json(explanation=explanation, cell=reason, what_if=comparisons or None) + "\n")
        return
    if explanation is not None and questions.explain:
        plan_explain.show(problem, explanation, console)
    if explanation is not None and asked.vehicle is not None:
        plan_explain.show_vehicle(problem, explanation, asked.vehicle, console)
    if reason is not None:
        plan_explain.show_cell(problem, reason, console)
    if comparisons:
        plan_explain.show_comparisons(comparisons, problem.currency, console)


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


def _table(problem: Problem, result: PlanResult, output: Path | None) -> Table:
    required = sum(vehicle.energy_kwh for vehicle in problem.vehicles)
    unmet = float(result.unmet_kwh.sum())
    limit = problem.site_limit_kw
    limits = f"{limit.min():,.0f} kW" if limit.min() == limit.max() else f"{limit.min():,.0f}–{limit.max():,.0f} kW"
    table = Table(title=f"{problem.id}, {result.policy}", show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row("Energy", f"{amount_of(result.energy_cost, problem.currency, digits=2)} {problem.currency}")
    table.add_row("Demand charge", f"{amount_of(result.demand_cost, problem.currency, digits=2)} {problem.currency}")
    table.add_row("Cost", f"{amount_of(result.cost, problem.currency, digits=2)} {problem.currency}")
    table.add_row("Peak", f"{result.peak_kw:,.1f} kW")
    table.add_row("Site limit", limits)
    table.add_row("Required", f"{required:,.1f} kWh")
    table.add_row("Unmet", f"{unmet:,.2f} kWh ({100 * unmet / required if required else 0:.2f} %)")
    table.add_row("Solved in", f"{result.total_s:.2f} s")
    if output is not None:
        table.add_row("Plan", str(output))
    return table


def _warn(result: PlanResult, console: Console) -> None:
    if result.status is PlanStatus.UNPOLISHED:
        console.print("The time was over before powers below a charger's minimum were rounded away.", highlight=False)
    beside = [one for one in result.short if one.milestone is not None or one.need is not Need.READINESS]
    if beside:
        named = ", ".join(f"{one.vehicle} {one.label or one.need} ({one.kwh:.1f} kWh)" for one in beside[:_NAMED])
        more = f" and {len(beside) - _NAMED} more" if len(beside) > _NAMED else ""
        console.print(f"Needs beside the last departure that go short: {named}{more}", markup=False, highlight=False, soft_wrap=True)
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
