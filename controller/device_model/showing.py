"""The views of device models: read from their database in a thread, a page at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from controller.device_model.asking import Asking
from controller.device_model.reports import CUSTOM_MONITORS, MONITORS
from controller.device_model.store import ModelStore, Search
from controller.device_model.views import (
    ComponentRow,
    DeviceModelView,
    DriftRow,
    DriftView,
    EventsView,
    MonitorRow,
    MonitorsView,
    ReportDetail,
    ReportsView,
    StationDrift,
    VariableResult,
    VariableResults,
    VariableRow,
    VariablesView,
    WantedRow,
    WantedView,
    drift_row,
    event_row,
    monitor_row,
    named,
    report_view,
    told_row,
    variable_row,
)
from controller.device_model.wanting import Wanting
from controller.device_model.writer import Writer
from controller.raw_calls import ASK_S, RawCalls
from controller.room import Viewer
from controller.yard import Yard
from depot.device_model import Monitor, ReportedVariable, Variable
from depot.values import DepotError
from depot.wanted import Standing
from ocpp_server.version import Version

PAGE = 100
PAGE_MOST = 1000
_OF_MONITORS = (MONITORS, CUSTOM_MONITORS)


class Shown:
    """``unlisted``: events that came too fast to be kept, by station."""

    def __init__(
        self, yard: Yard, calls: RawCalls, store: ModelStore, writer: Writer, asking: Asking, wanting: Wanting, unlisted: Counter[str]
    ) -> None:
        self._yard = yard
        self._calls = calls
        self._store = store
        self._writer = writer
        self._asking = asking
        self._wanting = wanting
        self._unlisted = unlisted
        self.views: Mapping[type[Struct], Viewer] = {
            VariablesView: self._variables,
            VariableResults: self._read_now,
            ReportsView: self._reports,
            ReportDetail: self._report,
            MonitorsView: self._monitors,
            EventsView: self._events,
            DriftView: self._drift,
            WantedView: self._wanted,
            DeviceModelView: self._device_model,
        }

    # -- variables --------------------------------------------------------------------------------------------------

    async def _variables(self, args: Mapping[str, str]) -> VariablesView | None:
        """``station_id``, ``component``, ``variable``: parts of names; ``text``: in name or value; ``cursor``, ``limit``."""
        if not self._known(args):
            return None
        search, offset, limit = _search(args), _number(args, "cursor"), min(PAGE_MOST, _number(args, "limit", PAGE))

        def look(connection: Connection) -> tuple[int, list[VariableRow]]:
            total, found = self._store.page(connection, search, offset=offset, limit=limit)
            watched = self._watched(connection, search.station_id)
            return total, [variable_row(row, watched) for row in found]

        total, rows = await self._writer.read(look)
        further = offset + len(rows)
        return VariablesView(
            at=self._yard.clock.now(), total=total, variables=rows, next_cursor=str(further) if rows and further < total else None
        )

    async def _read_now(self, args: Mapping[str, str]) -> VariableResults | None:
        """``wanted``: JSON list of [variable, attribute], asked of the station now."""
        if not self._known(args):
            return None
        wanted = msgspec.json.decode(args.get("wanted", "[]"), type=list[tuple[Variable, str]])
        try:
            async with asyncio.timeout(ASK_S):
                found = await self._asking.get(args["station_id"], wanted)
        except TimeoutError:
            late = {"status": "", "reason": "", "outcome": "timeout", "value": None}
            found = [named(variable) | {"attribute": attribute} | late for variable, attribute in wanted]
        results = [msgspec.convert(row, VariableResult) for row in found]
        return VariableResults(station_id=args["station_id"], at=self._yard.clock.now(), results=results)

    # -- reports, monitors, events ----------------------------------------------------------------------------------

    async def _reports(self, args: Mapping[str, str]) -> ReportsView | None:
        if not self._known(args):
            return None
        station_id, limit = args.get("station_id", ""), min(PAGE_MOST, _number(args, "limit", PAGE))
        found = await self._writer.read(lambda connection: self._store.reports(connection, station_id=station_id, limit=limit))
        return ReportsView(at=self._yard.clock.now(), reports=[report_view(report) for report in found])

    async def _report(self, args: Mapping[str, str]) -> ReportDetail | None:
        """``report_id``, ``cursor``, ``limit``; None: there is none of this number."""
        number, offset, limit = _number(args, "report_id"), _number(args, "cursor"), min(PAGE_MOST, _number(args, "limit", PAGE))

        def look(connection: Connection) -> ReportDetail | None:
            report = next(iter(self._store.reports(connection, report_id=number)), None)
            if report is None:
                return None
            variables: list[VariableRow] = []
            monitors: list[MonitorRow] = []
            if report.kind in _OF_MONITORS:
                total, told = self._store.part_rows(connection, number, Monitor, offset=offset, limit=limit)
                monitors = [monitor_row(report.station_id, one, None) for one in told]
            else:
                total, rows = self._store.part_rows(connection, number, ReportedVariable, offset=offset, limit=limit)
                variables = [told_row(report.station_id, one) for one in rows]
            further = offset + limit
            return ReportDetail(
                report=report_view(report), kept=total > 0 or report.rows == 0, variables=variables, monitors=monitors,
                next_cursor=str(further) if further < total else None,
            )  # fmt: skip

        return await self._writer.read(look)

    async def _monitors(self, args: Mapping[str, str]) -> MonitorsView | None:
        if not self._known(args):
            return None
        found = await self._writer.read(lambda connection: self._store.monitors(connection, args.get("station_id", "")))
        return MonitorsView(at=self._yard.clock.now(), monitors=[monitor_row(*row) for row in found])

    async def _events(self, args: Mapping[str, str]) -> EventsView | None:
        """``station_id``; ``severity``: at least so severe; ``cursor``, ``limit``."""
        if not self._known(args):
            return None
        station_id, limit = args.get("station_id", ""), min(PAGE_MOST, _number(args, "limit", PAGE))
        severity = _number(args, "severity") if args.get("severity") else None
        before = _number(args, "cursor") if args.get("cursor") else None
        found = await self._writer.read(
            lambda connection: self._store.events(connection, station_id=station_id, severity=severity, before=before, limit=limit)
        )
        unlisted = {name: count for name, count in self._unlisted.items() if station_id in ("", name)}
        more = str(found[-1].number) if len(found) == limit else None
        return EventsView(at=self._yard.clock.now(), events=[event_row(row) for row in found], unlisted=unlisted, next_cursor=more)

    # -- drift ------------------------------------------------------------------------------------------------------

    async def _drift(self, args: Mapping[str, str]) -> DriftView | None:
        """``station_id``: only of this one; ``all``: every wish, not only what is not as wanted."""
        if not self._known(args):
            return None
        wanted = args.get("station_id", "")

        def look(connection: Connection) -> tuple[list[StationDrift], list[DriftRow]]:
            machines, counts = self._store.machines(connection), self._store.counts(connection)
            here = [name for name in sorted(self._yard.stations) if wanted in ("", name)]
            stations = [name for name in here if counts.get(name) or self._calls.version(name) is not Version.V16]
            summaries, rows = [], []
            for station_id, found in self._wanting.drift(connection, stations).items():
                standing = Counter(one.standing for one in found)
                summaries.append(
                    StationDrift(
                        station_id=station_id, machine=self._wanting.machine(station_id), told_at=machines.get(station_id, ("", None))[1],
                        variables=counts.get(station_id, 0), wanted=len(found), differs=standing[Standing.DIFFERS],
                        missing=standing[Standing.MISSING], waiting=standing[Standing.WAITING],
                    )
                )  # fmt: skip
                shown = found if args.get("all") else [one for one in found if one.standing is not Standing.SAME]
                rows += [drift_row(station_id, one) for one in shown]
            return summaries, rows

        summaries, rows = await self._writer.read(look)
        return DriftView(at=self._yard.clock.now(), stations=summaries, drift=rows)

    async def _wanted(self, args: Mapping[str, str]) -> WantedView:
        """Without ``needs`` only what people want."""
        rows = [
            WantedRow(**named(one.variable), scope=scope, name=name, label=str(one.variable), value=one.value)  # type: ignore[arg-type]
            for key, values in sorted(self._wanting.wanted.items())
            for scope, _, name in (key.partition(":"),)
            for one in values.values()
        ]
        own = [
            WantedRow(**named(variable), scope="controller", name="", label=str(variable), value=value)  # type: ignore[arg-type]
            for variable, value in self._wanting.needs.items()
        ]
        return WantedView(at=self._yard.clock.now(), wanted=own + rows)

    # -- the page ---------------------------------------------------------------------------------------------------

    async def _device_model(self, args: Mapping[str, str]) -> DeviceModelView | None:
        """A station's page: ``component``, ``variable``, ``text``, ``offset``, ``limit`` as for variables."""
        station_id = args.get("station_id", "")
        if not station_id or not self._calls.knows(station_id):
            return None
        search, offset, limit = _search(args), _number(args, "offset"), min(PAGE_MOST, _number(args, "limit", PAGE))
        version = self._calls.version(station_id)

        def look(connection: Connection) -> dict[str, Any]:
            watched = self._watched(connection, station_id)
            total, found = self._store.page(connection, search, offset=offset, limit=limit)
            machine, told_at = self._store.machines(connection).get(station_id, ("", None))
            wishes = self._wanting.drift(connection, [station_id])[station_id]
            reports = self._store.reports(connection, station_id=station_id, limit=1)
            return {
                "machine": machine,
                "told_at": told_at,
                "total": total,
                "shown": [variable_row(row, watched) for row in found],
                "components": [ComponentRow(component=name, variables=n) for name, n in self._store.components(connection, station_id)],
                "drift": [drift_row(station_id, one) for one in wishes if one.standing is not Standing.SAME],
                "wanted": len(wishes),
                "monitors": [monitor_row(*row) for row in self._store.monitors(connection, station_id)[:200]],
                "events": [event_row(row) for row in self._store.events(connection, station_id=station_id, limit=20)],
                "report": report_view(reports[0]) if reports else None,
            }

        return DeviceModelView(
            at=self._yard.clock.now(), station_id=station_id, version=version.value, offset=offset, **await self._writer.read(look)
        )

    # -- within -----------------------------------------------------------------------------------------------------

    def _known(self, args: Mapping[str, str]) -> bool:
        return not args.get("station_id") or self._calls.knows(args["station_id"])

    def _watched(self, connection: Connection, station_id: str) -> Counter[tuple[str, str]]:
        return Counter((name, monitor.variable.key) for name, monitor, _ in self._store.monitors(connection, station_id))


def _search(args: Mapping[str, str]) -> Search:
    return Search(args.get("station_id", ""), args.get("component", ""), args.get("variable", ""), args.get("text", ""))


def _number(args: Mapping[str, str], name: str, otherwise: int = 0) -> int:
    try:
        number = int(args.get(name) or otherwise)
    except ValueError:
        number = -1
    if not 0 <= number < 2**62:
        raise DepotError(f"{name} is a number")
    return number
