"""Inbox, pending, cursors, outbox and effects."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "chassis_0001"
down_revision = None


def _now(name: str = "created") -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("partner", sa.Text),
        sa.Column("receipts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("receipt", sa.LargeBinary),
        _now("received"),
        sa.PrimaryKeyConstraint("consumer", "source", "id"),
    )
    op.create_table(
        "pending",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("partner", sa.Text),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("sequence", sa.Integer),
        sa.Column("wait_on", sa.Text),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("due", sa.DateTime(timezone=True)),
        sa.Column("cause", sa.Text),
        sa.Column("body", sa.LargeBinary, nullable=False),
        _now(),
        sa.UniqueConstraint("consumer", "source", "id"),
    )
    for name, columns, status in (
        ("pending_waiting", ["consumer", "wait_on"], "waiting"),
        ("pending_held", ["consumer", "entity", "subject"], "held"),
        ("pending_due", ["consumer", "due"], "retry"),
    ):
        op.create_index(name, "pending", columns, postgresql_where=sa.text(f"status = '{status}'"))
    op.create_table(
        "cursors",
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("consumer", "entity", "subject"),
    )
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        _now(),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("readers", ARRAY(sa.Text), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("correlationid", sa.Text, nullable=False, index=True),
        sa.Column("sent", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("position", "created"),
        postgresql_partition_by="RANGE (created)",
    )
    op.create_index("outbox_unsent", "outbox", ["position"], postgresql_where=sa.text("sent IS NULL"))
    op.execute("CREATE TABLE outbox_default PARTITION OF outbox DEFAULT")
    op.create_table(
        "effects",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default=sa.text("'open'")),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        _now("due"),
        sa.Column("cause", sa.Text),
        sa.Column("traceparent", sa.Text),
        _now(),
        sa.Column("done", sa.DateTime(timezone=True)),
    )
    op.create_index("effects_open", "effects", ["due"], postgresql_where=sa.text("status = 'open'"))


def downgrade() -> None:
    for table in ("effects", "outbox", "cursors", "pending", "inbox"):
        op.drop_table(table)
