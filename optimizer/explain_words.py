"""Explanations in sentences for people. Only what the values say: no number that is not in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

from optimizer.explain_values import CellReason, Part, Relaxed, Remedy, RemedyKind, ShortReason
from optimizer.problem import Policy, Problem
from optimizer.stays import Shortfall, windows_of
from optimizer.weights import Weights
from optimizer.what_if import clock

USED_KW = 1e-4
TELLING = 0.01
"""Of what a kWh costs: a smaller part is not worth a word, a smaller difference is none."""

_PARTS = {
    "energy": "energy",
    "peak": "demand charge",
    "site": "site limit",
    "feeder": "feeder",
    "cap": "limit",
    "own": "its own battery and milestones",
}


def cell_words(
    problem: Problem, reason: CellReason, *, short_kwh: float, policy: Policy | Weights, zone: tzinfo | None = None
) -> CellReason:
    """``reason`` with its sentence."""
    at = clock(problem, reason.slot, zone)
    return replace(reason, words=_cell(problem, reason, at, short_kwh=short_kwh, policy=policy, zone=zone))


def _cell(problem: Problem, reason: CellReason, at: str, *, short_kwh: float, policy: Policy | Weights, zone: tzinfo | None) -> str:
    vehicle = problem.vehicles[reason.vehicle]
    name, power = reason.id, abs(reason.power_kw)
    windows = windows_of(vehicle)
    if not any(start <= reason.slot < end for start, end in windows):
        comes = min((start for start, _ in windows if start > reason.slot), default=None)
        return f"{name} is not there at {at}: it {'has left' if comes is None else f'arrives at {clock(problem, comes, zone)}'}."
    if reason.most_kw <= USED_KW:
        if not vehicle.pausable and problem.upper_kw[reason.vehicle, reason.slot] > USED_KW:
            return f"{name} draws nothing at {at}: its session cannot pause, and is held at other times."
        return f"{name} cannot draw anything at {at}."
    if reason.power_kw < -USED_KW:
        return f"{name} gives {power:.4g} kW at {at}: energy is dear then, and it buys it back when it is cheap."
    if vehicle.energy_kwh <= 0:
        return f"{name} needs nothing."
    if reason.least_kw > USED_KW and reason.power_kw <= reason.least_kw + USED_KW:
        return f"{name} draws {power:.4g} kW at {at}: its session cannot pause, and this is the least that keeps it alive."
    cost = _cost(problem, reason)
    if reason.power_kw > USED_KW:
        whole = reason.power_kw >= reason.most_kw - USED_KW
        taken = problem.upper_kw[reason.vehicle, reason.slot] > reason.most_kw + USED_KW
        how = (
            f"draws all that {'its battery takes' if taken else 'it can'}, {power:.4g} kW,"
            if whole
            else f"draws {power:.4g} of {reason.most_kw:.4g} kW"
        )
        if short_kwh > 0.05 and whole:
            return f"{name} {how} at {at}: it is short of energy, and every kWh counts."
        return f"{name} {how} at {at}: {cost}{_against(problem, reason, policy, used=True, zone=zone)}{_held(reason, whole)}."
    return f"{name} draws nothing at {at}: {cost}{_against(problem, reason, policy, used=False, zone=zone)}{_held(reason, False)}."


def _cost(problem: Problem, reason: CellReason) -> str:
    money = [part for part in reason.parts if part.name not in ("life", "shortage")]
    total = sum(part.per_kwh for part in money)
    said = [part for part in money if abs(part.per_kwh) > TELLING * max(abs(total), 1e-9)]
    listed = f" ({', '.join(f'{_part(part)} {part.per_kwh:.2f}' for part in said)})" if len(said) > 1 else ""
    return f"a kWh costs {total:.2f} {problem.currency} there{listed}"


def _part(part: Part) -> str:
    name = _PARTS.get(part.name, part.name)
    return f"{name} {part.where}" if part.where else name


def _against(problem: Problem, reason: CellReason, policy: Policy | Weights, *, used: bool, zone: tzinfo | None) -> str:
    if reason.other_slot is None or reason.other_per_kwh is None:
        return ", and it needs every slot of its stay" if used else ""
    other, short = clock(problem, reason.other_slot, zone), sum(part.per_kwh for part in reason.parts if part.name == "shortage")
    difference = reason.other_per_kwh - reason.per_kwh if used else reason.per_kwh - reason.other_per_kwh
    if abs(short) > TELLING * max(abs(reason.per_kwh), 1e-9):
        return ", and somebody else would lack that energy"
    if difference > TELLING * max(abs(reason.per_kwh), 1e-9):
        most = "the cheapest that has room left" if used else "the dearest that it uses"
        return f", {difference:.2f} {'less' if used else 'more'} than at {other}, {most}"
    return f", as much as at {other}{_order(policy)}"


def _order(policy: Policy | Weights) -> str:
    if policy is Policy.READINESS:
        return ": who leaves first and waits longest goes first"
    if policy is Policy.BATTERY_LIFE or (isinstance(policy, Weights) and policy.wear):
        return ": of equal slots the later one is kinder to its battery"
    return ": between equal slots the order decides"


def _held(reason: CellReason, whole: bool) -> str:
    full = [part for part in reason.parts if part.name in ("site", "feeder", "cap") and part.per_kwh > 0]
    if whole or not full or reason.power_kw <= USED_KW:
        return ""
    worst = max(full, key=lambda part: part.per_kwh)
    return f"; more does not fit under {'the site limit' if worst.name == 'site' else _part(worst)}"


def short_words(problem: Problem, reason: ShortReason, *, zone: tzinfo | None = None) -> str:
    """Who is short, why, and what would help, in one or two sentences."""
    if reason.soc_needed is not None and reason.soc_reached is not None:
        what = f"{reason.id} leaves with {100 * reason.soc_reached:.0f} % instead of {100 * reason.soc_needed:.0f} %"
    else:
        what = f"{reason.id} leaves with {reason.need_kwh - reason.short_kwh:.1f} kWh instead of {reason.need_kwh:.1f} kWh"
    why = {
        "own": "its charger and its stay allow no more",
        "site": "the site limit" + (f" ({reason.source})" if reason.source else ""),
        "feeder": f"feeder {reason.where}" + (f" ({reason.source})" if reason.source else ""),
        "cap": reason.where + (f" ({reason.source})" if reason.source else ""),
    }[reason.cause]
    if reason.ahead:
        why += f", where {reason.ahead} of a higher class go first"
    return f"{what}: {why}; {_helps(problem, reason, zone)}"


def milestone_words(problem: Problem, one: Shortfall, *, zone: tzinfo | None = None) -> str:
    """A milestone that is missed, in a sentence."""
    what = f"{one.need}{f': {one.label}' if one.label else ''}"
    by = clock(problem, one.by_slot, zone) if one.by_slot < problem.n_slots else "the end"
    return f"{one.vehicle} lacks {one.kwh:.1f} kWh by {by} ({what})."


def _helps(problem: Problem, reason: ShortReason, zone: tzinfo | None) -> str:
    if not reason.tried:
        return "no remedy was looked for."
    if not reason.remedies:
        return "no single change of its limits, its charger or its departure would do."
    said = [remedy_words(problem, remedy, zone=zone) for remedy in reason.remedies[:2]]
    return f"{' or '.join(said)} would do."


def remedy_words(problem: Problem, remedy: Remedy, *, zone: tzinfo | None = None) -> str:
    """One remedy, as a part of a sentence."""
    amount = f"{remedy.amount:g}"
    others = f" (others would lack {remedy.others_short_kwh:.1f} kWh)" if remedy.others_short_kwh else ""
    match remedy.kind:
        case RemedyKind.LATER:
            return f"{amount} minutes later{others}"
        case RemedyKind.CHARGER:
            return f"a charger with {amount} kW more{others}"
        case RemedyKind.PRIORITY:
            return f"a higher class of priority{others}"
        case RemedyKind.LIMIT:
            feeders = {feeder.id for feeder in problem.feeders}
            where = " and ".join(f"on {'feeder ' if name in feeders else ''}{name}" if name else "at the site" for name in remedy.where)
            return f"{amount} kW more {where} from {clock(problem, remedy.from_slot, zone)}{others}"


def relaxed_words(problem: Problem, one: Relaxed, *, zone: tzinfo | None = None) -> str:
    """A limit that cannot be kept, in a sentence."""
    where = "the site" if one.kind == "site" else f"{one.kind} {one.id}"
    causes = [
        f"what the site draws beside its vehicles ({one.background_kw:.0f} kW)" if one.background_kw > 0 else "",
        f"sessions that cannot pause ({one.floors_kw:.0f} kW)" if one.floors_kw > 0 else "",
    ]
    until = clock(problem, min(one.until_slot, problem.n_slots - 1), zone) if one.until_slot < problem.n_slots else "the end"
    why = " and ".join(cause for cause in causes if cause)
    return f"From {clock(problem, one.from_slot, zone)} to {until} {where} is up to {one.over_kw:.1f} kW above its limit: {why}."
