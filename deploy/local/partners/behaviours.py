"""How each kind of partner behaves on the first road: prompt, friendly and right.

Nobody looks into the bus: each reacts to the facts in its own queue and nothing else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Final
from uuid import UUID, uuid5

from joserfc.jwk import ECKey

from contracts import betaling, budget, erkenning, factuur, match, opdracht, traject, verklaring
from contracts.fields import Kvk, Rol, Sector, Vestigingsnummer, Werkstatus
from contracts.kwalificaties import Kwalificatietabel
from contracts.partners import Partner, Registry
from contracts.persoon import Persoon, seal
from deploy.local.partners.system import Behaviour, Claim, Event
from deploy.local.persons import invented

VERSION: Final = "2024"
_LEERBEDRIJF: Final = 100_000_000
_HASH: Final = "sha256:" + "ab" * 32
_POKS: Final = UUID("a0a9a1f4-5a51-4e5e-8f0a-2f2f6dbb6c55")


@dataclass(frozen=True)
class Werkplek:
    """A place that the WSP knows: an establishment and what one can learn there."""

    kvk: Kvk
    vestigingsnummer: Vestigingsnummer
    crebo: str


WERKPLEKKEN: Final = (
    Werkplek("51000001", "000051000001", "25252"),
    Werkplek("51000002", "000051000003", "25254"),
    Werkplek("51000003", "000051000004", "25251"),
    Werkplek("51000099", "000051000099", "25258"),  # an employer without a system
)
NIET_ERKEND: Final = Werkplek("51000001", "000051000002", "25252")
"""A place that SBB will not recognise."""
_REFUSED_AT: Final = 5
"""Which traject is first proposed there: the second employer follows."""


def leerbedrijf_id(vestigingsnummer: str) -> str:
    """The number under which SBB knows an establishment, in this simulation."""
    return str(_LEERBEDRIJF + int(vestigingsnummer) % 1_000_000)


@dataclass(frozen=True)
class Kandidaat:
    """Somebody who wants a verklaring. Invented; travels encrypted only."""

    referentie: str
    persoon: Persoon
    werkstatus: Werkstatus
    sectorwens: Sector


def kandidaten(count: int) -> list[Kandidaat]:
    """Invented people, always the same."""
    return [
        Kandidaat(
            referentie=f"pilot-{number:03d}",
            persoon=invented(number),
            werkstatus=Werkstatus.WERKENDE if number % 4 == 0 else Werkstatus.WERKZOEKENDE,
            sectorwens=list(Sector)[number % len(Sector)],
        )
        for number in range(1, count + 1)
    ]


class Aanmelder(Behaviour):
    """Registers people: every partner is a way in."""

    def __init__(self, partner: Partner, mine: Iterable[Kandidaat], public_key: ECKey) -> None:
        super().__init__(partner)
        self._mine = list(mine)
        self._public_key = public_key

    def begin(self) -> Iterator[tuple[str, Claim]]:
        for kandidaat in self._mine:
            data = traject.AangemeldInzending(
                persoon=seal(kandidaat.persoon, self._public_key),
                werkstatus=kandidaat.werkstatus,
                sectorwens=kandidaat.sectorwens,
            )
            yield kandidaat.referentie, Claim(traject.Aangemeld, data, referentie=kandidaat.referentie)


class Coach(Aanmelder):
    def react(self, event: Event) -> Iterator[Claim]:
        if event.name == "traject.betrokkene-toegewezen" and event.data["partner"] == self.partner.id:
            verdict = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
            yield Claim(traject.IntakeAfgerond, verdict, event.subject)


class Wsp(Aanmelder):
    """Finds an employer, another when one is refused, and speaks for employers without a system."""

    def __init__(self, partner: Partner, mine: Iterable[Kandidaat], public_key: ECKey, registry: Registry) -> None:
        super().__init__(partner, mine, public_key)
        self._registry = registry
        self._placed = 0

    def react(self, event: Event) -> Iterator[Claim]:
        if event.name == "traject.intake-afgerond" and event.data["uitkomst"] == "geschikt":
            self._placed += 1
            first = NIET_ERKEND if self._placed == _REFUSED_AT else self._next()
            yield self._proposal(event.subject, first)
        elif event.name == "match.vervallen" and event.data["categorie"] == "erkenning":
            yield self._proposal(event.data["trajectnummer"], self._next())
        elif event.name == "match.voorgesteld" and not self._registry.werkgever_of(event.data["vestigingsnummer"]):
            yield Claim(match.Bevestigd, subject=event.subject, namens=Rol.WERKGEVER)

    def _next(self) -> Werkplek:
        return WERKPLEKKEN[self._placed % len(WERKPLEKKEN)]

    def _proposal(self, trajectnummer: str, place: Werkplek) -> Claim:
        data = match.Voorgesteld(
            trajectnummer=trajectnummer,
            kvk=place.kvk,
            vestigingsnummer=place.vestigingsnummer,
            crebo=place.crebo,
        )
        return Claim(match.Voorgesteld, data)


class Werkgever(Behaviour):
    def react(self, event: Event) -> Iterator[Claim]:
        if event.name == "match.voorgesteld" and event.data["vestigingsnummer"] in self.partner.vestigingen:
            yield Claim(match.Bevestigd, subject=event.subject)


class Sbb(Behaviour):
    def __init__(self, partner: Partner, today: date) -> None:
        super().__init__(partner)
        self._today = today

    def react(self, event: Event) -> Iterator[Claim]:
        if event.name != "erkenning.aangevraagd":
            return
        place = event.data["vestigingsnummer"]
        if place == NIET_ERKEND.vestigingsnummer:
            reason = erkenning.Weigerreden.GEEN_PRAKTIJKOPLEIDER
            refusal = erkenning.Geweigerd(datum=self._today, redencode=reason)
            yield Claim(erkenning.Geweigerd, refusal, event.subject)
        else:
            granted = erkenning.Verleend(
                leerbedrijf_id=leerbedrijf_id(place),
                geldig_vanaf=self._today,
                geldig_tot=self._today + timedelta(days=4 * 365),
            )
            yield Claim(erkenning.Verleend, granted, event.subject)


@dataclass
class _Leerling:
    """What a school knows of one traject."""

    leerbedrijf_id: str = ""
    werkprocessen: tuple[str, ...] = ()
    ready: set[str] = field(default_factory=set)
    beheerst: set[str] = field(default_factory=set)


class Opleider(Behaviour):
    """Makes the plan and the POK, starts when all is there, assesses, and issues the verklaring."""

    def __init__(self, partner: Partner, kwalificaties: Kwalificatietabel, today: date) -> None:
        super().__init__(partner)
        self._kwalificaties = kwalificaties
        self._today = today
        self._leerlingen: dict[str, _Leerling] = {}

    def react(self, event: Event) -> Iterator[Claim]:
        nummer = event.data.get("trajectnummer", event.subject)
        leerling = self._leerlingen.setdefault(nummer, _Leerling())
        match event.name:
            case "match.erkend":
                yield from self._prepare(nummer, leerling, event)
            case "traject.pok-opgesteld":
                signatures = tuple(
                    traject.Handtekening(partij=partij, datum=self._today) for partij in traject.PokPartij
                )
                data = traject.PokOndertekend(pok_id=event.data["pok_id"], handtekeningen=signatures)
                yield Claim(traject.PokOndertekend, data, nummer)
            case (
                "traject.begeleidingsdocument-vastgesteld"
                | "traject.inschrijving-bevestigd"
                | "traject.pok-ondertekend"
                | "opdracht.verstrekt"
            ):
                leerling.ready.add(event.name)
                if len(leerling.ready) == 4:
                    yield Claim(traject.Gestart, traject.Gestart(datum=self._today), nummer)
            case "traject.gestart":
                yield from self._assess(nummer, leerling)
            case "traject.werkproces-beoordeeld":
                leerling.beheerst.add(event.data["werkproces"])
                if leerling.beheerst == set(leerling.werkprocessen):
                    yield self._verklaring(nummer, leerling)

    def _prepare(self, nummer: str, leerling: _Leerling, event: Event) -> Iterator[Claim]:
        crebo = event.data["crebo"]
        leerling.leerbedrijf_id = event.data["leerbedrijf_id"]
        known = self._kwalificaties.werkprocessen(crebo, VERSION) or frozenset()
        leerling.werkprocessen = tuple(sorted(known))[:3]
        plan = traject.BegeleidingsdocumentVastgesteld(
            crebo=crebo,
            dossierversie=VERSION,
            werkprocessen=leerling.werkprocessen,
            documenthash=_HASH,
        )
        yield Claim(traject.BegeleidingsdocumentVastgesteld, plan, nummer)
        enrolment = traject.InschrijvingBevestigd(brin="25PZ", onderwijslocatie="100X123", datum=self._today)
        yield Claim(traject.InschrijvingBevestigd, enrolment, nummer)
        pok = traject.PokOpgesteld(
            pok_id=str(uuid5(_POKS, event.subject)),
            begin=self._today,
            eind=self._today + timedelta(days=180),
            uren=640,
        )
        yield Claim(traject.PokOpgesteld, pok, nummer)

    def _assess(self, nummer: str, leerling: _Leerling) -> Iterator[Claim]:
        for werkproces in leerling.werkprocessen:
            data = traject.WerkprocesBeoordeeld(
                werkproces=werkproces,
                beoordeling=traject.Beoordeling.BEHEERST,
                datum=self._today,
                leerbedrijf_id=leerling.leerbedrijf_id,
            )
            yield Claim(traject.WerkprocesBeoordeeld, data, nummer)

    def _verklaring(self, nummer: str, leerling: _Leerling) -> Claim:
        data = verklaring.AfgegevenInzending(
            trajectnummer=nummer,
            werkprocessen=leerling.werkprocessen,
            datum=self._today,
            documenthash=_HASH,
        )
        return Claim(verklaring.Afgegeven, data)


class Leerwerkloket(Aanmelder):
    """Registers and assigns, commissions, approves, pays and closes. Its organisation is coordinatie too."""

    BEDRAG: Final = 250_000
    """Cents for each traject."""

    def __init__(
        self,
        partner: Partner,
        mine: Iterable[Kandidaat],
        public_key: ECKey,
        registry: Registry,
        today: date,
    ) -> None:
        super().__init__(partner, mine, public_key)
        self._opleiders = registry.in_role(Rol.OPLEIDER)
        self._today = today
        self._assigned: dict[str, str] = {}

    def begin(self) -> Iterator[tuple[str, Claim]]:
        yield "budget", Claim(budget.Vastgesteld, _budget(self._today), "POW")
        yield from super().begin()

    def react(self, event: Event) -> Iterator[Claim]:
        nummer = event.data.get("trajectnummer", event.subject)
        match event.name:
            case "traject.aangemeld":
                opleider = self._opleiders[len(self._assigned) % len(self._opleiders)]
                self._assigned[nummer] = opleider
                data = traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=opleider)
                yield Claim(traject.BetrokkeneToegewezen, data, nummer)
            case "match.erkend":
                order = opdracht.Verstrekt(
                    trajectnummer=nummer,
                    opleider=self._assigned[nummer],
                    bedrag_cent=self.BEDRAG,
                    bron="POW" if len(self._assigned) % 2 else "WERKBEDRIJF",
                )
                yield Claim(opdracht.Verstrekt, order, referentie=event.subject)
            case "factuur.klaargezet":
                yield Claim(factuur.Goedgekeurd, subject=event.subject)
            case "betaling.opgedragen":
                paid = betaling.BevestigdInzending(datum=self._today)
                yield Claim(betaling.Bevestigd, paid, event.subject)
            case "betaling.bevestigd":
                closed = traject.Gesloten(redencode=traject.Sluitreden.VOLTOOID)
                yield Claim(traject.Gesloten, closed, nummer)


class Financier(Behaviour):
    """Sets the budget of its own source and follows what is spent."""

    def __init__(self, partner: Partner, today: date) -> None:
        super().__init__(partner)
        self._today = today

    def begin(self) -> Iterator[tuple[str, Claim]]:
        yield "budget", Claim(budget.Vastgesteld, _budget(self._today), "WERKBEDRIJF")


def _budget(today: date) -> budget.Vastgesteld:
    return budget.Vastgesteld(
        bedrag_cent=150 * Leerwerkloket.BEDRAG, van=date(today.year, 1, 1), tot=date(today.year, 12, 31)
    )


def behaviours(
    registry: Registry,
    kwalificaties: Kwalificatietabel,
    public_key: ECKey,
    count: int,
    today: date,
) -> list[Callable[[], Behaviour]]:
    """For every partner of the registry how to make its behaviour; `count` candidates come in through several."""
    ways_in = registry.in_role(Rol.LEERWERKLOKET, Rol.COACH, Rol.WSP, Rol.RMC)
    people = kandidaten(count)

    def make(partner: Partner) -> Behaviour:
        mine = people[ways_in.index(partner.id) :: len(ways_in)] if partner.id in ways_in else []
        if Rol.LEERWERKLOKET in partner.rollen:
            return Leerwerkloket(partner, mine, public_key, registry, today)
        if Rol.WSP in partner.rollen:
            return Wsp(partner, mine, public_key, registry)
        if Rol.COACH in partner.rollen:
            return Coach(partner, mine, public_key)
        if Rol.SBB in partner.rollen:
            return Sbb(partner, today)
        if Rol.OPLEIDER in partner.rollen:
            return Opleider(partner, kwalificaties, today)
        if Rol.WERKGEVER in partner.rollen:
            return Werkgever(partner)
        if Rol.FINANCIER in partner.rollen:
            return Financier(partner, today)
        return Aanmelder(partner, mine, public_key)

    return [partial(make, partner) for partner in registry.partners]
