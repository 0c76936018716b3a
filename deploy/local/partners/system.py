"""One partner's system: records before it acknowledges, and sends until the broker has confirmed.

What it does is a function of what it received, so after a crash it picks up where it was: reactions have ids
derived from what they react to, and what was recorded once is not recorded again.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.catalogue import CATALOGUE
from contracts.fields import Rol
from contracts.model import Data
from contracts.partners import Partner
from deploy.local.client import PartnerClient, submission
from deploy.local.partners import records
from services.chassis.database import is_passing

_IDS: Final = UUID("2f3f0c2e-98b5-4a52-a8f0-9d7f51d1c0aa")
_TOGETHER: Final = 100
_PAUSE: Final = 0.5
"""Seconds before a partner that lost its connection tries again."""


@dataclass(frozen=True)
class Event:
    """A fact or receipt as the partner reads it."""

    id: str
    name: str
    """`<stream>.<event>`"""
    subject: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """Something the partner wants to submit."""

    fact: type[Data]
    data: Data | None = None
    subject: str | None = None
    namens: Rol | None = None
    referentie: str | None = None


class Behaviour:
    """What a partner's people and programs do. Subclasses react to facts with claims."""

    def __init__(self, partner: Partner) -> None:
        self.partner = partner

    def begin(self) -> Iterable[tuple[str, Claim]]:
        """What it does of its own accord: claims, each with the reason that makes it that one."""
        return ()

    def react(self, event: Event) -> Iterable[Claim]:
        """What it does on reading this. Called once an event, in order; remembers what it needs."""
        return ()


class PartnerSystem:
    """Runs a behaviour on one account."""

    def __init__(self, make_behaviour: Callable[[], Behaviour], amqp_url: str, engine: AsyncEngine) -> None:
        """`make_behaviour` makes one that remembers nothing yet."""
        self._make_behaviour = make_behaviour
        self._behaviour = make_behaviour()
        self.partner = self._behaviour.partner
        self._amqp_url = amqp_url
        self._engine = engine
        self._something_to_send = asyncio.Event()
        self._incoming: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()

    async def run(self) -> None:
        """Works until cancelled; begins again when it loses the broker or its database."""
        while True:
            try:
                await self._work()
            except Exception as error:
                if not _passes(error):
                    raise
                await asyncio.sleep(_PAUSE)

    async def _work(self) -> None:
        self._behaviour = self._make_behaviour()
        self._incoming = asyncio.Queue()
        await self._pick_up()
        async with PartnerClient(self._amqp_url, self.partner.id) as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(client))
            tasks.create_task(self._read())
            tasks.create_task(self._send(client))

    async def _pick_up(self) -> None:
        """Rebuilds what it knows from its own records."""
        async with self._engine.begin() as connection:
            claims = [*self._behaviour.begin()]
            for message in await records.history(connection, self.partner.id):
                claims += self._claims_on(message)
            await records.write_to_send(connection, self.partner.id, self._submissions(claims))
        self._something_to_send.set()

    async def _listen(self, client: PartnerClient) -> None:
        async for message in client.messages():
            self._incoming.put_nowait(message)
        raise ConnectionError("the broker ended the subscription")

    async def _read(self) -> None:
        while True:
            taken = [await self._incoming.get()]
            while not self._incoming.empty() and len(taken) < _TOGETHER:
                taken.append(self._incoming.get_nowait())
            contents = [json.loads(message.body) for message in taken]
            async with self._engine.begin() as connection:
                new = await records.write_received(connection, self.partner.id, contents)
                claims = []
                for content in contents:
                    if content["id"] in new:
                        new.discard(content["id"])
                        claims += self._claims_on(content)
                await records.write_to_send(connection, self.partner.id, self._submissions(claims))
            for message in taken:
                await message.ack()
            if claims:
                self._something_to_send.set()

    def _claims_on(self, message: dict[str, Any]) -> list[tuple[str, Claim]]:
        _, _, entity, event, _ = message["type"].split(".")
        read = Event(message["id"], f"{entity}.{event}", message["subject"], message["data"])
        return [(f"{read.id}:{number}", claim) for number, claim in enumerate(self._behaviour.react(read))]

    def _submissions(self, claims: Iterable[tuple[str, Claim]]) -> list[tuple[str, str, bytes]]:
        source = sorted(self.partner.sources)[0]
        made = []
        for reason, claim in claims:
            event_type = CATALOGUE.of(claim.fact)
            message_id = str(uuid5(_IDS, f"{self.partner.id}:{reason}:{event_type.name}"))
            body = submission(
                event_type,
                source,
                message_id,
                claim.data,
                subject=claim.subject,
                namens=claim.namens,
                referentie=claim.referentie,
            )
            made.append((message_id, event_type.routing_key, body))
        return made

    async def _send(self, client: PartnerClient) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while await self._send_some(client):
                pass

    async def _send_some(self, client: PartnerClient) -> int:
        async with self._engine.connect() as connection:
            rows = await records.unsent(connection, self.partner.id, _TOGETHER)
        if not rows:
            return 0
        await asyncio.gather(
            *(client.publish(bytes(row.body), row.routing_key, message_id=row.id) for row in rows)
        )
        async with self._engine.begin() as connection:
            await records.mark_sent(connection, [row.place for row in rows])
        return len(rows)


def _passes(error: BaseException) -> bool:
    """Whether it is trouble with a connection, or nothing but such trouble."""
    if isinstance(error, BaseExceptionGroup):
        return all(_passes(one) for one in error.exceptions)
    return isinstance(error, AMQPError | RuntimeError) or is_passing(error)
