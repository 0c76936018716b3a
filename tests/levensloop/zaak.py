"""One traject with all that belongs to it, and what its partners would say about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from uuid import uuid4

from contracts import betaling, budget, erkenning, factuur, match, opdracht, traject, verklaring
from contracts.catalogue import Owner
from contracts.fields import Categorie, PartnerId, Rol, Sector, Werkstatus, number_from
from contracts.model import Data, Leeg
from contracts.persoon import Persoon
from services.chassis.messages import Fact
from services.intake.traject import Traject
from tests.desk import REGISTRY
from tests.levensloop.world import Ontvangst, World
from tests.persons import sealed

LOKET, WSP, COACH, MAAS, PEEL, SBB = "leerwerkloket", "wsp-venlo", "coach-kompas", "roc-maas", "roc-peel", "sbb"
BAKKERIJ, GREENPORT, WINKEL = "000051000001", "000051000003", "000088000001"
"""The shop has no system of its own: the wsp speaks for it."""
PLEKKEN: Final = (BAKKERIJ, GREENPORT, WINKEL)
CREBO, VERSIE = "25252", "2024"
PLAN: Final = ("B1-K1-W1", "B1-K1-W2")
BEDRAG: Final = 250_000
NAAM: Final = "Geheim Geheimpje"
PERSOON: Final = sealed(Persoon(naam=NAAM, geboortedatum=date(1990, 4, 1), postcode="5911AB"))
HASH: Final = "sha256:" + "ab" * 32
ONBEKEND: Final[Mapping[str, str]] = {
    "traject": number_from("PV", "ZZZZZZZZZ"),
    "match": number_from("M", "ZZZZZZZZZ"),
    "erkenning": number_from("ER", "ZZZZZZZZZ"),
    "verklaring": number_from("VK", "ZZZZZZZZZ"),
    "budget": "WERKBEDRIJF",
    "opdracht": number_from("OP", "ZZZZZZZZZ"),
    "factuur": "RM-999999",
    "betaling": number_from("BT", "ZZZZZZZZZ"),
}
"""A subject of each stream that nobody heard of."""


def leerbedrijf_id(plek: str) -> str:
    return "1" + plek[-8:]


@dataclass
class Zaak:
    """What its partners know of it: the numbers of what belongs to it, the latest of each stream."""

    world: World
    nummers: dict[str, str] = field(default_factory=dict)
    opleider: PartnerId = MAAS
    plek: str = BAKKERIJ
    bron: str = "POW"
    bedrag_cent: int = BEDRAG
    pok_id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def vandaag(self) -> date:
        return self.world.now.date()

    @property
    def traject(self) -> Traject:
        found: Traject = self.world.state(Owner.INTAKE, Traject, self.nummer("traject"))
        return found

    def nummer(self, entity: str) -> str:
        return self.bron if entity == "budget" else self.nummers.get(entity, ONBEKEND[entity])

    def zeg(
        self,
        fact: type[Data],
        data: Data | None = None,
        *,
        partner: PartnerId | None = None,
        referentie: str | None = None,
    ) -> Ontvangst:
        """Somebody submits it: who and what would be usual, unless it is given."""
        entity = _entity(fact)
        receipt = self.world.submit(
            fact,
            data or GEBRUIKELIJK[fact](self),
            partner=partner or self.wie(fact),
            subject=None if fact in OPENT else self.nummer(entity),
            namens=Rol.WERKGEVER if self.namens(fact) and partner is None else None,
            referentie=referentie,
        )
        if fact is traject.Aangemeld:
            self.nummers["traject"] = receipt.subject
        self.onthoud(receipt.facts)
        return receipt

    def wie(self, fact: type[Data]) -> PartnerId:
        """Who usually submits it."""
        partner = WIE[fact]
        if partner == "opleider":
            return self.opleider
        return (REGISTRY.werkgever_of(self.plek) or WSP) if partner == "werkgever" else partner

    def namens(self, fact: type[Data]) -> bool:
        """Whether the wsp speaks for an employer without a system."""
        return WIE[fact] == "werkgever" and REGISTRY.werkgever_of(self.plek) is None

    def bezorg(self) -> None:
        """Everything under way arrives."""
        self.onthoud(self.world.deliver_all())

    def onthoud(self, facts: list[Fact[Any]]) -> None:
        """Partners learn the numbers of what belongs to it."""
        for fact in facts:
            data = fact.data
            if isinstance(data, erkenning.Aangevraagd) and data.vestigingsnummer == self.plek:
                self.nummers["erkenning"] = fact.subject
            if getattr(data, "trajectnummer", "") != self.nummers.get("traject"):
                continue
            if not isinstance(data, factuur.Gecrediteerd):
                self.nummers[fact.type.entity] = fact.subject
            if isinstance(data, match.Voorgesteld | match.HerplaatsingGestart | match.Bevestigd):
                self.plek = data.vestigingsnummer


def _entity(fact: type[Data]) -> str:
    return fact.__module__.rpartition(".")[2]


OPENT: Final = frozenset(
    {traject.Aangemeld, match.Voorgesteld, match.HerplaatsingGestart, verklaring.Afgegeven, opdracht.Verstrekt}
)
WIE: Final[Mapping[type[Data], str]] = {
    traject.Aangemeld: COACH,
    traject.BetrokkeneToegewezen: LOKET,
    traject.IntakeAfgerond: COACH,
    traject.BegeleidingsdocumentVastgesteld: "opleider",
    traject.InschrijvingBevestigd: "opleider",
    traject.PokOpgesteld: "opleider",
    traject.PokOndertekend: "opleider",
    traject.PokGewijzigd: "opleider",
    traject.PokOntbonden: "opleider",
    traject.Gestart: "opleider",
    traject.Onderbroken: COACH,
    traject.Hervat: "opleider",
    traject.BezoekGeregistreerd: "opleider",
    traject.WerkprocesBeoordeeld: "opleider",
    traject.Uitgevallen: COACH,
    traject.Teruggetrokken: COACH,
    traject.NazorgGeregistreerd: COACH,
    traject.Gesloten: LOKET,
    traject.Heropend: LOKET,
    traject.GegevensGewist: LOKET,
    match.Voorgesteld: WSP,
    match.Bevestigd: "werkgever",
    match.Afgewezen: "werkgever",
    match.Vervallen: WSP,
    match.HerplaatsingGestart: WSP,
    erkenning.Verleend: SBB,
    erkenning.Geweigerd: SBB,
    erkenning.Ingetrokken: SBB,
    verklaring.Afgegeven: "opleider",
    verklaring.Ingetrokken: "opleider",
    budget.Vastgesteld: LOKET,
    opdracht.Verstrekt: LOKET,
    opdracht.Ingetrokken: LOKET,
    factuur.Goedgekeurd: LOKET,
    factuur.Afgekeurd: LOKET,
    betaling.Bevestigd: LOKET,
    betaling.Mislukt: LOKET,
}
"""Who submits what; `opleider` and `werkgever` are those of the traject."""


def _werkplek(zaak: Zaak) -> dict[str, str]:
    return {
        "trajectnummer": zaak.nummer("traject"),
        "kvk": "5" + zaak.plek[-7:],
        "vestigingsnummer": zaak.plek,
        "crebo": CREBO,
    }


def _pok(zaak: Zaak, **anders: Any) -> dict[str, Any]:
    return {
        "pok_id": zaak.pok_id,
        "begin": zaak.vandaag - timedelta(days=30),
        "eind": zaak.vandaag + timedelta(days=180),
        "uren": 640,
    } | anders


GEBRUIKELIJK: Final[Mapping[type[Data], Callable[[Zaak], Data]]] = {
    traject.Aangemeld: lambda zaak: traject.AangemeldInzending(
        persoon=PERSOON, werkstatus=Werkstatus.WERKZOEKENDE, sectorwens=Sector.HORECA
    ),
    traject.BetrokkeneToegewezen: lambda zaak: traject.BetrokkeneToegewezen(
        rol=Rol.OPLEIDER, partner=zaak.opleider
    ),
    traject.IntakeAfgerond: lambda zaak: traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT),
    traject.BegeleidingsdocumentVastgesteld: lambda zaak: traject.BegeleidingsdocumentVastgesteld(
        crebo=CREBO, dossierversie=VERSIE, werkprocessen=PLAN, documenthash=HASH
    ),
    traject.InschrijvingBevestigd: lambda zaak: traject.InschrijvingBevestigd(
        brin="25PZ", onderwijslocatie="100X123", datum=zaak.vandaag
    ),
    traject.PokOpgesteld: lambda zaak: traject.PokOpgesteld(**_pok(zaak)),
    traject.PokOndertekend: lambda zaak: traject.PokOndertekend(
        pok_id=zaak.pok_id,
        handtekeningen=tuple(
            traject.Handtekening(partij=partij, datum=zaak.vandaag) for partij in traject.PokPartij
        ),
    ),
    traject.PokGewijzigd: lambda zaak: traject.PokGewijzigd(**_pok(zaak, uren=320)),
    traject.PokOntbonden: lambda zaak: traject.PokOntbonden(
        pok_id=zaak.pok_id, datum=zaak.vandaag, categorie=Categorie.WERKGEVER
    ),
    traject.Gestart: lambda zaak: traject.Gestart(datum=zaak.vandaag),
    traject.Onderbroken: lambda zaak: traject.Onderbroken(datum=zaak.vandaag, categorie=Categorie.DEELNEMER),
    traject.Hervat: lambda zaak: traject.Hervat(datum=zaak.vandaag),
    traject.BezoekGeregistreerd: lambda zaak: traject.BezoekGeregistreerd(
        datum=zaak.vandaag, oordeel=traject.BezoekOordeel.VOLDOET
    ),
    traject.WerkprocesBeoordeeld: lambda zaak: traject.WerkprocesBeoordeeld(
        werkproces=PLAN[0],
        beoordeling=traject.Beoordeling.BEHEERST,
        datum=zaak.vandaag,
        leerbedrijf_id=leerbedrijf_id(zaak.plek),
    ),
    traject.Uitgevallen: lambda zaak: traject.Uitgevallen(datum=zaak.vandaag, categorie=Categorie.DEELNEMER),
    traject.Teruggetrokken: lambda zaak: traject.Teruggetrokken(datum=zaak.vandaag, categorie=Categorie.DEELNEMER),
    traject.NazorgGeregistreerd: lambda zaak: traject.NazorgGeregistreerd(
        moment=traject.NazorgMoment.NA_3_MAANDEN, uitkomst=traject.NazorgUitkomst.BAAN
    ),
    traject.Gesloten: lambda zaak: traject.Gesloten(redencode=traject.Sluitreden.VOLTOOID),
    traject.Heropend: lambda zaak: traject.Heropend(redencode=traject.Heropenreden.NIEUWE_KANS),
    traject.GegevensGewist: lambda zaak: traject.GegevensGewist(redencode=traject.Wisreden.VERZOEK),
    match.Voorgesteld: lambda zaak: match.Voorgesteld(**_werkplek(zaak)),
    match.Bevestigd: lambda zaak: Leeg(),
    match.Afgewezen: lambda zaak: Leeg(),
    match.Vervallen: lambda zaak: match.VervallenInzending(categorie=Categorie.WERKGEVER),
    match.HerplaatsingGestart: lambda zaak: match.HerplaatsingInzending(
        **_werkplek(zaak), vorige_match=zaak.nummer("match")
    ),
    erkenning.Verleend: lambda zaak: erkenning.Verleend(
        leerbedrijf_id=leerbedrijf_id(zaak.plek),
        geldig_vanaf=zaak.vandaag,
        geldig_tot=zaak.vandaag + timedelta(days=4 * 365),
    ),
    erkenning.Geweigerd: lambda zaak: erkenning.Geweigerd(
        datum=zaak.vandaag, redencode=erkenning.Weigerreden.OVERIG
    ),
    erkenning.Ingetrokken: lambda zaak: erkenning.Ingetrokken(
        datum=zaak.vandaag, redencode=erkenning.Intrekreden.OVERIG
    ),
    verklaring.Afgegeven: lambda zaak: verklaring.AfgegevenInzending(
        trajectnummer=zaak.nummer("traject"), werkprocessen=PLAN[:1], datum=zaak.vandaag, documenthash=HASH
    ),
    verklaring.Ingetrokken: lambda zaak: verklaring.IngetrokkenInzending(
        datum=zaak.vandaag, redencode=verklaring.VerklaringIntrekreden.CORRECTIE
    ),
    budget.Vastgesteld: lambda zaak: budget.Vastgesteld(
        bedrag_cent=10 * BEDRAG, van=zaak.vandaag, tot=zaak.vandaag + timedelta(days=365)
    ),
    opdracht.Verstrekt: lambda zaak: opdracht.Verstrekt(
        trajectnummer=zaak.nummer("traject"),
        opleider=zaak.opleider,
        bedrag_cent=zaak.bedrag_cent,
        bron=zaak.bron,
    ),
    opdracht.Ingetrokken: lambda zaak: opdracht.IngetrokkenInzending(categorie=Categorie.OVERIG),
    factuur.Goedgekeurd: lambda zaak: Leeg(),
    factuur.Afgekeurd: lambda zaak: factuur.AfgekeurdInzending(regelcodes=("BR-NL-1",)),
    betaling.Bevestigd: lambda zaak: betaling.BevestigdInzending(datum=zaak.vandaag),
    betaling.Mislukt: lambda zaak: betaling.MisluktInzending(
        datum=zaak.vandaag, redencode=betaling.Misluktreden.OVERIG
    ),
}
"""What is usually said in each submission: right, unless the state of things refuses it."""
