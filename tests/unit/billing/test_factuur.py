"""The invoice: one per verklaring, numbered without a gap, judged once."""

import pytest

from contracts import factuur
from contracts.ontvangst import Code, Waarop
from services.billing.budget import Budget
from services.billing.factuur import Factuur
from services.chassis.messages import On, Refused, TooEarly
from tests.desk import Desk
from tests.unit.billing.given import (
    LOKET,
    MAAS,
    PEEL,
    a_number,
    a_traject_of,
    approve,
    at_billing,
    budgeted,
    commission,
    invoiced,
    issue,
    reject,
    take_back,
    take_back_verklaring,
    told,
)


def at_billing_with_budget() -> Desk:
    desk = at_billing()
    budgeted(desk)
    return desk


def test_verklaring_makes_the_invoice_of_its_opdracht() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    order, _ = commission(desk, nummer, 250_000)
    (invoice,) = issue(desk, nummer)
    assert invoice.subject == "RM-000001"
    assert desk.readers[invoice.id] == {LOKET, MAAS}
    assert invoice.data == factuur.Klaargezet(
        trajectnummer=nummer,
        opdrachtnummer=order.subject,
        opleider=MAAS,
        bedrag_cent=250_000,
        profiel=factuur.Profiel.NLCIUS,
    )


def test_verklaring_that_comes_again_makes_no_second_invoice() -> None:
    desk = at_billing_with_budget()
    nummer, vk = a_traject_of(desk), a_number("VK")
    commission(desk, nummer)
    issue(desk, nummer, nummer=vk)
    assert issue(desk, nummer, nummer=vk) == []
    assert issue(desk, nummer) == []


def test_verklaring_without_an_opdracht_makes_no_invoice() -> None:
    desk = at_billing_with_budget()
    nummer = a_traject_of(desk)
    assert issue(desk, nummer) == []
    other = a_traject_of(desk)
    order, _ = commission(desk, other)
    take_back(desk, order.subject)
    assert issue(desk, other) == []


def test_each_supplier_has_its_own_series() -> None:
    desk = at_billing_with_budget()
    numbers = [invoiced(desk, opleider=school) for school in (MAAS, PEEL, MAAS)]
    assert numbers == ["RM-000001", "RP-000001", "RM-000002"]


def test_approved_invoice_is_paid_under_a_reference_made_of_its_number() -> None:
    desk = at_billing_with_budget()
    approval, order = approve(desk, invoiced(desk, 250_000))
    assert told([approval, order]) == ["factuur.goedgekeurd", "betaling.opgedragen"]
    data = order.data.model_dump()
    assert (data["kenmerk"], data["bedrag_cent"], data["opleider"]) == ("RF65RM000001", 250_000, MAAS)


def test_invoice_is_approved_once() -> None:
    desk = at_billing_with_budget()
    number = invoiced(desk)
    approve(desk, number)
    for judge in (approve, reject):
        with pytest.raises(Refused) as refused:
            judge(desk, number)
        assert refused.value.code is Code.STATUS_PAST_NIET


def test_rejected_invoice_is_not_approved_later() -> None:
    desk = at_billing_with_budget()
    number = invoiced(desk)
    (rejection,) = reject(desk, number)
    assert desk.readers[rejection.id] == {LOKET, MAAS}
    with pytest.raises(Refused) as refused:
        approve(desk, number)
    assert refused.value.code is Code.STATUS_PAST_NIET


def test_judgement_of_an_unknown_invoice_waits_for_it() -> None:
    desk = at_billing_with_budget()
    with pytest.raises(TooEarly) as early:
        approve(desk, "RM-000009")
    assert (early.value.waarop, early.value.on) == (Waarop.FACTUUR_BEKEND, On(Factuur, "RM-000009"))


@pytest.mark.parametrize("judged", [False, True])
def test_withdrawn_verklaring_is_credited_and_a_new_one_invoiced_anew(judged: bool) -> None:
    desk = at_billing_with_budget()
    nummer, vk = a_traject_of(desk), a_number("VK")
    commission(desk, nummer, 250_000)
    first = issue(desk, nummer, nummer=vk)[0].subject
    if judged:
        reject(desk, first)
    (credit,) = take_back_verklaring(desk, nummer, vk)
    assert credit.subject == "RM-000002"
    assert isinstance(credit.data, factuur.Gecrediteerd)
    assert (credit.data.vorig_factuurnummer, credit.data.bedrag_cent) == (first, 250_000)
    assert told(issue(desk, nummer)) == ["factuur.klaargezet"]
    assert desk.state(Budget, "POW").gereserveerd_cent == 250_000


def test_withdrawn_verklaring_that_comes_again_stays_without_invoice() -> None:
    desk = at_billing_with_budget()
    nummer, vk = a_traject_of(desk), a_number("VK")
    commission(desk, nummer)
    issue(desk, nummer, nummer=vk)
    take_back_verklaring(desk, nummer, vk)
    assert issue(desk, nummer, nummer=vk) == []
    assert take_back_verklaring(desk, nummer, vk) == []


def test_new_verklaring_before_the_withdrawal_of_the_old_is_invoiced_after_it() -> None:
    desk = at_billing_with_budget()
    nummer, old, new = a_traject_of(desk), a_number("VK"), a_number("VK")
    commission(desk, nummer)
    issue(desk, nummer, nummer=old)
    assert issue(desk, nummer, nummer=new) == []
    assert told(take_back_verklaring(desk, nummer, old)) == ["factuur.gecrediteerd", "factuur.klaargezet"]


def test_credited_invoice_and_credit_note_cannot_be_approved() -> None:
    desk = at_billing_with_budget()
    nummer, vk = a_traject_of(desk), a_number("VK")
    commission(desk, nummer)
    invoice = issue(desk, nummer, nummer=vk)[0].subject
    credit = take_back_verklaring(desk, nummer, vk)[0].subject
    for number in (invoice, credit):
        with pytest.raises(Refused) as refused:
            approve(desk, number)
        assert refused.value.code is Code.STATUS_PAST_NIET
