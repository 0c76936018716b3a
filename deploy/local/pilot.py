"""The pilot: simulated partners carry trajecten over the running bus, and the books are balanced after."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.kwalificaties import Kwalificatietabel
from deploy.local.bus import KWALIFICATIES, LocalBus
from deploy.local.partners.behaviours import behaviours
from deploy.local.partners.system import PartnerSystem
from deploy.local.reckoning import Reckoning, reckon, unsettled
from services.chassis.calendar import SystemCalendar
from services.chassis.database import connect, is_passing

TRAJECTEN: Final = 20
_PATIENCE: Final = 120.0
"""Seconds without any progress after which the pilot is given up."""
_LOOK: Final = 0.25

Watch = Callable[[int, int], None]
"""Told how many trajecten are closed, and how many messages partners have received."""


class PilotStuck(RuntimeError):
    """Nothing moves any more and it is not done. Says what is under way."""


async def play(bus: LocalBus, count: int, watch: Watch) -> float:
    """Lets the partners work until `count` trajecten are closed and the bus is at rest; the seconds it took.

    A pilot that was played before, or was interrupted, goes on where it was.

    Raises:
        PilotStuck: nothing moved for a while.
    """
    engine = connect(bus.address.databases["partners"])
    key = bus.public_key()
    kwalificaties = Kwalificatietabel.load(KWALIFICATIES)
    makers = behaviours(bus.registry, kwalificaties, key, count, SystemCalendar().today())
    systems = [
        PartnerSystem(maker, bus.address.amqp[partner.id], engine)
        for partner, maker in zip(bus.registry.partners, makers, strict=True)
    ]
    began = time.monotonic()
    at_work: asyncio.Future[list[None]] = asyncio.gather(*(system.run() for system in systems))
    settled: asyncio.Future[None] = asyncio.ensure_future(_until_settled(bus, engine, count, watch))
    both: list[asyncio.Future[Any]] = [at_work, settled]
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            ended.result()
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        await engine.dispose()
    return time.monotonic() - began


async def _until_settled(bus: LocalBus, engine: AsyncEngine, count: int, watch: Watch) -> None:
    intake = connect(bus.address.databases["intake"])
    seen, moved = (-1, -1), time.monotonic()
    try:
        while True:
            try:
                now = await _closed(intake), await _received(engine)
            except Exception as error:
                if not is_passing(error):
                    raise
                await asyncio.sleep(_LOOK)
                continue
            watch(*now)
            if now != seen:
                seen, moved = now, time.monotonic()
            elif now[0] >= count and not await unsettled(bus):
                return
            elif time.monotonic() - moved > _PATIENCE:
                under_way = await unsettled(bus)
                raise PilotStuck("\n".join([f"{now[0]} of {count} closed, nothing moves:", *under_way[:20]]))
            await asyncio.sleep(_LOOK)
    finally:
        await intake.dispose()


async def _closed(intake: AsyncEngine) -> int:
    async with intake.connect() as connection:
        found = await connection.scalar(text("SELECT count(*) FROM traject WHERE body->>'status' = 'gesloten'"))
    return int(found or 0)


async def _received(partners: AsyncEngine) -> int:
    async with partners.connect() as connection:
        found = await connection.scalar(text("SELECT count(*) FROM ontvangen"))
    return int(found or 0)


def run(bus: LocalBus, console: Console, build: Path, count: int = TRAJECTEN) -> Reckoning:
    """Plays the pilot with a progress bar, writes `build/pilot.json` and shows the figures."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trajecten · {task.fields[messages]} berichten bij partners"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("De pilot", total=count, messages=0)
        seconds = asyncio.run(
            play(bus, count, lambda done, seen: progress.update(bar, completed=min(done, count), messages=seen))
        )
    figures = asyncio.run(reckon(bus))
    figures.seconds = round(seconds, 1)
    build.mkdir(exist_ok=True)
    (build / "pilot.json").write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    _show(figures, console)
    return figures


_LABELS: Final = {
    "trajecten": "trajecten",
    "eindstanden": "waar ze staan",
    "submissions": "meldingen van partners",
    "aanvaard": "  aanvaard",
    "afgewezen": "  afgewezen",
    "wacht": "  eerst gewacht",
    "facts": "feiten in het journaal",
    "verklaringen": "praktijkverklaringen",
    "facturen": "facturen",
    "betalingen": "betalingen",
    "mails": "e-mails",
    "mail_copies": "e-mails die nog eens kwamen",
    "parked": "apart gezet na een storing",
    "lost": "verloren",
    "duplicate_effects": "dubbel gedaan",
    "seconds": "seconden",
}
"""The figures as people read them; `build/pilot.json` has them by their own names."""


def _show(figures: Reckoning, console: Console) -> None:
    table = Table("wat", "hoeveel", title="De pilot", title_justify="left")
    for name, value in asdict(figures).items():
        if name == "findings":
            continue
        shown = ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else value
        table.add_row(_LABELS.get(name, name.replace("_", " ")), str(shown or 0))
    console.print(table)
    for finding in figures.findings[:20]:
        console.print(f"[red]✗[/red] {finding}")
    verdict = "[green]Alles klopt.[/green]" if figures.consistent else "[red]De boeken kloppen niet.[/red]"
    console.print(verdict)
