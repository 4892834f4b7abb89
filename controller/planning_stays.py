"""What stays ask for beside energy at their departure, from what the depot knows: a minimum for who is nearly empty, a full battery now
and then, warming before they leave, and how a shortage is shared. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from controller.wishes import Load, WishSettings
from controller.yard import Yard
from depot.state import Visit
from optimizer import Problem
from optimizer.needs import Load as PlanLoad
from optimizer.needs import at_a_pace, full_charge, minimum_now, preconditioned


@dataclass(frozen=True, slots=True)
class StaySettings:
    """``minimum_soc``: a vehicle that is plugged in with less is brought there before anything else; 0: none is.
    ``share_shortage``: where not everything fits, vehicles of one priority go short in like parts of their needs.
    ``wishes``: preconditioning and full charges."""

    minimum_soc: float = 0.0
    share_shortage: bool = False
    wishes: WishSettings = field(default_factory=WishSettings)


@dataclass(frozen=True, slots=True)
class Beside:
    """What one stay asks for beside. ``lacking_kwh``: to the minimum that it shall always hold; ``full_kwh``: to a full battery, where
    one is due (0: none), ``dwell_min`` before it departs (None: as the settings say); ``load``: before it departs, where that is within
    the plan; ``pace_kw``: what it shall draw without a break (0: anything)."""

    lacking_kwh: float = 0.0
    full_kwh: float = 0.0
    load: Load | None = None
    dwell_min: int | None = None
    pace_kw: float = 0.0


def beside(yard: Yard, visit: Visit, settings: StaySettings, *, now: datetime, until: datetime, fresh_s: float) -> Beside:
    """Of one stay, in a plan that ends at ``until``. States of charge older than ``fresh_s`` say nothing."""
    load = yard.load(visit)
    if load is not None and (load.until > until or load.until <= now):
        load = None
    full_wh = None if visit.connector is None else yard.full_lacks_wh(visit.connector, visit, now, fresh_s=fresh_s)
    tested = yard.tested.get(visit.announced.vehicle_id) if visit.present else None
    dwell_min, pace_w = (None, 0) if tested is None else (tested.dwell_min, tested.pace_w)
    return Beside(lacking_kwh(yard, visit, settings, fresh_s=fresh_s), (full_wh or 0) / 1000.0, load, dwell_min, pace_w / 1000.0)


def lacking_kwh(yard: Yard, visit: Visit, settings: StaySettings, *, fresh_s: float) -> float:
    """What the battery of a vehicle that is plugged in lacks of the minimum, as far as its visit may bring it; 0 where its state of
    charge is not known, or older than ``fresh_s``."""
    if not settings.minimum_soc or not visit.present or visit.connector is None:
        return 0.0
    soc = yard.least_soc(visit.connector, visit, fresh_s=fresh_s)
    if soc is None:
        return 0.0
    may_wh = yard.remaining_wh(visit) * visit.announced.efficiency
    return max(0.0, min((settings.minimum_soc - soc) * yard.battery_wh(visit), may_wh)) / 1000.0


def with_needs(problem: Problem, asks: Sequence[Beside], settings: StaySettings, *, start: datetime) -> tuple[Problem, tuple[int, ...]]:
    """``problem`` with what is asked for beside, in the order of its vehicles; as it was where nothing is. Loads are further rows behind
    the vehicles: the vehicle of each is told, too."""
    if settings.share_shortage:
        problem = replace(problem, share_shortage=True)
    if any(ask.lacking_kwh for ask in asks):
        problem = replace(problem, vehicles=tuple(minimum_now(problem, n, ask.lacking_kwh) for n, ask in enumerate(asks)))
    if any(ask.full_kwh for ask in asks):
        rule = settings.wishes.full_charges
        usual_min = 0 if rule is None else rule.dwell_min
        dwells = [ceil((usual_min if ask.dwell_min is None else ask.dwell_min) / problem.slot_minutes) for ask in asks]
        of = zip(problem.vehicles, asks, dwells, strict=True)
        filled = tuple(full_charge(vehicle, full_kwh=ask.full_kwh, dwell_slots=dwell) for vehicle, ask, dwell in of)
        problem = replace(problem, vehicles=filled)
    if any(ask.pace_kw and ask.full_kwh for ask in asks):
        paced = [at_a_pace(problem, n, ask.pace_kw, until_kwh=ask.full_kwh) for n, ask in enumerate(asks)]
        problem = replace(problem, vehicles=tuple(paced))
    loads = [load for n, ask in enumerate(asks) if ask.load is not None and (load := _planned(problem, n, ask.load, start)) is not None]
    return (preconditioned(problem, loads), tuple(load.vehicle for load in loads)) if loads else (problem, ())


def _planned(problem: Problem, place: int, load: Load, start: datetime) -> PlanLoad | None:
    """The load in whole slots, to the end of the vehicle's planned stay (a margin before it leaves)."""
    host = problem.vehicles[place]
    first = max(host.arrival_slot, (load.from_ - start) // timedelta(minutes=problem.slot_minutes))
    first = min(first, host.departure_slot - 1)
    return None if first < host.arrival_slot else PlanLoad(place, load.power_w / 1000.0, first, host.departure_slot)
