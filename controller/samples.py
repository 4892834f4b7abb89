"""Chart minutes on disk: best effort, bounded. Lost samples are gaps in a chart, never in a fact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects.sqlite import insert

from controller.history import Minute
from controller.journal import Job
from controller.tables import SampleRow
from storage import Store

KEEP = timedelta(days=8)

_samples: Table = SampleRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it


class Besides(Protocol):
    """Who has a moment to write: :meth:`controller.journal.SqlJournal.beside`."""

    def beside(self, job: Job) -> bool: ...


class SampleStore:
    """Minutes of one depot. :meth:`put` never blocks: the journal's writer stores it when it has time."""

    def __init__(self, store: Store, depot_id: str, journal: Besides) -> None:
        self._store = store
        self._depot_id = depot_id
        self._journal = journal

    def put(self, minute: Minute) -> bool:
        """Keep a minute, and forget those older than eight days. False: dropped (the journal is frozen or behind)."""
        number = _number(minute.at)
        values = {"site_w": minute.site_w, "limit_w": minute.limit_w, "plan_w": minute.plan_w, "background_w": minute.background_w}
        oldest = number - int(KEEP / timedelta(minutes=1))

        def write(connection: Connection) -> None:
            row = insert(_samples).values(depot_id=self._depot_id, minute=number, **values)
            connection.execute(row.on_conflict_do_update(index_elements=["depot_id", "minute"], set_=values))
            connection.execute(delete(_samples).where(_samples.c.depot_id == self._depot_id, _samples.c.minute < oldest))

        return self._journal.beside(write)

    def since(self, at: datetime) -> list[Minute]:
        """Stored minutes from ``at`` on, oldest first."""
        query = select(_samples).where(_samples.c.depot_id == self._depot_id, _samples.c.minute >= _number(at)).order_by(_samples.c.minute)
        with self._store.reading() as connection:
            return [
                Minute(datetime.fromtimestamp(row.minute * 60, UTC), row.site_w, row.limit_w, row.plan_w, row.background_w)
                for row in connection.execute(query)
            ]


def _number(at: datetime) -> int:
    return int(at.timestamp() // 60)
