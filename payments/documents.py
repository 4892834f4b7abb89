"""Tax invoice, credit note and debit note as documents: all fields of rule 46 (and 53), frozen when issued. Pure.

A document is a plain mapping (JSON ``invoice/1``): amounts in integer paise, exact quantities and prices as text, the day in
India. PDF and page are made from it and from nothing else, so they are the same whenever they are made.

What stands in it where the law's wish cannot be met is said in ``notices``: no GSTIN of the supplier, no number of the invoice
registration portal (IRN) though one is needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

from payments.gst import STATES, WITHOUT_LEGISLATURE, Recipient, Supplier
from payments.money import Bill, GstRule
from payments.money_words import rupees_in_words
from payments.rating import Rated
from payments.rules import INDIA
from payments.tariff_text import exact_text

__all__ = ["SCHEMA", "Correction", "DocumentKind", "Sale", "digest_of", "document", "indian_day", "to_text"]

SCHEMA = "invoice/1"
Document = Mapping[str, Any]


class DocumentKind(StrEnum):
    """What the law calls it (CGST Act s. 31, s. 34)."""

    INVOICE = "tax_invoice"
    CREDIT_NOTE = "credit_note"
    DEBIT_NOTE = "debit_note"


TITLES = {DocumentKind.INVOICE: "Tax invoice", DocumentKind.CREDIT_NOTE: "Credit note", DocumentKind.DEBIT_NOTE: "Debit note"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """The session that is billed. ``tariff_id`` and ``tariff_digest``: as frozen at its start. ``place``: station and connector."""

    session_id: str
    driver_id: str
    place: str
    started_at: datetime | None
    ended_at: datetime | None
    tariff_id: str
    tariff_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a note is about: the invoice, and why."""

    number: str
    day: str
    reason: str


def indian_day(at: datetime) -> date:
    """The date of a document of that moment."""
    return at.astimezone(INDIA).date()


def document(
    kind: DocumentKind,
    number: str,
    issued_at: datetime,
    *,
    sale: Sale,
    rated: Rated,
    bill: Bill,
    gst: GstRule,
    supplier: Supplier,
    recipient: Recipient | None = None,
    corrects: Correction | None = None,
    cause: str = "",
) -> dict[str, Any]:
    """The document. ``bill``: its amounts, never negative; of a note the difference. ``rated``: the lines of an invoice; of a note
    what the session comes to now, or no lines. ``cause`` of a note: "correction" of what was measured, or "refund".
    ``recipient`` None: a driver who is not registered and is named by the depot's id."""
    day = indian_day(issued_at)
    registered = recipient is not None and recipient.gstin != ""
    note = kind is not DocumentKind.INVOICE
    return {
        "schema": SCHEMA,
        "kind": kind.value,
        "title": TITLES[kind],
        "cause": cause,
        "number": number,
        "day": day.isoformat(),
        "issued_at": issued_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "supplier": {
            "name": supplier.name,
            "address": supplier.address,
            "gstin": supplier.gstin,
            "state_code": gst.supplier_state,
            "state": STATES.get(gst.supplier_state, ""),
        },
        "recipient": {
            "registered": registered,
            "driver_id": sale.driver_id,
            "name": recipient.name if recipient is not None else "",
            "address": recipient.address if recipient is not None else "",
            "gstin": recipient.gstin if recipient is not None else "",
            "state_code": recipient.state if recipient is not None else gst.supply_state,
            "state": STATES.get(recipient.state if recipient is not None else gst.supply_state, ""),
        },
        "place_of_supply": {"state_code": gst.supply_state, "state": STATES.get(gst.supply_state, "")},
        "reverse_charge": False,
        "session": {
            "session_id": sale.session_id,
            "place": sale.place,
            "started_at": _utc(sale.started_at),
            "ended_at": _utc(sale.ended_at),
            "energy_wh": rated.energy_wh,
            "tariff_id": sale.tariff_id,
            "tariff_digest": sale.tariff_digest,
        },
        "lines": _note_lines(kind, bill, gst, corrects) if note else _lines(rated, gst),
        "now": {"lines": _lines(rated, gst)} if note and rated.lines else None,
        "taxable_paise": bill.taxable_paise,
        "taxes": _taxes(bill, gst),
        "round_off_paise": bill.round_off_paise,
        "total_paise": bill.total_paise,
        "total_in_words": rupees_in_words(bill.total_paise),
        "currency": "INR",
        "corrects": {"number": corrects.number, "day": corrects.day, "reason": corrects.reason} if corrects is not None else None,
        "irn": "",
        "signed_qr": "",
        "irn_reason": _irn_reason(supplier, registered=registered),
        "notices": _notices(supplier, gst, registered=registered),
        "remarks": list(rated.remarks),
    }


def to_text(made: Document) -> str:
    """Canonical JSON: one line, keys in order."""
    return json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(text: str) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(text.encode()).hexdigest()


# -- parts ------------------------------------------------------------------------------------------------------------


def _lines(rated: Rated, gst: GstRule) -> list[dict[str, Any]]:
    return [
        {
            "words": line.words,
            "sac": gst.sac,
            "quantity": exact_text(line.quantity),
            "unit": line.unit.value,
            "price_paise": exact_text(line.price_paise) if line.price_paise >= 0 else f"-{exact_text(-line.price_paise)}",
            "taxable_paise": line.amount_paise,
        }
        for line in rated.lines
    ]


def _note_lines(kind: DocumentKind, bill: Bill, gst: GstRule, corrects: Correction | None) -> list[dict[str, Any]]:
    of = f" of invoice {corrects.number}" if corrects is not None else ""
    word = "Less" if kind is DocumentKind.CREDIT_NOTE else "More"
    return [
        {
            "words": f"{word} for the charging session{of}",
            "sac": gst.sac,
            "quantity": "1",
            "unit": "session",
            "price_paise": str(bill.taxable_paise),
            "taxable_paise": bill.taxable_paise,
        }
    ]


def _taxes(bill: Bill, gst: GstRule) -> Sequence[dict[str, Any]]:
    half, whole = exact_text(gst.rate * 50), exact_text(gst.rate * 100)
    if gst.inter_state:
        return [{"name": "IGST", "rate_percent": whole, "amount_paise": bill.igst_paise}]
    second = "UTGST" if gst.supply_state in WITHOUT_LEGISLATURE else "SGST"
    return [
        {"name": "CGST", "rate_percent": half, "amount_paise": bill.cgst_paise},
        {"name": second, "rate_percent": half, "amount_paise": bill.sgst_paise},
    ]


def _irn_reason(supplier: Supplier, *, registered: bool) -> str:
    if not registered:
        return "no IRN: the recipient is not registered"
    if not supplier.irn_needed:
        return "no IRN: the supplier's turnover is not set above ₹5 crore (payments.irn_needed)"
    return "IRN missing: register this invoice at the invoice registration portal before it is used for input tax"


def _notices(supplier: Supplier, gst: GstRule, *, registered: bool) -> list[str]:
    said = []
    if not supplier.complete:
        missing = [word for word, value in (("name", supplier.name), ("address", supplier.address), ("GSTIN", supplier.gstin)) if not value]
        said.append(f"No tax invoice: the supplier's {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set")
    if registered and supplier.irn_needed:
        said.append("IRN missing: not valid for input tax until it is registered")
    if gst.rate == Fraction(0):
        said.append("No tax is charged at the rate that is set")
    return said


def _utc(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
