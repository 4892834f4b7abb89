"""Several stays of one vehicle, planned as one: what a later stay lacks may be bought in an earlier one, and what an earlier one lacks is
got in a later one.

    stays of the yard --chains()--> who comes again --joined()--> one row of the problem with several visits
    a vehicle leaves with more or less than was meant --carried()--> its next stay, announced anew

Stays are one vehicle's where they hang on the same feeder or cabinet, one ends before the next begins, and battery size and state of charge
at arrival are announced for each: from these follows what driving uses between. Any other stay is planned by itself. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from controller.planning_life import charge_curve
from controller.planning_stays import Beside
from controller.planning_vehicle import PLANNED_SOC_S
from controller.yard import Yard
from depot import events as ev
from depot.state import Visit
from optimizer import PlanResult, Problem, Vehicle
from optimizer.needs import DEPARTURE, NextVisit, several_visits

CARRIED_SOC = 0.02
"""What a battery holds more or less than was meant counts for the next stay from here on: states of charge are not said closer."""

HAS_ALL = "it has what it needs"


@dataclass(frozen=True, eq=False, slots=True)
class LaterStay:
    """A stay that is planned in the ``row`` of an earlier one of its vehicle, as its ``number``-th visit. ``overlap``: of each slot
    the part in which it is there."""

    row: int
    visit_id: str
    number: int
    overlap: np.ndarray


@dataclass(slots=True)
class Rows:
    """What is planned, one entry for each row of the problem, in their order."""

    vehicles: list[Vehicle]
    stays: list[Visit]
    overlaps: list[np.ndarray]
    asks: list[Beside]

    @property
    def ids(self) -> tuple[str, ...]:
        """The stay that each row is named after."""
        return tuple(stay.visit_id for stay in self.stays)


def chains(yard: Yard, now: datetime) -> Mapping[str, tuple[Visit, ...]]:
    """The stays that come after one of the same vehicle, by the id of the first: who is there, else who is due first. Only of those who
    come again."""
    of: dict[str, list[Visit]] = {}
    for visit in yard.state.visits.values():
        if not visit.announced.returning and (visit.present or now <= visit.announced.depart_at):
            of.setdefault(visit.announced.vehicle_id, []).append(visit)
    found: dict[str, tuple[Visit, ...]] = {}
    for stays in of.values():
        if len(stays) > 1:
            first, *later = sorted(stays, key=lambda visit: (not visit.present, visit.announced.arrive_at, visit.visit_id))
            found[first.visit_id] = tuple(later)
    return found


def joined(yard: Yard, rows: Rows, following: Mapping[str, tuple[Visit, ...]]) -> tuple[Rows, tuple[LaterStay, ...]]:
    """``rows`` with the later stays of a vehicle in the row of its first one. ``following``: :func:`chains`. A stay that needs nothing, and
    is followed by none that could be planned with it, is left out."""
    place = {stay.visit_id: n for n, stay in enumerate(rows.stays)}
    gone: set[int] = set()
    hanging: dict[int, list[int]] = {}
    for first, stays in following.items():
        host = place.get(first)
        if host is None:
            continue
        for stay in stays:
            n = place.get(stay.visit_id)
            if n is not None and rows.asks[n].load is None and _one_vehicle(yard, rows, hanging.get(host, [host])[-1], n):
                hanging.setdefault(host, [host]).append(n)
                gone.add(n)
        if host not in hanging and rows.vehicles[host].energy_kwh <= 0 and rows.asks[host] == Beside() and yard.complete(rows.stays[host]):
            gone.add(host)
    if not gone:
        return rows, ()
    kept = [n for n in range(len(rows.stays)) if n not in gone]
    vehicles = {host: _with_later(yard, rows, its) for host, its in hanging.items()}
    made = Rows(
        [vehicles.get(n, rows.vehicles[n]) for n in kept],
        [rows.stays[n] for n in kept],
        [rows.overlaps[n] for n in kept],
        [rows.asks[n] for n in kept],
    )
    row_of = {n: row for row, n in enumerate(kept)}
    later = [
        LaterStay(row_of[host], rows.stays[n].visit_id, number, rows.overlaps[n])
        for host, its in hanging.items()
        for number, n in enumerate(its[1:], start=1)
    ]
    return made, tuple(later)


def _one_vehicle(yard: Yard, rows: Rows, before: int, n: int) -> bool:
    """Whether the stay ``n`` can be planned with the one before it."""
    a, b = rows.vehicles[before], rows.vehicles[n]
    said, next_ = rows.stays[before], rows.stays[n]
    known = all(visit.announced.soc_arrival is not None and yard.battery_wh(visit) for visit in (said, next_))
    alike = a.feeder == b.feeder and a.eff == b.eff and a.priority == b.priority
    wired_alike = said.connector == next_.connector or not yard.spec.phase_limits
    return known and alike and wired_alike and not next_.present and b.arrival_slot >= a.departure_slot


def _with_later(yard: Yard, rows: Rows, its: Sequence[int]) -> Vehicle:
    """The vehicle of the first of the stays ``its`` with all of them as its visits."""
    host, first = rows.vehicles[its[0]], rows.stays[its[0]]
    bought = bought_ahead_wh(yard, first) / 1000.0
    spare = max(0.0, spare_kwh(yard, first) - bought)
    soc = _soc(yard, first)
    if soc is not None:
        spare = max(0.0, (1.0 - soc) * yard.battery_wh(first) / 1000.0 - host.energy_kwh)
    later: list[NextVisit] = []
    for n in its[1:]:
        vehicle = rows.vehicles[n]
        served = min(bought, vehicle.energy_kwh)
        bought -= served
        later.append(NextVisit(vehicle.arrival_slot, vehicle.departure_slot, vehicle.energy_kwh - served, spare_kwh(yard, rows.stays[n])))
    most_kw = [rows.vehicles[n].p_max_kw for n in its]
    caps = sum((np.asarray(rows.vehicles[n].cap_kw) for n in its), start=np.zeros(len(rows.overlaps[its[0]])))
    to_full_wh = (host.energy_kwh + spare) * 1000.0
    curve = charge_curve(first.announced, wants_wh=to_full_wh, full_w=round(host.p_max_kw * 1000), to_full_wh=to_full_wh)
    return several_visits(replace(host, p_max_kw=max(most_kw), cap_kw=caps, curve=curve), later, spare_kwh=spare)


def spare_kwh(yard: Yard, visit: Visit) -> float:
    """What the battery could hold more than its stay is meant to leave it with; 0 where that is not known."""
    stay, battery_wh = visit.announced, yard.battery_wh(visit)
    if stay.soc_arrival is None or not battery_wh:
        return 0.0
    return max(0.0, (1.0 - stay.soc_arrival) * battery_wh - stay.battery_energy_wh) / 1000.0


def bought_ahead_wh(yard: Yard, visit: Visit) -> float:
    """What the battery of a stay has received beyond its need so far, Wh."""
    return max(0.0, _received_wh(yard, visit) - visit.announced.battery_energy_wh) if visit.present else 0.0


def _received_wh(yard: Yard, visit: Visit) -> float:
    running = yard.session_energy_wh(visit.connector) if visit.connector is not None else 0
    return (visit.delivered_wh + running) * visit.announced.efficiency


def _soc(yard: Yard, visit: Visit) -> float | None:
    """Its battery's state of charge by its own word; None: not known, or too old for a plan."""
    return yard.least_soc(visit.connector, visit, fresh_s=PLANNED_SOC_S) if visit.present and visit.connector is not None else None


def ahead_wh(later: Sequence[LaterStay], visits: Sequence[str], problem: Problem, result: PlanResult) -> dict[str, int]:
    """By stay, what a plan buys in it for later ones, Wh at the grid. ``visits``: of the rows."""
    found: dict[str, int] = {}
    for row in {stay.row for stay in later}:
        vehicle = problem.vehicles[row]
        until = slice(0, vehicle.departure_slot)
        due_kwh = next(m.at_least_kwh or 0.0 for m in vehicle.milestones if m.label == DEPARTURE)
        extra_kwh = float(np.maximum(result.power_kw[row, until], 0.0) @ problem.hours[until]) - due_kwh / vehicle.eff
        if extra_kwh > 1e-3:
            found[visits[row]] = round(extra_kwh * 1000.0)
    return found


def short_wh(later: Sequence[LaterStay], visits: Sequence[str], result: PlanResult) -> dict[str, int]:
    """By stay of the vehicles with several, what its battery lacks at its end, Wh; only what is short."""
    names = {visits[stay.row]: {0: visits[stay.row]} for stay in later}
    for stay in later:
        names[visits[stay.row]][stay.number] = stay.visit_id
    return {
        names[one.vehicle][one.visit]: round(one.kwh * 1000.0)
        for one in result.short
        if one.vehicle in names and one.kwh > 1e-3 and (one.milestone is None or one.label == DEPARTURE)
    }


def carried(yard: Yard, visit: Visit, now: datetime) -> ev.VisitAnnounced | None:
    """The next stay of a vehicle that leaves, as it is to be expected now: it comes with as much more or less as it leaves with. None: as
    it was announced, or nothing is known. What warmed the cabin, and what was given, is not told apart; then nothing is carried."""
    key, battery_wh, stay = visit.connector, yard.battery_wh(visit), visit.announced
    if key is None or not battery_wh or stay.soc_arrival is None or yard.load(visit) is not None or yard.may_discharge_w(key, visit):
        return None
    due = [
        other
        for other in yard.state.visits.values()
        if other.announced.vehicle_id == stay.vehicle_id and not other.present and not other.announced.returning
        if other.announced.depart_at > now
    ]
    following = min((other.announced for other in due), key=lambda other: (other.arrive_at, other.visit_id), default=None)
    if following is None or following.soc_arrival is None:
        return None
    soc = _soc(yard, visit)
    if soc is not None:
        more_wh = round(soc * battery_wh - min(float(battery_wh), stay.soc_arrival * battery_wh + stay.battery_energy_wh))
    else:
        more_wh = round(_received_wh(yard, visit)) - stay.battery_energy_wh
        if more_wh < 0 and key in yard.full_since:
            return None  # it took no more: less was needed than was announced
    more_wh = max(more_wh, -round(following.soc_arrival * battery_wh))  # nobody comes with less than nothing
    if abs(more_wh) < CARRIED_SOC * battery_wh:
        return None
    soc_then = min(1.0, max(0.0, following.soc_arrival + more_wh / battery_wh))
    return replace(following, battery_energy_wh=max(0, following.battery_energy_wh - more_wh), soc_arrival=soc_then)
