"""Terms on the real broker and database: each level once, whatever is killed and however many look."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from contracts import budget, erkenning, traject
from contracts.fields import Rol
from contracts.termijn import Niveau, Overschreden
from deploy.local.broker import Broker
from deploy.local.bus import ROOT, SERVICES
from deploy.local.mailcatcher import read_mails
from deploy.local.postgres import DatabaseServer
from deploy.local.processes import free_port
from services.chassis.calendar import SteppedCalendar
from services.chassis.messages import Effect, Follows
from services.chassis.storage import Storage
from services.chassis.work import Work
from services.intake.journal import story
from services.intake.verhaal import ZINNEN
from services.notify.handlers import service
from services.notify.mails import MAIL
from services.notify.termijn import Termijnen
from tests.desk import DEPLOY, REGISTRY
from tests.integration import toy
from tests.integration.facts import publish_facts, traject_fact
from tests.integration.test_isolation import registered
from tests.integration.test_notify_mail import MIGRATIONS, MailServer, mailer, server
from tests.integration.test_submissions import amount
from tests.stand import Reader, Stand, eventually, stand
from tests.unit.notify.given import SBB, a_number, a_request

__all__ = ["server"]

MONDAY = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
HINT, OVERDUE, COORDINATION, MANAGER = (
    datetime(2026, *day, 7, tzinfo=UTC) for day in ((11, 12), (11, 17), (11, 24), (12, 1))
)
GRANTED = erkenning.Verleend(
    leerbedrijf_id="100234567", geldig_vanaf=date(2026, 11, 2), geldig_tot=date(2030, 11, 1)
)


@pytest.fixture
async def made(broker: Broker, database: DatabaseServer) -> AsyncIterator[Stand]:
    async with stand(broker, database, service, migrations=lambda _: MIGRATIONS) as prepared:
        yield prepared


@pytest.fixture
def clock(tmp_path: Path) -> SteppedCalendar:
    return SteppedCalendar.begin(tmp_path / "clock", MONDAY)


class Instance:
    """Notify as a process of its own."""

    def __init__(self, made: Stand, clock: Path, smtp_port: int) -> None:
        self._port = free_port()
        settings = made.settings(service)
        self._environment = {
            **os.environ,
            "PRAKTIJKBUS_AMQP_URL": settings.amqp_url.get_secret_value(),
            "PRAKTIJKBUS_DATABASE_URL": settings.database_url.get_secret_value(),
            "PRAKTIJKBUS_PARTNERS": str(DEPLOY / "partners.toml"),
            "PRAKTIJKBUS_KWALIFICATIES": str(DEPLOY / "kwalificaties.toml"),
            "PRAKTIJKBUS_CLOCK": str(clock),
            "PRAKTIJKBUS_PORT": str(self._port),
            "PRAKTIJKBUS_SMTP_PORT": str(smtp_port),
        }
        self._process: Process | None = None

    async def start(self, *program: str) -> None:
        command = program or ("-m", "services.notify")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT, env=self._environment, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(60):
            while not await self._answers("/live"):
                assert self._process.returncode is None, "ended before it began"
                await asyncio.sleep(0.1)

    async def ended(self) -> int:
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), 30)

    async def kill(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    async def at_rest(self) -> bool:
        return (await self._answers("/rest")).get("at_rest") is True

    async def _answers(self, path: str) -> dict[str, object]:
        """What it says there; nothing while it is not up."""
        async with httpx.AsyncClient() as http:
            try:
                answer: dict[str, object] = (await http.get(f"http://127.0.0.1:{self._port}{path}")).json()
            except httpx.TransportError:
                return {}
        return answer


async def told(made: Stand) -> Counter[tuple[str, str]]:
    """How often each level of each stream was told."""
    rows = await made.rows(
        service,
        "SELECT convert_from(body, 'UTF8')::jsonb->'data'->>'stroom' AS stroom,"
        " convert_from(body, 'UTF8')::jsonb->'data'->>'niveau' AS niveau FROM outbox",
    )
    return Counter((row.stroom, row.niveau) for row in rows)


async def waited_for(made: Stand, count: int) -> None:
    async def running() -> int:
        return len(await made.rows(service, "SELECT 1 FROM termijnen WHERE due IS NOT NULL"))

    await eventually(running, lambda found: found == count)


async def told_and_mailed(made: Stand, expected: Counter[tuple[str, str]]) -> None:
    async def open_effects() -> int:
        return len(await made.rows(service, "SELECT 1 FROM effects WHERE status = 'open'"))

    await eventually(lambda: told(made), lambda found: found.total() >= expected.total())
    await eventually(open_effects, lambda found: found == 0)


@pytest.mark.timeout(300)
async def test_each_level_is_told_and_mailed_once_by_two_instances_that_are_killed(
    made: Stand, clock: SteppedCalendar, server: MailServer, tmp_path: Path
) -> None:
    one, two = (Instance(made, tmp_path / "clock", server.port) for _ in range(2))
    streams = [a_number("ER") for _ in range(20)]
    answered, silent = streams[:5], streams[5:]
    try:
        await one.start("-m", "tests.chaos.crashing", "notify", "before-due-commit", "1")
        await publish_facts(made, [traject_fact(1, a_request(), stream) for stream in streams])
        await waited_for(made, len(streams))
        clock.step_to(HINT)
        assert await one.ended() == -signal.SIGKILL
        assert await told(made) == {}
        await one.start()
        await two.start()
        expected = Counter({(stream, Niveau.HINT.value): 1 for stream in streams})
        await told_and_mailed(made, expected)
        await publish_facts(made, [traject_fact(2, GRANTED, stream) for stream in answered])
        await waited_for(made, len(silent))
        for moment, niveau in (
            (OVERDUE, Niveau.VERLOPEN),
            (COORDINATION, Niveau.COORDINATIE),
            (MANAGER, Niveau.MANAGER),
        ):
            clock.step_to(moment)
            expected += Counter({(stream, niveau.value): 1 for stream in silent})
            if niveau is Niveau.COORDINATIE:
                await one.kill()
                await one.start()
            await told_and_mailed(made, expected)
        for instance in (one, two):
            await eventually(instance.at_rest)
        assert await told(made) == expected
    finally:
        await one.kill()
        await two.kill()
    sequences = await made.rows(service, "SELECT sequences->>'termijn' AS count FROM overschrijding")
    assert Counter(row.count for row in sequences) == {"1": len(answered), "4": len(silent)}
    by_stream: Counter[tuple[str, str]] = Counter()
    for mail_id, mail in {mail["Message-ID"]: mail for mail in read_mails(server.folder)}.items():
        assert mail_id
        content = mail.get_body(("plain",))
        assert content is not None
        (stream,) = {stream for stream in streams if stream in content.get_content()}
        by_stream[stream, str(mail["Subject"])] += 1
    hint, reminder = "Wij wachten op uw antwoord", "Herinnering: wij wachten op uw antwoord"
    assert {by_stream[stream, hint] for stream in streams} == {1}
    assert {by_stream[stream, reminder] for stream in answered} == {0}
    assert {by_stream[stream, reminder] for stream in silent} == {3}
    assert {by_stream[stream, "Een antwoord blijft uit"] for stream in silent} == {1}
    assert {by_stream[stream, "Een antwoord blijft lang uit"] for stream in silent} == {1}
    effects = await made.rows(service, "SELECT status FROM effects")
    assert {row.status for row in effects} == {"done"}


async def test_what_another_instance_has_in_hand_is_left_alone(made: Stand) -> None:
    store = service.stores[Termijnen]
    engine = made.engines[service.name]
    insert = "INSERT INTO termijnen (subject, sequences, body, due) VALUES (:key, '{}', '{}', :due)"
    async with engine.begin() as connection:
        for key, due in (("a", "2026-11-12T07:00:00Z"), ("b", "2026-11-12T07:00:01Z"), ("c", None)):
            await connection.exec_driver_sql(
                insert.replace(":key", f"'{key}'").replace(":due", f"'{due}'" if due else "NULL")
            )
    async with engine.begin() as mine, engine.begin() as other:
        one, two = Storage(mine, service.name), Storage(other, service.name)
        assert await one.overdue(store, HINT - timedelta(seconds=1)) == []
        assert await one.overdue(store, HINT) == ["a"]
        assert await two.overdue(store, HINT + timedelta(seconds=1)) == ["b"]
        assert await two.overdue(store, HINT, keys=["a", "b"]) == []
    async with engine.begin() as connection:
        assert await Storage(connection, service.name).overdue(store, OVERDUE, keys=["b", "c"]) == ["b"]


async def test_no_reminder_leaves_after_the_answer(
    made: Stand, clock: SteppedCalendar, server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written down before the answer came, and could not be sent yet."""
    monkeypatch.setitem(service.performers, MAIL, mailer(server.port).deliver_mail)
    made.clock = tmp_path / "clock"
    await made.run(service)
    answered, silent = a_number("ER"), a_number("ER")
    server.refuses["RCPT"] = "451 later"
    await publish_facts(made, [traject_fact(1, a_request(), stream) for stream in (answered, silent)])
    await waited_for(made, 2)
    clock.step_to(OVERDUE)

    async def statuses() -> Counter[tuple[str, str]]:
        rows = await made.rows(
            service,
            "SELECT payload->>'soort' AS soort, status, attempts > 0 AS tried FROM effects"
            " WHERE payload->>'soort' = 'herinnering'",
        )
        return Counter((row.status, row.tried) for row in rows)

    await eventually(statuses, lambda found: found == {("open", True): 2})
    await publish_facts(made, [traject_fact(2, GRANTED, answered)])
    await waited_for(made, 1)
    server.refuses.clear()
    await eventually(statuses, lambda found: found == {("skipped", True): 1, ("done", True): 1})
    reminders = [mail for mail in read_mails(server.folder) if "Herinnering" in str(mail["Subject"])]
    assert len(reminders) == 1
    content = reminders[0].get_body(("plain",))
    assert content is not None
    assert silent in content.get_content()
    assert reminders[0]["To"] == REGISTRY[SBB].contact


@pytest.mark.parametrize("refused_by", ["the handler", "the database"])
async def test_a_term_that_cannot_be_told_holds_up_no_other_and_is_tried_again(
    made: Stand, clock: SteppedCalendar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused_by: str
) -> None:
    good, bad = sorted(a_number("ER") for _ in range(2))
    handler = service.on_due[Termijnen]

    def failing(stand: Termijnen, work: Work) -> Follows:
        if stand.stroom == bad and refused_by == "the handler":
            raise RuntimeError("planted")
        yield from handler(stand, work)
        if stand.stroom == bad:
            yield Effect(MAIL, "not-text", {"soort": "\x00"})

    async def nothing(_: Effect) -> None:
        return

    monkeypatch.setitem(service.performers, MAIL, nothing)
    made.clock = tmp_path / "clock"
    await made.run(service)
    await publish_facts(made, [traject_fact(1, a_request(), stream) for stream in (good, bad)])
    await waited_for(made, 2)
    monkeypatch.setitem(service.on_due, Termijnen, failing)
    clock.step_to(HINT)
    await eventually(lambda: told(made), lambda found: found == {(good, "hint"): 1})

    async def postponed() -> str:
        rows = await made.rows(service, "SELECT due FROM termijnen WHERE subject = :bad", bad=bad)
        return str(rows[0].due)

    await eventually(postponed, lambda due: due == "2026-11-12T07:10:00Z")
    monkeypatch.setitem(service.on_due, Termijnen, handler)
    clock.step_to(HINT + timedelta(minutes=10))
    await eventually(lambda: told(made), lambda found: found == {(good, "hint"): 1, (bad, "hint"): 1})


async def test_what_waits_expires_as_soon_as_the_clock_passes_its_end(
    toy_stand: Stand, clock: SteppedCalendar, tmp_path: Path
) -> None:
    toy_stand.clock = tmp_path / "clock"
    await toy_stand.run(toy.service)
    loket = await toy_stand.reader("leerwerkloket")
    sent = await loket.submit(budget.Vastgesteld, amount(toy.NEEDS_TRAJECT), subject="POW")

    async def waits() -> list[str]:
        return [receipt["data"]["tot"] for receipt in loket.receipts(sent)]

    (until,) = await eventually(waits)
    assert datetime.fromisoformat(until) == MONDAY + timedelta(days=30)
    clock.step_to(MONDAY + timedelta(days=30))
    assert (await loket.final_receipt(sent))["code"] == "te_vroeg_verlopen"


async def test_a_missed_term_is_part_of_the_story_and_told_to_the_coach(
    full_stand: Stand, clock: SteppedCalendar, tmp_path: Path
) -> None:
    full_stand.clock = tmp_path / "clock"
    intake = SERVICES[0]
    await full_stand.run(intake)
    await full_stand.run(service)
    loket, coach = await full_stand.reader("leerwerkloket"), await full_stand.reader("coach-kompas")
    school = await full_stand.reader("roc-maas")
    nummer = await registered(loket, "roc-maas")

    async def assigned() -> bool:
        rows = await full_stand.rows(
            service, "SELECT body->'lopend'->0->'vraag'->>'rol' AS rol FROM termijnen WHERE due IS NOT NULL"
        )
        return [row.rol for row in rows] == [Rol.COACH]

    await eventually(assigned)
    clock.step_to(datetime(2026, 11, 10, 7, tzinfo=UTC))
    for reader in (coach, loket):
        await eventually(lambda: _overdue(reader))  # noqa: B023
    (fact,) = await _overdue(coach)
    assert (fact["actor"], fact["time"], fact["sequence"]) == ("notify", "2026-11-10T07:00:00Z", "0000000001")
    assert fact["correlationid"] == loket.facts("traject.aangemeld")[0]["correlationid"]
    assert await _overdue(school) == []

    async def tale() -> list[str]:
        async with full_stand.engines[intake.name].connect() as connection:
            entries = await story(connection, nummer)
        return [
            ZINNEN[Overschreden](Overschreden.model_validate(entry.data), entry.subject)
            for entry in entries
            if ".termijn." in entry.type
        ]

    assert await eventually(tale) == [
        "Er wordt gewacht op de intake door coach-kompas, uiterlijk 9 november 2026. De termijn is voorbij."
    ]
    done = await coach.submit(
        traject.IntakeAfgerond, traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT), subject=nummer
    )
    assert (await coach.final_receipt(done))["uitkomst"] == "aanvaard"


async def _overdue(reader: Reader) -> list[dict[str, object]]:
    return reader.facts("termijn.overschreden")
