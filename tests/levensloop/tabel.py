"""Writes `contracts/LEVENSLOOP.md`: what happens to each event in each state, as the services really do it.

    python -m tests.levensloop.tabel [--check]

For every state of every stream a case is brought there by real events; then every event is tried, and what the
services answer is written down. The state diagrams are drawn from the same record. It lives with the tests since
`contracts` may import no service.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

import contracts
from contracts import betaling, budget, erkenning, factuur, match, opdracht, traject, verklaring
from contracts.catalogue import CATALOGUE, Owner
from contracts.fields import Categorie, Rol, number_from
from contracts.model import Data
from services.billing import betaling as betalingen
from services.billing import budget as budgetten
from services.billing import factuur as facturen
from services.billing import opdracht as opdrachten
from services.chassis.messages import Fact
from services.intake import traject as trajecten
from services.intake import verklaring as verklaringen
from services.matching import erkenning as erkenningen
from services.matching import match as matches
from tests.levensloop import zaak as z
from tests.levensloop.world import Ontvangst, Uitkomst, World
from tests.levensloop.zaak import Zaak

DOEL: Final = Path(contracts.__file__).parent / "LEVENSLOOP.md"
ONBEKEND: Final = "onbekend"
GECREDITEERD: Final = "gecrediteerd"
VERLOPEN: Final = "verlopen"
_ANDERE_MATCH: Final = number_from("M", "00000000Z")
_ANDERE_POK: Final = "7b0c1f7e-6f3e-4c53-9a55-0d3f3d3b7c22"
_ANDERE_OPDRACHT: Final = number_from("OP", "00000000Z")

Begin = Callable[[], Zaak]
Stand = Callable[[Zaak], str]


class Soort(StrEnum):
    AANVAARD = "aanvaard"
    AFGEWEZEN = "afgewezen"
    WACHT = "wacht"
    GEHOORD = "gehoord"
    """A fact of another stream: it is never refused."""
    VOLGT = "volgt"
    """Nobody submits it."""
    KAN_NIET = "n.v.t."
    """It cannot come about in this state."""


@dataclass(frozen=True, slots=True)
class Uitslag:
    """What became of one event in one state."""

    soort: Soort
    reden: str = ""
    """The code, or what is waited for."""
    naar: str = ""
    """The new state, where it is another."""
    volgt: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.soort is Soort.AFGEWEZEN:
            return f"✗ {self.reden}"
        if self.soort is Soort.WACHT:
            return f"⧖ {self.reden}"
        if self.soort in (Soort.VOLGT, Soort.KAN_NIET):
            return self.soort.value
        if self.naar:
            return f"→ **{self.naar}**"
        return "✓" if self.soort is Soort.AANVAARD else "="


@dataclass(frozen=True)
class Rij:
    """One event, tried in the ways in which it is told; `over` says what sets it apart."""

    fact: type[Data] | None
    """None: nothing is said, time passes."""
    proef: tuple[Callable[[Zaak], Ontvangst | list[Fact[Data]]], ...] = ()
    over: str = ""
    niet_in: tuple[str, ...] = ()

    @property
    def naam(self) -> str:
        if self.fact is None:
            return self.over
        return CATALOGUE.of(self.fact).routing_key + (f" ({self.over})" if self.over else "")


@dataclass(frozen=True)
class Stroom:
    naam: str
    standen: Mapping[str, tuple[Begin, ...]]
    """By state: the cases that are in it, in the ways that matter for what comes next."""
    stand: Stand
    rijen: tuple[Rij, ...]


@dataclass
class Verslag:
    """What was found: the outcomes of each event in each state, without repetition."""

    stroom: Stroom
    cellen: dict[tuple[str, str], list[Uitslag]] = field(default_factory=dict)


def neem_op(stroom: Stroom) -> Verslag:
    """Tries everything."""
    verslag = Verslag(stroom)
    for stand, begins in stroom.standen.items():
        for begin in begins:
            zaak = _in(stroom, stand, begin)
            for rij in stroom.rijen:
                uitslagen = verslag.cellen.setdefault((stand, rij.naam), [])
                if not rij.proef or stand in rij.niet_in:
                    uitslagen[:] = [Uitslag(Soort.KAN_NIET if rij.proef else Soort.VOLGT)]
                    continue
                for proef in rij.proef:
                    uitslag = _probeer(stroom, zaak, stand, proef)
                    if uitslag not in uitslagen:
                        uitslagen.append(uitslag)
                    if uitslag.soort in (Soort.AANVAARD, Soort.GEHOORD):
                        zaak = _in(stroom, stand, begin)
    return verslag


def _in(stroom: Stroom, stand: str, begin: Begin) -> Zaak:
    zaak = begin()
    assert stroom.stand(zaak) == stand, f"{stroom.naam}: {stroom.stand(zaak)} is not {stand}"
    return zaak


def _probeer(
    stroom: Stroom, zaak: Zaak, stand: str, proef: Callable[[Zaak], Ontvangst | list[Fact[Data]]]
) -> Uitslag:
    nummer = zaak.nummers.get(stroom.naam)
    uitkomst = proef(zaak)
    if isinstance(uitkomst, Ontvangst):
        if uitkomst.uitkomst is Uitkomst.AFGEWEZEN:
            return Uitslag(Soort.AFGEWEZEN, str(uitkomst.code))
        if uitkomst.uitkomst is Uitkomst.WACHT:
            zaak.world.waiting.remove(uitkomst)
            return Uitslag(Soort.WACHT, str(uitkomst.waarop))
        soort, volgt = Soort.AANVAARD, uitkomst.facts[1:]
    else:
        soort, volgt = Soort.GEHOORD, uitkomst
    volgt = [*volgt, *zaak.world.deliver_all()]
    zaak.onthoud(zaak.world.facts)
    if nummer is not None:  # the same subject as before, whatever new one the event opened
        zaak.nummers[stroom.naam] = nummer
    naar = stroom.stand(zaak)
    keys = tuple(dict.fromkeys(fact.type.routing_key for fact in volgt))
    return Uitslag(soort, naar="" if naar == stand else naar, volgt=keys)


# How a case comes to where it is


def _nieuw() -> Zaak:
    zaak = Zaak(World())
    zaak.zeg(budget.Vastgesteld)
    return zaak


def _tot(*stappen: type[Data] | Callable[[Zaak], object], van: Begin = _nieuw) -> Begin:
    """After these events, each told and heard everywhere before the next."""

    def begin() -> Zaak:
        zaak = van()
        for stap in stappen:
            if isinstance(stap, type):
                gezegd = zaak.zeg(stap)
                assert gezegd.uitkomst is Uitkomst.AANVAARD, f"{stap}: {gezegd.code or gezegd.waarop}"
            else:
                stap(zaak)
            zaak.bezorg()
        return zaak

    return begin


def _dagen(aantal: int) -> Callable[[Zaak], None]:
    return lambda zaak: zaak.world.pass_days(aantal)


def _nieuwe_pok(zaak: Zaak) -> None:
    zaak.pok_id = _ANDERE_POK


def _ander_budget(bedrag_cent: int, dagen: int = 365) -> Callable[[Zaak], Ontvangst]:
    return lambda zaak: zaak.zeg(
        budget.Vastgesteld,
        budget.Vastgesteld(bedrag_cent=bedrag_cent, van=zaak.vandaag, tot=zaak.vandaag + timedelta(days=dagen)),
    )


def _andere_school(zaak: Zaak) -> Ontvangst:
    data = traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=z.PEEL)
    return zaak.zeg(traject.BetrokkeneToegewezen, data)


def _van_de_andere_school(zaak: Zaak) -> None:
    zaak.opleider = z.PEEL


def _andere_pok(zaak: Zaak) -> Ontvangst:
    usual = z.GEBRUIKELIJK[traject.PokOpgesteld](zaak)
    return zaak.zeg(traject.PokOpgesteld, usual.model_copy(update={"pok_id": _ANDERE_POK}))


_aangemeld = _tot(traject.Aangemeld, traject.BetrokkeneToegewezen)
_geschikt = _tot(traject.IntakeAfgerond, van=_aangemeld)
_voorgesteld = _tot(match.Voorgesteld, van=_geschikt)
_gematcht = _tot(match.Bevestigd, van=_voorgesteld)
_erkend = _tot(erkenning.Verleend, van=_gematcht)
_STUKKEN: Final[tuple[type[Data], ...]] = (
    opdracht.Verstrekt,
    traject.BegeleidingsdocumentVastgesteld,
    traject.InschrijvingBevestigd,
    traject.PokOpgesteld,
    traject.PokOndertekend,
)
_op_een_na = tuple(
    _tot(*(stuk for stuk in _STUKKEN if stuk is not laatste), van=_erkend)
    for laatste in _STUKKEN
    if laatste is not traject.PokOpgesteld
)
_voorbereid = _tot(*_STUKKEN, van=_erkend)
_gestart = _tot(traject.Gestart, van=_voorbereid)
_beoordeeld = _tot(traject.WerkprocesBeoordeeld, van=_gestart)
_onderbroken = _tot(traject.Onderbroken, van=_beoordeeld)
_afgerond = _tot(verklaring.Afgegeven, van=_beoordeeld)
_gesloten = _tot(traject.Gesloten, van=_afgerond)
_niet_geschikt = _tot(lambda zaak: _ongeschikt(zaak), van=_aangemeld)
_uitgevallen = _tot(traject.Uitgevallen, van=_beoordeeld)
_goedgekeurd = _tot(factuur.Goedgekeurd, van=_afgerond)
_betaald = _tot(betaling.Bevestigd, van=_goedgekeurd)


_met_tegoed = _tot(verklaring.Ingetrokken, verklaring.Afgegeven, van=_betaald)
_zonder_betaling = _tot(lambda zaak: zaak.nummers.pop("betaling"), van=_met_tegoed)


def _ongeschikt(zaak: Zaak) -> Ontvangst:
    data = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.NIET_GESCHIKT, verwezen_naar=traject.Verwijzing.RMC)
    return zaak.zeg(traject.IntakeAfgerond, data)


# What is tried


def _zeg(fact: type[Data], *eerst: Callable[[Zaak], object]) -> Callable[[Zaak], Ontvangst]:
    def proef(zaak: Zaak) -> Ontvangst:
        for stap in eerst:
            stap(zaak)
        return zaak.zeg(fact)

    return proef


def _hoor(owner: Owner, data: Callable[[Zaak], Data], subject: Callable[[Zaak], str]) -> Callable[[Zaak], Any]:
    """A fact of another stream arrives, whether or not its owner would record it now."""

    def proef(zaak: Zaak) -> list[Fact[Data]]:
        desk = zaak.world.desks[owner]
        return desk.hear(data(zaak), subject=subject(zaak))

    return proef


def _ingediend(entity: str, **anders: tuple[Callable[[Zaak], Ontvangst], ...]) -> tuple[Rij, ...]:
    """A row for every event of the stream."""
    return tuple(
        Rij(item.fact, anders.get(item.fact.__name__, (_zeg(item.fact),)) if item.submission else ())
        for item in CATALOGUE.values()
        if item.entity == entity
    )


def _ook(*facts: type[Data], over: str = "") -> tuple[Rij, ...]:
    return tuple(Rij(fact, (_zeg(fact),), over) for fact in facts)


def _tijd(dagen: int) -> Rij:
    def proef(zaak: Zaak) -> list[Fact[Data]]:
        zaak.world.pass_days(dagen)
        return []

    return Rij(None, (proef,), "de termijn verstrijkt")


def _match_bevestigd(zaak: Zaak) -> Data:
    return match.Bevestigd(
        trajectnummer=zaak.nummer("traject"), kvk="51000001", vestigingsnummer=z.GREENPORT, crebo=z.CREBO
    )


def _match_erkend(zaak: Zaak) -> Data:
    return match.Erkend(
        trajectnummer=zaak.nummer("traject"),
        kvk="51000001",
        vestigingsnummer=zaak.plek,
        crebo=z.CREBO,
        leerbedrijf_id=z.leerbedrijf_id(zaak.plek),
        erkenning_geldig_vanaf=date(2026, 1, 1),
        erkenning_geldig_tot=date(2030, 1, 1),
    )


def _herplaatsing(zaak: Zaak) -> Data:
    return match.HerplaatsingGestart(
        trajectnummer=zaak.nummer("traject"),
        vorige_match=zaak.nummer("match"),
        kvk="51000001",
        vestigingsnummer=z.GREENPORT,
        crebo=z.CREBO,
    )


def _opdracht_verstrekt(zaak: Zaak) -> Data:
    return opdracht.Verstrekt(
        trajectnummer=zaak.nummer("traject"), opleider=zaak.opleider, bedrag_cent=z.BEDRAG, bron="POW"
    )


def _gehoord_bij_intake() -> tuple[Rij, ...]:
    eigen, elders = "uw match", "een andere match"
    nummer = {soort: (lambda zaak, soort=soort: zaak.nummer(soort)) for soort in ("match", "opdracht")}
    vervallen = lambda zaak: match.Vervallen(  # noqa: E731
        trajectnummer=zaak.nummer("traject"), categorie=Categorie.ERKENNING
    )
    ingetrokken = lambda zaak: opdracht.Ingetrokken(  # noqa: E731
        trajectnummer=zaak.nummer("traject"), categorie=Categorie.OVERIG
    )
    intake = Owner.INTAKE
    return (
        Rij(match.Bevestigd, (_hoor(intake, _match_bevestigd, lambda _: _ANDERE_MATCH),), f"feit, {elders}"),
        Rij(match.Erkend, (_hoor(intake, _match_erkend, nummer["match"]),), f"feit, {eigen}"),
        Rij(match.Vervallen, (_hoor(intake, vervallen, nummer["match"]),), f"feit, {eigen}"),
        Rij(match.HerplaatsingGestart, (_hoor(intake, _herplaatsing, lambda _: _ANDERE_MATCH),), "feit"),
        Rij(opdracht.Verstrekt, (_hoor(intake, _opdracht_verstrekt, lambda _: _ANDERE_OPDRACHT),), "feit"),
        Rij(opdracht.Ingetrokken, (_hoor(intake, ingetrokken, nummer["opdracht"]),), "feit"),
    )


# The streams


def _van(owner: Owner, kind: type[Any], entity: str, status: Callable[[Any, Zaak], str]) -> Stand:
    def stand(zaak: Zaak) -> str:
        found = zaak.world.state(owner, kind, zaak.nummer(entity))
        return ONBEKEND if found is None else status(found, zaak)

    return stand


def _stand_erkenning(state: erkenningen.Erkenning, zaak: Zaak) -> str:
    verlopen = state.status is erkenningen.Status.VERLEEND and state.geldend_besluit(zaak.vandaag) is None
    return VERLOPEN if verlopen else state.status.value


def _stand_factuur(state: facturen.Factuur, zaak: Zaak) -> str:
    order = zaak.world.state(Owner.BILLING, opdrachten.Opdracht, state.opdrachtnummer)
    weg = state.status is not facturen.Status.CREDITNOTA and order.factuurnummer != state.nummer
    return GECREDITEERD if weg else state.status.value


def _op_dezelfde_plek(zaak: Zaak) -> Ontvangst:
    """Another traject is confirmed at the same place."""
    ander = Zaak(zaak.world, plek=zaak.plek)
    for stap in (traject.Aangemeld, traject.BetrokkeneToegewezen, traject.IntakeAfgerond):
        ander.zeg(stap)
        ander.bezorg()
    voorgesteld = ander.zeg(match.Voorgesteld)
    return ander.zeg(match.Bevestigd) if voorgesteld.facts else voorgesteld


def _concurrent(zaak: Zaak) -> Ontvangst:
    """Another employer of the same traject confirms first."""
    zaak.plek = z.GREENPORT
    ander = zaak.zeg(match.Voorgesteld)
    return zaak.zeg(match.Bevestigd) if ander.facts else ander


def _creditnota(zaak: Zaak) -> None:
    (nummer,) = (f.subject for f in zaak.world.facts if isinstance(f.data, factuur.Gecrediteerd))
    zaak.nummers["factuur"] = nummer


def _verlengd(zaak: Zaak) -> Ontvangst:
    besluit = erkenning.Verleend(
        leerbedrijf_id=z.leerbedrijf_id(zaak.plek),
        geldig_vanaf=zaak.vandaag,
        geldig_tot=zaak.vandaag + timedelta(days=9 * 365),
    )
    return zaak.zeg(erkenning.Verleend, besluit)


_S = trajecten.Status
_TERUGGETROKKEN = tuple(
    _tot(traject.Teruggetrokken, van=van)
    for van in (_aangemeld, _geschikt, _gematcht, _erkend, _voorbereid, _gestart, _onderbroken)
)

STROMEN: Final = (
    Stroom(
        "traject",
        {
            ONBEKEND: (_nieuw,),
            _S.AANGEMELD: (_aangemeld,),
            _S.GESCHIKT: (_geschikt,),
            _S.NIET_GESCHIKT: (_niet_geschikt,),
            _S.GEMATCHT: (_gematcht,),
            _S.ERKEND: (_erkend, *_op_een_na),
            _S.VOORBEREID: (_voorbereid,),
            _S.GESTART: (_gestart, _beoordeeld),
            _S.ONDERBROKEN: (
                _onderbroken,
                _tot(match.Vervallen, van=_onderbroken),
                _tot(traject.PokOntbonden, _nieuwe_pok, van=_beoordeeld),
                _tot(_andere_school, _van_de_andere_school, _nieuwe_pok, van=_beoordeeld),
                _tot(match.Vervallen, verklaring.Ingetrokken, van=_afgerond),
            ),
            _S.AFGEROND: (_afgerond, _tot(match.Vervallen, van=_afgerond)),
            _S.UITGEVALLEN: (_uitgevallen, _tot(match.Vervallen, van=_uitgevallen)),
            _S.TERUGGETROKKEN: _TERUGGETROKKEN,
            _S.GESLOTEN: (_gesloten,),
        },
        _van(Owner.INTAKE, trajecten.Traject, "traject", lambda state, _: state.status.value),
        (
            *_ingediend(
                "traject",
                IntakeAfgerond=(_zeg(traject.IntakeAfgerond), _ongeschikt),
                BetrokkeneToegewezen=(_zeg(traject.BetrokkeneToegewezen), _andere_school),
                PokOpgesteld=(_andere_pok,),
            ),
            *_ook(
                verklaring.Afgegeven,
                verklaring.Ingetrokken,
                match.Voorgesteld,
                match.HerplaatsingGestart,
                opdracht.Verstrekt,
                over="inzending",
            ),
            *_gehoord_bij_intake(),
        ),
    ),
    Stroom(
        "match",
        {
            ONBEKEND: (_geschikt,),
            matches.Status.VOORGESTELD: (_voorgesteld,),
            matches.Status.BEVESTIGD: (_gematcht,),
            matches.Status.ERKEND: (_erkend,),
            matches.Status.AFGEWEZEN: (_tot(match.Afgewezen, van=_voorgesteld),),
            matches.Status.VERVALLEN: (_tot(match.Vervallen, van=_gematcht),),
        },
        _van(Owner.MATCHING, matches.Match, "match", lambda state, _: state.status.value),
        (
            *_ingediend("match"),
            Rij(match.Bevestigd, (_concurrent,), "van een andere match van dit traject", (ONBEKEND,)),
            *_ook(erkenning.Verleend, erkenning.Geweigerd, erkenning.Ingetrokken, over="van de plek"),
        ),
    ),
    Stroom(
        "erkenning",
        {
            ONBEKEND: (_voorgesteld,),
            erkenningen.Status.AANGEVRAAGD: (_gematcht,),
            erkenningen.Status.VERLEEND: (_erkend,),
            erkenningen.Status.GEWEIGERD: (_tot(erkenning.Geweigerd, van=_gematcht),),
            erkenningen.Status.INGETROKKEN: (_tot(erkenning.Ingetrokken, van=_erkend),),
            VERLOPEN: (_tot(_dagen(4 * 365 + 2), van=_erkend),),
        },
        _van(Owner.MATCHING, erkenningen.Erkenning, "erkenning", _stand_erkenning),
        (
            *_ingediend("erkenning", Verleend=(_zeg(erkenning.Verleend), _verlengd)),
            Rij(match.Bevestigd, (_op_dezelfde_plek,), "op deze plek"),
            _tijd(4 * 365 + 2),
        ),
    ),
    Stroom(
        "verklaring",
        {
            ONBEKEND: (_beoordeeld,),
            verklaringen.Stand.GELDIG: (_afgerond,),
            verklaringen.Stand.INGETROKKEN: (_tot(verklaring.Ingetrokken, van=_afgerond),),
        },
        _van(Owner.INTAKE, verklaringen.Verklaring, "verklaring", lambda state, _: state.stand.value),
        _ingediend("verklaring"),
    ),
    Stroom(
        "budget",
        {
            ONBEKEND: (lambda: Zaak(World()),),
            budgetten.Status.BESCHIKBAAR: (_erkend, _voorbereid),
            budgetten.Status.UITGEPUT: (_tot(_ander_budget(0), van=_erkend),),
            budgetten.Status.BUITEN_PERIODE: (_tot(_dagen(370), van=_erkend),),
        },
        _van(Owner.BILLING, budgetten.Budget, "budget", lambda state, zaak: state.status(zaak.vandaag).value),
        (
            *_ingediend("budget", Vastgesteld=(_zeg(budget.Vastgesteld), _ander_budget(0))),
            *_ook(opdracht.Verstrekt),
            *_ingediend("besteding"),
            _tijd(370),
        ),
    ),
    Stroom(
        "opdracht",
        {
            ONBEKEND: (_erkend,),
            opdrachten.Status.VERSTREKT: (_beoordeeld,),
            opdrachten.Status.GEFACTUREERD: (_afgerond,),
            opdrachten.Status.INGETROKKEN: (_tot(opdracht.Ingetrokken, van=_beoordeeld),),
        },
        _van(Owner.BILLING, opdrachten.Opdracht, "opdracht", lambda state, _: state.status.value),
        (
            *_ingediend("opdracht"),
            *_ook(
                verklaring.Afgegeven,
                verklaring.Ingetrokken,
                traject.Uitgevallen,
                traject.Teruggetrokken,
                traject.Gesloten,
            ),
        ),
    ),
    Stroom(
        "factuur",
        {
            ONBEKEND: (_beoordeeld,),
            facturen.Status.KLAARGEZET: (_afgerond, _met_tegoed),
            facturen.Status.GOEDGEKEURD: (_goedgekeurd,),
            facturen.Status.AFGEKEURD: (_tot(factuur.Afgekeurd, van=_afgerond),),
            facturen.Status.BETAALD: (_betaald,),
            facturen.Status.CREDITNOTA: (_tot(verklaring.Ingetrokken, _creditnota, van=_afgerond),),
            GECREDITEERD: tuple(
                _tot(verklaring.Ingetrokken, van=van) for van in (_afgerond, _goedgekeurd, _betaald)
            ),
        },
        _van(Owner.BILLING, facturen.Factuur, "factuur", _stand_factuur),
        (
            *_ingediend("factuur"),
            *_ook(verklaring.Afgegeven, verklaring.Ingetrokken, betaling.Bevestigd),
        ),
    ),
    Stroom(
        "betaling",
        {
            ONBEKEND: (_afgerond, _zonder_betaling),
            betalingen.Status.OPGEDRAGEN: (_goedgekeurd,),
            betalingen.Status.MISLUKT: (_tot(betaling.Mislukt, van=_goedgekeurd),),
            betalingen.Status.BEVESTIGD: (_betaald,),
        },
        _van(Owner.BILLING, betalingen.Betaling, "betaling", lambda state, _: state.status.value),
        (*_ingediend("betaling"), *_ook(factuur.Goedgekeurd)),
    ),
)


@cache
def verslagen() -> tuple[Verslag, ...]:
    return tuple(neem_op(stroom) for stroom in STROMEN)


# Writing it down

_KOP: Final = """\
# De levensloop: wat gebeurt er met uw bericht?

<!-- Written by `python -m tests.levensloop.tabel`. Change the services, not this file. -->

Per stroom ziet u hier in welke stand iets kan zijn, en wat er in die stand met elk bericht gebeurt. De tabellen
zijn gemaakt door elk bericht in elke stand echt te proberen, met gegevens die kloppen. Kloppen de gegevens zelf
niet (een datum, een werkproces, een partij), dan krijgt u een andere code; die staan in `README.md`.

| teken | betekenis |
|---|---|
| ✓ | aanvaard; de stand blijft gelijk |
| → **stand** | aanvaard; dit is de nieuwe stand |
| ✗ code | afgewezen, met deze code |
| ⧖ waarop | het bericht wacht hierop en wordt later vanzelf opnieuw beoordeeld |
| = | een feit uit een andere stroom; het verandert hier niets |
| n.v.t. | dit kan in deze stand niet voorkomen |
| volgt | niemand dient dit in: het volgt vanzelf uit iets anders |

Staan er meer antwoorden in een vak, dan hangt het af van wat er al is. Zo is een traject pas `voorbereid` als het
laatste stuk binnen is. `onbekend` betekent: de bus kent het nummer nog niet, of het begint met dit bericht.
`termijn` en `ontvangst` staan er niet bij: die gaan over berichten, en hebben zelf geen stand.
"""


def schrijf() -> str:
    return "\n".join([_KOP, *(_sectie(verslag) for verslag in verslagen())])


def _sectie(verslag: Verslag) -> str:
    stroom = verslag.stroom
    regels = [f"## {stroom.naam}", "", "```mermaid", "stateDiagram-v2", *_diagram(verslag), "```", ""]
    regels += [f"| bericht | {' | '.join(stroom.standen)} |", "|---" * (len(stroom.standen) + 1) + "|"]
    for rij in stroom.rijen:
        cellen = (" of ".join(map(str, _kort(verslag.cellen[stand, rij.naam]))) for stand in stroom.standen)
        regels.append(f"| {rij.naam} | {' | '.join(cellen)} |")
    volgt = list(_gevolgen(verslag))
    if volgt:
        regels += [
            "",
            "Wat er vanzelf op volgt:",
            "",
            "| bericht | in stand | daarna volgt |",
            "|---|---|---|",
            *volgt,
        ]
    return "\n".join([*regels, ""])


def _kort(uitslagen: Sequence[Uitslag]) -> list[Uitslag]:
    """Without those that differ only in what follows."""
    return list({str(uitslag): uitslag for uitslag in uitslagen}.values())


def _diagram(verslag: Verslag) -> Iterator[str]:
    wegen: dict[tuple[str, str], list[str]] = {}
    for (stand, rij), uitslagen in verslag.cellen.items():
        for uitslag in uitslagen:
            if uitslag.naar:
                wegen.setdefault((stand, uitslag.naar), []).append(rij.partition(" (")[0])
    for (van, naar), rijen in wegen.items():
        begin = "[*]" if van == ONBEKEND else van
        yield f"    {begin} --> {naar}: {', '.join(dict.fromkeys(rijen))}"


def _gevolgen(verslag: Verslag) -> Iterator[str]:
    gevolgen: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (stand, rij), uitslagen in verslag.cellen.items():
        for uitslag in uitslagen:
            if uitslag.volgt:
                gevolgen.setdefault((rij, uitslag.volgt), []).append(stand)
    for (rij, volgt), standen in gevolgen.items():
        yield f"| {rij} | {', '.join(dict.fromkeys(standen))} | {', '.join(volgt)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.levensloop.tabel", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file is not as found")
    text = schrijf()
    if not parser.parse_args(arguments).check:
        DOEL.write_text(text, encoding="utf-8")
    elif not DOEL.is_file() or DOEL.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"differs: {DOEL.name}; write it with python -m tests.levensloop.tabel\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
