"""What matching knows of a traject, as its facts tell."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from contracts import traject, verklaring
from contracts.fields import PartnerId, Rol, Trajectnummer, Verklaringnummer, Vestigingsnummer
from contracts.ontvangst import Code, Waarop
from contracts.partners import Registry
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.messages import Dossier, Fact, On, Refused, TooEarly

NET_TOEGEWEZEN: Final = 1
"""Calendar days in which word of an assignment has surely come."""
_ENDED = (traject.Uitgevallen, traject.Teruggetrokken, traject.Gesloten)


@dataclass(frozen=True, slots=True)
class Trajectbeeld:
    nummer: Trajectnummer
    betrokkenen: Betrokkenen
    geschikt: bool = False
    verklaringen: frozenset[Verklaringnummer] = frozenset()
    """Issued, and not heard to be withdrawn: facts of two verklaringen overtake one another."""
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
            return replace(state, verklaringen=state.verklaringen | {fact.subject})
        if isinstance(data, verklaring.Ingetrokken):
            return replace(state, verklaringen=state.verklaringen - {fact.subject})
        return state

    def nog_geen_partij(self, rol: Rol) -> TooEarly:
        """A partner in that role acts in a traject that has none yet, or has another. It may have been assigned a
        moment ago; if not, it is no party.
        """
        on = On(Trajectbeeld, self.nummer)
        if not any(toegewezen is rol for toegewezen, _ in self.betrokkenen.toegewezen):
            return TooEarly(Waarop.TRAJECT_IN_STATUS, on)
        return TooEarly(Waarop.TRAJECT_IN_STATUS, on, days=NET_TOEGEWEZEN, anders=Code.GEEN_PARTIJ)

    def loopt(self) -> None:
        """Whether the traject still has a use for a workplace.

        Raises:
            Refused: it has ended or reached its goal.
        """
        if self.beeindigd or self.verklaringen:
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
