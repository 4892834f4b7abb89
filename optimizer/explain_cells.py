"""Why a vehicle draws what it draws in a slot: what a kWh costs there, part by part, against its other slots.

    Explanation + Problem --explain_cell()--> CellReason, with a sentence

Computed from the explanation's numbers alone, without solving. In a plan at its optimum a vehicle draws all that it can where a kWh
costs less than it is worth to it, nothing where it costs more, and in between only where both are the same: there it fills up what
remains.
"""

from __future__ import annotations

from datetime import tzinfo

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.explain_shortfalls import limits_of
from optimizer.explain_values import CellReason, Explanation, Part
from optimizer.explain_words import cell_words
from optimizer.planning import READINESS_MONEY, costs_of
from optimizer.problem import FloatArray, Policy, Problem

USED_KW = 1e-4
SAME = 1e-6
"""Of what a kWh is worth: a smaller difference is none."""


def explain_cell(problem: Problem, explanation: Explanation, *, vehicle: int, slot: int, zone: tzinfo | None = None) -> CellReason:
    """Why the vehicle at this place draws what it draws in ``slot``. ``zone``: whose clock the words use, None: that of ``problem.t0``.
    Raises :class:`InvalidProblem` for a cell that is not in the problem, or an explanation of another one."""
    if not (0 <= vehicle < len(problem.vehicles) and 0 <= slot < problem.n_slots):
        raise InvalidProblem(
            f"vehicle {vehicle}, slot {slot}: there are {len(problem.vehicles)} vehicles and {problem.n_slots} slots, counted from 0"
        )
    if explanation.power_kw.shape != problem.upper_kw.shape:
        raise InvalidProblem("the explanation is of another problem")
    power = explanation.power_kw[vehicle]
    upper = problem.upper_kw[vehicle] if explanation.most_kw is None else explanation.most_kw[vehicle]
    lower = problem.lower_kw[vehicle] if explanation.least_kw is None else explanation.least_kw[vehicle]
    parts = _parts(problem, explanation, vehicle)
    per_kwh = np.sum([values for _, _, values in parts], axis=0)
    worth = _worth(problem, explanation, vehicle)
    other = _other(power, upper, per_kwh, slot)
    reason = CellReason(
        vehicle=vehicle,
        id=problem.vehicles[vehicle].id,
        slot=slot,
        power_kw=float(power[slot]),
        most_kw=float(upper[slot]),
        least_kw=float(lower[slot]),
        parts=tuple(Part(name, where, float(values[slot])) for name, where, values in parts if abs(values[slot]) > SAME),
        per_kwh=float(per_kwh[slot]),
        worth_per_kwh=worth,
        reduced_per_kwh=float(per_kwh[slot]) - worth,
        other_slot=other,
        other_per_kwh=None if other is None else float(per_kwh[other]),
        words="",
    )
    return cell_words(problem, reason, short_kwh=float(explanation.unmet_kwh[vehicle]), policy=explanation.policy, zone=zone)


def _parts(problem: Problem, explanation: Explanation, vehicle: int) -> list[tuple[str, str, FloatArray]]:
    """(name, where, [slot] currency per grid kWh) of what a kWh costs the vehicle, as the policy weighs it."""
    hours = problem.hours
    weight = READINESS_MONEY if explanation.policy is Policy.READINESS else 1.0
    costs = costs_of(problem, explanation.policy)
    on_cells = np.where(costs.imported != 0, 0.0, problem.weight_per_kwh)
    life = (np.array(costs.cell[vehicle]) + explanation.life_per_kw) / hours - weight * on_cells
    shortage = explanation.penalty_per_kw / hours
    parts = [
        ("energy", "", weight * explanation.energy_price_per_kwh),
        ("peak", "", weight * explanation.peak_per_kw / hours),
    ]
    for limit, share in limits_of(problem, vehicle, explanation.limits):
        parts.append((str(limit.kind), limit.id, share * (weight * limit.saved_bill + limit.saved_life) / hours))
        shortage = shortage + share * limit.penalty / hours
    own = np.zeros(problem.n_slots)
    for cell in explanation.cells:
        if cell.vehicle == vehicle:
            own[cell.slot] += (weight * cell.bill + cell.life) / hours[cell.slot]
            shortage[cell.slot] += cell.shortage / hours[cell.slot]
    return [*parts, ("life", "", life), ("own", "", own), ("shortage", "", shortage)]


def _worth(problem: Problem, explanation: Explanation, vehicle: int) -> float:
    wishes = explanation.vehicles
    weight = READINESS_MONEY if explanation.policy is Policy.READINESS else 1.0
    per_battery_kwh = weight * wishes.target_bill[vehicle] + wishes.target_life[vehicle] + wishes.target_penalty[vehicle]
    return float(per_battery_kwh) * problem.vehicles[vehicle].eff


def _other(power: FloatArray, upper: FloatArray, per_kwh: FloatArray, slot: int) -> int | None:
    """The slot to compare with: for one in use the cheapest other that has room left, for one that is not the dearest in use."""
    if power[slot] > USED_KW:
        free = np.flatnonzero(power < upper - USED_KW)
        free = free[free != slot]
        return int(free[np.argmin(per_kwh[free])]) if len(free) else None
    used = np.flatnonzero(power > USED_KW)
    return int(used[np.argmax(per_kwh[used])]) if len(used) else None
