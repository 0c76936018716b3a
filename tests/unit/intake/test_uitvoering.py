"""A running traject: verdicts, visits, interruption and replacement."""

from datetime import timedelta

import pytest

from contracts import match, traject
from contracts.fields import Categorie, number_from
from contracts.model import Data
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused, TooEarly
from services.intake.traject import Status
from tests.desk import NOW
from tests.unit.intake import given
from tests.unit.intake.given import (
    ANDER_ROC,
    ANDERE_MATCH,
    ANDERE_POK,
    BAKKERIJ,
    GISTEREN,
    LEERBEDRIJF,
    MORGEN,
    PLAN,
    POK,
    ROC,
    VANDAAG,
    ZORGHOF,
    Zaak,
)

BEHEERST, NOG_NIET = traject.Beoordeling.BEHEERST, traject.Beoordeling.NOG_NIET
ANDERE_OPDRACHT = number_from("OP", "000000002")
BEZOEK = traject.BezoekGeregistreerd(datum=VANDAAG, oordeel=traject.BezoekOordeel.VOLDOET)


def _herplaatst(zaak: Zaak) -> None:
    zaak.hoor(
        match.HerplaatsingGestart(
            trajectnummer=zaak.nummer,
            vorige_match=given.MATCH,
            kvk=given.KVK[ZORGHOF],
            vestigingsnummer=given.VESTIGING[ZORGHOF],
            crebo=given.CREBO,
        ),
        ANDERE_MATCH,
    )


def _gestart_bij_de_zorghof(zaak: Zaak) -> None:
    zaak.match_bevestigd(ANDERE_MATCH, bij=ZORGHOF)
    zaak.match_erkend(ANDERE_MATCH, bij=ZORGHOF)
    assert zaak.status() is Status.ERKEND
    zaak.pok_opgesteld(ANDERE_POK)
    zaak.pok_ondertekend(pok_id=ANDERE_POK)
    zaak.gestart()


def test_a_verdict_keeps_its_date_and_leerbedrijf() -> None:
    zaak = given.een_lopend_traject()
    zaak.beoordeeld(PLAN[0])
    (oordeel,) = zaak.stand.oordelen
    assert (oordeel.werkproces, oordeel.datum) == (PLAN[0], VANDAAG)
    assert oordeel.leerbedrijf_id == LEERBEDRIJF[BAKKERIJ]


def test_a_verdict_is_of_the_leerbedrijf_where_the_traject_runs() -> None:
    with pytest.raises(Refused) as refused:
        given.een_lopend_traject().beoordeeld(leerbedrijf_id=LEERBEDRIJF[ZORGHOF])
    assert (refused.value.code, refused.value.veld) == (Code.LEERBEDRIJF_WIJKT_AF, "data.leerbedrijf_id")


def test_a_place_that_was_recognised_but_where_nothing_started_gives_no_verdict() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.match_vervallen()
    _gestart_bij_de_zorghof(zaak)
    zaak.beoordeeld(leerbedrijf_id=LEERBEDRIJF[ZORGHOF])
    with pytest.raises(Refused) as refused:
        zaak.beoordeeld(leerbedrijf_id=LEERBEDRIJF[BAKKERIJ])
    assert refused.value.code is Code.LEERBEDRIJF_WIJKT_AF


def test_after_a_replacement_verdicts_of_the_earlier_leerbedrijf_still_come_in() -> None:
    zaak = given.een_lopend_traject()
    zaak.match_vervallen()
    _herplaatst(zaak)
    _gestart_bij_de_zorghof(zaak)
    zaak.beoordeeld(PLAN[0], datum=GISTEREN, leerbedrijf_id=LEERBEDRIJF[BAKKERIJ])
    zaak.beoordeeld(PLAN[1], leerbedrijf_id=LEERBEDRIJF[ZORGHOF])
    assert [(oordeel.datum, oordeel.leerbedrijf_id) for oordeel in zaak.stand.oordelen] == [
        (GISTEREN, LEERBEDRIJF[BAKKERIJ]),
        (VANDAAG, LEERBEDRIJF[ZORGHOF]),
    ]


def test_the_latest_verdict_counts_whichever_arrives_last() -> None:
    zaak = given.een_lopend_traject()
    zaak.beoordeeld(beoordeling=BEHEERST, datum=VANDAAG)
    zaak.beoordeeld(beoordeling=NOG_NIET, datum=GISTEREN)
    assert zaak.stand.beheerst_op() == {PLAN[0]: VANDAAG}
    zaak.beoordeeld(beoordeling=NOG_NIET, datum=VANDAAG)
    assert zaak.stand.beheerst_op() == {}


def test_only_werkprocessen_of_the_plan_are_assessed() -> None:
    with pytest.raises(Refused) as refused:
        given.een_lopend_traject().beoordeeld("B1-K1-W4")
    assert refused.value.code is Code.WERKPROCES_NIET_IN_PLAN


def test_a_verdict_is_given_between_the_start_and_today() -> None:
    for datum in (MORGEN, GISTEREN - timedelta(days=1)):
        with pytest.raises(Refused) as refused:
            given.een_lopend_traject().beoordeeld(datum=datum)
        assert refused.value.code is Code.DATUM_ONJUIST


def test_a_verdict_waits_for_the_start() -> None:
    zaak = given.een_voorbereid_traject()
    with pytest.raises(TooEarly):
        zaak.beoordeeld()
    zaak.gestart()
    zaak.beoordeeld()


def test_no_verdict_after_the_verklaring() -> None:
    with pytest.raises(Refused):
        given.een_afgerond_traject().beoordeeld()


def test_a_visit_changes_no_state() -> None:
    zaak = given.een_lopend_traject()
    before = zaak.stand
    zaak.meld(BEZOEK)
    assert zaak.stand == before


def test_a_visit_waits_for_the_start() -> None:
    with pytest.raises(TooEarly):
        given.een_voorbereid_traject().meld(BEZOEK)


def test_an_interrupted_traject_goes_on() -> None:
    zaak = given.een_onderbroken_traject()
    assert zaak.status() is Status.ONDERBROKEN
    zaak.hervat()
    assert zaak.status() is Status.GESTART


def test_a_second_report_of_an_interruption_does_not_wait_for_the_next() -> None:
    with pytest.raises(Refused):
        given.een_onderbroken_traject().onderbroken(partner=ROC)


def test_a_resumption_waits_for_the_interruption_that_another_partner_reports() -> None:
    zaak = given.een_lopend_traject()
    with pytest.raises(TooEarly):
        zaak.hervat()
    zaak.onderbroken(GISTEREN)
    zaak.hervat()


def test_a_second_report_of_a_resumption_does_not_wait() -> None:
    zaak = given.een_onderbroken_traject()
    zaak.hervat()
    with pytest.raises(Refused):
        zaak.hervat()


def test_no_resumption_before_the_interruption() -> None:
    with pytest.raises(Refused) as refused:
        given.een_onderbroken_traject().hervat(GISTEREN)
    assert refused.value.code is Code.DATUM_ONJUIST


def test_a_running_traject_that_loses_its_workplace_is_interrupted() -> None:
    zaak = given.een_lopend_traject()
    (onderbroken,) = zaak.match_vervallen(categorie=Categorie.ERKENNING)
    assert onderbroken.data == traject.Onderbroken(datum=VANDAAG, categorie=Categorie.ERKENNING)
    assert (onderbroken.actor, zaak.status()) == ("intake", Status.ONDERBROKEN)


def test_without_a_workplace_there_is_nothing_to_resume() -> None:
    zaak = given.een_lopend_traject()
    zaak.match_vervallen()
    with pytest.raises(Refused):
        zaak.hervat()


def test_a_replaced_participant_keeps_the_verdicts_and_needs_a_new_pok() -> None:
    zaak = given.een_lopend_traject()
    zaak.beoordeeld()
    zaak.match_vervallen()
    _herplaatst(zaak)
    assert zaak.status() is Status.GESCHIKT
    _gestart_bij_de_zorghof(zaak)
    assert zaak.stand.beheerst_op() == {PLAN[0]: VANDAAG}
    assert zaak.stand.gestart_op == GISTEREN


def test_verdicts_count_only_for_the_crebo_they_were_given_for() -> None:
    zaak = given.een_lopend_traject()
    zaak.beoordeeld(PLAN[0])
    zaak.match_vervallen()
    zaak.match_bevestigd(ANDERE_MATCH, bij=ZORGHOF, crebo=given.ANDERE_CREBO)
    zaak.begeleidingsdocument(crebo=given.ANDERE_CREBO, werkprocessen=PLAN[:1])
    assert zaak.stand.beheerst_op() == {}


def _stand_van_zaken(facts: list[Fact[Data]]) -> list[str]:
    return [fact.type.event for fact in facts]


def test_a_dissolved_pok_interrupts_a_running_traject_until_a_new_one_is_signed() -> None:
    zaak = given.een_lopend_traject()
    ontbonden, onderbroken = zaak.pok_ontbonden()
    assert onderbroken.data == traject.Onderbroken(datum=VANDAAG, categorie=Categorie.WERKGEVER)
    assert (ontbonden.actor, onderbroken.actor, zaak.status()) == (ROC, "intake", Status.ONDERBROKEN)
    with pytest.raises(TooEarly):
        zaak.hervat()
    zaak.pok_opgesteld(ANDERE_POK)
    with pytest.raises(TooEarly):
        zaak.hervat()
    zaak.pok_ondertekend(pok_id=ANDERE_POK)
    zaak.hervat()
    assert zaak.status() is Status.GESTART


def test_a_pok_is_not_dissolved_in_the_future() -> None:
    with pytest.raises(Refused) as refused:
        given.een_lopend_traject().pok_ontbonden(datum=MORGEN)
    assert refused.value.code is Code.DATUM_ONJUIST


def test_no_resumption_outside_the_pok_or_the_recognition() -> None:
    zaak = given.een_voorbereid_traject(begin=GISTEREN, eind=VANDAAG, tot=VANDAAG)
    zaak.gestart(GISTEREN)
    zaak.onderbroken(GISTEREN)
    zaak.desk.calendar.set(NOW + timedelta(days=1))
    with pytest.raises(Refused) as refused:
        zaak.hervat(MORGEN)
    assert refused.value.code is Code.DATUM_BUITEN_POK
    zaak.meld(traject.PokGewijzigd(pok_id=POK, begin=GISTEREN, eind=MORGEN, uren=8))
    zaak.pok_ondertekend()
    with pytest.raises(Refused) as refused:
        zaak.hervat(MORGEN)
    assert refused.value.code is Code.ERKENNING_NIET_GELDIG
    zaak.match_erkend(vanaf=MORGEN)
    zaak.hervat(MORGEN)
    assert zaak.status() is Status.GESTART


def test_a_replaced_school_interrupts_and_the_new_one_puts_its_own_papers_in_order() -> None:
    zaak = given.een_lopend_traject()
    zaak.beoordeeld()
    assert _stand_van_zaken(zaak.toegewezen(ANDER_ROC)) == ["betrokkene-toegewezen", "onderbroken"]
    assert (zaak.stand.plan, zaak.stand.ingeschreven, zaak.stand.pok) == (None, False, None)
    papieren: list[Data] = [
        traject.BegeleidingsdocumentVastgesteld(
            crebo=given.CREBO, dossierversie="2024", werkprocessen=PLAN, documenthash=given.HASH
        ),
        traject.InschrijvingBevestigd(brin="25PZ", onderwijslocatie="100X123", datum=VANDAAG),
        traject.PokOpgesteld(pok_id=ANDERE_POK, begin=VANDAAG, eind=MORGEN, uren=8),
        traject.PokOndertekend(
            pok_id=ANDERE_POK,
            handtekeningen=tuple(traject.Handtekening(partij=partij, datum=VANDAAG) for partij in given.ALLE_DRIE),
        ),
    ]
    for papier in papieren:
        with pytest.raises(Refused) as refused:
            zaak.meld(papier, partner=ROC)
        assert refused.value.code is Code.GEEN_PARTIJ
        with pytest.raises(TooEarly):
            zaak.meld(traject.Hervat(datum=VANDAAG), partner=ANDER_ROC)
        zaak.meld(papier, partner=ANDER_ROC)
    with pytest.raises(TooEarly):
        zaak.meld(traject.Hervat(datum=VANDAAG), partner=ANDER_ROC)
    zaak.opdracht_verstrekt(opleider=ANDER_ROC, nummer=ANDERE_OPDRACHT)
    zaak.meld(traject.Hervat(datum=VANDAAG), partner=ANDER_ROC)
    assert zaak.status() is Status.GESTART
    (afgegeven,) = zaak.verklaring_afgegeven(partner=ANDER_ROC)
    assert afgegeven.actor == ANDER_ROC


def test_the_same_school_assigned_again_changes_nothing() -> None:
    zaak = given.een_lopend_traject()
    before = zaak.stand
    assert _stand_van_zaken(zaak.toegewezen(ROC)) == ["betrokkene-toegewezen"]
    assert zaak.stand == before


def test_a_new_workplace_that_is_heard_of_before_the_old_one_lapsed_interrupts_and_replaces() -> None:
    zaak = given.een_lopend_traject()
    facts = zaak.match_bevestigd(ANDERE_MATCH, bij=ZORGHOF)
    assert _stand_van_zaken(facts) == ["onderbroken"]
    assert zaak.status() is Status.GEMATCHT
    assert zaak.match_vervallen() == []
    zaak.match_erkend(ANDERE_MATCH, bij=ZORGHOF)
    assert zaak.status() is Status.ERKEND


def test_an_older_confirmation_that_comes_late_does_not_take_the_workplace_over() -> None:
    zaak = given.een_geschikt_traject()
    eerste = zaak.desk.fact(
        match.Bevestigd(
            trajectnummer=zaak.nummer,
            kvk=given.KVK[BAKKERIJ],
            vestigingsnummer=given.VESTIGING[BAKKERIJ],
            crebo=given.CREBO,
        ),
        subject=given.MATCH,
    )
    zaak.match_bevestigd(ANDERE_MATCH, bij=ZORGHOF)
    zaak.match_erkend(ANDERE_MATCH, bij=ZORGHOF)
    zaak.pok_opgesteld()
    zaak.desk.take_in(eerste)
    assert zaak.stand.werkplek is not None
    assert (zaak.stand.werkplek.match, zaak.status()) == (ANDERE_MATCH, Status.ERKEND)
    assert zaak.stand.betrokkenen.actieve_match == ANDERE_MATCH
    zaak.match_vervallen(given.MATCH)
    assert zaak.stand.pok is not None


def test_a_renewed_recognition_with_another_id_gives_verdicts_too() -> None:
    zaak = given.een_lopend_traject()
    zaak.hoor(
        match.Erkend(
            trajectnummer=zaak.nummer,
            kvk=given.KVK[BAKKERIJ],
            vestigingsnummer=given.VESTIGING[BAKKERIJ],
            crebo=given.CREBO,
            leerbedrijf_id="100999999",
            erkenning_geldig_vanaf=VANDAAG,
            erkenning_geldig_tot=MORGEN,
        ),
        given.MATCH,
    )
    zaak.beoordeeld(leerbedrijf_id="100999999")
    zaak.beoordeeld(PLAN[1])
