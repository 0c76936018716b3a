"""The real broker and the real PostgreSQL, once for the whole run: as `make run` would find them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local import broker as local_broker
from deploy.local import postgres as local_postgres
from deploy.local.broker import Broker
from deploy.local.postgres import DatabaseServer

settings.register_profile("here", deadline=None)  # the machine is shared with a broker and a database
settings.load_profile("here")

STATE = Path(__file__).parent.parent / ".run" / "tests" / os.environ.get("PYTEST_XDIST_WORKER", "alone")


def _quiet(_: str) -> None:
    """Tests show no progress."""


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    found = local_broker.find_or_start(STATE / "rabbitmq", _quiet)
    yield found
    found.stop()


@pytest.fixture(scope="session")
def database() -> Iterator[DatabaseServer]:
    found = local_postgres.find_or_start(STATE / "postgres", _quiet)
    yield found
    found.stop()
