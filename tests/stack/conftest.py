"""The engine that the stack's tests run on."""

import sys

import pytest

from tests.stack.engine import Engine, find_or_prepare
from tests.stack.test_stack import STATE


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Engine:
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"{line}\n")

    return find_or_prepare(STATE, say)
