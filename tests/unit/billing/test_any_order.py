"""Whatever the order of events: no source overspends, every cent is accounted for, no number is skipped."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from contracts import besteding, betaling, budget, factuur, opdracht
from contracts.model import Data
from services.billing.budget import Budget
from services.billing.tegoed import Tegoed
from services.chassis.messages import Fact, Verdict
from tests.desk import Desk
from tests.unit.billing import given as g

SCHOOLS = st.sampled_from([g.MAAS, g.PEEL])
SOURCES = st.sampled_from(["POW", "WERKBEDRIJF"])
AMOUNTS = st.sampled_from([100_001, 250_000, 400_000])


class AnyOrder(RuleBasedStateMachine):
    """Keeps its own books from the facts alone, as an auditor would."""

    trajecten: Bundle[tuple[str, str]] = Bundle("trajecten")
    verklaringen: Bundle[tuple[str, str]] = Bundle("verklaringen")

    def __init__(self) -> None:
        super().__init__()
        self.desk = g.at_billing()
        self.facts: list[Fact[Data]] = []
        for bron in ("POW", "WERKBEDRIJF"):
            self._try(partial(g.budgeted, self.desk, 1_000_000, bron))

    @initialize(target=trajecten, opleider=SCHOOLS, bron=SOURCES)
    def trajecten_are_under_way(self, opleider: str, bron: str) -> MultipleResults[tuple[str, str]]:
        """One commissioned, one invoiced, one to be paid: what comes next is more telling from there."""
        known = [(g.a_traject_of(self.desk, opleider), opleider) for _ in range(3)]
        for each in known:
            self._commission(each, bron, 250_000)
        for nummer, school in known[1:]:
            self.facts += g.issue(self.desk, nummer, opleider=school)
        self._try(partial(g.approve, self.desk, self._subjects(factuur.Klaargezet)[-1]))
        return multiple(*known)

    @rule(target=trajecten, opleider=SCHOOLS, bron=SOURCES, bedrag=AMOUNTS)
    def a_traject_gets_its_school_and_opdracht(self, opleider: str, bron: str, bedrag: int) -> tuple[str, str]:
        known = g.a_traject_of(self.desk, opleider), opleider
        self._commission(known, bron, bedrag)
        return known

    @rule(bron=SOURCES, bedrag=st.sampled_from([400_001, 1_000_000]))
    def budget_is_set(self, bron: str, bedrag: int) -> None:
        self._try(lambda: g.budgeted(self.desk, bedrag, bron))

    @rule(known=trajecten, bron=SOURCES, bedrag=AMOUNTS)
    def opdracht_is_given(self, known: tuple[str, str], bron: str, bedrag: int) -> None:
        self._commission(known, bron, bedrag)

    @rule(data=st.data())
    def opdracht_is_taken_back(self, data: st.DataObject) -> None:
        self._about_one_of(data, opdracht.Verstrekt, g.take_back)

    @rule(target=verklaringen, known=trajecten)
    def verklaring_is_issued(self, known: tuple[str, str]) -> tuple[str, str]:
        vk = g.a_number("VK")
        self.facts += g.issue(self.desk, known[0], nummer=vk, opleider=known[1])
        return known[0], vk

    @rule(target=verklaringen, known=trajecten)
    def verklaring_is_paid_for(self, known: tuple[str, str]) -> MultipleResults[tuple[str, str]]:
        """Shorter than by chance: what comes after a payment is a rule of its own."""
        vk, before = g.a_number("VK"), len(self.facts)
        self.facts += g.issue(self.desk, known[0], nummer=vk, opleider=known[1])
        for fact in self.facts[before:]:
            if isinstance(fact.data, factuur.Klaargezet):
                approved = g.approve(self.desk, fact.subject)
                self.facts += approved
                self._try(partial(g.pay, self.desk, approved[1].subject))
        return multiple((known[0], vk))

    @rule(known=verklaringen)
    def verklaring_comes_again(self, known: tuple[str, str]) -> None:
        self.facts += g.issue(self.desk, known[0], nummer=known[1])

    @rule(known=verklaringen)
    def verklaring_is_withdrawn(self, known: tuple[str, str]) -> None:
        self.facts += g.take_back_verklaring(self.desk, *known)

    @rule(known=trajecten)
    def participant_drops_out(self, known: tuple[str, str]) -> None:
        self.facts += g.drop_out(self.desk, known[0])

    @rule(data=st.data(), judge=st.sampled_from([g.approve, g.approve, g.reject]))
    def invoice_is_judged(self, data: st.DataObject, judge: Callable[[Desk, str], list[Fact[Data]]]) -> None:
        self._about_one_of(data, factuur.Klaargezet, judge)

    @rule(data=st.data(), answer=st.sampled_from([g.pay, g.fail]))
    def bank_answers(self, data: st.DataObject, answer: Callable[[Desk, str], list[Fact[Data]]]) -> None:
        self._about_one_of(data, betaling.Opgedragen, answer)

    @invariant()
    def no_source_is_overspent_and_its_stand_is_the_sum_of_its_facts(self) -> None:
        vast: dict[str, int] = defaultdict(int)
        gereserveerd: dict[str, int] = defaultdict(int)
        besteed: dict[str, int] = defaultdict(int)
        for fact in self.facts:
            bron, data = fact.subject, fact.data
            if isinstance(data, budget.Vastgesteld):
                vast[bron] = data.bedrag_cent
            elif isinstance(data, besteding.Gereserveerd):
                gereserveerd[bron] += data.bedrag_cent
            elif isinstance(data, besteding.Vrijgevallen) and data.stand.besteed_cent < besteed[bron]:
                besteed[bron] -= data.bedrag_cent
            elif isinstance(data, besteding.Vrijgevallen):
                gereserveerd[bron] -= data.bedrag_cent
            elif isinstance(data, besteding.Besteed):
                gereserveerd[bron] -= data.bedrag_cent
                besteed[bron] += data.bedrag_cent
            else:
                continue
            assert gereserveerd[bron] >= 0
            assert gereserveerd[bron] + besteed[bron] <= vast[bron]
            if not isinstance(data, budget.Vastgesteld):
                assert data.stand.model_dump() == {
                    "vastgesteld_cent": vast[bron],
                    "gereserveerd_cent": gereserveerd[bron],
                    "besteed_cent": besteed[bron],
                }
        for bron in vast:
            state = self.desk.state(Budget, bron)
            assert (state.vastgesteld_cent, state.gereserveerd_cent, state.besteed_cent) == (
                vast[bron],
                gereserveerd[bron],
                besteed[bron],
            )

    @invariant()
    def what_is_reserved_and_spent_is_what_the_opdrachten_ask_and_their_invoices_cost(self) -> None:
        orders: dict[str, tuple[str, int]] = {}
        invoices: dict[str, str] = {}
        paid: set[str] = set()
        for fact in self.facts:
            if isinstance(fact.data, opdracht.Verstrekt):
                orders[fact.subject] = (fact.data.bron, fact.data.bedrag_cent)
            elif isinstance(fact.data, opdracht.Ingetrokken):
                del orders[fact.subject]
            elif isinstance(fact.data, factuur.Klaargezet):
                assert fact.data.opdrachtnummer not in invoices
                invoices[fact.data.opdrachtnummer] = fact.subject
            elif isinstance(fact.data, factuur.Gecrediteerd):
                assert invoices.pop(fact.data.opdrachtnummer) == fact.data.vorig_factuurnummer
            elif isinstance(fact.data, betaling.Bevestigd):
                paid.add(fact.data.factuurnummer)
        for bron in ("POW", "WERKBEDRIJF"):
            asked = {order: bedrag for order, (source, bedrag) in orders.items() if source == bron}
            spent = sum(bedrag for order, bedrag in asked.items() if invoices.get(order) in paid)
            state = self.desk.state(Budget, bron)
            assert (state.gereserveerd_cent, state.besteed_cent) == (sum(asked.values()) - spent, spent)

    @invariant()
    def a_school_holds_what_it_was_paid_for_invoices_that_do_not_stand(self) -> None:
        paid: dict[str, int] = defaultdict(int)
        worth: dict[str, int] = {}
        verrekend: dict[str, int] = {}
        settled: set[str] = set()
        credited: set[str] = set()
        for fact in self.facts:
            if isinstance(fact.data, factuur.Klaargezet):
                worth[fact.subject] = fact.data.bedrag_cent
            elif isinstance(fact.data, factuur.Gecrediteerd):
                credited.add(fact.data.vorig_factuurnummer)
            elif isinstance(fact.data, betaling.Opgedragen):
                assert fact.data.bedrag_cent + fact.data.verrekend_cent == worth[fact.data.factuurnummer]
                verrekend[fact.data.factuurnummer] = fact.data.verrekend_cent
            elif isinstance(fact.data, betaling.Bevestigd):
                settled.add(fact.data.factuurnummer)
                number = fact.data.factuurnummer
                paid[number.partition("-")[0]] += worth[number] - verrekend[number]
        for reeks in ("RM", "RP"):
            standing = [number for number in worth if number.startswith(reeks) and number not in credited]
            cost = sum(worth[number] if number in settled else verrekend.get(number, 0) for number in standing)
            known = self.desk.work.get(Tegoed, reeks)
            assert (known.bedrag_cent if known else 0) == paid[reeks] - cost >= 0

    @invariant()
    def invoice_numbers_have_no_gap(self) -> None:
        used: dict[str, list[int]] = defaultdict(list)
        for fact in self.facts:
            if isinstance(fact.data, factuur.Klaargezet | factuur.Gecrediteerd):
                reeks, _, volgnummer = fact.subject.partition("-")
                used[reeks].append(int(volgnummer))
        for numbers in used.values():
            assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def an_opdracht_has_one_standing_invoice_of_its_own_amount_at_most(self) -> None:
        orders = {f.subject: f.data for f in self.facts if isinstance(f.data, opdracht.Verstrekt)}
        standing: dict[str, str] = {}
        for fact in self.facts:
            if isinstance(fact.data, factuur.Klaargezet):
                assert fact.data.opdrachtnummer not in standing.values()
                assert fact.data.bedrag_cent <= orders[fact.data.opdrachtnummer].bedrag_cent
                standing[fact.subject] = fact.data.opdrachtnummer
            elif isinstance(fact.data, factuur.Gecrediteerd):
                del standing[fact.data.vorig_factuurnummer]

    def _commission(self, known: tuple[str, str], bron: str, bedrag: int) -> None:
        self._try(lambda: g.commission(self.desk, known[0], bedrag, opleider=known[1], bron=bron))

    def _about_one_of(
        self, data: st.DataObject, kind: type[Data], act: Callable[[Desk, str], list[Fact[Data]]]
    ) -> None:
        if subjects := self._subjects(kind):
            subject = data.draw(st.sampled_from(subjects))
            self._try(lambda: act(self.desk, subject))

    def _subjects(self, kind: type[Data]) -> list[str]:
        return [fact.subject for fact in self.facts if isinstance(fact.data, kind)]

    def _try(self, act: Callable[[], list[Fact[Data]]]) -> None:
        try:
            self.facts += act()
        except Verdict:
            return


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
