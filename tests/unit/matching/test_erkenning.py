"""Recognition: requests that join, and what SBB's answer means for the matches at that place."""

from datetime import UTC, date, datetime

import pytest

from contracts import erkenning, match
from contracts.fields import Categorie
from contracts.model import Data
from contracts.ontvangst import Code, Waarop
from services.chassis.messages import Fact, On, Refused, TooEarly
from services.matching.erkenning import Erkenning
from services.matching.handlers import service
from services.matching.match import Match, Status
from tests.desk import Desk
from tests.unit.matching.given import (
    BAKERY,
    BAKERY_AT,
    GREENPORT,
    GREENPORT_AT,
    HORECA,
    LEERBEDRIJF,
    LOGISTICS,
    SBB,
    TODAY,
    a_fit_traject,
    a_number,
    at_matching,
    confirm,
    confirmed,
    grant,
    let_lapse,
    proposed,
    refuse,
    requested,
    told,
    withdraw,
)

NEXT_MONTH = date(2026, 12, 1)


def recognition(fact: Fact[Data]) -> tuple[str, date, date]:
    """What `match.erkend` says of it."""
    assert isinstance(fact.data, match.Erkend)
    return fact.data.leerbedrijf_id, fact.data.erkenning_geldig_vanaf, fact.data.erkenning_geldig_tot


def days_on(desk: Desk, day: date) -> None:
    desk.calendar.set(datetime(day.year, day.month, day.day, 9, 30, tzinfo=UTC))


def test_confirmation_at_an_unknown_place_asks_sbb_within_ten_working_days() -> None:
    desk = at_matching()
    facts = confirm(desk, proposed(desk, a_fit_traject(desk)))
    request = facts[-1].data
    assert isinstance(request, erkenning.Aangevraagd)
    assert (request.vestigingsnummer, request.crebo) == (BAKERY_AT, HORECA)
    assert (request.dagtekening, request.uiterlijk) == (TODAY, date(2026, 11, 16))
    assert desk.readers[facts[-1].id] == {SBB, "leerwerkloket"}


def test_request_leads_to_no_traject() -> None:
    desk = at_matching()
    facts = confirm(desk, proposed(desk, a_fit_traject(desk)))
    confirmation, request = facts[0], facts[-1]
    assert request.correlationid != confirmation.correlationid
    assert request.traceparent is not None
    assert confirmation.traceparent is not None
    assert request.traceparent.split("-")[1] != confirmation.traceparent.split("-")[1]
    assert request.actor == "matching"
    assert "traject" not in request.data.model_dump_json()


def test_confirmations_at_the_same_place_join_one_request() -> None:
    desk = at_matching()
    requested(desk)
    facts = confirm(desk, proposed(desk, a_fit_traject(desk)))
    assert [key for key, _ in told(facts)] == ["match.bevestigd"]


def test_another_crebo_or_another_place_is_another_request() -> None:
    desk = at_matching()
    numbers = {
        requested(desk)[0],
        requested(desk, crebo=LOGISTICS)[0],
        requested(desk, at=GREENPORT_AT)[0],
    }
    assert len(numbers) == 3


def test_recognition_reaches_every_match_that_waits_there() -> None:
    desk = at_matching()
    nummer, first = requested(desk)
    second, lapsed = confirmed(desk), confirmed(desk)
    elsewhere = confirmed(desk, crebo=LOGISTICS)
    let_lapse(desk, lapsed)
    facts = grant(desk, nummer)
    assert told(facts) == [
        ("erkenning.verleend", nummer),
        *(("match.erkend", waiting) for waiting in sorted([first, second])),
    ]
    assert recognition(facts[1]) == (LEERBEDRIJF, TODAY, date(2030, 11, 1))
    assert facts[0].correlationid != facts[1].correlationid
    assert desk.readers[facts[1].id].isdisjoint({SBB})
    assert desk.state(Match, elsewhere).status is Status.BEVESTIGD


def test_known_recognition_makes_a_confirmed_match_erkend_at_once() -> None:
    desk = at_matching()
    grant(desk, requested(desk)[0])
    bakery = proposed(desk, a_fit_traject(desk))
    facts = confirm(desk, bakery)
    assert told(facts) == [("match.bevestigd", bakery), ("match.erkend", bakery)]
    assert recognition(facts[1]) == (LEERBEDRIJF, TODAY, date(2030, 11, 1))


def test_recognition_that_begins_later_makes_the_match_erkend_at_once_and_says_from_when() -> None:
    desk = at_matching()
    nummer, waiting = requested(desk)
    facts = grant(desk, nummer, vanaf=NEXT_MONTH)
    assert told(facts) == [("erkenning.verleend", nummer), ("match.erkend", waiting)]
    assert recognition(facts[1]) == (LEERBEDRIJF, NEXT_MONTH, date(2030, 11, 1))


def test_known_recognition_that_begins_later_is_not_requested_again() -> None:
    desk = at_matching()
    grant(desk, requested(desk)[0], vanaf=NEXT_MONTH)
    bakery = proposed(desk, a_fit_traject(desk))
    facts = confirm(desk, bakery)
    assert told(facts) == [("match.bevestigd", bakery), ("match.erkend", bakery)]
    assert recognition(facts[1]) == (LEERBEDRIJF, NEXT_MONTH, date(2030, 11, 1))


def test_lapsed_recognition_is_requested_anew_under_the_same_number() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    grant(desk, nummer, tot=date(2026, 12, 31))
    days_on(desk, date(2027, 1, 4))
    assert requested(desk)[0] == nummer
    assert grant(desk, nummer, vanaf=date(2027, 1, 4))


@pytest.mark.parametrize("vanaf", [TODAY, NEXT_MONTH])
def test_recognition_that_has_not_lapsed_cannot_be_granted_again(vanaf: date) -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    grant(desk, nummer, vanaf=vanaf)
    with pytest.raises(Refused) as refused:
        grant(desk, nummer)
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_renewal_reaches_every_active_match_and_the_earlier_decision_holds_until_it_begins() -> None:
    desk = at_matching()
    nummer, first = requested(desk)
    grant(desk, nummer, tot=date(2026, 11, 30))
    facts = grant(desk, nummer, vanaf=NEXT_MONTH)
    assert told(facts) == [("erkenning.verleend", nummer), ("match.erkend", first)]
    assert recognition(facts[1]) == (LEERBEDRIJF, NEXT_MONTH, date(2030, 11, 1))
    both = confirm(desk, proposed(desk, a_fit_traject(desk)))[1:]
    assert [recognition(fact)[1:] for fact in both] == [
        (TODAY, date(2026, 11, 30)),
        (NEXT_MONTH, date(2030, 11, 1)),
    ]


def test_recognition_granted_anew_after_it_lapsed_reaches_the_matches_that_had_it() -> None:
    desk = at_matching()
    nummer, first = requested(desk)
    grant(desk, nummer, tot=date(2026, 12, 31))
    days_on(desk, date(2027, 1, 4))
    facts = grant(desk, nummer, vanaf=date(2027, 1, 4))
    assert told(facts)[1:] == [("match.erkend", first)]


def test_refusal_after_a_lapse_takes_the_matches_along_that_ran_on_the_old_recognition() -> None:
    desk = at_matching()
    nummer, first = requested(desk)
    grant(desk, nummer, tot=date(2026, 12, 31))
    days_on(desk, date(2027, 1, 4))
    _, second = requested(desk)
    assert {subject for _, subject in told(refuse(desk, nummer))[1:]} == {first, second}


def test_recognition_that_has_ended_already_is_refused() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    with pytest.raises(Refused) as refused:
        grant(desk, nummer, vanaf=date(2022, 11, 1), tot=date(2026, 11, 1))
    assert (refused.value.code, refused.value.veld) == (Code.DATUM_ONJUIST, "data.geldig_tot")


def test_recognition_holds_through_its_last_day() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    grant(desk, nummer)
    known = desk.state(Erkenning, nummer)
    assert known.besluit is not None
    assert known.geldend_besluit(date(2030, 11, 1)) == known.besluit
    assert known.geldend_besluit(date(2030, 11, 2)) is None


def test_recognition_survives_storage() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    grant(desk, nummer, vanaf=NEXT_MONTH)
    known, adapter = desk.state(Erkenning, nummer), service.stores[Erkenning].adapter
    assert adapter.validate_json(adapter.dump_json(known)) == known


def test_answer_to_an_unknown_request_waits_for_it() -> None:
    desk = at_matching()
    unknown = a_number("ER")
    with pytest.raises(TooEarly) as early:
        grant(desk, unknown)
    assert (early.value.waarop, early.value.on) == (Waarop.ERKENNING_BEKEND, On(Erkenning, unknown))


def test_refusal_lapses_every_match_that_waits_there() -> None:
    desk = at_matching()
    nummer, first = requested(desk)
    second = confirmed(desk)
    facts = refuse(desk, nummer)
    assert told(facts) == [
        ("erkenning.geweigerd", nummer),
        *(("match.vervallen", waiting) for waiting in sorted([first, second])),
    ]
    assert isinstance(facts[1].data, match.Vervallen)
    assert facts[1].data.categorie is Categorie.ERKENNING


def test_refused_place_is_blocked_for_six_months() -> None:
    desk = at_matching()
    refuse(desk, requested(desk)[0])
    days_on(desk, date(2027, 5, 1))
    with pytest.raises(Refused) as refused:
        proposed(desk, a_fit_traject(desk))
    assert refused.value.code is Code.PLAATS_GEBLOKKEERD
    days_on(desk, date(2027, 5, 2))
    assert requested(desk)


def test_refusal_on_the_last_of_august_blocks_until_the_last_of_february() -> None:
    desk = at_matching()
    days_on(desk, date(2026, 8, 31))
    nummer, _ = requested(desk)
    refuse(desk, nummer)
    assert desk.state(Erkenning, nummer).geblokkeerd_op(date(2027, 2, 27))
    assert not desk.state(Erkenning, nummer).geblokkeerd_op(date(2027, 2, 28))


def test_refused_place_is_blocked_for_its_crebo_only() -> None:
    desk = at_matching()
    refuse(desk, requested(desk)[0])
    assert proposed(desk, a_fit_traject(desk), crebo=LOGISTICS)


def test_confirmation_at_a_place_refused_meanwhile_lapses_it_and_spares_the_other_proposals() -> None:
    desk = at_matching()
    nummer = a_fit_traject(desk)
    bakery, greenport = proposed(desk, nummer), proposed(desk, nummer, GREENPORT_AT)
    refuse(desk, requested(desk)[0])
    assert told(confirm(desk, bakery)) == [("match.bevestigd", bakery), ("match.vervallen", bakery)]
    assert told(confirm(desk, greenport, by=GREENPORT))[0] == ("match.bevestigd", greenport)


def test_recognition_after_objection_lifts_the_blockade() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    refuse(desk, nummer)
    assert told(grant(desk, nummer)) == [("erkenning.verleend", nummer)]
    bakery = proposed(desk, a_fit_traject(desk))
    assert told(confirm(desk, bakery))[-1] == ("match.erkend", bakery)


def test_refusal_without_an_open_request_is_refused() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    grant(desk, nummer)
    with pytest.raises(Refused) as refused:
        refuse(desk, nummer)
    assert refused.value.code is Code.STATUS_PAST_NIET


@pytest.mark.parametrize("datum", [date(2026, 11, 1), date(2026, 11, 3)])
def test_refusal_is_dated_from_the_request_to_today(datum: date) -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    with pytest.raises(Refused) as refused:
        refuse(desk, nummer, datum=datum)
    assert (refused.value.code, refused.value.veld) == (Code.DATUM_ONJUIST, "data.datum")


def test_withdrawal_lapses_every_active_match_there() -> None:
    desk = at_matching()
    nummer, first = requested(desk)
    grant(desk, nummer)
    second = confirmed(desk)
    elsewhere = confirmed(desk, at=GREENPORT_AT)
    facts = withdraw(desk, nummer)
    assert told(facts) == [
        ("erkenning.ingetrokken", nummer),
        *(("match.vervallen", active) for active in sorted([first, second])),
    ]
    assert desk.readers[facts[1].id] >= {BAKERY, "roc-maas"}
    assert GREENPORT not in desk.readers[facts[1].id]
    assert desk.state(Match, elsewhere).status is Status.BEVESTIGD


def test_after_withdrawal_the_place_can_be_requested_again() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    grant(desk, nummer)
    withdraw(desk, nummer)
    assert requested(desk)[0] == nummer


def test_only_a_recognition_can_be_withdrawn() -> None:
    desk = at_matching()
    nummer, _ = requested(desk)
    with pytest.raises(Refused) as refused:
        withdraw(desk, nummer)
    assert refused.value.code is Code.STATUS_PAST_NIET
