"""Who belongs to a traject (betrokkenen), as told by the facts. Every service follows it the same way."""

from dataclasses import dataclass, replace
from typing import Any, Self

from contracts import match, traject
from contracts.fields import Matchnummer, PartnerId, Rol, Vestigingsnummer
from contracts.model import Data
from contracts.partners import Registry
from services.chassis.messages import Dossier, Fact, Parties

_REFERRED_TO = {
    traject.Verwijzing.LOOPBAANCENTRUM: Rol.LOOPBAANCENTRUM,
    traject.Verwijzing.RMC: Rol.RMC,
}


@dataclass(frozen=True, slots=True)
class Joined:
    """A partner became party to a case: it receives what was shared in it before."""

    correlationid: str
    rol: Rol
    partner: PartnerId

    @classmethod
    def by(cls, fact: Fact[Any]) -> Self | None:
        """Who joins by this fact, if anybody."""
        if isinstance(fact.data, traject.BetrokkeneToegewezen):
            return cls(fact.correlationid, fact.data.rol, fact.data.partner)
        return None


@dataclass(frozen=True, slots=True)
class Betrokkenen:
    """The parties of one traject. A party that is replaced stops being one and keeps what it had."""

    correlationid: str
    toegangspartner: PartnerId
    toegewezen: frozenset[tuple[Rol, PartnerId]] = frozenset()
    actieve_match: Matchnummer | None = None
    vestigingsnummer: Vestigingsnummer | None = None
    """Of the active match: its employer is a party, where it has a system of its own."""
    verwezen_naar: Rol | None = None

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        if isinstance(fact.data, traject.Aangemeld):
            return cls(correlationid=fact.correlationid, toegangspartner=fact.data.toegangspartner)
        return state.after(fact.subject, fact.data) if state else None

    def after(self, subject: str, data: Data) -> Self:
        """The parties once `data` about `subject` is a fact: they are the ones who read it."""
        if isinstance(data, traject.BetrokkeneToegewezen):
            others = {(rol, partner) for rol, partner in self.toegewezen if rol is not data.rol}
            return replace(self, toegewezen=frozenset(others | {(data.rol, data.partner)}))
        if isinstance(data, traject.IntakeAfgerond) and data.verwezen_naar is not None:
            return replace(self, verwezen_naar=_REFERRED_TO[data.verwezen_naar])
        if isinstance(data, match.Bevestigd):
            return replace(self, actieve_match=subject, vestigingsnummer=data.vestigingsnummer)
        if isinstance(data, match.Vervallen) and subject == self.actieve_match:
            return replace(self, actieve_match=None, vestigingsnummer=None)
        return self

    def parties(self, registry: Registry) -> Parties:
        """Who may act in this traject, and in which role."""
        found = set(self.toegewezen)
        if self.vestigingsnummer and (werkgever := registry.werkgever_of(self.vestigingsnummer)):
            found.add((Rol.WERKGEVER, werkgever))
        if self.verwezen_naar:
            found |= {(self.verwezen_naar, partner) for partner in registry.in_role(self.verwezen_naar)}
        return frozenset(found)

    def with_way_in(self, registry: Registry) -> Parties:
        """Who may read the traject's own stream: its parties and the partner that registered it."""
        way_in = registry.get(self.toegangspartner)
        reads = {(rol, way_in.id) for rol in way_in.rollen} if way_in else set()
        return self.parties(registry) | reads

    def dossier(self, parties: Parties) -> Dossier:
        return Dossier(self.correlationid, parties)
