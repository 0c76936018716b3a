"""Termijnen, with when they fall due, and what was told of each."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "notify_0002"
down_revision = "notify_0001"


def upgrade() -> None:
    for name, lookups in (("termijnen", ("due",)), ("overschrijding", ())):
        op.create_table(
            name,
            sa.Column("subject", sa.Text, primary_key=True),
            sa.Column("sequences", JSONB, nullable=False),
            sa.Column("body", JSONB, nullable=False),
            *(sa.Column(lookup, sa.Text, index=True) for lookup in lookups),
        )


def downgrade() -> None:
    for table in ("overschrijding", "termijnen"):
        op.drop_table(table)
