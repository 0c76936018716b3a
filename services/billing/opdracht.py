"""Opdracht: the Leerwerkloket commissions a school for one traject, for at most an amount."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from contracts import factuur, opdracht
from contracts.fields import Bron, Categorie, Cents, Factuurnummer, Opdrachtnummer, PartnerId, Trajectnummer
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused, registered_as


class Status(StrEnum):
    VERSTREKT = "verstrekt"
    GEFACTUREERD = "gefactureerd"
    INGETROKKEN = "ingetrokken"


@dataclass(frozen=True, slots=True)
class Opdracht:
    nummer: Opdrachtnummer
    trajectnummer: Trajectnummer
    opleider: PartnerId
    bedrag_cent: Cents
    """Reserved on `bron` as long as the opdracht runs."""
    bron: Bron
    registratie: str | None
    """The commissioning partner and its referentie: repeated, it is the same opdracht."""
    ingetrokken: bool = False
    factuurnummer: Factuurnummer | None = None
    """The invoice that stands for it; a credit note takes it away."""

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, opdracht.Verstrekt):
            return cls(
                nummer=fact.subject,
                trajectnummer=data.trajectnummer,
                opleider=data.opleider,
                bedrag_cent=data.bedrag_cent,
                bron=data.bron,
                registratie=registered_as(fact.actor, fact.referentie),
            )
        if state is not None and isinstance(data, opdracht.Ingetrokken):
            return replace(state, ingetrokken=True)
        if state is not None and isinstance(data, factuur.Klaargezet):
            return replace(state, factuurnummer=fact.subject)
        if state is not None and isinstance(data, factuur.Gecrediteerd):
            return replace(state, factuurnummer=None)
        return state

    @property
    def status(self) -> Status:
        if self.ingetrokken:
            return Status.INGETROKKEN
        return Status.GEFACTUREERD if self.factuurnummer else Status.VERSTREKT

    def zelfde_opdracht(self, data: opdracht.Verstrekt) -> bool:
        return (self.trajectnummer, self.opleider, self.bedrag_cent, self.bron) == (
            data.trajectnummer,
            data.opleider,
            data.bedrag_cent,
            data.bron,
        )

    def intrekken(self, categorie: Categorie) -> opdracht.Ingetrokken:
        """Takes it back, once, as long as no invoice stands for it.

        Raises:
            Refused: it was taken back before, or is invoiced.
        """
        if self.status is not Status.VERSTREKT:
            raise Refused(Code.STATUS_PAST_NIET, "subject")
        return opdracht.Ingetrokken(trajectnummer=self.trajectnummer, categorie=categorie)

    def factureren(self) -> factuur.Klaargezet:
        """The invoice for its verklaring: the whole amount, so never more than was commissioned."""
        return factuur.Klaargezet(
            trajectnummer=self.trajectnummer,
            opdrachtnummer=self.nummer,
            opleider=self.opleider,
            bedrag_cent=self.bedrag_cent,
            profiel=factuur.Profiel.NLCIUS,
        )


def by_opdrachtnummer(fact: Fact[Any]) -> str | None:
    """The opdracht that an invoice or credit note is about."""
    return getattr(fact.data, "opdrachtnummer", None)
