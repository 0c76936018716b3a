"""A submission on its way through the real broker and the real database: every outcome, once."""

import json
from datetime import date

from sqlalchemy import text

from contracts import besteding, budget, match, traject
from contracts.catalogue import CATALOGUE
from contracts.traject import Gestart
from deploy.local.client import submission
from services.chassis.telemetry import new_uuid
from tests.integration import toy
from tests.integration.facts import publish_facts, traject_fact
from tests.stand import Reader, Stand, eventually


def amount(cents: int) -> budget.Vastgesteld:
    return budget.Vastgesteld(bedrag_cent=cents, van=date(2026, 1, 1), tot=date(2026, 12, 31))


async def test_accepted_submission_becomes_one_fact_for_its_readers(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket, bedrijf = await toy_stand.reader("leerwerkloket"), await toy_stand.reader("werkbedrijf")
    school = await toy_stand.reader("roc-maas")
    sent = await loket.submit(budget.Vastgesteld, amount(500), subject="POW")
    receipt = await loket.final_receipt(sent)
    assert receipt == {"uitkomst": "aanvaard", "subject": "POW", "sequence": 1}
    await eventually(lambda: _count(bedrijf, "budget.vastgesteld"), lambda n: n == 1)
    fact = bedrijf.facts()[0]
    assert fact["data"] == {"bedrag_cent": 500, "van": "2026-01-01", "tot": "2026-12-31"}
    assert fact["causationid"] == sent
    assert fact["actor"] == "leerwerkloket"
    assert not bedrijf.receipts(sent)
    assert not school.received


async def _count(reader: Reader, routing_key: str) -> int:
    return len(reader.facts(routing_key))


async def test_same_message_again_gets_the_same_receipt_and_no_second_effect(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    body = submission(CATALOGUE.of(budget.Vastgesteld), loket.source, "b-1", amount(500), subject="POW")
    for _ in range(3):
        await loket.client.publish(body, "budget.vastgesteld")

    async def receipts() -> list[str]:
        return [receipt["id"] for receipt in loket.receipts("b-1")]

    ids = await eventually(receipts, lambda found: len(found) == 3)
    assert len(set(ids)) == 1
    assert len(loket.facts("budget.vastgesteld")) == 1


async def test_same_id_with_another_body_is_refused_and_the_first_stands(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    await loket.submit(budget.Vastgesteld, amount(500), subject="POW", message_id="b-1")
    await loket.submit(budget.Vastgesteld, amount(900), subject="POW", message_id="b-1")

    async def outcomes() -> list[str]:
        return [receipt["data"].get("code", "aanvaard") for receipt in loket.receipts("b-1")]

    assert await eventually(outcomes, lambda found: len(found) == 2) == ["aanvaard", "id_hergebruikt"]
    assert [fact["data"]["bedrag_cent"] for fact in loket.facts()] == [500]


async def test_what_is_wrong_is_said_and_nothing_else_suffers(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket, school = await toy_stand.reader("leerwerkloket"), await toy_stand.reader("roc-maas")
    good = json.loads(submission(CATALOGUE.of(budget.Vastgesteld), loket.source, "x", amount(5), subject="POW"))
    wrong = {
        "unknown-field": ({**good, "extra": 1}, "veld_onbekend", "extra"),
        "data-field": ({**good, "data": {**good["data"], "naam": "x"}}, "veld_onbekend", "data.naam"),
        "format": (
            {**good, "data": {**good["data"], "bedrag_cent": "12,50"}},
            "veld_ongeldig",
            "data.bedrag_cent",
        ),
        "missing": ({**good, "data": {"bedrag_cent": 1}}, "veld_ontbreekt", "data.van"),
        "spec": ({**good, "specversion": "0.3"}, "envelop_ongeldig", "specversion"),
        "source": ({**good, "source": school.source}, "afzender_onjuist", "source"),
        "subject": ({**good, "subject": "pow"}, "veld_ongeldig", "subject"),
        "no-subject": ({k: v for k, v in good.items() if k != "subject"}, "veld_ontbreekt", "subject"),
        "huge": ({**good, "tracestate": "x" * 70_000}, "te_groot", None),
        "other-owner": ({**good, "type": CATALOGUE.of(match.Bevestigd).name}, "routering_onjuist", "type"),
        "decided": ({**good, "type": CATALOGUE.of(besteding.Besteed).name}, "type_niet_in_te_dienen", "type"),
        "unknown-type": ({**good, "type": "nl.praktijkverklaringen.budget.op.v1"}, "type_onbekend", "type"),
        "rule": ({**good, "data": {**good["data"], "bedrag_cent": 2_000_000}}, "budget_ontoereikend", None),
    }
    for name, (message, _, _) in wrong.items():
        body = json.dumps({**message, "id": name}).encode()
        await loket.client.publish(body, "budget.vastgesteld", message_id=name)
    for name, (_, code, veld) in wrong.items():
        receipt = await loket.final_receipt(name)
        assert receipt["code"] == code, name
        assert receipt.get("veld") == veld or code == "budget_ontoereikend", name
        assert receipt["uitleg"].endswith(".")
    for name, body in {"junk": b"\xff\xfe", "list": b"[]", "empty": b""}.items():
        await loket.client.publish(body, "budget.vastgesteld", message_id=name)
        assert (await loket.final_receipt(name))["code"] == "onleesbaar"
    refused = await school.submit(budget.Vastgesteld, amount(5), subject="POW")
    assert (await school.final_receipt(refused))["code"] == "rol_niet_bevoegd"
    accepted = await loket.submit(budget.Vastgesteld, amount(5), subject="POW")
    assert (await loket.final_receipt(accepted))["uitkomst"] == "aanvaard"
    assert await toy_stand.rows(toy.service, "SELECT * FROM pending") == []


async def test_role_without_party_is_refused(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    bedrijf = await toy_stand.reader("werkbedrijf")
    theirs = await bedrijf.submit(budget.Vastgesteld, amount(5), subject="POW")
    others = await bedrijf.submit(budget.Vastgesteld, amount(5), subject="GEMEENTE")
    assert (await bedrijf.final_receipt(theirs))["uitkomst"] == "aanvaard"
    assert (await bedrijf.final_receipt(others))["code"] == "geen_partij"


async def test_too_early_waits_and_is_judged_again(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    sent = await loket.submit(budget.Vastgesteld, amount(toy.NEEDS_TRAJECT), subject="POW")

    async def first() -> list[str]:
        return [receipt["type"] for receipt in loket.receipts(sent)]

    assert (await eventually(first))[0].endswith("ontvangst.wacht.v1")
    await publish_facts(toy_stand, [traject_fact(1, traject.Gestart(datum=date(2026, 11, 2)))])
    assert (await loket.final_receipt(sent))["uitkomst"] == "aanvaard"
    assert [receipt["sequence"] for receipt in loket.receipts(sent)] == ["0000000001", "0000000002"]
    assert await toy_stand.rows(toy.service, "SELECT * FROM pending") == []


async def test_failing_handler_is_retried_and_hurts_nobody(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    toy.faults.broken = True
    sent = [await loket.submit(budget.Vastgesteld, amount(cents), subject="POW") for cents in (1, toy.BREAKS, 3)]
    assert (await loket.final_receipt(sent[0]))["sequence"] == 1
    assert (await loket.final_receipt(sent[2]))["sequence"] == 2

    async def told() -> list[str]:
        return [receipt["data"].get("waarop", "") for receipt in loket.receipts(sent[1])]

    assert await eventually(told) == ["herstel"]
    toy.faults.broken = False
    assert (await loket.final_receipt(sent[1]))["sequence"] == 3


async def test_message_the_database_refuses_is_set_aside_alone(toy_stand: Stand) -> None:
    loket = await toy_stand.reader("leerwerkloket")
    sent = [
        await loket.submit(budget.Vastgesteld, amount(cents), subject=bron)
        for bron, cents in (("POW", 1), ("GEMEENTE", toy.NUL), ("POW", 3))
    ]
    await toy_stand.run(toy.service)
    for message_id in (sent[0], sent[2]):
        assert (await loket.final_receipt(message_id))["uitkomst"] == "aanvaard"
    rows = await eventually(lambda: toy_stand.rows(toy.service, "SELECT id, status FROM pending"))
    assert rows == [(sent[1], "retry")]


async def test_failing_fact_holds_back_its_stream_and_no_other(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    toy.faults.broken = True
    day = date(2026, 11, 2)
    other = "PV-00000-00000"
    await publish_facts(
        toy_stand,
        [
            traject_fact(1, traject.Hervat(datum=day)),
            traject_fact(2, Gestart(datum=day)),
            traject_fact(3, traject.Hervat(datum=day)),
            traject_fact(1, traject.Hervat(datum=day), subject=other),
        ],
    )

    async def states() -> dict[str, list[str]]:
        rows = await toy_stand.rows(toy.service, "SELECT subject, body FROM bekend")
        return {row.subject: row.body["steps"] for row in rows}

    await eventually(states, lambda found: found == {toy.PV: ["hervat"], other: ["hervat"]})
    held = await eventually(
        lambda: toy_stand.rows(toy.service, "SELECT status FROM pending ORDER BY sequence"),
        lambda found: len(found) == 2,
    )
    assert [row.status for row in held] == ["retry", "held"]
    toy.faults.broken = False
    await eventually(states, lambda found: found[toy.PV] == ["hervat", "gestart", "hervat"])
    assert await toy_stand.rows(toy.service, "SELECT * FROM pending") == []


async def test_facts_take_effect_in_sequence_whatever_order_they_come_in(toy_stand: Stand) -> None:
    day = date(2026, 11, 2)
    kinds = [
        traject.Hervat(datum=day),
        Gestart(datum=day),
        traject.InschrijvingBevestigd(brin="25PZ", onderwijslocatie="100X123", datum=day),
    ]
    facts = [traject_fact(number, data) for number, data in enumerate(kinds, start=1)]
    await publish_facts(toy_stand, [facts[2], facts[0], facts[0], facts[1], facts[2]])
    await toy_stand.run(toy.service)

    async def steps() -> list[str]:
        rows = await toy_stand.rows(toy.service, "SELECT body FROM bekend")
        return list(rows[0].body["steps"]) if rows else []

    await eventually(steps, lambda found: found == ["hervat", "gestart", "inschrijving-bevestigd"])


async def test_what_is_no_fact_is_parked(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    await publish_facts(toy_stand, [b"{not json"], routing_key="traject.gestart")
    rows = await eventually(lambda: toy_stand.rows(toy.service, "SELECT status, cause FROM pending"))
    assert rows[0].status == "parked"
    fact = traject_fact(1, traject.Hervat(datum=date(2026, 11, 2)))
    await publish_facts(toy_stand, [fact])
    await eventually(lambda: toy_stand.rows(toy.service, "SELECT * FROM bekend"))


async def test_fact_that_was_set_aside_and_fits_the_contract_no_more_is_parked(toy_stand: Stand) -> None:
    async with toy_stand.engines[toy.service.name].begin() as connection:
        await connection.execute(
            text("INSERT INTO inbox (consumer, source, id, hash) VALUES ('billing', 'urn:nld:x', '1', '')")
        )
        await connection.execute(
            text(
                "INSERT INTO pending (consumer, source, id, status, entity, body, due)"
                " VALUES ('billing', 'urn:nld:x', '1', 'retry', 'traject', '{}', now())"
            )
        )
    await toy_stand.run(toy.service)
    rows = await eventually(
        lambda: toy_stand.rows(toy.service, "SELECT id, status FROM pending"),
        lambda found: found[0].status == "parked",
    )
    assert [row.id for row in rows] == ["1"]
    loket = await toy_stand.reader("leerwerkloket")
    sent = await loket.submit(budget.Vastgesteld, amount(5), subject="POW")
    assert (await loket.final_receipt(sent))["uitkomst"] == "aanvaard"


async def test_binary_mode_is_understood(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    for number, prefix in enumerate(("ce-", "cloudEvents:", "cloudEvents_")):
        message_id = new_uuid()
        attributes = {
            "specversion": "1.0",
            "id": message_id,
            "source": loket.source,
            "type": CATALOGUE.of(budget.Vastgesteld).name,
            "subject": "POW",
            "time": "2026-11-02T09:30:00Z",
        }
        await loket.client.publish(
            amount(number).model_dump_json().encode(),
            "budget.vastgesteld",
            message_id=message_id,
            content_type="application/json",
            headers={prefix + name: value for name, value in attributes.items()},
        )
        assert (await loket.final_receipt(message_id))["sequence"] == number + 1
