"""Driver tariffs with their versions, recipients, series of numbers, what bills were rated from, issued documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0005"
down_revision = "payments_0004"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable)


def _big(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _long(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in ("depot_id", *names)]


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.Integer, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "payments_tariff",
        *_key("tariff_id"),
        _number(),
        _text("digest"),
        _long("body"),
        _text("actor"),
        _big("put_ms"),
        _big("ended_ms", nullable=True),
    )
    op.create_table(
        "payments_recipient",
        *_key("driver_id"),
        _text("name"),
        _text("address"),
        _text("gstin"),
        _text("state_code"),
        _big("changed_ms"),
    )
    op.create_table("payments_series", *_key("series", "year"), sa.Column("last", sa.Integer, nullable=False))
    op.create_table("payments_rating", *_key("bill_id"), _number(), _long("tariff"), _long("facts"), _big("at_ms"))
    op.create_table(
        "payments_document",
        *_key("number"),
        _text("kind"),
        _text("bill_id"),
        _text("driver_id"),
        _text("day"),
        _text("refers_to", nullable=True),
        _big("total_paise"),
        _text("digest"),
        _long("body"),
        _big("issued_ms"),
    )
    for name in ("bill_id", "driver_id", "day"):
        op.create_index(f"payments_document_{name.removesuffix('_id')}", "payments_document", ["depot_id", name])
    if op.get_bind().dialect.name == "sqlite":
        for table in ("document", "rating"):
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER payments_{table}_no_{verb.lower()} BEFORE {verb} ON payments_{table} "
                    "BEGIN SELECT RAISE(ABORT, 'issued documents are append-only'); END"
                )


def downgrade() -> None:
    for name in ("document", "rating", "series", "recipient", "tariff"):
        op.drop_table(f"payments_{name}")
