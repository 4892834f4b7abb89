"""Pages that play the driver's UPI app: approve and decline, pause, resume and revoke, stop one debit, an empty account. On
this machine only: they have no sign-in, so they listen to forms of their own pages alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader

from depot.money_text import rupees
from payments.mock_gateway import mandates, npci
from payments.mock_gateway.bank import Bank, Refusal
from payments.mock_gateway.books import ACCOUNTS, CUSTOMERS, LINKS, MESSAGES, ORDERS, PAYMENTS, TOKENS, one, sure
from payments.mock_gateway.control import account_switch
from payments.mock_gateway.debits import opt_out
from payments.mock_gateway.faults import add_fault
from payments.mock_gateway.guard import own_page

__all__ = ["PAGES", "add_driver_page", "form_of", "pressed"]

_TOKEN_WORDS = {"pause": "paused", "resume": "confirmed", "revoke": "cancelled"}
_WHAT = {"autopay": "AutoPay mandate", "reserve": "Reserve Pay", "otm": "One-time mandate"}
_PIN = re.compile(r"[0-9]{4,6}")
_LINK = re.compile(r"https?://[^ ]*(/l/inv_[0-9a-f]+)$")
_MOST_BYTES = 16_384
_SHOWN = 30


PAGES = Environment(autoescape=True, loader=FileSystemLoader(Path(__file__).with_name("templates")), trim_blocks=True)
PAGES.globals.update(rupees=rupees, clock=npci.clock_words, day=npci.day_words, reasons=npci.REASONS)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name. Raises :class:`Refusal`."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Refusal("the form is too large", status=413)
    return {name: values[-1].strip() for name, values in parse_qs(body.decode(errors="replace"), keep_blank_values=True).items()}


def pressed(form: dict[str, str], work: Callable[[], object], default: str = "/app") -> RedirectResponse:
    """Do ``work`` and go on; a refusal is told on the page that the form came from. Raises it where a program asked."""
    back = form.get("back", "")
    back = back if re.fullmatch(r"/app[A-Za-z0-9_/]*", back) else ""
    try:
        work()
    except Refusal as refusal:
        if not back:
            raise
        return RedirectResponse(f"{back}?told={quote(refusal.description)}", status_code=303)
    done = form.get("done", "")
    return RedirectResponse(done if re.fullmatch(r"/app[A-Za-z0-9_/]*", done) else back or default, status_code=303)


def _render(template: str, /, **shown: Any) -> HTMLResponse:
    return HTMLResponse(PAGES.get_template(template).render(**shown))


def add_driver_page(app: FastAPI, bank: Bank) -> None:
    """Put the pages under ``/app`` and ``/l`` on ``app``."""
    api = APIRouter(dependencies=[Depends(own_page)])
    _pages(api, bank)
    _forms(api, bank)
    app.include_router(api)


def _pages(api: APIRouter, bank: Bank) -> None:
    @api.get("/app", response_class=HTMLResponse)
    async def page(*, all: bool = False) -> HTMLResponse:  # noqa: A002  # the address says so
        with bank.store.reading() as connection:
            accounts = [
                {
                    "id": row.id,
                    "contact": row.contact,
                    "name": _name(connection, row.contact),
                    "waiting": len(_waiting(connection, row.contact)),
                }
                for row in connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.contact != "").order_by(ACCOUNTS.c.contact).limit(200))
            ]
        if len(accounts) == 1 and not all:
            return phone_page(str(accounts[0]["id"]), None)
        return _render("choose.html", title="Phones", accounts=accounts)

    @api.get("/app/of/{account_id}", response_class=HTMLResponse)
    async def phone_of(account_id: str, told: str | None = None) -> HTMLResponse:
        return phone_page(account_id, told)

    def phone_page(account_id: str, told: str | None) -> HTMLResponse:
        with bank.store.reading() as connection:
            account = _account(connection, account_id)
            mine = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.contact == account.contact)
            tokens = sa.select(TOKENS).where(TOKENS.c.customer_id.in_(mine), TOKENS.c.status != "initiated")
            coming = sa.select(ORDERS).where(
                ORDERS.c.customer_id.in_(mine), ORDERS.c.notification_status == "delivered", ORDERS.c.status == "created"
            )
            debits = sa.select(PAYMENTS).where(PAYMENTS.c.customer_id.in_(mine), PAYMENTS.c.kind == "debit")
            messages = sa.select(MESSAGES).where(MESSAGES.c.contact == account.contact).order_by(MESSAGES.c.seq.desc()).limit(_SHOWN)
            return _render(
                "phone.html",
                title=_name(connection, account.contact) or "Phone",
                told=told,
                here=f"/app/of/{account.id}",
                account=account,
                contact=account.contact,
                name=_name(connection, account.contact) or "Driver",
                waiting=_waiting(connection, account.contact),
                tokens=[
                    dict(row._mapping) | {"what": _WHAT[row.mode or "autopay"]}
                    for row in connection.execute(tokens.order_by(TOKENS.c.created_at.desc()).limit(_SHOWN))
                ],
                coming=connection.execute(coming.order_by(ORDERS.c.payment_after).limit(_SHOWN)).all(),
                debits=connection.execute(debits.order_by(PAYMENTS.c.created_at.desc()).limit(_SHOWN)).all(),
                messages=[
                    {"text": row.text, "at": row.at, "href": (found := _LINK.search(row.text)) and found.group(1)}
                    for row in connection.execute(messages)
                ],
            )

    @api.get("/app/pay/{payment_id}", response_class=HTMLResponse)
    async def pay(payment_id: str, told: str | None = None) -> HTMLResponse:
        with bank.store.reading() as connection:
            payment = one(connection, PAYMENTS, payment_id)
            if payment is None:
                raise Refusal("This link asks for nothing that this gateway knows: make a new one on the depot's page", status=404)
            order, token = sure(connection, ORDERS, payment.order_id), sure(connection, TOKENS, payment.token_id)
            contact = bank.contact_of(connection, payment.customer_id)
            account = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.contact == contact)).one()
            mandate = payment.kind == "authorisation"
            return _render(
                "pay.html", title="Approve", told=told, id=payment.id, account=account, name=_name(connection, contact) or "Driver",
                what=_WHAT[token.mode or "autopay"] if mandate else "Debit", mandate=mandate, mode=token.mode or "autopay",
                shown=order.max_amount if mandate else payment.amount, until=order.expire_at, status=payment.status,
                waits=payment.decide_at is None, reason=payment.error_reason,
            )  # fmt: skip

    @api.get("/app/open")
    async def opened(link: str = "") -> RedirectResponse:
        """What a QR code or an intent link of the depot's page holds."""
        parts = urlsplit(link.strip())
        if parts.scheme in ("http", "https") and re.fullmatch(r"/l/inv_[0-9a-f]+", parts.path):
            return RedirectResponse(parts.path, status_code=303)
        reference = parse_qs(parts.query).get("tr", [""])[0]
        if parts.scheme != "upi" or parts.netloc != "mandate" or not re.fullmatch(r"pay_[0-9a-f]+", reference):
            raise Refusal("this is no link of a mandate; it begins with upi://mandate? and holds tr=pay_…", status=422)
        return RedirectResponse(f"/app/pay/{reference}", status_code=303)

    @api.get("/l/{link_id}", response_class=HTMLResponse)
    async def link_page(link_id: str) -> HTMLResponse:
        with bank.store.reading() as connection:
            link = one(connection, LINKS, link_id)
            if link is None:
                raise Refusal("there is no such link", status=404)
            return _render("link.html", title="Mandate", link=link, order=sure(connection, ORDERS, link.order_id))

    @api.get("/app/phone")
    async def phone(contact: str) -> dict[str, Any]:
        """The same for a program: what one phone number's app shows."""
        with bank.store.reading() as connection:
            mine = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.contact == contact)
            tokens = sa.select(TOKENS).where(TOKENS.c.customer_id.in_(mine), TOKENS.c.status != "initiated")
            taken = sa.select(PAYMENTS).where(
                PAYMENTS.c.kind == "debit", PAYMENTS.c.status.in_(("captured", "refunded")), PAYMENTS.c.customer_id.in_(mine)
            )
            coming = sa.select(ORDERS).where(
                ORDERS.c.customer_id.in_(mine), ORDERS.c.notification_status == "delivered", ORDERS.c.status == "created"
            )
            account = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.contact == contact)).first()
            messages = sa.select(MESSAGES).where(MESSAGES.c.contact == contact).order_by(MESSAGES.c.seq.desc()).limit(100)
            return {
                "balance_paise": account and account.balance,
                "blocked_paise": account.blocked if account is not None else 0,
                "waiting": [
                    {"id": p["id"], "kind": p["kind"], "amount_paise": p["amount"], "mode": p["mode"]}
                    for p in _waiting(connection, contact)
                ],
                "mandates": [
                    {"id": t.id, "status": t.status, "mode": t.mode, "max_amount_paise": t.max_amount, "blocked_paise": t.blocked,
                     "debited_paise": t.debited}
                    for t in connection.execute(tokens.order_by(TOKENS.c.created_at.desc()).limit(100))
                ],
                "coming": [
                    {"id": o.id, "amount_paise": o.amount, "payment_after": o.payment_after, "stopped": bool(o.opted_out)}
                    for o in connection.execute(coming.order_by(ORDERS.c.payment_after).limit(100))
                ],
                "debits": [
                    {"id": p.id, "amount_paise": p.amount, "refunded_paise": p.amount_refunded}
                    for p in connection.execute(taken.order_by(PAYMENTS.c.created_at.desc()).limit(100))
                ],
                "messages": [{"kind": m.kind, "text": m.text, "at": m.at} for m in connection.execute(messages)],
            }  # fmt: skip


def _forms(api: APIRouter, bank: Bank) -> None:
    @api.post("/app/payments/{payment_id}/{word}")
    async def answer(payment_id: str, word: str, request: Request) -> RedirectResponse:
        form = await form_of(request)
        if word not in ("approve", "decline"):
            raise Refusal(f"nobody can {word[:20]} a payment", status=404)

        def decide() -> None:
            if word == "approve":
                _check_pin(bank, payment_id, form.get("pin"))
                mandates.approve(bank, payment_id)
            else:
                mandates.decline(bank, payment_id)

        return pressed(form, decide)

    @api.post("/app/tokens/{token_id}/{word}")
    async def change(token_id: str, word: str, request: Request) -> RedirectResponse:
        form = await form_of(request)
        if word not in _TOKEN_WORDS:
            raise Refusal(f"nobody can {word[:20]} a mandate", status=404)
        return pressed(form, lambda: mandates.set_status(bank, token_id, _TOKEN_WORDS[word]))

    @api.post("/app/notices/{order_id}/{word}")
    async def notice(order_id: str, word: str, request: Request) -> RedirectResponse:
        form = await form_of(request)
        if word not in ("stop", "allow"):
            raise Refusal(f"nobody can {word[:20]} a debit", status=404)
        return pressed(form, lambda: opt_out(bank, order_id, out=word == "stop"))

    @api.post("/app/accounts/{account_id}")
    async def account(account_id: str, request: Request) -> RedirectResponse:
        form = await form_of(request)
        return pressed(form, lambda: _play(bank, account_id, form))

    @api.post("/l/{link_id}")
    async def use_link(link_id: str) -> RedirectResponse:
        with bank.store.reading() as connection:
            link = one(connection, LINKS, link_id)
        if link is None or link.status != "issued":
            raise Refusal("this link cannot be used any more", status=404)
        return RedirectResponse(f"/app/pay/{mandates.ask(bank, link.order_id, description=link.description)}", status_code=303)


def _check_pin(bank: Bank, payment_id: str, pin: str | None) -> None:
    """Any 4 to 6 digits, unless the driver's PINs are all wrong. A program may leave it out."""
    with bank.store.reading() as connection:
        payment = one(connection, PAYMENTS, payment_id)
        contact = bank.contact_of(connection, payment.customer_id if payment is not None else None)
        wrong = connection.execute(sa.select(ACCOUNTS.c.wrong_pin).where(ACCOUNTS.c.contact == contact)).scalar_one_or_none()
    if wrong:
        raise Refusal("Wrong PIN. Nothing was approved; try again (the phone plays a driver whose every PIN is wrong)", status=409)
    if pin is not None and not _PIN.fullmatch(pin):
        raise Refusal("A UPI PIN has 4 to 6 digits", status=422)


def _play(bank: Bank, account_id: str, form: dict[str, str]) -> None:
    with bank.store.reading() as connection:
        contact = _account(connection, account_id).contact
    changes: dict[str, Any] = {name: form[name] == "1" for name in ("no_funds", "wrong_pin") if name in form}
    if "bank_trouble" in form:
        changes["bank_trouble"] = form["bank_trouble"] or None
    if "balance" in form:
        text = form["balance"].replace(",", "").replace("₹", "").strip()
        if text and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", text):
            raise Refusal("a balance is a number of rupees, like 2500.50", status=422)
        whole, _, rest = text.partition(".")
        changes["balance_paise"] = int(whole) * 100 + int(rest.ljust(2, "0") or 0) if text else None
    account_switch(bank, contact, **changes)
    if form.get("next"):
        add_fault(bank, "debit_fails", scope="contact", of=contact, reason=form["next"])


def _account(connection: sa.Connection, account_id: str) -> Any:
    row = connection.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.id == account_id)).first()
    if row is None:
        raise Refusal("there is no such phone here", status=404)
    return row


def _name(connection: sa.Connection, contact: str) -> str:
    query = sa.select(CUSTOMERS.c.name).where(CUSTOMERS.c.contact == contact).order_by(CUSTOMERS.c.created_at.desc())
    return connection.execute(query).scalars().first() or ""


def _waiting(connection: sa.Connection, contact: str) -> list[dict[str, Any]]:
    """What waits for a PIN."""
    mine = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.contact == contact)
    query = sa.select(PAYMENTS, ORDERS.c.max_amount, ORDERS.c.mode).join(ORDERS, ORDERS.c.id == PAYMENTS.c.order_id)
    query = query.where(PAYMENTS.c.status == "created", PAYMENTS.c.decide_at.is_(None), PAYMENTS.c.customer_id.in_(mine))
    found = []
    for row in connection.execute(query.order_by(PAYMENTS.c.created_at).limit(100)):
        mandate = row.kind == "authorisation"
        found.append(
            {"id": row.id, "kind": "mandate" if mandate else "debit", "amount": row.amount, "mode": row.mode or "autopay",
             "shown": row.max_amount if mandate else row.amount, "what": _WHAT[row.mode or "autopay"] if mandate else "Debit above ₹15,000"}
        )  # fmt: skip
    return found
