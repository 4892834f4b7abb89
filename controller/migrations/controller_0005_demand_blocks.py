"""Demand blocks, as our meter and as the utility's counted them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "controller_0005"
down_revision = "controller_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "demand_blocks",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("import_wh", sa.BigInteger, nullable=False),
        sa.Column("import_vah", sa.BigInteger, nullable=True),
        sa.Column("export_wh", sa.BigInteger, nullable=False),
        sa.Column("covered", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("demand_blocks")
