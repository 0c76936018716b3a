"""Billing with two troubles planted: `python -m tests.e2e.troubled`.

The handler of `verklaring.afgegeven` fails once for each message, and the relay stands still before it publishes
the first invoice: whoever started this kills it there, between commit and publish.
"""

import asyncio
from typing import Any

from sqlalchemy import text

from contracts import verklaring
from contracts.catalogue import CATALOGUE
from services.billing.app import run
from services.billing.handlers import service
from services.chassis.relay import Relay

_AFGEGEVEN = CATALOGUE.of(verklaring.Afgegeven)


def plant() -> None:
    """From outside, so that the product carries no switches for its tests."""
    handler, publish = service.on_fact[_AFGEGEVEN], Relay._pass_on
    failed: set[str] = set()

    def failing(event: Any, work: Any) -> Any:
        follows = list(handler(event, work))  # what is not in memory yet is loaded first
        if event.id not in failed:
            failed.add(event.id)
            raise RuntimeError("planted")
        return follows

    async def standing_still(self: Relay, session: Any, channel: Any) -> int:
        query = "SELECT EXISTS (SELECT 1 FROM outbox WHERE sent IS NULL AND routing_key = 'factuur.klaargezet')"
        if await session.scalar(text(query)):
            await asyncio.Event().wait()
        return await publish(self, session, channel)

    service.on_fact[_AFGEGEVEN] = failing
    setattr(Relay, "_pass_on", standing_still)  # noqa: B010


if __name__ == "__main__":
    plant()
    run()
