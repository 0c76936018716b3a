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
        verschil = _verschil(fact.data)
        return cls(by_reeks(fact), (state.bedrag_cent if state else 0) + verschil) if verschil else state

    def te_verrekenen(self, bedrag_cent: Cents) -> Cents:
        """How much of an invoice of that amount needs no payment."""
        return min(bedrag_cent, self.bedrag_cent)


def by_reeks_met_tegoed(fact: Fact[Any]) -> str | None:
    """The series of a fact that changes its tegoed."""
    return by_reeks(fact) if _verschil(fact.data) else None


def _verschil(data: object) -> int:
    if isinstance(data, factuur.Gecrediteerd | betaling.Bevestigd):
        return data.tegoed_cent
    return -data.verrekend_cent if isinstance(data, betaling.Opgedragen) else 0
