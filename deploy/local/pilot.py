"""The pilot: simulated partners carry trajecten over the running bus for a year; then the books are balanced."""

import asyncio
import json
import re
import time
from dataclasses import asdict
from datetime import datetime
from datetime import time as daytime
from pathlib import Path
from typing import Any, Final

import uvloop
from rich.console import Console

from contracts.kwalificaties import Kwalificatietabel
from deploy.local.bus import KWALIFICATIES, SERVICES, Bus
from deploy.local.partners.behaviours import World
from deploy.local.partners.planting import Planting
from deploy.local.partners.script import Script
from deploy.local.partners.system import Office
from deploy.local.reckoning import Reckoning, reckon, unsettled
from deploy.local.view import View, show
from services.chassis.calendar import AMSTERDAM, SteppedCalendar
from services.chassis.database import connect, is_passing

TRAJECTEN: Final = 150
_PATIENCE: Final = 120.0
"""Seconds without any progress after which the pilot is given up."""
_LOOK: Final = 0.01
_BETWEEN: Final = 0.012
"""Seconds between two looks that must say the same: longer than a message is on its way."""
_STEP: Final = 2
"""Working days that pass at a time: what is planned for the one in between is done on the next."""
_STRIDE: Final = 5
"""Working days in one step at most, where nothing is planned: reminders are not to be skipped."""
_AFTERWARDS: Final = 30
"""Working days in which what waits must have come to its end."""


class PilotStuck(RuntimeError):
    """Nothing moves any more and it is not done. Says what is under way."""


class Conductor:
    """Lets a day pass whenever everybody is at rest, until nobody plans anything any more."""

    def __init__(self, bus: Bus, office: Office, clock: SteppedCalendar, planting: Planting) -> None:
        self._bus = bus
        self._office = office
        self._clock = clock
        self._planting = planting
        self._moved = time.monotonic()
        self._open: dict[tuple[str, int], tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def run(self) -> None:
        """Raises PilotStuck where nothing moved for a while."""
        afterwards = 0
        while True:
            await self._until_rest()
            await self._planting.on(self._clock.today())
            if self._office.next_day is None:
                afterwards += 1
                if afterwards > _AFTERWARDS or await self._over():
                    return
            self._clock.step_to(self._next_morning())
            self._office.time_passed()

    async def _over(self) -> bool:
        """Whether everything that was created has arrived, and nobody waits for an answer or has anything to do.

        Two looks at rest do not tell: a broker that is short of time may hold a message for longer.
        """
        if self._office.without_outcome or await unsettled(self._bus):
            return False
        return self._office.idle and self._office.next_day is None

    def _next_morning(self) -> datetime:
        """That of a working day on which something is planned, or of one not too far away."""
        planned = self._office.next_day
        day = self._clock.add_working_days(self._clock.today(), _STEP)
        for _ in range(_STRIDE - _STEP):
            if planned is None or day >= planned:
                break
            day = self._clock.add_working_days(day, 1)
        return datetime.combine(day, daytime(8), AMSTERDAM)

    async def _until_rest(self) -> None:
        """Two looks with nothing in between. A service that is away is not at rest."""
        before: object = None
        seen = -1
        self._moved = time.monotonic()
        while True:
            now = await self._look() if self._office.idle else None
            if now is not None and now == before:
                return
            before = now
            if self._office.tally.received != seen:
                seen, self._moved = self._office.tally.received, time.monotonic()
            elif time.monotonic() - self._moved > _PATIENCE:
                under_way = [*self._office.under_way(), *await unsettled(self._bus)]
                raise PilotStuck("\n".join([f"nothing moves on {self._clock.today()}:", *under_way[:20]]))
            await asyncio.sleep(_BETWEEN if now else _LOOK)

    async def _look(self) -> object:
        """What everybody has done so far, or None where somebody is not at rest, or a service does not relay."""
        done: list[object] = [self._office.tally.received]
        for service in SERVICES:
            answers = [await self._ask(instance) for instance in self._bus.instances(service)]
            if not all(answer and answer["at_rest"] for answer in answers):
                return None
            # The version before this one does not say.
            if not any(answer and answer.get("relays", True) for answer in answers):
                return None
            done.append(answers)
        return done

    async def _ask(self, instance: tuple[str, int]) -> dict[str, Any] | None:
        """What a service says of itself; None where it is away.

        Some thousands of times in a minute, so without a client library, over a connection that stays.
        """
        try:
            async with asyncio.timeout(5):
                if instance not in self._open:
                    self._open[instance] = await asyncio.open_connection(*instance)
                reader, writer = self._open[instance]
                writer.write(b"GET /rest HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1]) if length else 0)
            answer: dict[str, Any] = json.loads(body)
            return answer
        except (OSError, EOFError, TimeoutError, ValueError):
            if instance in self._open:
                self._open.pop(instance)[1].close()
            return None

    def close(self) -> None:
        """Leaves the services alone."""
        for _, writer in self._open.values():
            writer.close()


async def play(bus: Bus, script: Script, view: View | None = None) -> float:
    """Lets the partners work until everything in the script has happened; the seconds it took.

    A pilot that was played before, or was interrupted, goes on where it was.

    Raises:
        PilotStuck: nothing moved for a while.
        ValueError: the bus goes by the real time.
    """
    if bus.clock is None:
        raise ValueError("a pilot needs a bus with a clock of its own")
    engine = connect(bus.address.databases["partners"])
    kwalificaties = Kwalificatietabel.load(KWALIFICATIES)
    world = World(bus.registry, kwalificaties, bus.public_key(), bus.clock, script)
    office = Office(world, bus.address.amqp, engine)
    conductor = Conductor(bus, office, bus.clock, Planting(bus, engine, script))
    began = time.monotonic()
    working = asyncio.ensure_future(office.run())
    conducting = asyncio.ensure_future(_conduct(conductor, office))
    watching = asyncio.ensure_future(view.watch(bus, office) if view else asyncio.Event().wait())
    tasks = (working, conducting, watching)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            ended.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        conductor.close()
        await engine.dispose()
    return time.monotonic() - began


async def _conduct(conductor: Conductor, office: Office) -> None:
    await office.picked_up.wait()
    while True:
        try:
            return await conductor.run()
        except Exception as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(0.2)


def run(bus: Bus, console: Console, build: Path, count: int = TRAJECTEN) -> Reckoning:
    """Plays the pilot with a live view, writes `build/pilot.json` and shows the figures."""
    script = Script(count)
    with View(console, script) as view:
        seconds = uvloop.run(play(bus, script, view))
    figures = asyncio.run(reckon(bus))
    figures.seconds = round(seconds, 1)
    build.mkdir(exist_ok=True)
    (build / "pilot.json").write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    show(figures, console)
    return figures
