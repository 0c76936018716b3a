"""What partners write down themselves: what they sent and what they received. Their own database."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

metadata = MetaData()

verzonden = Table(
    "verzonden",
    metadata,
    Column("place", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("partner", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("confirmed", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("partner", "id"),
)

ontvangen = Table(
    "ontvangen",
    metadata,
    Column("place", BigInteger, Identity(always=True), unique=True, nullable=False),
    Column("partner", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("times", Integer, nullable=False, server_default=text("1")),
    Column("message", JSONB, nullable=False),
    PrimaryKeyConstraint("partner", "id"),
)


async def prepare(engine: AsyncEngine) -> None:
    """Makes the tables where they are not there yet."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)


async def write_received(
    connection: AsyncConnection, partner: str, messages: Sequence[dict[str, Any]]
) -> set[str]:
    """Records messages by their id; the ids that were not there before. A copy only counts."""
    copies = Counter(message["id"] for message in messages)
    by_id = {message["id"]: message for message in messages}
    statement = insert(ontvangen).values(
        [
            {"partner": partner, "id": message_id, "times": copies[message_id], "message": message}
            for message_id, message in by_id.items()
        ]
    )
    result = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["partner", "id"], set_={"times": ontvangen.c.times + statement.excluded.times}
        ).returning(ontvangen.c.id, ontvangen.c.times)
    )
    return {message_id for message_id, times in result if times == copies[message_id]}


async def write_to_send(
    connection: AsyncConnection, partner: str, submissions: Sequence[tuple[str, str, bytes]]
) -> None:
    """Records submissions (id, routing key, body) to be sent. One that is there already stays as it is."""
    if submissions:
        rows = [
            {"partner": partner, "id": message_id, "routing_key": key, "body": body}
            for message_id, key, body in submissions
        ]
        await connection.execute(insert(verzonden).on_conflict_do_nothing(), rows)


async def unsent(connection: AsyncConnection, partner: str, limit: int) -> Sequence[Any]:
    """What the broker has not confirmed yet, oldest first."""
    query = select(verzonden).where(verzonden.c.partner == partner, ~verzonden.c.confirmed)
    return (await connection.execute(query.order_by(verzonden.c.place).limit(limit))).all()


async def mark_sent(connection: AsyncConnection, places: Sequence[int]) -> None:
    """The broker has these."""
    await connection.execute(
        verzonden.update().where(verzonden.c.place == func.any(list(places))).values(confirmed=True)
    )


async def history(connection: AsyncConnection, partner: str) -> Sequence[dict[str, Any]]:
    """Everything the partner received, in the order it came."""
    query = select(ontvangen.c.message).where(ontvangen.c.partner == partner).order_by(ontvangen.c.place)
    return (await connection.execute(query)).scalars().all()
