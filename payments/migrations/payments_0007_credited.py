"""What of a bill is asked for no more, by credit notes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "payments_0007"
down_revision = "payments_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("payments_bill") as table:
        table.add_column(sa.Column("credited_paise", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("payments_bill") as table:
        table.drop_column("credited_paise")
