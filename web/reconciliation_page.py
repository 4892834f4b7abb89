"""*Payments: reconciliation* and *statements*: settlements against the books, and what the ledger says of a driver, of all, of a day.

GET  /payments/reconciliation                       differences until they are explained (?explained=1: those too)
POST /payments/differences/{difference}/explain     explain one; the reason is the explanation
GET  /payments/statements                           ?of=drivers|driver|day &driver= &first= &last= &day=
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.books_view import (
    DayStatementView,
    DifferenceView,
    DriverStatementView,
    FleetStatementView,
    ReconciliationView,
)
from controller.link import LinkProtocol
from depot import commands as cmd
from depot.money_text import rupees
from web import actions, text
from web.context import Web, caller_of
from web.payments_tabs import payments_tabs
from web.screens import carry_out

KINDS = {
    "missing": ("not settled", "The gateway took it and has not paid it out: ask the gateway, with the payment's id."),
    "short": ("too little came", "Compare the gateway's report; a charge-back or a fee that is not in it explains it."),
    "over": ("too much came", "Ask the gateway which payment it belongs to."),
    "unknown": ("unknown to the books", "Look at the gateway's page for this payment: another system may use the same account."),
    "fee": ("another fee than agreed", "Compare with the contract; ask the gateway for a correction."),
    "late": ("settled late", "Nothing is missing; note why it took so long."),
    "twice": ("settled twice", "The gateway will take it back: wait for its adjustment, then explain both."),
    "adjustment": ("adjustment by the gateway", "A dispute that was lost or a correction: look at the gateway's page."),
}
"""Kind of a difference -> (words, what to do)."""


def reconciliation_screens(web: Web) -> APIRouter:
    """Routes of both pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/payments/reconciliation")
    async def reconciliation(request: Request, explained: str = "") -> Response:
        view = web.view()
        found = await web.link.show(ReconciliationView, explained="1" if explained == "1" else "")
        context = {} if found is None else _reconciliation(found, text.DepotTime(view.timezone, view.at))
        return web.pages.render(
            request,
            "reconciliation.html",
            view=view,
            screen="payments",
            tabs=payments_tabs(request, "reconciliation"),
            known=found is not None,
            explained=explained == "1",
            **context,
        )

    @router.post("/payments/differences/{difference}/explain")
    async def explain(request: Request, difference: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.ExplainDifference(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, difference_id=difference[:80]
        )
        return await carry_out(web, request, command, "Explain the difference", back="/payments/reconciliation")

    @router.get("/payments/statements")
    async def statements(
        request: Request, of: str = "drivers", driver: str = "", first: str = "", last: str = "", day: str = ""
    ) -> Response:
        view = web.view()
        clock = text.DepotTime(view.timezone, view.at)
        today = clock.now.date()
        asked = {
            "of": of if of in ("drivers", "driver", "day") else "drivers",
            "driver": driver.strip()[:80],
            "first": _day(first, today.replace(day=1)),
            "last": _day(last, today),
            "day": _day(day, today - timedelta(days=1)),
        }
        context: dict[str, Any] = {"known": True, "error": "", "rows": [], "sums": [], "csv": "", "mismatches": [], "entries": 0}
        try:
            context |= await _statement(web, asked, clock)
        except LinkProtocol as error:
            context["error"] = str(error)
        status = 422 if context["error"] else 200
        return web.pages.render(
            request, "statements.html", view=view, status=status, screen="payments", tabs=payments_tabs(request, "statements"),
            asked=asked, **context,
        )  # fmt: skip

    return router


def _day(words: str, default: date) -> str:
    """A day as it was typed; what is no day is sent as it is, and the core says so."""
    return words.strip()[:10] or default.isoformat()


def _reconciliation(found: ReconciliationView, clock: text.DepotTime) -> dict[str, Any]:
    sound = found.zero
    return {
        "r": found,
        "st": "st done" if sound else "st alarm",
        "symbol": "check" if sound else "faulted",
        "words": "books and settlements agree" if sound else "does not agree yet",
        "figure": rupees(found.open_paise + found.gap_paise),
        "transit": rupees(found.transit_paise),
        "clearing": rupees(found.clearing_paise),
        "gap": rupees(found.gap_paise),
        "last_day": found.last_day.strftime("%-d %b %Y") if found.last_day is not None else "no settlement yet",
        "differences": [_difference(row, clock) for row in found.differences],
    }


def _difference(row: DifferenceView, clock: text.DepotTime) -> dict[str, Any]:
    words, todo = KINDS.get(row.kind, (row.kind, "Look at the gateway's page."))
    open_ = not row.explained_by
    return {
        "id": row.difference_id,
        "kind": words,
        "todo": todo,
        "entity": row.entity_id,
        "settlement": row.settlement_id or text.ABSENT,
        "amount": rupees(row.amount_paise),
        "note": row.note,
        "at": clock.clock(row.found_at),
        "open": open_,
        "by": "" if open_ else f"{row.explained_by}, {clock.clock(row.explained_at)}: {row.explanation}",
        "path": f"/payments/differences/{quote(row.difference_id, safe='')}/explain",
    }


async def _statement(web: Web, asked: dict[str, str], clock: text.DepotTime) -> dict[str, Any]:
    """What the template needs of the statement that is asked for; raises :class:`LinkProtocol` for days that cannot be."""
    span = {"first": asked["first"], "last": asked["last"]}
    if asked["of"] == "day":
        day = await web.link.show(DayStatementView, day=asked["day"])
        return {"known": False} if day is None else _of_day(day)
    if asked["of"] == "driver" and asked["driver"]:
        one = await web.link.show(DriverStatementView, driver_id=asked["driver"], **span)
        return {"known": False} if one is None else _of_driver(one, clock)
    if asked["of"] == "driver":
        return {"error": "Say whose statement: the driver's id"}
    everybody = await web.link.show(FleetStatementView, **span)
    return {"known": False} if everybody is None else _of_all(everybody)


def _of_day(found: DayStatementView) -> dict[str, Any]:
    return {
        "rows": [
            (row.account.replace("_", " "), *map(rupees, (row.opening_paise, row.debits_paise, row.credits_paise, row.closing_paise)))
            for row in found.accounts
        ],
        "sums": [rupees(sum(row.closing_paise for row in found.accounts))],
        "entries": found.entries,
        "csv": f"/api/v1/payments/statements/days/{found.day.isoformat()}?format=csv",
    }


def _of_driver(found: DriverStatementView, clock: text.DepotTime) -> dict[str, Any]:
    query = urlencode({"first": found.first.isoformat(), "last": found.last.isoformat(), "format": "csv"})
    return {
        "rows": [
            (clock.local(row.at).strftime("%-d %b %H:%M"), row.memo, row.reference, rupees(row.amount_paise), rupees(row.balance_paise))
            for row in found.lines
        ],
        "sums": [rupees(found.opening_paise), rupees(found.closing_paise)],
        "csv": f"/api/v1/payments/statements/drivers/{quote(found.driver_id, safe='')}?{query}",
    }


def _of_all(found: FleetStatementView) -> dict[str, Any]:
    names = ("opening", "invoiced", "paid", "credited", "refunded", "written_off", "closing")
    query = urlencode({"first": found.first.isoformat(), "last": found.last.isoformat(), "format": "csv"})
    return {
        "rows": [(row.driver_id, *(rupees(getattr(row, f"{name}_paise")) for name in names)) for row in found.drivers],
        "sums": [rupees(found.opening_paise), rupees(found.closing_paise)],
        "mismatches": found.mismatches,
        "csv": f"/api/v1/payments/statements/fleet?{query}",
    }
