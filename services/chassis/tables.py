"""The chassis' tables, in every service's database beside the service's own."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("partner", Text),  # null for facts
    Column("receipts", Integer, nullable=False, server_default=text("0")),
    Column("receipt", LargeBinary),  # the last receipt given, to be given again
    Column("received", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("consumer", "source", "id"),
)

pending = Table(
    "pending",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("status", Text, nullable=False),  # waiting, held, retry, attempting, parked, discard
    Column("partner", Text),  # null for facts
    Column("entity", Text, nullable=False),
    Column("subject", Text),
    Column("sequence", Integer),
    Column("wait_on", Text),
    Column("until", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due", DateTime(timezone=True)),
    Column("cause", Text),
    Column("body", LargeBinary, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("consumer", "source", "id"),
    Index("pending_waiting", "consumer", "wait_on", postgresql_where=text("status = 'waiting'")),
    Index("pending_held", "consumer", "entity", "subject", postgresql_where=text("status = 'held'")),
    Index("pending_due", "consumer", "due", postgresql_where=text("status = 'retry'")),
    Index("pending_discard", "consumer", "due", postgresql_where=text("status = 'discard'")),
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    PrimaryKeyConstraint("consumer", "entity", "subject"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, Identity(always=True), nullable=False),
    Column("created", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("message_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("readers", ARRAY(Text), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("correlationid", Text, nullable=False, index=True),
    Column("sent", DateTime(timezone=True)),
    PrimaryKeyConstraint("position", "created"),
    Index("outbox_unsent", "position", postgresql_where=text("sent IS NULL")),
    postgresql_partition_by="RANGE (created)",
)

effects = Table(
    "effects",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    # open, done, skipped, failed, discarded
    Column("status", Text, nullable=False, server_default=text("'open'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("cause", Text),
    Column("traceparent", Text),
    Column("created", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("done", DateTime(timezone=True)),
    Index("effects_open", "due", postgresql_where=text("status = 'open'")),
)

repairs = Table(
    "repairs",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("deed", Text, nullable=False),  # retry, discard, replay
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("about", JSONB, nullable=False),
)
"""Append-only: a trigger refuses to change what is written."""
