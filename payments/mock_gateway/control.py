"""``/control``: the mock played by a program. JSON in and out, on this machine only, without sign-in; a page of another site
cannot use it. What it can do stands in docs/gateway.md."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from payments.mock_gateway import npci
from payments.mock_gateway.bank import Bank
from payments.mock_gateway.books import ACCOUNTS, EVENTS, FAULTS, ORDERS, PAYMENTS, REFUNDS, STATE, TOKENS, new_id
from payments.mock_gateway.desk import Refusal
from payments.mock_gateway.faults import HTTP_KINDS, OUTCOMES, add_fault, add_http_fault, drop_faults
from payments.mock_gateway.guard import own_page
from payments.mock_gateway.mandates import set_status
from payments.mock_gateway.settings import PROFILES, Misbehaviour
from payments.mock_gateway.settling import settle

__all__ = ["account_switch", "add_control", "behave", "replay", "set_webhook", "settle_now", "situation"]

_SHARES = tuple(field.name for field in fields(Misbehaviour))
_PACES = ("notice_s", "least_notice_s", "decide_s", "approve_within_s", "give_up_s", "most_pause_s", "settle_after_s")
_SWITCHES = ("approve_at_once", "test_amounts", "same_day")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Fault(_Body):
    outcome: str
    scope: str = "any"
    of: str = Field(default="", max_length=80)
    reason: str = ""
    after_s: float = 0.0
    paise: int = 0
    times: int = Field(default=1, le=100_000)


class _HttpFault(_Body):
    kind: str
    path: str = Field(default="", max_length=200)
    method: str = Field(default="", max_length=8)
    acted: bool = False
    times: int = Field(default=1, le=100_000)
    delay_s: float = 0.0


class _Clock(_Body):
    advance_s: float = Field(default=0.0, ge=0, le=400 * 86_400)
    to: datetime | None = None


class _Account(_Body):
    balance_paise: int | None = Field(default=None, ge=0)
    no_funds: bool | None = None
    wrong_pin: bool | None = None
    bank_trouble: str | None = None


class _Webhook(_Body):
    enabled: bool | None = None
    held: bool | None = None
    order: str = Field(default="kept", pattern="^(kept|reversed|shuffled)$")
    secret: str | None = Field(default=None, min_length=16, repr=False)


class _Replay(_Body):
    event_id: str | None = None
    last: int = Field(default=1, ge=1, le=10_000)
    renamed: bool = False
    order: str = Field(default="kept", pattern="^(kept|reversed|shuffled)$")
    secret: str | None = Field(default=None, min_length=1, repr=False)


class _Token(_Body):
    status: str = Field(pattern="^(confirmed|paused|cancelled|expired)$")


def add_control(app: FastAPI, bank: Bank) -> None:
    """Put it on ``app``."""
    api = APIRouter(prefix="/control", dependencies=[Depends(own_page)])

    @api.get("")
    async def state() -> dict[str, Any]:
        return situation(bank)

    @api.get("/reasons")
    async def reasons() -> dict[str, Any]:
        return {"reasons": npci.REASONS, "outcomes": OUTCOMES, "http_kinds": HTTP_KINDS, "profiles": {k: v[0] for k, v in PROFILES.items()}}

    @api.put("/conduct")
    async def conduct(request: Request) -> dict[str, Any]:
        told = await request.json()
        if not isinstance(told, dict):
            raise Refusal("conduct is an object", status=422)
        behave(bank, told)
        return situation(bank)

    @api.post("/faults", status_code=201)
    async def fault(body: _Fault) -> dict[str, Any]:
        told = body.model_dump()
        add_fault(bank, told.pop("outcome"), **told)
        return situation(bank)

    @api.post("/http-faults", status_code=201)
    async def http_fault(body: _HttpFault) -> dict[str, Any]:
        told = body.model_dump()
        add_http_fault(bank, told.pop("kind"), **told)
        return situation(bank)

    @api.delete("/faults")
    async def no_faults() -> dict[str, Any]:
        drop_faults(bank)
        return situation(bank)

    @api.post("/clock")
    async def clock(body: _Clock) -> dict[str, Any]:
        seconds = body.advance_s
        if body.to is not None:
            if body.to.tzinfo is None:
                raise Refusal("to needs a zone, like 2026-11-23T06:00:00Z", status=422)
            seconds = body.to.timestamp() - bank.now_s
        bank.advance(seconds)
        bank.tick()
        return situation(bank)

    @api.post("/accounts/{contact}")
    async def account(contact: str, body: _Account) -> dict[str, Any]:
        account_switch(bank, contact, **body.model_dump(exclude_unset=True))
        return situation(bank)

    @api.post("/tokens/{token_id}")
    async def token(token_id: str, body: _Token) -> dict[str, Any]:
        set_status(bank, token_id, body.status)
        return situation(bank)

    @api.post("/webhook")
    async def webhook(body: _Webhook) -> dict[str, Any]:
        set_webhook(bank, enabled=body.enabled, held=body.held, order=body.order, secret=body.secret)
        return situation(bank)

    @api.post("/webhook/replay")
    async def again(body: _Replay) -> dict[str, Any]:
        return {
            "queued": replay(bank, event_id=body.event_id, last=body.last, renamed=body.renamed, order=body.order, secret=body.secret or "")
        }

    @api.post("/settle")
    async def settled() -> dict[str, Any]:
        return {"settlement_id": settle_now(bank)}

    app.include_router(api)


def situation(bank: Bank) -> dict[str, Any]:
    """How the mock stands: clock, conduct, faults that wait, webhooks, counts of its books."""
    with bank.store.reading() as connection:
        state = connection.execute(sa.select(STATE)).one()

        def count(table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
            return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one())

        events = {
            "enabled": bool(state.enabled),
            "held": bool(state.held),
            "delivered": count(EVENTS, EVENTS.c.delivered.is_(True)),
            "waiting": count(EVENTS, EVENTS.c.delivered.is_(False)),
            "url": bank.settings.webhook_url,
        }
        taken = PAYMENTS.c.status.in_(("captured", "refunded")) & (PAYMENTS.c.kind == "debit")
        books = {
            "tokens": count(TOKENS), "orders": count(ORDERS), "debits_captured": count(PAYMENTS, taken), "refunds": count(REFUNDS),
            "captured_paise": connection.execute(sa.select(sa.func.coalesce(sa.func.sum(PAYMENTS.c.amount), 0)).where(taken)).scalar_one(),
        }  # fmt: skip
        faults = [dict(row._mapping) for row in connection.execute(sa.select(FAULTS).where(FAULTS.c.left > 0))]
    bad = asdict(bank.settings.misbehaviour)
    return {
        "now": datetime.fromtimestamp(bank.now_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "profile": next((name for name, (_, how) in PROFILES.items() if how == bank.settings.misbehaviour), "own"),
        "conduct": bad | {name: getattr(bank.settings, name) for name in (*_PACES, *_SWITCHES)},
        "windows": [f"{start:%H:%M}-{end:%H:%M}" for start, end in bank.settings.windows],
        "faults": faults,
        "http_faults": [asdict(fault) for fault in bank.http_faults],
        "webhook": events,
        "books": books,
    }


def behave(bank: Bank, told: dict[str, Any]) -> None:
    """Change the conduct: ``{"profile": "chaos"}``, or single values. Raises :class:`Refusal`."""
    told = dict(told)
    bad = bank.settings.misbehaviour
    if "profile" in told:
        name = told.pop("profile")
        if name not in PROFILES:
            raise Refusal(f"there is no profile {str(name)[:40]!r}; known: {', '.join(PROFILES)}", status=422)
        bad = PROFILES[name][1]
    changes: dict[str, Any] = {}
    for name, value in told.items():
        if name in _SWITCHES and isinstance(value, bool):
            changes[name] = value
        elif name not in (*_SHARES, *_PACES) or isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            known = ", ".join((*_SHARES, *_PACES, *_SWITCHES))
            raise Refusal(f"{name[:40]!r} cannot be set so; known are profile, {known}", status=422)
        elif name in _PACES:
            changes[name] = float(value)
        else:
            try:
                bad = replace(bad, **{name: float(value)})
            except ValueError as error:
                raise Refusal(str(error), status=422) from None
    bank.settings = replace(bank.settings, misbehaviour=bad, **changes)


def account_switch(bank: Bank, contact: str, **changes: Any) -> None:
    """Balance and switches of a driver's bank account. Raises :class:`Refusal`."""
    trouble = changes.get("bank_trouble")
    if trouble and trouble not in npci.REASONS:
        raise Refusal(f"there is no reason {str(trouble)[:60]!r}; GET /control/reasons lists them", status=422)
    values = {{"balance_paise": "balance"}.get(name, name): int(v) if isinstance(v, bool) else v for name, v in changes.items()}
    with bank.store.writing() as connection:
        done = connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.contact == contact).values(**values)) if values else None
        if done is not None and not done.rowcount:
            raise Refusal("no driver has this phone number here: make a customer first", status=404)


def set_webhook(
    bank: Bank, *, enabled: bool | None = None, held: bool | None = None, order: str = "kept", secret: str | None = None
) -> None:
    """Enable or disable, keep back or let go (in an order of choice), or take a new secret: what was made before keeps the old
    one's signature, as with the real gateway."""
    if secret is not None:
        bank.webhook_secret = secret
    with bank.store.writing() as connection:
        if enabled is not None:
            connection.execute(sa.update(STATE).values(enabled=int(enabled), disabled_at=None if enabled else bank.now_s))
        if held is not None:
            connection.execute(sa.update(STATE).values(held=int(held)))
        if held is False:
            waiting = connection.execute(sa.select(EVENTS.c.seq).where(EVENTS.c.held == 1).order_by(EVENTS.c.seq)).scalars().all()
            for place, seq in enumerate(_ordered(bank, list(waiting), order)):
                connection.execute(sa.update(EVENTS).where(EVENTS.c.seq == seq).values(held=0, due_at=bank.now_s + place * 1e-3))
    bank.woken.set()


def replay(bank: Bank, *, event_id: str | None, last: int, renamed: bool, order: str, secret: str) -> int:
    """Send webhooks once more (under new ids, in an order of choice, signed with another secret); how many."""
    query = sa.select(EVENTS).order_by(EVENTS.c.seq.desc())
    query = query.where(EVENTS.c.event_id == event_id) if event_id is not None else query.limit(last)
    with bank.store.writing() as connection:
        rows = list(reversed(connection.execute(query).all()))
        if not rows:
            raise Refusal("there is no such webhook", status=404)
        for place, row in enumerate(_ordered(bank, rows, order)):
            id_ = new_id("evt") if renamed else row.event_id
            bank.queue_event(connection, id_, row.kind, row.body, due_at=bank.now_s + place * 1e-3, secret=secret)
    return len(rows)


def _ordered(bank: Bank, rows: list[Any], order: str) -> list[Any]:
    if order == "shuffled":
        bank.settings.chance("shuffle", str(len(rows))).shuffle(rows)
    return rows[::-1] if order == "reversed" else rows


def settle_now(bank: Bank) -> str | None:
    """Everything that was captured or given back, at once."""
    with bank.store.writing() as connection:
        return settle(bank, connection, until_s=bank.now_s)
