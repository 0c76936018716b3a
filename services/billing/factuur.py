"""Factuur: a school's invoice, or credit note. What was issued never changes."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from contracts import factuur
from contracts.fields import Cents, Factuurnummer, Opdrachtnummer, PartnerId, Regelcode, Trajectnummer
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused


class Status(StrEnum):
    KLAARGEZET = "klaargezet"
    GOEDGEKEURD = "goedgekeurd"
    AFGEKEURD = "afgekeurd"
    CREDITNOTA = "creditnota"


@dataclass(frozen=True, slots=True)
class Factuur:
    nummer: Factuurnummer
    trajectnummer: Trajectnummer
    opdrachtnummer: Opdrachtnummer
    opleider: PartnerId
    bedrag_cent: Cents
    status: Status

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, factuur.Klaargezet | factuur.Gecrediteerd):
            credit = isinstance(data, factuur.Gecrediteerd)
            return cls(
                nummer=fact.subject,
                trajectnummer=data.trajectnummer,
                opdrachtnummer=data.opdrachtnummer,
                opleider=data.opleider,
                bedrag_cent=data.bedrag_cent,
                status=Status.CREDITNOTA if credit else Status.KLAARGEZET,
            )
        if state is None:
            return None
        if isinstance(data, factuur.Goedgekeurd):
            return replace(state, status=Status.GOEDGEKEURD)
        if isinstance(data, factuur.Afgekeurd):
            return replace(state, status=Status.AFGEKEURD)
        return state

    def goedkeuren(self, *, staat: bool) -> factuur.Goedgekeurd:
        """Accepts it. `staat` says that it was not credited.

        Raises:
            Refused: it was judged before, is credited or is a credit note itself.
        """
        self._te_beoordelen(staat)
        return factuur.Goedgekeurd(trajectnummer=self.trajectnummer)

    def afkeuren(self, regelcodes: tuple[Regelcode, ...], *, staat: bool) -> factuur.Afgekeurd:
        """Sends it back for good: what follows is a credit note and a new invoice.

        Raises:
            Refused: it was judged before, is credited or is a credit note itself.
        """
        self._te_beoordelen(staat)
        return factuur.Afgekeurd(trajectnummer=self.trajectnummer, regelcodes=regelcodes)

    @property
    def crediteerbaar(self) -> bool:
        """Whether it can be credited by itself: once approved, a payment is on its way."""
        return self.status is not Status.GOEDGEKEURD

    def crediteren(self) -> factuur.Gecrediteerd:
        """The whole amount, under a number of its own."""
        return factuur.Gecrediteerd(
            trajectnummer=self.trajectnummer,
            opdrachtnummer=self.opdrachtnummer,
            opleider=self.opleider,
            vorig_factuurnummer=self.nummer,
            bedrag_cent=self.bedrag_cent,
        )

    def _te_beoordelen(self, staat: bool) -> None:
        if self.status is not Status.KLAARGEZET or not staat:
            raise Refused(Code.STATUS_PAST_NIET, "subject")
