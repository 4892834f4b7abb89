"""After a restore: the books are older than the gateway, which knows debits that they do not.

    books of a backup --doubt_all()--> every bill that may have been asked for counts as asked, answer unknown

The gateway has no idempotency key, but our receipts are made from the bill alone: a bill whose order was asked for in the
lost time is found under its receipt before anything is asked again, and an order is paid only once. So nothing is debited
twice, and what was debited in the lost time is found.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from payments.records import Books
from payments.rules import Rules
from payments.service import new_order
from payments.states import Stage
from payments.tables import BillRow
from payments.times import to_ms
from storage import Store

__all__ = ["doubt_all"]

_NEVER_ASKED = (Stage.WRITTEN_OFF, Stage.PAID_OTHER)


def doubt_all(store: Store, depot_id: str, *, now: datetime, rules: Rules) -> int:
    """Write the intent to have an order for every bill that has none, and have all that were invoiced looked at now. Returns
    how many bills are in doubt. To be called once, before anybody works on these books."""
    doubted = 0
    with store.unit() as session:
        books = Books(session, depot_id)
        bills = session.exec(select(BillRow).where(BillRow.depot_id == depot_id, col(BillRow.own).not_in(_NEVER_ASKED))).all()
        for bill in bills:
            facts = books.facts(bill)
            if any(payment.state.taken for payment in facts.payments):
                continue
            doubted += 1
            if not facts.orders:
                session.add(new_order(depot_id, bill, 1, now, rules))
            if bill.own == Stage.INVOICED:
                bill.looked_ms, bill.next_ms = None, to_ms(now)
    return doubted
