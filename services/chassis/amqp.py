"""A connection to the broker that leaves nothing behind, also when the broker was not there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.connection import make_url

_TIMEOUT: Final = 15.0
"""Seconds for a connection to be made."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AbstractConnection]:
    """A connection that does not mend itself: whoever uses it begins again.

    `aio_pika.connect` leaves a connection that could not be made to the collector, which can no longer
    close it once the event loop stands still.
    """
    connection = aio_pika.Connection(make_url(url))
    try:
        await connection.connect(timeout=_TIMEOUT)
        yield connection
    finally:
        await connection.close()
