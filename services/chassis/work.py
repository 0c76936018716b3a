"""The unit of work: the aggregates a batch needs, locked and in memory, and what came of them.

A handler asks for aggregates by key or by lookup. What is not in memory yet raises `Missing`: the runner
then loads everything the whole batch misses with one query a table, and runs the handler again.
That is why handlers are pure. Effects of a handler are staged, and kept only when all of it succeeded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from uuid import UUID, uuid5

from contracts import fields
from contracts.catalogue import ALWAYS_READS, CATALOGUE, Owner, service_source
from contracts.fields import PartnerId
from contracts.kwalificaties import Kwalificatietabel
from contracts.model import Data
from contracts.ontvangst import Waarop
from contracts.partners import Registry
from services.chassis.aggregate import Aggregate, Store
from services.chassis.calendar import Calendar
from services.chassis.messages import Dossier, Due, Effect, Emit, Fact, Follows, Keep, On, Submission, TooEarly
from services.chassis.telemetry import child_of, new_uuid

T = TypeVar("T")
_OTHER_CASE: Final = UUID("0f6a5c1e-7d0c-4d44-b0a1-0a4c3d1f6a55")


class Work(Protocol):
    """What a handler may ask for."""

    @property
    def calendar(self) -> Calendar: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def kwalificaties(self) -> Kwalificatietabel: ...

    def get(self, kind: type[T], key: str) -> T | None:
        """The aggregate of that kind and key, locked until the batch is committed."""

    def require(self, kind: type[T], key: str, waarop: Waarop) -> T:
        """The same where there must be one.

        Raises:
            TooEarly: there is none yet; the submission waits for it.
        """

    def find(self, kind: type[T], lookup: str, value: str) -> list[T]:
        """Every aggregate of that kind whose lookup has that value, in order of key; locked."""

    def draw(self, prefix: str) -> str:
        """A fresh subject number."""

    def unused(self, number: str) -> str:
        """A subject number that cannot have been used, such as the next of a series that is locked.

        Storage is not asked for it first; if it was used all the same, storing it fails.
        """

    def new_id(self) -> str:
        """A fresh UUIDv7, such as the correlation id of a case that begins here."""

    def dataref(self, key: str) -> str:
        """The address under which this service answers for what it keeps under `key`."""


class Ref(NamedTuple):
    """One aggregate by key, or, with a lookup, all that have `value` in it."""

    kind: type
    value: str
    lookup: str | None = None


class Missing(Exception):
    """Not in memory yet: load these and run the handler again."""

    def __init__(self, *refs: Ref) -> None:
        super().__init__()
        self.refs = refs


class Row(NamedTuple):
    """An aggregate with what storage knows of it. `state` is None where there is none yet."""

    state: Any
    sequences: Mapping[str, int]
    stored: bool


_ABSENT = Row(None, {}, False)


@dataclass(slots=True)
class Staged:
    """What one message brings about."""

    rows: dict[tuple[type, str], Row] = field(default_factory=dict)
    facts: list[tuple[Fact[Data], frozenset[PartnerId]]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)


class UnitOfWork:
    """The aggregates of one batch. `complete` means nothing is left to load: all is in memory."""

    def __init__(
        self,
        owner: Owner,
        stores: Mapping[type[Aggregate], Store],
        registry: Registry,
        kwalificaties: Kwalificatietabel,
        calendar: Calendar,
        *,
        public_url: str,
        complete: bool = False,
    ) -> None:
        self._public_url = public_url
        self.registry = registry
        self.kwalificaties = kwalificaties
        self.calendar = calendar
        self._owner = owner
        self._stores = stores
        self._complete = complete
        self._rows: dict[tuple[type, str], Row] = {}
        self._index: dict[tuple[type, str, str], set[str]] = {}
        self._found: set[Ref] = set()
        self._staged = Staged()
        self.changed: set[tuple[type, str]] = set()
        self._touched: set[tuple[type, str]] = set()
        self._moved: dict[str, list[Store]] = {}
        for store in stores.values():
            for entity in store.moved_by:
                self._moved.setdefault(entity, []).append(store)
        self._own = frozenset(CATALOGUE.entities_of(owner))

    # What handlers use

    def get(self, kind: type[T], key: str) -> T | None:
        state: T | None = self._row(kind, key).state
        return state

    def require(self, kind: type[T], key: str, waarop: Waarop) -> T:
        found = self.get(kind, key)
        if found is None:
            raise TooEarly(waarop, On(kind, key))
        return found

    def find(self, kind: type[T], lookup: str, value: str) -> list[T]:
        ref = Ref(kind, value, lookup)
        if ref not in self._found and not self._complete:
            raise Missing(ref)
        column = self._stores[_as_aggregate(kind)].lookups[lookup]
        keys = set(self._index.get((kind, lookup, value), ()))
        for (staged_kind, key), row in self._staged.rows.items():
            if staged_kind is kind:
                keys.discard(key)
                if row.state is not None and column(row.state) == value:
                    keys.add(key)
        return [self._row(kind, key).state for key in sorted(keys)]

    def draw(self, prefix: str) -> str:
        return self.unused(fields.draw_number(prefix))

    def unused(self, number: str) -> str:
        self._staged.fresh.add(number)
        return number

    def new_id(self) -> str:
        return new_uuid()

    def dataref(self, key: str) -> str:
        return f"{self._public_url}/{key}"

    # What the runner uses

    def hints(self, event: Submission[Any] | Fact[Any] | Due) -> Iterable[Ref]:
        """What a message surely needs, so that one round of loading mostly suffices."""
        if isinstance(event, Due):
            if (event.kind, event.key) not in self._rows:
                yield Ref(event.kind, event.key)
        elif isinstance(event, Fact):
            for store in self._moved.get(event.type.entity, ()):
                key = store.moved_by[event.type.entity](event)
                if key is not None and (store.kind, key) not in self._rows:
                    yield Ref(store.kind, key)
        elif event.subject is not None:
            for store in self._moved.get(event.type.entity, ()):
                if (store.kind, event.subject) not in self._rows and event.type.entity in store.writes:
                    yield Ref(store.kind, event.subject)

    def hear(self, fact: Fact[Any]) -> None:
        """Lets a foreign fact move the aggregates that follow it. Own facts moved theirs when recorded."""
        if fact.type.entity not in self._own:
            self._evolve(fact)

    def touch(self, kind: type, key: str) -> None:
        """Has an aggregate written again as it is: what storage derives from it may have changed."""
        self._staged.rows[kind, key] = self._row(kind, key)

    def record(
        self, follows: Follows, cause: Submission[Any] | Fact[Any] | Due, now: datetime
    ) -> list[Fact[Data]]:
        """Turns what follows into facts, in order, each moving its aggregates before the next."""
        recorded: list[Fact[Data]] = []
        case = cause.correlationid if isinstance(cause, Fact) else None
        for item in follows:
            if isinstance(item, Effect):
                self._staged.effects.append(item)
                continue
            if isinstance(item, Keep):
                self._staged.keeps.append(item)
                continue
            case = case or item.dossier.correlationid
            recorded.append(self._record(item, cause, now, same_case=case == item.dossier.correlationid))
        return recorded

    def settle(self) -> Staged:
        """Keeps what the handler staged."""
        staged, self._staged = self._staged, Staged()
        for (kind, key), row in staged.rows.items():
            self._put(kind, key, row)
            self.changed.add((kind, key))
            self._touched.add((kind, key))
        return staged

    def take_touched(self) -> set[tuple[type, str]]:
        """The aggregates that changed since this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def discard(self) -> None:
        """Forgets what the handler staged."""
        self._staged = Staged()

    def loaded(self, kind: type, key: str, row: Row | None) -> None:
        """Takes in a row from storage, or that there is none."""
        if (kind, key) not in self._rows:
            self._put(kind, key, row or _ABSENT)

    def looked_up(self, ref: Ref) -> None:
        self._found.add(ref)

    def row(self, kind: type, key: str) -> Row:
        """The row as it is now, for storage."""
        return self._rows[kind, key]

    def stored(self) -> None:
        """What was changed is in storage now."""
        for kind, key in self.changed:
            row = self._rows[kind, key]
            self._rows[kind, key] = Row(row.state, row.sequences, True)
        self.changed.clear()

    # Inside

    def _row(self, kind: type, key: str) -> Row:
        row = self._staged.rows.get((kind, key)) or self._rows.get((kind, key))
        if row is not None:
            return row
        if self._complete or key in self._staged.fresh:
            return _ABSENT
        raise Missing(Ref(kind, key))

    def _put(self, kind: type, key: str, row: Row) -> None:
        store = self._stores[_as_aggregate(kind)]
        before = self._rows.get((kind, key))
        for lookup, column in store.lookups.items():
            if before is not None and before.state is not None and (old := column(before.state)) is not None:
                self._index.get((kind, lookup, old), set()).discard(key)
            if row.state is not None and (new := column(row.state)) is not None:
                self._index.setdefault((kind, lookup, new), set()).add(key)
        self._rows[kind, key] = row

    def _record(
        self, emit: Emit, cause: Submission[Any] | Fact[Any] | Due, now: datetime, *, same_case: bool
    ) -> Fact[Data]:
        event_type = CATALOGUE.of(type(emit.data))
        if event_type.entity not in self._own:
            raise ValueError(f"{self._owner.value} does not own the stream {event_type.entity}")
        claimed = isinstance(cause, Submission) and event_type is cause.type
        fact = Fact(
            type=event_type,
            id=new_uuid(),
            source=service_source(self._owner.value),
            subject=emit.subject,
            sequence=self._next_sequence(event_type.entity, emit.subject),
            time=cause.time if isinstance(cause, Submission) and claimed else self.calendar.now(),
            recorded=now,
            correlationid=emit.dossier.correlationid,
            causationid=_because(emit, cause, same_case=same_case),
            actor=cause.partner if isinstance(cause, Submission) and claimed else self._owner.value,
            data=emit.data,
            dataref=emit.dataref,
            traceparent=child_of(cause.traceparent if same_case else None),
            tracestate=cause.tracestate if same_case else None,
            referentie=cause.referentie if isinstance(cause, Submission) and claimed else None,
            private=emit.private,
        )
        self._evolve(fact)
        self._staged.facts.append((fact, self._readers(fact, emit.dossier)))
        return fact

    def _next_sequence(self, entity: str, subject: str) -> int:
        store = self._writer(entity)
        row = self._row(store.kind, subject)
        sequence = row.sequences.get(entity, 0) + 1
        counted = Row(row.state, {**row.sequences, entity: sequence}, row.stored)
        self._staged.rows[store.kind, subject] = counted
        return sequence

    def _writer(self, entity: str) -> Store:
        """The aggregate that counts a stream: the one that is moved by it under its own subject."""
        for store in self._moved.get(entity, ()):
            if entity in store.writes:
                return store
        raise LookupError(f"no aggregate of {self._owner.value} writes the stream {entity}")

    def _evolve(self, fact: Fact[Any]) -> None:
        entity = fact.type.entity
        for store in self._moved.get(entity, ()):
            key = store.moved_by[entity](fact)
            if key is None:
                continue
            row = self._row(store.kind, key)
            told = fact if store.due is None else replace(fact, heard=self.calendar.now())
            state = store.kind.evolve(row.state, told)
            if state is not row.state:
                self._staged.rows[store.kind, key] = Row(state, row.sequences, row.stored)

    def _readers(self, fact: Fact[Data], dossier: Dossier) -> frozenset[PartnerId]:
        reads = fact.type.readers
        parties = {partner for rol, partner in dossier.parties if rol in reads}
        return frozenset(parties | set(self.registry.in_role(*(reads & ALWAYS_READS))))


def _because(emit: Emit, cause: Submission[Any] | Fact[Any] | Due, *, same_case: bool) -> str:
    if isinstance(cause, Due):
        if emit.because is None:
            raise ValueError("a fact that follows from time alone says which fact set the time")
        return emit.because
    # Another case must not learn a partner's own message id, which may name a traject.
    return cause.id if same_case else str(uuid5(_OTHER_CASE, f"{cause.source}/{cause.id}"))


def _as_aggregate(kind: type) -> type[Aggregate]:
    return kind
