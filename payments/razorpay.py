"""The gateway over HTTP, in the shape of Razorpay's API (``https://api.razorpay.com/v1``): JSON, Basic authentication,
integer paise. A client of its own per process; look-ups and refunds may be repeated by the caller, nothing is here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from payments.gateway import (
    Answer,
    Customer,
    DebitRequest,
    IntentLink,
    NotSent,
    Ok,
    Order,
    Payment,
    Refund,
    Rejected,
    Token,
    Unknown,
)
from payments.keys import GatewayKeys, guarded_url
from payments.reasons import Reason
from payments.states import MandateState
from payments.times import to_s
from payments.wire import WireError, WireOrder, WirePayment, WireRefund, WireToken, mandate_state

__all__ = ["RazorpayGateway"]

W = TypeVar("W")

_AUTHORISATION_PAISE = 100
_PAGE = 100
_MOST_BYTES = 4 * 1024 * 1024
_SOON_S = 1.0
_REFUND_KEY = re.compile(r"[A-Za-z0-9_-]{10,}")


class _List(msgspec.Struct):
    items: list[msgspec.Raw]


class _Customer(msgspec.Struct):
    id: str
    email: str | None = None
    contact: str | None = None


class _Created(msgspec.Struct):
    razorpay_payment_id: str


class _Next(msgspec.Struct):
    action: str
    url: str


class _Authorisation(msgspec.Struct):
    razorpay_payment_id: str
    next: list[_Next]


class _Cancelled(msgspec.Struct):
    status: str


class RazorpayGateway:
    """Implements :class:`payments.gateway.Gateway`. ``url`` may be a mock's: see :func:`payments.keys.guarded_url`,
    whose :class:`~payments.UnsafeKeys` this raises. Time-outs in real seconds. ``heard``: told of every answer ("") and of
    every request without a clear one (why)."""

    def __init__(
        self,
        url: str,
        keys: GatewayKeys,
        *,
        timeout_s: float = 10.0,
        connect_timeout_s: float = 3.0,
        heard: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._heard = heard
        self._client = httpx.AsyncClient(
            base_url=guarded_url(url, keys),
            auth=httpx.BasicAuth(keys.key_id, keys.key_secret),
            timeout=httpx.Timeout(timeout_s, connect=connect_timeout_s),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
            follow_redirects=False,
            trust_env=False,  # no proxy or .netrc of the machine sees the keys
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def create_customer(self, *, name: str, email: str, contact: str) -> Answer[Customer]:
        """POST /customers; an existing customer is answered as such."""
        body = {"name": name, "email": email, "contact": contact, "fail_existing": "0"}
        answer = await self._ask("POST", "/customers", _Customer, body)
        return _map(answer, _customer)

    async def customer(self, customer_id: str) -> Answer[Customer]:
        """GET /customers/:id"""
        return _map(await self._ask("GET", f"/customers/{quote(customer_id, safe='')}", _Customer), _customer)

    async def create_mandate_order(
        self, *, customer_id: str, receipt: str, max_amount_paise: int, expire_at: datetime, currency: str
    ) -> Answer[Order]:
        """POST /orders with a token to be made: as_presented, the only frequency that fits sessions."""
        body = {
            "amount": _AUTHORISATION_PAISE,
            "currency": currency,
            "customer_id": customer_id,
            "method": "upi",
            "token": {"max_amount": max_amount_paise, "expire_at": to_s(expire_at), "frequency": "as_presented"},
            "receipt": receipt,
        }
        return _map(await self._ask("POST", "/orders", WireOrder, body), WireOrder.neutral)

    async def authorise(self, *, order: Order, customer: Customer) -> Answer[IntentLink]:
        """POST /payments/create/json: the intent link (UPI Collect is closed for new mandates since 28 Feb 2026)."""
        body = {
            "amount": order.amount_paise,
            "currency": order.currency,
            "order_id": order.order_id,
            "customer_id": customer.customer_id,
            "email": customer.email,
            "contact": customer.contact,
            "method": "upi",
            "recurring": True,
            "upi": {"flow": "intent"},
        }
        answer = await self._ask("POST", "/payments/create/json", _Authorisation, body)
        if not isinstance(answer, Ok):
            return answer
        url = next((step.url for step in answer.value.next if step.action == "intent"), None)
        if url is None:
            return Unknown("the gateway's answer holds no intent link")
        return Ok(IntentLink(answer.value.razorpay_payment_id, url), answer.at_s)

    async def token(self, customer_id: str, token_id: str) -> Answer[Token]:
        """GET /customers/:cid/tokens/:tid"""
        path = f"/customers/{quote(customer_id, safe='')}/tokens/{quote(token_id, safe='')}"
        return _map(await self._ask("GET", path, WireToken), WireToken.neutral)

    async def cancel_token(self, customer_id: str, token_id: str) -> Answer[MandateState]:
        """PUT …/cancel; the end comes by webhook or look-up."""
        path = f"/customers/{quote(customer_id, safe='')}/tokens/{quote(token_id, safe='')}/cancel"
        answer = await self._ask("PUT", path, _Cancelled)
        return _map(answer, lambda told: mandate_state(told.status) or MandateState.CANCEL_PENDING)

    async def create_debit_order(
        self, *, receipt: str, token_id: str, amount_paise: int, currency: str, payment_after: datetime
    ) -> Answer[Order]:
        """POST /orders with the notice to be sent. Moves no money; with a notification the gateway does not retry."""
        body = {
            "amount": amount_paise,
            "currency": currency,
            "payment_capture": True,
            "receipt": receipt,
            "notification": {"token_id": token_id, "payment_after": to_s(payment_after)},
        }
        return _map(await self._ask("POST", "/orders", WireOrder, body), WireOrder.neutral)

    async def orders(self, receipt: str) -> Answer[Sequence[Order]]:
        """GET /orders?receipt=…"""
        answer = await self._list("/orders", WireOrder, {"receipt": receipt, "count": str(_PAGE)})
        return _map(answer, lambda all_: sorted((o.neutral() for o in all_), key=lambda o: (o.created_at_s, o.order_id)))

    async def create_debit(self, request: DebitRequest) -> Answer[str]:
        """POST /payments/create/recurring. There is no idempotency header: the caller's stored intent stands for it."""
        body = {
            "email": request.customer.email,
            "contact": request.customer.contact,
            "amount": request.amount_paise,
            "currency": request.currency,
            "order_id": request.order_id,
            "customer_id": request.customer.customer_id,
            "token": request.token_id,
            "recurring": True,
            "description": request.description,
            "notes": {"submission": request.key},
        }
        return _map(await self._ask("POST", "/payments/create/recurring", _Created, body), lambda made: made.razorpay_payment_id)

    async def payments(self, order_id: str) -> Answer[Sequence[Payment]]:
        """GET /orders/:id/payments"""
        answer = await self._list(f"/orders/{quote(order_id, safe='')}/payments", WirePayment, {"count": str(_PAGE)})
        if not isinstance(answer, Ok):
            return answer
        try:
            return Ok([payment.neutral() for payment in answer.value], answer.at_s)
        except ValueError as error:
            return Unknown(f"a payment's status is new to us: {error}")

    async def refund(self, *, payment_id: str, amount_paise: int, key: str) -> Answer[Refund]:
        """POST /payments/:id/refund with X-Refund-Idempotency. The same key must come with the same body."""
        if not _REFUND_KEY.fullmatch(key):
            raise ValueError("a refund's key needs 10 characters or more of A-Z a-z 0-9 - _")
        path = f"/payments/{quote(payment_id, safe='')}/refund"
        body = {"amount": amount_paise, "receipt": key}
        answer = await self._ask("POST", path, WireRefund, body, headers={"X-Refund-Idempotency": key})
        return _map(answer, WireRefund.neutral)

    async def _list(self, path: str, kind: type[W], query: dict[str, str]) -> Answer[list[W]]:
        answer = await self._ask("GET", path, _List, query=query)
        if not isinstance(answer, Ok):
            return answer
        try:
            return Ok([msgspec.json.decode(item, type=kind) for item in answer.value.items], answer.at_s)
        except msgspec.DecodeError as error:
            return Unknown(f"the gateway's answer is not what it should be: {error}")

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[W],
        body: dict[str, Any] | None = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer[W]:
        answer: Answer[W]
        try:
            response = await self._client.request(method, path, json=body, params=query, headers=headers)
            answer = _read(response, kind)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            answer = NotSent(f"no connection to the gateway ({type(error).__name__})", _SOON_S)
        except httpx.HTTPError as error:
            answer = Unknown(f"no answer from the gateway ({type(error).__name__})")
        self._heard(answer.why if isinstance(answer, NotSent | Unknown) else "")
        return answer


def _read(response: httpx.Response, kind: type[W]) -> Answer[W]:
    status = response.status_code
    if status in (401, 403):
        return NotSent("the gateway does not accept our keys")
    if status == 429:
        return NotSent("the gateway asks us to slow down", _retry_after_s(response))
    if len(response.content) > _MOST_BYTES:
        return Unknown(f"the gateway's answer has {len(response.content)} bytes")
    try:
        if status in (200, 201):
            return Ok(msgspec.json.decode(response.content, type=kind), _date_s(response))
        if 400 <= status < 500 and status not in (408, 409):
            told = msgspec.json.decode(response.content, type=WireError)
            return Rejected(status, Reason.of(told.error.reason), told.error.code, told.error.description, told.payment_id)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unknown(f"the gateway's answer ({status}) is not what it should be: {error}")
    return Unknown(f"the gateway answered {status}")


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return min(float(text), 3600.0) if text.isdecimal() else _SOON_S


def _date_s(response: httpx.Response) -> int:
    """The gateway's clock; 0 where it does not tell."""
    try:
        return int(parsedate_to_datetime(response.headers["date"]).timestamp())
    except (KeyError, ValueError):
        return 0


def _customer(told: _Customer) -> Customer:
    return Customer(told.id, told.email or "", told.contact or "")


def _map(answer: Answer[Any], turn: Any) -> Answer[Any]:
    """``answer`` with its value turned; a value that cannot be turned is no answer."""
    if not isinstance(answer, Ok):
        return answer
    try:
        return Ok(turn(answer.value), answer.at_s)
    except ValueError as error:
        return Unknown(f"the gateway's answer is new to us: {error}")
