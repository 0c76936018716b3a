"""Trajectbeeld, budget, opdracht, factuur, nummering and betaling."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "billing_0001"
down_revision = None


def _aggregate(name: str, *, unique: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sequences", JSONB, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        *(sa.Column(lookup, sa.Text, unique=True) for lookup in unique),
    )


def upgrade() -> None:
    for name in ("trajectbeeld", "budget", "factuur", "nummering", "betaling"):
        _aggregate(name)
    _aggregate("opdracht", unique=("registratie",))


def downgrade() -> None:
    for table in ("betaling", "nummering", "factuur", "opdracht", "budget", "trajectbeeld"):
        op.drop_table(table)
