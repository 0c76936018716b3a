"""What partners write down themselves: what they sent and what they received. Their own database."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

metadata = MetaData()

verzonden = Table(
    "verzonden",
    metadata,
    Column("place", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("partner", Text, nullable=False),
    Column("reason", Text, nullable=False),  # what made it send this: the same again is not sent again
    Column("id", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("body", LargeBinary),  # null: decided against
    Column("outcomes", ARRAY(Text), nullable=False),  # how this may end: aanvaard, or the code of a refusal
    Column("confirmed", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("partner", "reason"),
    Index("verzonden_unconfirmed", "place", postgresql_where=text("NOT confirmed")),
)

ontvangen = Table(
    "ontvangen",
    metadata,
    Column("place", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("partner", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("times", Integer, nullable=False, server_default=text("1")),
    Column("at", DateTime(timezone=True), nullable=False),  # by the clock that all go by
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("partner", "id"),
)

geplant = Table(
    "geplant",
    metadata,
    Column("service", Text, nullable=False),
    Column("id", Text, nullable=False),  # of the parked row that must come of it
    Column("body", LargeBinary, nullable=False),
    Column("done", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("service", "id"),
)
"""What was broken on purpose, inside, where no partner can reach."""


@dataclass(frozen=True, slots=True)
class Received:
    partner: str
    id: str
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class ToSend:
    partner: str
    reason: str
    id: str
    routing_key: str
    body: bytes | None
    """None where it was decided not to send this."""
    outcomes: tuple[str, ...]


async def prepare(engine: AsyncEngine) -> None:
    """Makes the tables where they are not there yet."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)


async def write_received(connection: AsyncConnection, messages: Sequence[Received]) -> set[tuple[str, str]]:
    """Records messages by partner and id; those that were not there before. A copy only counts."""
    copies = Counter((message.partner, message.id) for message in messages)
    first = {(message.partner, message.id): message for message in reversed(messages)}
    result = await connection.execute(
        text(
            "INSERT INTO ontvangen (partner, id, times, at, body)"
            " SELECT * FROM unnest(CAST(:partners AS text[]), CAST(:ids AS text[]), CAST(:times AS int[]),"
            " CAST(:at AS timestamptz[]), CAST(:bodies AS bytea[]))"
            " ON CONFLICT (partner, id) DO UPDATE SET times = ontvangen.times + excluded.times"
            " RETURNING partner, id, times"
        ),
        {
            "partners": [partner for partner, _ in first],
            "ids": [message_id for _, message_id in first],
            "times": [copies[key] for key in first],
            "at": [message.at for message in first.values()],
            "bodies": [message.body for message in first.values()],
        },
    )
    return {(row.partner, row.id) for row in result if row.times == copies[row.partner, row.id]}


async def write_to_send(connection: AsyncConnection, rows: Iterable[ToSend]) -> Sequence[Any]:
    """Records what is to be sent, in order; the rows, with their place. One that is there already is left out."""
    values = list(rows)
    if not values:
        return []
    result = await connection.execute(
        text(
            "INSERT INTO verzonden (partner, reason, id, routing_key, body, outcomes, confirmed)"
            " SELECT partner, reason, id, routing_key, body, string_to_array(outcomes, ' '), body IS NULL"
            " FROM unnest(CAST(:partners AS text[]), CAST(:reasons AS text[]), CAST(:ids AS text[]),"
            " CAST(:keys AS text[]), CAST(:bodies AS bytea[]), CAST(:outcomes AS text[]))"
            " WITH ORDINALITY AS row (partner, reason, id, routing_key, body, outcomes, n) ORDER BY n"
            " ON CONFLICT DO NOTHING RETURNING *"
        ),
        {
            "partners": [row.partner for row in values],
            "reasons": [row.reason for row in values],
            "ids": [row.id for row in values],
            "keys": [row.routing_key for row in values],
            "bodies": [row.body for row in values],
            "outcomes": [" ".join(row.outcomes) for row in values],
        },
    )
    written: Sequence[Any] = result.all()
    return written


async def mark_sent(connection: AsyncConnection, places: Sequence[int]) -> None:
    """The broker has these."""
    await connection.execute(
        text("UPDATE verzonden SET confirmed = true WHERE place = ANY(:places)"), {"places": list(places)}
    )


async def sent(connection: AsyncConnection) -> Sequence[Any]:
    """Everything that was sent or decided against, in order."""
    return (await connection.execute(select(verzonden).order_by(verzonden.c.place))).all()


async def history(connection: AsyncConnection) -> Sequence[Any]:
    """Everything that was received, in the order it came."""
    return (await connection.execute(select(ontvangen).order_by(ontvangen.c.place))).all()


async def plant(connection: AsyncConnection, service: str, message_id: str, body: bytes) -> None:
    """Writes down what will be broken; done once."""
    values = {"service": service, "id": message_id, "body": body}
    await connection.execute(insert(geplant).values(values).on_conflict_do_nothing())


async def unplanted(connection: AsyncConnection) -> Sequence[Any]:
    return (await connection.execute(select(geplant).where(~geplant.c.done))).all()


async def planted(connection: AsyncConnection, service: str, message_id: str) -> None:
    """It is on its way."""
    await connection.execute(
        geplant.update().where(geplant.c.service == service, geplant.c.id == message_id).values(done=True)
    )
