"""Traject, verklaring, persoon and the journal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "intake_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "traject",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sequences", JSONB, nullable=False),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("referentie", sa.Text, unique=True),
    )
    op.create_table(
        "verklaring",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sequences", JSONB, nullable=False),
        sa.Column("body", JSONB, nullable=False),
    )
    op.create_table(
        "persoon",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("jwe", sa.Text, nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "journal",
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("correlationid", sa.Text, nullable=False),
        sa.Column("causationid", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text),
        sa.Column("body", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("position", "recorded"),
        postgresql_partition_by="RANGE (recorded)",
    )
    op.create_index("journal_subject", "journal", ["subject"])
    op.create_index("journal_correlationid", "journal", ["correlationid"])
    op.execute("CREATE TABLE journal_default PARTITION OF journal DEFAULT")
    op.create_table(
        "journal_head",
        sa.Column("only", sa.Boolean, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.CheckConstraint('"only"', name="journal_head_only_one_row"),
    )
    op.execute('INSERT INTO journal_head ("only", position) VALUES (true, 0)')


def downgrade() -> None:
    for table in ("journal_head", "journal", "persoon", "verklaring", "traject"):
        op.drop_table(table)
