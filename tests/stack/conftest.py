"""The engine that the stack's tests run on, with all images."""

import fcntl
import sys
import time

import pytest

from tests.stack import images
from tests.stack.engine import Engine, find
from tests.stack.stack import STATE


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config, testrun_uid: str) -> Engine:
    """One of the workers makes the images, once in this run; the others wait for that."""
    began = time.monotonic()
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"{time.monotonic() - began:5.0f} s  {line}\n")

    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        found = find(STATE, say)
        if lock.read() != testrun_uid:
            images.make(found, say)
            lock.truncate(0)
            lock.write(testrun_uid)
    return found
