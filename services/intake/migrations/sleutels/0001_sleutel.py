"""The wrapped keys of persons."""

import sqlalchemy as sa
from alembic import op

revision = "sleutels_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sleutel",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("kek", sa.Text),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("gewist", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "(wrapped IS NULL) = (gewist IS NOT NULL) AND (wrapped IS NULL) = (kek IS NULL)",
            name="sleutel_destroyed_or_whole",
        ),
    )


def downgrade() -> None:
    op.drop_table("sleutel")
