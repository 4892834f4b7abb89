"""What was said of each pack's state of charge in the last fortnight: one row a quarter of an hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "estimates_0006"
down_revision = "estimates_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "estimates_soc_past",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("slot", sa.Integer(), primary_key=True),
        sa.Column("at_us", sa.Integer(), nullable=False),
        sa.Column("soc", sa.Float()),
        sa.Column("low", sa.Float()),
        sa.Column("high", sa.Float()),
        sa.Column("bms", sa.Float()),
    )


def downgrade() -> None:
    op.drop_table("estimates_soc_past")
