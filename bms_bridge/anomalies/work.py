"""Work orders: what is to be done on a pack, opened and ended by people, each step with its actor and reason.

    open() --> open --end()--> fixed | nothing_found | something_else | dropped
                ^--reopen()--'                                          steps are added only, each with a hash over the one before

One order for each trouble: a second one for the same key is not opened while the first is open. What was found at the ends of orders
that alerts had made is what is known of how often alerts are right (:func:`findings`). Times are aware UTC.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from bms_bridge.anomalies import WorkRefused
from bms_bridge.anomalies.outcomes import Finding
from storage import Store

MOST_REASON: Final = 200
MOST_PACK: Final = 130
MOST_DUE_D: Final = 730


class Ending(StrEnum):
    """What was found. ``FIXED``: what the alert had said; ``NOTHING_FOUND``: it was a false alarm; ``SOMETHING_ELSE``: another trouble;
    ``DROPPED``: nobody looked."""

    FIXED = "fixed"
    NOTHING_FOUND = "nothing_found"
    SOMETHING_ELSE = "something_else"
    DROPPED = "dropped"


BY_HAND: Final = "by_hand"
"""The kind of an order that no alert had made."""

MOST_WHAT: Final = 300
OPENED: Final = "opened"
REOPENED: Final = "reopened"


@dataclass(frozen=True, slots=True)
class Step:
    """``what``: opened, reopened, or the ending."""

    at: str
    actor: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """``key``: of the alert; ``due``: a date; ``cause``, ``advice``: sentences as they were when it was
    opened; ``state``: open or the ending."""

    number: int
    key: str
    pack: str
    kind: str
    due: str
    cause: str
    advice: str
    state: str
    steps: tuple[Step, ...] = ()


def findings(orders: Iterable[WorkOrder]) -> list[Finding]:
    """By kind of alert, in the order of their names; of orders by hand, of open and of dropped ones nothing is known."""
    counts: dict[str, Counter[str]] = {}
    for order in orders:
        if order.kind != BY_HAND and order.state in _LOOKED:
            counts.setdefault(order.kind, Counter())[order.state] += 1
    return [
        Finding(kind, count[Ending.FIXED.value], count[Ending.NOTHING_FOUND.value], count[Ending.SOMETHING_ELSE.value])
        for kind, count in sorted(counts.items())
    ]


_LOOKED: Final = frozenset({Ending.FIXED.value, Ending.NOTHING_FOUND.value, Ending.SOMETHING_ELSE.value})


class WorkBook:
    """The depot's work orders in a database of their own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, made: bool = False) -> Iterator[WorkBook]:
        """The book at ``path``, made where there is none. ``made``: it is known to be there as this version has it. Raises
        :class:`storage.StorageError`."""
        from bms_bridge import anomalies

        with Store.open(path) as store:
            if not made:
                store.migrate([sys.modules[anomalies.__name__]])
            yield cls(store)

    def open(
        self, *, key: str, pack: str, kind: str, due: str, cause: str, advice: str, actor: str, reason: str, now: datetime
    ) -> tuple[WorkOrder, bool]:
        """A new order, or the one that is open for this key; and whether it is new. WorkRefused: no reason."""
        reason = _reason(reason)
        with self._store.writing() as sql:
            known = sql.execute(text("SELECT number FROM work_order WHERE key = :key AND state = 'open'"), {"key": key}).scalar()
            if known is not None:
                return self._read(sql, "WHERE number = :number", {"number": known})[0], False
            row = {"key": key, "pack": pack, "kind": kind, "due": due, "cause": cause, "advice": advice}
            number = _insert(sql, row)
            _step(sql, number, now, actor, OPENED, reason)
            return self._read(sql, "WHERE number = :number", {"number": number})[0], True

    def by_hand(self, *, pack: str, what: str, due: str, actor: str, reason: str, now: datetime) -> WorkOrder:
        """A new order that no alert had made. ``pack``: VEHICLE/PACK; ``due``: a date, today or later. WorkRefused: one of them cannot be,
        or there is no reason."""
        reason, what = _reason(reason), " ".join(what.split())
        vehicle, _, name = pack.partition("/")
        if not vehicle or not name or "/" in name or len(pack) > MOST_PACK or not pack.isprintable():
            raise WorkRefused(f"{pack[:80]!r} is no pack: write VEHICLE/PACK, for example E-131/P1")
        if not 0 < len(what) <= MOST_WHAT:
            raise WorkRefused(f"say what is to be done, in at most {MOST_WHAT} characters")
        try:
            day = date.fromisoformat(due)
        except ValueError:
            raise WorkRefused(f"{due[:40]!r} is no date: write for example {now.date().isoformat()}") from None
        if not timedelta(days=-1) <= day - now.date() <= timedelta(days=MOST_DUE_D):
            raise WorkRefused(f"the day {day.isoformat()} lies in the past or more than {MOST_DUE_D} days ahead")
        with self._store.writing() as sql:
            next_number = int(sql.execute(text("SELECT coalesce(max(number), 0) + 1 FROM work_order")).scalar_one())
            key = f"{pack}/{BY_HAND}/{next_number}"
            row = {"key": key, "pack": pack, "kind": BY_HAND, "due": day.isoformat(), "cause": what, "advice": ""}
            found = _insert(sql, row)
            _step(sql, found, now, actor, OPENED, reason)
            return self._read(sql, "WHERE number = :number", {"number": found})[0]

    def reopen(self, number: int, *, actor: str, reason: str, now: datetime) -> WorkOrder:
        """The order, open again: its end was a mistake. WorkRefused: not there, not ended, its alert has another open order, no reason."""
        reason = _reason(reason)
        with self._store.writing() as sql:
            row = sql.execute(text("SELECT state, key FROM work_order WHERE number = :number"), {"number": number}).first()
            if row is None:
                raise WorkRefused(f"there is no work order {number}")
            if row[0] == "open":
                raise WorkRefused(f"work order {number} is open")
            other = sql.execute(text("SELECT number FROM work_order WHERE key = :key AND state = 'open'"), {"key": row[1]}).scalar()
            if other is not None:
                raise WorkRefused(f"work order {other} is open for the same alert: end that one")
            sql.execute(text("UPDATE work_order SET state = 'open' WHERE number = :number"), {"number": number})
            _step(sql, number, now, actor, REOPENED, reason)
            return self._read(sql, "WHERE number = :number", {"number": number})[0]

    def end(self, number: int, ending: Ending, *, actor: str, reason: str, now: datetime) -> WorkOrder:
        """The order, ended. WorkRefused: not there, ended before, or no reason."""
        reason = _reason(reason)
        with self._store.writing() as sql:
            state = sql.execute(text("SELECT state FROM work_order WHERE number = :number"), {"number": number}).scalar()
            if state is None:
                raise WorkRefused(f"there is no work order {number}")
            if state != "open":
                raise WorkRefused(f"work order {number} is ended already: {str(state).replace('_', ' ')}")
            sql.execute(text("UPDATE work_order SET state = :state WHERE number = :number"), {"state": ending.value, "number": number})
            _step(sql, number, now, actor, ending.value, reason)
            return self._read(sql, "WHERE number = :number", {"number": number})[0]

    def orders(self, *, ended: bool = False) -> list[WorkOrder]:
        """Open orders by the day on which they are due; with ``ended`` all, the newest first."""
        with self._store.reading() as sql:
            return self._read(sql, "ORDER BY number DESC" if ended else "WHERE state = 'open' ORDER BY due, number", {})

    def keep_alerts(self, rows: Sequence[tuple[str, str]], *, packs: int, now: datetime) -> None:
        """What a look found, in the place of what the one before had: (key, JSON), the most urgent first."""
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._store.writing() as sql:
            sql.execute(text("DELETE FROM pack_alert"))
            sql.execute(text("DELETE FROM pack_look"))
            sql.execute(text("INSERT INTO pack_look (looked_at, packs) VALUES (:at, :packs)"), {"at": at, "packs": packs})
            for place, (key, row) in enumerate(rows):
                values = {"place": place, "key": key, "at": at, "row": row}
                sql.execute(text("INSERT INTO pack_alert (place, key, looked_at, row) VALUES (:place, :key, :at, :row)"), values)

    def alerts(self) -> tuple[datetime | None, int, list[str]]:
        """When the last look was (None: never), how many packs it saw, and its alerts as JSON."""
        with self._store.reading() as sql:
            look = sql.execute(text("SELECT looked_at, packs FROM pack_look")).first()
            rows = [str(row) for (row,) in sql.execute(text("SELECT row FROM pack_alert ORDER BY place"))]
        return (None, 0, []) if look is None else (datetime.fromisoformat(look[0]), int(look[1]), rows)

    def intact(self) -> bool:
        """Whether no step was changed, and every order is in the state that its steps say."""
        before = ""
        with self._store.reading() as sql:
            for number, at, actor, what, reason, digest in sql.execute(
                text("SELECT number, at, actor, what, reason, digest FROM work_step ORDER BY step")
            ):
                before = _digest(before, int(number), at, actor, what, reason)
                if digest != before:
                    return False
            orders = self._read(sql, "", {})
        return all(order.steps and (order.steps[-1].what in (OPENED, REOPENED)) == (order.state == "open") for order in orders)

    def _read(self, sql: Connection, where: str, values: dict[str, Any]) -> list[WorkOrder]:
        found = []
        for row in sql.execute(text(f"SELECT number, key, pack, kind, due, cause, advice, state FROM work_order {where}"), values):  # noqa: S608
            steps = sql.execute(
                text("SELECT at, actor, what, reason FROM work_step WHERE number = :number ORDER BY step"), {"number": row[0]}
            )
            number, key, pack, kind, due, cause, advice, state = row
            told = tuple(Step(*step) for step in steps)
            found.append(WorkOrder(int(number), key, pack, kind, due, cause, advice, state, told))
        return found


def _insert(sql: Connection, row: dict[str, str]) -> int:
    columns = "key, pack, kind, due, cause, advice, state"
    values = ":key, :pack, :kind, :due, :cause, :advice, 'open'"
    return int(sql.execute(text(f"INSERT INTO work_order ({columns}) VALUES ({values}) RETURNING number"), row).scalar_one())  # noqa: S608


def _step(sql: Connection, number: int, now: datetime, actor: str, what: str, reason: str) -> None:
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    before = sql.execute(text("SELECT digest FROM work_step ORDER BY step DESC LIMIT 1")).scalar() or ""
    row = {"number": number, "at": at, "actor": actor, "what": what, "reason": reason}
    sql.execute(
        text("INSERT INTO work_step (number, at, actor, what, reason, digest) VALUES (:number, :at, :actor, :what, :reason, :digest)"),
        row | {"digest": _digest(str(before), number, at, actor, what, reason)},
    )


def _digest(before: str, number: int, *words: str) -> str:
    return hashlib.sha256("\0".join((before, str(number), *words)).encode("utf-8", "surrogatepass")).hexdigest()


def _reason(reason: str) -> str:
    found = " ".join(reason.split())
    if not 0 < len(found) <= MOST_REASON:
        raise WorkRefused(f"a reason is needed, at most {MOST_REASON} characters: it stands with the order")
    return found
