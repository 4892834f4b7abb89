"""A document's view as a file: PDF, a page for the phone, JSON. It blocks and loads large libraries: call it in a thread."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from controller.invoices_view import InvoiceView

if TYPE_CHECKING:
    from payments.upi_pay import PayLink

__all__ = ["FORMS", "file_name", "html", "html_policy", "json_text", "pdf"]

FORMS = ("json", "pdf", "html")

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def pdf(view: InvoiceView) -> bytes:
    """On paper. The same bytes for the same document and the same way to pay."""
    from payments.invoice_pdf import pdf as made

    return made(view.document, _pay(view))


def html(view: InvoiceView) -> str:
    """For the phone: one file, without scripts or anything from elsewhere."""
    from payments.invoice_html import html as made

    return made(view.document, _pay(view))


def html_policy(page: str) -> str:
    """The content security policy under which the page shows: its own style by its hash, and nothing else."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" for style in _STYLE.findall(page))
    styles = hashes or "'none'"
    return f"default-src 'none'; style-src {styles}; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"


def json_text(view: InvoiceView) -> bytes:
    """As issued, indented."""
    return msgspec.json.format(msgspec.json.encode(view.document), indent=1)


def file_name(view: InvoiceView, form: str) -> str:
    """Under which it is saved."""
    return f"{view.row.kind.replace('_', '-')}-{view.row.number.replace('/', '-')}.{form}"


def _pay(view: InvoiceView) -> PayLink | None:
    if view.pay is None:
        return None
    from payments.upi_pay import PayLink as Link

    return Link(vpa=view.pay.vpa, name=view.pay.name, number=view.row.number, amount_paise=view.pay.amount_paise)
