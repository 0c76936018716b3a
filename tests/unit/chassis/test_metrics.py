"""The catalogue of instruments, and the numbers they have."""

import re
from collections.abc import Iterator

import pytest

from deploy.local.bus import SERVICES
from services.chassis.metrics import (
    CATALOGUE,
    CONSUMED,
    LAG,
    MOST_SERIES,
    OVERFLOW,
    PARKED,
    PENDING,
    READINGS,
    RETRIES,
    Instrument,
    Kind,
    Metrics,
    Spread,
)


def every_instrument() -> Iterator[Instrument]:
    yield from CATALOGUE
    for service in SERVICES:
        for reading in service.readings:
            yield from reading.gauges


def test_a_name_is_one_instrument_in_opentelemetry_and_in_prometheus() -> None:
    found = list(every_instrument())
    assert len({item.name for item in found}) == len({item.prometheus for item in found}) == len(found)


@pytest.mark.parametrize("item", list(every_instrument()), ids=lambda item: item.name)
def test_every_instrument_can_be_understood(item: Instrument) -> None:
    assert re.fullmatch(r"[a-z]+(\.[a-z]+)+", item.name)
    assert re.fullmatch(r"s|\{[a-z]+\}", item.unit)
    assert item.description.endswith(".")
    assert (item.kind is Kind.HISTOGRAM) == bool(item.bounds)
    assert list(item.bounds) == sorted(item.bounds)
    assert len(set(item.attributes)) == len(item.attributes)


def test_gauges_read_together_have_the_same_attributes() -> None:
    for reading in (*READINGS, *(reading for service in SERVICES for reading in service.readings)):
        assert len({gauge.attributes for gauge in reading.gauges}) == 1
        assert {gauge.kind for gauge in reading.gauges} == {Kind.GAUGE}


def test_what_prometheus_calls_them() -> None:
    names = {item.name: item.prometheus for item in CATALOGUE}
    assert names["messaging.client.consumed.messages"] == "messaging_client_consumed_messages_total"
    assert names["praktijkbus.outbox.oldest"] == "praktijkbus_outbox_oldest_seconds"
    assert names["praktijkbus.lag"] == "praktijkbus_lag_seconds"
    assert names["praktijkbus.relay.active"] == "praktijkbus_relay_active"


def test_a_counter_adds_up_by_series() -> None:
    metrics = Metrics()
    metrics.add(RETRIES, "builtins.KeyError")
    metrics.add(RETRIES, "builtins.KeyError", value=2)
    metrics.add(RETRIES, "builtins.OSError")
    before = metrics.snapshot()
    metrics.add(RETRIES, "builtins.OSError")
    assert before.numbers[RETRIES] == {("builtins.KeyError",): 3, ("builtins.OSError",): 1}
    assert before.began <= before.at


def test_a_histogram_puts_each_value_in_the_bucket_up_to_its_bound() -> None:
    metrics = Metrics()
    metrics.record(LAG, "match", values=[0.005, 0.006, 4000.0])
    before = metrics.snapshot()
    metrics.record(LAG, "match", values=[1.0])
    spread = before.numbers[LAG][("match",)]
    assert isinstance(spread, Spread)
    assert spread.counts == [1, 1, *[0] * (len(LAG.bounds) - 2), 1]
    assert spread.sum == pytest.approx(4000.011)


def test_a_gauge_says_only_the_last() -> None:
    metrics = Metrics()
    metrics.set(PENDING, {("waiting", "sbb"): 3, ("held", None): 1})
    metrics.set(PENDING, {("held", None): 2})
    assert metrics.snapshot().numbers[PENDING] == {("held", None): 2}


def test_beyond_the_limit_the_rest_is_counted_together() -> None:
    metrics = Metrics()
    for number in range(MOST_SERIES + 5):
        metrics.add(CONSUMED, "rabbitmq", "process", "q", f"partner-{number}", "accepted")
        metrics.record(LAG, f"stream-{number}", values=[1.0])
    metrics.set(PARKED, {(f"cause-{number}",): 1 for number in range(MOST_SERIES + 5)})
    numbers = metrics.snapshot().numbers
    for instrument in (CONSUMED, LAG, PARKED):
        assert len(numbers[instrument]) == MOST_SERIES + 1
    assert numbers[CONSUMED][OVERFLOW] == numbers[PARKED][OVERFLOW] == 5
    overflow = numbers[LAG][OVERFLOW]
    assert isinstance(overflow, Spread)
    assert sum(overflow.counts) == 5


def test_what_is_asked_is_read_at_each_snapshot() -> None:
    metrics, depth = Metrics(), iter([1, 2])
    metrics.ask(PARKED, lambda: {("x",): next(depth)})
    assert [metrics.snapshot().numbers[PARKED] for _ in range(2)] == [{("x",): 1}, {("x",): 2}]
