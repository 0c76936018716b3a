"""An auditor who reads the facts alone and holds the hardest rules of the domain, by its own reckoning."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from contracts import besteding, betaling, budget, erkenning, factuur, match, opdracht, traject, verklaring
from contracts.catalogue import Owner
from contracts.fields import Rol
from services.billing.budget import Budget
from services.billing.tegoed import Tegoed
from services.chassis.messages import Fact
from services.intake.traject import Status, Traject
from services.matching.match import Match
from services.matching.match import Status as Matchstatus
from tests.desk import KWALIFICATIES, REGISTRY
from tests.levensloop.world import Uitkomst, World
from tests.levensloop.zaak import LOKET, NAAM, PERSOON

_BLOKKADE = timedelta(days=181)
"""The shortest that six months can be."""
_SCHOLEN = REGISTRY.in_role(Rol.OPLEIDER)


@dataclass
class _Verdict:
    datum: date
    leerbedrijf_id: str
    beheerst: bool


@dataclass
class Toezicht:
    """`kijk` after every step, `sluit` at the end."""

    world: World
    gezien: int = 0
    scholen: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, dict[tuple[str, str, str], _Verdict]] = field(default_factory=lambda: defaultdict(dict))
    plannen: dict[str, traject.BegeleidingsdocumentVastgesteld] = field(default_factory=dict)
    gestopt: set[str] = field(default_factory=set)
    """Trajecten that once ended without a verklaring."""
    geldig: dict[str, str] = field(default_factory=dict)
    """By traject: its valid verklaring."""
    scholen_van: dict[str, str] = field(default_factory=dict)
    """By traject: the school that issued it."""
    plekken: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By match: its traject and place."""
    actief: dict[str, str] = field(default_factory=dict)
    """By traject: its active match."""
    geweigerd: dict[str, date] = field(default_factory=dict)
    erkenningen: dict[str, str] = field(default_factory=dict)
    opdrachten: dict[str, opdracht.Verstrekt] = field(default_factory=dict)
    facturen: dict[str, str] = field(default_factory=dict)
    """By opdracht: the invoice that stands."""
    waarde: dict[str, int] = field(default_factory=dict)
    verrekend: dict[str, int] = field(default_factory=dict)
    betaald: set[str] = field(default_factory=set)
    gecrediteerd: set[str] = field(default_factory=set)
    standen: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    nummers: Counter[str] = field(default_factory=Counter)

    def kijk(self) -> None:
        for fact in self.world.facts[self.gezien :]:
            self._kijk(fact, fact.data)
        self.gezien = len(self.world.facts)

    def _kijk(self, fact: Fact[Any], data: Any) -> None:
        subject = fact.subject
        told = data.model_dump_json()
        assert PERSOON not in told  # rule 12
        assert not any(part in told for part in NAAM.split())
        self._submitter(fact)
        match fact.type.entity:
            case "traject":
                self._traject(fact, subject, data)
            case "match":
                self._match(fact, subject, data)
            case "erkenning":
                self._erkenning(subject, data)
            case "verklaring":
                self._verklaring(subject, data)
            case "budget" | "besteding":
                self._bron(subject, data)
            case _:
                self._geld(fact, subject, data)

    def _submitter(self, fact: Fact[Any]) -> None:
        """Rule 2: only who may submit it, and only parties."""
        if fact.actor in set(Owner):
            return
        rollen = REGISTRY[fact.actor].rollen
        allowed = set(fact.type.submitters) | {who for who, _ in fact.type.namens}
        assert rollen & allowed, (fact.actor, fact.type.name)
        if fact.type.entity in ("traject", "verklaring") and not isinstance(fact.data, traject.Aangemeld):
            nummer = getattr(fact.data, "trajectnummer", fact.subject)
            assert fact.actor not in _SCHOLEN or fact.actor == self.scholen[nummer]
        if fact.type.entity in ("opdracht", "factuur", "betaling"):
            assert fact.actor == LOKET
        if fact.type.entity == "match" and Rol.WERKGEVER in rollen:
            assert REGISTRY.werkgever_of(self.plekken[fact.subject][1].partition("/")[0]) == fact.actor

    def _traject(self, fact: Fact[Any], nummer: str, data: Any) -> None:
        match data:
            case traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER):
                self.scholen[nummer] = data.partner
            case traject.Uitgevallen() | traject.Teruggetrokken():
                self.gestopt.add(nummer)
            case traject.IntakeAfgerond(uitkomst=traject.Uitkomst.NIET_GESCHIKT):
                self.gestopt.add(nummer)
            case traject.BegeleidingsdocumentVastgesteld():
                self.plannen[nummer] = data
            case traject.Gestart() | traject.Hervat():
                self._mag_werken(fact, nummer, data.datum)
            case traject.WerkprocesBeoordeeld():
                plan = self.plannen[nummer]
                over = (plan.crebo, plan.dossierversie, data.werkproces)
                beheerst = data.beoordeling is traject.Beoordeling.BEHEERST
                known = self.verdicts[nummer].get(over)
                if known is None or known.datum <= data.datum:
                    self.verdicts[nummer][over] = _Verdict(data.datum, data.leerbedrijf_id, beheerst)

    def _mag_werken(self, begin: Fact[Any], nummer: str, dag: date) -> None:
        """Rule 1, from what intake recorded and heard until then, in that order."""
        school, plan, ingeschreven = None, None, False
        pok: traject.PokOpgesteld | traject.PokGewijzigd | None = None
        handtekeningen: set[traject.PokPartij] = set()
        matches: dict[str, tuple[str, list[match.Erkend]]] = {}
        opdrachten: dict[str, str] = {}
        for fact in self.world.taken[Owner.INTAKE]:
            if fact.id == begin.id:
                break
            data: Any = fact.data
            if nummer not in (fact.subject, getattr(data, "trajectnummer", None)):
                continue
            hier = max(matches, key=lambda known: matches[known][0], default=None)
            match data:
                case traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER) if data.partner != school:
                    school, plan, ingeschreven, pok = data.partner, None, False, None
                case traject.BegeleidingsdocumentVastgesteld():
                    plan = data
                case traject.InschrijvingBevestigd():
                    ingeschreven = True
                case traject.PokOpgesteld() | traject.PokGewijzigd():
                    pok, handtekeningen = data, set()
                case traject.PokOndertekend() if pok and pok.pok_id == data.pok_id:
                    handtekeningen |= {handtekening.partij for handtekening in data.handtekeningen}
                case traject.PokOntbonden() if pok and pok.pok_id == data.pok_id:
                    pok = None
                case match.Bevestigd():
                    matches[fact.subject] = (fact.id, [])
                case match.Erkend():
                    matches[fact.subject][1].append(data)
                case match.Vervallen():
                    matches.pop(fact.subject, None)
                case opdracht.Verstrekt():
                    opdrachten[fact.subject] = data.opleider
                case opdracht.Ingetrokken():
                    del opdrachten[fact.subject]
            if hier != max(matches, key=lambda known: matches[known][0], default=None):
                pok = None
        assert matches, "no workplace"
        _, erkend = max(matches.values(), key=lambda known: known[0])
        assert any(e.erkenning_geldig_vanaf <= dag <= e.erkenning_geldig_tot for e in erkend), "no recognition"
        assert plan is not None
        assert plan.crebo == erkend[-1].crebo
        assert set(plan.werkprocessen) <= (KWALIFICATIES.werkprocessen(plan.crebo, plan.dossierversie) or set())
        assert ingeschreven
        assert pok is not None
        assert pok.begin <= dag <= pok.eind
        assert handtekeningen == set(traject.PokPartij)
        assert school in opdrachten.values()

    def _match(self, fact: Fact[Any], nummer: str, data: Any) -> None:
        match data:
            case match.Voorgesteld() | match.HerplaatsingGestart():
                self.plekken[nummer] = (data.trajectnummer, f"{data.vestigingsnummer}/{data.crebo}")
                self._niet_geblokkeerd(nummer, fact)
            case match.Bevestigd():
                assert data.trajectnummer not in self.actief, "rule 5: a second active match"
                self.actief[data.trajectnummer] = nummer
            case match.Erkend():
                assert self.actief[data.trajectnummer] == nummer
                self._niet_geblokkeerd(nummer, fact)
            case match.Vervallen() if self.actief.get(data.trajectnummer) == nummer:
                del self.actief[data.trajectnummer]

    def _niet_geblokkeerd(self, nummer: str, fact: Fact[Any]) -> None:
        """Rule 6."""
        sinds = self.geweigerd.get(self.plekken[nummer][1])
        assert sinds is None or fact.recorded.date() >= sinds + _BLOKKADE

    def _erkenning(self, nummer: str, data: Any) -> None:
        match data:
            case erkenning.Aangevraagd():
                place = f"{data.vestigingsnummer}/{data.crebo}"
                assert place not in self.geweigerd or data.dagtekening >= self.geweigerd[place] + _BLOKKADE
                self.erkenningen[nummer] = place
                self.geweigerd.pop(place, None)
            case erkenning.Geweigerd():
                self.geweigerd[self.erkenningen[nummer]] = data.datum
            case erkenning.Verleend():
                self.geweigerd.pop(self.erkenningen[nummer], None)

    def _verklaring(self, nummer: str, data: Any) -> None:
        """Rule 8."""
        if isinstance(data, verklaring.Afgegeven):
            assert data.trajectnummer not in self.geldig, "a second valid verklaring"
            assert data.opleider == self.scholen[data.trajectnummer]
            assert data.werkprocessen
            for werkproces in data.werkprocessen:
                over = (data.crebo, data.dossierversie, werkproces)
                assert self.verdicts[data.trajectnummer][over].beheerst
            self.geldig[data.trajectnummer] = nummer
            self.scholen_van[data.trajectnummer] = data.opleider
        else:
            assert self.geldig.pop(data.trajectnummer) == nummer
            del self.scholen_van[data.trajectnummer]

    def _bron(self, bron: str, data: Any) -> None:
        """Rule 9: never more than was set, and every stand the sum of what went before."""
        vast, gereserveerd, besteed = self.standen.get(bron, (0, 0, 0))
        match data:
            case budget.Vastgesteld():
                vast = data.bedrag_cent
            case besteding.Gereserveerd():
                gereserveerd += data.bedrag_cent
            case besteding.Besteed():
                gereserveerd, besteed = gereserveerd - data.bedrag_cent, besteed + data.bedrag_cent
            case besteding.Vrijgevallen() if data.stand.besteed_cent < besteed:
                besteed -= data.bedrag_cent
            case besteding.Vrijgevallen():
                gereserveerd -= data.bedrag_cent
        if not isinstance(data, budget.Vastgesteld):
            stand = data.stand
            assert (stand.vastgesteld_cent, stand.gereserveerd_cent, stand.besteed_cent) == (
                vast,
                gereserveerd,
                besteed,
            )
        assert gereserveerd + besteed <= vast
        self.standen[bron] = (vast, gereserveerd, besteed)

    def _geld(self, fact: Fact[Any], nummer: str, data: Any) -> None:
        match data:
            case opdracht.Verstrekt():
                self.opdrachten[nummer] = data
            case opdracht.Ingetrokken():
                assert nummer not in self.facturen
                order = self.opdrachten.pop(nummer)
                stopt = REGISTRY.get(fact.actor) is not None or order.trajectnummer in self.gestopt
                assert stopt or self.scholen_van.get(order.trajectnummer) != order.opleider, "work not paid"
            case factuur.Klaargezet():
                self._volgt(nummer)
                order = self.opdrachten[data.opdrachtnummer]
                assert data.opdrachtnummer not in self.facturen, "rule 3: a second invoice"
                assert data.bedrag_cent <= order.bedrag_cent
                assert data.opleider == order.opleider
                self.facturen[data.opdrachtnummer] = nummer
                self.waarde[nummer] = data.bedrag_cent
            case factuur.Gecrediteerd():
                self._volgt(nummer)
                assert self.facturen.pop(data.opdrachtnummer) == data.vorig_factuurnummer
                assert data.bedrag_cent == self.waarde[data.vorig_factuurnummer]
                self.gecrediteerd.add(data.vorig_factuurnummer)
            case betaling.Opgedragen():
                assert data.factuurnummer not in self.verrekend, "rule 3: a second payment"
                assert data.bedrag_cent + data.verrekend_cent == self.waarde[data.factuurnummer]
                self.verrekend[data.factuurnummer] = data.verrekend_cent
            case betaling.Bevestigd():
                assert data.factuurnummer not in self.betaald
                self.betaald.add(data.factuurnummer)

    def _volgt(self, factuurnummer: str) -> None:
        """Rule 10: no number is skipped or used twice."""
        reeks, _, volgnummer = factuurnummer.partition("-")
        self.nummers[reeks] += 1
        assert int(volgnummer) == self.nummers[reeks]

    # At the end, when everything has arrived and nobody waits any longer

    def sluit(self) -> None:
        self.kijk()
        for nummer in self.scholen:
            self._gesloten_traject(nummer)
        self._boeken()
        for receipt in self.world.receipts:
            assert receipt.uitkomst is not Uitkomst.WACHT  # rule 4: one final answer
            assert (receipt.uitkomst is Uitkomst.AFGEWEZEN) == (receipt.code is not None)

    def _gesloten_traject(self, nummer: str) -> None:
        pv: Traject = self.world.state(Owner.INTAKE, Traject, nummer)
        hier = self.actief.get(nummer)
        assert (pv.werkplek.match if pv.werkplek else None) == hier
        assert not pv.stilgevallen
        if pv.status is Status.GESTART:  # rule 7
            assert hier is not None
            state: Match = self.world.state(Owner.MATCHING, Match, hier)
            assert state.status is Matchstatus.ERKEND
        verdicts = {
            (o.crebo, o.dossierversie, o.werkproces): _Verdict(
                o.datum, o.leerbedrijf_id, o.beoordeling is traject.Beoordeling.BEHEERST
            )
            for o in pv.oordelen
        }
        assert verdicts == self.verdicts[nummer]
        assert pv.verklaring == self.geldig.get(nummer)
        assert (pv.status in (Status.AFGEROND, Status.GESLOTEN)) == (nummer in self.geldig)

    def _boeken(self) -> None:
        """What stands is what is due; every cent of every source and every school is accounted for."""
        invoiced = {self.opdrachten[order].trajectnummer for order in self.facturen}
        issued = {
            fact.subject: fact.data.opleider
            for fact in self.world.facts
            if isinstance(fact.data, verklaring.Afgegeven)
        }
        due = {
            order.trajectnummer
            for order in self.opdrachten.values()
            if issued.get(self.geldig.get(order.trajectnummer, "")) == order.opleider
        }
        assert invoiced == due
        for bron, (_, gereserveerd, besteed) in self.standen.items():
            orders = {nummer: o.bedrag_cent for nummer, o in self.opdrachten.items() if o.bron == bron}
            spent = sum(bedrag for order, bedrag in orders.items() if self.facturen.get(order) in self.betaald)
            assert (gereserveerd, besteed) == (sum(orders.values()) - spent, spent)
            state: Budget = self.world.state(Owner.BILLING, Budget, bron)
            assert (state.gereserveerd_cent, state.besteed_cent) == (gereserveerd, besteed)
        for reeks in self.nummers:
            mine = [nummer for nummer in self.waarde if nummer.startswith(reeks)]
            received = sum(self.waarde[n] - self.verrekend[n] for n in mine if n in self.betaald)
            cost = sum(
                self.waarde[n] if n in self.betaald else self.verrekend.get(n, 0)
                for n in mine
                if n not in self.gecrediteerd
            )
            held: Tegoed | None = self.world.state(Owner.BILLING, Tegoed, reeks)
            assert (held.bedrag_cent if held else 0) == received - cost >= 0
