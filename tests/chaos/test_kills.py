"""Whatever is killed with SIGKILL and started again: nothing is lost and nothing takes effect twice.

The real processes, the real broker, the real database. Each test lets more candidates come in on the same bus.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

import pytest
from sqlalchemy import text

from deploy.local import pilot
from deploy.local.broker import AMQP_VARIABLE, PrivateNode
from deploy.local.bus import SERVICES, LocalBus
from deploy.local.postgres import DATABASE_VARIABLE, Postgres
from deploy.local.processes import free_port
from deploy.local.reckoning import reckon
from services.chassis.database import connect
from services.chassis.service import Service
from tests.stand import eventually

pytestmark = pytest.mark.timeout(300)
MORE = 3
"""Candidates that each test adds."""


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBus]:
    """A bus with a broker and a database of its own, since they are killed too."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(AMQP_VARIABLE, raising=False)
        environment.delenv(DATABASE_VARIABLE, raising=False)
        with LocalBus(tmp_path_factory.mktemp("chaos"), lambda _: None) as running:
            yield running


@pytest.fixture(scope="module")
def candidates() -> Iterator[int]:
    return count(MORE, MORE)


async def carried_while(bus: LocalBus, total: int, happens: Callable[[], AsyncIterator[None]]) -> None:
    """Lets the pilot go on to `total` candidates while something happens; then the books must balance.

    A mail may have gone out a second time under its own Message-ID: SMTP has no transactions.
    """
    playing = asyncio.create_task(pilot.play(bus, total, lambda *_: None))
    try:
        async for _ in happens():
            assert not playing.done() or playing.result()
        await playing
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    figures = await reckon(bus)
    assert figures.findings == []
    assert (figures.lost, figures.duplicate_effects, figures.parked) == (0, 0, 0)
    assert figures.eindstanden == {"gesloten": total}


async def died(bus: LocalBus, service: Service) -> None:
    async def gone() -> bool:
        return not bus.supervisor.alive(service.name)

    await eventually(gone)


async def passes_of(bus: LocalBus, services: tuple[Service, ...], point: str) -> AsyncIterator[None]:
    """Each of these services dies once at that point and is started again."""
    for service in services:
        port = free_port()
        await asyncio.to_thread(bus.supervisor.stop, service.name)
        program = ("-m", "tests.chaos.crashing", service.name, point, "2")
        bus.start_service(service, port, program)
        yield
    for service in services:
        await died(bus, service)
        assert bus.supervisor.exit_code(service.name) == -signal.SIGKILL
        bus.start_service(service, free_port())
        yield
    await asyncio.to_thread(bus.supervisor.wait_ready, [service.name for service in services], 30)


NO_RELAY = tuple(service for service in SERVICES if service.name != "notify")
NOTIFY = tuple(service for service in SERVICES if service.name == "notify")


@pytest.mark.parametrize(
    ("point", "services"),
    [
        ("before-commit", SERVICES),
        ("after-commit-before-ack", SERVICES),
        ("between-publish-and-mark", NO_RELAY),  # notify publishes nothing yet
        ("before-effect", NOTIFY),
    ],
)
async def test_killed_service(
    bus: LocalBus, candidates: Iterator[int], point: str, services: tuple[Service, ...]
) -> None:
    await carried_while(bus, next(candidates), lambda: passes_of(bus, services, point))


async def test_killed_broker(bus: LocalBus, candidates: Iterator[int]) -> None:
    async def kill() -> AsyncIterator[None]:
        await under_way(bus)
        assert isinstance(bus.broker, PrivateNode)
        await asyncio.to_thread(bus.broker.kill)
        yield
        await asyncio.to_thread(bus.broker.restart)

    await carried_while(bus, next(candidates), kill)


async def test_killed_database(bus: LocalBus, candidates: Iterator[int]) -> None:
    async def kill() -> AsyncIterator[None]:
        await under_way(bus)
        assert isinstance(bus.database, Postgres)
        await asyncio.to_thread(bus.database.kill)
        yield
        await asyncio.to_thread(bus.database.restart)

    await carried_while(bus, next(candidates), kill)


async def under_way(bus: LocalBus) -> None:
    """Until partners are receiving messages."""
    engine = connect(bus.address.databases["partners"])

    async def received() -> int:
        async with engine.connect() as connection:
            return int(await connection.scalar(text("SELECT count(*) FROM ontvangen")) or 0)

    before = await received()
    await eventually(received, lambda now: now > before + 10)
    await engine.dispose()
