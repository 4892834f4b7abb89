"""What the journal knows of limits: who set, changed and lifted which, and who bound when. Read straight from its rows.

"Why was it 240 kW at 22:40?" is the newest fact of :class:`~depot.events.BindingLimitChanged` of that scope at or before 22:40.
Reading takes an index by type and is bounded; it is done in a thread, and never holds the journal's write lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Table, select

from controller.codec import EventCodec, iso
from controller.tables import EventRow
from depot import events as ev
from storage import Store

_events: Table = EventRow.__table__  # type: ignore[attr-defined]  # SQLModel does not declare it
_AT_ONCE: Final = 500

LOOKED_AT_MOST: Final = 20_000
"""Rows that one question may look at; a page that ends there says where to go on."""

BINDING: Final[tuple[type[ev.Event], ...]] = (ev.BindingLimitChanged, ev.BindingLimitEnded)
ORDERS: Final[tuple[type[ev.Event], ...]] = (
    ev.LimitSet, ev.LimitCleared, ev.LimitScheduleSet, ev.LimitScheduleRemoved, ev.DemandEventAnnounced, ev.DemandEventWithdrawn,
    ev.DemandEventMeasured, ev.LimitOverrideBegun, ev.LimitOverrideEnded,
)  # fmt: skip
KINDS: Final[Mapping[str, tuple[type[ev.Event], ...]]] = {"binding": BINDING, "orders": ORDERS}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One fact. ``seq``: its place in the journal."""

    seq: int
    at: datetime
    actor: str
    fact: ev.Event


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first. ``before``: give it to get the next one; None at the end."""

    found: Sequence[Recorded]
    before: int | None


def scope_of(fact: ev.Event) -> str | None:
    """The scope that a fact tells of; None for one that names none by itself."""
    match fact:
        case ev.BindingLimitChanged(bound):
            return bound.scope_id
        case ev.BindingLimitEnded(scope_id):
            return scope_id
        case ev.LimitSet(limit):
            return limit.scope_id
        case ev.LimitCleared(limit_id, _):
            return limit_id.removeprefix("manual:").partition("#")[0]
        case ev.LimitScheduleSet(schedule):
            return schedule.scope_id
        case ev.LimitOverrideBegun(override):
            return override.scope_id
        case ev.DemandEventAnnounced() | ev.DemandEventWithdrawn() | ev.DemandEventMeasured():
            return ""
    return None


class LimitRecords:
    """Of one depot. Every call blocks for a few milliseconds."""

    def __init__(self, store: Store, depot_id: str) -> None:
        self._store = store
        self._depot_id = depot_id
        self._codec = EventCodec()

    def page(self, kind: str, *, scope_id: str | None, before: int | None, most: int) -> Page:
        """Facts of a ``kind`` (:data:`KINDS`), of one scope or (None) of all, from before the place ``before`` on."""
        found: list[Recorded] = []
        for looked, recorded in enumerate(self._facts(KINDS[kind], before)):
            if looked == LOOKED_AT_MOST:
                return Page(found, recorded.seq + 1)
            if scope_id is None or scope_of(recorded.fact) in (scope_id, None):
                if len(found) == most:
                    return Page(found, found[-1].seq)
                found.append(recorded)
        return Page(found, None)

    def bound_at(self, scope_id: str, at: datetime) -> Recorded | None:
        """Who bound the scope at ``at``, as it was recorded; None: nobody that anybody recorded."""
        for looked, recorded in enumerate(self._facts(BINDING, None, until=at)):
            if scope_of(recorded.fact) == scope_id:
                return recorded if isinstance(recorded.fact, ev.BindingLimitChanged) else None
            if looked >= LOOKED_AT_MOST:
                break
        return None

    def _facts(self, kinds: Sequence[type[ev.Event]], before: int | None, *, until: datetime | None = None) -> Iterator[Recorded]:
        """Newest first, in batches: one that ends early has read little."""
        e = _events.c
        while True:
            query = select(e.seq, e.type, e.version, e.occurred_at, e.actor, e.data).where(
                e.depot_id == self._depot_id, e.type.in_([kind.TYPE for kind in kinds])
            )
            if before is not None:
                query = query.where(e.seq < before)
            if until is not None:
                query = query.where(e.occurred_at <= iso(until))
            with self._store.reading() as connection:
                rows = connection.execute(query.order_by(e.seq.desc()).limit(_AT_ONCE)).all()
            for row in rows:
                before = row.seq
                fact = self._codec.decode(row.type, row.version, row.data)
                yield Recorded(row.seq, datetime.fromisoformat(row.occurred_at), row.actor, fact)
            if len(rows) < _AT_ONCE:
                return
