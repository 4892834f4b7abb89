"""Last words of running transactions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "controller_0004"
down_revision = "controller_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "last_words",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("station_id", sa.String, primary_key=True),
        sa.Column("transaction_id", sa.String, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("last_words")
