"""Reminders of money that is in arrears: when each is due (pure), and the list that the worker hands over.

    arrears --plan()--> reminders, one row each --hand over--> the depot's messenger (an address that takes JSON), or nobody

A reminder is made once and handed over until it was taken. Without an address it stands in the driver's status and on the
page only. It names no phone number: the messenger knows the driver by the depot's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select

from payments.reasons import Reason, advice
from payments.records import Books
from payments.rules import Rules
from payments.states import Stage
from payments.tables import BillRow, CollectionRow, ReminderRow, ShareRow
from payments.times import from_ms, maybe_from_ms, to_ms

__all__ = ["DUNNING_DAYS", "Arrears", "Reminder", "arrears_of", "bills_in_arrears", "due_numbers", "note_reminders", "to_send"]

DUNNING_DAYS = Rules().reminder_days
"""Days after the bill came into arrears; the last one says so."""

_TRY_AGAIN = timedelta(minutes=10)
_MOST_TRIES = 50
_PAY = "pay at the depot, or set up a new mandate"


@dataclass(frozen=True, slots=True)
class Reminder:
    """A word to a driver. ``last``: no other follows; ``what_to_do``: in words."""

    driver_id: str
    session_id: str
    invoice_no: str
    number: int
    last: bool
    owed_paise: int
    what_to_do: str
    due_at: datetime
    sent_at: datetime | None


def due_numbers(since: datetime, now: datetime, *, days: Sequence[int] = DUNNING_DAYS) -> list[int]:
    """Which reminders (1, 2, …) are due for a bill in arrears since then."""
    return [number for number, after in enumerate(days, 1) if now >= since + timedelta(days=after)]


def note_reminders(books: Books, now: datetime, *, days: Sequence[int] = DUNNING_DAYS) -> int:
    """Make the reminders that are due, in the caller's unit of work; the number. A bill whose earlier ones were missed (the depot
    was off) gets the latest only. A bill that is seen in arrears for the first time is noted as number 0, which is handed to
    nobody: from then on the days count."""
    made = 0
    for bill in bills_in_arrears(books):
        known = {row.number: row for row in _rows(books, [bill.bill_id])}
        if not known:
            books.session.add(_row(books, bill, 0, now))
        since = from_ms(known[min(known)].due_ms) if known else now
        wanted = max(due_numbers(since, now, days=days), default=0)
        if wanted > max(known, default=0):
            books.session.add(_row(books, bill, wanted, now))
            made += 1
    return made


def to_send(books: Books, now: datetime, *, most: int = 20, days: Sequence[int] = DUNNING_DAYS) -> list[Reminder]:
    """What is to be handed over now: the latest of each bill that is in arrears still, not taken yet, tried not too lately."""
    latest = {row.bill_id: row for row in _rows(books, [bill.bill_id for bill in bills_in_arrears(books)])}
    ready = [
        row
        for row in latest.values()
        if row.number > 0 and row.sent_ms is None and row.tries < _MOST_TRIES and now >= from_ms(row.due_ms) + row.tries * _TRY_AGAIN
    ]
    return [_reminder(books, row, days) for row in sorted(ready, key=lambda row: (row.due_ms, row.bill_id))[:most]]


@dataclass(frozen=True, slots=True)
class Arrears:
    """A bill that waits for a person or the driver. ``since``: noted; None: not yet. ``reminders``: made so far, ``taken``: of those
    by the messenger. ``next_at``: of the next reminder, None: there is none."""

    session_id: str
    driver_id: str
    invoice_no: str
    owed_paise: int
    reason: Reason | None
    since: datetime | None
    reminders: int
    taken: int
    next_at: datetime | None

    @property
    def what_to_do(self) -> str:
        """In words."""
        return advice(self.reason) if self.reason is not None else _PAY


def arrears_of(books: Books, *, days: Sequence[int] = DUNNING_DAYS, driver_id: str = "", most: int = 500) -> list[Arrears]:
    """Bills in arrears (of one driver), oldest first."""
    bills = [bill for bill in bills_in_arrears(books) if not driver_id or bill.driver_id == driver_id][:most]
    rows = _rows(books, [bill.bill_id for bill in bills])
    found = []
    for bill in bills:
        mine = [row for row in rows if row.bill_id == bill.bill_id]
        since = from_ms(mine[0].due_ms) if mine else None
        last = mine[-1].number if mine else 0
        found.append(
            Arrears(
                session_id=bill.bill_id,
                driver_id=bill.driver_id,
                invoice_no=bill.invoice_no or "",
                owed_paise=books.owed_paise(bill),
                reason=_reason(books, bill),
                since=since,
                reminders=sum(row.number > 0 for row in mine),
                taken=sum(row.sent_ms is not None for row in mine),
                next_at=since + timedelta(days=days[last]) if since is not None and last < len(days) else None,
            )
        )
    return found


def _rows(books: Books, bill_ids: Sequence[str]) -> Sequence[ReminderRow]:
    query = select(ReminderRow).where(ReminderRow.depot_id == books.depot_id, col(ReminderRow.bill_id).in_(bill_ids))
    return books.session.exec(query.order_by(col(ReminderRow.bill_id), col(ReminderRow.number))).all()


def _row(books: Books, bill: BillRow, number: int, now: datetime) -> ReminderRow:
    return ReminderRow(depot_id=books.depot_id, bill_id=bill.bill_id, number=number, driver_id=bill.driver_id, due_ms=to_ms(now))


def _reason(books: Books, bill: BillRow) -> Reason | None:
    gave_up = bill.gave_up or next((d.gave_up for d in reversed(books.collections_of(bill.bill_id)) if d.gave_up), None)
    return Reason(gave_up) if gave_up else None


def _reminder(books: Books, row: ReminderRow, days: Sequence[int]) -> Reminder:
    bill = books.bill(row.bill_id)
    reason = _reason(books, bill)
    return Reminder(
        driver_id=row.driver_id,
        session_id=row.bill_id,
        invoice_no=bill.invoice_no or "",
        number=row.number,
        last=row.number >= len(days),
        owed_paise=books.owed_paise(bill),
        what_to_do=advice(reason) if reason is not None else _PAY,
        due_at=from_ms(row.due_ms),
        sent_at=maybe_from_ms(row.sent_ms),
    )


def bills_in_arrears(books: Books) -> list[BillRow]:
    """Bills that wait for a person or the driver, oldest first."""
    own = books.session.exec(select(BillRow).where(BillRow.depot_id == books.depot_id, BillRow.own == Stage.ARREARS)).all()
    debited = books.session.exec(
        select(BillRow)
        .join(ShareRow, (col(ShareRow.depot_id) == BillRow.depot_id) & (col(ShareRow.bill_id) == BillRow.bill_id))
        .join(
            CollectionRow,
            (col(CollectionRow.depot_id) == ShareRow.depot_id) & (col(CollectionRow.collection_id) == ShareRow.collection_id),
        )
        .where(
            BillRow.depot_id == books.depot_id,
            BillRow.own == Stage.INVOICED,
            CollectionRow.own == Stage.ARREARS,
            ShareRow.paid_paise < ShareRow.amount_paise,
        )
        .distinct()
    ).all()
    return sorted([*own, *debited], key=lambda bill: (bill.opened_ms, bill.bill_id))
