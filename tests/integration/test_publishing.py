"""A window of messages on its way to the broker: each is confirmed, refused, or unheard of."""

from collections.abc import AsyncIterator

import pytest
from aio_pika.abc import AbstractConnection
from aiormq import Channel
from aiormq.exceptions import PublishError

from deploy.local.broker import MAX_MESSAGE_BYTES, Broker
from services.chassis.amqp import connected
from services.chassis.publishing import Publication, publish
from services.chassis.telemetry import new_uuid

DIRECT = "amq.direct"


@pytest.fixture
async def connection(broker: Broker) -> AsyncIterator[AbstractConnection]:
    async with connected(broker.address.amqp_url()) as made:
        yield made


@pytest.fixture
async def channel(connection: AbstractConnection) -> Channel:
    found = await (await connection.channel(publisher_confirms=True, on_return_raises=True)).get_underlay_channel()
    assert isinstance(found, Channel)
    return found


async def declare(channel: Channel, *keys: str) -> str:
    """A queue that gets what has one of these keys; its name."""
    queue = (await channel.queue_declare(f"venster-{new_uuid()}", exclusive=True)).queue
    assert queue is not None
    for key in (*keys, queue):
        await channel.queue_bind(queue, DIRECT, key)
    return queue


def publication(key: str, body: bytes = b"{}", *readers: str) -> Publication:
    return Publication(new_uuid(), "nl.praktijkverklaringen.venster.v1", key, readers, body)


async def send(
    channel: Channel, *messages: Publication, exchange: str = DIRECT, within: float = 20.0
) -> list[Exception | None]:
    return await publish(
        channel, exchange, messages, app_id="toets", content_type="application/json", within=within
    )


async def test_all_of_a_window_arrives_in_order_and_whole(channel: Channel) -> None:
    key = new_uuid()
    queue = await declare(channel, key)
    longer_than_a_frame = bytes(MAX_MESSAGE_BYTES // 8) * 7
    sent = [publication(key, body) for body in (b"een", longer_than_a_frame, b"", b"twee")]
    assert await send(channel, *sent) == [None] * 4
    found = [await channel.basic_get(queue, no_ack=True) for _ in sent]
    assert [message.body for message in found] == [message.body for message in sent]
    assert [message.header.properties.message_id for message in found] == [item.message_id for item in sent]
    assert {message.header.properties.delivery_mode for message in found} == {2}


async def test_readers_get_a_copy_and_do_not_see_who_else_does(channel: Channel) -> None:
    key = new_uuid()
    bound, reader = await declare(channel, key), await declare(channel)
    assert await send(channel, publication(key, b"{}", reader)) == [None]
    for queue in (bound, reader):
        message = await channel.basic_get(queue, no_ack=True)
        assert "BCC" not in (message.header.properties.headers or {})
        assert message.body == b"{}"


async def test_what_no_queue_takes_is_an_error_in_its_own_place(channel: Channel) -> None:
    key = new_uuid()
    await declare(channel, key)
    outcomes = await send(channel, publication(key), publication("niemand"), publication(key))
    assert [type(outcome) for outcome in outcomes] == [type(None), PublishError, type(None)]
    assert await send(channel, publication(key)) == [None]


async def test_nobody_knows_what_became_of_a_window_when_the_channel_goes(channel: Channel) -> None:
    outcomes = await send(channel, publication("x"), publication("y"), exchange="bestaat-niet")
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 2
    assert channel.is_closed


async def test_a_broker_that_does_not_answer_in_time_is_told_from_one_that_refused(channel: Channel) -> None:
    key = new_uuid()
    await declare(channel, key)
    outcomes = await send(channel, publication(key), publication(key), within=0.0)
    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 2
