"""Who belongs to a traject (betrokkenen), as told by the facts. Every service follows it the same way."""

from collections.abc import Iterable
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


_Bevestigd = tuple[str, Matchnummer, Vestigingsnummer]


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
    bevestigd: str = ""
    """The id of its confirmation, a UUIDv7: which of two confirmations is the later one."""
    eerdere: tuple[_Bevestigd, ...] = ()
    """Confirmed before, and not heard to have lapsed yet: facts of two matches overtake one another."""
    verwezen_naar: Rol | None = None

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        if isinstance(fact.data, traject.Aangemeld):
            return cls(correlationid=fact.correlationid, toegangspartner=fact.data.toegangspartner)
        if state is not None and isinstance(fact.data, match.Bevestigd):
            return state._met_match(fact.id, fact.subject, fact.data.vestigingsnummer)
        if state is not None and isinstance(fact.data, match.Vervallen):
            return state._zonder_match(fact.subject)
        return state.after(fact.data) if state else None

    def after(self, data: Data) -> Self:
        """The parties once `data` is a fact of the traject: they are the ones who read it."""
        if isinstance(data, traject.BetrokkeneToegewezen):
            others = {(rol, partner) for rol, partner in self.toegewezen if rol is not data.rol}
            return replace(self, toegewezen=frozenset(others | {(data.rol, data.partner)}))
        if isinstance(data, traject.IntakeAfgerond) and data.verwezen_naar is not None:
            return replace(self, verwezen_naar=_REFERRED_TO[data.verwezen_naar])
        return self

    def _met_match(self, bevestigd: str, nummer: Matchnummer, vestigingsnummer: Vestigingsnummer) -> Self:
        return self._met((*self._matches(), (bevestigd, nummer, vestigingsnummer)))

    def _zonder_match(self, nummer: Matchnummer) -> Self:
        return self._met(found for found in self._matches() if found[1] != nummer)

    def _matches(self) -> tuple[_Bevestigd, ...]:
        if self.actieve_match is None or self.vestigingsnummer is None:
            return self.eerdere
        return (*self.eerdere, (self.bevestigd, self.actieve_match, self.vestigingsnummer))

    def _met(self, matches: Iterable[_Bevestigd]) -> Self:
        """The latest confirmation makes a party, whichever is heard last."""
        known = sorted(matches)
        if not known:
            return replace(self, actieve_match=None, vestigingsnummer=None, bevestigd="", eerdere=())
        *eerdere, (bevestigd, nummer, vestigingsnummer) = known
        return replace(
            self,
            actieve_match=nummer,
            vestigingsnummer=vestigingsnummer,
            bevestigd=bevestigd,
            eerdere=tuple(eerdere),
        )

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
