"""Packs as they were judged, their charges, their estimates, and how far the lake was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "estimates_0001"
down_revision = None
branch_labels = ("estimates",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "estimates_pack",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("heard_us", sa.Integer(), nullable=False),
        sa.Column("looked_us", sa.Integer(), nullable=False),
        sa.Column("chemistry", sa.String(), nullable=False),
        sa.Column("nominal_ah", sa.Float()),
        sa.Column("cells", sa.Integer()),
        sa.Column("modules", sa.Integer()),
        sa.Column("note", sa.String(), nullable=False),
    )
    op.create_table(
        "estimates_charge",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("ended_us", sa.Integer(), primary_key=True),
        sa.Column("started_us", sa.Integer(), nullable=False),
        sa.Column("charged_ah", sa.Float(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
    )
    op.create_table(
        "estimates_estimate",
        sa.Column("vehicle_id", sa.String(), primary_key=True),
        sa.Column("pack_id", sa.String(), primary_key=True),
        sa.Column("quantity", sa.String(), primary_key=True),
        sa.Column("method", sa.String(), primary_key=True),
        sa.Column("until_us", sa.Integer(), primary_key=True),
        sa.Column("from_us", sa.Integer(), nullable=False),
        sa.Column("made_us", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("low", sa.Float()),
        sa.Column("high", sa.Float()),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
    )
    op.create_table(
        "estimates_meta",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )


def downgrade() -> None:
    for table in ("meta", "estimate", "charge", "pack"):
        op.drop_table(f"estimates_{table}")
