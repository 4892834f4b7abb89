"""One stay as the optimizer's vehicle: when it is there, what it needs and can take, what holds it back in each slot. Pure.

Visit, its connector, what was learned of it --vehicle_of()--> Vehicle, and how much of each slot it is there
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from controller import lending
from controller.planning_life import PacksNow, charge_curve, with_life
from controller.planning_settings import PlanningSettings
from controller.yard import Yard
from depot.state import Visit
from depot.values import ConnectorId, Limit
from optimizer import Vehicle

EAGER_SHARE = 2e-4
"""Of the mean price, per kWh and hour of delay: enough to order what costs the same, too little to move a price block."""


TESTED_SHARE = 1.0
"""The same for a vehicle in a reference test: its charge is to be one, at one rate, wherever others leave room for it."""

STEADY_SHARE = 0.03
"""Of the mean price: what it is worth not to stop a session that runs for another one."""

PLANNED_SOC_S = 900.0
"""A state of charge this old still serves for a plan."""


def _needs_wh(yard: Yard, key: ConnectorId, visit: Visit, now: datetime) -> int:
    """Grid energy that it is planned to draw for its battery, Wh: who has all, or takes nothing, may be planned for its load alone."""
    idle = yard.complete(visit) or (visit.present and yard.asleep(key, now))
    return 0 if idle else yard.remaining_wh(visit)


def vehicle_of(
    yard: Yard,
    settings: PlanningSettings,
    visit: Visit,
    *,
    now: datetime,
    start: datetime,
    slots: int,
    place: Mapping[ConnectorId, int],
    price: float,
    own: Sequence[Limit],
    packs: PacksNow | None,
) -> tuple[Vehicle, np.ndarray] | None:
    """``place``: of each connector's feeder in the problem; ``own``: limits of its connector."""
    key = visit.connector
    if key is None:
        return None
    spec = yard.spec.connectors[key]
    grant = yard.grants[key]
    slot_s = settings.slot_minutes * 60
    begins = now if visit.present else max(now, visit.announced.arrive_at)
    leaves = visit.announced.depart_at
    margin = min(timedelta(minutes=settings.ready_margin_min), 0.1 * max(timedelta(0), leaves - begins))
    leaves = leaves - margin
    if leaves <= begins:  # overdue or about to leave: everything that is possible, now
        leaves = begins + timedelta(seconds=slot_s)
    overlap = _overlap(begins, leaves, now=now, start=start, slots=slots, slot_s=slot_s)
    inside = np.flatnonzero(overlap > 0)
    if not len(inside):
        return None
    share = yard.phase_share.get(key, 1.0)
    max_w = full_w = min(round(spec.rated_w * share), visit.announced.max_w or spec.rated_w)
    needs = yard.state.smart_charging.needs(key) if visit.present else None
    if needs is not None and needs.max_w:
        max_w = min(max_w, max(needs.max_w, 1))
    accepts = yard.acceptance_w.get(key) if visit.present else None
    if accepts is not None:
        max_w = min(max_w, max(accepts, spec.min_w))
    allowed_w = yard.allowed_w(key, visit)
    if allowed_w is not None:
        max_w = min(max_w, max(round(allowed_w * share), 1))
    external = _external_share(yard, key, start=start, slots=slots, slot_s=slot_s, max_w=max_w, now=now)
    external *= _own_share(own, start=start, slots=slots, slot_s=slot_s, max_w=max_w)
    if yard.on_off(key) and grant.in_session:  # it cannot be held back: what it draws is planned as drawn, and nothing else
        max_w = max(spec.min_w, min(max_w, grant.measured_w or max_w))
        floor_w = max_w
    else:
        floor_w = spec.min_w if grant.in_session and grant.told_w > 0 and not yard.pausable(key, visit) else 0
    tested = visit.present and visit.announced.vehicle_id in yard.tested
    battery_wh = yard.battery_wh(visit)
    needs_wh = _needs_wh(yard, key, visit, now)
    full_wh = yard.full_lacks_wh(key, visit, now, fresh_s=PLANNED_SOC_S)
    stored_wh = _stored_wh(yard, key, visit)
    gives_kw = 0.0 if stored_wh is None else yard.may_discharge_w(key, visit) / 1000.0
    vehicle = Vehicle(
        id=visit.visit_id,
        arrival_slot=int(inside[0]),
        departure_slot=int(inside[-1]) + 1,
        energy_kwh=needs_wh * visit.announced.efficiency / 1000.0,
        eff=visit.announced.efficiency,
        p_max_kw=max_w / 1000.0,
        p_min_kw=min(round(spec.min_w * share), max_w) / 1000.0,
        feeder=place[key],
        pausable=yard.pausable(key, visit),
        priority=visit.announced.priority,
        floor_kw=floor_w / 1000.0,
        cap_kw=overlap * max_w / 1000.0 * external,
        delay_per_kwh_h=price * (TESTED_SHARE if tested else EAGER_SHARE * _eagerness(yard, visit, now)),
        steady_per_kwh=price * STEADY_SHARE if _charging(yard, visit) else 0.0,
        urgency=_tightness(needs_wh, max_w, leaves - begins),
        discharge_kw=gives_kw,
        discharge_cap_kw=overlap * gives_kw if gives_kw else None,
        stored_kwh=(stored_wh or 0.0) / 1000.0,
        capacity_kwh=battery_wh / 1000.0,
        reserve_kwh=settings.reserve_soc * battery_wh / 1000.0,
        wear_per_kwh=settings.wear_per_kwh,
        curve=charge_curve(visit.announced, wants_wh=needs_wh * visit.announced.efficiency, full_w=full_w, to_full_wh=full_wh or 0),
    )
    pack = packs.of(visit.announced.vehicle_id, now) if packs is not None else None
    middles_h = np.maximum((start - now).total_seconds() + (np.arange(slots) + 0.5) * slot_s, 0.0) / 3600.0
    return with_life(vehicle, pack, settings.life, ahead_h=middles_h), overlap


def _external_share(yard: Yard, key: ConnectorId, *, start: datetime, slots: int, slot_s: int, max_w: int, now: datetime) -> np.ndarray:
    """Part of the full power that somebody else's limit at the station leaves in each slot."""
    share = np.ones(slots)
    if any(yard.state.smart_charging.limits_on(key)):
        for k in range(slots):
            level_w = yard.external_w(key, max(start + timedelta(seconds=k * slot_s), now))
            if level_w is not None:
                share[k] = min(1.0, level_w / max_w)
    return share


def _own_share(own: Sequence[Limit], *, start: datetime, slots: int, slot_s: int, max_w: int) -> np.ndarray:
    """Part of the full power that limits of the connector itself leave in each slot."""
    share = np.ones(slots)
    for k in range(slots) if own else ():
        at, life = start + timedelta(seconds=k * slot_s), timedelta(seconds=slot_s)
        allowed_w = min((limit.value for limit in own if limit.touches(at, at + life)), default=max_w)
        share[k] = min(1.0, allowed_w / max_w)
    return share


def _stored_wh(yard: Yard, key: ConnectorId, visit: Visit) -> float | None:
    """What its battery holds (or will at its arrival), Wh; None: not known, or it cannot be asked to give any."""
    battery_wh = yard.battery_wh(visit)
    if not battery_wh or not lending.able(yard, key, visit):
        return None
    soc = visit.announced.soc_arrival
    if visit.present and yard.grants[key].in_session:
        soc = yard.least_soc(key, visit, fresh_s=PLANNED_SOC_S)
    return None if soc is None else max(0.0, min(1.0, soc)) * battery_wh


def _tightness(grid_wh: int, max_w: int, stay: timedelta) -> float:
    """Part of its time that a vehicle must charge at full power, 0–1. Where not everything fits, who has time left is
    planned short rather than who has none: it can be caught up with when others turn out to need less."""
    return min(1.0, grid_wh / max_w / max(stay.total_seconds() / 3600.0, 0.01))


def _eagerness(yard: Yard, visit: Visit, now: datetime) -> float:
    """Who goes first where money does not care: who charges already (sessions are not shuffled from plan to plan),
    then who leaves first. A whole number, 1–5: a value of its own for every vehicle breaks more ties, and makes the
    simplex five times as slow."""
    hours = max(0.0, (visit.announced.depart_at - now).total_seconds() / 3600.0)
    first = 2.0 / (1.0 + hours / 6.0)
    return float(round(1.0 + first + (2.0 if _charging(yard, visit) else 0.0)))


def _charging(yard: Yard, visit: Visit) -> bool:
    grant = yard.grants[visit.connector] if visit.connector is not None else None
    return grant is not None and grant.in_session and grant.told_w > 0


def _overlap(begins: datetime, leaves: datetime, *, now: datetime, start: datetime, slots: int, slot_s: int) -> np.ndarray:
    """Part of every slot (of what is left of the first one) in which the vehicle is there, 0–1."""
    edges = np.arange(slots + 1) * float(slot_s)
    edges[0] = max(0.0, (now - start).total_seconds())
    a = (begins - start).total_seconds()
    b = (leaves - start).total_seconds()
    length = np.maximum(edges[1:] - edges[:-1], 1.0)
    inside: np.ndarray = np.clip(np.minimum(edges[1:], b) - np.maximum(edges[:-1], a), 0.0, None) / length
    inside[inside < 0.02] = 0.0
    return inside
