"""Deliveries and the cursor."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "notify_0001"
down_revision = None
branch_labels = ("notify",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notify_delivery",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("message_id", sa.String(), primary_key=True),
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("taken_s", sa.Float(), nullable=False),
        sa.Column("due_s", sa.Float(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("ended_s", sa.Float()),
    )
    op.create_index("notify_by_due", "notify_delivery", ["depot_id", "state", "due_s"])
    op.create_table(
        "notify_cursor",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("seq", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    for table in ("notify_cursor", "notify_delivery"):
        op.drop_table(table)
