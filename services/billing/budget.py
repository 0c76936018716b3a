"""Budget: what a source of money (bron) makes available, and what of it is reserved and spent.

Rule: reserved + spent never exceeds what was set, in cents, also when many arrive at once: the chassis
holds the source's row locked while one of these methods decides.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from contracts import besteding, budget
from contracts.fields import Bron, Cents
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused


@dataclass(frozen=True, slots=True)
class Budget:
    bron: Bron
    correlationid: str
    """Its own: what a financier reads leads to no traject."""
    vastgesteld_cent: Cents
    gereserveerd_cent: Cents = 0
    besteed_cent: Cents = 0

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, budget.Vastgesteld):
            if state is None:
                return cls(fact.subject, fact.correlationid, data.bedrag_cent)
            return replace(state, vastgesteld_cent=data.bedrag_cent)
        if state is None:
            return None
        if isinstance(data, besteding.Gereserveerd | besteding.Besteed | besteding.Vrijgevallen):
            return replace(
                state,
                gereserveerd_cent=data.stand.gereserveerd_cent,
                besteed_cent=data.stand.besteed_cent,
            )
        return state

    @property
    def beschikbaar_cent(self) -> Cents:
        return self.vastgesteld_cent - self.gereserveerd_cent - self.besteed_cent

    def vaststellen(self, data: budget.Vastgesteld) -> budget.Vastgesteld:
        """A new amount in place of the old one.

        Raises:
            Refused: it is less than what is reserved and spent already.
        """
        if data.bedrag_cent < self.gereserveerd_cent + self.besteed_cent:
            raise Refused(Code.BUDGET_ONTOEREIKEND, "data.bedrag_cent")
        return data

    def reserveren(self, bedrag_cent: Cents) -> besteding.Gereserveerd:
        """Claims part of what is left.

        Raises:
            Refused: the source has less than that left.
        """
        if bedrag_cent > self.beschikbaar_cent:
            raise Refused(Code.BUDGET_ONTOEREIKEND, "data.bedrag_cent")
        return besteding.Gereserveerd(bedrag_cent=bedrag_cent, stand=self._stand(gereserveerd=bedrag_cent))

    def besteden(self, bedrag_cent: Cents) -> besteding.Besteed:
        """Pays out of what was reserved."""
        stand = self._stand(gereserveerd=-bedrag_cent, besteed=bedrag_cent)
        return besteding.Besteed(bedrag_cent=bedrag_cent, stand=stand)

    def vrijvallen(self, bedrag_cent: Cents) -> besteding.Vrijgevallen:
        """Gives back what was reserved and is not needed."""
        return besteding.Vrijgevallen(bedrag_cent=bedrag_cent, stand=self._stand(gereserveerd=-bedrag_cent))

    def _stand(self, *, gereserveerd: int, besteed: int = 0) -> besteding.Stand:
        """The source after that change. Less than nothing reserved is a fault of ours: `Stand` refuses it."""
        return besteding.Stand(
            vastgesteld_cent=self.vastgesteld_cent,
            gereserveerd_cent=self.gereserveerd_cent + gereserveerd,
            besteed_cent=self.besteed_cent + besteed,
        )
