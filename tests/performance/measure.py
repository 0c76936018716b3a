"""Lets one contender carry out its load, and says how many messages a second it did."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import aio_pika
import httpx
from aio_pika.abc import AbstractChannel, AbstractExchange
from sqlalchemy import insert, text

from deploy.local.broker import Broker
from deploy.local.bus import KWALIFICATIES, ROOT
from deploy.local.postgres import DatabaseServer
from deploy.local.processes import Supervisor, free_port, tail
from services.billing.handlers import service as billing
from services.chassis.database import connect
from services.chassis.names import FACTS, partner_exchange, partner_queue
from services.chassis.service import Service
from services.chassis.storage import Storage
from services.chassis.wire import CONTENT_TYPE
from services.chassis.work import UnitOfWork
from services.matching.handlers import service as matching
from tests.desk import Desk
from tests.performance.contenders.storing import Base, Dossier
from tests.performance.contenders.task import Task
from tests.performance.loads import PARTNER, PARTNERS, Load
from tests.stand import Stand

PREFETCH: Final = 500
BATCH: Final = 256
_PATIENCE: Final = 120.0
"""Seconds after which a contender does not carry on."""
_LOOK: Final = 0.02
"""Seconds between looks at how far it is."""
_RECEIVER: Final = "receiver"
_WINDOW: Final = 500
"""Messages put in a queue at once before the measurement."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A process and the load it is given. Without `module` it is the service itself."""

    name: str
    load: Load
    module: str | None = None
    receiver: str | None = None
    """Where its telemetry goes: `live`, `hangs`, or nowhere."""
    in_flight: int = PREFETCH
    batch: int = BATCH
    count: int
    """Messages in one round."""
    warm_up: int
    """Of these, messages that are not timed."""


@dataclass(frozen=True)
class Round:
    per_second: float
    cpu_us: float
    """Processor time of the process itself for each message, in microseconds."""


class Ground:
    """One broker and one database server for all, and whoever is at work on it."""

    def __init__(self, broker: Broker, database: DatabaseServer, logs: Path) -> None:
        self._stand = Stand(broker, database, [billing, matching], PARTNERS)
        self._database = database
        self._supervisor = Supervisor(logs)
        self._comparison = f"{self._stand.name}_vergelijking"

    async def prepare(self) -> None:
        await self._stand.prepare(lambda service: ROOT / "services" / service.name / "migrations")
        self._database.ensure_database(self._comparison)
        self._engine = connect(self._database.url(self._comparison))
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def close(self) -> None:
        self._supervisor.stop_all()
        await self._engine.dispose()
        self._database.drop_database(self._comparison)
        await self._stand.close()

    async def round(self, contender: Contender) -> Round:
        """One round, from a clean start: queues empty, tables as the load wants them, a new process.

        After the warm-up the process is held (SIGSTOP) while its queue is filled, and timed from when it goes on
        until the last message it must send is confirmed and all it must write is written.
        """
        await self._stand.empty()
        await self._seed(contender)
        async with self._channel(self._stand.admin_url()) as channel:
            queue = contender.load.queue
            if contender.module is not None:
                queue = f"meting.{contender.name}"
                await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
            endpoint = self._receive(contender)
            self._start(contender, queue, endpoint)
            try:
                await self._fill(contender, channel, queue, slice(contender.warm_up))
                await self._done(contender, channel, contender.warm_up)
                result = await self._time(contender, channel, queue)
                if endpoint and contender.receiver == "live":
                    await self._received(contender, endpoint)
            finally:
                self._supervisor.stop(contender.name)
                if endpoint:
                    self._supervisor.stop(_RECEIVER)
            if contender.module is not None:
                await channel.queue_delete(queue)
            elif left := (await channel.declare_queue(queue, passive=True)).declaration_result.message_count:
                raise RuntimeError(f"{contender.name} left {left} messages unacknowledged")
        return result

    async def _time(self, contender: Contender, channel: AbstractChannel, queue: str) -> Round:
        processes = _family(self._supervisor.pid(contender.name))
        _signal(processes, signal.SIGSTOP)
        try:
            await self._fill(contender, channel, queue, slice(contender.warm_up, contender.count))
            since, cpu = time.perf_counter(), _seconds(processes)
        finally:
            _signal(processes, signal.SIGCONT)
        await self._done(contender, channel, contender.count)
        took, cpu = time.perf_counter() - since, _seconds(processes) - cpu
        timed = contender.count - contender.warm_up
        return Round(per_second=timed / took, cpu_us=1e6 * cpu / timed)

    async def _done(self, contender: Contender, channel: AbstractChannel, count: int) -> None:
        """Waits until all that must come of so many messages was sent, once, and ours marked it as sent."""
        end = time.monotonic() + _PATIENCE
        expected = len(contender.load.outgoing) * count
        while await _sent(channel) < expected or await self._unsent(contender, expected):
            if not self._supervisor.alive(contender.name):
                raise RuntimeError(
                    f"{contender.name} ended by itself:\n{tail(self._supervisor.log(contender.name))}"
                )
            if time.monotonic() > end:
                raise TimeoutError(f"{contender.name}: {await _sent(channel)} messages sent, not {expected}")
            await asyncio.sleep(_LOOK)
        if (sent := await _sent(channel)) > expected:
            raise RuntimeError(f"{contender.name} sent {sent} messages, which is more than {expected}")

    async def _unsent(self, contender: Contender, expected: int) -> bool:
        if contender.module is not None:
            return False
        ((sent,),) = await self._stand.rows(contender.load.service, "SELECT count(sent) FROM outbox")
        return bool(sent < expected)

    # Before a round

    async def _seed(self, contender: Contender) -> None:
        load = contender.load
        if contender.module is None:
            engine = self._stand.engines[load.service.name]
            work = _work(load.service)
            for (kind, key), row in load.state.items():
                work.loaded(kind, key, row)
                work.changed.add((kind, key))
            async with engine.begin() as connection:
                await Storage(connection, load.service.name).save(work, load.service.stores)
                await connection.execute(text("ANALYZE"))
        else:
            rows = [{"trajectnummer": pv, "state": {"opdracht": "verstrekt"}} for pv in load.subjects]
            async with self._engine.begin() as connection:
                await connection.execute(text("TRUNCATE gezien, dossier"))
                await connection.execute(insert(Dossier), rows)
                await connection.execute(text("ANALYZE"))

    async def _fill(self, contender: Contender, admin: AbstractChannel, queue: str, part: slice) -> None:
        load = contender.load
        messages = load.incoming[part]
        if contender.module == "celery_app":
            await _publish(admin.default_exchange, queue, [_task(queue, body) for _, body in messages])
        elif contender.module is not None or load.partner is None:
            await _publish(admin.default_exchange, queue, [_message(*message) for message in messages])
        else:
            async with self._channel(self._stand.amqp_url(load.partner)) as channel:
                exchange = await channel.get_exchange(partner_exchange(load.partner), ensure=False)
                await _publish(exchange, load.routing_key, [_message(*m, user_id=load.partner) for m in messages])

    def _receive(self, contender: Contender) -> str | None:
        """Starts what its telemetry goes to."""
        if contender.receiver is None:
            return None
        port = free_port()
        span = f"process {contender.load.routing_key}"
        program = ["-m", "tests.performance.receiver", str(port), span, contender.receiver]
        self._supervisor.start(
            _RECEIVER, [sys.executable, *program], {"PYTHONPATH": str(ROOT)}, f"http://127.0.0.1:{port}"
        )
        self._supervisor.wait_ready([_RECEIVER], _PATIENCE)
        return f"http://127.0.0.1:{port}"

    async def _received(self, contender: Contender, endpoint: str) -> None:
        """Waits until every message was traced: without that the measurement says nothing."""
        end = time.monotonic() + _PATIENCE
        async with httpx.AsyncClient(trust_env=False) as http:
            while (seen := int((await http.get(endpoint)).text)) < contender.count:
                if time.monotonic() > end:
                    raise TimeoutError(f"{contender.name}: {seen} messages were traced, not {contender.count}")
                await asyncio.sleep(_LOOK)
        if seen > contender.count:
            raise RuntimeError(
                f"{contender.name}: {seen} messages were traced, which is more than {contender.count}"
            )

    def _start(self, contender: Contender, queue: str, endpoint: str | None) -> None:
        service = contender.load.service
        environment = {"PYTHONPATH": str(ROOT)}
        if contender.module is None:
            settings = self._stand.settings(service)
            program = ["-m", f"services.{service.name}"]
            environment |= {
                "PRAKTIJKBUS_AMQP_URL": settings.amqp_url.get_secret_value(),
                "PRAKTIJKBUS_DATABASE_URL": settings.database_url.get_secret_value(),
                "PRAKTIJKBUS_PARTNERS": str(PARTNERS),
                "PRAKTIJKBUS_KWALIFICATIES": str(KWALIFICATIES),
                "PRAKTIJKBUS_PORT": str(free_port()),
                "PRAKTIJKBUS_PREFETCH": str(contender.in_flight),
                "PRAKTIJKBUS_BATCH": str(contender.batch),
                **({"PRAKTIJKBUS_OTLP_ENDPOINT": endpoint} if endpoint else {}),
            }
        else:
            task = Task(
                amqp_url=self._stand.admin_url(),
                database_url=self._database.url(self._comparison),
                queue=queue,
                exchange=FACTS,
                outgoing=list(contender.load.outgoing),
                in_flight=contender.in_flight,
                batch=contender.batch,
            )
            environment |= task.environment()
            module = f"tests.performance.contenders.{contender.module}"
            program = ["-m", module]
            if contender.module == "celery_app":
                program = ["-m", "celery", "--app", module, "worker", "--pool", "prefork", "--concurrency", "1"]
        self._supervisor.start(contender.name, [sys.executable, *program], environment)

    @contextlib.asynccontextmanager
    async def _channel(self, url: str) -> AsyncIterator[AbstractChannel]:
        async with await aio_pika.connect(url) as connection:
            yield await connection.channel()


def shortened(load: Load, count: int) -> Load:
    """The same load with fewer messages."""
    return replace(load, incoming=load.incoming[:count], subjects=load.subjects[:count])


async def _sent(channel: AbstractChannel) -> int:
    """Messages that came out: all go to one queue, which nobody reads."""
    declared = await channel.declare_queue(partner_queue(PARTNER), passive=True)
    return declared.declaration_result.message_count or 0


async def _publish(exchange: AbstractExchange, routing_key: str, messages: Sequence[aio_pika.Message]) -> None:
    for start in range(0, len(messages), _WINDOW):
        window = messages[start : start + _WINDOW]
        await asyncio.gather(*(exchange.publish(message, routing_key) for message in window))


def _message(message_id: str, body: bytes, *, user_id: str | None = None) -> aio_pika.Message:
    return aio_pika.Message(
        body,
        message_id=message_id,
        content_type=CONTENT_TYPE,
        user_id=user_id,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


def _task(queue: str, body: bytes) -> aio_pika.Message:
    """A call of the Celery task, in Celery's message protocol 2."""
    call = os.urandom(16).hex()
    return aio_pika.Message(
        json.dumps([[body.decode()], {}, {}]).encode(),
        headers={"id": call, "task": "meting.handle", "lang": "py", "root_id": call, "retries": 0},
        correlation_id=call,
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


def _work(service: Service) -> UnitOfWork:
    return Desk(service).work


def _family(pid: int) -> list[int]:
    """A process and its children, such as a Celery worker's."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _family(int(child)))]


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for pid in processes:
        os.kill(pid, number)


def _seconds(processes: Sequence[int]) -> float:
    """Processor time that these have used."""
    used = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in processes]
    return sum(int(user) + int(system) for user, system in used) / os.sysconf("SC_CLK_TCK")
