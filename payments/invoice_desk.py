"""A document with what became of its money: how far it is, how it can be paid by hand; and whether numbers are missing. Reads only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from payments import UnknownRecord
from payments.documents import DocumentKind
from payments.invoices import Invoices, IssuedDocument
from payments.numbering import Series
from payments.records import Books, looking
from payments.states import Stage
from payments.tables import BillRow, DocumentRow, SeriesRow
from payments.upi_pay import PayLink

__all__ = ["SeriesState", "ToldDocument", "series_states", "session_documents", "told_document", "told_invoice_of"]

_KINDS = {Series.INVOICE: DocumentKind.INVOICE, Series.CREDIT_NOTE: DocumentKind.CREDIT_NOTE, Series.DEBIT_NOTE: DocumentKind.DEBIT_NOTE}
_MOST_MISSING = 100
_COUNT = re.compile(r"/[A-Z]?(\d+)$", re.ASCII)


@dataclass(frozen=True, slots=True)
class ToldDocument:
    """``stage``: of the bill whose money it asks for; None: a credit note asks for none. ``owed_paise``: what has not come yet.
    ``pay``: how a driver pays it by hand; None: it is paid, or a debit is under way, or the depot has no UPI address. ``others``: the
    other documents of the session, oldest first."""

    issued: IssuedDocument
    stage: Stage | None
    owed_paise: int
    pay: PayLink | None
    others: Sequence[str]


@dataclass(frozen=True, slots=True)
class SeriesState:
    """A series of one financial year. ``last``: the count of its newest number; ``missing``: numbers below it of which nothing is
    stored, at most a hundred; ``missing_count``: how many those are in all."""

    series: str
    year: str
    last: int
    missing: Sequence[str]
    missing_count: int


def told_document(invoices: Invoices, number: str) -> ToldDocument:
    """By its number. Raises :class:`~payments.UnknownRecord`."""
    issued = invoices.find(number)
    with looking(invoices.store) as session:
        books = Books(session, invoices.depot_id)
        mine = (BillRow.depot_id == invoices.depot_id) & (BillRow.invoice_no == number)
        bill = session.exec(select(BillRow).where(mine)).first()
        stage = books.stage(bill, invoices.clock.now()) if bill is not None else None
        owed = books.owed_paise(bill) if bill is not None else 0
    pay = None
    vpa = invoices.terms.supplier.vpa
    if stage is Stage.ARREARS and owed > 0 and vpa:  # while a debit is under way a payment by hand would be the second
        pay = PayLink(vpa=vpa, name=invoices.terms.supplier.name, number=number, amount_paise=owed)
    others = [other.number for other in invoices.of_bill(issued.bill_id) if other.number != number]
    return ToldDocument(issued, stage, owed, pay, others)


def told_invoice_of(invoices: Invoices, bill_id: str) -> ToldDocument:
    """A session's invoice. Raises :class:`~payments.UnknownRecord` where nothing was due, or it is not billed yet."""
    for issued in invoices.of_bill(bill_id):
        if issued.kind is DocumentKind.INVOICE:
            return told_document(invoices, issued.number)
    raise UnknownRecord(f"there is no invoice of session {bill_id}: nothing was due, or it is not billed yet")


def session_documents(invoices: Invoices, bill_id: str) -> list[str]:
    """Numbers of a session's invoice and notes, oldest first."""
    return [issued.number for issued in invoices.of_bill(bill_id)]


def series_states(invoices: Invoices) -> list[SeriesState]:
    """Whether all numbers are there, newest year first. A number that is missing was given before a backup that the books were
    restored from, or somebody has taken a row away."""
    with looking(invoices.store) as session:
        rows = session.exec(select(SeriesRow).where(SeriesRow.depot_id == invoices.depot_id)).all()
        return [_state(session, invoices.depot_id, row) for row in sorted(rows, key=lambda row: (row.year, row.series), reverse=True)]


def _state(session: Session, depot_id: str, row: SeriesRow) -> SeriesState:
    series = Series[row.series]
    like = col(DocumentRow.number).contains(f"{row.year}/{series.value}", autoescape=True)
    mine = (DocumentRow.depot_id == depot_id) & (DocumentRow.kind == _KINDS[series].value)
    if session.exec(select(func.count()).select_from(DocumentRow).where(mine, like)).one() == row.last:
        return SeriesState(row.series.lower(), row.year, row.last, (), 0)
    numbers = set(session.exec(select(DocumentRow.number).where(mine, like)).all())
    if series is Series.INVOICE:  # from before documents were kept
        billed = select(BillRow.invoice_no).where(BillRow.depot_id == depot_id, col(BillRow.invoice_no).contains(f"{row.year}/"))
        numbers |= {number for number in session.exec(billed).all() if number}
    known = {int(found[1]) for found in map(_COUNT.search, numbers) if found}
    missing = [count for count in range(1, row.last + 1) if count not in known]
    shown = tuple(f"{row.year}/{series.value}{count:06d}" for count in missing[:_MOST_MISSING])
    return SeriesState(row.series.lower(), row.year, row.last, shown, len(missing))
