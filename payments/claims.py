"""What a person decides of money that did not come: try again, or give it up."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from payments import Refused, ledger
from payments.batcher import new_order
from payments.records import Books
from payments.rules import Rules
from payments.states import MandateState, Mode, Stage, stage_of
from payments.tables import BillRow, CollectionRow, ShareRow
from payments.times import to_ms
from storage import Store

__all__ = ["collect_again", "owed_of", "write_off"]


def collect_again(store: Store, depot_id: str, bill_id: str, *, now: datetime, rules: Rules) -> None:
    """Try an unpaid bill once more, under the driver's mandate of today: new order, new notice, for all bills of its debit that
    are owed still. For bills in arrears only, when nothing of the earlier tries is in the air. Raises
    :class:`~payments.Refused`, :class:`~payments.UnknownRecord`."""
    with store.unit() as session:
        books = Books(session, depot_id)
        bill = books.bill(bill_id)
        _in_arrears(books, bill, now)
        mandate = books.newest_mandate(bill.driver_id)
        if mandate is None or mandate.state != MandateState.ACTIVE:
            raise Refused("the driver has no active mandate: have a new one approved, or book the payment as made otherwise")
        if bill.own == Stage.ARREARS:
            bill.own, bill.gave_up, bill.mandate_id, bill.next_ms = Stage.INVOICED, None, mandate.mandate_id, to_ms(now)
        for debit in books.collections_of(bill_id):
            if debit.own != Stage.ARREARS:
                continue
            owed, cap = owed_of(books, debit), mandate.max_amount_paise
            if mandate.mode == Mode.AUTOPAY:
                cap = rules.cap_paise(cap)
            if owed > cap:
                raise Refused(
                    f"the debit of ₹{owed / 100:.2f} is above what one debit may take from the driver's mandate (₹{cap / 100:.2f}):"
                    " have a larger mandate approved, or book the payment as made otherwise"
                )
            orders = books.orders(debit.collection_id)
            debit.mandate_id, debit.mode, debit.own, debit.gave_up = mandate.mandate_id, mandate.mode, Stage.BATCHED, None
            debit.next_ms, debit.looked_ms = to_ms(now), None
            if orders:
                debit.round_issue = orders[-1].issue + 1
                session.add(new_order(depot_id, debit, debit.round_issue, owed, now, rules))


def write_off(store: Store, depot_id: str, bill_id: str, *, why: str, now: datetime) -> int:
    """Give up what is owed of a bill in arrears; returns the paise. Should its money come all the same, it is booked as
    recovered. The second click changes nothing. Raises :class:`~payments.Refused`, :class:`~payments.UnknownRecord`."""
    with store.unit() as session:
        books = Books(session, depot_id)
        bill = books.bill(bill_id)
        if books.stage(bill, now) is Stage.WRITTEN_OFF:
            return 0
        _in_arrears(books, bill, now)
        owed = books.owed_paise(bill)
        bill.own, bill.next_ms = Stage.WRITTEN_OFF, None
        ledger.post(session, depot_id, ledger.written_off(bill_id, bill.driver_id, owed, why, now))
        close_settled(books, bill_id, Stage.WRITTEN_OFF, now)
        return owed


def owed_of(books: Books, debit: CollectionRow) -> int:
    """What a collection's bills still owe to it."""
    query = (
        select(ShareRow.amount_paise - ShareRow.paid_paise)
        .join(BillRow, (col(BillRow.depot_id) == ShareRow.depot_id) & (col(BillRow.bill_id) == ShareRow.bill_id))
        .where(
            ShareRow.depot_id == books.depot_id,
            ShareRow.collection_id == debit.collection_id,
            col(BillRow.own).not_in((Stage.WRITTEN_OFF, Stage.PAID_OTHER)),
        )
    )
    return sum(books.session.exec(query).all())


def close_settled(books: Books, bill_id: str, how: Stage, now: datetime) -> None:
    """Collections of a bill that was settled otherwise, and that nobody owes anything any more, ask for nothing."""
    books.session.flush()
    for debit in books.collections_of(bill_id):
        if debit.own in (Stage.BATCHED, Stage.ARREARS) and owed_of(books, debit) == 0 and stage_of(books.debit(debit), now).owed:
            debit.own, debit.next_ms = how, None


def _in_arrears(books: Books, bill: BillRow, now: datetime) -> None:
    stage = books.stage(bill, now)
    if stage is not Stage.ARREARS:
        raise Refused(f"session {bill.bill_id} is {stage}, not in arrears")
