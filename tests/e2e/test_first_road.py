"""What a newcomer does: play the pilot, send events of one's own, follow a traject."""

import asyncio
import json
import re

import pytest

from contracts.fields import number_from
from deploy.local.bus import LocalBus
from deploy.local.client import PartnerClient
from deploy.local.reckoning import Reckoning
from services.intake.cijfers import Cijfers
from tests.e2e.conftest import COUNT, Cli

pytestmark = pytest.mark.timeout(300)

NINE = "deploy/local/examples/negen.ndjson"
COACH = "coach-kompas"
REFUSALS = {
    4: (
        "onleesbaar",
        "Dit bericht is geen leesbare JSON. Stuur een CloudEvent als JSON in UTF-8.",
    ),
    5: (
        "type_onbekend, veld type",
        "Dit berichttype bestaat niet. Kijk in de catalogus welke typen er zijn.",
    ),
    6: (
        "rol_niet_bevoegd, veld type",
        "Uw rol mag dit berichttype niet indienen. Laat de partner met de juiste rol het melden.",
    ),
    7: (
        "veld_onbekend, veld data.bsn",
        "Het bericht heeft een veld dat niet in het contract staat. "
        "Haal het weg en stuur het bericht opnieuw met een nieuw id.",
    ),
    8: (
        "veld_ongeldig, veld subject",
        "Het genoemde veld voldoet niet aan het formaat. "
        "Kijk in het schema van dit type en stuur het bericht opnieuw met een nieuw id.",
    ),
    9: (
        "status_past_niet",
        "Dit past niet bij de stand van zaken. Kijk waar het traject staat en meld alleen wat nu kan.",
    ),
}
MATCH = number_from("M", "000000001")


def test_small_pilot_closes_every_traject_and_balances(played: Reckoning) -> None:
    assert played.findings == []
    assert played.eindstanden == {"gesloten": COUNT}
    assert (played.verklaringen, played.facturen, played.betalingen) == (COUNT, COUNT, COUNT)
    assert (played.lost, played.duplicate_effects, played.parked) == (0, 0, 0)
    assert played.mails > 0


def test_story_of_a_closed_traject_is_told_in_order_with_its_traces(
    played: Reckoning, bus: LocalBus, praktijkbus: Cli
) -> None:
    found = re.findall(r"PV-[0-9A-Z-]{11}", next(iter(_mails(bus))))
    told = praktijkbus("tell", found[0])

    assert told.returncode == 0, told.stderr
    head, *events = told.stdout.strip().split("\n\n")
    assert head == f"{found[0]}  stand: gesloten, {len(events)} gebeurtenissen"
    steps = [
        "aangemeld als",
        "De intake is klaar",
        "Er is een werkplek voorgesteld",
        "De werkgever doet mee",
        "De werkplek is erkend",
        "De praktijkovereenkomst is ondertekend",
        "begonnen bij het leerbedrijf",
        "Werkproces",
        "de praktijkverklaring VK-",
        "De factuur",
        "betaald",
        "Het traject is gesloten",
    ]
    places = [next(place for place, event in enumerate(events) if step in event) for step in steps]
    assert places == sorted(places)
    for event in events:
        assert re.fullmatch(r"\d\d-\d\d-\d{4} \d\d:\d\d  [^\n]+\.\n +[A-Z][^\n]+  trace [0-9a-f]{32}", event), (
            event
        )
    assert "ROC " in told.stdout
    assert "Praktijkbus, matching" in told.stdout


def test_story_is_found_by_a_number_in_it(played: Reckoning, bus: LocalBus, praktijkbus: Cli) -> None:
    whole = praktijkbus("tell", re.findall(r"PV-[0-9A-Z-]{11}", next(iter(_mails(bus))))[0]).stdout
    for pattern in (r"M-[0-9A-Z-]{11}", r"VK-[0-9A-Z-]{11}", r"OP-[0-9A-Z-]{11}", r"R[MP]-\d{6}"):
        number = re.findall(pattern, whole)[0]
        assert praktijkbus("tell", number.lower()).stdout == whole


def test_nothing_is_parked_and_the_figures_can_be_seen(played: Reckoning, praktijkbus: Cli) -> None:
    assert praktijkbus("parked", "list").stdout == "Nothing is parked.\n"
    cijfers = Cijfers.model_validate_json(praktijkbus("figures", "--json").stdout)
    assert cijfers.budget["POW"].vastgesteld_cent > 0
    assert len(praktijkbus("figures", "--csv").stdout.splitlines()) > 50


async def test_nine_events_get_nine_receipts(played: Reckoning, bus: LocalBus, praktijkbus: Cli) -> None:
    sent = praktijkbus("submit", NINE, "--partner", COACH)

    assert (sent.returncode, sent.stderr) == (1, "")
    lines = sent.stdout.splitlines()
    receipts = {int(found[1]): line for line in lines if (found := re.match(r"regel (\d)  ", line))}
    assert sorted(receipts) == list(range(1, 10))
    first, second, third = (re.search(r"✓ aanvaard .* → (PV-\S+) \(feit (\d)\)", receipts[n]) for n in (1, 2, 3))
    assert first
    assert second
    assert third
    assert (first[1], first[2], third[2]) == (second[1], "1", "1")
    assert first[1] != third[1]
    for number, (code, sentence) in REFUSALS.items():
        assert "✗ afgewezen" in receipts[number]
        assert receipts[number].endswith(f" ({code}): {sentence}")
    assert "9 regels: 3 aanvaard, 6 afgewezen." in lines
    assert "Versleuteld voor verzending: 2 keer een persoon. Alleen intake kan die lezen." in lines
    assert not re.search("Sam|Alex|Voorbeeld|5911|1990", sent.stdout)
    await _facts_stayed(bus, {first[1], third[1]})


async def _facts_stayed(bus: LocalBus, trajecten: set[str]) -> None:
    """What the coach may read of these is still in its queue, and no receipt is."""
    registered: set[str] = set()
    async with asyncio.timeout(20), PartnerClient(bus.address.amqp[COACH], COACH) as client:
        async for message in client.messages():
            content = json.loads(message.body)
            assert ".ontvangst." not in content["type"]
            if content["type"] == "nl.praktijkverklaringen.traject.aangemeld.v1":
                registered.add(content["subject"])
            if registered >= trajecten:
                break


def test_registration_sent_again_gets_the_number_it_had(played: Reckoning, praktijkbus: Cli) -> None:
    line = (
        '{"type": "traject.aangemeld", "referentie": "nog-eens", "data": {"persoon": {"naam": "Sam Voorbeeld", '
        '"geboortedatum": "1990-04-01", "postcode": "5911AB"}, "werkstatus": "werkende", "sectorwens": "zorg"}}'
    )
    once, again = (praktijkbus("submit", "-", "--partner", "zorghof", "--json", stdin=line) for _ in range(2))

    assert (once.returncode, again.returncode) == (0, 0)
    receipts = [json.loads(run.stdout) for run in (once, again)]
    assert [receipt["regel"] for receipt in receipts] == [1, 1]
    assert receipts[0]["data"] == receipts[1]["data"]
    assert receipts[0]["subject"] != receipts[1]["subject"]
    assert "1 regel: 1 aanvaard." in again.stderr


def test_too_early_is_told_and_ends_with_a_code_of_its_own(played: Reckoning, praktijkbus: Cli) -> None:
    line = json.dumps({"type": "match.bevestigd", "subject": MATCH})
    sent = praktijkbus("submit", "-", "--partner", "zorghof", "--timeout", "2", stdin=line)

    assert sent.returncode == 3
    assert re.search(r"regel 1  … wacht .* tot deze match bekend is, uiterlijk \d\d-\d\d-\d{4}", sent.stdout)
    assert "Nog zonder eindantwoord: regel 1." in sent.stdout


def _mails(bus: LocalBus) -> list[str]:
    from deploy.local.mailcatcher import read_mails

    bodies = [mail.get_body(("plain",)) for mail in read_mails(bus.state / "mail")]
    return [text for body in bodies if body and "PV-" in (text := str(body.get_content()))]
