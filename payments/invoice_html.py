"""A tax invoice or note as a page for the phone, in English with Hindi headings beside; made from its document alone.

One file without scripts, pictures from elsewhere or links out; every word of the document is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import segno
from jinja2 import Environment, PackageLoader, StrictUndefined

from payments.invoice_words import shown
from payments.upi_pay import PayLink

__all__ = ["HINDI", "html"]

HINDI = {
    "Tax invoice": "कर चालान",
    "Credit note": "क्रेडिट नोट",
    "Debit note": "डेबिट नोट",
    "Number": "क्रमांक",
    "Date": "दिनांक",
    "Of invoice": "मूल चालान",
    "Place of supply": "आपूर्ति का स्थान",
    "Reverse charge": "रिवर्स चार्ज",
    "Supplier": "आपूर्तिकर्ता",
    "Recipient": "प्राप्तकर्ता",
    "Charged at": "चार्जिंग स्थान",
    "From, until": "समय",
    "Energy": "ऊर्जा",
    "Session": "सत्र",
    "Tariff": "दर",
    "Taxable value": "कर योग्य मूल्य",
    "Round-off": "पूर्णांक",
    "Total": "कुल",
    "The session as it is now": "सत्र, अब",
    "Pay with any UPI app": "किसी भी UPI ऐप से भुगतान करें",
}
"""Headings; what is not here is shown in English alone."""


_TEMPLATES = Environment(loader=PackageLoader("payments"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def html(document: Mapping[str, Any], pay: PayLink | None = None) -> str:
    """The page. ``pay``: how it can be paid, where it is unpaid and its debit was given up."""
    code = segno.make(pay.url, error="m", micro=False).svg_inline(scale=4, border=4, dark="#000", light="#fff") if pay is not None else ""
    return _TEMPLATES.get_template("invoice.html").render(d=document, s=shown(document), pay=pay, qr=code, hindi=HINDI)
