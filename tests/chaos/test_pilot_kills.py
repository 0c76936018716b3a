"""The whole pilot, everything in it that goes wrong, and besides: kills with SIGKILL at random moments.

A failure is played again with the seed that it printed: `PRAKTIJKBUS_CHAOS_SEED=12345 make chaos`.
"""

import asyncio
import os
import random
import secrets
from collections.abc import Iterator

import pytest

from deploy.local import pilot
from deploy.local.broker import AMQP_VARIABLE, PrivateNode
from deploy.local.bus import SERVICES, LocalBus
from deploy.local.partners.script import BEGIN, Script
from deploy.local.postgres import DATABASE_VARIABLE
from deploy.local.reckoning import reckon

pytestmark = pytest.mark.timeout(600)
SEED = int(os.environ.get("PRAKTIJKBUS_CHAOS_SEED") or secrets.randbelow(10**6))
CANDIDATES = 30
EACH = 5
"""How often each service dies."""
DAYS = 200
"""The working days of the year in which it happens."""


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBus]:
    """A bus with a broker of its own, since that is killed too."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(AMQP_VARIABLE, raising=False)
        environment.delenv(DATABASE_VARIABLE, raising=False)
        with LocalBus(tmp_path_factory.mktemp("kills"), lambda _: None, begin=BEGIN) as running:
            yield running


async def test_nothing_is_lost_or_done_twice_whatever_dies_when(bus: LocalBus) -> None:
    print(f"seed {SEED}")  # noqa: T201 - shown when it fails
    playing = asyncio.create_task(pilot.play(bus, Script(CANDIDATES)))
    try:
        killed = await _kill(bus, random.Random(SEED), playing)
        await playing
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    figures = await reckon(bus)

    assert killed == EACH * len(SERVICES) + 1
    assert figures.findings == []
    assert (figures.trajecten, figures.lost, figures.duplicate_effects) == (CANDIDATES, 0, 0)
    assert figures.facturen > 0
    assert figures.parked == 2, "as many as were planted"


async def _kill(bus: LocalBus, chance: random.Random, playing: "asyncio.Task[float]") -> int:
    """Each on its day, in the middle of whatever happens then; how many died."""
    assert isinstance(bus.broker, PrivateNode)
    assert bus.clock is not None
    doomed: list[str | None] = [service.name for service in SERVICES for _ in range(EACH)] + [None]
    chance.shuffle(doomed)
    killed = 0
    for day, name in zip(sorted(chance.sample(range(2, DAYS), len(doomed))), doomed, strict=True):
        while bus.clock.working_days_between(BEGIN.date(), bus.clock.today()) < day:
            assert not playing.done(), playing
            await asyncio.sleep(0.005)
        await asyncio.sleep(chance.uniform(0, 0.1))  # somewhere in the day
        if name is None:
            await asyncio.to_thread(bus.broker.kill)
            await asyncio.to_thread(bus.broker.restart)
        else:
            await asyncio.to_thread(bus.supervisor.kill, name)
            await asyncio.to_thread(bus.supervisor.restart, name)
        killed += 1
    return killed
