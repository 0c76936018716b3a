"""The mail table of the domain: who gets which mail when, and who does not."""

from datetime import date

import pytest

from contracts import erkenning, traject
from contracts.fields import Categorie, Rol
from contracts.model import Data
from services.chassis.messages import Effect, Fact
from services.notify.handlers import service
from services.notify.mails import DEELNEMER, MAIL, Mail, Soort
from tests.desk import REGISTRY, Desk
from tests.unit.notify.given import (
    BAKERY,
    BEGIN,
    COACH,
    DATAREF,
    EIND,
    FINANCIER,
    GREENPORT,
    GREENPORT_AT,
    LOKET,
    OTHER_SCHOOL,
    RMC,
    SBB,
    SCHOOL,
    SHOP_AT,
    WSP,
    a_fact,
    a_matched_traject,
    a_number,
    a_payment_order,
    a_pok,
    a_rejection,
    a_request,
    an_invoice,
    assigned,
    at_notify,
    confirmation,
    everything,
    issued,
    lapse,
    mails,
    paid,
    registered,
    registration,
    without_mail,
)


def gegevens(desk: Desk) -> dict[str, str]:
    """What the one text that was sent needs."""
    (found,) = {tuple(sorted(Mail.of(effect).gegevens.items())) for effect in desk.effects}
    return dict(found)


def nummers(desk: Desk) -> set[str]:
    return {Mail.of(effect).nummer for effect in desk.effects}


@pytest.mark.parametrize("partner", [WSP, RMC, BAKERY, FINANCIER])
def test_registration_is_confirmed_to_the_way_in_whoever_that_is(partner: str) -> None:
    desk = at_notify()
    nummer = registered(desk, partner)
    assert nummers(desk) == {nummer}
    assert mails(desk) == {Soort.AANGEMELD: {partner}}


def test_a_fit_participant_sets_the_wsp_to_work() -> None:
    desk = at_notify()
    nummer = registered(desk, RMC)
    assigned(desk, nummer)
    mails(desk)
    desk.hear(traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT), subject=nummer)
    assert nummers(desk) == {nummer}
    assert mails(desk) == {Soort.ZOEK_WERKPLEK: {WSP}}


def test_a_participant_who_is_referred_sets_nobody_to_work() -> None:
    desk = at_notify()
    nummer = registered(desk)
    assigned(desk, nummer)
    mails(desk)
    referral = traject.IntakeAfgerond(
        uitkomst=traject.Uitkomst.NIET_GESCHIKT, verwezen_naar=traject.Verwijzing.RMC
    )
    desk.hear(referral, subject=nummer)
    assert mails(desk) == {}


def test_a_request_for_recognition_goes_to_sbb_under_its_own_number_with_crebo_and_term() -> None:
    desk = at_notify()
    nummer = a_number("ER")
    desk.hear(a_request(), subject=nummer)
    assert nummers(desk) == {nummer}
    assert gegevens(desk) == {"crebo": "25252", "uiterlijk": "2026-11-16"}
    assert mails(desk) == {Soort.CONTROLEER_LEERBEDRIJF: {SBB}}


def test_an_answer_of_sbb_is_not_mailed_to_sbb() -> None:
    desk = at_notify()
    nummer = a_number("ER")
    desk.hear(a_request(), subject=nummer)
    mails(desk)
    refusal = erkenning.Geweigerd(datum=date(2026, 11, 9), redencode=erkenning.Weigerreden.OVERIG)
    desk.hear(refusal, subject=nummer)
    assert mails(desk) == {}


def test_refused_recognition_sends_wsp_coach_and_school_to_look_for_another_place() -> None:
    desk = at_notify()
    trajectnummer, matchnummer = a_matched_traject(desk)
    desk.hear(lapse(trajectnummer, Categorie.ERKENNING), subject=matchnummer, actor="matching")
    assert nummers(desk) == {trajectnummer}
    assert mails(desk) == {Soort.BEDRIJF_KAN_NIET: {WSP, COACH, SCHOOL}}


@pytest.mark.parametrize("categorie", [c for c in Categorie if c is not Categorie.ERKENNING])
def test_a_match_that_lapses_otherwise_is_not_mailed_about(categorie: Categorie) -> None:
    desk = at_notify()
    trajectnummer, matchnummer = a_matched_traject(desk)
    desk.hear(lapse(trajectnummer, categorie), subject=matchnummer)
    assert mails(desk) == {}


def test_a_pok_is_signed_by_employer_and_school_within_ten_working_days() -> None:
    desk = at_notify()
    trajectnummer, _ = a_matched_traject(desk)
    desk.hear(a_pok(), subject=trajectnummer)
    assert gegevens(desk) == {"uiterlijk": "2026-11-16"}
    assert mails(desk) == {Soort.HANDTEKENING: {BAKERY, SCHOOL}}


def test_the_wsp_sees_to_the_signature_of_an_employer_without_a_system() -> None:
    desk = at_notify()
    trajectnummer, _ = a_matched_traject(desk, SHOP_AT)
    desk.hear(a_pok(), subject=trajectnummer)
    assert mails(desk) == {Soort.HANDTEKENING: {SCHOOL}, Soort.HANDTEKENING_WERKGEVER: {WSP}}


def test_the_employer_of_a_lapsed_match_is_not_asked_to_sign() -> None:
    desk = at_notify()
    trajectnummer, matchnummer = a_matched_traject(desk)
    desk.hear(lapse(trajectnummer, Categorie.WERKGEVER), subject=matchnummer)
    desk.hear(confirmation(trajectnummer, GREENPORT_AT), subject=a_number("M"))
    desk.hear(a_pok(), subject=trajectnummer)
    assert mails(desk) == {Soort.HANDTEKENING: {GREENPORT, SCHOOL}}


def test_all_involved_hear_of_the_start_and_the_planned_end() -> None:
    desk = at_notify()
    trajectnummer, _ = a_matched_traject(desk, toegangspartner=RMC)
    desk.hear(a_pok(), subject=trajectnummer)
    mails(desk)
    desk.hear(traject.Gestart(datum=BEGIN), subject=trajectnummer)
    assert gegevens(desk) == {"begin": BEGIN.isoformat(), "eind": EIND.isoformat()}
    assert mails(desk) == {Soort.BEGONNEN: {RMC, WSP, COACH, SCHOOL, BAKERY, LOKET}}


def test_the_planned_end_is_that_of_the_changed_pok() -> None:
    desk = at_notify()
    trajectnummer, _ = a_matched_traject(desk)
    desk.hear(a_pok(), subject=trajectnummer)
    later = date(2027, 6, 30)
    desk.hear(traject.PokGewijzigd(**a_pok(later).model_dump()), subject=trajectnummer)
    desk.effects.clear()
    desk.hear(traject.Gestart(datum=BEGIN), subject=trajectnummer)
    assert gegevens(desk)["eind"] == later.isoformat()


def test_a_way_in_that_may_not_read_the_traject_does_not_hear_of_its_start() -> None:
    desk = at_notify()
    trajectnummer, _ = a_matched_traject(desk, toegangspartner=FINANCIER)
    desk.hear(traject.Gestart(datum=BEGIN), subject=trajectnummer)
    assert FINANCIER not in mails(desk)[Soort.BEGONNEN]


def test_a_party_that_was_replaced_gets_no_more_mail() -> None:
    desk = at_notify()
    trajectnummer, _ = a_matched_traject(desk)
    replacement = traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=OTHER_SCHOOL)
    desk.hear(replacement, subject=trajectnummer)
    desk.hear(a_pok(), subject=trajectnummer)
    assert mails(desk) == {Soort.HANDTEKENING: {BAKERY, OTHER_SCHOOL}}


@pytest.mark.parametrize("fact", [traject.Onderbroken, traject.Uitgevallen])
def test_a_stop_is_for_coach_and_coordinatie_to_discuss_within_two_working_days(
    fact: type[traject.Onderbroken] | type[traject.Uitgevallen],
) -> None:
    desk = at_notify()
    trajectnummer, _ = a_matched_traject(desk)
    desk.hear(fact(datum=BEGIN, categorie=Categorie.DEELNEMER), subject=trajectnummer)
    assert gegevens(desk) == {"uiterlijk": "2026-11-04"}
    assert mails(desk) == {Soort.ACTIE_NODIG: {COACH, LOKET}}


def test_the_school_hears_which_rules_its_invoice_breaks() -> None:
    desk = at_notify()
    mine, _ = an_invoice(desk), an_invoice(desk, OTHER_SCHOOL)
    desk.hear(a_rejection("BR-NL-1", "BR-CO-10"), subject=mine)
    assert nummers(desk) == {mine}
    assert gegevens(desk) == {"regelcodes": "BR-NL-1, BR-CO-10"}
    assert mails(desk) == {Soort.FACTUUR_AANPASSEN: {SCHOOL}}


def test_the_school_hears_that_its_invoice_is_paid_when_and_under_which_reference() -> None:
    desk = at_notify()
    mine, other = an_invoice(desk), an_invoice(desk, OTHER_SCHOOL)
    payment, _ = a_payment_order(desk, mine), a_payment_order(desk, other, OTHER_SCHOOL)
    desk.hear(paid(mine), subject=payment)
    assert nummers(desk) == {mine}
    assert gegevens(desk) == {"datum": "2026-11-12", "kenmerk": "RF18539007547034"}
    assert mails(desk) == {Soort.FACTUUR_BETAALD: {SCHOOL}}


def test_who_wants_no_mail_gets_none_and_nobody_gets_it_instead() -> None:
    desk = at_notify(without_mail(BAKERY))
    trajectnummer, _ = a_matched_traject(desk)
    desk.hear(a_pok(), subject=trajectnummer)
    assert mails(desk) == {Soort.HANDTEKENING: {SCHOOL}}


def test_a_match_of_a_traject_that_is_not_known_yet_is_tried_again() -> None:
    """Facts of two streams may come in either order; else the employer would never become a party."""
    desk = at_notify()
    trajectnummer, matchnummer = a_number("PV"), a_number("M")
    with pytest.raises(LookupError, match=trajectnummer):
        desk.hear(confirmation(trajectnummer), subject=matchnummer)
    desk.hear(registration(), subject=trajectnummer)
    assigned(desk, trajectnummer)
    desk.hear(confirmation(trajectnummer), subject=matchnummer)
    mails(desk)
    desk.hear(a_pok(), subject=trajectnummer)
    assert mails(desk) == {Soort.HANDTEKENING: {BAKERY, SCHOOL}}


def keys(desk: Desk, fact: Fact[Data]) -> list[str]:
    follows = service.on_fact[fact.type](fact, desk.work)
    return [item.key for item in follows if isinstance(item, Effect)]


def test_each_fact_and_recipient_have_a_key_of_their_own_that_a_repetition_repeats() -> None:
    """What is recorded under a key that is there already stays as it is: one mail."""
    desk = at_notify()
    found: list[str] = []
    for data, subject in everything(desk):
        fact = a_fact(data, subject)
        assert keys(desk, fact) == keys(desk, fact) != []
        found += [*keys(desk, fact), *keys(desk, a_fact(data, subject))]
    assert len(found) == len(set(found))


def test_no_effect_holds_an_address_a_name_or_an_employer() -> None:
    desk = at_notify()
    for data, subject in everything(desk):
        desk.hear(data, subject=subject)
    stored = " ".join(f"{effect.key} {effect.payload}" for effect in desk.effects)
    assert all(effect.kind == MAIL for effect in desk.effects)
    for secret in [*(p.contact for p in REGISTRY.partners), *(p.naam for p in REGISTRY.partners if p.id != SBB)]:
        assert secret not in stored
    for secret in ("51000001", "000051000001", "@"):
        assert secret not in stored


def test_notify_follows_no_more_than_it_mails_about_or_waits_for() -> None:
    assert service.entities_heard() == ("betaling", "erkenning", "factuur", "match", "traject", "verklaring")


def test_participant_gets_the_good_news_and_nobody_else_does() -> None:
    desk = at_notify()
    nummer = registered(desk, dataref=DATAREF)
    assigned(desk, nummer)
    mails(desk)
    desk.hear(issued(nummer), subject=a_number("VK"))
    (effect,) = desk.effects
    mail = Mail.of(effect)
    assert (mail.soort, mail.aan, mail.nummer, mail.dataref) == (Soort.GOED_NIEUWS, DEELNEMER, nummer, DATAREF)


def test_participant_signs_too() -> None:
    desk = at_notify()
    nummer = registered(desk, dataref=DATAREF)
    assigned(desk, nummer)
    desk.hear(confirmation(nummer), subject=a_number("M"))
    mails(desk)
    desk.hear(a_pok(), subject=nummer)
    assert mails(desk) == {Soort.HANDTEKENING: {BAKERY, SCHOOL, DEELNEMER}}


def test_participant_whose_data_is_erased_gets_no_mail() -> None:
    desk = at_notify()
    nummer = registered(desk, dataref=DATAREF)
    desk.hear(traject.GegevensGewist(redencode=traject.Wisreden.VERZOEK), subject=nummer)
    mails(desk)
    desk.hear(issued(nummer), subject=a_number("VK"))
    assert mails(desk) == {}


def test_participant_is_named_in_a_request_to_mail_by_an_address_of_intake_alone() -> None:
    desk = at_notify()
    nummer = registered(desk, dataref=DATAREF)
    mails(desk)
    desk.hear(issued(nummer), subject=a_number("VK"))
    assert desk.effects[0].payload == {
        "soort": "goed-nieuws",
        "aan": DEELNEMER,
        "nummer": nummer,
        "dataref": DATAREF,
    }


def test_coordinatie_is_told_of_a_possible_double_and_not_of_the_other_number() -> None:
    desk = at_notify()
    een, ander = registered(desk), registered(desk)
    desk.effects.clear()
    desk.hear(traject.MogelijkDubbel(ander_trajectnummer=een), subject=ander)
    assert nummers(desk) == {ander}
    assert gegevens(desk) == {}
    assert mails(desk) == {Soort.MOGELIJK_DUBBEL: {LOKET}}
