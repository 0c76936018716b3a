"""What billing knows of a traject: its parties, and which of its verklaringen is invoiced."""

from dataclasses import dataclass, replace
from typing import Any, Self

from contracts import factuur, opdracht, traject, verklaring
from contracts.fields import (
    Factuurnummer,
    Opdrachtnummer,
    PartnerId,
    Rol,
    Trajectnummer,
    Verklaringnummer,
)
from contracts.ontvangst import Code, Waarop
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.messages import Fact, On, Refused, TooEarly

_ENDED = (traject.Uitgevallen, traject.Teruggetrokken, traject.Gesloten)


@dataclass(frozen=True, slots=True)
class Trajectbeeld:
    nummer: Trajectnummer
    betrokkenen: Betrokkenen
    beeindigd: bool = False
    opdracht: Opdrachtnummer | None = None
    """The one that was given and not withdrawn."""
    te_factureren: Verklaringnummer | None = None
    """Issued, and not invoiced yet."""
    gefactureerd: Verklaringnummer | None = None
    factuur: Factuurnummer | None = None
    """The invoice for `gefactureerd`; a credit note clears both."""
    ingetrokken: frozenset[Verklaringnummer] = frozenset()

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        betrokkenen = Betrokkenen.evolve(state.betrokkenen if state else None, fact)
        if betrokkenen is None:
            return None
        if state is None:
            return cls(fact.subject, betrokkenen)
        if betrokkenen is not state.betrokkenen:
            state = replace(state, betrokkenen=betrokkenen)
        return state._moved(fact.subject, fact.data)

    def _moved(self, subject: str, data: object) -> Self:
        if isinstance(data, traject.IntakeAfgerond):
            return replace(self, beeindigd=data.uitkomst is traject.Uitkomst.NIET_GESCHIKT)
        if isinstance(data, _ENDED):
            return replace(self, beeindigd=True)
        if isinstance(data, traject.Heropend):
            return replace(self, beeindigd=False)
        if isinstance(data, opdracht.Verstrekt):
            return replace(self, opdracht=subject)
        if isinstance(data, opdracht.Ingetrokken):
            return replace(self, opdracht=None)
        if isinstance(data, verklaring.Afgegeven):
            seen = subject == self.gefactureerd or subject in self.ingetrokken
            return self if seen else replace(self, te_factureren=subject)
        if isinstance(data, verklaring.Ingetrokken):
            waiting = None if subject == self.te_factureren else self.te_factureren
            return replace(self, ingetrokken=self.ingetrokken | {subject}, te_factureren=waiting)
        if isinstance(data, factuur.Klaargezet):
            return replace(self, te_factureren=None, gefactureerd=self.te_factureren, factuur=subject)
        if isinstance(data, factuur.Gecrediteerd):
            return replace(self, gefactureerd=None, factuur=None)
        return self

    @property
    def opleider(self) -> PartnerId | None:
        found = (partner for rol, partner in self.betrokkenen.toegewezen if rol is Rol.OPLEIDER)
        return next(found, None)

    def opdrachtbaar(self, opleider: PartnerId) -> None:
        """Whether that school may be commissioned for this traject.

        Raises:
            Refused: the traject has ended, has another school, or has an opdracht.
            TooEarly: it has no school yet.
        """
        if self.beeindigd:
            raise Refused(Code.STATUS_PAST_NIET, "data.trajectnummer")
        if self.opdracht is not None:
            raise Refused(Code.OPDRACHT_BESTAAT, "data.trajectnummer")
        if self.opleider is None:
            raise TooEarly(Waarop.TRAJECT_IN_STATUS, On(Trajectbeeld, self.nummer))
        if opleider != self.opleider:
            raise Refused(Code.OPLEIDER_WIJKT_AF, "data.opleider")

    @property
    def factureerbaar(self) -> bool:
        """Whether an invoice is due: a verklaring that has none, an opdracht, and no other invoice standing."""
        return self.te_factureren is not None and self.opdracht is not None and self.factuur is None
