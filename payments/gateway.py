"""The payment gateway as a port: what we ask, what comes back, and how sure the answer is.

Ok        done, with the gateway's entity
Rejected  refused for a stated reason; nothing was made
NotSent   it cannot have been acted on (no connection, rate limit, keys not accepted); ask again later
Unknown   nobody knows: time-out, broken connection, server error, an answer that is not one; look it up
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from payments.reasons import Reason
from payments.states import MandateState, Mode, NotificationState, PaymentState, RefundState

__all__ = [
    "Answer",
    "AuthLink",
    "Customer",
    "DebitRequest",
    "Gateway",
    "IntentLink",
    "LinkState",
    "NotSent",
    "Notification",
    "Ok",
    "Order",
    "Payment",
    "Refund",
    "Rejected",
    "SettlementItem",
    "SettlementKind",
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
    """``submission``: the key that we put into its notes, "" if none. ``fee_paise`` (tax included) and ``tax_paise``: what
    the gateway keeps of it, None until it tells. ``rrn``: the bank's
    reference, "" if not told."""

    payment_id: str
    order_id: str
    state: PaymentState
    amount_paise: int
    currency: str
    refunded_paise: int = 0
    token_id: str | None = None
    reason: Reason | None = None
    submission: str = ""
    fee_paise: int | None = None
    tax_paise: int | None = None
    rrn: str = ""
    created_at_s: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """The mandate at the gateway. ``state`` None: a word that we do not know. ``blocked_paise`` and ``debited_paise``: of a
    block (Reserve Pay, one-time) what is held and what of it has been taken; None where nothing is blocked. ``vpa`` is the
    driver's UPI address, personal: never logged, kept encrypted or not at all."""

    token_id: str
    state: MandateState | None
    max_amount_paise: int | None = None
    expire_at_s: int | None = None
    blocked_paise: int | None = None
    debited_paise: int | None = None
    failure_reason: str = ""
    used_at_s: int | None = None
    vpa: str = field(default="", repr=False)

    @property
    def left_paise(self) -> int | None:
        """What a block still holds for us; None where nothing is blocked."""
        return None if self.blocked_paise is None else self.blocked_paise - (self.debited_paise or 0)


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


class LinkState(StrEnum):
    """A hosted authorisation link."""

    ISSUED = "issued"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class AuthLink:
    """A page of the gateway on which the driver approves a mandate. ``url`` may be sent to the driver or shown as a QR
    code. The order is made by the gateway; the token comes by webhook, or by looking up the order's payments."""

    link_id: str
    order_id: str
    url: str
    state: LinkState
    customer_id: str = ""


class SettlementKind(StrEnum):
    """What a line of a settlement is about. OTHER: a kind that we do not know."""

    PAYMENT = "payment"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementItem:
    """One line of the gateway's settlement report. ``entity_id``: of the payment, the refund or the adjustment.
    ``credit_paise`` comes to us, ``debit_paise`` goes from us; ``fee_paise`` (tax included) was kept back from
    ``amount_paise``. ``utr``: the bank transfer that carried it, "" while it is not settled."""

    entity_id: str
    kind: SettlementKind
    amount_paise: int
    credit_paise: int
    debit_paise: int
    fee_paise: int
    tax_paise: int
    settled: bool
    settlement_id: str = ""
    utr: str = ""
    order_id: str = ""
    receipt: str = ""
    settled_at_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DebitRequest:
    """One debit on an order. ``key``: of our stored intent. ``mode``: of the mandate; RESERVE and ONE_TIME take from the block at
    once, AUTOPAY needs the notice that went with the order."""

    order_id: str
    customer: Customer
    token_id: str
    amount_paise: int
    currency: str
    key: str
    description: str
    mode: Mode = Mode.AUTOPAY


class Gateway(Protocol):
    """Never raises for what gateway or network do: the answer says it. Idempotent by themselves: ``create_customer``
    (the same contact is the same customer), ``cancel_token``, ``delete_token``, ``refund`` (by ``key``) and all look-ups."""

    async def create_customer(self, *, name: str, email: str, contact: str) -> Answer[Customer]: ...
    async def customer(self, customer_id: str) -> Answer[Customer]: ...

    # -- mandates

    async def create_mandate_order(
        self, *, customer_id: str, receipt: str, max_amount_paise: int, expire_at: datetime, currency: str, mode: Mode = Mode.AUTOPAY
    ) -> Answer[Order]:
        """AUTOPAY: ``max_amount_paise`` of each debit. RESERVE and ONE_TIME: the amount that is blocked at approval."""

    async def authorise(self, *, order: Order, customer: Customer) -> Answer[IntentLink]:
        """The link that opens the driver's UPI app, for a page of our own."""

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
        """The same on a page of the gateway. ``tell_driver``: the gateway sends it by SMS and e-mail."""

    async def auth_link(self, link_id: str) -> Answer[AuthLink]: ...
    async def cancel_auth_link(self, link_id: str) -> Answer[AuthLink]: ...
    async def token(self, customer_id: str, token_id: str) -> Answer[Token]: ...

    async def tokens(self, customer_id: str) -> Answer[Sequence[Token]]:
        """All of a customer, as the gateway orders them: one who registers again has two."""

    async def cancel_token(self, customer_id: str, token_id: str) -> Answer[MandateState]:
        """Ask for the mandate's end; a block's rest is released. The end comes by webhook or look-up."""

    async def delete_token(self, customer_id: str, token_id: str) -> Answer[bool]:
        """Forget the token at the gateway. Does not end the mandate at the bank: cancel it first."""

    # -- debits

    async def create_debit_order(
        self, *, receipt: str, token_id: str, amount_paise: int, currency: str, payment_after: datetime | None
    ) -> Answer[Order]:
        """``payment_after``: of the notice that the gateway sends (AUTOPAY). None: no notice (RESERVE, ONE_TIME)."""

    async def order(self, order_id: str) -> Answer[Order]: ...

    async def orders(self, receipt: str) -> Answer[Sequence[Order]]:
        """All orders with this receipt, oldest first."""

    async def create_debit(self, request: DebitRequest) -> Answer[str]:
        """Ask for the money; the payment's id."""

    async def payment(self, payment_id: str) -> Answer[Payment]: ...

    async def payments(self, order_id: str) -> Answer[Sequence[Payment]]:
        """All payments of an order, oldest first."""

    # -- money back, money to us

    async def refund(self, *, payment_id: str, amount_paise: int, key: str) -> Answer[Refund]:
        """Unknown also while the gateway still works on the same key (409): ask again with it. Payments older than six
        months are refused."""

    async def refunds(self, payment_id: str) -> Answer[Sequence[Refund]]:
        """All refunds of a payment, oldest first."""

    async def settlement_items(self, day: date) -> Answer[Sequence[SettlementItem]]:
        """All lines that were settled on that day (India's calendar), every page of them."""
