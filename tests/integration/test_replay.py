"""Facts once more from the journal: what a consumer missed takes effect, what it had does not, and no more."""

import json
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from contracts import budget, erkenning, match, opdracht, traject
from contracts.model import Data
from deploy.local.bus import SERVICES
from services.chassis.messages import Effect
from services.chassis.service import Service
from services.notify.mails import MAIL
from tests.integration.command import Cli, command
from tests.integration.test_isolation import assign, enrolment, registered, registration
from tests.stand import Reader, Stand, eventually

INTAKE, MATCHING, BILLING, NOTIFY = SERVICES
DAY = date(2026, 11, 2)
SHOP = {"kvk": "51000001", "vestigingsnummer": "000051000001", "crebo": "25252"}

Cast = dict[str, Reader]


@pytest.fixture
def praktijkbus(full_stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    return command(full_stand, monkeypatch, tmp_path)


@pytest.fixture
async def cast(full_stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Cast:
    """All services at work, mails that go nowhere, and every partner that plays a part."""

    async def deliver(effect: Effect) -> None:
        """Sent."""

    monkeypatch.setitem(NOTIFY.performers, MAIL, deliver)
    for service in SERVICES:
        await full_stand.run(service)
    names = (
        "leerwerkloket",
        "coach-kompas",
        "wsp-venlo",
        "bakkerij-de-es",
        "sbb",
        "roc-maas",
        "roc-peel",
        "zorghof",
    )
    return {name: await full_stand.reader(name) for name in names}


async def replayed(praktijkbus: Cli, to: str, *arguments: str) -> int:
    done = await praktijkbus("replay", "--to", to, "--reden", "herstel", "--door", "jansen", "--yes", *arguments)
    assert done.exit_code == 0, done.output
    return int(done.output.split()[0])


async def accepted(reader: Reader, fact: type[Data], data: Data | None = None, **envelope: Any) -> str:
    """Submits until it is a fact; its subject."""
    receipt = await reader.final_receipt(await reader.submit(fact, data, **envelope))
    assert receipt["uitkomst"] == "aanvaard", receipt
    return str(receipt["subject"])


async def a_case(cast: Cast) -> str:
    """A traject with a recognised match and an opdracht, over all services; its number."""
    loket, sbb = cast["leerwerkloket"], cast["sbb"]
    nummer = await registered(loket, "roc-maas")
    fit = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
    await accepted(cast["coach-kompas"], traject.IntakeAfgerond, fit, subject=nummer)
    proposal = match.Voorgesteld(trajectnummer=nummer, **SHOP)
    proposed = await accepted(cast["wsp-venlo"], match.Voorgesteld, proposal)
    await accepted(cast["bakkerij-de-es"], match.Bevestigd, subject=proposed)

    async def asked() -> list[dict[str, Any]]:
        return sbb.facts("erkenning.aangevraagd")

    request = (await eventually(asked))[0]["subject"]
    granted = erkenning.Verleend(leerbedrijf_id="100234567", geldig_vanaf=DAY, geldig_tot=date(2030, 11, 1))
    await accepted(sbb, erkenning.Verleend, granted, subject=request)
    amount = budget.Vastgesteld(bedrag_cent=500_000, van=date(2026, 1, 1), tot=date(2026, 12, 31))
    await accepted(loket, budget.Vastgesteld, amount, subject="POW")
    order = opdracht.Verstrekt(trajectnummer=nummer, opleider="roc-maas", bedrag_cent=100, bron="POW")
    await accepted(loket, opdracht.Verstrekt, order)
    return nummer


async def settled(stand: Stand, loket: Reader) -> str:
    """Waits until every service has heard all there is: the last fact comes last in every queue; its subject."""
    for service in SERVICES:
        await eventually(
            partial(stand.rows, service, "SELECT 1 FROM outbox WHERE sent IS NULL"), lambda rows: not rows
        )
    last = await accepted(loket, traject.Aangemeld, registration())

    async def heard() -> bool:
        """Whether every service is as far in every traject as intake's own books are."""
        written = await stand.rows(INTAKE, "SELECT subject, CAST(sequences->>'traject' AS int) FROM traject")
        cursors = "SELECT subject, sequence FROM cursors WHERE entity = 'traject'"
        return all([sorted(await stand.rows(service, cursors)) == sorted(written) for service in SERVICES])

    await eventually(heard)
    return last


async def books(stand: Stand, service: Service) -> dict[str, list[Any]]:
    """All that a service keeps and has asked for, without what was replayed."""
    found: dict[str, list[Any]] = {}
    for store in service.stores.values():
        name = store.table.name
        found[name] = await stand.rows(service, f"SELECT * FROM {name} ORDER BY subject")
    queries = {
        "facts": "SELECT message_id FROM outbox WHERE routing_key NOT LIKE 'aan.%'"
        " AND routing_key NOT LIKE '%.feiten' ORDER BY position",
        "cursors": "SELECT * FROM cursors ORDER BY entity, subject",
        "pending": "SELECT * FROM pending",
        "effects": "SELECT key FROM effects ORDER BY key",
    }
    if service is INTAKE:
        queries["journal"] = "SELECT position, id FROM journal ORDER BY position"
    return found | {name: await stand.rows(service, query) for name, query in queries.items()}


async def test_everything_replayed_to_everybody_does_nothing(
    full_stand: Stand, praktijkbus: Cli, cast: Cast
) -> None:
    await a_case(cast)
    loket = cast["leerwerkloket"]
    await settled(full_stand, loket)
    before = {service.name: await books(full_stand, service) for service in SERVICES}
    assert all(before[name]["facts"] for name in ("intake", "matching", "billing"))
    assert before["notify"]["effects"]
    for service in SERVICES:
        assert await replayed(praktijkbus, service.name) > 0
    last = await settled(full_stand, loket)
    for service in SERVICES:
        after = await books(full_stand, service)
        for name, rows in before[service.name].items():
            fresh = [row for row in after[name] if row not in rows]
            assert [row for row in after[name] if row in rows] == rows, (service.name, name)
            assert len(fresh) <= len(await _about(full_stand, service, name, last)), (service.name, name)


async def _about(stand: Stand, service: Service, name: str, subject: str) -> list[Any]:
    """What `name` holds of the traject that was registered after all else."""
    case = "SELECT body->>'correlationid' FROM journal WHERE subject = :subject LIMIT 1"
    (row,) = await stand.rows(INTAKE, case, subject=subject)
    ids = [
        found.id for found in await stand.rows(INTAKE, "SELECT id FROM journal WHERE correlationid = :c", c=row[0])
    ]
    rows = {
        "facts": "SELECT 1 FROM outbox WHERE message_id = ANY(:ids)",
        "journal": "SELECT 1 FROM journal WHERE id = ANY(:ids)",
        "effects": "SELECT 1 FROM effects e, unnest(CAST(:ids AS text[])) i WHERE e.key LIKE '%' || i || '%'",
        "cursors": "SELECT 1 FROM cursors WHERE subject = :subject",
        "pending": "SELECT 1 FROM pending WHERE false",
    }.get(name, f"SELECT 1 FROM {name} WHERE subject = :subject")
    values = {"ids": ids} if ":ids" in rows else {"subject": subject} if ":subject" in rows else {}
    return await stand.rows(service, rows, **values)


async def test_service_put_back_from_an_older_copy_gets_what_it_misses(
    full_stand: Stand, praktijkbus: Cli, cast: Cast
) -> None:
    loket, coach = cast["leerwerkloket"], cast["coach-kompas"]
    nummer = await registered(loket, "roc-maas")
    await settled(full_stand, loket)
    await full_stand.stop(BILLING)
    await _copy(full_stand, BILLING)
    await full_stand.run(BILLING)
    fit = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
    await accepted(coach, traject.IntakeAfgerond, fit, subject=nummer)
    await assign(loket, nummer, "roc-peel")
    await settled(full_stand, loket)
    whole = await books(full_stand, BILLING)
    await full_stand.stop(BILLING)
    await _put_back(full_stand, BILLING)
    assert await books(full_stand, BILLING) != whole
    await full_stand.run(BILLING)
    (position,) = await full_stand.rows(
        INTAKE, "SELECT min(position) FROM journal WHERE type LIKE '%intake-afger%'"
    )
    assert await replayed(praktijkbus, "billing", "--from", str(position[0]))
    await eventually(lambda: books(full_stand, BILLING), lambda found: found == whole)


async def test_partner_gets_what_was_meant_for_it_and_no_more(
    full_stand: Stand, praktijkbus: Cli, cast: Cast
) -> None:
    loket, maas, peel, shop = (cast[name] for name in ("leerwerkloket", "roc-maas", "roc-peel", "zorghof"))
    nummer = await a_case(cast)
    await assign(loket, nummer, "roc-peel")
    await accepted(peel, traject.InschrijvingBevestigd, enrolment(), subject=nummer)
    await settled(full_stand, loket)
    had = {reader.partner: sorted(fact["id"] for fact in reader.facts()) for reader in (maas, peel)}
    assert len(had["roc-maas"]) > 4
    assert any(".inschrijving-bevestigd." in fact["type"] for fact in peel.facts())
    for reader in (maas, peel):
        assert await replayed(praktijkbus, reader.partner) == len(had[reader.partner])
    nothing = await praktijkbus("replay", "--to", "zorghof", "--reden", "verzoek", "--yes")
    assert nothing.exit_code != 0

    async def twice() -> dict[str, list[str]]:
        return {reader.partner: sorted(fact["id"] for fact in reader.facts()) for reader in (maas, peel)}

    await eventually(twice, lambda found: found == {who: sorted(ids * 2) for who, ids in had.items()})
    assert not any(".inschrijving-bevestigd." in fact["type"] for fact in maas.facts())
    assert shop.facts() == []
    assert "persoon" not in json.dumps([*maas.received, *peel.received])
    first = {fact["id"]: fact for fact in maas.facts()[: len(had["roc-maas"])]}
    assert all(first[fact["id"]] == fact for fact in maas.facts())


async def test_replay_is_told_and_written_down(full_stand: Stand, praktijkbus: Cli) -> None:
    await full_stand.run(INTAKE)
    loket = await full_stand.reader("leerwerkloket")
    nummer, other = await registered(loket, "roc-maas"), await registered(loket, "roc-peel")
    await eventually(
        lambda: full_stand.rows(INTAKE, "SELECT DISTINCT subject FROM journal"), lambda rows: len(rows) == 2
    )
    assert other != nummer
    whole = len(await full_stand.rows(INTAKE, "SELECT 1 FROM journal WHERE subject = :pv", pv=nummer))
    assert await replayed(praktijkbus, "billing", "--stream", "traject", "--subject", nummer) == whole
    (row,) = await full_stand.rows(INTAKE, "SELECT deed, by, reason, about FROM repairs")
    assert (row.deed, row.by, row.reason) == ("replay", "jansen", "herstel")
    assert row.about["count"] == whole
    assert (row.about["consumer"], row.about["streams"], row.about["subject"]) == ("billing", ["traject"], nummer)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--to", "billing", "--stream", "erkenning"), "does not listen to erkenning"),
        (
            (
                "--to",
                "niemand",
            ),
            "is not in the partner registry",
        ),
        (("--to", "billing", "--since", "2199-01-01"), "No fact in the journal"),
        (("--to", "billing", "--subject", "PV-7K3F9-QX2MC"), "controleteken"),
    ],
)
async def test_what_cannot_be_replayed_is_told(
    full_stand: Stand, praktijkbus: Cli, arguments: tuple[str, ...], told: str
) -> None:
    done = await praktijkbus("replay", "--reden", "verzoek", "--yes", *arguments)
    assert done.exit_code != 0
    assert told in str(done.exception)
    assert await full_stand.rows(INTAKE, "SELECT 1 FROM repairs") == []


_OWN = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'"


async def _copy(stand: Stand, service: Service) -> None:
    """Keeps a copy of the database, as of now."""
    async with stand.engines[service.name].begin() as connection:
        await connection.execute(text("DROP SCHEMA IF EXISTS kopie CASCADE"))
        await connection.execute(text("CREATE SCHEMA kopie"))
        for table in (await connection.scalars(text(_OWN))).all():
            await connection.execute(text(f"CREATE TABLE kopie.{table} AS SELECT * FROM public.{table}"))


async def _put_back(stand: Stand, service: Service) -> None:
    async with stand.engines[service.name].begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in (await connection.scalars(text(_OWN))).all():
            await connection.execute(text(f"DELETE FROM public.{table}"))
            await connection.execute(
                text(f"INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM kopie.{table}")
            )
        await connection.execute(text("DROP SCHEMA kopie CASCADE"))
