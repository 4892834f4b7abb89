"""One connector as a tile: its state in a word, the worst thing that is true first ("deviation wins")."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from controller import readmodel as rm
from controller.readiness import Readiness, Standing
from controller.yard import Yard
from depot import events as ev
from depot.state import Visit
from depot.values import ConnectorId

FLOWS_W = 300
"""Less is no charging: standby and heating of a charger."""


def label(yard: Yard, key: ConnectorId) -> str:
    """How people call a connector: by its station where that has only one."""
    return yard.labels.get(key, str(key))


def tile(yard: Yard, key: ConnectorId, now: datetime, ready: Readiness | None) -> rm.Tile:
    """``ready``: the prediction of the visit on ``key``."""
    facts, grant, visit = yard.state.connector(key), yard.grants[key], yard.visit_on(key)
    reading = yard.readings.get(key) if grant.in_session else None
    state, words = _state(yard, key, now, visit, ready)
    predicted = ready if state is not rm.TileState.FINISHED else None
    return rm.Tile(
        connector=str(key),
        label=label(yard, key),
        feeder_id=yard.spec.feeder_of[key],
        state=state,
        state_text=words,
        vehicle_id=visit.announced.vehicle_id if visit is not None else None,
        power_w=_power_w(yard, key),
        power_age_s=(now - reading.received_at).total_seconds() if reading is not None else None,
        soc=soc_of(yard, key, visit),
        soc_target=soc_target_of(visit),
        due_at=visit.announced.depart_at if visit is not None else None,
        ready_at=predicted.ready_at if predicted is not None else None,
        margin_min=predicted.margin_min(visit.announced.depart_at) if predicted is not None and visit is not None else None,
        trust=facts.trust.value,
        uncovered=yard.uncovered(key),
    )


def _power_w(yard: Yard, key: ConnectorId) -> int | None:
    grant = yard.grants[key]
    if grant.in_session:
        return grant.measured_w
    return 0 if yard.connected(key.station_id) else None


def soc_of(yard: Yard, key: ConnectorId, visit: Visit | None) -> float | None:
    """State of charge as the charger says it in this session, else reckoned from arrival and delivered energy."""
    reading = yard.readings.get(key) if yard.grants[key].in_session else None
    if reading is not None and reading.soc is not None:
        return reading.soc
    if visit is None or visit.announced.soc_arrival is None or not visit.announced.battery_wh:
        return None
    gained_wh = (visit.delivered_wh + yard.session_energy_wh(key)) * visit.announced.efficiency
    return min(1.0, visit.announced.soc_arrival + gained_wh / visit.announced.battery_wh)


def soc_target_of(visit: Visit | None) -> float | None:
    """State of charge at departure, where it is known from what."""
    if visit is None or visit.announced.soc_arrival is None or not visit.announced.battery_wh:
        return None
    return min(1.0, visit.announced.soc_arrival + visit.announced.battery_energy_wh / visit.announced.battery_wh)


def _state(yard: Yard, key: ConnectorId, now: datetime, visit: Visit | None, ready: Readiness | None) -> tuple[rm.TileState, str]:
    facts = yard.state.connector(key)
    if visit is not None and ready is not None and ready.standing is Standing.LATE:
        return rm.TileState.LATE, f"{kwh_short(ready.missing_wh)} short"
    if facts.status is ev.ConnectorStatus.FAULTED:
        return rm.TileState.FAULTED, f"Faulted, {facts.error_code}" if facts.error_code not in ("", "NoError") else "Faulted"
    if key in yard.isolated:
        return rm.TileState.OUT_OF_SERVICE, "Battery tripped"
    if key in yard.cut:
        return rm.TileState.OUT_OF_SERVICE, "Isolated"
    if not facts.operative:
        return rm.TileState.OUT_OF_SERVICE, "Out of service"
    if not yard.connected(key.station_id):
        return rm.TileState.OFFLINE, "Offline"
    if visit is None:
        return _without_visit(facts.status, in_session=yard.grants[key].in_session)
    if ready is not None and ready.standing is Standing.AT_RISK:
        return rm.TileState.AT_RISK, "At risk, held" if visit.held else "At risk"
    return _with_visit(yard, key, now, visit, ready)


def _without_visit(status: ev.ConnectorStatus, *, in_session: bool) -> tuple[rm.TileState, str]:
    if in_session:
        return rm.TileState.CHARGING, "Charging, unannounced"
    if status is ev.ConnectorStatus.UNKNOWN:
        return rm.TileState.UNKNOWN, "No status yet"
    if status is ev.ConnectorStatus.UNAVAILABLE:
        return rm.TileState.OUT_OF_SERVICE, "Unavailable"
    return (rm.TileState.WAITING, "Plugged, unknown") if status.plugged else (rm.TileState.AVAILABLE, "Available")


def _with_visit(yard: Yard, key: ConnectorId, now: datetime, visit: Visit, ready: Readiness | None) -> tuple[rm.TileState, str]:
    grant, last = yard.grants[key], yard.last
    if grant.in_session and (grant.measured_w or 0) > FLOWS_W:
        row = last.index.get(key) if last is not None else None
        if row is not None and last is not None and last.allocation.because[row].value in ("site", "feeder"):
            return rm.TileState.LIMITED, "Limited"
        return rm.TileState.CHARGING, "Charging"
    if grant.in_session and (grant.measured_w or 0) < -FLOWS_W:
        return rm.TileState.CHARGING, "Discharging"
    if ready is not None and ready.standing is Standing.READY:
        return rm.TileState.FINISHED, "Finished"
    if visit.held:
        return rm.TileState.WAITING, "Held by a person"
    starts = _starts(yard, visit, now)
    if starts is None:
        return rm.TileState.WAITING, "Waiting"
    if starts <= now:
        return rm.TileState.WAITING, "Starting" if not grant.in_session else "Paused, goes on"
    verb = "Goes on" if grant.in_session else "Starts"
    return rm.TileState.WAITING, f"{verb} {starts.astimezone(ZoneInfo(yard.spec.timezone)):%H:%M}"


def _starts(yard: Yard, visit: Visit, now: datetime) -> datetime | None:
    """When the plan next gives the vehicle power; ``now`` or before: already."""
    plan = yard.plan
    row = plan.power_w.get(visit.visit_id) if plan is not None and now < plan.expires_at else None
    if plan is None or row is None:
        return None
    for k, watts in enumerate(row):
        at = plan.start + timedelta(seconds=k * plan.slot_s)
        if watts > 0 and at + timedelta(seconds=plan.slot_s) > now:
            return at
    return None


def kwh_short(energy_wh: int) -> str:
    """``12 kWh``, ``0.4 kWh``."""
    return f"{energy_wh / 1000:.{0 if energy_wh >= 10_000 else 1}f} kWh"
