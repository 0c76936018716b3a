"""Metrics and logs as a receiver gets them, of messages on the real broker and database."""

import logging
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from contracts import budget, erkenning, traject
from services.billing.gauges import BUDGET_LEFT, BUDGET_TOTAL
from services.billing.handlers import service as billing
from services.chassis import metrics as m
from services.chassis.calendar import SteppedCalendar
from services.chassis.effects import FinalFailure
from services.chassis.messages import Effect
from services.chassis.relay import Relay
from services.chassis.repair import Reden, author, discard, parked
from services.chassis.telemetry import trace_id
from services.intake.gauges import TRAJECTEN
from services.intake.handlers import service as intake
from services.intake.traject import Status
from services.notify.gauges import DEADLINES_OVERDUE
from services.notify.handlers import service as notify
from tests.integration import toy
from tests.integration.collector import Collector, Export, Logged, Point, Span
from tests.integration.facts import publish_facts, traject_fact
from tests.integration.test_isolation import registered
from tests.stand import Stand, eventually
from tests.unit.notify.given import a_number, a_request

BILLING = "praktijkbus-billing"


async def says(collector: Collector, instrument: m.Instrument, value: float, **wanted: str | int) -> Point:
    """Waits until that metric says that, with exactly these attributes (`.` written as `_`)."""

    async def found() -> list[Point]:
        return [
            point
            for point in collector.metrics.get(instrument.name, [])
            if {key.replace(".", "_"): of for key, of in point.attributes.items()} == wanted
        ]

    (point,) = await eventually(found, lambda points: [p.value for p in points] == [value])
    assert point.unit == instrument.unit
    return point


QUEUE = "billing.van.leerwerkloket"
PROCESS: dict[str, Any] = {
    "messaging_system": "rabbitmq",
    "messaging_operation_name": "process",
    "messaging_destination_name": QUEUE,
}
SEND: dict[str, Any] = {
    "messaging_system": "rabbitmq",
    "messaging_operation_name": "send",
    "messaging_destination_name": "feiten",
}
FACTS = PROCESS | {"messaging_destination_name": "billing.feiten"}


def amount(cents: int) -> budget.Vastgesteld:
    return budget.Vastgesteld(bedrag_cent=cents, van=date(2026, 1, 1), tot=date(2026, 12, 31))


async def test_what_became_of_messages_is_counted(
    collector: Collector, toy_stand: Stand, exporting: Export
) -> None:
    exporting(toy_stand, collector, metrics_every=0.1)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    for cents in (1, 2, toy.TOO_MUCH + 1):
        await loket.final_receipt(await loket.submit(budget.Vastgesteld, amount(cents), subject="POW"))
    fact = traject_fact(1, traject.Hervat(datum=date(2026, 11, 2)))
    await publish_facts(toy_stand, [fact, fact])

    partner = PROCESS | {"praktijkbus_partner": "leerwerkloket"}
    await says(collector, m.CONSUMED, 2, **partner, praktijkbus_outcome="accepted")
    await says(collector, m.CONSUMED, 1, **partner, praktijkbus_outcome="refused")
    await says(collector, m.CONSUMED, 1, **FACTS, praktijkbus_outcome="accepted")
    await says(collector, m.CONSUMED, 1, **FACTS, praktijkbus_outcome="repeated")
    await says(collector, m.PROCESS_DURATION, 3, **PROCESS, praktijkbus_type="budget.vastgesteld")
    await says(collector, m.PROCESS_DURATION, 2, **FACTS, praktijkbus_type="traject.hervat")
    await says(collector, m.LAG, 1, praktijkbus_stream="traject")
    await says(collector, m.RECEIPTS, 2, praktijkbus_outcome="aanvaard")
    refused = {"praktijkbus_outcome": "afgewezen", "praktijkbus_code": "budget_ontoereikend"}
    await says(collector, m.RECEIPTS, 1, **refused)
    await says(collector, m.SENT, 2, **SEND, praktijkbus_type="budget.vastgesteld")
    await says(collector, m.SENT, 1, **SEND, praktijkbus_type="ontvangst.afgewezen")
    await says(collector, m.OUTBOX, 0)
    await says(collector, m.OUTBOX_OLDEST, 0)
    await says(collector, m.RELAY_ACTIVE, 1)
    await says(collector, m.INLET, 0, messaging_destination_name=QUEUE)
    for signal in ("traces", "logs", "metrics"):
        await says(collector, m.DROPPED, 0, praktijkbus_signal=signal)
    assert {point.attributes["db.operation.name"] for point in collector.metrics[m.COMMIT_DURATION.name]} == {
        "COMMIT"
    }
    assert sum(point.value for point in collector.metrics[m.SEND_DURATION.name]) >= 1
    assert sum(point.value for point in collector.metrics[m.BATCH_SIZE.name]) >= 1


async def test_every_signal_says_who_sends(
    collector: Collector, toy_stand: Stand, exporting: Export, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    exporting(toy_stand, collector, otlp_headers={"authorization": SecretStr("Bearer abc")})
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    await loket.final_receipt(await loket.submit(budget.Vastgesteld, amount(1), subject="POW"))
    await toy_stand.stop(toy.service)
    signals = ("traces", "metrics", "logs")
    assert collector.authorizations == {f"/v1/{signal}": {"Bearer abc"} for signal in signals}


async def test_what_is_set_aside_is_told_by_partner_and_cause(
    collector: Collector, toy_stand: Stand, exporting: Export
) -> None:
    exporting(toy_stand, collector, metrics_every=0.1)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    toy.faults.broken = True
    await loket.submit(budget.Vastgesteld, amount(toy.NEEDS_TRAJECT), subject="POW")
    await loket.submit(budget.Vastgesteld, amount(toy.BREAKS), subject="POW")
    await publish_facts(toy_stand, [b"{not json", traject_fact(2, traject.Hervat(datum=date(2026, 11, 2)))])

    by_partner = {"praktijkbus_partner": "leerwerkloket"}
    for status, whose in (("waiting", by_partner), ("retry", by_partner), ("held", {}), ("parked", {})):
        await says(collector, m.PENDING, 1, praktijkbus_status=status, **whose)
    oldest = {point.attributes["praktijkbus.status"]: point for point in collector.metrics[m.PENDING_OLDEST.name]}
    assert all(0 <= point.value < 60 and point.unit == "s" for point in oldest.values())
    await says(collector, m.PARKED, 1, praktijkbus_cause="json_invalid")
    (retries,) = collector.metrics[m.RETRIES.name]
    assert retries.attributes == {"error.type": "builtins.RuntimeError"}
    assert retries.value >= 1


async def test_what_was_not_sent_is_told_with_its_age(
    collector: Collector, toy_stand: Stand, exporting: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> int:
        return 0

    monkeypatch.setattr(Relay, "_pass_on", away)
    exporting(toy_stand, collector, metrics_every=0.1)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    await loket.submit(budget.Vastgesteld, amount(1), subject="POW")
    await says(collector, m.OUTBOX, 2)

    async def age() -> float:
        return max((point.value for point in collector.metrics[m.OUTBOX_OLDEST.name]), default=0.0)

    await eventually(age, lambda seconds: 0 < seconds < 60)


async def test_attempts_at_effects_are_counted_by_outcome(
    collector: Collector, toy_stand: Stand, exporting: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    async def fail_once(effect: Effect) -> None:
        tries.append(effect.key)
        if len(tries) == 1:
            raise OSError("jan@voorbeeld.nl")

    monkeypatch.setitem(toy.service.performers, "mail", fail_once)
    exporting(toy_stand, collector, metrics_every=0.1)
    async with toy_stand.engines["billing"].begin() as connection:
        for key, when in (("m", "0"), ("n", "1 day")):
            values = f"('{key}', 'mail', '{{}}', now() + interval '{when}')"
            await connection.execute(text(f"INSERT INTO effects (key, kind, payload, due) VALUES {values}"))
    await toy_stand.run(toy.service)
    await says(collector, m.EFFECTS, 1, praktijkbus_kind="mail", praktijkbus_outcome="retry")
    await says(collector, m.EFFECTS, 1, praktijkbus_kind="mail", praktijkbus_outcome="done")
    await says(collector, m.EFFECT_DURATION, 1, praktijkbus_kind="mail", praktijkbus_outcome="done")
    await says(collector, m.EFFECTS_OPEN, 1, praktijkbus_kind="mail")


async def test_effects_that_failed_are_told_until_somebody_decides(
    collector: Collector, toy_stand: Stand, exporting: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: Effect) -> None:
        raise FinalFailure

    monkeypatch.setitem(toy.service.performers, "mail", refuse)
    exporting(toy_stand, collector, metrics_every=0.1)
    engine = toy_stand.engines["billing"]
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO effects (key, kind, payload) VALUES ('m', 'mail', '{}'), ('n', 'mail', '{}')")
        )
    await toy_stand.run(toy.service)
    await says(collector, m.EFFECTS_FAILED, 2, praktijkbus_kind="mail")
    by = author("jansen", Reden.ACHTERHAALD)
    async with engine.begin() as connection:
        assert await discard(connection, (await parked(connection, "billing"))[:1], by) == 1
    await says(collector, m.EFFECTS_FAILED, 1, praktijkbus_kind="mail")


async def test_a_gauge_that_cannot_be_read_stops_nothing(
    collector: Collector, toy_stand: Stand, exporting: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauge = m.Instrument("praktijkbus.nergens", m.Kind.GAUGE, "{x}", (), "There is no such table.")
    monkeypatch.setattr(toy.service, "readings", (m.Reading((gauge,), "SELECT count(*) FROM nergens"),))
    exporting(toy_stand, collector, metrics_every=0.1)
    await toy_stand.run(toy.service)
    await says(collector, m.OUTBOX, 0)
    assert gauge.name not in collector.metrics
    loket = await toy_stand.reader("leerwerkloket")
    await loket.final_receipt(await loket.submit(budget.Vastgesteld, amount(1), subject="POW"))


async def test_trajecten_are_measured_by_where_they_stand(
    collector: Collector, full_stand: Stand, exporting: Export
) -> None:
    exporting(full_stand, collector, metrics_every=0.1)
    await full_stand.run(intake)
    loket, coach = await full_stand.reader("leerwerkloket"), await full_stand.reader("coach-kompas")
    nummer = await registered(loket, "roc-maas")
    await registered(loket, "roc-maas")
    await says(collector, TRAJECTEN, 2, praktijkbus_status=Status.AANGEMELD)
    fit = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
    await coach.final_receipt(await coach.submit(traject.IntakeAfgerond, fit, subject=nummer))
    await says(collector, TRAJECTEN, 1, praktijkbus_status=Status.GESCHIKT)
    stand = {point.attributes["praktijkbus.status"]: point.value for point in collector.metrics[TRAJECTEN.name]}
    assert stand == dict.fromkeys(Status, 0) | {Status.AANGEMELD: 1, Status.GESCHIKT: 1}


async def test_budget_and_deadlines_are_measured(
    collector: Collector, full_stand: Stand, exporting: Export, tmp_path: Path
) -> None:
    clock = SteppedCalendar.begin(tmp_path / "clock", datetime(2026, 11, 2, 8, 30, tzinfo=UTC))
    full_stand.clock = tmp_path / "clock"
    exporting(full_stand, collector, metrics_every=0.1)
    for service in (billing, notify):
        await full_stand.run(service)
    loket = await full_stand.reader("leerwerkloket")
    await loket.final_receipt(await loket.submit(budget.Vastgesteld, amount(500_00), subject="POW"))
    await says(collector, BUDGET_TOTAL, 500_00, praktijkbus_source="POW")
    await says(collector, BUDGET_LEFT, 500_00, praktijkbus_source="POW")

    late, answered = a_number("ER"), a_number("ER")
    await publish_facts(full_stand, [traject_fact(1, a_request(), stream) for stream in (late, answered)])
    await says(collector, m.LAG, 2, praktijkbus_stream="erkenning")
    clock.step_to(datetime(2026, 11, 12, 7, tzinfo=UTC))
    assert DEADLINES_OVERDUE.name not in collector.metrics, "a hint is no reproach"
    clock.step_to(datetime(2026, 11, 17, 7, tzinfo=UTC))
    await says(collector, DEADLINES_OVERDUE, 2, praktijkbus_step="erkenning")
    granted = erkenning.Verleend(
        leerbedrijf_id="100234567", geldig_vanaf=date(2026, 11, 2), geldig_tot=date(2030, 11, 1)
    )
    await publish_facts(full_stand, [traject_fact(2, granted, answered)])
    await says(collector, DEADLINES_OVERDUE, 1, praktijkbus_step="erkenning")


async def test_lines_of_the_log_tell_their_message_and_trace_but_not_what_an_error_says(
    collector: Collector, toy_stand: Stand, exporting: Export, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    exporting(toy_stand, collector, metrics_every=0.1)
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    toy.faults.broken = True
    sent = await loket.submit(budget.Vastgesteld, amount(toy.BREAKS), subject="POW")

    async def failed() -> list[Logged]:
        return [line for line in collector.logs if line.text == "handler failed"]

    line = (await eventually(failed))[0]
    assert (line.service, line.severity) == (BILLING, "ERROR")
    assert line.attributes["message_id"] == sent
    assert line.attributes["logger"] == "services.chassis.batch"
    assert line.attributes["exception.type"] == "builtins.RuntimeError"
    assert "test_metrics" not in str(line.attributes["exception.stacktrace"])
    assert "vastgesteld" in str(line.attributes["exception.stacktrace"])
    assert "exception.message" not in line.attributes

    async def its_span() -> list[Span]:
        return [span for span in collector.spans if (span.trace, span.id) == (line.trace, line.span)]

    (span,) = await eventually(its_span)
    assert span.failed
    fact = traject_fact(1, traject.Gestart(datum=date(2026, 11, 2)))
    await publish_facts(toy_stand, [fact])

    async def of_the_case() -> list[Logged]:
        return [line for line in await failed() if line.attributes.get("correlationid") == fact.correlationid]

    assert (await eventually(of_the_case))[0].trace == trace_id(fact.traceparent)


async def test_the_first_and_the_last_that_is_logged_is_exported(
    collector: Collector, toy_stand: Stand, exporting: Export, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    exporting(toy_stand, collector, metrics_every=0.1)
    await toy_stand.run(toy.service)
    await toy_stand.stop(toy.service)
    ours = [line.text for line in collector.logs if line.attributes["logger"] == "services.chassis.app"]
    assert ours == ["started", "stopped"]
    assert collector.metrics[m.RELAY_ACTIVE.name]
