"""The gateway's HTTP API under ``/v1``: Basic authentication, JSON, the error body of the real one."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, ConfigDict, Field

from payments.mock_gateway import books
from payments.mock_gateway.bank import Bank, Refusal
from payments.mock_gateway.books import CUSTOMERS, ORDERS, PAYMENTS, TOKENS, new_id, one

__all__ = ["add_api"]

_basic = HTTPBasic(auto_error=False)
_Paise = Annotated[int, Field(strict=True, ge=100, le=50_000_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _NewCustomer(_Body):
    name: str = ""
    email: str
    contact: str


class _NewToken(_Body):
    max_amount: Annotated[int, Field(strict=True, ge=100, le=9_999_900)]
    expire_at: int
    frequency: str


class _NewNotification(_Body):
    token_id: str
    payment_after: int


class _NewOrder(_Body):
    amount: _Paise
    currency: str = Field(pattern="^INR$")
    receipt: str = Field(default="", max_length=40)
    customer_id: str | None = None
    method: str | None = None
    token: _NewToken | None = None
    notification: _NewNotification | None = None


class _NewAuthorisation(_Body):
    amount: _Paise
    order_id: str
    customer_id: str
    email: str
    contact: str
    recurring: bool


class _NewDebit(_Body):
    amount: _Paise
    currency: str = Field(pattern="^INR$")
    order_id: str
    customer_id: str
    token: str
    email: str = Field(min_length=1)
    contact: str = Field(min_length=1)
    recurring: bool
    notes: dict[str, str] = Field(default_factory=dict)


class _NewRefund(_Body):
    amount: _Paise
    receipt: str | None = None


def _error(status: int, description: str, reason: str | None = None) -> JSONResponse:
    error: dict[str, Any] = {"code": "BAD_REQUEST_ERROR", "description": description, "source": "business", "step": None}
    error |= {"reason": reason, "metadata": {}}
    return JSONResponse({"error": error}, status_code=status)


class _Unauthorised(Exception):
    pass


def add_api(app: FastAPI, bank: Bank) -> None:
    """Put the API on ``app``."""
    settings, bad = bank.settings, bank.settings.misbehaviour

    def authorised(told: Annotated[HTTPBasicCredentials | None, Depends(_basic)]) -> None:
        right = told is not None and all(
            [
                hmac.compare_digest(told.username.encode(), settings.key_id.encode()),
                hmac.compare_digest(told.password.encode(), settings.key_secret.encode()),
            ]
        )
        if not right:
            raise _Unauthorised

    api = APIRouter(prefix="/v1", dependencies=[Depends(authorised)])

    @app.exception_handler(_Unauthorised)
    async def unauthorised(_: Request, __: Exception) -> JSONResponse:
        return _error(401, "Authentication failed")

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Exception) -> JSONResponse:
        assert isinstance(refusal, Refusal)
        return _error(refusal.status, refusal.description, refusal.reason)

    async def never(request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    async def disturbed(request: Request, id_: str, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer, perhaps late or never; by the luck of the thing that was made."""
        luck = settings.chance("answer", id_).random()
        if luck < bad.mute:
            await never(request)
        elif luck < bad.mute + bad.late:
            await asyncio.sleep(bad.late_s)
        return answer

    def hidden_s(what: str) -> float:
        return settings.chance("hide", what).random() * bad.hide_s

    asked: Counter[str] = Counter()

    async def lost(request: Request, what: str) -> None:
        """Perhaps the request breaks off before anything is done; the next one for the same thing has luck of its own."""
        asked[what] += 1
        if settings.chance("lost", f"{what}/{asked[what]}").random() < bad.lost:
            await never(request)
            raise Refusal("nobody listens any more", status=504)

    @api.post("/customers")
    async def new_customer(body: _NewCustomer) -> dict[str, Any]:
        with bank.store.writing() as connection:
            same = (CUSTOMERS.c.email == body.email) & (CUSTOMERS.c.contact == body.contact)
            row = connection.execute(sa.select(CUSTOMERS).where(same)).first()
            if row is None:
                id_ = new_id("cust")
                connection.execute(
                    sa.insert(CUSTOMERS).values(
                        id=id_, name=body.name, email=body.email, contact=body.contact, created_at=int(bank.now_s)
                    )
                )  # fmt: skip
                row = one(connection, CUSTOMERS, id_)
        return _customer(row)

    @api.get("/customers/{customer_id}")
    async def customer(customer_id: str) -> dict[str, Any]:
        return _customer(_found(bank, CUSTOMERS, customer_id))

    @api.get("/customers/{customer_id}/tokens/{token_id}")
    async def token(customer_id: str, token_id: str) -> dict[str, Any]:
        row = _found(bank, TOKENS, token_id)
        if row.customer_id != customer_id:
            raise Refusal("The id provided does not exist")
        return books.token_entity(row)

    @api.put("/customers/{customer_id}/tokens/{token_id}/cancel")
    async def cancel(customer_id: str, token_id: str) -> dict[str, Any]:
        await token(customer_id, token_id)
        bank.set_token(token_id, "cancelled")
        return {"status": "cancellation_initiated"}

    @api.post("/orders")
    async def new_order(body: _NewOrder, request: Request) -> dict[str, Any]:
        id_, now = new_id("order"), bank.now_s
        values: dict[str, Any] = {
            "id": id_, "amount": body.amount, "currency": body.currency, "receipt": body.receipt, "status": "created",
            "created_at": int(now), "visible_at": now,
        }  # fmt: skip
        if body.token is not None:
            _found(bank, CUSTOMERS, body.customer_id or "")
            if body.token.frequency != "as_presented":
                raise Refusal("this mock knows the frequency as_presented only")
            values |= {
                "kind": "mandate", "customer_id": body.customer_id, "max_amount": body.token.max_amount, "expire_at": body.token.expire_at
            }  # fmt: skip
        elif body.notification is not None:
            await lost(request, body.receipt)
            found = _found(bank, TOKENS, body.notification.token_id)
            if found.status != "confirmed":
                raise Refusal("The token is not confirmed", reason=f"mandate_{found.status}")
            values |= {
                "kind": "debit", "customer_id": found.customer_id, "token_id": found.id, "notification_id": new_id("notification"),
                "notification_status": "requested", "payment_after": body.notification.payment_after,
                "notify_at": now + settings.notice_s, "visible_at": now + hidden_s(id_),
            }  # fmt: skip
        else:
            raise Refusal("this mock knows orders with a token or a notification only")
        with bank.store.writing() as connection:
            connection.execute(sa.insert(ORDERS).values(**values))
            answer = books.order_entity(one(connection, ORDERS, id_))
        return await disturbed(request, id_, answer) if values["kind"] == "debit" else answer

    @api.get("/orders")
    async def orders(receipt: str) -> dict[str, Any]:
        with bank.store.reading() as connection:
            rows = connection.execute(sa.select(ORDERS).where(ORDERS.c.receipt == receipt, ORDERS.c.visible_at <= bank.now_s)).all()
        return _collection([books.order_entity(row) for row in rows])

    @api.get("/orders/{order_id}")
    async def order(order_id: str) -> dict[str, Any]:
        return books.order_entity(_found(bank, ORDERS, order_id))

    @api.get("/orders/{order_id}/payments")
    async def payments_of(order_id: str) -> dict[str, Any]:
        _found(bank, ORDERS, order_id)
        with bank.store.reading() as connection:
            query = sa.select(PAYMENTS).where(PAYMENTS.c.order_id == order_id, PAYMENTS.c.visible_at <= bank.now_s)
            rows = connection.execute(query.order_by(PAYMENTS.c.created_at, PAYMENTS.c.id)).all()
        return _collection([books.payment_entity(row) for row in rows])

    @api.get("/payments/{payment_id}")
    async def payment(payment_id: str) -> dict[str, Any]:
        return books.payment_entity(_found(bank, PAYMENTS, payment_id))

    @api.post("/payments/create/json")
    async def authorise(body: _NewAuthorisation) -> dict[str, Any]:
        payment_id = bank.authorise(body.order_id)
        url = f"upi://mandate?pa=mock@chargeyard&tr={payment_id}&amrule=MAX&recur=ASPRESENTED"
        return {"razorpay_payment_id": payment_id, "next": [{"action": "intent", "url": url}]}

    @api.post("/payments/create/recurring")
    async def debit(body: _NewDebit, request: Request) -> dict[str, Any]:
        await lost(request, body.order_id)
        id_ = bank.accept_debit(body.order_id, body.token, body.amount, body.notes, hidden_s=hidden_s(body.order_id))
        signed = hmac.new(settings.key_secret.encode(), f"{body.order_id}|{id_}".encode(), "sha256").hexdigest()
        answer = {"razorpay_payment_id": id_, "razorpay_order_id": body.order_id, "razorpay_signature": signed}
        return await disturbed(request, id_, answer)

    @api.post("/payments/{payment_id}/refund")
    async def refund(payment_id: str, body: _NewRefund, request: Request) -> dict[str, Any]:
        key = request.headers.get("x-refund-idempotency")
        same = json.dumps(body.model_dump(), sort_keys=True)
        return bank.refund(payment_id, body.amount, body.receipt, key, same)

    app.include_router(api)


def _customer(row: Any) -> dict[str, Any]:
    return {
        "id": row.id, "entity": "customer", "name": row.name, "email": row.email, "contact": row.contact, "gstin": None,
        "created_at": row.created_at,
    }  # fmt: skip


def _collection(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {"entity": "collection", "count": len(items), "items": items}


def _found(bank: Bank, table: sa.Table, id_: str) -> Any:
    with bank.store.reading() as connection:
        row = one(connection, table, id_)
    if row is None:
        raise Refusal("The id provided does not exist")
    return row
