"""What a service tells of its work: spans and counts, of what became of each message and how that left.

    process match.bevestigd          a child of the span in which the message was created
      create match.bevestigd         one for each fact and receipt; its context is their `traceparent`
        process match.bevestigd      another service, another time
      deliver mail                   an attempt at an effect that the message asked for
        GET                          what was asked of another service for it
          GET /personen/{key}        there
        send mail                    over SMTP
    due termijnen                    what followed from time alone, a trace of its own
    commit                           a transaction, linked to what was processed in it
    send feiten                      a window of the relay, linked to where its messages were created

A fact of another case than its cause begins a trace of its own, linked to the cause. Names and attributes
follow OpenTelemetry's semantic conventions for messaging and RabbitMQ, databases and HTTP. No body, no subject, no
statement and no message of an exception gets into a span.

Spans are made when all about them is known: a handler may run more than once, and only the run that was
committed is told. That is why they are built as finished spans, not through a tracer. Their ids are not drawn
here but where messages get their `traceparent`, and whether a trace is exported is in its flags.

A trace that was not sampled where it began is exported all the same from where it fails, is tried again, or
proves slow: that span, and all that follows from it, whose context then says so. What was already passed over,
upstream or side by side, cannot be brought back: who wants such traces whole exports all (a ratio of 1) to a
collector that decides when a trace is complete (its tail sampling, by status and latency).
"""

import contextlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.catalogue import Owner
from contracts.model import Data
from contracts.ontvangst import Afgewezen, Wacht
from services.chassis import metrics as m
from services.chassis import names
from services.chassis.gate import Turned
from services.chassis.item import ACCEPTED, REPEATED, Broken, Item, Outcome
from services.chassis.messages import Due, Fact, Submission
from services.chassis.metrics import Metrics
from services.chassis.otlp import (
    CLIENT,
    CONSUMER,
    INTERNAL,
    PRODUCER,
    SERVER,
    Encoder,
    Line,
    Operation,
    Outlet,
    Receiver,
    Span,
)
from services.chassis.telemetry import (
    Attributes,
    Part,
    child_of,
    error_type,
    in_hand,
    is_sampled,
    kept,
    new_uuid,
    same_trace,
)
from services.chassis.tracefile import TraceFile

SYSTEM: Final = "messaging.system"
RABBITMQ: Final = "rabbitmq"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
ROUTING_KEY: Final = "messaging.rabbitmq.destination.routing_key"
MESSAGE_ID: Final = "messaging.message.id"
CONVERSATION: Final = "messaging.message.conversation_id"
BATCH_COUNT: Final = "messaging.batch.message_count"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
DB_SYSTEM: Final = "db.system.name"
POSTGRESQL: Final = "postgresql"
DB_NAMESPACE: Final = "db.namespace"
DB_OPERATION: Final = "db.operation.name"
COMMIT: Final = "COMMIT"
METHOD: Final = "http.request.method"
ROUTE: Final = "http.route"
SCHEME: Final = "url.scheme"
STATUS: Final = "http.response.status_code"
OUTCOME: Final = "praktijkbus.outcome"
"""What became of a message, see `item.Outcome`, or of an effect."""
CODE: Final = "praktijkbus.code"
"""Why a submission was refused."""
ATTEMPT: Final = "praktijkbus.attempt"
"""Which attempt it is; of a message where it is not the first."""
STATEMENTS: Final = "praktijkbus.statements"
"""Statements in a transaction."""

_CLOSE_WITHIN: Final = 2.0
"""Seconds that what is left gets when the process ends."""
_ROOM: Final = 16384
"""Spans, or lines of the log, that may be on their way out."""
_ROUNDS: Final = 4
"""The same of rounds of metrics."""
_OPERATIONS: Final = 1024
"""Of those that messages have; there are fewer."""
_IN_BODY: Final = re.compile(rb'"traceparent":"([0-9a-f-]{55})"')


class Tracing:
    """Tells of one service: over OTLP, and spans to a file. What cannot be kept up with is dropped and counted."""

    def __init__(
        self,
        owner: Owner,
        *,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        file: Path | None = None,
        amqp_url: str,
        database_url: str,
        slow: float = 5.0,
    ) -> None:
        """`endpoint`, `headers`, `file` and `slow` as in `Settings`."""
        self.metrics = Metrics()
        self.slow = round(slow * 1e9)
        self.owner = owner
        self._broker = _address(amqp_url, 5672)
        self._sending = Operation(f"send {names.FACTS}", CLIENT, self._messaging("send", names.FACTS))
        self.creating = lru_cache(_OPERATIONS)(self._creating)
        self.processing = lru_cache(_OPERATIONS)(self._processing)
        self.database = urlsplit(database_url).path.lstrip("/")
        about: Attributes = {DB_SYSTEM: POSTGRESQL, DB_NAMESPACE: self.database, DB_OPERATION: COMMIT}
        self.committing = Operation("commit", CLIENT, {**about, **_address(database_url, 5432)})
        resource: Attributes = {
            "service.name": f"praktijkbus-{owner.value}",
            "service.namespace": "praktijkbus",
            "service.instance.id": new_uuid(),
        }
        self._spans: list[Outlet[Span]] = []
        self.lines: Outlet[Line] | None = None
        self.snapshots: Outlet[m.Snapshot] | None = None
        if endpoint:
            encoder = Encoder(resource)
            self._spans.append(Outlet("traces", Receiver(endpoint, "traces", encoder.spans, headers), room=_ROOM))
            self.lines = Outlet("logs", Receiver(endpoint, "logs", encoder.lines, headers), room=_ROOM)
            self.snapshots = Outlet(
                "metrics", Receiver(endpoint, "metrics", encoder.snapshots, headers), room=_ROUNDS
            )
        if file is not None:
            self._spans.append(Outlet("file", TraceFile(file, resource), room=_ROOM))
        self._outlets: list[Outlet[Any]] = [*self._spans]
        self._outlets += [outlet for outlet in (self.lines, self.snapshots) if outlet is not None]
        self.metrics.ask(m.DROPPED, self.dropped)

    def batch(self, connection: dict[Any, Any]) -> "BatchSpans":
        """Takes down what is to be told of one transaction; `connection` is the `info` of its connection."""
        return BatchSpans(self, connection)

    def count_statements(self, engine: AsyncEngine) -> None:
        """Has the statements of each connection counted, in its `info`."""

        def count(connection: Connection, *_: object) -> None:
            connection.info[STATEMENTS] = connection.info.get(STATEMENTS, 0) + 1

        event.listen(engine.sync_engine, "before_cursor_execute", count)

    def sent(self, rows: Sequence[Any], outcomes: Sequence[BaseException | None], since: int) -> None:
        """A window of outbox rows went to the fact exchange; an exception for each that did not get there."""
        until = time_ns()
        errors = [None if outcome is None else error_type(outcome) for outcome in outcomes]
        failed = next((error for error in errors if error is not None), None)
        for (key, error), count in Counter(zip((row.routing_key for row in rows), errors, strict=True)).items():
            self.metrics.add(m.SENT, RABBITMQ, "send", names.FACTS, key, error, value=count)
        self.metrics.record(m.SEND_DURATION, RABBITMQ, "send", names.FACTS, failed, values=[(until - since) / 1e9])
        origins = [found[1].decode() for row in rows if (found := _IN_BODY.search(row.body))]
        if failed is None and until - since <= self.slow:
            origins = [origin for origin in origins if is_sampled(origin)]
        if origins:
            attributes: Attributes = {BATCH_COUNT: len(rows)}
            span = (self._sending, kept(child_of(None)), None, since, until, attributes)
            self.export([_span(*span, links=origins, error=failed)])

    @contextlib.contextmanager
    def effect(self, kind: str, traceparent: str | None, attempt: int) -> "Iterator[EffectTold]":
        """While an effect is carried out for which `traceparent` asked; what is done for it are its parts."""
        own = child_of(traceparent) if attempt == 1 else kept(child_of(traceparent))
        done: list[Part] = []
        told, since = EffectTold(), time_ns()
        with in_hand(own, done.append):
            yield told
        until = time_ns()
        error = None if told.failure is None else error_type(told.failure)
        outcome = "retry" if told.outcome == "open" else told.outcome
        self.metrics.add(m.EFFECTS, kind, outcome)
        self.metrics.record(m.EFFECT_DURATION, kind, outcome, values=[(until - since) / 1e9])
        for part in done:
            self._count_call(part)
        if error is not None or until - since > self.slow:
            own = kept(own)
        if is_sampled(own) and outcome != "skipped":
            attributes: Attributes = {OUTCOME: outcome, ATTEMPT: attempt}
            spans = [
                _span(
                    *(Operation(part.name, CLIENT), kept(part.traceparent), own, part.since, part.until),
                    part.attributes,
                    error=part.error,
                )
                for part in done
            ]
            delivering = Operation(f"deliver {kind}", INTERNAL)
            span = (delivering, own, traceparent, since, until, attributes)
            self.export([*spans, _span(*span, error=error)])

    @contextlib.contextmanager
    def serving(self, method: str, scheme: str, route: str, traceparent: str | None) -> "Iterator[ServedTold]":
        """While a request over HTTP is answered, that came with `traceparent`."""
        own = child_of(traceparent)
        told, since = ServedTold(), time_ns()
        try:
            with in_hand(own, self._count_call):
                yield told
        finally:
            until, error = time_ns(), str(told.status) if told.status >= 500 else None
            series = (method, scheme, route, told.status, error)
            self.metrics.record(m.HTTP_SERVER_DURATION, *series, values=[(until - since) / 1e9])
            if error is not None or until - since > self.slow:
                own = kept(own)
            if is_sampled(own):
                attributes: Attributes = {METHOD: method, SCHEME: scheme, ROUTE: route, STATUS: told.status}
                serving = Operation(f"{method} {route}", SERVER)
                span = (serving, own, traceparent, since, until, attributes)
                self.export([_span(*span, remote=True, error=error)])

    def line(self, at: int, level: str, said: dict[str, object]) -> None:
        """Something was logged, see `logs.Exporting`."""
        if self.lines is None:
            return
        error, stack = said.pop("error", None), said.pop("stack", None)
        if isinstance(error, list):
            said |= {"exception.type": error[0], "exception.stacktrace": stack}
        trace, span, text = (said.pop(key, None) for key in ("trace_id", "span_id", "message"))
        attributes = {key: value if isinstance(value, int) else str(value) for key, value in said.items()}
        self.lines.put([Line(at, level, str(text), attributes, _text(trace), _text(span))])

    def dropped(self) -> dict[m.Series, m.Value]:
        """How much of each signal was given up since the process began."""
        return {(outlet.signal,): outlet.dropped for outlet in self._outlets}

    def close(self) -> None:
        """Exports what is left, for as long as that takes but no more than 2 s."""
        for outlet in self._outlets:
            outlet.close()
        end = monotonic() + _CLOSE_WITHIN
        for outlet in self._outlets:
            outlet.join(max(0.0, end - monotonic()))

    # What spans are made of

    def _creating(self, key: str) -> Operation:
        return Operation(f"create {key}", PRODUCER, self._messaging("create", f"{names.FACTS}:{key}", key))

    def _processing(self, about: str, source: str, queue: str, routing_key: str | None, outcome: str) -> Operation:
        attributes = self._messaging("process", f"{source}:{queue}", routing_key)
        return Operation(f"process {about}", CONSUMER, {**attributes, OUTCOME: outcome})

    def _messaging(self, operation: str, destination: str, routing_key: str | None = None) -> Attributes:
        return {
            SYSTEM: RABBITMQ,
            OPERATION_NAME: operation,
            OPERATION_TYPE: operation,
            DESTINATION: destination,
            **({ROUTING_KEY: routing_key} if routing_key else {}),
            **self._broker,
        }

    def export(self, spans: Sequence[Span]) -> None:
        """Hands spans over to be exported."""
        for outlet in self._spans:
            outlet.put(spans)

    def _count_call(self, part: Part) -> None:
        of = part.attributes
        if METHOD in of:
            series = (of[METHOD], of[SERVER_ADDRESS], of[SERVER_PORT], of.get(STATUS), part.error)
            self.metrics.record(m.HTTP_CLIENT_DURATION, *series, values=[(part.until - part.since) / 1e9])


@dataclass(slots=True)
class EffectTold:
    """How an attempt at an effect ended."""

    outcome: str = "done"
    """What its row says from now on: done, skipped or failed, or open where it is tried again."""
    failure: BaseException | None = None


@dataclass(slots=True)
class ServedTold:
    """How a request was answered."""

    status: int = 500
    """Of HTTP; this one where nothing was answered."""


class _Note(NamedTuple):
    """What became of one message."""

    content: Submission[Any] | Fact[Any] | Turned | Broken | Due
    outcome: Outcome
    attempt: int
    own: str
    since: int
    until: int
    created: Sequence[tuple[Fact[Data], int]]


class BatchSpans:
    """The spans and counts of one transaction: nothing is told until it is committed."""

    def __init__(self, tracing: Tracing, connection: dict[Any, Any]) -> None:
        self._tracing = tracing
        self._connection = connection
        self._before = connection.get(STATEMENTS, 0)
        self._began = time_ns()
        self._since = self._began
        self._item: Item | None = None
        self._attempt = 1
        self._late = False
        self._created: list[tuple[Fact[Data], int]] = []
        self._notes: list[_Note] = []
        self.current = ""
        """The `traceparent` of the process span of the message in hand."""

    def begin(self, item: Item) -> None:
        """A message is taken up, or taken up again: what was noted of an earlier try is forgotten."""
        content = item.content
        self._item, self._since, self._late = item, time_ns(), False
        self._created = []
        self._attempt = item.pending.attempts + 1 if item.pending else 1
        if isinstance(content, Fact):
            self.current = child_of(content.traceparent)
            self._late = self._since - content.recorded.timestamp() * 1e9 > self._tracing.slow
        elif isinstance(content, Broken):
            self.current = child_of(None)
        elif isinstance(content, Due):
            self.current = content.traceparent
        elif content.begins_trace:
            self.current = content.traceparent or child_of(None)
        else:
            self.current = child_of(content.traceparent)
        if self._attempt > 1:
            self.current = kept(self.current)

    def created(self, fact: Fact[Data]) -> Fact[Data]:
        """A fact or receipt came of the message in hand; as it is to be sent, see the module on sampling."""
        now = time_ns()
        self._keep_the_remarkable(now)
        if is_sampled(self.current) and not is_sampled(fact.traceparent) and self._same_trace(fact):
            assert fact.traceparent is not None
            fact = replace(fact, traceparent=kept(fact.traceparent))
        self._created.append((fact, now))
        return fact

    def processed(self, item: Item) -> None:
        """The message in hand has its outcome."""
        until = time_ns()
        self._keep_the_remarkable(until)
        self._notes.append(
            _Note(item.content, item.outcome, self._attempt, self.current, self._since, until, self._created)
        )

    def committed(self) -> None:
        """Tells all."""
        until, notes = time_ns(), self._notes
        self._notes = []
        self._count(notes, until)
        if until - self._began > self._tracing.slow:
            notes = [note._replace(own=kept(note.own)) for note in notes]
        notes = [note for note in notes if is_sampled(note.own)]
        if notes:
            spans: list[Span] = []
            for note in notes:
                self._tell(note, spans)
            self._tracing.export([*spans, self._commit([note.own for note in notes], until)])

    def _keep_the_remarkable(self, now: int) -> None:
        if is_sampled(self.current) or self._item is None:
            return
        outcome = self._item.outcome
        late = self._late and outcome is not REPEATED
        if late or outcome.error is not None or now - self._since > self._tracing.slow:
            self.current = kept(self.current)

    def _same_trace(self, fact: Fact[Data]) -> bool:
        return fact.traceparent is not None and same_trace(fact.traceparent, self.current)

    # Counting

    def _count(self, notes: Sequence[_Note], until: int) -> None:
        consumed: Counter[tuple[str, str | None, str]] = Counter()
        durations: dict[tuple[str, str, str | None], list[float]] = defaultdict(list)
        lags: dict[str, list[float]] = defaultdict(list)
        now = until / 1e9
        add, record = self._tracing.metrics.add, self._tracing.metrics.record
        for note in notes:
            content, outcome = note.content, note.outcome
            if outcome.name in ("retry", "postponed"):
                add(m.RETRIES, outcome.error)
            for fact, _ in note.created:
                if fact.type.owner is None:
                    add(m.RECEIPTS, fact.type.event, _code(fact.data))
            if isinstance(content, Due):
                continue
            about, partner, queue = self._named(content)
            consumed[queue, partner, outcome.name] += 1
            durations[queue, about, outcome.error].append((note.until - note.since) / 1e9)
            if isinstance(content, Fact) and outcome is ACCEPTED:
                lags[content.type.entity].append(now - content.recorded.timestamp())
        for (queue, partner, name), count in consumed.items():
            add(m.CONSUMED, RABBITMQ, "process", queue, partner, name, value=count)
        for (queue, about, error), values in durations.items():
            record(m.PROCESS_DURATION, RABBITMQ, "process", queue, about, error, values=values)
        for stream, values in lags.items():
            record(m.LAG, stream, values=values)
        if notes:
            record(m.BATCH_SIZE, values=[len(notes)])
            taken = (until - self._began) / 1e9
            record(m.COMMIT_DURATION, POSTGRESQL, self._tracing.database, COMMIT, values=[taken])

    # Spans

    def _tell(self, note: _Note, spans: list[Span]) -> None:
        since = note.since
        for fact, until in note.created:
            spans.append(self._create(fact, note.own, since, until))
            since = until
        spans.append(self._process(note))

    def _create(self, fact: Fact[Data], above: str, since: int, until: int) -> Span:
        assert fact.traceparent is not None
        inside = same_trace(fact.traceparent, above)
        return _span(
            self._tracing.creating(fact.type.routing_key),
            kept(fact.traceparent),
            above if inside else None,
            since,
            until,
            {MESSAGE_ID: fact.id, CONVERSATION: fact.correlationid},
            state=fact.tracestate,
            links=() if inside else (above,),
        )

    def _process(self, note: _Note) -> Span:
        content, outcome = note.content, note.outcome
        attributes: Attributes = {}
        parent = state = case = None
        if isinstance(content, Due):
            operation = Operation(f"due {content.kind.__name__.lower()}", INTERNAL, {OUTCOME: outcome.name})
        else:
            about, _, queue = self._named(content)
            parent = _parent(content)
            attributes[MESSAGE_ID] = content.id
            if isinstance(content, Fact):
                state, case = content.tracestate, content.correlationid
            elif isinstance(content, Submission):
                state = content.tracestate
                case = next((fact.correlationid for fact, _ in note.created if fact.type.owner), None)
            key = about if isinstance(content, Fact) else None
            operation = self._tracing.processing(about, _exchange(content), queue, key, outcome.name)
        if case is not None:
            attributes[CONVERSATION] = case
        if outcome.code is not None:
            attributes[CODE] = outcome.code.value
        if note.attempt > 1:
            attributes[ATTEMPT] = note.attempt
        return _span(
            *(operation, note.own, parent, note.since, note.until, attributes),
            remote=True,
            state=state,
            error=outcome.error,
        )

    def _commit(self, linked: Sequence[str], until: int) -> Span:
        statements = self._connection.get(STATEMENTS, 0) - self._before
        attributes: Attributes = {STATEMENTS: statements, BATCH_COUNT: len(linked)}
        own = kept(child_of(None))
        return _span(self._tracing.committing, own, None, self._began, until, attributes, links=linked)

    def _named(self, content: Submission[Any] | Fact[Any] | Turned | Broken) -> tuple[str, str | None, str]:
        """What a message is about, who submitted it, and the queue it came from."""
        owner = self._tracing.owner
        if isinstance(content, Fact):
            return content.type.routing_key, None, names.facts_queue(owner.value)
        if isinstance(content, Broken):
            return "fact", None, names.facts_queue(owner.value)
        about = content.type.routing_key if isinstance(content, Submission) else "submission"
        return about, content.partner, names.ingress_queue(owner, content.partner)


def _exchange(content: Submission[Any] | Fact[Any] | Turned | Broken) -> str:
    """Where it was published, as the conventions for RabbitMQ write it: with its routing key."""
    if isinstance(content, Fact):
        return f"{names.FACTS}:{content.type.routing_key}"
    return names.FACTS if isinstance(content, Broken) else names.partner_exchange(content.partner)


def _parent(content: Submission[Any] | Fact[Any] | Turned | Broken) -> str | None:
    """In whose span it was created; None where processing it begins the trace."""
    if isinstance(content, Broken) or (not isinstance(content, Fact) and content.begins_trace):
        return None
    return content.traceparent


def _code(data: Data) -> str | None:
    """Why a receipt is no yes."""
    if isinstance(data, Afgewezen):
        return data.code.value
    return data.waarop.value if isinstance(data, Wacht) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _span(
    operation: Operation,
    own: str,
    parent: str | None,
    since: int,
    until: int,
    attributes: Attributes,
    *,
    remote: bool = False,
    state: str | None = None,
    links: Sequence[str] = (),
    error: str | None = None,
) -> Span:
    if error is not None:
        attributes[ERROR_TYPE] = error
    return Span(operation, own, parent, remote, state, since, until, attributes, links, error is not None)


def _address(url: str, port: int) -> Attributes:
    """The server in that address, without what else is in it."""
    found = urlsplit(url)
    return {SERVER_ADDRESS: found.hostname, SERVER_PORT: found.port or port} if found.hostname else {}
