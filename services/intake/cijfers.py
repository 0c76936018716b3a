"""The figures that the coördinatiepunt wants to see, worked out from the facts of the journal.

A pure function: facts in, figures out. Counts of people under five are hidden, see `afscherming`; money per
source is about no person and is not. A traject counts for a step of the funnel once it has taken all steps up
to it, so that the funnel never widens. `op` is the day as of which it is counted, by when things happened.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from contracts import (
    besteding,
    betaling,
    budget,
    erkenning,
    factuur,
    match,
    opdracht,
    termijn,
    traject,
    verklaring,
)
from contracts.catalogue import CATALOGUE
from contracts.fields import Bron, Categorie, Cents, PartnerId, Sector, Trajectnummer, Werkstatus
from services.chassis.calendar import AMSTERDAM, WorkingDays
from services.intake.afscherming import DREMPEL, Afgeschermd, Hoogstens, Regel, Som, scherm_af
from services.intake.journal import Entry

DOEL: Final = 150
"""The goal of the pilot: issued verklaringen."""


class Stap(StrEnum):
    """The funnel, in order."""

    AANGEMELD = "aangemeld"
    GESCHIKT = "geschikt"
    GEMATCHT = "gematcht"
    ERKEND = "erkend"
    GESTART = "gestart"
    AFGEROND = "afgerond"


class Einde(StrEnum):
    """How a traject ended before its goal, and stayed so."""

    NIET_GESCHIKT = "niet_geschikt"
    TERUGGETROKKEN = "teruggetrokken"
    UITGEVALLEN = "uitgevallen"


class Duur(StrEnum):
    """What takes time."""

    INTAKE = "intake"
    MATCH = "match"
    ERKENNING = "erkenning"
    VOORBEREIDING = "voorbereiding"
    UITVOERING = "uitvoering"
    GEHEEL = "geheel"
    BESLUIT_SBB = "besluit_sbb"
    BETALING = "betaling"


Aantal = Annotated[
    int | Afgeschermd,
    Field(
        description="Een aantal; `<5`: minder dan vijf; `afgeschermd`: niet te tonen zonder een ander te verraden"
    ),
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Doorlooptijd(_Model):
    """In working days. Empty where fewer than five went by."""

    mediaan: float | None
    p90: int | None = Field(description="Negen van de tien waren er in zo veel werkdagen")


class Groep(_Model):
    """How those of one group fared: each is in one of the three."""

    afgerond: Aantal
    uitgevallen: Aantal
    anders: Aantal = Field(description="Nog bezig, of op een andere manier geëindigd")


class Geld(_Model):
    """One source of money, in cents."""

    vastgesteld_cent: Cents
    beschikbaar_cent: int = Field(description="vastgesteld - gereserveerd - betaald")
    gereserveerd_cent: Cents
    gefactureerd_cent: Cents = Field(description="Klaargezette facturen, zonder wat is gecrediteerd")
    betaald_cent: Cents
    prognose_cent: Cents = Field(description="Betaald, en alles wat is gereserveerd: als elke opdracht lukt")


class Cijfers(_Model):
    """The figures as of the end of the day `op`, in Dutch time."""

    op: date
    doel: int = Field(description="Praktijkverklaringen die het project wil halen")
    trechter: dict[Stap, Aantal] = Field(description="Verschillende trajecten die zo ver kwamen")
    einde: dict[Einde, Aantal] = Field(description="Trajecten die voor het doel eindigden")
    samen: Groep = Field(description="Alle trajecten, zoals ook de groepen zijn ingedeeld")
    doorlooptijden: dict[Duur, Doorlooptijd]
    te_laat: dict[PartnerId, Aantal] = Field(description="Stappen waarvan de termijn is verlopen, per partner")
    herplaatsing: Aantal = Field(description="Trajecten die een andere werkplek zochten of kregen")
    match_afgewezen: Aantal = Field(description="Keren dat een werkgever nee zei")
    match_vervallen: Aantal
    erkenning_geweigerd: Aantal
    erkenning_ingetrokken: Aantal
    werkstatus: dict[Werkstatus, Groep]
    sector: dict[Sector, Groep]
    toegangspartner: dict[PartnerId, Groep]
    uitval: dict[Categorie, Aantal] = Field(description="Waarom trajecten zijn uitgevallen")
    nazorg: dict[traject.NazorgMoment, dict[traject.NazorgUitkomst, Aantal]]
    budget: dict[Bron, Geld]


def bereken(
    feiten: Iterable[Entry],
    op: date,
    *,
    partners: Sequence[PartnerId] = (),
    doel: int = DOEL,
    werkdagen: WorkingDays | None = None,
) -> Cijfers:
    """The figures as of `op`.

    Args:
        feiten: the journal, in its order.
        partners: every possible toegangspartner, so that being in the list says nothing.
    """
    telling = _Telling()
    for feit in feiten:
        event_type = CATALOGUE.get(feit.type)
        dag = feit.time.astimezone(AMSTERDAM).date()
        if event_type is not None and dag <= op:
            telling.neem(feit.subject, event_type.fact.model_validate(feit.data), dag)
    getoond = _getoond(telling, partners)
    return Cijfers(
        op=op,
        doel=doel,
        trechter={stap: getoond["trechter", stap] for stap in Stap},
        einde={einde: getoond["einde", einde] for einde in Einde},
        samen=Groep(**{maat: getoond[totaal] for maat, totaal in _MATEN.items()}),
        doorlooptijden=_doorlooptijden(telling, werkdagen or WorkingDays()),
        te_laat={partner: _klein(aantal) for partner, aantal in sorted(telling.te_laat().items())},
        herplaatsing=_klein(sum(pad.herplaatst for pad in telling.paden.values())),
        match_afgewezen=_klein(telling.keren[match.Afgewezen]),
        match_vervallen=_klein(telling.keren[match.Vervallen]),
        erkenning_geweigerd=_klein(telling.keren[erkenning.Geweigerd]),
        erkenning_ingetrokken=_klein(telling.keren[erkenning.Ingetrokken]),
        werkstatus={groep: _groep(getoond, "werkstatus", groep) for groep in Werkstatus},
        sector={groep: _groep(getoond, "sector", groep) for groep in Sector},
        toegangspartner={groep: _groep(getoond, "toegangspartner", groep) for groep in telling.wegen(partners)},
        uitval={categorie: getoond["uitval", categorie] for categorie in Categorie},
        nazorg={
            moment: {uitkomst: getoond["nazorg", moment, uitkomst] for uitkomst in traject.NazorgUitkomst}
            for moment in traject.NazorgMoment
        },
        budget={bron: geld for bron in sorted(telling.bronnen) if (geld := telling.geld(bron))},
    )


@dataclass(slots=True)
class _Pad:
    """What is known of one traject."""

    werkstatus: Werkstatus | None = None
    sector: Sector | None = None
    toegangspartner: PartnerId | None = None
    dagen: dict[Stap, date] = field(default_factory=dict)
    """The first day of each step."""
    verklaringen: dict[str, date] = field(default_factory=dict)
    """Those that stand."""
    beeindigd: tuple[Einde, Categorie | None] | None = None
    matches: set[str] = field(default_factory=set)
    zoekt_opnieuw: bool = False
    nazorg: dict[traject.NazorgMoment, traject.NazorgUitkomst] = field(default_factory=dict)

    def bereikt(self, stap: Stap) -> bool:
        """Whether it took this step, and all before."""
        return all(self.dag(eerder) for eerder in _tot_en_met(stap))

    def dag(self, stap: Stap) -> date | None:
        if stap is Stap.AFGEROND:
            return min(self.verklaringen.values(), default=None)
        return self.dagen.get(stap)

    @property
    def einde(self) -> Einde | None:
        """How it ended, where that goes with how far it came."""
        if self.beeindigd is None or not self.bereikt(Stap.AANGEMELD) or self.bereikt(Stap.AFGEROND):
            return None
        einde = self.beeindigd[0]
        past = {
            Einde.NIET_GESCHIKT: not self.bereikt(Stap.GESCHIKT),
            Einde.TERUGGETROKKEN: True,
            Einde.UITGEVALLEN: self.bereikt(Stap.GESTART),
        }
        return einde if past[einde] else None

    @property
    def maat(self) -> str:
        """Which of the three it is in, see `Groep`."""
        if self.bereikt(Stap.AFGEROND):
            return "afgerond"
        return "uitgevallen" if self.einde is Einde.UITGEVALLEN else "anders"

    @property
    def herplaatst(self) -> bool:
        return self.zoekt_opnieuw or len(self.matches) > 1


def _tot_en_met(stap: Stap) -> tuple[Stap, ...]:
    stappen = tuple(Stap)
    return stappen[: stappen.index(stap) + 1]


class _Telling:
    """The facts, sorted out by what they are about."""

    def __init__(self) -> None:
        self.paden: dict[Trajectnummer, _Pad] = defaultdict(_Pad)
        self.keren: Counter[type] = Counter()
        self.laat: set[tuple[PartnerId, str, termijn.Stap]] = set()
        self.gevraagd: dict[str, date] = {}
        self.besluiten: list[tuple[date, date]] = []
        self.bronnen: dict[Bron, Cents] = {}
        self.standen: dict[Bron, besteding.Stand] = {}
        self.opdrachten: dict[str, Bron] = {}
        self.facturen: dict[str, tuple[str, Cents, date]] = {}
        self.gecrediteerd: list[tuple[str, Cents]] = []
        self.betaald: list[tuple[str, date]] = []

    def neem(self, onderwerp: str, data: Any, dag: date) -> None:
        """Takes in one fact."""
        self.keren[type(data)] += 1
        match data:
            case traject.Aangemeld():
                pad = self._stap(onderwerp, Stap.AANGEMELD, dag)
                pad.werkstatus, pad.sector = data.werkstatus, data.sectorwens
                pad.toegangspartner = data.toegangspartner
            case traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT):
                self._stap(onderwerp, Stap.GESCHIKT, dag)
            case traject.IntakeAfgerond():
                self.paden[onderwerp].beeindigd = (Einde.NIET_GESCHIKT, None)
            case match.Bevestigd():
                self._stap(data.trajectnummer, Stap.GEMATCHT, dag).matches.add(onderwerp)
            case match.Erkend():
                self._stap(data.trajectnummer, Stap.ERKEND, dag)
            case match.HerplaatsingGestart():
                self.paden[data.trajectnummer].zoekt_opnieuw = True
            case traject.Gestart():
                self._stap(onderwerp, Stap.GESTART, data.datum)
            case traject.Uitgevallen():
                self.paden[onderwerp].beeindigd = (Einde.UITGEVALLEN, data.categorie)
            case traject.Teruggetrokken():
                self.paden[onderwerp].beeindigd = (Einde.TERUGGETROKKEN, data.categorie)
            case traject.Heropend():
                self.paden[onderwerp].beeindigd = None
            case traject.NazorgGeregistreerd():
                self.paden[onderwerp].nazorg[data.moment] = data.uitkomst
            case verklaring.Afgegeven():
                self.paden[data.trajectnummer].verklaringen[onderwerp] = data.datum
            case verklaring.Ingetrokken():
                self.paden[data.trajectnummer].verklaringen.pop(onderwerp, None)
            case termijn.Overschreden() if data.niveau is not termijn.Niveau.HINT:
                self.laat.add((data.partner, data.stroom, data.stap))
            case erkenning.Aangevraagd():
                self.gevraagd[onderwerp] = data.dagtekening
            case erkenning.Verleend() | erkenning.Geweigerd() if onderwerp in self.gevraagd:
                self.besluiten.append((self.gevraagd.pop(onderwerp), dag))
            case budget.Vastgesteld():
                self.bronnen[onderwerp] = data.bedrag_cent
            case besteding.Gereserveerd() | besteding.Besteed() | besteding.Vrijgevallen():
                self.standen[onderwerp] = data.stand
            case opdracht.Verstrekt():
                self.opdrachten[onderwerp] = data.bron
            case factuur.Klaargezet():
                self.facturen[onderwerp] = (data.opdrachtnummer, data.bedrag_cent, dag)
            case factuur.Gecrediteerd():
                self.gecrediteerd.append((data.opdrachtnummer, data.bedrag_cent))
            case betaling.Bevestigd():
                self.betaald.append((data.factuurnummer, data.datum))

    def _stap(self, nummer: Trajectnummer, stap: Stap, dag: date) -> _Pad:
        pad = self.paden[nummer]
        pad.dagen.setdefault(stap, dag)
        return pad

    def te_laat(self) -> Counter[PartnerId]:
        return Counter(partner for partner, _, _ in self.laat)

    def wegen(self, partners: Sequence[PartnerId]) -> list[PartnerId]:
        """Every way in: those there may be, and those there were."""
        return sorted({*partners, *(pad.toegangspartner for pad in self.paden.values() if pad.toegangspartner)})

    def geld(self, bron: Bron) -> Geld:
        stand = self.standen.get(bron) or besteding.Stand(vastgesteld_cent=0, gereserveerd_cent=0, besteed_cent=0)
        klaar = sum(bedrag for order, bedrag, _ in self.facturen.values() if self.opdrachten.get(order) == bron)
        terug = sum(bedrag for order, bedrag in self.gecrediteerd if self.opdrachten.get(order) == bron)
        return Geld(
            vastgesteld_cent=self.bronnen[bron],
            beschikbaar_cent=self.bronnen[bron] - stand.gereserveerd_cent - stand.besteed_cent,
            gereserveerd_cent=stand.gereserveerd_cent,
            gefactureerd_cent=klaar - terug,
            betaald_cent=stand.besteed_cent,
            prognose_cent=stand.besteed_cent + stand.gereserveerd_cent,
        )


_Cel = tuple[str, ...]
_MATEN: Final[Mapping[str, _Cel]] = {
    "afgerond": ("trechter", Stap.AFGEROND),
    "uitgevallen": ("einde", Einde.UITGEVALLEN),
    "anders": ("samen", "anders"),
}
"""What is broken down, and where its total stands."""


_KLAAR: Final[_Cel] = ("samen", "klaar")
"""Afgerond or uitgevallen: not shown, yet it can be reckoned with."""


def _getoond(telling: _Telling, partners: Sequence[PartnerId]) -> dict[_Cel, int | Afgeschermd]:
    """Every count of trajecten, as it may be shown."""
    paden = [pad for pad in telling.paden.values() if pad.bereikt(Stap.AANGEMELD)]
    aantallen: dict[_Cel, int] = {
        **{("trechter", stap): sum(pad.bereikt(stap) for pad in paden) for stap in Stap},
        **{("einde", einde): sum(pad.einde is einde for pad in paden) for einde in Einde},
        ("samen", "anders"): sum(pad.maat == "anders" for pad in paden),
    }
    liever_niet = list(aantallen)
    stappen: list[_Cel] = [("trechter", stap) for stap in Stap]
    regels: list[Regel[_Cel]] = [
        *(Hoogstens(eerder, (later,)) for eerder, later in pairwise(stappen)),
        Hoogstens(("trechter", Stap.AANGEMELD), (("trechter", Stap.GESCHIKT), ("einde", Einde.NIET_GESCHIKT))),
        Som(_KLAAR, (("trechter", Stap.AFGEROND), ("einde", Einde.UITGEVALLEN))),
        Hoogstens(("trechter", Stap.GESTART), (_KLAAR,)),
        Som(("trechter", Stap.AANGEMELD), (_KLAAR, ("samen", "anders"))),
        Hoogstens(("samen", "anders"), (("einde", Einde.NIET_GESCHIKT), ("einde", Einde.TERUGGETROKKEN))),
    ]
    groepen: dict[str, Sequence[str]] = {
        "werkstatus": tuple(Werkstatus),
        "sector": tuple(Sector),
        "toegangspartner": telling.wegen(partners),
    }
    for naam, waarden in groepen.items():
        leden = Counter((getattr(pad, naam), pad.maat) for pad in paden)
        aantallen |= {(naam, waarde, maat): leden[waarde, maat] for waarde in waarden for maat in _MATEN}
        if waarden:
            regels += [Som(totaal, tuple((naam, w, maat) for w in waarden)) for maat, totaal in _MATEN.items()]
    uitval = Counter(pad.beeindigd[1] for pad in paden if pad.beeindigd and pad.einde is Einde.UITGEVALLEN)
    aantallen |= {("uitval", categorie): uitval[categorie] for categorie in Categorie}
    regels.append(Som(("einde", Einde.UITGEVALLEN), tuple(("uitval", categorie) for categorie in Categorie)))
    for moment in traject.NazorgMoment:
        uitkomsten = Counter(pad.nazorg.get(moment) for pad in paden)
        aantallen |= {("nazorg", moment, u): uitkomsten[u] for u in traject.NazorgUitkomst}
        elk: tuple[_Cel, ...] = tuple(("nazorg", moment, uitkomst) for uitkomst in traject.NazorgUitkomst)
        regels.append(Hoogstens(("trechter", Stap.AANGEMELD), elk))
    return scherm_af(aantallen, regels, liever_niet=liever_niet)


def _groep(getoond: Mapping[_Cel, int | Afgeschermd], naam: str, waarde: str) -> Groep:
    return Groep(**{maat: getoond[naam, waarde, maat] for maat in _MATEN})


def _klein(aantal: int) -> int | Afgeschermd:
    """A count that stands by itself."""
    return scherm_af({"": aantal}, [])[""]


_TUSSEN: Final[Mapping[Duur, tuple[Stap, Stap]]] = {
    Duur.INTAKE: (Stap.AANGEMELD, Stap.GESCHIKT),
    Duur.MATCH: (Stap.GESCHIKT, Stap.GEMATCHT),
    Duur.ERKENNING: (Stap.GEMATCHT, Stap.ERKEND),
    Duur.VOORBEREIDING: (Stap.ERKEND, Stap.GESTART),
    Duur.UITVOERING: (Stap.GESTART, Stap.AFGEROND),
    Duur.GEHEEL: (Stap.AANGEMELD, Stap.AFGEROND),
}


def _doorlooptijden(telling: _Telling, werkdagen: WorkingDays) -> dict[Duur, Doorlooptijd]:
    perioden: dict[Duur, list[tuple[date, date]]] = {
        Duur.BESLUIT_SBB: telling.besluiten,
        Duur.BETALING: [
            (telling.facturen[nummer][2], dag) for nummer, dag in telling.betaald if nummer in telling.facturen
        ],
    }
    for duur, (van, tot) in _TUSSEN.items():
        perioden[duur] = [
            (begin, eind)
            for pad in telling.paden.values()
            if pad.bereikt(tot) and (begin := pad.dag(van)) and (eind := pad.dag(tot))
        ]
    # Partners share no clock: what seems to end before it began took no time.
    return {
        duur: _doorlooptijd(
            [max(0, werkdagen.working_days_between(begin, eind)) for begin, eind in perioden[duur]]
        )
        for duur in Duur
    }


def _doorlooptijd(dagen: list[int]) -> Doorlooptijd:
    if len(dagen) < DREMPEL:
        return Doorlooptijd(mediaan=None, p90=None)
    return Doorlooptijd(mediaan=statistics.median(dagen), p90=sorted(dagen)[math.ceil(0.9 * len(dagen)) - 1])
