"""*Payments: invoices*: documents of a month with their files, gaps in numbers, corrections of what was measured, recipients.

    GET  /payments/invoices                     ?month=2026-11 &driver= &before=NUMBER
    POST /payments/recipients                   to whom a driver's invoices are made out; without a name: the driver alone again

The files come from /api/v1/payments/invoices/{number}?format=pdf|html; corrections go by :mod:`web.bill_forms`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.invoices_view import DocumentRowView, InvoicesView, RecipientsView
from controller.link import LinkProtocol
from depot import commands as cmd
from depot.money_text import rupees
from web import actions, text
from web.bill_forms import bill_asks
from web.context import Web, caller_of
from web.payments_tabs import payments_tabs
from web.roles import Permission
from web.screens import carry_out

PAGE = 50

KINDS = {"tax_invoice": ("st", "list"), "credit_note": ("st live", "from"), "debit_note": ("st warn", "from")}
"""Kind of a document -> (class, symbol)."""

_MONTH = re.compile(r"(20\d{2}-(0[1-9]|1[0-2]))?", re.ASCII)


def invoices_screens(web: Web) -> APIRouter:
    """Routes of the page and of its forms."""
    router = APIRouter(include_in_schema=False)

    @router.get("/payments/invoices")
    async def invoices(request: Request, month: str = "", driver: str = "", before: str = "") -> Response:
        view, caller = web.view(), caller_of(request)
        month = month if _MONTH.fullmatch(month) else ""
        error = ""
        try:
            found = await web.link.show(InvoicesView, month=month, driver_id=driver[:80], before=before[:16], limit=str(PAGE))
        except LinkProtocol as problem:
            found, error = None, str(problem)
        clock = text.DepotTime(view.timezone, view.at)
        documents = found.documents if found is not None else []
        recipients = await web.link.show(RecipientsView) if caller.may(Permission.REGISTRY) and found is not None else None
        return web.pages.render(
            request,
            "invoices.html",
            view=view,
            status=422 if error else 200,
            screen="payments",
            tabs=payments_tabs(request, "invoices"),
            known=found is not None,
            error=error,
            month=month,
            driver=driver[:80],
            before=before,
            months=_months(clock),
            rows=[_row(row, clock, may=caller.may(Permission.MONEY)) for row in documents],
            asks=[ask for row in documents for ask in _asks(row)] if caller.may(Permission.MONEY) else [],
            older=_older(found, month, driver) if found is not None else "",
            gaps=[(s.series.replace("_", " "), s.year, s.missing_count, ", ".join(s.missing[:5])) for s in found.series if s.missing_count]
            if found is not None
            else [],
            missing=found.supplier_missing if found is not None else [],
            recipients=recipients.recipients if recipients is not None else [],
        )

    @router.post("/payments/recipients")
    async def recipient(request: Request) -> Response:
        form = await request.form()
        told = {name: " ".join(str(form.get(name, "")).split()) for name in ("driver_id", "name", "address", "gstin", "state_code")}
        command = cmd.SetInvoiceRecipient(
            command_id=actions.new_id(),
            actor=caller_of(request).name,
            reason=actions.need_reason(str(form.get("reason", ""))),
            driver_id=told["driver_id"][:80],
            name=told["name"][:120],
            address=told["address"][:240],
            gstin=told["gstin"][:24].upper(),
            state_code=told["state_code"][:2],
        )
        return await carry_out(web, request, command, "Recipient of invoices", back="/payments/invoices")

    return router


def _months(clock: text.DepotTime) -> list[str]:
    """This month and eleven before it."""
    count = clock.now.year * 12 + clock.now.month - 1
    return [f"{k // 12}-{k % 12 + 1:02d}" for k in range(count, count - 12, -1)]


def _row(row: DocumentRowView, clock: text.DepotTime, *, may: bool) -> dict[str, Any]:
    css, symbol = KINDS.get(row.kind, ("st", "list"))
    path = f"/api/v1/payments/invoices/{row.number.replace('/', '-', 1)}"
    about = " · ".join(part for part in (f"of {row.refers_to}" if row.refers_to else "", row.cause, row.reason) if part)
    return {
        "number": row.number,
        "title": row.title,
        "st": css,
        "symbol": symbol,
        "day": row.day,
        "at": clock.clock(row.issued_at),
        "driver": row.driver_id,
        "registered": row.registered,
        "supply": row.place_of_supply,
        "net": rupees(row.taxable_paise),
        "tax": rupees(row.tax_paise),
        "total": rupees(row.total_paise),
        "about": about or text.ABSENT,
        "changed": not row.as_written,
        "pdf": f"{path}?format=pdf",
        "html": f"{path}?format=html",
        "asks": [{"id": ask["id"], "words": "Correct"} for ask in _asks(row)] if may else [],
    }


def _asks(row: DocumentRowView) -> list[dict[str, Any]]:
    """An invoice's energy can be corrected; a note's cannot."""
    if row.kind != "tax_invoice":
        return []
    return bill_asks(
        row.session_id, driver_id=row.driver_id, invoice_no=row.number, verbs=("correct",), owed_paise=0, paid_paise=row.total_paise,
        back="/payments/invoices",
    )  # fmt: skip


def _older(found: InvoicesView, month: str, driver: str) -> str:
    if not found.more:
        return ""
    query = {"before": found.more, "month": month, "driver": driver}
    return "/payments/invoices?" + urlencode({name: value for name, value in query.items() if value})
