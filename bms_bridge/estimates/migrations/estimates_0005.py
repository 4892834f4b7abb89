"""The newest state of charge of each pack, and where it was left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "estimates_0005"
down_revision = "estimates_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "estimates_soc",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("at_us", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("going", sa.LargeBinary()),
    )


def downgrade() -> None:
    op.drop_table("estimates_soc")
