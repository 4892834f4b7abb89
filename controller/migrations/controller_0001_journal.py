"""Events, snapshots, probe row, chart samples."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "controller_0001"
down_revision = None
branch_labels = ("controller",)
depends_on = None


def upgrade() -> None:
    seq = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "events",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("occurred_at", sa.String, nullable=False),
        sa.Column("reported_at", sa.String),
        sa.Column("received_at", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("cause_id", sa.String),
        sa.Column("key", sa.String),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_index("events_by_key", "events", ["depot_id", "key"], unique=True, sqlite_where=sa.text("key IS NOT NULL"))
    op.create_index("events_by_type", "events", ["depot_id", "type", "seq"])
    op.create_table(
        "snapshots",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        sa.Column("shape", sa.String, nullable=False),
        sa.Column("events_digest", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "probes",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("filler", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "samples",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("site_w", sa.Integer),
        sa.Column("limit_w", sa.Integer, nullable=False),
        sa.Column("plan_w", sa.Integer),
        sa.Column("background_w", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    for table in ("samples", "probes", "snapshots", "events"):
        op.drop_table(table)
