"""Why only 22 kW? The reason chain of one connector, from the last allocation (invariant 6)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from controller.readmodel import ReasonView
from controller.yard import Yard
from depot.values import Because, ConnectorId

BINDING = {
    Because.VEHICLE: "vehicle",
    Because.CHARGER: "charger",
    Because.PLAN: "plan",
    Because.FEEDER: "limit",
    Because.SITE: "limit",
    Because.SETTLING: "told",
    Because.MINIMUM: "limit",
    Because.FROZEN: "told",
    Because.SAFETY: "limit",
    Because.NO_SESSION: "vehicle",
}


def reason_chain(yard: Yard, key: ConnectorId, now: datetime) -> list[ReasonView]:
    """Vehicle, charger, plan, what the limits leave, what was set and confirmed, what is measured. One step binds."""
    spec, grant, visit, facts = yard.spec.connectors[key], yard.grants[key], yard.visit_on(key), yard.state.connector(key)
    last = yard.last
    index = last.index.get(key) if last is not None else None
    why = last.allocation.because[index] if last is not None and index is not None else Because.NO_SESSION
    binds = BINDING[why]
    zone = ZoneInfo(yard.spec.timezone)
    vehicle_w = _vehicle_w(yard, key)
    plan = yard.plan
    planned = plan.power_at(visit.visit_id, now) if plan is not None and visit is not None else None
    target = last.allocation.targets[index] if last is not None and index is not None else None
    limit_title, limit_detail = _limit_step(yard, key, why)
    reading = yard.readings.get(key) if grant.in_session else None
    if not facts.operative:
        vehicle_detail = f"out of service: {facts.inoperative_reason or 'by a person'}"
    elif visit is None:
        vehicle_detail = "no vehicle is announced here"
    elif visit.held:
        vehicle_detail = "held: a person stopped this session"
    elif yard.complete(visit):
        vehicle_detail = f"{visit.announced.vehicle_id} has what was announced"
    else:
        vehicle_detail = f"{visit.announced.vehicle_id}, {yard.remaining_wh(visit) / 1000:.1f} kWh to go"
    steps = [
        ("vehicle", "Vehicle can take", vehicle_detail, vehicle_w),
        ("charger", "Charger can give", f"{key} rating, {spec.current} connector {key.connector}", spec.rated_w),
        (
            "plan",
            "Plan wants",
            f"plan of {plan.made_at.astimezone(zone):%H:%M:%S}"
            if planned is not None and plan is not None
            else "no plan: earliest departure first",
            planned,
        ),
        ("limit", limit_title, limit_detail, target),
        ("told", "Set and confirmed", _told_detail(yard, key, why), grant.confirmed_w if grant.in_session else None),
        (
            "measured",
            "Measured",
            f"charger meter, {(now - reading.received_at).total_seconds():.0f} s ago"
            if reading is not None
            else "no meter value of this session",
            grant.measured_w if grant.in_session else None,
        ),
    ]
    return [
        ReasonView(because=name, title=title, detail=detail, level_w=level, binding=name == binds) for name, title, detail, level in steps
    ]


def _vehicle_w(yard: Yard, key: ConnectorId) -> int | None:
    visit = yard.visit_on(key)
    if visit is None:
        return None
    rated = yard.spec.connectors[key].rated_w
    return min(visit.announced.max_w or rated, yard.acceptance_w.get(key, rated))


def _limit_step(yard: Yard, key: ConnectorId, why: Because) -> tuple[str, str]:
    feeder = yard.spec.feeder_of[key]
    last = yard.last
    site_kw = f"{last.site_now_w / 1000:.0f} kW" if last is not None else "unknown"
    if why is Because.FEEDER:
        return f"Feeder {feeder} leaves", "what vehicles that leave earlier do not need"
    if why is Because.MINIMUM:
        return "Minimum is kept", "this session cannot pause and go on"
    if why is Because.SITE:
        return "Site limit leaves", f"{site_kw} less background and vehicles that leave earlier"
    return "Limits leave", f"site {site_kw}, feeder {feeder}"


def _told_detail(yard: Yard, key: ConnectorId, why: Because) -> str:
    grant = yard.grants[key]
    if why is Because.FROZEN:
        return "the journal cannot write: nothing may rise"
    if not yard.connected(key.station_id):
        return "station offline: keeps its last profile until it expires"
    if not grant.in_session:
        return "no session runs"
    if grant.flights:
        return "sent, waiting for the charger's answer"
    if grant.settling:
        return "confirmed, settling"
    return "profile confirmed by the charger"
