"""``./chargeyard simulate``: one real day through the real controller, and through the rules it is compared with.

    sessions | fleet | scenario --> Day --(virtual clock)--> physical trace --> cost, peak, unmet, violations
                                     \\--> Problem of the true day --> baselines, least feasible peak, feasible energy

Chargeyard is judged by its physical trace; the baselines by their slot powers, with the same yardstick.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from controller.app.night import NightResult, NightSettings, play
from controller.app.report import CHARGEYARD, PolicyResult, SimulationReport, as_json, chargeyard_result, table
from controller.app.report_html import write_html
from controller.app.trace_slots import TraceSlots, trace_to_slots
from controller.planning_limits import feeders_of, places
from controller.planning_settings import PlanningSettings
from depot.values import DepotError
from grid.tariff import Tariff
from optimizer import Problem, Vehicle, feasible_energy_kwh, min_peak_kw
from optimizer import baselines as rules
from optimizer import scenario as scenario_file
from optimizer.evaluate import Verdict, evaluate
from simulator import acn, nrel, scenario_day
from simulator.build import with_limit, with_tariff
from simulator.day import Day
from simulator.personas import Persona, assign
from simulator.trace import trace_file

SLOT_S = 900
AUTO_LIMIT = 1.10
BASELINES = {
    "uncontrolled": rules.uncontrolled,
    "equal_share": rules.equal_share,
    "earliest_departure": rules.earliest_departure,
    "least_laxity_first": rules.least_laxity_first,
}
Departures = Literal["known", "stated"]


class SimulationError(DepotError):
    """The simulation was asked for something that cannot be; the message says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be simulated. Exactly one of ``sessions`` (with ``day``), ``fleet``, ``scenario`` is set.
    ``limit``: ``auto`` (1.10 × the least feasible peak; a scenario's own limit) or kW. ``share_201``: part of the stations
    that speaks OCPP 2.0.1. ``power_cut``: ``HH:MM/MINUTES`` in depot time, or nothing."""

    sessions: Path | None = None
    day: date | None = None
    fleet: Path | None = None
    scenario: Path | None = None
    limit: str = "auto"
    tariff: str = "stylised-tou"
    departures: Departures | None = None
    personas: str = "all"
    seed: int = 1
    share_201: float = 0.0
    power_cut: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A day ready to be played, with the same day as a slot problem for rules and bounds."""

    day: Day
    problem: Problem
    tariff: Tariff
    timetable: bool
    remarks: tuple[str, ...]


def prepare(wish: Wish) -> Prepared:
    """Load, price and limit the day. Raises :class:`SimulationError` and the loaders' own errors."""
    chosen = [x for x in (wish.sessions, wish.fleet, wish.scenario) if x is not None]
    if len(chosen) != 1:
        raise SimulationError("choose one of --sessions FILE --day DATE, --fleet DIR, --scenario FILE")
    if wish.sessions is not None:
        if wish.day is None:
            raise SimulationError("--sessions needs --day YYYY-MM-DD; the file holds many days")
        departures: Departures = wish.departures or "stated"
        day = acn.load(wish.sessions, wish.day, departures=departures)
    elif wish.fleet is not None:
        departures = wish.departures or "known"
        day = nrel.load(wish.fleet)
    else:
        departures = wish.departures or "known"
        day = scenario_day.load(chosen[0])
    tariff = Tariff.load(wish.tariff, timezone=day.spec.timezone)
    if wish.scenario is None:
        day = with_tariff(day, tariff)
        problem = true_problem(day)
    else:
        problem = scenario_file.read(wish.scenario)
    if wish.limit == "auto":
        if wish.scenario is None:
            limit_w = round(AUTO_LIMIT * min_peak_kw(problem)) * 1000
            day, problem = with_limit(day, limit_w), _limited(problem, limit_w / 1000)
    else:
        limit_w = _watts(wish.limit)
        day, problem = with_limit(day, limit_w), _limited(problem, limit_w / 1000)
    return Prepared(day, problem, tariff, departures == "known", (*day.notes, f"departures {departures} to the controller"))


def _watts(text: str) -> int:
    try:
        kw = float(text)
    except ValueError:
        raise SimulationError(f"--limit {text!r}: write auto or a number of kW") from None
    if not 0 < kw < 1e7:
        raise SimulationError(f"--limit {text}: a positive number of kW is needed")
    return round(kw * 1000)


def _limited(problem: Problem, limit_kw: float) -> Problem:
    return replace(problem, site_limit_kw=np.full(problem.n_slots, limit_kw))


def true_problem(day: Day) -> Problem:
    """The day as it really happens, in quarter-hour slots: whole slots inside of the true stay."""
    slots = int(-(-day.duration_s // SLOT_S))
    rating_w = {f.feeder_id: f.rating_w for f in day.spec.feeders}
    feeders = feeders_of(day.spec, lambda name: np.full(slots, rating_w[name] / 1000))
    place = places(day.spec)
    vehicles = []
    for stay in day.stays:
        arrive = int(-(-stay.arrive_s // SLOT_S))
        depart = max(arrive, min(slots, int(stay.depart_s // SLOT_S)))
        vehicles.append(
            Vehicle(
                id=f"{stay.vehicle_id}@{round(stay.arrive_s)}",
                arrival_slot=min(arrive, slots),
                departure_slot=max(min(arrive, slots), depart),
                energy_kwh=stay.need_wh / 1000,
                p_max_kw=stay.max_w / 1000,
                eff=stay.efficiency,
                p_min_kw=min(stay.min_w, stay.max_w) / 1000,
                feeder=place[stay.connector],
                priority=stay.priority,
            )
        )
    block = max(1, day.demand_interval_min * 60 // SLOT_S)
    return Problem(
        t0=day.start,
        n_slots=slots,
        slot_minutes=SLOT_S / 60,
        price_per_kwh=np.array(_means(day.price, slots)),
        site_limit_kw=np.full(slots, day.spec.contract_w / 1000),
        background_kw=np.array(_means(day.base_w, slots)) / 1000,
        vehicles=tuple(vehicles),
        feeders=feeders,
        demand_charge_per_kw=day.demand_charge_per_kw,
        mtd_peak_kw=day.mtd_peak_w / 1000,
        demand_interval_slots=block,
        currency=day.currency,
        id=day.name,
    )


def _means(steps: tuple[tuple[float, float], ...] | tuple[tuple[float, int], ...], slots: int) -> list[float]:
    """Mean of a step function per slot."""
    out = []
    for k in range(slots):
        begin, end, total = k * SLOT_S, (k + 1) * SLOT_S, 0.0
        for i, (at, value) in enumerate(steps):
            until = steps[i + 1][0] if i + 1 < len(steps) else float("inf")
            total += value * max(0.0, min(end, until) - max(begin, at))
        out.append(total / SLOT_S)
    return out


def _of_rule(problem: Problem, verdict: Verdict) -> PolicyResult:
    over = verdict.site_kw - problem.site_limit_kw > 0.05
    return PolicyResult(
        energy_kwh=float((verdict.site_kw - problem.background_kw) @ problem.hours),
        unmet_kwh=float(verdict.unmet_kwh.sum()),
        cost=verdict.cost,
        peak_kw=verdict.peak_kw,
        vehicles_late=len(verdict.short),
        limit_violations=int(np.count_nonzero(over & ~np.roll(over, 1))),
        site_kw=tuple(float(kw) for kw in verdict.site_kw),
        detail={"energy_cost": verdict.energy_cost, "demand_cost": verdict.demand_cost},
    )


def personas_for(day: Day, which: str, seed: int) -> dict[str, Persona]:
    """``all``, ``polite``, or the name of one persona that every fifth station has."""
    ids = [station.station_id for station in day.spec.stations]
    if which == "all":
        return dict(assign(ids, seed=seed))
    try:
        persona = Persona(which)
    except ValueError:
        raise SimulationError(f"--personas {which!r}: write all, or one of {', '.join(Persona)}") from None
    return {station: persona for i, station in enumerate(ids) if i % 5 == 0}


def with_power_cut(day: Day, text: str) -> Day:
    """The day with its site's power cut as ``HH:MM/MINUTES`` says; the same day for an empty text."""
    if not text:
        return day
    try:
        clock, _, minutes = text.partition("/")
        hour, minute = (int(part) for part in clock.split(":"))
        local = day.start.astimezone(ZoneInfo(day.spec.timezone))
        at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        lasts_s = float(minutes) * 60
    except ValueError:
        raise SimulationError(f"--power-cut {text!r}: write a time and how long, for example 02:30/15") from None
    begins_s = (at - local).total_seconds() % 86_400
    if not 0 < lasts_s <= 86_400 or begins_s >= day.duration_s:
        raise SimulationError(f"--power-cut {text!r}: it must begin within the day that is simulated, and last a minute to a day")
    return replace(day, power_cuts=((begins_s, lasts_s),))


def simulate(wish: Wish, *, trace: Path | None, progress: Callable[[float, str], None]) -> tuple[SimulationReport, NightResult, float]:
    """Run everything; returns the report, the night's result and the seconds that the night took."""
    progress(0.0, "loading")
    ready = prepare(wish)
    if not 0 <= wish.share_201 <= 1:
        raise SimulationError(f"--share-201 {wish.share_201:g}: a part of the stations lies between 0 and 1")
    day = with_power_cut(ready.day, wish.power_cut)
    personas = personas_for(day, wish.personas, wish.seed)
    settings = NightSettings(
        timetable=ready.timetable,
        share_201=wish.share_201,
        planning=PlanningSettings(
            slot_minutes=15,
            cadence_s=900.0,
            spacing_s=180.0,
            horizon_h=int(-(-day.duration_s // 3600)),
            demand_share=day.demand_charge_per_kw / float(ready.tariff.demand_charge_per_kw_month or 1),
        ),
    )

    def advanced(now: datetime) -> None:
        progress(min(1.0, (now - day.start) / timedelta(seconds=day.duration_s)), f"{now.astimezone(ready.tariff.zone):%a %H:%M}")

    began = time.perf_counter()
    with _trace_path(trace) as path:
        with trace_file(path) as lines:
            night = play(day, tariff=ready.tariff, personas=personas, seed=wish.seed, settings=settings, trace=lines, progress=advanced)
        took_s = time.perf_counter() - began
        with path.open(encoding="utf-8") as rows:
            slots = trace_to_slots(rows, SLOT_S)
    progress(1.0, "comparing")
    report = _report(ready, slots, wish, personas)
    return report, night, took_s


@contextlib.contextmanager
def _trace_path(trace: Path | None) -> Iterator[Path]:
    if trace is not None:
        yield trace
        return
    with tempfile.TemporaryDirectory(prefix="chargeyard-") as folder:
        yield Path(folder) / "trace.jsonl"


def _report(ready: Prepared, slots: TraceSlots, wish: Wish, personas: dict[str, Persona]) -> SimulationReport:
    day, problem = ready.day, ready.problem
    policies = {
        CHARGEYARD: chargeyard_result(
            slots,
            demand_charge_per_kw=day.demand_charge_per_kw,
            demand_interval_min=day.demand_interval_min,
            mtd_peak_kw=day.mtd_peak_w / 1000,
        )
    }
    for name, rule in BASELINES.items():
        policies[name] = _of_rule(problem, evaluate(problem, rule(problem)))
    counts = Counter(personas.get(station.station_id, Persona.POLITE).value for station in day.spec.stations)
    return SimulationReport(
        name=day.name,
        start=day.start,
        timezone=day.spec.timezone,
        slot_s=SLOT_S,
        limit_kw=tuple(float(kw) for kw in problem.site_limit_kw),
        background_kw=tuple(float(kw) for kw in problem.background_kw),
        price=tuple(float(p) for p in problem.price_per_kwh),
        currency=day.currency,
        tariff=wish.tariff if wish.scenario is None else "the scenario's own",
        feasible_kwh=feasible_energy_kwh(problem),
        seed=wish.seed,
        personas=dict(counts),
        policies=policies,
        visits=slots.visits,
        connector_kw=slots.connector_kw,
        remarks=ready.remarks,
    )


def run_simulate(wish: Wish, *, trace: Path | None, report: Path | None, as_json_: bool) -> int:
    """The command. 0: no limit was violated; 1: one was. With ``as_json_`` only JSON goes to standard output."""
    told = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[what]:<12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=told,
    ) as bar:
        task = bar.add_task("night", total=1.0, what="loading")
        result, night, took_s = simulate(wish, trace=trace, progress=lambda done, what: bar.update(task, completed=done, what=what))
    if as_json_:
        json.dump(as_json(result), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        Console().print(table(result))
    if report is not None:
        write_html(result, report)
        told.print(f"Report with charts: {report}")
    if trace is not None:
        told.print(f"Physical trace: {trace}")
    told.print(f"{len(result.visits)} vehicles simulated in {took_s:.1f} s, {night.plans} plans, {night.facts} facts, seed {wish.seed}")
    return 1 if result.policies[CHARGEYARD].limit_violations else 0
