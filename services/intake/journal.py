"""The journal: every fact of every stream in one order, as the record of what happened in each case."""

from collections.abc import Sequence
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
    return [
        Entry(
            position=row.position,
            time=datetime.fromisoformat(row.body["time"]),
            type=row.type,
            subject=row.subject,
            actor=row.actor,
            trace_id=row.trace_id,
            data=row.body["data"],
        )
        for row in rows
    ]
