"""Rounds of metrics: reads the gauges that the database gives, and hands all numbers over."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis.metrics import READINGS, Metrics, Reading, Series, Snapshot, Value

if TYPE_CHECKING:
    from services.chassis.otlp import Outlet

_log = logging.getLogger(__name__)
_PATIENCE: Final = "2s"
"""How long the database may take over one reading: a gauge is worth no more."""


class Gauges:
    """Over an engine of its own: it takes no connection from what carries messages."""

    def __init__(
        self, engine: AsyncEngine, metrics: Metrics, outlet: "Outlet[Snapshot]", readings: Sequence[Reading]
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._outlet = outlet
        self._readings = (*READINGS, *readings)

    async def run(self, every: float) -> None:
        """A round every so many seconds, for ever."""
        while True:
            await self.round()
            await asyncio.sleep(every)

    async def round(self) -> None:
        """Reads and hands over. A gauge that cannot be read says nothing this time."""
        for reading in self._readings:
            try:
                await self._read(reading)
            except Exception as error:
                _log.warning("gauges not read", extra={"cause": type(error).__qualname__})
                for gauge in reading.gauges:
                    self._metrics.set(gauge, {})
        self.hand_over()

    def hand_over(self) -> None:
        """The numbers as they are now."""
        self._outlet.put([self._metrics.snapshot()])

    async def close(self) -> None:
        await self._engine.dispose()

    async def _read(self, reading: Reading) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL statement_timeout = '{_PATIENCE}'"))
            rows = [tuple(row) for row in await connection.execute(text(reading.query))]
        for place, gauge in enumerate(reading.gauges, start=len(reading.gauges[0].attributes)):
            values: dict[Series, Value] = {
                row[: len(gauge.attributes)]: row[place] if isinstance(row[place], int) else float(row[place])
                for row in rows
            }
            self._metrics.set(gauge, values)
