"""The migrations make exactly the tables that the code declares."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

from deploy.local.bus import KEYS, SERVICES
from services.chassis import database
from services.chassis import tables as chassis
from services.chassis.database import is_passing, upgrade
from services.chassis.service import Service
from services.intake.tables import sleutels
from tests.integration import toy
from tests.stand import Stand


def _declared(service: Service) -> MetaData:
    whole = MetaData()
    for metadata in (chassis.metadata, import_module(f"services.{service.name}.tables").metadata):
        for table in metadata.tables.values():
            table.to_metadata(whole)
    return whole


_NOT_DECLARED = ("alembic_version", "outbox_", "journal_default", "journal_2")
"""Alembic's own tables, and the monthly partitions that are made as time goes on."""


def _is_declared(_: Any, name: str | None, kind: str, reflected: bool, counterpart: Any) -> bool:
    return not (kind == "table" and reflected and counterpart is None and str(name).startswith(_NOT_DECLARED))


DECLARED = {service.name: _declared(service) for service in SERVICES} | {KEYS: sleutels}


@pytest.mark.parametrize("name", DECLARED)
async def test_migrations_make_what_is_declared(full_stand: Stand, name: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_object": _is_declared})
        return list(compare_metadata(context, DECLARED[name]))

    async with full_stand.engines[name].connect() as connection:
        found = await connection.run_sync(differences)
    assert found == []


async def test_migration_gives_up_rather_than_hold_everybody_up(
    toy_stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a table makes all others wait that come after."""
    monkeypatch.setattr(database, "_LOCKED_WITHIN", "200ms")
    (tmp_path / "0001_more.py").write_text(
        "from alembic import op\n"
        "revision, down_revision = 'more', None\n"
        "def upgrade(): op.execute('ALTER TABLE bekend ADD COLUMN more text')\n"
    )
    engine = toy_stand.engines[toy.service.name]
    versions = {"alembic_version_more": tmp_path}
    async with engine.connect() as busy:
        await busy.execute(text("LOCK TABLE bekend IN ROW EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError) as refused:
            await upgrade(engine, versions)
        assert is_passing(refused.value)
    await upgrade(engine, versions)
    async with engine.begin() as connection:
        assert await connection.scalar(text("SHOW lock_timeout")) == "0"
        await connection.execute(text("ALTER TABLE bekend DROP COLUMN more"))
        await connection.execute(text("DROP TABLE alembic_version_more"))
