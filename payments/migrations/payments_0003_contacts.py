"""Drivers' contact data, sealed; what became of requests to erase them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0003"
down_revision = "payments_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payments_contact",
        sa.Column("depot_id", sa.String, primary_key=True),
        sa.Column("driver_id", sa.String, primary_key=True),
        sa.Column("phone_index", sa.String, nullable=True),
        sa.Column("key_id", sa.String, nullable=True),
        sa.Column("phone", sa.String, nullable=True),
        sa.Column("email", sa.String, nullable=True),
        sa.Column("name", sa.String, nullable=True),
        sa.Column("vpa", sa.String, nullable=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("used_ms", sa.BigInteger, nullable=False),
        sa.Column("erased_ms", sa.BigInteger, nullable=True),
    )
    op.create_index("payments_contact_phone", "payments_contact", ["depot_id", "phone_index"])


def downgrade() -> None:
    op.drop_table("payments_contact")
