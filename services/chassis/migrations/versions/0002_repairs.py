"""What operators did to messages by hand: rows that nobody changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "chassis_0002"
down_revision = "chassis_0001"


def upgrade() -> None:
    op.create_table(
        "repairs",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("deed", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("about", JSONB, nullable=False),
    )
    op.execute(
        "CREATE FUNCTION repairs_stay() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'what was repaired by hand stays written down'; END $$"
    )
    op.execute(
        "CREATE TRIGGER repairs_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON repairs"
        " FOR EACH STATEMENT EXECUTE FUNCTION repairs_stay()"
    )
    op.create_index(
        "pending_discard", "pending", ["consumer", "due"], postgresql_where=sa.text("status = 'discard'")
    )


def downgrade() -> None:
    op.drop_index("pending_discard", "pending")
    op.drop_table("repairs")
    op.execute("DROP FUNCTION repairs_stay()")
