"""What of device models stands in the database: writes and reads on a connection that somebody else opened, in any thread.

Everything is bounded: variables and monitors of a station, the reports and events that are kept. What is beyond is not
stored, or the oldest goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, Table, delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from controller.codec import iso
from controller.device_model.tables import ModelRow, MonitorRow, PartRow, ReportRow, StationEventRow, VariableRow
from depot.device_model import ACTUAL, Attribute, Characteristics, Monitor, ReportedEvent, ReportedVariable, Variable

MOST_VARIABLES = 10_000
"""Of one station."""
MOST_MONITORS = 2_000
"""Of one station."""
REPORTS_KEPT = 200
"""Of all stations; those that are complete lose their rows first."""
BODIES_KEPT = 30
"""Reports whose rows are kept."""
EVENTS_KEPT = 20_000
STATION_EVENTS_KEPT = 1_000

_models: Table = ModelRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_variables: Table = VariableRow.__table__  # type: ignore[attr-defined]
_monitors: Table = MonitorRow.__table__  # type: ignore[attr-defined]
_reports: Table = ReportRow.__table__  # type: ignore[attr-defined]
_parts: Table = PartRow.__table__  # type: ignore[attr-defined]
_events: Table = StationEventRow.__table__  # type: ignore[attr-defined]

T = TypeVar("T")


def models_file(database: Path, depot_id: str) -> Path:
    """The file beside the depot's database: ``var/<depot>-models.db``."""
    return database.with_name(f"{depot_id}-models.db")


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable as it was told last. ``waiting``: a value that the station has taken for after its next boot."""

    station_id: str
    told: ReportedVariable
    waiting: str | None
    read_at: datetime

    @property
    def actual(self) -> Attribute | None:
        return next((one for one in self.told.attributes if one.type == ACTUAL), None)


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report and how far it got. ``parts``: numbers of the parts that are stored."""

    report_id: int
    station_id: str
    request_id: int
    kind: str
    asked_by: str
    asked_at: datetime
    heard_at: datetime
    state: str
    answer: str = ""
    parts: frozenset[int] = frozenset()
    last: int | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """``severity``: as the message or the monitor says; None: neither did."""

    number: int
    station_id: str
    severity: int | None
    event: ReportedEvent
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Search:
    """Which variables: names as parts of a component's or variable's name, ``text`` anywhere in name or value."""

    station_id: str = ""
    component: str = ""
    variable: str = ""
    text: str = ""
    keys: tuple[str, ...] = ()


class ModelStore:
    """The statements of one depot."""

    def __init__(self, depot_id: str) -> None:
        self._depot_id = depot_id

    # -- variables --------------------------------------------------------------------------------------------------

    def put_variables(self, connection: Connection, station_id: str, told: Sequence[ReportedVariable], at: datetime) -> None:
        """As a report tells them; what was known of the same variable is replaced."""
        keyed = {one.variable.key: one for one in told}
        known = {row.told.variable.key: row for row in self.by_keys(connection, station_id, keyed)}
        room = MOST_VARIABLES - self._count(connection, station_id) if len(known) < len(keyed) else 0
        rows = []
        for key, one in keyed.items():
            before = known.get(key)
            room -= before is None
            if before is not None or room >= 0:
                rows.append(self._variable_row(key, StoredVariable(station_id, _merged(before, one), None, at)))
        self._upsert(connection, _variables, rows, ("depot_id", "station_id", "key"))

    def put_values(
        self,
        connection: Connection,
        station_id: str,
        values: Mapping[tuple[Variable, str], str | None],
        waiting: Mapping[Variable, str],
        at: datetime,
    ) -> None:
        """Single attributes, as read or written."""
        keys = {variable.key for variable, _ in values} | {variable.key for variable in waiting}
        rows = {row.told.variable.key: row for row in self.by_keys(connection, station_id, keys)}
        room = MOST_VARIABLES - self._count(connection, station_id)
        for (variable, attribute), value in values.items():
            before = rows.get(variable.key)
            if before is None and room <= 0:
                continue
            room -= before is None
            stored = before or StoredVariable(station_id, ReportedVariable(variable, ()), None, at)
            told = replace(stored.told, attributes=_with(stored.told.attributes, attribute, value))
            rows[variable.key] = replace(stored, told=told, waiting=None, read_at=at)
        for variable, value in waiting.items():
            if variable.key in rows:
                rows[variable.key] = replace(rows[variable.key], waiting=value)
        self._upsert(connection, _variables, [self._variable_row(key, row) for key, row in rows.items()], ("depot_id", "station_id", "key"))

    def booted(self, connection: Connection, station_id: str) -> None:
        """What waited for a boot is in force, or was not; it is read anew."""
        mine = (_variables.c.depot_id == self._depot_id, _variables.c.station_id == station_id)
        connection.execute(update(_variables).where(*mine, _variables.c.waiting.is_not(None)).values(waiting=None))

    def told_whole(self, connection: Connection, station_id: str, machine: str, *, gone: datetime | None, at: datetime) -> None:
        """A whole report is complete. What was not told since ``gone``, when it was asked for, is no more there; None: the
        report may have left something out."""
        mine = (_variables.c.depot_id == self._depot_id, _variables.c.station_id == station_id)
        if gone is not None:
            connection.execute(delete(_variables).where(*mine, _variables.c.read_at < iso(gone)))
        row = {"depot_id": self._depot_id, "station_id": station_id, "machine": machine, "told_at": iso(at)}
        self._upsert(connection, _models, [row], ("depot_id", "station_id"))

    def machines(self, connection: Connection) -> dict[str, tuple[str, datetime]]:
        """By station: the machine that its last whole report was of, and when that was complete."""
        query = select(_models).where(_models.c.depot_id == self._depot_id)
        return {row.station_id: (row.machine, datetime.fromisoformat(row.told_at)) for row in connection.execute(query)}

    def counts(self, connection: Connection) -> dict[str, int]:
        """Variables by station."""
        query = select(_variables.c.station_id, func.count()).where(_variables.c.depot_id == self._depot_id)
        return {row[0]: row[1] for row in connection.execute(query.group_by(_variables.c.station_id))}

    def page(self, connection: Connection, search: Search, *, offset: int, limit: int) -> tuple[int, list[StoredVariable]]:
        """How many match, and those from ``offset`` on."""
        matching = self._matching(search)
        total = connection.execute(select(func.count()).select_from(_variables).where(*matching)).scalar_one()
        query = select(_variables).where(*matching).order_by(_variables.c.station_id, _variables.c.name, _variables.c.key)
        return total, [_variable(row) for row in connection.execute(query.offset(offset).limit(limit))]

    def components(self, connection: Connection, station_id: str) -> list[tuple[str, int]]:
        """Components of a station, with how many variables each has."""
        counted: dict[str, int] = {}
        mine = (_variables.c.depot_id == self._depot_id, _variables.c.station_id == station_id)
        for (key,) in connection.execute(select(_variables.c.name).where(*mine)):
            component = key.split(".", 1)[0].split("@")[0].split("[")[0]
            counted[component] = counted.get(component, 0) + 1
        return sorted(counted.items(), key=lambda entry: entry[0].lower())

    def by_keys(self, connection: Connection, station_id: str, keys: Collection[str]) -> list[StoredVariable]:
        """The variables of a station, or of all (""), with these keys."""
        found: list[StoredVariable] = []
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), 500):
            where = [_variables.c.depot_id == self._depot_id, _variables.c.key.in_(wanted[start : start + 500])]
            if station_id:
                where.append(_variables.c.station_id == station_id)
            found += [_variable(row) for row in connection.execute(select(_variables).where(*where))]
        return found

    def _matching(self, search: Search) -> list[Any]:
        at = _variables.c
        where: list[Any] = [at.depot_id == self._depot_id]
        if search.station_id:
            where.append(at.station_id == search.station_id)
        if search.component:
            where.append(at.name.like(f"%{_plain(search.component)}%.%", escape="\\"))
        if search.variable:
            where.append(at.name.like(f"%.%{_plain(search.variable)}%", escape="\\"))
        if search.text:
            like = f"%{_plain(search.text)}%"
            where.append(or_(at.name.like(like, escape="\\"), at.actual.like(like, escape="\\")))
        if search.keys:
            where.append(at.key.in_(search.keys))
        return where

    def _variable_row(self, key: str, stored: StoredVariable) -> dict[str, Any]:
        told, actual = stored.told, stored.actual
        return {
            "depot_id": self._depot_id,
            "station_id": stored.station_id,
            "key": key,
            "name": str(told.variable),
            "variable": _text(told.variable),
            "actual": None if actual is None else actual.value,
            "waiting": stored.waiting,
            "attributes": _text(told.attributes),
            "characteristics": None if told.characteristics is None else _text(told.characteristics),
            "read_at": iso(stored.read_at),
        }

    # -- monitors ---------------------------------------------------------------------------------------------------

    def put_monitors(self, connection: Connection, station_id: str, monitors: Iterable[Monitor], at: datetime) -> None:
        known = {monitor.monitor_id for _, monitor, _ in self.monitors(connection, station_id)}
        room = MOST_MONITORS - len(known)
        told = {monitor.monitor_id: monitor for monitor in monitors}
        new = [number for number in told if number not in known]
        for number in new[max(0, room) :]:
            del told[number]
        rows = [
            {
                "depot_id": self._depot_id,
                "station_id": station_id,
                "monitor_id": monitor.monitor_id,
                "key": monitor.variable.key,
                "body": _text(monitor),
                "read_at": iso(at),
            }
            for monitor in told.values()
        ]
        self._upsert(connection, _monitors, rows, ("depot_id", "station_id", "monitor_id"))

    def drop_monitors(self, connection: Connection, station_id: str, *, ids: Collection[int] = (), before: datetime | None = None) -> None:
        """Those with these ids; or those that a complete report, asked for at ``before``, did not name."""
        mine = (_monitors.c.depot_id == self._depot_id, _monitors.c.station_id == station_id)
        gone = _monitors.c.monitor_id.in_(list(ids)) if before is None else _monitors.c.read_at < iso(before)
        connection.execute(delete(_monitors).where(*mine, gone))

    def monitors(self, connection: Connection, station_id: str = "") -> list[tuple[str, Monitor, datetime]]:
        """(station, monitor, when it was told), by station and id."""
        query = select(_monitors).where(_monitors.c.depot_id == self._depot_id).order_by(_monitors.c.station_id, _monitors.c.monitor_id)
        if station_id:
            query = query.where(_monitors.c.station_id == station_id)
        return [(r.station_id, _read(r.body, Monitor), datetime.fromisoformat(r.read_at)) for r in connection.execute(query)]

    # -- reports ----------------------------------------------------------------------------------------------------

    def put_report(self, connection: Connection, report: StoredReport) -> None:
        row = msgspec.to_builtins(report) | {
            "depot_id": self._depot_id,
            "asked_at": iso(report.asked_at),
            "heard_at": iso(report.heard_at),
            "parts": _text(sorted(report.parts)),
        }
        self._upsert(connection, _reports, [row], ("depot_id", "report_id"))
        mine = _reports.c.depot_id == self._depot_id
        newest = select(_reports.c.report_id).where(mine).order_by(_reports.c.report_id.desc())
        connection.execute(delete(_reports).where(mine, _reports.c.report_id.not_in(newest.limit(REPORTS_KEPT).scalar_subquery())))
        bodies = newest.limit(BODIES_KEPT).scalar_subquery()
        connection.execute(delete(_parts).where(_parts.c.depot_id == self._depot_id, _parts.c.report_id.not_in(bodies)))

    def put_part(self, connection: Connection, report_id: int, seq_no: int, rows: Sequence[Any], *, last: bool) -> None:
        row = {"depot_id": self._depot_id, "report_id": report_id, "seq_no": seq_no, "body": _text(rows)}
        connection.execute(insert(_parts).values(row).on_conflict_do_nothing())
        if last:
            mine = (_reports.c.depot_id == self._depot_id, _reports.c.report_id == report_id)
            connection.execute(update(_reports).where(*mine).values(last=seq_no))

    def with_parts(self, connection: Connection, report: StoredReport) -> StoredReport:
        """As its stored parts say: they are written before the report's own row is."""
        mine = (_parts.c.depot_id == self._depot_id, _parts.c.report_id == report.report_id)
        found = connection.execute(select(_parts.c.seq_no, _parts.c.body).where(*mine)).all()
        rows = sum(len(msgspec.json.decode(body, type=list[msgspec.Raw])) for _, body in found)
        return replace(report, parts=frozenset(number for number, _ in found), rows=rows)

    def reports(
        self, connection: Connection, *, station_id: str = "", report_id: int | None = None, limit: int = 100
    ) -> list[StoredReport]:
        """Newest first."""
        query = select(_reports).where(_reports.c.depot_id == self._depot_id).order_by(_reports.c.report_id.desc()).limit(limit)
        if station_id:
            query = query.where(_reports.c.station_id == station_id)
        if report_id is not None:
            query = query.where(_reports.c.report_id == report_id)
        return [_report(row) for row in connection.execute(query)]

    def next_report_id(self, connection: Connection) -> int | None:
        """None: there was none yet."""
        most = connection.execute(select(func.max(_reports.c.report_id)).where(_reports.c.depot_id == self._depot_id)).scalar()
        return None if most is None else int(most) + 1

    def part_rows(self, connection: Connection, report_id: int, kind: type[T], *, offset: int, limit: int) -> tuple[int, list[T]]:
        """How many rows of a report are kept, and those from ``offset`` on, in the order of its parts."""
        query = select(_parts.c.body).where(_parts.c.depot_id == self._depot_id, _parts.c.report_id == report_id)
        found: list[msgspec.Raw] = []
        for (body,) in connection.execute(query.order_by(_parts.c.seq_no)):
            found += msgspec.json.decode(body, type=list[msgspec.Raw])
        return len(found), [msgspec.json.decode(row, type=kind) for row in found[offset : offset + limit]]

    # -- events -----------------------------------------------------------------------------------------------------

    def put_event(self, connection: Connection, stored: StoredEvent) -> None:
        """A repetition of the same event changes nothing."""
        event = stored.event
        row = {
            "depot_id": self._depot_id,
            "number": stored.number,
            "station_id": stored.station_id,
            "sign": f"{stored.station_id}/{event.event_id}/{'' if event.at is None else iso(event.at)}",
            "severity": stored.severity,
            "body": _text(event),
            "received_at": iso(stored.received_at),
        }
        connection.execute(insert(_events).values(row).on_conflict_do_nothing())

    def trim_events(self, connection: Connection, station_id: str) -> None:
        mine = _events.c.depot_id == self._depot_id
        newest = select(_events.c.number).where(mine).order_by(_events.c.number.desc())
        for where, most in (((mine, _events.c.station_id == station_id), STATION_EVENTS_KEPT), ((mine,), EVENTS_KEPT)):
            limit = connection.execute(newest.where(*where).offset(most).limit(1)).scalar()
            if limit is not None:
                connection.execute(delete(_events).where(*where, _events.c.number <= limit))

    def events(
        self, connection: Connection, *, station_id: str = "", severity: int | None = None, before: int | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        """Newest first. ``severity``: at least so severe (its number is at most this)."""
        query = select(_events).where(_events.c.depot_id == self._depot_id).order_by(_events.c.number.desc()).limit(limit)
        if station_id:
            query = query.where(_events.c.station_id == station_id)
        if severity is not None:
            query = query.where(_events.c.severity <= severity)
        if before is not None:
            query = query.where(_events.c.number < before)
        return [
            StoredEvent(r.number, r.station_id, r.severity, _read(r.body, ReportedEvent), datetime.fromisoformat(r.received_at))
            for r in connection.execute(query)
        ]

    def next_event(self, connection: Connection) -> int:
        return (connection.execute(select(func.max(_events.c.number)).where(_events.c.depot_id == self._depot_id)).scalar() or 0) + 1

    # -- within -----------------------------------------------------------------------------------------------------

    def _count(self, connection: Connection, station_id: str) -> int:
        mine = (_variables.c.depot_id == self._depot_id, _variables.c.station_id == station_id)
        found: int = connection.execute(select(func.count()).select_from(_variables).where(*mine)).scalar_one()
        return found

    @staticmethod
    def _upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], key: Sequence[str]) -> None:
        if not rows:
            return
        statement = insert(table)
        changes = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in key}
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changes), list(rows))


def _merged(before: StoredVariable | None, told: ReportedVariable) -> ReportedVariable:
    """A summary says less than a whole report: what it leaves out is still so."""
    if before is None:
        return told
    attributes = {one.type: one for one in before.told.attributes} | {one.type: one for one in told.attributes}
    return replace(told, attributes=tuple(attributes.values()), characteristics=told.characteristics or before.told.characteristics)


def _with(attributes: tuple[Attribute, ...], kind: str, value: str | None) -> tuple[Attribute, ...]:
    if all(one.type != kind for one in attributes):
        return (*attributes, Attribute(kind, value))
    return tuple(replace(one, value=value) if one.type == kind else one for one in attributes)


def _variable(row: Row[Any]) -> StoredVariable:
    characteristics = None if row.characteristics is None else _read(row.characteristics, Characteristics)
    told = ReportedVariable(_read(row.variable, Variable), _read(row.attributes, tuple[Attribute, ...]), characteristics)
    return StoredVariable(row.station_id, told, row.waiting, datetime.fromisoformat(row.read_at))


def _report(row: Row[Any]) -> StoredReport:
    return StoredReport(
        row.report_id, row.station_id, row.request_id, row.kind, row.asked_by, datetime.fromisoformat(row.asked_at),
        datetime.fromisoformat(row.heard_at), row.state, row.answer, frozenset(msgspec.json.decode(row.parts)), row.last, row.rows,
    )  # fmt: skip


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _read(text: str, kind: Any) -> Any:
    return msgspec.json.decode(text, type=kind)


def _plain(text: str) -> str:
    """Text in which nothing has a meaning for LIKE."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
