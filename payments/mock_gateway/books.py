"""The mock gateway's own books: plain tables in a database of its own, so that a judge can count with SQL. Amounts are
paise, times Unix seconds of the gateway's clock.

customers   who pays: name, e-mail, phone
tokens      mandates. status: initiated, confirmed, paused, cancellation_initiated, cancelled, rejected, expired; deleted: 1
            once the merchant has forgotten it. mode: autopay, reserve, otm. max_amount: most of one debit, or the block.
            blocked, debited: of a block; released: 1 once the rest went back to the driver
orders      kind: mandate (approval of a token), debit (with a notice), plain (without). status: created, attempted, paid.
            notification_status: requested, delivered, failed; opted_out: 1 where the driver forbade this one debit
payments    kind: authorisation (the ₹1 of an approval; never taken from the account), debit. status: created, captured,
            failed, refunded. error_reason of a failed one. fee (tax included) and tax: what the gateway keeps.
            settlement_id once the money has left for the merchant
refunds     status: pending, processed, failed
links       hosted pages for approval. status: issued, paid, expired, cancelled
settlements transfers to the merchant's bank, with utr
recon       their lines, as the report tells them (which may be told to be wrong: column disturbed)
accounts    the drivers' bank accounts, by phone: balance and what is blocked of it. Empty balance: endless
messages    what a driver's phone was told
faults      what is to go wrong: see the page of the gateway
events      webhooks: body, signature, tries, delivered; held: 1 while they are kept back
state       one row: whether webhooks are enabled (or since when not) and held back, and how far the clock was put ahead

    SELECT count(*), sum(amount) FROM payments WHERE kind = 'debit' AND status = 'captured'
"""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

METADATA = sa.MetaData()


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String, primary_key=True)


def _text(name: str, *, index: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=True, index=index, default=default)


def _int(name: str, default: int | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=True, default=default)


def _at(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=True)


CUSTOMERS = sa.Table(
    "customers", METADATA, _id(), _text("name"), _text("email"), _text("contact", index=True), _text("notes"), _int("created_at")
)  # fmt: skip
TOKENS = sa.Table(
    "tokens", METADATA, _id(), _text("customer_id", index=True), _text("order_id"), _text("status", index=True), _int("max_amount"),
    _int("expired_at"), _int("created_at"), _text("mode", default="autopay"), _text("frequency", default="as_presented"),
    _text("recurring_type"), _int("recurring_value"), _int("blocked"), _int("debited"), _int("released", 0), _text("failure_reason"),
    _int("start_time"), _int("used_at"), _at("ends_at"), _int("deleted", 0), _text("vpa"),
)  # fmt: skip
ORDERS = sa.Table(
    "orders", METADATA, _id(), _text("kind"), _int("amount"), _text("currency"), _text("receipt", index=True), _text("customer_id"),
    _text("status"), _int("attempts", 0), _int("max_amount"), _int("expire_at"), _text("token_id"), _text("notification_id"),
    _text("notification_status", index=True), _int("payment_after"), _at("notify_at"), _at("delivered_at"), _at("visible_at"),
    _int("created_at"), _text("mode"), _text("frequency"), _text("recurring_type"), _int("recurring_value"), _text("notes"),
    _int("opted_out", 0),
)  # fmt: skip
PAYMENTS = sa.Table(
    "payments", METADATA, _id(), _text("kind"), _text("order_id", index=True), _text("customer_id"), _text("token_id", index=True),
    _int("amount"), _text("currency"), _text("status", index=True), _text("error_reason"), _int("amount_refunded", 0), _text("notes"),
    _at("decide_at"), _at("visible_at"), _int("created_at"), _text("description"), _int("fee"), _int("tax"), _text("rrn"),
    _at("captured_at"), _at("lapses_at"), _text("doom"), _at("late_capture_at"), _text("settlement_id"),
)  # fmt: skip
REFUNDS = sa.Table(
    "refunds", METADATA, _id(), _text("payment_id", index=True), _int("amount"), _text("receipt"), _text("status", index=True),
    sa.Column("idempotency_key", sa.String, unique=True), _text("body"), _at("decide_at"), _int("created_at"), _text("notes"),
    _int("doomed", 0), _at("processed_at"), _text("settlement_id"),
)  # fmt: skip
LINKS = sa.Table(
    "links", METADATA, _id(), _text("customer_id"), _text("order_id", index=True), _text("status", index=True), _int("amount"),
    _text("currency"), _text("description"), _text("receipt"), _int("expire_by"), _text("payment_id"), _int("created_at"), _int("paid_at"),
)  # fmt: skip
SETTLEMENTS = sa.Table(
    "settlements", METADATA, _id(), _int("amount"), _int("fees"), _int("tax"), _text("utr"), _text("status"), _int("created_at")
)  # fmt: skip
RECON = sa.Table(
    "recon", METADATA, sa.Column("seq", sa.Integer, primary_key=True), _text("settlement_id"), _text("day", index=True), _text("entity_id"),
    _text("type"), _int("amount"), _int("debit"), _int("credit"), _int("fee"), _int("tax"), _text("order_id"), _text("order_receipt"),
    _text("payment_id"), _int("settled_at"), _int("hidden", 0), _text("disturbed"),
)  # fmt: skip
ACCOUNTS = sa.Table(
    "accounts", METADATA, sa.Column("contact", sa.String, primary_key=True), _text("id"), _text("vpa"), _text("bank"), _int("balance"),
    _int("blocked", 0), _int("no_funds", 0), _text("bank_trouble"), _int("wrong_pin", 0),
)  # fmt: skip
MESSAGES = sa.Table(
    "messages", METADATA, sa.Column("seq", sa.Integer, primary_key=True), _text("contact", index=True), _text("kind"), _text("text"),
    _text("order_id"), _int("at"),
)  # fmt: skip
FAULTS = sa.Table(
    "faults", METADATA, sa.Column("seq", sa.Integer, primary_key=True), _text("scope"), _text("of"), _text("outcome"), _text("reason"),
    _at("after_s"), _int("paise"), _int("left"),
)  # fmt: skip
EVENTS = sa.Table(
    "events", METADATA, sa.Column("seq", sa.Integer, primary_key=True), _text("event_id", index=True), _text("kind"), _text("body"),
    _at("due_at"), _int("tries", 0), sa.Column("delivered", sa.Boolean, default=False, index=True), _at("made_at"), _text("signature"),
    _int("held", 0), _text("answer"), _at("delivered_at"),
)  # fmt: skip
STATE = sa.Table(
    "state", METADATA, sa.Column("seq", sa.Integer, primary_key=True), _int("enabled", 1), _at("disabled_at"), _int("held", 0),
    _at("ahead_s"),
)  # fmt: skip


def prepare(connection: Connection) -> None:
    """Make the tables, and the columns that an older file has not."""
    METADATA.create_all(connection)
    inspector = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        known = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {kind}')
                if column.default is not None and column.default.is_scalar:
                    connection.execute(sa.update(table).values({column.name: column.default.arg}))  # type: ignore[attr-defined]
    if connection.execute(sa.select(STATE.c.seq)).first() is None:
        connection.execute(sa.insert(STATE).values(seq=1, enabled=1, held=0, ahead_s=0.0))


def new_id(prefix: str) -> str:
    """An id as the gateway makes them."""
    return f"{prefix}_{secrets.token_hex(7)}"


def one(connection: Connection, table: sa.Table, id_: str) -> Any | None:
    """The row with this id."""
    return connection.execute(sa.select(table).where(table.c.id == id_)).first()


def sure(connection: Connection, table: sa.Table, id_: str) -> Any:
    """The row with this id, which is known to be there."""
    row = one(connection, table, id_)
    assert row is not None, f"{table.name} {id_}"
    return row


def change(connection: Connection, table: sa.Table, id_: str, **values: Any) -> None:
    """Change columns of one row."""
    connection.execute(sa.update(table).where(table.c.id == id_).values(**values))
