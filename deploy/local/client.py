"""A partner's side of the bus, as small as it can be: publish to one exchange, read one queue.

Speaks AMQP by the contracts alone, as a partner's own system would.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pydantic_core import to_json

from contracts.catalogue import CATALOGUE, EventType
from contracts.envelope import CONTENT_TYPE
from contracts.fields import PartnerId
from contracts.model import Data, Leeg
from services.chassis.amqp import connected


def submission(
    event_type: EventType,
    source: str,
    message_id: str,
    data: Data | None = None,
    *,
    subject: str | None = None,
    time: datetime | None = None,
    referentie: str | None = None,
    namens: str | None = None,
) -> bytes:
    """A submission as CloudEvents structured JSON."""
    return to_json(
        {
            "specversion": "1.0",
            "id": message_id,
            "source": source,
            "type": event_type.name,
            "subject": subject,
            "time": time or datetime.now(UTC),
            "referentie": referentie,
            "namens": namens,
            "data": data or Leeg(),
        },
        exclude_none=True,
    )


class PartnerClient:
    """One partner's connection: `publish` waits for the broker's confirm, `messages` reads the own queue.

    A lost connection shows as an error; whoever uses it begins again. `prefetch` is how many unacknowledged
    messages the broker hands over at most; 0 for all there are.
    """

    def __init__(self, amqp_url: str, partner: PartnerId, *, prefetch: int = 200) -> None:
        self.partner = partner
        self._prefetch = prefetch
        self._amqp_url = amqp_url
        self._open = AsyncExitStack()
        self._channel: AbstractChannel | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(connected(self._amqp_url))
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.set_qos(prefetch_count=self._prefetch)
            self._channel = channel
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def publish(
        self,
        body: bytes,
        routing_key: str,
        *,
        message_id: str | None = None,
        content_type: str = CONTENT_TYPE,
        headers: Mapping[str, Any] | None = None,
        exchange: str | None = None,
    ) -> None:
        """Publishes to the partner's own exchange; returns when the broker has it safely.

        Raises:
            aio_pika.exceptions.DeliveryError: the queue is full; slow down and try again.
        """
        assert self._channel is not None
        target = await self._channel.get_exchange(exchange or f"van.{self.partner}", ensure=False)
        message = aio_pika.Message(
            body,
            message_id=message_id,
            content_type=content_type,
            headers=dict(headers or {}),
            user_id=self.partner,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await target.publish(message, routing_key, mandatory=True, timeout=30)

    async def submit(
        self, fact: type[Data], source: str, message_id: str, data: Data | None = None, **envelope: Any
    ) -> None:
        """Publishes a submission of the event type of `fact`."""
        event_type = CATALOGUE.of(fact)
        body = submission(event_type, source, message_id, data, **envelope)
        await self.publish(body, event_type.routing_key, message_id=message_id)

    async def listen(self, take: Callable[[AbstractIncomingMessage], Awaitable[None]]) -> None:
        """Hands over everything in the partner's queue as it comes; `take` acknowledges.

        Raises:
            ConnectionError: the broker ended it.
        """
        assert self._channel is not None
        source = await self._channel.get_queue(f"aan.{self.partner}", ensure=False)
        await source.consume(take)
        await self._channel.closed()
        raise ConnectionError("the broker ended the subscription")

    async def messages(self, queue: str | None = None) -> AsyncIterator[AbstractIncomingMessage]:
        """Everything in the partner's queue as it comes; the reader acknowledges."""
        assert self._channel is not None
        source = await self._channel.get_queue(queue or f"aan.{self.partner}", ensure=False)
        async with source.iterator() as incoming:
            async for message in incoming:
                yield message
