"""Debits as a person wants to see them: each with its bills and the steps of its way. Reads only, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from payments.reasons import Reason, advice
from payments.records import Books, looking
from payments.states import CollectionFacts, NotificationState, Stage, stage_of
from payments.tables import BillRow, CollectionRow, PaymentRow, RefundRow, ShareRow
from payments.times import from_ms, maybe_from_ms
from storage import Store

__all__ = ["DebitLine", "Step", "debit_list", "refund_list"]

_MOST = 200


@dataclass(frozen=True, slots=True)
class Step:
    """What happened when."""

    at: datetime
    what: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class DebitLine:
    """One debit. ``bills``: (session, invoice number, taken for it, come of it)."""

    row: CollectionRow
    stage: Stage
    due_at: datetime | None
    reason: Reason | None
    bills: Sequence[tuple[str, str, int, int]]
    steps: Sequence[Step]

    @property
    def what_to_do(self) -> str:
        """In words; "" without a reason."""
        return advice(self.reason) if self.reason is not None else ""


def debit_list(
    store: Store, depot_id: str, now: datetime, *, limit: int = 50, before: str = "", driver_id: str = ""
) -> tuple[list[DebitLine], str]:
    """The newest debits (of one driver), and the id to ask older ones with, "" at the end."""
    limit = max(1, min(limit, _MOST))
    with looking(store) as session:
        books = Books(session, depot_id)
        query = select(CollectionRow).where(CollectionRow.depot_id == depot_id)
        if driver_id:
            query = query.where(CollectionRow.driver_id == driver_id)
        last = session.get(CollectionRow, (depot_id, before)) if before else None
        if last is not None:
            same = (col(CollectionRow.created_ms) == last.created_ms) & (col(CollectionRow.collection_id) < last.collection_id)
            query = query.where((col(CollectionRow.created_ms) < last.created_ms) | same)
        newest = query.order_by(col(CollectionRow.created_ms).desc(), col(CollectionRow.collection_id).desc())
        rows = session.exec(newest.limit(limit + 1)).all()
        shown, facts = rows[:limit], books.debits(rows[:limit])
        ids = [row.collection_id for row in shown]
        bills: dict[str, list[tuple[str, str, int, int]]] = {id_: [] for id_ in ids}
        join = (col(BillRow.depot_id) == ShareRow.depot_id) & (col(BillRow.bill_id) == ShareRow.bill_id)
        for share, number in session.exec(
            select(ShareRow, BillRow.invoice_no)
            .join(BillRow, join)
            .where(ShareRow.depot_id == depot_id, col(ShareRow.collection_id).in_(ids))
            .order_by(col(BillRow.opened_ms))
        ).all():
            bills[share.collection_id].append((share.bill_id, number or "", share.amount_paise, share.paid_paise))
        taken = {
            p.payment_id: p
            for p in session.exec(
                select(PaymentRow).where(PaymentRow.depot_id == depot_id, col(PaymentRow.collection_id).in_(ids), PaymentRow.booked)
            ).all()
        }
        lines = [_line(row, facts[row.collection_id], bills[row.collection_id], taken, now) for row in shown]
    return lines, ids[-1] if len(rows) > limit else ""


def refund_list(store: Store, depot_id: str, *, limit: int = 100, bill_id: str = "") -> list[RefundRow]:
    """The newest refunds (of one session)."""
    with looking(store) as session:
        query = select(RefundRow).where(RefundRow.depot_id == depot_id)
        if bill_id:
            query = query.where(RefundRow.bill_id == bill_id)
        return list(session.exec(query.order_by(col(RefundRow.asked_ms).desc(), col(RefundRow.key)).limit(limit)).all())


def _line(
    row: CollectionRow,
    facts: CollectionFacts,
    bills: Sequence[tuple[str, str, int, int]],
    taken: dict[str, PaymentRow],
    now: datetime,
) -> DebitLine:
    stage = stage_of(facts, now)
    order = facts.orders[-1] if facts.orders else None
    failures = facts.failures
    reason = Reason(row.gave_up) if row.gave_up else failures[-1] if failures else None
    waits = order is not None and stage in (Stage.PDN_REQUESTED, Stage.PDN_DELIVERED, Stage.DEBIT_DUE)
    due_at = maybe_from_ms(row.next_ms) if stage is Stage.RETRY_WAIT else order.payment_after if order is not None and waits else None
    return DebitLine(row, stage, due_at, reason if stage.owed else None, bills, _steps(row, facts, taken))


def _steps(row: CollectionRow, facts: CollectionFacts, taken: dict[str, PaymentRow]) -> list[Step]:
    steps = [Step(from_ms(row.created_ms), "batched")]
    for order in facts.orders:
        steps.append(Step(order.requested_at, "notice asked for" if order.noticed else "order asked for", order.order_id or ""))
        if order.delivered_at is not None:
            steps.append(Step(order.delivered_at, "notice delivered"))
        elif order.notification is NotificationState.FAILED:
            steps.append(Step(order.requested_at, "notice failed"))
        for submission in order.submissions:
            steps.append(Step(submission.at, "debit asked for", f"try {submission.number}"))
            if submission.refused is not None:
                steps.append(Step(submission.at, "refused", submission.refused))
            if submission.lapsed:
                steps.append(Step(submission.at, "never arrived", "asked for again"))
        for payment in order.payments:
            at = payment.seen_at or order.requested_at
            found = taken.get(payment.payment_id)
            if found is not None:
                steps.append(Step(maybe_from_ms(found.taken_ms) or at, "taken", payment.payment_id))
                if found.settlement_utr:
                    steps.append(Step(maybe_from_ms(found.taken_ms) or at, "settled", found.settlement_utr))
            else:
                steps.append(Step(at, str(payment.state), payment.reason or payment.payment_id))
    return sorted(steps, key=lambda step: step.at)
