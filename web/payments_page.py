"""*Payments*: what paid sessions cost and what became of it; mandates; whether the books add up.

    GET  /payments                           the page (?before=SESSION: older bills)
    POST /payments/mandates                  ask for a driver's mandate
    POST /payments/mandates/{mandate}/end    end one
    POST /payments/bills/{session}/…         web.bill_forms
    GET  /api/v1/payments                    the same as JSON, without approval links

Amounts come as paise and are shown in rupees to the paisa. Nobody's name, phone number or VPA is here to be shown.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.payments_view import BillView, GatewayView, LedgerView, MandateView, PaymentsView
from depot import commands as cmd
from depot.money_text import rupees
from web import actions, text
from web.api import answers
from web.bill_forms import bill_asks
from web.context import Web, caller_of
from web.payments_tabs import payments_tabs
from web.problems import Problem
from web.roles import Permission
from web.screens import carry_out

PAGE = 30
MOST_PAISE = 15_000_00
"""RBI: the most that a debit may be without a second factor; a larger mandate would promise what is never debited."""

_PHONE = re.compile(r"\+\d{8,15}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")

STAGES = {
    "estimated": ("st", "lock", "reserved"),
    "invoiced": ("st", "clock", "billed"),
    "pdn_requested": ("st live", "clock", "notice asked for"),
    "pdn_delivered": ("st live", "clock", "notice delivered"),
    "pdn_failed": ("st warn", "risk", "notice failed"),
    "debit_due": ("st live", "clock", "debit due"),
    "debit_submitted": ("st live", "clock", "debit asked for"),
    "pending": ("st live", "clock", "debit pending"),
    "failed": ("st alarm", "faulted", "debit failed"),
    "retry_wait": ("st warn", "risk", "failed, tried again"),
    "arrears": ("st alarm", "faulted", "unpaid"),
    "written_off": ("st", "close", "written off"),
    "paid_other": ("st done", "check", "paid otherwise"),
    "captured": ("st done", "check", "paid"),
    "part_refunded": ("st", "from", "refunded in part"),
    "refunded": ("st", "from", "refunded"),
    "disputed": ("st alarm", "faulted", "disputed"),
    "reconciled": ("st done", "check", "paid and settled"),
}
"""Stage of a bill -> (class, symbol, words)."""

MANDATES = {
    "new": ("st", "clock", "not asked for yet"),
    "link_sent": ("st live", "clock", "link sent"),
    "intent_open": ("st live", "clock", "waits for the driver"),
    "initiated": ("st live", "clock", "being set up"),
    "link_expired": ("st warn", "risk", "link expired"),
    "active": ("st done", "check", "active"),
    "paused": ("st warn", "risk", "paused by the driver"),
    "cancel_pending": ("st", "clock", "being ended"),
    "expired": ("st", "close", "expired"),
    "rejected": ("st alarm", "faulted", "rejected"),
    "cancelled": ("st", "close", "cancelled"),
}
"""State of a mandate -> (class, symbol, words)."""


MODES = {"autopay": "AutoPay", "reserve": "Reserve Pay", "one_time": "one-time mandate"}
"""Instrument -> words."""


def payments_screens(web: Web) -> APIRouter:
    """Routes of the page, of its forms and of its view as JSON."""
    router = APIRouter(include_in_schema=False)

    @router.get("/payments")
    async def payments(request: Request, before: str = "") -> Response:
        return await payments_page(web, request, empty_mandate(), before=before)

    @router.post("/payments/mandates")
    async def register(request: Request) -> Response:
        form = {k: str(v) for k, v in (await request.form()).items()}
        view = web.fresh_view()
        try:
            command = _mandate_command(form, actor=caller_of(request).name, at=view.at)
        except Problem as problem:
            filled: dict[str, Any] = {k: form.get(k, "") for k in empty_mandate() if k != "errors"}
            return await payments_page(
                web, request, empty_mandate() | filled | {"errors": empty_mandate()["errors"] | problem.errors}, status=422
            )
        return await carry_out(web, request, command, f"Set up a mandate for {command.driver_id}", back="/payments")

    @router.post("/payments/mandates/{mandate}/end")
    async def end(request: Request, mandate: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.RevokeMandate(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, mandate_id=mandate[:80])
        return await carry_out(web, request, command, "End the mandate", back="/payments")

    return router


_PAYMENTS = answers("PaymentsView", 422)
_PAYMENTS[200]["content"]["application/json"]["schema"] = {"anyOf": [{"$ref": "#/components/schemas/PaymentsView"}, {"type": "null"}]}


def payments_api(web: Web) -> APIRouter:
    """The view for machines."""
    router = APIRouter(prefix="/api/v1", tags=["payments"])

    @router.get("/payments", responses=_PAYMENTS, response_class=Response, summary="Paid sessions, bills, mandates, ledger")
    async def payments(before: str = "") -> Response:
        """``null`` where nobody pays. ``before``: bills older than this session's."""
        found = await _ask(web, before)
        if found is not None:
            found = msgspec.structs.replace(found, mandates=[msgspec.structs.replace(m, intent_url=None) for m in found.mandates])
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router


async def payments_page(web: Web, request: Request, form: dict[str, Any], *, before: str = "", status: int = 200) -> Response:
    """The page; ``form`` with its errors where it comes back."""
    view = web.view()
    found = await _ask(web, before)
    clock = text.DepotTime(view.timezone, view.at)
    may = caller_of(request).may(Permission.MONEY)
    context: dict[str, Any] = {"m": None} if found is None else payments_context(found, clock, may=may)
    return web.pages.render(
        request,
        "payments.html",
        view=view,
        status=status,
        screen="payments",
        tabs=payments_tabs(request, "payments"),
        modes=list(MODES.items()),
        form=form,
        before=before,
        failed=any(form["errors"].values()),
        **context,
    )


async def _ask(web: Web, before: str) -> PaymentsView | None:
    return await web.link.show(PaymentsView, limit=str(PAGE), before=before[:80])


def payments_context(v: PaymentsView, clock: text.DepotTime, *, may: bool) -> dict[str, Any]:
    """Everything that the template needs. ``may``: whether this person may act on money."""
    return {
        "m": v,
        "head": _head(v),
        "ledger": _ledger(v.ledger),
        "arrears": f"{v.in_arrears} unpaid" if v.in_arrears else "none unpaid",
        "bills": [_bill(b, clock) for b in v.bills],
        "asks": [ask for b in v.bills for ask in _asks(b)] if may else [],
        "older": f"/payments?before={v.more}" if v.more else "",
        "mandates": [_mandate(line, clock, may=may) for line in v.mandates],
        "running": [
            {
                "connector": r.connector,
                "driver": r.driver_id,
                "since": clock.clock(r.started_at),
                "energy": text.kwh(r.energy_wh),
                "most": text.kwh(r.most_wh),
                "reserved": rupees(r.reserved_paise),
            }
            for r in v.running
        ],
        "unbilled": [
            {"driver": u.driver_id, "at": clock.clock(u.stopped_at), "energy": text.kwh(u.energy_wh), "why": u.why or "is being billed"}
            for u in v.unbilled
        ],
        "refused": [{"driver": r.driver_id, "station": r.station_id, "at": clock.seconds(r.at), "words": r.message} for r in v.refused],
        "gateway": _gateway(v.gateway, clock),
        "webhooks": _webhooks(v, clock),
        "price": f"{rupees(round(v.paise_per_kwh))} / kWh without tax"
        + (f", {rupees(v.service_paise)} a session" if v.service_paise else ""),
        "most": text.kwh(v.most_wh),
    }


def _head(v: PaymentsView) -> dict[str, str]:
    if not v.ledger.sound:
        return {"st": "st alarm", "symbol": "faulted", "words": "the ledger does not add up: stop debits, keep the books, call support"}
    if v.gateway.mock:
        return {"st": "st warn", "symbol": "info", "words": "mock gateway: no real money"}
    if not v.gateway.real_money:
        return {"st": "st warn", "symbol": "info", "words": "test keys: no real money"}
    return {"st": "st", "symbol": "check", "words": "live"}


def _ledger(g: LedgerView) -> dict[str, str]:
    return {
        "sum": rupees(g.sum_paise),
        "css": "" if g.sound else "c-alarm",
        "st": "st done" if g.sound else "st alarm",
        "symbol": "check" if g.sound else "faulted",
        "words": "adds up" if g.sound else "does not add up",
        "entries": text.number(g.entries),
        "owed": rupees(g.owed_paise),
        "collected": rupees(g.collected_paise),
        "revenue": rupees(g.revenue_paise),
        "tax": rupees(g.tax_paise),
        "refunds": rupees(g.refunds_due_paise),
        "lost": rupees(g.bad_debts_paise),
    }


def _bill(b: BillView, clock: text.DepotTime) -> dict[str, Any]:
    css, symbol, words = STAGES.get(b.stage, ("st lost", "offline", b.stage))
    reserved = b.stage == "estimated"
    why = " · ".join(part for part in (b.reason.replace("_", " "), b.advice) if part)
    if b.due_at is not None and not why:
        why = f"debit from {clock.clock(b.due_at)}"
    return {
        "session": b.session_id,
        "driver": b.driver_id,
        "at": clock.clock(b.opened_at),
        "st": css,
        "symbol": symbol,
        "words": words,
        "row": "alarm" if css == "st alarm" else "warn" if css == "st warn" else "",
        "energy": text.ABSENT if reserved else text.number(b.energy_wh / 1000, 2),
        "net": text.ABSENT if reserved else rupees(b.taxable_paise),
        "tax": text.ABSENT if reserved else rupees(b.tax_paise),
        "total": f"up to {rupees(b.reserved_paise)}" if reserved else rupees(b.total_paise),
        "invoice": b.invoice_no or text.ABSENT,
        "tries": f"{b.tries} tried" if b.tries > 1 else "",
        "why": why or text.ABSENT,
        "asks": [{"id": ask["id"], "words": ask["button"]} for ask in _asks(b)],
    }


def _asks(b: BillView) -> list[dict[str, Any]]:
    """The dialogs of one bill."""
    return bill_asks(
        b.session_id, driver_id=b.driver_id, invoice_no=b.invoice_no, verbs=b.may, owed_paise=b.owed_paise, paid_paise=b.paid_paise,
        back="/payments",
    )  # fmt: skip


def _mandate(line: MandateView, clock: text.DepotTime, *, may: bool) -> dict[str, Any]:
    css, symbol, words = MANDATES.get(line.state, ("st lost", "offline", line.state))
    url = line.intent_url or ""
    return {
        "id": line.mandate_id,
        "driver": line.driver_id,
        "st": css,
        "symbol": symbol,
        "words": words,
        "most": rupees(line.max_amount_paise),
        "mode": MODES.get(line.mode, line.mode),
        "block": f"{rupees(line.debited_paise)} of {rupees(line.blocked_paise)} used" if line.blocked_paise else "",
        "ends": clock.local(line.expire_at).strftime("%-d %b %Y"),
        "link": url if may and url.startswith("upi://") else "",
        "end": may and line.state in ("active", "paused"),
    }


def _gateway(g: GatewayView, clock: text.DepotTime) -> dict[str, str]:
    answered = "never" if g.answered_at is None else clock.seconds(g.answered_at)
    if g.silent:
        words = "does not answer: debits wait, charging with a mandate goes on"
        return {"st": "st warn", "symbol": "offline", "words": words, "answered": answered, "trouble": g.trouble}
    if g.answered_at is None:
        return {"st": "st", "symbol": "clock", "words": "not asked yet", "answered": answered, "trouble": ""}
    return {"st": "st done", "symbol": "check", "words": "answers", "answered": answered, "trouble": ""}


def _webhooks(v: PaymentsView, clock: text.DepotTime) -> dict[str, str]:
    w = v.webhooks
    return {
        "applied": text.number(w.applied),
        "waiting": text.number(w.pending + w.parked),
        "odd": text.number(w.odd),
        "forged": text.number(w.forged),
        "unreadable": text.number(w.unreadable),
        "forged_at": "" if w.forged_at is None else f"last {clock.seconds(w.forged_at)}",
        "css": "c-alarm" if w.odd or w.forged else "",
    }


def empty_mandate() -> dict[str, Any]:
    fields = {
        "driver_id": "",
        "id_tag": "",
        "mode": "autopay",
        "hosted": "",
        "max_inr": "5000",
        "months": "12",
        "name": "",
        "email": "",
        "contact": "",
        "reason": "",
    }
    return fields | {"errors": dict.fromkeys(fields, "")}


def _mandate_command(form: dict[str, str], *, actor: str, at: Any) -> cmd.RegisterMandate:
    """The form as a command; raises :class:`Problem` with all field errors at once."""
    told = {name: " ".join(form.get(name, "").split()) for name in empty_mandate() if name != "errors"}
    errors: dict[str, str] = {}
    for name, words in (("driver_id", "An id of the depot's own, such as a staff number"), ("id_tag", "The number of the driver's card")):
        if not told[name]:
            errors[name] = words
    contact = told["contact"].replace(" ", "")
    if not _PHONE.fullmatch(contact):
        errors["contact"] = "With country code, such as +91…"
    if not _EMAIL.fullmatch(told["email"]):
        errors["email"] = "An e-mail address"
    if told["mode"] not in MODES:
        errors["mode"] = "Choose how the driver pays"
    most = _most_paise(told["max_inr"], errors)
    months = int(told["months"]) if told["months"].isdecimal() and len(told["months"]) < 4 else 0
    if not 1 <= months <= 120:
        errors["months"] = "1 to 120 months"
    try:
        reason = actions.need_reason(told["reason"])
    except Problem as problem:
        errors |= problem.errors
        reason = ""
    if errors:
        raise Problem("invalid_request", "Correct what is marked.", errors=errors)
    return cmd.RegisterMandate(
        command_id=actions.new_id(),
        actor=actor,
        reason=reason,
        driver_id=told["driver_id"][:40],
        id_tag=told["id_tag"][:20],
        max_amount_paise=most,
        mode=told["mode"],
        hosted=told["hosted"] == "1",
        expire_at=at + timedelta(days=round(months * 30.44)),
        name=told["name"][:80],
        email=told["email"],
        contact=contact,
    )


def _most_paise(words: str, errors: dict[str, str]) -> int:
    try:
        paise = int(Decimal(words.replace(",", "").removeprefix("₹")) * 100)
    except (InvalidOperation, ValueError, OverflowError):
        paise = 0
    if not 100_00 <= paise <= MOST_PAISE:
        errors["max_inr"] = "₹100 to ₹15,000"
    return paise
