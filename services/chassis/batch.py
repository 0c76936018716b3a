"""One transaction: a batch of messages judged, and everything that follows from them written.

Every outcome of every message is a row here before anything is acknowledged: done, waiting, held, to be
retried, or parked.
"""

import contextlib
import logging
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from contracts.catalogue import CATALOGUE, service_source
from contracts.model import Data
from contracts.ontvangst import Aanvaard, Afgewezen, Code, Waarop, Wacht
from services.chassis import logs, wire
from services.chassis import storage as s
from services.chassis.betrokkenen import Joined
from services.chassis.gate import Gate, Turned, decide
from services.chassis.item import ACCEPTED, DISCARDED, REPEATED, Broken, Item, Outcome
from services.chassis.messages import AlreadyKnown, Due, Effect, Fact, Keep, Refused, Submission, TooEarly
from services.chassis.service import Service
from services.chassis.telemetry import error_type
from services.chassis.work import Missing, Ref, UnitOfWork

if TYPE_CHECKING:
    from services.chassis.tracing import BatchSpans

_log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 8
_MENDED_WITHIN: Final = timedelta(days=5)
"""What a sender is told of when a fault of ours will be mended."""
ENDED_PROCESS: Final = "the process ended twice while on this message"
"""Why a message is parked that nothing but a crash can judge."""
_NEWER_LOOK: Final = timedelta(seconds=30)
"""Between looks whether a fact of a type unknown here is known by now: a roll-out may be under way."""
_NEWER_LOOKS: Final = 2880
"""After a day no newer version is coming."""
_NOT_YET: Final = timedelta(seconds=10)
"""Between looks whether it is the turn of a fact that is to be passed over."""
_POSTPONED: Final = timedelta(minutes=10)
"""By the calendar: how long due work that fails is left alone."""
_ROUNDS: Final = 100
"""How often what was woken may wake more, in one transaction; the rest follows in the next."""
_NOTHING_NEW: Final = 16
"""After so many messages that ask for nothing new, the others are not asked what they need."""


@dataclass(slots=True)
class _Results:
    outgoing: list[s.Outgoing] = field(default_factory=list)
    receipts: dict[s.Key, tuple[int, bytes]] = field(default_factory=dict)
    aside: dict[s.Key, s.Pending] = field(default_factory=dict)
    done: set[s.Key] = field(default_factory=set)
    recorded: list[tuple[Fact[Data], bytes]] = field(default_factory=list)
    effects: list[tuple[Effect, str | None]] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)
    joined: list[Joined] = field(default_factory=list)
    postponed: list[Due] = field(default_factory=list)


class Batch:
    """Judges items in order within the transaction of `storage`.

    A handler that raises is the culprit alone: its message is set aside to be retried, the others stand.
    An error of the database ends the whole batch; the runner then tries one by one.
    """

    def __init__(
        self,
        service: Service,
        gate: Gate,
        work: UnitOfWork,
        storage: s.Storage,
        spans: "BatchSpans | None" = None,
    ) -> None:
        self._service = service
        self._gate = gate
        self._work = work
        self._storage = storage
        self._spans = spans
        self._now = datetime.now(UTC)
        self._results = _Results()
        self._cursors: dict[tuple[str, str], int] = {}
        self._advanced: dict[tuple[str, str], int] = {}
        self.set_aside = False
        """Whether anything was left undone."""

    async def run(self, items: Sequence[Item], *, look_for_woken: bool) -> None:
        """Takes in new messages."""
        again = await self._enter(items)
        fresh = [item for item in items if id(item) not in again]
        await self._judge(fresh)
        await self._finish(look_for_woken)
        await self._answer_again([item for item in items if id(item) in again])

    async def resume(self, keys: Sequence[s.Key], *, parked: bool = False) -> None:
        """Takes up messages that were set aside: retries, discards, what was held, what waited long enough."""
        await self._judge([self._taken_up(row) for row in await self._storage.claim(keys, parked=parked)])
        await self._finish(look_for_woken=True)

    async def fall_due(self, due: Sequence[Due]) -> None:
        """Does what follows from time alone, where it is still to be done and nobody else has it in hand."""
        await self._judge([_on_time(work) for work in await self._claim_due(due)])
        await self._finish(look_for_woken=True)

    async def fail_due(self, due: Due, error: BaseException) -> None:
        """Postpones due work that the database itself refuses."""
        for work in await self._claim_due([due]):
            item = _on_time(work)
            with self._traced(item):
                self._postpone(item, work, error)
        await self._write()

    async def fail(self, item: Item, error: BaseException) -> None:
        """Sets a message aside that the database itself refuses."""
        await self._enter([item])
        with self._traced(item):
            self._fail(item, error)
        await self._write()

    async def fail_again(self, row: s.Pending, error: BaseException) -> None:
        """The same for a message that was set aside before."""
        item = self._taken_up(row)
        with self._traced(item):
            self._fail(item, error)
        await self._write()

    async def park(self, item: Item, cause: str) -> None:
        """Sets a message aside until an operator retries or discards it."""
        await self._enter([item])
        with self._traced(item):
            _log.error("parked", extra=self._ids(item))
            self._put_aside(item, s.PARKED, cause=cause, error="crash")
            self._tell_of_fault(item)
        await self._write()

    def committed(self) -> None:
        """The transaction is committed: what became of its messages may be told."""
        if self._spans is not None:
            self._spans.committed()

    # Taking in

    async def _enter(self, items: Sequence[Item]) -> set[int]:
        """Writes inbox rows; which items (by identity) are repeats of a message."""
        entries: dict[s.Key, s.Entry] = {}
        first: dict[s.Key, Item] = {}
        for item in items:
            if (key := item.key) is not None and key not in entries:
                entries[key] = s.Entry(key=key, hash=item.hash, partner=item.partner)
                first[key] = item
        new = await self._storage.enter(list(entries.values())) if entries else set()
        return {
            id(item) for item in items if (key := item.key) is not None and not (key in new and first[key] is item)
        }

    async def _answer_again(self, repeats: Sequence[Item]) -> None:
        """The same message gets the same receipt again; another body under the same id is refused."""
        asked = {key for item in repeats if item.partner is not None and (key := item.key) is not None}
        known = await self._storage.known(asked) if asked else {}
        for item in repeats:
            with self._traced(item):
                item.outcome = REPEATED
                if item.partner is not None and item.key is not None:
                    self._reply_again(item, known[item.key])
        if self._results.outgoing:
            await self._send()

    def _reply_again(self, item: Item, before: s.Known) -> None:
        if before.hash != item.hash:
            self._reply(item, wire.refused(Code.ID_HERGEBRUIKT, "id"), unlisted=True)
        elif before.receipt is not None:
            repeated = wire.decode(before.receipt)
            self._post(repeated, before.receipt, frozenset([str(item.partner)]))

    def _taken_up(self, row: s.Pending) -> Item:
        content: Submission[Any] | Fact[Any] | Turned | Broken
        if row.partner is not None:
            content = self._gate.readmit(row.partner, row.body)
        else:
            try:
                content = wire.decode(row.body)
            except wire.Unusable as problem:  # the contract changed while it was set aside
                content = Broken(
                    source=row.key[0],
                    id=row.key[1],
                    cause=str(problem),
                    place=problem.place,
                    newer=problem.newer,
                )
        return Item(content=content, hash=b"", body=row.body, pending=row)

    # Judging

    async def _judge(self, items: Sequence[Item]) -> None:
        await self._load_cursors(items)
        await self._storage.load(self._work, self._service.stores, self._hints(items))
        todo = deque(items)
        while todo:
            try:
                if self._spans is None:
                    self._judge_one(todo[0])
                else:
                    self._spans.begin(todo[0])
                    self._judge_one(todo[0])
                    self._spans.processed(todo[0])
                todo.popleft()
            except Missing:
                await self._storage.load(self._work, self._service.stores, self._missing(todo))

    def _hints(self, items: Sequence[Item]) -> set[Ref]:
        return {
            ref
            for item in items
            if not isinstance(item.content, Turned | Broken)
            for ref in self._work.hints(item.content)
        }

    def _missing(self, items: Iterable[Item]) -> set[Ref]:
        """What these messages ask for next, found by trying each without keeping anything.

        Given up once so many in a row ask for nothing new: mostly they all want the same then.
        """
        refs: set[Ref] = set()
        nothing_new = 0
        for item in items:
            if isinstance(item.content, (Turned, Broken)):
                continue
            if nothing_new == _NOTHING_NEW:
                break
            known = len(refs)
            try:
                decide(self._service, item.content, self._work, self._now)
            except Missing as missing:
                refs.update(missing.refs)
            except Exception:
                pass
            finally:
                self._work.discard()
            nothing_new = nothing_new + 1 if len(refs) == known else 0
        return refs

    async def _load_cursors(self, items: Sequence[Item]) -> None:
        streams = {
            (place[0], place[1]) for item in items if (place := _place(item.content))
        } - self._cursors.keys()
        if streams:
            self._cursors |= dict.fromkeys(streams, 0) | await self._storage.cursors(streams)

    def _judge_one(self, item: Item) -> None:
        if item.pending is not None and item.pending.status == s.DISCARD:
            self._discard(item, item.pending)
        elif isinstance(item.content, Fact):
            self._judge_fact(item, item.content)
        elif isinstance(item.content, Due):
            self._judge_due(item, item.content)
        elif isinstance(item.content, Broken):
            self._judge_broken(item, item.content)
        elif isinstance(item.content, Turned):
            self._reply(item, wire.refused(item.content.code, item.content.veld), unlisted=item.key is None)
        else:
            self._judge_submission(item, item.content)

    def _judge_fact(self, item: Item, fact: Fact[Any]) -> None:
        stream = (fact.type.entity, fact.subject)
        behind = self._cursors[stream]
        if fact.sequence <= behind:
            item.outcome = REPEATED
            self._done(item)
            return
        if fact.sequence > behind + 1:
            self._put_aside(item, s.HELD, cause="an earlier fact of the stream is missing")
            return
        try:
            decide(self._service, fact, self._work, self._now)
        except Missing:
            self._work.discard()
            raise
        except Exception as error:
            self._work.discard()
            self._fail(item, error)
            return
        self._settle(fact.traceparent)
        if fact.source != service_source(self._service.name):
            self._note_joined(fact)
        self._results.recorded.append((fact, item.body))
        self._cursors[stream] = self._advanced[stream] = fact.sequence
        item.outcome = ACCEPTED
        self._done(item)

    def _judge_broken(self, item: Item, broken: Broken) -> None:
        """Nobody can judge it; but where another service is ahead of this one, this one will soon follow."""
        attempts = (item.pending.attempts if item.pending else 0) + 1
        error = error_type(wire.Unusable(broken.cause))
        if broken.newer and attempts <= _NEWER_LOOKS:
            due = self._now + _NEWER_LOOK
            self._put_aside(item, s.RETRY, cause=broken.cause, error=error, attempts=attempts, due=due)
        else:
            self._put_aside(item, s.PARKED, cause=broken.cause, error=error)

    def _judge_submission(self, item: Item, submission: Submission[Any]) -> None:
        try:
            facts = decide(self._service, submission, self._work, self._now)
        except Missing:
            self._work.discard()
            raise
        except Refused as verdict:
            self._work.discard()
            self._reply(item, wire.refused(verdict.code, verdict.veld))
        except AlreadyKnown as verdict:
            self._work.discard()
            self._reply(item, wire.accepted(verdict.subject, verdict.sequence))
        except TooEarly as verdict:
            self._work.discard()
            self._wait(item, verdict)
        except Exception as error:
            self._work.discard()
            self._fail(item, error)
        else:
            claimed = facts[0]
            place = len(self._results.outgoing)
            self._settle(submission.traceparent)
            self._reply(
                item,
                wire.accepted(claimed.subject, claimed.sequence),
                correlationid=claimed.correlationid,
                place=place,
            )

    def _discard(self, item: Item, row: s.Pending) -> None:
        """Gives a message up, as an operator decided: its sender has its answer, its stream goes on after it."""
        content = item.content
        if not isinstance(content, Fact | Broken):
            self._reply(item, wire.refused(Code.VERWORPEN))
            return
        if place := _place(content):
            stream, sequence = place[:2], place[2]
            if sequence > self._cursors[stream] + 1:
                self._put_aside(item, s.DISCARD, cause=row.cause, attempts=row.attempts, due=self._now + _NOT_YET)
                return
            if sequence == self._cursors[stream] + 1:
                self._cursors[stream] = self._advanced[stream] = sequence
                if isinstance(content, Fact):
                    self._results.recorded.append((content, item.body))
        item.outcome = DISCARDED
        self._done(item)

    def _judge_due(self, item: Item, due: Due) -> None:
        try:
            decide(self._service, due, self._work, self._now)
        except Missing:
            self._work.discard()
            raise
        except Exception as error:
            self._work.discard()
            self._postpone(item, due, error)
            return
        self._settle(due.traceparent)
        item.outcome = ACCEPTED

    def _settle(self, traceparent: str | None) -> None:
        staged = self._work.settle()
        for fact, readers in staged.facts:
            if self._spans is not None:
                fact = self._spans.created(fact)
            self._post(fact, wire.encode(fact), readers)
            self._note_joined(fact)
        asking = traceparent if self._spans is None else self._spans.current
        self._results.effects += [(effect, asking) for effect in staged.effects]
        self._results.keeps += staged.keeps

    def _note_joined(self, fact: Fact[Any]) -> None:
        if self._service.shared and (joined := Joined.by(fact)) is not None:
            self._results.joined.append(joined)

    # Outcomes

    def _done(self, item: Item) -> None:
        if item.pending is not None:
            self._results.done.add(item.pending.key)

    def _wait(self, item: Item, verdict: TooEarly) -> None:
        today = self._work.calendar.now()
        until = item.pending.until if item.pending and item.pending.until else None
        if until is not None and until <= today:
            self._reply(item, wire.refused(verdict.anders))
            return
        first = until is None
        until = until or today + timedelta(days=verdict.days)
        self._put_aside(item, s.WAITING, wait_on=str(verdict.on), until=until)
        if first:
            self._reply(item, wire.waiting(verdict.waarop, until), final=False)

    def _fail(self, item: Item, error: BaseException) -> None:
        """A fault of ours: retry with backoff, park after a while. The sender is told once."""
        attempts = (item.pending.attempts if item.pending else 0) + 1
        cause = error_type(error)
        _log.error("handler failed", exc_info=error, extra={**self._ids(item), "attempts": attempts})
        discarded = item.pending is not None and item.pending.status == s.DISCARD
        if attempts >= MAX_ATTEMPTS or discarded:
            self._put_aside(item, s.PARKED, cause=cause, error=cause, attempts=attempts)
        else:
            delay = min(600.0, 0.5 * 2**attempts) * random.uniform(0.5, 1.5)
            due = self._now + timedelta(seconds=delay)
            self._put_aside(item, s.RETRY, cause=cause, error=cause, attempts=attempts, due=due)
        self._tell_of_fault(item)

    def _postpone(self, item: Item, due: Due, error: BaseException) -> None:
        """A fault of ours. There is nobody to tell and nothing to park: it is tried again while it is due."""
        item.outcome = Outcome("postponed", error=error_type(error))
        about = {"kind": due.kind.__name__, "key": due.key}
        _log.error("due work failed", exc_info=error, extra=about)
        self._results.postponed.append(due)

    async def _claim_due(self, due: Sequence[Due]) -> list[Due]:
        now = self._work.calendar.now()
        claimed: list[Due] = []
        for kind in self._service.on_due:
            keys = [work.key for work in due if work.kind is kind]
            free = set(await self._storage.overdue(self._service.stores[kind], now, keys=keys)) if keys else set()
            claimed += [work for work in due if work.kind is kind and work.key in free]
        return claimed

    def _tell_of_fault(self, item: Item) -> None:
        """The sender hears once that a fault of ours holds its message up."""
        if item.partner is not None and not (item.pending and item.pending.receipts):
            until = self._work.calendar.now() + _MENDED_WITHIN
            self._reply(item, wire.waiting(Waarop.HERSTEL, until), final=False)

    def _put_aside(
        self,
        item: Item,
        status: str,
        *,
        cause: str | None = None,
        error: str | None = None,
        attempts: int = 0,
        due: datetime | None = None,
        wait_on: str | None = None,
        until: datetime | None = None,
    ) -> None:
        assert item.key is not None
        item.outcome = Outcome(status, error=error)
        content, place = item.content, _place(item.content)
        row = item.pending or s.Pending(
            key=item.key,
            status=status,
            partner=item.partner,
            entity=content.type.entity if isinstance(content, Submission) else place[0] if place else "",
            subject=content.subject if isinstance(content, Submission) else place[1] if place else None,
            sequence=place[2] if place else None,
            body=item.body,
        )
        item.pending = replace(
            row,
            status=status,
            cause=cause,
            attempts=attempts,
            due=due,
            wait_on=wait_on,
            until=until or row.until,
        )
        self._results.aside[item.key] = item.pending
        self._results.done.discard(item.key)
        self.set_aside = True

    def _reply(
        self,
        item: Item,
        data: Aanvaard | Afgewezen | Wacht,
        *,
        correlationid: str | None = None,
        final: bool = True,
        unlisted: bool = False,
        place: int | None = None,
    ) -> None:
        """Gives the sender a receipt. `unlisted`: it uses up no place in the inbox."""
        content = item.content
        assert not isinstance(content, Fact | Broken | Due)
        count = 1 if unlisted else (item.pending.receipts if item.pending else 0) + 1
        source = content.source or content.partner
        receipt = wire.receipt(
            data,
            service=self._service.name,
            submission_id=content.id,
            sequence=count,
            now=self._now,
            correlationid=correlationid,
            traceparent=content.traceparent,
            deterministic=b"\0".join([source.encode(), content.id.encode(), item.hash if unlisted else b""]),
        )
        if self._spans is not None:
            receipt = self._spans.created(receipt)
        body = wire.encode(receipt)
        self._post(receipt, body, frozenset([content.partner]), place=place)
        if not unlisted:
            assert item.key is not None
            self._results.receipts[item.key] = (count, body)
            if item.pending is not None:
                item.pending.receipts = count
        if isinstance(data, Aanvaard):
            item.outcome = ACCEPTED
        elif isinstance(data, Afgewezen):
            item.outcome = Outcome("refused", code=data.code)
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug("refused", extra={**self._ids(item), "code": data.code.value})
        if final:
            self._done(item)

    def _post(self, fact: Fact[Data], body: bytes, readers: frozenset[str], *, place: int | None = None) -> None:
        outgoing = s.Outgoing(
            message_id=fact.id,
            type=fact.type.name,
            routing_key=fact.type.routing_key,
            readers=tuple(sorted(readers)),
            body=body,
            correlationid=fact.correlationid,
        )
        self._results.outgoing.insert(len(self._results.outgoing) if place is None else place, outgoing)

    # Writing

    async def _finish(self, look_for_woken: bool) -> None:
        """Writes what came of it, and takes up what that woke."""
        for _ in range(_ROUNDS):
            touched, advanced = self._work.take_touched(), self._advanced
            self._advanced = {}
            await self._write(advanced)
            if not (look_for_woken or self.set_aside) or not (touched or advanced):
                return
            changed = {f"{kind.__name__}:{key}" for kind, key in touched}
            woken = await self._storage.woken(changed, advanced)
            if not woken:
                return
            await self._judge([self._taken_up(row) for row in woken])
        self.set_aside = True

    async def _write(self, advanced: dict[tuple[str, str], int] | None = None) -> None:
        results, self._results = self._results, _Results()
        await self._storage.save(self._work, self._service.stores)
        if results.keeps and self._service.keeper:
            await self._service.keeper(self._storage.connection, results.keeps)
        if results.recorded and self._service.recorder:
            await self._service.recorder(self._storage.connection, results.recorded)
        if advanced:
            await self._storage.advance(advanced)
        if results.aside:
            await self._storage.set_aside(list(results.aside.values()))
        if results.done:
            await self._storage.done(results.done)
        if results.receipts:
            await self._storage.keep_receipts(results.receipts)
        if results.postponed:
            until = self._work.calendar.now() + _POSTPONED
            await self._storage.postpone([(self._service.stores[d.kind], d.key) for d in results.postponed], until)
        if results.effects:
            await self._storage.request(
                [effect for effect, _ in results.effects], [trace for _, trace in results.effects]
            )
        if results.outgoing:
            await self._storage.send(results.outgoing)
        for joined in results.joined:
            types = [
                item.name
                for item in CATALOGUE.values()
                if item.entity in self._service.shared and joined.rol in item.readers
            ]
            await self._storage.share(joined.correlationid, joined.partner, types)

    async def _send(self) -> None:
        await self._storage.send(self._results.outgoing)
        self._results.outgoing = []

    # Telling

    @contextlib.contextmanager
    def _traced(self, item: Item) -> Iterator[None]:
        """Notes what becomes of one message."""
        if self._spans is not None:
            self._spans.begin(item)
        yield
        if self._spans is not None:
            self._spans.processed(item)

    def _ids(self, item: Item) -> dict[str, str]:
        """What ties a line of the log to this message."""
        content = item.content
        traceparent = None if isinstance(content, Broken) else content.traceparent
        return logs.about(
            None if isinstance(content, Due) else content.id,
            traceparent if self._spans is None else self._spans.current,
            content.correlationid if isinstance(content, Fact) else None,
            in_span=self._spans is not None,
        )


def _place(content: Submission[Any] | Fact[Any] | Turned | Broken | Due) -> tuple[str, str, int] | None:
    """Entity, subject and sequence of what has its turn in a stream."""
    if isinstance(content, Fact):
        return content.type.entity, content.subject, content.sequence
    return content.place if isinstance(content, Broken) else None


def _on_time(due: Due) -> Item:
    return Item(content=due, hash=b"", body=b"")
