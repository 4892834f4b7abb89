"""The page of the gateway itself, for whoever tests: clock, conduct, faults, webhooks, settlements."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from payments.mock_gateway import npci
from payments.mock_gateway.bank import Bank, Refusal
from payments.mock_gateway.books import EVENTS, SETTLEMENTS
from payments.mock_gateway.control import behave, replay, set_webhook, settle_now, situation
from payments.mock_gateway.driver import PAGES, form_of, pressed
from payments.mock_gateway.faults import HTTP_KINDS, OUTCOMES, add_fault, add_http_fault, drop_faults
from payments.mock_gateway.guard import own_page
from payments.mock_gateway.settings import PROFILES

__all__ = ["add_lab"]

_LAST = 10


def add_lab(app: FastAPI, bank: Bank) -> None:
    """Put it on ``app`` at ``/app/lab``."""
    api = APIRouter(dependencies=[Depends(own_page)])

    @api.get("/app/lab", response_class=HTMLResponse)
    async def page(told: str | None = None) -> HTMLResponse:
        with bank.store.reading() as connection:
            events = connection.execute(sa.select(EVENTS).order_by(EVENTS.c.seq.desc()).limit(_LAST)).all()
            settlements = connection.execute(sa.select(SETTLEMENTS).order_by(SETTLEMENTS.c.created_at.desc()).limit(_LAST)).all()
        shown = PAGES.get_template("lab.html").render(
            title="Gateway",
            wide=True,
            told=told,
            now=situation(bank),
            india=npci.clock_words(bank.now_s),
            profiles=PROFILES,
            outcomes=OUTCOMES,
            http_kinds=HTTP_KINDS,
            events=events,
            settlements=settlements,
        )
        return HTMLResponse(shown)

    @api.post("/app/lab")
    async def press(request: Request) -> RedirectResponse:
        form = await form_of(request)
        work = _WORK.get(form.get("do", ""))
        if work is None:
            raise Refusal("the page has no such button", status=404)
        return pressed(form | {"back": "/app/lab"}, lambda: work(bank, form))

    app.include_router(api)


def _number(form: dict[str, str], name: str) -> int:
    text = form.get(name, "") or "0"
    if not text.isdecimal() or len(text) > 9:
        raise Refusal(f"{name} is a whole number, 0 or more", status=422)
    return int(text)


def _advance(bank: Bank, form: dict[str, str]) -> None:
    bank.advance(_number(form, "seconds"))
    bank.tick()


def _fault(bank: Bank, form: dict[str, str]) -> None:
    contact, outcome = form.get("contact", ""), form.get("outcome", "")
    add_fault(
        bank,
        outcome,
        scope="contact" if contact else "any",
        of=contact,
        reason=form.get("reason", "") if outcome.startswith("debit") else "",
        after_s=_number(form, "after_s"),
        paise=_number(form, "paise"),
        times=_number(form, "times"),
    )


def _http(bank: Bank, form: dict[str, str]) -> None:
    add_http_fault(bank, form.get("kind", ""), path=form.get("path", ""), acted=form.get("acted") == "1", delay_s=5.0)


def _replay(bank: Bank, form: dict[str, str]) -> None:
    secret = secrets.token_hex(16) if "forged" in form["do"] else ""
    replay(bank, event_id=None, last=_LAST, renamed="renamed" in form["do"], order="kept", secret=secret)


_WORK: dict[str, Callable[[Bank, dict[str, str]], object]] = {
    "advance": _advance,
    "profile": lambda bank, form: behave(bank, {"profile": form.get("profile")}),
    "fault": _fault,
    "http": _http,
    "no faults": lambda bank, _: drop_faults(bank),
    "hold": lambda bank, _: set_webhook(bank, held=True),
    "release": lambda bank, _: set_webhook(bank, held=False),
    "release reversed": lambda bank, _: set_webhook(bank, held=False, order="reversed"),
    "replay": _replay,
    "replay renamed": _replay,
    "replay forged": _replay,
    "enable": lambda bank, _: set_webhook(bank, enabled=True),
    "disable": lambda bank, _: set_webhook(bank, enabled=False),
    "settle": lambda bank, _: settle_now(bank),
}
