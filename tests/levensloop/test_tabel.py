"""The table for partners covers every pair of state and event, and says what the services really do."""

from enum import StrEnum

import pytest

from contracts.catalogue import CATALOGUE
from contracts.ontvangst import Code, Waarop
from services.billing import betaling, budget, factuur, opdracht
from services.intake import traject, verklaring
from services.matching import erkenning, match
from tests.levensloop.tabel import DOEL, GECREDITEERD, ONBEKEND, VERLOPEN, Soort, Verslag, schrijf, verslagen

STANDEN: dict[str, type[StrEnum]] = {
    "traject": traject.Status,
    "match": match.Status,
    "erkenning": erkenning.Status,
    "verklaring": verklaring.Stand,
    "budget": budget.Status,
    "opdracht": opdracht.Status,
    "factuur": factuur.Status,
    "betaling": betaling.Status,
}
NOOK = {"erkenning": {VERLOPEN}, "factuur": {GECREDITEERD}}
"""What is not kept as status and yet makes a difference: a date that passed, a fact of another stream."""
ZONDER_STAND = {"besteding": "its rows stand with those of budget", "termijn": "no state", "ontvangst": "no state"}
PAREN = [
    (entity, stand, event_type.routing_key)
    for entity, standen in STANDEN.items()
    for stand in [ONBEKEND, *(status.value for status in standen), *sorted(NOOK.get(entity, ()))]
    for event_type in CATALOGUE.values()
    if event_type.entity == entity
]
WEG = {
    ("aangemeld", "geschikt"),
    ("aangemeld", "niet_geschikt"),
    ("geschikt", "gematcht"),
    ("gematcht", "erkend"),
    ("erkend", "voorbereid"),
    ("voorbereid", "gestart"),
    ("gestart", "afgerond"),
    ("afgerond", "gesloten"),
    ("gematcht", "geschikt"),
    ("erkend", "geschikt"),
    ("voorbereid", "geschikt"),
    ("gestart", "onderbroken"),
    ("onderbroken", "gestart"),
    ("onderbroken", "geschikt"),
    ("gestart", "uitgevallen"),
    ("onderbroken", "uitgevallen"),
    *((stand, "teruggetrokken") for stand in ("aangemeld", "geschikt", "gematcht", "erkend", "voorbereid")),
    *((stand, "teruggetrokken") for stand in ("gestart", "onderbroken")),
    ("niet_geschikt", "aangemeld"),
    ("uitgevallen", "gestart"),
    ("gesloten", "afgerond"),
    ("afgerond", "gestart"),
}
"""The way of a traject as the domain describes it, written out by hand."""


def verslag(entity: str) -> Verslag:
    (found,) = (each for each in verslagen() if each.stroom.naam == entity)
    return found


def test_every_stream_of_the_catalogue_has_a_table_or_no_state() -> None:
    assert {each.stroom.naam for each in verslagen()} == set(STANDEN)
    assert {event_type.entity for event_type in CATALOGUE.values()} == set(STANDEN) | set(ZONDER_STAND)


@pytest.mark.parametrize("entity", STANDEN)
def test_every_state_is_reached_by_real_events(entity: str) -> None:
    assert set(verslag(entity).stroom.standen) == {stand for stroom, stand, _ in PAREN if stroom == entity}


@pytest.mark.parametrize(("entity", "stand", "event"), PAREN)
def test_every_pair_of_state_and_event_has_an_outcome(entity: str, stand: str, event: str) -> None:
    uitslagen = verslag(entity).cellen[stand, event]
    (event_type,) = (item for item in CATALOGUE.values() if item.routing_key == event)
    assert uitslagen
    for uitslag in uitslagen:
        assert (uitslag.soort is Soort.VOLGT) == (event_type.submission is None)
        if uitslag.soort is Soort.AFGEWEZEN:
            assert uitslag.reden in set(Code)
        elif uitslag.soort is Soort.WACHT:
            assert uitslag.reden in set(Waarop)


def test_the_way_of_a_traject_is_that_of_the_domain() -> None:
    gegaan = {
        (stand, uitslag.naar)
        for (stand, _), uitslagen in verslag("traject").cellen.items()
        for uitslag in uitslagen
        if uitslag.naar
    }
    assert gegaan >= WEG
    einden = {"niet_geschikt", "uitgevallen", "teruggetrokken", "gesloten"}
    terug = {
        rij
        for (stand, rij), found in verslag("traject").cellen.items()
        if stand in einden
        for u in found
        if u.naar
    }
    assert terug == {"traject.heropend"}


def test_what_partners_read_is_what_was_found() -> None:
    assert DOEL.read_text(encoding="utf-8") == schrijf(), "write it with python -m tests.levensloop.tabel"
