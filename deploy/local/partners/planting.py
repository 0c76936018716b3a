"""What is broken on purpose inside the bus, where no partner reaches: a message that no service can read."""

import base64
import hashlib
from datetime import date
from typing import Final

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.bus import VHOST, Bus
from deploy.local.partners import records
from deploy.local.partners.script import BEGIN, Script
from services.chassis.calendar import SystemCalendar
from services.chassis.names import facts_queue

_PLANTED: Final = (("matching", 50, b'{"type": "half a fac'), ("notify", 120, b"\x00\xff not even text"))
"""On which working day of the year which service finds what in its queue."""


class Planting:
    """Puts them there, each once, and writes down which parked row must come of it."""

    def __init__(self, bus: Bus, engine: AsyncEngine, script: Script) -> None:
        self._bus = bus
        self._engine = engine
        self._todo = [] if script.rustig else list(_PLANTED)
        self._unsure = True
        """Whether something may have been written down and not done."""

    async def on(self, today: date) -> None:
        """Plants what is due on that day.

        Raises:
            httpx.HTTPError: the broker was not there; what is not done yet comes with the next call.
        """
        calendar = SystemCalendar()
        for service, day, body in [*self._todo]:
            if calendar.add_working_days(BEGIN.date(), day) <= today:
                message_id = f"sha256:{hashlib.sha256(body).hexdigest()}"
                async with self._engine.begin() as connection:
                    await records.plant(connection, service, message_id, body)
                self._todo.remove((service, day, body))
                self._unsure = True
        if not self._unsure:
            return
        async with self._engine.begin() as connection:
            for row in await records.unplanted(connection):
                await self._publish(row.service, bytes(row.body))
                await records.planted(connection, row.service, row.id)
        self._unsure = False

    async def _publish(self, service: str, body: bytes) -> None:
        """As an administrator can: straight into the queue."""
        address = self._bus.address
        async with httpx.AsyncClient(auth=address.admin, timeout=30) as http:
            answer = await http.post(
                f"{address.management_url}/api/exchanges/{VHOST}/amq.default/publish",
                json={
                    "properties": {"delivery_mode": 2},
                    "routing_key": facts_queue(service),
                    "payload": base64.b64encode(body).decode(),
                    "payload_encoding": "base64",
                },
            )
            answer.raise_for_status()
