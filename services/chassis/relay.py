"""The relay: takes what is in the outbox to the broker, in order, until the broker has confirmed it.

One is active per service (an advisory lock); others stand by. A relay that dies between publish and mark
leads to a second publication under the same id: readers dedupe, and go by `sequence`.
"""

import asyncio
import logging
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from aio_pika.exceptions import AMQPError
from aiormq import Channel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import names
from services.chassis.amqp import connected
from services.chassis.database import is_passing
from services.chassis.publishing import Publication, publish
from services.chassis.wire import CONTENT_TYPE
from services.chassis.worker import Worker

if TYPE_CHECKING:
    from services.chassis.tracing import Tracing

_log = logging.getLogger(__name__)

_WINDOW: Final = 500
"""Messages under way to the broker at once."""
_LOCK: Final = 0x50424F58
_CONFIRM: Final = 30.0
"""Seconds within which the broker confirms a window."""


class Relay(Worker):
    """Publishes unsent outbox rows to the facts exchange, addressed to their readers by `BCC`.

    When it stops it finishes the window in hand; what is unsent stays in the outbox.
    """

    FALLBACK = 2.0

    def __init__(self, service: str, engine: AsyncEngine, amqp_url: str, tracing: "Tracing | None" = None) -> None:
        super().__init__()
        self._service = service
        self._engine = engine
        self._amqp_url = amqp_url
        self._tracing = tracing
        self.active = False
        """Whether it is its turn; others of the same service stand by."""

    async def run(self) -> None:
        """Relays until `stop`; after trouble with broker or database it begins again."""
        pause = 0.1
        while not self._stopping:
            try:
                await self._hold()
                pause = 0.1
            except (AMQPError, ConnectionError, TimeoutError, RuntimeError) as error:
                _log.warning("relay lost the broker", extra={"cause": type(error).__qualname__})
            except Exception as error:
                if not is_passing(error):
                    raise
                _log.warning("relay lost the database", extra={"cause": type(error).__qualname__})
            if not self._stopping:
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)

    async def _hold(self) -> None:
        async with self._engine.connect() as session:
            try:
                await session.execution_options(isolation_level="AUTOCOMMIT")
                if await self._locked(session):
                    self.active = True
                    await self._relay(session)
            finally:
                self.active = False
                # Ends the database session itself: with it go the lock and the listening.
                await session.invalidate()

    async def _locked(self, session: AsyncConnection) -> bool:
        """Waits for its turn; False when it is to stop before that."""
        while not self._stopping:
            self._wake.clear()
            if await session.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
                return True
            await self._sleep()
        return False

    async def _relay(self, session: AsyncConnection) -> None:
        driver: Any = (await session.get_raw_connection()).driver_connection
        await driver.add_listener("outbox", self._on_notify)
        async with connected(self._amqp_url) as connection:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            publishing = await channel.get_underlay_channel()
            assert isinstance(publishing, Channel)
            while not self._stopping:
                self._wake.clear()
                if await self._pass_on(session, publishing):
                    self.turns += 1
                else:
                    await self._sleep()
                if channel.is_closed or driver.is_closed():
                    raise ConnectionError("lost while idle")

    def _on_notify(self, *_: object) -> None:
        self._wake.set()

    async def _pass_on(self, session: AsyncConnection, channel: Channel) -> int:
        """Publishes the oldest unsent messages and marks those the broker confirmed."""
        rows = (
            await session.execute(
                text(
                    "SELECT position, message_id, type, routing_key, readers, body FROM outbox"
                    " WHERE sent IS NULL ORDER BY position LIMIT :window"
                ),
                {"window": _WINDOW},
            )
        ).all()
        if not rows:
            return 0
        since = time_ns()
        window = [
            Publication(
                row.message_id, row.type, row.routing_key, list(map(names.partner_queue, row.readers)), row.body
            )
            for row in rows
        ]
        outcomes = await publish(
            channel, names.FACTS, window, app_id=self._service, content_type=CONTENT_TYPE, within=_CONFIRM
        )
        failure = next((outcome for outcome in outcomes if outcome is not None), None)
        if self._tracing is not None:
            self._tracing.sent(rows, outcomes, since)
        confirmed = [row.position for row, outcome in zip(rows, outcomes, strict=True) if outcome is None]
        if confirmed:
            await self._mark(session, confirmed)
        if failure is not None:
            raise failure
        return len(rows)

    async def _mark(self, session: AsyncConnection, positions: list[int]) -> None:
        await session.execute(
            text("UPDATE outbox SET sent = now() WHERE position = ANY(CAST(:positions AS bigint[]))"),
            {"positions": positions},
        )
