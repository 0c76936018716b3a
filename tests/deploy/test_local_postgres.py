from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import CursorResult, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from deploy.local.postgres import DATABASE_VARIABLE, DatabaseUnavailable, Postgres, find_or_start
from deploy.local.processes import FolderInUse


def quiet(_: str) -> None:
    pass


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


@pytest.fixture
def server(state: Path) -> Iterator[Postgres]:
    server = Postgres(state, quiet)
    server.start()
    yield server
    server.stop()


async def execute(url: str, sql: str) -> CursorResult[Any]:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        return await connection.exec_driver_sql(sql)


async def fetch(server: Postgres, database: str, sql: str) -> object:
    return (await execute(server.url(database), sql)).scalar()


async def test_a_committed_row_survives_a_crash_and_a_stop(server: Postgres, state: Path) -> None:
    server.ensure_database("matching")
    await execute(server.url("matching"), "CREATE TABLE feit (id int)")
    await execute(server.url("matching"), "INSERT INTO feit VALUES (42)")
    url = server.url("matching")

    server.kill()
    assert server.pid is None
    server.restart()

    assert server.url("matching") == url
    assert await fetch(server, "matching", "SELECT id FROM feit") == 42

    server.stop()
    second = Postgres(state, quiet)
    second.start()
    try:
        assert second.url("matching") == url
        assert await fetch(second, "matching", "SELECT id FROM feit") == 42
    finally:
        second.stop()


async def test_commits_are_durable_and_only_loopback_with_a_password_gets_in(
    server: Postgres, state: Path
) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await fetch(server, "postgres", f"SHOW {setting}") == "on"
    assert await fetch(server, "postgres", "SHOW listen_addresses") == "127.0.0.1"
    assert await fetch(server, "postgres", "SHOW max_connections") == "200"
    assert stat.S_IMODE((state / "password").stat().st_mode) == 0o600

    guessed = make_url(server.url("postgres")).set(password="geraden")
    with pytest.raises(Exception, match="password authentication failed"):
        await execute(guessed.render_as_string(hide_password=False), "SELECT 1")


async def test_databases_are_made_and_dropped_as_often_as_asked(server: Postgres) -> None:
    for name in ("billing", 'met "aanhaling" en %s'):
        server.ensure_database(name)
        server.ensure_database(name)
        assert await fetch(server, "postgres", "SELECT count(*) FROM pg_database WHERE NOT datistemplate") == 2
        server.drop_database(name)
        server.drop_database(name)
    assert await fetch(server, "postgres", "SELECT count(*) FROM pg_database WHERE NOT datistemplate") == 1


def test_a_second_launcher_does_not_touch_a_running_server(server: Postgres, state: Path) -> None:
    with pytest.raises(FolderInUse):
        Postgres(state, quiet).start()
    assert server.pid is not None


async def test_what_a_killed_launcher_left_behind_is_taken_over(state: Path) -> None:
    launcher = (
        "import os, signal, sys; from pathlib import Path; from deploy.local.postgres import Postgres\n"
        f"server = Postgres(Path({str(state)!r}), str); server.start(); server.ensure_database('intake')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = await asyncio.create_subprocess_exec(sys.executable, "-c", launcher)
    assert await run.wait() == -signal.SIGKILL

    server = Postgres(state, quiet)
    server.start()
    try:
        assert await fetch(server, "intake", "SELECT 1") == 1
    finally:
        server.stop()


def test_a_given_server_is_used_and_nothing_is_started(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, "postgresql://bus:ge%40heim@db.example:5433/beheer")

    server = find_or_start(state, quiet)
    server.stop()

    assert server.url("intake") == "postgresql+asyncpg://bus:ge%40heim@db.example:5433/intake"
    assert not state.exists()


@pytest.mark.parametrize("url", ["mysql://db.example/", "zomaar iets", "postgresql:///intake"])
def test_an_unusable_given_url_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    with pytest.raises(DatabaseUnavailable, match=DATABASE_VARIABLE):
        find_or_start(state, quiet)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_root_can_use_a_folder_that_nobody_else_may_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "postgres", quiet)
    server.start()
    try:
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert server.pid is not None
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    finally:
        server.stop()
