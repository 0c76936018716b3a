"""The real broker and the real PostgreSQL, once for the whole run.

In containers where an engine answers, else as `make run` would find them. What the environment gives goes first.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local import broker as local_broker
from deploy.local import postgres as local_postgres
from deploy.local.broker import Broker
from deploy.local.postgres import DatabaseServer
from tests import containers

settings.register_profile("here", deadline=None)  # the machine is shared with a broker and a database
settings.load_profile("here")

STATE = Path(__file__).parent.parent / ".run" / "tests" / os.environ.get("PYTEST_XDIST_WORKER", "alone")


def _quiet(_: str) -> None:
    """Tests show no progress."""


_GIVEN_BY = {"broker": local_broker.AMQP_VARIABLE, "database": local_postgres.DATABASE_VARIABLE}
_IMAGES = {"broker": containers.RABBITMQ, "database": containers.POSTGRES}
_ENGINE = pytest.StashKey[bool]()


def _sayer(config: pytest.Config) -> Callable[[str], None]:
    """To the terminal, past what pytest captures; one of several workers speaks for all."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
            with capture.global_and_fixture_disabled():
                sys.stderr.write(f"\n{line}\n")

    return say


def pytest_collection_finish(session: pytest.Session) -> None:
    """Looks for an engine, if a test wants one. Here, since a download would not fit in a test's time limit."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    images = [image for name, image in _IMAGES.items() if name in wanted and not os.environ.get(_GIVEN_BY[name])]
    if images and not session.config.option.collectonly:
        say = _sayer(session.config)
        reason = containers.why_not(images, say)
        session.config.stash[_ENGINE] = reason is None
        if reason is not None:
            say(f"No containers, but servers of our own: {reason}")


def _in_container(config: pytest.Config, name: str) -> bool:
    return config.stash.get(_ENGINE, False) and not os.environ.get(_GIVEN_BY[name])


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    found: Broker | None = None
    if _in_container(pytestconfig, "broker"):
        found = _tried(pytestconfig, lambda: containers.Rabbit(STATE / "rabbitmq"))
    found = found or local_broker.find_or_start(STATE / "rabbitmq", _quiet)
    yield found
    found.stop()


@pytest.fixture(scope="session")
def database(pytestconfig: pytest.Config) -> Iterator[DatabaseServer]:
    found: DatabaseServer | None = None
    if _in_container(pytestconfig, "database"):
        found = _tried(pytestconfig, lambda: containers.Database(STATE / "postgres"))
    found = found or local_postgres.find_or_start(STATE / "postgres", _quiet)
    yield found
    found.stop()
