"""Spans as a collector gets them, of messages on the real broker and database."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from contracts import budget, traject
from contracts.catalogue import CATALOGUE, Owner
from contracts.fields import Rol
from deploy.local.bus import SERVICES
from deploy.local.client import submission
from services.chassis import tracing
from services.chassis.messages import Dossier, Effect, Emit, Follows, Submission
from services.chassis.telemetry import child_of, new_uuid, trace_id
from services.chassis.tracing import Tracing
from services.chassis.work import Work
from tests.integration import toy
from tests.integration.collector import Collector, Export, Span
from tests.integration.facts import publish_facts, traject_fact
from tests.stand import Reader, Stand, eventually

THEIRS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE, PARENT = THEIRS[3:35], THEIRS[36:52]
PROCESS = "process budget.vastgesteld"
CREATE = "create budget.vastgesteld"
RECEIPT = "create ontvangst.aanvaard"
MESSAGE = "messaging.message.id"


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(tracing, "_ROOM", 8)
    with Collector(hangs=True).listening() as made:
        yield made


@pytest.fixture
async def traced(collector: Collector, toy_stand: Stand, exporting: Export) -> tuple[Stand, Reader]:
    exporting(toy_stand, collector)
    await toy_stand.run(toy.service)
    return toy_stand, await toy_stand.reader("leerwerkloket")


def billing_at(collector: Collector) -> Tracing:
    address = "amqp://billing:geheim@127.0.0.1:5672/x", "postgresql+asyncpg://billing:geheim@127.0.0.1:5432/x"
    return Tracing(Owner.BILLING, endpoint=collector.endpoint, amqp_url=address[0], database_url=address[1])


def amount(cents: int) -> budget.Vastgesteld:
    return budget.Vastgesteld(bedrag_cent=cents, van=date(2026, 1, 1), tot=date(2026, 12, 31))


async def submit(
    reader: Reader, cents: int, *, subject: str | None = "POW", message_id: str | None = None, **context: str
) -> str:
    """Submits an amount under that trace context; the id."""
    message_id = message_id or new_uuid()
    kind = CATALOGUE.of(budget.Vastgesteld)
    body = submission(kind, reader.source, message_id, amount(cents), subject=subject)
    await reader.client.publish(json.dumps(json.loads(body) | context).encode(), kind.routing_key)
    return message_id


async def receipt_of(reader: Reader, message_id: str) -> dict[str, Any]:
    """The first receipt, with its envelope."""

    async def found() -> list[dict[str, Any]]:
        return reader.receipts(message_id)

    return (await eventually(found))[0]


async def fact_of(reader: Reader, correlationid: str | None = None) -> dict[str, Any]:
    """The first fact, of that case if given."""

    async def found() -> list[dict[str, Any]]:
        return [fact for fact in reader.facts() if correlationid in (None, fact["correlationid"])]

    return (await eventually(found))[0]


async def one(collector: Collector, name: str, wanted: dict[str, str] | None = None) -> Span:
    """The one span of that name with those attributes."""

    def fits(span: Span) -> bool:
        return (wanted or {}).items() <= span.attributes.items()

    async def found() -> list[Span]:
        return [span for span in await collector.named(name) if fits(span)]

    spans = await eventually(found)
    assert len(spans) == 1
    return spans[0]


async def test_a_submission_is_one_trace_from_the_partner_to_the_next_service(
    collector: Collector, full_stand: Stand, exporting: Export
) -> None:
    exporting(full_stand, collector)
    intake, billing = (next(s for s in SERVICES if s.owner is owner) for owner in (Owner.INTAKE, Owner.BILLING))
    await full_stand.run(billing)
    await full_stand.run(intake)
    loket = await full_stand.reader("leerwerkloket")
    sent = await submit(loket, 500, traceparent=THEIRS, tracestate="sbb=1")
    receipt = await receipt_of(loket, sent)
    fact = await fact_of(loket)

    process = await one(collector, PROCESS, {"messaging.message.id": sent})
    assert (process.service, process.kind) == ("praktijkbus-billing", "consumer")
    assert (process.trace, process.parent, process.state) == (TRACE, PARENT, "sbb=1")
    attributes = dict(process.attributes)
    assert attributes.pop("server.address")
    assert isinstance(attributes.pop("server.port"), int)
    assert attributes == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "van.leerwerkloket:billing.van.leerwerkloket",
        "messaging.message.id": sent,
        "messaging.message.conversation_id": fact["correlationid"],
        "praktijkbus.outcome": "accepted",
    }
    assert not process.failed

    create = await one(collector, CREATE)
    assert create.is_context(fact["traceparent"])
    assert (create.parent, create.kind) == (process.id, "producer")
    assert create.attributes["messaging.destination.name"] == "feiten:budget.vastgesteld"
    assert create.attributes["messaging.rabbitmq.destination.routing_key"] == "budget.vastgesteld"
    assert create.attributes["messaging.message.id"] == fact["id"]
    assert process.start <= create.start <= create.end <= process.end
    answer = await one(collector, RECEIPT)
    assert answer.is_context(receipt["traceparent"])
    assert answer.parent == process.id

    journal = await one(collector, PROCESS, {"messaging.message.id": fact["id"]})
    assert (journal.service, journal.trace, journal.parent) == ("praktijkbus-intake", TRACE, create.id)
    assert journal.attributes["messaging.destination.name"] == "feiten:budget.vastgesteld:intake.feiten"
    assert journal.attributes["messaging.message.conversation_id"] == fact["correlationid"]
    rows = await full_stand.rows(intake, "SELECT trace_id FROM journal WHERE id = :id", id=fact["id"])
    assert [row.trace_id for row in rows] == [TRACE]


async def test_commit_and_send_are_linked_to_what_they_are_about(
    traced: tuple[Stand, Reader], collector: Collector
) -> None:
    stand, loket = traced
    await loket.final_receipt(await submit(loket, 5))
    process, create, answer = [await one(collector, name) for name in (PROCESS, CREATE, RECEIPT)]
    commit = await one(collector, "commit")
    assert commit.links == ((process.trace, process.id),)
    assert commit.kind == "client"
    assert commit.attributes["db.system.name"] == "postgresql"
    assert commit.attributes["db.namespace"] == f"{stand.name}_billing"
    assert commit.attributes["db.operation.name"] == "COMMIT"
    assert int(commit.attributes["praktijkbus.statements"]) > 3
    send = await one(collector, "send feiten")
    assert set(send.links) == {(create.trace, create.id), (answer.trace, answer.id)}
    assert send.kind == "client"
    assert send.attributes["messaging.batch.message_count"] == 2
    assert send.attributes["messaging.destination.name"] == "feiten"
    assert not send.failed
    assert send.parent is commit.parent is None


async def test_where_the_partner_began_no_trace_the_processing_is_its_root(
    traced: tuple[Stand, Reader], collector: Collector
) -> None:
    _, loket = traced
    await loket.final_receipt(await submit(loket, 5))
    process = await one(collector, PROCESS)
    assert process.parent is None
    assert {span.trace for span in collector.spans if span.name.startswith("create")} == {process.trace}


async def test_a_refusal_is_no_error(traced: tuple[Stand, Reader], collector: Collector) -> None:
    _, loket = traced
    by_rule = await submit(loket, 2_000_000, traceparent=THEIRS)
    by_gate = await submit(loket, 5, subject=None, traceparent=THEIRS)
    for message_id, name, code in (
        (by_rule, PROCESS, "budget_ontoereikend"),
        (by_gate, "process submission", "veld_ontbreekt"),
    ):
        assert (await loket.final_receipt(message_id))["code"] == code
        span = await one(collector, name, {"messaging.message.id": message_id})
        assert (span.trace, span.parent) == (TRACE, PARENT)
        assert span.attributes["praktijkbus.outcome"] == "refused"
        assert span.attributes["praktijkbus.code"] == code
        assert not span.failed
        assert "error.type" not in span.attributes


async def test_a_failing_handler_is_an_error_without_its_text(
    traced: tuple[Stand, Reader], collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    _, loket = traced
    toy.faults.broken = True
    sent = await submit(loket, toy.BREAKS, traceparent=THEIRS)
    failed = await one(collector, PROCESS, {"praktijkbus.outcome": "retry"})
    assert failed.failed
    assert failed.attributes["error.type"] == "builtins.RuntimeError"
    assert (failed.trace, failed.parent) == (TRACE, PARENT)
    record = next(record for record in caplog.records if record.message == "handler failed")
    ids = vars(record)
    assert (ids["message_id"], ids["trace_id"], ids["span_id"]) == (sent, TRACE, failed.id)
    toy.faults.broken = False
    await loket.final_receipt(sent)
    retried = await one(collector, PROCESS, {"praktijkbus.outcome": "accepted"})
    assert (retried.trace, retried.parent) == (TRACE, PARENT)
    assert not retried.failed
    assert b"planted" not in collector.raw["/v1/traces"]


async def test_a_message_the_database_refuses_is_told_once(
    collector: Collector, toy_stand: Stand, exporting: Export
) -> None:
    exporting(toy_stand, collector)
    loket = await toy_stand.reader("leerwerkloket")
    for bron, cents in (("POW", 1), ("GEMEENTE", toy.NUL), ("POW", 3)):
        await submit(loket, cents, subject=bron)
    await toy_stand.run(toy.service)

    async def outcomes() -> list[tuple[str, bool]]:
        return sorted((str(s.attributes["praktijkbus.outcome"]), s.failed) for s in await collector.named(PROCESS))

    await eventually(outcomes, lambda found: len(found) == 3)
    assert await outcomes() == [("accepted", False), ("accepted", False), ("retry", True)]
    assert len(await collector.named(CREATE)) == 2


async def test_what_waits_is_told_when_it_begins_and_when_it_is_over(
    traced: tuple[Stand, Reader], collector: Collector
) -> None:
    stand, loket = traced
    sent = await submit(loket, toy.NEEDS_TRAJECT, traceparent=THEIRS)
    waiting = await one(collector, PROCESS, {"praktijkbus.outcome": "waiting"})
    fact = traject_fact(1, traject.Hervat(datum=date(2026, 11, 2)))
    await publish_facts(stand, [fact, fact])
    await loket.final_receipt(sent)
    accepted = await one(collector, PROCESS, {"praktijkbus.outcome": "accepted"})
    assert waiting.parent == accepted.parent == PARENT
    heard = await one(collector, "process traject.hervat", {"praktijkbus.outcome": "accepted"})
    assert fact.traceparent is not None
    assert heard.parent == fact.traceparent[36:52]
    await one(collector, "process traject.hervat", {"praktijkbus.outcome": "repeated"})


async def test_the_same_message_again_is_told_as_such(traced: tuple[Stand, Reader], collector: Collector) -> None:
    _, loket = traced
    kind = CATALOGUE.of(budget.Vastgesteld)
    body = submission(kind, loket.source, "b-1", amount(5), subject="POW")
    for _ in range(2):
        await loket.client.publish(body, kind.routing_key)
    again = await one(collector, PROCESS, {"praktijkbus.outcome": "repeated"})
    assert not again.failed
    assert len(await collector.named(RECEIPT)) == 1


async def test_what_is_no_fact_is_an_error_of_ours(traced: tuple[Stand, Reader], collector: Collector) -> None:
    stand, _ = traced
    await publish_facts(stand, [b"{not json"], routing_key="traject.gestart")
    span = await one(collector, "process fact")
    assert span.failed
    assert span.attributes["error.type"] == "services.chassis.wire.Unusable"
    assert span.attributes["praktijkbus.outcome"] == "parked"


async def test_another_case_begins_a_trace_and_an_effect_is_a_child(
    collector: Collector,
    toy_stand: Stand,
    exporting: Export,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = new_uuid()

    def both(event: Submission[budget.Vastgesteld], work: Work) -> Follows:
        parties = frozenset({(Rol.FINANCIER, "werkbedrijf")})
        return [
            Emit(event.about, event.data, Dossier(toy.CASE, parties)),
            Emit("GEMEENTE", event.data, Dossier(other, parties)),
            Effect(kind="mail", key=f"mail/{event.id}", payload={}),
        ]

    async def fail_once(_: Effect) -> None:
        attempts.append(None)
        if len(attempts) == 1:
            raise OSError("jan@voorbeeld.nl")

    attempts: list[None] = []
    monkeypatch.setitem(toy.service.on_submission, CATALOGUE.of(budget.Vastgesteld), both)
    monkeypatch.setitem(toy.service.performers, "mail", fail_once)
    exporting(toy_stand, collector)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    await loket.final_receipt(await submit(loket, 5, traceparent=THEIRS, tracestate="sbb=1"))
    process = await one(collector, PROCESS)
    same = await one(collector, CREATE, {"messaging.message.conversation_id": toy.CASE})
    another = await one(collector, CREATE, {"messaging.message.conversation_id": other})
    assert (same.trace, same.parent, same.links, same.state) == (TRACE, process.id, (), "sbb=1")
    assert another.trace != TRACE
    assert (another.parent, another.links, another.state) == (None, ((TRACE, process.id),), "")
    fact = await fact_of(loket, other)
    assert another.is_context(fact["traceparent"])

    tries = await eventually(lambda: collector.named("deliver mail"), lambda found: len(found) == 2)
    assert [(span.trace, span.parent, span.kind) for span in tries] == [(TRACE, process.id, "internal")] * 2
    assert [(span.failed, span.attributes.get("error.type")) for span in tries] == [
        (True, "builtins.OSError"),
        (False, None),
    ]
    assert [span.attributes["praktijkbus.attempt"] for span in tries] == [1, 2]
    assert b"jan@" not in b"".join(collector.raw.values())


async def test_a_partner_that_does_not_sample_is_not_traced(
    traced: tuple[Stand, Reader], collector: Collector
) -> None:
    _, loket = traced
    sent = await submit(loket, 5, traceparent=THEIRS[:-1] + "0")
    receipt = await receipt_of(loket, sent)
    assert receipt["traceparent"].endswith("-00")
    followed = child_of(None)
    await loket.final_receipt(await submit(loket, 6, traceparent=followed))
    process = await one(collector, PROCESS)
    assert process.trace == trace_id(followed)
    assert TRACE not in {span.trace for span in collector.spans}


async def test_off_means_no_exporter_and_facts_still_carry_their_trace(toy_stand: Stand) -> None:
    before = set(threading.enumerate())
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    sent = await submit(loket, 5)
    receipt = await receipt_of(loket, sent)
    fact = await fact_of(loket)
    assert trace_id(fact["traceparent"]) == trace_id(receipt["traceparent"])
    assert fact["traceparent"] != receipt["traceparent"]
    begun = {thread.name for thread in set(threading.enumerate()) - before}
    assert not [name for name in begun if name.startswith("telemetry")]


async def test_a_collector_that_hangs_holds_nothing_back(
    hanging: Collector, toy_stand: Stand, exporting: Export
) -> None:
    exporting(toy_stand, hanging)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    for number in range(3):
        await loket.final_receipt(await submit(loket, number))
    assert await asyncio.to_thread(hanging.asked.wait, 10)
    sent = [await submit(loket, number) for number in range(30)]
    for message_id in sent:
        assert (await loket.final_receipt(message_id))["uitkomst"] == "aanvaard"
    await toy_stand.stop(toy.service)


async def test_of_what_is_not_sampled_failures_are_exported_and_all_that_follows_from_them(
    collector: Collector, toy_stand: Stand, exporting: Export
) -> None:
    exporting(toy_stand, collector, trace_ratio=0.0)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    toy.faults.broken = True
    quiet = await submit(loket, 5)
    sent = await submit(loket, toy.BREAKS)
    failed = await eventually(lambda: collector.named(PROCESS))
    assert {span.attributes[MESSAGE] for span in failed} == {sent}
    assert all(span.failed and span.parent is None for span in failed)
    told = await one(collector, "create ontvangst.wacht")
    assert told.parent == failed[0].id
    assert told.is_context((await receipt_of(loket, sent))["traceparent"])

    toy.faults.broken = False
    await loket.final_receipt(sent)
    retried = await one(collector, PROCESS, {"praktijkbus.outcome": "accepted"})
    assert (retried.trace, retried.attributes["praktijkbus.attempt"]) == (failed[0].trace, len(failed) + 1)
    create = await one(collector, CREATE)
    assert (create.trace, create.parent) == (retried.trace, retried.id)

    async def facts() -> list[dict[str, Any]]:
        return [fact for fact in loket.facts() if create.is_context(fact["traceparent"])]

    assert (await eventually(facts))[0]["traceparent"].endswith("-01")
    assert (await receipt_of(loket, quiet))["traceparent"].endswith("-00")
    assert quiet not in {span.attributes.get(MESSAGE) for span in collector.spans}


async def test_of_what_is_not_sampled_what_is_slow_is_exported_and_all_that_follows(
    collector: Collector, toy_stand: Stand, exporting: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(event: Submission[budget.Vastgesteld], work: Work) -> Follows:
        if event.data.bedrag_cent == 6:
            time.sleep(3.2)
        return toy.vastgesteld(event, work)

    monkeypatch.setitem(toy.service.on_submission, CATALOGUE.of(budget.Vastgesteld), slowly)
    exporting(toy_stand, collector, trace_ratio=0.0, trace_slow=3.0)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    quick = await submit(loket, 5)
    assert (await receipt_of(loket, quick))["traceparent"].endswith("-00")
    slow = await submit(loket, 6)
    assert (await receipt_of(loket, slow))["traceparent"].endswith("-01")
    process, create = await one(collector, PROCESS), await one(collector, CREATE)
    assert process.attributes[MESSAGE] == slow
    assert (create.parent, create.trace) == (process.id, process.trace)


async def test_a_fact_that_was_long_on_its_way_is_exported(
    collector: Collector, toy_stand: Stand, exporting: Export
) -> None:
    exporting(toy_stand, collector, trace_slow=5.0)
    await toy_stand.run(toy.service)
    new = traject_fact(1, traject.Hervat(datum=date(2026, 11, 2)))
    assert new.traceparent is not None
    quick = replace(new, traceparent=f"{new.traceparent[:-1]}0")
    late = replace(quick, id=new_uuid(), sequence=2, recorded=new.recorded - timedelta(seconds=6))
    await publish_facts(toy_stand, [quick, late])
    span = await one(collector, "process traject.hervat")
    assert span.attributes[MESSAGE] == late.id
    assert span.parent == new.traceparent[36:52]


async def test_a_window_that_the_broker_refuses_is_told(collector: Collector) -> None:
    watch = billing_at(collector)
    row = SimpleNamespace(routing_key="budget.vastgesteld", body=f'{{"traceparent":"{THEIRS[:-1]}0"}}'.encode())
    watch.sent([row], [None], time.time_ns())
    watch.sent([row, row], [None, ConnectionError("amqp://billing:geheim@")], time.time_ns())
    watch.close()
    (span,) = await collector.named("send feiten")
    assert (span.failed, span.attributes["error.type"]) == (True, "builtins.ConnectionError")
    assert set(span.links) == {(TRACE, PARENT)}
    assert b"geheim" not in b"".join(collector.raw.values())


async def test_what_finds_no_room_is_counted(hanging: Collector, caplog: pytest.LogCaptureFixture) -> None:
    watch = billing_at(hanging)
    for _ in range(2):
        for _ in range(20):
            with watch.effect("mail", THEIRS, 1):
                pass
        assert await asyncio.to_thread(hanging.asked.wait, 10)
    dropped = watch.dropped()
    assert dropped["traces",] > 0
    assert dropped["logs",] == dropped["metrics",] == 0
    watch.close()


def test_closing_waits_two_seconds_at_most(hanging: Collector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    watch = billing_at(hanging)
    with watch.effect("mail", THEIRS, 1):
        pass
    assert hanging.asked.wait(10)
    began = time.monotonic()
    watch.close()
    assert time.monotonic() - began < 3


def test_closing_exports_what_is_left(collector: Collector) -> None:
    watch = billing_at(collector)
    with watch.effect("mail", THEIRS, 1):
        pass
    watch.close()
    assert [(span.name, span.parent) for span in collector.spans] == [("deliver mail", PARENT)]
    assert b"geheim" not in b"".join(collector.raw.values())
