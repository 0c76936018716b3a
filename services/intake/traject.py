"""The traject: one person's way to a praktijkverklaring, and what may happen on it when.

A method named after an event checks its rule and returns the data of the fact. It raises `TooEarly` for
what the way still leads to, since partners react faster than facts spread, and `Refused` for what cannot
become right any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, Final, Self

from contracts import match, opdracht, verklaring
from contracts import traject as feit
from contracts.fields import (
    Crebo,
    Dossierversie,
    LeerbedrijfId,
    Matchnummer,
    Opdrachtnummer,
    PartnerId,
    PokId,
    Rol,
    Sector,
    Trajectnummer,
    Verklaringnummer,
    Werkproces,
    Werkstatus,
)
from contracts.kwalificaties import Kwalificatietabel
from contracts.ontvangst import Code, Waarop
from contracts.partners import Registry
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.messages import Fact, On, Refused, TooEarly, registered_as


class Status(StrEnum):
    AANGEMELD = "aangemeld"
    GESCHIKT = "geschikt"
    NIET_GESCHIKT = "niet_geschikt"
    GEMATCHT = "gematcht"
    ERKEND = "erkend"
    VOORBEREID = "voorbereid"
    GESTART = "gestart"
    ONDERBROKEN = "onderbroken"
    AFGEROND = "afgerond"
    UITGEVALLEN = "uitgevallen"
    TERUGGETROKKEN = "teruggetrokken"
    GESLOTEN = "gesloten"


_WEG: Final = (
    Status.AANGEMELD,
    Status.GESCHIKT,
    Status.GEMATCHT,
    Status.ERKEND,
    Status.VOORBEREID,
    Status.GESTART,
    Status.ONDERBROKEN,
    Status.AFGEROND,
    Status.GESLOTEN,
)
"""The way, in order. What is not on it is a dead end, unless coordinatie reopens it."""
_IN_VOORBEREIDING: Final = (Status.GESCHIKT, Status.GEMATCHT, Status.ERKEND, Status.VOORBEREID)
"""These follow from what is in, see `_stand`."""
_IN_UITVOERING: Final = (Status.GESTART, Status.ONDERBROKEN)
_BEEINDIGD: Final = (Status.NIET_GESCHIKT, Status.UITGEVALLEN, Status.TERUGGETROKKEN, Status.GESLOTEN)

TOE_TE_WIJZEN: Final = (Rol.WSP, Rol.COACH, Rol.OPLEIDER)
"""The roles that are assigned to a traject; the other parties follow from match, referral or region."""


def _kan_nog_worden(status: Status, doel: tuple[Status, ...]) -> bool:
    """Whether the way leads on to one of these; an interrupted traject may go all the way from GESCHIKT."""
    if status not in _WEG:
        return False
    hier = 0 if status is Status.ONDERBROKEN else _WEG.index(status)
    return any(hier < _WEG.index(later) for later in doel if later in _WEG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erkenning:
    """SBB's recognition of the workplace. May begin later than the day on which the match is ERKEND."""

    leerbedrijf_id: LeerbedrijfId
    geldig_vanaf: date
    geldig_tot: date

    def geldig_op(self, dag: date) -> bool:
        return self.geldig_vanaf <= dag <= self.geldig_tot


@dataclass(frozen=True, slots=True, kw_only=True)
class Werkplek:
    """The confirmed match. Recognised once its `erkenning` is known."""

    match: Matchnummer
    crebo: Crebo
    bevestigd: str = ""
    """The id of that fact, a UUIDv7: which of two confirmations is the later one."""
    erkenning: Erkenning | None = None
    eerdere_erkenningen: tuple[Erkenning, ...] = ()
    """Before SBB renewed it: a start may be reported late."""

    def erkend(self, erkenning: Erkenning) -> Self:
        eerder = (self.erkenning,) if self.erkenning else ()
        return replace(self, erkenning=erkenning, eerdere_erkenningen=(*self.eerdere_erkenningen, *eerder))

    def erkenning_op(self, dag: date) -> Erkenning | None:
        """The recognition that is valid on that day."""
        bekend = (*self.eerdere_erkenningen, *((self.erkenning,) if self.erkenning else ()))
        return next((erkenning for erkenning in bekend if erkenning.geldig_op(dag)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The begeleidingsdocument."""

    crebo: Crebo
    dossierversie: Dossierversie
    werkprocessen: frozenset[Werkproces]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pok:
    """The praktijkovereenkomst, with when each of the three parties signed."""

    pok_id: PokId
    begin: date
    eind: date
    handtekeningen: Mapping[feit.PokPartij, date] = field(default_factory=dict)

    @property
    def volledig_ondertekend(self) -> bool:
        return len(self.handtekeningen) == len(feit.PokPartij)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opdracht:
    nummer: Opdrachtnummer
    opleider: PartnerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Oordeel:
    """The latest verdict on a werkproces, whose code means something only with crebo and dossier version."""

    crebo: Crebo
    dossierversie: Dossierversie
    werkproces: Werkproces
    beoordeling: feit.Beoordeling
    datum: date
    leerbedrijf_id: LeerbedrijfId

    @property
    def over(self) -> tuple[str, str, str]:
        return self.crebo, self.dossierversie, self.werkproces


@dataclass(frozen=True, slots=True, kw_only=True)
class Traject:
    nummer: Trajectnummer
    status: Status
    betrokkenen: Betrokkenen
    werkstatus: Werkstatus
    sectorwens: Sector
    referentie: str | None = None
    """`<partner>/<its own reference>`, by which a repeated registration is recognised."""
    persoon: str | None = None
    """The key under which the person data is kept; None once it is destroyed."""
    vingerafdruk: str | None = None
    """By which the same person is recognised in another traject; None once the data is erased."""
    dubbel_met: frozenset[Trajectnummer] = frozenset()
    """The trajecten that coordinatie was told seem to be of the same person."""
    werkplek: Werkplek | None = None
    """That of the latest confirmation, until its match lapses."""
    eerdere_werkplekken: tuple[Werkplek, ...] = ()
    """Confirmed before, and not heard to have lapsed yet: facts of two matches overtake one another."""
    plan: Plan | None = None
    ingeschreven: bool = False
    opdracht: Opdracht | None = None
    eerdere_opdrachten: tuple[Opdracht, ...] = ()
    """Others that were given and not heard to be withdrawn yet."""
    pok: Pok | None = None
    vervallen_poks: frozenset[PokId] = frozenset()
    gestart_op: date | None = None
    """Of the first start: a replacement does not begin anew."""
    gestart_bij: Matchnummer | None = None
    """The workplace of the latest start."""
    leerbedrijven: frozenset[LeerbedrijfId] = frozenset()
    """Where it started: at the current workplace and at those before a replacement."""
    onderbroken_op: date | None = None
    hervat_op: date | None = None
    oordelen: tuple[Oordeel, ...] = ()
    verklaring: Verklaringnummer | None = None
    """The valid one; at most one at a time."""
    te_corrigeren: bool = False
    """A verklaring was withdrawn, and no new one issued yet."""
    voor_einde: Status | None = None
    """Where a reopened traject goes back to."""

    # What is known

    @property
    def opleider(self) -> PartnerId | None:
        """The traject's own school."""
        return next((partner for rol, partner in self.betrokkenen.toegewezen if rol is Rol.OPLEIDER), None)

    @property
    def erkenning(self) -> Erkenning | None:
        """That of the current workplace."""
        return self.werkplek.erkenning if self.werkplek else None

    def beheerst_op(self) -> dict[Werkproces, date]:
        """The werkprocessen of the plan that are mastered, with the date of that verdict."""
        if self.plan is None:
            return {}
        plan = (self.plan.crebo, self.plan.dossierversie)
        return {
            oordeel.werkproces: oordeel.datum
            for oordeel in self.oordelen
            if (oordeel.crebo, oordeel.dossierversie) == plan
            and oordeel.werkproces in self.plan.werkprocessen
            and oordeel.beoordeling is feit.Beoordeling.BEHEERST
        }

    @property
    def elders(self) -> bool:
        """Whether the workplace is another than the one where it started."""
        bij = self.werkplek.match if self.werkplek else None
        return None not in (bij, self.gestart_bij) and bij != self.gestart_bij

    @property
    def stilgevallen(self) -> bool:
        """Whether it is GESTART without what practice rests on: the workplace, the plan and the enrolment of
        the traject's own school, and a POK.
        """
        er_is_alles = self.werkplek and not self.elders and self.plan and self.ingeschreven and self.pok
        return self.status is Status.GESTART and not er_is_alles

    def vereist(self, *statussen: Status) -> None:
        """The traject is in one of these.

        Raises:
            TooEarly: it is not there yet.
            Refused: it is past that, or ended.
        """
        if self.status in statussen:
            return
        if _kan_nog_worden(self.status, statussen):
            raise self.te_vroeg()
        raise Refused(Code.STATUS_PAST_NIET)

    def te_vroeg(self) -> TooEarly:
        return TooEarly(Waarop.TRAJECT_IN_STATUS, On(Traject, self.nummer))

    # Before the match

    def aangemeld(self, data: feit.AangemeldInzending, vingerafdruk: str) -> None:
        """Registered again under the same reference: it must be the same person, who wants the same. Of whom was
        erased nobody can tell, and nothing may come back under that number.
        """
        was = (self.vingerafdruk, self.werkstatus, self.sectorwens)
        if was != (vingerafdruk, data.werkstatus, data.sectorwens):
            raise Refused(Code.REFERENTIE_HERGEBRUIKT, "referentie")

    def betrokkene_toegewezen(
        self, data: feit.BetrokkeneToegewezen, registry: Registry
    ) -> feit.BetrokkeneToegewezen:
        """The school that issued a verklaring stays, since it alone may correct it; so not AFGEROND."""
        if self.status in (Status.NIET_GESCHIKT, Status.TERUGGETROKKEN, Status.GESLOTEN):
            raise Refused(Code.STATUS_PAST_NIET)
        if self.status is Status.AFGEROND and data.rol is Rol.OPLEIDER and data.partner != self.opleider:
            raise Refused(Code.STATUS_PAST_NIET)
        if data.rol not in TOE_TE_WIJZEN:
            raise Refused(Code.VELD_ONGELDIG, "data.rol")
        partner = registry.get(data.partner)
        if partner is None:
            raise Refused(Code.PARTNER_ONBEKEND, "data.partner")
        if data.rol not in partner.rollen:
            raise Refused(Code.PARTNER_MIST_ROL, "data.partner")
        return data

    def intake_afgerond(self, data: feit.IntakeAfgerond) -> feit.IntakeAfgerond:
        self.vereist(Status.AANGEMELD)
        return data

    # Preparation

    def begeleidingsdocument_vastgesteld(
        self, data: feit.BegeleidingsdocumentVastgesteld, tabel: Kwalificatietabel
    ) -> feit.BegeleidingsdocumentVastgesteld:
        """May be renewed until the start. A school that comes later makes its own."""
        self._in_voorbereiding(ontbreekt=self.plan is None)
        _horen_bij_kwalificatie(data.crebo, data.dossierversie, frozenset(data.werkprocessen), tabel)
        return data

    def inschrijving_bevestigd(self, data: feit.InschrijvingBevestigd) -> feit.InschrijvingBevestigd:
        self._in_voorbereiding(ontbreekt=not self.ingeschreven)
        return data

    def pok_opgesteld(self, data: feit.PokOpgesteld) -> feit.PokOpgesteld:
        """Hangs on the employer, so waits for a recognised match. Replaces the one before it; in an interrupted
        traject too, which goes on under the new one.
        """
        if self.status is not Status.ONDERBROKEN or self.erkenning is None:
            self.vereist(Status.ERKEND, Status.VOORBEREID)
        if data.pok_id in self.vervallen_poks or (self.pok and self.pok.pok_id == data.pok_id):
            raise Refused(Code.STATUS_PAST_NIET, "data.pok_id")
        return data

    def pok_ondertekend(self, data: feit.PokOndertekend, vandaag: date) -> feit.PokOndertekend:
        pok = self._geldende_pok(data.pok_id)
        partijen = [handtekening.partij for handtekening in data.handtekeningen]
        if len(set(partijen)) < len(partijen) or pok.handtekeningen.keys() & set(partijen):
            raise Refused(Code.POK_AL_ONDERTEKEND, "data.handtekeningen")
        for handtekening in data.handtekeningen:
            _niet_in_de_toekomst(handtekening.datum, vandaag, "data.handtekeningen")
        return data

    def pok_gewijzigd(self, data: feit.PokGewijzigd) -> feit.PokGewijzigd:
        self._geldende_pok(data.pok_id)
        return data

    def pok_ontbonden(self, data: feit.PokOntbonden, vandaag: date) -> feit.PokOntbonden:
        """A running traject is interrupted by it: no practice without a POK."""
        self._geldende_pok(data.pok_id)
        _niet_in_de_toekomst(data.datum, vandaag)
        return data

    # Execution

    def gestart(self, data: feit.Gestart, tabel: Kwalificatietabel, vandaag: date) -> feit.Gestart:
        """No start unless, on that date, all is there that practice needs, see `_kan_aan_het_werk`."""
        _niet_in_de_toekomst(data.datum, vandaag)
        self.vereist(Status.VOORBEREID)
        self._kan_aan_het_werk(data.datum, tabel)
        return data

    def onderbroken(self, data: feit.Onderbroken, vandaag: date) -> feit.Onderbroken:
        if self.status is Status.ONDERBROKEN:  # a second report must not wait to interrupt it again
            raise Refused(Code.STATUS_PAST_NIET)
        self.vereist(Status.GESTART)
        self._sinds_de_start(data.datum, vandaag)
        if self.onderbroken_op and data.datum < self.onderbroken_op:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")
        return data

    def hervat(self, data: feit.Hervat, tabel: Kwalificatietabel, vandaag: date) -> feit.Hervat:
        """At the same workplace; without one, a replacement comes first. What lapsed meanwhile, such as the
        POK, must be there again: a resumption asks no less than a start.
        """
        if self.status is Status.GESTART and self.hervat_op and data.datum <= self.hervat_op:
            raise Refused(Code.STATUS_PAST_NIET)  # a second report must not wait for the next interruption
        self.vereist(Status.ONDERBROKEN)
        if self.werkplek is None:
            raise Refused(Code.STATUS_PAST_NIET)
        self._sinds_de_start(data.datum, vandaag)
        if self.onderbroken_op and data.datum < self.onderbroken_op:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")
        if self._stand() is not Status.VOORBEREID:
            raise self.te_vroeg()
        self._kan_aan_het_werk(data.datum, tabel)
        return data

    def bezoek_geregistreerd(self, data: feit.BezoekGeregistreerd, vandaag: date) -> feit.BezoekGeregistreerd:
        self.vereist(*_IN_UITVOERING)
        self._sinds_de_start(data.datum, vandaag)
        return data

    def werkproces_beoordeeld(self, data: feit.WerkprocesBeoordeeld, vandaag: date) -> feit.WerkprocesBeoordeeld:
        """At a leerbedrijf where the traject started. Also at one before a replacement, whatever the date:
        the school may still have to report what was assessed there.
        """
        self.vereist(Status.GESTART)
        if self.plan is None or data.werkproces not in self.plan.werkprocessen:
            raise Refused(Code.WERKPROCES_NIET_IN_PLAN, "data.werkproces")
        if data.leerbedrijf_id not in self.leerbedrijven:
            raise Refused(Code.LEERBEDRIJF_WIJKT_AF, "data.leerbedrijf_id")
        self._sinds_de_start(data.datum, vandaag)
        return data

    # The ends

    def uitgevallen(self, data: feit.Uitgevallen, vandaag: date) -> feit.Uitgevallen:
        self.vereist(*_IN_UITVOERING)
        self._sinds_de_start(data.datum, vandaag)
        return data

    def teruggetrokken(self, data: feit.Teruggetrokken, vandaag: date) -> feit.Teruggetrokken:
        """From any state before AFGEROND that is no end itself."""
        self.vereist(Status.AANGEMELD, *_IN_VOORBEREIDING, *_IN_UITVOERING)
        _niet_in_de_toekomst(data.datum, vandaag)
        return data

    def nazorg_geregistreerd(self, data: feit.NazorgGeregistreerd) -> feit.NazorgGeregistreerd:
        self.vereist(Status.AFGEROND, Status.UITGEVALLEN)
        return data

    def gesloten(self, data: feit.Gesloten) -> feit.Gesloten:
        self.vereist(Status.AFGEROND)
        return data

    def heropend(self, data: feit.Heropend) -> feit.Heropend:
        """Not after erasure: there is nobody left to go on with."""
        if self.status not in _BEEINDIGD or self.persoon is None:
            raise Refused(Code.STATUS_PAST_NIET)
        return data

    def gegevens_gewist(self, data: feit.GegevensGewist) -> feit.GegevensGewist:
        """Once, and only of a traject that has ended."""
        if self.status not in _BEEINDIGD or self.persoon is None:
            raise Refused(Code.STATUS_PAST_NIET)
        return data

    # Checks that several rules share

    def _in_voorbereiding(self, *, ontbreekt: bool) -> None:
        """In preparation, or interrupted and without it."""
        if self.status is not Status.ONDERBROKEN or not ontbreekt:
            self.vereist(*_IN_VOORBEREIDING)

    def _kan_aan_het_werk(self, datum: date, tabel: Kwalificatietabel) -> None:
        """On that date the recognition is valid, the plan is of the match's crebo and its werkprocessen belong
        to crebo and dossier version, and the POK runs and has its three signatures. `_stand` is VOORBEREID:
        there is an opdracht for the traject's own school too.
        """
        werkplek, plan, pok = self.werkplek, self.plan, self.pok
        if werkplek is None or plan is None or pok is None:
            raise self.te_vroeg()  # not where `_stand` is VOORBEREID, which has them all
        if plan.crebo != werkplek.crebo:
            raise Refused(Code.CREBO_WIJKT_AF)
        _horen_bij_kwalificatie(plan.crebo, plan.dossierversie, plan.werkprocessen, tabel, veld=None)
        if not pok.begin <= datum <= pok.eind:
            raise Refused(Code.DATUM_BUITEN_POK, "data.datum")
        if datum < max(pok.handtekeningen.values()):
            raise Refused(Code.DATUM_ONJUIST, "data.datum")
        if werkplek.erkenning_op(datum) is None:
            raise Refused(Code.ERKENNING_NIET_GELDIG, "data.datum")

    def _geldende_pok(self, pok_id: PokId) -> Pok:
        self.vereist(Status.ERKEND, Status.VOORBEREID, *_IN_UITVOERING)
        if self.pok is not None and self.pok.pok_id == pok_id:
            return self.pok
        if self.pok is not None or pok_id in self.vervallen_poks:
            raise Refused(Code.POK_ONBEKEND, "data.pok_id")
        raise self.te_vroeg()

    def _sinds_de_start(self, datum: date, vandaag: date) -> None:
        _niet_in_de_toekomst(datum, vandaag)
        if self.gestart_op is not None and datum < self.gestart_op:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")

    # What facts do

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        betrokkenen = Betrokkenen.evolve(state.betrokkenen if state else None, fact)
        if state is None:
            return cls._aangemeld(fact, betrokkenen) if betrokkenen else None
        assert betrokkenen is not None
        after = replace(state, betrokkenen=betrokkenen)._na(fact)
        if after.opleider != state.opleider:
            after = after._zonder_school()
        if after.status in _IN_VOORBEREIDING or (after.status is Status.ONDERBROKEN and after.elders):
            after = replace(after, status=after._stand())
        return state if after == state else after

    @classmethod
    def _aangemeld(cls, fact: Fact[feit.Aangemeld], betrokkenen: Betrokkenen) -> Self:
        return cls(
            nummer=fact.subject,
            status=Status.AANGEMELD,
            betrokkenen=betrokkenen,
            werkstatus=fact.data.werkstatus,
            sectorwens=fact.data.sectorwens,
            referentie=registered_as(fact.data.toegangspartner, fact.referentie),
            persoon=fact.dataref.rpartition("/")[2] if fact.dataref else None,
            vingerafdruk=fact.private,
        )

    def _na(self, fact: Fact[Any]) -> Self:
        """The state after that fact, apart from what `_stand` decides."""
        subject, data = fact.subject, fact.data
        match data:
            case feit.IntakeAfgerond(uitkomst=feit.Uitkomst.GESCHIKT):
                return replace(self, status=Status.GESCHIKT)
            case feit.IntakeAfgerond():
                return self._beeindigd(Status.NIET_GESCHIKT)
            case feit.BegeleidingsdocumentVastgesteld():
                plan = Plan(
                    crebo=data.crebo,
                    dossierversie=data.dossierversie,
                    werkprocessen=frozenset(data.werkprocessen),
                )
                return replace(self, plan=plan)
            case feit.InschrijvingBevestigd():
                return replace(self, ingeschreven=True)
            case feit.PokOpgesteld() | feit.PokGewijzigd():
                pok = Pok(pok_id=data.pok_id, begin=data.begin, eind=data.eind)
                return replace(self if pok.pok_id == self._pok_id else self._zonder_pok(), pok=pok)
            case feit.PokOndertekend() if self.pok and self.pok.pok_id == data.pok_id:
                gezet = {handtekening.partij: handtekening.datum for handtekening in data.handtekeningen}
                return replace(self, pok=replace(self.pok, handtekeningen={**self.pok.handtekeningen, **gezet}))
            case feit.PokOntbonden() if self._pok_id == data.pok_id:
                return self._zonder_pok()
            case feit.Gestart():
                return self._begonnen(data.datum)
            case feit.Onderbroken():
                return replace(self, status=Status.ONDERBROKEN, onderbroken_op=data.datum)
            case feit.Hervat():
                return replace(self, status=Status.GESTART, hervat_op=data.datum)
            case feit.WerkprocesBeoordeeld():
                return self._met_oordeel(data)
            case feit.Uitgevallen():
                return self._beeindigd(Status.UITGEVALLEN)
            case feit.Teruggetrokken():
                return self._beeindigd(Status.TERUGGETROKKEN)
            case feit.Gesloten():
                return self._beeindigd(Status.GESLOTEN)
            case feit.Heropend() if self.voor_einde:
                return replace(self, status=self.voor_einde, voor_einde=None)
            case feit.GegevensGewist():
                return replace(self, persoon=None, vingerafdruk=None)
            case feit.MogelijkDubbel():
                return replace(self, dubbel_met=self.dubbel_met | {data.ander_trajectnummer})
            case match.Bevestigd():
                return self._met_werkplek(Werkplek(match=subject, crebo=data.crebo, bevestigd=fact.id))
            case match.Erkend():
                return self._met_erkenning(subject, data)
            case match.Vervallen():
                return self._zonder_werkplek(subject)
            case match.HerplaatsingGestart() if self.status is Status.ONDERBROKEN:
                vrij = self._zonder_werkplek(self.werkplek.match) if self.werkplek else self
                return replace(vrij, status=Status.GESCHIKT)
            case opdracht.Verstrekt():
                gegeven = Opdracht(nummer=subject, opleider=data.opleider)
                eerder = (self.opdracht,) if self.opdracht else ()
                return replace(self, opdracht=gegeven, eerdere_opdrachten=(*self.eerdere_opdrachten, *eerder))
            case opdracht.Ingetrokken():
                return self._zonder_opdracht(subject)
            case verklaring.Afgegeven():
                return replace(self, status=Status.AFGEROND, verklaring=subject, te_corrigeren=False)
            case verklaring.Ingetrokken() if self.verklaring == subject:
                return replace(self, status=Status.GESTART, verklaring=None, te_corrigeren=True)
        return self

    def _stand(self) -> Status:
        """How far the preparation is: a matter of what is in, whatever the order in which it came."""
        if self.werkplek is None:
            return Status.GESCHIKT
        if self.erkenning is None:
            return Status.GEMATCHT
        voorbereid = (
            self.plan is not None
            and self.ingeschreven
            and self.opdracht is not None
            and any(o.opleider == self.opleider for o in (self.opdracht, *self.eerdere_opdrachten))
            and self.pok is not None
            and self.pok.volledig_ondertekend
        )
        return Status.VOORBEREID if voorbereid else Status.ERKEND

    def _begonnen(self, datum: date) -> Self:
        """From now on there are verdicts of the leerbedrijf of this workplace."""
        erkenning = self.werkplek.erkenning_op(datum) if self.werkplek else None
        hier = {erkenning.leerbedrijf_id} if erkenning else set()
        return replace(
            self,
            status=Status.GESTART,
            gestart_op=self.gestart_op or datum,
            gestart_bij=self.werkplek.match if self.werkplek else None,
            leerbedrijven=self.leerbedrijven | hier,
        )

    @property
    def _pok_id(self) -> PokId | None:
        return self.pok.pok_id if self.pok else None

    def _zonder_pok(self) -> Self:
        if self.pok is None:
            return self
        return replace(self, pok=None, vervallen_poks=self.vervallen_poks | {self.pok.pok_id})

    def _zonder_school(self) -> Self:
        """What was the school's own lapses: begeleidingsdocument, inschrijving, POK. Verdicts are kept, and an
        opdracht counts by its school.
        """
        return replace(self._zonder_pok(), plan=None, ingeschreven=False)

    def _met_werkplek(self, werkplek: Werkplek) -> Self:
        """The workplace of the later confirmation, whichever of two is heard last."""
        if self.werkplek is None:
            return replace(self, werkplek=werkplek)
        if werkplek.bevestigd < self.werkplek.bevestigd:
            return replace(self, eerdere_werkplekken=(*self.eerdere_werkplekken, werkplek))
        eerder = (*self.eerdere_werkplekken, self.werkplek)
        return replace(self._zonder_pok(), werkplek=werkplek, eerdere_werkplekken=eerder)

    def _met_erkenning(self, subject: Matchnummer, data: match.Erkend) -> Self:
        erkenning = Erkenning(
            leerbedrijf_id=data.leerbedrijf_id,
            geldig_vanaf=data.erkenning_geldig_vanaf,
            geldig_tot=data.erkenning_geldig_tot,
        )
        if self.werkplek and self.werkplek.match == subject:
            hier = {erkenning.leerbedrijf_id} if self.gestart_bij == subject else set()
            werkplek = self.werkplek.erkend(erkenning)
            return replace(self, werkplek=werkplek, leerbedrijven=self.leerbedrijven | hier)
        eerder = (w.erkend(erkenning) if w.match == subject else w for w in self.eerdere_werkplekken)
        return replace(self, eerdere_werkplekken=tuple(eerder))

    def _zonder_werkplek(self, subject: Matchnummer) -> Self:
        """What hangs on the employer lapses: the POK. Begeleidingsdocument, inschrijving, opdracht stay."""
        if self.werkplek is None or self.werkplek.match != subject:
            eerder = (w for w in self.eerdere_werkplekken if w.match != subject)
            return replace(self, eerdere_werkplekken=tuple(eerder))
        laatste = self.eerdere_werkplekken[-1:]
        overige = self.eerdere_werkplekken[:-1]
        return replace(self._zonder_pok(), werkplek=next(iter(laatste), None), eerdere_werkplekken=overige)

    def _zonder_opdracht(self, subject: Opdrachtnummer) -> Self:
        bekend = (*self.eerdere_opdrachten, *((self.opdracht,) if self.opdracht else ()))
        over = tuple(opdracht for opdracht in bekend if opdracht.nummer != subject)
        return replace(self, opdracht=next(iter(over[-1:]), None), eerdere_opdrachten=over[:-1])

    def _met_oordeel(self, data: feit.WerkprocesBeoordeeld) -> Self:
        """Keeps the verdict with the latest date, whichever arrived last."""
        if self.plan is None:
            return self
        oordeel = Oordeel(
            crebo=self.plan.crebo,
            dossierversie=self.plan.dossierversie,
            werkproces=data.werkproces,
            beoordeling=data.beoordeling,
            datum=data.datum,
            leerbedrijf_id=data.leerbedrijf_id,
        )
        if any(eerder.over == oordeel.over and eerder.datum > oordeel.datum for eerder in self.oordelen):
            return self
        overige = (eerder for eerder in self.oordelen if eerder.over != oordeel.over)
        return replace(self, oordelen=(*overige, oordeel))

    def _beeindigd(self, einde: Status) -> Self:
        return replace(self, status=einde, voor_einde=self.status)


def _niet_in_de_toekomst(datum: date, vandaag: date, veld: str = "data.datum") -> None:
    if datum > vandaag:
        raise Refused(Code.DATUM_ONJUIST, veld)


def _horen_bij_kwalificatie(
    crebo: Crebo,
    dossierversie: Dossierversie,
    werkprocessen: frozenset[Werkproces],
    tabel: Kwalificatietabel,
    *,
    veld: str | None = "data.werkprocessen",
) -> None:
    bekend = tabel.werkprocessen(crebo, dossierversie)
    if bekend is None:
        raise Refused(Code.CREBO_ONBEKEND, veld and "data.crebo")
    if not werkprocessen <= bekend:
        raise Refused(Code.WERKPROCES_ONBEKEND, veld)
