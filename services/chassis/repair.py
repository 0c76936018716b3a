"""What an operator may do by hand to what a service could not: look at it, retry it, discard it.

A deed marks rows and writes down who did it and why, in one transaction; the running service takes it from
there by the same path as all other work, within a second. Where it is down, it does so when it starts.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.catalogue import CATALOGUE
from contracts.envelope import FactEnvelope, SubmissionEnvelope
from contracts.fields import PartnerId
from services.chassis import names, wire

EFFECT: Final = "effect"
"""What kind of thing was parked: a fact, a partner's submission, or an effect such as a mail."""


class Deed(StrEnum):
    RETRY = "retry"
    DISCARD = "discard"
    REPLAY = "replay"


class Reden(StrEnum):
    """Why somebody stepped in. Never free text: that may name a person."""

    VERHOLPEN = "verholpen"
    """What made it fail is mended."""
    TIJDELIJK = "tijdelijk"
    """It failed by something that has passed."""
    ACHTERHAALD = "achterhaald"
    """It matters no more: what it says came in another way, or happened without it."""
    ONBRUIKBAAR = "onbruikbaar"
    """Nobody can make anything of it."""
    VERZOEK = "verzoek"
    """Its sender or reader asked for it."""
    HERSTEL = "herstel"
    """A database was put back from a copy."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who steps in, and why."""

    door: str
    reden: Reden


_DOOR: Final = TypeAdapter(Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")])


def author(door: str, reden: Reden) -> Author:
    """Who steps in, and why.

    Raises:
        ValueError: `door` is no name of an account.
    """
    try:
        return Author(_DOOR.validate_python(door), reden)
    except ValidationError:
        raise ValueError("an account name: letters, digits and . _ @ -, 64 at most") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Something a service gave up on until somebody decides. `handle` names it within its consumer."""

    consumer: str
    handle: str
    kind: str
    """`feit`, `melding` or `effect`."""
    what: str
    """The stream or, of an effect, what was to be done."""
    subject: str | None
    cause: str
    attempts: int
    since: datetime
    holds_back: int
    """Later facts of the same stream that wait for it."""
    source: str | None = None
    id: str | None = None
    partner: str | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One parked thing with what it says, as far as that names no person."""

    parked: Parked
    content: dict[str, Any] | None
    """None where nobody can read it."""
    bytes: int


_PARKED: Final = """
    SELECT CAST(p.position AS text) AS handle, CASE WHEN p.partner IS NULL THEN 'feit' ELSE 'melding' END AS kind,
           p.entity AS what, p.subject, coalesce(p.cause, '') AS cause, p.attempts, p.created AS since,
           (SELECT count(*) FROM pending h WHERE h.consumer = p.consumer AND h.status = 'held'
            AND h.entity = p.entity AND h.subject = p.subject AND h.sequence > p.sequence) AS holds_back,
           p.source, p.id, p.partner, p.sequence
    FROM pending p WHERE p.status = 'parked' AND p.consumer = :consumer
    UNION ALL
    SELECT key, 'effect', kind, NULL, coalesce(cause, ''), attempts, created, 0, NULL, NULL, NULL, NULL
    FROM effects WHERE status = 'failed'
"""


async def parked(connection: AsyncConnection, consumer: str, cause: str | None = None) -> list[Parked]:
    """What is parked in a service's database, or failed for good; the oldest first."""
    rows = await connection.execute(
        text(
            f"SELECT * FROM ({_PARKED}) AS found WHERE CAST(:cause AS text) IS NULL OR cause = :cause"
            " ORDER BY since, handle"
        ),
        {"consumer": consumer, "cause": cause},
    )
    return [Parked(consumer=consumer, **row) for row in rows.mappings()]


async def detail(connection: AsyncConnection, consumer: str, handle: str) -> Detail | None:
    """One parked thing; None where there is no such."""
    found = next((item for item in await parked(connection, consumer) if item.handle == handle), None)
    if found is None:
        return None
    if found.kind == EFFECT:
        payload = await connection.scalar(
            text("SELECT payload::text FROM effects WHERE key = :handle"), {"handle": handle}
        )
        return Detail(parked=found, content=json.loads(payload or "{}"), bytes=len(payload or ""))
    body = bytes(
        await connection.scalar(
            text("SELECT body FROM pending WHERE position = CAST(:handle AS bigint)"), {"handle": int(handle)}
        )
        or b""
    )
    return Detail(parked=found, content=_readable(body, found.partner), bytes=len(body))


def _readable(body: bytes, partner: str | None) -> dict[str, Any] | None:
    """What a message says; of a submission without the person. None where it does not fit its contract.

    What fits has a pattern or an enum in every field, so that nothing in it can be a name.
    """
    try:
        if partner is None:
            wire.decode(body)
            return FactEnvelope.model_validate_json(body, extra="ignore").model_dump(
                mode="json", exclude_none=True
            )
        content = SubmissionEnvelope.model_validate_json(body).model_dump(mode="json", exclude_none=True)
        model = CATALOGUE[content["type"]].submission
        if model is None:
            return None
        model.model_validate(content["data"])
    except (wire.Unusable, ValidationError, KeyError):
        return None
    return {**content, "data": {name: value for name, value in content["data"].items() if name != "persoon"}}


_RETRY_MESSAGES: Final = text(
    "UPDATE pending SET status = 'retry', attempts = 0, due = now()"
    " WHERE consumer = :consumer AND status = 'parked' AND position = ANY(CAST(:positions AS bigint[]))"
    " RETURNING CAST(position AS text) AS handle"
)
_DISCARD_MESSAGES: Final = text(
    "UPDATE pending SET status = 'discard', due = now()"
    " WHERE consumer = :consumer AND status = 'parked' AND position = ANY(CAST(:positions AS bigint[]))"
    " RETURNING CAST(position AS text) AS handle"
)
_RETRY_EFFECTS: Final = text(
    "UPDATE effects SET status = 'open', attempts = 0, due = now(), done = NULL"
    " WHERE status = 'failed' AND key = ANY(CAST(:keys AS text[])) RETURNING key AS handle"
)
_DISCARD_EFFECTS: Final = text(
    "UPDATE effects SET status = 'discarded', done = now()"
    " WHERE status = 'failed' AND key = ANY(CAST(:keys AS text[])) RETURNING key AS handle"
)


async def retry(connection: AsyncConnection, items: Collection[Parked], by: Author) -> int:
    """Lets the service try these again, as if for the first time; how many were still parked."""
    return await _do(connection, Deed.RETRY, items, by, _RETRY_MESSAGES, _RETRY_EFFECTS)


async def discard(connection: AsyncConnection, items: Collection[Parked], by: Author) -> int:
    """Gives these up; how many were still parked.

    The sender of a submission gets its final receipt (`verworpen`); what a fact held back goes on without it.
    """
    return await _do(connection, Deed.DISCARD, items, by, _DISCARD_MESSAGES, _DISCARD_EFFECTS)


async def _do(
    connection: AsyncConnection, deed: Deed, items: Collection[Parked], by: Author, messages: Any, effects: Any
) -> int:
    by_handle = {(item.kind == EFFECT, item.handle): item for item in items}
    done: list[Parked] = []
    for consumer in {item.consumer for item in items}:
        positions = [int(item.handle) for item in items if item.kind != EFFECT and item.consumer == consumer]
        rows = await connection.scalars(messages, {"consumer": consumer, "positions": positions})
        done += [by_handle[False, handle] for handle in rows]
    keys = [item.handle for item in items if item.kind == EFFECT]
    done += [by_handle[True, handle] for handle in await connection.scalars(effects, {"keys": keys})]
    await record(connection, deed, by, [_about(item) for item in done])
    return len(done)


def _about(item: Parked) -> dict[str, Any]:
    about = {
        "consumer": item.consumer,
        "kind": item.kind,
        "what": item.what,
        "source": item.source,
        "id": item.id or item.handle,
        "subject": item.subject,
        "sequence": item.sequence,
        "cause": item.cause,
        "attempts": item.attempts,
    }
    return {name: value for name, value in about.items() if value is not None}


async def record(connection: AsyncConnection, deed: Deed, by: Author, abouts: Sequence[dict[str, Any]]) -> None:
    """Writes down what was done by hand, in the caller's transaction."""
    await connection.execute(
        text(
            "INSERT INTO repairs (deed, by, reason, about)"
            " SELECT :deed, :by, :reason, v.about FROM unnest(CAST(:abouts AS jsonb[])) AS v(about)"
        ),
        {
            "deed": deed.value,
            "by": by.door,
            "reason": by.reden.value,
            "abouts": [json.dumps(about) for about in abouts],
        },
    )


async def addressed_to(connection: AsyncConnection, partner: PartnerId, types: Collection[str]) -> set[str]:
    """The ids of the facts of these types that their owner addressed to a partner, or shared with it later.

    What its owner wrote down then is the record of who may read a fact: who is party now says nothing of it.
    """
    found = await connection.scalars(
        text(
            "SELECT message_id FROM outbox WHERE type = ANY(CAST(:types AS text[]))"
            " AND (:partner = ANY(readers) OR routing_key = :queue)"
        ),
        {"types": list(types), "partner": partner, "queue": names.partner_queue(partner)},
    )
    return set(found)
