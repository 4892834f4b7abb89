"""Rows, raw messages, packs, files, records of packs' lives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "lake_0001"
down_revision = None
branch_labels = ("lake",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lake_row",
        sa.Column("row_id", sa.Integer(), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("pack_no", sa.Integer(), nullable=False),
        sa.Column("received_us", sa.Integer(), nullable=False),
        sa.Column("reported_us", sa.Integer()),
        sa.Column("age_s", sa.Float(), nullable=False),
        sa.Column("quality", sa.String(), nullable=False),
        sa.Column("issues", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("message_schema", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("firmware", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer()),
        sa.Column("temperatures_c", sa.LargeBinary(), nullable=False),
        sa.Column("cells_v", sa.LargeBinary(), nullable=False),
        sa.Column("soc", sa.Float()),
        sa.Column("soh", sa.Float()),
        sa.Column("current_a", sa.Float()),
        sa.Column("voltage_v", sa.Float()),
        sa.Column("cell_min_v", sa.Float()),
        sa.Column("cell_max_v", sa.Float()),
        sa.Column("insulation_ohm", sa.Float()),
        sa.Column("limit_a", sa.Float()),
        sa.Column("limit_v", sa.Float()),
        sa.Column("stop", sa.Integer(), nullable=False),
        sa.Column("alarms", sa.String(), nullable=False),
        sa.Column("uncertainty_c", sa.Float(), nullable=False),
        sa.Column("c_rate_per_h", sa.Float()),
        sa.Column("day", sa.Integer(), nullable=False),
    )
    op.create_index("lake_row_by_pack", "lake_row", ["day", "pack_no"])
    op.create_table(
        "lake_open",
        sa.Column("day", sa.Integer(), primary_key=True),
        sa.Column("pack_no", sa.Integer(), primary_key=True),
    )
    op.create_table(
        "lake_raw",
        sa.Column("batch", sa.Integer(), primary_key=True),
        sa.Column("at_us", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "lake_boot",
        sa.Column("boot", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at_us", sa.Integer(), nullable=False),
    )
    op.create_table(
        "lake_pack",
        sa.Column("pack_no", sa.Integer(), primary_key=True),
        sa.Column("pack", sa.String(), nullable=False, unique=True),
        sa.Column("vehicle_id", sa.String(), nullable=False),
        sa.Column("pack_id", sa.String(), nullable=False),
        sa.Column("first_us", sa.Integer(), nullable=False),
    )
    op.create_table(
        "lake_file",
        sa.Column("path", sa.String(), primary_key=True),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("pack_no", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("through_id", sa.Integer(), nullable=False),
        sa.Column("first_us", sa.Integer(), nullable=False),
        sa.Column("last_us", sa.Integer(), nullable=False),
    )
    op.create_index("lake_file_by_pack", "lake_file", ["pack_no", "first_day"])
    op.create_table(
        "lake_life",
        sa.Column("pack_no", sa.Integer(), primary_key=True),
        sa.Column("day", sa.Integer(), primary_key=True),
        sa.Column("through_id", sa.Integer(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "lake_history",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("pack_no", sa.Integer(), nullable=False),
        sa.Column("at_us", sa.Integer(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "lake_replay",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("at_us", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
    )
    op.create_table(
        "lake_meta",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )


def downgrade() -> None:
    for table in ("meta", "replay", "history", "life", "file", "pack", "boot", "raw", "open", "row"):
        op.drop_table(f"lake_{table}")
