"""What is blocked and debited of a Reserve Pay or one-time mandate, and the gateway's page on which a mandate is approved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0004"
down_revision = "payments_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments_mandate", sa.Column("blocked_paise", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("payments_mandate", sa.Column("debited_paise", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("payments_mandate", sa.Column("link_id", sa.String, nullable=True))


def downgrade() -> None:
    op.drop_column("payments_mandate", "link_id")
    op.drop_column("payments_mandate", "debited_paise")
    op.drop_column("payments_mandate", "blocked_paise")
