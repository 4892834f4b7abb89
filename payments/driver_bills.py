"""One driver's own sessions with what they cost, for the driver. Reads only, and only that driver's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from payments.money import Bill
from payments.records import Books, bill_value, looking
from payments.states import BillFacts, Stage, bill_stage
from payments.tables import BillRow
from payments.times import from_ms
from storage import Store

__all__ = ["DriverBill", "driver_bills"]

_MOST = 100
_COMES = (Stage.PDN_REQUESTED, Stage.PDN_DELIVERED, Stage.DEBIT_DUE)


@dataclass(frozen=True, slots=True)
class DriverBill:
    """A session in the books; ``bill`` is all zero while it still runs. ``credited_paise``: taken off by credit notes;
    ``owed_paise``: still to be paid of it; ``due_at``: when its debit may be presented, while that is to come."""

    session_id: str
    opened_at: datetime
    stage: Stage
    invoice_no: str
    bill: Bill
    credited_paise: int = 0
    owed_paise: int = 0
    due_at: datetime | None = None


def driver_bills(store: Store, depot_id: str, driver_id: str, now: datetime, *, limit: int = 30) -> Sequence[DriverBill]:
    """Newest first, at most ``limit``."""
    with looking(store) as session:
        books = Books(session, depot_id)
        rows = session.exec(
            select(BillRow)
            .where(BillRow.depot_id == depot_id, BillRow.driver_id == driver_id)
            .order_by(col(BillRow.opened_ms).desc(), col(BillRow.bill_id).desc())
            .limit(max(1, min(limit, _MOST)))
        ).all()
        return [_line(books, row, facts, now) for row, facts in zip(rows, books.facts_of(rows), strict=True)]


def _line(books: Books, row: BillRow, facts: BillFacts, now: datetime) -> DriverBill:
    stage = bill_stage(facts, now)
    orders = [order for share in facts.shares for order in share.collection.orders]
    due_at = orders[-1].payment_after if orders and stage in _COMES else None
    owed = books.owed_paise(row) if row.own is not Stage.ESTIMATED else 0
    return DriverBill(
        row.bill_id, from_ms(row.opened_ms), stage, row.invoice_no or "", bill_value(row), row.credited_paise, max(0, owed), due_at
    )
