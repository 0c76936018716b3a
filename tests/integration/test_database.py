"""What is said of a database that goes away: whether the same may be tried again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.database import connect, is_passing
from services.chassis.relay import Relay
from tests.integration import toy
from tests.stand import Stand, eventually


class SlowLine:
    """A line to the database. Who is thrown out by `end` hears so at once, and that the connection is closed only
    when he speaks again.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._ending = False
        self._told = asyncio.Event()
        self._sessions: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def engine(self) -> AsyncIterator[AsyncEngine]:
        def begin(*streams: Any) -> None:
            self._sessions.append(asyncio.create_task(self._serve(*streams)))

        server = await asyncio.start_server(begin, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        engine = connect(self._url.set(host="127.0.0.1", port=port).render_as_string(False))
        try:
            yield engine
        finally:
            await engine.dispose()
            server.close()
            await asyncio.gather(*self._sessions)

    async def end(self, session: int, by: AsyncEngine) -> None:
        """Ends a session as an administrator or a restart does."""
        self._ending = True
        async with by.connect() as other:
            await other.execute(text("SELECT pg_terminate_backend(:session)"), {"session": session})
        await self._told.wait()
        self._ending = False

    async def _serve(self, asks: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        tells, database = await asyncio.open_connection(self._url.host, self._url.port)
        telling = asyncio.create_task(self._tell(tells, client))
        with contextlib.suppress(ConnectionError):
            while (said := await asks.read(65536)) and not telling.done():
                database.write(said)
        for end in (database, client):
            end.close()
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()
        await telling

    async def _tell(self, tells: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while said := await tells.read(65536):
                client.write(said)
        if self._ending:
            self._told.set()
        else:
            client.close()


@pytest.fixture
def line(toy_stand: Stand) -> SlowLine:
    return SlowLine(toy_stand.settings(toy.service).database_url.get_secret_value())


async def _listen(connection: AsyncConnection) -> None:
    """As the relay does: past SQLAlchemy, so that what goes wrong comes as the driver has it."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.add_listener("outbox", print)


async def _ask(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT 1"))


@pytest.mark.parametrize(("speak", "error"), [(_ask, DBAPIError), (_listen, asyncpg.InternalClientError)])
async def test_session_that_ends_between_two_statements_passes(
    line: SlowLine, toy_stand: Stand, speak: Callable[[AsyncConnection], Awaitable[None]], error: type[Exception]
) -> None:
    """The driver has read that it ended, unasked, and not yet that the connection is closed."""
    async with line.engine() as engine, engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await line.end(await _session(connection), toy_stand.engines["billing"])
        with pytest.raises(error, match="another operation") as failed:
            await speak(connection)
    assert is_passing(failed.value)


async def _session(connection: AsyncConnection) -> int:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    return int(driver.get_server_pid())


async def test_relay_outlasts_a_session_that_ends_before_it_listens(
    line: SlowLine, toy_stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, rounds = Relay._locked, list[bool]()

    async def lock_and_lose(relay: Relay, session: AsyncConnection) -> bool:
        turn = await locked(relay, session)
        if not rounds:
            await line.end(await _session(session), toy_stand.engines["billing"])
        rounds.append(turn)
        return turn

    monkeypatch.setattr(Relay, "_locked", lock_and_lose)
    async with line.engine() as engine:
        relay = Relay("billing", engine, toy_stand.amqp_url("billing"))
        running = asyncio.create_task(relay.run())

        async def relays_again() -> bool:
            assert not running.done(), running.result()
            return relay.active and len(rounds) > 1

        await eventually(relays_again)
        await relay.stop()
        await running


async def test_value_that_the_driver_refuses_does_not_pass(toy_stand: Stand) -> None:
    """It is refused again however often it is tried: what waits behind it would never be handled."""
    async with toy_stand.engines["billing"].connect() as connection:
        with pytest.raises(DBAPIError) as refused:
            await connection.execute(text("SELECT CAST(:number AS integer)"), {"number": 2**70})
    assert not is_passing(refused.value)


async def test_what_the_database_refuses_does_not_pass(toy_stand: Stand) -> None:
    async with toy_stand.engines["billing"].connect() as connection:
        with pytest.raises(DBAPIError) as refused:
            await connection.execute(text("SELECT 1 / 0"))
    assert not is_passing(refused.value)


async def test_database_that_is_not_there_passes() -> None:
    engine = connect("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(ConnectionRefusedError) as refused:
        async with engine.connect():
            pass
    assert is_passing(refused.value)
