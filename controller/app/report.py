"""What a simulation says at its end: JSON for programs, a table for the terminal, a page with charts for people.

The page (:mod:`controller.app.report_html`) is one file that needs no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from controller.app.trace_slots import TraceSlots, TraceVisit, bill
from depot.money_text import amount_of

__all__ = [
    "CHARGEYARD",
    "POLICY_TITLES",
    "PolicyResult",
    "SimulationReport",
    "as_json",
    "chargeyard_result",
    "how",
    "limit_text",
    "table",
    "write_json",
]

CHARGEYARD = "chargeyard"
POLICY_TITLES = {
    CHARGEYARD: "Chargeyard",
    "uncontrolled": "Uncontrolled",
    "equal_share": "Equal share",
    "earliest_departure": "Earliest departure first",
    "least_laxity_first": "Least laxity first",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """One policy's figures. ``energy_kwh`` drawn from the grid, ``unmet_kwh`` missing in the batteries, ``cost`` what
    charging adds to the bill (energy and demand), ``peak_kw`` the site's highest demand block, ``vehicles_late`` left with
    more than 2 % and 0.1 kWh missing, ``limit_violations`` separate times above a limit. ``site_kw``: means per slot, with
    background. ``detail``: further figures, for the JSON only."""

    energy_kwh: float
    unmet_kwh: float
    cost: float
    peak_kw: float
    vehicles_late: int
    limit_violations: int
    site_kw: tuple[float, ...] = ()
    detail: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """Everything that is told. Rows have one value per slot; ``policies`` keep their order, Chargeyard among them.
    ``personas``: how many stations behave how. ``visits`` and ``connector_kw`` are those of the physical run.
    ``feasible_kwh``: battery energy that a perfect plan could have given. ``remarks``: what to know beside the figures."""

    name: str
    start: datetime
    timezone: str
    slot_s: int
    limit_kw: tuple[float, ...]
    background_kw: tuple[float, ...]
    price: tuple[float, ...]
    currency: str
    tariff: str
    feasible_kwh: float
    seed: int
    personas: Mapping[str, int]
    policies: Mapping[str, PolicyResult]
    visits: tuple[TraceVisit, ...] = ()
    connector_kw: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def chargeyard_result(
    trace: TraceSlots, *, demand_charge_per_kw: float, demand_interval_min: int, mtd_peak_kw: float = 0.0
) -> PolicyResult:
    """The physical run, measured as the slot-based policies are."""
    bills = bill(
        trace.ev_kw,
        trace.base_kw,
        trace.price,
        slot_s=trace.slot_s,
        demand_charge_per_kw=demand_charge_per_kw,
        demand_interval_min=demand_interval_min,
        mtd_peak_kw=mtd_peak_kw,
    )
    return PolicyResult(
        energy_kwh=trace.energy_kwh,
        unmet_kwh=trace.unmet_kwh,
        cost=bills.cost,
        peak_kw=bills.peak_kw,
        vehicles_late=trace.vehicles_late,
        limit_violations=trace.violations,
        site_kw=tuple(ev + base for ev, base in zip(trace.ev_kw, trace.base_kw, strict=True)),
        detail={
            "energy_cost": bills.energy_cost,
            "demand_cost": bills.demand_cost,
            "instant_peak_kw": trace.instant_peak_kw,
            "violating_kws": trace.violating_kws,
            "ramping_kws": trace.ramping_kws,
            "faults": trace.faults,
        },
    )


def as_json(report: SimulationReport) -> dict[str, Any]:
    """The report as plain values. ``limit_kw`` is a number where the limit is constant, else one per slot."""
    constant = len(set(report.limit_kw)) == 1
    return {
        "name": report.name,
        "limit_kw": round(report.limit_kw[0], 3) if constant else [round(kw, 3) for kw in report.limit_kw],
        "tariff": report.tariff,
        "currency": report.currency,
        "feasible_kwh": round(report.feasible_kwh, 3),
        "seed": report.seed,
        "personas": dict(report.personas),
        "policies": {
            name: {
                "energy_kwh": round(result.energy_kwh, 3),
                "unmet_kwh": round(result.unmet_kwh, 3),
                "cost": round(result.cost, 2),
                "peak_kw": round(result.peak_kw, 3),
                "vehicles_late": result.vehicles_late,
                "limit_violations": result.limit_violations,
            }
            for name, result in report.policies.items()
        },
        "detail": {
            name: {key: round(value, 3) for key, value in result.detail.items()}
            for name, result in report.policies.items()
            if result.detail
        },
        "remarks": list(report.remarks),
    }


def write_json(report: SimulationReport, path: Path) -> None:
    """Write :func:`as_json` to ``path``, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def limit_text(report: SimulationReport) -> str:
    """The site limit, or its range where it changes."""
    lowest, highest = min(report.limit_kw), max(report.limit_kw)
    return f"{highest:,.1f} kW" if lowest == highest else f"{lowest:,.1f} to {highest:,.1f} kW"


def how(report: SimulationReport) -> str:
    """How the figures came about, in plain words."""
    behaviour = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.personas.items())
    return (
        "Chargeyard's row is a physical run: its controller drove simulated stations, packs and a meter over OCPP 1.6J"
        f"{f' ({behaviour})' if behaviour else ''}, knowing only what vehicles announced. The other rows are calculated: they know"
        " each plugged-in vehicle's true need and departure, and their chargers do exactly as told. Uncontrolled ignores the limits."
        f" All rows are measured alike: means of {report.slot_s // 60} minutes, what charging adds to the energy bill, and the demand"
        " charge on the highest block above what the site draws anyway. A low cost with unmet energy is no saving."
    )


def table(report: SimulationReport) -> Table:
    """The policies side by side, for the terminal."""
    title = f"{report.name}: limit {limit_text(report)}, tariff {report.tariff}, feasible {report.feasible_kwh:,.1f} kWh"
    made = Table(title=title, title_justify="left")
    made.add_column("policy")
    for heading in ("energy kWh", "unmet kWh", f"cost {report.currency}", "peak kW", "vehicles late", "limit violations"):
        made.add_column(heading, justify="right")
    for name, result in report.policies.items():
        made.add_row(
            Text(POLICY_TITLES.get(name, name), style="bold" if name == CHARGEYARD else ""),
            f"{result.energy_kwh:,.1f}",
            _flagged(f"{result.unmet_kwh:,.1f}", bad=result.unmet_kwh >= 0.05),
            amount_of(result.cost, report.currency, digits=2),
            f"{result.peak_kw:,.1f}",
            _flagged(str(result.vehicles_late), bad=result.vehicles_late > 0),
            _flagged(str(result.limit_violations), bad=result.limit_violations > 0),
        )
    return made


def _flagged(text: str, *, bad: bool) -> Text:
    return Text(text, style="yellow" if bad else "")
