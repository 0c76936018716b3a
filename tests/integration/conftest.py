"""Stands on the real broker and database: one with the toy service, one with the real ones."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.broker import Broker
from deploy.local.bus import ROOT, SERVICES
from deploy.local.postgres import DatabaseServer
from services.chassis import otlp
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.telemetry import sample
from tests.integration import toy
from tests.integration.collector import Collector, Export
from tests.stand import Stand, stand


def migrations(service: Service) -> Path:
    return ROOT / "services" / service.name / "migrations"


@pytest.fixture(scope="session")
async def _toy_stand(broker: Broker, database: DatabaseServer) -> AsyncIterator[Stand]:
    async with stand(broker, database, toy.service, migrations=lambda _: toy.MIGRATIONS) as made:
        yield made


@pytest.fixture
async def toy_stand(_toy_stand: Stand) -> AsyncIterator[Stand]:
    toy.faults.broken = False
    yield _toy_stand
    await _toy_stand.empty()


@pytest.fixture(scope="session")
async def _full_stand(broker: Broker, database: DatabaseServer) -> AsyncIterator[Stand]:
    async with stand(broker, database, *SERVICES, migrations=migrations) as made:
        yield made


@pytest.fixture
async def full_stand(_full_stand: Stand) -> AsyncIterator[Stand]:
    yield _full_stand
    await _full_stand.empty()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(otlp, "_GATHER", 0.05)
    with Collector().listening() as made:
        yield made


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Export]:
    def export(stand: Stand, collector: Collector, **more: object) -> None:
        plain = stand.settings

        def settings(service: Service) -> Settings:
            return plain(service).model_copy(update={"otlp_endpoint": f"{collector.endpoint}/"} | more)

        monkeypatch.setattr(stand, "settings", settings)

    yield export
    sample(1.0)
