"""`praktijkbus`: run the bus on this machine, play the pilot, send events, follow a traject.

praktijkbus pilot                                     # what `make run` does
praktijkbus submit events.ndjson --partner wsp-venlo  # your own events, with their receipts
praktijkbus tell PV-7K3F9-QX2ME                       # the story of one traject
praktijkbus trace 4bf92f3577b34da6a3ce929d0e0e4736    # what happened in one trace, as a tree with times
praktijkbus figures --csv                             # funnel, duration, who is late, budget
praktijkbus parked list                               # what could not be processed, and why
praktijkbus replay --to billing --stream traject --reden herstel
praktijkbus provision --help                          # for an operator: a broker of your own
praktijkbus secrets --help                            # for an operator: what a stack of containers needs
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from sqlalchemy import select

from cli import parked, place
from cli.figures import figures
from cli.place import ROOT, State, Trouble
from cli.provision import provision
from cli.replay import replay
from cli.secrets import secrets
from cli.submit import submit
from cli.tell import tell
from cli.trace import trace
from services.chassis.database import connect
from services.intake import tables

if TYPE_CHECKING:
    from deploy.local.bus import LocalBus

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__.replace("\n\n", "\n\n\b\n", 1),
)
console = Console(emoji=False, highlight=False, soft_wrap=True)


def _say(line: str) -> None:
    console.print(f"[dim]·[/dim] {line}")


@contextmanager
def _local_bus(state: Path, *, begin: datetime | None = None) -> "Iterator[LocalBus]":
    """The bus on this machine; what keeps it from running is told as trouble. Ctrl-C stops all of it.

    `begin` gives it a clock of its own, if it has none yet.
    """
    try:
        from deploy.local.broker import BrokerUnavailable
        from deploy.local.bus import LocalBus
        from deploy.local.pilot import PilotStuck
        from deploy.local.postgres import DatabaseUnavailable
        from deploy.local.processes import FolderInUse, ProcessFailed
    except ModuleNotFoundError as problem:
        raise Trouble(f"{problem.name} is missing. Install praktijkbus[local], or use `make run`.") from None
    place.registry(place.PARTNERS)  # its mistakes are told better before anything is started
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with LocalBus(state, _say, begin=begin) as bus:
            try:
                yield bus
            finally:
                _say("Stopping …")
                for number in (signal.SIGINT, signal.SIGTERM):  # once is enough, and stopping takes its time
                    signal.signal(number, signal.SIG_IGN)
    except FolderInUse as problem:
        raise Trouble(f"A bus is running here already: {problem}. Or give another folder with --state.") from None
    except (BrokerUnavailable, DatabaseUnavailable, ProcessFailed, PilotStuck) as problem:
        raise Trouble(str(problem)) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM stops what was started in the same order as Ctrl-C."""
    raise KeyboardInterrupt


def _stay_up(bus: "LocalBus") -> None:
    """Until Ctrl-C. Says so when a part of it is gone."""
    from deploy.local.bus import SERVICES

    example = asyncio.run(_some_traject(bus.address.databases["intake"])) or "NUMMER"
    console.print(
        "\n[bold]The bus is up.[/bold] Stop it with Ctrl-C; the next start finds everything again, "
        "`make clean-run` forgets it.\nIn another terminal:\n\n"
        f"  ./praktijkbus tell {example}\n"
        "      the story of a traject\n"
        "  ./praktijkbus submit deploy/local/examples/negen.ndjson --partner coach-kompas\n"
        "      three good and six bad events, each with its receipt\n\n"
        f"  Mails:  {bus.address.mail_page}\n"
        f"  Queues: {bus.address.management_url} (name and password: admin in {bus.state / 'bus.json'})\n"
    )
    watched = [*(service.name for service in SERVICES), "mailcatcher"]
    with suppress(KeyboardInterrupt):
        while True:
            for name in [name for name in watched if not bus.supervisor.alive(name)]:
                console.print(f"[red]{name} stopped by itself.[/red] Its log: {bus.supervisor.log(name)}")
                watched.remove(name)
            time.sleep(1)


async def _some_traject(database: str) -> str | None:
    engine = connect(database)
    try:
        async with engine.connect() as connection:
            return await connection.scalar(select(tables.traject.c.subject).limit(1))
    finally:
        await engine.dispose()


@app.command()
def up(state: State = place.STATE) -> None:
    """Starts the bus on this machine and leaves it up until Ctrl-C."""
    with _local_bus(state) as bus:
        _stay_up(bus)


@app.command()
def pilot(state: State = place.STATE) -> None:
    """Starts the bus, lets simulated partners carry trajecten over it, and leaves it up.

    With PILOT=once in the environment it stops after the pilot.

    Exit code: 0 all is well, 1 the books do not balance (with PILOT=once), 2 it cannot run.
    """
    once = os.environ.get("PILOT") == "once"
    from deploy.local.partners.script import BEGIN

    with _local_bus(state, begin=BEGIN) as bus:
        from deploy.local import pilot as local_pilot

        figures = local_pilot.run(bus, console, ROOT / "build")
        if not once:
            _stay_up(bus)
    if once and not figures.consistent:
        raise typer.Exit(1)


for command in (submit, tell, trace, figures, replay, provision, secrets):
    app.command()(command)
app.add_typer(parked.app, name="parked")


def main() -> None:
    """Runs the command line; trouble that a person can mend is said in one line."""
    try:
        app(prog_name="praktijkbus")
    except Trouble as trouble:
        Console(stderr=True, emoji=False, soft_wrap=True).print(
            str(trouble), style="red", markup=False, highlight=False
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
