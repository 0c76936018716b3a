"""Facts of a service that is not there, put on the fact exchange as its relay would."""

from collections.abc import Sequence
from datetime import UTC, datetime

import aio_pika

from contracts.catalogue import CATALOGUE, service_source
from contracts.model import Data
from services.chassis.messages import Fact
from services.chassis.names import FACTS
from services.chassis.telemetry import child_of, new_uuid
from services.chassis.wire import CONTENT_TYPE, encode
from tests.integration import toy
from tests.stand import Stand


def traject_fact(sequence: int, data: Data, subject: str = toy.PV) -> Fact[Data]:
    now = datetime.now(UTC)
    event_type = CATALOGUE.of(type(data))
    assert event_type.owner is not None
    return Fact(
        type=event_type,
        id=new_uuid(),
        source=service_source(event_type.owner),
        subject=subject,
        sequence=sequence,
        time=now,
        recorded=now,
        correlationid=toy.CASE,
        causationid=new_uuid(),
        actor="leerwerkloket",
        data=data,
        traceparent=child_of(None),
    )


async def publish_facts(
    stand: Stand, facts: Sequence[Fact[Data] | bytes], routing_key: str = "traject.gestart"
) -> None:
    """Publishes with the administrator's account: only services may write to that exchange."""
    connection = await aio_pika.connect(stand.admin_url())
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(FACTS)
        for fact in facts:
            body = fact if isinstance(fact, bytes) else encode(fact)
            key = routing_key if isinstance(fact, bytes) else fact.type.routing_key
            message = aio_pika.Message(
                body, content_type=CONTENT_TYPE, delivery_mode=aio_pika.DeliveryMode.PERSISTENT
            )
            await exchange.publish(message, key, mandatory=True)
