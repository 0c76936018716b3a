"""What billing knows of a traject: its parties, and which of its verklaringen is invoiced."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from contracts import factuur, opdracht, traject, verklaring
from contracts.fields import (
    Opdrachtnummer,
    PartnerId,
    Rol,
    Trajectnummer,
    Verklaringnummer,
)
from contracts.ontvangst import Code, Waarop
from services.chassis.betrokkenen import Betrokkenen
from services.chassis.messages import Fact, On, Refused, TooEarly

NET_TOEGEWEZEN: Final = 1
"""Calendar days in which word of an assignment has surely come."""
_ENDED = (traject.Uitgevallen, traject.Teruggetrokken, traject.Gesloten)


@dataclass(frozen=True, slots=True)
class Uitgegeven:
    """A verklaring, and the school that issued it."""

    nummer: Verklaringnummer
    opleider: PartnerId


@dataclass(frozen=True, slots=True)
class Trajectbeeld:
    nummer: Trajectnummer
    betrokkenen: Betrokkenen
    beeindigd: bool = False
    gesloten: bool = False
    """Ended with a verklaring, whether that was heard of yet or not."""
    opdracht: Opdrachtnummer | None = None
    """The one that was given and not withdrawn."""
    verklaringen: tuple[Uitgegeven, ...] = ()
    """Issued, and not heard to be withdrawn: facts of two verklaringen overtake one another."""
    gefactureerd: Verklaringnummer | None = None
    """The one that an invoice stands for; a credit note clears it."""
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
            return replace(self, beeindigd=True, gesloten=isinstance(data, traject.Gesloten))
        if isinstance(data, traject.Heropend):
            return replace(self, beeindigd=False, gesloten=False)
        if isinstance(data, opdracht.Verstrekt):
            return replace(self, opdracht=subject)
        if isinstance(data, opdracht.Ingetrokken):
            return replace(self, opdracht=None)
        if isinstance(data, verklaring.Afgegeven) and subject not in self.ingetrokken:
            return replace(self, verklaringen=(*self._zonder(subject), Uitgegeven(subject, data.opleider)))
        if isinstance(data, verklaring.Ingetrokken):
            return replace(self, verklaringen=self._zonder(subject), ingetrokken=self.ingetrokken | {subject})
        if isinstance(data, factuur.Klaargezet):
            return replace(self, gefactureerd=self._laatste(data.opleider))
        if isinstance(data, factuur.Gecrediteerd):
            return replace(self, gefactureerd=None)
        return self

    def _zonder(self, nummer: Verklaringnummer) -> tuple[Uitgegeven, ...]:
        return tuple(known for known in self.verklaringen if known.nummer != nummer)

    def _laatste(self, opleider: PartnerId) -> Verklaringnummer | None:
        """The latest verklaring of that school."""
        van_school = (known.nummer for known in reversed(self.verklaringen) if known.opleider == opleider)
        return next(van_school, None)

    @property
    def opleider(self) -> PartnerId | None:
        found = (partner for rol, partner in self.betrokkenen.toegewezen if rol is Rol.OPLEIDER)
        return next(found, None)

    def opdrachtbaar(self, opleider: PartnerId) -> None:
        """Whether that school may be commissioned for this traject.

        Raises:
            Refused: the traject has ended or has an opdracht.
            TooEarly: it has no school yet, or another one, which may have been replaced a moment ago.
        """
        if self.beeindigd:
            raise Refused(Code.STATUS_PAST_NIET, "data.trajectnummer")
        if self.opdracht is not None:
            raise Refused(Code.OPDRACHT_BESTAAT, "data.trajectnummer")
        on = On(Trajectbeeld, self.nummer)
        if self.opleider is None:
            raise TooEarly(Waarop.TRAJECT_IN_STATUS, on)
        if opleider != self.opleider:
            raise TooEarly(Waarop.TRAJECT_IN_STATUS, on, days=NET_TOEGEWEZEN, anders=Code.OPLEIDER_WIJKT_AF)

    def te_factureren(self, opleider: PartnerId) -> bool:
        """Whether an invoice of that school is due: it issued a verklaring, and no invoice stands."""
        return self.gefactureerd is None and self._laatste(opleider) is not None

    def af(self, opleider: PartnerId) -> bool:
        """Whether nothing will be due to that school any more. A closed traject has a verklaring: until that is
        heard of, it may be this school's.
        """
        if self.gefactureerd or not self.beeindigd or self._laatste(opleider):
            return False
        return bool(self.verklaringen) or not self.gesloten
