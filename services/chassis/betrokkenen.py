"""Who belongs to a traject (betrokkenen), as told by the facts. Every service follows it the same way."""

from dataclasses import dataclass, replace
from typing import Any, Self

from contracts import match, traject
from contracts.fields import Matchnummer, PartnerId, Rol, Vestigingsnummer
from contracts.partners import Registry
from services.chassis.messages import Dossier, Fact, Parties

_REFERRED_TO = {
    traject.Verwijzing.LOOPBAANCENTRUM: Rol.LOOPBAANCENTRUM,
    traject.Verwijzing.RMC: Rol.RMC,
}


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
        data = fact.data
        if isinstance(data, traject.Aangemeld):
            return cls(correlationid=fact.correlationid, toegangspartner=data.toegangspartner)
        if state is None:
            return None
        if isinstance(data, traject.BetrokkeneToegewezen):
            others = {(rol, partner) for rol, partner in state.toegewezen if rol is not data.rol}
            return replace(state, toegewezen=frozenset(others | {(data.rol, data.partner)}))
        if isinstance(data, traject.IntakeAfgerond) and data.verwezen_naar is not None:
            return replace(state, verwezen_naar=_REFERRED_TO[data.verwezen_naar])
        if isinstance(data, match.Bevestigd):
            return replace(state, actieve_match=fact.subject, vestigingsnummer=data.vestigingsnummer)
        if isinstance(data, match.Vervallen) and fact.subject == state.actieve_match:
            return replace(state, actieve_match=None, vestigingsnummer=None)
        return state

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
