"""The room's rows: read as facts, changed by what the gateway tells. Every function works inside the caller's unit of
work, so that a state, its ledger entry and what follows from them are stored together or not at all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, select, update

from payments import UnknownRecord, ledger
from payments.gateway import Notification, Payment, Refund, Token
from payments.money import Bill
from payments.reasons import Reason
from payments.states import (
    BillFacts,
    MandateReport,
    MandateState,
    NotificationState,
    OrderFacts,
    PaymentFacts,
    PaymentState,
    RefundState,
    Stage,
    SubmissionFacts,
    join_mandate,
    join_notification,
    join_payment,
    join_refund,
)
from payments.tables import BillRow, MandateRow, OrderRow, PaymentRow, RefundRow, SubmissionRow, WebhookRow
from payments.times import from_ms, from_s, maybe_from_ms, to_ms
from storage import Store

__all__ = ["Books", "EventState", "bill_value", "key_for", "looking"]

log = logging.getLogger(__name__)


class EventState(StrEnum):
    """``state`` of a stored webhook."""

    PENDING = "pending"
    APPLIED = "applied"
    PARKED = "parked"
    ODD = "odd"


def key_for(*parts: object) -> str:
    """A receipt or idempotency key: the same for the same parts, 32 characters that every gateway takes."""
    return "cy-" + hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:29]


@contextmanager
def looking(store: Store) -> Iterator[Session]:
    """One consistent view, without the write lock that a unit of work takes."""
    with store.reading() as connection, Session(connection) as session:
        yield session


@dataclass(frozen=True, slots=True)
class Books:
    """One depot's rows in one unit of work."""

    session: Session
    depot_id: str

    def bill(self, bill_id: str) -> BillRow:
        """The bill; raises :class:`~payments.UnknownRecord`."""
        row = self.session.get(BillRow, (self.depot_id, bill_id))
        if row is None:
            raise UnknownRecord(f"there is no session {bill_id} in the books")
        return row

    def mandate(self, mandate_id: str) -> MandateRow:
        """The mandate; raises :class:`~payments.UnknownRecord`."""
        row = self.session.get(MandateRow, (self.depot_id, mandate_id))
        if row is None:
            raise UnknownRecord(f"there is no mandate {mandate_id}")
        return row

    def newest_mandate(self, driver_id: str) -> MandateRow | None:
        """The mandate that counts: the newest in force, else the newest paused, else the newest."""
        rows = self.session.exec(
            select(MandateRow)
            .where(MandateRow.depot_id == self.depot_id, MandateRow.driver_id == driver_id)
            .order_by(col(MandateRow.created_ms).desc(), col(MandateRow.mandate_id).desc())
        ).all()
        for state in (MandateState.ACTIVE, MandateState.PAUSED):
            usable = next((row for row in rows if row.state == state), None)
            if usable is not None:
                return usable
        return rows[0] if rows else None

    def orders(self, bill_id: str) -> Sequence[OrderRow]:
        """The bill's orders, oldest issue first."""
        query = select(OrderRow).where(OrderRow.depot_id == self.depot_id, OrderRow.bill_id == bill_id)
        return self.session.exec(query.order_by(col(OrderRow.issue))).all()

    def order_by_id(self, order_id: str) -> OrderRow | None:
        """The order that the gateway calls so."""
        return self.session.exec(select(OrderRow).where(OrderRow.depot_id == self.depot_id, OrderRow.order_id == order_id)).first()

    def payments(self, bill_id: str) -> Sequence[PaymentRow]:
        """The bill's payments, in the order in which we first saw them."""
        query = select(PaymentRow).where(PaymentRow.depot_id == self.depot_id, PaymentRow.bill_id == bill_id)
        return self.session.exec(query.order_by(col(PaymentRow.seen_ms), col(PaymentRow.payment_id))).all()

    def submissions(self, bill_id: str) -> Sequence[SubmissionRow]:
        """The bill's submissions, oldest first."""
        query = select(SubmissionRow).where(SubmissionRow.depot_id == self.depot_id, SubmissionRow.bill_id == bill_id)
        return self.session.exec(query.order_by(col(SubmissionRow.issue), col(SubmissionRow.number))).all()

    def facts(self, bill: BillRow) -> BillFacts:
        """All that decides the bill's stage and next step."""
        return _facts(bill, self.orders(bill.bill_id), self.submissions(bill.bill_id), self.payments(bill.bill_id))

    def facts_of(self, bills: Sequence[BillRow]) -> list[BillFacts]:
        """The same for many, in three questions."""
        ids = [bill.bill_id for bill in bills]
        ask = self.session.exec
        orders = ask(
            select(OrderRow).where(OrderRow.depot_id == self.depot_id, col(OrderRow.bill_id).in_(ids)).order_by(col(OrderRow.issue))
        ).all()
        submissions = ask(
            select(SubmissionRow)
            .where(SubmissionRow.depot_id == self.depot_id, col(SubmissionRow.bill_id).in_(ids))
            .order_by(col(SubmissionRow.issue), col(SubmissionRow.number))
        ).all()
        payments = ask(
            select(PaymentRow)
            .where(PaymentRow.depot_id == self.depot_id, col(PaymentRow.bill_id).in_(ids))
            .order_by(col(PaymentRow.seen_ms), col(PaymentRow.payment_id))
        ).all()
        return [_facts(bill, orders, submissions, payments) for bill in bills]

    def know_order(self, order: OrderRow, order_id: str, payment_after: datetime | None) -> None:
        """The gateway's order for our intent; webhooks that came before it are taken up again."""
        order.order_id = order_id
        if payment_after is not None:
            order.payment_after_ms = to_ms(payment_after)
        self.session.flush()
        self.unpark(order_id)

    def unpark(self, ref: str) -> None:
        """Have the webhooks about ``ref`` applied, now that it is known."""
        self.session.exec(
            update(WebhookRow)
            .where(col(WebhookRow.depot_id) == self.depot_id, col(WebhookRow.ref) == ref, col(WebhookRow.state) == EventState.PARKED)
            .values(state=EventState.PENDING)
        )

    def note_notification(self, order: OrderRow, told: Notification, now: datetime) -> None:
        """Join what is told of the notice."""
        if told.state is None:
            return
        order.notification = join_notification(NotificationState(order.notification), told.state)
        if told.state is NotificationState.DELIVERED and order.delivered_ms is None:
            order.delivered_ms = to_ms(from_s(told.delivered_at_s) if told.delivered_at_s else now)
        self.wake(order.bill_id, now)

    def note_payment(self, order: OrderRow, told: Payment, now: datetime) -> PaymentRow:
        """Join what is told of a payment of ``order``, and book it the first time that money has moved."""
        row = self.session.get(PaymentRow, (self.depot_id, told.payment_id))
        if row is None:
            row = PaymentRow(
                depot_id=self.depot_id,
                payment_id=told.payment_id,
                bill_id=order.bill_id,
                issue=order.issue,
                submission=self._submission_number(order, told.submission),
                state=told.state,
                amount_paise=told.amount_paise,
                seen_ms=to_ms(now),
            )
            self.session.add(row)
            self.unpark(told.payment_id)
        row.state = join_payment(PaymentState(row.state), told.state)
        row.submission = row.submission or self._submission_number(order, told.submission)
        if told.reason is not None:
            row.reason = told.reason
            row.seen_ms = to_ms(now)
        self.session.flush()
        if PaymentState(row.state).taken:
            self._taken(self.bill(order.bill_id), row, now)
        self.wake(order.bill_id, now)
        return row

    def _taken(self, bill: BillRow, row: PaymentRow, now: datetime) -> None:
        others = [p for p in self.payments(bill.bill_id) if p.payment_id != row.payment_id and not p.surplus]
        doubled = any(PaymentState(p.state).taken for p in others)
        if not doubled and row.amount_paise == bill.total_paise:
            entry = ledger.recovered if bill.own == Stage.WRITTEN_OFF else ledger.captured
            ledger.post(self.session, self.depot_id, entry(row.payment_id, bill.driver_id, row.amount_paise, now))
            return
        if not ledger.post(self.session, self.depot_id, ledger.unallocated(row.payment_id, bill.driver_id, row.amount_paise, now)):
            return
        row.surplus = True
        log.error("payment %s took %d paise that session %s does not owe", row.payment_id, row.amount_paise, bill.bill_id)
        if doubled:
            self.ask_refund(row, "doubled debit", now)

    def ask_refund(self, payment: PaymentRow, why: str, now: datetime) -> RefundRow:
        """The intent to give a whole payment back; one per payment."""
        key = key_for(self.depot_id, "refund", payment.payment_id)
        row = self.session.get(RefundRow, (self.depot_id, key))
        if row is None:
            row = RefundRow(
                depot_id=self.depot_id,
                key=key,
                payment_id=payment.payment_id,
                bill_id=payment.bill_id,
                amount_paise=payment.amount_paise,
                why=why,
                state=RefundState.PENDING,
                asked_ms=to_ms(now),
                next_ms=to_ms(now),
            )
            self.session.add(row)
            self.session.flush()
        return row

    def note_refund(self, told: Refund, now: datetime) -> bool:
        """Join what is told of a refund. False: of no payment that we know. One that we did not ask for is booked too."""
        payment = self.session.get(PaymentRow, (self.depot_id, told.payment_id))
        if payment is None:
            return False
        row = self.session.exec(
            select(RefundRow).where(
                RefundRow.depot_id == self.depot_id, (col(RefundRow.refund_id) == told.refund_id) | (col(RefundRow.key) == told.receipt)
            )
        ).first()
        if row is None:
            row = RefundRow(
                depot_id=self.depot_id,
                key=told.refund_id,
                payment_id=told.payment_id,
                bill_id=payment.bill_id,
                amount_paise=told.amount_paise,
                why="made at the gateway",
                state=told.state,
                asked_ms=to_ms(now),
            )
            self.session.add(row)
        row.refund_id = told.refund_id
        row.state = join_refund(RefundState(row.state), told.state)
        if row.state != RefundState.PENDING:
            row.next_ms = None
        self.session.flush()
        if row.state == RefundState.PROCESSED:
            driver = self.bill(payment.bill_id).driver_id
            ledger.post(self.session, self.depot_id, ledger.refunded(told.refund_id, driver, told.amount_paise, now))
            given_back = self.session.exec(
                select(RefundRow.amount_paise).where(
                    RefundRow.depot_id == self.depot_id,
                    RefundRow.payment_id == told.payment_id,
                    RefundRow.state == RefundState.PROCESSED,
                )
            ).all()
            whole = sum(given_back) >= payment.amount_paise
            payment.state = join_payment(PaymentState(payment.state), PaymentState.REFUNDED if whole else PaymentState.PART_REFUNDED)
        return True

    def note_mandate(self, row: MandateRow, state: MandateState, at_s: int, *, token: Token | None = None) -> None:
        """Join what is told of a mandate; ``token``: of a block its amounts too."""
        before = MandateReport(MandateState(row.state), row.state_at_s, row.blocked_paise, row.debited_paise)
        amounts = (token.blocked_paise or 0, token.debited_paise or 0) if token is not None else (0, 0)
        known = join_mandate(before, MandateReport(state, at_s, *amounts))
        row.state, row.state_at_s, row.blocked_paise, row.debited_paise = known.state, known.at_s, known.blocked_paise, known.debited_paise

    def know_token(self, row: MandateRow, token_id: str) -> None:
        """The gateway's token for our mandate."""
        if row.token_id is None:
            row.token_id = token_id
            self.session.flush()
            self.unpark(token_id)

    def wake(self, bill_id: str, now: datetime) -> None:
        """Have the worker look at the bill soon."""
        self.bill(bill_id).next_ms = to_ms(now)

    def _submission_number(self, order: OrderRow, key: str) -> int:
        found = next((s for s in self.submissions(order.bill_id) if key and s.key == key and s.issue == order.issue), None)
        return found.number if found is not None else 0


def _facts(bill: BillRow, orders: Sequence[OrderRow], submissions: Sequence[SubmissionRow], payments: Sequence[PaymentRow]) -> BillFacts:
    """From rows that may be other bills' too."""
    mine = bill.bill_id
    return BillFacts(
        own=Stage(bill.own),
        orders=tuple(
            OrderFacts(
                issue=order.issue,
                requested_at=from_ms(order.requested_ms),
                order_id=order.order_id,
                notification=NotificationState(order.notification),
                delivered_at=maybe_from_ms(order.delivered_ms),
                payment_after=from_ms(order.payment_after_ms),
                submissions=tuple(_submission(s) for s in submissions if s.bill_id == mine and s.issue == order.issue),
                payments=tuple(_payment(p) for p in payments if p.bill_id == mine and p.issue == order.issue),
            )
            for order in orders
            if order.bill_id == mine
        ),
        disputed=bill.disputed,
        settlement_utr=bill.settlement_utr,
    )


def bill_value(row: BillRow) -> Bill:
    """The priced bill of a row."""
    return Bill(
        energy_wh=row.energy_wh,
        taxable_paise=row.taxable_paise,
        cgst_paise=row.cgst_paise,
        sgst_paise=row.sgst_paise,
        igst_paise=row.igst_paise,
        round_off_paise=row.round_off_paise,
        total_paise=row.total_paise,
    )


def _submission(row: SubmissionRow) -> SubmissionFacts:
    refused = Reason(row.refused) if row.refused else None
    return SubmissionFacts(row.number, from_ms(row.at_ms), refused, row.empty_lookups, row.lapsed)


def _payment(row: PaymentRow) -> PaymentFacts:
    reason = Reason(row.reason) if row.reason else None
    return PaymentFacts(row.payment_id, PaymentState(row.state), reason, row.submission, from_ms(row.seen_ms))
