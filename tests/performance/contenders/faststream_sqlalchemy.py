"""FastStream and SQLAlchemy as their documentation shows them: a transaction a message, then publish.

A message takes effect once in the database. But between commit and publish a crash loses what should have gone
out: the redelivered message is known by then. No order per subject with more than one in flight.
"""

import uvloop
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from contracts.envelope import FactEnvelope
from services.chassis.wire import CONTENT_TYPE
from tests.performance.contenders.storing import Dossier, Seen
from tests.performance.contenders.task import HEADERS, Task


def build(task: Task) -> FastStream:
    session = async_sessionmaker(create_async_engine(task.database_url, pool_size=task.in_flight))
    broker = RabbitBroker(task.amqp_url, logger=None)
    exchange = RabbitExchange(task.exchange, type=ExchangeType.TOPIC, declare=False)

    @broker.subscriber(
        RabbitQueue(task.queue, queue_type=QueueType.QUORUM, durable=True, declare=False),
        channel=Channel(prefetch_count=task.in_flight),
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    async def handle(body: bytes) -> None:
        fact = FactEnvelope.model_validate_json(body)
        async with session.begin() as transaction:
            first = insert(Seen).values(id=fact.id).on_conflict_do_nothing().returning(Seen.id)
            if await transaction.scalar(first) is None:
                return
            dossier = await transaction.get_one(Dossier, fact.data["trajectnummer"], with_for_update=True)
            dossier.state = {**dossier.state, "verklaring": fact.subject}
        for item in task.following(fact.id):
            await broker.publish(
                item.body,
                exchange=exchange,
                routing_key=item.routing_key,
                message_id=item.id,
                message_type=item.type,
                content_type=CONTENT_TYPE,
                headers=HEADERS,
                persist=True,
                mandatory=True,
            )

    return FastStream(broker)


if __name__ == "__main__":
    uvloop.run(build(Task.given()).run())
