"""Budget: what a source of money (bron) makes available, and what of it is reserved and spent.

Rule: reserved + spent never exceeds what was set, in cents, also when many arrive at once: the chassis
holds the source's row locked while one of these methods decides.
"""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Self

from contracts import besteding, budget
from contracts.fields import Bron, Cents
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused


class Status(StrEnum):
    BESCHIKBAAR = "beschikbaar"
    UITGEPUT = "uitgeput"
    BUITEN_PERIODE = "buiten_periode"


@dataclass(frozen=True, slots=True)
class Budget:
    bron: Bron
    correlationid: str
    """Its own: what a financier reads leads to no traject."""
    vastgesteld_cent: Cents
    gereserveerd_cent: Cents = 0
    besteed_cent: Cents = 0
    van: date = date.min
    tot: date = date.max
    """The first and the last day on which it may be claimed."""

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, budget.Vastgesteld):
            known = state or cls(fact.subject, fact.correlationid, data.bedrag_cent)
            return replace(known, vastgesteld_cent=data.bedrag_cent, van=data.van, tot=data.tot)
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

    def status(self, dag: date) -> Status:
        if not self.van <= dag <= self.tot:
            return Status.BUITEN_PERIODE
        return Status.BESCHIKBAAR if self.beschikbaar_cent else Status.UITGEPUT

    def vaststellen(self, data: budget.Vastgesteld) -> budget.Vastgesteld:
        """A new amount and period in place of the old ones.

        Raises:
            Refused: it is less than what is reserved and spent already.
        """
        if data.bedrag_cent < self.gereserveerd_cent + self.besteed_cent:
            raise Refused(Code.BUDGET_ONTOEREIKEND, "data.bedrag_cent")
        return data

    def reserveren(self, bedrag_cent: Cents, vandaag: date) -> besteding.Gereserveerd:
        """Claims part of what is left. What is claimed in the budget's period may be paid after it.

        Raises:
            Refused: the source has less than that left, or today is not in its period.
        """
        if self.status(vandaag) is Status.BUITEN_PERIODE:
            raise Refused(Code.BUITEN_BUDGETPERIODE, "data.bron")
        if bedrag_cent > self.beschikbaar_cent:
            raise Refused(Code.BUDGET_ONTOEREIKEND, "data.bedrag_cent")
        return besteding.Gereserveerd(bedrag_cent=bedrag_cent, stand=self._stand(bedrag_cent))

    def besteden(self, bedrag_cent: Cents) -> besteding.Besteed:
        """Pays out of what was reserved."""
        stand = self._stand(-bedrag_cent, besteed=bedrag_cent)
        return besteding.Besteed(bedrag_cent=bedrag_cent, stand=stand)

    def vrijvallen(self, bedrag_cent: Cents) -> besteding.Vrijgevallen:
        """Gives back what was reserved and is not needed."""
        return besteding.Vrijgevallen(bedrag_cent=bedrag_cent, stand=self._stand(-bedrag_cent))

    def terugkomen(self, bedrag_cent: Cents) -> besteding.Vrijgevallen:
        """What was paid out for an invoice that is credited now."""
        return besteding.Vrijgevallen(bedrag_cent=bedrag_cent, stand=self._stand(0, besteed=-bedrag_cent))

    def weer_reserveren(self, bedrag_cent: Cents) -> besteding.Gereserveerd:
        """For an opdracht that still runs, out of what came back."""
        return besteding.Gereserveerd(bedrag_cent=bedrag_cent, stand=self._stand(bedrag_cent))

    def _stand(self, gereserveerd: int, *, besteed: int = 0) -> besteding.Stand:
        """The source after that change. Less than nothing reserved is a fault of ours: `Stand` refuses it."""
        return besteding.Stand(
            vastgesteld_cent=self.vastgesteld_cent,
            gereserveerd_cent=self.gereserveerd_cent + gereserveerd,
            besteed_cent=self.besteed_cent + besteed,
        )
