"""Changes to a problem: what if the limit were lower, a bus came late, a charger were down?

    Problem, Change --changed()--> Problem          Change --in_words()--> "feeder B: 20 kW more from slot 8 to 16"

A change never makes a problem impossible: limits end at 0, stays at the horizon's edges. What names something that is not there is
told with the nearest name that is.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from optimizer.errors import InvalidProblem
from optimizer.problem import FloatArray, Problem, Vehicle
from optimizer.what_if_values import Change, ChangeKind, How

MOST_MORE = 1000
"""Vehicles that one change may add."""

SlotName = Callable[[int], str]


def changed(problem: Problem, changes: Sequence[Change]) -> Problem:
    """``problem`` with all ``changes``, one after the other. Raises :class:`InvalidProblem` for a change that makes no sense in it."""
    for change in changes:
        problem = _changed(problem, change)
    return problem


def _changed(problem: Problem, change: Change) -> Problem:
    if not isfinite(change.amount):
        raise InvalidProblem(f"{change.kind}: {change.amount} is not a finite number")
    if change.how is How.TIMES and change.amount < 0:
        raise InvalidProblem(f"{change.kind}: a factor of {change.amount:g} is negative; 0 is the least")
    _slots(problem, change)
    match change.kind:
        case ChangeKind.LIMIT:
            return _with_site_limit(problem, _moved(problem.site_limit_kw, problem, change))
        case ChangeKind.FEEDER:
            return _with_feeder(problem, change)
        case ChangeKind.CAP:
            return _with_cap(problem, change)
        case ChangeKind.PRICE:
            return replace(problem, price_per_kwh=_moved(problem.price_per_kwh, problem, change, least=-np.inf))
        case ChangeKind.CONTRACT:
            free = [replace(piece, free_kw=_level(piece.free_kw, change)) for piece in problem.demand_pieces]
            return replace(problem, mtd_peak_kw=_level(problem.free_peak_kw, change), demand_pieces=tuple(free))
        case ChangeKind.MORE:
            return _with_more(problem, change)
        case ChangeKind.CHARGER:
            return _with_vehicle(problem, change, _with_power)
        case ChangeKind.NEED:
            return _with_vehicle(problem, change, lambda _, v, c: replace(v, energy_kwh=_level(v.energy_kwh, c)))
        case ChangeKind.DEPART:
            return _with_vehicle(problem, change, _leaving)
        case ChangeKind.ARRIVE:
            return _with_vehicle(problem, change, _coming)


def in_words(change: Change, *, slot_name: SlotName = str, currency: str = "", n_slots: int | None = None) -> str:
    """The change as people say it. ``slot_name``: when a slot begins."""
    whole = change.from_slot == 0 and (change.until_slot is None or change.until_slot == n_slots)
    until = n_slots if change.until_slot is None else change.until_slot
    span = "" if whole else f" from {slot_name(change.from_slot)}{'' if until is None else f' to {slot_name(until)}'}"
    more = "more" if change.amount >= 0 else "less"
    size = f"{abs(change.amount):g}"
    match change.kind:
        case ChangeKind.MORE:
            count = round(change.amount)
            return f"{count} more vehicle{'' if count == 1 else 's'}{f' like {change.target}' if change.target else ''}"
        case ChangeKind.DEPART | ChangeKind.ARRIVE:
            verb = "leaves" if change.kind is ChangeKind.DEPART else "arrives"
            return f"{change.target} {verb} {size} min {'later' if change.amount >= 0 else 'earlier'}"
        case ChangeKind.CHARGER if change.amount == 0 and change.how is not How.BY:
            return f"the charger of {change.target} is down{span}"
    what, unit = {
        ChangeKind.LIMIT: ("site limit", "kW"),
        ChangeKind.FEEDER: (f"feeder {change.target}", "kW"),
        ChangeKind.CAP: (change.target, "kW"),
        ChangeKind.PRICE: ("energy price", f"{currency}/kWh"),
        ChangeKind.CONTRACT: ("peak that costs nothing more", "kW"),
        ChangeKind.CHARGER: (f"charger of {change.target}", "kW"),
        ChangeKind.NEED: (f"need of {change.target}", "kWh"),
    }[change.kind]
    said = {How.BY: f"{size} {unit} {more}", How.TO: f"{change.amount:g} {unit}", How.TIMES: f"× {change.amount:g}"}[change.how]
    return f"{what}: {said}{span}"


def _level(value: float, change: Change) -> float:
    new = {How.BY: value + change.amount, How.TO: change.amount, How.TIMES: value * change.amount}[change.how]
    return max(0.0, new)


def _slots(problem: Problem, change: Change) -> slice:
    until = problem.n_slots if change.until_slot is None else change.until_slot
    if not 0 <= change.from_slot < until <= problem.n_slots:
        raise InvalidProblem(f"{change.kind}: slots {change.from_slot} to {until} are not within the {problem.n_slots} of the horizon")
    return slice(change.from_slot, until)


def _moved(values: FloatArray, problem: Problem, change: Change, *, least: float = 0.0) -> FloatArray:
    new, its = np.array(values), _slots(problem, change)
    moved = {How.BY: new[its] + change.amount, How.TO: np.full_like(new[its], change.amount), How.TIMES: new[its] * change.amount}
    new[its] = np.maximum(moved[change.how], least)
    return new


def _with_site_limit(problem: Problem, limit_kw: FloatArray) -> Problem:
    return replace(problem, site_limit_kw=limit_kw)


def _with_feeder(problem: Problem, change: Change) -> Problem:
    place = _place([feeder.id for feeder in problem.feeders], change, "feeder")
    feeders = list(problem.feeders)
    feeders[place] = replace(feeders[place], limit_kw=_moved(feeders[place].limit_kw, problem, change))
    return replace(problem, feeders=tuple(feeders))


def _with_cap(problem: Problem, change: Change) -> Problem:
    place = _place([cap.id for cap in problem.caps], change, "cap")
    caps = list(problem.caps)
    caps[place] = replace(caps[place], limit_kw=_moved(caps[place].limit_kw, problem, change, least=-np.inf))
    return replace(problem, caps=tuple(caps))


def _with_vehicle(problem: Problem, change: Change, new: Callable[[Problem, Vehicle, Change], Vehicle]) -> Problem:
    place = _place([vehicle.id for vehicle in problem.vehicles], change, "vehicle")
    vehicles = list(problem.vehicles)
    vehicles[place] = new(problem, vehicles[place], change)
    return replace(problem, vehicles=tuple(vehicles))


def _with_more(problem: Problem, change: Change) -> Problem:
    count = round(change.amount)
    if count != change.amount or not 1 <= count <= MOST_MORE:
        raise InvalidProblem(f"{change.amount:g} more vehicles: a whole number from 1 to {MOST_MORE} is expected")
    if not problem.vehicles:
        raise InvalidProblem("there is no vehicle that another one could be like")
    ids = [vehicle.id for vehicle in problem.vehicles]
    if change.target:
        like = problem.vehicles[_place(ids, change, "vehicle")]
    else:
        like = sorted(problem.vehicles, key=lambda v: (v.energy_kwh, v.id))[len(ids) // 2]
    taken, number = set(ids), 0
    more: list[Vehicle] = []
    while len(more) < count:
        number += 1
        if (name := f"{like.id} + {number}") not in taken:
            more.append(replace(like, id=name, floor_kw=0.0, steady_per_kwh=0.0))  # it has no session yet
    place, first = ids.index(like.id), len(ids)
    caps = [  # they hang where it does
        replace(cap, weights={**cap.weights, **{first + n: cap.weights[place] for n in range(count)}}) if place in cap.weights else cap
        for cap in problem.caps
    ]
    return replace(problem, vehicles=(*problem.vehicles, *more), caps=tuple(caps))


def _with_power(problem: Problem, vehicle: Vehicle, change: Change) -> Vehicle:
    """Another power of its charger, in some slots; caps that are above it fall with it, and rise with it where it grows."""
    its = _slots(problem, change)
    power = _level(vehicle.p_max_kw, change)
    old = np.full(problem.n_slots, vehicle.p_max_kw) if vehicle.cap_kw is None else np.minimum(vehicle.cap_kw, vehicle.p_max_kw)
    cap = np.array(old)
    cap[its] = old[its] * power / vehicle.p_max_kw if power > vehicle.p_max_kw > 0 else np.minimum(old[its], power)
    most = max(power, float(cap.max()))
    return replace(vehicle, p_max_kw=most, p_min_kw=min(vehicle.p_min_kw, most), floor_kw=min(vehicle.floor_kw, power), cap_kw=cap)


def _leaving(problem: Problem, vehicle: Vehicle, change: Change) -> Vehicle:
    """Leaving by minutes later or earlier: whole slots, and a part of the one at the edge by its cap."""
    slots = _minutes(change) / problem.slot_minutes
    edge = min(max(vehicle.departure_slot + slots, vehicle.arrival_slot), problem.n_slots)
    present = np.clip(edge - np.arange(problem.n_slots), 0.0, 1.0)
    if slots >= 0:
        present[: vehicle.departure_slot] = 1.0
    return _staying(problem, vehicle, present, departure_slot=int(np.ceil(edge - EDGE)))


def _coming(problem: Problem, vehicle: Vehicle, change: Change) -> Vehicle:
    slots = _minutes(change) / problem.slot_minutes
    edge = min(max(vehicle.arrival_slot + slots, 0.0), vehicle.departure_slot)
    present = np.clip(np.arange(problem.n_slots) + 1.0 - edge, 0.0, 1.0)
    if slots < 0:
        present[vehicle.arrival_slot :] = 1.0
    return _staying(problem, vehicle, present, arrival_slot=int(np.floor(edge + EDGE)))


def _staying(problem: Problem, vehicle: Vehicle, present: FloatArray, *, arrival_slot: int = -1, departure_slot: int = -1) -> Vehicle:
    """``present`` [slot]: part of each slot. Outside of the old stay that is a part of full power, or of all that its feeder and the
    site would let it have: a mean over the slot must not hide that nobody draws more than a limit in the minutes that are there."""
    arrival = vehicle.arrival_slot if arrival_slot < 0 else arrival_slot
    departure = vehicle.departure_slot if departure_slot < 0 else departure_slot
    old = np.minimum(vehicle.p_max_kw, problem.room_kw)
    for feeder in problem.feeder_paths[vehicle.feeder] if vehicle.feeder is not None else ():
        old = np.minimum(old, problem.feeders[feeder].limit_kw)
    if vehicle.cap_kw is None:
        old[vehicle.arrival_slot : vehicle.departure_slot] = vehicle.p_max_kw
    else:
        stay = slice(vehicle.arrival_slot, vehicle.departure_slot)
        old[stay] = np.array(vehicle.cap_kw)[stay]
    return replace(vehicle, arrival_slot=min(arrival, departure), departure_slot=departure, cap_kw=old * present)


def _minutes(change: Change) -> float:
    if change.how is not How.BY:
        raise InvalidProblem(f"{change.kind}: say by how many minutes, later or earlier")
    return change.amount


def _place(names: Sequence[str], change: Change, what: str) -> int:
    if change.target in names:
        return list(names).index(change.target)
    near = difflib.get_close_matches(change.target, names, n=1, cutoff=0.5)
    hint = (
        f"; {near[0]!r} is probably meant"
        if near
        else f"; there are {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"
        if names
        else ""
    )
    raise InvalidProblem(f"{change.kind}: there is no {what} {change.target!r}{hint}")


EDGE = 1e-9
"""Of a slot: less than this beyond an edge is rounding."""
