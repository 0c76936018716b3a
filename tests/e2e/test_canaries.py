"""No readable person anywhere after a full run; and what is planted is found, there and nowhere else."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import httpx
import pytest
from joserfc.jwk import ECKey
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text

from contracts import traject
from contracts.fields import Sector, Werkstatus
from contracts.inzage import DOEL_HEADER, ROL_HEADER
from contracts.persoon import Persoon, seal
from deploy.local.broker import PrivateNode
from deploy.local.bus import KEYS, VHOST, LocalBus
from deploy.local.canaries import Canaries, Leak, leaks
from deploy.local.client import PartnerClient
from deploy.local.mailcatcher import keep, read_mails
from deploy.local.partners.script import BEGIN, Script
from deploy.local.persons import invented
from deploy.local.pilot import play
from services.chassis.database import connect
from services.chassis.telemetry import new_uuid
from tests.e2e.conftest import COUNT, SERVERS
from tests.integration.collector import Collector
from tests.stand import eventually

pytestmark = pytest.mark.timeout(300)

LOKET = "leerwerkloket"
ELSEWHERE = invented(77)
"""Registered with a key that intake does not have."""
SCRIPT = Script(COUNT, rustig=True)
PEOPLE = {kandidaat.referentie: kandidaat.persoon for kandidaat in SCRIPT.kandidaten} | {"elders": ELSEWHERE}
CANARIES = Canaries(PEOPLE)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector().listening() as made:
        yield made


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build", numbered=False)


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[LocalBus]:
    """One of its own: leaks are planted in it."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in SERVERS:
            patch.delenv(variable, raising=False)
        made = LocalBus(tmp_path_factory.mktemp("canaries"), lambda _: None, begin=BEGIN)
        made.extra_settings = {
            "PRAKTIJKBUS_OTLP_ENDPOINT": collector.endpoint,
            "PRAKTIJKBUS_LOG_LEVEL": "DEBUG",
        }
        with made:
            yield made


@pytest.fixture(scope="module")
async def ran(bus: LocalBus, build: Path) -> LocalBus:
    """After a small pilot, with everything that deals with persons done at least once."""
    await play(bus, SCRIPT)
    async with PartnerClient(bus.address.amqp[LOKET], LOKET) as loket:
        await _registered_twice_and_wrongly(bus, loket)
        await _seen_and_erased(bus, loket)
    (build / "pilot.json").write_text("{}")
    return bus


async def _registered_twice_and_wrongly(bus: LocalBus, loket: PartnerClient) -> None:
    """The first candidate once more, by another partner's hand; and somebody whom intake cannot open."""
    source = sorted(bus.registry[LOKET].sources)[0]
    keys = {"pilot-001": bus.public_key(), "elders": ECKey.generate_key("P-256")}
    for name, key in keys.items():
        await loket.submit(
            traject.Aangemeld,
            source,
            new_uuid(),
            traject.AangemeldInzending(
                persoon=seal(PEOPLE[name], key), werkstatus=Werkstatus.WERKENDE, sectorwens=Sector.ZORG
            ),
        )
    wanted = {"traject.mogelijk-dubbel", "persoon_onleesbaar"}
    async with asyncio.timeout(30):
        async for message in loket.messages():
            content = json.loads(message.body)
            wanted -= {content["type"].removeprefix("nl.praktijkverklaringen.").removesuffix(".v1")}
            wanted -= {content["data"].get("code")}
            await message.ack()
            if not wanted:
                return


async def _seen_and_erased(bus: LocalBus, loket: PartnerClient) -> None:
    """One closed traject is looked into, erased, and looked into again."""
    query = "SELECT subject, persoon FROM traject WHERE body->>'status' = 'gesloten' ORDER BY subject LIMIT 1"
    ((nummer, key),) = await _rows(bus, "intake", query)
    headers = {
        ROL_HEADER: "coordinatie",
        DOEL_HEADER: "registratie",
        "Authorization": f"Bearer {bus.address.tokens[LOKET]}",
    }

    async def asked() -> int:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{bus.persons_url}/{key}", headers=headers)
        if answer.is_success:
            assert Persoon.model_validate(answer.json()) in PEOPLE.values()
        return answer.status_code

    assert await asked() == 200
    erase = traject.GegevensGewist(redencode=traject.Wisreden.VERZOEK)
    source = sorted(bus.registry[LOKET].sources)[0]
    await loket.submit(traject.GegevensGewist, source, new_uuid(), erase, subject=nummer)
    await eventually(asked, lambda status: status == 410)

    async def destroyed() -> int:
        return len(await _rows(bus, KEYS, "SELECT 1 FROM sleutel WHERE wrapped IS NULL"))

    await eventually(destroyed, lambda count: count == 1)


async def _rows(bus: LocalBus, database: str, query: str) -> list[tuple[str, ...]]:
    engine = connect(bus.address.databases[database])
    async with engine.connect() as connection:
        rows = [tuple(row) for row in await connection.execute(text(query))]
    await engine.dispose()
    return rows


async def test_canaries_are_found_where_they_are_planted_and_nowhere_else(
    ran: LocalBus, collector: Collector, build: Path
) -> None:
    async def found() -> set[Leak]:
        return set(await leaks(ran, CANARIES, besides=collector.raw, folders=[build]))

    assert await found() == set()
    assert collector.raw.keys() == {"/v1/traces", "/v1/logs", "/v1/metrics"}

    planted: set[Leak] = set()

    async def finds(*more: Leak) -> None:
        planted.update(more)
        assert await found() == planted

    somebody, other = PEOPLE["pilot-001"], PEOPLE["pilot-002"]

    with (ran.state / "logs" / "matching.log").open("a") as log:
        log.write(json.dumps({"message": f"handler failed for {somebody.naam}"}) + "\n")
    await finds(Leak("file logs/matching.log", "pilot-001 naam"))

    engine = connect(ran.address.databases["notify"])
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO pending (consumer, source, id, status, entity, body)"
                " VALUES ('notify', 'urn', 'geplant', 'parked', 'traject', :body)"
            ),
            {"body": json.dumps({"geboren": f"{somebody.geboortedatum:%d-%m-%Y}"}).encode()},
        )
    await engine.dispose()
    await finds(Leak("table notify.public.pending", "pilot-001 geboortedatum"))

    assert other.telefoon
    folder, coach = Path(ran.address.mail_folder), ["team@kompas.example"]
    leaking = await asyncio.to_thread(keep, folder, "bus@example.org", coach, _a_mail(other.telefoon))
    await finds(Leak(f"mail {leaking.name}", "pilot-002 telefoon"))

    async with httpx.AsyncClient(trust_env=False) as http:
        await http.post(f"{collector.endpoint}/v1/traces", content=_a_span(other.postcode))
    await finds(Leak("/v1/traces", "pilot-002 postcode"))

    (build / "pilot.json").write_text(json.dumps({"wie": other.naam}))
    await finds(Leak("file build/pilot.json", "pilot-002 naam"))

    await _publish(ran, "aan.sbb", json.dumps({"mail": somebody.e_mail}).encode())
    assert isinstance(ran.broker, PrivateNode)
    await finds(Leak("queue aan.sbb", "pilot-001 e_mail"), Leak("broker", "pilot-001 e_mail"))


def _a_mail(phone: str) -> bytes:
    return (
        "To: team@kompas.example\r\nSubject: =?utf-8?q?Bel_de_deelnemer?=\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        f"Bel {phone[:5]}=\r\n{phone[5:]}\r\n"
    ).encode()


def _a_span(postcode: str) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    for key, value in {
        "service.namespace": "praktijkbus",
        "service.name": "matching",
        "service.instance.id": "1",
    }.items():
        resource.resource.attributes.add(key=key).value.string_value = value
    resource.scope_spans.add().spans.add(name=f"process {postcode}")
    return bytes(request.SerializeToString())


async def _publish(bus: LocalBus, queue: str, body: bytes) -> None:
    """With the administrator's account, past exchanges and services."""
    connection = await aio_pika.connect(bus.broker.address.amqp_url(VHOST))
    async with connection:
        channel = await connection.channel()
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue, mandatory=True)


async def test_every_participant_got_its_own_mails_and_nobody_elses(ran: LocalBus) -> None:
    addresses = {persoon.e_mail for persoon in PEOPLE.values()} - {ELSEWHERE.e_mail}
    got: dict[str, list[str]] = {str(address): [] for address in addresses}
    for mail in read_mails(Path(ran.address.mail_folder)):
        if mail["To"] in got:
            got[mail["To"]].append(mail["Subject"])
    assert {tuple(sorted(subjects)) for subjects in got.values()} == {("Goed nieuws", "Uw handtekening is nodig")}
