"""Tegoed: what a supplier was paid for invoices that were credited. Set off against its next payments."""

from dataclasses import dataclass
from typing import Any, Self

from contracts import betaling, factuur
from contracts.fields import Cents
from services.billing.nummering import by_reeks
from services.chassis.messages import Fact


@dataclass(frozen=True, slots=True)
class Tegoed:
    reeks: str
    """The supplier's `factuurreeks`."""
    bedrag_cent: Cents = 0

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, factuur.Gecrediteerd | betaling.Bevestigd) and data.tegoed_cent:
            verschil = data.tegoed_cent
        elif isinstance(data, betaling.Opgedragen) and data.verrekend_cent:
            verschil = -data.verrekend_cent
        else:
            return state
        return cls(by_reeks(fact), (state.bedrag_cent if state else 0) + verschil)

    def te_verrekenen(self, bedrag_cent: Cents) -> Cents:
        """How much of an invoice of that amount needs no payment."""
        return min(bedrag_cent, self.bedrag_cent)
