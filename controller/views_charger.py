"""One charger's page: its reason chain, session, profiles, curve, messages and commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from controller import coverage
from controller import readmodel as rm
from controller.chain import reason_chain
from controller.grants import Grant
from controller.history import History
from controller.orders import Order
from controller.smart_charging_view import limit_row, needs_row
from controller.views_tiles import label
from controller.yard import Yard
from depot.values import ConnectorId

FRAMES_MOST = 40
COMMANDS_MOST = 5


class Frame(Protocol):
    """A line of a station's message log."""

    @property
    def at(self) -> datetime: ...
    @property
    def direction(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def summary(self) -> str: ...


def charger_view(
    yard: Yard, key: ConnectorId, now: datetime, *, tile: rm.Tile, history: History, frames: Sequence[Frame], orders: Iterable[Order]
) -> rm.ChargerView:
    """``frames``: oldest first. ``orders``: newest first, of any target."""
    spec, facts, grant, visit = yard.spec.connectors[key], yard.state.connector(key), yard.grants[key], yard.visit_on(key)
    station = yard.state.stations.get(key.station_id)
    boot = station.boot if station is not None else None
    link = yard.links.get(key.station_id)
    connected = yard.connected(key.station_id)
    points = list(history.sessions.get(key, ()))
    running = facts.transaction_id is not None
    return rm.ChargerView(
        tile=tile,
        station_id=key.station_id,
        connector=key.connector,
        vendor=boot.vendor if boot else "",
        model=boot.model if boot else "",
        firmware=boot.firmware if boot else "",
        rated_w=spec.rated_w,
        min_w=spec.min_w,
        current=spec.current.value,
        pausable="yes" if yard.pausable(key, visit) else "no, starts late instead" if spec.pausable is False else "unknown, taken as no",
        link_text=f"OCPP {link.version} · link {'up' if connected else 'down'} since" if link is not None else "never connected",
        link_since=link.since if link is not None else None,
        connected=connected,
        status=facts.status.value,
        error_code=facts.error_code,
        chain=reason_chain(yard, key, now),
        session=_session(yard, key, now, history),
        profiles=_profiles(grant, spec.rated_w, now),
        if_silent=_if_silent(label(yard, key), grant, spec.rated_w, now),
        power=[rm.Point(at, float(w)) for at, w, _ in points],
        soc=[rm.Point(at, s) for at, _, s in points if s is not None],
        needed_wh=visit.needed_wh if visit is not None else None,
        missing_wh=yard.remaining_wh(visit) if visit is not None else None,
        frames=[
            rm.FrameView(at=f.at, direction=f.direction, action=f.action, summary=f.summary) for f in reversed(list(frames)[-FRAMES_MOST:])
        ],
        commands=[command_view(o) for o in orders if o.target == str(key)][:COMMANDS_MOST],
        can_start=connected and facts.operative and not running and facts.status.plugged,
        can_stop=running,
        operative=facts.operative,
        inoperative_reason=facts.inoperative_reason,
        differs=facts.schedule_differs,
        capabilities=coverage.in_words(station.probe if station is not None else None),
        needs=needs_row(yard, key, word) if (word := yard.state.smart_charging.word(key)) is not None else None,
        external=[limit_row(limit, now) for limit in yard.state.smart_charging.limits_on(key)],
        at=now,
    )


def _session(yard: Yard, key: ConnectorId, now: datetime, history: History) -> rm.SessionView | None:
    transaction = yard.state.transaction_on(key)
    if transaction is None:
        return None
    reading = yard.readings.get(key)
    energy_wh = yard.session_energy_wh(key) if reading is not None and reading.energy_wh is not None else None
    return rm.SessionView(
        session_id=transaction.session_id,
        transaction_id=transaction.transaction_id,
        started_at=transaction.started_at,
        id_tag=_redact(transaction.id_tag),
        delivered_wh=energy_wh,
        meter_start_wh=transaction.meter_start_wh,
        meter_now_wh=reading.energy_wh if reading is not None else None,
        power_w=yard.grants[key].measured_w,
        power_age_s=(now - reading.received_at).total_seconds() if reading is not None else None,
        cost=round(energy_wh / 1000 * history.session_price(key, now), 2) if energy_wh is not None else None,
    )


def _redact(tag: str) -> str:
    return tag if len(tag) <= 4 else f"••••{tag[-4:]}"


def _profiles(grant: Grant, rated_w: int, now: datetime) -> list[rm.ProfileView]:
    out: list[rm.ProfileView] = []
    if _holds(grant, now):
        expires = datetime.fromtimestamp(grant.confirmed_until_s, now.tzinfo)
        out.append(rm.ProfileView(purpose="transaction", limit_w=grant.confirmed_w or 0, expires_at=expires, confirmed=True))
    default_w = rated_w if grant.default_w is None else grant.default_w
    out.append(rm.ProfileView(purpose="default", limit_w=default_w, expires_at=None, confirmed=grant.default_w is not None))
    return out


def _holds(grant: Grant, now: datetime) -> bool:
    """Whether a confirmed profile of the running session is still in force."""
    return grant.in_session and grant.confirmed_w is not None and grant.confirmed_until_s > now.timestamp()


def _if_silent(name: str, grant: Grant, rated_w: int, now: datetime) -> str:
    if grant.default_w is None:
        falls = f"up to its rating of {rated_w / 1000:.0f} kW: no default is confirmed"
    else:
        falls = f"at most its default of {grant.default_w / 1000:.1f} kW"
    if not _holds(grant, now):
        return f"{name} gives {falls}."
    return f"{name} keeps {(grant.confirmed_w or 0) / 1000:.1f} kW until its profile expires, then gives {falls}."


def command_view(order: Order) -> rm.CommandView:
    """Progress of a person's command."""
    return rm.CommandView(
        command_id=order.command.command_id,
        kind=order.kind,
        status=order.result.status.value,
        message=order.result.message,
        actor=order.command.actor,
        at=order.at,
        audit_seq=order.result.audit_seq,
    )
