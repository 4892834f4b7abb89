"""The gateway's JSON, as answers and webhooks carry it, turned into :mod:`payments.gateway`'s words. Everything that we
do not need is passed over; what we need and is of the wrong kind raises ``msgspec.ValidationError``."""

from __future__ import annotations

from typing import Any

import msgspec

from payments.gateway import (
    AuthLink,
    LinkState,
    Notification,
    Order,
    Payment,
    Refund,
    SettlementItem,
    SettlementKind,
    Token,
)
from payments.reasons import Reason
from payments.states import MandateState, NotificationState, PaymentState, RefundState

__all__ = [
    "WireAuthLink",
    "WireError",
    "WireNotification",
    "WireOrder",
    "WirePayment",
    "WireRefund",
    "WireSettlementItem",
    "WireToken",
    "mandate_state",
]

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
    fee: int | None = None
    tax: int | None = None
    created_at: int = 0
    acquirer_data: dict[str, Any] | list[Any] | None = None

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
            fee_paise=self.fee,
            tax_paise=self.tax,
            rrn=_text(self.acquirer_data, "rrn"),
            created_at_s=self.created_at,
        )


def _text(data: dict[str, Any] | list[Any] | None, name: str) -> str:
    """A text inside data that the gateway may leave out, or send as an empty list."""
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


class _RecurringDetails(msgspec.Struct):
    status: str
    failure_reason: str | None = None
    amount_blocked: int | None = None
    amount_debited: int | None = None


class WireToken(msgspec.Struct):
    """Entity ``token``."""

    id: str
    recurring_details: _RecurringDetails
    max_amount: int | None = None
    expired_at: int | None = None
    used_at: int | None = None
    vpa: dict[str, Any] | list[Any] | None = None

    def neutral(self) -> Token:
        details = self.recurring_details
        name, handle = _text(self.vpa, "username"), _text(self.vpa, "handle")
        return Token(
            self.id,
            mandate_state(details.status),
            self.max_amount,
            self.expired_at,
            blocked_paise=details.amount_blocked,
            debited_paise=details.amount_debited,
            failure_reason=details.failure_reason or "",
            used_at_s=self.used_at,
            vpa=f"{name}@{handle}" if name and handle else "",
        )


class WireAuthLink(msgspec.Struct):
    """Entity ``invoice`` of type ``link``. Raises :class:`ValueError` for a status that we do not know."""

    id: str
    order_id: str
    short_url: str
    status: str
    customer_id: str | None = None

    def neutral(self) -> AuthLink:
        return AuthLink(self.id, self.order_id, self.short_url, LinkState(self.status), self.customer_id or "")


class WireSettlementItem(msgspec.Struct):
    """An item of the settlement report."""

    entity_id: str
    type: str
    debit: int
    credit: int
    amount: int
    fee: int = 0
    tax: int = 0
    settled: bool = False
    settled_at: int | None = None
    settlement_id: str | None = None
    settlement_utr: str | None = None
    order_id: str | None = None
    order_receipt: str | None = None

    def neutral(self) -> SettlementItem:
        return SettlementItem(
            entity_id=self.entity_id,
            kind=SettlementKind(self.type) if self.type in list(SettlementKind) else SettlementKind.OTHER,
            amount_paise=self.amount,
            credit_paise=self.credit,
            debit_paise=self.debit,
            fee_paise=self.fee,
            tax_paise=self.tax,
            settled=self.settled,
            settlement_id=self.settlement_id or "",
            utr=self.settlement_utr or "",
            order_id=self.order_id or "",
            receipt=self.order_receipt or "",
            settled_at_s=self.settled_at,
        )


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
