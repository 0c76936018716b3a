"""The SQL of one batch: a few set-based statements, each over the whole batch.

Multi-row writes go through `unnest`, reads through `= ANY`, so that a batch of 256 messages costs as many
round trips as a batch of one.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis import names
from services.chassis.aggregate import Store
from services.chassis.messages import Effect
from services.chassis.work import Ref, Row, UnitOfWork

_SEQUENCES: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, int])
_PAYLOAD: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])

Key = tuple[str, str]
"""(source, id): what makes a message the same message."""

WAITING, HELD, RETRY, ATTEMPTING, PARKED = "waiting", "held", "retry", "attempting", "parked"
DISCARD = "discard"
"""Parked, and given up by an operator: it is passed over as soon as it is its turn."""


class Entry(NamedTuple):
    """A message's place in the inbox."""

    key: Key
    hash: bytes
    partner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the inbox holds of a message that came before."""

    hash: bytes
    receipt: bytes | None


@dataclass(slots=True, kw_only=True)
class Pending:
    """A message that is not done: waiting, held behind another, to be retried or discarded, or parked."""

    key: Key
    status: str
    partner: str | None
    entity: str
    subject: str | None
    sequence: int | None
    body: bytes
    wait_on: str | None = None
    until: datetime | None = None
    attempts: int = 0
    due: datetime | None = None
    cause: str | None = None
    receipts: int = 0


class Outgoing(NamedTuple):
    """A message on its way out."""

    message_id: str
    type: str
    routing_key: str
    readers: tuple[str, ...]
    body: bytes
    correlationid: str


_PENDING_COLUMNS = (
    "p.source, p.id, p.status, p.partner, p.entity, p.subject, p.sequence, p.body, p.wait_on, p.until,"
    " p.attempts, p.due, p.cause, i.receipts"
)
_FROM_PENDING = (
    f"SELECT {_PENDING_COLUMNS} FROM pending p"
    " JOIN inbox i ON (i.consumer, i.source, i.id) = (p.consumer, p.source, p.id)"
    " WHERE p.consumer = :consumer AND "
)


@cache
def _sql(statement: str) -> TextClause:
    """A statement, read once: there are a few dozen in all, as values are never part of one."""
    return text(statement)


class Storage:
    """The chassis' tables and the aggregates', within one transaction."""

    def __init__(self, connection: AsyncConnection, consumer: str) -> None:
        self.connection = connection
        self._consumer = consumer

    async def enter(self, entries: Sequence[Entry]) -> set[Key]:
        """Writes inbox rows; the keys that were not there before."""
        result = await self.connection.execute(
            _sql(
                "INSERT INTO inbox (consumer, source, id, hash, partner)"
                " SELECT :consumer, * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]),"
                " CAST(:hashes AS bytea[]), CAST(:partners AS text[]))"
                " ON CONFLICT DO NOTHING RETURNING source, id"
            ),
            {
                "consumer": self._consumer,
                "sources": [entry.key[0] for entry in entries],
                "ids": [entry.key[1] for entry in entries],
                "hashes": [entry.hash for entry in entries],
                "partners": [entry.partner for entry in entries],
            },
        )
        return {(source, message_id) for source, message_id in result}

    async def known(self, keys: Collection[Key]) -> dict[Key, Known]:
        """What the inbox holds of these messages."""
        result = await self.connection.execute(
            _sql(
                "SELECT source, id, hash, receipt FROM inbox WHERE consumer = :consumer AND (source, id) IN"
                " (SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])))"
            ),
            {"consumer": self._consumer, "sources": [k[0] for k in keys], "ids": [k[1] for k in keys]},
        )
        return {(row.source, row.id): Known(hash=row.hash, receipt=row.receipt) for row in result}

    async def keep_receipts(self, receipts: dict[Key, tuple[int, bytes]]) -> None:
        """Remembers the last receipt of each submission, and how many there were."""
        await self.connection.execute(
            _sql(
                "UPDATE inbox SET receipts = v.receipts, receipt = v.receipt"
                " FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:counts AS int[]),"
                " CAST(:receipts AS bytea[])) AS v(source, id, receipts, receipt)"
                " WHERE inbox.consumer = :consumer AND (inbox.source, inbox.id) = (v.source, v.id)"
            ),
            {
                "consumer": self._consumer,
                "sources": [key[0] for key in receipts],
                "ids": [key[1] for key in receipts],
                "counts": [count for count, _ in receipts.values()],
                "receipts": [receipt for _, receipt in receipts.values()],
            },
        )

    async def cursors(self, streams: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """How far this consumer is in each stream (entity, subject); locked."""
        result = await self.connection.execute(
            _sql(
                "SELECT entity, subject, sequence FROM cursors"
                " WHERE consumer = :consumer AND (entity, subject) IN"
                " (SELECT * FROM unnest(CAST(:entities AS text[]), CAST(:subjects AS text[])))"
                " ORDER BY entity, subject FOR UPDATE"
            ),
            {
                "consumer": self._consumer,
                "entities": [entity for entity, _ in streams],
                "subjects": [subject for _, subject in streams],
            },
        )
        return {(row.entity, row.subject): row.sequence for row in result}

    async def advance(self, cursors: dict[tuple[str, str], int]) -> None:
        """Moves the cursors of these streams forward."""
        await self.connection.execute(
            _sql(
                "INSERT INTO cursors (consumer, entity, subject, sequence)"
                " SELECT :consumer, * FROM unnest(CAST(:entities AS text[]), CAST(:subjects AS text[]),"
                " CAST(:sequences AS int[]))"
                " ON CONFLICT (consumer, entity, subject) DO UPDATE SET sequence = excluded.sequence"
            ),
            {
                "consumer": self._consumer,
                "entities": [entity for entity, _ in cursors],
                "subjects": [subject for _, subject in cursors],
                "sequences": list(cursors.values()),
            },
        )

    async def load(self, work: UnitOfWork, stores: dict[Any, Store], refs: Iterable[Ref]) -> None:
        """Loads and locks what is asked for: a query a table and lookup, in a fixed order."""
        by_query: dict[tuple[str, str], tuple[Store, str | None, set[Ref]]] = {}
        for ref in refs:
            store = stores[ref.kind]
            column = ref.lookup or "subject"
            by_query.setdefault((store.table.name, column), (store, ref.lookup, set()))[2].add(ref)
        for (table, column), (store, lookup, wanted) in sorted(by_query.items()):
            result = await self.connection.execute(
                _sql(
                    f"SELECT subject, sequences::text AS sequences, body::text AS body FROM {table}"
                    f" WHERE {column} = ANY(CAST(:values AS text[])) ORDER BY subject FOR UPDATE"
                ),
                {"values": [ref.value for ref in wanted]},
            )
            for row in result:
                state = store.adapter.validate_json(row.body)
                loaded = Row(state, _SEQUENCES.validate_json(row.sequences), True)
                work.loaded(store.kind, row.subject, loaded)
            for ref in wanted:
                if lookup is None:
                    work.loaded(store.kind, ref.value, None)
                else:
                    work.looked_up(ref)

    async def save(self, work: UnitOfWork, stores: dict[Any, Store]) -> None:
        """Writes every changed aggregate: one statement a table for the new, one for the known.

        A new one whose key or unique lookup was taken meanwhile fails the batch.
        """
        by_table: dict[tuple[str, bool], tuple[Store, list[tuple[str, Row]]]] = {}
        for kind, key in work.changed:
            row = work.row(kind, key)
            if row.state is None:
                continue
            store = stores[kind]
            by_table.setdefault((store.table.name, row.stored), (store, []))[1].append((key, row))
        for (table, stored), (store, rows) in sorted(by_table.items()):
            rows.sort(key=lambda item: item[0])
            lookups = sorted(store.lookups)
            derived = [*lookups, "due"] if store.due else lookups
            columns = ["subject", "sequences", "body", *derived]
            arrays = ["CAST(:subject AS text[])", "CAST(:sequences AS jsonb[])", "CAST(:body AS jsonb[])"]
            arrays += [f"CAST(:{column} AS text[])" for column in derived]
            values: dict[str, list[Any]] = {
                "subject": [key for key, _ in rows],
                "sequences": [_SEQUENCES.dump_json(dict(row.sequences)).decode() for _, row in rows],
                "body": [store.adapter.dump_json(row.state).decode() for _, row in rows],
            }
            for lookup in lookups:
                values[lookup] = [store.lookups[lookup](row.state) for _, row in rows]
            if store.due:
                times = [store.due(row.state, work.calendar) for _, row in rows]
                values["due"] = [time and _instant(time) for time in times]
            source = f"unnest({', '.join(arrays)})"
            if stored:
                # What a newer version, beside this one in a roll-out, keeps of an aggregate stays there.
                merged = {column: f"{table}.{column} || v.{column}" for column in ("sequences", "body")}
                changes = ", ".join(f"{column} = {merged.get(column, f'v.{column}')}" for column in columns[1:])
                statement = (
                    f"UPDATE {table} SET {changes} FROM {source} AS v({', '.join(columns)})"
                    f" WHERE {table}.subject = v.subject"
                )
            else:
                statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM {source}"
            await self.connection.execute(_sql(statement), values)
        work.stored()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Puts messages in the outbox, in order, and wakes whoever relays them."""
        await self.connection.execute(
            _sql(
                "INSERT INTO outbox (message_id, type, routing_key, readers, body, correlationid)"
                " SELECT message_id, type, routing_key, string_to_array(readers, ' '), body, correlationid"
                " FROM unnest(CAST(:ids AS text[]), CAST(:types AS text[]), CAST(:keys AS text[]),"
                " CAST(:readers AS text[]), CAST(:bodies AS bytea[]), CAST(:cases AS text[])) WITH ORDINALITY"
                " AS v(message_id, type, routing_key, readers, body, correlationid, place) ORDER BY place"
            ),
            {
                "ids": [message.message_id for message in messages],
                "types": [message.type for message in messages],
                "keys": [message.routing_key for message in messages],
                "readers": [" ".join(message.readers) for message in messages],
                "bodies": [message.body for message in messages],
                "cases": [message.correlationid for message in messages],
            },
        )
        await self.connection.execute(_sql("SELECT pg_notify('outbox', '')"))

    async def share(self, correlationid: str, partner: str, types: Sequence[str]) -> None:
        """Sends a partner the facts of a case that were published before it was party to it.

        The same messages under the same ids, to its queue alone.
        """
        await self.connection.execute(
            _sql(
                "INSERT INTO outbox (message_id, type, routing_key, readers, body, correlationid)"
                " SELECT o.message_id, o.type, :queue, '{}', o.body, o.correlationid FROM outbox o"
                " WHERE o.correlationid = :correlationid AND o.type = ANY(CAST(:types AS text[]))"
                " AND o.routing_key NOT LIKE 'aan.%' AND o.routing_key NOT LIKE '%.feiten'"
                " AND NOT :partner = ANY(o.readers)"
                " AND NOT EXISTS (SELECT 1 FROM outbox s WHERE s.correlationid = :correlationid"
                " AND s.message_id = o.message_id AND s.routing_key = :queue) ORDER BY o.position"
            ),
            {
                "correlationid": correlationid,
                "partner": partner,
                "queue": names.partner_queue(partner),
                "types": list(types),
            },
        )

    async def request(self, effects: Sequence[Effect], traceparents: Sequence[str | None]) -> None:
        """Records effects to be carried out; one that is there already stays as it is."""
        await self.connection.execute(
            _sql(
                "INSERT INTO effects (key, kind, payload, traceparent)"
                " SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:kinds AS text[]),"
                " CAST(:payloads AS jsonb[]), CAST(:traceparents AS text[])) ON CONFLICT (key) DO NOTHING"
            ),
            {
                "keys": [effect.key for effect in effects],
                "kinds": [effect.kind for effect in effects],
                "payloads": [_PAYLOAD.dump_json(effect.payload).decode() for effect in effects],
                "traceparents": list(traceparents),
            },
        )
        await self.connection.execute(_sql("SELECT pg_notify('effects', '')"))

    async def set_aside(self, messages: Collection[Pending]) -> None:
        """Keeps messages that are not done, in their newest state."""
        await self.connection.execute(
            _sql(
                "INSERT INTO pending (consumer, source, id, status, partner, entity, subject, sequence, body,"
                " wait_on, until, attempts, due, cause)"
                " SELECT :consumer, * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]),"
                " CAST(:statuses AS text[]), CAST(:partners AS text[]), CAST(:entities AS text[]),"
                " CAST(:subjects AS text[]), CAST(:sequences AS int[]), CAST(:bodies AS bytea[]),"
                " CAST(:wait_ons AS text[]), CAST(:untils AS timestamptz[]), CAST(:attempts AS int[]),"
                " CAST(:dues AS timestamptz[]), CAST(:causes AS text[]))"
                " ON CONFLICT (consumer, source, id) DO UPDATE SET status = excluded.status,"
                " wait_on = excluded.wait_on, until = excluded.until, attempts = excluded.attempts,"
                " due = excluded.due, cause = excluded.cause"
            ),
            {
                "consumer": self._consumer,
                "sources": [message.key[0] for message in messages],
                "ids": [message.key[1] for message in messages],
                "statuses": [message.status for message in messages],
                "partners": [message.partner for message in messages],
                "entities": [message.entity for message in messages],
                "subjects": [message.subject for message in messages],
                "sequences": [message.sequence for message in messages],
                "bodies": [message.body for message in messages],
                "wait_ons": [message.wait_on for message in messages],
                "untils": [message.until for message in messages],
                "attempts": [message.attempts for message in messages],
                "dues": [message.due for message in messages],
                "causes": [message.cause for message in messages],
            },
        )

    async def done(self, keys: Collection[Key]) -> None:
        """Forgets pending rows of messages that are done now."""
        await self.connection.execute(
            _sql(
                "DELETE FROM pending WHERE consumer = :consumer AND (source, id) IN"
                " (SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])))"
            ),
            {"consumer": self._consumer, "sources": [k[0] for k in keys], "ids": [k[1] for k in keys]},
        )

    async def forget_attempt(self, key: Key) -> None:
        """A message that was tried alone is settled, or set aside in another way."""
        await self.connection.execute(
            _sql(
                "DELETE FROM pending WHERE status = 'attempting'"
                " AND (consumer, source, id) = (:consumer, :source, :id)"
            ),
            {"consumer": self._consumer, "source": key[0], "id": key[1]},
        )

    async def park(self, key: Key) -> None:
        """Parks a message that was to be retried, before it is tried once more."""
        await self.connection.execute(
            _sql(
                "UPDATE pending SET status = 'parked' WHERE status = 'retry'"
                " AND (consumer, source, id) = (:consumer, :source, :id)"
            ),
            {"consumer": self._consumer, "source": key[0], "id": key[1]},
        )

    async def attempt(self, message: Pending) -> int:
        """Writes down that this message is about to be tried alone; how often that was done."""
        attempts = await self.connection.scalar(
            _sql(
                "INSERT INTO pending (consumer, source, id, status, partner, entity, subject, sequence, body,"
                " attempts) VALUES (:consumer, :source, :id, 'attempting', :partner, :entity, :subject,"
                " :sequence, :body, 1)"
                " ON CONFLICT (consumer, source, id) DO UPDATE SET attempts = pending.attempts + 1"
                " RETURNING attempts"
            ),
            {
                "consumer": self._consumer,
                "source": message.key[0],
                "id": message.key[1],
                "partner": message.partner,
                "entity": message.entity,
                "subject": message.subject,
                "sequence": message.sequence,
                "body": message.body,
            },
        )
        return int(attempts or 0)

    async def woken(self, changed: Collection[str], streams: dict[tuple[str, str], int]) -> list[Pending]:
        """What waited for these aggregates, and what was held behind the heads of these streams."""
        return await self._pending(
            "(p.status = 'waiting' AND p.wait_on = ANY(CAST(:changed AS text[]))"
            " OR p.status = 'held' AND (p.entity, p.subject, p.sequence) IN"
            " (SELECT * FROM unnest(CAST(:entities AS text[]), CAST(:subjects AS text[]), CAST(:next AS int[]))))",
            changed=list(changed),
            entities=[entity for entity, _ in streams],
            subjects=[subject for _, subject in streams],
            next=[sequence + 1 for sequence in streams.values()],
        )

    async def due(self, now: datetime, today: datetime, limit: int) -> list[Pending]:
        """What is to be retried or discarded by `now` (real time), or has waited until `today` (calendar time)."""
        return await self._pending(
            "(p.status = 'retry' AND p.due <= :now OR p.status = 'discard' AND p.due <= :now"
            " OR p.status = 'waiting' AND p.until <= :today)",
            limit=limit,
            now=now,
            today=today,
        )

    async def overdue(
        self, store: Store, now: datetime, *, limit: int = 1000, keys: Sequence[str] | None = None
    ) -> list[str]:
        """The aggregates, or those of `keys`, that are due (calendar time) and that nobody else has in hand."""
        result = await self.connection.scalars(
            _sql(
                f"SELECT subject FROM {store.table.name} WHERE due <= :now"
                f"{'' if keys is None else ' AND subject = ANY(CAST(:keys AS text[]))'}"
                " ORDER BY due, subject LIMIT :limit FOR UPDATE SKIP LOCKED"
            ),
            {"now": _instant(now), "limit": limit, **({} if keys is None else {"keys": list(keys)})},
        )
        return list(result)

    async def postpone(self, due: Iterable[tuple[Store, str]], until: datetime) -> None:
        """Has these aggregates, which are locked, fall due later than they say."""
        by_table: dict[str, list[str]] = {}
        for store, key in due:
            by_table.setdefault(store.table.name, []).append(key)
        for table, keys in sorted(by_table.items()):
            await self.connection.execute(
                _sql(f"UPDATE {table} SET due = :until WHERE subject = ANY(CAST(:keys AS text[]))"),
                {"until": _instant(until), "keys": keys},
            )

    async def claim(self, keys: Collection[Key], *, parked: bool = False) -> list[Pending]:
        """Those of these messages that are still set aside and that nobody else has in hand."""
        return await self._pending(
            "p.status = ANY(CAST(:statuses AS text[])) AND (p.source, p.id) IN"
            " (SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])))",
            statuses=[PARKED] if parked else [WAITING, HELD, RETRY, DISCARD],
            sources=[key[0] for key in keys],
            ids=[key[1] for key in keys],
        )

    async def waiting(self, limit: int) -> list[Pending]:
        """What waits: judged again from time to time, in case a change was missed."""
        return await self._pending("p.status = 'waiting'", limit=limit)

    async def has_pending(self) -> bool:
        """Whether anything could be woken, retried or expired."""
        found = await self.connection.scalar(
            _sql(
                "SELECT EXISTS (SELECT 1 FROM pending WHERE consumer = :consumer"
                " AND status IN ('waiting', 'held', 'retry', 'discard'))"
            ),
            {"consumer": self._consumer},
        )
        return bool(found)

    async def _pending(self, condition: str, limit: int = 1000, **values: Any) -> list[Pending]:
        result = await self.connection.execute(
            _sql(_FROM_PENDING + condition + " ORDER BY p.position LIMIT :limit FOR UPDATE OF p SKIP LOCKED"),
            {"consumer": self._consumer, "limit": limit, **values},
        )
        return [
            Pending(
                key=(row.source, row.id),
                status=row.status,
                partner=row.partner,
                entity=row.entity,
                subject=row.subject,
                sequence=row.sequence,
                body=bytes(row.body),
                wait_on=row.wait_on,
                until=row.until,
                attempts=row.attempts,
                due=row.due,
                cause=row.cause,
                receipts=row.receipts,
            )
            for row in result
        ]


def _instant(time: datetime) -> str:
    """As text that sorts by time. Whole seconds: a time between two is noted too early, and looked at again."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
