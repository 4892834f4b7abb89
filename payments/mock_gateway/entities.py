"""Rows as the API and the webhooks show them: the real gateway's field names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = [
    "collection",
    "customer_entity",
    "link_entity",
    "notification_entity",
    "order_entity",
    "payment_entity",
    "recon_item",
    "refund_entity",
    "settlement_entity",
    "token_entity",
]


def collection(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    """A list of entities."""
    return {"entity": "collection", "count": len(items), "items": items}


def _notes(row: Any) -> Any:
    return json.loads(row.notes or "{}") or []  # none is an empty list, as the real one sends it


def customer_entity(row: Any) -> dict[str, Any]:
    """``customer``."""
    return {
        "id": row.id, "entity": "customer", "name": row.name, "email": row.email, "contact": row.contact, "gstin": None,
        "notes": _notes(row), "created_at": row.created_at,
    }  # fmt: skip


def order_entity(row: Any) -> dict[str, Any]:
    """``order``."""
    paid = row.amount if row.status == "paid" else 0
    entity = {
        "id": row.id, "entity": "order", "amount": row.amount, "amount_paid": paid, "amount_due": row.amount - paid,
        "currency": row.currency, "receipt": row.receipt, "offer_id": None, "status": row.status, "attempts": row.attempts,
        "notes": _notes(row), "created_at": row.created_at,
    }  # fmt: skip
    if row.notification_id:
        entity["notification"] = {"id": row.notification_id, "token_id": row.token_id, "payment_after": row.payment_after}
    if row.kind == "mandate":
        entity["token"] = {
            "method": "upi", "max_amount": row.max_amount, "expire_at": row.expire_at, "frequency": row.frequency or "as_presented",
        } | ({"type": "single_block_multiple_debit"} if row.mode == "reserve" else {})  # fmt: skip
    return entity


def payment_entity(row: Any) -> dict[str, Any]:
    """``payment``."""
    back = None if not row.amount_refunded else "full" if row.amount_refunded >= row.amount else "partial"
    failed = row.status == "failed"
    dummy = row.error_reason == "upi_dummy_payment"
    return {
        "id": row.id, "entity": "payment", "amount": row.amount, "currency": row.currency, "status": row.status, "order_id": row.order_id,
        "invoice_id": None, "international": False, "method": "upi", "amount_refunded": row.amount_refunded, "refund_status": back,
        "captured": row.status in ("captured", "refunded"), "description": row.description, "customer_id": row.customer_id,
        "token_id": row.token_id, "notes": _notes(row), "fee": row.fee, "tax": row.tax,
        "error_code": "BAD_REQUEST_ERROR" if failed else None,
        "error_description": ("The dummy payment of a one-time mandate" if dummy else "Payment failed") if failed else None,
        "error_source": ("internal" if dummy else "customer") if failed else None,
        "error_step": ("payment_authentication" if row.kind == "authorisation" else "payment_debit") if failed else None,
        "error_reason": row.error_reason if failed else None,
        "acquirer_data": {"rrn": row.rrn, "upi_transaction_id": row.rrn and f"MOCK{row.rrn}"}, "created_at": row.created_at,
    }  # fmt: skip


def token_entity(row: Any) -> dict[str, Any]:
    """``token``."""
    details: dict[str, Any] = {"status": row.status, "failure_reason": row.failure_reason}
    if row.blocked is not None:
        details |= {"amount_blocked": row.blocked, "amount_debited": row.debited or 0}
    name, _, handle = (row.vpa or "").partition("@")
    return {
        "id": row.id, "entity": "token", "token": row.id.removeprefix("token_"), "method": "upi", "customer_id": row.customer_id,
        "vpa": {"username": name, "handle": handle, "name": None} if row.vpa else None, "recurring": row.status == "confirmed",
        "recurring_details": details, "max_amount": row.max_amount, "expired_at": row.expired_at, "start_time": row.start_time,
        "used_at": row.used_at, "created_at": row.created_at,
    }  # fmt: skip


def refund_entity(row: Any) -> dict[str, Any]:
    """``refund``."""
    return {
        "id": row.id, "entity": "refund", "amount": row.amount, "currency": "INR", "payment_id": row.payment_id, "receipt": row.receipt,
        "status": row.status, "speed_processed": "normal", "speed_requested": "normal", "notes": _notes(row), "created_at": row.created_at,
    }  # fmt: skip


def notification_entity(row: Any) -> dict[str, Any]:
    """``notification`` of an order's row."""
    return {
        "id": row.notification_id, "entity": "notification", "order_id": row.id, "token_id": row.token_id,
        "status": row.notification_status, "payment_after": row.payment_after,
        "delivered_at": int(row.delivered_at) if row.delivered_at is not None else None,
    }  # fmt: skip


def link_entity(row: Any, base: str) -> dict[str, Any]:
    """``invoice`` of type link. ``base``: where this gateway is."""
    return {
        "id": row.id, "entity": "invoice", "type": "link", "receipt": row.receipt, "customer_id": row.customer_id, "order_id": row.order_id,
        "payment_id": row.payment_id, "status": row.status, "expire_by": row.expire_by, "short_url": f"{base}/l/{row.id}",
        "amount": row.amount, "currency": row.currency, "description": row.description, "paid_at": row.paid_at,
        "created_at": row.created_at,
    }  # fmt: skip


def settlement_entity(row: Any) -> dict[str, Any]:
    """``settlement``."""
    return {
        "id": row.id, "entity": "settlement", "amount": row.amount, "status": row.status, "fees": row.fees, "tax": row.tax, "utr": row.utr,
        "created_at": row.created_at,
    }  # fmt: skip


def recon_item(row: Any, utr: str | None) -> dict[str, Any]:
    """A line of the settlement report."""
    return {
        "entity_id": row.entity_id, "type": row.type, "debit": row.debit, "credit": row.credit, "amount": row.amount, "currency": "INR",
        "fee": row.fee, "tax": row.tax, "on_hold": False, "settled": True, "created_at": row.settled_at, "settled_at": row.settled_at,
        "settlement_id": row.settlement_id, "payment_id": row.payment_id, "settlement_utr": utr, "order_id": row.order_id,
        "order_receipt": row.order_receipt, "method": "upi",
    }  # fmt: skip
