"""*Payments: debits* and *refunds*: what was asked of the gateway, step by step; what failed and what to do; money on its way back.

GET  /payments/debits                   unpaid bills, then debits with their steps (?driver=, ?before=DEBIT)
GET  /payments/refunds                  refunds
POST /payments/refunds/retry            ask again for one that failed
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.books_view import ArrearsLineView, ArrearsView, DebitStepView, DebitsView, DebitView, RefundsView, RefundView
from depot import commands as cmd
from depot.money_text import rupees
from web import actions, text
from web.bill_forms import bill_asks
from web.context import Web, caller_of
from web.payments_page import MODES, STAGES
from web.payments_tabs import payments_tabs
from web.roles import Permission
from web.screens import carry_out

PAGE = 30

_GOOD = frozenset({"taken", "settled", "notice delivered", "captured"})
_BAD = frozenset({"notice failed", "refused", "failed", "never arrived"})

REFUNDS = {
    "pending": ("st live", "clock", "on its way"),
    "processed": ("st done", "check", "given back"),
    "failed": ("st alarm", "faulted", "failed"),
    "replaced": ("st", "close", "failed, asked for again"),
}
"""State of a refund -> (class, symbol, words)."""


def books_screens(web: Web) -> APIRouter:
    """Routes of both pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/payments/debits")
    async def debits(request: Request, driver: str = "", before: str = "") -> Response:
        view, may = web.view(), caller_of(request).may(Permission.MONEY)
        clock = text.DepotTime(view.timezone, view.at)
        found = await web.link.show(DebitsView, limit=str(PAGE), driver_id=driver[:80], before=before[:80])
        unpaid = await web.link.show(ArrearsView, driver_id=driver[:80]) if not before else None
        return web.pages.render(
            request,
            "debits.html",
            view=view,
            screen="payments",
            tabs=payments_tabs(request, "debits"),
            known=found is not None,
            driver=driver[:80],
            before=before,
            debits=[debit_row(row, clock) for row in found.debits] if found is not None else [],
            older=_older(found, driver) if found is not None else "",
            arrears=_arrears(unpaid, clock) if unpaid is not None else [],
            owed=rupees(unpaid.owed_paise) if unpaid is not None else "",
            alone=rupees(unpaid.write_off_alone_paise) if unpaid is not None else "",
            asks=[ask for line in unpaid.bills for ask in _asks(line)] if unpaid is not None and may else [],
        )

    @router.get("/payments/refunds")
    async def refunds(request: Request) -> Response:
        view = web.view()
        clock = text.DepotTime(view.timezone, view.at)
        found = await web.link.show(RefundsView)
        return web.pages.render(
            request,
            "refunds.html",
            view=view,
            screen="payments",
            tabs=payments_tabs(request, "refunds"),
            known=found is not None,
            refunds=[_refund(row, clock) for row in found.refunds] if found is not None else [],
        )

    @router.post("/payments/refunds/retry")
    async def again(request: Request) -> Response:
        form = await request.form()
        reason, key = actions.need_reason(str(form.get("reason", ""))), str(form.get("refund", ""))[:160]
        command = cmd.RetryRefund(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, refund_key=key)
        return await carry_out(web, request, command, "Ask for the refund again", back="/payments/refunds")

    return router


def debit_row(row: DebitView, clock: text.DepotTime) -> dict[str, Any]:
    """A debit with its way, for the template."""
    css, symbol, words = STAGES.get(row.stage, ("st lost", "offline", row.stage.replace("_", " ")))
    why = " · ".join(part for part in (row.reason.replace("_", " "), row.what_to_do) if part)
    if not why and row.due_at is not None:
        why = f"debit from {clock.clock(row.due_at)}"
    return {
        "id": row.debit_id,
        "driver": row.driver_id,
        "day": row.day,
        "mode": MODES.get(row.mode, row.mode),
        "st": css,
        "symbol": symbol,
        "words": words,
        "row": "alarm" if css == "st alarm" else "warn" if css == "st warn" else "",
        "amount": rupees(row.amount_paise),
        "bills": [(bill.invoice_no or bill.session_id, rupees(bill.amount_paise)) for bill in row.bills],
        "why": why or text.ABSENT,
        "steps": [_step(step, clock) for step in row.steps],
    }


def _step(step: DebitStepView, clock: text.DepotTime) -> dict[str, str]:
    css = "done" if step.what in _GOOD else "alarm" if step.what in _BAD else ""
    symbol = {"done": "finished", "alarm": "faulted"}.get(css, "clock")
    note = step.note.replace("_", " ") if css == "alarm" else step.note  # a reason in the gateway's words, else a reference
    return {"css": css, "symbol": symbol, "at": clock.clock(step.at), "what": step.what, "note": note}


def _older(found: DebitsView, driver: str) -> str:
    if not found.more:
        return ""
    return f"/payments/debits?before={quote(found.more, safe='')}" + (f"&driver={quote(driver, safe='')}" if driver else "")


def _arrears(found: ArrearsView, clock: text.DepotTime) -> list[dict[str, Any]]:
    return [
        {
            "session": line.session_id,
            "driver": line.driver_id,
            "invoice": line.invoice_no or text.ABSENT,
            "owed": rupees(line.owed_paise),
            "since": clock.clock(line.since),
            "why": line.reason.replace("_", " ") or text.ABSENT,
            "todo": line.what_to_do or "a person must look at it",
            "reminders": _reminders(line, clock),
            "second": line.owed_paise > found.write_off_alone_paise,
            "asks": [{"id": ask["id"], "words": ask["button"]} for ask in _asks(line)],
        }
        for line in found.bills
    ]


def _reminders(line: ArrearsLineView, clock: text.DepotTime) -> str:
    made = f"{line.reminders} made" if line.reminders else "none yet"
    failed = line.reminders - line.taken
    not_taken = f", {failed} not taken by the messenger" if line.reminders and failed > 0 else ""
    return made + not_taken + (f", next {clock.clock(line.next_reminder_at)}" if line.next_reminder_at is not None else "")


def _asks(line: ArrearsLineView) -> list[dict[str, Any]]:
    return bill_asks(
        line.session_id, driver_id=line.driver_id, invoice_no=line.invoice_no, verbs=("retry", "paid", "write-off"),
        owed_paise=line.owed_paise, paid_paise=0, back="/payments/debits",
    )  # fmt: skip


def _refund(row: RefundView, clock: text.DepotTime) -> dict[str, Any]:
    css, symbol, words = REFUNDS.get(row.state, ("st lost", "offline", row.state))
    return {
        "key": row.refund_key,
        "session": row.session_id,
        "payment": row.payment_id,
        "amount": rupees(row.amount_paise),
        "st": css,
        "symbol": symbol,
        "words": words,
        "row": "alarm" if css == "st alarm" else "",
        "why": row.why or text.ABSENT,
        "at": clock.clock(row.asked_at),
        "again": row.may_retry,
    }
