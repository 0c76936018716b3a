"""The match: proposing, confirming, declining, lapsing, replacing."""

import pytest

from contracts import match, traject, verklaring
from contracts.fields import Categorie, Rol
from contracts.ontvangst import Code, Waarop
from services.chassis.messages import AlreadyKnown, On, Refused, TooEarly
from services.matching.match import Match, Status
from services.matching.trajectbeeld import Trajectbeeld
from tests.desk import Desk
from tests.unit.matching.given import (
    BAKERY,
    CASE,
    COACH,
    GREENPORT,
    GREENPORT_AT,
    SBB,
    SCHOOL,
    SHOP_AT,
    TODAY,
    WSP,
    a_fit_traject,
    a_number,
    a_proposal,
    assigned,
    at_matching,
    confirm,
    confirmed,
    dropped_out,
    found_fit,
    let_lapse,
    proposed,
    registered,
    told,
)


def status_of(desk: Desk, matchnummer: str) -> Status:
    return desk.state(Match, matchnummer).status


def issued(desk: Desk, trajectnummer: str, nummer: str) -> None:
    desk.hear(
        verklaring.Afgegeven(
            trajectnummer=trajectnummer,
            opleider=SCHOOL,
            crebo="25252",
            dossierversie="2024",
            werkprocessen=("B1-K1-W1",),
            datum=TODAY,
            documenthash="sha256:" + "0" * 64,
        ),
        subject=nummer,
    )


def test_proposal_reaches_the_parties_of_the_traject_and_that_employer() -> None:
    desk = at_matching()
    (fact,) = desk.submit(match.Voorgesteld, a_proposal(a_fit_traject(desk)), partner=WSP)
    assert fact.correlationid == CASE
    assert desk.readers[fact.id] == {WSP, COACH, SCHOOL, BAKERY, "leerwerkloket"}


def test_proposal_for_an_unknown_traject_waits_for_it() -> None:
    desk = at_matching()
    unknown = a_number("PV")
    with pytest.raises(TooEarly) as early:
        desk.submit(match.Voorgesteld, a_proposal(unknown), partner=WSP)
    assert (early.value.waarop, early.value.on) == (Waarop.TRAJECT_BEKEND, On(Trajectbeeld, unknown))


def test_proposal_waits_until_the_traject_has_a_wsp() -> None:
    desk = at_matching()
    nummer = registered(desk)
    with pytest.raises(TooEarly) as early:
        desk.submit(match.Voorgesteld, a_proposal(nummer), partner=WSP)
    assert early.value.on == On(Trajectbeeld, nummer)


def test_proposal_waits_until_the_intake_is_done() -> None:
    desk = at_matching()
    nummer = registered(desk)
    assigned(desk, nummer)
    with pytest.raises(TooEarly) as early:
        desk.submit(match.Voorgesteld, a_proposal(nummer), partner=WSP)
    assert (early.value.waarop, early.value.on) == (Waarop.TRAJECT_IN_STATUS, On(Trajectbeeld, nummer))
    found_fit(desk, nummer)
    assert proposed(desk, nummer)


def test_traject_that_ended_takes_no_proposal_until_it_is_reopened() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    dropped_out(desk, nummer)
    with pytest.raises(Refused) as refused:
        proposed(desk, nummer)
    assert refused.value.code is Code.STATUS_PAST_NIET
    desk.hear(traject.Heropend(redencode=traject.Heropenreden.NIEUWE_KANS), subject=nummer)
    assert proposed(desk, nummer)


def test_traject_with_its_verklaring_takes_no_proposal() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    issued(desk, nummer, a_number("VK"))
    with pytest.raises(Refused) as refused:
        proposed(desk, nummer)
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_crebo_outside_the_table_is_refused() -> None:
    desk = at_matching()
    with pytest.raises(Refused) as refused:
        proposed(desk, a_fit_traject(desk), crebo="99999")
    assert (refused.value.code, refused.value.veld) == (Code.CREBO_ONBEKEND, "data.crebo")


def test_proposal_of_another_wsp_waits_a_day_for_word_that_it_was_assigned() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.WSP, partner="wsp-elders"), subject=nummer)
    with pytest.raises(TooEarly) as early:
        proposed(desk, nummer)
    assert (early.value.on, early.value.days) == (On(Trajectbeeld, nummer), 1)
    assert early.value.anders is Code.GEEN_PARTIJ
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.WSP, partner=WSP), subject=nummer)
    assert proposed(desk, nummer)


def test_who_has_another_role_never_becomes_the_one_to_propose() -> None:
    desk = at_matching()
    bakery = proposed(desk, a_fit_traject(desk))
    with pytest.raises(Refused) as refused:
        let_lapse(desk, bakery, by=GREENPORT)
    assert refused.value.code is Code.GEEN_PARTIJ


def test_repeated_referentie_is_the_same_proposal() -> None:
    desk = at_matching()
    data = a_proposal(a_fit_traject(desk))
    (first,) = desk.submit(match.Voorgesteld, data, partner=WSP, referentie="plek-1")
    with pytest.raises(AlreadyKnown) as known:
        desk.submit(match.Voorgesteld, data, partner=WSP, referentie="plek-1")
    assert known.value.subject == first.subject


def test_referentie_of_something_else_is_refused() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    desk.submit(match.Voorgesteld, a_proposal(nummer), partner=WSP, referentie="plek-1")
    with pytest.raises(Refused) as refused:
        desk.submit(match.Voorgesteld, a_proposal(nummer, GREENPORT_AT), partner=WSP, referentie="plek-1")
    assert refused.value.code is Code.REFERENTIE_HERGEBRUIKT


def test_first_confirmation_lapses_the_other_proposals_of_that_traject_only() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    bakery, greenport = proposed(desk, nummer), proposed(desk, nummer, GREENPORT_AT)
    elsewhere = proposed(desk, a_fit_traject(desk), GREENPORT_AT)
    facts = confirm(desk, bakery)
    assert told(facts)[:2] == [("match.bevestigd", bakery), ("match.vervallen", greenport)]
    assert isinstance(facts[1].data, match.Vervallen)
    assert facts[1].data.categorie is Categorie.OVERIG
    assert GREENPORT in desk.readers[facts[1].id]
    assert BAKERY not in desk.readers[facts[1].id]
    assert status_of(desk, elsewhere) is Status.VOORGESTELD


def test_second_confirmation_comes_too_late_for_good() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    bakery, greenport = proposed(desk, nummer), proposed(desk, nummer, GREENPORT_AT)
    confirm(desk, bakery)
    with pytest.raises(Refused) as refused:
        confirm(desk, greenport, by=GREENPORT)
    assert refused.value.code is Code.STATUS_PAST_NIET
    assert desk.state(Trajectbeeld, nummer).betrokkenen.actieve_match == bakery


def test_no_proposal_while_a_match_is_active() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    confirm(desk, proposed(desk, nummer))
    with pytest.raises(Refused) as refused:
        proposed(desk, nummer, GREENPORT_AT)
    assert refused.value.code is Code.ANDERE_MATCH_ACTIEF


def test_employer_confirms_its_own_matches_only() -> None:
    desk = at_matching()
    bakery = proposed(desk, a_fit_traject(desk))
    with pytest.raises(Refused) as refused:
        confirm(desk, bakery, by=GREENPORT)
    assert refused.value.code is Code.GEEN_PARTIJ


def test_wsp_confirms_for_an_employer_without_a_system() -> None:
    desk = at_matching()
    shop = proposed(desk, a_fit_traject(desk), SHOP_AT)
    facts = desk.submit(match.Bevestigd, partner=WSP, subject=shop, namens=Rol.WERKGEVER)
    assert told(facts)[0] == ("match.bevestigd", shop)


def test_wsp_does_not_speak_for_an_employer_with_a_system() -> None:
    desk = at_matching()
    bakery = proposed(desk, a_fit_traject(desk))
    with pytest.raises(Refused) as refused:
        desk.submit(match.Bevestigd, partner=WSP, subject=bakery, namens=Rol.WERKGEVER)
    assert refused.value.code is Code.NAMENS_NIET_TOEGESTAAN


def test_confirmation_of_an_unknown_match_waits_for_it() -> None:
    desk = at_matching()
    unknown = a_number("M")
    with pytest.raises(TooEarly) as early:
        confirm(desk, unknown)
    assert (early.value.waarop, early.value.on) == (Waarop.MATCH_BEKEND, On(Match, unknown))


def test_confirmation_after_drop_out_is_refused() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    bakery = proposed(desk, nummer)
    dropped_out(desk, nummer)
    with pytest.raises(Refused) as refused:
        confirm(desk, bakery)
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_declined_proposal_cannot_be_confirmed() -> None:
    desk = at_matching()
    bakery = proposed(desk, a_fit_traject(desk))
    assert told(desk.submit(match.Afgewezen, partner=BAKERY, subject=bakery)) == [("match.afgewezen", bakery)]
    with pytest.raises(Refused) as refused:
        confirm(desk, bakery)
    assert refused.value.code is Code.STATUS_PAST_NIET


@pytest.mark.parametrize("by", [WSP, BAKERY])
def test_active_match_lapses_on_request_and_frees_the_traject(by: str) -> None:
    desk = at_matching()
    bakery = confirmed(desk)
    nummer = desk.state(Match, bakery).trajectnummer
    assert told(let_lapse(desk, bakery, by=by)) == [("match.vervallen", bakery)]
    assert proposed(desk, nummer, GREENPORT_AT)


def test_match_lapses_once() -> None:
    desk = at_matching()
    bakery = confirmed(desk)
    let_lapse(desk, bakery)
    with pytest.raises(Refused) as refused:
        let_lapse(desk, bakery)
    assert refused.value.code is Code.STATUS_PAST_NIET


def a_replacement(trajectnummer: str, vorige_match: str, at: str = GREENPORT_AT) -> match.HerplaatsingInzending:
    return match.HerplaatsingInzending(
        trajectnummer=trajectnummer,
        vorige_match=vorige_match,
        kvk="51000002",
        vestigingsnummer=at,
        crebo="25254",
    )


def test_replacement_is_a_proposal_that_names_the_lapsed_match() -> None:
    desk = at_matching()
    bakery = confirmed(desk)
    nummer = desk.state(Match, bakery).trajectnummer
    let_lapse(desk, bakery)
    (fact,) = desk.submit(match.HerplaatsingGestart, a_replacement(nummer, bakery), partner=WSP)
    assert told(confirm(desk, fact.subject, by=GREENPORT))[0] == ("match.bevestigd", fact.subject)


def test_no_replacement_while_the_match_is_active() -> None:
    desk = at_matching()
    bakery = confirmed(desk)
    nummer = desk.state(Match, bakery).trajectnummer
    with pytest.raises(Refused) as refused:
        desk.submit(match.HerplaatsingGestart, a_replacement(nummer, bakery), partner=WSP)
    assert refused.value.code is Code.ANDERE_MATCH_ACTIEF


def test_replacement_of_the_match_of_another_traject_is_refused() -> None:
    desk = at_matching()
    bakery = confirmed(desk)
    let_lapse(desk, bakery)
    with pytest.raises(Refused) as refused:
        desk.submit(match.HerplaatsingGestart, a_replacement(a_fit_traject(desk), bakery), partner=WSP)
    assert (refused.value.code, refused.value.veld) == (Code.STATUS_PAST_NIET, "data.vorige_match")


def test_replacement_waits_for_a_match_that_is_not_known_yet() -> None:
    desk = at_matching()
    unknown = a_number("M")
    with pytest.raises(TooEarly) as early:
        desk.submit(match.HerplaatsingGestart, a_replacement(a_fit_traject(desk), unknown), partner=WSP)
    assert early.value.on == On(Match, unknown)


def test_facts_of_two_verklaringen_that_overtake_one_another_leave_the_valid_one() -> None:
    desk = at_matching()
    nummer, old, new = a_fit_traject(desk), a_number("VK"), a_number("VK")
    issued(desk, nummer, new)
    issued(desk, nummer, old)
    withdrawal = verklaring.Ingetrokken(
        trajectnummer=nummer, datum=TODAY, redencode=verklaring.VerklaringIntrekreden.CORRECTIE
    )
    desk.hear(withdrawal, subject=old)
    with pytest.raises(Refused):
        proposed(desk, nummer)
    desk.hear(withdrawal, subject=new)
    assert proposed(desk, nummer)


def test_sbb_reads_no_match() -> None:
    desk = at_matching()
    facts = confirm(desk, proposed(desk, a_fit_traject(desk)))
    for fact in facts:
        assert (SBB in desk.readers[fact.id]) == (fact.type.entity == "erkenning")
