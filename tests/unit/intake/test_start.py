"""No start unless everything it needs is there on that date."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from contracts import traject
from contracts.kwalificaties import Kwalificatietabel
from contracts.ontvangst import Code, Waarop
from services.chassis.messages import Refused, TooEarly
from services.intake.traject import Status
from tests.desk import NOW
from tests.unit.intake import given
from tests.unit.intake.given import GISTEREN, MORGEN, VANDAAG, Zaak


def test_a_prepared_traject_starts() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.gestart()
    assert (zaak.status(), zaak.stand.gestart_op) == (Status.GESTART, VANDAAG)


def test_start_waits_for_the_opdracht() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.opdracht_ingetrokken()
    with pytest.raises(TooEarly) as early:
        zaak.gestart()
    assert early.value.waarop is Waarop.TRAJECT_IN_STATUS
    zaak.opdracht_verstrekt()
    zaak.gestart()


@pytest.mark.parametrize(
    "begin",
    [
        given.een_aangemeld_traject,
        given.een_geschikt_traject,
        given.een_gematcht_traject,
        given.een_erkend_traject,
    ],
)
def test_start_waits_for_whatever_may_still_be_on_its_way(begin: Callable[[], Zaak]) -> None:
    with pytest.raises(TooEarly):
        begin().gestart()


def test_start_waits_for_the_last_signature() -> None:
    zaak = given.een_erkend_traject()
    zaak.opdracht_verstrekt()
    zaak.begeleidingsdocument()
    zaak.inschrijving()
    zaak.pok_opgesteld()
    zaak.pok_ondertekend(traject.PokPartij.DEELNEMER, traject.PokPartij.OPLEIDER)
    with pytest.raises(TooEarly):
        zaak.gestart()


def test_a_traject_starts_once() -> None:
    zaak = given.een_lopend_traject()
    with pytest.raises(Refused) as refused:
        zaak.gestart()
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_no_start_in_the_future_not_even_for_a_traject_that_must_wait() -> None:
    for zaak in (given.een_voorbereid_traject(), given.een_erkend_traject()):
        with pytest.raises(Refused) as refused:
            zaak.gestart(MORGEN)
        assert (refused.value.code, refused.value.veld) == (Code.DATUM_ONJUIST, "data.datum")


@pytest.mark.parametrize(
    ("begin", "eind"), [(MORGEN, date(2027, 4, 30)), (GISTEREN - timedelta(days=9), GISTEREN)]
)
def test_no_start_outside_the_period_of_the_pok(begin: date, eind: date) -> None:
    zaak = given.een_voorbereid_traject(begin=begin, eind=eind)
    with pytest.raises(Refused) as refused:
        zaak.gestart()
    assert refused.value.code is Code.DATUM_BUITEN_POK


@pytest.mark.parametrize(("begin", "eind"), [(VANDAAG, VANDAAG), (GISTEREN, VANDAAG), (VANDAAG, MORGEN)])
def test_the_first_and_the_last_day_of_the_pok_are_in_it(begin: date, eind: date) -> None:
    zaak = given.een_voorbereid_traject(begin=begin, eind=eind)
    zaak.gestart()
    assert zaak.status() is Status.GESTART


def test_no_start_before_everybody_had_signed() -> None:
    zaak = given.een_voorbereid_traject(begin=GISTEREN - timedelta(days=30))
    with pytest.raises(Refused) as refused:
        zaak.gestart(GISTEREN - timedelta(days=1))
    assert refused.value.code is Code.DATUM_ONJUIST


def test_no_start_after_the_recognition_ended() -> None:
    zaak = given.een_voorbereid_traject(tot=GISTEREN)
    with pytest.raises(Refused) as refused:
        zaak.gestart()
    assert (refused.value.code, refused.value.veld) == (Code.ERKENNING_NIET_GELDIG, "data.datum")
    zaak.gestart(GISTEREN)


def test_no_start_before_the_recognition_begins() -> None:
    zaak = given.een_voorbereid_traject(vanaf=MORGEN)
    with pytest.raises(Refused) as refused:
        zaak.gestart()
    assert (refused.value.code, refused.value.veld) == (Code.ERKENNING_NIET_GELDIG, "data.datum")
    zaak.desk.calendar.set(NOW + timedelta(days=1))
    zaak.gestart(MORGEN)
    assert zaak.status() is Status.GESTART


def test_a_start_is_judged_by_the_recognition_that_was_valid_on_its_date() -> None:
    zaak = given.een_voorbereid_traject(tot=GISTEREN)
    zaak.match_erkend(vanaf=MORGEN)
    with pytest.raises(Refused) as refused:
        zaak.gestart(VANDAAG)
    assert refused.value.code is Code.ERKENNING_NIET_GELDIG
    zaak.gestart(GISTEREN)
    assert zaak.status() is Status.GESTART


def test_no_start_with_a_plan_of_another_crebo() -> None:
    zaak = given.een_voorbereid_traject(crebo=given.ANDERE_CREBO)
    with pytest.raises(Refused) as refused:
        zaak.gestart()
    assert refused.value.code is Code.CREBO_WIJKT_AF
    zaak.begeleidingsdocument()
    zaak.gestart()


def test_no_start_when_the_qualification_table_has_changed() -> None:
    zaak = given.een_voorbereid_traject()
    tabel = zaak.desk.work.kwalificaties.model_dump()
    for kwalificatie in tabel["kwalificaties"]:
        kwalificatie["werkprocessen"] = {"B1-K1-W1"}
    zaak.desk.work.kwalificaties = Kwalificatietabel.model_validate(tabel)
    with pytest.raises(Refused) as refused:
        zaak.gestart()
    assert refused.value.code is Code.WERKPROCES_ONBEKEND


def test_no_start_after_the_end() -> None:
    zaak = given.een_voorbereid_traject()
    zaak.teruggetrokken()
    with pytest.raises(Refused) as refused:
        zaak.gestart()
    assert refused.value.code is Code.STATUS_PAST_NIET
