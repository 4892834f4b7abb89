"""What each aim of a frontier measures: per kW of a cell, and of a whole plan.

Cost and peak come from :mod:`optimizer.evaluate`, as everywhere. Wear is what the objective of ``battery-life`` counts beside the
bill: a battery's life where it is known (:mod:`optimizer.life`), else holding energy until the departure and what is given. Delay is
how long a kWh lets its vehicle wait for it.
"""

from __future__ import annotations

import numpy as np

from optimizer.evaluate import Verdict, evaluate
from optimizer.life import ageing_of
from optimizer.planning import battery_per_kwh, held_h, holding, price_scale
from optimizer.problem import FloatArray, Problem
from optimizer.storage import TYPICAL_WEAR
from optimizer.weights import Aim, FrontierPoint, Weights


def wear_per_kw(problem: Problem) -> FloatArray:
    """[vehicle × slot] what a kW that is drawn in a slot costs the battery until the departure (currency), by a gentle rate."""
    cost: FloatArray = battery_per_kwh(problem) * problem.hours
    return cost


def wear_cost(problem: Problem, power_kw: FloatArray) -> float:
    """What a plan costs the batteries of the vehicles (currency)."""
    drawn, given_kwh = np.maximum(power_kw, 0.0), np.maximum(-power_kw, 0.0) @ problem.hours
    held = (held_h(problem) * problem.hours * drawn).sum(axis=1) @ holding(problem)
    typical = TYPICAL_WEAR * price_scale(problem)
    wears = [0.0 if v.life is not None else (typical if v.wear_per_kwh is None else v.wear_per_kwh) / v.eff for v in problem.vehicles]
    return float(held + given_kwh @ np.array(wears, dtype=np.float64) + ageing_of(problem, power_kw).total.sum())


def delay_per_kw(problem: Problem) -> FloatArray:
    """[vehicle × slot] kWh·h for which a kW that is drawn in a slot comes later than at the arrival."""
    arrives_h = problem.starts_h[np.minimum([v.arrival_slot for v in problem.vehicles], problem.n_slots - 1).astype(np.intp)]
    delay: FloatArray = np.maximum(problem.starts_h - arrives_h[:, None], 0.0) * problem.hours
    return delay


def point_of(
    problem: Problem, power_kw: FloatArray, storage_kw: FloatArray, *, aim: Aim, weights: Weights, verdict: Verdict | None = None
) -> FrontierPoint:
    """A plan as a point of the frontier, its step not yet known."""
    verdict = verdict or evaluate(problem, power_kw, storage_kw)
    return FrontierPoint(
        aim=aim,
        step=0.0,
        weights=weights,
        energy_cost=verdict.energy_cost,
        demand_cost=verdict.demand_cost,
        wear_cost=wear_cost(problem, power_kw),
        peak_kw=verdict.peak_kw,
        delay_kwh_h=float((delay_per_kw(problem) * np.maximum(power_kw, 0.0)).sum()),
        unmet_kwh=float(verdict.unmet_kwh.sum()),
        site_kw=verdict.site_kw,
    )
