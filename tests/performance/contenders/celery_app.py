"""Celery with SQLAlchemy: `acks_late`, the same transaction in the task, then publish. One worker process.

    celery --app tests.performance.contenders.celery_app worker --pool prefork --concurrency 1

Quorum queue, persistent messages and confirms, as for all. Guarantees what FastStream and SQLAlchemy do, and
less: what cannot be routed is dropped without an error (`mandatory` is not used by Celery), and a task whose
process is killed counts as done unless `task_reject_on_worker_lost` is set.
"""

from celery import Celery
from kombu import Exchange, Queue
from sqlalchemy import create_engine, make_url
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import sessionmaker

from contracts.envelope import FactEnvelope
from services.chassis.wire import CONTENT_TYPE
from tests.performance.contenders.storing import Dossier, Seen
from tests.performance.contenders.task import HEADERS, Task

TASK = Task.given()
app = Celery("meting", broker=TASK.amqp_url)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue=TASK.queue,
    task_queues=[
        Queue(
            TASK.queue,
            Exchange(""),
            routing_key=TASK.queue,
            durable=True,
            no_declare=True,
            queue_arguments={"x-queue-type": "quorum"},
        )
    ],
    worker_prefetch_multiplier=TASK.in_flight,
    worker_enable_remote_control=False,
    broker_transport_options={"confirm_publish": True},
)
_session = sessionmaker(create_engine(make_url(TASK.database_url).set(drivername="postgresql+psycopg")))


def handle(body: str) -> None:
    fact = FactEnvelope.model_validate_json(body)
    with _session.begin() as transaction:
        first = insert(Seen).values(id=fact.id).on_conflict_do_nothing().returning(Seen.id)
        if transaction.scalar(first) is None:
            return
        dossier = transaction.get_one(Dossier, fact.data["trajectnummer"], with_for_update=True)
        dossier.state = {**dossier.state, "verklaring": fact.subject}
    with app.producer_or_acquire() as producer:
        for item in TASK.following(fact.id):
            producer.publish(
                item.body,
                exchange=TASK.exchange,
                routing_key=item.routing_key,
                message_id=item.id,
                type=item.type,
                content_type=CONTENT_TYPE,
                content_encoding="utf-8",
                headers=HEADERS,
                delivery_mode="persistent",
            )


app.task(name="meting.handle", ignore_result=True)(handle)
