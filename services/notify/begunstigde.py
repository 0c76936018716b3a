"""The school that an invoice or a payment is for: later facts of the same stream do not name it."""

from dataclasses import dataclass
from typing import Any, Self

from contracts import betaling, factuur
from contracts.fields import PartnerId
from services.chassis.messages import Fact


@dataclass(frozen=True, slots=True)
class Begunstigde:
    """Under a factuurnummer or a BT- number."""

    opleider: PartnerId

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        if isinstance(fact.data, factuur.Klaargezet | factuur.Gecrediteerd | betaling.Opgedragen):
            return cls(fact.data.opleider)
        return state
