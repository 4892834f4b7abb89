"""Statements out of the ledger: of a driver, of all drivers, of a day; and the proof that they are what the invoices say.

A driver's balance is what they owe, less what is owed to them; positive: they owe. Days are India's. Reads only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlmodel import Session, col, func, select

from depot.money_text import plain_decimal
from payments.documents import DocumentKind
from payments.ledger import Account
from payments.records import looking
from payments.rules import INDIA
from payments.states import RefundState, Stage
from payments.tables import BillRow, CollectionRow, DocumentRow, EntryRow, OtherPaymentRow, PaymentRow, PostingRow, RefundRow, ShareRow
from payments.times import from_ms, to_ms
from storage import Store

__all__ = [
    "AccountLine",
    "DayStatement",
    "DriverLine",
    "DriverStatement",
    "FleetStatement",
    "Mismatch",
    "StatementLine",
    "as_csv",
    "day_statement",
    "driver_statement",
    "fleet_statement",
    "mismatches",
]

_OF_DRIVERS = (Account.RECEIVABLE, Account.REFUNDS_DUE)
_CSV_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One entry. ``reference``: the invoice number, the payment, the refund; ``amount_paise``: positive, the driver owes more."""

    at: datetime
    kind: str
    reference: str
    memo: str
    amount_paise: int
    balance_paise: int


@dataclass(frozen=True, slots=True)
class DriverStatement:
    """Of one driver, from the first day to the last, both included."""

    driver_id: str
    first: date
    last: date
    opening_paise: int
    lines: Sequence[StatementLine]
    closing_paise: int


@dataclass(frozen=True, slots=True)
class DriverLine:
    """A driver's sums in a time. ``credited``: credit notes; ``refunded``: money given back; ``written_off``: lost."""

    driver_id: str
    opening_paise: int
    invoiced_paise: int
    paid_paise: int
    credited_paise: int
    refunded_paise: int
    written_off_paise: int
    closing_paise: int


@dataclass(frozen=True, slots=True)
class FleetStatement:
    """Of all drivers."""

    first: date
    last: date
    drivers: Sequence[DriverLine]

    @property
    def opening_paise(self) -> int:
        """Of all."""
        return sum(line.opening_paise for line in self.drivers)

    @property
    def closing_paise(self) -> int:
        """Of all."""
        return sum(line.closing_paise for line in self.drivers)


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account's day; debits positive."""

    account: str
    opening_paise: int
    debits_paise: int
    credits_paise: int
    closing_paise: int


@dataclass(frozen=True, slots=True)
class DayStatement:
    """Of one business day in India: every account of the ledger; the closings' sum is 0."""

    day: date
    entries: int
    accounts: Sequence[AccountLine]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where ledger and documents do not agree: of which driver, what, and both sums."""

    driver_id: str
    what: str
    ledger_paise: int
    documents_paise: int


def driver_statement(store: Store, depot_id: str, driver_id: str, first: date, last: date) -> DriverStatement:
    """A driver's account, entry by entry."""
    begin, end = _span(first, last)
    with looking(store) as session:
        mine = (PostingRow.depot_id == depot_id, PostingRow.party == driver_id, col(PostingRow.account).in_(_OF_DRIVERS))
        join = (col(EntryRow.depot_id) == PostingRow.depot_id) & (col(EntryRow.seq) == PostingRow.seq)
        opening = session.exec(select(func.sum(PostingRow.amount_paise)).join(EntryRow, join).where(*mine, EntryRow.at_ms < begin)).one()
        rows = session.exec(
            select(EntryRow.at_ms, EntryRow.key, EntryRow.memo, func.sum(PostingRow.amount_paise))
            .join(EntryRow, join)
            .where(*mine, EntryRow.at_ms >= begin, EntryRow.at_ms < end)
            .group_by(col(EntryRow.seq), col(EntryRow.at_ms), col(EntryRow.key), col(EntryRow.memo))
            .order_by(col(EntryRow.at_ms), col(EntryRow.seq))
        ).all()
        numbers = _invoice_numbers(session, depot_id, driver_id)
    balance, lines = int(opening or 0), []
    start = balance
    for at_ms, key, memo, amount in rows:
        balance += int(amount)
        kind, _, about = key.partition(":")
        lines.append(StatementLine(from_ms(at_ms), kind, numbers.get(about.partition("/")[0], about), memo, int(amount), balance))
    return DriverStatement(driver_id, first, last, start, lines, balance)


def fleet_statement(store: Store, depot_id: str, first: date, last: date) -> FleetStatement:
    """Every driver's sums; who had nothing to do with the time is left out."""
    begin, end = _span(first, last)
    sums: dict[str, dict[str, int]] = {}
    with looking(store) as session:
        rows = session.exec(
            select(PostingRow.party, EntryRow.key, EntryRow.at_ms, PostingRow.amount_paise)
            .join(EntryRow, (col(EntryRow.depot_id) == PostingRow.depot_id) & (col(EntryRow.seq) == PostingRow.seq))
            .where(PostingRow.depot_id == depot_id, col(PostingRow.account).in_(_OF_DRIVERS), EntryRow.at_ms < end)
        )
        for party, key, at_ms, amount in rows:
            mine = sums.setdefault(party, {})
            kind = "opening" if at_ms < begin else key.partition(":")[0]
            mine[kind] = mine.get(kind, 0) + amount
    lines = []
    for driver_id, mine in sorted(sums.items()):
        line = DriverLine(
            driver_id=driver_id,
            opening_paise=mine.get("opening", 0),
            invoiced_paise=mine.get("invoice", 0),
            paid_paise=-mine.get("capture", 0) - mine.get("other", 0),
            credited_paise=-mine.get("credit", 0),
            refunded_paise=mine.get("refund", 0),
            written_off_paise=-mine.get("writeoff", 0),
            closing_paise=sum(mine.values()),
        )
        if line.opening_paise or line.closing_paise or set(mine) - {"opening"}:
            lines.append(line)
    return FleetStatement(first, last, lines)


def day_statement(store: Store, depot_id: str, day: date) -> DayStatement:
    """Every account's day."""
    begin, end = _span(day, day)
    with looking(store) as session:
        join = (col(EntryRow.depot_id) == PostingRow.depot_id) & (col(EntryRow.seq) == PostingRow.seq)
        opening = dict(
            session.exec(
                select(PostingRow.account, func.sum(PostingRow.amount_paise))
                .join(EntryRow, join)
                .where(PostingRow.depot_id == depot_id, EntryRow.at_ms < begin)
                .group_by(col(PostingRow.account))
            ).all()
        )
        rows = session.exec(
            select(PostingRow.seq, PostingRow.account, PostingRow.amount_paise)
            .join(EntryRow, join)
            .where(PostingRow.depot_id == depot_id, EntryRow.at_ms >= begin, EntryRow.at_ms < end)
        ).all()
    debits: dict[str, int] = {}
    credits_: dict[str, int] = {}
    for _, account, amount in rows:
        side = debits if amount > 0 else credits_
        side[account] = side.get(account, 0) + abs(amount)
    accounts = [
        AccountLine(
            str(a),
            int(opening.get(a, 0)),
            debits.get(a, 0),
            credits_.get(a, 0),
            int(opening.get(a, 0)) + debits.get(a, 0) - credits_.get(a, 0),
        )
        for a in Account
        if a in opening or a in debits or a in credits_
    ]
    return DayStatement(day, len({seq for seq, _, _ in rows}), accounts)


def mismatches(session: Session, depot_id: str) -> list[Mismatch]:
    """Where the ledger is not what the documents say, by driver: invoices and debit notes, credit notes, debits, refunds, other
    payments. Empty: they agree."""
    told = {
        "invoice": _invoices(session, depot_id),
        "bill": _by_driver(session, select(BillRow.driver_id, func.sum(BillRow.total_paise)).where(
            BillRow.depot_id == depot_id, BillRow.own != Stage.ESTIMATED).group_by(col(BillRow.driver_id))),
        "credit": _by_driver(session, select(DocumentRow.driver_id, func.sum(DocumentRow.total_paise)).where(
            DocumentRow.depot_id == depot_id, DocumentRow.kind == DocumentKind.CREDIT_NOTE).group_by(col(DocumentRow.driver_id))),
        "capture": _captures(session, depot_id),
        "refund": _refunds(session, depot_id),
        "other": _by_driver(session, select(BillRow.driver_id, func.sum(OtherPaymentRow.amount_paise)).join(
            BillRow, (col(BillRow.depot_id) == OtherPaymentRow.depot_id) & (col(BillRow.bill_id) == OtherPaymentRow.bill_id)
            ).where(OtherPaymentRow.depot_id == depot_id).group_by(col(BillRow.driver_id))),
    }  # fmt: skip
    posted: dict[str, dict[str, int]] = {kind: {} for kind in told}
    without = _without_documents(session, depot_id)
    rows = session.exec(
        select(PostingRow.party, EntryRow.key, PostingRow.amount_paise)
        .join(EntryRow, (col(EntryRow.depot_id) == PostingRow.depot_id) & (col(EntryRow.seq) == PostingRow.seq))
        .where(PostingRow.depot_id == depot_id, PostingRow.party != "")
    )
    for party, key, amount in rows:
        kind, _, about = key.partition(":")
        if kind not in posted or (kind == "credit" and about.rpartition("/")[0] in without):
            continue
        signed = amount if kind in ("invoice", "refund") else -amount
        posted[kind][party] = posted[kind].get(party, 0) + signed
    posted["bill"] = posted["invoice"]  # row and document of a bill both say what it is
    return [
        Mismatch(driver, kind, posted[kind].get(driver, 0), told[kind].get(driver, 0))
        for kind in told
        for driver in sorted({*posted[kind], *told[kind]})
        if posted[kind].get(driver, 0) != told[kind].get(driver, 0)
    ]


def as_csv(statement: DriverStatement | FleetStatement | DayStatement) -> str:
    """For a spreadsheet: rupees with two places, CRLF, no formulas."""
    out = io.StringIO()
    table = csv.writer(out)
    match statement:
        case DriverStatement():
            table.writerow(["at", "kind", "reference", "memo", "amount_inr", "balance_inr"])
            table.writerow([statement.first.isoformat(), "opening", "", "", "", plain_decimal(statement.opening_paise)])
            for entry in statement.lines:
                at = entry.at.astimezone(INDIA).isoformat(timespec="seconds")
                row = [at, entry.kind, _plain(entry.reference), _plain(entry.memo)]
                table.writerow([*row, plain_decimal(entry.amount_paise), plain_decimal(entry.balance_paise)])
            table.writerow([statement.last.isoformat(), "closing", "", "", "", plain_decimal(statement.closing_paise)])
        case FleetStatement():
            names = ("opening", "invoiced", "paid", "credited", "refunded", "written_off", "closing")
            table.writerow(["driver_id", *(f"{name}_inr" for name in names)])
            for line in statement.drivers:
                table.writerow([_plain(line.driver_id), *(plain_decimal(getattr(line, f"{name}_paise")) for name in names)])
        case DayStatement():
            table.writerow(["account", "opening_inr", "debits_inr", "credits_inr", "closing_inr"])
            for a in statement.accounts:
                table.writerow([a.account, *map(plain_decimal, (a.opening_paise, a.debits_paise, a.credits_paise, a.closing_paise))])
    return out.getvalue()


def _span(first: date, last: date) -> tuple[int, int]:
    begin = datetime.combine(first, time(0), INDIA)
    return to_ms(begin), to_ms(datetime.combine(last + timedelta(days=1), time(0), INDIA))


def _by_driver(session: Session, query: object) -> dict[str, int]:
    return {driver: int(paise) for driver, paise in session.exec(query).all() if paise}  # type: ignore[call-overload]


def _invoices(session: Session, depot_id: str) -> dict[str, int]:
    """By the document of each bill; by the bill where no document was kept for it."""
    same = (col(DocumentRow.depot_id) == BillRow.depot_id) & (col(DocumentRow.number) == BillRow.invoice_no)
    query = (
        select(BillRow.driver_id, func.sum(func.coalesce(DocumentRow.total_paise, BillRow.total_paise)))
        .select_from(BillRow)
        .join(DocumentRow, same, isouter=True)
        .where(BillRow.depot_id == depot_id, BillRow.own != Stage.ESTIMATED)
    )
    return _by_driver(session, query.group_by(col(BillRow.driver_id)))


def _without_documents(session: Session, depot_id: str) -> set[str]:
    """Bills of before documents were kept: their credits have no note either."""
    same = (col(DocumentRow.depot_id) == BillRow.depot_id) & (col(DocumentRow.number) == BillRow.invoice_no)
    query = select(BillRow.bill_id).join(DocumentRow, same, isouter=True)
    return set(session.exec(query.where(BillRow.depot_id == depot_id, col(DocumentRow.number).is_(None))).all())


def _captures(session: Session, depot_id: str) -> dict[str, int]:
    """Taken by the gateway, without what a written-off bill got back: that never was the driver's account."""
    found: dict[str, int] = {}
    join = (col(CollectionRow.depot_id) == PaymentRow.depot_id) & (col(CollectionRow.collection_id) == PaymentRow.collection_id)
    query = select(CollectionRow.driver_id, func.sum(PaymentRow.amount_paise)).join(CollectionRow, join)
    for driver, paise in session.exec(
        query.where(PaymentRow.depot_id == depot_id, PaymentRow.booked).group_by(col(CollectionRow.driver_id))
    ).all():
        found[driver] = int(paise)
    lost = select(BillRow.driver_id, func.sum(ShareRow.recovered_paise)).join(
        BillRow, (col(BillRow.depot_id) == ShareRow.depot_id) & (col(BillRow.bill_id) == ShareRow.bill_id)
    )
    for driver, paise in session.exec(lost.where(ShareRow.depot_id == depot_id).group_by(col(BillRow.driver_id))).all():
        found[driver] = found.get(driver, 0) - int(paise)
    return {driver: paise for driver, paise in found.items() if paise}


def _refunds(session: Session, depot_id: str) -> dict[str, int]:
    query = (
        select(CollectionRow.driver_id, func.sum(RefundRow.amount_paise))
        .join(PaymentRow, (col(PaymentRow.depot_id) == RefundRow.depot_id) & (col(PaymentRow.payment_id) == RefundRow.payment_id))
        .join(
            CollectionRow,
            (col(CollectionRow.depot_id) == PaymentRow.depot_id) & (col(CollectionRow.collection_id) == PaymentRow.collection_id),
        )
        .where(RefundRow.depot_id == depot_id, RefundRow.state == RefundState.PROCESSED)
    )
    return _by_driver(session, query.group_by(col(CollectionRow.driver_id)))


def _invoice_numbers(session: Session, depot_id: str, driver_id: str) -> dict[str, str]:
    query = select(BillRow.bill_id, BillRow.invoice_no).where(BillRow.depot_id == depot_id, BillRow.driver_id == driver_id)
    return {bill_id: number for bill_id, number in session.exec(query).all() if number}


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_CSV_FORMULA) else text
