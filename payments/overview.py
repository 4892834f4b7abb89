"""What a person wants to see of the money: mandates, sessions with their bills and debits, the ledger's sums. Reads only;
everything is bounded, and the bills come in pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from payments import ledger
from payments.reasons import Reason, advice
from payments.records import Books, EventState, looking
from payments.states import BillFacts, MandateState, Mode, Stage, bill_stage
from payments.tables import BillRow, CollectionRow, MandateRow, PostingRow, WebhookRow
from payments.tallies import Tally, tallies_of
from payments.times import from_ms, maybe_from_ms
from storage import Store

__all__ = ["BILLS_MOST", "BillLine", "MandateLine", "Overview", "overview"]

BILLS_MOST = 200
_MANDATES_MOST = 200
_SETTLED = (Stage.ESTIMATED, Stage.WRITTEN_OFF, Stage.PAID_OTHER)


@dataclass(frozen=True, slots=True)
class MandateLine:
    """``intent_url``: for the driver's UPI app, while approval is still to come. ``blocked_paise``, ``debited_paise``: of a block, as the
    gateway told."""

    mandate_id: str
    driver_id: str
    mode: Mode
    state: MandateState
    max_amount_paise: int
    expire_at: datetime
    created_at: datetime
    intent_url: str | None
    blocked_paise: int
    debited_paise: int


@dataclass(frozen=True, slots=True)
class BillLine:
    """One session's money. ``reason``: why its debit failed or was given up; ``tries``: debits asked for;
    ``due_at``: when the newest order's debit may be presented at the earliest; ``owed_paise``: what of it has not come;
    ``paid_paise``: debited for it, less what was given back."""

    session_id: str
    driver_id: str
    stage: Stage
    opened_at: datetime
    invoiced_at: datetime | None
    invoice_no: str | None
    energy_wh: int
    taxable_paise: int
    tax_paise: int
    total_paise: int
    reserved_paise: int
    tries: int
    due_at: datetime | None
    reason: Reason | None
    owed_paise: int
    paid_paise: int

    @property
    def what_to_do(self) -> str:
        """For the reason, in words; "" without one."""
        return advice(self.reason) if self.reason is not None else ""


@dataclass(frozen=True, slots=True)
class Overview:
    """``balances``: paise by account, debits positive. ``webhooks``: stored ones by state. ``more``: there are older
    bills than these; ask with ``before=more``."""

    ledger: ledger.Check
    balances: Mapping[str, int]
    mandates: Sequence[MandateLine]
    bills: Sequence[BillLine]
    more: str | None
    in_arrears: int
    webhooks: Mapping[str, int]
    tallies: Mapping[str, Tally]


def overview(store: Store, depot_id: str, now: datetime, *, limit: int = 50, before: str = "") -> Overview:
    """``before``: only bills that were opened before this one; "" from the newest."""
    limit = max(1, min(limit, BILLS_MOST))
    with looking(store) as session:
        rows, more = _page(session, depot_id, limit, before)
        books = Books(session, depot_id)
        debits = _collections(session, depot_id, rows)
        mandates = session.exec(
            select(MandateRow)
            .where(MandateRow.depot_id == depot_id)
            .order_by(col(MandateRow.created_ms).desc(), col(MandateRow.mandate_id).desc())
            .limit(_MANDATES_MOST)
        ).all()
        balances = session.exec(
            select(PostingRow.account, func.sum(PostingRow.amount_paise))
            .where(PostingRow.depot_id == depot_id)
            .group_by(col(PostingRow.account))
        ).all()
        arrears = [
            session.exec(select(func.count()).select_from(table).where(table.depot_id == depot_id, table.own == Stage.ARREARS)).one()
            for table in (BillRow, CollectionRow)
        ]
        webhooks = session.exec(
            select(WebhookRow.state, func.count()).where(WebhookRow.depot_id == depot_id).group_by(col(WebhookRow.state))
        ).all()
        return Overview(
            ledger=ledger.check(session, depot_id),
            balances={account: int(total) for account, total in balances},
            mandates=[_mandate(row) for row in mandates],
            bills=[
                _bill(row, facts, debits.get(row.collection_id or ""), now) for row, facts in zip(rows, books.facts_of(rows), strict=True)
            ],
            more=more,
            in_arrears=sum(arrears),
            webhooks=dict.fromkeys(EventState, 0) | dict(webhooks),
            tallies=tallies_of(session, depot_id),
        )


def _page(session: Session, depot_id: str, limit: int, before: str) -> tuple[Sequence[BillRow], str | None]:
    query = select(BillRow).where(BillRow.depot_id == depot_id)
    last = session.get(BillRow, (depot_id, before)) if before else None
    if last is not None:
        older = col(BillRow.opened_ms) < last.opened_ms
        query = query.where(older | ((col(BillRow.opened_ms) == last.opened_ms) & (col(BillRow.bill_id) < last.bill_id)))
    rows = session.exec(query.order_by(col(BillRow.opened_ms).desc(), col(BillRow.bill_id).desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].bill_id if len(rows) > limit else None


def _mandate(row: MandateRow) -> MandateLine:
    state = MandateState(row.state)
    url = row.intent_url if state is MandateState.INTENT_OPEN else None
    return MandateLine(
        row.mandate_id, row.driver_id, Mode(row.mode), state, row.max_amount_paise, from_ms(row.expire_ms), from_ms(row.created_ms), url,
        row.blocked_paise, row.debited_paise,
    )  # fmt: skip


def _collections(session: Session, depot_id: str, bills: Sequence[BillRow]) -> dict[str, CollectionRow]:
    ids = {bill.collection_id for bill in bills if bill.collection_id}
    found = session.exec(select(CollectionRow).where(CollectionRow.depot_id == depot_id, col(CollectionRow.collection_id).in_(ids))).all()
    return {row.collection_id: row for row in found}


def _bill(row: BillRow, facts: BillFacts, debit: CollectionRow | None, now: datetime) -> BillLine:
    stage = bill_stage(facts, now)
    orders = [order for share in facts.shares for order in share.collection.orders]
    order = orders[-1] if orders else None
    failures = order.failures if order is not None else ()
    gave_up = row.gave_up or (debit.gave_up if debit is not None else None)
    reason = Reason(gave_up) if gave_up else failures[-1] if failures else None
    waits = order is not None and stage in (Stage.PDN_REQUESTED, Stage.PDN_DELIVERED, Stage.DEBIT_DUE)
    next_ms = debit.next_ms if debit is not None else None
    due_at = maybe_from_ms(next_ms) if stage is Stage.RETRY_WAIT else order.payment_after if order is not None and waits else None
    return BillLine(
        session_id=row.bill_id,
        driver_id=row.driver_id,
        stage=stage,
        opened_at=from_ms(row.opened_ms),
        invoiced_at=maybe_from_ms(row.invoiced_ms),
        invoice_no=row.invoice_no,
        energy_wh=row.energy_wh,
        taxable_paise=row.taxable_paise,
        tax_paise=row.cgst_paise + row.sgst_paise + row.igst_paise,
        total_paise=row.total_paise,
        reserved_paise=row.reserved_paise,
        tries=sum(len(order.submissions) for order in orders),
        due_at=due_at,
        reason=reason if stage.owed or stage is Stage.WRITTEN_OFF else None,
        owed_paise=0 if facts.own in _SETTLED else facts.total_paise - facts.paid_paise,
        paid_paise=facts.paid_paise - facts.refunded_paise,
    )
