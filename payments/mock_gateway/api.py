"""The gateway's HTTP API under ``/v1``: Basic authentication, JSON, the error body of the real one."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from depot.money_text import rupees
from payments.mock_gateway import debits, mandates, npci
from payments.mock_gateway.bank import Bank
from payments.mock_gateway.bodies import EditCustomer, NewCustomer, NewLink, NewOrder, NewPayment, NewRefund, NewToken
from payments.mock_gateway.books import CUSTOMERS, LINKS, ORDERS, PAYMENTS, RECON, REFUNDS, SETTLEMENTS, TOKENS, change, new_id, one, sure
from payments.mock_gateway.desk import Refusal
from payments.mock_gateway.entities import (
    collection,
    customer_entity,
    link_entity,
    order_entity,
    payment_entity,
    recon_item,
    refund_entity,
    settlement_entity,
    token_entity,
)
from payments.mock_gateway.frame import Disturbances, Unauthorised, canonical
from payments.mock_gateway.refunds import refund

__all__ = ["add_api"]

_basic = HTTPBasic(auto_error=False)
_GONE = "The id provided does not exist"


class _Page:
    """``count``, ``skip``, ``from``, ``to`` of a list."""

    def __init__(
        self,
        count: Annotated[int, Query(ge=1, le=100)] = 10,
        skip: Annotated[int, Query(ge=0)] = 0,
        from_: Annotated[int, Query(alias="from")] = 0,
        to: int = 2**53,
    ) -> None:
        self.count, self.skip, self.from_, self.to = count, skip, from_, to

    def of(self, query: sa.Select[Any], table: sa.Table) -> sa.Select[Any]:
        """``query`` cut to the page, newest first."""
        query = query.where(table.c.created_at >= self.from_, table.c.created_at <= self.to)
        return query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(self.count).offset(self.skip)


_Paged = Annotated[_Page, Depends()]


def add_api(app: FastAPI, bank: Bank) -> None:
    """Put the API on ``app``."""
    settings = bank.settings

    def authorised(told: Annotated[HTTPBasicCredentials | None, Depends(_basic)]) -> None:
        right = told is not None and all(
            [
                hmac.compare_digest(told.username.encode(), settings.key_id.encode()),
                hmac.compare_digest(told.password.encode(), settings.key_secret.encode()),
            ]
        )
        if not right:
            raise Unauthorised

    api = APIRouter(prefix="/v1", dependencies=[Depends(authorised)])
    disturbed = Disturbances(bank)
    _customers(api, bank)
    _tokens(api, bank)
    _links(api, bank)
    _orders(api, bank, disturbed)
    _payments(api, bank, disturbed)
    _refunds(api, bank, disturbed)
    _settlements(api, bank)
    app.include_router(api)


def _customers(api: APIRouter, bank: Bank) -> None:
    @api.post("/customers")
    async def new_customer(body: NewCustomer) -> dict[str, Any]:
        with bank.store.writing() as connection:
            same = (CUSTOMERS.c.email == body.email) & (CUSTOMERS.c.contact == body.contact)
            row = connection.execute(sa.select(CUSTOMERS).where(same)).first()
            if row is not None and str(body.fail_existing) in ("1", "True", "true"):
                raise Refusal("Customer already exists for the merchant")
            return customer_entity(
                row if row is not None else _make_customer(bank, connection, body.name, body.email, body.contact, body.notes)
            )

    @api.get("/customers")
    async def customers(page: _Paged) -> dict[str, Any]:
        return _all(bank, page.of(sa.select(CUSTOMERS), CUSTOMERS), customer_entity)

    @api.get("/customers/{customer_id}")
    async def customer(customer_id: str) -> dict[str, Any]:
        return customer_entity(_found(bank, CUSTOMERS, customer_id))

    @api.put("/customers/{customer_id}")
    async def edit_customer(customer_id: str, body: EditCustomer) -> dict[str, Any]:
        _found(bank, CUSTOMERS, customer_id)
        values = {name: value for name, value in body.model_dump().items() if value is not None}
        with bank.store.writing() as connection:
            if values:
                change(connection, CUSTOMERS, customer_id, **values)
            return customer_entity(sure(connection, CUSTOMERS, customer_id))


def _make_customer(bank: Bank, connection: sa.Connection, name: str, email: str, contact: str, notes: dict[str, Any]) -> Any:
    id_ = new_id("cust")
    row = {"id": id_, "name": name, "email": email, "contact": contact, "notes": json.dumps(notes), "created_at": int(bank.now_s)}
    connection.execute(sa.insert(CUSTOMERS).values(**row))
    bank.account(connection, id_)
    return sure(connection, CUSTOMERS, id_)


def _tokens(api: APIRouter, bank: Bank) -> None:
    def mine(customer_id: str, token_id: str) -> Any:
        row = _found(bank, TOKENS, token_id)
        if row.customer_id != customer_id or row.deleted:
            raise Refusal(_GONE)
        return row

    @api.get("/customers/{customer_id}/tokens")
    async def tokens(customer_id: str) -> dict[str, Any]:
        _found(bank, CUSTOMERS, customer_id)
        query = sa.select(TOKENS).where(TOKENS.c.customer_id == customer_id, TOKENS.c.deleted == 0)
        return _all(bank, query.order_by(TOKENS.c.created_at.desc(), TOKENS.c.id), token_entity)

    @api.get("/customers/{customer_id}/tokens/{token_id}")
    async def token(customer_id: str, token_id: str) -> dict[str, Any]:
        return token_entity(mine(customer_id, token_id))

    @api.put("/customers/{customer_id}/tokens/{token_id}/cancel")
    async def cancel(customer_id: str, token_id: str) -> dict[str, Any]:
        mine(customer_id, token_id)
        mandates.cancel(bank, token_id)
        return {"status": "cancellation_initiated"}

    @api.delete("/customers/{customer_id}/tokens/{token_id}")
    async def delete(customer_id: str, token_id: str) -> dict[str, Any]:
        mine(customer_id, token_id)
        with bank.store.writing() as connection:
            change(connection, TOKENS, token_id, deleted=1)  # the mandate at the bank goes on
        return {"deleted": True}


def _terms(bank: Bank, token: NewToken, now: float) -> dict[str, Any]:
    """The columns of an order that say what is to be authorised. Raises :class:`Refusal`."""
    mode = token.mode
    most = {"autopay": npci.AUTOPAY_MOST_PAISE, "reserve": npci.RESERVE_MOST_PAISE, "otm": npci.OTM_MOST_PAISE}[mode]
    if token.max_amount > most:
        raise Refusal(f"The max amount may not be greater than {rupees(most)}", field_="token.max_amount")
    expire_at = token.expire_at or int(now) + (npci.RESERVE_MOST_S if mode == "reserve" else npci.DEFAULT_S)
    if not now < expire_at <= now + npci.LONGEST_S:
        raise Refusal("The expire_at must be in the future, and at most 30 years away", field_="token.expire_at")
    if mode == "reserve" and expire_at > now + npci.RESERVE_MOST_S + 1:
        raise Refusal("A block may last 90 days at most", field_="token.expire_at")
    if token.frequency == "as_presented" and token.recurring_value is not None:
        raise Refusal("recurring_value is not for the frequency as_presented", field_="token.recurring_value")
    return {
        "kind": "mandate", "max_amount": token.max_amount, "expire_at": expire_at, "mode": mode, "frequency": token.frequency,
        "recurring_type": token.recurring_type, "recurring_value": token.recurring_value,
    }  # fmt: skip


def _links(api: APIRouter, bank: Bank) -> None:
    @api.post("/subscription_registration/auth_links")
    async def new_link(body: NewLink, request: Request) -> dict[str, Any]:
        now = bank.now_s
        if body.expire_by is not None and body.expire_by <= now:
            raise Refusal("expire_by must be in the future", field_="expire_by")
        values = _terms(bank, body.subscription_registration, now)
        who = body.customer
        with bank.store.writing() as connection:
            same = (CUSTOMERS.c.email == who.email) & (CUSTOMERS.c.contact == who.contact)
            customer = connection.execute(sa.select(CUSTOMERS).where(same)).first()
            if customer is None:
                customer = _make_customer(bank, connection, who.name, who.email, who.contact, {})
            order_id, link_id = new_id("order"), new_id("inv")
            connection.execute(
                sa.insert(ORDERS).values(
                    id=order_id, amount=body.amount, currency=body.currency, receipt=body.receipt, status="created", created_at=int(now),
                    visible_at=now, customer_id=customer.id, notes=json.dumps(body.notes), **values,
                )
            )  # fmt: skip
            connection.execute(
                sa.insert(LINKS).values(
                    id=link_id, customer_id=customer.id, order_id=order_id, status="issued", amount=body.amount, currency=body.currency,
                    description=body.description, receipt=body.receipt, expire_by=body.expire_by, created_at=int(now),
                )
            )  # fmt: skip
            if body.sms_notify or body.email_notify:
                bank.message(connection, customer.id, "link", f"Set up a mandate: {_base(request)}/l/{link_id}")
            return link_entity(sure(connection, LINKS, link_id), _base(request))

    @api.get("/invoices/{link_id}")
    async def link(link_id: str, request: Request) -> dict[str, Any]:
        return link_entity(_found(bank, LINKS, link_id), _base(request))

    @api.post("/invoices/{link_id}/cancel")
    async def cancel_link(link_id: str, request: Request) -> dict[str, Any]:
        if _found(bank, LINKS, link_id).status != "issued":
            raise Refusal("The link cannot be cancelled: it is not open any more")
        with bank.store.writing() as connection:
            change(connection, LINKS, link_id, status="cancelled")
            return link_entity(sure(connection, LINKS, link_id), _base(request))


def _orders(api: APIRouter, bank: Bank, disturbed: Disturbances) -> None:
    @api.post("/orders")
    async def new_order(body: NewOrder, request: Request) -> dict[str, Any]:
        if body.token is None:
            await disturbed.before(request, body.receipt or "")
        id_, now = new_id("order"), bank.now_s
        values: dict[str, Any] = {"kind": "plain", "visible_at": now + disturbed.hidden_s(id_), "customer_id": body.customer_id}
        if body.token is not None:
            _found(bank, CUSTOMERS, body.customer_id or "")
            values |= _terms(bank, body.token, now) | {"visible_at": now}
        elif body.notification is not None:
            found = _found(bank, TOKENS, body.notification.token_id)
            if found.mode != "autopay":
                raise Refusal("A block needs no notice: make an order without notification")
            if found.status != "confirmed":
                raise Refusal("The token is not confirmed", reason=debits.state_reason(found.status))
            values |= {
                "kind": "debit", "customer_id": found.customer_id, "token_id": found.id, "notification_id": new_id("notification"),
                "notification_status": "requested", "payment_after": body.notification.payment_after,
                "notify_at": now + bank.settings.notice_s,
            }  # fmt: skip
        row = {"id": id_, "amount": body.amount, "currency": body.currency, "receipt": body.receipt, "status": "created"}
        with bank.store.writing() as connection:
            connection.execute(sa.insert(ORDERS).values(**row, created_at=int(now), notes=json.dumps(body.notes), **values))
            answer = order_entity(sure(connection, ORDERS, id_))
        if body.token is None:
            await disturbed.after(request, id_)
        return answer

    @api.get("/orders")
    async def orders(page: _Paged, receipt: str | None = None) -> dict[str, Any]:
        query = sa.select(ORDERS).where(ORDERS.c.visible_at <= bank.now_s)
        return _all(bank, page.of(query if receipt is None else query.where(ORDERS.c.receipt == receipt), ORDERS), order_entity)

    @api.get("/orders/{order_id}")
    async def order(order_id: str) -> dict[str, Any]:
        return order_entity(_found(bank, ORDERS, order_id))

    @api.get("/orders/{order_id}/payments")
    async def payments_of(order_id: str) -> dict[str, Any]:
        _found(bank, ORDERS, order_id)
        query = sa.select(PAYMENTS).where(PAYMENTS.c.order_id == order_id, PAYMENTS.c.visible_at <= bank.now_s)
        return _all(bank, query.order_by(PAYMENTS.c.created_at, PAYMENTS.c.id), payment_entity)


def _payments(api: APIRouter, bank: Bank, disturbed: Disturbances) -> None:
    async def take(body: NewPayment, request: Request) -> dict[str, Any]:
        if not body.recurs:
            raise Refusal("recurring must be true for a debit on a token", field_="recurring")
        await disturbed.before(request, body.order_id)
        token = _found(bank, TOKENS, body.token or "")
        if body.customer_id is not None and token.customer_id != body.customer_id:
            raise Refusal("The token is not this customer's", reason="invalid_token")
        id_ = debits.accept(
            bank, body.order_id, token.id, body.amount, body.notes, hidden_s=disturbed.hidden_s(body.order_id),
            description=body.description or "",
        )  # fmt: skip
        await disturbed.after(request, id_)
        signed = hmac.new(bank.settings.key_secret.encode(), f"{body.order_id}|{id_}".encode(), "sha256").hexdigest()
        return {"razorpay_payment_id": id_, "razorpay_order_id": body.order_id, "razorpay_signature": signed}

    @api.post("/payments/create/json")
    @api.post("/payments/create/upi")
    async def create(body: NewPayment, request: Request) -> dict[str, Any]:
        if body.token is not None:
            if _found(bank, TOKENS, body.token).mode == "autopay":
                raise Refusal("A mandate's debit goes to /payments/create/recurring")
            return await take(body, request)
        if body.vpa or (body.upi is not None and (body.upi.vpa or body.upi.flow != "intent")):
            raise Refusal("UPI Collect is closed for new mandates since 28 February 2026: use the flow intent", field_="upi.flow")
        order = _found(bank, ORDERS, body.order_id)
        if not body.recurs or body.amount != order.amount:
            raise Refusal("A mandate's payment has recurring true, and its order's amount")
        payment_id = mandates.ask(bank, body.order_id, description=body.description)
        poll = f"{_base(request)}/v1/payments/{payment_id}"
        steps = [{"action": "intent", "url": mandates.intent_url(order, payment_id)}, {"action": "poll", "url": poll}]
        return {"razorpay_payment_id": payment_id, "next": steps}

    @api.post("/payments/create/recurring")
    async def recurring(body: NewPayment, request: Request) -> dict[str, Any]:
        return await take(body, request)

    @api.get("/payments")
    async def payments(page: _Paged) -> dict[str, Any]:
        query = sa.select(PAYMENTS).where(PAYMENTS.c.visible_at <= bank.now_s)
        return _all(bank, page.of(query, PAYMENTS), payment_entity)

    @api.get("/payments/{payment_id}")
    async def payment(payment_id: str) -> dict[str, Any]:
        row = _found(bank, PAYMENTS, payment_id)
        if row.visible_at > bank.now_s:
            raise Refusal(_GONE)
        return payment_entity(row)


def _refunds(api: APIRouter, bank: Bank, disturbed: Disturbances) -> None:
    busy: set[str] = set()

    @api.post("/payments/{payment_id}/refund")
    async def new_refund(payment_id: str, body: NewRefund, request: Request) -> dict[str, Any]:
        key = request.headers.get("x-refund-idempotency")
        if key is not None and key in busy:
            raise Refusal("A request with this idempotency key is in progress", status=409)
        busy.add(key or "")
        try:
            await disturbed.before(request, key or payment_id)
            answer = refund(bank, payment_id, body.amount, body.receipt, body.notes, key=key, body=canonical(body.model_dump()))
            await disturbed.after(request, answer["id"])
        finally:
            busy.discard(key or "")
        return answer

    @api.get("/payments/{payment_id}/refunds")
    async def refunds_of(payment_id: str, page: _Paged) -> dict[str, Any]:
        _found(bank, PAYMENTS, payment_id)
        return _all(bank, page.of(sa.select(REFUNDS).where(REFUNDS.c.payment_id == payment_id), REFUNDS), refund_entity)

    @api.get("/payments/{payment_id}/refunds/{refund_id}")
    async def refund_of(payment_id: str, refund_id: str) -> dict[str, Any]:
        row = _found(bank, REFUNDS, refund_id)
        if row.payment_id != payment_id:
            raise Refusal(_GONE)
        return refund_entity(row)

    @api.get("/refunds")
    async def refunds(page: _Paged) -> dict[str, Any]:
        return _all(bank, page.of(sa.select(REFUNDS), REFUNDS), refund_entity)

    @api.get("/refunds/{refund_id}")
    async def one_refund(refund_id: str) -> dict[str, Any]:
        return refund_entity(_found(bank, REFUNDS, refund_id))


def _settlements(api: APIRouter, bank: Bank) -> None:
    @api.get("/settlements")
    async def settlements(page: _Paged) -> dict[str, Any]:
        return _all(bank, page.of(sa.select(SETTLEMENTS), SETTLEMENTS), settlement_entity)

    @api.get("/settlements/recon/combined")
    async def recon(
        year: int,
        month: Annotated[int, Query(ge=1, le=12)],
        day: Annotated[int | None, Query(ge=1, le=31)] = None,
        count: Annotated[int, Query(ge=1, le=1000)] = 10,
        skip: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, Any]:
        prefix = f"{year:04}-{month:02}-" + (f"{day:02}" if day is not None else "%")
        query = sa.select(RECON, SETTLEMENTS.c.utr).join(SETTLEMENTS, SETTLEMENTS.c.id == RECON.c.settlement_id)
        query = query.where(RECON.c.day.like(prefix), RECON.c.hidden == 0).order_by(RECON.c.seq).limit(count).offset(skip)
        return _all(bank, query, lambda row: recon_item(row, row.utr))

    @api.get("/settlements/{settlement_id}")
    async def settlement(settlement_id: str) -> dict[str, Any]:
        return settlement_entity(_found(bank, SETTLEMENTS, settlement_id))


def _all(bank: Bank, query: sa.Select[Any], shown: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    with bank.store.reading() as connection:
        return collection([shown(row) for row in connection.execute(query)])


def _found(bank: Bank, table: sa.Table, id_: str) -> Any:
    with bank.store.reading() as connection:
        row = one(connection, table, id_)
    if row is None:
        raise Refusal(_GONE)
    return row


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
