"""Factuur: a school's invoice, or credit note. What was issued never changes."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from contracts import betaling, factuur
from contracts.fields import Cents, Factuurnummer, Opdrachtnummer, PartnerId, Regelcode, Trajectnummer
from contracts.ontvangst import Code
from services.billing.betaling import kenmerk_van
from services.billing.tegoed import Tegoed
from services.chassis.messages import Fact, Refused


class Status(StrEnum):
    KLAARGEZET = "klaargezet"
    GOEDGEKEURD = "goedgekeurd"
    AFGEKEURD = "afgekeurd"
    BETAALD = "betaald"
    CREDITNOTA = "creditnota"


@dataclass(frozen=True, slots=True)
class Factuur:
    nummer: Factuurnummer
    trajectnummer: Trajectnummer
    opdrachtnummer: Opdrachtnummer
    opleider: PartnerId
    bedrag_cent: Cents
    status: Status
    verrekend_cent: Cents = 0
    """Of an approved one: settled out of the tegoed of its supplier."""

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
        if isinstance(data, betaling.Opgedragen):
            return replace(state, verrekend_cent=data.verrekend_cent)
        if isinstance(data, betaling.Bevestigd):
            return replace(state, status=Status.BETAALD)
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

    def betalen(self, betaald_uit: Tegoed | None) -> betaling.Opgedragen:
        """The order to pay what the tegoed of its supplier does not cover."""
        verrekend = betaald_uit.te_verrekenen(self.bedrag_cent) if betaald_uit else 0
        return betaling.Opgedragen(
            trajectnummer=self.trajectnummer,
            factuurnummer=self.nummer,
            opleider=self.opleider,
            bedrag_cent=self.bedrag_cent - verrekend,
            kenmerk=kenmerk_van(self.nummer),
            verrekend_cent=verrekend,
        )

    def crediteren(self) -> factuur.Gecrediteerd:
        """The whole amount, under a number of its own. A payment that is under way comes back later."""
        return factuur.Gecrediteerd(
            trajectnummer=self.trajectnummer,
            opdrachtnummer=self.opdrachtnummer,
            opleider=self.opleider,
            vorig_factuurnummer=self.nummer,
            bedrag_cent=self.bedrag_cent,
            tegoed_cent=self.bedrag_cent if self.status is Status.BETAALD else self.verrekend_cent,
        )

    def _te_beoordelen(self, staat: bool) -> None:
        if self.status is not Status.KLAARGEZET or not staat:
            raise Refused(Code.STATUS_PAST_NIET, "subject")


def by_factuurnummer(fact: Fact[Any]) -> str:
    """The invoice that a fact of `betaling` is about."""
    factuurnummer: str = fact.data.factuurnummer
    return factuurnummer
