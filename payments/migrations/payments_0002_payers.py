"""Payers (whose tag is whose) and tallies (what was turned away, when the gateway last spoke)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0002"
down_revision = "payments_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payments_payer",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("driver_id", sa.String, primary_key=True),
        sa.Column("id_tag", sa.String, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("payments_payer_tag", "payments_payer", ["depot_id", "id_tag"], unique=True)
    op.create_table(
        "payments_tally",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("last_ms", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("payments_tally")
    op.drop_table("payments_payer")
