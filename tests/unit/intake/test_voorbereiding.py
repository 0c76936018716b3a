"""From the match to the point where a traject can start."""

from collections.abc import Callable

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from contracts import traject
from contracts.fields import Categorie, number_from
from contracts.ontvangst import Code, Waarop
from services.chassis.messages import Refused, TooEarly
from services.intake.traject import Status
from tests.unit.intake import given
from tests.unit.intake.given import (
    ANDER_ROC,
    ANDERE_MATCH,
    ANDERE_POK,
    BAKKERIJ,
    MORGEN,
    POK,
    ZORGHOF,
    Zaak,
)

DEELNEMER, OPLEIDER, LEERBEDRIJF = given.ALLE_DRIE


def _ondertekend_door(*partijen: traject.PokPartij) -> Callable[[Zaak], object]:
    return lambda zaak: zaak.pok_ondertekend(*partijen)


STUKKEN: list[Callable[[Zaak], object]] = [
    Zaak.opdracht_verstrekt,
    Zaak.begeleidingsdocument,
    Zaak.inschrijving,
    Zaak.pok_opgesteld,
    _ondertekend_door(OPLEIDER),
    _ondertekend_door(DEELNEMER, LEERBEDRIJF),
]


def test_a_confirmed_match_and_its_recognition_bring_the_traject_on() -> None:
    assert given.een_gematcht_traject().status() is Status.GEMATCHT
    assert given.een_erkend_traject().status() is Status.ERKEND


def test_a_match_that_came_before_the_intake_talk_counts_after_it() -> None:
    zaak = given.een_aangemeld_traject()
    zaak.match_bevestigd()
    zaak.match_erkend()
    assert zaak.status() is Status.AANGEMELD
    zaak.intake_afgerond()
    assert zaak.status() is Status.ERKEND


@for_all(st.permutations(STUKKEN))
def test_preparation_is_complete_once_all_is_in_whatever_the_order(
    stukken: list[Callable[[Zaak], object]],
) -> None:
    zaak = given.een_erkend_traject()
    wachtend: list[Callable[[Zaak], object]] = []
    for stuk in stukken:
        assert zaak.status() is Status.ERKEND
        wachtend.append(stuk)
        wachtend = _what_still_waits(zaak, wachtend)
    assert not wachtend
    assert zaak.status() is Status.VOORBEREID


def _what_still_waits(zaak: Zaak, stukken: list[Callable[[Zaak], object]]) -> list[Callable[[Zaak], object]]:
    """Judges again, as long as something changes, like the runner does."""
    for stuk in stukken:
        try:
            stuk(zaak)
        except TooEarly:
            continue
        return _what_still_waits(zaak, [ander for ander in stukken if ander is not stuk])
    return stukken


@for_all(st.permutations([*STUKKEN[:3], Zaak.match_bevestigd]))
def test_what_does_not_hang_on_the_employer_may_come_before_the_match(
    stukken: list[Callable[[Zaak], object]],
) -> None:
    zaak = given.een_geschikt_traject()
    for stuk in stukken:
        stuk(zaak)
    zaak.match_erkend()
    zaak.pok_opgesteld()
    zaak.pok_ondertekend()
    assert zaak.status() is Status.VOORBEREID


def test_preparation_waits_for_the_intake_talk() -> None:
    for stuk in (Zaak.begeleidingsdocument, Zaak.inschrijving, Zaak.pok_opgesteld):
        with pytest.raises(TooEarly) as early:
            stuk(given.een_aangemeld_traject())
        assert early.value.waarop is Waarop.TRAJECT_IN_STATUS


def test_the_pok_waits_for_the_recognition() -> None:
    with pytest.raises(TooEarly):
        given.een_gematcht_traject().pok_opgesteld()


def test_a_signature_waits_for_its_pok() -> None:
    with pytest.raises(TooEarly):
        given.een_erkend_traject().pok_ondertekend()


def test_a_signature_under_another_pok_is_refused() -> None:
    zaak = given.een_erkend_traject()
    zaak.pok_opgesteld()
    with pytest.raises(Refused) as refused:
        zaak.pok_ondertekend(pok_id=ANDERE_POK)
    assert refused.value.code is Code.POK_ONBEKEND


def test_nobody_signs_twice() -> None:
    zaak = given.een_erkend_traject()
    zaak.pok_opgesteld()
    zaak.pok_ondertekend(DEELNEMER)
    for partijen in ((DEELNEMER,), (OPLEIDER, DEELNEMER), (OPLEIDER, OPLEIDER)):
        with pytest.raises(Refused) as refused:
            zaak.pok_ondertekend(*partijen)
        assert refused.value.code is Code.POK_AL_ONDERTEKEND


def test_nobody_signs_in_the_future() -> None:
    zaak = given.een_erkend_traject()
    zaak.pok_opgesteld()
    with pytest.raises(Refused) as refused:
        zaak.pok_ondertekend(datum=MORGEN)
    assert refused.value.code is Code.DATUM_ONJUIST


def test_a_changed_pok_must_be_signed_again() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.meld(traject.PokGewijzigd(pok_id=POK, begin=given.VANDAAG, eind=given.VANDAAG, uren=8))
    assert zaak.status() is Status.ERKEND
    zaak.pok_ondertekend()
    assert zaak.status() is Status.VOORBEREID


def test_a_dissolved_pok_does_not_come_back() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.meld(traject.PokOntbonden(pok_id=POK, datum=given.VANDAAG, categorie=Categorie.OVERIG))
    assert zaak.status() is Status.ERKEND
    with pytest.raises(Refused):
        zaak.pok_opgesteld(POK)
    zaak.pok_opgesteld(ANDERE_POK)
    zaak.pok_ondertekend(pok_id=ANDERE_POK)
    assert zaak.status() is Status.VOORBEREID


def test_a_plan_stays_within_the_qualification_table() -> None:
    zaak = given.een_geschikt_traject()
    for anders, code, veld in (
        ({"crebo": "99999"}, Code.CREBO_ONBEKEND, "data.crebo"),
        ({"dossierversie": "1999"}, Code.CREBO_ONBEKEND, "data.crebo"),
        ({"werkprocessen": ("B1-K1-W1", "P7-K1-W1")}, Code.WERKPROCES_ONBEKEND, "data.werkprocessen"),
    ):
        with pytest.raises(Refused) as refused:
            zaak.begeleidingsdocument(**anders)
        assert (refused.value.code, refused.value.veld) == (code, veld)


def test_a_lapsed_match_takes_the_pok_along_and_leaves_the_rest() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.match_vervallen()
    assert zaak.status() is Status.GESCHIKT
    assert zaak.stand.pok is None
    assert zaak.stand.plan is not None
    assert zaak.stand.ingeschreven
    assert zaak.stand.opdracht is not None


def test_a_new_employer_needs_a_pok_of_its_own() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.match_vervallen()
    zaak.match_bevestigd(ANDERE_MATCH, bij=ZORGHOF)
    zaak.match_erkend(ANDERE_MATCH, bij=ZORGHOF)
    assert zaak.status() is Status.ERKEND
    with pytest.raises(Refused):
        zaak.pok_opgesteld(POK)
    zaak.pok_opgesteld(ANDERE_POK)
    zaak.pok_ondertekend(pok_id=ANDERE_POK)
    assert zaak.status() is Status.VOORBEREID


def test_a_new_match_replaces_the_old_one_though_its_end_is_heard_later() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.match_bevestigd(ANDERE_MATCH, bij=ZORGHOF)
    assert (zaak.status(), zaak.stand.pok) == (Status.GEMATCHT, None)
    zaak.match_vervallen()
    assert zaak.status() is Status.GEMATCHT


def test_a_match_that_lost_changes_nothing() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.match_vervallen(ANDERE_MATCH)
    assert zaak.status() is Status.VOORBEREID


def test_a_withdrawn_opdracht_takes_the_traject_back() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.opdracht_ingetrokken()
    assert zaak.status() is Status.ERKEND


def test_an_opdracht_for_another_school_does_not_count() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.toegewezen(ANDER_ROC)
    assert zaak.status() is Status.ERKEND


def test_a_replaced_school_takes_its_papers_along() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.toegewezen(ANDER_ROC)
    assert (zaak.stand.plan, zaak.stand.ingeschreven, zaak.stand.pok) == (None, False, None)
    assert zaak.status() is Status.ERKEND


def test_facts_of_two_opdrachten_that_overtake_one_another_leave_the_one_that_stands() -> None:
    zaak = given.een_voorbereid_traject()
    andere = number_from("OP", "000000009")
    zaak.opdracht_verstrekt(nummer=andere)
    zaak.opdracht_ingetrokken(andere)
    assert zaak.status() is Status.VOORBEREID
    zaak.opdracht_ingetrokken()
    assert (zaak.status(), zaak.stand.opdracht) == (Status.ERKEND, None)


def test_the_employer_of_the_active_match_reads_along() -> None:
    zaak = given.een_gematcht_traject()
    (ingeschreven,) = zaak.inschrijving()
    assert BAKKERIJ in zaak.lezers(ingeschreven)
    zaak.match_vervallen()
    (ingeschreven,) = zaak.inschrijving()
    assert BAKKERIJ not in zaak.lezers(ingeschreven)
