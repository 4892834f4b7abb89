"""Consecutive numbers of documents: per depot, series and financial year, without gaps.

    2627/000001   invoice        2627/C000001   credit note        2627/D000001   debit note

Rule 46 (b) allows 16 signs of letters, digits, hyphen and slash. A number is taken in the unit of work that stores its document,
under the store's one write lock: what is rolled back or killed gives it back, and two writers wait for each other.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from sqlmodel import Session, col, func, or_, select

from payments import InvalidBill
from payments.money import financial_year
from payments.tables import BillRow, SeriesRow

__all__ = ["MOST_SIGNS", "Series", "next_number", "number_of"]

MOST_SIGNS = 16


class Series(StrEnum):
    """The letter before the number."""

    INVOICE = ""
    CREDIT_NOTE = "C"
    DEBIT_NOTE = "D"


def number_of(prefix: str, series: Series, year: str, count: int) -> str:
    """How it is written. Raises :class:`~payments.InvalidBill` beyond 16 signs."""
    number = f"{prefix}{year}/{series.value}{count:06d}"
    if len(number) > MOST_SIGNS:
        raise InvalidBill(f"the number {number} has more than {MOST_SIGNS} signs: shorten payments.invoice_prefix")
    return number


def next_number(session: Session, depot_id: str, series: Series, day: date, *, prefix: str = "") -> str:
    """The next number of the year in which ``day`` (Indian date) lies, taken in the caller's unit of work."""
    year = financial_year(day)
    row = session.get(SeriesRow, (depot_id, series.name, year))
    if row is None:
        row = SeriesRow(depot_id=depot_id, series=series.name, year=year, last=_earlier(session, depot_id, year, series))
        session.add(row)
    row.last += 1
    session.flush()
    return number_of(prefix, series, year, row.last)


def _earlier(session: Session, depot_id: str, year: str, series: Series) -> int:
    """Invoices that were numbered before there were series."""
    if series is not Series.INVOICE:
        return 0
    number = col(BillRow.invoice_no)
    notes = [number.startswith(f"{year}/{note.value}", autoescape=True) for note in Series if note.value]  # a debit note's money has a bill
    query = select(func.max(number)).where(BillRow.depot_id == depot_id, number.startswith(f"{year}/", autoescape=True), ~or_(*notes))
    last = session.exec(query).one()
    return int(last.partition("/")[2]) if last else 0
