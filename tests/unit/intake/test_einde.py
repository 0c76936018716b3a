"""How a traject ends, is reopened, and is forgotten."""

from collections.abc import Callable

import pytest

from contracts import traject
from contracts.catalogue import CATALOGUE, Owner
from contracts.ontvangst import Code
from services.chassis.messages import Keep, Refused, TooEarly
from services.intake.handlers import service
from services.intake.kluis import vernietiging
from services.intake.traject import Status, Traject
from tests.unit.intake import given
from tests.unit.intake.given import Zaak

VOOR_AFGEROND = [
    given.een_aangemeld_traject,
    given.een_geschikt_traject,
    given.een_gematcht_traject,
    given.een_erkend_traject,
    given.een_voorbereid_traject,
    given.een_lopend_traject,
    given.een_onderbroken_traject,
]


def een_afgewezen_traject() -> Zaak:
    zaak = given.een_aangemeld_traject()
    zaak.intake_afgerond(given.NIET_GESCHIKT)
    return zaak


def een_uitgevallen_traject() -> Zaak:
    zaak = given.een_lopend_traject()
    zaak.uitgevallen()
    return zaak


def een_gesloten_traject() -> Zaak:
    zaak = given.een_afgerond_traject()
    zaak.gesloten()
    return zaak


@pytest.mark.parametrize("begin", VOOR_AFGEROND)
def test_a_traject_may_be_withdrawn_before_it_is_completed_and_reopened(begin: Callable[[], Zaak]) -> None:
    zaak = begin()
    before = zaak.stand
    zaak.teruggetrokken()
    assert zaak.status() is Status.TERUGGETROKKEN
    zaak.heropend()
    assert zaak.stand == before


@pytest.mark.parametrize("begin", [een_afgewezen_traject, een_uitgevallen_traject, given.een_afgerond_traject])
def test_what_has_ended_is_not_withdrawn(begin: Callable[[], Zaak]) -> None:
    with pytest.raises(Refused) as refused:
        begin().teruggetrokken()
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_a_reopened_traject_stands_where_its_match_is_by_then() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.teruggetrokken()
    zaak.match_vervallen()
    zaak.heropend()
    assert zaak.status() is Status.GESCHIKT


@pytest.mark.parametrize("verliest", [Zaak.match_vervallen, lambda zaak: zaak.toegewezen(given.ANDER_ROC)])
def test_a_running_traject_that_lost_what_it_rests_on_while_it_was_out_comes_back_interrupted(
    verliest: Callable[[Zaak], object],
) -> None:
    zaak = given.een_lopend_traject()
    zaak.uitgevallen()
    verliest(zaak)
    assert zaak.status() is Status.UITGEVALLEN
    heropend, onderbroken = zaak.heropend()
    assert (heropend.type.event, onderbroken.type.event) == ("heropend", "onderbroken")
    assert zaak.status() is Status.ONDERBROKEN


def test_a_withdrawn_verklaring_is_issued_again_though_the_workplace_is_gone() -> None:
    zaak = given.een_afgerond_traject()
    nummer = zaak.stand.verklaring or ""
    assert zaak.match_vervallen() == []
    assert zaak.status() is Status.AFGEROND
    ingetrokken, onderbroken = zaak.verklaring_ingetrokken(nummer)
    assert (ingetrokken.type.event, onderbroken.type.event) == ("ingetrokken", "onderbroken")
    zaak.verklaring_afgegeven()
    assert zaak.status() is Status.AFGEROND


def test_the_school_of_a_verklaring_is_not_replaced_since_it_alone_corrects_it() -> None:
    zaak = given.een_afgerond_traject()
    with pytest.raises(Refused) as refused:
        zaak.toegewezen(given.ANDER_ROC)
    assert refused.value.code is Code.STATUS_PAST_NIET
    zaak.toegewezen(given.ROC)


def test_one_drops_out_of_a_running_or_interrupted_traject_only() -> None:
    with pytest.raises(TooEarly):
        given.een_voorbereid_traject().uitgevallen()
    with pytest.raises(Refused):
        given.een_afgerond_traject().uitgevallen()
    zaak = given.een_onderbroken_traject()
    zaak.uitgevallen()
    assert zaak.status() is Status.UITGEVALLEN


def test_aftercare_changes_no_state() -> None:
    for zaak in (given.een_afgerond_traject(), een_uitgevallen_traject()):
        before = zaak.stand
        zaak.nazorg()
        assert zaak.stand == before


def test_aftercare_comes_after_the_end() -> None:
    with pytest.raises(TooEarly):
        given.een_lopend_traject().nazorg()
    with pytest.raises(Refused):
        een_gesloten_traject().nazorg()


def test_a_completed_traject_is_closed_and_only_that() -> None:
    assert een_gesloten_traject().status() is Status.GESLOTEN
    with pytest.raises(TooEarly):
        given.een_lopend_traject().gesloten()
    with pytest.raises(Refused):
        een_uitgevallen_traject().gesloten()


def test_only_what_has_ended_is_reopened() -> None:
    with pytest.raises(Refused):
        given.een_lopend_traject().heropend()


@pytest.mark.parametrize("begin", [een_afgewezen_traject, een_uitgevallen_traject, een_gesloten_traject])
def test_erasure_destroys_the_person_data_and_cannot_be_undone(begin: Callable[[], Zaak]) -> None:
    zaak = begin()
    key = zaak.stand.persoon or ""
    zaak.gewist()
    assert zaak.desk.keeps[-1] == Keep(key, None)
    assert zaak.desk.effects[-1] == vernietiging(key)
    assert (zaak.stand.persoon, zaak.stand.vingerafdruk) == (None, None)
    for again in (zaak.gewist, zaak.heropend):
        with pytest.raises(Refused):
            again()


def test_a_running_traject_is_not_erased() -> None:
    with pytest.raises(Refused):
        given.een_lopend_traject().gewist()


def test_after_the_end_nothing_waits() -> None:
    steps: list[Callable[[Zaak], object]] = [
        Zaak.intake_afgerond,
        Zaak.begeleidingsdocument,
        Zaak.inschrijving,
        Zaak.pok_opgesteld,
        Zaak.pok_ondertekend,
        Zaak.gestart,
        Zaak.onderbroken,
        Zaak.hervat,
        Zaak.beoordeeld,
        Zaak.verklaring_afgegeven,
        Zaak.teruggetrokken,
        Zaak.toegewezen,
    ]
    for begin in (een_afgewezen_traject, een_gesloten_traject):
        for step in steps:
            with pytest.raises(Refused) as refused:
                step(begin())
            assert refused.value.code is Code.STATUS_PAST_NIET


def test_facts_that_arrive_after_the_end_do_not_revive_a_traject() -> None:
    zaak = given.een_gematcht_traject()
    zaak.teruggetrokken()
    zaak.match_erkend()
    zaak.opdracht_verstrekt()
    assert zaak.status() is Status.TERUGGETROKKEN


def test_own_facts_that_come_back_for_the_journal_change_nothing() -> None:
    zaak = given.een_afgerond_traject()
    before = zaak.stand
    zaak.hoor(traject.Gestart(datum=given.VANDAAG), zaak.nummer)
    assert zaak.stand == before


@pytest.mark.parametrize("begin", [*VOOR_AFGEROND, given.een_afgerond_traject, een_afgewezen_traject])
def test_a_traject_survives_storage(begin: Callable[[], Zaak]) -> None:
    state = begin().stand
    adapter = service.stores[Traject].adapter
    assert adapter.validate_json(adapter.dump_json(state)) == state


def test_every_submittable_type_of_intake_has_a_handler() -> None:
    assert set(service.on_submission) == {
        item for item in CATALOGUE.values() if item.owner is Owner.INTAKE and item.submission
    }
