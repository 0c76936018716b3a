"""What is done in the outside world (mail, later webhooks): rows, claimed by a worker after the commit.

An effect is carried out at least once, and in practice once: its row is claimed under a lock that a crash
releases, and its deterministic key travels along so that a second attempt can be recognised.
"""

import contextlib
import json
import logging
import random
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis import logs
from services.chassis.messages import Effect
from services.chassis.service import Check, Performer
from services.chassis.worker import Worker

if TYPE_CHECKING:
    from services.chassis.tracing import EffectTold, Tracing

_log = logging.getLogger(__name__)

_MAX_ATTEMPTS: Final = 12

_NEXT: Final = text(
    "SELECT key, kind, payload::text AS payload, attempts, traceparent FROM effects"
    " WHERE status = 'open' AND due <= now() ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_WRITE_DOWN: Final = text(
    "UPDATE effects SET status = :status, cause = :cause, attempts = attempts + 1,"
    " due = now() + make_interval(secs => :delay),"
    " done = CASE WHEN :status = 'open' THEN NULL ELSE now() END WHERE key = :key"
)


class FinalFailure(Exception):
    """The outside world refused for good: trying again cannot help."""


class Effects(Worker):
    """Carries out the effects of one service, one after another for each worker."""

    FALLBACK = 1.0

    def __init__(
        self,
        engine: AsyncEngine,
        performers: dict[str, Performer],
        needed: dict[str, Check],
        tracing: "Tracing | None" = None,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._tracing = tracing
        self._performers = performers
        self._needed = needed

    async def _turn(self) -> bool:
        """One of them: a crash repeats no more than what was just being carried out."""
        async with self._engine.begin() as connection:
            row = (await connection.execute(_NEXT)).first()
            if row is not None:
                await self._carry_out(connection, row)
        return row is not None

    async def _carry_out(self, connection: AsyncConnection, row: Any) -> None:
        effect = Effect(kind=row.kind, key=row.key, payload=_payload(row.payload))
        status, delay = "done", 0.0
        failure: Exception | None = None
        with self._told(row) as told:
            try:
                if await self._is_needed(effect, connection):
                    await self._performers[row.kind](effect)
                else:
                    status = "skipped"
            except FinalFailure as error:
                status, failure = "failed", error
            except Exception as error:
                status, failure = "failed" if row.attempts + 1 >= _MAX_ATTEMPTS else "open", error
                delay = min(3600.0, 2.0**row.attempts) * random.uniform(0.5, 1.5)
            cause = None if failure is None else type(failure).__qualname__
            if failure is not None:
                ids = logs.about(None, row.traceparent, in_span=False)
                _log.warning("effect failed", extra={**ids, "key": row.key, "kind": row.kind, "cause": cause})
            if told is not None:
                told.outcome, told.failure = status, failure
        await connection.execute(_WRITE_DOWN, {"status": status, "cause": cause, "delay": delay, "key": row.key})

    def _told(self, row: Any) -> "contextlib.AbstractContextManager[EffectTold | None]":
        if self._tracing is None:
            return contextlib.nullcontext()
        return self._tracing.effect(row.kind, row.traceparent, row.attempts + 1)

    async def _is_needed(self, effect: Effect, connection: AsyncConnection) -> bool:
        """Whether nothing that happened since it was recorded made it needless."""
        check = self._needed.get(effect.kind)
        return check is None or await check(effect, connection)


def _payload(raw: str) -> dict[str, str]:
    loaded: dict[str, str] = json.loads(raw)
    return loaded
