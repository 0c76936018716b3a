"""A stand with the toy service on it."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.broker import Broker
from deploy.local.postgres import DatabaseServer
from tests.integration import toy
from tests.stand import Stand, stand


@pytest.fixture
async def toy_stand(broker: Broker, database: DatabaseServer) -> AsyncIterator[Stand]:
    toy.faults.broken = False
    async with stand(broker, database, toy.service, migrations=lambda _: toy.MIGRATIONS) as made:
        yield made
