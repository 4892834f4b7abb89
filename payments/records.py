"""The room's rows: read as facts, changed by what the gateway tells. Every function works inside the caller's unit of
work, so that a state, its ledger entry and what follows from them are stored together or not at all."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, func, select, update

from payments import UnknownRecord, ledger
from payments.gateway import Notification, Payment, Refund, Token
from payments.money import Bill
from payments.reasons import Reason
from payments.states import (
    BillFacts,
    CollectionFacts,
    MandateReport,
    MandateState,
    Mode,
    NotificationState,
    OrderFacts,
    PaymentFacts,
    PaymentState,
    RefundState,
    ShareFacts,
    Stage,
    SubmissionFacts,
    bill_stage,
    join_mandate,
    join_notification,
    join_payment,
    join_refund,
)
from payments.tables import (
    BillRow,
    CollectionRow,
    MandateRow,
    OrderRow,
    PaymentRow,
    RefundRow,
    ShareRow,
    SubmissionRow,
    WebhookRow,
)
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

    def collection(self, collection_id: str) -> CollectionRow:
        """The collection; raises :class:`~payments.UnknownRecord`."""
        row = self.session.get(CollectionRow, (self.depot_id, collection_id))
        if row is None:
            raise UnknownRecord(f"there is no debit {collection_id} in the books")
        return row

    def shares(self, collection_id: str) -> Sequence[ShareRow]:
        """What a collection takes for which bill, oldest bill first."""
        query = (
            select(ShareRow)
            .join(BillRow, (col(BillRow.depot_id) == ShareRow.depot_id) & (col(BillRow.bill_id) == ShareRow.bill_id))
            .where(ShareRow.depot_id == self.depot_id, ShareRow.collection_id == collection_id)
        )
        return self.session.exec(query.order_by(col(BillRow.opened_ms), col(BillRow.bill_id))).all()

    def collections_of(self, bill_id: str) -> Sequence[CollectionRow]:
        """The collections that take a bill's money, oldest first."""
        query = (
            select(CollectionRow)
            .join(
                ShareRow,
                (col(ShareRow.depot_id) == CollectionRow.depot_id) & (col(ShareRow.collection_id) == CollectionRow.collection_id),
            )
            .where(ShareRow.depot_id == self.depot_id, ShareRow.bill_id == bill_id)
        )
        return self.session.exec(query.order_by(col(CollectionRow.created_ms), col(CollectionRow.day))).all()

    def orders(self, collection_id: str) -> Sequence[OrderRow]:
        """The collection's orders, oldest issue first."""
        query = select(OrderRow).where(OrderRow.depot_id == self.depot_id, OrderRow.collection_id == collection_id)
        return self.session.exec(query.order_by(col(OrderRow.issue))).all()

    def order_by_id(self, order_id: str) -> OrderRow | None:
        """The order that the gateway calls so."""
        return self.session.exec(select(OrderRow).where(OrderRow.depot_id == self.depot_id, OrderRow.order_id == order_id)).first()

    def payments(self, collection_id: str) -> Sequence[PaymentRow]:
        """The collection's payments, in the order in which we first saw them."""
        query = select(PaymentRow).where(PaymentRow.depot_id == self.depot_id, PaymentRow.collection_id == collection_id)
        return self.session.exec(query.order_by(col(PaymentRow.seen_ms), col(PaymentRow.payment_id))).all()

    def submissions(self, collection_id: str) -> Sequence[SubmissionRow]:
        """The collection's submissions, oldest first."""
        query = select(SubmissionRow).where(SubmissionRow.depot_id == self.depot_id, SubmissionRow.collection_id == collection_id)
        return self.session.exec(query.order_by(col(SubmissionRow.issue), col(SubmissionRow.number))).all()

    def debit(self, row: CollectionRow, orders: Sequence[OrderRow] | None = None) -> CollectionFacts:
        """All that decides a collection's stage and next step. ``orders``: its orders, where they are at hand."""
        id_ = row.collection_id
        orders = self.orders(id_) if orders is None else orders
        if not orders:
            return _debit(row, (), (), ())
        return _debit(row, orders, self.submissions(id_), self.payments(id_))

    def debits(self, rows: Sequence[CollectionRow]) -> dict[str, CollectionFacts]:
        """The same for many, in three questions."""
        ids, ask = [row.collection_id for row in rows], self.session.exec
        orders, submissions, payments = _By(), _By(), _By()
        for order in ask(
            select(OrderRow).where(OrderRow.depot_id == self.depot_id, col(OrderRow.collection_id).in_(ids)).order_by(col(OrderRow.issue))
        ).all():
            orders[order.collection_id].append(order)
        for submission in ask(
            select(SubmissionRow)
            .where(SubmissionRow.depot_id == self.depot_id, col(SubmissionRow.collection_id).in_(ids))
            .order_by(col(SubmissionRow.issue), col(SubmissionRow.number))
        ).all():
            submissions[submission.collection_id].append(submission)
        for payment in ask(
            select(PaymentRow)
            .where(PaymentRow.depot_id == self.depot_id, col(PaymentRow.collection_id).in_(ids))
            .order_by(col(PaymentRow.seen_ms), col(PaymentRow.payment_id))
        ).all():
            payments[payment.collection_id].append(payment)
        return {
            row.collection_id: _debit(row, orders[row.collection_id], submissions[row.collection_id], payments[row.collection_id])
            for row in rows
        }

    def facts(self, bill: BillRow) -> BillFacts:
        """All that decides the bill's stage."""
        return self.facts_of([bill])[0]

    def facts_of(self, bills: Sequence[BillRow]) -> list[BillFacts]:
        """The same for many, in six questions."""
        ids, ask = [bill.bill_id for bill in bills], self.session.exec
        shares = ask(select(ShareRow).where(ShareRow.depot_id == self.depot_id, col(ShareRow.bill_id).in_(ids))).all()
        rows = ask(
            select(CollectionRow)
            .where(CollectionRow.depot_id == self.depot_id, col(CollectionRow.collection_id).in_({s.collection_id for s in shares}))
            .order_by(col(CollectionRow.created_ms), col(CollectionRow.day))
        ).all()
        debits, place = self.debits(rows), {row.collection_id: n for n, row in enumerate(rows)}
        mine: dict[str, list[ShareRow]] = defaultdict(list)
        for share in sorted(shares, key=lambda s: place[s.collection_id]):
            mine[share.bill_id].append(share)
        back = self.given_back(ids)
        return [
            BillFacts(
                own=Stage(bill.own),
                total_paise=bill.total_paise - bill.credited_paise,
                refunded_paise=back.get(bill.bill_id, 0),
                shares=tuple(ShareFacts(s.amount_paise, s.paid_paise, debits[s.collection_id]) for s in mine[bill.bill_id]),
            )
            for bill in bills
        ]

    def given_back(self, bill_ids: Sequence[str]) -> dict[str, int]:
        """Paise of each bill that refunds have given back."""
        query = select(RefundRow.bill_id, func.sum(RefundRow.amount_paise)).where(
            RefundRow.depot_id == self.depot_id, col(RefundRow.bill_id).in_(bill_ids), RefundRow.state == RefundState.PROCESSED
        )
        return {bill_id: int(paise) for bill_id, paise in self.session.exec(query.group_by(col(RefundRow.bill_id))).all()}

    def stage(self, bill: BillRow, now: datetime) -> Stage:
        """How far the bill's money is."""
        return bill_stage(self.facts(bill), now)

    def in_arrears(self, driver_id: str) -> bool:
        """Whether a bill of this driver waits for a person or the driver."""
        mine = (CollectionRow.depot_id == self.depot_id) & (CollectionRow.driver_id == driver_id)
        debits = self.session.exec(select(CollectionRow).where(mine, CollectionRow.own == Stage.ARREARS)).all()
        if any(not any(p.state.taken for p in self.debit(row).payments) for row in debits):
            return True
        mine = (BillRow.depot_id == self.depot_id) & (BillRow.driver_id == driver_id)
        return self.session.exec(select(BillRow.bill_id).where(mine, BillRow.own == Stage.ARREARS)).first() is not None

    def owed_paise(self, bill: BillRow) -> int:
        """What of an invoiced bill has not come yet; 0 for one that was settled otherwise."""
        if bill.own in (Stage.ESTIMATED, Stage.WRITTEN_OFF, Stage.PAID_OTHER):
            return 0
        paid = self.session.exec(
            select(func.coalesce(func.sum(ShareRow.paid_paise), 0)).where(
                ShareRow.depot_id == self.depot_id, ShareRow.bill_id == bill.bill_id
            )
        ).one()
        return bill.total_paise - bill.credited_paise - int(paid)

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
        before = order.notification, order.delivered_ms
        order.notification = join_notification(NotificationState(order.notification), told.state)
        if told.state is NotificationState.DELIVERED and order.delivered_ms is None:
            order.delivered_ms = to_ms(from_s(told.delivered_at_s) if told.delivered_at_s else now)
        if (order.notification, order.delivered_ms) != before:
            self.wake(order.collection_id, now)

    def note_payment(self, order: OrderRow, told: Payment, now: datetime) -> PaymentRow:
        """Join what is told of a payment of ``order``, and book it the first time that money has moved."""
        row = self.session.get(PaymentRow, (self.depot_id, told.payment_id))
        before = (row.state, row.submission, row.reason) if row is not None else None
        if row is None:
            row = PaymentRow(
                depot_id=self.depot_id,
                payment_id=told.payment_id,
                collection_id=order.collection_id,
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
        if told.fee_paise is not None:
            row.fee_paise, row.tax_paise, row.fee_known = told.fee_paise, told.tax_paise or 0, True
        if told.reason is not None:
            row.reason = told.reason
            row.seen_ms = to_ms(now)
        self.session.flush()
        if PaymentState(row.state).taken:
            collection = self.collection(order.collection_id)
            self._taken(collection, row, now)
            collection.next_ms = None  # nothing follows by itself
        elif (row.state, row.submission, row.reason) != before:  # a repeat wakes nobody
            self.wake(order.collection_id, now)
        return row

    def _taken(self, collection: CollectionRow, row: PaymentRow, now: datetime) -> None:
        """Book a payment once: to the bills of its collection that are owed still; what nobody owes goes back."""
        if row.booked:
            return
        row.booked, row.taken_ms, left, lost = True, to_ms(now), row.amount_paise, 0
        for share in self.shares(collection.collection_id):
            bill = self.bill(share.bill_id)
            paise = min(left, 0 if bill.own == Stage.PAID_OTHER else share.amount_paise - share.paid_paise)
            share.paid_paise, left = share.paid_paise + paise, left - paise
            if bill.own == Stage.WRITTEN_OFF:
                share.recovered_paise, lost = share.recovered_paise + paise, lost + paise
        row.surplus_paise = left
        owed = row.amount_paise - left - lost
        entry = ledger.taken(row.payment_id, collection.driver_id, owed_paise=owed, written_off_paise=lost, surplus_paise=left, at=now)
        ledger.post(self.session, self.depot_id, entry)
        if left:
            log.error("payment %s took %d paise that nobody owes (debit %s)", row.payment_id, left, collection.collection_id)
            self.ask_refund(row, amount_paise=left, bill_id="", why="doubled debit", now=now, key="surplus")

    def ask_refund(self, payment: PaymentRow, *, amount_paise: int, bill_id: str, why: str, now: datetime, key: str) -> RefundRow:
        """The intent to give money of a payment back; one per ``key`` and payment."""
        id_ = key_for(self.depot_id, "refund", payment.payment_id, key)
        row = self.session.get(RefundRow, (self.depot_id, id_))
        if row is None:
            row = RefundRow(
                depot_id=self.depot_id,
                key=id_,
                payment_id=payment.payment_id,
                bill_id=bill_id,
                amount_paise=amount_paise,
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
                bill_id=self._only_bill(payment.collection_id),
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
            driver = self.collection(payment.collection_id).driver_id
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

    def wake(self, collection_id: str, now: datetime) -> None:
        """Have the worker look at the collection soon."""
        self.collection(collection_id).next_ms = to_ms(now)

    def _only_bill(self, collection_id: str) -> str:
        shares = self.shares(collection_id)
        return shares[0].bill_id if len(shares) == 1 else ""

    def _submission_number(self, order: OrderRow, key: str) -> int:
        found = next((s for s in self.submissions(order.collection_id) if key and s.key == key and s.issue == order.issue), None)
        return found.number if found is not None else 0


class _By(defaultdict[str, list[Any]]):
    """Rows by collection."""

    def __init__(self) -> None:
        super().__init__(list)


def _debit(
    row: CollectionRow, orders: Sequence[OrderRow], submissions: Sequence[SubmissionRow], payments: Sequence[PaymentRow]
) -> CollectionFacts:
    kept = [p for p in payments if p.booked and not p.surplus]
    return CollectionFacts(
        own=Stage(row.own),
        orders=tuple(
            OrderFacts(
                issue=order.issue,
                requested_at=from_ms(order.requested_ms),
                order_id=order.order_id,
                notification=NotificationState(order.notification),
                delivered_at=maybe_from_ms(order.delivered_ms),
                payment_after=from_ms(order.payment_after_ms),
                submissions=tuple(_submission(s) for s in submissions if s.issue == order.issue),
                payments=tuple(_payment(p) for p in payments if p.issue == order.issue),
                noticed=order.noticed,
            )
            for order in orders
        ),
        mode=Mode(row.mode),
        round_issue=row.round_issue,
        disputed=any(p.disputed for p in payments),
        settlement_utr=kept[0].settlement_utr if kept else None,
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
