"""Trajectbeeld, match and erkenning."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "matching_0001"
down_revision = None


def _aggregate(name: str, *lookups: str, unique: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sequences", JSONB, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        *(sa.Column(lookup, sa.Text) for lookup in lookups),
        *(sa.Column(lookup, sa.Text, unique=True) for lookup in unique),
    )
    for lookup in lookups:
        op.create_index(f"ix_{name}_{lookup}", name, [lookup])


def upgrade() -> None:
    _aggregate("trajectbeeld")
    _aggregate("match", "voorgesteld_voor", "actief_op", unique=("registratie",))
    _aggregate("erkenning", unique=("plaats",))


def downgrade() -> None:
    for table in ("erkenning", "match", "trajectbeeld"):
        op.drop_table(table)
