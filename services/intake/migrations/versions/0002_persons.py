"""Persons under keys of their own, recognised when registered twice, and a record of who saw what.

What `persoon` held before were JWEs for intake's private key, from trials; those are not carried over.
"""

import sqlalchemy as sa
from alembic import op

revision = "intake_0002_persons"
down_revision = "intake_0001"


def upgrade() -> None:
    op.drop_table("persoon")
    op.create_table(
        "persoon",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("versleuteld", sa.LargeBinary),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("gewist", sa.DateTime(timezone=True)),
        sa.CheckConstraint("(versleuteld IS NULL) = (gewist IS NOT NULL)", name="persoon_erased_or_kept"),
    )
    op.create_index("persoon_gewist", "persoon", ["key"], postgresql_where=sa.text("gewist IS NOT NULL"))
    op.create_table(
        "inzage",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tijdstip", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("wie", sa.Text),
        sa.Column("rol", sa.Text),
        sa.Column("doel", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("uitkomst", sa.Text, nullable=False),
    )
    op.create_index("ix_inzage_key", "inzage", ["key"])
    for lookup in ("persoon", "vingerafdruk"):
        op.add_column("traject", sa.Column(lookup, sa.Text))
        op.create_index(f"ix_traject_{lookup}", "traject", [lookup])


def downgrade() -> None:
    for lookup in ("persoon", "vingerafdruk"):
        op.drop_column("traject", lookup)
    op.drop_table("inzage")
    op.drop_table("persoon")
    op.create_table(
        "persoon",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("jwe", sa.Text, nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
