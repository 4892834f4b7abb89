"""Credit and debit notes (CGST Act s. 34), made from the invoice that they are about: supplier, recipient, place and rate are
those of the supply, whatever has changed since. All inside the caller's unit of work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlmodel import Session, col, select

from payments.documents import Correction, DocumentKind, Sale, document, indian_day
from payments.gst import Recipient, Supplier
from payments.invoices import keep_document
from payments.money import Bill, GstRule
from payments.numbering import Series, next_number
from payments.rating import Rated
from payments.tables import BillRow, DocumentRow

__all__ = ["Billed", "billed_so_far", "invoice_of", "issue_note", "rule_of"]

_SERIES = {DocumentKind.CREDIT_NOTE: Series.CREDIT_NOTE, DocumentKind.DEBIT_NOTE: Series.DEBIT_NOTE}


@dataclass(frozen=True, slots=True)
class Billed:
    """Amounts of a session over all its documents, in paise; they may be of either sign."""

    taxable_paise: int = 0
    cgst_paise: int = 0
    sgst_paise: int = 0
    igst_paise: int = 0
    round_off_paise: int = 0
    total_paise: int = 0

    def plus(self, other: Bill | Billed, sign: int = 1) -> Billed:
        """The sum, or with ``sign`` -1 the difference."""
        names = ("taxable_paise", "cgst_paise", "sgst_paise", "igst_paise", "round_off_paise", "total_paise")
        return Billed(**{name: getattr(self, name) + sign * getattr(other, name) for name in names})

    def as_bill(self, sign: int = 1) -> Bill:
        """As amounts of a note. Raises :class:`~payments.InvalidBill` where they are below nothing."""
        return Bill(
            energy_wh=0,
            taxable_paise=sign * self.taxable_paise,
            cgst_paise=sign * self.cgst_paise,
            sgst_paise=sign * self.sgst_paise,
            igst_paise=sign * self.igst_paise,
            round_off_paise=sign * self.round_off_paise,
            total_paise=sign * self.total_paise,
        )


def invoice_of(session: Session, depot_id: str, bill_id: str) -> dict[str, Any] | None:
    """The session's invoice; None: nothing was due, or it is from before documents were kept."""
    for row in _documents(session, depot_id, bill_id):
        if row.kind == DocumentKind.INVOICE:
            body: dict[str, Any] = json.loads(row.body)
            return body
    return None


def billed_so_far(session: Session, depot_id: str, bill_id: str, *, refunds: bool) -> Billed:
    """What invoice and notes come to. ``refunds``: those count too that were given without the measurement's changing."""
    total = Billed()
    for row in _documents(session, depot_id, bill_id):
        body = json.loads(row.body)
        if body["cause"] == "refund" and not refunds:
            continue
        taxes = {tax["name"]: tax["amount_paise"] for tax in body["taxes"]}
        amounts = Billed(
            body["taxable_paise"],
            taxes.get("CGST", 0),
            taxes.get("SGST", taxes.get("UTGST", 0)),
            taxes.get("IGST", 0),
            body["round_off_paise"],
            body["total_paise"],
        )
        total = total.plus(amounts, -1 if row.kind == DocumentKind.CREDIT_NOTE else 1)
    return total


def rule_of(invoice: Mapping[str, Any], *, whole_rupees: bool) -> GstRule:
    """The tax rule by which an invoice was made."""
    return GstRule(
        rate=sum((Fraction(tax["rate_percent"]) for tax in invoice["taxes"]), Fraction(0)) / 100,
        sac=invoice["lines"][0]["sac"],
        supplier_state=invoice["supplier"]["state_code"],
        supply_state=invoice["place_of_supply"]["state_code"],
        whole_rupees=whole_rupees,
    )


def issue_note(
    session: Session,
    depot_id: str,
    row: BillRow,
    kind: DocumentKind,
    amounts: Bill,
    *,
    reason: str,
    cause: str,
    now: datetime,
    rated: Rated | None = None,
) -> str | None:
    """Number and store a note about the session of ``row``; returns its number, None where there is no invoice to refer to.
    ``rated``: what the session comes to now, where that has changed."""
    invoice = invoice_of(session, depot_id, row.bill_id)
    if invoice is None:
        return None
    prefix = invoice["number"].partition("/")[0][:-4]
    number = next_number(session, depot_id, _SERIES[kind], indian_day(now), prefix=prefix)
    made = document(
        kind, number, now, sale=_sale(invoice), rated=rated or Rated((), invoice["session"]["energy_wh"], 0, 0, ()), bill=amounts,
        gst=rule_of(invoice, whole_rupees=False), supplier=_supplier(invoice, prefix), recipient=_recipient(invoice),
        corrects=Correction(number=invoice["number"], day=invoice["day"], reason=reason), cause=cause,
    )  # fmt: skip
    keep_document(session, depot_id, row, made, now)
    return number


def _documents(session: Session, depot_id: str, bill_id: str) -> Sequence[DocumentRow]:
    query = select(DocumentRow).where(DocumentRow.depot_id == depot_id, DocumentRow.bill_id == bill_id)
    return session.exec(query.order_by(col(DocumentRow.issued_ms), col(DocumentRow.number))).all()


def _sale(invoice: Mapping[str, Any]) -> Sale:
    said = invoice["session"]
    return Sale(
        session_id=said["session_id"],
        driver_id=invoice["recipient"]["driver_id"],
        place=said["place"],
        started_at=_moment(said["started_at"]),
        ended_at=_moment(said["ended_at"]),
        tariff_id=said["tariff_id"],
        tariff_digest=said["tariff_digest"],
    )


def _supplier(invoice: Mapping[str, Any], prefix: str) -> Supplier:
    said = invoice["supplier"]
    return Supplier(
        name=said["name"], address=said["address"], gstin=said["gstin"], state_code=said["state_code"], prefix=prefix,
        irn_needed=invoice["irn_reason"].startswith("IRN missing"),
    )  # fmt: skip


def _recipient(invoice: Mapping[str, Any]) -> Recipient | None:
    said = invoice["recipient"]
    if not said["name"]:
        return None
    return Recipient(name=said["name"], address=said["address"], gstin=said["gstin"], state_code=said["state_code"])


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
