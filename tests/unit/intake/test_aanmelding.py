"""Registration, parties and the intake talk."""

import pytest

from contracts import match, traject
from contracts.fields import Rol, Sector
from contracts.ontvangst import Code, Waarop
from services.chassis.messages import AlreadyKnown, Keep, On, Refused, TooEarly
from services.intake.traject import Status, Traject
from tests.desk import REGISTRY
from tests.unit.intake import given
from tests.unit.intake.given import ANDER_ROC, COACH, LOKET, ROC, WSP, Zaak


def test_a_registration_draws_a_trajectnummer_and_opens_a_case() -> None:
    zaak = Zaak()
    aangemeld, *_ = zaak.aangemeld(partner="rmc-noord-limburg")
    assert zaak.nummer.startswith("PV-")
    assert zaak.status() is Status.AANGEMELD
    assert zaak.stand.betrokkenen.correlationid == aangemeld.correlationid


def test_person_data_is_kept_by_intake_and_does_not_travel() -> None:
    zaak = Zaak()
    facts = zaak.aangemeld()
    assert zaak.desk.keeps == [Keep(zaak.stand.persoon or "", given.JWE)]
    assert facts[0].dataref == f"https://intake.example/personen/{zaak.stand.persoon}"
    assert not any(given.JWE in fact.data.model_dump_json() for fact in facts)


def test_the_only_partner_in_a_role_is_assigned_at_once() -> None:
    _, *toegewezen = Zaak().aangemeld()
    assert [fact.data for fact in toegewezen] == [
        traject.BetrokkeneToegewezen(rol=Rol.WSP, partner=WSP),
        traject.BetrokkeneToegewezen(rol=Rol.COACH, partner=COACH),
    ]


def test_whoever_is_assigned_learns_where_the_person_data_is() -> None:
    zaak = Zaak()
    aangemeld, *_ = zaak.aangemeld()
    (toegewezen,) = zaak.toegewezen()
    assert toegewezen.dataref == aangemeld.dataref


def test_a_repeated_registration_is_recognised_by_its_reference() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    with pytest.raises(AlreadyKnown) as known:
        Zaak(zaak.desk).aangemeld(referentie="a-1")
    assert known.value.subject == zaak.nummer


def test_two_partners_may_use_the_same_reference() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    ander = Zaak(zaak.desk)
    ander.aangemeld(partner=ROC, referentie="a-1")
    assert ander.nummer != zaak.nummer


def test_a_reference_is_not_used_again_for_something_else() -> None:
    zaak = Zaak()
    zaak.aangemeld(referentie="a-1")
    anders = given.AANMELDING.model_copy(update={"sectorwens": Sector.ZORG})
    with pytest.raises(Refused) as refused:
        zaak.desk.submit(traject.Aangemeld, anders, partner=COACH, referentie="a-1")
    assert (refused.value.code, refused.value.veld) == (Code.REFERENTIE_HERGEBRUIKT, "referentie")


def test_the_way_in_reads_the_registration_and_what_follows() -> None:
    zaak = Zaak()
    aangemeld, *_ = zaak.aangemeld(partner="loopbaancentrum")
    (afgerond,) = zaak.intake_afgerond()
    assert zaak.lezers(aangemeld) == {"loopbaancentrum", LOKET}
    assert zaak.lezers(afgerond) == {"loopbaancentrum", LOKET, COACH, WSP}


def test_a_new_party_reads_its_own_assignment_and_a_replaced_one_nothing_more() -> None:
    zaak = given.een_aangemeld_traject()
    (vervangen,) = zaak.toegewezen(ANDER_ROC)
    (afgerond,) = zaak.intake_afgerond()
    for fact in (vervangen, afgerond):
        assert ANDER_ROC in zaak.lezers(fact)
        assert ROC not in zaak.lezers(fact)


def test_a_replaced_party_may_not_act_any_more() -> None:
    zaak = given.een_geschikt_traject()
    zaak.toegewezen(ANDER_ROC)
    with pytest.raises(Refused) as refused:
        zaak.inschrijving()
    assert refused.value.code is Code.GEEN_PARTIJ


@pytest.mark.parametrize(
    ("partner", "rol", "code", "veld"),
    [
        ("niemand", Rol.OPLEIDER, Code.PARTNER_ONBEKEND, "data.partner"),
        (WSP, Rol.OPLEIDER, Code.PARTNER_MIST_ROL, "data.partner"),
        ("zorghof", Rol.WERKGEVER, Code.VELD_ONGELDIG, "data.rol"),
        ("sbb", Rol.SBB, Code.VELD_ONGELDIG, "data.rol"),
    ],
)
def test_only_a_partner_with_an_assignable_role_is_assigned(partner: str, rol: Rol, code: Code, veld: str) -> None:
    zaak = Zaak()
    zaak.aangemeld()
    with pytest.raises(Refused) as refused:
        zaak.toegewezen(partner, rol)
    assert (refused.value.code, refused.value.veld) == (code, veld)


def test_the_intake_talk_decides_whether_somebody_fits() -> None:
    zaak = given.een_geschikt_traject()
    assert zaak.status() is Status.GESCHIKT


def test_whoever_does_not_fit_is_referred_and_the_referral_reads_it() -> None:
    zaak = given.een_aangemeld_traject()
    (afgerond,) = zaak.intake_afgerond(given.NIET_GESCHIKT)
    assert zaak.status() is Status.NIET_GESCHIKT
    assert "rmc-noord-limburg" in zaak.lezers(afgerond)


def test_the_intake_is_done_once() -> None:
    zaak = given.een_geschikt_traject()
    with pytest.raises(Refused) as refused:
        zaak.intake_afgerond()
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_what_is_about_an_unknown_traject_waits_for_it() -> None:
    zaak = Zaak(nummer=given.ONBEKEND)
    with pytest.raises(TooEarly) as early:
        zaak.intake_afgerond()
    assert early.value.waarop is Waarop.TRAJECT_BEKEND
    assert early.value.on == On(Traject, given.ONBEKEND)


def test_facts_about_an_unknown_traject_change_nothing() -> None:
    zaak = given.een_aangemeld_traject()
    before = zaak.stand
    andere = Zaak(zaak.desk, given.ONBEKEND)
    zaak.desk.hear(
        match.Afgewezen(trajectnummer=andere.nummer),
        subject=given.MATCH,
        correlationid=before.betrokkenen.correlationid,
    )
    assert zaak.desk.work.get(Traject, andere.nummer) is None
    assert zaak.stand == before


def test_nobody_is_assigned_where_a_region_has_two_partners_in_a_role() -> None:
    assert len(REGISTRY.in_role(Rol.OPLEIDER)) == 2
    zaak = Zaak()
    zaak.aangemeld()
    assert zaak.stand.opleider is None
