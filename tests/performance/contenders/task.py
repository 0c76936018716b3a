"""What a contender is told: where to take messages from, and what must come of each."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractExchange
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from services.chassis.names import partner_queue
from services.chassis.wire import CONTENT_TYPE
from tests.performance.loads import PARTNER, Outgoing

VARIABLE: Final = "PRAKTIJKBUS_PERFORMANCE_TASK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A message to be published."""

    id: str
    type: str
    routing_key: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Task:
    amqp_url: str
    database_url: str
    queue: str
    exchange: str
    outgoing: list[Outgoing] = field(default_factory=list)
    in_flight: int
    """Messages that may be unacknowledged at once."""
    batch: int
    """Messages acknowledged together; 1: each by itself."""

    @classmethod
    def given(cls) -> Self:
        """The task in the environment of this process."""
        found: Self = TypeAdapter(cls).validate_json(os.environ[VARIABLE])
        return found

    def environment(self) -> dict[str, str]:
        return {VARIABLE: TypeAdapter(Task).dump_json(self).decode()}

    def following(self, cause: str) -> Iterator[Following]:
        """What must come of the message with that id: written anew each time, under an id of its own."""
        for item, content in self._contents:
            message_id = str(uuid4())
            body = to_json({**content, "id": message_id, "causationid": cause})
            yield Following(id=message_id, type=item.type, routing_key=item.routing_key, body=body)

    @cached_property
    def _contents(self) -> list[tuple[Outgoing, dict[str, Any]]]:
        return [(item, from_json(item.body)) for item in self.outgoing]


HEADERS: Final[dict[str, Any]] = {"BCC": [partner_queue(PARTNER)]}
"""To the same reader as ours, by sender-selected distribution."""


async def publish(exchange: AbstractExchange, item: Following) -> None:
    """Publishes one message and waits for the broker's confirm."""
    message = aio_pika.Message(
        item.body,
        message_id=item.id,
        type=item.type,
        content_type=CONTENT_TYPE,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        headers=HEADERS,
    )
    await exchange.publish(message, item.routing_key, mandatory=True)
