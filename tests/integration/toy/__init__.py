"""A service small enough to see the chassis through: it keeps one number a bron, and can be broken."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sqlalchemy import MetaData

from contracts import budget, traject
from contracts.catalogue import Owner
from contracts.fields import Rol
from contracts.ontvangst import Code, Waarop
from services.chassis.aggregate import aggregate_table, by_subject
from services.chassis.messages import Dossier, Emit, Fact, Follows, On, Parties, Refused, Submission, TooEarly
from services.chassis.service import Service
from services.chassis.work import Work

MIGRATIONS = Path(__file__).parent / "migrations"
CASE = "0198c5d2-7c1e-7a33-9d5e-0c6b9a4f1e21"
PV = "PV-7K3F9-QX2ME"
BREAKS = 13
"""An amount at which the handler fails while `faults.broken`."""
NEEDS_TRAJECT = 77
"""An amount that waits until the traject `PV` is known."""
TOO_MUCH = 1_000_000
NUL = 666
"""An amount whose fact the database refuses."""

metadata = MetaData()
pots = aggregate_table(metadata, "pot")
known = aggregate_table(metadata, "bekend")


ENDS_PROCESS = 999
"""An amount on which the process ends while `faults.broken`."""


class Crash(BaseException):
    """Ends the service as a crash would: nothing catches it."""


class Faults:
    broken = False


faults = Faults()


@dataclass(frozen=True)
class Pot:
    bedrag: int
    note: str = ""

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        if isinstance(fact.data, budget.Vastgesteld):
            note = "\x00" if fact.data.bedrag_cent == NUL else ""
            return cls(fact.data.bedrag_cent, note)
        return state


@dataclass(frozen=True)
class Bekend:
    steps: tuple[str, ...] = ()

    @classmethod
    def evolve(cls, state: Self | None, fact: Fact[Any]) -> Self | None:
        before = state.steps if state else ()
        return cls((*before, fact.type.event))


service = Service(Owner.BILLING)
service.aggregate(Pot, pots, moved_by={"budget": by_subject})
service.aggregate(Bekend, known, moved_by={"traject": by_subject})


@service.parties("budget")
def parties(event: Submission[Any], work: Work) -> Parties:
    return frozenset((Rol.FINANCIER, partner) for partner in work.registry.financiers_of(event.about))


@service.submission(budget.Vastgesteld)
def vastgesteld(event: Submission[budget.Vastgesteld], work: Work) -> Follows:
    amount = event.data.bedrag_cent
    if amount == BREAKS and faults.broken:
        raise RuntimeError("planted")
    if amount == ENDS_PROCESS and faults.broken:
        raise Crash
    if amount == NEEDS_TRAJECT and work.get(Bekend, PV) is None:
        raise TooEarly(Waarop.TRAJECT_BEKEND, On(Bekend, PV))
    if amount > TOO_MUCH:
        raise Refused(Code.BUDGET_ONTOEREIKEND, "data.bedrag_cent")
    return [Emit(event.about, event.data, Dossier(CASE, parties(event, work)))]


@service.fact(traject.Gestart)
def gestart(event: Fact[traject.Gestart], work: Work) -> Follows:
    if faults.broken:
        raise RuntimeError("planted")
    return []
