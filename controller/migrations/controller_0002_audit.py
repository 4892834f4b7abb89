"""The audit trail, built over the facts that a journal has already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from controller.audit import backfill

revision = "controller_0002"
down_revision = "controller_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    seq = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "audit",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        sa.Column("event_seq", seq, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("command_id", sa.String, nullable=False),
        sa.Column("prev", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("audit_by_event", "audit", ["depot_id", "event_seq"], unique=True)
    op.create_index("audit_by_command", "audit", ["depot_id", "command_id"])
    backfill(op.get_bind())


def downgrade() -> None:
    op.drop_table("audit")
