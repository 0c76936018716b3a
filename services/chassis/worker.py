"""A loop that works as long as there is work, waits until woken, and outlasts a database that is away."""

import asyncio
import contextlib
import logging
from typing import ClassVar

from services.chassis.database import is_passing

_log = logging.getLogger(__name__)


class Worker:
    """Subclasses say in `_turn` what one piece of work is."""

    FALLBACK: ClassVar[float]
    """Seconds between looks when nothing wakes it."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._stopping = False
        self._waiting = False
        self.turns = 0
        """How often there was something to do."""

    @property
    def at_rest(self) -> bool:
        """Whether it did all there was, and nothing woke it since."""
        return self._waiting and not self._wake.is_set()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Works until `stop`; what is in hand is finished first."""
        pause = 0.1
        while not self._stopping:
            try:
                self._wake.clear()
                if await self._turn():
                    self.turns += 1
                else:
                    await self._sleep()
                pause = 0.1
            except Exception as error:
                if not is_passing(error):
                    raise
                _log.warning("database not available", extra={"cause": type(error).__qualname__})
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)

    async def stop(self) -> None:
        """Takes up nothing more."""
        self._stopping = True
        self._wake.set()

    async def _sleep(self) -> None:
        self._waiting = True
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.FALLBACK)
        finally:
            self._waiting = False

    async def _turn(self) -> bool:
        """One piece of work; whether there was any."""
        raise NotImplementedError
