"""The journal: every fact of every stream in one order, as the record of what happened in each case."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.model import Data
from services.chassis.messages import Fact
from services.chassis.telemetry import trace_id
from services.intake.tables import journal

# Whoever appends holds the row of journal_head until it commits: positions become visible in their order,
# so that "everything after position N" misses nothing.
_TAKE = text("UPDATE journal_head SET position = position + :count RETURNING position - :count")
_APPEND = text(
    """
    INSERT INTO journal (position, recorded, entity, subject, sequence, type, id, actor,
                         correlationid, causationid, trace_id, body)
    SELECT CAST(:first AS bigint) + n, recorded, entity, subject, sequence, type, id, actor,
           correlationid, causationid, trace_id, CAST(body AS jsonb)
    FROM unnest(CAST(:recorded AS timestamptz[]), CAST(:entity AS text[]), CAST(:subject AS text[]),
                CAST(:sequence AS integer[]), CAST(:type AS text[]), CAST(:id AS text[]),
                CAST(:actor AS text[]), CAST(:correlationid AS text[]), CAST(:causationid AS text[]),
                CAST(:trace_id AS text[]), CAST(:body AS text[]))
         WITH ORDINALITY AS fact (recorded, entity, subject, sequence, type, id, actor,
                                  correlationid, causationid, trace_id, body, n)
    """
)


_SELECTED = """
    FROM journal WHERE entity = ANY(CAST(:streams AS text[])) AND position >= :first
    AND (CAST(:since AS timestamptz) IS NULL OR recorded >= :since)
    AND (CAST(:subject AS text) IS NULL
         OR correlationid = (SELECT correlationid FROM journal WHERE subject = :subject LIMIT 1))
    AND (CAST(:ids AS text[]) IS NULL OR id = ANY(:ids))
"""
_COUNT = text(f"SELECT count(*) {_SELECTED}")
_REPLAY = text(
    "INSERT INTO outbox (message_id, type, routing_key, readers, body, correlationid)"
    " SELECT id, type, :queue, '{}', convert_to(body::text, 'UTF8'), correlationid"
    f" {_SELECTED} ORDER BY position"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which facts of the journal. What is None selects all."""

    streams: Collection[str]
    first: int = 0
    """The journal position to begin at."""
    since: datetime | None = None
    """When they were recorded, at the earliest."""
    subject: str | None = None
    """The case that this subject belongs to."""
    ids: Collection[str] | None = None

    @property
    def _values(self) -> dict[str, Any]:
        return {
            "streams": list(self.streams),
            "first": self.first,
            "since": self.since,
            "subject": self.subject,
            "ids": None if self.ids is None else list(self.ids),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fact as the journal holds it."""

    position: int
    time: datetime
    """When it happened, says its actor."""
    type: str
    subject: str
    actor: str
    trace_id: str | None
    data: dict[str, Any]


async def record(connection: AsyncConnection, facts: Sequence[tuple[Fact[Data], bytes]]) -> None:
    """Appends facts, each with its message as it travelled, in the caller's transaction."""
    if not facts:
        return
    first = await connection.scalar(_TAKE, {"count": len(facts)})
    await connection.execute(
        _APPEND,
        {
            "first": first,
            "recorded": [fact.recorded for fact, _ in facts],
            "entity": [fact.type.entity for fact, _ in facts],
            "subject": [fact.subject for fact, _ in facts],
            "sequence": [fact.sequence for fact, _ in facts],
            "type": [fact.type.name for fact, _ in facts],
            "id": [fact.id for fact, _ in facts],
            "actor": [fact.actor for fact, _ in facts],
            "correlationid": [fact.correlationid for fact, _ in facts],
            "causationid": [fact.causationid for fact, _ in facts],
            "trace_id": [trace_id(fact.traceparent) for fact, _ in facts],
            "body": [body.decode() for _, body in facts],
        },
    )


async def story(connection: AsyncConnection, nummer: str) -> list[Entry]:
    """Every fact of the case of a traject, in the order of the journal; empty where there is no such traject."""
    of_traject = select(journal.c.correlationid).where(journal.c.subject == nummer).limit(1)
    rows = await connection.execute(
        select(journal).where(journal.c.correlationid == of_traject.scalar_subquery()).order_by(journal.c.position)
    )
    return [_entry(row) for row in rows]


async def count(connection: AsyncConnection, selection: Selection) -> int:
    """How many facts that is."""
    return int(await connection.scalar(_COUNT, selection._values) or 0)


async def replay(connection: AsyncConnection, queue: str, selection: Selection) -> int:
    """Sends facts once more to one queue alone: the same messages under the same ids, in the journal's order.

    They go into intake's outbox, and leave as all else does. Who has a fact already knows it by its id and its
    place in its stream, and does nothing. How many there were.
    """
    result = await connection.execute(_REPLAY, {**selection._values, "queue": queue})
    await connection.execute(text("SELECT pg_notify('outbox', '')"))
    return result.rowcount


async def everything(connection: AsyncConnection) -> list[Entry]:
    """Every fact there is, in the order of the journal."""
    rows = await connection.execute(select(journal).order_by(journal.c.position))
    return [_entry(row) for row in rows]


def _entry(row: Any) -> Entry:
    return Entry(
        position=row.position,
        time=datetime.fromisoformat(row.body["time"]),
        type=row.type,
        subject=row.subject,
        actor=row.actor,
        trace_id=row.trace_id,
        data=row.body["data"],
    )
