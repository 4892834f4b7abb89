"""What balancing takes from each cell; the version of a file's columns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "lake_0002"
down_revision = "lake_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lake_row", sa.Column("balancing_a", sa.LargeBinary(), nullable=True))
    op.add_column("lake_file", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("lake_file", "version")
    op.drop_column("lake_row", "balancing_a")
