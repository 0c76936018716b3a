"""What a line becomes before it is sent, and whose receipt is whose."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey

from cli.submit import OPEN, REFUSED, WACHTWOORDEN, Desk, NotSent, Outcome, Row, Sender, _exit_code, complete, read
from contracts.catalogue import CATALOGUE
from contracts.envelope import SubmissionEnvelope
from contracts.ontvangst import Aanvaard, Afgewezen, Code, Waarop, Wacht
from contracts.persoon import ALGORITHM, ENCRYPTION
from deploy.local.client import PartnerClient
from services.chassis import wire
from services.chassis.messages import Fact

Receipt = Aanvaard | Afgewezen | Wacht
SOURCE = "urn:nld:kvk:41000001:systeem:dossier"
SAM = {"naam": "Sam Voorbeeld", "geboortedatum": "1990-04-01", "postcode": "5911AB"}
KEY = ECKey.generate_key("P-256")
SENDER = Sender(partner="coach-kompas", source=SOURCE, public_key=KEY)


def completed(line: Mapping[str, object], numbers: dict[int, str] | None = None) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(complete(json.dumps(line).encode(), SENDER, numbers or {}).body)
    return content


def test_short_line_becomes_a_valid_envelope() -> None:
    message = complete(b'{"type": "match.bevestigd", "subject": "M-1"}', SENDER, {})
    envelope = SubmissionEnvelope.model_validate_json(message.body)

    assert (envelope.source, envelope.type) == (SOURCE, "nl.praktijkverklaringen.match.bevestigd.v1")
    assert (message.id, message.routing_key) == (envelope.id, "match.bevestigd")


def test_what_a_line_says_itself_stays() -> None:
    line = {
        "specversion": "0.3",
        "id": "a-1",
        "source": "urn:nld:iemand:anders",
        "type": "nl.praktijkverklaringen.match.bevestigd.v1",
        "time": "gisteren",
    }

    assert completed(line) == line


def test_every_type_of_the_catalogue_can_be_written_short() -> None:
    for name, event_type in CATALOGUE.items():
        assert completed({"type": event_type.routing_key})["type"] == name


@pytest.mark.parametrize("line", [b'{"type": "traject.gest', b"[1]", b"hallo", b'{"a": 1, "a": 2}', b"\xff"])
def test_line_that_is_no_json_goes_as_it_is(line: bytes) -> None:
    message = complete(line, SENDER, {})

    assert (message.body, message.routing_key) == (line, "onbekend.onbekend")
    assert message.id


@pytest.mark.parametrize(
    ("type_", "routing_key"),
    [
        ("traject.verhuisd", "traject.verhuisd"),
        ("nl.praktijkverklaringen.fiets.gestolen.v9", "fiets.gestolen"),
        ("Verhuisd", "onbekend.onbekend"),
        (7, "onbekend.onbekend"),
        (None, "onbekend.onbekend"),
    ],
)
def test_unknown_type_is_sent_too(type_: object, routing_key: str) -> None:
    assert complete(json.dumps({"type": type_}).encode(), SENDER, {}).routing_key == routing_key


def test_id_that_no_receipt_can_name_travels_under_a_fresh_one() -> None:
    message = complete(b'{"id": "met spatie", "type": "match.bevestigd"}', SENDER, {})

    assert json.loads(message.body)["id"] == "met spatie"
    assert message.id != "met spatie"


def test_readable_person_is_encrypted_for_intake() -> None:
    message = complete(json.dumps({"type": "traject.aangemeld", "data": {"persoon": SAM}}).encode(), SENDER, {})
    sealed = json.loads(message.body)["data"]["persoon"]
    opened = jwe.decrypt_compact(sealed, KEY, algorithms=[ALGORITHM, ENCRYPTION])

    assert message.encrypted
    assert b"Voorbeeld" not in message.body
    assert opened.plaintext is not None
    assert json.loads(opened.plaintext) == SAM


def test_sealed_person_stays() -> None:
    message = complete(b'{"type": "traject.aangemeld", "data": {"persoon": "eyJ.a.b.c.d"}}', SENDER, {})

    assert not message.encrypted
    assert json.loads(message.body)["data"]["persoon"] == "eyJ.a.b.c.d"


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"type": "traject.aangemeld", "persoon": SAM}).encode(),
        json.dumps({"type": "traject.aangemeld", "data": {"kind": {"persoon": SAM}}}).encode(),
        json.dumps({"type": "traject.aangemeld", "data": {"persoon": {**SAM, "bsn": "123456782"}}}).encode(),
        json.dumps({"type": "traject.aangemeld", "data": {"persoon": {**SAM, "postcode": "Venlo"}}}).encode(),
        b'{"type": "traject.aangemeld", "data": {"persoon": {"naam": "Sam Voorbeeld"',
    ],
)
def test_person_that_would_stay_readable_is_not_sent_and_not_repeated(line: bytes) -> None:
    with pytest.raises(NotSent) as reason:
        complete(line, SENDER, {})

    assert not [word for word in ("Sam", "Voorbeeld", "1234", "Venlo", "bsn") if word in str(reason.value)]


def test_person_without_a_key_is_not_sent() -> None:
    line = json.dumps({"type": "traject.aangemeld", "data": {"persoon": SAM}}).encode()

    with pytest.raises(NotSent, match="sleutel"):
        complete(line, Sender(partner="coach-kompas", source=SOURCE, public_key=None), {})


def test_number_of_an_earlier_line_is_filled_in_where_it_is_the_whole_value() -> None:
    line = {"type": "match.voorgesteld", "data": {"trajectnummer": "${1}", "kvk": "x${1}"}, "subject": "${2}"}
    content = completed(line, {1: "PV-1", 2: "M-2"})

    assert (content["data"], content["subject"]) == ({"trajectnummer": "PV-1", "kvk": "x${1}"}, "M-2")


def test_lines_keep_their_number_in_the_file() -> None:
    rows = read(b'\n{"a": "${2}"}\r\n\n  \n{"b": "${2} ${12}", "c": "${12}"}')

    assert [(row.number, row.refers_to) for row in rows] == [(2, {2}), (5, {12})]


def test_every_reason_to_wait_has_its_words() -> None:
    assert WACHTWOORDEN.keys() == set(Waarop)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([Outcome.ACCEPTED], 0),
        ([Outcome.ACCEPTED, Outcome.REFUSED], REFUSED),
        ([Outcome.NOT_SENT], REFUSED),
        ([Outcome.WAITS, Outcome.REFUSED], REFUSED),
        ([Outcome.ACCEPTED, Outcome.WAITS], OPEN),
        ([Outcome.SENT], OPEN),
        ([Outcome.NOT_YET_SENT, Outcome.SENT], OPEN),
    ],
)
def test_exit_code(outcomes: list[Outcome], code: int) -> None:
    assert _exit_code(Row(number, b"", outcome=outcome) for number, outcome in enumerate(outcomes)) == code


# Whose receipt is whose, with a bus that answers as it is told


@dataclass
class Incoming:
    body: bytes
    acknowledged: bool = False

    async def ack(self) -> None:
        self.acknowledged = True


@dataclass
class Bus:
    """Answers every publication with what `answers` has for it."""

    answers: dict[int, list[Receipt]]
    sent: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    queue: asyncio.Queue[Incoming] = field(default_factory=asyncio.Queue)
    handed: list[Incoming] = field(default_factory=list)

    async def __aenter__(self) -> "Bus":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def publish(self, body: bytes, routing_key: str, *, message_id: str) -> None:
        self.sent.append((message_id, routing_key, json.loads(body)))
        for data in self.answers.get(len(self.sent), ()):
            self.queue.put_nowait(Incoming(receipt(message_id, data)))

    async def messages(self) -> AsyncIterator[Incoming]:
        while True:
            self.handed.append(await self.queue.get())
            yield self.handed[-1]


def receipt(message_id: str, data: Receipt) -> bytes:
    fact: Fact[Any] = wire.receipt(
        data,
        service="intake",
        submission_id=message_id,
        sequence=1,
        now=datetime.fromisoformat("2026-11-02T09:30:00Z"),
        correlationid=None,
        traceparent=None,
        deterministic=b"",
    )
    return wire.encode(fact)


async def served(bus: Bus, *lines: str) -> list[Row]:
    rows = read("\n".join(lines).encode())
    async with asyncio.timeout(10):
        await Desk(cast(PartnerClient, bus), SENDER, rows, timeout=0.2).run()
    return rows


LINE = '{"type": "match.bevestigd", "subject": "M-1"}'
SAME_ID = '{"id": "a-1", "type": "match.bevestigd", "subject": "%s"}'
REFERRING = '{"type": "match.voorgesteld", "data": {"trajectnummer": "${1}"}}'
YES = wire.accepted("PV-7K3F9-QX2ME", 1)
NO = wire.refused(Code.STATUS_PAST_NIET)
USED = wire.refused(Code.ID_HERGEBRUIKT, "id")
LATER = wire.waiting(Waarop.MATCH_BEKEND, datetime.fromisoformat("2026-12-02T09:30:00Z"))


async def test_receipts_of_others_are_not_acknowledged() -> None:
    bus = Bus({1: [YES]})
    bus.queue.put_nowait(Incoming(receipt("somebody-elses", YES)))
    bus.queue.put_nowait(Incoming(b"no json"))
    bus.queue.put_nowait(Incoming(b'{"type": "nl.praktijkverklaringen.match.erkend.v1", "subject": "M-1"}'))
    (row,) = await served(bus, LINE)

    assert row.outcome is Outcome.ACCEPTED
    assert [message.acknowledged for message in bus.handed] == [False, False, False, True]


async def test_wait_is_followed_by_its_final_receipt() -> None:
    (row,) = await served(Bus({1: [LATER, YES]}), LINE)

    assert row.outcome is Outcome.ACCEPTED


async def test_line_without_a_final_receipt_stays_open() -> None:
    waiting, silent = await served(Bus({1: [LATER]}), LINE, LINE)

    assert (waiting.outcome, silent.outcome) == (Outcome.WAITS, Outcome.SENT)


async def test_line_that_needs_a_number_goes_after_it_is_known() -> None:
    bus = Bus({1: [LATER, YES], 2: [YES]})
    rows = await served(bus, LINE, REFERRING)

    assert [row.outcome for row in rows] == [Outcome.ACCEPTED] * 2
    assert bus.sent[1][2]["data"] == {"trajectnummer": "PV-7K3F9-QX2ME"}


@pytest.mark.parametrize(
    ("answers", "outcome"), [([NO], Outcome.NOT_SENT), ([LATER], Outcome.NOT_YET_SENT), ([], Outcome.NOT_YET_SENT)]
)
async def test_line_that_needs_a_number_that_does_not_come_is_not_sent(
    answers: list[Receipt], outcome: Outcome
) -> None:
    bus = Bus({1: answers})
    _, second, third = await served(bus, LINE, REFERRING, REFERRING)

    assert (second.outcome, third.outcome) == (outcome, outcome)
    assert len(bus.sent) == 1


@pytest.mark.parametrize("answer", [YES, LATER])
async def test_second_use_of_an_id_is_what_the_bus_refuses(answer: Receipt) -> None:
    first, second = await served(Bus({1: [answer], 2: [USED]}), SAME_ID % "M-1", SAME_ID % "M-2")

    assert first.outcome in (Outcome.ACCEPTED, Outcome.WAITS)
    assert second.outcome is Outcome.REFUSED


async def test_id_that_was_used_before_is_refused_the_first_time_too() -> None:
    first, second = await served(Bus({1: [USED], 2: [YES]}), SAME_ID % "M-1", SAME_ID % "M-2")

    assert (first.outcome, second.outcome) == (Outcome.REFUSED, Outcome.ACCEPTED)
