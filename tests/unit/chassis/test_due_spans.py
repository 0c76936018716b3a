"""What followed from time alone begins a trace of its own."""

from dataclasses import replace
from datetime import date

import pytest

from contracts.catalogue import Owner
from services.chassis.item import ACCEPTED, Item
from services.chassis.messages import Due
from services.chassis.otlp import Span
from services.chassis.telemetry import child_of
from services.chassis.tracing import Tracing
from services.notify.termijn import Termijnen
from tests.unit.notify.given import a_number, a_request, at_notify, step_to


def test_a_level_is_created_in_the_trace_of_what_fell_due(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = at_notify()
    nummer = a_number("ER")
    desk.hear(a_request(), subject=nummer)
    due = Due(Termijnen, nummer, child_of(None))
    fact = replace(step_to(desk, date(2026, 11, 12))[0], traceparent=child_of(due.traceparent))
    tracing = Tracing(Owner.NOTIFY, amqp_url="amqp://127.0.0.1", database_url="postgresql://127.0.0.1/notify")
    exported: list[Span] = []
    monkeypatch.setattr(tracing, "export", exported.extend)
    item = Item(content=due, hash=b"", body=b"", outcome=ACCEPTED)
    spans = tracing.batch({})
    spans.begin(item)
    spans.created(fact)
    spans.processed(item)
    spans.committed()
    assert [span.operation.name for span in exported] == ["create termijn.overschreden", "due termijnen", "commit"]
    created, fell_due, _ = exported
    assert fell_due.parent is None
    assert (fell_due.own, created.own) == (due.traceparent, fact.traceparent)
    assert created.parent == fell_due.own
    assert fell_due.operation.attributes == {"praktijkbus.outcome": "accepted"}
