"""Trajectbeeld and begunstigde."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "notify_0001"
down_revision = None


def _aggregate(name: str) -> None:
    op.create_table(
        name,
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sequences", JSONB, nullable=False),
        sa.Column("body", JSONB, nullable=False),
    )


def upgrade() -> None:
    for name in ("trajectbeeld", "begunstigde"):
        _aggregate(name)


def downgrade() -> None:
    for table in ("begunstigde", "trajectbeeld"):
        op.drop_table(table)
