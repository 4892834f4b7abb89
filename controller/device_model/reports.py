"""Reports that stations were asked for: their parts, joined by number, kept, and complete only when every part is stored.

    ask --> open --parts--> Writer --stored--> under way … complete
                 --nothing for PART_S--> incomplete (a late part goes on with it)     --refused--> rejected, empty

A part that nobody asked for is answered and forgotten. What is open survives a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from controller.device_model.store import REPORTS_KEPT, ModelStore, StoredReport
from controller.device_model.writer import Writer
from controller.yard import Yard
from depot.device_model import BaseReport, ReportPart
from depot.values import DepotError

log = logging.getLogger(__name__)

PART_S: Final = 60.0
"""So long a station may be silent between two parts, s of the world."""
FORGOTTEN: Final = timedelta(hours=1)
"""A report of which nothing is heard for so long is closed for good."""
MOST_PARTS: Final = 5_000
MOST_ROWS: Final = 20_000
"""Of one report; what comes beyond is not kept, and it is never complete."""
OPEN_AT_ONCE: Final = 8
"""Reports of one station that may be open."""
MONITORS: Final = "monitors"
CUSTOM_MONITORS: Final = "monitors, custom"
BY_HAND: Final = "a call by hand"
CUSTOM: Final = "custom"

ASKED, UNDER_WAY, COMPLETE, INCOMPLETE, REFUSED, EMPTY = "asked", "under_way", "complete", "incomplete", "refused", "empty"
OPEN = frozenset({ASKED, UNDER_WAY, INCOMPLETE})


def is_complete(report: StoredReport) -> bool:
    """Whether all parts from 0 to the last are stored."""
    return report.last is not None and report.parts == frozenset(range(report.last + 1))


class Reports:
    """All stations' reports. ``completed``: called with each one that is complete. ``speed``: depot seconds in one of the world,
    where a demonstration's clock runs fast."""

    def __init__(
        self, yard: Yard, store: ModelStore, writer: Writer, *, completed: Callable[[StoredReport], None], speed: float = 1.0
    ) -> None:
        self._silent_most = timedelta(seconds=PART_S * speed)
        self._yard = yard
        self._store = store
        self._writer = writer
        self._completed = completed
        self._open: dict[int, StoredReport] = {}
        self._next = int(yard.clock.now().timestamp()) & 0x3FFFFFFF
        self._unwritten: dict[int, StoredReport] = {}
        self.changed = asyncio.Event()
        """Set whenever a report has got further."""

    def restore(self, connection: Connection) -> None:
        """What an earlier process left open."""
        self._next = max(1, self._store.next_report_id(connection) or self._next)
        for report in self._store.reports(connection, limit=REPORTS_KEPT):
            if report.state in OPEN:
                report = self._store.with_parts(connection, report)
                self._open[report.report_id] = report
                self._judge(report)

    # -- asking -----------------------------------------------------------------------------------------------------

    def open(self, station_id: str, kind: str, asked_by: str, *, request_id: int | None = None) -> StoredReport:
        """A new report. ``request_id``: that of a call that a person made up. Raises :class:`~depot.values.DepotError` where the
        station has enough of them open, or one with this number."""
        mine = [report for report in self._open.values() if report.station_id == station_id and report.state != INCOMPLETE]
        if len(mine) >= OPEN_AT_ONCE:
            raise DepotError(f"{station_id} has {len(mine)} reports open; wait until one is complete")
        now = self._yard.clock.now()
        number, self._next = self._next, self._next % 0x7FFFFFFE + 1
        report = StoredReport(number, station_id, number if request_id is None else request_id, kind, asked_by, now, now, ASKED)
        self._open[number] = report
        self._keep(report)
        return report

    def check_free(self, station_id: str, request_id: int) -> None:
        """Raises :class:`~depot.values.DepotError` where this number stands for another report of the station that is open."""
        known = self.of(station_id, request_id)
        if known is not None and known.asked_by != BY_HAND and known.state != INCOMPLETE:
            raise DepotError(f"{station_id} is telling report {known.report_id} under the number {request_id}; choose another requestId")

    def answered(self, report_id: int, answer: str, *, accepted: bool, empty: bool = False) -> None:
        """What the station said when it was asked: its word, or how the call ended. The parts may all be here by then."""
        report = self._open.get(report_id)
        if report is None:
            return
        state = report.state if accepted else (EMPTY if empty else REFUSED)
        report = replace(report, answer=answer, state=state, heard_at=self._yard.clock.now())
        if state in OPEN:
            self._open[report_id] = report
        else:
            del self._open[report_id]
        self._keep(report)

    def of(self, station_id: str, request_id: int) -> StoredReport | None:
        """The newest open report of this number."""
        found = [r for r in self._open.values() if (r.station_id, r.request_id) == (station_id, request_id)]
        return max(found, key=lambda r: r.report_id, default=None)

    def by_hand(self, station_id: str, kind: str, request_id: int) -> None:
        """A person's call asks for a report under a number of his own; one that had it before is not told on. Where a report of
        ours has this number, it is that which is being asked for."""
        known = self.of(station_id, request_id)
        if known is not None and known.asked_by != BY_HAND and known.state != INCOMPLETE:
            return
        if known is not None:
            del self._open[known.report_id]
            self._keep(replace(known, state=INCOMPLETE))
        with contextlib.suppress(DepotError):  # too many are open: its parts are answered and forgotten
            self.open(station_id, kind, BY_HAND, request_id=request_id)

    # -- parts ------------------------------------------------------------------------------------------------------

    async def take(self, station_id: str, part: ReportPart) -> None:
        """A part has come."""
        report = self.of(station_id, part.request_id)
        if report is None:
            log.debug("station %s tells a report %d that nobody asked for", station_id, part.request_id)
            return
        await self._writer.room()
        report = self._open.get(report.report_id, report)
        now = self._yard.clock.now()
        of_monitors = report.kind in (MONITORS, CUSTOM_MONITORS)
        rows = part.monitors if of_monitors else part.variables
        report = replace(report, heard_at=now, state=UNDER_WAY, last=part.seq_no if part.last else report.last)
        self._open[report.report_id] = report
        if part.seq_no in report.parts or len(report.parts) >= MOST_PARTS or report.rows + len(rows) > MOST_ROWS:
            return
        number, store = report.report_id, self._store

        def written(stored: bool) -> None:
            if stored:
                self._stored(number, part.seq_no, len(rows))

        def work(connection: Connection) -> None:
            store.put_part(connection, number, part.seq_no, rows, last=part.last)
            if of_monitors:
                store.put_monitors(connection, station_id, part.monitors, now)
            else:
                store.put_variables(connection, station_id, part.variables, now)

        self._writer.put(work, rows=len(rows) + 1, written=written)

    def _stored(self, report_id: int, seq_no: int, rows: int) -> None:
        report = self._open.get(report_id)
        if report is None or seq_no in report.parts:
            return
        self._judge(replace(report, parts=report.parts | {seq_no}, rows=report.rows + rows, state=UNDER_WAY))

    def _judge(self, report: StoredReport) -> None:
        """Say how far it is by the parts that are stored."""
        if is_complete(report):
            report = replace(report, state=COMPLETE)
            del self._open[report.report_id]
            self._completed(report)
        else:
            self._open[report.report_id] = report
        self._keep(report)

    def look(self, now: datetime) -> None:
        """Say of those that nobody tells any more that they are incomplete; forget the oldest."""
        for number, report in list(self._open.items()):
            silent = now - report.heard_at
            if silent > FORGOTTEN:
                del self._open[number]
            if silent > self._silent_most and report.state != INCOMPLETE:
                report = replace(report, state=INCOMPLETE)
                if number in self._open:
                    self._open[number] = report
                self._keep(report)

    def waiting(self, station_id: str) -> StoredReport | None:
        """A whole report of this station that is being told now."""
        kinds = (BaseReport.FULL.value, BaseReport.CONFIGURATION.value)
        found = [r for r in self._open.values() if r.station_id == station_id and r.kind in kinds and r.state != INCOMPLETE]
        return found[-1] if found else None

    @property
    def under_way(self) -> int:
        """How many are being told now."""
        return sum(report.state != INCOMPLETE for report in self._open.values())

    def _keep(self, report: StoredReport) -> None:
        """Write how far it got; what has changed again by then is written once."""
        waits = report.report_id in self._unwritten
        self._unwritten[report.report_id] = report
        self.changed.set()
        if not waits:
            self._writer.put(lambda connection: self._write(connection, report.report_id))

    def _write(self, connection: Connection, report_id: int) -> None:
        report = self._unwritten.pop(report_id, None)
        if report is not None:
            self._store.put_report(connection, report)
