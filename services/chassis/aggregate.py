"""Aggregates: state that facts move, where it is kept, and which fact moves which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

from pydantic import TypeAdapter
from sqlalchemy import Column, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.chassis.calendar import Calendar
from services.chassis.messages import Fact

KeyOf = Callable[[Fact[Any]], str | None]
DueAt = Callable[[Any, Calendar], datetime | None]
"""When something must be done about an aggregate in this state; None where nothing is."""


class Aggregate(Protocol):
    """State that facts move. A frozen dataclass; pure: no I/O, no clock, no framework."""

    @classmethod
    def evolve(cls, state: Any, fact: Fact[Any]) -> Self | None:
        """The state after `fact`; `state` is None before the first. Unknown facts change nothing."""


@dataclass(frozen=True)
class Store:
    """Where an aggregate is kept and which facts move it."""

    kind: type[Aggregate]
    table: Table
    moved_by: Mapping[str, KeyOf]
    writes: frozenset[str]
    """The own streams that this aggregate counts: those that move it under its own subject."""
    lookups: Mapping[str, Callable[[Any], str | None]]
    adapter: TypeAdapter[Any]
    due: DueAt | None = None
    """Of one that falls due: its table has a column `due`, see `Service.due`."""


def aggregate_table(metadata: MetaData, name: str, *lookups: str, unique: Sequence[str] = ()) -> Table:
    """A table for one kind of aggregate: its state as JSON, its lookups as indexed columns.

    `sequences` counts the facts of each stream the aggregate writes.
    """
    return Table(
        name,
        metadata,
        Column("subject", Text, primary_key=True),
        Column("sequences", JSONB, nullable=False),
        Column("body", JSONB, nullable=False),
        *(Column(lookup, Text, index=True) for lookup in lookups),
        *(Column(lookup, Text, unique=True) for lookup in unique),
    )


def by_subject(fact: Fact[Any]) -> str:
    """The aggregate that the fact's own subject names."""
    return fact.subject


def by_trajectnummer(fact: Fact[Any]) -> str | None:
    """The traject that the fact is about."""
    return getattr(fact.data, "trajectnummer", None)
