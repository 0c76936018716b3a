"""Erkenning: SBB's recognition of one establishment as a training company for one crebo.

Knows no traject and no match: those that wait for it are found by their place.
"""

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Final, Self

from contracts import erkenning
from contracts.fields import Crebo, Erkenningsnummer, Kvk, Vestigingsnummer
from contracts.ontvangst import Code
from services.chassis.messages import Fact, Refused
from services.matching.match import plaats

BESLISTERMIJN: Final = 10
"""Working days from the dagtekening within which SBB decides (Reglement erkenning leerbedrijven)."""
BLOKKADE: Final = 6
"""Months after a refusal before the same place may be requested again (the same Reglement)."""


class Status(StrEnum):
    AANGEVRAAGD = "aangevraagd"
    VERLEEND = "verleend"
    GEWEIGERD = "geweigerd"
    INGETROKKEN = "ingetrokken"


@dataclass(frozen=True, slots=True)
class Erkenning:
    nummer: Erkenningsnummer
    kvk: Kvk
    vestigingsnummer: Vestigingsnummer
    crebo: Crebo
    correlationid: str
    """Its own: what SBB reads leads to no traject."""
    status: Status
    dagtekening: date
    geweigerd_op: date | None = None
    besluit: erkenning.Verleend | None = None
    """That of SBB, until it is withdrawn or requested anew."""
    eerdere_besluiten: tuple[erkenning.Verleend, ...] = ()
    """Those that `besluit` renewed."""

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        data = fact.data
        if isinstance(data, erkenning.Aangevraagd):
            return cls(
                nummer=fact.subject,
                kvk=data.kvk,
                vestigingsnummer=data.vestigingsnummer,
                crebo=data.crebo,
                correlationid=fact.correlationid,
                status=Status.AANGEVRAAGD,
                dagtekening=data.dagtekening,
            )
        if state is None:
            return None
        if isinstance(data, erkenning.Verleend):
            eerdere = (*state.eerdere_besluiten, *((state.besluit,) if state.besluit else ()))
            return replace(
                state, status=Status.VERLEEND, geweigerd_op=None, besluit=data, eerdere_besluiten=eerdere
            )
        if isinstance(data, erkenning.Geweigerd):
            return replace(state, status=Status.GEWEIGERD, geweigerd_op=data.datum)
        if isinstance(data, erkenning.Ingetrokken):
            return replace(state, status=Status.INGETROKKEN, besluit=None, eerdere_besluiten=())
        return state

    @property
    def plaats(self) -> str:
        return plaats(self.vestigingsnummer, self.crebo)

    @property
    def aangevraagd(self) -> bool:
        """Whether a request is open, so that others join it."""
        return self.status is Status.AANGEVRAAGD

    def geldend_besluit(self, dag: date) -> erkenning.Verleend | None:
        """The recognition, unless it has lapsed by that day.

        One that begins later counts: preparation can begin, and no traject starts before it does (intake).
        """
        return self.besluit if self.besluit and dag <= self.besluit.geldig_tot else None

    def geldende_besluiten(self, dag: date) -> tuple[erkenning.Verleend, ...]:
        """What has not lapsed by that day, the latest last: until a renewal begins, the one before it holds."""
        besluiten = (*self.eerdere_besluiten, *((self.besluit,) if self.besluit else ()))
        return tuple(besluit for besluit in besluiten if dag <= besluit.geldig_tot)

    def geblokkeerd_op(self, dag: date) -> bool:
        """Whether a refusal stands in the way of a new request on that day."""
        return self.geweigerd_op is not None and dag < _months_after(self.geweigerd_op, BLOKKADE)

    def verlenen(self, besluit: erkenning.Verleend, vandaag: date) -> erkenning.Verleend:
        """Also without an open request, after a refusal (the objection succeeded), from a later date on, and as
        a renewal: one that holds longer than the one before it.

        Raises:
            Refused: there is one that holds as long, or this one has lapsed already.
        """
        geldend = self.geldend_besluit(vandaag)
        if geldend and besluit.geldig_tot <= geldend.geldig_tot:
            raise Refused(Code.STATUS_PAST_NIET, "subject")
        if besluit.geldig_tot < vandaag:
            raise Refused(Code.DATUM_ONJUIST, "data.geldig_tot")
        return besluit

    def weigeren(self, besluit: erkenning.Geweigerd, vandaag: date) -> erkenning.Geweigerd:
        """Blocks the place for `BLOKKADE` from the date of the refusal.

        Raises:
            Refused: there is no open request, or the date is not between the dagtekening and today.
        """
        if not self.aangevraagd:
            raise Refused(Code.STATUS_PAST_NIET, "subject")
        if not self.dagtekening <= besluit.datum <= vandaag:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")
        return besluit

    def intrekken(self, besluit: erkenning.Ingetrokken, vandaag: date) -> erkenning.Ingetrokken:
        """At any time, valid or lapsed; the place may be requested again.

        Raises:
            Refused: there is no recognition to withdraw, or the date is in the future.
        """
        if self.status is not Status.VERLEEND:
            raise Refused(Code.STATUS_PAST_NIET, "subject")
        if besluit.datum > vandaag:
            raise Refused(Code.DATUM_ONJUIST, "data.datum")
        return besluit


def _months_after(day: date, months: int) -> date:
    """The same day of a later month, or the last of that month where it is shorter."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
