"""Why a plan is as it is: prices of limits, peaks and wishes from exact duals; who is short, why, and what would help.

    Problem --solved()--> Solved --burdens()--> prices per slot ──┐
                            ├── who is short, and by which limit  ├──> Explanation ──explain_cell()──> why here, why now
                            └── changed problems, solved again ───┘

What duals say costs a fraction of the solve that they come with. What needs further solves (remedies, what a departure costs, what one
kW more really saves) is done as far as :class:`Depth` and the time allow; what was left out says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import numpy.typing as npt

from optimizer.errors import SolverFailed
from optimizer.evaluate import evaluate
from optimizer.explain_departures import departures
from optimizer.explain_duals import BILL, KWH, LIFE, SHORTAGE, Burdens, Solved, burdens, solved, worth
from optimizer.explain_remedies import with_remedies
from optimizer.explain_shortfalls import relaxed, short_reasons
from optimizer.explain_values import TINY, CellPrice, Explanation, Grounds, LimitKind, LimitPrice, LimitValue, PeakPrice, VehiclePrices
from optimizer.keys import Family
from optimizer.pieces import counted_blocks, over_background_kw
from optimizer.planning import DEADLINE_S, min_peak_kw, plan, power_of, storage_of
from optimizer.problem import EPS, FloatArray, Policy, Problem
from optimizer.stays import Shortfall, shortfalls
from optimizer.weights import Weights
from optimizer.what_if_changes import changed
from optimizer.what_if_values import Change, ChangeKind

SITE, CONTRACT = "site", "contract"
"""What a :class:`LimitValue` can be of."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How far to go beyond the duals. ``remedies``: for how many vehicles that are short, the worst first; ``departures``: for how many
    the cost of leaving earlier is solved for, where the duals only bound it; ``next_kw``: solve with one kW more, too."""

    remedies: int = 5
    departures: int = 40
    next_kw: bool = True


REMEDIES_SHARE = 0.7
"""Of the time: remedies may take so much of it, and leave the rest to what one kW and the departures cost."""

QUICK = Depth(remedies=0, departures=0, next_kw=False)
"""Duals only: what can go with every plan."""


def explain(
    problem: Problem, *, policy: Policy | Weights = Policy.CHEAPEST, depth: Depth = QUICK, deadline_s: float = DEADLINE_S
) -> Explanation:
    """The explanation of the plan that :func:`optimizer.plan` makes of ``problem`` under ``policy``, before minimum powers are rounded.

    Raises :class:`SolverFailed` where even the plan takes longer than ``deadline_s`` seconds; what does not fit into the rest of the
    time is left out, and marked.
    """
    started = perf_counter()
    deadline = started + deadline_s
    found = solved(problem, policy, deadline=deadline)
    if found is None:
        return _empty(problem, policy)
    power = power_of(found.problem, found.compiled, found.columns) + 0.0  # no negative zeros
    stored = storage_of(found.problem, found.compiled, found.columns)
    verdict = evaluate(problem, power, stored)
    drawn = np.maximum(power, 0.0).sum(axis=0) + stored.sum(axis=0)
    unmet = np.where(verdict.unmet_kwh > 1e-6, verdict.unmet_kwh, 0.0)
    borne = burdens(found)
    limits = tuple(_limits(found, borne))
    wishes = worth(found)
    peaks = tuple(_peaks(found, verdict.site_kw))
    short = short_reasons(_bounded(problem, found), power_kw=power, unmet_kwh=unmet, limits=limits)
    short = with_remedies(
        problem,
        policy,
        short,
        unmet_kwh=unmet,
        powers=(power, drawn),
        cost=verdict.cost,
        most=depth.remedies,
        deadline=started + REMEDIES_SHARE * deadline_s,
    )
    values = _values(found, limits, peaks)
    if depth.next_kw:
        values = tuple(_with_next(problem, policy, value, verdict.cost, deadline=deadline) for value in values)
    return Explanation(
        problem_id=problem.id,
        policy=policy,
        currency=problem.currency,
        t0=problem.t0,
        slot_minutes=problem.slot_minutes,
        vehicle_ids=tuple(vehicle.id for vehicle in problem.vehicles),
        cost=verdict.cost,
        peak_kw=verdict.peak_kw,
        unmet_kwh=unmet,
        power_kw=power,
        energy_price_per_kwh=_energy_price(found, borne),
        peak_per_kw=_tidy(borne.peak[BILL]),
        life_per_kw=_tidy(borne.peak[LIFE] + borne.energy[LIFE]),
        penalty_per_kw=_tidy(borne.peak[SHORTAGE] + borne.energy[SHORTAGE]),
        limits=limits,
        peaks=peaks,
        vehicles=_vehicle_prices(found, wishes, power, depth.departures),
        cells=tuple(_cell_prices(found, borne)),
        shortfalls=short,
        milestones=_milestones(problem, power),
        relaxed=relaxed(problem),
        values=values,
        site_kw_for_all=_for_all(problem, deadline) if short and depth.next_kw else None,
        least_kw=None if found.bounds is None else found.of_cells(found.bounds.lower),
        most_kw=None if found.bounds is None else found.of_cells(found.bounds.upper),
        solve_s=perf_counter() - started,
    )


def _vehicle_prices(found: Solved, wishes: FloatArray, power: FloatArray, most: int) -> VehiclePrices:
    bill, short, grounds = departures(found, power, most=most)
    return VehiclePrices(
        target_bill=_tidy(wishes[BILL]),
        target_life=_tidy(wishes[LIFE]),
        target_short_kwh=_tidy(wishes[KWH]),
        target_penalty=_tidy(wishes[SHORTAGE]),
        earlier_bill=bill,
        earlier_short_kwh=short,
        earlier_grounds=grounds,
    )


def _energy_price(found: Solved, borne: Burdens) -> FloatArray:
    """[slot] what a kWh adds to the energy bill: the tariff's price where it stands on the cells, else what import there costs."""
    problem = found.problem
    of_cells = np.where(found.moved, 0.0, problem.weight_per_kwh)
    price: FloatArray = of_cells + borne.energy[BILL] / problem.hours
    return price


def _limits(found: Solved, borne: Burdens) -> Iterator[LimitPrice]:
    problem = found.problem
    held = problem.over_limit_kw > EPS
    yield _limit_price(LimitKind.SITE, "", problem.site_limit_kw, borne.site, held, problem.limit_source)
    rows, n = problem.limit_rows, len(problem.feeders)
    for (family, place), parts in sorted(borne.shared.items()):
        if not (np.abs(parts) > TINY).any():
            continue
        row = place if family == Family.FEEDER else n + place
        held = rows.room_kw[row] > rows.limit_kw[row] + EPS
        if family == Family.FEEDER:
            yield _limit_price(LimitKind.FEEDER, problem.feeders[place].id, rows.limit_kw[row], parts, held)
        else:
            cap = problem.caps[place]
            yield _limit_price(LimitKind.CAP, cap.id, rows.limit_kw[row], parts, held, (cap.source,) * problem.n_slots)


def _limit_price(
    kind: LimitKind, name: str, limit_kw: FloatArray, parts: FloatArray, held: npt.NDArray[np.bool_], source: tuple[str, ...] = ()
) -> LimitPrice:
    return LimitPrice(
        kind=kind,
        id=name,
        limit_kw=limit_kw,
        saved_bill=_tidy(parts[BILL]),
        saved_life=_tidy(parts[LIFE]),
        served_kwh=_tidy(parts[KWH]),
        penalty=_tidy(parts[SHORTAGE]),
        source=source if any(source) else (),
        held=held.astype(np.float64) if held.any() else None,
    )


def _peaks(found: Solved, site_kw: FloatArray) -> Iterator[PeakPrice]:
    problem = found.problem
    means = problem.block_means(site_kw)
    if problem.demand_charge_per_kw:
        saved = _saved_by_free(found, Family.PEAKS, 0)
        yield PeakPrice("demand charge", problem.free_peak_kw, float(means.max()), problem.demand_charge_per_kw, saved)
    for place, piece in enumerate(problem.demand_pieces):
        reached = float(means[counted_blocks(problem, piece)].max(initial=0.0))
        anyway = over_background_kw(problem, piece) > 0  # then a kW more that is free is no merit of the plan
        saved = 0.0 if anyway else _saved_by_free(found, Family.PIECE, place)
        yield PeakPrice(piece.group, piece.free_kw, reached, piece.per_kw, saved)


def _saved_by_free(found: Solved, family: Family, who: int) -> float:
    rows = (found.row_family == family) & (found.row_who == who)
    return max(0.0, -float(found.duals[BILL, rows].sum()) / found.weight)


def _cell_prices(found: Solved, borne: Burdens) -> Iterator[CellPrice]:
    for cell in np.flatnonzero((np.abs(borne.own[:KWH]) > TINY).any(axis=0)):
        bill, life, shortage = (float(part) for part in borne.own[:KWH, cell])
        yield CellPrice(int(found.compiled.vehicle[cell]), int(found.compiled.slot[cell]), bill, life, shortage)


def _values(found: Solved, limits: tuple[LimitPrice, ...], peaks: tuple[PeakPrice, ...]) -> tuple[LimitValue, ...]:
    values = []
    for limit in limits:
        counts = np.ones(len(limit.limit_kw)) if limit.held is None else 1.0 - limit.held
        saved, served = float(limit.saved_bill @ counts), float(limit.served_kwh @ counts)
        values.append(LimitValue(SITE if limit.kind is LimitKind.SITE else str(limit.kind), limit.id, saved, None, served))
    if peaks:
        values.append(LimitValue(CONTRACT, "", sum(peak.saved_per_kw for peak in peaks), None, 0.0))
    return tuple(values)


def _with_next(problem: Problem, policy: Policy | Weights, value: LimitValue, cost: float, *, deadline: float) -> LimitValue:
    """With what one kW more really saves of what the vehicles add to the bill."""
    kind = {SITE: ChangeKind.LIMIT, CONTRACT: ChangeKind.CONTRACT}.get(value.kind)
    if kind is None:
        return value
    try:
        other = plan(changed(problem, [Change(kind, 1.0)]), policy=policy, deadline_s=deadline - perf_counter())
    except SolverFailed:
        return value
    return LimitValue(value.kind, value.id, value.saved_bill, float(_tidy(cost - other.cost, 1e-6 * abs(cost))), value.served_kwh)


def _tidy(values: npt.NDArray[np.float64] | float, least: float = TINY) -> FloatArray:
    """Without the solver's rounding."""
    tidy: FloatArray = np.where(np.abs(values) > least, values, 0.0)
    return tidy


def _for_all(problem: Problem, deadline: float) -> float | None:
    """The site limit that would serve everybody, where there is time to ask."""
    try:
        return min_peak_kw(problem) if perf_counter() < deadline else None
    except SolverFailed:
        return None


def _bounded(problem: Problem, found: Solved) -> Problem:
    """With caps of the powers that batteries accept, so that what they do not take is not counted as kept from them."""
    if found.bounds is None:
        return problem
    most = found.of_cells(found.bounds.upper)
    caps = [replace(v, cap_kw=row) if v.curve is not None else v for v, row in zip(problem.vehicles, most, strict=True)]
    return replace(problem, vehicles=tuple(caps))


def _milestones(problem: Problem, power: FloatArray) -> tuple[Shortfall, ...]:
    return tuple(one for one in shortfalls(problem, power) if one.milestone is not None)


def _empty(problem: Problem, policy: Policy | Weights) -> Explanation:
    """Of a plan in which nothing flows: nobody can be served, or needs to be."""
    n, slots = len(problem.vehicles), np.zeros(problem.n_slots)
    power = np.zeros((n, problem.n_slots))
    verdict = evaluate(problem, power)
    site = LimitPrice(LimitKind.SITE, "", problem.site_limit_kw, slots, slots, slots, slots)
    none = np.zeros(n)
    return Explanation(
        problem_id=problem.id,
        policy=policy,
        currency=problem.currency,
        t0=problem.t0,
        slot_minutes=problem.slot_minutes,
        vehicle_ids=tuple(vehicle.id for vehicle in problem.vehicles),
        cost=verdict.cost,
        peak_kw=verdict.peak_kw,
        unmet_kwh=verdict.unmet_kwh,
        power_kw=power,
        energy_price_per_kwh=problem.weight_per_kwh,
        peak_per_kw=slots,
        life_per_kw=slots,
        penalty_per_kw=slots,
        limits=(site,),
        peaks=(),
        vehicles=VehiclePrices(none, none, none, none, none, none, (Grounds.EXACT,) * n),
        cells=(),
        shortfalls=short_reasons(problem, power_kw=power, unmet_kwh=verdict.unmet_kwh, limits=(site,)),
        milestones=_milestones(problem, power),
        relaxed=relaxed(problem),
        values=(),
    )
