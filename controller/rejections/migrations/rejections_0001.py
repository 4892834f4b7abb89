"""Refused telemetry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "rejections_0001"
down_revision = None
branch_labels = ("rejections",)
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "telemetry_rejections",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("received_at", sa.String(), nullable=False),
        sa.Column("vehicle_id", sa.String(), nullable=False),
        sa.Column("pack_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
    )
    op.create_index("telemetry_rejections_by_vehicle", "telemetry_rejections", ["depot_id", "vehicle_id", "number"])
    op.create_index("telemetry_rejections_by_reason", "telemetry_rejections", ["depot_id", "reason", "number"])
