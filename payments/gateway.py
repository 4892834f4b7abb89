"""The payment gateway as a port: what we ask, what comes back, and how sure the answer is.

Ok        done, with the gateway's entity
Rejected  refused for a stated reason; nothing was made
NotSent   it cannot have been acted on (no connection, rate limit, keys not accepted); ask again later
Unknown   nobody knows: time-out, broken connection, server error, an answer that is not one; look it up
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from payments.reasons import Reason
from payments.states import MandateState, NotificationState, PaymentState, RefundState

__all__ = [
    "Answer",
    "Customer",
    "DebitRequest",
    "Gateway",
    "IntentLink",
    "NotSent",
    "Notification",
    "Ok",
    "Order",
    "Payment",
    "Refund",
    "Rejected",
    "Token",
    "Unknown",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """``at_s``: the gateway's clock when it answered, Unix seconds."""

    value: T
    at_s: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """``status``: HTTP's; ``payment_id``: a failed payment was made all the same."""

    status: int
    reason: Reason
    code: str
    description: str
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """``retry_after_s``: what the gateway asked for, 0: nothing."""

    why: str
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Unknown:
    """Look up before anything is asked again."""

    why: str


Answer = Ok[T] | Rejected | NotSent | Unknown


@dataclass(frozen=True, slots=True)
class Customer:
    """Who pays. Contact data are never stored here or shown."""

    customer_id: str
    email: str = field(default="", repr=False)
    contact: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Notification:
    """The notice that goes with a debit's order. ``state`` None: not told in this answer."""

    notification_id: str
    payment_after_s: int
    state: NotificationState | None = None
    delivered_at_s: int | None = None
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """``paid``: the gateway will take no further payment for it."""

    order_id: str
    amount_paise: int
    currency: str
    receipt: str
    created_at_s: int
    paid: bool = False
    notification: Notification | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """``submission``: the key that we put into its notes, "" if none."""

    payment_id: str
    order_id: str
    state: PaymentState
    amount_paise: int
    currency: str
    refunded_paise: int = 0
    token_id: str | None = None
    reason: Reason | None = None
    submission: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """The mandate at the gateway. ``state`` None: a word that we do not know."""

    token_id: str
    state: MandateState | None
    max_amount_paise: int | None = None
    expire_at_s: int | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back."""

    refund_id: str
    payment_id: str
    amount_paise: int
    state: RefundState
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class IntentLink:
    """``url`` opens the driver's UPI app (or is shown as a QR code) for approval with the PIN."""

    payment_id: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebitRequest:
    """One debit on an order. ``key``: of our stored intent."""

    order_id: str
    customer: Customer
    token_id: str
    amount_paise: int
    currency: str
    key: str
    description: str


class Gateway(Protocol):
    """Never raises for what gateway or network do: the answer says it. Idempotent by themselves: ``create_customer``
    (the same contact is the same customer), ``cancel_token``, ``refund`` (by ``key``) and all look-ups."""

    async def create_customer(self, *, name: str, email: str, contact: str) -> Answer[Customer]: ...
    async def customer(self, customer_id: str) -> Answer[Customer]: ...
    async def create_mandate_order(
        self, *, customer_id: str, receipt: str, max_amount_paise: int, expire_at: datetime, currency: str
    ) -> Answer[Order]: ...
    async def authorise(self, *, order: Order, customer: Customer) -> Answer[IntentLink]: ...
    async def token(self, customer_id: str, token_id: str) -> Answer[Token]: ...
    async def cancel_token(self, customer_id: str, token_id: str) -> Answer[MandateState]: ...
    async def create_debit_order(
        self, *, receipt: str, token_id: str, amount_paise: int, currency: str, payment_after: datetime
    ) -> Answer[Order]: ...
    async def orders(self, receipt: str) -> Answer[Sequence[Order]]:
        """All orders with this receipt, oldest first."""

    async def create_debit(self, request: DebitRequest) -> Answer[str]:
        """Ask for the money; the payment's id."""

    async def payments(self, order_id: str) -> Answer[Sequence[Payment]]:
        """All payments of an order, oldest first."""

    async def refund(self, *, payment_id: str, amount_paise: int, key: str) -> Answer[Refund]: ...
