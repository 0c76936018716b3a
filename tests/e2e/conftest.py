"""The whole bus as `make run` starts it, once, in a folder and on servers of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deploy.local.broker import AMQP_VARIABLE, MANAGEMENT_VARIABLE
from deploy.local.bus import ROOT, LocalBus
from deploy.local.partners.script import BEGIN, Script
from deploy.local.pilot import play
from deploy.local.postgres import DATABASE_VARIABLE
from deploy.local.reckoning import Books, Reckoning, balance

COUNT = 4
"""Trajecten of the small pilot."""
SERVERS = (AMQP_VARIABLE, MANAGEMENT_VARIABLE, DATABASE_VARIABLE)

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBus]:
    """Not on servers that the environment offers: a LocalBus has fixed names there."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in SERVERS:
            patch.delenv(variable, raising=False)
        with LocalBus(tmp_path_factory.mktemp("bus"), lambda _: None, begin=BEGIN) as running:
            yield running


@pytest.fixture(scope="session")
async def read(bus: LocalBus) -> Books:
    """The books right after a small pilot: what other tests send later, no simulated partner reads."""
    await play(bus, Script(COUNT, rustig=True))
    books = Books(bus)
    await books.read()
    return books


@pytest.fixture(scope="session")
def played(read: Books) -> Reckoning:
    """What those books say."""
    return balance(read)


@pytest.fixture(scope="session")
def praktijkbus(bus: LocalBus) -> Cli:
    """Runs the command line on the running bus, as a process of its own."""

    def run(
        *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in os.environ.items() if name not in SERVERS}
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env={**known, "PRAKTIJKBUS_STATE": str(bus.state), **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment in which no bus was started."""
    return {"PRAKTIJKBUS_STATE": str(tmp_path / "nowhere")}
