"""The mock gateway's own books: plain tables in a database of its own, so that a judge can count debits with SQL.

SELECT count(*), sum(amount) FROM payments WHERE kind = 'debit' AND status = 'captured'
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

METADATA = sa.MetaData()


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String, primary_key=True)


def _text(name: str, *, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable)


def _int(name: str, default: int | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=True, default=default)


def _at(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=True)


CUSTOMERS = sa.Table("customers", METADATA, _id(), _text("name"), _text("email"), _text("contact"), _int("created_at"))
TOKENS = sa.Table(
    "tokens", METADATA, _id(), _text("customer_id"), _text("order_id"), _text("status"), _int("max_amount"), _int("expired_at"),
    _int("created_at"),
)  # fmt: skip
ORDERS = sa.Table(
    "orders", METADATA, _id(), _text("kind"), _int("amount"), _text("currency"), sa.Column("receipt", sa.String, index=True),
    _text("customer_id"), _text("status"), _int("attempts", 0), _int("max_amount"), _int("expire_at"), _text("token_id"),
    _text("notification_id"), _text("notification_status"), _int("payment_after"), _at("notify_at"), _at("delivered_at"),
    _at("visible_at"), _int("created_at"),
)  # fmt: skip
PAYMENTS = sa.Table(
    "payments", METADATA, _id(), _text("kind"), sa.Column("order_id", sa.String, index=True), _text("customer_id"), _text("token_id"),
    _int("amount"), _text("currency"), _text("status"), _text("error_reason"), _int("amount_refunded", 0), _text("notes"),
    _at("decide_at"), _at("visible_at"), _int("created_at"),
)  # fmt: skip
REFUNDS = sa.Table(
    "refunds", METADATA, _id(), _text("payment_id"), _int("amount"), _text("receipt"), _text("status"),
    sa.Column("idempotency_key", sa.String, unique=True), _text("body"), _at("decide_at"), _int("created_at"),
)  # fmt: skip
EVENTS = sa.Table(
    "events", METADATA, sa.Column("seq", sa.Integer, primary_key=True), _text("event_id"), _text("kind"), _text("body"), _at("due_at"),
    _int("tries", 0), sa.Column("delivered", sa.Boolean, default=False), _at("made_at"),
)  # fmt: skip


def new_id(prefix: str) -> str:
    """An id as the gateway makes them."""
    return f"{prefix}_{secrets.token_hex(7)}"


def one(connection: Connection, table: sa.Table, id_: str) -> Any | None:
    """The row with this id."""
    return connection.execute(sa.select(table).where(table.c.id == id_)).first()


def change(connection: Connection, table: sa.Table, id_: str, **values: Any) -> None:
    """Change columns of one row."""
    connection.execute(sa.update(table).where(table.c.id == id_).values(**values))


def order_entity(row: Any) -> dict[str, Any]:
    """``order``, as the API shows it."""
    paid = row.amount if row.status == "paid" else 0
    entity = {
        "id": row.id, "entity": "order", "amount": row.amount, "amount_paid": paid, "amount_due": row.amount - paid,
        "currency": row.currency, "receipt": row.receipt, "offer_id": None, "status": row.status, "attempts": row.attempts, "notes": [],
        "created_at": row.created_at,
    }  # fmt: skip
    if row.notification_id:
        entity["notification"] = {"id": row.notification_id, "token_id": row.token_id, "payment_after": row.payment_after}
    return entity


def payment_entity(row: Any) -> dict[str, Any]:
    """``payment``, as API and webhooks show it."""
    back = None if not row.amount_refunded else "full" if row.amount_refunded >= row.amount else "partial"
    failed = row.status == "failed"
    return {
        "id": row.id, "entity": "payment", "amount": row.amount, "currency": row.currency, "status": row.status, "order_id": row.order_id,
        "method": "upi", "amount_refunded": row.amount_refunded, "refund_status": back, "captured": row.status in ("captured", "refunded"),
        "customer_id": row.customer_id, "token_id": row.token_id, "notes": json.loads(row.notes or "[]"), "fee": None, "tax": None,
        "error_code": "BAD_REQUEST_ERROR" if failed else None, "error_description": "Payment failed" if failed else None,
        "error_source": "customer" if failed else None, "error_step": "payment_debit" if failed else None,
        "error_reason": row.error_reason, "acquirer_data": {"rrn": None}, "created_at": row.created_at,
    }  # fmt: skip


def token_entity(row: Any) -> dict[str, Any]:
    """``token``, as API and webhooks show it."""
    details = {"status": row.status, "failure_reason": None}
    return {
        "id": row.id, "entity": "token", "method": "upi", "recurring": row.status == "confirmed", "recurring_details": details,
        "max_amount": row.max_amount, "expired_at": row.expired_at, "created_at": row.created_at,
    }  # fmt: skip


def refund_entity(row: Any) -> dict[str, Any]:
    """``refund``, as API and webhooks show it."""
    return {
        "id": row.id, "entity": "refund", "amount": row.amount, "currency": "INR", "payment_id": row.payment_id, "receipt": row.receipt,
        "status": row.status, "speed_processed": "normal", "notes": [], "created_at": row.created_at,
    }  # fmt: skip


def notification_entity(row: Any) -> dict[str, Any]:
    """``notification`` of an order's row, as webhooks show it."""
    return {
        "id": row.notification_id, "entity": "notification", "order_id": row.id, "token_id": row.token_id,
        "status": row.notification_status, "payment_after": row.payment_after,
        "delivered_at": int(row.delivered_at) if row.delivered_at is not None else None,
    }  # fmt: skip
