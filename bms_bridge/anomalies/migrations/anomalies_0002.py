"""Alerts as they stood at the last look, for those who ask the running depot."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "anomalies_0002"
down_revision = "anomalies_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pack_alert",
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("looked_at", sa.String(), nullable=False),
        sa.Column("row", sa.String(), nullable=False),
    )
    op.create_table("pack_look", sa.Column("looked_at", sa.String(), primary_key=True), sa.Column("packs", sa.Integer(), nullable=False))
