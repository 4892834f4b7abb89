"""What each pack's worst cell loses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "estimates_0004"
down_revision = "estimates_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "estimates_loss",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("made_us", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("estimates_loss")
