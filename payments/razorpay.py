"""The gateway over HTTP, in the shape of Razorpay's API (``https://api.razorpay.com/v1``): JSON, Basic authentication,
integer paise. A client of its own per process; look-ups and refunds may be repeated by the caller, nothing is here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from payments.gateway import (
    Answer,
    AuthLink,
    Customer,
    DebitRequest,
    IntentLink,
    NotSent,
    Ok,
    Order,
    Payment,
    Refund,
    Rejected,
    SettlementItem,
    Token,
    Unknown,
)
from payments.keys import GatewayKeys, guarded_url
from payments.reasons import Reason
from payments.states import MandateState, Mode
from payments.times import to_s
from payments.wire import (
    WireAuthLink,
    WireError,
    WireOrder,
    WirePayment,
    WireRefund,
    WireSettlementItem,
    WireToken,
    mandate_state,
)

__all__ = ["RazorpayGateway"]

W = TypeVar("W")

_AUTHORISATION_PAISE = 100
_PAGE = 100
_RECON_PAGE = 1000
_MOST_PAGES = 1000
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


class _Deleted(msgspec.Struct):
    deleted: bool


def mandate_terms(mode: Mode, max_amount_paise: int, expire_at: datetime) -> dict[str, Any]:
    """The ``token`` of an order, or the ``subscription_registration`` of a link: what is to be authorised. as_presented is
    the only frequency that fits sessions; Reserve Pay is a type of its own, a one-time mandate a frequency."""
    terms = {
        "max_amount": max_amount_paise,
        "expire_at": to_s(expire_at),
        "frequency": "one_time" if mode is Mode.ONE_TIME else "as_presented",
    }
    return terms | {"type": "single_block_multiple_debit"} if mode is Mode.RESERVE else terms


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
        self, *, customer_id: str, receipt: str, max_amount_paise: int, expire_at: datetime, currency: str, mode: Mode = Mode.AUTOPAY
    ) -> Answer[Order]:
        """POST /orders with a token to be made."""
        body = {
            "amount": _AUTHORISATION_PAISE,
            "currency": currency,
            "customer_id": customer_id,
            "method": "upi",
            "token": mandate_terms(mode, max_amount_paise, expire_at),
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

    async def create_auth_link(
        self,
        *,
        name: str,
        email: str,
        contact: str,
        receipt: str,
        max_amount_paise: int,
        expire_at: datetime,
        currency: str,
        description: str,
        link_expires_at: datetime,
        mode: Mode = Mode.AUTOPAY,
        tell_driver: bool = False,
    ) -> Answer[AuthLink]:
        """POST /subscription_registration/auth_links"""
        body = {
            "customer": {"name": name, "email": email, "contact": contact},
            "type": "link",
            "amount": _AUTHORISATION_PAISE,
            "currency": currency,
            "description": description,
            "subscription_registration": {"method": "upi"} | mandate_terms(mode, max_amount_paise, expire_at),
            "receipt": receipt,
            "expire_by": to_s(link_expires_at),
            "sms_notify": tell_driver,
            "email_notify": tell_driver,
        }
        return _map(await self._ask("POST", "/subscription_registration/auth_links", WireAuthLink, body), WireAuthLink.neutral)

    async def auth_link(self, link_id: str) -> Answer[AuthLink]:
        """GET /invoices/:id (a link is an invoice entity)"""
        return _map(await self._ask("GET", f"/invoices/{quote(link_id, safe='')}", WireAuthLink), WireAuthLink.neutral)

    async def cancel_auth_link(self, link_id: str) -> Answer[AuthLink]:
        """POST /invoices/:id/cancel"""
        return _map(await self._ask("POST", f"/invoices/{quote(link_id, safe='')}/cancel", WireAuthLink), WireAuthLink.neutral)

    async def token(self, customer_id: str, token_id: str) -> Answer[Token]:
        """GET /customers/:cid/tokens/:tid"""
        return _map(await self._ask("GET", _token_path(customer_id, token_id), WireToken), WireToken.neutral)

    async def tokens(self, customer_id: str) -> Answer[Sequence[Token]]:
        """GET /customers/:cid/tokens"""
        answer = await self._list(f"/customers/{quote(customer_id, safe='')}/tokens", WireToken, {})
        return _map(answer, lambda all_: [token.neutral() for token in all_])

    async def cancel_token(self, customer_id: str, token_id: str) -> Answer[MandateState]:
        """PUT …/cancel; the end comes by webhook or look-up."""
        answer = await self._ask("PUT", f"{_token_path(customer_id, token_id)}/cancel", _Cancelled)
        return _map(answer, lambda told: mandate_state(told.status) or MandateState.CANCEL_PENDING)

    async def delete_token(self, customer_id: str, token_id: str) -> Answer[bool]:
        """DELETE …"""
        return _map(await self._ask("DELETE", _token_path(customer_id, token_id), _Deleted), lambda told: told.deleted)

    async def create_debit_order(
        self, *, receipt: str, token_id: str, amount_paise: int, currency: str, payment_after: datetime | None
    ) -> Answer[Order]:
        """POST /orders with the notice to be sent, if any. Moves no money; with a notification the gateway does not retry."""
        body: dict[str, Any] = {"amount": amount_paise, "currency": currency, "payment_capture": True, "receipt": receipt}
        if payment_after is not None:
            body["notification"] = {"token_id": token_id, "payment_after": to_s(payment_after)}
        return _map(await self._ask("POST", "/orders", WireOrder, body), WireOrder.neutral)

    async def order(self, order_id: str) -> Answer[Order]:
        """GET /orders/:id"""
        return _map(await self._ask("GET", f"/orders/{quote(order_id, safe='')}", WireOrder), WireOrder.neutral)

    async def orders(self, receipt: str) -> Answer[Sequence[Order]]:
        """GET /orders?receipt=…"""
        answer = await self._list("/orders", WireOrder, {"receipt": receipt, "count": str(_PAGE)})
        return _map(answer, lambda all_: sorted((o.neutral() for o in all_), key=lambda o: (o.created_at_s, o.order_id)))

    async def create_debit(self, request: DebitRequest) -> Answer[str]:
        """POST /payments/create/recurring, or …/json for a block. There is no idempotency header: the caller's stored intent
        stands for it."""
        body: dict[str, Any] = {
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
        path = "/payments/create/recurring"
        if request.mode is not Mode.AUTOPAY:
            path, body = "/payments/create/json", body | {"method": "upi"}
        return _map(await self._ask("POST", path, _Created, body), lambda made: made.razorpay_payment_id)

    async def payment(self, payment_id: str) -> Answer[Payment]:
        """GET /payments/:id"""
        return _map(await self._ask("GET", f"/payments/{quote(payment_id, safe='')}", WirePayment), WirePayment.neutral)

    async def payments(self, order_id: str) -> Answer[Sequence[Payment]]:
        """GET /orders/:id/payments"""
        answer = await self._list(f"/orders/{quote(order_id, safe='')}/payments", WirePayment, {"count": str(_PAGE)})
        return _map(answer, lambda all_: [payment.neutral() for payment in all_])

    async def refund(self, *, payment_id: str, amount_paise: int, key: str) -> Answer[Refund]:
        """POST /payments/:id/refund with X-Refund-Idempotency. The same key must come with the same body."""
        if not _REFUND_KEY.fullmatch(key):
            raise ValueError("a refund's key needs 10 characters or more of A-Z a-z 0-9 - _")
        path = f"/payments/{quote(payment_id, safe='')}/refund"
        body = {"amount": amount_paise, "receipt": key}
        answer = await self._ask("POST", path, WireRefund, body, headers={"X-Refund-Idempotency": key})
        return _map(answer, WireRefund.neutral)

    async def refunds(self, payment_id: str) -> Answer[Sequence[Refund]]:
        """GET /payments/:id/refunds; the gateway tells the newest first."""
        answer = await self._list(f"/payments/{quote(payment_id, safe='')}/refunds", WireRefund, {"count": str(_PAGE)})
        return _map(answer, lambda all_: [refund.neutral() for refund in reversed(all_)])

    async def settlement_items(self, day: date) -> Answer[Sequence[SettlementItem]]:
        """GET /settlements/recon/combined?year&month&day, page by page."""
        found: list[SettlementItem] = []
        query = {"year": f"{day.year:04}", "month": f"{day.month:02}", "day": f"{day.day:02}", "count": str(_RECON_PAGE)}
        for page in range(_MOST_PAGES):
            path = "/settlements/recon/combined"
            answer = _map(
                await self._list(path, WireSettlementItem, query | {"skip": str(page * _RECON_PAGE)}),
                lambda all_: [item.neutral() for item in all_],
            )
            if not isinstance(answer, Ok):
                return answer
            found += answer.value
            if len(answer.value) < _RECON_PAGE:
                return Ok(found, answer.at_s)
        return Unknown(f"the settlement report of {day} does not end")

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
    if status == 409:
        return Unknown("the gateway still works on the same request (409): ask again with the same key")
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


def _token_path(customer_id: str, token_id: str) -> str:
    return f"/customers/{quote(customer_id, safe='')}/tokens/{quote(token_id, safe='')}"


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
