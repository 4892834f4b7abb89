"""The gateway's JSON, as answers and webhooks carry it, turned into :mod:`payments.gateway`'s words. Everything that we
do not need is passed over; what we need and is of the wrong kind raises ``msgspec.ValidationError``."""

from __future__ import annotations

from typing import Any

import msgspec

from payments.gateway import Notification, Order, Payment, Refund, Token
from payments.reasons import Reason
from payments.states import MandateState, NotificationState, PaymentState, RefundState

__all__ = ["WireError", "WireNotification", "WireOrder", "WirePayment", "WireRefund", "WireToken", "mandate_state"]

_MANDATE = {
    "initiated": MandateState.INITIATED,
    "confirmed": MandateState.ACTIVE,
    "paused": MandateState.PAUSED,
    "cancellation_initiated": MandateState.CANCEL_PENDING,
    "cancelled": MandateState.CANCELLED,
    "rejected": MandateState.REJECTED,
    "expired": MandateState.EXPIRED,
}


def mandate_state(word: str) -> MandateState | None:
    """Ours for the gateway's ``recurring_details.status``; None for a new word."""
    return _MANDATE.get(word)


class WireNotification(msgspec.Struct):
    """Inside an order (``id``, ``payment_after``), or alone in a webhook (all fields)."""

    id: str
    payment_after: int
    status: str | None = None
    delivered_at: int | None = None
    order_id: str | None = None

    def neutral(self) -> Notification:
        state = NotificationState(self.status) if self.status in ("delivered", "failed") else None
        return Notification(self.id, self.payment_after, state, self.delivered_at, self.order_id or "")


class WireOrder(msgspec.Struct):
    """Entity ``order``."""

    id: str
    amount: int
    currency: str
    created_at: int
    status: str
    receipt: str | None = None
    notification: WireNotification | None = None

    def neutral(self) -> Order:
        notice = self.notification.neutral() if self.notification is not None else None
        return Order(self.id, self.amount, self.currency, self.receipt or "", self.created_at, self.status == "paid", notice)


class WirePayment(msgspec.Struct):
    """Entity ``payment``. ``notes`` is an empty list where there are none, as the gateway sends it."""

    id: str
    amount: int
    currency: str
    status: str
    order_id: str | None = None
    amount_refunded: int = 0
    refund_status: str | None = None
    token_id: str | None = None
    error_reason: str | None = None
    notes: dict[str, Any] | list[Any] = msgspec.field(default_factory=dict)

    def neutral(self) -> Payment:
        state = PaymentState.PART_REFUNDED if self.refund_status == "partial" else PaymentState(self.status)
        if self.refund_status == "full":
            state = PaymentState.REFUNDED
        key = self.notes.get("submission", "") if isinstance(self.notes, dict) else ""
        return Payment(
            payment_id=self.id,
            order_id=self.order_id or "",
            state=state,
            amount_paise=self.amount,
            currency=self.currency,
            refunded_paise=self.amount_refunded,
            token_id=self.token_id,
            reason=Reason.of(self.error_reason) if state is PaymentState.FAILED else None,
            submission=key if isinstance(key, str) else "",
        )


class _RecurringDetails(msgspec.Struct):
    status: str


class WireToken(msgspec.Struct):
    """Entity ``token``."""

    id: str
    recurring_details: _RecurringDetails
    max_amount: int | None = None
    expired_at: int | None = None

    def neutral(self) -> Token:
        return Token(self.id, mandate_state(self.recurring_details.status), self.max_amount, self.expired_at)


class WireRefund(msgspec.Struct):
    """Entity ``refund``."""

    id: str
    payment_id: str
    amount: int
    status: str
    receipt: str | None = None

    def neutral(self) -> Refund:
        return Refund(self.id, self.payment_id, self.amount, RefundState(self.status), self.receipt or "")


class _Error(msgspec.Struct):
    code: str
    description: str = ""
    reason: str | None = None
    metadata: dict[str, Any] | list[Any] | None = None


class WireError(msgspec.Struct):
    """``{"error": {…}}``."""

    error: _Error

    @property
    def payment_id(self) -> str | None:
        """A payment that was made and failed."""
        found = self.error.metadata.get("payment_id") if isinstance(self.error.metadata, dict) else None
        return found if isinstance(found, str) else None
