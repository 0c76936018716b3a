"""Spans over OTLP: what became of each message, what it brought about, and how that left.

    process match.bevestigd          a child of the span in which the message was created
      create match.bevestigd         one for each fact and receipt; its context is their `traceparent`
        process match.bevestigd      another service, another time
      deliver mail                   an attempt at an effect that the message asked for
    due termijnen                    what followed from time alone, a trace of its own
    commit                           a batch, linked to what was processed in it
    send feiten                      a window of the relay, linked to where its messages were created

A fact of another case than its cause begins a trace of its own, linked to the cause. Names and attributes
follow OpenTelemetry's semantic conventions for messaging and for RabbitMQ. No body, no subject and no message
of an exception gets into a span.

Spans are made when all about them is known: a handler may run more than once, and only the run that was
committed is told. That is why they are built as finished spans, not through a tracer. Their ids are not drawn
here but where messages get their `traceparent`, and whether a trace is exported is in its flags.
"""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from time import time_ns
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from contracts.catalogue import Owner
from contracts.model import Data
from services.chassis import names
from services.chassis.gate import Turned
from services.chassis.item import Broken, Item
from services.chassis.messages import Due, Fact
from services.chassis.telemetry import child_of, error_type, new_uuid, parts

SYSTEM: Final = "messaging.system"
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
OUTCOME: Final = "praktijkbus.outcome"
"""What became of a message, see `item.Outcome`."""
CODE: Final = "praktijkbus.code"
"""Why a submission was refused."""
ATTEMPT: Final = "praktijkbus.attempt"

_SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
_CLOSE_WITHIN: Final = 2.0
"""Seconds that the last spans get when the process ends."""
_IN_BODY: Final = re.compile(rb'"traceparent":"([0-9a-f-]{55})"')
_UNSET: Final = Status()
_FAILED: Final = Status(StatusCode.ERROR)
_NO_STATE: Final = TraceState()

Attributes = dict[str, str | int]


class Tracing:
    """Spans of one service, exported from a thread of their own; what that cannot keep up with is dropped.

    The exporter and its queue heed the usual `OTEL_EXPORTER_OTLP_*` and `OTEL_BSP_*` variables.
    """

    def __init__(self, owner: Owner, endpoint: str, amqp_url: str) -> None:
        """`endpoint` is the base address of an OTLP/HTTP collector, such as `http://collector:4318`."""
        self._owner = owner
        broker = urlsplit(amqp_url)
        self._base: Attributes = {SYSTEM: "rabbitmq"}
        if broker.hostname:
            self._base |= {SERVER_ADDRESS: broker.hostname, SERVER_PORT: broker.port or 5672}
        self._resource = Resource.create(
            {
                "service.name": f"praktijkbus-{owner.value}",
                "service.namespace": "praktijkbus",
                "service.instance.id": new_uuid(),
            }
        )
        self._scope = InstrumentationScope("praktijkbus", schema_url=_SCHEMA)
        self._exporter: SpanExporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._processor = BatchSpanProcessor(self._exporter)

    def batch(self) -> "BatchSpans":
        """Takes down the spans of one transaction."""
        return BatchSpans(self)

    def sent(self, bodies: Sequence[bytes], since: int, error: BaseException | None) -> None:
        """A window of messages went to the fact exchange; `error` where some of it did not."""
        origins = [found[1].decode() for body in bodies if (found := _IN_BODY.search(body))]
        if any(map(_sampled, origins)):
            name = f"send {names.FACTS}"
            attributes = self.messaging("send", names.FACTS, {BATCH_COUNT: len(bodies)})
            self.export(self.span(name, SpanKind.CLIENT, attributes, since, linked=origins, error=error))

    def delivered(
        self, kind: str, traceparent: str | None, attempt: int, since: int, error: BaseException | None
    ) -> None:
        """An effect was carried out; `error` where that failed."""
        name, attributes = f"deliver {kind}", Attributes({ATTEMPT: attempt})
        self.export(self.span(name, SpanKind.CLIENT, attributes, since, parent=traceparent, error=error))

    def close(self) -> None:
        """Exports what is left, for as long as that takes but no more than 2 s."""
        shutdown: Callable[[], None] = self._processor.shutdown
        closing = threading.Thread(target=shutdown, name="tracing-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_WITHIN)
        if closing.is_alive():
            self._exporter.shutdown()

    # What spans are made of

    def messaging(self, operation: str, destination: str, more: Attributes) -> Attributes:
        return {
            **self._base,
            OPERATION_NAME: operation,
            OPERATION_TYPE: operation,
            DESTINATION: destination,
            **more,
        }

    def source(self, item: Item) -> str:
        """Where a message came from, as the conventions for RabbitMQ write it."""
        content = item.content
        assert not isinstance(content, Due), "nobody sent it"
        if isinstance(content, Broken):
            return f"{names.FACTS}:{names.facts_queue(self._owner.value)}"
        if isinstance(content, Fact):
            return f"{names.FACTS}:{content.type.routing_key}:{names.facts_queue(self._owner.value)}"
        exchange = names.partner_exchange(content.partner)
        return f"{exchange}:{names.ingress_queue(self._owner, content.partner)}"

    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        since: int,
        until: int | None = None,
        *,
        own: str | None = None,
        parent: str | None = None,
        remote: bool = True,
        state: str | None = None,
        linked: Iterable[str] = (),
        error: BaseException | str | None = None,
    ) -> ReadableSpan:
        """A span that is over. `own` is its context, by default a fresh one under `parent`."""
        if error is not None:
            attributes[ERROR_TYPE] = error if isinstance(error, str) else error_type(error)
        return ReadableSpan(
            name,
            context=_context(own or child_of(parent), state),
            parent=_context(parent, state, remote=remote),
            resource=self._resource,
            attributes=attributes,
            links=[Link(context) for origin in linked if (context := _context(origin, remote=True))],
            kind=kind,
            status=_UNSET if error is None else _FAILED,
            start_time=since,
            end_time=until or time_ns(),
            instrumentation_scope=self._scope,
        )

    def export(self, *spans: ReadableSpan) -> None:
        """Queues spans. The processor passes over those of traces that are not sampled."""
        for span in spans:
            self._processor.on_end(span)


class BatchSpans:
    """The spans of one transaction: nothing is told until it is committed."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._began = time_ns()
        self._since = self._began
        self._created: list[tuple[Fact[Data], int]] = []
        self._processed: list[str] = []
        self._spans: list[ReadableSpan] = []
        self.current = ""
        """The `traceparent` of the process span of the message in hand."""

    def begin(self, item: Item) -> None:
        """A message is taken up, or taken up again: what was noted of an earlier try is forgotten."""
        content = item.content
        self._since = time_ns()
        self._created.clear()
        if isinstance(content, Broken):
            self.current = child_of(None)
        elif isinstance(content, Due):
            self.current = content.traceparent
        elif isinstance(content, Fact) or not content.begins_trace:
            self.current = child_of(content.traceparent)
        else:
            self.current = content.traceparent or child_of(None)

    def created(self, fact: Fact[Data]) -> None:
        """A fact or receipt came of the message in hand."""
        self._created.append((fact, time_ns()))

    def processed(self, item: Item) -> None:
        """The message in hand has its outcome."""
        since = self._since
        for fact, until in self._created:
            if _sampled(fact.traceparent):
                self._create(fact, since, until)
            since = until
        self._processed.append(self.current)
        if _sampled(self.current):
            self._process(item)

    def committed(self) -> None:
        """Tells all."""
        if any(map(_sampled, self._processed)):
            attributes: Attributes = {BATCH_COUNT: len(self._processed)}
            self._spans.append(
                self._tracing.span("commit", SpanKind.INTERNAL, attributes, self._began, linked=self._processed)
            )
        self._tracing.export(*self._spans)
        self._spans.clear()
        self._processed.clear()

    def _create(self, fact: Fact[Data], since: int, until: int) -> None:
        key = fact.type.routing_key
        attributes = self._tracing.messaging(
            "create",
            f"{names.FACTS}:{key}",
            {ROUTING_KEY: key, MESSAGE_ID: fact.id, CONVERSATION: fact.correlationid},
        )
        same_trace = _trace(fact.traceparent) == _trace(self.current)
        self._spans.append(
            self._tracing.span(
                f"create {key}",
                SpanKind.PRODUCER,
                attributes,
                since,
                until,
                own=fact.traceparent,
                parent=self.current if same_trace else None,
                remote=False,
                state=fact.tracestate,
                linked=() if same_trace else (self.current,),
            )
        )

    def _process(self, item: Item) -> None:
        content, outcome = item.content, item.outcome
        if isinstance(content, Due):
            name, attributes = f"due {content.kind.__name__.lower()}", Attributes({OUTCOME: outcome.name})
            self._spans.append(
                self._tracing.span(
                    name, SpanKind.INTERNAL, attributes, self._since, own=self.current, error=outcome.error
                )
            )
            return
        more: Attributes = {MESSAGE_ID: content.id, OUTCOME: outcome.name}
        about, parent, state = "submission", None, None
        if isinstance(content, Broken):
            about = "fact"
        elif isinstance(content, Turned):
            parent = content.traceparent
        else:
            about, parent, state = content.type.routing_key, content.traceparent, content.tracestate
            if isinstance(content, Fact):
                more |= {ROUTING_KEY: about, CONVERSATION: content.correlationid}
            elif case := next((fact.correlationid for fact, _ in self._created if fact.type.owner), None):
                more[CONVERSATION] = case
        if outcome.code is not None:
            more[CODE] = outcome.code.value
        self._spans.append(
            self._tracing.span(
                f"process {about}",
                SpanKind.CONSUMER,
                self._tracing.messaging("process", self._tracing.source(item), more),
                self._since,
                own=self.current,
                parent=None if parent == self.current else parent,
                state=state,
                error=outcome.error,
            )
        )


def _context(traceparent: str | None, state: str | None = None, *, remote: bool = False) -> SpanContext | None:
    found = parts(traceparent)
    if found is None:
        return None
    return SpanContext(
        int(found[0], 16),
        int(found[1], 16),
        remote,
        TraceFlags(int(found[2], 16)),
        TraceState.from_header([state]) if state else _NO_STATE,
    )


def _sampled(traceparent: str | None) -> bool:
    return traceparent is not None and int(traceparent[-1], 16) & 1 == 1


def _trace(traceparent: str | None) -> str | None:
    return traceparent[3:35] if traceparent else None
