"""Money back: a credit note now, the refund by the worker. Never more than was paid, never twice for one click."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import col, func, select

from depot.money_text import rupees
from payments import Refused, ledger
from payments.documents import DocumentKind
from payments.money import Bill
from payments.notes import issue_note
from payments.records import Books, bill_value
from payments.states import PaymentState, RefundState
from payments.tables import BillRow, PaymentRow, RefundRow
from payments.times import from_ms
from storage import Store

__all__ = ["REFUNDS_END_AFTER", "kept_payments", "refund_bill", "refundable_paise", "retry_refund"]

REFUNDS_END_AFTER = timedelta(days=180)
"""The gateway takes no refund of a payment that is older than six months."""


def refundable_paise(books: Books, bill_id: str) -> int:
    """What was debited for a bill and neither given back nor promised."""
    return sum(left for _, left in kept_payments(books, bill_id))


def refund_bill(
    store: Store, depot_id: str, bill_id: str, *, why: str, now: datetime, amount_paise: int | None = None, request: str = ""
) -> int:
    """Give a paid bill back, as a whole (``amount_paise`` None) or in part; returns the paise. ``request``: names one wish of a
    person; the same again changes nothing. Without it, the same amount again while the first is under way changes nothing.
    Raises :class:`~payments.Refused`, :class:`~payments.UnknownRecord`."""
    with store.unit() as session:
        books = Books(session, depot_id)
        bill = books.bill(bill_id)
        if _asked_already(books, bill_id, amount_paise, request):
            return 0
        asked = refundable_paise(books, bill_id) if amount_paise is None else amount_paise
        if asked <= 0 and amount_paise is not None:
            raise Refused("a refund must be ₹0.01 or more")
        number = 1 + session.exec(
            select(func.count()).select_from(RefundRow).where(RefundRow.depot_id == depot_id, RefundRow.bill_id == bill_id)
        ).one()  # fmt: skip
        kept = kept_payments(books, bill_id)
        _refuse(bill_id, kept, asked, now)
        part = ledger.part_of(bill_value(bill), asked)
        _give_back(books, bill, kept, part, key=f"{bill_id}/{request or number}", why=why, now=now, request=request)
        sale = session.get(BillRow, (depot_id, bill_id.rpartition("+")[0])) or bill  # of a debit note: the session's invoice
        issue_note(session, depot_id, sale, DocumentKind.CREDIT_NOTE, part, reason=why, cause="refund", now=now)
        return asked


def _refuse(bill_id: str, kept: Sequence[tuple[PaymentRow, int]], asked_paise: int, now: datetime) -> None:
    room = sum(left for _, left in kept)
    if room <= 0:
        raise Refused(f"session {bill_id} has no captured payment to give back")
    if asked_paise > room:
        raise Refused(f"{rupees(asked_paise)} is more than what is left of the payment ({rupees(room)}): ask for that at most")
    old = [p for p, _ in kept if p.taken_ms is not None and now > from_ms(p.taken_ms) + REFUNDS_END_AFTER]
    if old:
        raise Refused(
            f"payment {old[0].payment_id} is older than six months, and the gateway gives nothing back of it: pay the driver by bank"
            " transfer, and write the credit note by hand"
        )


def _give_back(
    books: Books, bill: BillRow, kept: Sequence[tuple[PaymentRow, int]], part: Bill, *, key: str, why: str, now: datetime, request: str
) -> None:
    """Book the credit and ask for the refunds."""
    ledger.post(books.session, books.depot_id, ledger.credited(key, bill.driver_id, part, now))
    left = part.total_paise
    for payment, most in kept:
        if paise := min(left, most):
            row = books.ask_refund(payment, amount_paise=paise, bill_id=bill.bill_id, why=why, now=now, key=key)
            row.note = request
            left -= paise


def retry_refund(store: Store, depot_id: str, key: str, *, now: datetime) -> None:
    """Ask again for a refund that failed, as a new request of the gateway (its key holds for the first). Raises
    :class:`~payments.Refused`."""
    with store.unit() as session:
        books = Books(session, depot_id)
        row = session.get(RefundRow, (depot_id, key))
        if row is None:
            raise Refused(f"there is no refund {key}")
        if row.state != RefundState.FAILED:
            raise Refused(f"the refund is {row.state}: only one that failed can be asked for again")
        payment = session.get(PaymentRow, (depot_id, row.payment_id))
        assert payment is not None
        again = books.ask_refund(payment, amount_paise=row.amount_paise, bill_id=row.bill_id, why=row.why, now=now, key=f"again/{key}")
        if again.state == RefundState.PENDING:
            row.state, row.note = RefundState.REPLACED, f"asked for again as {again.key}"


def _asked_already(books: Books, bill_id: str, amount_paise: int | None, request: str) -> bool:
    mine = (RefundRow.depot_id == books.depot_id) & (RefundRow.bill_id == bill_id)
    rows = books.session.exec(select(RefundRow).where(mine)).all()
    if request:
        return any(row.note == request for row in rows)
    waiting = [row for row in rows if row.state == RefundState.PENDING]
    return any(amount_paise is None or row.amount_paise == amount_paise for row in waiting)


def kept_payments(books: Books, bill_id: str) -> list[tuple[PaymentRow, int]]:
    """Payments that hold money of this bill, with what of it can be given back."""
    found: list[tuple[PaymentRow, int]] = []
    for debit in books.collections_of(bill_id):
        share = next(s for s in books.shares(debit.collection_id) if s.bill_id == bill_id)
        left = share.paid_paise
        for payment in books.payments(debit.collection_id):
            if not payment.booked or payment.surplus or not PaymentState(payment.state).taken:
                continue
            gone = _gone(books, payment, bill_id)
            whole = max(0, min(payment.amount_paise - payment.surplus_paise - _gone(books, payment, None), left - gone))
            found.append((payment, whole))
            left -= whole + gone
    return [(payment, most) for payment, most in found if most > 0]


def _gone(books: Books, payment: PaymentRow, bill_id: str | None) -> int:
    """Refunded or promised, of this payment (for one bill), the surplus left aside."""
    query = select(func.coalesce(func.sum(RefundRow.amount_paise), 0)).where(
        RefundRow.depot_id == books.depot_id,
        RefundRow.payment_id == payment.payment_id,
        col(RefundRow.state).in_((RefundState.PENDING, RefundState.PROCESSED, RefundState.FAILED)),
    )
    if bill_id is not None:
        return int(books.session.exec(query.where(RefundRow.bill_id == bill_id)).one())
    return int(books.session.exec(query.where(RefundRow.why != "doubled debit")).one())
