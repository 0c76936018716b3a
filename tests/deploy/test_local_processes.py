from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.processes import (
    Claim,
    FolderInUse,
    ProcessFailed,
    Supervisor,
    command_line,
    end_stray,
    free_port,
)

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)",
]


def eventually(what: Callable[[], bool], seconds: float = 10) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "log", patience=0.5)
    yield supervisor
    supervisor.stop_all()


def test_a_child_that_died_is_reported_with_the_end_of_its_log(supervisor: Supervisor) -> None:
    program = "for n in range(30): print('line', n)\nraise SystemExit('no database')"
    supervisor.start("intake", [sys.executable, "-u", "-c", program], {}, "http://127.0.0.1:9/ready")

    with pytest.raises(ProcessFailed, match=r"intake died \(exit 1\)") as failure:
        supervisor.wait_ready(["intake"], timeout=30)

    lines = str(failure.value).splitlines()
    assert lines[-1] == "no database"
    assert "line 29" in lines
    assert "line 10" not in lines


def test_a_child_that_is_not_ready_in_time_is_reported(supervisor: Supervisor) -> None:
    supervisor.start("intake", SLEEPER, {}, f"http://127.0.0.1:{free_port()}/ready")

    with pytest.raises(ProcessFailed, match=r"not ready within 0\.2 s: intake"):
        supervisor.wait_ready(["intake"], timeout=0.2)


def test_it_is_ready_once_its_url_answers(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port), "-d", str(tmp_path)]
    supervisor.start("page", argv, {"PYTHONUNBUFFERED": "1"}, f"http://127.0.0.1:{port}/")

    supervisor.wait_ready(["page"], timeout=30)

    assert "GET / HTTP" in supervisor.log("page").read_text()


def test_stop_all_stops_its_own_processes_only_even_deaf_ones(supervisor: Supervisor) -> None:
    bystander = subprocess.Popen(SLEEPER)
    try:
        supervisor.start("sleeper", SLEEPER, {})
        supervisor.start("deaf", DEAF, {})
        eventually(lambda: "deaf" in supervisor.log("deaf").read_text())

        supervisor.stop_all()

        assert not supervisor.alive("sleeper")
        assert not supervisor.alive("deaf")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_killed_process_can_be_started_again_under_its_name(supervisor: Supervisor) -> None:
    supervisor.start("matching", SLEEPER, {})
    first = supervisor.pid("matching")
    with pytest.raises(ValueError, match="already running"):
        supervisor.start("matching", SLEEPER, {})

    supervisor.kill("matching")
    assert not supervisor.alive("matching")
    supervisor.restart("matching")

    assert supervisor.alive("matching")
    assert supervisor.pid("matching") != first


def test_a_child_outlives_the_thread_that_started_it(supervisor: Supervisor) -> None:
    thread = threading.Thread(target=supervisor.start, args=("intake", SLEEPER, {}))
    thread.start()
    thread.join()

    with pytest.raises(subprocess.TimeoutExpired):
        supervisor._children["intake"].process.wait(0.3)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_children_die_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    launcher = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from deploy.local.processes import Supervisor\n"
            f"s = Supervisor(Path({str(tmp_path)!r})); s.start('child', {SLEEPER!r}, {{}})\n"
            "print(s.pid('child'), flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        assert command_line(child)
        launcher.kill()

    eventually(lambda: not command_line(child))


def test_a_stray_is_stopped_only_when_it_is_ours() -> None:
    stray = subprocess.Popen([*SLEEPER, "praktijkbus-test-stray"], start_new_session=True)
    try:
        eventually(lambda: "praktijkbus-test-stray" in command_line(stray.pid))
        assert not end_stray(stray.pid, "another marker", bound=1)
        assert stray.poll() is None
        assert end_stray(stray.pid, "praktijkbus-test-stray", bound=5)
        assert stray.wait() == -signal.SIGTERM
    finally:
        if stray.poll() is None:
            stray.kill()
            stray.wait()


def test_a_folder_has_one_launcher_at_a_time(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    with pytest.raises(FolderInUse, match=f"process {os.getpid()};"):
        Claim(tmp_path)
    claim.release()
    Claim(tmp_path).release()


def test_a_port_that_is_taken_is_not_given() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert free_port(taken) != taken
    assert free_port(taken) == taken
    assert len({free_port() for _ in range(50)}) == 50
