"""Stations, variables, monitors, reports, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "device_model_0001"
down_revision = None
branch_labels = ("device_model",)
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "model_stations",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("station_id", sa.String(), primary_key=True),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("told_at", sa.String(), nullable=False),
    )
    op.create_table(
        "model_variables",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("station_id", sa.String(), primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("variable", sa.Text(), nullable=False),
        sa.Column("actual", sa.Text()),
        sa.Column("waiting", sa.Text()),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("characteristics", sa.Text()),
        sa.Column("read_at", sa.String(), nullable=False),
    )
    op.create_index("model_variables_by_key", "model_variables", ["depot_id", "key"])
    op.create_table(
        "model_monitors",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("station_id", sa.String(), primary_key=True),
        sa.Column("monitor_id", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("read_at", sa.String(), nullable=False),
    )
    op.create_table(
        "model_reports",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("report_id", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("station_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.String(), nullable=False),
        sa.Column("heard_at", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("last", sa.Integer()),
        sa.Column("rows", sa.Integer(), nullable=False),
    )
    op.create_table(
        "model_report_parts",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("report_id", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("seq_no", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_table(
        "model_events",
        sa.Column("depot_id", sa.String(), primary_key=True),
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("station_id", sa.String(), nullable=False),
        sa.Column("sign", sa.String(), nullable=False),
        sa.Column("severity", sa.Integer()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("received_at", sa.String(), nullable=False),
    )
    op.create_index("model_events_once", "model_events", ["depot_id", "sign"], unique=True)


def downgrade() -> None:
    for table in ("model_events", "model_report_parts", "model_reports", "model_monitors", "model_variables", "model_stations"):
        op.drop_table(table)
