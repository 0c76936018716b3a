"""The toy's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "toy_0001"
down_revision = None


def upgrade() -> None:
    for name in ("pot", "bekend"):
        op.create_table(
            name,
            sa.Column("subject", sa.Text, primary_key=True),
            sa.Column("sequences", JSONB, nullable=False),
            sa.Column("body", JSONB, nullable=False),
        )


def downgrade() -> None:
    op.drop_table("bekend")
    op.drop_table("pot")
