"""Trace context as W3C Trace Context has it, and nothing loaded where spans are not exported."""

import subprocess
import sys

import pytest

from services.chassis.telemetry import child_of, error_type, parts, trace_id, usable

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_child_stays_in_the_trace_under_an_id_of_its_own() -> None:
    child = child_of(GIVEN)
    assert trace_id(child) == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert child != GIVEN
    assert child != child_of(GIVEN)
    assert usable(child) == child


@pytest.mark.parametrize(
    ("given", "passed_on"), [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("0d", "01")]
)
def test_only_defined_flags_are_passed_on(given: str, passed_on: str) -> None:
    assert child_of(GIVEN[:-2] + given)[-2:] == passed_on


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        12,
        "",
        "junk",
        GIVEN.upper(),
        GIVEN + "\n",
        "ff" + GIVEN[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
    ],
)
def test_what_is_no_traceparent_begins_a_trace(wrong: str | None) -> None:
    assert usable(wrong) is None
    if isinstance(wrong, str):
        assert parts(wrong) is None
        assert trace_id(wrong) is None
    begun = child_of(wrong if isinstance(wrong, str) else None)
    assert usable(begun)
    assert begun.endswith("-01")


def test_error_type_tells_no_value() -> None:
    assert error_type(ValueError("BSN 123456782")) == "builtins.ValueError"


def test_a_service_without_tracing_does_not_load_opentelemetry() -> None:
    script = "import sys, services.intake.app; print('opentelemetry.sdk' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
