"""The rules that hold for every event type, and the table of the domain written out by hand."""

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    besteding,
    betaling,
    budget,
    erkenning,
    export,
    factuur,
    match,
    ontvangst,
    opdracht,
    termijn,
    traject,
    verklaring,
)
from contracts.catalogue import CATALOGUE, EventType, Owner
from contracts.envelope import FactEnvelope
from contracts.export import Kind
from contracts.fields import Rol
from contracts.persoon import Persoon

STREAMS: dict[str, tuple[ModuleType, Owner | None]] = {
    "traject": (traject, Owner.INTAKE),
    "match": (match, Owner.MATCHING),
    "erkenning": (erkenning, Owner.MATCHING),
    "verklaring": (verklaring, Owner.INTAKE),
    "budget": (budget, Owner.BILLING),
    "opdracht": (opdracht, Owner.BILLING),
    "factuur": (factuur, Owner.BILLING),
    "betaling": (betaling, Owner.BILLING),
    "besteding": (besteding, Owner.BILLING),
    "termijn": (termijn, Owner.NOTIFY),
    "ontvangst": (ontvangst, None),
}
ALL_STREAMS = STREAMS.keys() - {"ontvangst"}
READS: dict[Rol, set[str]] = {
    Rol.WSP: {"traject", "match", "termijn"},
    Rol.SBB: {"erkenning", "termijn"},
    Rol.COACH: {"traject", "match", "verklaring", "termijn"},
    Rol.OPLEIDER: {"traject", "match", "verklaring", "opdracht", "factuur", "betaling", "termijn"},
    Rol.WERKGEVER: {"traject", "match", "verklaring", "termijn"},
    Rol.RMC: {"traject", "termijn"},
    Rol.LOOPBAANCENTRUM: {"traject", "termijn"},
    Rol.FINANCIER: {"budget", "besteding", "termijn"},
    Rol.LEERWERKLOKET: set(ALL_STREAMS),
    Rol.COORDINATIE: set(ALL_STREAMS),
}
SUBMITS: dict[Rol, set[str]] = {
    Rol.WSP: {"traject.aangemeld", "match.voorgesteld", "match.vervallen", "match.herplaatsing-gestart"},
    Rol.SBB: {"traject.aangemeld", "erkenning.verleend", "erkenning.geweigerd", "erkenning.ingetrokken"},
    Rol.COACH: {
        "traject.aangemeld",
        "traject.intake-afgerond",
        "traject.onderbroken",
        "traject.hervat",
        "traject.uitgevallen",
        "traject.teruggetrokken",
        "traject.nazorg-geregistreerd",
    },
    Rol.OPLEIDER: {
        "traject.aangemeld",
        "traject.begeleidingsdocument-vastgesteld",
        "traject.inschrijving-bevestigd",
        "traject.pok-opgesteld",
        "traject.pok-ondertekend",
        "traject.pok-gewijzigd",
        "traject.pok-ontbonden",
        "traject.gestart",
        "traject.onderbroken",
        "traject.hervat",
        "traject.bezoek-geregistreerd",
        "traject.werkproces-beoordeeld",
        "traject.uitgevallen",
        "traject.teruggetrokken",
        "verklaring.afgegeven",
        "verklaring.ingetrokken",
    },
    Rol.LEERWERKLOKET: {
        "traject.aangemeld",
        "budget.vastgesteld",
        "opdracht.verstrekt",
        "opdracht.ingetrokken",
        "factuur.goedgekeurd",
        "factuur.afgekeurd",
        "betaling.bevestigd",
        "betaling.mislukt",
    },
    Rol.WERKGEVER: {"traject.aangemeld", "match.bevestigd", "match.afgewezen", "match.vervallen"},
    Rol.RMC: {"traject.aangemeld"},
    Rol.LOOPBAANCENTRUM: {"traject.aangemeld"},
    Rol.FINANCIER: {"traject.aangemeld", "budget.vastgesteld"},
    Rol.COORDINATIE: {
        "traject.aangemeld",
        "traject.betrokkene-toegewezen",
        "traject.gesloten",
        "traject.heropend",
        "traject.gegevens-gewist",
    },
}
DECIDED_BY_THE_OWNER = {
    "traject.mogelijk-dubbel",
    "match.erkend",
    "erkenning.aangevraagd",
    "factuur.klaargezet",
    "factuur.gecrediteerd",
    "betaling.opgedragen",
    "besteding.gereserveerd",
    "besteding.besteed",
    "besteding.vrijgevallen",
    "termijn.overschreden",
    "ontvangst.aanvaard",
    "ontvangst.afgewezen",
    "ontvangst.wacht",
}
EVERY = pytest.mark.parametrize("event_type", CATALOGUE.values(), ids=CATALOGUE)
Schema = dict[str, Any]


def strings(schema: Schema, definitions: Schema, path: str = "$") -> Iterator[tuple[str, Schema]]:
    """Every part of a schema that lets a string through, with its path; what is unclear counts as one."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        yield from strings(definitions[name], definitions, path)
    elif "anyOf" in schema:
        for choice in schema["anyOf"]:
            yield from strings(choice, definitions, path)
    elif schema.get("type") == "object":
        assert "additionalProperties" not in schema, f"{path} takes names of anybody's choice"
        for name, inner in schema["properties"].items():
            yield from strings(inner, definitions, f"{path}.{name}")
    elif schema.get("type") == "array":
        yield from strings(schema["items"], definitions, f"{path}[]")
    elif schema.get("type") not in {"integer", "boolean", "null"}:
        yield path, schema


def is_guarded(schema: Schema) -> bool:
    if schema.get("type") != "string":
        return False
    return bool({"pattern", "enum", "const"} & schema.keys()) or schema.get("format") in {"date", "date-time"}


FACT_STRINGS = [
    (f"{event_type.routing_key}{path.removeprefix('$')}", schema)
    for event_type in CATALOGUE.values()
    for message in [export.message(event_type, Kind.FEIT)]
    for path, schema in strings(message, message.get("$defs", {}))
]


def test_no_free_text_in_any_fact() -> None:
    assert [path for path, schema in FACT_STRINGS if not is_guarded(schema)] == []
    assert {path.rpartition(".")[2] for path, _ in FACT_STRINGS} >= FactEnvelope.model_fields.keys() - {"data"}


@given(words=st.lists(st.text("abcdefghijklmnopqrstuvwxyzABC", min_size=1), min_size=2, max_size=6))
def test_no_pattern_of_a_fact_lets_a_sentence_through(words: list[str]) -> None:
    sentence = " ".join(words)

    assert [path for path, schema in FACT_STRINGS if re.search(schema.get("pattern", "$.^"), sentence)] == []


@EVERY
def test_entity_is_the_name_of_its_module_and_owner_is_as_in_the_domain(event_type: EventType) -> None:
    module, owner = STREAMS[event_type.entity]

    assert event_type.fact.__module__ == module.__name__
    assert event_type.owner is owner
    assert re.fullmatch(r"nl\.praktijkverklaringen\.[a-z]+\.[a-z-]+\.v1", event_type.name)


def test_every_stream_has_events_and_every_type_a_fact_of_its_own() -> None:
    assert {event_type.entity for event_type in CATALOGUE.values()} == STREAMS.keys()
    assert len({event_type.fact for event_type in CATALOGUE.values()}) == len(CATALOGUE)
    assert all(CATALOGUE.of(event_type.fact) is event_type for event_type in CATALOGUE.values())


def test_owners_write_disjoint_streams() -> None:
    owned = [entity for owner in Owner for entity in CATALOGUE.entities_of(owner)]

    assert sorted(owned) == sorted(ALL_STREAMS)


@pytest.mark.parametrize("rol", Rol)
def test_role_reads_what_the_domain_says(rol: Rol) -> None:
    assert {event_type.entity for event_type in CATALOGUE.values() if rol in event_type.readers} == READS[rol]


def test_readers_are_the_same_for_all_events_of_a_stream_but_one() -> None:
    """The parties of a traject must not learn the number of another."""
    alone = next(item for item in CATALOGUE.values() if item.routing_key == "traject.mogelijk-dubbel")
    assert alone.readers == {Rol.COORDINATIE}
    others = [event_type for event_type in CATALOGUE.values() if event_type is not alone]
    for entity in STREAMS:
        assert len({event_type.readers for event_type in others if event_type.entity == entity}) == 1


@pytest.mark.parametrize("rol", Rol)
def test_role_submits_what_the_domain_says(rol: Rol) -> None:
    submits = {event_type.routing_key for event_type in CATALOGUE.values() if rol in event_type.submitters}

    assert submits == SUBMITS[rol]


@EVERY
def test_type_has_submitters_exactly_where_it_can_be_submitted(event_type: EventType) -> None:
    assert bool(event_type.submitters) == (event_type.submission is not None)
    assert (event_type.submission is None) == (event_type.routing_key in DECIDED_BY_THE_OWNER)


def test_only_an_employer_is_spoken_for_and_by_the_wsp_alone() -> None:
    spoken_for = {
        event_type.routing_key: event_type.namens for event_type in CATALOGUE.values() if event_type.namens
    }

    assert spoken_for == {
        "match.bevestigd": {(Rol.WSP, Rol.WERKGEVER)},
        "match.afgewezen": {(Rol.WSP, Rol.WERKGEVER)},
    }


def test_types_that_open_a_stream() -> None:
    assert {event_type.routing_key for event_type in CATALOGUE.values() if event_type.opens} == {
        "traject.aangemeld",
        "match.voorgesteld",
        "match.herplaatsing-gestart",
        "verklaring.afgegeven",
        "opdracht.verstrekt",
    }


def test_what_sbb_and_financiers_read_names_no_traject() -> None:
    read_by_them = [path for path, _ in FACT_STRINGS if path.startswith(("erkenning.", "besteding.", "budget."))]

    assert read_by_them
    assert not [path for path in read_by_them if "traject" in path.partition(".")[2]]


def test_no_field_is_for_a_bsn_or_pgn() -> None:
    assert not [word for word in export.words() if re.search("bsn|pgn|onderwijsnummer|burgerservice", word)]


def test_person_data_is_in_the_submission_of_aangemeld_alone() -> None:
    personal = Persoon.model_fields.keys() | {"persoon"}
    having = {
        event_type.routing_key
        for event_type in CATALOGUE.values()
        for model in (event_type.fact, event_type.submission)
        if model and model.model_fields.keys() & personal
    }

    assert having == {"traject.aangemeld"}
    assert not traject.Aangemeld.model_fields.keys() & personal


@EVERY
def test_every_fact_says_what_it_means(event_type: EventType) -> None:
    assert event_type.fact.__doc__
