"""Termijnen: whose answer is waited for since when, and when it is told that it did not come.

A question is open as long as the facts say so; its term runs in Dutch working days from the dagtekening, the
day on which it was put to who must answer it. Whoever replaces that party gets a term of its own. Facts of
different streams come in any order: what is open follows from all of them together, see `Trajectstand`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import Any, Final, Self

from contracts import erkenning, factuur, match, traject, verklaring
from contracts.fields import (
    CROCKFORD,
    Matchnummer,
    PartnerId,
    PokId,
    Rol,
    Termijnnummer,
    Verklaringnummer,
    Vestigingsnummer,
    number_from,
)
from contracts.partners import Registry
from contracts.termijn import Niveau, Overschreden, Stap
from contracts.traject import PokPartij
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.calendar import AMSTERDAM, Calendar
from services.chassis.messages import Fact

OCHTEND: Final = time(8)
"""In the Netherlands: when on a working day a level is told."""
TUSSENPOOS: Final = 5
"""Working days between two reminders of the same step to the same partner, at least."""


@dataclass(frozen=True, slots=True)
class Trede:
    """A level, and how many working days after the dagtekening it belongs to."""

    niveau: Niveau
    werkdagen: int


LADDERS: Final[Mapping[Stap, tuple[Trede, ...]]] = {
    # Our choice: the mail on the registration promises a talk within 5 working days.
    Stap.INTAKE: (Trede(Niveau.VERLOPEN, 5), Trede(Niveau.COORDINATIE, 10)),
    # SBB decides within 10 working days (Reglement erkenning leerbedrijven); the levels are our choice.
    Stap.ERKENNING: (
        Trede(Niveau.HINT, 8),
        Trede(Niveau.VERLOPEN, 10),
        Trede(Niveau.COORDINATIE, 15),
        Trede(Niveau.MANAGER, 20),
    ),
    # The rest is our choice.
    Stap.HANDTEKENING: (Trede(Niveau.VERLOPEN, 10), Trede(Niveau.COORDINATIE, 15)),
    Stap.FACTUUR: (Trede(Niveau.VERLOPEN, 10), Trede(Niveau.COORDINATIE, 15)),
    Stap.VOORTGANG: (Trede(Niveau.VERLOPEN, 20), Trede(Niveau.COORDINATIE, 25)),
}
"""What is told when, step by step."""


def uiterlijk(stap: Stap, dagtekening: date, calendar: Calendar) -> date:
    """The last day on which the answer is in time."""
    (termijn,) = (trede.werkdagen for trede in LADDERS[stap] if trede.niveau is Niveau.VERLOPEN)
    return calendar.add_working_days(dagtekening, termijn)


@dataclass(frozen=True, slots=True)
class Vraag:
    """What is waited for, and from whom."""

    stap: Stap
    rol: Rol
    partner: PartnerId | None = None
    """Who was assigned to answer; of a werkgever: who answers where that has no system."""
    om: str = ""
    """The id of the fact that it is about, where the next one like it is a new question."""

    def late(self, werkplek: Vestigingsnummer | None, registry: Registry) -> tuple[Rol, tuple[PartnerId, ...]]:
        """Who has not answered: the partners in that role, else who stands in, else coordinatie.

        Raises:
            LookupError: the registry has nobody in the role coordinatie.
        """
        if self.rol is Rol.WERKGEVER and werkplek and (werkgever := registry.werkgever_of(werkplek)):
            return Rol.WERKGEVER, (werkgever,)
        rol = Rol.WSP if self.rol is Rol.WERKGEVER else self.rol
        if self.partner and registry.get(self.partner):
            return rol, (self.partner,)
        if rol in (Rol.SBB, Rol.LEERWERKLOKET) and (regional := registry.in_role(rol)):
            return rol, regional
        if coordinatie := registry.in_role(Rol.COORDINATIE):
            return Rol.COORDINATIE, coordinatie
        raise LookupError(f"the partner registry has nobody to answer for {self.stap}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Termijn:
    """An open question with its term. It ends when the question does."""

    vraag: Vraag
    nummer: Termijnnummer
    dagtekening: date
    gezet_door: str
    """The id of the fact since which the question is open."""
    gemeld: Niveau | None = None

    @classmethod
    def gezet(cls, stroom: str, vraag: Vraag, dagtekening: date, fact_id: str) -> Self:
        """Its number follows from what it is, so that nobody can set it twice."""
        drawn = sha256(f"{stroom}/{vraag.stap}/{vraag.rol}/{fact_id}".encode()).digest()
        nummer = number_from("TM", "".join(CROCKFORD[byte % len(CROCKFORD)] for byte in drawn[:9]))
        return cls(vraag=vraag, nummer=nummer, dagtekening=dagtekening, gezet_door=fact_id)

    @property
    def trede(self) -> Trede | None:
        """What is to be told next."""
        ladder = LADDERS[self.vraag.stap]
        told = next((n for n, trede in enumerate(ladder, 1) if trede.niveau is self.gemeld), 0)
        return ladder[told] if told < len(ladder) else None

    def uiterlijk(self, calendar: Calendar) -> date:
        return uiterlijk(self.vraag.stap, self.dagtekening, calendar)

    def moment(self, calendar: Calendar) -> datetime | None:
        """When `trede` is to be told. A hint on its working day; the rest on the first one after so many
        working days have passed: an answer on the last day is in time.
        """
        if self.trede is None:
            return None
        passed = 0 if self.trede.niveau is Niveau.HINT else 1
        day = calendar.add_working_days(self.dagtekening, self.trede.werkdagen + passed)
        return datetime.combine(day, OCHTEND, AMSTERDAM).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Pok:
    """The praktijkovereenkomst that is to be signed."""

    pok_id: PokId
    om: str
    """The id of the fact that put it up for signing."""
    sinds: datetime
    """When intake recorded that."""
    ontbreekt: frozenset[PokPartij] = frozenset(PokPartij)


@dataclass(frozen=True, slots=True)
class Werkplek:
    """Of a match that was confirmed and has not lapsed."""

    vestigingsnummer: Vestigingsnummer
    sinds: datetime
    """When matching recorded the confirmation: a POK from before hangs on another."""


_TEKEN_VAN_LEVEN: Final = (
    traject.BezoekGeregistreerd,
    traject.WerkprocesBeoordeeld,
    traject.PokGewijzigd,
    traject.PokOndertekend,
)
_EINDE: Final = (traject.Uitgevallen, traject.Teruggetrokken, traject.Gesloten, traject.GegevensGewist)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectstand:
    """What is known of a traject, whichever of its streams was heard first."""

    betrokkenen: Betrokkenen | None = None
    intake_afgerond: bool = False
    pok: Pok | None = None
    werkplekken: Mapping[Matchnummer, Werkplek] = field(default_factory=dict)
    """More than one only while the lapse of an earlier match is still to be heard of."""
    laatste_teken: str | None = None
    """While it runs: the id of the last fact that shows it does."""
    verklaringen: frozenset[Verklaringnummer] = frozenset()
    beeindigd: bool = False

    def na(self, fact: Fact[Any]) -> Self:
        state = replace(self, betrokkenen=Betrokkenen.evolve(self.betrokkenen, fact))
        data = fact.data
        if state.laatste_teken and isinstance(data, _TEKEN_VAN_LEVEN):
            state = replace(state, laatste_teken=fact.id)
        match data:
            case traject.IntakeAfgerond():
                geschikt = data.uitkomst is traject.Uitkomst.GESCHIKT
                return replace(state, intake_afgerond=geschikt, beeindigd=not geschikt)
            case traject.PokOpgesteld() | traject.PokGewijzigd():
                return replace(state, pok=Pok(data.pok_id, fact.id, fact.recorded))
            case traject.PokOndertekend() if state.pok and state.pok.pok_id == data.pok_id:
                ontbreekt = state.pok.ontbreekt - {handtekening.partij for handtekening in data.handtekeningen}
                return replace(state, pok=replace(state.pok, ontbreekt=ontbreekt))
            case traject.PokOntbonden() if state.pok and state.pok.pok_id == data.pok_id:
                return replace(state, pok=None)
            case traject.Gestart() | traject.Hervat():
                return replace(state, laatste_teken=fact.id)
            case traject.Onderbroken():
                return replace(state, laatste_teken=None)
            case traject.Heropend():
                return replace(state, beeindigd=False)
            case match.Bevestigd():
                werkplek = Werkplek(data.vestigingsnummer, fact.recorded)
                return replace(state, werkplekken={**state.werkplekken, fact.subject: werkplek})
            case match.Vervallen() if fact.subject in state.werkplekken:
                over = {nummer: plek for nummer, plek in state.werkplekken.items() if nummer != fact.subject}
                return replace(state, werkplekken=over)
            case verklaring.Afgegeven():
                return replace(state, verklaringen=state.verklaringen | {fact.subject})
            case verklaring.Ingetrokken():
                return replace(state, verklaringen=state.verklaringen - {fact.subject})
            case _ if isinstance(data, _EINDE):
                return replace(state, beeindigd=True)
        return state

    def vragen(self) -> Iterator[Vraag]:
        """What is open now."""
        if self.betrokkenen is None or self.beeindigd:
            return
        coach, opleider = self._toegewezen(Rol.COACH), self._toegewezen(Rol.OPLEIDER)
        if not self.intake_afgerond:
            yield Vraag(Stap.INTAKE, Rol.COACH, coach) if coach else Vraag(Stap.INTAKE, Rol.COORDINATIE)
        if self.pok and self.werkplek and self.werkplek.sinds <= self.pok.sinds:
            ondertekenaars = {
                PokPartij.DEELNEMER: (Rol.COACH, coach) if coach else (Rol.OPLEIDER, opleider),
                PokPartij.OPLEIDER: (Rol.OPLEIDER, opleider),
                PokPartij.LEERBEDRIJF: (Rol.WERKGEVER, self._toegewezen(Rol.WSP)),
            }
            for rol, partner in dict.fromkeys(ondertekenaars[partij] for partij in sorted(self.pok.ontbreekt)):
                yield Vraag(Stap.HANDTEKENING, rol, partner, self.pok.om)
        if self.laatste_teken and not self.verklaringen:
            yield Vraag(Stap.VOORTGANG, Rol.OPLEIDER, opleider, self.laatste_teken)

    @property
    def werkplek(self) -> Werkplek | None:
        return max(self.werkplekken.values(), key=lambda werkplek: werkplek.sinds, default=None)

    def _toegewezen(self, rol: Rol) -> PartnerId | None:
        assigned = self.betrokkenen.toegewezen if self.betrokkenen else ()
        return next((partner for in_rol, partner in assigned if in_rol is rol), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Termijnen:
    """The terms that run in one stream: a traject, a request for recognition, an invoice."""

    stroom: str
    correlationid: str
    traject: Trajectstand | None = None
    beantwoord: bool = False
    """Of an invoice: it was judged or credited, whatever is still heard of it."""
    lopend: tuple[Termijn, ...] = ()
    herinnerd: Mapping[str, date] = field(default_factory=dict)
    """When a step was last told to a partner as overdue, see `mag_herinneren`."""

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        state = state or cls(stroom=by_stroom(fact), correlationid=fact.correlationid)
        assert fact.heard is not None, "terms run by the calendar"
        today = fact.heard.astimezone(AMSTERDAM).date()
        data = fact.data
        if isinstance(data, Overschreden):
            return state._na_melding(fact.subject, data, today)
        if fact.type.entity in ("traject", "match", "verklaring"):
            stand = (state.traject or Trajectstand()).na(fact)
            if stand == state.traject:
                return state
            return replace(state, traject=stand)._met(stand.vragen(), today, fact.id)
        if isinstance(data, erkenning.Aangevraagd):
            return state._met([Vraag(Stap.ERKENNING, Rol.SBB, om=fact.id)], data.dagtekening, fact.id)
        if isinstance(data, factuur.Klaargezet) and not state.beantwoord:
            return state._met([Vraag(Stap.FACTUUR, Rol.LEERWERKLOKET)], today, fact.id)
        return replace(state, beantwoord=fact.type.entity == "factuur")._met([], today, fact.id)

    def volgende(self, calendar: Calendar) -> datetime | None:
        """When something is to be told."""
        moments = (termijn.moment(calendar) for termijn in self.lopend)
        return min((moment for moment in moments if moment is not None), default=None)

    def verlopen(self, calendar: Calendar) -> list[Termijn]:
        """Those of which `trede` is to be told now."""
        now = calendar.now()
        moments = ((termijn, termijn.moment(calendar)) for termijn in self.lopend)
        return [termijn for termijn, moment in moments if moment is not None and moment <= now]

    def lopende(self, nummer: str) -> Termijn | None:
        """The term with that number, until the answer."""
        return next((termijn for termijn in self.lopend if termijn.nummer == nummer), None)

    def mag_herinneren(self, stap: Stap, partner: PartnerId, calendar: Calendar) -> bool:
        """Whether that partner had no reminder of that step in the last `TUSSENPOOS` working days."""
        last = self.herinnerd.get(f"{stap}/{partner}")
        return last is None or calendar.working_days_between(last, calendar.today()) >= TUSSENPOOS

    def _met(self, vragen: Iterable[Vraag], dagtekening: date, fact_id: str) -> Self:
        """What is still open goes on, what is new begins, the rest ends."""
        before = {termijn.vraag: termijn for termijn in self.lopend}
        lopend = tuple(
            before.get(vraag) or Termijn.gezet(self.stroom, vraag, dagtekening, fact_id) for vraag in vragen
        )
        return replace(self, lopend=lopend)

    def _na_melding(self, nummer: str, data: Overschreden, today: date) -> Self:
        lopend = tuple(
            replace(termijn, gemeld=data.niveau) if termijn.nummer == nummer else termijn
            for termijn in self.lopend
        )
        if data.niveau is Niveau.HINT:
            return replace(self, lopend=lopend)
        return replace(self, lopend=lopend, herinnerd={**self.herinnerd, f"{data.stap}/{data.partner}": today})


@dataclass(frozen=True, slots=True)
class Overschrijding:
    """What was told of one term, under its TM- number."""

    niveaus: tuple[Niveau, ...] = ()

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        return cls((*(state.niveaus if state else ()), fact.data.niveau))


def by_stroom(fact: Fact[Any]) -> str:
    """The stream in which the question is open that the fact puts or answers."""
    data = fact.data
    if isinstance(data, Overschreden):
        return data.stroom
    if isinstance(data, factuur.Gecrediteerd):
        return data.vorig_factuurnummer
    about: str = data.trajectnummer if fact.type.entity in ("match", "verklaring") else fact.subject
    return about
