"""Collections: one debit for the bills of a driver's day. A debit that was under way keeps its orders and receipts."""

# ruff: noqa: S608  # all of it is constant
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0006"
down_revision = "payments_0005"
branch_labels = None
depends_on = None


def _big(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable, server_default=default)


def _text(name: str, *, nullable: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable, primary_key=key)


def upgrade() -> None:
    op.create_table(
        "payments_collection",
        _text("depot_id", key=True),
        _text("collection_id", key=True),
        _text("driver_id"),
        _text("mandate_id"),
        _text("mode"),
        _text("day"),
        _big("amount_paise"),
        _text("own"),
        _text("gave_up", nullable=True),
        sa.Column("round_issue", sa.Integer, nullable=False),
        _big("created_ms"),
        _big("looked_ms", nullable=True),
        _big("next_ms", nullable=True),
    )
    op.create_index("payments_collection_due", "payments_collection", ["depot_id", "next_ms"])
    op.create_index("payments_collection_driver", "payments_collection", ["depot_id", "driver_id", "day"])
    op.create_table(
        "payments_share",
        _text("depot_id", key=True),
        _text("collection_id", key=True),
        _text("bill_id", key=True),
        _big("amount_paise"),
        _big("paid_paise"),
    )
    op.create_index("payments_share_bill", "payments_share", ["depot_id", "bill_id"])
    with op.batch_alter_table("payments_bill") as bill:
        bill.add_column(_big("batched_paise", default="0"))
        bill.add_column(_text("collection_id", nullable=True))
    op.drop_index("payments_payment_bill", "payments_payment")
    for table in ("order", "submission", "payment"):
        op.execute(f"ALTER TABLE payments_{table} RENAME COLUMN bill_id TO collection_id")
    with op.batch_alter_table("payments_order") as order:
        order.add_column(_big("amount_paise", default="0"))
        order.add_column(sa.Column("noticed", sa.Boolean, nullable=False, server_default=sa.true()))
    with op.batch_alter_table("payments_payment") as payment:
        payment.add_column(sa.Column("booked", sa.Boolean, nullable=False, server_default=sa.false()))
        payment.add_column(_big("surplus_paise", default="0"))
        payment.add_column(sa.Column("disputed", sa.Boolean, nullable=False, server_default=sa.false()))
        payment.add_column(_text("settlement_utr", nullable=True))
        payment.add_column(_big("fee_paise", default="0"))
        payment.add_column(_big("tax_paise", default="0"))
        payment.add_column(_big("taken_ms", nullable=True))
    with op.batch_alter_table("payments_refund") as refund:
        refund.add_column(sa.Column("note", sa.String, nullable=False, server_default=""))
    _carry_over()
    with op.batch_alter_table("payments_bill") as bill:
        for name in ("disputed", "settlement_utr", "looked_ms"):
            bill.drop_column(name)
    with op.batch_alter_table("payments_payment") as payment:
        payment.drop_column("surplus")
    op.create_index("payments_payment_collection", "payments_payment", ["depot_id", "collection_id"])
    op.create_index("payments_bill_collection", "payments_bill", ["depot_id", "collection_id"])
    op.create_index("payments_refund_bill", "payments_refund", ["depot_id", "bill_id"])


def _carry_over() -> None:
    """A bill with an order becomes a collection of its own, by the same name: its receipts stay what they are."""
    taken = "('captured', 'part_refunded', 'refunded')"
    asked = "(SELECT 1 FROM payments_order o WHERE o.depot_id = b.depot_id AND o.collection_id = b.bill_id)"
    kept = (
        "(SELECT coalesce(sum(p.amount_paise), 0) FROM payments_payment p WHERE p.depot_id = b.depot_id AND p.collection_id = b.bill_id "
        f"AND p.state IN {taken} AND NOT p.surplus)"
    )
    op.execute(
        "INSERT INTO payments_collection (depot_id, collection_id, driver_id, mandate_id, mode, day, amount_paise, own, gave_up, "
        "round_issue, created_ms, looked_ms, next_ms) "
        "SELECT b.depot_id, b.bill_id, b.driver_id, b.mandate_id, 'autopay', '1970-01-01', b.total_paise, "
        "CASE WHEN b.own IN ('arrears', 'written_off', 'paid_other') THEN b.own ELSE 'batched' END, b.gave_up, 1, "
        f"coalesce(b.invoiced_ms, b.opened_ms), b.looked_ms, b.next_ms FROM payments_bill b WHERE EXISTS {asked}"
    )
    op.execute(
        "INSERT INTO payments_share (depot_id, collection_id, bill_id, amount_paise, paid_paise) SELECT b.depot_id, b.bill_id, b.bill_id, "
        f"b.total_paise, {kept} FROM payments_bill b WHERE EXISTS {asked}"
    )
    op.execute(
        "UPDATE payments_order SET amount_paise = (SELECT b.total_paise FROM payments_bill b WHERE b.depot_id = payments_order.depot_id "
        "AND b.bill_id = payments_order.collection_id)"
    )
    op.execute(f"UPDATE payments_payment SET booked = (state IN {taken}), taken_ms = seen_ms")
    op.execute("UPDATE payments_payment SET surplus_paise = CASE WHEN surplus THEN amount_paise ELSE 0 END")
    of_bill = (
        "(SELECT b.{} FROM payments_bill b WHERE b.depot_id = payments_payment.depot_id AND b.bill_id = payments_payment.collection_id)"
    )
    op.execute(f"UPDATE payments_payment SET disputed = {of_bill.format('disputed')}, settlement_utr = {of_bill.format('settlement_utr')}")
    asked = asked.replace("b.", "payments_bill.")
    op.execute(
        "UPDATE payments_bill SET batched_paise = total_paise, collection_id = bill_id, next_ms = NULL, gave_up = NULL, "
        f"own = CASE WHEN own = 'arrears' THEN 'invoiced' ELSE own END WHERE EXISTS {asked}"
    )


def downgrade() -> None:
    raise NotImplementedError("a debit for several bills has no place in the older tables: restore a backup instead")
