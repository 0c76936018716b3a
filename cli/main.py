"""`praktijkbus`: run the bus on this machine, play the pilot, send events, follow a traject.

praktijkbus pilot                               # what `make run` does
praktijkbus submit events.ndjson --partner wsp-venlo
praktijkbus tell PV-7K3F9-QX2ME
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.local import pilot as local_pilot
from deploy.local.broker import BrokerUnavailable
from deploy.local.bus import ROOT, LocalBus
from deploy.local.postgres import DatabaseUnavailable
from deploy.local.processes import FolderInUse, ProcessFailed

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console()

State = Annotated[Path, typer.Option(help="Where the local bus keeps its data.", envvar="PRAKTIJKBUS_STATE")]
_STATE = ROOT / ".run"
_HELP = (BrokerUnavailable, DatabaseUnavailable, FolderInUse, ProcessFailed, local_pilot.PilotStuck)


def _say(line: str) -> None:
    console.print(f"[dim]·[/dim] {line}")


def _stay_up(bus: LocalBus) -> None:
    """Until Ctrl-C."""
    console.print(
        f"\nDe bus draait. Post: [link]{bus.address.mail_page}[/link]\n"
        "Volg een traject: [bold].venv/bin/praktijkbus tell NUMMER[/bold]. Stop met Ctrl-C."
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    console.print("Stoppen …")


@app.command()
def up(state: State = _STATE) -> None:
    """Starts the bus on this machine and leaves it up until Ctrl-C."""
    with LocalBus(state, _say) as bus:
        _stay_up(bus)


@app.command()
def pilot(state: State = _STATE) -> None:
    """Starts the bus, lets simulated partners carry trajecten over it, and leaves it up.

    With PILOT=once in the environment it stops after the pilot, and exits with 1 if anything is amiss.
    """
    once = os.environ.get("PILOT") == "once"
    with LocalBus(state, _say) as bus:
        figures = local_pilot.run(bus, console, ROOT / "build")
        if not once:
            _stay_up(bus)
    if once and not figures.consistent:
        raise typer.Exit(1)


def main() -> None:
    """Runs the command line; trouble that a person can mend is said in one line."""
    try:
        app()
    except _HELP as trouble:
        console.print(f"[red]{trouble}[/red]")
        sys.exit(2)


if __name__ == "__main__":
    main()
