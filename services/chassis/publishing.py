"""Publishing a window of messages at once: one write to the socket, one wait for what the broker says of them.

aiormq's own `basic_publish` makes a task, a timeout, three callbacks and a write of each message. The
numbering of messages and the reading of confirms stay aiormq's.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import pamqp.frame
from aiormq import Channel, spec
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

_PERSISTENT: Final = 2


class Publication(NamedTuple):
    """A message for the exchange of its window; `readers` are queues that get it besides what is bound."""

    message_id: str
    type: str
    routing_key: str
    readers: Sequence[str]
    body: bytes


class _Window:
    """What was heard of each message, by its place, and whether that is all."""

    def __init__(self, size: int) -> None:
        self.outcomes: dict[int, Exception | None] = {}
        self.complete = asyncio.get_running_loop().create_future()
        self._size = size

    def settle(self, place: int, error: Exception | None) -> None:
        self.outcomes[place] = error
        if len(self.outcomes) == self._size and not self.complete.done():
            self.complete.set_result(None)


class _Confirmation:
    """Where aiormq keeps a future of each message: told once what became of it."""

    __slots__ = ("_place", "_told", "_window")

    def __init__(self, window: _Window, place: int) -> None:
        self._window = window
        self._place = place
        self._told = False

    def done(self) -> bool:
        return self._told

    def cancelled(self) -> bool:
        return False

    def set_result(self, _: object) -> None:
        self._told = True
        self._window.settle(self._place, None)

    def set_exception(self, error: Exception) -> None:
        self._told = True
        self._window.settle(self._place, error)


async def publish(
    channel: Channel,
    exchange: str,
    messages: Sequence[Publication],
    *,
    app_id: str,
    content_type: str,
    within: float,
) -> list[Exception | None]:
    """Publishes persistent messages; for each, in order, None once the broker confirmed it, or why it did not.

    That is an error of AMQP where no queue took it or the broker refused it; a ConnectionError where the channel
    was lost and a TimeoutError where `within` seconds passed before it was heard of, and nobody knows.
    """
    window = _Window(len(messages))
    confirmations: dict[int, Any] = channel.confirmations
    async with channel.lock:
        written: list[bytes] = []
        for place, message in enumerate(messages):
            channel.delivery_tag += 1
            confirmations[channel.delivery_tag] = _Confirmation(window, place)
            channel.message_id_delivery_tag[message.message_id] = channel.delivery_tag
            written += _frames(channel, exchange, message, app_id, content_type)
        await channel.write_queue.put(ChannelFrame(payload=b"".join(written), should_close=False))
    closing = channel.closing
    await asyncio.wait({window.complete, closing}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    unheard = (
        ConnectionError("lost before the broker confirmed") if closing.done() else TimeoutError("not confirmed")
    )
    closing.cancel()
    for message in messages:
        channel.message_id_delivery_tag.pop(message.message_id, None)
    return [window.outcomes.get(place, unheard) for place in range(len(messages))]


def _frames(channel: Channel, exchange: str, message: Publication, app_id: str, content_type: str) -> list[bytes]:
    properties = spec.Basic.Properties(
        message_id=message.message_id,
        message_type=message.type,
        app_id=app_id,
        content_type=content_type,
        delivery_mode=_PERSISTENT,
        headers={"BCC": list(message.readers)} if message.readers else {},
    )
    body, size = message.body, channel.max_content_size
    header = ContentHeader(properties=properties, body_size=len(body))
    return [
        _method(channel.number, exchange, message.routing_key),
        pamqp.frame.marshal(header, channel.number),
        *(
            pamqp.frame.marshal(ContentBody(body[start : start + size]), channel.number)
            for start in range(0, len(body), size)
        ),
    ]


@lru_cache(maxsize=1024)
def _method(number: int, exchange: str, routing_key: str) -> bytes:
    publishing = spec.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    return pamqp.frame.marshal(publishing, number)
