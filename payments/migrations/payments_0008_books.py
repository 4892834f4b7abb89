"""Settlements, differences, reminders, payments by other ways, disputes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0008"
down_revision = "payments_0007"
branch_labels = None
depends_on = None


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable)


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in ("depot_id", *names)]


def upgrade() -> None:
    with op.batch_alter_table("payments_payment") as payment:
        payment.add_column(sa.Column("fee_known", sa.Boolean, nullable=False, server_default=sa.false()))
        payment.add_column(_text("dispute", nullable=True))
        payment.add_column(_text("dispute_id", nullable=True))
    with op.batch_alter_table("payments_share") as share:
        share.add_column(sa.Column("recovered_paise", sa.BigInteger, nullable=False, server_default="0"))
    with op.batch_alter_table("payments_refund") as refund:
        refund.add_column(sa.Column("settlement_utr", sa.String, nullable=True))
    op.create_table(
        "payments_settlement",
        *_key("settlement_id", "kind", "entity_id"),
        _text("day"),
        *(_big(f"{name}_paise") for name in ("amount", "credit", "debit", "fee", "tax")),
        _text("utr"),
        _text("order_id"),
        _big("seen_ms"),
    )
    op.create_index("payments_settlement_day", "payments_settlement", ["depot_id", "day"])
    op.create_table(
        "payments_difference",
        *_key("difference_id"),
        _text("kind"),
        _text("entity_id"),
        _text("settlement_id"),
        _big("amount_paise"),
        _big("clearing_paise"),
        _text("note"),
        _big("found_ms"),
        _big("explained_ms", nullable=True),
        _text("explained_by", nullable=True),
        _text("explanation", nullable=True),
    )
    op.create_index("payments_difference_open", "payments_difference", ["depot_id", "explained_ms"])
    op.create_table(
        "payments_reminder",
        *_key("bill_id"),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("driver_id"),
        _big("due_ms"),
        _big("sent_ms", nullable=True),
        sa.Column("tries", sa.Integer, nullable=False),
    )
    op.create_table(
        "payments_other_payment",
        *_key("bill_id"),
        _text("way"),
        _text("reference"),
        _big("amount_paise"),
        _big("booked_ms"),
        _text("booked_by"),
        _text("why"),
    )
    op.create_index("payments_other_payment_reference", "payments_other_payment", ["depot_id", "way", "reference"], unique=True)


def downgrade() -> None:
    for table in ("other_payment", "reminder", "difference", "settlement"):
        op.drop_table(f"payments_{table}")
    with op.batch_alter_table("payments_share") as share:
        share.drop_column("recovered_paise")
    with op.batch_alter_table("payments_refund") as refund:
        refund.drop_column("settlement_utr")
    with op.batch_alter_table("payments_payment") as payment:
        for name in ("fee_known", "dispute", "dispute_id"):
            payment.drop_column(name)
