"""/api/v1/payments/invoices: tax invoices, credit and debit notes as issued; recipients; corrections of what was measured.

The slash of a number is a hyphen in an address: ``2627/000001`` is ``/invoices/2627-000001``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from controller import invoice_paper
from controller.files.tickets import file_headers
from controller.invoices_view import InvoicesView, InvoiceView, RecipientsView
from depot import commands as cmd
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.driver_tariffs_api import shown
from web.stations_api import order

SCHEMAS: Sequence[type] = (InvoiceView, InvoicesView, RecipientsView)
"""What these routes answer with, for the OpenAPI document."""

Number = Annotated[str, Path(pattern=r"^[A-Z0-9-]{1,16}$", description="Of GET /payments/invoices, its slash as a hyphen")]
SessionId = Annotated[str, Path(max_length=80)]
DriverId = Annotated[str, Path(min_length=1, max_length=80)]
Reason = Annotated[str, Query(min_length=1, max_length=200, description="Kept in the audit trail")]
MonthQuery = Annotated[str, Query(pattern=r"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$", description="Like 2026-11; empty: all")]
Form = Annotated[Literal["json", "pdf", "html"], Query(description="json: with what became of its money; pdf, html: the document")]

_FILE = answers("InvoiceView", 404, 422)
_FILE[200]["content"] |= {
    "application/pdf": {"schema": {"type": "string", "format": "binary"}},
    "text/html": {"schema": {"type": "string"}},
}


class CorrectionBody(ReasonedBody):
    """``energy_wh``: what the session is to be billed for. The reason stands on the note."""

    energy_wh: int = Field(ge=0, le=10_000_000)


class RecipientBody(ReasonedBody):
    """To whom a driver's invoices are made out. ``gstin`` empty: not registered, then ``state_code`` says in which state."""

    name: str = Field(min_length=1, max_length=120)
    address: str = Field(min_length=1, max_length=240)
    gstin: str = Field(default="", max_length=24)
    state_code: str = Field(default="", pattern=r"^([0-9]{2})?$")


def invoices_api(web: Web) -> APIRouter:
    """Routes of documents and recipients."""
    router = APIRouter(prefix="/api/v1/payments", tags=["payments"])

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(reason)}

    @router.get(
        "/invoices", responses=answers("InvoicesView", 404, 422), response_class=Response, summary="Invoices and notes, newest first"
    )
    async def invoices(
        before: Annotated[str, Query(max_length=16)] = "",
        driver_id: Annotated[str, Query(max_length=80)] = "",
        session_id: Annotated[str, Query(max_length=80)] = "",
        month: MonthQuery = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        wanted = {"before": before, "driver_id": driver_id, "session_id": session_id, "month": month, "limit": str(limit)}
        return reply(await shown(web, InvoicesView, **wanted))

    @router.get("/invoices/{number}", responses=_FILE, response_class=Response, summary="One document, as JSON, PDF or a page")
    async def one(number: Number, format: Form = "json") -> Response:  # noqa: A002  # its name on the wire
        found = await shown(web, InvoiceView, number=number_of(number))
        return reply(found) if format == "json" else await paper(found, format)

    @router.post("/bills/{session}/correct", **COMMAND, summary="Bill a session for another energy: a credit or a debit note")
    async def correct(request: Request, session: SessionId, body: CorrectionBody, key: Key = "") -> Response:
        return reply(await order(web, cmd.CorrectBill(**who(request, body.reason, key), session_id=session, energy_wh=body.energy_wh)))

    @router.get("/recipients", responses=answers("RecipientsView", 404), response_class=Response, summary="To whom invoices are made out")
    async def recipients() -> Response:
        return reply(await shown(web, RecipientsView))

    @router.put("/recipients/{driver_id}", **COMMAND, summary="Make a driver's invoices out to somebody, from the next one on")
    async def put(request: Request, driver_id: DriverId, body: RecipientBody, key: Key = "") -> Response:
        said = body.model_dump(exclude={"reason"})
        return reply(await order(web, cmd.SetInvoiceRecipient(**who(request, body.reason, key), driver_id=driver_id, **said)))

    @router.delete("/recipients/{driver_id}", **COMMAND, summary="Make a driver's invoices out to the driver alone again")
    async def remove(request: Request, driver_id: DriverId, reason: Reason, key: Key = "") -> Response:
        return reply(await order(web, cmd.SetInvoiceRecipient(**who(request, reason, key), driver_id=driver_id)))

    return router


def number_of(text: str) -> str:
    """The number of an address."""
    return text.replace("-", "/", 1)


async def paper(view: InvoiceView, form: str, *, inline: bool = False) -> Response:
    """A document as ``pdf`` or ``html``, made in a thread. ``inline``: shown in the browser instead of saved."""
    name = invoice_paper.file_name(view, form)
    headers = dict(file_headers(name))
    if inline:
        headers["content-disposition"] = headers["content-disposition"].replace("attachment", "inline", 1)
    if form == "pdf":
        return Response(await asyncio.to_thread(invoice_paper.pdf, view), media_type="application/pdf", headers=headers)
    page = await asyncio.to_thread(invoice_paper.html, view)
    headers["content-security-policy"] = invoice_paper.html_policy(page)
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)
