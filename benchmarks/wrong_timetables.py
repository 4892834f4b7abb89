"""A night whose timetable is wrong, played slot by slot: what is believed, what is true, and what a planner makes of it.

    announced problem + drawn errors --> truth          for each slot: beliefs of this moment --planner--> powers of this slot
                                                        who is there is served; the next slot begins with what is true by then

What a vehicle needs and when it leaves is known from its arrival on; before that its timetable is believed. Who is late is believed
to come with the next slot, unless the planner knows better. Limits, prices and background are as announced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from optimizer import Problem
from optimizer.evaluate import Verdict, evaluate
from optimizer.replan import Replanner
from optimizer.reserve import Blend, ForecastErrors, ReserveRule, hedged
from optimizer.two_stage import plan_two_stage

LATE_MIN, LATE_SPREAD_MIN, NEED_SPREAD = 30.0, 45.0, 0.1
"""Late by N(30, 45) minutes; needs times N(1, 0.1)."""

DONE_KWH = 1e-6


@dataclass(frozen=True, eq=False, slots=True)
class Belief:
    """What is known at a moment: the rest of the night as a problem, whose vehicles are ``rows`` of the announced one. ``present``;
    ``overdue_min``: since the announced arrival (negative: ahead); ``slot``: which slot of the night is its first."""

    problem: Problem
    rows: np.ndarray
    present: np.ndarray
    overdue_min: np.ndarray
    slot: int


Planner = Callable[[Belief], np.ndarray]
"""A belief to powers of its slot 0 [vehicle of the belief], kW."""


def errors_of(seed: int, count: int) -> ForecastErrors:
    """``count`` past visits, drawn as the truths are, by another seed's numbers."""
    rng = np.random.default_rng([seed, 7919])
    ratio = np.clip(rng.normal(1.0, NEED_SPREAD, count), 0.5, 1.5)
    return ForecastErrors(late_min=rng.normal(LATE_MIN, LATE_SPREAD_MIN, count), early_min=np.zeros(count), energy_ratio=ratio)


def truth_of(announced: Problem, seed: int) -> Problem:
    """The same night as it comes: arrivals in the first whole slot after the true minute, never after the departure."""
    rng = np.random.default_rng(seed)
    late = rng.normal(LATE_MIN, LATE_SPREAD_MIN, len(announced.vehicles))
    ratio = np.clip(rng.normal(1.0, NEED_SPREAD, len(announced.vehicles)), 0.5, 1.5)
    vehicles = []
    for vehicle, minutes, factor in zip(announced.vehicles, late.tolist(), ratio.tolist(), strict=True):
        came = int(np.ceil((vehicle.arrival_slot * announced.slot_minutes + minutes) / announced.slot_minutes))
        came = min(max(came, 0), vehicle.departure_slot)
        vehicles.append(replace(vehicle, arrival_slot=came, energy_kwh=vehicle.energy_kwh * factor))
    return replace(announced, vehicles=tuple(vehicles))


def play(announced: Problem, truth: Problem, planner: Planner) -> Verdict:
    """The whole night; judged by the truth."""
    power = np.zeros_like(truth.upper_kw)
    left = np.array([v.energy_kwh for v in truth.vehicles])
    eff = np.array([v.eff for v in truth.vehicles])
    peak_kw = truth.free_peak_kw
    for slot in range(truth.n_slots):
        belief = believed(announced, truth, left, slot=slot, peak_kw=peak_kw)
        if belief is None:
            continue
        now = np.where(belief.present, planner(belief), 0.0)
        rows = belief.rows
        power[rows, slot] = np.minimum(np.maximum(now, 0.0), left[rows] / eff[rows] / truth.slot_h)
        left -= power[:, slot] * truth.slot_h * eff
        peak_kw = max(peak_kw, float(power[:, slot].sum() + truth.background_kw[slot]))
    return evaluate(truth, power)


def believed(announced: Problem, truth: Problem, left_kwh: np.ndarray, *, slot: int, peak_kw: float) -> Belief | None:
    """What is known at the beginning of ``slot``; None: nobody needs anything any more."""
    vehicles, rows, present, overdue = [], [], [], []
    for i, (said, true) in enumerate(zip(announced.vehicles, truth.vehicles, strict=True)):
        if true.departure_slot <= slot or left_kwh[i] <= DONE_KWH:
            continue
        there = true.arrival_slot <= slot
        first = 0 if there else max(said.arrival_slot - slot, 1)
        last = true.departure_slot - slot
        if first >= last:
            continue
        vehicles.append(replace(said, arrival_slot=first, departure_slot=last, energy_kwh=float(left_kwh[i]) if there else said.energy_kwh))
        rows.append(i)
        present.append(there)
        overdue.append((slot - said.arrival_slot) * announced.slot_minutes)
    if not any(present):
        return None
    rest = replace(
        announced,
        n_slots=announced.n_slots - slot,
        price_per_kwh=announced.price_per_kwh[slot:],
        site_limit_kw=announced.site_limit_kw[slot:],
        background_kw=announced.background_kw[slot:],
        export_limit_kw=announced.export_limit_kw[slot:],
        export_price_per_kwh=announced.export_price_per_kwh[slot:],
        co2_g_per_kwh=announced.co2_g_per_kwh[slot:],
        feeders=tuple(replace(feeder, limit_kw=feeder.limit_kw[slot:]) for feeder in announced.feeders),
        vehicles=tuple(vehicles),
        mtd_peak_kw=peak_kw,
    )
    return Belief(rest, np.array(rows), np.array(present), np.array(overdue, dtype=np.float64), slot)


def _replanning(careful: Callable[[Belief], Problem]) -> Planner:
    """Plans what ``careful`` makes of a belief, each time from where the last plan ended."""
    replanner = Replanner()
    return lambda belief: replanner.plan(careful(belief)).power_kw[:, 0]


def believing() -> Planner:
    """Plans with the timetable as it is."""
    return _replanning(lambda belief: belief.problem)


def plugged_in_only() -> Planner:
    """Plans for who is there, and for nobody else."""

    def there(belief: Belief) -> Problem:
        both = zip(belief.problem.vehicles, belief.present, strict=True)
        return replace(belief.problem, vehicles=tuple(v if here else replace(v, energy_kwh=0.0) for v, here in both))

    return _replanning(there)


def holding_back(share: float) -> Planner:
    """Leaves a fixed share of the site's limit free in all slots but the present one."""

    def held(belief: Belief) -> Problem:
        limit = belief.problem.site_limit_kw * (1 - share)
        limit[0] = belief.problem.site_limit_kw[0]
        return replace(belief.problem, site_limit_kw=limit)

    return _replanning(held)


def reserving(blend: Blend, rule: ReserveRule) -> Planner:
    """With the adaptive reserve."""
    return _replanning(lambda belief: hedged(belief.problem, blend, rule, present=belief.present, overdue_min=belief.overdue_min))


def in_two_stages(errors: ForecastErrors, *, futures: int, seed: int) -> Planner:
    """For several futures at once, drawn from ``errors``."""

    def planner(belief: Belief) -> np.ndarray:
        rng = np.random.default_rng([seed, belief.slot])
        drawn = [_drawn(belief, errors, rng) for _ in range(futures)]
        return plan_two_stage(drawn).now_kw

    return planner


def _drawn(belief: Belief, errors: ForecastErrors, rng: np.random.Generator) -> Problem:
    """One future: whoever is not there comes as some past visit did that was not there by then either."""
    problem = belief.problem
    vehicles = []
    for vehicle, there, overdue in zip(problem.vehicles, belief.present.tolist(), belief.overdue_min.tolist(), strict=True):
        if there:
            vehicles.append(vehicle)
            continue
        later = errors.late_min[errors.late_min > overdue]
        wait = float(rng.choice(later)) - overdue if len(later) else problem.slot_minutes
        first = min(max(1, int(np.ceil(wait / problem.slot_minutes))), vehicle.departure_slot)
        need = vehicle.energy_kwh * float(rng.choice(errors.energy_ratio))
        vehicles.append(replace(vehicle, arrival_slot=first, energy_kwh=need))
    return replace(problem, vehicles=tuple(vehicles))
