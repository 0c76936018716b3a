"""Nummering: the invoice numbers of one supplier, without a gap. Invoices and credit notes share them."""

from dataclasses import dataclass
from typing import Any, Self

from contracts.fields import Factuurnummer
from services.chassis.messages import Fact


@dataclass(frozen=True, slots=True)
class Nummering:
    reeks: str
    """The supplier's `factuurreeks`."""
    laatste: int = 0

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        reeks, _, volgnummer = fact.subject.partition("-")
        laatste = int(volgnummer)
        if state is not None and laatste <= state.laatste:
            return state
        return cls(reeks, laatste)

    def volgende(self) -> Factuurnummer:
        """The next number; used up by the fact that carries it, and by nothing else."""
        return f"{self.reeks}-{self.laatste + 1:06d}"


def reeks_van(factuurnummer: Factuurnummer) -> str:
    """The series that a number belongs to: each supplier has its own."""
    return factuurnummer.partition("-")[0]


def by_reeks(fact: Fact[Any]) -> str:
    """The series of the invoice that a fact of `factuur` or `betaling` is about."""
    return reeks_van(fact.subject if fact.type.entity == "factuur" else fact.data.factuurnummer)
