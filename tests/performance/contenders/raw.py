"""aio-pika alone: take, publish what must come of it, wait for the confirms, acknowledge.

With `batch` above 1 it is the limit for whoever works in Python with aio-pika: many messages published together,
acknowledged together. With 1 it is what the tutorials show.

Reads each message and writes what it publishes, as anything useful must, but keeps nothing and decides nothing.
What is delivered twice takes effect twice.
"""

import asyncio

import aio_pika
import uvloop
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage
from pydantic_core import from_json

from tests.performance.contenders.task import Task, publish


async def run(task: Task) -> None:
    connection = await aio_pika.connect(task.amqp_url)
    consuming, publishing = await connection.channel(), await connection.channel()
    await consuming.set_qos(prefetch_count=task.in_flight)
    exchange = await publishing.get_exchange(task.exchange, ensure=False)
    queue = await consuming.get_queue(task.queue, ensure=False)
    if task.batch == 1:
        await _each(task, queue, exchange)
    else:
        await _batched(task, queue, exchange)


async def _each(task: Task, queue: aio_pika.abc.AbstractQueue, exchange: AbstractExchange) -> None:
    async def handle(message: AbstractIncomingMessage) -> None:
        for item in task.following(_id(message)):
            await publish(exchange, item)
        await message.ack()

    await queue.consume(handle)
    await asyncio.Future()


async def _batched(task: Task, queue: aio_pika.abc.AbstractQueue, exchange: AbstractExchange) -> None:
    """One batch is published while the one before it waits for its confirms."""
    taken: list[AbstractIncomingMessage] = []
    some = asyncio.Event()
    under_way: asyncio.Queue[tuple[AbstractIncomingMessage, asyncio.Future[list[None]]]] = asyncio.Queue(1)

    async def take(message: AbstractIncomingMessage) -> None:
        taken.append(message)
        some.set()

    async def acknowledge() -> None:
        while True:
            last, confirmed = await under_way.get()
            await confirmed
            await last.ack(multiple=True)

    async def pass_on() -> None:
        while await some.wait():
            some.clear()
            while taken:
                batch = taken[: task.batch]
                del taken[: task.batch]
                following = [item for message in batch for item in task.following(_id(message))]
                published = asyncio.gather(*(publish(exchange, item) for item in following))
                await under_way.put((batch[-1], published))

    await queue.consume(take)
    await asyncio.gather(pass_on(), acknowledge())


def _id(message: AbstractIncomingMessage) -> str:
    found: str = from_json(message.body)["id"]
    return found


if __name__ == "__main__":
    uvloop.run(run(Task.given()))
