"""The verklaring: only over what was mastered, by the traject's own school alone."""

from datetime import date, timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from contracts import traject, verklaring
from contracts.fields import number_from
from contracts.ontvangst import Code, Waarop
from services.chassis.messages import Refused, TooEarly
from services.intake.traject import Status
from services.intake.verklaring import Verklaring
from tests.unit.intake import given
from tests.unit.intake.given import (
    ANDER_ROC,
    BAKKERIJ,
    COACH,
    GISTEREN,
    LOKET,
    MORGEN,
    PLAN,
    ROC,
    VANDAAG,
    Zaak,
)

BEHEERST, NOG_NIET = traject.Beoordeling.BEHEERST, traject.Beoordeling.NOG_NIET


def _beoordeeld(*beheerst: str) -> Zaak:
    zaak = given.een_lopend_traject()
    for werkproces in beheerst:
        zaak.beoordeeld(werkproces, datum=GISTEREN)
    return zaak


def test_a_verklaring_draws_its_number_and_completes_the_traject() -> None:
    zaak = _beoordeeld(PLAN[0], PLAN[2])
    (afgegeven,) = zaak.verklaring_afgegeven(PLAN[0])
    assert afgegeven.subject.startswith("VK-")
    assert afgegeven.correlationid == zaak.stand.betrokkenen.correlationid
    assert afgegeven.data == verklaring.Afgegeven(
        trajectnummer=zaak.nummer,
        opleider=ROC,
        crebo=given.CREBO,
        dossierversie="2024",
        werkprocessen=PLAN[:1],
        datum=VANDAAG,
        documenthash=given.HASH,
    )
    assert (zaak.status(), zaak.stand.verklaring) == (Status.AFGEROND, afgegeven.subject)


def test_coach_school_employer_and_region_read_it_and_nobody_else() -> None:
    zaak = _beoordeeld(PLAN[0])
    (afgegeven,) = zaak.verklaring_afgegeven()
    assert zaak.lezers(afgegeven) == {COACH, ROC, BAKKERIJ, LOKET}


@for_all(
    st.lists(st.tuples(st.sampled_from(PLAN), st.booleans()), max_size=8),
    st.lists(st.sampled_from(PLAN), min_size=1, max_size=5),
)
def test_a_verklaring_is_only_ever_over_mastered_werkprocessen(
    oordelen: list[tuple[str, bool]], gevraagd: list[str]
) -> None:
    zaak = given.een_lopend_traject()
    for werkproces, beheerst in oordelen:
        zaak.beoordeeld(werkproces, BEHEERST if beheerst else NOG_NIET)
    laatste = dict(oordelen)
    if all(laatste.get(werkproces) for werkproces in gevraagd):
        (afgegeven,) = zaak.verklaring_afgegeven(*gevraagd)
        assert isinstance(afgegeven.data, verklaring.Afgegeven)
        assert sorted(afgegeven.data.werkprocessen) == sorted(set(gevraagd))
    else:
        with pytest.raises(Refused) as refused:
            zaak.verklaring_afgegeven(*gevraagd)
        assert refused.value.code is Code.WERKPROCES_NIET_BEHEERST
        assert zaak.status() is Status.GESTART


def test_a_werkproces_outside_the_plan_is_not_stated() -> None:
    with pytest.raises(Refused) as refused:
        _beoordeeld(PLAN[0]).verklaring_afgegeven(PLAN[0], "B1-K1-W4")
    assert refused.value.code is Code.WERKPROCES_NIET_IN_PLAN


def test_another_school_states_nothing() -> None:
    zaak = _beoordeeld(PLAN[0])
    with pytest.raises(Refused) as refused:
        zaak.verklaring_afgegeven(partner=ANDER_ROC)
    assert refused.value.code is Code.GEEN_PARTIJ
    data = verklaring.AfgegevenInzending(
        trajectnummer=zaak.nummer, werkprocessen=PLAN[:1], datum=VANDAAG, documenthash=given.HASH
    )
    with pytest.raises(Refused) as refused:
        Verklaring.afgegeven(zaak.stand, data, ANDER_ROC, VANDAAG)
    assert refused.value.code is Code.OPLEIDER_WIJKT_AF


@pytest.mark.parametrize("datum", [MORGEN, GISTEREN - timedelta(days=1)])
def test_a_verklaring_is_dated_between_the_last_verdict_and_today(datum: date) -> None:
    with pytest.raises(Refused) as refused:
        _beoordeeld(PLAN[0]).verklaring_afgegeven(datum=datum)
    assert refused.value.code is Code.DATUM_ONJUIST


def test_a_verklaring_waits_for_the_start_and_for_a_resumption() -> None:
    for zaak in (given.een_voorbereid_traject(), given.een_onderbroken_traject()):
        with pytest.raises(TooEarly):
            zaak.verklaring_afgegeven()


def test_a_verklaring_waits_for_its_traject() -> None:
    with pytest.raises(TooEarly) as early:
        Zaak(nummer=given.ONBEKEND).verklaring_afgegeven()
    assert early.value.waarop is Waarop.TRAJECT_BEKEND


def test_a_traject_has_one_verklaring_at_a_time() -> None:
    with pytest.raises(Refused) as refused:
        given.een_afgerond_traject().verklaring_afgegeven()
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_a_correction_is_a_withdrawal_and_a_new_verklaring() -> None:
    zaak = _beoordeeld(*PLAN)
    (eerste,) = zaak.verklaring_afgegeven(PLAN[0])
    (ingetrokken,) = zaak.verklaring_ingetrokken(eerste.subject)
    assert (ingetrokken.subject, ingetrokken.sequence) == (eerste.subject, 2)
    assert not zaak.gegeven_verklaring(eerste.subject).geldig
    assert (zaak.status(), zaak.stand.verklaring) == (Status.GESTART, None)
    (tweede,) = zaak.verklaring_afgegeven(PLAN[1])
    assert tweede.subject != eerste.subject
    assert zaak.stand.verklaring == tweede.subject


def test_a_verklaring_is_withdrawn_once() -> None:
    zaak = _beoordeeld(PLAN[0])
    (eerste,) = zaak.verklaring_afgegeven()
    zaak.verklaring_ingetrokken(eerste.subject)
    zaak.verklaring_afgegeven()
    with pytest.raises(Refused) as refused:
        zaak.verklaring_ingetrokken(eerste.subject)
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_a_closed_traject_keeps_its_verklaring() -> None:
    zaak = given.een_afgerond_traject()
    nummer = zaak.stand.verklaring or ""
    zaak.gesloten()
    with pytest.raises(Refused):
        zaak.verklaring_ingetrokken(nummer)
    zaak.heropend()
    zaak.verklaring_ingetrokken(nummer)
    assert zaak.status() is Status.GESTART


def test_a_withdrawal_waits_for_its_verklaring() -> None:
    nummer = number_from("VK", "ZZZZZZZZZ")
    with pytest.raises(TooEarly) as early:
        given.een_lopend_traject().verklaring_ingetrokken(nummer)
    assert early.value.waarop is Waarop.VERKLARING_BEKEND


def test_a_withdrawal_is_dated_between_the_verklaring_and_today() -> None:
    zaak = given.een_afgerond_traject()
    for datum in (MORGEN, GISTEREN):
        with pytest.raises(Refused) as refused:
            zaak.verklaring_ingetrokken(zaak.stand.verklaring or "", datum=datum)
        assert refused.value.code is Code.DATUM_ONJUIST


def test_another_school_withdraws_nothing() -> None:
    zaak = given.een_afgerond_traject()
    with pytest.raises(Refused) as refused:
        zaak.verklaring_ingetrokken(zaak.stand.verklaring or "", partner=ANDER_ROC)
    assert refused.value.code is Code.GEEN_PARTIJ
