"""What an operator does by hand to what could not be processed, while the service runs and while it is down."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from contracts import budget, traject
from contracts.catalogue import CATALOGUE
from contracts.traject import Gestart
from deploy.local.client import submission
from services.chassis import repair, wire
from services.chassis.batch import ENDED_PROCESS
from services.chassis.repair import Author, Parked, Reden
from services.chassis.wire import encode
from tests.integration import toy
from tests.integration.command import Cli, command
from tests.integration.facts import publish_facts, traject_fact
from tests.stand import Reader, Stand, eventually

DAY = date(2026, 11, 2)
BY = Author("jansen", Reden.VERHOLPEN)


def amount(cents: int) -> budget.Vastgesteld:
    return budget.Vastgesteld(bedrag_cent=cents, van=date(2026, 1, 1), tot=date(2026, 12, 31))


async def gives_up(stand: Stand) -> list[Parked]:
    """Lets what fails have failed often enough; what is parked then."""
    async with stand.engines[toy.service.name].begin() as connection:
        await connection.execute(
            text("UPDATE pending SET attempts = 7, due = now() WHERE status = 'retry' AND attempts < 7")
        )
    return await parked(stand)


async def parked(stand: Stand) -> list[Parked]:
    async with stand.engines[toy.service.name].connect() as connection:
        return await repair.parked(connection, toy.service.name)


async def retry(stand: Stand, items: list[Parked]) -> int:
    async with stand.engines[toy.service.name].begin() as connection:
        return await repair.retry(connection, items, BY)


async def discard(stand: Stand, items: list[Parked]) -> int:
    async with stand.engines[toy.service.name].begin() as connection:
        return await repair.discard(connection, items, BY)


async def audit(stand: Stand) -> list[Any]:
    return await stand.rows(toy.service, "SELECT deed, by, reason, about FROM repairs ORDER BY position")


async def nothing_pending(stand: Stand) -> None:
    await eventually(lambda: stand.rows(toy.service, "SELECT status FROM pending"), lambda rows: not rows)


async def steps(stand: Stand) -> list[str]:
    rows = await stand.rows(toy.service, "SELECT body FROM bekend WHERE subject = :pv", pv=toy.PV)
    return list(rows[0].body["steps"]) if rows else []


async def broken_stream(stand: Stand) -> Parked:
    """A stream of which the second fact is parked and the third and fourth are held."""
    toy.faults.broken = True
    facts = [traject.Hervat(datum=DAY), Gestart(datum=DAY), traject.Hervat(datum=DAY), traject.Hervat(datum=DAY)]
    await publish_facts(stand, [traject_fact(n, data) for n, data in enumerate(facts, start=1)])
    await eventually(
        lambda: stand.rows(toy.service, "SELECT 1 FROM pending WHERE status = 'held'"), lambda rows: len(rows) == 2
    )
    (found,) = await eventually(lambda: gives_up(stand))
    return found


async def broken_submission(stand: Stand, loket: Reader) -> tuple[str, Parked]:
    toy.faults.broken = True
    sent = await loket.submit(budget.Vastgesteld, amount(toy.BREAKS), subject="POW")
    (found,) = await eventually(lambda: gives_up(stand))
    return sent, found


async def test_parked_fact_is_shown_with_its_cause_and_what_it_holds_back(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    found = await broken_stream(toy_stand)
    assert (found.consumer, found.kind, found.what, found.subject) == ("billing", "feit", "traject", toy.PV)
    assert (found.cause, found.attempts, found.sequence, found.holds_back) == ("builtins.RuntimeError", 8, 2, 2)
    async with toy_stand.engines[toy.service.name].connect() as connection:
        shown = await repair.detail(connection, toy.service.name, found.handle)
        assert await repair.detail(connection, toy.service.name, "999999") is None
    assert shown is not None
    assert shown.content is not None
    assert shown.content["data"] == {"datum": "2026-11-02"}


async def test_retried_fact_takes_effect_and_so_does_what_it_held_back(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    found = await broken_stream(toy_stand)
    toy.faults.broken = False
    assert await retry(toy_stand, [found]) == 1
    await nothing_pending(toy_stand)
    assert await steps(toy_stand) == ["hervat", "gestart", "hervat", "hervat"]
    (row,) = await audit(toy_stand)
    assert (row.deed, row.by, row.reason) == ("retry", "jansen", "verholpen")
    assert (row.about["id"], row.about["cause"], row.about["sequence"]) == (found.id, "builtins.RuntimeError", 2)


async def test_discarded_fact_lets_its_stream_go_on_without_it(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    found = await broken_stream(toy_stand)
    assert await discard(toy_stand, [found]) == 1
    await nothing_pending(toy_stand)
    assert await steps(toy_stand) == ["hervat", "hervat", "hervat"]
    (cursor,) = await toy_stand.rows(toy.service, "SELECT sequence FROM cursors WHERE subject = :pv", pv=toy.PV)
    assert cursor.sequence == 4
    assert [(row.deed, row.about["id"]) for row in await audit(toy_stand)] == [("discard", found.id)]


async def test_discarded_fact_stays_discarded_when_it_comes_again(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    found = await broken_stream(toy_stand)
    (row,) = await toy_stand.rows(toy.service, "SELECT body FROM pending WHERE status = 'parked'")
    await discard(toy_stand, [found])
    await nothing_pending(toy_stand)
    toy.faults.broken = False
    later = traject_fact(5, traject.Hervat(datum=DAY))
    await publish_facts(toy_stand, [bytes(row.body), later])
    await eventually(lambda: steps(toy_stand), lambda done: len(done) == 4)
    assert "gestart" not in await steps(toy_stand)


async def test_deeds_while_the_service_is_down_are_done_when_it_starts(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    found = await broken_stream(toy_stand)
    sent = await loket.submit(budget.Vastgesteld, amount(toy.BREAKS), subject="POW")
    both = await eventually(lambda: gives_up(toy_stand), lambda rows: len(rows) == 2)
    await toy_stand.stop(toy.service)
    assert await discard(toy_stand, [found]) == 1
    toy.faults.broken = False
    assert await retry(toy_stand, [item for item in both if item.handle != found.handle]) == 1
    assert await steps(toy_stand) == ["hervat"]
    await toy_stand.run(toy.service)
    assert (await loket.final_receipt(sent))["uitkomst"] == "aanvaard"
    await nothing_pending(toy_stand)
    assert await steps(toy_stand) == ["hervat", "hervat", "hervat"]


async def test_discarded_submission_ends_in_one_final_receipt(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    toy.faults.broken = True
    body = submission(CATALOGUE.of(budget.Vastgesteld), loket.source, "b-1", amount(toy.BREAKS), subject="POW")
    await loket.client.publish(body, "budget.vastgesteld")
    (found,) = await eventually(lambda: gives_up(toy_stand))
    assert (found.kind, found.partner, found.subject) == ("melding", "leerwerkloket", "POW")
    await discard(toy_stand, [found])
    receipt = await loket.final_receipt("b-1")
    assert (receipt["uitkomst"], receipt["code"]) == ("afgewezen", "verworpen")
    await nothing_pending(toy_stand)
    toy.faults.broken = False
    await loket.client.publish(body, "budget.vastgesteld")

    async def receipts() -> list[tuple[str, str]]:
        return [(receipt["type"].split(".")[3], receipt["sequence"]) for receipt in loket.receipts("b-1")]

    first, final, again = await eventually(receipts, lambda found: len(found) == 3)
    assert first == ("wacht", "0000000001")
    assert final == again == ("afgewezen", "0000000002")
    assert await toy_stand.rows(toy.service, "SELECT * FROM pot") == []


async def test_retried_submission_has_its_tries_again_and_is_parked_again(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    sent, found = await broken_submission(toy_stand, loket)
    await retry(toy_stand, [found])
    rows = await eventually(
        lambda: toy_stand.rows(toy.service, "SELECT status, attempts FROM pending"),
        lambda rows: rows[0].attempts == 1,
    )
    assert [row.status for row in rows] == ["retry"]
    assert len(await eventually(lambda: gives_up(toy_stand))) == 1
    assert [receipt["data"].get("waarop") for receipt in loket.receipts(sent)] == ["herstel"]


async def test_what_was_done_already_is_not_done_again(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    found = await broken_stream(toy_stand)
    assert await discard(toy_stand, [found]) == 1
    assert await retry(toy_stand, [found]) == 0
    assert await discard(toy_stand, [found]) == 0
    await nothing_pending(toy_stand)
    assert len(await audit(toy_stand)) == 1


async def test_fact_that_does_not_fit_holds_back_its_stream_until_discarded(toy_stand: Stand) -> None:
    """The envelope still says what its place is."""
    await toy_stand.run(toy.service)
    first = traject_fact(1, traject.Hervat(datum=DAY))
    unfit = json.loads(encode(traject_fact(2, Gestart(datum=DAY))))
    unfit["data"]["datum"] = "gisteren"
    await publish_facts(toy_stand, [first, json.dumps(unfit).encode(), traject_fact(3, Gestart(datum=DAY))])
    (found,) = await eventually(lambda: parked(toy_stand), lambda rows: [row.holds_back for row in rows] == [1])
    assert (found.what, found.subject, found.sequence) == ("traject", toy.PV, 2)
    assert found.cause == "value_error at datum"
    await discard(toy_stand, [found])
    await nothing_pending(toy_stand)
    assert await steps(toy_stand) == ["hervat", "gestart"]


async def test_fact_of_a_newer_version_waits_until_this_one_follows(
    toy_stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner was rolled out first. What comes after it in the stream waits with it."""
    await toy_stand.run(toy.service)
    newer = json.loads(encode(traject_fact(2, traject.Hervat(datum=DAY))))
    newer["type"] = "nl.praktijkverklaringen.traject.opgeschort.v1"
    first, third = (traject_fact(place, Gestart(datum=DAY)) for place in (1, 3))
    await publish_facts(toy_stand, [first, json.dumps(newer).encode(), third])
    aside = await eventually(
        lambda: toy_stand.rows(toy.service, "SELECT status FROM pending ORDER BY sequence"),
        lambda rows: len(rows) == 2,
    )
    assert [row.status for row in aside] == ["retry", "held"]
    assert await steps(toy_stand) == ["gestart"]

    known = dict(CATALOGUE) | {newer["type"]: CATALOGUE.of(traject.Hervat)}
    monkeypatch.setattr(wire, "CATALOGUE", known)
    async with toy_stand.engines[toy.service.name].begin() as connection:
        await connection.execute(text("UPDATE pending SET due = now() WHERE status = 'retry'"))
    await nothing_pending(toy_stand)
    assert await steps(toy_stand) == ["gestart", "hervat", "gestart"]


async def test_fact_of_a_version_that_never_comes_is_parked(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    newer = json.loads(encode(traject_fact(1, Gestart(datum=DAY))))
    newer["type"] = "nl.praktijkverklaringen.traject.opgeschort.v1"
    await publish_facts(toy_stand, [json.dumps(newer).encode()])
    await eventually(lambda: toy_stand.rows(toy.service, "SELECT 1 FROM pending WHERE status = 'retry'"))
    async with toy_stand.engines[toy.service.name].begin() as connection:
        await connection.execute(text("UPDATE pending SET attempts = 2880, due = now()"))
    (found,) = await eventually(lambda: parked(toy_stand))
    assert found.cause == "unknown type"


async def test_what_a_newer_version_keeps_of_an_aggregate_stays_there(toy_stand: Stand) -> None:
    """Both run during a roll-out, on the same tables."""
    await toy_stand.run(toy.service)
    await publish_facts(toy_stand, [traject_fact(1, Gestart(datum=DAY))])
    await eventually(lambda: steps(toy_stand))
    async with toy_stand.engines[toy.service.name].begin() as connection:
        await connection.execute(text("""UPDATE bekend SET body = body || '{"later": 1}'"""))
    await publish_facts(toy_stand, [traject_fact(2, traject.Hervat(datum=DAY))])
    await eventually(lambda: steps(toy_stand), lambda taken: taken == ["gestart", "hervat"])
    (row,) = await toy_stand.rows(toy.service, "SELECT body->>'later' AS later FROM bekend")
    assert row.later == "1"


async def test_fact_that_is_not_yet_its_turn_is_passed_over_when_it_is(toy_stand: Stand) -> None:
    """Discarded before the facts that go before it came: those still take effect, and what follows too."""
    ahead = traject_fact(2, Gestart(datum=DAY))
    await _park(toy_stand, ahead.source, ahead.id, encode(ahead), "builtins.RuntimeError", sequence=2)
    assert await discard(toy_stand, await parked(toy_stand)) == 1
    await toy_stand.run(toy.service)
    await publish_facts(
        toy_stand, [traject_fact(3, traject.Hervat(datum=DAY)), traject_fact(1, traject.Hervat(datum=DAY))]
    )
    await nothing_pending(toy_stand)
    assert await steps(toy_stand) == ["hervat", "hervat"]


async def test_junk_shows_nothing_of_itself_and_can_be_discarded(toy_stand: Stand) -> None:
    await toy_stand.run(toy.service)
    await publish_facts(toy_stand, [b'{"naam": "Sam Jansen"}'], routing_key="traject.gestart")
    (found,) = await eventually(lambda: parked(toy_stand))
    async with toy_stand.engines[toy.service.name].connect() as connection:
        shown = await repair.detail(connection, toy.service.name, found.handle)
    assert shown is not None
    assert (shown.content, shown.bytes) == (None, 22)
    assert "Sam" not in str(shown)
    await discard(toy_stand, [found])
    await nothing_pending(toy_stand)


async def test_message_that_ends_the_process_does_so_once_more_at_most(toy_stand: Stand) -> None:
    """A retry of what crashed before is written down as parked before it is tried."""
    loket = await toy_stand.reader("leerwerkloket")
    await toy_stand.run(toy.service)
    sent = await loket.submit(budget.Vastgesteld, amount(toy.BREAKS), subject="POW")
    await loket.final_receipt(sent)
    await toy_stand.stop(toy.service)
    (known,) = await toy_stand.rows(toy.service, "SELECT source FROM inbox WHERE id = :id", id=sent)
    body = json.dumps(
        {
            "specversion": "1.0",
            "id": "gevaarlijk",
            "source": known.source,
            "type": "nl.praktijkverklaringen.budget.vastgesteld.v1",
            "subject": "POW",
            "time": "2026-11-02T09:30:00Z",
            "data": {"bedrag_cent": toy.ENDS_PROCESS, "van": "2026-01-01", "tot": "2026-12-31"},
        }
    ).encode()
    await _park(toy_stand, known.source, "gevaarlijk", body, ENDED_PROCESS, partner="leerwerkloket")
    toy.faults.broken = True
    await retry(toy_stand, await parked(toy_stand))
    task = await toy_stand.start(toy.service)
    with pytest.raises(toy.Crash):
        await task
    assert [item.id for item in await parked(toy_stand)] == ["gevaarlijk"]
    await toy_stand.run(toy.service)
    toy.faults.broken = False
    await retry(toy_stand, await parked(toy_stand))
    assert (await loket.final_receipt("gevaarlijk"))["uitkomst"] == "aanvaard"


async def test_mail_that_failed_for_good_is_retried_or_given_up(toy_stand: Stand) -> None:
    engine = toy_stand.engines[toy.service.name]
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO effects (key, kind, payload, status, attempts, cause, done)"
                " SELECT k, 'mail', '{\"aan\": \"roc-maas\"}', 'failed', 12, 'FinalFailure', now()"
                " FROM unnest(ARRAY['mail/een', 'mail/twee', 'mail/drie']) AS k"
            )
        )
    found = {item.handle: item for item in await parked(toy_stand)}
    assert {(item.kind, item.what, item.cause) for item in found.values()} == {("effect", "mail", "FinalFailure")}
    async with engine.connect() as connection:
        shown = await repair.detail(connection, toy.service.name, "mail/een")
    assert shown is not None
    assert shown.content == {"aan": "roc-maas"}
    assert await retry(toy_stand, [found["mail/een"]]) == 1
    assert await discard(toy_stand, [found["mail/twee"]]) == 1
    rows = await toy_stand.rows(toy.service, "SELECT key, status, attempts FROM effects ORDER BY key DESC")
    assert rows == [("mail/twee", "discarded", 12), ("mail/een", "open", 0), ("mail/drie", "failed", 12)]
    assert [item.handle for item in await parked(toy_stand)] == ["mail/drie"]
    assert [row.about["id"] for row in await audit(toy_stand)] == ["mail/een", "mail/twee"]


@pytest.fixture
def praktijkbus(toy_stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    return command(toy_stand, monkeypatch, tmp_path)


async def test_operator_sees_groups_and_rows_and_asks_before_a_group(toy_stand: Stand, praktijkbus: Cli) -> None:
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    toy.faults.broken = True
    sent = [await loket.submit(budget.Vastgesteld, amount(toy.BREAKS), subject="POW") for _ in range(3)]
    await eventually(lambda: gives_up(toy_stand), lambda rows: len(rows) == 3)
    here = ("--consumer", "billing")
    groups = await praktijkbus("parked", "list", *here)
    assert groups.output.splitlines()[1].split()[:5] == [
        "billing",
        "melding",
        "budget",
        "builtins.RuntimeError",
        "3",
    ]
    rows = json.loads((await praktijkbus("parked", "list", *here, "--json")).output)
    assert [row["id"] for row in rows] == sent
    shown = await praktijkbus("parked", "show", "billing", rows[0]["handle"])
    assert sent[0] in shown.output
    assert '"bedrag_cent": 13' in shown.output
    nobody = await praktijkbus("parked", "list", *here, "--cause", "iets anders")
    assert nobody.output == "Nothing is parked.\n"
    toy.faults.broken = False
    deed = ("--reden", "verholpen", "--door", "jansen")
    group = (*here, "--cause", "builtins.RuntimeError")
    refused = await praktijkbus("parked", "retry", *group, *deed, answer="n\n")
    assert "Retry all 3?" in refused.output
    assert len(await parked(toy_stand)) == 3
    one = await praktijkbus("parked", "discard", "billing", rows[0]["handle"], *deed)
    assert one.output.startswith("1 discarded")
    done = await praktijkbus("parked", "retry", *group, *deed, answer="y\n")
    assert "2 will be tried again" in done.output
    outcomes = [(await loket.final_receipt(message_id))["uitkomst"] for message_id in sent]
    assert outcomes == ["afgewezen", "aanvaard", "aanvaard"]
    assert [(row.deed, row.by) for row in await audit(toy_stand)] == [
        ("discard", "jansen"),
        *[("retry", "jansen")] * 2,
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("retry", "billing", "999999", "--reden", "tijdelijk"), "nothing parked under 999999"),
        (("discard", "--reden", "tijdelijk"), "CONSUMER ID for one"),
        (("discard", "billing", "--reden", "tijdelijk"), "CONSUMER ID for one"),
        (("discard", "billing", "1", "--cause", "x", "--reden", "tijdelijk"), "CONSUMER ID for one"),
        (("retry", "--consumer", "billing", "--reden", "tijdelijk"), "Nothing like that is parked"),
        (("show", "billing", "1 OR 1=1"), "nothing parked under 1 OR 1=1"),
    ],
)
async def test_what_cannot_be_done_is_told(praktijkbus: Cli, words: tuple[str, ...], told: str) -> None:
    done = await praktijkbus("parked", *words)
    assert done.exit_code != 0
    assert told in str(done.exception)


@pytest.mark.parametrize(
    "change", ["UPDATE repairs SET by = 'een ander'", "DELETE FROM repairs", "TRUNCATE repairs"]
)
async def test_what_was_written_down_stays(toy_stand: Stand, change: str) -> None:
    async with toy_stand.engines[toy.service.name].begin() as connection:
        await repair.record(connection, repair.Deed.RETRY, BY, [{"id": "x"}])
    with pytest.raises(DBAPIError, match="stays written down"):
        async with toy_stand.engines[toy.service.name].begin() as connection:
            await connection.execute(text(change))
    assert len(await audit(toy_stand)) == 1


@pytest.mark.parametrize("door", ["", "Sam Jansen", "<script>", "x" * 65, "a\nb"])
def test_who_did_it_is_an_account(door: str) -> None:
    with pytest.raises(ValueError, match="account"):
        repair.author(door, Reden.VERZOEK)


async def _park(
    stand: Stand, source: str, message_id: str, body: bytes, cause: str, **columns: str | int | None
) -> None:
    values = {"partner": None, "sequence": None, **columns}
    entity, subject = ("budget", "POW") if values["partner"] else ("traject", toy.PV)
    async with stand.engines[toy.service.name].begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO inbox (consumer, source, id, hash, partner)"
                " VALUES ('billing', :source, :id, '', CAST(:partner AS text))"
            ),
            {"source": source, "id": message_id, "partner": values["partner"]},
        )
        await connection.execute(
            text(
                "INSERT INTO pending"
                " (consumer, source, id, status, partner, entity, subject, sequence, body, cause)"
                " VALUES ('billing', :source, :id, 'parked', CAST(:partner AS text), :entity, :subject,"
                " CAST(:sequence AS int), :body, :cause)"
            ),
            {
                "source": source,
                "id": message_id,
                "entity": entity,
                "subject": subject,
                "body": body,
                "cause": cause,
                **values,
            },
        )
