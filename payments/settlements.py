"""Settlement reports, taken in once and kept against the books: what is on its way, what is wrong, what a person explained.

    fetch (worker, each day) --take_in()--> ledger, bills reconciled, differences --explain()--> zero

The account *gateway clearing* must hold what is on its way and the open differences, and nothing else: :func:`reconciliation`
adds both up, and its ``gap_paise`` is 0 or the books are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import col, func, select

from payments import Refused, UnknownRecord, ledger
from payments.gateway import SettlementItem, SettlementKind
from payments.ledger import Account
from payments.records import Books, key_for, looking
from payments.rules import INDIA
from payments.settling import DifferenceKind, Found, Known, judge
from payments.states import RefundState
from payments.tables import DifferenceRow, PaymentRow, RefundRow, SettlementRow
from payments.times import from_ms, maybe_from_ms, to_ms
from storage import Store

__all__ = ["MISSING_AFTER", "Difference", "Reconciliation", "days_to_fetch", "explain", "find_missing", "reconciliation", "take_in"]

MISSING_AFTER = timedelta(days=5)
"""The gateway settles two working days after the capture; with a weekend and a holiday between that is five."""

_BACK_DAYS = 7
_LISTED = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One that a person must explain, or has. ``amount_paise``: positive, the gateway brought too little."""

    difference_id: str
    kind: DifferenceKind
    entity_id: str
    settlement_id: str
    amount_paise: int
    note: str
    found_at: datetime
    explained_at: datetime | None
    explained_by: str | None
    explanation: str | None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """``open_paise``: sum of the open differences without their signs, and ``open`` how many: reconciled is 0 and 0.
    ``transit_paise``: taken and not settled yet; ``gap_paise``: must be 0."""

    open: int
    open_paise: int
    transit_paise: int
    clearing_paise: int
    gap_paise: int
    settled_days: int
    last_day: date | None
    differences: Sequence[Difference]

    @property
    def zero(self) -> bool:
        """Whether nothing waits for an explanation and the books agree."""
        return self.open == 0 and self.gap_paise == 0


def days_to_fetch(known: Sequence[date], now: datetime, since: date | None) -> list[date]:
    """Days (India) whose report should be read now: the last week's each time, for lines that come late, and what was never
    read since money was first taken."""
    if since is None:
        return []
    yesterday = now.astimezone(INDIA).date() - timedelta(days=1)
    first = max(since, yesterday - timedelta(days=400))
    missing = [first + timedelta(days=n) for n in range((yesterday - first).days + 1)]
    have = set(known)
    return [day for day in missing if day not in have or day > yesterday - timedelta(days=_BACK_DAYS)]


def take_in(store: Store, depot_id: str, items: Sequence[SettlementItem], *, day: date, now: datetime) -> int:
    """Book the settled lines that are new, one unit of work each; the number. Repeats change nothing."""
    new = 0
    for item in items:
        if not item.settled or not item.settlement_id:
            continue
        with store.unit() as session:
            key = (depot_id, item.settlement_id, item.kind.value, item.entity_id)
            if session.get(SettlementRow, key) is not None:
                continue
            books = Books(session, depot_id)
            known = _known(books, item)
            if known is None and item.kind is SettlementKind.PAYMENT and books.order_by_id(item.order_id) is not None and _young(day, now):
                continue  # of an order of ours: the capture is not in our books yet, the hourly look finds it before the next fetch
            verdict = judge(item, known)
            session.add(
                SettlementRow(
                    depot_id=depot_id,
                    settlement_id=item.settlement_id,
                    kind=item.kind,
                    entity_id=item.entity_id,
                    day=day.isoformat(),
                    amount_paise=item.amount_paise,
                    credit_paise=item.credit_paise,
                    debit_paise=item.debit_paise,
                    fee_paise=item.fee_paise,
                    tax_paise=item.tax_paise,
                    utr=item.utr,
                    order_id=item.order_id,
                    seen_ms=to_ms(now),
                )
            )
            _mark(books, item)
            _no_longer_missing(books, item, now)
            if verdict.transfers:
                ledger.post(session, depot_id, ledger.settled(item.settlement_id, f"{item.kind}:{item.entity_id}", verdict.transfers, now))
            for found in verdict.differences:
                _note(books, found, item.entity_id, item.settlement_id, now)
            new += 1
    return new


def _young(day: date, now: datetime) -> bool:
    return now.astimezone(INDIA).date() - day < timedelta(days=_BACK_DAYS)


def find_missing(store: Store, depot_id: str, now: datetime) -> int:
    """Note each payment that was taken long ago and is in no settlement; the number of new ones."""
    before = to_ms(now - MISSING_AFTER)
    new = 0
    with store.unit() as session:
        books = Books(session, depot_id)
        query = select(PaymentRow).where(
            PaymentRow.depot_id == depot_id,
            PaymentRow.booked,
            col(PaymentRow.settlement_utr).is_(None),
            col(PaymentRow.taken_ms) <= before,
        )
        for row in session.exec(query.limit(1000)).all():
            found = Found(DifferenceKind.MISSING, row.amount_paise, 0, "taken, and in no settlement since")
            new += _note(books, found, row.payment_id, "", now)
    return new


def explain(store: Store, depot_id: str, difference_id: str, *, by: str, why: str, now: datetime) -> None:
    """A person's word on a difference; what of it stands in gateway clearing is booked out. The same again changes nothing.
    Raises :class:`~payments.Refused`, :class:`~payments.UnknownRecord`."""
    if not why.strip():
        raise Refused("an explanation needs words")
    with store.unit() as session:
        row = session.get(DifferenceRow, (depot_id, difference_id))
        if row is None:
            raise UnknownRecord(f"there is no difference {difference_id}")
        if row.explained_ms is not None:
            return
        if row.kind == DifferenceKind.MISSING and _unsettled(Books(session, depot_id), row.entity_id):
            row.note = f"{row.note}; still on its way: {why}"[:500]
        row.explained_ms, row.explained_by, row.explanation = to_ms(now), by, why
        if row.clearing_paise:
            ledger.post(session, depot_id, ledger.explained(difference_id, row.clearing_paise, why, now))


def reconciliation(store: Store, depot_id: str, *, explained_too: bool = False) -> Reconciliation:
    """What stands between the books and the bank."""
    with looking(store) as session:
        mine = DifferenceRow.depot_id == depot_id
        waiting = session.exec(select(DifferenceRow).where(mine, col(DifferenceRow.explained_ms).is_(None))).all()
        query = select(DifferenceRow).where(mine)
        if not explained_too:
            query = query.where(col(DifferenceRow.explained_ms).is_(None))
        rows = session.exec(query.order_by(col(DifferenceRow.found_ms).desc(), col(DifferenceRow.difference_id)).limit(_LISTED)).all()
        clearing = ledger.balance(session, depot_id, Account.CLEARING)
        transit = _sum(session, select(func.sum(PaymentRow.amount_paise)).where(
            PaymentRow.depot_id == depot_id, PaymentRow.booked, col(PaymentRow.settlement_utr).is_(None)
        )) - _sum(session, select(func.sum(RefundRow.amount_paise)).where(
            RefundRow.depot_id == depot_id, RefundRow.state == RefundState.PROCESSED, col(RefundRow.settlement_utr).is_(None)
        ))  # fmt: skip
        days = session.exec(select(SettlementRow.day).where(SettlementRow.depot_id == depot_id).distinct()).all()
        return Reconciliation(
            open=len(waiting),
            open_paise=sum(abs(row.amount_paise) for row in waiting),
            transit_paise=transit,
            clearing_paise=clearing,
            gap_paise=clearing - transit - sum(row.clearing_paise for row in waiting),
            settled_days=len(days),
            last_day=date.fromisoformat(max(days)) if days else None,
            differences=[_difference(row) for row in rows],
        )


def _sum(session: object, query: object) -> int:
    return int(session.exec(query).one() or 0)  # type: ignore[attr-defined]


def _known(books: Books, item: SettlementItem) -> Known | None:
    missed = _missed(books, item.entity_id)
    if item.kind is SettlementKind.PAYMENT:
        row = books.session.get(PaymentRow, (books.depot_id, item.entity_id))
        if row is not None and row.booked:
            fee = row.fee_paise if row.fee_known else None
            return Known(row.amount_paise, fee, row.settlement_utr is not None, missed)
    if item.kind is SettlementKind.REFUND:
        refund = _refund(books, item.entity_id)
        if refund is not None and refund.state == RefundState.PROCESSED:
            return Known(refund.amount_paise, None, refund.settlement_utr is not None, missed)
    return None


def _refund(books: Books, refund_id: str) -> RefundRow | None:
    query = select(RefundRow).where(RefundRow.depot_id == books.depot_id, RefundRow.refund_id == refund_id)
    return books.session.exec(query).first()


def _mark(books: Books, item: SettlementItem) -> None:
    if item.kind is SettlementKind.PAYMENT:
        row = books.session.get(PaymentRow, (books.depot_id, item.entity_id))
        if row is not None and row.booked and row.settlement_utr is None:
            row.settlement_utr, row.fee_paise, row.tax_paise = item.utr, item.fee_paise, item.tax_paise
    elif item.kind is SettlementKind.REFUND:
        refund = _refund(books, item.entity_id)
        if refund is not None and refund.state == RefundState.PROCESSED and refund.settlement_utr is None:
            refund.settlement_utr = item.utr


def _note(books: Books, found: Found, entity_id: str, settlement_id: str, now: datetime) -> bool:
    id_ = key_for(books.depot_id, "difference", found.kind, entity_id, settlement_id)
    if books.session.get(DifferenceRow, (books.depot_id, id_)) is not None:
        return False
    books.session.add(
        DifferenceRow(
            depot_id=books.depot_id,
            difference_id=id_,
            kind=found.kind,
            entity_id=entity_id,
            settlement_id=settlement_id,
            amount_paise=found.amount_paise,
            clearing_paise=found.clearing_paise,
            note=found.note,
            found_ms=to_ms(now),
        )
    )
    books.session.flush()
    return True


def _missed(books: Books, entity_id: str) -> bool:
    id_ = key_for(books.depot_id, "difference", DifferenceKind.MISSING, entity_id, "")
    return books.session.get(DifferenceRow, (books.depot_id, id_)) is not None


def _no_longer_missing(books: Books, item: SettlementItem, now: datetime) -> None:
    """It came: nobody need explain where it is, only (as late) that it came so late."""
    row = books.session.get(
        DifferenceRow, (books.depot_id, key_for(books.depot_id, "difference", DifferenceKind.MISSING, item.entity_id, ""))
    )
    if row is not None and row.explained_ms is None:
        row.explained_ms, row.explained_by, row.explanation = to_ms(now), "", f"it came with settlement {item.settlement_id}"


def _unsettled(books: Books, payment_id: str) -> bool:
    row = books.session.get(PaymentRow, (books.depot_id, payment_id))
    return row is not None and row.settlement_utr is None


def _difference(row: DifferenceRow) -> Difference:
    return Difference(
        difference_id=row.difference_id,
        kind=DifferenceKind(row.kind),
        entity_id=row.entity_id,
        settlement_id=row.settlement_id,
        amount_paise=row.amount_paise,
        note=row.note,
        found_at=from_ms(row.found_ms),
        explained_at=maybe_from_ms(row.explained_ms),
        explained_by=row.explained_by,
        explanation=row.explanation,
    )
