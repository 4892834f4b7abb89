"""What pages and API show of device models: shapes, and the pure builders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller.device_model.store import StoredEvent, StoredReport, StoredVariable
from depot.device_model import Attribute, Monitor, ReportedVariable, Variable
from depot.wanted import Drift


class VariableName(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A variable of a component. ``evse`` null: of the station as a whole."""

    component: str
    component_instance: str | None
    evse: int | None
    connector: int | None
    variable: str
    variable_instance: str | None


class VariableRow(VariableName, frozen=True, kw_only=True):
    """A variable as the station told it last. ``actual``: its value, null where none is told; ``waiting``: taken, in force after
    the next boot. ``monitors``: how many watch it. Limits: of a number its range, of a text its length."""

    station_id: str
    name: str
    actual: str | None
    waiting: str | None
    mutability: str
    attributes: list[Attribute]
    data_type: str | None
    unit: str | None
    min_limit: float | None
    max_limit: float | None
    values: list[str]
    monitorable: bool | None
    monitors: int
    read_at: datetime | None


class VariablesView(Struct, frozen=True, kw_only=True):
    """``total``: how many match; ``next_cursor``: give it to get the next page; null at the end."""

    at: datetime
    total: int
    variables: list[VariableRow]
    next_cursor: str | None


class VariableResult(VariableName, frozen=True, kw_only=True):
    """One variable that was asked for. ``status``: the station's word, "" where it gave none; ``value``: hidden where it is a
    secret. ``outcome``: how the call ended that carried it."""

    attribute: str
    status: str
    value: str | None
    reason: str
    outcome: str


class VariableResults(Struct, frozen=True, kw_only=True):
    station_id: str
    at: datetime
    results: list[VariableResult]


class ReportView(Struct, frozen=True, kw_only=True):
    """``kind``: a base report's name, ``custom`` or ``monitors``. ``state``: asked, under_way, complete, incomplete (nothing
    came for too long, or a part is missing), refused, empty. ``answer``: the station's word. ``missing``: numbers of parts that
    did not come, as far as that is known."""

    report_id: int
    station_id: str
    request_id: int
    kind: str
    asked_by: str
    asked_at: datetime
    heard_at: datetime
    state: str
    answer: str
    parts: int
    rows: int
    missing: list[int]


class ReportsView(Struct, frozen=True, kw_only=True):
    """Newest first."""

    at: datetime
    reports: list[ReportView]


class MonitorRow(VariableName, frozen=True, kw_only=True):
    """A monitor as the station told it last. ``kind``: UpperThreshold, LowerThreshold, Delta, Periodic, PeriodicClockAligned …;
    ``severity`` 0 (danger) to 9 (debug)."""

    station_id: str
    monitor_id: int
    name: str
    kind: str
    value: float
    severity: int
    transaction: bool
    origin: str
    read_at: datetime | None


class MonitorsView(Struct, frozen=True, kw_only=True):
    at: datetime
    monitors: list[MonitorRow]


class ReportDetail(Struct, frozen=True, kw_only=True):
    """One report with a page of its rows: ``variables``, or ``monitors`` of a monitoring report. ``kept`` False: its rows were
    dropped for newer ones."""

    report: ReportView
    kept: bool
    variables: list[VariableRow]
    monitors: list[MonitorRow]
    next_cursor: str | None


class EventRow(VariableName, frozen=True, kw_only=True):
    """An event that a station told. ``trigger``: Alerting, Delta or Periodic; ``severity`` null: not known."""

    number: int
    station_id: str
    name: str
    event_id: int
    reported_at: datetime | None
    received_at: datetime
    trigger: str
    value: str
    origin: str
    monitor_id: int | None
    cleared: bool
    cause: int | None
    transaction_id: str
    code: str
    info: str
    severity: int | None


class EventsView(Struct, frozen=True, kw_only=True):
    """Newest first. ``unlisted``: by station, how many came too fast to be kept. ``next_cursor``: for the next page."""

    at: datetime
    events: list[EventRow]
    unlisted: dict[str, int]
    next_cursor: str | None


class DriftRow(VariableName, frozen=True, kw_only=True):
    """A wanted value and how the station stands to it: same, differs, waiting (for its next boot), missing,
    unread, hidden. ``source``: who wants it: controller, depot, model or station."""

    station_id: str
    name: str
    wanted: str
    actual: str | None
    standing: str
    source: str
    writable: bool


class StationDrift(Struct, frozen=True, kw_only=True):
    """``told_at``: when its whole model was told last, null: never. ``variables``: how many are known of it."""

    station_id: str
    machine: str
    told_at: datetime | None
    variables: int
    wanted: int
    differs: int
    missing: int
    waiting: int


class DriftView(Struct, frozen=True, kw_only=True):
    """``stations``: those of OCPP 2.x. ``drift``: what is not as wanted, of all or of one station; with ``all`` every wish."""

    at: datetime
    stations: list[StationDrift]
    drift: list[DriftRow]


class WantedRow(VariableName, frozen=True, kw_only=True):
    """``scope``: controller (what the depot itself needs, not to be changed), depot, model (``name``: vendor/model), station."""

    scope: str
    name: str
    label: str
    value: str


class WantedView(Struct, frozen=True, kw_only=True):
    at: datetime
    wanted: list[WantedRow]


class ComponentRow(Struct, frozen=True, kw_only=True):
    component: str
    variables: int


class DeviceModelView(Struct, frozen=True, kw_only=True):
    """A station's page. ``report``: the newest one that was asked for."""

    at: datetime
    station_id: str
    version: str
    machine: str
    told_at: datetime | None
    total: int
    shown: list[VariableRow]
    offset: int
    components: list[ComponentRow]
    drift: list[DriftRow]
    wanted: int
    monitors: list[MonitorRow]
    events: list[EventRow]
    report: ReportView | None


# -- builders ---------------------------------------------------------------------------------------------------------------


def named(variable: Variable) -> dict[str, str | int | None]:
    return {
        "component": variable.component,
        "component_instance": variable.component_instance,
        "evse": variable.evse,
        "connector": variable.connector,
        "variable": variable.name,
        "variable_instance": variable.instance,
    }


def variable_row(stored: StoredVariable, monitors: Mapping[tuple[str, str], int]) -> VariableRow:
    """``monitors``: how many, by station and variable's key."""
    watched = monitors.get((stored.station_id, stored.told.variable.key), 0)
    return told_row(stored.station_id, stored.told, waiting=stored.waiting, read_at=stored.read_at, monitors=watched)


def told_row(
    station_id: str, told: ReportedVariable, *, waiting: str | None = None, read_at: datetime | None = None, monitors: int = 0
) -> VariableRow:
    actual = next((one for one in told.attributes if one.type == "Actual"), None)
    first = actual or (told.attributes[0] if told.attributes else None)
    limits = told.characteristics
    return VariableRow(
        **named(told.variable),  # type: ignore[arg-type]
        station_id=station_id,
        name=str(told.variable),
        actual=None if actual is None else actual.value,
        waiting=waiting,
        mutability="" if first is None else first.mutability,
        attributes=list(told.attributes),
        data_type=None if limits is None else limits.data_type,
        unit=None if limits is None else limits.unit,
        min_limit=None if limits is None else limits.min_limit,
        max_limit=None if limits is None else limits.max_limit,
        values=[] if limits is None else list(limits.values),
        monitorable=None if limits is None else limits.monitorable,
        monitors=monitors,
        read_at=read_at,
    )


def monitor_row(station_id: str, monitor: Monitor, read_at: datetime | None) -> MonitorRow:
    return MonitorRow(
        **named(monitor.variable),  # type: ignore[arg-type]
        station_id=station_id,
        monitor_id=monitor.monitor_id,
        name=str(monitor.variable),
        kind=monitor.kind,
        value=monitor.value,
        severity=monitor.severity,
        transaction=monitor.transaction,
        origin=monitor.origin,
        read_at=read_at,
    )


def event_row(stored: StoredEvent) -> EventRow:
    event = stored.event
    return EventRow(
        **named(event.variable),  # type: ignore[arg-type]
        number=stored.number,
        station_id=stored.station_id,
        name=str(event.variable),
        event_id=event.event_id,
        reported_at=event.at,
        received_at=stored.received_at,
        trigger=event.trigger,
        value=event.value,
        origin=event.origin,
        monitor_id=event.monitor_id,
        cleared=event.cleared,
        cause=event.cause,
        transaction_id=event.transaction_id,
        code=event.code,
        info=event.info,
        severity=stored.severity,
    )


def report_view(report: StoredReport) -> ReportView:
    expected = range((max(report.parts, default=-1) if report.last is None else report.last) + 1)
    return ReportView(
        report_id=report.report_id,
        station_id=report.station_id,
        request_id=report.request_id,
        kind=report.kind,
        asked_by=report.asked_by,
        asked_at=report.asked_at,
        heard_at=report.heard_at,
        state=report.state,
        answer=report.answer,
        parts=len(report.parts),
        rows=report.rows,
        missing=[number for number in expected if number not in report.parts][:100],
    )


def drift_row(station_id: str, one: Drift) -> DriftRow:
    return DriftRow(
        **named(one.wish.variable),  # type: ignore[arg-type]
        station_id=station_id,
        name=str(one.wish.variable),
        wanted=one.wish.value,
        actual=one.actual,
        standing=one.standing.value,
        source=one.wish.source,
        writable=one.writable,
    )
