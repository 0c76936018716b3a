"""How each kind of partner behaves. What its people decide, and when, is in the script.

Nobody looks into the bus: each reacts to the facts in its own queue and nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

from joserfc.jwk import ECKey

from contracts import betaling, budget, erkenning, factuur, match, opdracht, traject, verklaring
from contracts.fields import Categorie, Rol
from contracts.kwalificaties import Kwalificatietabel
from contracts.model import Data
from contracts.ontvangst import Code
from contracts.partners import Partner, Registry
from contracts.persoon import seal
from deploy.local.partners.script import (
    BEDRAG,
    BEGIN,
    CLOSING,
    INGETROKKEN,
    NIET_ERKEND,
    STOPS,
    Kandidaat,
    Script,
    Verloop,
    Werkplek,
)
from services.chassis.calendar import Calendar

VERSION: Final = "2024"
_LEERBEDRIJF: Final = 100_000_000
_HASH: Final = "sha256:" + "ab" * 32
_POKS: Final = UUID("a0a9a1f4-5a51-4e5e-8f0a-2f2f6dbb6c55")
_NAZORG: Final = {traject.NazorgMoment.NA_3_MAANDEN: 62, traject.NazorgMoment.NA_6_MAANDEN: 125}
"""Working days after the end."""
_WEGEN: Final = (
    *(Rol.LEERWERKLOKET, Rol.COACH, Rol.WSP, Rol.RMC),
    *(Rol.LOOPBAANCENTRUM, Rol.OPLEIDER, Rol.WERKGEVER),
)
"""Who registers people: whoever may see a traject. Sbb and financiers never do."""


_SOON: Final = (Verloop.GEWOON, Verloop.ONDERBREKING, Verloop.DEELS, Verloop.UITVAL, Verloop.CORRECTIE)
"""Where a school is so sure that it makes the plan before the intake."""


_STOPPED: Final = (Code.TE_VROEG_VERLOPEN, Code.STATUS_PAST_NIET)
"""How a report ends where somebody else stops the traject on the same day."""


def leerbedrijf_id(vestigingsnummer: str) -> str:
    """The number under which SBB knows an establishment, in this simulation."""
    return str(_LEERBEDRIJF + int(vestigingsnummer) % 1_000_000)


@dataclass(frozen=True)
class Event:
    """A fact or receipt as the partner reads it."""

    id: str
    name: str
    """`<stream>.<event>`"""
    subject: str
    data: Mapping[str, Any]
    sequence: int
    """Its place in its stream: who joins a traject later is told what went before after that."""
    actor: str
    """Who did it: a partner, or a service."""
    day: date
    """On which it was read."""
    answers: Mapping[str, Any] | None = None
    """Of a refusal: the submission that was refused."""


@dataclass(frozen=True)
class Claim:
    """Something the partner submits."""

    fact: type[Data]
    data: Data | None = None
    subject: str | None = None
    namens: Rol | None = None
    referentie: str | None = None
    kandidaat: Kandidaat | None = None
    mag: tuple[Code, ...] = ()
    """With what it may be refused, since others act at the same time."""


@dataclass(frozen=True)
class Plan:
    """Something the partner intends to submit. When it comes to it, `make` says what, or None: not any more."""

    naam: str
    make: Callable[[date], Claim | None]
    na: int = 0
    """Working days from now."""
    op: date | None = None
    """Not before this day."""


Plans = Iterator[Plan]


@dataclass
class Dossier:
    """What one partner knows of one traject, by what it received."""

    nummer: str
    kandidaat: Kandidaat
    fase: str = "aangemeld"
    """aangemeld, geschikt, gestart, onderbroken, afgerond, and the ends by their event."""
    voor_einde: str = "aangemeld"
    heropend: int = 0
    opleider: str | None = None
    opleider_sinds: int = 0
    """The sequence of the fact that says so."""
    voorgesteld: dict[str, str] = field(default_factory=dict)
    """Open proposals: the establishment by the number of the match."""
    geprobeerd: int = 0
    match: str | None = None
    vestigingsnummer: str | None = None
    vorige_match: str | None = None
    leerbedrijf: str | None = None
    starts: int = 0
    periode: int = 0
    """How often it began, or began again."""
    plan: tuple[str, ...] = ()
    ingeschreven: bool = False
    pok: str | None = None
    pok_begin: date = date.min
    getekend: set[str] = field(default_factory=set)
    opdracht: str | None = None
    opdrachten: int = 0
    oordelen: dict[str, str] = field(default_factory=dict)
    verklaring: str | None = None
    verklaringen: int = 0
    facturen: int = 0
    gecrediteerd: set[str] = field(default_factory=set)
    beoordeeld: set[str] = field(default_factory=set)
    """Invoices that were approved or rejected."""
    betaald: str | None = None
    """The fact that says that the latest invoice was paid."""
    nazorg: set[str] = field(default_factory=set)

    @property
    def verloop(self) -> Verloop:
        return self.kandidaat.verloop

    @property
    def loopt(self) -> bool:
        return self.fase in ("aangemeld", "geschikt", "gestart", "onderbroken")

    def hoor(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "traject.betrokkene-toegewezen" if data["rol"] == "opleider":
                self._has_school(data["partner"], event.sequence)
            case (
                "traject.begeleidingsdocument-vastgesteld"
                | "traject.inschrijving-bevestigd"
                | "traject.pok-opgesteld"
            ) if event.actor != self.opleider and self.opleider:
                pass  # of the school before
            case "traject.intake-afgerond" if data["uitkomst"] == "geschikt":
                self.fase = "geschikt"
            case "traject.intake-afgerond" | "traject.uitgevallen" | "traject.teruggetrokken" | "traject.gesloten":
                self.voor_einde, self.fase = self.fase, event.name.partition(".")[2]
            case "traject.heropend":
                self.fase = self.voor_einde
                self.heropend += 1
                self.periode += 1
            case "match.voorgesteld" | "match.herplaatsing-gestart":
                self.voorgesteld[event.subject] = data["vestigingsnummer"]
                self.geprobeerd += 1
            case "match.bevestigd":
                self.voorgesteld.pop(event.subject, None)
                self.match, self.vestigingsnummer = event.subject, data["vestigingsnummer"]
                self.leerbedrijf, self.pok = None, None
            case "match.erkend" if event.subject == self.match or self.match is None:
                self.match, self.leerbedrijf = event.subject, data["leerbedrijf_id"]
            case "match.afgewezen":
                self.voorgesteld.pop(event.subject, None)
            case "match.vervallen":
                self.voorgesteld.pop(event.subject, None)
                if event.subject == self.match:
                    self.vorige_match, self.match, self.leerbedrijf, self.pok = self.match, None, None, None
            case "traject.begeleidingsdocument-vastgesteld":
                self.plan = tuple(data["werkprocessen"])
            case "traject.inschrijving-bevestigd":
                self.ingeschreven = True
            case "traject.pok-opgesteld" | "traject.pok-gewijzigd":
                self.pok, self.getekend = data["pok_id"], set()
                self.pok_begin = date.fromisoformat(data["begin"])
            case "traject.pok-ondertekend" if data["pok_id"] == self.pok:
                self.getekend |= {handtekening["partij"] for handtekening in data["handtekeningen"]}
            case "traject.pok-ontbonden" if data["pok_id"] == self.pok:
                self.pok = None
            case "traject.gestart":
                self.fase = "gestart"
                self.starts += 1
                self.periode += 1
            case "traject.onderbroken":
                self.fase = "onderbroken"
            case "traject.hervat":
                self.fase = "gestart"
                self.periode += 1
            case "traject.werkproces-beoordeeld":
                self.oordelen[data["werkproces"]] = data["beoordeling"]
            case "traject.nazorg-geregistreerd":
                self.nazorg.add(data["moment"])
            case "opdracht.verstrekt":
                self.opdracht = event.subject
                self.opdrachten += 1
            case "opdracht.ingetrokken" if event.subject == self.opdracht:
                self.opdracht = None
            case "verklaring.afgegeven":
                self.fase, self.verklaring = "afgerond", event.subject
                self.verklaringen += 1
            case "verklaring.ingetrokken" if event.subject == self.verklaring:
                self.fase, self.verklaring = "gestart", None
            case "factuur.klaargezet":
                self.facturen += 1
            case "factuur.gecrediteerd":
                self.gecrediteerd.add(data["vorig_factuurnummer"])
            case "factuur.goedgekeurd" | "factuur.afgekeurd":
                self.beoordeeld.add(event.subject)
            case "betaling.bevestigd":
                self.betaald = event.id

    def _has_school(self, partner: str, sequence: int) -> None:
        if sequence > self.opleider_sinds:
            self.opleider_sinds = sequence
            if partner != self.opleider:  # a school makes papers of its own
                self.opleider, self.plan, self.ingeschreven, self.pok = partner, (), False, None


@dataclass(frozen=True)
class World:
    """What all partners have in common: the registry, the calendar on the wall, and the script."""

    registry: Registry
    kwalificaties: Kwalificatietabel
    public_key: ECKey
    calendar: Calendar
    script: Script


class Behaviour:
    """What a partner's people and programs do. Remembers nothing but what it received."""

    ROL: ClassVar[Rol | None] = None

    def __init__(self, partner: Partner, world: World) -> None:
        self.partner = partner
        self.world = world
        self._dossiers: dict[str, Dossier] = {}

    @property
    def rustig(self) -> bool:
        return self.world.script.rustig

    def begin(self) -> Plans:
        """What it does of its own accord: it registers people."""
        wegen = self.world.registry.in_role(*_WEGEN)
        if self.partner.id not in wegen:
            return
        for kandidaat in self.world.script.kandidaten:
            if kandidaat.nummer % len(wegen) == wegen.index(self.partner.id):
                yield self._aanmelding(kandidaat)

    def _aanmelding(self, kandidaat: Kandidaat) -> Plan:
        def make(_: date) -> Claim:
            data = traject.AangemeldInzending(
                persoon=seal(kandidaat.persoon, self.world.public_key),
                werkstatus=kandidaat.werkstatus,
                sectorwens=kandidaat.sectorwens,
            )
            return Claim(traject.Aangemeld, data, referentie=kandidaat.referentie, kandidaat=kandidaat)

        return Plan(kandidaat.referentie, make, op=self.dag(kandidaat.dag))

    def dag(self, number: int) -> date:
        """The working day of the year with that number, the first being 0."""
        return self.world.calendar.add_working_days(BEGIN.date(), number)

    def read(self, event: Event, kandidaat: Kandidaat | None) -> Iterable[Plan]:
        """What it plans on reading this. Called once an event; `kandidaat`: whose traject it is about."""
        if kandidaat is None:
            return self.react(event)
        nummer = event.data.get("trajectnummer", event.subject)
        dossier = self._dossiers.setdefault(nummer, Dossier(nummer, kandidaat))
        dossier.hoor(event)
        return self.of_traject(event, dossier)

    def react(self, event: Event) -> Iterable[Plan]:
        """On what is about no traject, and on refusals."""
        return ()

    def of_traject(self, event: Event, dossier: Dossier) -> Iterable[Plan]:
        return ()


class Coach(Behaviour):
    ROL = Rol.COACH

    def of_traject(self, event: Event, dossier: Dossier) -> Plans:
        verloop, kandidaat = dossier.verloop, dossier.kandidaat
        match event.name:
            case "traject.betrokkene-toegewezen" if event.data["partner"] == self.partner.id:
                if verloop is Verloop.DUBBEL:
                    yield self._stop(dossier, traject.Teruggetrokken, na=5, categorie=Categorie.OVERIG)
                elif verloop is Verloop.TERUGTREKKING_VROEG and kandidaat.nummer % 2:
                    yield self._stop(dossier, traject.Teruggetrokken, na=3)
                else:
                    late = not self.rustig and kandidaat.nummer % 11 == 5
                    yield self._intake(dossier, na=kandidaat.dagen("intake", 1, 5) + (12 if late else 0))
            case "traject.intake-afgerond" if dossier.fase == "geschikt":
                if verloop is Verloop.TERUGTREKKING_VROEG or (verloop is Verloop.BEDACHT and not dossier.heropend):
                    yield self._stop(dossier, traject.Teruggetrokken, na=1)
            case "traject.heropend" if dossier.fase == "aangemeld":
                yield self._intake(dossier, na=3)
            case "match.erkend" if verloop is Verloop.TERUGTREKKING_LAAT:
                yield self._stop(dossier, traject.Teruggetrokken, na=9)
            case "traject.gestart" if dossier.starts == 1:
                yield from self._gestart(dossier)
            case "traject.onderbroken" if verloop is Verloop.ONDERBREKING:
                yield self._hervat(dossier)
            case "traject.uitgevallen":
                yield from self._nazorg(event, dossier)
            case "verklaring.afgegeven" if not self.rustig:
                yield from self._nazorg(event, dossier)

    def _intake(self, dossier: Dossier, na: int) -> Plan:
        unfit = dossier.verloop is Verloop.NIET_GESCHIKT or (
            dossier.verloop is Verloop.NIEUWE_KANS and not dossier.heropend
        )
        verwijzing = list(traject.Verwijzing)[dossier.kandidaat.nummer % 2]
        if unfit:
            verdict = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.NIET_GESCHIKT, verwezen_naar=verwijzing)
        else:
            verdict = traject.IntakeAfgerond(uitkomst=traject.Uitkomst.GESCHIKT)
        return _about(
            dossier,
            "intake",
            lambda _: verdict if dossier.fase == "aangemeld" else None,
            traject.IntakeAfgerond,
            na,
        )

    def _gestart(self, dossier: Dossier) -> Plans:
        verloop, kandidaat = dossier.verloop, dossier.kandidaat
        if verloop is Verloop.ONDERBREKING:
            na = kandidaat.dagen("onderbreking", 10, 25)
            yield self._stop(dossier, traject.Onderbroken, na=na, fases=("gestart",))
        elif verloop is Verloop.HERPLAATSING:
            na = kandidaat.dagen("herplaatsing", 15, 30)
            yield self._stop(dossier, traject.Onderbroken, na, Categorie.WERKGEVER, fases=("gestart",))
        elif verloop in (Verloop.UITVAL, Verloop.DOORGAAN):
            na = kandidaat.dagen("uitval", 12, 30)
            yield self._stop(dossier, traject.Uitgevallen, na=na, fases=("gestart",))

    def _hervat(self, dossier: Dossier) -> Plan:
        return _about(
            dossier,
            "hervat",
            lambda day: traject.Hervat(datum=day) if dossier.fase == "onderbroken" else None,
            traject.Hervat,
            dossier.kandidaat.dagen("hervat", 6, 20),
        )

    def _stop(
        self,
        dossier: Dossier,
        fact: type[traject.Teruggetrokken] | type[traject.Onderbroken] | type[traject.Uitgevallen],
        na: int,
        categorie: Categorie = Categorie.DEELNEMER,
        fases: tuple[str, ...] = ("aangemeld", "geschikt", "gestart", "onderbroken"),
    ) -> Plan:
        return _about(
            dossier,
            "stop",
            lambda day: fact(datum=day, categorie=categorie) if dossier.fase in fases else None,
            fact,
            na,
        )

    def _nazorg(self, event: Event, dossier: Dossier) -> Plans:
        """Three and six months later, if the year is long enough."""
        fase, calendar = dossier.fase, self.world.calendar
        closing = date(event.day.year, *CLOSING) - timedelta(days=7)
        for moment, na in _NAZORG.items():
            if calendar.add_working_days(event.day, na) >= closing or dossier.verloop is Verloop.DOORGAAN:
                continue
            uitkomst = list(traject.NazorgUitkomst)[(dossier.kandidaat.nummer + na) % 3]
            data = traject.NazorgGeregistreerd(moment=moment, uitkomst=uitkomst)

            def make(_: date, data: traject.NazorgGeregistreerd = data) -> Data | None:
                return data if dossier.fase == fase and data.moment not in dossier.nazorg else None

            yield _about(dossier, moment, make, traject.NazorgGeregistreerd, na)


class Wsp(Behaviour):
    """Finds an employer, another when one is refused, and speaks for employers without a system."""

    ROL = Rol.WSP

    def of_traject(self, event: Event, dossier: Dossier) -> Plans:
        verloop, kandidaat = dossier.verloop, dossier.kandidaat
        match event.name:
            case "traject.intake-afgerond" if dossier.fase == "geschikt":
                # somebody with a job brings the employer along
                na = 1 if kandidaat.werkstatus == "werkende" else kandidaat.dagen("werkplek", 2, 10)
                yield self._voorstel(dossier, 0, na)
                if verloop is Verloop.WEDLOOP:
                    yield self._voorstel(dossier, 1, na)
            case "traject.heropend" if dossier.fase == "geschikt" and not dossier.match:
                yield self._voorstel(dossier, dossier.geprobeerd, 2)
            case "match.voorgesteld" | "match.herplaatsing-gestart":
                if not self.world.registry.werkgever_of(event.data["vestigingsnummer"]):
                    yield from _answer(event, dossier, namens=Rol.WERKGEVER)
            case "match.afgewezen":
                yield self._voorstel(dossier, dossier.geprobeerd, 2)
            case "match.vervallen" if event.data["categorie"] != "overig":
                yield self._voorstel(dossier, dossier.geprobeerd, 3)
            case "traject.onderbroken" if verloop is Verloop.HERPLAATSING and dossier.starts == 1:
                if not self.world.registry.werkgever_of(dossier.vestigingsnummer or ""):
                    yield _lapse(dossier)

    def react(self, event: Event) -> Plans:
        """A place that cannot be had: another."""
        sent = event.answers
        if sent and "vestigingsnummer" in sent["data"] and event.data["code"] == Code.PLAATS_GEBLOKKEERD:
            dossier = self._dossiers[sent["data"]["trajectnummer"]]
            dossier.geprobeerd += 1
            yield self._voorstel(dossier, dossier.geprobeerd, 1)

    def _voorstel(self, dossier: Dossier, which: int, na: int) -> Plan:
        places = dossier.kandidaat.werkplekken()
        place = places[which % len(places)]

        def make(_: date) -> Claim | None:
            if dossier.match or not dossier.loopt or dossier.fase in ("aangemeld", "gestart"):
                return None
            if place.vestigingsnummer in dossier.voorgesteld.values():
                return None
            blocked = (Code.PLAATS_GEBLOKKEERD,) if place == NIET_ERKEND else ()
            mag = (*blocked, *(_STOPPED if dossier.verloop in STOPS else ()))
            if dossier.starts and dossier.vorige_match:
                again = match.HerplaatsingInzending(vorige_match=dossier.vorige_match, **_at(dossier, place))
                return Claim(match.HerplaatsingGestart, again, kandidaat=dossier.kandidaat, mag=mag)
            return Claim(
                match.Voorgesteld, match.Voorgesteld(**_at(dossier, place)), kandidaat=dossier.kandidaat, mag=mag
            )

        return Plan(f"voorstel-{which}", make, na)


class Werkgever(Behaviour):
    ROL = Rol.WERKGEVER

    def of_traject(self, event: Event, dossier: Dossier) -> Plans:
        match event.name:
            case "match.voorgesteld" | "match.herplaatsing-gestart":
                if event.data["vestigingsnummer"] in self.partner.vestigingen:
                    yield from _answer(event, dossier, namens=None)
            case "traject.onderbroken" if dossier.verloop is Verloop.HERPLAATSING and dossier.starts == 1:
                if dossier.vestigingsnummer in self.partner.vestigingen:
                    yield _lapse(dossier)


class Sbb(Behaviour):
    """Decides within ten working days, mostly."""

    ROL = Rol.SBB

    def __init__(self, partner: Partner, world: World) -> None:
        super().__init__(partner, world)
        self._withdrawn = False
        self._places = 0

    def react(self, event: Event) -> Plans:
        place = event.data.get("vestigingsnummer")
        if event.name == "erkenning.aangevraagd" and place:
            self._places += 1
            na = self._needs()
            if place == NIET_ERKEND.vestigingsnummer:
                yield Plan("weigering", lambda day: self._refusal(event, day), min(na, 7))
            else:
                yield Plan("erkenning", lambda day: self._grant(event, day), na)
                is_withdrawn = (place, event.data["crebo"]) == (INGETROKKEN.vestigingsnummer, INGETROKKEN.crebo)
                if is_withdrawn and not self._withdrawn:
                    self._withdrawn = True
                    yield Plan("intrekking", lambda day: self._withdrawal(event, day), na + 60)

    def _needs(self) -> int:
        """Working days for the next decision; now and then more than ten, to each level of the ladder."""
        late = {3: 12, 5: 17, 8: 22}
        return 2 if self.rustig else late.get(self._places, 2 + self._places % 7)

    def _grant(self, event: Event, day: date) -> Claim:
        granted = erkenning.Verleend(
            leerbedrijf_id=leerbedrijf_id(event.data["vestigingsnummer"]),
            geldig_vanaf=day,
            geldig_tot=day + timedelta(days=4 * 365),
        )
        return Claim(erkenning.Verleend, granted, event.subject)

    def _refusal(self, event: Event, day: date) -> Claim:
        reason = erkenning.Weigerreden.GEEN_PRAKTIJKOPLEIDER
        return Claim(erkenning.Geweigerd, erkenning.Geweigerd(datum=day, redencode=reason), event.subject)

    def _withdrawal(self, event: Event, day: date) -> Claim:
        reason = erkenning.Intrekreden.NIET_MEER_VEILIG
        return Claim(erkenning.Ingetrokken, erkenning.Ingetrokken(datum=day, redencode=reason), event.subject)


class Opleider(Behaviour):
    """Makes the plan and the POK, starts when all is there, visits, assesses, and issues the verklaring."""

    ROL = Rol.OPLEIDER

    def of_traject(self, event: Event, dossier: Dossier) -> Plans:
        verloop, kandidaat = dossier.verloop, dossier.kandidaat
        match event.name:
            case "traject.betrokkene-toegewezen" if dossier.opleider == self.partner.id:
                if not self.rustig and kandidaat.nummer % 9 == 4 and verloop in _SOON:
                    yield self._plan(dossier, 0)  # before the intake: too early, so it waits
            case "match.erkend":
                yield from self._prepare(dossier)
            case "traject.pok-opgesteld" | "traject.pok-gewijzigd":
                yield from self._sign(event, dossier)
            case (
                "traject.begeleidingsdocument-vastgesteld"
                | "traject.inschrijving-bevestigd"
                | "traject.pok-ondertekend"
                | "opdracht.verstrekt"
            ):
                if self._klaar(dossier):
                    yield self._start(dossier)
            case "traject.gestart" | "traject.hervat":
                yield from self._execute(dossier)
            case "traject.heropend" if dossier.fase == "gestart":
                yield from self._execute(dossier)
            case "traject.onderbroken" if verloop is Verloop.HERPLAATSING and dossier.starts == 1:
                yield self._dissolve(dossier)
            case "traject.werkproces-beoordeeld" if self._beoordeeld(dossier):
                yield self._verklaring(dossier, kandidaat.dagen("verklaring", 1, 5))
            case "verklaring.afgegeven" if verloop is Verloop.CORRECTIE and dossier.verklaringen == 1:
                yield self._withdraw(dossier, 1)
            case "factuur.afgekeurd":
                yield self._withdraw(dossier, 2)
            case "betaling.bevestigd" if verloop is Verloop.CORRECTIE_LAAT and dossier.verklaringen == 1:
                yield self._withdraw(dossier, 6)
            case "verklaring.ingetrokken":
                yield self._verklaring(dossier, 2)

    def _mine(self, dossier: Dossier) -> bool:
        """Schools that take over from each other have spoken about it."""
        first = _school(self.world.registry, dossier.kandidaat)
        if dossier.verloop is Verloop.ANDERE_SCHOOL and self.partner.id == first:
            return False
        return dossier.opleider == self.partner.id

    def _about(
        self, dossier: Dossier, naam: str, make: Callable[[date], Data | None], fact: type[Data], na: int
    ) -> Plan:
        """What it does about a traject that is its own."""
        return _about(dossier, naam, lambda day: make(day) if self._mine(dossier) else None, fact, na)

    def _plan(self, dossier: Dossier, na: int) -> Plan:
        """The begeleidingsdocument. The first school makes one too, before another takes over."""
        crebo = dossier.kandidaat.crebo
        known = self.world.kwalificaties.werkprocessen(crebo, VERSION) or frozenset()
        data = traject.BegeleidingsdocumentVastgesteld(
            crebo=crebo,
            dossierversie=VERSION,
            werkprocessen=tuple(sorted(known))[: 3 + dossier.kandidaat.nummer % 2],
            documenthash=_HASH,
        )
        return _about(
            dossier,
            "plan",
            lambda _: data if not dossier.plan and dossier.loopt else None,
            traject.BegeleidingsdocumentVastgesteld,
            na,
        )

    def _prepare(self, dossier: Dossier) -> Plans:
        kandidaat, match_nummer = dossier.kandidaat, dossier.match
        if not dossier.plan:
            yield self._plan(dossier, kandidaat.dagen("plan", 1, 3))

        def enrol(day: date) -> Data | None:
            if dossier.ingeschreven or not dossier.loopt:
                return None
            return traject.InschrijvingBevestigd(brin="25PZ", onderwijslocatie="100X123", datum=day)

        yield self._about(
            dossier, "inschrijving", enrol, traject.InschrijvingBevestigd, kandidaat.dagen("inschrijving", 1, 5)
        )

        def pok(day: date) -> Data | None:
            if dossier.match != match_nummer or not dossier.loopt or dossier.pok:
                return None
            pok_id = str(uuid5(_POKS, f"{self.partner.id}/{match_nummer}"))
            begin = day + timedelta(days=1 if self.rustig else 14)  # time to sign
            return traject.PokOpgesteld(pok_id=pok_id, begin=begin, eind=day + timedelta(days=300), uren=640)

        na = 8 if dossier.verloop is Verloop.ANDERE_SCHOOL else kandidaat.dagen("pok", 2, 4)
        yield self._about(dossier, "pok", pok, traject.PokOpgesteld, na)

    def _sign(self, event: Event, dossier: Dossier) -> Plans:
        """Three signatures, mostly on three days."""
        kandidaat, pok_id = dossier.kandidaat, event.data["pok_id"]
        renew = dossier.verloop is Verloop.ANDERE_POK and event.name == "traject.pok-opgesteld"
        if renew:

            def change(day: date) -> Data | None:
                if dossier.pok != pok_id or dossier.fase != "geschikt":
                    return None
                begin = day + timedelta(days=14)
                return traject.PokGewijzigd(pok_id=pok_id, begin=begin, eind=day + timedelta(days=300), uren=480)

            yield self._about(dossier, "wijziging", change, traject.PokGewijzigd, 3)
        days = {
            traject.PokPartij.DEELNEMER: kandidaat.dagen("deelnemer tekent", 1, 2),
            traject.PokPartij.OPLEIDER: kandidaat.dagen("opleider tekent", 1, 4),
            traject.PokPartij.LEERBEDRIJF: kandidaat.dagen("leerbedrijf tekent", 2, 6),
        }
        if not self.rustig and kandidaat.nummer % 13 == 6:
            days[traject.PokPartij.LEERBEDRIJF] = 14
        if renew:
            days = {traject.PokPartij.DEELNEMER: 1}
        for partij, na in days.items():

            def sign(day: date, partij: traject.PokPartij = partij) -> Data | None:
                if dossier.pok != pok_id or partij in dossier.getekend or not dossier.loopt:
                    return None
                signature = traject.Handtekening(partij=partij, datum=day)
                return traject.PokOndertekend(pok_id=pok_id, handtekeningen=(signature,))

            yield self._about(dossier, f"handtekening-{partij}", sign, traject.PokOndertekend, na)

    def _klaar(self, dossier: Dossier) -> bool:
        signed = dossier.pok is not None and len(dossier.getekend) == len(traject.PokPartij)
        there = bool(dossier.plan and dossier.ingeschreven and dossier.opdracht and dossier.leerbedrijf)
        return signed and there and dossier.fase in ("geschikt", "onderbroken")

    def _start(self, dossier: Dossier) -> Plan:
        def start(day: date) -> Data | None:
            return traject.Gestart(datum=day) if self._klaar(dossier) else None

        plan = self._about(
            dossier, f"start-{dossier.starts}", start, traject.Gestart, dossier.kandidaat.dagen("start", 1, 4)
        )
        return replace(plan, op=dossier.pok_begin)

    def _execute(self, dossier: Dossier) -> Plans:
        """Visits and assessments over three to seven months, from where it was."""
        kandidaat, periode = dossier.kandidaat, dossier.periode
        todo = [werkproces for werkproces in dossier.plan if dossier.oordelen.get(werkproces) != "beheerst"]
        length = 4 if self.rustig else kandidaat.dagen("duur", 50, 100)
        if dossier.verloop is Verloop.CORRECTIE_LAAT:
            length = length // 2
        step = max(1, length // max(len(dossier.plan), 1))

        def here() -> bool:
            return dossier.fase == "gestart" and dossier.periode == periode

        def visit(day: date, number: int) -> Data | None:
            oordeel = list(traject.BezoekOordeel)[(kandidaat.nummer + number) % 7 == 0]
            return traject.BezoekGeregistreerd(datum=day, oordeel=oordeel) if here() else None

        def assess(day: date, werkproces: str, oordeel: traject.Beoordeling) -> Data | None:
            if not here() or dossier.leerbedrijf is None:
                return None
            return traject.WerkprocesBeoordeeld(
                werkproces=werkproces, beoordeling=oordeel, datum=day, leerbedrijf_id=dossier.leerbedrijf
            )

        if not self.rustig:
            for number in range(2):
                yield self._about(
                    dossier,
                    f"bezoek-{number}",
                    partial(visit, number=number),
                    traject.BezoekGeregistreerd,
                    5 + number * (length // 2),
                )
        for place, werkproces in enumerate(todo, 1):
            partly = dossier.verloop is Verloop.DEELS and werkproces == dossier.plan[-1]
            hard = not self.rustig and (kandidaat.nummer + place) % 8 == 0
            turns = [traject.Beoordeling.NOG_NIET] if partly or hard else []
            turns += [] if partly else [traject.Beoordeling.BEHEERST]
            for turn, oordeel in enumerate(turns):
                yield self._about(
                    dossier,
                    f"{werkproces}-{turn}",
                    partial(assess, werkproces=werkproces, oordeel=oordeel),
                    traject.WerkprocesBeoordeeld,
                    place * step + turn * 4,
                )
        if not todo or self._beoordeeld(dossier):
            yield self._verklaring(dossier, 3)

    def _dissolve(self, dossier: Dossier) -> Plan:
        def dissolve(day: date) -> Data | None:
            if dossier.pok is None:
                return None
            return traject.PokOntbonden(pok_id=dossier.pok, datum=day, categorie=Categorie.WERKGEVER)

        return self._about(dossier, "ontbinding", dissolve, traject.PokOntbonden, 0)

    def _beoordeeld(self, dossier: Dossier) -> bool:
        """Whether the verklaring can be written."""
        last = dossier.plan[-1:] if dossier.verloop is Verloop.DEELS else ()
        return bool(dossier.plan) and all(
            dossier.oordelen.get(werkproces) == "beheerst"
            or (werkproces in last and werkproces in dossier.oordelen)
            for werkproces in dossier.plan
        )

    def _verklaring(self, dossier: Dossier, na: int) -> Plan:
        def issue(day: date) -> Claim | None:
            if dossier.fase != "gestart" or not self._mine(dossier):
                return None
            mastered = tuple(w for w in dossier.plan if dossier.oordelen.get(w) == "beheerst")
            data = verklaring.AfgegevenInzending(
                trajectnummer=dossier.nummer, werkprocessen=mastered, datum=day, documenthash=_HASH
            )
            mag = _STOPPED if dossier.verloop in STOPS else ()
            return Claim(verklaring.Afgegeven, data, kandidaat=dossier.kandidaat, mag=mag)

        return Plan(f"verklaring-{dossier.verklaringen}", issue, na)

    def _withdraw(self, dossier: Dossier, na: int) -> Plan:
        nummer = dossier.verklaring

        def withdraw(day: date) -> Claim | None:
            if nummer is None or dossier.verklaring != nummer or dossier.fase != "afgerond":
                return None
            reason = verklaring.VerklaringIntrekreden.CORRECTIE
            data = verklaring.IngetrokkenInzending(datum=day, redencode=reason)
            return Claim(verklaring.Ingetrokken, data, nummer, kandidaat=dossier.kandidaat)

        return Plan("intrekking", withdraw, na)


class Leerwerkloket(Behaviour):
    """Registers and assigns, commissions, approves, pays and closes. Its organisation is coordinatie too."""

    ROL = Rol.LEERWERKLOKET

    def begin(self) -> Plans:
        yield from super().begin()
        yield _budget(self, "POW", 0)

    def of_traject(self, event: Event, dossier: Dossier) -> Plans:
        yield from self._coordinates(event, dossier)
        yield from self._commissions(event, dossier)
        yield from self._pays(event, dossier)
        yield from self._closes(event, dossier)

    def _coordinates(self, event: Event, dossier: Dossier) -> Plans:
        verloop, kandidaat = dossier.verloop, dossier.kandidaat
        first, other = _schools(self.world.registry, kandidaat)
        match event.name:
            case "traject.aangemeld":
                yield self._assign(dossier, first, kandidaat.dagen("school", 0, 1))
            case "traject.begeleidingsdocument-vastgesteld" if verloop is Verloop.ANDERE_SCHOOL:
                if dossier.opleider == first:
                    yield self._assign(dossier, other, 2)
            case "traject.intake-afgerond" if verloop is Verloop.NIEUWE_KANS and dossier.fase != "geschikt":
                yield self._reopen(dossier, 8)
            case "traject.teruggetrokken" if verloop is Verloop.BEDACHT and not dossier.heropend:
                yield self._reopen(dossier, 6)
            case "traject.uitgevallen" if verloop is Verloop.DOORGAAN and not dossier.heropend:
                yield self._reopen(dossier, 7)
            case "traject.gesloten" if verloop is Verloop.NOG_EVEN_OPEN and not dossier.heropend:
                yield self._reopen(dossier, 4, traject.Heropenreden.CORRECTIE)
            case "traject.intake-afgerond" | "traject.teruggetrokken" if dossier.fase != "geschikt":
                if kandidaat.nummer % 2:
                    yield self._erase(dossier)

    def _assign(self, dossier: Dossier, school: str, na: int) -> Plan:
        """Refused if it ended a moment ago, which the loket may not have heard of yet."""
        data = traject.BetrokkeneToegewezen(rol=Rol.OPLEIDER, partner=school)
        return _about(
            dossier,
            f"toewijzing-{school}",
            lambda _: data if dossier.loopt and dossier.starts == 0 else None,
            traject.BetrokkeneToegewezen,
            na,
            mag=(Code.STATUS_PAST_NIET,),
        )

    def _reopen(
        self, dossier: Dossier, na: int, reden: traject.Heropenreden = traject.Heropenreden.NIEUWE_KANS
    ) -> Plan:
        data = traject.Heropend(redencode=reden)
        return _about(dossier, "heropening", lambda _: None if dossier.loopt else data, traject.Heropend, na)

    def _erase(self, dossier: Dossier) -> Plan:
        data = traject.GegevensGewist(redencode=traject.Wisreden.BEWAARTERMIJN)
        return _about(dossier, "wissen", lambda _: None if dossier.loopt else data, traject.GegevensGewist, 20)

    def _commissions(self, event: Event, dossier: Dossier) -> Plans:
        match event.name:
            case "match.erkend":
                na = 1 if dossier.verloop is Verloop.ANDERE_SCHOOL else dossier.kandidaat.dagen("opdracht", 1, 6)
                yield self._order(dossier, dossier.kandidaat.nummer, na)
            case "traject.betrokkene-toegewezen" if dossier.opdracht and event.data["rol"] == "opleider":
                yield self._take_back(dossier)
            case "opdracht.ingetrokken" if dossier.loopt:
                yield self._order(dossier, dossier.kandidaat.nummer, 1)
            case "traject.heropend" if dossier.verloop is Verloop.DOORGAAN:
                yield self._order(dossier, dossier.kandidaat.nummer, 2)

    def _take_back(self, dossier: Dossier) -> Plan:
        nummer = dossier.opdracht

        def take_back(_: date) -> Claim | None:
            if nummer is None or dossier.opdracht != nummer:
                return None
            data = opdracht.IngetrokkenInzending(categorie=Categorie.OPLEIDING)
            return Claim(opdracht.Ingetrokken, data, nummer, kandidaat=dossier.kandidaat)

        return Plan("opdracht-terug", take_back, 1)

    def _order(self, dossier: Dossier, turn: int, na: int) -> Plan:
        bron = ("POW", "WERKBEDRIJF")[turn % 2]

        def order(_: date) -> Claim | None:
            if dossier.opdracht or not dossier.loopt or dossier.opleider is None:
                return None
            data = opdracht.Verstrekt(
                trajectnummer=dossier.nummer, opleider=dossier.opleider, bedrag_cent=BEDRAG, bron=bron
            )
            mag = (Code.BUDGET_ONTOEREIKEND, Code.BUITEN_BUDGETPERIODE, Code.OPDRACHT_BESTAAT, *_STOPPED)
            return Claim(opdracht.Verstrekt, data, kandidaat=dossier.kandidaat, mag=() if self.rustig else mag)

        return Plan(f"opdracht-{turn}", order, na)

    def react(self, event: Event) -> Plans:
        """A source that has run out, or whose period has not begun: the other. Again every week, if need be."""
        sent, no_money = event.answers, (Code.BUDGET_ONTOEREIKEND, Code.BUITEN_BUDGETPERIODE)
        if sent and "bron" in sent["data"] and event.data["code"] in no_money:
            dossier = self._dossiers[sent["data"]["trajectnummer"]]
            from_pow = sent["data"]["bron"] == "POW"
            yield self._order(dossier, 1, 1) if from_pow else self._order(dossier, 0, 5)

    def _pays(self, event: Event, dossier: Dossier) -> Plans:
        kandidaat = dossier.kandidaat
        match event.name:
            case "factuur.klaargezet":
                rejects = dossier.verloop is Verloop.AFKEUR and dossier.facturen == 1
                late = not self.rustig and kandidaat.nummer % 17 == 7
                yield self._judge(event.subject, dossier, rejects, kandidaat.dagen("factuur", 4, 8) + 22 * late)
            case "betaling.opgedragen" if event.data["bedrag_cent"]:  # not where a credit covers it
                failed = dossier.verloop is Verloop.BETALING_MISLUKT
                yield self._answer_of_bank(event.subject, dossier, failed, kandidaat.dagen("bank", 1, 3))
            case "betaling.mislukt":
                yield self._answer_of_bank(event.subject, dossier, failed=False, na=4)

    def _judge(self, nummer: str, dossier: Dossier, rejects: bool, na: int) -> Plan:
        def judge(_: date) -> Claim | None:
            if nummer in dossier.gecrediteerd or nummer in dossier.beoordeeld:
                return None
            if not rejects:
                return Claim(factuur.Goedgekeurd, subject=nummer, kandidaat=dossier.kandidaat)
            data = factuur.AfgekeurdInzending(regelcodes=("BR-NL-1",))
            return Claim(factuur.Afgekeurd, data, nummer, kandidaat=dossier.kandidaat)

        return Plan("oordeel", judge, na)

    def _answer_of_bank(self, nummer: str, dossier: Dossier, failed: bool, na: int) -> Plan:
        def answer(day: date) -> Claim:
            if not failed:
                paid = betaling.BevestigdInzending(datum=day)
                return Claim(betaling.Bevestigd, paid, nummer, kandidaat=dossier.kandidaat)
            no = betaling.MisluktInzending(datum=day, redencode=betaling.Misluktreden.GEWEIGERD_DOOR_BANK)
            return Claim(betaling.Mislukt, no, nummer, kandidaat=dossier.kandidaat)

        return Plan("bank", answer, na)

    def _closes(self, event: Event, dossier: Dossier) -> Plans:
        """After the aftercare, at the latest at the end of the year."""
        at_once = self.rustig or (dossier.verloop is Verloop.NOG_EVEN_OPEN)
        closing = date(event.day.year, *CLOSING)
        match event.name:
            case "betaling.bevestigd":
                yield self._close(dossier, 1, None if at_once else closing)
            case "traject.nazorg-geregistreerd" if event.data["moment"] == traject.NazorgMoment.NA_6_MAANDEN:
                yield self._close(dossier, 1, None)
            case "traject.heropend" if dossier.fase == "afgerond":
                yield self._close(dossier, 5, None)

    def _close(self, dossier: Dossier, na: int, op: date | None) -> Plan:
        data, paid = traject.Gesloten(redencode=traject.Sluitreden.VOLTOOID), dossier.betaald

        def close(_: date) -> Claim | None:
            if dossier.fase != "afgerond" or dossier.betaald != paid:
                return None
            return Claim(traject.Gesloten, data, dossier.nummer, kandidaat=dossier.kandidaat)

        return Plan("sluiting", close, na, op)


class Financier(Behaviour):
    """Sets the budget of its own source and follows what is spent."""

    ROL = Rol.FINANCIER

    def begin(self) -> Plans:
        yield _budget(self, "WERKBEDRIJF", 0)
        yield _budget(self, "WERKBEDRIJF", 1)


def _budget(of: Behaviour, bron: str, turn: int) -> Plan:
    """What a source has: at the beginning of the year, and after it was raised halfway."""

    def make(day: date) -> Claim:
        amount = of.world.script.budgetten()[bron][turn]
        begins = of.dag(of.world.script.werkbedrijf_vanaf) if bron == "WERKBEDRIJF" else BEGIN.date()
        data = budget.Vastgesteld(bedrag_cent=amount, van=begins, tot=date(day.year + 1, 12, 31))
        return Claim(budget.Vastgesteld, data, bron)

    return Plan(f"budget-{bron}-{turn}", make, op=of.dag(100 * turn))


def _schools(registry: Registry, kandidaat: Kandidaat) -> tuple[str, str]:
    """The school of the traject, and the one that takes over where one does."""
    schools = registry.in_role(Rol.OPLEIDER)
    turn = kandidaat.nummer % len(schools)
    return schools[turn], schools[(turn + 1) % len(schools)]


def _school(registry: Registry, kandidaat: Kandidaat) -> str:
    return _schools(registry, kandidaat)[0]


def _at(dossier: Dossier, place: Werkplek) -> dict[str, str]:
    return {
        "trajectnummer": dossier.nummer,
        "kvk": place.kvk,
        "vestigingsnummer": place.vestigingsnummer,
        "crebo": place.crebo,
    }


def _about(
    dossier: Dossier,
    naam: str,
    make: Callable[[date], Data | None],
    fact: type[Data],
    na: int,
    mag: tuple[Code, ...] = (),
) -> Plan:
    """A plan about the traject itself, which may also end in one of `mag`."""

    def claim(day: date) -> Claim | None:
        data = make(day)
        ends = _STOPPED if dossier.verloop in STOPS else mag
        return None if data is None else Claim(fact, data, dossier.nummer, kandidaat=dossier.kandidaat, mag=ends)

    return Plan(naam, claim, na)


def _answer(event: Event, dossier: Dossier, namens: Rol | None) -> Plans:
    """An employer's answer to a proposal, by itself or through the WSP."""
    declines = dossier.verloop is Verloop.AFWIJZING and dossier.geprobeerd == 1
    race = dossier.verloop is Verloop.WEDLOOP and not dossier.starts
    fact: type[Data] = match.Afgewezen if declines else match.Bevestigd
    nummer = event.subject

    def answer(_: date) -> Claim | None:
        if not dossier.loopt or (dossier.match and not race):
            return None
        mag = (Code.STATUS_PAST_NIET,) if race or dossier.verloop in STOPS else ()
        return Claim(fact, None, nummer, namens=namens, kandidaat=dossier.kandidaat, mag=mag)

    yield Plan("antwoord", answer, 2 if race else dossier.kandidaat.dagen("werkgever", 1, 4))


def _lapse(dossier: Dossier) -> Plan:
    """The employer stops."""
    nummer = dossier.match

    def lapse(_: date) -> Claim | None:
        if nummer is None or dossier.match != nummer or not dossier.loopt:
            return None
        data = match.VervallenInzending(categorie=Categorie.WERKGEVER)
        return Claim(match.Vervallen, data, nummer, kandidaat=dossier.kandidaat)

    return Plan("einde-werkplek", lapse, 2)


_KINDS: Final = (Leerwerkloket, Wsp, Coach, Sbb, Opleider, Werkgever, Financier)


def behaviours(world: World) -> list[Behaviour]:
    """That of every partner of the registry, remembering nothing yet."""
    return [
        next((kind for kind in _KINDS if kind.ROL in partner.rollen), Behaviour)(partner, world)
        for partner in world.registry.partners
    ]
