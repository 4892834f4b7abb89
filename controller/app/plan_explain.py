"""``chargeyard plan --explain``: why a plan is as it is, as tables and sentences; ``--what-if``: it beside a changed one; ``--json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from depot.money_text import amount_of
from optimizer import InvalidProblem, Policy, Problem
from optimizer.explain_cells import explain_cell
from optimizer.explain_values import CellReason, Explanation, Grounds, LimitKind, LimitPrice
from optimizer.explain_words import milestone_words, relaxed_words, remedy_words, short_words
from optimizer.stays import windows_of
from optimizer.what_if import clock
from optimizer.what_if_text import slot_of
from optimizer.what_if_values import Comparison, Figures

HORIZONS = 21
"""Nights in a month, for figures that are scaled to one: the scenario's demand charge is a share of the month's by as many."""

_ROWS = 12


def show(problem: Problem, explanation: Explanation, console: Console) -> None:
    """Who is short, dear hours, what a kW is worth, what wishes cost."""
    for one in explanation.relaxed:
        console.print(relaxed_words(problem, one), markup=False, highlight=False, soft_wrap=True)
    for missed in explanation.milestones:
        console.print(milestone_words(problem, missed), markup=False, highlight=False, soft_wrap=True)
    if explanation.shortfalls:
        console.print(_short(problem, explanation))
    if explanation.site_kw_for_all is not None and explanation.site_kw_for_all > problem.site_limit_kw.min():
        need_kw = explanation.site_kw_for_all
        console.print(f"A site limit of {need_kw:,.0f} kW would serve everybody whom a higher site limit can serve.", highlight=False)
    console.print(_dear_hours(problem, explanation))
    if explanation.values:
        console.print(_values(explanation))
        console.print(
            f"A month is {HORIZONS} nights like this one: a figure to compare with what a kW costs, no forecast.",
            style="dim",
            highlight=False,
        )
    console.print(_wishes(problem, explanation))
    if explanation.policy is Policy.READINESS:
        console.print("Readiness weighs hours of delay, not the bill: prices of limits are what the bill would follow by.", highlight=False)


def show_vehicle(problem: Problem, explanation: Explanation, vehicle: int, console: Console) -> None:
    """Every slot of its stay: what a kWh costs there, what it draws, and why."""
    its = problem.vehicles[vehicle]
    reasons = [explain_cell(problem, explanation, vehicle=vehicle, slot=k) for visit in windows_of(its) for k in range(*visit)]
    table = Table(title=f"{its.id}: {its.energy_kwh:.1f} kWh, a kWh is worth {_worth(explanation, vehicle)}", title_justify="left")
    for name in ("From", "Power kW", "of kW", f"{problem.currency}/kWh", "Of which"):
        table.add_column(name, justify="left" if name in ("From", "Of which") else "right")
    for same in _spans(reasons):
        one = same[0]
        parts = ", ".join(f"{part.name}{f' {part.where}' if part.where else ''} {part.per_kwh:.3f}" for part in one.parts)
        table.add_row(clock(problem, one.slot), f"{one.power_kw:.1f}", f"{one.most_kw:.1f}", f"{one.per_kwh:.3f}", parts)
    console.print(table)
    for reason in explanation.shortfalls:
        if reason.vehicle == vehicle:
            console.print(short_words(problem, reason), markup=False, highlight=False, soft_wrap=True)
    if used := [reason for reason in reasons if abs(reason.power_kw) > 1e-4]:
        console.print(used[0].words, markup=False, highlight=False, soft_wrap=True)


def show_cell(problem: Problem, reason: CellReason, console: Console) -> None:
    """One cell: its sentence and its parts."""
    console.print(reason.words, markup=False, highlight=False, soft_wrap=True)
    if not reason.parts:
        return
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for part in reason.parts:
        table.add_row(f"{part.name} {part.where}".strip(), f"{part.per_kwh:.4f} {problem.currency}/kWh")
    table.add_row("in all", f"{reason.per_kwh:.4f}")
    table.add_row("worth to it", f"{reason.worth_per_kwh:.4f}")
    if reason.other_slot is not None and reason.other_per_kwh is not None:
        table.add_row(f"at {clock(problem, reason.other_slot)}", f"{reason.other_per_kwh:.4f}")
    console.print(table)


def show_comparisons(comparisons: Sequence[Comparison], currency: str, console: Console) -> None:
    """The plan and each changed one, side by side."""
    table = Table(title="What if", title_justify="left")
    table.add_column()
    table.add_column("now", justify="right")
    for one in comparisons:
        table.add_column("\n".join(one.changes), justify="right")
    for name, text in _FIGURES:
        cells = [text(comparisons[0].before, currency), *(text(one.after, currency) for one in comparisons)]
        if any(cells):
            table.add_row(name, *cells)
    console.print(table)
    for one in comparisons:
        worse = [v for v in one.vehicles if (v.unmet_after_kwh or 0.0) - (v.unmet_before_kwh or 0.0) > 0.05]
        named = ", ".join(f"{v.id} ({(v.unmet_after_kwh or 0.0):.1f} kWh)" for v in worse[:_ROWS])
        if worse:
            more = f" and {len(worse) - _ROWS} more" if len(worse) > _ROWS else ""
            console.print(f"{', '.join(one.changes)}: shorter than now {named}{more}.", markup=False, highlight=False, soft_wrap=True)
        moved = sum(1 for v in one.vehicles if v.unmet_before_kwh is not None and v.unmet_after_kwh is not None and v.moved_kwh > 0)
        console.print(f"{', '.join(one.changes)}: {moved} vehicles charge at other times.", markup=False, highlight=False, soft_wrap=True)


def cell_at(text: str, problem: Problem) -> tuple[int, int]:
    """Vehicle and slot of ``VEHICLE@02:15``; raises :class:`InvalidProblem`."""
    name, at, time = text.rpartition("@")
    if not at:
        raise InvalidProblem(f"{text!r} names no cell; write VEHICLE@02:15")
    return vehicle_at(name, problem), slot_of(time, problem)


def vehicle_at(name: str, problem: Problem) -> int:
    """Place of the vehicle; raises :class:`InvalidProblem` that names some that there are."""
    ids = [vehicle.id for vehicle in problem.vehicles]
    if name not in ids:
        raise InvalidProblem(f"there is no vehicle {name!r}; there are {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}")
    return ids.index(name)


def as_json(**values: Any) -> str:
    """Values of the optimizer as JSON; None is left out."""
    content = {name: msgspec.to_builtins(value, enc_hook=_listed) for name, value in values.items() if value is not None}
    return json.dumps(content, allow_nan=False, indent=1)


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.round(value, 6).tolist()
    raise NotImplementedError(f"{type(value)} has no place in JSON")


_FIGURES: tuple[tuple[str, Callable[[Figures, str], str]], ...] = (
    ("Cost", lambda f, c: amount_of(f.cost, c, digits=2)),
    ("Energy", lambda f, c: amount_of(f.energy_cost, c, digits=2)),
    ("Demand charge", lambda f, c: amount_of(f.demand_cost, c, digits=2)),
    ("Energy kWh", lambda f, _: f"{f.energy_kwh:,.1f}"),
    ("Peak kW", lambda f, _: f"{f.peak_kw:,.1f}"),
    ("Unmet kWh", lambda f, _: f"{f.unmet_kwh:,.2f}"),
    ("Vehicles short", lambda f, _: str(len(f.short))),
    ("Battery wear", lambda f, c: "" if f.wear_cost is None else amount_of(f.wear_cost, c, digits=2)),
)


def _short(problem: Problem, explanation: Explanation) -> Table:
    table = Table(title="Who is short", title_justify="left")
    for name in ("Vehicle", "Lacks", "Because of", "What would do, cheapest first"):
        table.add_column(name, justify="right" if name == "Lacks" else "left")
    for reason in explanation.shortfalls[:_ROWS]:
        why = {"own": "its charger and stay", "site": "the site limit"}.get(reason.cause, f"{reason.cause} {reason.where}")
        why += f" ({reason.source})" if reason.source else ""
        why += f"; {reason.ahead} of a higher class go first" if reason.ahead else ""
        helps = [f"{remedy_words(problem, remedy)} ({remedy.bill:+,.2f} {problem.currency})" for remedy in reason.remedies] or [
            "no single change would" if reason.tried else "not looked for"
        ]
        table.add_row(reason.id, f"{reason.short_kwh:.1f} of {reason.need_kwh:.1f} kWh", why, "\n".join(helps))
    if len(explanation.shortfalls) > _ROWS:
        table.caption = f"and {len(explanation.shortfalls) - _ROWS} more"
    return table


def _dear_hours(problem: Problem, explanation: Explanation) -> Table:
    table = Table(title="Dear hours: what one kW more would change", title_justify="left")
    for name in ("From", "to", "What is full", "kW", f"saves {problem.currency}", "serves kWh"):
        table.add_column(name, justify="left" if name in ("From", "to", "What is full") else "right")
    rows = [row for limit in explanation.limits for row in _dear_spans(limit)]
    rows.sort(key=lambda row: (-row[4], -row[3], row[1]))
    for limit, start, end, saved, served in rows[:_ROWS]:
        what = "site limit" if limit.kind is LimitKind.SITE else f"{limit.kind} {limit.id}"
        level = limit.limit_kw[start:end]
        kw = f"{level.min():,.0f}" if level.min() == level.max() else f"{level.min():,.0f}–{level.max():,.0f}"
        until = clock(problem, end) if end < problem.n_slots else "end"
        table.add_row(clock(problem, start), until, what, kw, f"{saved:,.3f}", f"{served:.2f}")
    if not rows:
        table.add_row("–", "–", "no limit binds", "", "", "")
    for peak in explanation.peaks:
        if peak.saved_per_kw > 0:
            table.add_row(
                "", "", f"{peak.name} ({peak.reached_kw:,.0f} kW reached)", f"{peak.free_kw:,.0f}", f"{peak.saved_per_kw:,.3f}", ""
            )
    return table


def _dear_spans(limit: LimitPrice) -> list[tuple[LimitPrice, int, int, float, float]]:
    """Spans in which a limit costs something, with what one kW more through all of it saves and serves."""
    binds = (np.abs(limit.saved_bill) > 1e-6) | (limit.served_kwh > 1e-6)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], binds, [False])).astype(np.int8))).reshape(-1, 2)
    return [(limit, a, b, float(limit.saved_bill[a:b].sum()), float(limit.served_kwh[a:b].sum())) for a, b in edges.tolist()]


def _values(explanation: Explanation) -> Table:
    table = Table(title="What one kW more is worth, all night", title_justify="left")
    for name in ("", "by the duals", "solved with 1 kW more", "in a month", "serves kWh"):
        table.add_column(name, justify="right" if name else "left")
    for value in explanation.values:
        name = {"site": "site limit", "contract": "contract demand"}.get(value.kind, f"{value.kind} {value.id}")
        solved = "" if value.saved_next is None else f"{value.saved_next:,.3f}"
        table.add_row(
            name, f"{value.saved_bill:,.3f}", solved, f"{value.month(HORIZONS):,.1f} {explanation.currency}", f"{value.served_kwh:.2f}"
        )
    return table


def _wishes(problem: Problem, explanation: Explanation) -> Table:
    table = Table(title="What vehicles' wishes cost, the dearest first", title_justify="left")
    prices = explanation.vehicles
    order = sorted(range(len(problem.vehicles)), key=lambda i: (-prices.earlier_bill[i], -prices.target_bill[i], problem.vehicles[i].id))
    misses = any(prices.earlier_short_kwh[i] > 0.05 for i in order[:_ROWS])
    names = ["Vehicle", "Stay", "Needs kWh", f"one kWh more, {problem.currency}", f"a slot earlier, {problem.currency}"]
    for name in (*names, "then missing kWh") if misses else names:
        table.add_column(name, justify="left" if name in ("Vehicle", "Stay") else "right")
    for i in order[:_ROWS]:
        vehicle = problem.vehicles[i]
        end = clock(problem, vehicle.departure_slot) if vehicle.departure_slot < problem.n_slots else "end"
        short = prices.earlier_short_kwh[i]
        cells = [
            vehicle.id,
            f"{clock(problem, vehicle.arrival_slot) if vehicle.arrival_slot < problem.n_slots else 'end'}–{end}",
            f"{vehicle.energy_kwh:.1f}",
            _worth(explanation, i),
            f"{'≥ ' if prices.earlier_grounds[i] is Grounds.AT_LEAST else ''}{prices.earlier_bill[i]:,.3f}",
        ]
        table.add_row(*cells, *([f"{short:.1f}" if short > 0.05 else ""] if misses else []))
    if len(order) > _ROWS:
        table.caption = f"{_ROWS} of {len(order)}; one of them: --vehicle NAME"
    return table


def _worth(explanation: Explanation, vehicle: int) -> str:
    prices = explanation.vehicles
    if prices.target_short_kwh[vehicle] > 0.01:
        return "nobody could serve it" if prices.target_short_kwh[vehicle] > 0.99 else "others would lack it"
    return f"{prices.target_bill[vehicle]:,.3f}"


def _spans(reasons: Iterable[CellReason]) -> list[list[CellReason]]:
    """Neighbouring slots that say the same."""

    def said(one: CellReason) -> tuple[object, ...]:
        return round(one.power_kw, 1), round(one.most_kw, 1), tuple((p.name, round(p.per_kwh, 2)) for p in one.parts)

    return [list(group) for _, group in groupby(reasons, key=said)]
