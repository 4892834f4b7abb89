"""Work orders and their steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "anomalies_0001"
down_revision = None
branch_labels = ("anomalies",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "work_order",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("pack", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("due", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("advice", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
    )
    op.create_index("work_order_open", "work_order", ["key"], unique=True, sqlite_where=sa.text("state = 'open'"))
    op.create_table(
        "work_step",
        sa.Column("step", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), sa.ForeignKey("work_order.number"), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
    )
