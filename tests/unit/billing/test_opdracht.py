"""The opdracht: commissioning a school, and taking it back."""

from datetime import UTC, date, datetime

import pytest

from contracts import besteding, opdracht, traject
from contracts.fields import Categorie, Rol
from contracts.model import Data
from contracts.ontvangst import Code, Waarop
from services.billing.budget import Budget
from services.billing.opdracht import Opdracht
from services.billing.trajectbeeld import Trajectbeeld
from services.chassis.messages import AlreadyKnown, Fact, On, Refused, TooEarly
from tests.desk import Desk
from tests.unit.billing.given import (
    CASE,
    LOKET,
    MAAS,
    PEEL,
    TODAY,
    a_number,
    a_traject_of,
    an_order,
    approve,
    at_billing,
    budgeted,
    commission,
    drop_out,
    issue,
    pay,
    registered,
    take_back,
    take_back_verklaring,
    told,
)


def at_billing_with_budget() -> Desk:
    desk = at_billing()
    budgeted(desk)
    return desk


def test_opdracht_reaches_its_school_and_reserves_its_amount() -> None:
    desk = at_billing_with_budget()
    order, reservation = commission(desk, a_traject_of(desk), 250_000)
    assert order.correlationid == CASE
    assert desk.readers[order.id] == {LOKET, MAAS}
    assert isinstance(reservation.data, besteding.Gereserveerd)
    assert reservation.data.bedrag_cent == 250_000


def test_opdracht_for_an_unknown_traject_waits_for_it() -> None:
    desk = at_billing_with_budget()
    unknown = a_number("PV")
    with pytest.raises(TooEarly) as early:
        commission(desk, unknown)
    assert (early.value.waarop, early.value.on) == (Waarop.TRAJECT_BEKEND, On(Trajectbeeld, unknown))


def test_opdracht_waits_until_the_traject_has_a_school() -> None:
    desk = at_billing_with_budget()
    nummer = registered(desk)
    with pytest.raises(TooEarly) as early:
        commission(desk, nummer)
    assert (early.value.waarop, early.value.on) == (Waarop.TRAJECT_IN_STATUS, On(Trajectbeeld, nummer))


def test_opdracht_to_another_school_waits_a_day_for_word_that_it_came_instead() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk, MAAS)
    with pytest.raises(TooEarly) as early:
        commission(desk, nummer, opleider=PEEL)
    assert (early.value.on, early.value.days) == (On(Trajectbeeld, nummer), 1)
    assert early.value.anders is Code.OPLEIDER_WIJKT_AF
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=PEEL), subject=nummer)
    assert commission(desk, nummer, opleider=PEEL)


def test_opdracht_that_comes_after_the_verklaring_is_invoiced_at_once() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    issue(desk, nummer)
    assert told(commission(desk, nummer)) == ["opdracht.verstrekt", "besteding.gereserveerd", "factuur.klaargezet"]


@pytest.mark.parametrize("day", [date(2025, 12, 31), date(2027, 11, 1)])
def test_no_opdracht_outside_the_period_of_the_budget(day: date) -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    desk.calendar.set(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    with pytest.raises(Refused) as refused:
        commission(desk, nummer)
    assert (refused.value.code, refused.value.veld) == (Code.BUITEN_BUDGETPERIODE, "data.bron")


def test_what_was_commissioned_in_the_period_is_paid_after_it() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    commission(desk, nummer)
    desk.calendar.set(datetime(2027, 12, 1, 12, tzinfo=UTC))
    payment = approve(desk, issue(desk, nummer)[0].subject)[1].subject
    assert told(pay(desk, payment)) == ["betaling.bevestigd", "besteding.besteed"]


def test_traject_has_one_opdracht_at_a_time() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    order, _ = commission(desk, nummer)
    with pytest.raises(Refused) as refused:
        commission(desk, nummer)
    assert refused.value.code is Code.OPDRACHT_BESTAAT
    take_back(desk, order.subject)
    assert commission(desk, nummer)


def test_repeated_referentie_is_the_same_opdracht() -> None:
    desk = at_billing_with_budget()
    data = an_order(a_traject_of(desk))
    order, _ = desk.submit(opdracht.Verstrekt, data, partner=LOKET, referentie="2026-0042")
    with pytest.raises(AlreadyKnown) as known:
        desk.submit(opdracht.Verstrekt, data, partner=LOKET, referentie="2026-0042")
    assert known.value.subject == order.subject
    with pytest.raises(Refused) as refused:
        desk.submit(opdracht.Verstrekt, an_order(a_traject_of(desk)), partner=LOKET, referentie="2026-0042")
    assert refused.value.code is Code.REFERENTIE_HERGEBRUIKT


def test_taking_back_frees_the_reservation_once() -> None:
    desk = at_billing_with_budget()
    order, _ = commission(desk, a_traject_of(desk), 250_000)
    assert told(take_back(desk, order.subject)) == ["opdracht.ingetrokken", "besteding.vrijgevallen"]
    with pytest.raises(Refused) as refused:
        take_back(desk, order.subject)
    assert refused.value.code is Code.STATUS_PAST_NIET
    assert desk.state(Budget, "POW").gereserveerd_cent == 0


def test_invoiced_opdracht_cannot_be_taken_back() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    order, _ = commission(desk, nummer)
    issue(desk, nummer)
    with pytest.raises(Refused) as refused:
        take_back(desk, order.subject)
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_taking_back_an_unknown_opdracht_waits_for_it() -> None:
    desk = at_billing_with_budget()
    unknown = a_number("OP")
    with pytest.raises(TooEarly) as early:
        take_back(desk, unknown)
    assert (early.value.waarop, early.value.on) == (Waarop.OPDRACHT_BEKEND, On(Opdracht, unknown))


def test_drop_out_takes_the_opdracht_back_and_frees_its_reservation_once() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    commission(desk, nummer)
    facts = drop_out(desk, nummer)
    assert told(facts) == ["opdracht.ingetrokken", "besteding.vrijgevallen"]
    assert isinstance(facts[0].data, opdracht.Ingetrokken)
    assert facts[0].data.categorie is Categorie.DEELNEMER
    assert told(drop_out(desk, nummer)) == []


def test_traject_found_unfit_frees_its_reservation() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    commission(desk, nummer)
    unfit = traject.IntakeAfgerond(
        uitkomst=traject.Uitkomst.NIET_GESCHIKT, verwezen_naar=traject.Verwijzing.LOOPBAANCENTRUM
    )
    assert told(desk.hear(unfit, subject=nummer)) == ["opdracht.ingetrokken", "besteding.vrijgevallen"]


def test_end_of_a_traject_leaves_an_invoice_alone() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    commission(desk, nummer)
    issue(desk, nummer)
    assert told(desk.hear(traject.Gesloten(redencode=traject.Sluitreden.VOLTOOID), subject=nummer)) == []


def closed(desk: Desk, trajectnummer: str) -> list[Fact[Data]]:
    return desk.hear(traject.Gesloten(redencode=traject.Sluitreden.VOLTOOID), subject=trajectnummer)


def test_closing_that_is_heard_before_the_verklaring_costs_nobody_an_invoice() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    commission(desk, nummer)
    assert closed(desk, nummer) == []
    assert told(issue(desk, nummer)) == ["factuur.klaargezet"]


@pytest.mark.parametrize("closed_first", [True, False])
def test_closing_frees_what_was_reserved_for_a_school_that_issued_nothing(closed_first: bool) -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk, MAAS)
    commission(desk, nummer)
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=PEEL), subject=nummer)
    first = closed(desk, nummer) if closed_first else issue(desk, nummer, opleider=PEEL)
    then = issue(desk, nummer, opleider=PEEL) if closed_first else closed(desk, nummer)
    assert (told(first), told(then)) == ([], ["opdracht.ingetrokken", "besteding.vrijgevallen"])


def test_drop_out_heard_before_the_withdrawal_of_the_verklaring_frees_its_reservation_after_the_credit() -> None:
    desk = at_billing_with_budget()
    nummer, vk = a_traject_of(desk), a_number("VK")
    commission(desk, nummer)
    issue(desk, nummer, nummer=vk)
    assert drop_out(desk, nummer) == []
    assert told(take_back_verklaring(desk, nummer, vk)) == [
        "factuur.gecrediteerd",
        "opdracht.ingetrokken",
        "besteding.vrijgevallen",
    ]


def test_verklaring_of_the_new_school_heard_before_the_replacement_is_not_invoiced_for_the_old_one() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk, MAAS)
    commission(desk, nummer)
    assert issue(desk, nummer, opleider=PEEL) == []


def test_traject_that_ended_gets_no_opdracht() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    desk.hear(traject.Teruggetrokken(datum=TODAY, categorie=Categorie.DEELNEMER), subject=nummer)
    with pytest.raises(Refused) as refused:
        commission(desk, nummer)
    assert refused.value.code is Code.STATUS_PAST_NIET
    desk.hear(traject.Heropend(redencode=traject.Heropenreden.NIEUWE_KANS), subject=nummer)
    assert commission(desk, nummer)


def test_replaced_school_is_not_invoiced_for_anothers_verklaring() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk, MAAS)
    commission(desk, nummer)
    desk.hear(traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=PEEL), subject=nummer)
    assert told(issue(desk, nummer, opleider=PEEL)) == []
