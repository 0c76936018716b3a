"""Trace context as W3C Trace Context has it, and nothing loaded where spans are not exported."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from services.chassis.telemetry import (
    Part,
    begun_by,
    child_of,
    current,
    error_type,
    in_hand,
    is_sampled,
    kept,
    part,
    parts,
    sample,
    trace_id,
    usable,
)

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
    script = "import sys, services.intake.app; print('opentelemetry.proto' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


@pytest.fixture
def sampling() -> Iterator[None]:
    yield
    sample(1.0)


@pytest.mark.usefixtures("sampling")
def test_a_ratio_of_the_traces_is_sampled_by_their_id() -> None:
    begun = [begun_by("urn:nld:oin:1", str(number)) for number in range(2000)]
    assert all(map(is_sampled, begun))
    sample(0.25)
    part_of_it = [begun_by("urn:nld:oin:1", str(number)) for number in range(2000)]
    assert [trace_id(each) for each in part_of_it] == [trace_id(each) for each in begun]
    assert 400 < sum(map(is_sampled, part_of_it)) < 600
    sample(0.5)
    more = {
        trace_id(each) for each in (begun_by("urn:nld:oin:1", str(n)) for n in range(2000)) if is_sampled(each)
    }
    assert {trace_id(each) for each in part_of_it if is_sampled(each)} < more
    sample(0.0)
    assert not any(is_sampled(child_of(None)) for _ in range(100))


@pytest.mark.usefixtures("sampling")
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_what_follows_goes_by_what_was_decided_where_the_trace_began(ratio: float) -> None:
    sample(ratio)
    assert is_sampled(child_of(GIVEN))
    assert not is_sampled(child_of(GIVEN[:-1] + "0"))
    assert not is_sampled(None)


def test_the_same_message_begins_the_same_trace_whenever_it_is_taken_up() -> None:
    first, again = begun_by("urn:nld:oin:1", "b-1"), begun_by("urn:nld:oin:1", "b-1")
    assert trace_id(first) == trace_id(again)
    assert first != again
    assert (
        trace_id(begun_by("urn:nld:oin:1", "b-2")) != trace_id(first) != trace_id(begun_by("urn:nld:oin:2", "b-1"))
    )


@pytest.mark.parametrize(("flags", "then"), [("00", "01"), ("01", "01"), ("02", "03"), ("03", "03")])
def test_what_is_kept_stays_the_same_span(flags: str, then: str) -> None:
    assert kept(GIVEN[:-2] + flags) == GIVEN[:-2] + then


def test_a_part_is_told_when_it_is_over_as_a_child_of_what_is_in_hand() -> None:
    told: list[Part] = []
    with in_hand(GIVEN, told.append), part("send mail", {"server.port": 25}) as sending:
        assert current() == GIVEN
        assert not told
        assert sending.headers == {"traceparent": sending.traceparent}
    assert current() is None
    assert told == [sending]
    assert (sending.parent, trace_id(sending.traceparent)) == (GIVEN, trace_id(GIVEN))
    assert sending.since <= sending.until


def test_a_part_that_fails_tells_the_kind_of_error() -> None:
    told: list[Part] = []
    with pytest.raises(OSError, match="jan@"), in_hand(GIVEN, told.append), part("send mail", {}):
        raise OSError("jan@voorbeeld.nl")
    assert [each.error for each in told] == ["builtins.OSError"]


def test_without_anything_in_hand_nobody_is_told() -> None:
    with part("GET", {}) as asked:
        assert asked.headers == {}
