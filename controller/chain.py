"""Why only 22 kW? The reason chain of one connector, from the last allocation (invariant 6)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from controller.readmodel import ReasonView
from controller.yard import Yard
from depot.smart_charging import WHOLE_STATION
from depot.state import Visit
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
    Because.PICKUP: "limit",
    Because.EXTERNAL: "limit",
    Because.CONNECTOR: "limit",
    Because.NO_SESSION: "vehicle",
}


def reason_chain(yard: Yard, key: ConnectorId, now: datetime) -> list[ReasonView]:
    """Vehicle, charger, plan, what the limits leave, what was set and confirmed, what is measured. One step binds."""
    spec, grant, visit, facts = yard.spec.connectors[key], yard.grants[key], yard.visit_on(key), yard.state.connector(key)
    last = yard.last
    index = last.index.get(key) if last is not None else None
    why = last.allocation.because[index] if last is not None and index is not None else Because.NO_SESSION
    binds = BINDING[why]
    reading = yard.readings.get(key) if grant.in_session else None
    planned_w, plan_detail = _plan_step(yard, visit, now)
    target_w = last.allocation.targets[index] if last is not None and index is not None else None
    can_w, vehicle_detail = _vehicle_step(yard, key, visit, operative=facts.operative, reason=facts.inoperative_reason)
    if why is Because.NO_SESSION or (binds == "vehicle" and not target_w):
        can_w = 0
    limit_title, limit_detail = _limit_step(yard, key, why)
    if reading is None:
        measured_detail = "no meter value of this session" if grant.in_session else "no session runs"
    else:
        measured_detail = f"charger meter, {(now - reading.received_at).total_seconds():.0f} s ago"
    steps = [
        ("vehicle", "Vehicle can take", vehicle_detail, can_w),
        ("charger", "Charger can give", f"rating, {spec.current} connector {key.connector}", spec.rated_w),
        ("plan", "Plan wants", plan_detail, planned_w),
        ("limit", limit_title, limit_detail, target_w if binds == "limit" else None),
        ("told", "Set and confirmed", _told_detail(yard, key, why), grant.confirmed_w if grant.in_session else None),
        ("measured", "Measured", measured_detail, grant.measured_w if grant.in_session else None),
    ]
    return [
        ReasonView(because=name, title=title, detail=detail, level_w=level, binding=name == binds) for name, title, detail, level in steps
    ]


def _plan_step(yard: Yard, visit: Visit | None, now: datetime) -> tuple[int | None, str]:
    plan = yard.plan
    if plan is None or now >= plan.expires_at:
        return None, "no plan: earliest departure first"
    made = f"plan of {plan.made_at.astimezone(ZoneInfo(yard.spec.timezone)):%H:%M:%S}"
    planned_w = plan.power_at(visit.visit_id, now) if visit is not None else None
    return planned_w, made if planned_w is not None else f"nothing in the {made}"


def _vehicle_step(yard: Yard, key: ConnectorId, visit: Visit | None, *, operative: bool, reason: str) -> tuple[int | None, str]:
    can_w = vehicle_w(yard, key)
    if not operative:
        return 0, f"out of service: {reason or 'by a person'}"
    if visit is None:
        return can_w, "no vehicle is announced here"
    vehicle = visit.announced.vehicle_id
    if visit.held:
        return 0, f"{vehicle} is held: a person stopped its session"
    if yard.complete(visit) or not yard.remaining_wh(visit):
        return can_w, f"{vehicle} has what was announced"
    return can_w, f"{vehicle}, {yard.remaining_wh(visit) / 1000:.1f} kWh to go"


def vehicle_w(yard: Yard, key: ConnectorId) -> int | None:
    """What the vehicle on a connector can take there: announced, rated, and seen; None without a vehicle."""
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
        cabinet_w = cabinet_binds_w(yard, key)
        if cabinet_w is not None:
            return "Cabinet leaves", f"its connectors share {cabinet_w / 1000:g} kW; who leaves earlier is served first"
        return f"Feeder {feeder} leaves", "what vehicles that leave earlier do not need"
    if why is Because.SAFETY:
        return "Safety allows", _safety_detail(yard, key)
    if why is Because.PICKUP:
        return "Power is back", _pickup_detail(yard, key)
    if why is Because.EXTERNAL:
        return "External limit", _external_detail(yard, key)
    if why is Because.CONNECTOR:
        return "Limit of this connector", "by hand, by a schedule or for a reference test; the page Grid says who set it"
    if why is Because.MINIMUM:
        return "Minimum is kept", "this session cannot pause and go on"
    if why is Because.SITE:
        return "Site limit leaves", f"{site_kw} less background and vehicles that leave earlier"
    return "Limits leave", f"enough: site {site_kw}, feeder {feeder}"


def cabinet_binds_w(yard: Yard, key: ConnectorId) -> int | None:
    """What the connector's cabinet shares, W, where the last look gave it all of that: then it binds, and not the feeder above it."""
    node, last = yard.spec.node_of[key], yard.last
    if node == yard.spec.feeder_of[key] or last is None or key not in last.index:
        return None
    carries_w = yard.spec.nodes[node]
    return carries_w if last.feeder_now_w[last.rows[last.index[key]].feeder] >= carries_w else None


def _pickup_detail(yard: Yard, key: ConnectorId) -> str:
    release_s = yard.pickup.release_s(key) if yard.pickup is not None else None
    if release_s is None:
        return "the station has just restarted: others may do so as well"
    at = datetime.fromtimestamp(release_s, ZoneInfo(yard.spec.timezone))
    return f"chargers begin one after the other, this one at {at:%H:%M:%S}"


def _external_detail(yard: Yard, key: ConnectorId) -> str:
    """Who limits the station beside the depot, and how."""
    now = yard.clock.now()
    held = [(x.level_at(now), x) for x in yard.state.smart_charging.limits_on(key)]
    levels = [(level_w, x) for level_w, x in held if level_w is not None]
    if not levels:
        return "somebody else limited this station; it is over"
    level_w, limit = min(levels, key=lambda found: found[0])
    place = "the station" if limit.evse == WHOLE_STATION else "this EVSE"
    told = limit.told_at.astimezone(ZoneInfo(yard.spec.timezone))
    return f"{limit.source} limits {place} to {level_w / 1000:.1f} kW, told at {told:%H:%M}"


def _safety_detail(yard: Yard, key: ConnectorId) -> str:
    visit = yard.visit_on(key)
    against = yard.unsafe(key, visit)
    if against is not None:
        return against
    share = yard.pack_share.get(visit.announced.vehicle_id, 1.0) if visit is not None else 1.0
    limit = yard.battery_limit(key, visit)
    part = f" ({share:.0%} of its level)" if share < 1.0 else ""
    if limit is None or not limit.reason:
        return f"the battery may take {share:.0%} of its level; the Safety page says why"
    return f"{limit.source}: at most {limit.value / 1000:.1f} kW{part}, {limit.reason}"


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
