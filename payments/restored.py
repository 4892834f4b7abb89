"""After a restore: the books are older than the gateway, which knows debits that they do not.

    books of a backup --doubt_all()--> every bill that may have been debited is in a debit that counts as asked for

The gateway has no idempotency key, but our receipts are made from what a debit is for (driver and day, or session) alone: a
debit that was asked for in the lost time is found under its receipt before anything is asked again, and an order is paid
only once. So nothing is debited twice, and what was debited in the lost time is found. One that was asked for with another
amount is left to a person.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from payments.batcher import batch_driver, new_order
from payments.records import Books
from payments.rules import Rules
from payments.states import Stage
from payments.tables import BillRow, CollectionRow
from payments.times import from_ms, to_ms
from storage import Store

__all__ = ["doubt_all"]


def doubt_all(store: Store, depot_id: str, *, now: datetime, rules: Rules) -> int:
    """Batch every bill whose cut-off has passed as the lost books would have done, write the intent to have an order for every
    debit that has none, and have all of them looked at now. Returns how many debits are in doubt. To be called once, before
    anybody works on these books."""
    doubted = 0
    with store.unit() as session:
        books = Books(session, depot_id)
        open_ = select(BillRow).where(
            BillRow.depot_id == depot_id,
            BillRow.own == Stage.INVOICED,
            BillRow.batched_paise + BillRow.credited_paise < BillRow.total_paise,
        )
        for bill in session.exec(open_.order_by(col(BillRow.invoiced_ms), col(BillRow.opened_ms))).all():
            invoiced_at = from_ms(bill.invoiced_ms if bill.invoiced_ms is not None else bill.opened_ms)
            if bill.batched_paise + bill.credited_paise < bill.total_paise and (due_at := rules.cut_off_of(invoiced_at)) <= now:
                batch_driver(books, bill.driver_id, now=due_at if rules.cut_off is not None else now, rules=rules)
        for debit in session.exec(select(CollectionRow).where(CollectionRow.depot_id == depot_id)).all():
            facts = books.debit(debit)
            if debit.own in (Stage.WRITTEN_OFF, Stage.PAID_OTHER) or any(payment.state.taken for payment in facts.payments):
                continue
            doubted += 1
            if not facts.orders:
                session.add(new_order(depot_id, debit, 1, debit.amount_paise, now, rules))
            if debit.own == Stage.BATCHED:
                debit.looked_ms, debit.next_ms = None, to_ms(now)
    return doubted
