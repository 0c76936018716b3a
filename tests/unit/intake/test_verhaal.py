"""The story of a traject in Dutch."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import contracts
from contracts.catalogue import CATALOGUE, EventType
from contracts.model import Data
from services.chassis.messages import Fact
from services.chassis.telemetry import trace_id
from services.intake.journal import Entry
from services.intake.verhaal import vertel
from tests.unit.intake import given
from tests.unit.intake.given import Zaak

EXAMPLES = Path(contracts.__file__).parent / "examples"
NOT_OF_A_TRAJECT = {"erkenning", "budget", "besteding", "ontvangst"}
OF_A_TRAJECT = [item for item in CATALOGUE.values() if item.entity not in NOT_OF_A_TRAJECT]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def _entries(facts: Iterable[Fact[Data]]) -> list[Entry]:
    return [
        Entry(
            position=position,
            time=fact.time,
            type=fact.type.name,
            subject=fact.subject,
            actor=fact.actor,
            trace_id=trace_id(fact.traceparent),
            data=fact.data.model_dump(mode="json"),
        )
        for position, fact in enumerate(facts, 1)
    ]


def _entry(type_name: str, data: dict[str, object]) -> Entry:
    return Entry(
        position=1,
        time=datetime(2026, 11, 2, 23, 30, tzinfo=UTC),
        type=type_name,
        subject="PV-7K3F9-QX2ME",
        actor="roc-maas",
        trace_id=TRACE,
        data=data,
    )


@pytest.mark.parametrize("event_type", OF_A_TRAJECT, ids=lambda item: item.routing_key)
def test_every_event_in_the_case_of_a_traject_has_a_sentence(event_type: EventType) -> None:
    example = json.loads(
        (EXAMPLES / f"{event_type.name.removeprefix('nl.praktijkverklaringen.')}.feit.json").read_text()
    )
    (regel,) = vertel([_entry(event_type.name, example["data"])])
    assert "gebeurtenis vastgelegd" not in regel.zin
    assert regel.zin[0].isupper() or regel.zin.startswith("roc-maas")
    assert regel.zin.endswith(".")
    assert "None" not in regel.zin


@pytest.mark.parametrize("event_type", OF_A_TRAJECT, ids=lambda item: item.routing_key)
def test_every_code_has_its_words(event_type: EventType) -> None:
    example = json.loads(
        (EXAMPLES / f"{event_type.name.removeprefix('nl.praktijkverklaringen.')}.feit.json").read_text()
    )
    for name, schema in event_type.fact.model_json_schema().get("$defs", {}).items():
        for value in schema.get("enum", ()):
            for key, given_value in example["data"].items():
                if given_value in schema["enum"] and name.lower() != "uitkomst":
                    vertel([_entry(event_type.name, {**example["data"], key: value})])


def test_a_line_tells_when_in_the_netherlands_who_and_by_which_trace() -> None:
    (regel,) = vertel([_entry("nl.praktijkverklaringen.traject.gestart.v1", {"datum": "2026-11-02"})])
    assert str(regel) == (
        "3 november 2026 00:30  De deelnemer is op 2 november 2026 begonnen bij het leerbedrijf. "
        f"(door roc-maas, trace {TRACE})"
    )


def test_amounts_are_written_the_dutch_way() -> None:
    data: dict[str, object] = {
        "trajectnummer": "PV-7K3F9-QX2ME",
        "opleider": "roc-maas",
        "bedrag_cent": 123456705,
        "bron": "POW",
    }
    (regel,) = vertel([_entry("nl.praktijkverklaringen.opdracht.verstrekt.v1", data)])
    assert "€ 1.234.567,05" in regel.zin


def test_an_event_of_a_later_version_is_still_told() -> None:
    (regel,) = vertel([_entry("nl.praktijkverklaringen.traject.gefeliciteerd.v1", {})])
    assert regel.zin == "Er is een gebeurtenis vastgelegd: nl.praktijkverklaringen.traject.gefeliciteerd.v1."


def test_the_story_follows_the_order_of_the_journal() -> None:
    zaak = Zaak()
    facts = [*zaak.aangemeld(), *zaak.toegewezen(), *zaak.intake_afgerond()]
    assert [regel.zin for regel in vertel(_entries(facts))] == [
        f"coach-kompas heeft een werkzoekende aangemeld als {zaak.nummer}. De gewenste sector is horeca.",
        "wsp-venlo doet nu mee als wsp.",
        "coach-kompas doet nu mee als coach.",
        "roc-maas doet nu mee als opleider.",
        "De intake is klaar: de deelnemer kan beginnen aan een traject.",
    ]


def test_a_referral_is_told() -> None:
    zaak = given.een_aangemeld_traject()
    (regel,) = vertel(_entries(zaak.intake_afgerond(given.NIET_GESCHIKT)))
    assert regel.zin == "De intake is klaar: dit traject past niet. De deelnemer gaat naar het RMC."
