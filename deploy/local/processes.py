"""Child processes of the launcher: started, watched, and gone when the launcher is gone."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

Say = Callable[[str], None]
"""Takes one line of progress, meant for people."""

_POLL = 0.05
"""Seconds between two looks at something that is about to change."""

_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if _LINUX else None


class ProcessFailed(RuntimeError):
    """A process did not start, was not ready in time, or died. The message ends with its last log lines."""


class FolderInUse(RuntimeError):
    """Another launcher, still alive, works on the same state folder."""


# Below the ports that Linux and macOS hand out for outgoing connections: a client that keeps knocking on
# a stopped server's port there may be connected to itself, and the server cannot come back on it.
_PORTS = range(20_000, 32_000)
_handed_out: set[int] = set()


def free_port(preferred: int | None = None) -> int:
    """A loopback TCP port nobody listens on: the preferred one when it is free, else one never given before.

    Raises OSError when no port can be found.
    """
    if preferred is not None and _is_free(preferred):
        _handed_out.add(preferred)
        return preferred
    for port in random.sample(_PORTS, 500):
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise OSError(f"no free TCP port between {_PORTS.start} and {_PORTS.stop} on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections may linger, no listener
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Whether something accepts connections on that loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file, or a remark that there is none."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return f"({log} does not exist)"
    return "\n".join(text.splitlines()[-lines:]) or f"({log} is empty)"


class Claim:
    """The right to work on a state folder. It ends with release() or with the life of this process.

    Raises FolderInUse when another launcher has it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (folder / "launcher.lock").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise FolderInUse(f"{folder} is in use by process {holder}; stop that one first") from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Gives the folder up. Doing it twice does no harm."""
        self._file.close()


# The kernel's parent-death signal comes when the *thread* that forked ends. So all children are forked by
# one thread that lives as long as this process.
_jobs: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
_jobs = queue.SimpleQueue()
_spawner: threading.Thread | None = None
_spawner_guard = threading.Lock()


def _spawn_forever() -> None:
    while True:
        job, result = _jobs.get()
        try:
            result.set_result(job())
        except BaseException as error:
            result.set_exception(error)


def spawn(
    argv: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    last_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Starts a child whose output is appended to `log`, out of reach of the terminal's Ctrl-C.

    `env` is the child's whole environment (default: ours). On Linux it gets `last_signal` when this process
    dies, however it dies. Raises ProcessFailed when the program cannot be started.
    """
    global _spawner
    launcher = os.getpid()

    def follow_launcher() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(last_signal))
            if os.getppid() != launcher:
                os._exit(1)

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=follow_launcher,
            )

    with _spawner_guard:
        if _spawner is None or not _spawner.is_alive():
            _spawner = threading.Thread(target=_spawn_forever, name="spawner", daemon=True)
            _spawner.start()
    result: Future[subprocess.Popen[bytes]] = Future()
    _jobs.put((start, result))
    try:
        return result.result()
    except OSError as error:
        raise ProcessFailed(f"cannot start {argv[0]}: {error}") from error


def end(process: subprocess.Popen[bytes], *, bound: float, first: signal.Signals = signal.SIGTERM) -> None:
    """Asks a child to stop and makes it stop after `bound` seconds."""
    if process.poll() is None:
        process.send_signal(first)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(bound)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Takes a child away without warning (SIGKILL) and waits until it is gone."""
    if process.poll() is None:
        process.kill()
    process.wait()


def command_line(pid: int) -> str:
    """The command line of a running process, empty when there is none by that id (or only its remains)."""
    if _LINUX:
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    found = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def end_stray(pid: int, marker: str, *, bound: float, first: signal.Signals = signal.SIGTERM) -> bool:
    """Stops a process left by an earlier launcher, if `pid` still is that process.

    It is ours only when `marker`, a text unique to its state folder, is on its command line; process ids are
    reused. Returns whether there was something to stop.
    """

    def alive() -> bool:
        return marker in command_line(pid)

    if not alive():
        return False
    for order, patience in ((first, bound), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, order)
        give_up = time.monotonic() + patience
        while alive() and time.monotonic() < give_up:
            time.sleep(_POLL)
        if not alive():
            return True
    raise ProcessFailed(f"process {pid}, left by an earlier run, does not stop: {command_line(pid)[:200]}")


@dataclass
class _Child:
    argv: Sequence[str]
    env: Mapping[str, str]
    ready_url: str | None
    process: subprocess.Popen[bytes]


class Supervisor:
    """Runs our own processes and only those; their output is kept as `<log_dir>/<name>.log`.

    supervisor = Supervisor(Path(".run/log"))
    supervisor.start("intake", [sys.executable, "-m", "services.intake"], {}, "http://127.0.0.1:8001/ready")
    supervisor.wait_ready(["intake"], timeout=30)
    supervisor.stop_all()
    """

    def __init__(self, log_dir: Path, *, patience: float = 15.0) -> None:
        """`patience` is how many seconds a process gets to stop before it is killed."""
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._patience = patience
        self._children: dict[str, _Child] = {}

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str], ready_url: str | None = None) -> None:
        """Starts `argv` under that name, with `env` on top of our own environment.

        A name can be used again once its process is gone; ValueError before that.
        """
        if self.alive(name):
            raise ValueError(f"{name} is already running as process {self.pid(name)}")
        process = spawn(argv, log=self.log(name), env={**os.environ, **env})
        self._children.pop(name, None)  # a restarted process is the youngest again
        self._children[name] = _Child(argv, env, ready_url, process)

    def restart(self, name: str) -> None:
        """Stops the process if it lives and starts it again with what it was started with."""
        self.stop(name)
        child = self._children[name]
        self.start(name, child.argv, child.env, child.ready_url)

    def wait_ready(self, names: Iterable[str], timeout: float) -> None:
        """Returns when every named process answers 2xx on its readiness URL (or lives, when it has none).

        Raises ProcessFailed when one died, or is not ready after `timeout` seconds.
        """
        waiting = list(names)
        give_up = time.monotonic() + timeout
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while True:
                for name in waiting:
                    if not self.alive(name):
                        code = self._children[name].process.returncode
                        raise ProcessFailed(f"{name} died (exit {code}):\n{tail(self.log(name))}")
                waiting = [name for name in waiting if not _answers(client, self._children[name].ready_url)]
                if not waiting:
                    return
                if time.monotonic() > give_up:
                    logs = "\n".join(f"{name}:\n{tail(self.log(name))}" for name in waiting)
                    raise ProcessFailed(f"not ready within {timeout:g} s: {', '.join(waiting)}\n{logs}")
                time.sleep(_POLL)

    def alive(self, name: str) -> bool:
        """Whether the process of that name runs; False for a name never started."""
        child = self._children.get(name)
        return child is not None and child.process.poll() is None

    def pid(self, name: str) -> int:
        """The process id. Raises KeyError for a name never started."""
        return self._children[name].process.pid

    def exit_code(self, name: str) -> int | None:
        """How the process ended (minus the signal's number where one ended it); None while it lives."""
        return self._children[name].process.poll()

    def log(self, name: str) -> Path:
        """Where that process's output goes."""
        return self._log_dir / f"{name}.log"

    def stop(self, name: str) -> None:
        """SIGTERM, then SIGKILL when it takes longer than our patience. No error when it is gone already."""
        end(self._children[name].process, bound=self._patience)

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would."""
        kill(self._children[name].process)

    def stop_all(self) -> None:
        """Stops what we started, the youngest first."""
        for name in reversed(self._children):
            self.stop(name)


def _answers(client: httpx.Client, url: str | None) -> bool:
    if url is None:
        return True
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


def write_private(path: Path, content: str) -> None:
    """Writes a file that only its owner can read."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
