"""The people's audit trail: sign-ins, failed ones, and every change of accounts and tokens, chained like the depot's.

It lies in the people's database, each entry in the transaction of what it tells of. Nothing that somebody typed wrongly
is kept: a name without an account may be a password in the wrong field. Failed tries come from anybody who reaches the
port, so at most :data:`FAILURES_AN_HOUR` of them are listed; the limits of tries go on as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, func, insert, select
from sqlmodel import Session

from controller.audit import GENESIS, Checked, Entry, Stored, entry_hash
from depot.ports import Clock
from storage import Store
from web.tables import TrailRow, table_of

FAILURES_AN_HOUR: Final = 200
FAILED: Final = "failed"
NOBODY: Final = "(no such account)"
_TRAIL = table_of(TrailRow)


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Entries newest first. ``before``: give it to get the next page; None at the end."""

    entries: Sequence[Entry]
    before: int | None


class Trail:
    """The trail of one depot's people."""

    def __init__(self, store: Store, clock: Clock, depot_id: str) -> None:
        self._store, self._clock, self._depot_id = store, clock, depot_id

    def add(self, session: Session, actor: str, kind: str, *, target: str = "", reason: str = "", outcome: str = "done") -> None:
        """One entry in this unit of work."""
        mine = _TRAIL.c.depot_id == self._depot_id
        newest = session.execute(select(_TRAIL.c.seq, _TRAIL.c.hash).where(mine).order_by(_TRAIL.c.seq.desc()).limit(1)).first()
        seq, prev = (1, GENESIS) if newest is None else (newest.seq + 1, newest.hash)
        at_ms = round(self._clock.now().timestamp() * 1000)
        columns: Stored = (self._depot_id, seq, at_ms, actor, kind, target, reason, outcome)
        values = dict(zip(_TRAIL.columns.keys(), (*columns, prev, entry_hash(prev, columns, ())), strict=True))
        session.execute(insert(_TRAIL).values(**values))

    def failed(self, session: Session, actor: str, kind: str, *, reason: str) -> None:
        """A try that failed; beyond so many an hour only once that there were more."""
        since_ms = round(self._clock.now().timestamp() * 1000) - 3_600_000
        mine = (_TRAIL.c.depot_id == self._depot_id, _TRAIL.c.at_ms > since_ms, _TRAIL.c.outcome == FAILED)
        count = session.execute(select(func.count()).select_from(_TRAIL).where(*mine)).scalar_one()
        if count < FAILURES_AN_HOUR:
            self.add(session, actor, kind, reason=reason, outcome=FAILED)
        elif count == FAILURES_AN_HOUR:
            self.add(session, NOBODY, kind, reason="more failed tries within this hour are not listed", outcome=FAILED)

    def page(
        self, *, before: int | None = None, actor: str = "", kind: str = "", since: datetime | None = None, limit: int = 50
    ) -> TrailPage:
        """Entries older than number ``before``, newest first."""
        query = select(_TRAIL).where(_TRAIL.c.depot_id == self._depot_id)
        if before is not None:
            query = query.where(_TRAIL.c.seq < before)
        if actor:
            query = query.where(_TRAIL.c.actor == actor)
        if kind:
            query = query.where(_TRAIL.c.kind == kind)
        if since is not None:
            query = query.where(_TRAIL.c.at_ms >= since.timestamp() * 1000)
        with self._store.reading() as connection:
            rows = connection.execute(query.order_by(_TRAIL.c.seq.desc()).limit(limit + 1)).all()
        return TrailPage([_entry(row) for row in rows[:limit]], rows[limit - 1].seq if len(rows) > limit else None)

    def verify(self) -> Checked:
        """Hash every entry again; the first that differs is named."""
        seq, last = 0, GENESIS
        with self._store.reading() as connection:
            for row in connection.execute(select(_TRAIL).where(_TRAIL.c.depot_id == self._depot_id).order_by(_TRAIL.c.seq)):
                columns = tuple(row)
                if row.seq != seq + 1:
                    return Checked(seq, last, complaint=f"entry {seq + 1} is missing from the people's trail (the next is {row.seq})")
                if row.prev != last or entry_hash(last, columns[:-2], ()) != row.hash:
                    return Checked(seq, last, complaint=f"entry {row.seq} of the people's trail was changed after it was written")
                seq, last = row.seq, row.hash
        return Checked(seq, last, whole=True)


def _entry(row: Row[Any]) -> Entry:
    at = datetime.fromtimestamp(row.at_ms / 1000, UTC)
    return Entry(0, at, row.actor, row.kind, row.target, row.reason, row.outcome, seq=row.seq)
