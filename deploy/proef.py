"""A trial in containers: simulated partners play a quiet pilot on the stack, and the books are balanced.

    python -m deploy.proef begin               # sets the clock that all go by, before the services start
    python -m deploy.proef play --trajecten 20 # plays, or plays on, and prints the reckoning as JSON
    python -m deploy.proef play --on           # goes on with more people until it is told to stop (SIGTERM)

Exit code of `play`: 0 the books balance, 1 they do not.
"""

import asyncio
import email
import email.policy
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import httpx
import typer
import uvloop
from joserfc.jwk import ECKey

from contracts.partners import Registry
from deploy.local import persons, pilot
from deploy.local.bus import Address
from deploy.local.partners import records
from deploy.local.partners.script import BEGIN, Script
from deploy.local.reckoning import reckon
from services.chassis.calendar import SteppedCalendar
from services.chassis.database import connect
from services.chassis.service import Service

_PORT = 8080
_MORE = 10
"""People who come in with each round of those that go on."""
_PAGE = 200
"""Mails asked for at once."""
_CALLS = 5
"""Attempts to reach the mail catcher: names may not be known for a moment while containers come and go."""
_FRESH = 0.5
"""Seconds in which an answer of the name server is believed."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Clock = Annotated[Path, typer.Option(help="The file with the time.", envvar="PRAKTIJKBUS_CLOCK")]
State = Annotated[Path, typer.Option(help="The folder with bus.json.", envvar="PRAKTIJKBUS_STATE")]
Partners = Annotated[Path, typer.Option(help="The partner registry.", envvar="PRAKTIJKBUS_PARTNERS")]
On = Annotated[bool, typer.Option("--on", help="Go on with more people until told to stop.")]
Trajecten = Annotated[int, typer.Option(help="How many people are on the bus afterwards.", min=1)]


class Stack:
    """Satisfies Bus: the services in containers, found by their names."""

    def __init__(self, state: Path, partners: Path, clock: Path) -> None:
        self.registry = Registry.load(partners)
        self.address = Address.load(state)
        self.clock: SteppedCalendar | None = SteppedCalendar(clock)
        self._found: dict[str, tuple[float, list[tuple[str, int]]]] = {}

    def instances(self, service: Service) -> Sequence[tuple[str, int]]:
        """While one container takes over from another there are two under one name."""
        asked, found = self._found.get(service.name, (0.0, []))
        if time.monotonic() - asked > _FRESH:
            try:
                answers = socket.getaddrinfo(service.name, _PORT, socket.AF_INET, socket.SOCK_STREAM)
                found = sorted({(str(answer[4][0]), _PORT) for answer in answers})
            except OSError:
                found = []
            self._found[service.name] = (time.monotonic(), found)
        return found

    def mails(self) -> list[EmailMessage]:
        again = httpx.HTTPTransport(retries=_CALLS)
        with httpx.Client(base_url=f"{self.address.mail_page}api/v1", timeout=30, transport=again) as http:
            ids: list[str] = []
            while True:
                asked: dict[str, str | int] = {"start": len(ids), "limit": _PAGE}
                page = http.get("/messages", params=asked).raise_for_status().json()["messages"]
                ids += [mail["ID"] for mail in page]
                if len(page) < _PAGE:
                    break
            raw = [http.get(f"/message/{each}/raw").raise_for_status().content for each in reversed(ids)]
        return [
            email.message_from_bytes(content.replace(b"\r\n", b"\n"), policy=email.policy.default)
            for content in raw
        ]

    def public_key(self) -> ECKey:
        return persons.public_key(Path(self.address.public_key))


@app.command()
def begin(clock: Clock) -> None:
    """Sets the clock to the first morning of the pilot, if it does not run yet."""
    SteppedCalendar.begin(clock, BEGIN)


@app.command()
def play(clock: Clock, state: State, partners: Partners, trajecten: Trajecten = 20, on: On = False) -> None:
    """Plays until everything that was to happen has happened, and balances the books."""
    SteppedCalendar.begin(clock, BEGIN)
    stack = Stack(state, partners, clock)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    there = trajecten
    seconds = uvloop.run(_play(stack, there))
    while on and not told.is_set():
        there += _MORE
        seconds += uvloop.run(_play(stack, there))
    figures = asyncio.run(reckon(stack))
    figures.seconds = round(seconds, 1)
    json.dump(asdict(figures), sys.stdout)
    raise typer.Exit(0 if figures.consistent else 1)


async def _play(stack: Stack, trajecten: int) -> float:
    engine = connect(stack.address.databases["partners"])
    await records.prepare(engine)
    await engine.dispose()
    return await pilot.play(stack, Script(trajecten, rustig=True))


if __name__ == "__main__":
    app(prog_name="python -m deploy.proef")
