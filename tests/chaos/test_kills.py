"""Whatever is killed with SIGKILL and started again: nothing is lost and nothing takes effect twice.

The real processes, the real broker, the real database. Each test lets more candidates come in on the same bus.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from itertools import count

import pytest
from sqlalchemy import text

from deploy.local import pilot
from deploy.local.broker import AMQP_VARIABLE, PrivateNode
from deploy.local.bus import SERVICES, LocalBus
from deploy.local.partners.script import BEGIN, Script
from deploy.local.postgres import DATABASE_VARIABLE, Postgres
from deploy.local.reckoning import reckon
from services.chassis.database import connect
from services.chassis.service import Service
from tests.stand import eventually

pytestmark = pytest.mark.timeout(300)
MORE = 3
"""Candidates that each test adds."""
NAMES = [service.name for service in SERVICES]


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBus]:
    """A bus with a broker and a database of its own, since they are killed too."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(AMQP_VARIABLE, raising=False)
        environment.delenv(DATABASE_VARIABLE, raising=False)
        with LocalBus(tmp_path_factory.mktemp("chaos"), lambda _: None, begin=BEGIN) as running:
            yield running


@pytest.fixture(scope="module")
def candidates() -> Iterator[int]:
    return count(MORE, MORE)


async def carried_while(bus: LocalBus, total: int, happens: Callable[[], AsyncIterator[None]]) -> None:
    """Lets the pilot go on to `total` candidates while something happens; then the books must balance.

    A mail may have gone out a second time under its own Message-ID: SMTP has no transactions.
    """
    playing = asyncio.create_task(pilot.play(bus, Script(total, rustig=True)))
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


async def died(bus: LocalBus, dying: Collection[str]) -> list[Service]:
    """The next of these to die."""

    async def gone() -> list[Service]:
        return [each for each in SERVICES if each.name in dying and not bus.supervisor.alive(each.name)]

    return await eventually(gone)


POINTS: dict[str, dict[str, str]] = {
    "before-commit": dict.fromkeys(NAMES, "before-commit"),
    "after-commit-before-ack": dict.fromkeys(NAMES, "after-commit-before-ack"),
    # what notify takes outside is mail
    "between-publish-and-mark": dict.fromkeys(NAMES, "between-publish-and-mark") | {"notify": "before-effect"},
}


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
async def test_killed_services(bus: LocalBus, candidates: Iterator[int], points: dict[str, str]) -> None:
    """Each service dies once at its point and is started again."""

    async def die() -> AsyncIterator[None]:
        await asyncio.gather(*(asyncio.to_thread(bus.supervisor.stop, name) for name in NAMES))
        for service in SERVICES:
            program = ("-m", "tests.chaos.crashing", service.name, points[service.name], "2")
            bus.start_service(service, program)
        dying = set(NAMES)
        while dying:  # in whatever order: time stands still while one of them is away
            yield
            for service in await died(bus, dying):
                assert bus.supervisor.exit_code(service.name) == -signal.SIGKILL
                bus.start_service(service)
                dying.remove(service.name)
        await asyncio.to_thread(bus.supervisor.wait_ready, NAMES, 60)

    await carried_while(bus, next(candidates), die)


async def test_killed_broker_and_killed_database(bus: LocalBus, candidates: Iterator[int]) -> None:
    async def kill() -> AsyncIterator[None]:
        assert isinstance(bus.broker, PrivateNode)
        assert isinstance(bus.database, Postgres)
        for server in (bus.broker, bus.database):
            await under_way(bus)
            await asyncio.to_thread(server.kill)
            yield
            await asyncio.to_thread(server.restart)

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
