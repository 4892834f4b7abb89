"""A page that plays the driver's UPI app: approve and decline, pause, resume and revoke. On this machine only: it has no
sign-in, so it listens to forms of its own pages alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment

from payments.mock_gateway.bank import Bank, Refusal
from payments.mock_gateway.books import CUSTOMERS, PAYMENTS, TOKENS

__all__ = ["add_driver_page"]

_PAGE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>UPI app (mock)</title>
<style>body{font:16px system-ui;max-width:48rem;margin:2rem auto;padding:0 1rem}
li{margin:.8rem 0}button{font:inherit}form{display:inline}</style>
<h1>UPI app (mock)</h1><p>Plays the driver. No money moves here.</p>
{% macro act(path, word) %}<form method="post" action="/app/{{ path }}/{{ word }}"><button>{{ word }}</button></form>{% endmacro %}
<h2>Waiting for you</h2><ul>{% for p in waiting %}
<li>{{ "mandate" if p.kind == "authorisation" else "debit" }} {{ p.id }}, ₹{{ "%.2f" % (p.amount / 100) }}
{{ act("payments/" ~ p.id, "approve") }} {{ act("payments/" ~ p.id, "decline") }}</li>
{% else %}<li>nothing</li>{% endfor %}</ul>
<h2>Mandates</h2><ul>{% for t in tokens %}
<li>{{ t.id }}, up to ₹{{ "%.2f" % (t.max_amount / 100) }}: {{ t.status }}
{% if t.status == "confirmed" %}{{ act("tokens/" ~ t.id, "pause") }}{% endif %}
{% if t.status == "paused" %}{{ act("tokens/" ~ t.id, "resume") }}{% endif %}
{% if t.status != "cancelled" %}{{ act("tokens/" ~ t.id, "revoke") }}{% endif %}</li>
{% else %}<li>none</li>{% endfor %}</ul></html>"""
)
_TOKEN_WORDS = {"pause": "paused", "resume": "confirmed", "revoke": "cancelled"}


def _own_page(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refusal("this form is on another site", status=403)


def add_driver_page(app: FastAPI, bank: Bank) -> None:
    """Put the page under ``/app`` on ``app``."""
    own = Depends(_own_page)

    @app.get("/app", response_class=HTMLResponse)
    async def page() -> str:
        with bank.store.reading() as connection:
            waiting = sa.select(PAYMENTS).where(PAYMENTS.c.status == "created", PAYMENTS.c.decide_at.is_(None))
            shown: dict[str, Any] = {
                "waiting": connection.execute(waiting.order_by(PAYMENTS.c.created_at)).all(),
                "tokens": connection.execute(sa.select(TOKENS).order_by(TOKENS.c.created_at.desc()).limit(100)).all(),
            }
        return _PAGE.render(**shown)

    @app.get("/app/phone")
    async def phone(contact: str) -> dict[str, Any]:
        """The same for a program: what one phone number's app shows."""
        with bank.store.reading() as connection:
            mine = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.contact == contact)
            waiting = sa.select(PAYMENTS).where(
                PAYMENTS.c.status == "created", PAYMENTS.c.decide_at.is_(None), PAYMENTS.c.customer_id.in_(mine)
            )
            tokens = sa.select(TOKENS).where(TOKENS.c.customer_id.in_(mine)).order_by(TOKENS.c.created_at.desc()).limit(100)
            taken = sa.select(PAYMENTS).where(
                PAYMENTS.c.kind == "debit", PAYMENTS.c.status.in_(("captured", "refunded")), PAYMENTS.c.customer_id.in_(mine)
            )
            return {
                "waiting": [
                    {"id": p.id, "kind": "mandate" if p.kind == "authorisation" else "debit", "amount_paise": p.amount}
                    for p in connection.execute(waiting.order_by(PAYMENTS.c.created_at).limit(100))
                ],
                "mandates": [{"id": t.id, "status": t.status, "max_amount_paise": t.max_amount} for t in connection.execute(tokens)],
                "debits": [
                    {"id": p.id, "amount_paise": p.amount, "refunded_paise": p.amount_refunded}
                    for p in connection.execute(taken.order_by(PAYMENTS.c.created_at.desc()).limit(100))
                ],
            }

    @app.post("/app/payments/{payment_id}/{word}", dependencies=[own])
    async def answer(payment_id: str, word: str) -> RedirectResponse:
        if word not in ("approve", "decline"):
            raise Refusal(f"nobody can {word[:20]} a payment", status=404)
        (bank.approve if word == "approve" else bank.decline)(payment_id)
        return RedirectResponse("/app", status_code=303)

    @app.post("/app/tokens/{token_id}/{word}", dependencies=[own])
    async def change(token_id: str, word: str) -> RedirectResponse:
        if word not in _TOKEN_WORDS:
            raise Refusal(f"nobody can {word[:20]} a mandate", status=404)
        bank.set_token(token_id, _TOKEN_WORDS[word])
        return RedirectResponse("/app", status_code=303)
