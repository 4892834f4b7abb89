"""Stations as machines, for pages and API: how far they are admitted, what they said of themselves, who waits outside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from controller.yard import Yard
from depot import events as ev
from depot.readings import LinkReading
from depot.registry import ConnectorSpec, StationSpec
from depot.state import StationFacts
from depot.tokens import IdToken
from depot.values import ConnectorId

if TYPE_CHECKING:
    from ocpp_server.access import Access


class StationConnector(Struct, frozen=True, kw_only=True):
    """One connector: as built, and how it is. Powers W, ``voltage_v`` V."""

    number: int
    rated_w: int
    min_w: int
    current: str
    phases: list[int]
    voltage_v: int
    pausable: bool | None
    status: str
    error_code: str
    detail: ev.StatusDetail
    operative: bool
    transaction_id: int | None
    default_w: int | None
    discharge_w: int = 0


class StationDetail(Struct, frozen=True, kw_only=True):
    """``version``: of OCPP, spoken last. ``security_profile``: by which it must come (0 to 3); ``security_upgrade``: to which it is
    being moved. ``status``, ``error_code``, ``detail``: of the station as a whole, as it said last.
    ``violations``: how often it broke which rule. ``by_hand``: profiles that a person put there and that stand above the
    depot's. ``retiring``: not counted any more from the core's next start on."""

    station_id: str
    registration: str
    connected: bool
    version: str
    since: datetime | None
    last_frame_at: datetime | None
    vendor: str
    model: str
    serial: str
    firmware: str
    feeder_id: str
    bay_id: str
    status: str
    error_code: str
    detail: ev.StatusDetail
    connectors: list[StationConnector]
    security_profile: int
    security_upgrade: int | None
    item_limits: dict[str, int]
    capabilities: ev.StationProbed | None
    violations: dict[str, int]
    by_hand: list[ev.ProfileSetByHand]
    retiring: bool


class Stranger(Struct, frozen=True, kw_only=True):
    """A station that knocked and belongs to nobody: held in quarantine until a person adds it."""

    station_id: str
    remote: str


class StationsView(Struct, frozen=True, kw_only=True):
    """All stations in effect, by id, and who waits outside."""

    at: datetime
    stations: list[StationDetail]
    quarantine: list[Stranger]


class TokensView(Struct, frozen=True, kw_only=True):
    """The list of id tokens, by token."""

    at: datetime
    tokens: list[IdToken]


class LoggedMessage(Struct, frozen=True, kw_only=True):
    """One frame. ``direction``: ``in`` from the station, ``out`` to it. ``payload``: redacted JSON text. ``cut``: its end is
    missing, because it was long."""

    at: datetime
    station_id: str
    direction: str
    kind: str
    message_id: str
    action: str
    payload: str
    note: str
    cut: bool


class MessagesView(Struct, frozen=True, kw_only=True):
    """Messages that match, newest first. ``searched``: how many were looked at; ``more``: older ones match, too."""

    at: datetime
    messages: list[LoggedMessage]
    searched: int
    more: bool


def station_detail(
    yard: Yard,
    spec: StationSpec,
    *,
    violations: Mapping[str, int],
    version: str,
    link: LinkReading | None,
    access: Access | None,
    retiring: bool,
) -> StationDetail:
    """One station as it is now."""
    state = yard.state
    facts = state.stations.get(spec.station_id) or StationFacts(spec.station_id)
    boot = facts.boot
    return StationDetail(
        station_id=spec.station_id,
        registration=facts.registration.value,
        connected=link is not None and link.connected,
        version=version,
        since=link.since if link is not None else None,
        last_frame_at=link.last_frame_at if link is not None else None,
        vendor=boot.vendor if boot else "",
        model=boot.model if boot else "",
        serial=boot.serial if boot else "",
        firmware=boot.firmware if boot else "",
        feeder_id=spec.feeder_id,
        bay_id=spec.bay_id,
        status=facts.status.value,
        error_code=facts.error_code,
        detail=facts.detail,
        connectors=[_connector(yard, spec.station_id, connector) for connector in spec.connectors],
        security_profile=access.profile if access is not None else 0,
        security_upgrade=access.upgrade if access is not None else None,
        item_limits=dict(facts.item_limits),
        capabilities=facts.probe,
        violations=dict(violations),
        by_hand=list(facts.by_hand),
        retiring=retiring,
    )


def _connector(yard: Yard, station_id: str, spec: ConnectorSpec) -> StationConnector:
    facts = yard.state.connector(ConnectorId(station_id, spec.connector))
    return StationConnector(
        number=spec.connector,
        rated_w=spec.rated_w,
        min_w=spec.min_w,
        current=spec.current.value,
        phases=list(spec.phases),
        voltage_v=spec.voltage_v,
        pausable=spec.pausable,
        status=facts.status.value,
        error_code=facts.error_code,
        detail=facts.detail,
        operative=facts.operative,
        transaction_id=facts.transaction_id,
        default_w=facts.default_w,
        discharge_w=spec.discharge_w,
    )
