"""What matching knows of a traject, as its facts tell."""

from dataclasses import dataclass, replace
from typing import Any, Self

from contracts import traject, verklaring
from contracts.fields import PartnerId, Rol, Trajectnummer, Vestigingsnummer
from contracts.ontvangst import Code, Waarop
from contracts.partners import Registry
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.messages import Dossier, Fact, On, Refused, TooEarly

_ENDED = (traject.Uitgevallen, traject.Teruggetrokken, traject.Gesloten)


@dataclass(frozen=True, slots=True)
class Trajectbeeld:
    nummer: Trajectnummer
    betrokkenen: Betrokkenen
    geschikt: bool = False
    afgerond: bool = False
    """A verklaring was issued, and not withdrawn."""
    beeindigd: bool = False

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        betrokkenen = Betrokkenen.evolve(state.betrokkenen if state else None, fact)
        if betrokkenen is None:
            return None
        if state is None:
            return cls(fact.subject, betrokkenen)
        if betrokkenen is not state.betrokkenen:
            state = replace(state, betrokkenen=betrokkenen)
        data = fact.data
        if isinstance(data, traject.IntakeAfgerond):
            geschikt = data.uitkomst is traject.Uitkomst.GESCHIKT
            return replace(state, geschikt=geschikt, beeindigd=not geschikt)
        if isinstance(data, _ENDED):
            return replace(state, beeindigd=True)
        if isinstance(data, traject.Heropend):
            return replace(state, beeindigd=False)
        if isinstance(data, verklaring.Afgegeven):
            return replace(state, afgerond=True)
        if isinstance(data, verklaring.Ingetrokken):
            return replace(state, afgerond=False)
        return state

    def loopt(self) -> None:
        """Whether the traject still has a use for a workplace.

        Raises:
            Refused: it has ended or reached its goal.
        """
        if self.beeindigd or self.afgerond:
            raise Refused(Code.STATUS_PAST_NIET)

    def zoekt_werkplek(self) -> None:
        """Whether a workplace may be proposed.

        Raises:
            Refused: the traject has ended, or has an active match.
            TooEarly: the intake is not done.
        """
        self.loopt()
        if self.betrokkenen.actieve_match is not None:
            raise Refused(Code.ANDERE_MATCH_ACTIEF, "data.trajectnummer")
        if not self.geschikt:
            raise TooEarly(Waarop.TRAJECT_IN_STATUS, On(Trajectbeeld, self.nummer))

    def dossier(self, registry: Registry, vestigingsnummer: Vestigingsnummer) -> Dossier:
        """That of a match of this traject: its parties, and the employer of this match alone."""
        parties: set[tuple[Rol, PartnerId]] = {
            (rol, partner) for rol, partner in self.betrokkenen.toegewezen if rol is not Rol.WERKGEVER
        }
        if werkgever := registry.werkgever_of(vestigingsnummer):
            parties.add((Rol.WERKGEVER, werkgever))
        return self.betrokkenen.dossier(frozenset(parties))
