"""/api/v1/payments/…: debits, refunds, settlements and statements, and what people decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from controller.books_view import (
    ArrearsView,
    DayStatementView,
    DebitsView,
    DriverStatementView,
    FleetStatementView,
    ReconciliationView,
    RefundsView,
)
from controller.link import LinkProtocol
from depot import commands as cmd
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import order

T = TypeVar("T", bound=Struct)

SCHEMAS: Sequence[type] = (
    ArrearsView, DayStatementView, DebitsView, DriverStatementView, FleetStatementView, ReconciliationView, RefundsView,
)  # fmt: skip
"""What these routes answer with, for the OpenAPI document."""

_Id = Annotated[str, Path(max_length=80)]
Day = Annotated[date | None, Query(description="A day in India, such as 2026-11-22")]
Form = Annotated[Literal["json", "csv"], Query(description="csv: for a spreadsheet, in rupees")]
Paise = Annotated[int, Field(ge=1, le=10_000_000_00)]


class WriteOffBody(ReasonedBody):
    """``amount_paise``: what is owed, as seen; above the limit of the settings, or without it, a second person approves."""

    amount_paise: Paise | None = None


class RefundBody(ReasonedBody):
    """``amount_paise``: of the payment; without it the whole."""

    amount_paise: Paise | None = None


class PaidBody(ReasonedBody):
    """A payment without the gateway. ``reference``: of the receipt or the transfer."""

    way: Literal["cash", "upi_qr", "bank"]
    reference: str = Field(min_length=4, max_length=60)


def books_api(web: Web) -> APIRouter:
    """Routes of the books of money."""
    router = APIRouter(prefix="/api/v1/payments", tags=["payments"])

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(reason)}

    @router.get("/debits", responses=answers("DebitsView", 404, 422), response_class=Response, summary="Debits with bills and steps")
    async def debits(before: str = "", driver_id: str = "", limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
        return reply(await _shown(web, DebitsView, before=before[:80], driver_id=driver_id[:80], limit=str(limit)))

    @router.get("/refunds", responses=answers("RefundsView", 404, 422), response_class=Response, summary="Money on its way back")
    async def refunds(session_id: str = "") -> Response:
        return reply(await _shown(web, RefundsView, session_id=session_id[:80]))

    @router.get(
        "/arrears", responses=answers("ArrearsView", 404, 422), response_class=Response, summary="Bills in arrears and their reminders"
    )
    async def arrears(driver_id: str = "") -> Response:
        return reply(await _shown(web, ArrearsView, driver_id=driver_id[:80]))

    @router.get(
        "/reconciliation",
        responses=answers("ReconciliationView", 404, 422),
        response_class=Response,
        summary="Settlements against the books",
    )
    async def reconciliation(explained: bool = False) -> Response:
        return reply(await _shown(web, ReconciliationView, explained="1" if explained else ""))

    @router.get(
        "/statements/drivers/{driver}", responses=_statement_of("DriverStatementView"), response_class=Response,
        summary="A driver's account",
    )  # fmt: skip
    async def driver(driver: _Id, first: Day = None, last: Day = None, format: Form = "json") -> Response:  # noqa: A002  # its name on the wire
        found = await _shown(web, DriverStatementView, driver_id=driver, **_span(first, last), csv=_csv(format))
        return _statement(found, found.csv, format, f"statement-{found.first}-{found.last}")

    @router.get("/statements/fleet", responses=_statement_of("FleetStatementView"), response_class=Response, summary="All drivers' sums")
    async def fleet(first: Day = None, last: Day = None, format: Form = "json") -> Response:  # noqa: A002
        found = await _shown(web, FleetStatementView, **_span(first, last), csv=_csv(format))
        return _statement(found, found.csv, format, f"drivers-{found.first}-{found.last}")

    @router.get("/statements/days/{day}", responses=_statement_of("DayStatementView"), response_class=Response, summary="The ledger's day")
    async def of_day(day: date, format: Form = "json") -> Response:  # noqa: A002
        found = await _shown(web, DayStatementView, day=day.isoformat(), csv=_csv(format))
        return _statement(found, found.csv, format, f"ledger-{found.day}")

    @router.post("/bills/{session}/retry", **COMMAND, summary="Try a bill in arrears again")
    async def retry(request: Request, session: _Id, body: ReasonedBody, key: Key = "") -> Response:
        return reply(await order(web, cmd.RetryDebit(**who(request, body.reason, key), session_id=session)))

    @router.post("/bills/{session}/write-off", **COMMAND, summary="Give a bill in arrears up")
    async def write_off(request: Request, session: _Id, body: WriteOffBody, key: Key = "") -> Response:
        told = cmd.WriteOffBill(**who(request, body.reason, key), session_id=session, amount_paise=body.amount_paise)
        return reply(await order(web, told))

    @router.post("/bills/{session}/refund", **COMMAND, summary="Give a paid bill back, or a part of it")
    async def refund(request: Request, session: _Id, body: RefundBody, key: Key = "") -> Response:
        told = cmd.RefundBill(**who(request, body.reason, key), session_id=session, amount_paise=body.amount_paise)
        return reply(await order(web, told))

    @router.post("/bills/{session}/paid", **COMMAND, summary="Book a payment made without the gateway")
    async def paid(request: Request, session: _Id, body: PaidBody, key: Key = "") -> Response:
        told = cmd.PayOtherwise(**who(request, body.reason, key), session_id=session, way=body.way, reference=body.reference)
        return reply(await order(web, told))

    @router.post("/refunds/{refund_key}/retry", **COMMAND, summary="Ask again for a refund that failed")
    async def again(request: Request, refund_key: _Id, body: ReasonedBody, key: Key = "") -> Response:
        return reply(await order(web, cmd.RetryRefund(**who(request, body.reason, key), refund_key=refund_key)))

    @router.post("/differences/{difference}/explain", **COMMAND, summary="Explain a difference; the reason is the explanation")
    async def explain(request: Request, difference: _Id, body: ReasonedBody, key: Key = "") -> Response:
        return reply(await order(web, cmd.ExplainDifference(**who(request, body.reason, key), difference_id=difference)))

    return router


def _statement_of(view: str) -> dict[int | str, dict[str, Any]]:
    """What a statement's route answers: JSON or CSV."""
    found = answers(view, 404, 422)
    found[200]["content"]["text/csv"] = {"schema": {"type": "string"}}
    return found


def _span(first: date | None, last: date | None) -> dict[str, str]:
    return {"first": first.isoformat() if first else "", "last": last.isoformat() if last else ""}


def _csv(form: str) -> str:
    return "1" if form == "csv" else ""


def _statement(found: Struct, csv: str, form: str, name: str) -> Response:
    if form == "json":
        return reply(found)
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(csv, media_type="text/csv; charset=utf-8", headers=headers)


async def _shown(web: Web, kind: type[T], **args: str) -> T:
    try:
        found = await web.link.show(kind, **args)
    except LinkProtocol as error:
        raise Problem("invalid_request", str(error)) from None
    if found is None:
        raise Problem("not_found", "Nobody pays in this depot: there is no section [payments] in its settings.")
    return found
