"""How a service says what it is: its aggregates, and which handler answers which message.

    service = Service(Owner.MATCHING)
    service.aggregate(Match, tables.match, moved_by={"match": by_subject}, lookups={"traject": ...})

    @service.submission(match.Bevestigd)
    def bevestigd(event: Submission[Leeg], work: Work) -> Follows: ...

    @service.fact(verklaring.Afgegeven)
    def afgegeven(event: Fact[verklaring.Afgegeven], work: Work) -> Follows: ...

A handler is a pure function: time, numbers and aggregates come in through `work`, facts and effects go
out. It may be run more than once for one message; only its last run counts.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.catalogue import CATALOGUE, EventType, Owner
from contracts.model import Data
from services.chassis.aggregate import Aggregate, DueAt, KeyOf, Store, by_subject
from services.chassis.messages import Effect, Fact, Follows, Keep, Parties, Submission
from services.chassis.metrics import Reading
from services.chassis.work import Work

SubmissionHandler = Callable[[Submission[Any], Work], Follows]
FactHandler = Callable[[Fact[Any], Work], Follows]
DueHandler = Callable[[Any, Work], Follows]
PartiesOf = Callable[[Submission[Any], Work], Parties]
Recorder = Callable[[AsyncConnection, Sequence[tuple[Fact[Data], bytes]]], Awaitable[None]]
Keeper = Callable[[AsyncConnection, Sequence[Keep]], Awaitable[None]]
Performer = Callable[[Effect], Awaitable[None]]
Chore = Callable[[], Awaitable[None]]
Check = Callable[[Effect, AsyncConnection], Awaitable[bool]]


@dataclass
class Service:
    """One service's declaration. Composition (`runner`, `relay`, `health`) reads it."""

    owner: Owner
    stores: dict[type[Aggregate], Store] = field(default_factory=dict)
    on_submission: dict[EventType, SubmissionHandler] = field(default_factory=dict)
    on_fact: dict[EventType, FactHandler] = field(default_factory=dict)
    on_due: dict[type[Aggregate], DueHandler] = field(default_factory=dict)
    parties_of: dict[str, PartiesOf] = field(default_factory=dict)
    performers: dict[str, Performer] = field(default_factory=dict)
    needed: dict[str, Check] = field(default_factory=dict)
    """By kind of effect: whether it is still needed, asked of the database just before it is carried out."""
    recorder: Recorder | None = None
    """Keeps every fact the service hears, in the same transaction (intake's journal)."""
    shared: frozenset[str] = frozenset()
    """The own streams that belong to the dossier: a partner that becomes party later receives them whole."""
    keeper: Keeper | None = None
    """Stores what handlers `Keep`, in the same transaction (intake's person data)."""
    chores: tuple[Chore, ...] = ()
    """Done when the process starts, and every few hours."""
    closing: tuple[Chore, ...] = ()
    """Done when the process ends: what was opened beside the chassis' own connections is closed."""
    readings: tuple[Reading, ...] = ()
    """Gauges that its own tables give, besides those of the chassis."""

    @property
    def name(self) -> str:
        return self.owner.value

    def aggregate(
        self,
        kind: type[Aggregate],
        table: Table,
        *,
        moved_by: Mapping[str, KeyOf],
        lookups: Mapping[str, Callable[[Any], str | None]] | None = None,
    ) -> None:
        """Keeps `kind` in `table`.

        `moved_by` says for each entity whose facts move it (own or foreign) which aggregate that is.
        `lookups` names columns of the table by which `work.find` finds aggregates.
        """
        own = CATALOGUE.entities_of(self.owner)
        writes = frozenset(e for e, key_of in moved_by.items() if key_of is by_subject and e in own)
        self.stores[kind] = Store(kind, table, dict(moved_by), writes, dict(lookups or {}), TypeAdapter(kind))

    def submission(self, fact: type[Data]) -> Callable[[SubmissionHandler], SubmissionHandler]:
        """Answers submissions of the type of `fact`. To accept is to return; see `messages.Verdict`."""

        def register(handler: SubmissionHandler) -> SubmissionHandler:
            self.on_submission[CATALOGUE.of(fact)] = handler
            return handler

        return register

    def fact(self, *facts: type[Data]) -> Callable[[FactHandler], FactHandler]:
        """Reacts to facts of other services, after they moved the aggregates."""

        def register(handler: FactHandler) -> FactHandler:
            for fact in facts:
                self.on_fact[CATALOGUE.of(fact)] = handler
            return handler

        return register

    def due(self, kind: type[Aggregate], *, at: DueAt) -> Callable[[DueHandler], DueHandler]:
        """Does what must be done when the time of an aggregate has come, which `at` tells.

        Its table has a column `due`. The facts that the handler emits (`because` of the fact that set the
        time) move the aggregate on, so that nothing happens twice, whoever looks.
        """

        def register(handler: DueHandler) -> DueHandler:
            self.stores[kind] = replace(self.stores[kind], due=at)
            self.on_due[kind] = handler
            return handler

        return register

    def parties(self, *entities: str) -> Callable[[PartiesOf], PartiesOf]:
        """Says who is party to the subject of a submission of these streams; may raise `TooEarly`."""

        def register(parties_of: PartiesOf) -> PartiesOf:
            for entity in entities:
                self.parties_of[entity] = parties_of
            return parties_of

        return register

    def entities_heard(self) -> tuple[str, ...]:
        """The streams this service must be bound to: all, its own too, where it records them."""
        if self.recorder:
            return tuple(sorted({item.entity for item in CATALOGUE.values() if item.owner}))
        own = set(CATALOGUE.entities_of(self.owner))
        heard = {entity for store in self.stores.values() for entity in store.moved_by}
        heard |= {event_type.entity for event_type in self.on_fact}
        return tuple(sorted(heard - own))
