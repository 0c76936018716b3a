"""Nobody can speak for another or read what is not theirs: real accounts on the real broker."""

from collections.abc import Awaitable, Callable
from datetime import date

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.exceptions import ChannelAccessRefused, ChannelClosed, ChannelInvalidStateError

from contracts import traject
from contracts.fields import Rol, Sector, Werkstatus
from contracts.persoon import Persoon
from deploy.local.bus import SERVICES
from tests.persons import sealed
from tests.stand import Reader, Stand, eventually

DAY = date(2026, 11, 2)


def registration() -> traject.AangemeldInzending:
    somebody = Persoon(naam="Iemand", geboortedatum=date(1990, 1, 1), postcode="5911AB")
    return traject.AangemeldInzending(
        persoon=sealed(somebody), werkstatus=Werkstatus.WERKZOEKENDE, sectorwens=Sector.HORECA
    )


async def registered(loket: Reader, school: str) -> str:
    """A traject with that school as its opleider; its number."""
    receipt = await loket.final_receipt(await loket.submit(traject.Aangemeld, registration()))
    await assign(loket, receipt["subject"], school)
    return str(receipt["subject"])


async def assign(loket: Reader, nummer: str, school: str) -> None:
    assigned = traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=school)
    sent = await loket.submit(traject.BetrokkeneToegewezen, assigned, subject=nummer)
    assert (await loket.final_receipt(sent))["uitkomst"] == "aanvaard"


def enrolment() -> traject.InschrijvingBevestigd:
    return traject.InschrijvingBevestigd(brin="25PZ", onderwijslocatie="100X123", datum=DAY)


async def reached(reader: Reader, routing_key: str, subject: str) -> None:
    async def there() -> bool:
        return any(fact["subject"] == subject for fact in reader.facts(routing_key))

    await eventually(there)


async def test_school_that_is_no_party_can_neither_change_nor_read_a_traject(full_stand: Stand) -> None:
    intake = SERVICES[0]
    await full_stand.run(intake)
    loket = await full_stand.reader("leerwerkloket")
    maas, peel = await full_stand.reader("roc-maas"), await full_stand.reader("roc-peel")
    nummer = await registered(loket, "roc-maas")
    of_peel = await registered(loket, "roc-peel")
    refused = await peel.submit(traject.InschrijvingBevestigd, enrolment(), subject=nummer)
    assert (await peel.final_receipt(refused))["code"] == "geen_partij"
    coach = await full_stand.reader("coach-kompas")
    fit = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
    for subject in (nummer, of_peel):
        sent = await coach.submit(traject.IntakeAfgerond, fit, subject=subject)
        assert (await coach.final_receipt(sent))["uitkomst"] == "aanvaard"
    await reached(maas, "traject.intake-afgerond", nummer)
    await reached(peel, "traject.intake-afgerond", of_peel)
    assert {fact["subject"] for fact in peel.facts()} == {of_peel}
    assert {fact["subject"] for fact in maas.facts()} == {nummer}
    assert not any(fact["type"].endswith("inschrijving-bevestigd.v1") for fact in loket.facts())


async def test_replaced_school_receives_nothing_from_then_on(full_stand: Stand) -> None:
    await full_stand.run(SERVICES[0])
    loket = await full_stand.reader("leerwerkloket")
    maas, peel = await full_stand.reader("roc-maas"), await full_stand.reader("roc-peel")
    nummer = await registered(loket, "roc-maas")

    async def sequences() -> list[int]:
        return sorted(int(fact["sequence"]) for fact in maas.facts())

    dossier = await eventually(sequences, lambda found: found == [1, 2, 3, 4])
    await assign(loket, nummer, "roc-peel")
    late = await maas.submit(traject.InschrijvingBevestigd, enrolment(), subject=nummer)
    assert (await maas.final_receipt(late))["code"] == "geen_partij"
    await reached(peel, "traject.betrokkene-toegewezen", nummer)
    assert await sequences() == dossier


async def test_source_of_another_is_refused_and_uses_up_no_id_of_theirs(full_stand: Stand) -> None:
    await full_stand.run(SERVICES[0])
    loket, peel = await full_stand.reader("leerwerkloket"), await full_stand.reader("roc-peel")
    stolen = await peel.submit(traject.Aangemeld, registration(), source=loket.source, message_id="melding-1")
    assert (await peel.final_receipt(stolen))["code"] == "afzender_onjuist"
    own = await loket.submit(traject.Aangemeld, registration(), message_id="melding-1")
    assert (await loket.final_receipt(own))["uitkomst"] == "aanvaard"
    assert len(loket.receipts("melding-1")) == 1


async def test_message_with_a_routing_key_of_no_stream_is_answered(full_stand: Stand) -> None:
    await full_stand.run(SERVICES[0])
    peel = await full_stand.reader("roc-peel")
    await peel.client.publish(b"{}", "onbekend.ding", message_id="verdwaald")
    assert (await peel.final_receipt("verdwaald"))["code"] == "envelop_ongeldig"


Deed = Callable[[AbstractChannel], Awaitable[object]]


async def _publish(channel: AbstractChannel, exchange: str, routing_key: str) -> None:
    target = await channel.get_exchange(exchange, ensure=False)
    await target.publish(aio_pika.Message(b"{}"), routing_key, timeout=10)


FORBIDDEN: dict[str, Deed] = {
    "read another's queue": lambda c: _consume(c, "aan.roc-maas"),
    "get from another's queue": lambda c: _get(c, "aan.roc-maas"),
    "read a service's queue": lambda c: _consume(c, "intake.feiten"),
    "read its own ingress queue": lambda c: _consume(c, "intake.van.roc-peel"),
    "write another's exchange": lambda c: _publish(c, "van.roc-maas", "match.bevestigd"),
    "write to the facts exchange": lambda c: _publish(c, "feiten", "match.bevestigd"),
    "write a queue through the default exchange": lambda c: _publish(c, "amq.default", "aan.roc-maas"),
    "write a standard exchange": lambda c: _publish(c, "amq.topic", "match.bevestigd"),
    "declare a queue": lambda c: c.declare_queue("mijn-rij", durable=True),
    "declare an unnamed queue": lambda c: c.declare_queue(exclusive=True),
    "declare an exchange": lambda c: c.declare_exchange("mijn-exchange"),
    "bind its queue to all facts": lambda c: _bind(c, "aan.roc-peel", "feiten", "#"),
    "bind its queue to another's exchange": lambda c: _bind(c, "aan.roc-peel", "van.roc-maas", "#"),
    "delete its queue": lambda c: c.queue_delete("aan.roc-peel"),
    "purge another's queue": lambda c: _purge(c, "aan.roc-maas"),
}


async def _take(message: AbstractIncomingMessage) -> None:
    await message.ack()


async def _consume(channel: AbstractChannel, queue: str) -> None:
    source = await channel.get_queue(queue, ensure=False)
    await source.consume(_take)


async def _get(channel: AbstractChannel, queue: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).get(fail=False)


async def _bind(channel: AbstractChannel, queue: str, exchange: str, routing_key: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).bind(exchange, routing_key)


async def _purge(channel: AbstractChannel, queue: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).purge()


@pytest.mark.parametrize("deed", FORBIDDEN, ids=lambda name: name.replace(" ", "-"))
async def test_partner_cannot(full_stand: Stand, deed: str) -> None:
    connection = await aio_pika.connect(full_stand.amqp_url("roc-peel"))
    async with connection:
        channel = await connection.channel()
        with pytest.raises((ChannelAccessRefused, ChannelClosed, ChannelInvalidStateError)) as refusal:
            await FORBIDDEN[deed](channel)
        assert "ACCESS_REFUSED" in str(refusal.value) or isinstance(refusal.value, ChannelAccessRefused)


async def test_partner_cannot_claim_another_user_id(full_stand: Stand) -> None:
    connection = await aio_pika.connect(full_stand.amqp_url("roc-peel"))
    async with connection:
        channel = await connection.channel()
        own = await channel.get_exchange("van.roc-peel", ensure=False)
        forged = aio_pika.Message(b"{}", user_id="roc-maas")
        with pytest.raises(Exception, match="user_id"):
            await own.publish(forged, "match.bevestigd", timeout=10)


async def test_school_that_joins_later_receives_the_dossier_so_far(full_stand: Stand) -> None:
    await full_stand.run(SERVICES[0])
    loket, peel = await full_stand.reader("leerwerkloket"), await full_stand.reader("roc-peel")
    coach = await full_stand.reader("coach-kompas")
    receipt = await loket.final_receipt(await loket.submit(traject.Aangemeld, registration()))
    nummer = receipt["subject"]
    fit = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
    await coach.final_receipt(await coach.submit(traject.IntakeAfgerond, fit, subject=nummer))
    assert not peel.received
    await assign(loket, nummer, "roc-peel")

    async def sequences() -> list[int]:
        return sorted(int(fact["sequence"]) for fact in peel.facts())

    await eventually(sequences, lambda found: found == [1, 2, 3, 4, 5])
    assert await full_stand.rows(SERVICES[0], "SELECT 1 FROM pending") == []
