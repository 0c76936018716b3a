"""Budget and besteding: what a source has, and what its financiers see of it."""

import pytest

from contracts import besteding
from contracts.ontvangst import Code, Waarop
from services.billing.budget import Budget
from services.chassis.messages import On, Refused, TooEarly
from tests.unit.billing.given import (
    FINANCIER,
    LOKET,
    a_traject_of,
    at_billing,
    budgeted,
    commission,
    invoiced,
    ordered,
    pay,
    told,
)


@pytest.mark.parametrize("by", [LOKET, FINANCIER])
def test_budget_is_set_by_leerwerkloket_or_its_own_financier(by: str) -> None:
    desk = at_billing()
    (fact,) = budgeted(desk, by=by)
    assert desk.readers[fact.id] == {LOKET, FINANCIER}


def test_financier_of_another_source_is_refused() -> None:
    desk = at_billing()
    with pytest.raises(Refused) as refused:
        budgeted(desk, bron="ESF", by=FINANCIER)
    assert refused.value.code is Code.GEEN_PARTIJ


def test_new_amount_keeps_what_is_reserved_and_the_case() -> None:
    desk = at_billing()
    (first,) = budgeted(desk, 300_000)
    commission(desk, a_traject_of(desk), 250_000)
    (second,) = budgeted(desk, 400_000)
    assert second.correlationid == first.correlationid
    assert desk.state(Budget, "POW").beschikbaar_cent == 150_000


def test_budget_cannot_fall_below_what_is_reserved_and_spent() -> None:
    desk = at_billing()
    budgeted(desk)
    pay(desk, ordered(desk))
    commission(desk, a_traject_of(desk), 250_000)
    with pytest.raises(Refused) as refused:
        budgeted(desk, 499_999)
    assert (refused.value.code, refused.value.veld) == (Code.BUDGET_ONTOEREIKEND, "data.bedrag_cent")
    assert budgeted(desk, 500_000)


def test_the_last_cent_can_be_reserved_and_not_one_more() -> None:
    desk = at_billing()
    budgeted(desk, 300_000)
    commission(desk, a_traject_of(desk), 100_000)
    with pytest.raises(Refused) as refused:
        commission(desk, a_traject_of(desk), 200_001)
    assert refused.value.code is Code.BUDGET_ONTOEREIKEND
    assert commission(desk, a_traject_of(desk), 200_000)


def test_source_that_nobody_finances_is_unknown() -> None:
    desk = at_billing()
    with pytest.raises(Refused) as refused:
        commission(desk, a_traject_of(desk), bron="ESF")
    assert (refused.value.code, refused.value.veld) == (Code.BRON_ONBEKEND, "data.bron")


def test_opdracht_waits_for_the_budget_of_a_known_source() -> None:
    desk = at_billing()
    with pytest.raises(TooEarly) as early:
        commission(desk, a_traject_of(desk))
    assert (early.value.waarop, early.value.on) == (Waarop.BUDGET_BEKEND, On(Budget, "POW"))


def test_financier_sees_amounts_and_nothing_that_leads_to_a_traject() -> None:
    desk = at_billing()
    (budget_set,) = budgeted(desk)
    order, reservation = commission(desk, a_traject_of(desk))
    assert FINANCIER not in desk.readers[order.id]
    assert FINANCIER in desk.readers[reservation.id]
    assert reservation.subject == "POW"
    assert reservation.correlationid == budget_set.correlationid != order.correlationid
    assert "PV-" not in reservation.data.model_dump_json()
    assert reservation.traceparent is not None
    assert order.traceparent is not None
    assert reservation.traceparent.split("-")[1] != order.traceparent.split("-")[1]


def test_each_besteding_carries_the_stand_after_it() -> None:
    desk = at_billing()
    budgeted(desk, 1_000_000)
    reservation = commission(desk, a_traject_of(desk), 250_000)[1].data
    assert isinstance(reservation, besteding.Gereserveerd)
    assert reservation.stand == besteding.Stand(
        vastgesteld_cent=1_000_000, gereserveerd_cent=250_000, besteed_cent=0
    )
    facts = pay(desk, ordered(desk))
    assert told(facts) == ["betaling.bevestigd", "besteding.besteed"]
    assert isinstance(facts[1].data, besteding.Besteed)
    assert facts[1].data.stand == besteding.Stand(
        vastgesteld_cent=1_000_000, gereserveerd_cent=250_000, besteed_cent=250_000
    )


def test_sources_are_counted_apart() -> None:
    desk = at_billing()
    budgeted(desk)
    budgeted(desk, 100, bron="WERKBEDRIJF")
    invoiced(desk)
    assert desk.state(Budget, "WERKBEDRIJF").beschikbaar_cent == 100
