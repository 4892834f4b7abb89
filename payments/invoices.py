"""Invoices and notes in the books: numbered, frozen, and found again. A document, its number and its ledger entry are one unit of work.

Charge (tariff, facts, rated) --price--> Bill --issue--> BillRow, ledger entry, document, what it was rated from
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlmodel import Session, col, select

from depot.ports import Clock
from payments import UnknownRecord, ledger
from payments.documents import DocumentKind, Sale, digest_of, document, indian_day, to_text
from payments.driver_tariff import UNITS, DriverTariff, Kind
from payments.facts_text import to_text as facts_text
from payments.gst import Recipient
from payments.money import Bill, EnergyLine, GstRule, bill_of_value
from payments.numbering import Series, next_number
from payments.rating import Rated, RatedLine, SessionFacts
from payments.records import looking
from payments.states import Stage
from payments.tables import BillRow, DocumentRow, RatingRow, RecipientRow
from payments.tariff_text import digest_of as tariff_digest
from payments.tariff_text import to_text as tariff_text
from payments.terms import Terms
from payments.times import from_ms, to_ms
from storage import Store

__all__ = ["Charge", "Invoices", "IssuedDocument", "charge_of_lines", "keep_document", "keep_rating"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A session that is to be billed. ``tariff``, ``facts`` None: what it was rated from is not known, and it cannot be corrected.
    ``place``: station and connector."""

    rated: Rated
    tariff: DriverTariff | None = None
    facts: SessionFacts | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class IssuedDocument:
    """A document as stored. ``body``: the document itself."""

    number: str
    kind: DocumentKind
    bill_id: str
    driver_id: str
    day: str
    refers_to: str | None
    total_paise: int
    digest: str
    issued_at: datetime
    body: dict[str, Any]

    @property
    def as_written(self) -> bool:
        """Whether its text still has its digest."""
        return digest_of(to_text(self.body)) == self.digest


@dataclass(frozen=True, slots=True)
class Invoices:
    """The documents of one depot."""

    store: Store
    depot_id: str
    clock: Clock
    terms: Terms

    # -- inside a unit of work --------------------------------------------------------------------------------------

    def price(self, session: Session, driver_id: str, rated: Rated, now: datetime) -> tuple[Bill, GstRule, Recipient | None]:
        """The bill by the tax rule of today and of the driver's recipient."""
        recipient = recipient_of(session, self.depot_id, driver_id)
        rule = self.terms.gst_book.rule(indian_day(now), recipient)
        return bill_of_value(rated.taxable_paise, rated.energy_wh, rule), rule, recipient

    def issue(self, session: Session, row: BillRow, charge: Charge, now: datetime) -> Bill:
        """Invoice the session: amounts, number, ledger entry, document. Nothing is due: no number and no document."""
        bill, rule, recipient = self.price(session, row.driver_id, charge.rated, now)
        row.energy_wh, row.taxable_paise, row.total_paise = bill.energy_wh, bill.taxable_paise, bill.total_paise
        row.cgst_paise, row.sgst_paise, row.igst_paise = bill.cgst_paise, bill.sgst_paise, bill.igst_paise
        row.round_off_paise, row.sac, row.own, row.reserved_paise = bill.round_off_paise, rule.sac, Stage.INVOICED, 0
        row.invoiced_ms = to_ms(now)
        if charge.tariff is not None and charge.facts is not None:
            keep_rating(session, self.depot_id, row.bill_id, charge.tariff, charge.facts, now)
        if bill.total_paise == 0:
            return bill
        supplier = self.terms.supplier
        row.invoice_no = next_number(session, self.depot_id, Series.INVOICE, indian_day(now), prefix=supplier.prefix)
        ledger.post(session, self.depot_id, ledger.invoiced(row.bill_id, row.driver_id, bill, now))
        made = document(
            DocumentKind.INVOICE, row.invoice_no, now, sale=sale_of(row, charge), rated=charge.rated, bill=bill, gst=rule,
            supplier=supplier, recipient=recipient,
        )  # fmt: skip
        keep_document(session, self.depot_id, row, made, now)
        return bill

    def issue_late(self, session: Session, row: BillRow, further: BillRow, charge: Charge, bill: Bill, rule: GstRule, now: datetime) -> str:
        """The invoice of a session for which nothing had been due, after a correction; returns its number. ``further``: the bill that
        asks for its money."""
        number = next_number(session, self.depot_id, Series.INVOICE, indian_day(now), prefix=self.terms.supplier.prefix)
        made = document(
            DocumentKind.INVOICE, number, now, sale=sale_of(row, charge), rated=charge.rated, bill=bill, gst=rule,
            supplier=self.terms.supplier, recipient=recipient_of(session, self.depot_id, row.driver_id),
        )  # fmt: skip
        keep_document(session, self.depot_id, further, made, now, of_bill=row.bill_id)
        return number

    # -- looking ----------------------------------------------------------------------------------------------------

    def find(self, number: str) -> IssuedDocument:
        """A document by its number. Raises :class:`~payments.UnknownRecord`."""
        with looking(self.store) as session:
            row = session.get(DocumentRow, (self.depot_id, number))
        if row is None:
            raise UnknownRecord(f"there is no document {number}")
        return _issued(row)

    def of_bill(self, bill_id: str) -> list[IssuedDocument]:
        """A session's invoice and notes, oldest first."""
        return self.list(bill_id=bill_id)[::-1]

    def list(self, *, limit: int = 100, before: str = "", driver_id: str = "", bill_id: str = "", month: str = "") -> list[IssuedDocument]:
        """The newest documents, newest first. ``before``: the number of the last that was shown; ``month``: like 2026-11."""
        with looking(self.store) as session:
            query = select(DocumentRow).where(DocumentRow.depot_id == self.depot_id)
            if driver_id:
                query = query.where(DocumentRow.driver_id == driver_id)
            if bill_id:
                query = query.where(DocumentRow.bill_id == bill_id)
            if month:
                query = query.where(col(DocumentRow.day).startswith(f"{month}-", autoescape=True))
            if before:
                last = session.get(DocumentRow, (self.depot_id, before))
                if last is None:
                    raise UnknownRecord(f"there is no document {before}")
                older = (col(DocumentRow.issued_ms) < last.issued_ms) | (
                    (col(DocumentRow.issued_ms) == last.issued_ms) & (col(DocumentRow.number) < before)
                )
                query = query.where(older)
            query = query.order_by(col(DocumentRow.issued_ms).desc(), col(DocumentRow.number).desc()).limit(limit)
            return [_issued(row) for row in session.exec(query).all()]

    # -- recipients -------------------------------------------------------------------------------------------------

    def recipients(self) -> dict[str, Recipient]:
        """Whom drivers' invoices are made out to, by driver."""
        with looking(self.store) as session:
            rows = session.exec(select(RecipientRow).where(RecipientRow.depot_id == self.depot_id)).all()
            return {row.driver_id: _recipient(row) for row in rows}

    def put_recipient(self, driver_id: str, recipient: Recipient | None) -> None:
        """From the next invoice on; None: the driver alone again."""
        with self.store.unit() as session:
            row = session.get(RecipientRow, (self.depot_id, driver_id))
            if recipient is None:
                if row is not None:
                    session.delete(row)
                return
            if row is None:
                row = RecipientRow(
                    depot_id=self.depot_id, driver_id=driver_id, name="", address="", gstin="", state_code="", changed_ms=0
                )  # fmt: skip
                session.add(row)
            row.name, row.address, row.gstin, row.state_code = recipient.name, recipient.address, recipient.gstin, recipient.state
            row.changed_ms = to_ms(self.clock.now())


# -- shared with corrections --------------------------------------------------------------------------------------------


def sale_of(row: BillRow, charge: Charge) -> Sale:
    """The session as its documents name it."""
    tariff, facts = charge.tariff, charge.facts
    return Sale(
        session_id=row.bill_id,
        driver_id=row.driver_id,
        place=charge.place,
        started_at=facts.started_at if facts is not None else None,
        ended_at=facts.ended_at if facts is not None else None,
        tariff_id=tariff.tariff_id if tariff is not None else "",
        tariff_digest=tariff_digest(tariff) if tariff is not None else "",
    )


def keep_document(session: Session, depot_id: str, row: BillRow, made: dict[str, Any], now: datetime, *, of_bill: str = "") -> None:
    """Store a document in the caller's unit of work. ``of_bill``: the session that a note is about, where ``row`` is another."""
    text = to_text(made)
    corrects = made["corrects"]
    session.add(
        DocumentRow(
            depot_id=depot_id,
            number=made["number"],
            kind=made["kind"],
            bill_id=of_bill or row.bill_id,
            driver_id=row.driver_id,
            day=made["day"],
            refers_to=corrects["number"] if corrects else None,
            total_paise=made["total_paise"],
            digest=digest_of(text),
            body=text,
            issued_ms=to_ms(now),
        )
    )
    session.flush()


def keep_rating(session: Session, depot_id: str, bill_id: str, tariff: DriverTariff, facts: SessionFacts, now: datetime) -> None:
    """Keep what a bill was rated from, in the caller's unit of work."""
    query = select(RatingRow.number).where(RatingRow.depot_id == depot_id, RatingRow.bill_id == bill_id)
    known = session.exec(query.order_by(col(RatingRow.number).desc())).first()
    session.add(
        RatingRow(
            depot_id=depot_id,
            bill_id=bill_id,
            number=0 if known is None else known + 1,
            tariff=tariff_text(tariff),
            facts=facts_text(facts),
            at_ms=to_ms(now),
        )
    )
    session.flush()


def recipient_of(session: Session, depot_id: str, driver_id: str) -> Recipient | None:
    """Whom the driver's invoices are made out to, where it is not the driver alone."""
    row = session.get(RecipientRow, (depot_id, driver_id))
    return None if row is None else _recipient(row)


def charge_of_lines(lines: Sequence[EnergyLine], service_paise: int = 0) -> Charge:
    """Energy that was priced elsewhere, a line each, and a charge beside it."""
    rated = [
        RatedLine(
            Kind.ENERGY, n, Fraction(line.energy_wh, 1000), UNITS[Kind.ENERGY], line.paise_per_kwh, line.value_paise, "Charging energy"
        )
        for n, line in enumerate(lines)
    ]
    if service_paise:
        price = Fraction(service_paise)
        rated.append(RatedLine(Kind.FLAT, 0, Fraction(1), UNITS[Kind.FLAT], price, service_paise, "Charge for the session"))
    total = sum(line.amount_paise for line in rated)
    return Charge(rated=Rated(tuple(rated), sum(line.energy_wh for line in lines), total, 0, ()))


def _recipient(row: RecipientRow) -> Recipient:
    return Recipient(name=row.name, address=row.address, gstin=row.gstin, state_code=row.state_code)


def _issued(row: DocumentRow) -> IssuedDocument:
    return IssuedDocument(
        row.number, DocumentKind(row.kind), row.bill_id, row.driver_id, row.day, row.refers_to, row.total_paise, row.digest,
        from_ms(row.issued_ms), json.loads(row.body),
    )  # fmt: skip
