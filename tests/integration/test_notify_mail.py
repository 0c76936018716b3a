"""Mail over SMTP: sent once, recognisable when sent again, and no address where it does not belong."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from contracts import traject
from contracts.fields import Categorie, PartnerId, Rol
from contracts.inzage import DOEL_HEADER, ROL_HEADER
from contracts.partners import Registry
from deploy.local.broker import Broker
from deploy.local.mailcatcher import keep, read_mails
from deploy.local.postgres import DatabaseServer
from deploy.local.processes import free_port
from services.chassis.calendar import SystemCalendar
from services.chassis.effects import FinalFailure
from services.chassis.messages import Effect
from services.chassis.settings import Settings
from services.notify import handlers, tables
from services.notify.deelnemer import AddressDeferred
from services.notify.handlers import service
from services.notify.mails import MAIL, Mail, Soort
from services.notify.smtp import MailDeferred, Mailer
from tests.desk import DEPLOY, REGISTRY
from tests.integration.facts import publish_facts, traject_fact
from tests.stand import eventually, stand
from tests.unit.notify.given import BEGIN, COACH, LOKET, RMC, SCHOOL, WSP, a_number, a_pok, registration

CONTACT = REGISTRY[WSP].contact
FROM = "geen-antwoord@praktijkbus.example"
MIGRATIONS = Path(handlers.__file__).parent / "migrations"


class MailServer:
    """An SMTP server on this machine that keeps what it takes, or answers what `refuses` says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.refuses: dict[str, str] = {}
        """By SMTP command: the answer in place of 250."""

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.refuses.get("MAIL", "250 ok")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" in self.refuses:
            return f"{self.refuses['RCPT']} <{address}>"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if "DATA" in self.refuses:
            return self.refuses["DATA"]
        assert isinstance(envelope.content, bytes)
        await asyncio.to_thread(keep, self.folder, envelope.mail_from or "", envelope.rcpt_tos, envelope.content)
        return "250 kept"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MailServer]:
    handler = MailServer(tmp_path)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(handler, hostname="localhost", loop=loop), "127.0.0.1", handler.port
    )
    async with listening:
        yield handler


_MADE: list[Mailer] = []


@pytest.fixture(autouse=True)
async def mailers_close() -> AsyncIterator[None]:
    yield
    while _MADE:
        await _MADE.pop().close()


def mailer(port: int, registry: Registry = REGISTRY, **persons: Any) -> Mailer:
    settings = Settings(
        amqp_url=SecretStr(""),
        database_url=SecretStr(""),
        partners=DEPLOY / "partners.toml",
        kwalificaties=DEPLOY / "kwalificaties.toml",
        smtp_port=port,
        **persons,
    )
    _MADE.append(Mailer(settings, registry, SystemCalendar()))
    return _MADE[-1]


def an_effect(aan: PartnerId = WSP) -> Effect:
    return Mail.about(Soort.AANGEMELD, aan, a_number("PV")).effect("0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Callable[[BaseException | None], None]:
    """Checks that neither the logs nor an error, with all that led to it, hold an address."""
    caplog.set_level(logging.DEBUG)

    def check(error: BaseException | None = None) -> None:
        ours = [record for record in caplog.records if not record.name.startswith("mail.")]  # the server's own
        said = [json.dumps(vars(record), default=str) for record in ours]
        while error is not None:
            said.append(repr(error))
            error = error.__cause__ or error.__context__
        assert said
        for line in said:
            assert CONTACT not in line
            assert CONTACT.partition("@")[2] not in line

    return check


Quiet = Callable[[BaseException | None], None]


async def test_a_mail_arrives_once_at_the_contact_of_the_partner(server: MailServer, quiet: Quiet) -> None:
    await mailer(server.port).deliver_mail(an_effect())
    (mail,) = read_mails(server.folder)
    assert mail["Subject"] == "We hebben uw aanmelding"
    assert (mail["To"], mail.get_all("Delivered-To")) == (CONTACT, [CONTACT])
    assert mail["Return-Path"] == f"<{FROM}>"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    quiet(None)


async def test_a_second_attempt_carries_the_same_message_id(server: MailServer) -> None:
    effect = an_effect()
    for _ in range(2):
        await mailer(server.port).deliver_mail(effect)
    first, second = read_mails(server.folder)
    assert first["Message-ID"] == second["Message-ID"]
    await mailer(server.port).deliver_mail(an_effect(COACH))
    assert read_mails(server.folder)[2]["Message-ID"] != first["Message-ID"]


@pytest.mark.parametrize(("command", "code"), [("MAIL", 553), ("RCPT", 550), ("DATA", 554)])
async def test_what_the_server_refuses_for_good_is_final(
    server: MailServer, quiet: Quiet, command: str, code: int
) -> None:
    server.refuses[command] = f"{code} no"
    with pytest.raises(FinalFailure, match=str(code)) as failure:
        await mailer(server.port).deliver_mail(an_effect())
    assert read_mails(server.folder) == []
    quiet(failure.value)


@pytest.mark.parametrize(("command", "code"), [("MAIL", 451), ("RCPT", 450), ("DATA", 452)])
async def test_what_the_server_refuses_for_now_may_be_tried_again(
    server: MailServer, quiet: Quiet, command: str, code: int
) -> None:
    server.refuses[command] = f"{code} later"
    effect = an_effect()
    with pytest.raises(MailDeferred, match=str(code)) as failure:
        await mailer(server.port).deliver_mail(effect)
    quiet(failure.value)
    server.refuses.clear()
    await mailer(server.port).deliver_mail(effect)
    assert len(read_mails(server.folder)) == 1


async def test_a_server_that_is_not_there_may_be_tried_again(quiet: Quiet) -> None:
    with pytest.raises(MailDeferred) as failure:
        await mailer(free_port()).deliver_mail(an_effect())
    quiet(failure.value)


async def test_a_server_that_greets_with_a_refusal_may_be_tried_again(quiet: Quiet) -> None:
    """It refuses us, not this mail: somebody must look at the settings, and no mail is lost meanwhile."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 go away\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with listening:
        with pytest.raises(MailDeferred, match="554") as failure:
            await mailer(listening.sockets[0].getsockname()[1]).deliver_mail(an_effect())
    quiet(failure.value)


async def test_mail_to_a_partner_that_left_is_final(server: MailServer) -> None:
    left = Registry(regio=REGISTRY.regio, partners=tuple(p for p in REGISTRY.partners if p.id != WSP))
    with pytest.raises(FinalFailure, match=WSP):
        await mailer(server.port, left).deliver_mail(an_effect())
    assert read_mails(server.folder) == []


async def test_facts_on_the_bus_become_mails_once_however_often_they_come(
    broker: Broker, database: DatabaseServer, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(service.performers, MAIL, mailer(server.port).deliver_mail)
    nummer = a_number("PV")
    story = [
        registration(RMC),
        *(
            traject.BetrokkeneToegewezen(rol=rol, partner=partner)
            for rol, partner in ((Rol.WSP, WSP), (Rol.COACH, COACH), (Rol.OPLEIDER, SCHOOL))
        ),
        traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT),
        a_pok(),
        traject.Gestart(datum=BEGIN),
    ]
    facts = [traject_fact(sequence, data, nummer) for sequence, data in enumerate(story, start=1)]
    stop = traject.Uitgevallen(datum=BEGIN, categorie=Categorie.OVERIG)
    expected = {
        (RMC, "We hebben uw aanmelding"),
        (WSP, "Zoek een werkplek"),
        *((partner, "Uw handtekening is nodig") for partner in (WSP, SCHOOL)),
        *((partner, "Het traject is begonnen") for partner in (RMC, WSP, COACH, SCHOOL, LOKET)),
        *((partner, "Er is actie nodig") for partner in (COACH, LOKET)),
    }
    async with stand(broker, database, service, migrations=lambda _: MIGRATIONS) as made:
        await publish_facts(made, facts)
        await made.run(service)
        await publish_facts(made, [*facts, traject_fact(len(facts) + 1, stop, nummer)])

        async def effects() -> list[str]:
            return [row.status for row in await made.rows(service, "SELECT status FROM effects")]

        await eventually(effects, lambda found: found == ["done"] * len(expected))
        assert await made.rows(service, "SELECT cause FROM pending") == []
        for name, table in tables.metadata.tables.items():
            columns = ", ".join(column.name for column in table.columns)
            assert len(await made.rows(service, f"SELECT {columns} FROM {name}")) == (
                name in ("trajectbeeld", "termijnen")
            )
    mails = read_mails(server.folder)
    partner_of = {partner.contact: partner.id for partner in REGISTRY.partners}
    assert sorted((partner_of[mail["To"]], str(mail["Subject"])) for mail in mails) == sorted(expected)


# Mail to the participant


NOA = "noa@kanarie.example"
DATAREF = "https://elders.example/personen/1f0c2b7e-5d0a-5a43-8e55-7f2d3a9b4c11"


class Intake:
    """Answers for person data as the test says, and notes what it is asked."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {"e_mail": NOA}
        self.status = 200
        self.asked: list[tuple[str, str | None]] = []
        self.port = free_port()

    async def answer(self, request: Request) -> JSONResponse:
        self.asked.append((request.url.path, request.headers.get("authorization")))
        assert (request.headers[ROL_HEADER], request.headers[DOEL_HEADER]) == ("notify", "mailen")
        return JSONResponse(self.answers, status_code=self.status)


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    answering = Intake()
    app = Starlette(routes=[Route("/personen/{key}", answering.answer)])
    server = uvicorn.Server(uvicorn.Config(app, port=answering.port, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    yield answering
    server.should_exit = True
    await serving


def to_participants(server: MailServer, intake: Intake) -> Mailer:
    token, url = SecretStr("een-token"), f"http://127.0.0.1:{intake.port}/personen"
    return mailer(server.port, persons_url=url, persons_token=token)


def good_news() -> Effect:
    return Mail.to_participant(Soort.GOED_NIEUWS, DATAREF, a_number("PV")).effect("0198c5d2-7c1e-7a33")


async def test_address_of_the_participant_is_asked_of_intake_when_the_mail_is_sent(
    server: MailServer, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    effect = good_news()
    await to_participants(server, intake).deliver_mail(effect)
    (mail,) = read_mails(server.folder)
    assert (mail["To"], mail.get_all("Delivered-To"), mail["Subject"]) == (NOA, [NOA], "Goed nieuws")
    assert intake.asked == [("/personen/" + DATAREF.rpartition("/")[2], "Bearer een-token")]
    ours = [record for record in caplog.records if not record.name.startswith("mail.")]
    assert not [record for record in ours if NOA in json.dumps(vars(record), default=str)]
    assert NOA not in json.dumps(effect.payload)


@pytest.mark.parametrize(("status", "answers"), [(410, {}), (404, {}), (200, {})])
async def test_participant_who_is_erased_or_has_no_address_gets_no_mail_ever(
    server: MailServer, intake: Intake, status: int, answers: dict[str, object]
) -> None:
    intake.status, intake.answers = status, answers
    with pytest.raises(FinalFailure):
        await to_participants(server, intake).deliver_mail(good_news())
    assert read_mails(server.folder) == []


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_intake_that_cannot_say_now_is_asked_again(server: MailServer, intake: Intake, status: int) -> None:
    intake.status = status
    with pytest.raises(AddressDeferred, match=str(status)):
        await to_participants(server, intake).deliver_mail(good_news())
    intake.status = 200
    await to_participants(server, intake).deliver_mail(good_news())
    assert len(read_mails(server.folder)) == 1


async def test_intake_that_is_away_is_asked_again(server: MailServer, intake: Intake) -> None:
    intake.port = free_port()
    with pytest.raises(AddressDeferred, match="ConnectError"):
        await to_participants(server, intake).deliver_mail(good_news())
