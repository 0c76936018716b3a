"""The service's database: engine, migrations, partitions."""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_log = logging.getLogger(__name__)
_CHASSIS: Final = Path(__file__).parent / "migrations"
_MONTHS_AHEAD: Final = 3
_ONE_AT_A_TIME: Final = 0x50424D47
"""Advisory lock under which migrations and partitions are made."""
_LOCKED_WITHIN: Final = "5s"
"""How long making them waits for a table: whoever comes later waits behind it, so it rather gives up."""


def connect(url: str) -> AsyncEngine:
    """An engine for `postgresql+asyncpg://…`; connections are made when needed."""
    return create_async_engine(
        url,
        pool_size=6,
        max_overflow=4,
        pool_pre_ping=False,
        hide_parameters=True,  # an error must not repeat the bodies that a statement carried
        connect_args={"server_settings": {"application_name": "praktijkbus", "timezone": "UTC"}},
    )


async def migrate(engine: AsyncEngine, service: str, migrations: Path) -> None:
    """Brings the chassis' and the service's tables up to date.

    Safe to run by several processes at once; within one process, one after another (Alembic's context is
    global).
    """
    await upgrade(
        engine,
        {
            "alembic_version_chassis": _CHASSIS / "versions",
            f"alembic_version_{service}": migrations / "versions",
        },
    )
    async with _one_at_a_time(engine) as connection:
        await ensure_partitions(connection, datetime.now(UTC).date())


async def upgrade(engine: AsyncEngine, versions: Mapping[str, Path]) -> None:
    """Carries out the migrations in these folders, by the table in which Alembic notes how far it is.

    Raises:
        DBAPIError: among others where a table is in use for too long; nothing of that migration is done then.
    """
    async with _one_at_a_time(engine) as connection:
        for version_table, folder in versions.items():
            await connection.run_sync(_upgrade, folder, version_table)


@contextlib.asynccontextmanager
async def _one_at_a_time(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ONE_AT_A_TIME})
        await connection.execute(text(f"SET lock_timeout = '{_LOCKED_WITHIN}'"))
        await connection.commit()
        try:
            yield connection
            await connection.commit()
        finally:
            await connection.rollback()
            await connection.execute(text("RESET lock_timeout"))
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ONE_AT_A_TIME})
            await connection.commit()


def _upgrade(connection: Connection, versions: Path, version_table: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_CHASSIS))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table
    command.upgrade(config, "head")


async def ensure_partitions(connection: AsyncConnection, today: date) -> None:
    """Makes the monthly partitions of this month and the next few, of every table split by range."""
    names = await connection.execute(
        text("SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid")
    )
    for table in names.scalars().all():
        for ahead in range(_MONTHS_AHEAD):
            first, after = _month(today, ahead), _month(today, ahead + 1)
            name = f"{table}_{first:%Y_%m}"
            exists = await connection.scalar(text("SELECT to_regclass(:name)"), {"name": name})
            if exists is None:
                await connection.execute(
                    text(
                        f"CREATE TABLE {name} PARTITION OF {table} "
                        f"FOR VALUES FROM ('{first} 00:00+00') TO ('{after} 00:00+00')"
                    )
                )


def _month(day: date, ahead: int) -> date:
    months = day.year * 12 + day.month - 1 + ahead
    return date(months // 12, months % 12 + 1, 1)


_PASSING_CLASSES: Final = ("08", "40", "53", "55", "57")
"""SQLSTATE classes of trouble that passes: connection, deadlock, resources, shutdown."""


def is_passing(error: BaseException) -> bool:
    """Whether the database may well accept the same transaction later."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _passing_state(error.orig)
    # What goes wrong while connecting or listening comes from the driver as it is. Where it has read that the
    # session was ended, and not yet that the connection is closed, it calls that an InternalClientError.
    return isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError) or (
        isinstance(error, asyncpg.PostgresError) and _passing_state(error)
    )


def _passing_state(error: BaseException | None) -> bool:
    sqlstate = getattr(error, "sqlstate", None)
    return sqlstate is None or sqlstate.startswith(_PASSING_CLASSES)
