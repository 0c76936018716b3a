"""What suppliers were paid for invoices that were credited; which invoice stands for which opdracht."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "billing_0002"
down_revision = "billing_0001"


def upgrade() -> None:
    op.create_table(
        "tegoed",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("sequences", JSONB, nullable=False),
        sa.Column("body", JSONB, nullable=False),
    )
    op.execute(
        "UPDATE opdracht o SET body = o.body || jsonb_build_object('factuurnummer', t.body->'factuur')"
        " FROM trajectbeeld t WHERE t.body->>'opdracht' = o.subject"
    )
    op.execute(
        "UPDATE trajectbeeld t SET body = t.body || jsonb_build_object('verklaringen', jsonb_build_array("
        "jsonb_build_object('nummer', coalesce(t.body->>'gefactureerd', t.body->>'te_factureren'),"
        " 'opleider', o.body->>'opleider')))"
        " FROM opdracht o WHERE t.body->>'opdracht' = o.subject"
        " AND coalesce(t.body->>'gefactureerd', t.body->>'te_factureren') IS NOT NULL"
    )
    op.execute(
        "UPDATE factuur f SET body = f.body || jsonb_build_object('status', 'betaald')"
        " FROM betaling b WHERE b.body->>'factuurnummer' = f.subject AND b.body->>'status' = 'bevestigd'"
    )


def downgrade() -> None:
    op.drop_table("tegoed")
