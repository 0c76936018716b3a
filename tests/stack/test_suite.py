"""The rest of the suite where an engine answers: on broker and database in containers."""

import re
import shlex
import sys

import pytest

from deploy.local.bus import ROOT
from tests.stack.engine import Engine

pytestmark = pytest.mark.timeout(1800)  # images are made first


def test_suite_finds_broker_and_database_in_containers(engine: Engine) -> None:
    """The rest of the suite runs on the RabbitMQ that is installed; here it is 4."""
    words = [
        sys.executable,
        "-m",
        "pytest",
        "tests/integration/test_submissions.py",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    alone = f"unset PYTEST_XDIST_WORKER; exec {shlex.join(words)} 2>&1"  # one worker of several would say less
    with engine.answering() as variables:
        given = {"PRAKTIJKBUS_AMQP_URL": "", "PRAKTIJKBUS_DATABASE_URL": "", **variables}
        said = engine.shell(["sh", "-c", alone], cwd=ROOT, env=given)
    assert re.search(r"\d+ passed", said)
    assert "No container" not in said
