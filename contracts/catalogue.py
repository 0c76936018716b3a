"""Every event type: its models, its owner, who may submit it and who may read it. The one place.

`submitters` and `readers` are roles. A role says what one may do; whether a partner may do it in this
traject is decided by its being party to it. `coordinatie` and `leerwerkloket` of the region read all, but
for what an event type says is `only_for` others.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any, Final

from pydantic import TypeAdapter

from contracts import (
    besteding,
    betaling,
    budget,
    erkenning,
    factuur,
    fields,
    match,
    ontvangst,
    opdracht,
    termijn,
    traject,
    verklaring,
)
from contracts.envelope import SCHEMA_BASE, TYPE_PREFIX, MessageId
from contracts.fields import Rol
from contracts.model import Data, Leeg


class Owner(StrEnum):
    """The services. Each stream is written by one; `ONTVANGST` belongs to whoever answers."""

    INTAKE = "intake"
    MATCHING = "matching"
    BILLING = "billing"
    NOTIFY = "notify"


def service_source(service: str) -> str:
    """The CloudEvents source of a service of Praktijkbus."""
    return f"urn:nld:praktijkbus:systeem:{service}"


@dataclass(frozen=True, kw_only=True, slots=True)
class EventType:
    entity: str
    event: str
    owner: Owner | None
    """None for receipts: the owner of the submission's stream answers."""
    about: TypeAdapter[str]
    """The format of the stream's subjects."""
    fact: type[Data]
    submission: type[Data] | None
    """None where nobody submits it: the owner decides it itself."""
    submitters: frozenset[Rol]
    namens: frozenset[tuple[Rol, Rol]]
    """(who, for whom): who may submit it explicitly on behalf of a party without a system."""
    readers: frozenset[Rol]
    opens: bool
    """Whether the owner draws a subject number, so that a submission names none."""

    @property
    def name(self) -> str:
        return f"{TYPE_PREFIX}{self.entity}.{self.event}.v1"

    @property
    def routing_key(self) -> str:
        return f"{self.entity}.{self.event}"

    @property
    def schema(self) -> str:
        """The schema that the fact's `data` adheres to, a part of that of the whole message (CloudEvents 1.0)."""
        return f"{SCHEMA_BASE}{self.entity}.{self.event}.v1.feit.json#/properties/data"


EVERYONE: Final = frozenset(Rol)
ALWAYS_READS: Final = frozenset({Rol.COORDINATIE, Rol.LEERWERKLOKET})


@dataclass(frozen=True, slots=True)
class _Stream:
    entity: str
    owner: Owner | None
    about: TypeAdapter[str]
    readers: frozenset[Rol]

    def event(
        self,
        event: str,
        fact: type[Data],
        by: Collection[Rol] = (),
        *,
        submission: type[Data] | None = None,
        namens: Collection[tuple[Rol, Rol]] = (),
        opens: bool = False,
        only_for: Collection[Rol] = (),
    ) -> EventType:
        """`only_for`: the roles that read it, where that is not everyone who reads the stream."""
        readers = self.readers | ALWAYS_READS if self.owner else self.readers
        return EventType(
            entity=self.entity,
            event=event,
            owner=self.owner,
            about=self.about,
            fact=fact,
            submission=(submission or fact) if by else None,
            submitters=frozenset(by),
            namens=frozenset(namens),
            readers=frozenset(only_for) or readers,
            opens=opens,
        )


def _stream(module: ModuleType, owner: Owner | None, subject: Any, *readers: Rol) -> _Stream:
    return _Stream(module.__name__.rpartition(".")[2], owner, TypeAdapter(subject), frozenset(readers))


_traject = _stream(
    traject,
    Owner.INTAKE,
    fields.Trajectnummer,
    Rol.WSP,
    Rol.COACH,
    Rol.OPLEIDER,
    Rol.WERKGEVER,
    Rol.RMC,
    Rol.LOOPBAANCENTRUM,
)
_match = _stream(match, Owner.MATCHING, fields.Matchnummer, Rol.WSP, Rol.COACH, Rol.OPLEIDER, Rol.WERKGEVER)
_erkenning = _stream(erkenning, Owner.MATCHING, fields.Erkenningsnummer, Rol.SBB)
_verklaring = _stream(verklaring, Owner.INTAKE, fields.Verklaringnummer, Rol.COACH, Rol.OPLEIDER, Rol.WERKGEVER)
_budget = _stream(budget, Owner.BILLING, fields.Bron, Rol.FINANCIER)
_opdracht = _stream(opdracht, Owner.BILLING, fields.Opdrachtnummer, Rol.OPLEIDER)
_factuur = _stream(factuur, Owner.BILLING, fields.Factuurnummer, Rol.OPLEIDER)
_betaling = _stream(betaling, Owner.BILLING, fields.Betalingsnummer, Rol.OPLEIDER)
_besteding = _stream(besteding, Owner.BILLING, fields.Bron, Rol.FINANCIER)
_termijn = _stream(termijn, Owner.NOTIFY, fields.Termijnnummer, *EVERYONE)
_ontvangst = _stream(ontvangst, None, MessageId)

_OPLEIDER = (Rol.OPLEIDER,)
_COACH = (Rol.COACH,)
_COORDINATIE = (Rol.COORDINATIE,)
_LEERWERKLOKET = (Rol.LEERWERKLOKET,)
_SBB = (Rol.SBB,)
_WSP = (Rol.WSP,)
_WERKGEVER = (Rol.WERKGEVER,)
_WSP_VOOR_WERKGEVER = ((Rol.WSP, Rol.WERKGEVER),)

_TYPES: Final = (
    _traject.event("aangemeld", traject.Aangemeld, EVERYONE, submission=traject.AangemeldInzending, opens=True),
    _traject.event("betrokkene-toegewezen", traject.BetrokkeneToegewezen, _COORDINATIE),
    _traject.event("intake-afgerond", traject.IntakeAfgerond, _COACH),
    _traject.event("begeleidingsdocument-vastgesteld", traject.BegeleidingsdocumentVastgesteld, _OPLEIDER),
    _traject.event("inschrijving-bevestigd", traject.InschrijvingBevestigd, _OPLEIDER),
    _traject.event("pok-opgesteld", traject.PokOpgesteld, _OPLEIDER),
    _traject.event("pok-ondertekend", traject.PokOndertekend, _OPLEIDER),
    _traject.event("pok-gewijzigd", traject.PokGewijzigd, _OPLEIDER),
    _traject.event("pok-ontbonden", traject.PokOntbonden, _OPLEIDER),
    _traject.event("gestart", traject.Gestart, _OPLEIDER),
    _traject.event("onderbroken", traject.Onderbroken, (Rol.OPLEIDER, Rol.COACH)),
    _traject.event("hervat", traject.Hervat, (Rol.OPLEIDER, Rol.COACH)),
    _traject.event("bezoek-geregistreerd", traject.BezoekGeregistreerd, _OPLEIDER),
    _traject.event("werkproces-beoordeeld", traject.WerkprocesBeoordeeld, _OPLEIDER),
    _traject.event("uitgevallen", traject.Uitgevallen, (Rol.OPLEIDER, Rol.COACH)),
    _traject.event("teruggetrokken", traject.Teruggetrokken, (Rol.OPLEIDER, Rol.COACH)),
    _traject.event("nazorg-geregistreerd", traject.NazorgGeregistreerd, _COACH),
    _traject.event("gesloten", traject.Gesloten, _COORDINATIE),
    _traject.event("heropend", traject.Heropend, _COORDINATIE),
    _traject.event("gegevens-gewist", traject.GegevensGewist, _COORDINATIE),
    _traject.event("mogelijk-dubbel", traject.MogelijkDubbel, only_for=_COORDINATIE),
    _match.event("voorgesteld", match.Voorgesteld, _WSP, opens=True),
    _match.event("bevestigd", match.Bevestigd, _WERKGEVER, submission=Leeg, namens=_WSP_VOOR_WERKGEVER),
    _match.event("afgewezen", match.Afgewezen, _WERKGEVER, submission=Leeg, namens=_WSP_VOOR_WERKGEVER),
    _match.event("erkend", match.Erkend),
    _match.event("vervallen", match.Vervallen, (Rol.WSP, Rol.WERKGEVER), submission=match.VervallenInzending),
    _match.event(
        "herplaatsing-gestart",
        match.HerplaatsingGestart,
        _WSP,
        submission=match.HerplaatsingInzending,
        opens=True,
    ),
    _erkenning.event("aangevraagd", erkenning.Aangevraagd),
    _erkenning.event("verleend", erkenning.Verleend, _SBB),
    _erkenning.event("geweigerd", erkenning.Geweigerd, _SBB),
    _erkenning.event("ingetrokken", erkenning.Ingetrokken, _SBB),
    _verklaring.event(
        "afgegeven", verklaring.Afgegeven, _OPLEIDER, submission=verklaring.AfgegevenInzending, opens=True
    ),
    _verklaring.event(
        "ingetrokken", verklaring.Ingetrokken, _OPLEIDER, submission=verklaring.IngetrokkenInzending
    ),
    _budget.event("vastgesteld", budget.Vastgesteld, (Rol.LEERWERKLOKET, Rol.FINANCIER)),
    _opdracht.event("verstrekt", opdracht.Verstrekt, _LEERWERKLOKET, opens=True),
    _opdracht.event("ingetrokken", opdracht.Ingetrokken, _LEERWERKLOKET, submission=opdracht.IngetrokkenInzending),
    _factuur.event("klaargezet", factuur.Klaargezet),
    _factuur.event("goedgekeurd", factuur.Goedgekeurd, _LEERWERKLOKET, submission=Leeg),
    _factuur.event("afgekeurd", factuur.Afgekeurd, _LEERWERKLOKET, submission=factuur.AfgekeurdInzending),
    _factuur.event("gecrediteerd", factuur.Gecrediteerd),
    _betaling.event("opgedragen", betaling.Opgedragen),
    _betaling.event("bevestigd", betaling.Bevestigd, _LEERWERKLOKET, submission=betaling.BevestigdInzending),
    _betaling.event("mislukt", betaling.Mislukt, _LEERWERKLOKET, submission=betaling.MisluktInzending),
    _besteding.event("gereserveerd", besteding.Gereserveerd),
    _besteding.event("besteed", besteding.Besteed),
    _besteding.event("vrijgevallen", besteding.Vrijgevallen),
    _termijn.event("overschreden", termijn.Overschreden),
    _ontvangst.event("aanvaard", ontvangst.Aanvaard),
    _ontvangst.event("afgewezen", ontvangst.Afgewezen),
    _ontvangst.event("wacht", ontvangst.Wacht),
)


class Catalogue(Mapping[str, EventType]):
    """The event types by their full name; `of` finds a fact's type by its model."""

    def __init__(self, types: Collection[EventType]) -> None:
        self._by_name = {event_type.name: event_type for event_type in types}
        self._by_fact = {event_type.fact: event_type for event_type in types}

    def __getitem__(self, name: str) -> EventType:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def of(self, fact: type[Data]) -> EventType:
        return self._by_fact[fact]

    def entities_of(self, owner: Owner) -> tuple[str, ...]:
        """The streams that this service writes."""
        return tuple(sorted({item.entity for item in self.values() if item.owner is owner}))


CATALOGUE: Final = Catalogue(_TYPES)
