"""What a person decides of money that did not come: try again, book another way of payment, or give it up."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlmodel import col, select

from depot.money_text import rupees
from payments import Refused, ledger
from payments.batcher import new_order
from payments.records import Books
from payments.rules import Rules
from payments.states import MandateState, Mode, Stage, stage_of
from payments.tables import BillRow, CollectionRow, OtherPaymentRow, ShareRow
from payments.times import to_ms
from storage import Store

__all__ = ["Way", "collect_again", "owed_of", "pay_otherwise", "write_off"]


class Way(StrEnum):
    """How a driver paid without the gateway. UPI_QR: the depot's own code, straight to its bank."""

    CASH = "cash"
    UPI_QR = "upi_qr"
    BANK = "bank"


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
                    f"the debit of {rupees(owed)} is above what one debit may take from the driver's mandate ({rupees(cap)}):"
                    " have a larger mandate approved, or book the payment as made otherwise"
                )
            orders = books.orders(debit.collection_id)
            debit.mandate_id, debit.mode, debit.own, debit.gave_up = mandate.mandate_id, mandate.mode, Stage.BATCHED, None
            debit.next_ms, debit.looked_ms = to_ms(now), None
            if orders:
                debit.round_issue = orders[-1].issue + 1
                session.add(new_order(depot_id, debit, debit.round_issue, owed, now, rules))


def pay_otherwise(store: Store, depot_id: str, bill_id: str, *, way: Way, reference: str, by: str, why: str, now: datetime) -> int:
    """Book that a driver paid what is owed of a bill without the gateway; returns the paise. ``reference``: of the receipt or
    the transfer, once only. Not while a debit of it is in the air. Should the gateway's money come all the same, it goes back to
    the driver. The same again changes nothing. Raises :class:`~payments.Refused`, :class:`~payments.UnknownRecord`."""
    reference = reference.strip()
    if not 4 <= len(reference) <= 60:
        raise Refused("the reference is the number on the receipt or of the transfer, 4 to 60 characters")
    with store.unit() as session:
        books = Books(session, depot_id)
        bill = books.bill(bill_id)
        known = session.get(OtherPaymentRow, (depot_id, bill_id))
        if known is not None and (known.way, known.reference) == (way, reference):
            return 0
        stage = books.stage(bill, now)
        if stage in (Stage.DEBIT_SUBMITTED, Stage.PENDING):
            raise Refused(f"a debit of session {bill_id} is at the bank: wait until it is decided")
        owed = books.owed_paise(bill)
        if owed <= 0 or bill.own not in (Stage.INVOICED, Stage.ARREARS):
            raise Refused(f"session {bill_id} is {stage}: nothing is owed")
        used = session.exec(
            select(OtherPaymentRow).where(
                OtherPaymentRow.depot_id == depot_id, OtherPaymentRow.way == way, OtherPaymentRow.reference == reference
            )
        ).first()
        if used is not None:
            raise Refused(f"the reference {reference} was booked for session {used.bill_id} already: look at the receipt again")
        session.add(
            OtherPaymentRow(
                depot_id=depot_id,
                bill_id=bill_id,
                way=way,
                reference=reference,
                amount_paise=owed,
                booked_ms=to_ms(now),
                booked_by=by,
                why=why,
            )
        )
        bill.own, bill.gave_up, bill.next_ms = Stage.PAID_OTHER, None, None
        into = ledger.Account.CASH if way is Way.CASH else ledger.Account.BANK
        ledger.post(session, depot_id, ledger.paid_otherwise(bill_id, bill.driver_id, owed, into, f"paid by {way}: {reference}", now))
        close_settled(books, bill_id, Stage.PAID_OTHER, now)
        return owed


def write_off(store: Store, depot_id: str, bill_id: str, *, why: str, now: datetime, most_paise: int | None = None) -> int:
    """Give up what is owed of a bill in arrears; returns the paise. ``most_paise``: more than this is refused. Should its money
    come all the same, it is booked as recovered. The second click changes nothing. Raises :class:`~payments.Refused`,
    :class:`~payments.UnknownRecord`."""
    with store.unit() as session:
        books = Books(session, depot_id)
        bill = books.bill(bill_id)
        if books.stage(bill, now) is Stage.WRITTEN_OFF:
            return 0
        _in_arrears(books, bill, now)
        owed = books.owed_paise(bill)
        if most_paise is not None and owed > most_paise:
            raise Refused(f"{rupees(owed)} is owed, not {rupees(most_paise)}: look again, and ask for that")
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
