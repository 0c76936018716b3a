"""The real broker and the real PostgreSQL, once for the whole run.

In containers where an engine answers, else as `make run` would find them. What the environment gives goes first.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from deploy.local import broker as local_broker
from deploy.local import postgres as local_postgres
from deploy.local.broker import Broker
from deploy.local.postgres import DatabaseServer
from deploy.local.processes import Say
from tests import containers

T = TypeVar("T")
settings.register_profile("here", deadline=None)  # the machine is shared with a broker and a database
settings.load_profile("here")

STATE = Path(__file__).parent.parent / ".run" / "tests" / os.environ.get("PYTEST_XDIST_WORKER", "alone")


def _quiet(_: str) -> None:
    """Tests show no progress."""


_GIVEN_BY = {"broker": local_broker.AMQP_VARIABLE, "database": local_postgres.DATABASE_VARIABLE}
_IMAGES = {"broker": containers.RABBITMQ, "database": containers.POSTGRES}
_CONTAINED = pytest.StashKey[set[str]]()


def _say(config: pytest.Config, line: str) -> None:
    """To the terminal, past what pytest captures; one of several workers speaks for all."""
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            sys.stderr.write(f"\n{line}\n")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Looks for an engine, if a test wants one. Here, since a download would not fit in a test's time limit."""
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    wanted = {name for name, given in _GIVEN_BY.items() if name in asked and not os.environ.get(given)}
    if wanted and not session.config.option.collectonly:
        say = partial(_say, session.config)
        reason = containers.why_not([_IMAGES[name] for name in wanted], say)
        if reason is None:
            session.config.stash[_CONTAINED] = wanted
        else:
            say(f"No containers, so servers of our own: {reason}")


def _find(
    config: pytest.Config, name: str, contain: Callable[[Path], T], otherwise: Callable[[Path, Say], T]
) -> T:
    state = STATE / ("rabbitmq" if name == "broker" else "postgres")
    if name in config.stash.get(_CONTAINED, set()):
        try:
            return contain(state)
        except Exception as error:  # an engine that answers and yet cannot: the tests can do without
            _say(config, f"No container for the {name}, so a server of our own: {' '.join(str(error).split())}")
    return otherwise(state, _quiet)


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    found: Broker = _find(pytestconfig, "broker", containers.Rabbit, local_broker.find_or_start)
    yield found
    found.stop()


@pytest.fixture(scope="session")
def database(pytestconfig: pytest.Config) -> Iterator[DatabaseServer]:
    found: DatabaseServer = _find(pytestconfig, "database", containers.Database, local_postgres.find_or_start)
    yield found
    found.stop()
