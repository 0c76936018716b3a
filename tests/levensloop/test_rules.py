"""Partners say anything at any time, facts overtake one another, days pass: the hardest rules hold.

Rules 1 to 9, the cents and numbers of 10, and of 12 that facts hold nothing of a person. How the machine is
driven is here; what is held is in `toezicht`.
"""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from contracts import betaling, budget, erkenning, factuur, match, opdracht, traject, verklaring
from contracts.catalogue import CATALOGUE, Owner
from contracts.model import Data
from services.billing.trajectbeeld import Trajectbeeld
from services.intake.traject import Status
from services.matching.match import Match
from services.matching.match import Status as Matchstatus
from tests.desk import REGISTRY
from tests.levensloop import zaak as z
from tests.levensloop.toezicht import Toezicht
from tests.levensloop.world import Ontvangst, World
from tests.levensloop.zaak import Zaak

STAPPEN, VOORBEELDEN = 50, 340
TENMINSTE = 10_000
"""Steps that one run must really have made."""

ZAKEN = st.integers(0, 2)
SUBMITTABLE: list[type[Data]] = [item.fact for item in CATALOGUE.values() if item.submission]
VERLIES: tuple[type[Data], ...] = (match.Vervallen, erkenning.Ingetrokken, traject.PokOntbonden)
TEGENSLAG: dict[Status, tuple[type[Data], ...]] = {
    Status.GESCHIKT: (match.Vervallen, match.Afgewezen, traject.Teruggetrokken, opdracht.Ingetrokken),
    Status.GEMATCHT: (erkenning.Geweigerd, match.Vervallen, traject.Teruggetrokken),
    Status.ERKEND: (*VERLIES, opdracht.Ingetrokken, traject.Teruggetrokken),
    Status.VOORBEREID: (*VERLIES, opdracht.Ingetrokken, traject.PokGewijzigd),
    Status.GESTART: (
        *VERLIES,
        traject.Onderbroken,
        traject.Uitgevallen,
        opdracht.Ingetrokken,
        traject.PokGewijzigd,
    ),
    Status.ONDERBROKEN: (*VERLIES, traject.Uitgevallen, match.HerplaatsingGestart, traject.Teruggetrokken),
    Status.AFGEROND: (verklaring.Ingetrokken, traject.Gesloten, *VERLIES, betaling.Mislukt, factuur.Afgekeurd),
}
"""What may go wrong at each point of the way; after the end, that it is reopened."""
PARTNERS = st.sampled_from([z.LOKET, z.WSP, z.COACH, z.MAAS, z.PEEL, z.SBB, "bakkerij-de-es", "werkbedrijf"])


class Levensloop(RuleBasedStateMachine):
    stappen = 0
    """Of all runs together."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.toezicht = Toezicht(self.world)
        self.zaken = [Zaak(self.world, bron=bron) for bron in ("POW", "WERKBEDRIJF", "POW")]
        self.subjects: dict[str, list[str]] = {"budget": ["POW", "WERKBEDRIJF"]}
        self.read = 0

    @initialize(op_weg=st.lists(st.sampled_from([17, 13, 12, 10, 8, 4, 0]), min_size=3, max_size=3))
    def trajecten_begin(self, op_weg: list[int]) -> None:
        """Each is brought some way along: what can go wrong there takes many steps to reach by chance."""
        for bron, bedrag in (("POW", 700_000), ("WERKBEDRIJF", 400_000)):
            data = budget.Vastgesteld(
                bedrag_cent=bedrag,
                van=self.world.now.date() - timedelta(days=90),
                tot=self.world.now.date() + timedelta(days=300),
            )
            self.world.submit(budget.Vastgesteld, data, partner=z.LOKET, subject=bron)
        for zaak in self.zaken:
            self._zeg(zaak, traject.Aangemeld)
        for zaak, stappen in zip(self.zaken, op_weg, strict=True):
            self._loop_door(zaak, stappen)
        self._gedaan(0)

    @rule(welke=ZAKEN)
    def partners_do_what_comes_next_before_word_of_it_spreads(self, welke: int) -> None:
        self._verder(self.zaken[welke])
        self._gedaan()

    @rule(welke=ZAKEN, stappen=st.integers(1, 6))
    def a_traject_goes_on(self, welke: int, stappen: int) -> None:
        self._loop_door(self.zaken[welke], stappen)
        self._gedaan()

    @rule(welke=ZAKEN, keuze=st.integers(0, 6), daarna=st.sampled_from(["niets", "verder", "nog iets"]))
    def something_goes_wrong(self, welke: int, keuze: int, daarna: str) -> None:
        self._tegenslag(self.zaken[welke], keuze)
        if daarna == "verder":
            self._verder(self.zaken[welke])
        elif daarna == "nog iets":
            self._tegenslag(self.zaken[welke], keuze + 1)
        self._gedaan()

    @rule(welke=ZAKEN, bezorgd=st.booleans())
    def a_verklaring_is_corrected(self, welke: int, bezorgd: bool) -> None:
        zaak = self.zaken[welke]
        if bezorgd:
            self._loop_door(zaak, 2)
        self._zeg(zaak, verklaring.Ingetrokken)
        self._zeg(zaak, verklaring.Afgegeven)
        self._gedaan()

    @rule(welke=ZAKEN, wat=st.sampled_from(SUBMITTABLE))
    def something_is_said_out_of_turn(self, welke: int, wat: type[Data]) -> None:
        if wat is not traject.GegevensGewist:
            self._zeg(self.zaken[welke], wat)
        self._gedaan()

    @rule(welke=ZAKEN, wat=st.sampled_from(SUBMITTABLE), wie=PARTNERS)
    def somebody_speaks_for_another(self, welke: int, wat: type[Data], wie: str) -> None:
        """The gate refuses other roles before a handler sees them; these get past it."""
        event_type = CATALOGUE.of(wat)
        past_the_gate = REGISTRY[wie].rollen & event_type.submitters
        if past_the_gate and wat is not traject.GegevensGewist:
            self._zeg(self.zaken[welke], wat, partner=wie)
        self._gedaan()

    @rule(data=st.data(), wat=st.sampled_from(SUBMITTABLE), welke=ZAKEN)
    def something_old_is_brought_up(self, data: st.DataObject, wat: type[Data], welke: int) -> None:
        """About a match, verklaring, invoice … of before, or of another traject."""
        entity = CATALOGUE.of(wat).entity
        if entity != "traject" and self.subjects.get(entity):
            zaak, subject = self.zaken[welke], data.draw(st.sampled_from(self.subjects[entity]))
            if entity != "budget":
                zaak.nummers[entity] = subject
            self._zeg(zaak, wat)
        self._gedaan()

    @rule(data=st.data())
    def a_submission_comes_again_under_a_new_id(self, data: st.DataObject) -> None:
        sent = data.draw(st.sampled_from(self.world.receipts)).submission
        if sent.type.fact is not traject.Aangemeld:
            self.world.submit(
                sent.type.fact,
                sent.data,
                partner=sent.partner,
                subject=sent.subject,
                namens=sent.namens,
                referentie=sent.referentie,
            )
        self._gedaan()

    @rule(welke=ZAKEN, school=st.sampled_from([z.MAAS, z.PEEL]), wacht=st.booleans())
    def the_school_is_replaced(self, welke: int, school: str, wacht: bool) -> None:
        zaak = self.zaken[welke]
        zaak.opleider = school
        self._zeg(zaak, traject.BetrokkeneToegewezen)
        if wacht:
            self._zeg(zaak, opdracht.Ingetrokken)
            self._zeg(zaak, opdracht.Verstrekt)
        self._gedaan()

    @rule(welke=ZAKEN, volgorde=st.permutations(z.PLEKKEN))
    def employers_compete(self, welke: int, volgorde: list[str]) -> None:
        zaak = self.zaken[welke]
        voorstellen = []
        for plek in volgorde:
            zaak.plek = plek
            voorstellen.append((plek, self._zeg(zaak, match.Voorgesteld)))
        for plek, voorstel in voorstellen:
            zaak.plek = plek
            if voorstel.facts:
                zaak.nummers["match"] = voorstel.subject
                self._zeg(zaak, match.Bevestigd)
        self._gedaan()

    @rule(
        data=st.data(), antwoord=st.sampled_from([erkenning.Verleend, erkenning.Geweigerd, erkenning.Ingetrokken])
    )
    def sbb_answers(self, data: st.DataObject, antwoord: type[Data]) -> None:
        if known := self.subjects.get("erkenning"):
            zaak = self.zaken[0]
            zaak.nummers["erkenning"] = data.draw(st.sampled_from(known))
            dagen = data.draw(st.sampled_from([20, 400]))
            besluit = erkenning.Verleend(
                leerbedrijf_id=z.leerbedrijf_id(zaak.plek),
                geldig_vanaf=zaak.vandaag + timedelta(days=data.draw(st.sampled_from([-5, 0, 10]))),
                geldig_tot=zaak.vandaag + timedelta(days=dagen),
            )
            self._zeg(zaak, antwoord, besluit if antwoord is erkenning.Verleend else None)
        self._gedaan()

    @rule(bron=st.sampled_from(["POW", "WERKBEDRIJF"]), bedrag=st.sampled_from([250_000, 700_000, 1_500_000]))
    def a_budget_is_set(self, bron: str, bedrag: int) -> None:
        vandaag = self.world.now.date()
        data = budget.Vastgesteld(bedrag_cent=bedrag, van=vandaag, tot=vandaag + timedelta(days=100))
        self.world.submit(budget.Vastgesteld, data, partner="werkbedrijf", subject=bron)
        self._gedaan()

    @rule(welke=ZAKEN, bron=st.sampled_from(["POW", "WERKBEDRIJF"]), bedrag=st.sampled_from([0, 100_001, 250_000]))
    def the_opdracht_is_given_anew(self, welke: int, bron: str, bedrag: int) -> None:
        zaak = self.zaken[welke]
        self._zeg(zaak, opdracht.Ingetrokken)
        zaak.bron, zaak.bedrag_cent = bron, bedrag
        self._zeg(zaak, opdracht.Verstrekt)
        self._gedaan()

    @rule(data=st.data(), hoeveel=st.integers(1, 4))
    def some_facts_arrive(self, data: st.DataObject, hoeveel: int) -> None:
        for _ in range(hoeveel):
            if under_way := self.world.under_way():
                self.world.deliver(data.draw(st.sampled_from(under_way)))
        self._gedaan()

    @rule(data=st.data())
    def a_stream_stalls(self, data: st.DataObject) -> None:
        if under_way := self.world.under_way():
            self.world.stalled.add(data.draw(st.sampled_from(under_way)))
        self._gedaan()

    @rule(welke=ZAKEN, entity=st.sampled_from(["match", "opdracht", "verklaring"]), stappen=st.integers(1, 5))
    def word_of_the_latest_step_is_late(self, welke: int, entity: str, stappen: int) -> None:
        """What is new of that stream stays behind while the traject goes on."""
        zaak = self.zaken[welke]
        self._verder(zaak)
        self.world.stalled |= {stream for stream in self.world.under_way() if stream[1] == entity}
        for _ in range(stappen):
            self._tegenslag(zaak, stappen)
            self._loop_door(zaak, 1)
        self._gedaan()

    @rule()
    def stalled_facts_arrive(self) -> None:
        self.world.stalled.clear()
        self._gedaan()

    @rule()
    def all_facts_arrive(self) -> None:
        self.world.deliver_all()
        self._gedaan()

    @rule(dagen=st.sampled_from([1, 7, 31, 190]))
    def days_pass(self, dagen: int) -> None:
        self.world.pass_days(dagen)
        self._gedaan()

    def teardown(self) -> None:
        self.world.stalled.clear()
        self.world.deliver_all()
        for _ in range(3):  # what is accepted at last may set others in motion
            self.world.pass_days(40)
            self.world.deliver_all()
        self.toezicht.sluit()

    # What partners would do

    def _loop_door(self, zaak: Zaak, stappen: int) -> None:
        for _ in range(stappen):
            self.world.deliver_all()
            self._onthoud()
            self._verder(zaak)

    def _verder(self, zaak: Zaak) -> None:
        """The next step of that traject on the main road, by whoever it is up to."""
        pv = zaak.traject
        if zaak.opleider != pv.opleider:
            self._zeg(zaak, traject.BetrokkeneToegewezen)
        elif pv.status is Status.AANGEMELD:
            self._zeg(zaak, traject.IntakeAfgerond)
        elif pv.status in (Status.AFGEROND, Status.GESLOTEN):
            self._betaal(zaak)
        elif pv.status in (Status.NIET_GESCHIKT, Status.UITGEVALLEN, Status.TERUGGETROKKEN):
            self._zeg(zaak, traject.Heropend)
        elif pv.werkplek is None:
            self._zoek_werkplek(zaak)
        elif pv.status is Status.GESTART:
            self._zeg(zaak, verklaring.Afgegeven if pv.beheerst_op() else traject.WerkprocesBeoordeeld)
        elif pv.erkenning is None or pv.werkplek.erkenning_op(zaak.vandaag) is None:
            self._zeg(zaak, erkenning.Verleend)
        elif (missing := self._ontbreekt(zaak)) is not None:
            self._zeg(zaak, missing)
        else:
            self._zeg(zaak, traject.Hervat if pv.status is Status.ONDERBROKEN else traject.Gestart)

    def _tegenslag(self, zaak: Zaak, keuze: int) -> None:
        kansen = TEGENSLAG.get(zaak.traject.status, (traject.Heropend,))
        self._zeg(zaak, kansen[keuze % len(kansen)])

    def _zoek_werkplek(self, zaak: Zaak) -> None:
        known: Match | None = self.world.state(Owner.MATCHING, Match, zaak.nummer("match"))
        if known and known.status is Matchstatus.VOORGESTELD:
            self._zeg(zaak, match.Bevestigd)
        else:
            self._zeg(zaak, match.HerplaatsingGestart if zaak.traject.gestart_op else match.Voorgesteld)

    def _ontbreekt(self, zaak: Zaak) -> type[Data] | None:
        """What a start or a resumption still needs."""
        pv = zaak.traject
        beeld: Trajectbeeld | None = self.world.state(Owner.BILLING, Trajectbeeld, zaak.nummer("traject"))
        if beeld and beeld.opdracht is None:
            return opdracht.Verstrekt
        if pv.plan is None:
            return traject.BegeleidingsdocumentVastgesteld
        if not pv.ingeschreven:
            return traject.InschrijvingBevestigd
        if pv.pok is None or not pv.pok.begin <= zaak.vandaag <= pv.pok.eind:
            zaak.pok_id = str(uuid4())
            return traject.PokOpgesteld
        return None if pv.pok.volledig_ondertekend else traject.PokOndertekend

    def _betaal(self, zaak: Zaak) -> None:
        self._zeg(zaak, betaling.Bevestigd if "betaling" in zaak.nummers else factuur.Goedgekeurd)
        if "factuur" in zaak.nummers:
            self._zeg(zaak, factuur.Goedgekeurd)

    # Inside

    def _zeg(
        self, zaak: Zaak, wat: type[Data], data: Data | None = None, *, partner: str | None = None
    ) -> Ontvangst:
        receipt = zaak.zeg(wat, data, partner=partner)
        self._onthoud()
        return receipt

    def _onthoud(self) -> None:
        """Partners learn the numbers of what belongs to their trajecten."""
        for fact in self.world.facts[self.read :]:
            known = self.subjects.setdefault(fact.type.entity, [])
            if fact.subject not in known:
                known.append(fact.subject)
        for zaak in self.zaken:
            zaak.onthoud(self.world.facts[self.read :])
        self.read = len(self.world.facts)

    def _gedaan(self, stappen: int = 1) -> None:
        self._onthoud()
        self.toezicht.kijk()
        Levensloop.stappen += stappen


@pytest.mark.timeout(900)
def test_the_hardest_rules_hold_whatever_comes_in_whatever_order() -> None:
    run_state_machine_as_test(
        Levensloop,
        settings=settings(
            max_examples=VOORBEELDEN,
            stateful_step_count=STAPPEN,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{Levensloop.stappen} steps")  # noqa: T201 - shown by `pytest -rP`
    assert Levensloop.stappen >= TENMINSTE, "too few: raise VOORBEELDEN"
