import aio_pika
import pytest
from aio_pika.exceptions import AMQPConnectionError

from deploy.local.processes import free_port
from services.chassis.amqp import connected


async def test_a_connection_that_could_not_be_made_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[aio_pika.Connection] = []

    class Watched(aio_pika.Connection):
        async def connect(self, timeout: float | int | None = None) -> None:  # noqa: ASYNC109 - its signature
            made.append(self)
            await super().connect(timeout)

    monkeypatch.setattr(aio_pika, "Connection", Watched)
    with pytest.raises(AMQPConnectionError):
        async with connected(f"amqp://guest:guest@127.0.0.1:{free_port()}/"):
            raise AssertionError("nobody listens there")
    assert [connection.is_closed for connection in made] == [True]
