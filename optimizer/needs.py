"""What vehicles ask for beside energy at their departure, built from what a depot says: milestones, visits and loads. Pure.

several_visits   each visit's need by its departure, and no more than the battery takes before the trip
minimum_now      a vehicle that is nearly empty is brought to a minimum as fast as the limits allow, before any departure
full_charge      full some time before the departure, so that the cells of an LFP pack can be balanced: comfort, never at the
                 expense of somebody's departure
at_a_pace        a charge that shall go on at one power now, whatever it costs: comfort, too
preconditioned   warming or cooling of cabin and battery while the vehicle is still plugged in: it shares the outlet, counts
                 in limits, peak and price, reaches no battery, and is shed before anybody departs short
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.caps import Cap
from optimizer.errors import InvalidProblem
from optimizer.problem import Problem, Vehicle
from optimizer.stays import Milestone, Need

MINIMUM = "minimum"
DEPARTURE = "departure"
FULL = "full"
PACE = "steady charge"
PACE_H = 2.0
"""So far ahead a pace is asked for: a plan is made anew long before."""


@dataclass(frozen=True, slots=True)
class NextVisit:
    """A later visit of a vehicle: ``energy_kwh`` is what it must receive for it on top of what the visits before it ask for (what the
    trip to it used, as a rule); ``spare_kwh``: what the battery could hold more than that at the departure."""

    arrival_slot: int
    departure_slot: int
    energy_kwh: float
    spare_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """``kw`` (grid side) at the outlet of the vehicle with this place in the problem, in ``from_slot`` ≤ slots < ``until_slot``."""

    vehicle: int
    kw: float
    from_slot: int
    until_slot: int
    name: str = "preconditioning"


def several_visits(vehicle: Vehicle, later: Sequence[NextVisit], *, spare_kwh: float = 0.0) -> Vehicle:
    """``vehicle``, as planned for its first visit (after which its battery could hold ``spare_kwh`` more than it needs), with its
    ``later`` visits: what one of them lacks may be bought in an earlier one."""
    if not later:
        return vehicle
    due = [(vehicle.departure_slot, vehicle.energy_kwh, spare_kwh)]
    for visit in later:
        due.append((visit.departure_slot, due[-1][1] + visit.energy_kwh, visit.spare_kwh))
    *before, (_, total_kwh, _) = due
    milestones = tuple(
        Milestone(slot, at_least_kwh=kwh, at_most_kwh=kwh + spare, need=vehicle.need, label=DEPARTURE) for slot, kwh, spare in before
    )
    windows = tuple((visit.arrival_slot, visit.departure_slot) for visit in later)
    return replace(vehicle, windows=windows, energy_kwh=total_kwh, milestones=(*vehicle.milestones, *milestones))


def minimum_now(problem: Problem, vehicle: int, lacking_kwh: float) -> Vehicle:
    """The vehicle with this place, which lacks ``lacking_kwh`` of the minimum that it shall always hold.

    The first milestone is where its rating alone brings it; more of them follow at growing distances up to its departure, each of
    which costs: so that where the limits do not let it be there by then, it is there as soon as they do.
    """
    its = problem.vehicles[vehicle]
    if lacking_kwh <= 0 or its.departure_slot <= its.arrival_slot:
        return its
    received = np.cumsum(problem.upper_kw[vehicle] * problem.hours) * its.eff
    first = min(int(np.searchsorted(received, lacking_kwh * (1 - 1e-9))) + 1, its.departure_slot)
    steps = [first]
    while steps[-1] < its.departure_slot:
        steps.append(min(first + max(1, 2 * (steps[-1] - first)), its.departure_slot))
    milestones = tuple(Milestone(slot, at_least_kwh=lacking_kwh, need=Need.SAFETY, label=MINIMUM) for slot in steps)
    return replace(its, milestones=(*its.milestones, *milestones))


def full_charge(vehicle: Vehicle, *, full_kwh: float, dwell_slots: int) -> Vehicle:
    """``vehicle`` with the wish to have received ``full_kwh`` (what its battery lacks now) ``dwell_slots`` before it departs first.
    Unchanged where its stay is not longer than that: then the next stay will do."""
    by_slot = vehicle.departure_slot - dwell_slots
    if by_slot <= vehicle.arrival_slot or full_kwh <= 0:
        return vehicle
    wish = Milestone(by_slot, at_least_kwh=full_kwh, need=Need.COMFORT, label=FULL)
    return replace(vehicle, milestones=(*vehicle.milestones, wish))


def at_a_pace(problem: Problem, vehicle: int, pace_kw: float, *, until_kwh: float) -> Vehicle:
    """The vehicle with this place, which shall draw ``pace_kw`` (grid side) without a break until it has received ``until_kwh``: in the
    coming :data:`PACE_H`, as far as its caps let it and until its battery accepts less. No bill is a reason to draw less; every limit is,
    and everybody's departure."""
    its = problem.vehicles[vehicle]
    curve = its.curve
    if curve is not None:
        soc = np.linspace(0.0, 1.0, 101)
        slow = np.interp(soc, curve.soc, curve.accepts_kw) < pace_kw
        knee = float(soc[int(slow.argmax())]) if slow.any() else 1.0
        until_kwh = min(until_kwh, knee * curve.capacity_kwh - curve.stored_kwh)
    received = np.cumsum(np.minimum(problem.upper_kw[vehicle], pace_kw) * problem.hours) * its.eff
    ends_h = np.cumsum(problem.hours)
    milestones = [
        Milestone(slot + 1, at_least_kwh=float(received[slot]), need=Need.COMFORT, label=PACE)
        for slot in range(its.arrival_slot, its.departure_slot)
        if 0 < received[slot] <= until_kwh and ends_h[slot] <= PACE_H
    ]
    return replace(its, milestones=(*its.milestones, *milestones)) if milestones else its


def preconditioned(problem: Problem, loads: Sequence[Load]) -> Problem:
    """``problem`` with ``loads``: each is one more row behind the vehicles, in their order, called ``<vehicle id>/<name>``. Vehicle and
    load together stay within the outlet's rating, which is the vehicle's. Raises :class:`InvalidProblem` for a load that hangs on
    no vehicle or has no time."""
    rows = list(problem.vehicles)
    hanging: dict[int, dict[int, float]] = {}
    for load in loads:
        if not 0 <= load.vehicle < len(problem.vehicles):
            raise InvalidProblem(f"load {load.name}: there is no vehicle {load.vehicle} ({len(problem.vehicles)} vehicles, counted from 0)")
        host = problem.vehicles[load.vehicle]
        if not host.arrival_slot <= load.from_slot < load.until_slot <= host.departure_slot:
            raise InvalidProblem(
                f"load {host.id}/{load.name}: slots {load.from_slot} to {load.until_slot} are not in the stay, "
                f"{host.arrival_slot} to {host.departure_slot}"
            )
        drawn_kw = min(load.kw, host.p_max_kw)
        row = Vehicle(
            id=f"{host.id}/{load.name}",
            arrival_slot=load.from_slot,
            departure_slot=load.until_slot,
            energy_kwh=drawn_kw * float(problem.hours[load.from_slot : load.until_slot].sum()),
            p_max_kw=drawn_kw,
            feeder=host.feeder,
            priority=host.priority,
            holding_per_kwh_h=0.0,
            need=Need.COMFORT,
        )
        hanging.setdefault(load.vehicle, {load.vehicle: 1.0})[len(rows)] = 1.0
        rows.append(row)
    outlets = (
        Cap(f"outlet of {rows[place].id}", weights, np.full(problem.n_slots, rows[place].p_max_kw), source="rating")
        for place, weights in hanging.items()
    )
    return replace(problem, vehicles=tuple(rows), caps=(*problem.caps, *outlets))
