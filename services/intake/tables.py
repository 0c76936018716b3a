"""Intake's tables, beside those of the chassis, and the one in the database of the keys of persons."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.chassis.aggregate import aggregate_table

metadata = MetaData()

traject = aggregate_table(metadata, "traject", "persoon", "vingerafdruk", unique=("referentie",))
verklaring = aggregate_table(metadata, "verklaring")

persoon = Table(
    "persoon",
    metadata,
    Column("key", Text, primary_key=True),
    Column("versleuteld", LargeBinary),  # null once erased
    Column("kept_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("gewist", DateTime(timezone=True)),
    CheckConstraint("(versleuteld IS NULL) = (gewist IS NOT NULL)", name="persoon_erased_or_kept"),
    Index("persoon_gewist", "key", postgresql_where=text("gewist IS NOT NULL")),
)

inzage = Table(
    "inzage",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("tijdstip", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("wie", Text),  # null where the token is not known
    Column("rol", Text),
    Column("doel", Text),
    Column("key", Text, index=True),
    Column("uitkomst", Text, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("position", BigInteger, nullable=False),
    Column("recorded", DateTime(timezone=True), nullable=False),  # by the owner of the stream
    Column("entity", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("correlationid", Text, nullable=False),
    Column("causationid", Text, nullable=False),
    Column("trace_id", Text),
    Column("body", JSONB, nullable=False),
    PrimaryKeyConstraint("position", "recorded"),
    Index("journal_subject", "subject"),
    Index("journal_correlationid", "correlationid"),
    postgresql_partition_by="RANGE (recorded)",
)

journal_head = Table(
    "journal_head",
    metadata,
    Column("only", Boolean, primary_key=True),
    Column("position", BigInteger, nullable=False),
    CheckConstraint('"only"', name="journal_head_only_one_row"),
)

sleutels = MetaData()

sleutel = Table(
    "sleutel",
    sleutels,
    Column("key", Text, primary_key=True),
    Column("kek", Text),  # under which key-encryption key it is wrapped
    Column("wrapped", LargeBinary),  # null once destroyed
    Column("made", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("gewist", DateTime(timezone=True)),
    CheckConstraint(
        "(wrapped IS NULL) = (gewist IS NOT NULL) AND (wrapped IS NULL) = (kek IS NULL)",
        name="sleutel_destroyed_or_whole",
    ),
)
