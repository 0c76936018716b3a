"""The payment: what the bank answers, through the Leerwerkloket."""

from datetime import date

import pytest

from contracts import betaling
from contracts.fields import Datum
from contracts.ontvangst import Code, Waarop
from services.billing.betaling import Betaling, kenmerk_van
from services.billing.budget import Budget
from services.chassis.messages import On, Refused, TooEarly
from tests.desk import Desk
from tests.unit.billing.given import (
    LOKET,
    MAAS,
    a_number,
    at_billing,
    budgeted,
    fail,
    ordered,
    pay,
    told,
)


def at_billing_with_budget() -> Desk:
    desk = at_billing()
    budgeted(desk)
    return desk


def test_confirmed_payment_turns_the_reservation_into_spending() -> None:
    desk = at_billing_with_budget()
    facts = pay(desk, ordered(desk))
    assert told(facts) == ["betaling.bevestigd", "besteding.besteed"]
    assert desk.readers[facts[0].id] == {LOKET, MAAS}
    stand = desk.state(Budget, "POW")
    assert (stand.gereserveerd_cent, stand.besteed_cent) == (0, 250_000)


def test_payment_is_confirmed_once() -> None:
    desk = at_billing_with_budget()
    number = ordered(desk)
    pay(desk, number)
    for answer in (pay, fail):
        with pytest.raises(Refused) as refused:
            answer(desk, number)
        assert refused.value.code is Code.STATUS_PAST_NIET


def test_failed_payment_keeps_the_reservation_and_can_still_succeed() -> None:
    desk = at_billing_with_budget()
    number = ordered(desk)
    assert told(fail(desk, number)) == ["betaling.mislukt"]
    assert desk.state(Budget, "POW").gereserveerd_cent == 250_000
    assert told(pay(desk, number)) == ["betaling.bevestigd", "besteding.besteed"]


def test_bank_pays_nothing_in_the_future() -> None:
    desk = at_billing_with_budget()
    tomorrow: Datum = date(2026, 11, 3)
    number = ordered(desk)
    for answer in (pay, fail):
        with pytest.raises(Refused) as refused:
            answer(desk, number, tomorrow)
        assert (refused.value.code, refused.value.veld) == (Code.DATUM_ONJUIST, "data.datum")


def test_answer_about_an_unknown_payment_waits_for_it() -> None:
    desk = at_billing_with_budget()
    unknown = a_number("BT")
    with pytest.raises(TooEarly) as early:
        pay(desk, unknown)
    assert (early.value.waarop, early.value.on) == (Waarop.BETALING_BEKEND, On(Betaling, unknown))


@pytest.mark.parametrize("factuurnummer", ["RM-000001", "RP-123456", "ABCDEF-999999"])
def test_reference_is_a_valid_one_for_every_invoice_number(factuurnummer: str) -> None:
    order = betaling.Opgedragen(
        trajectnummer=a_number("PV"),
        factuurnummer=factuurnummer,
        opleider=MAAS,
        bedrag_cent=1,
        kenmerk=kenmerk_van(factuurnummer),
    )
    assert order.kenmerk.endswith(factuurnummer.replace("-", ""))
