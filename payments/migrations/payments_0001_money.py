"""Mandates, bills, orders, submissions, payments, refunds, webhooks, ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0001"
down_revision = None
branch_labels = ("payments",)
depends_on = None

_TABLES = ("mandate", "bill", "order", "submission", "payment", "refund", "webhook", "entry", "posting")


def _text(name: str, *, nullable: bool = False, unique: bool | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable, unique=unique)


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in ("depot_id", *names)]


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


def upgrade() -> None:
    seq = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "payments_mandate",
        *_key("mandate_id"),
        _text("driver_id"),
        _text("mode"),
        _text("state"),
        _big("state_at_s"),
        _big("max_amount_paise"),
        _big("expire_ms"),
        _text("receipt", unique=True),
        _text("customer_id", nullable=True),
        _text("order_id", nullable=True),
        _text("token_id", nullable=True),
        _text("intent_url", nullable=True),
        _big("created_ms"),
        _big("looked_ms", nullable=True),
    )
    for column in ("driver_id", "order_id", "token_id"):
        op.create_index(f"ix_payments_mandate_{column}", "payments_mandate", [column])
    op.create_table(
        "payments_bill",
        *_key("bill_id"),
        _text("driver_id"),
        _text("mandate_id"),
        _text("own"),
        *(_big(f"{name}_paise") for name in ("reserved",)),
        _big("energy_wh"),
        *(_big(f"{name}_paise") for name in ("taxable", "cgst", "sgst", "igst", "round_off", "total")),
        _text("sac"),
        _text("invoice_no", nullable=True),
        _big("opened_ms"),
        _big("invoiced_ms", nullable=True),
        _text("gave_up", nullable=True),
        sa.Column("disputed", sa.Boolean, nullable=False),
        _text("settlement_utr", nullable=True),
        _big("looked_ms", nullable=True),
        _big("next_ms", nullable=True),
    )
    op.create_index("payments_bill_due", "payments_bill", ["depot_id", "next_ms"])
    op.create_index("payments_bill_invoice", "payments_bill", ["depot_id", "invoice_no"], unique=True)
    op.create_index("payments_bill_driver", "payments_bill", ["depot_id", "driver_id"])
    op.create_table(
        "payments_order",
        *_key("bill_id"),
        _number("issue"),
        _text("receipt", unique=True),
        _text("mandate_id"),
        _text("order_id", nullable=True, unique=True),
        _big("requested_ms"),
        _big("payment_after_ms"),
        _text("notification"),
        _big("delivered_ms", nullable=True),
    )
    op.create_table(
        "payments_submission",
        *_key("bill_id"),
        _number("issue"),
        _number("number"),
        _text("key", unique=True),
        _big("at_ms"),
        _text("refused", nullable=True),
        sa.Column("empty_lookups", sa.Integer, nullable=False),
        sa.Column("lapsed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "payments_payment",
        *_key("payment_id"),
        _text("bill_id"),
        sa.Column("issue", sa.Integer, nullable=False),
        sa.Column("submission", sa.Integer, nullable=False),
        _text("state"),
        _big("amount_paise"),
        _text("reason", nullable=True),
        sa.Column("surplus", sa.Boolean, nullable=False),
        _big("seen_ms"),
    )
    op.create_index("payments_payment_bill", "payments_payment", ["depot_id", "bill_id"])
    op.create_table(
        "payments_refund",
        *_key("key"),
        _text("payment_id"),
        _text("bill_id"),
        _big("amount_paise"),
        _text("why"),
        _text("state"),
        _text("refund_id", nullable=True, unique=True),
        _big("asked_ms"),
        _big("next_ms", nullable=True),
    )
    op.create_table(
        "payments_webhook",
        *_key("event_id"),
        _text("kind"),
        _text("ref"),
        _text("state"),
        _text("note"),
        _big("received_ms"),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("payments_webhook_state", "payments_webhook", ["depot_id", "state", "ref"])
    op.create_table(
        "payments_entry",
        *_key(),
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        _text("key"),
        _big("at_ms"),
        _text("memo"),
    )
    op.create_index("payments_entry_key", "payments_entry", ["depot_id", "key"], unique=True)
    op.create_table(
        "payments_posting",
        *_key(),
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        _number("line"),
        _text("account"),
        _text("party"),
        _big("amount_paise"),
    )
    op.create_index("payments_posting_account", "payments_posting", ["depot_id", "account", "party"])
    if op.get_bind().dialect.name == "sqlite":  # PostgreSQL has another language for it, and comes with its own step
        for table in ("entry", "posting"):
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER payments_{table}_no_{verb.lower()} BEFORE {verb} ON payments_{table} "
                    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
                )


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(f"payments_{table}")
