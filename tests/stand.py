"""A stand: one virtual host and its databases on the real broker and the real PostgreSQL, for one test."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.fields import PartnerId
from contracts.model import Data
from contracts.partners import Registry
from deploy.local.broker import Broker
from deploy.local.bus import KEYS
from deploy.local.client import PartnerClient
from deploy.local.postgres import DatabaseServer
from deploy.local.processes import free_port
from services.chassis.app import App
from services.chassis.database import connect, migrate
from services.chassis.provision import provision
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.telemetry import new_uuid
from services.intake import kluis
from services.intake.app import build as build_intake
from services.intake.handlers import service as intake
from tests import persons
from tests.desk import DEPLOY, REGISTRY

T = TypeVar("T")
_TABLES = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname NOT LIKE 'alembic%' AND c.relname <> 'journal_head'
"""
PATIENCE = 60.0
"""Seconds after which a condition that should come true has not."""


async def eventually(
    ask: Callable[[], Awaitable[T]], until: Callable[[T], bool] = bool, *, within: float = PATIENCE
) -> T:
    """Asks until the answer is right; fails with the last answer."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        answer = await ask()
        if until(answer):
            return answer
        assert loop.time() < end, f"still {answer!r} after {within} s"
        await asyncio.sleep(0.02)


class Reader:
    """A partner under test: submits, and collects what comes to its queue."""

    def __init__(self, client: PartnerClient) -> None:
        self.client = client
        self.partner = client.partner
        self.source = sorted(REGISTRY[client.partner].sources)[0]
        self.received: list[dict[str, Any]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._read())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _read(self) -> None:
        async for message in self.client.messages():
            self.received.append(json.loads(message.body))
            await message.ack()

    async def submit(self, fact: type[Data], data: Data | None = None, **envelope: Any) -> str:
        """Submits under a fresh id, or the given `message_id`; the id."""
        message_id = envelope.pop("message_id", None) or new_uuid()
        source = envelope.pop("source", self.source)
        await self.client.submit(fact, source, message_id, data, **envelope)
        return message_id

    def receipts(self, message_id: str) -> list[dict[str, Any]]:
        return [
            message
            for message in self.received
            if ".ontvangst." in message["type"] and message["subject"] == message_id
        ]

    async def final_receipt(self, message_id: str) -> dict[str, Any]:
        """The data of the one final receipt, with its outcome under `uitkomst`."""

        async def finals() -> list[dict[str, Any]]:
            return [
                {"uitkomst": outcome, **receipt["data"]}
                for receipt in self.receipts(message_id)
                if (outcome := receipt["type"].split(".")[3]) != "wacht"
            ]

        return (await eventually(finals))[0]

    def facts(self, routing_key: str | None = None) -> list[dict[str, Any]]:
        return [
            message
            for message in self.received
            if ".ontvangst." not in message["type"]
            and (routing_key is None or f".{routing_key}." in message["type"])
        ]


class Stand:
    """Provisioned broker and migrated databases; `run` starts a service in this process."""

    def __init__(
        self,
        broker: Broker,
        database: DatabaseServer,
        services: Sequence[Service],
        partners: Path = DEPLOY / "partners.toml",
    ) -> None:
        self.partners = partners
        self.registry = Registry.load(partners)
        self.broker = broker
        self.database = database
        self.services = services
        self.name = f"t{secrets.token_hex(4)}"
        # Accounts belong to the whole broker: stands beside one another must agree on their passwords.
        self.passwords = {
            account: f"toets-{account}"
            for account in [*(p.id for p in self.registry.partners), *(s.name for s in services)]
        }
        self.engines: dict[str, AsyncEngine] = {}
        self.ports: dict[str, int] = {}
        self.clock: Path | None = None
        """A stepped clock that the services go by, where a test sets one."""
        self._running: dict[str, tuple[App, asyncio.Task[None]]] = {}
        self._readers: list[Reader] = []
        self._exits = contextlib.AsyncExitStack()

    async def prepare(self, migrations: Callable[[Service], Path]) -> None:
        await provision(
            self.broker.address.management_url,
            (self.broker.address.admin, self.broker.address.password),
            self.name,
            self.registry,
            list(self.services),
            self.passwords,
        )
        await self._allow_admin()
        for service in self.services:
            name = f"{self.name}_{service.name}"
            await asyncio.to_thread(self.database.ensure_database, name)
            self.engines[service.name] = connect(self.database.url(name))
            await migrate(self.engines[service.name], service.name, migrations(service))
        if intake in self.services:
            await asyncio.to_thread(self.database.ensure_database, f"{self.name}_{KEYS}")
            self.engines[KEYS] = connect(self._keys_url)
            await kluis.migrate(self.engines[KEYS])

    def _management(self) -> httpx.AsyncClient:
        address = self.broker.address
        return httpx.AsyncClient(base_url=address.management_url, auth=(address.admin, address.password))

    async def _allow_admin(self) -> None:
        address = self.broker.address
        async with self._management() as http:
            answer = await http.put(
                f"/api/permissions/{self.name}/{address.admin}",
                json={"configure": ".*", "write": ".*", "read": ".*"},
            )
            answer.raise_for_status()

    def amqp_url(self, account: str) -> str:
        return self.broker.address.amqp_url(self.name, account, self.passwords[account])

    def admin_url(self) -> str:
        return self.broker.address.amqp_url(self.name)

    def settings(self, service: Service) -> Settings:
        return Settings(
            amqp_url=SecretStr(self.amqp_url(service.name)),
            database_url=SecretStr(self.database.url(f"{self.name}_{service.name}")),
            partners=self.partners,
            kwalificaties=DEPLOY / "kwalificaties.toml",
            clock=self.clock,
            port=self.ports.setdefault(service.name, free_port()),
            public_url=f"http://127.0.0.1:{self.ports[service.name]}/personen",
            persons=persons.FOLDER,
            keys_database_url=SecretStr(self._keys_url),
        )

    @property
    def _keys_url(self) -> str:
        return self.database.url(f"{self.name}_{KEYS}")

    async def run(self, service: Service) -> App:
        """Runs a service in this process until `stop` or the end of the test."""
        await self.start(service)
        app, _ = self._running[service.name]
        await eventually(lambda: _consuming(app))
        return app

    async def start(self, service: Service) -> asyncio.Task[None]:
        """Starts a service that may end by itself; its task."""
        settings = self.settings(service)
        app = App(service, settings, build_intake(settings) if service is intake else ())
        task = asyncio.create_task(app.run())
        self._running[service.name] = (app, task)
        return task

    async def deliver_and_drop(self, queue: str, count: int) -> None:
        """Takes messages from a queue and loses the connection, as a crash would."""
        service = queue.partition(".")[0]
        connection = await aio_pika.connect(self.amqp_url(service))
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=count)
        taken: list[AbstractIncomingMessage] = []

        async def keep(message: AbstractIncomingMessage) -> None:
            taken.append(message)

        await (await channel.get_queue(queue, ensure=False)).consume(keep)

        async def all_taken() -> bool:
            return len(taken) == count

        await eventually(all_taken)
        await connection.close()

    async def stop(self, service: Service) -> None:
        app, task = self._running.pop(service.name)
        app.stop()
        if not task.done():
            await task

    async def reader(self, partner: PartnerId) -> Reader:
        client = await self._exits.enter_async_context(PartnerClient(self.amqp_url(partner), partner))
        reader = Reader(client)
        self._readers.append(reader)
        reader.start()
        return reader

    async def rows(self, service: Service, query: str, **values: Any) -> list[Any]:
        async with self.engines[service.name].connect() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def empty(self) -> None:
        """Stops services and readers, and forgets all messages and rows."""
        self.clock = None
        for service in [s for s in self.services if s.name in self._running]:
            await self.stop(service)
        for reader in self._readers:
            await reader.stop()
        self._readers.clear()
        await self._exits.aclose()
        for engine in self.engines.values():
            async with engine.begin() as connection:
                names = await connection.scalars(text(_TABLES))
                await connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
                await connection.execute(text(f"TRUNCATE {', '.join(names)} RESTART IDENTITY"))
                if await connection.scalar(text("SELECT to_regclass('journal_head')")):
                    await connection.execute(text("UPDATE journal_head SET position = 0"))
        await self.forget_messages()

    async def forget_messages(self) -> None:
        """Empties all queues."""
        async with self._management() as http:
            for queue in (await http.get(f"/api/queues/{self.name}", params={"columns": "name"})).json():
                await http.delete(f"/api/queues/{self.name}/{queue['name']}/contents")

    async def close(self) -> None:
        await self.empty()
        for name, engine in self.engines.items():
            await engine.dispose()
            await asyncio.to_thread(self.database.drop_database, f"{self.name}_{name}")
        async with self._management() as http:
            await http.delete(f"/api/vhosts/{self.name}")


async def _consuming(app: App) -> bool:
    return app.consuming


@contextlib.asynccontextmanager
async def stand(
    broker: Broker, database: DatabaseServer, *services: Service, migrations: Callable[[Service], Path]
) -> AsyncIterator[Stand]:
    made = Stand(broker, database, services)
    try:
        await made.prepare(migrations)
        yield made
    finally:
        await made.close()
