"""The newest health of each pack's cells, and what each pack is still good for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "estimates_0002"
down_revision = "estimates_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "estimates_cells",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("until_us", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
    )
    op.create_table(
        "estimates_prospect",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("made_us", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
    )


def downgrade() -> None:
    for table in ("prospect", "cells"):
        op.drop_table(f"estimates_{table}")
