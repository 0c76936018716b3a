"""Credit after approval or payment, and how it is set off against the next payment."""

import pytest

from contracts import betaling, factuur
from contracts.model import Data
from services.billing.betaling import Betaling, Status
from services.billing.budget import Budget
from services.billing.tegoed import Tegoed
from services.chassis.messages import Fact, Refused
from tests.desk import Desk
from tests.unit.billing.given import (
    PEEL,
    a_number,
    a_traject_of,
    approve,
    at_billing,
    budgeted,
    commission,
    drop_out,
    fail,
    invoiced,
    issue,
    pay,
    take_back_verklaring,
    told,
)


class Case:
    """One traject of roc-maas, commissioned and invoiced for its first verklaring."""

    def __init__(self, desk: Desk, bedrag_cent: int = 250_000, bron: str = "POW") -> None:
        self.desk = desk
        self.nummer, self.verklaring = a_traject_of(desk), a_number("VK")
        commission(desk, self.nummer, bedrag_cent, bron=bron)
        self.factuur = issue(desk, self.nummer, nummer=self.verklaring)[0].subject

    def approved(self) -> str:
        """The number of its payment."""
        return approve(self.desk, self.factuur)[1].subject

    def paid(self) -> "Case":
        pay(self.desk, self.approved())
        return self

    def withdrawn(self) -> list[Fact[Data]]:
        return take_back_verklaring(self.desk, self.nummer, self.verklaring)


def at_billing_with_budgets() -> Desk:
    desk = at_billing()
    budgeted(desk)
    budgeted(desk, bron="WERKBEDRIJF")
    return desk


def stand(desk: Desk, bron: str = "POW") -> tuple[int, int]:
    budget = desk.state(Budget, bron)
    return budget.gereserveerd_cent, budget.besteed_cent


def held(desk: Desk, reeks: str = "RM") -> int:
    known = desk.work.get(Tegoed, reeks)
    return known.bedrag_cent if known else 0


def order_of(facts: list[Fact[Data]]) -> betaling.Opgedragen:
    (order,) = (fact.data for fact in facts if isinstance(fact.data, betaling.Opgedragen))
    return order


def test_credit_after_payment_brings_the_money_back_to_its_source_and_reserves_it_anew() -> None:
    desk = at_billing_with_budgets()
    case = Case(desk).paid()
    assert stand(desk) == (0, 250_000)
    credit, back, again = case.withdrawn()
    assert isinstance(credit.data, factuur.Gecrediteerd)
    assert (credit.data.bedrag_cent, credit.data.tegoed_cent) == (250_000, 250_000)
    assert told([back, again]) == ["besteding.vrijgevallen", "besteding.gereserveerd"]
    assert (stand(desk), held(desk)) == ((250_000, 0), 250_000)


def test_new_verklaring_after_payment_is_settled_without_a_bank_order() -> None:
    desk = at_billing_with_budgets()
    case = Case(desk).paid()
    case.withdrawn()
    new_invoice = issue(desk, case.nummer)[0].subject
    facts = approve(desk, new_invoice)
    assert told(facts) == [
        "factuur.goedgekeurd",
        "betaling.opgedragen",
        "betaling.bevestigd",
        "besteding.besteed",
    ]
    assert (order_of(facts).bedrag_cent, order_of(facts).verrekend_cent) == (0, 250_000)
    assert (stand(desk), held(desk)) == ((0, 250_000), 0)
    with pytest.raises(Refused):
        pay(desk, facts[1].subject)


def test_next_payment_to_that_school_is_lowered_and_each_source_bears_its_own() -> None:
    desk = at_billing_with_budgets()
    Case(desk, 100_001).paid().withdrawn()
    other = Case(desk, 250_000, bron="WERKBEDRIJF")
    facts = approve(desk, other.factuur)
    assert (order_of(facts).bedrag_cent, order_of(facts).verrekend_cent) == (149_999, 100_001)
    pay(desk, facts[1].subject)
    assert stand(desk, "WERKBEDRIJF") == (0, 250_000)
    assert (stand(desk), held(desk)) == ((100_001, 0), 0)


def test_what_is_left_of_a_tegoed_goes_to_the_payment_after() -> None:
    desk = at_billing_with_budgets()
    Case(desk, 250_000).paid().withdrawn()
    first, second = Case(desk, 100_000), Case(desk, 200_000)
    assert order_of(approve(desk, first.factuur)).bedrag_cent == 0
    assert held(desk) == 150_000
    assert order_of(approve(desk, second.factuur)).bedrag_cent == 50_000
    assert held(desk) == 0


def test_another_school_is_paid_in_full() -> None:
    desk = at_billing_with_budgets()
    Case(desk).paid().withdrawn()
    facts = approve(desk, invoiced(desk, 250_000, PEEL))
    assert (order_of(facts).bedrag_cent, order_of(facts).verrekend_cent) == (250_000, 0)


def test_payment_under_way_when_the_invoice_is_credited_is_held_once_it_is_confirmed() -> None:
    desk = at_billing_with_budgets()
    case = Case(desk)
    payment = case.approved()
    (credit,) = case.withdrawn()
    assert isinstance(credit.data, factuur.Gecrediteerd)
    assert (credit.data.tegoed_cent, held(desk), stand(desk)) == (0, 0, (250_000, 0))
    fail(desk, payment)
    assert held(desk) == 0
    (paid,) = pay(desk, payment)
    assert isinstance(paid.data, betaling.Bevestigd)
    assert (paid.data.tegoed_cent, held(desk), stand(desk)) == (250_000, 250_000, (250_000, 0))


def test_what_was_set_off_for_an_invoice_that_is_credited_comes_back_at_once_and_the_rest_when_paid() -> None:
    desk = at_billing_with_budgets()
    Case(desk, 100_000).paid().withdrawn()
    case = Case(desk, 250_000)
    payment = case.approved()
    case.withdrawn()
    assert held(desk) == 100_000
    pay(desk, payment)
    assert held(desk) == 250_000


def test_drop_out_after_the_credit_of_a_paid_invoice_frees_the_source() -> None:
    desk = at_billing_with_budgets()
    case = Case(desk).paid()
    case.withdrawn()
    assert told(drop_out(desk, case.nummer)) == ["opdracht.ingetrokken", "besteding.vrijgevallen"]
    assert (stand(desk), held(desk)) == ((0, 0), 250_000)


def test_invoice_of_nothing_is_settled_at_once() -> None:
    desk = at_billing_with_budgets()
    facts = approve(desk, Case(desk, 0).factuur)
    assert desk.state(Betaling, facts[1].subject).status is Status.BEVESTIGD
