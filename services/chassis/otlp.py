"""OTLP: how telemetry leaves, as protobuf over HTTP, from threads of its own.

Each signal has an `Outlet`: what is put there is gathered for half a second and sent together. Its room is
bounded: what a receiver that is down or slow leaves no room for is dropped and counted, and whoever puts
something there never waits.

Spans are written straight into protobuf's encoding, in which the fields of a message may follow one another in
pieces: what all spans of an operation have in common is encoded once. Through an SDK's objects a span costs some
twenty times as much, and there are two for each message.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache
from struct import Struct
from time import monotonic
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import httpx
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from services.chassis.logs import EXPORTING
from services.chassis.metrics import OVERFLOW, Instrument, Kind, Series, Snapshot, Spread, Value
from services.chassis.telemetry import Attributes

T = TypeVar("T")
_log = logging.getLogger(__name__)

SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
SCOPE: Final = "praktijkbus"
_GATHER: Final = 0.5
"""Seconds for which things are gathered before they are sent. As much is lost with a process that is killed."""
_TOGETHER: Final = 512
"""Things in one request at most: writing more of them would keep the event loop waiting for its turn."""
_ANSWER: Final = 10.0
"""Seconds within which a receiver answers."""
_PAUSES: Final = (1.0, 30.0)
"""Seconds until a receiver that failed is tried again, and what that grows to."""
_QUIET: Final = 60.0
"""Seconds between two lines of the log about what was dropped."""
_PASSING: Final = frozenset({429, 502, 503, 504})
"""Answers after which the same may be sent again (OTLP specification, OTLP/HTTP response)."""

INTERNAL: Final = trace_pb2.Span.SPAN_KIND_INTERNAL
SERVER: Final = trace_pb2.Span.SPAN_KIND_SERVER
CLIENT: Final = trace_pb2.Span.SPAN_KIND_CLIENT
PRODUCER: Final = trace_pb2.Span.SPAN_KIND_PRODUCER
CONSUMER: Final = trace_pb2.Span.SPAN_KIND_CONSUMER


@dataclass(frozen=True)
class Operation:
    """What spans have in common. Made once, or seldom: each is encoded once."""

    name: str
    kind: int
    attributes: Attributes = field(default_factory=dict)

    @cached_property
    def encoded(self) -> bytes:
        """As fields of a Span."""
        common = trace_pb2.Span(name=self.name, kind=self.kind)  # type: ignore[arg-type]
        return bytes(common.SerializeToString()) + _written(self.attributes)


class Span(NamedTuple):
    """A span that is over."""

    operation: Operation
    own: str
    """Its context, as a `traceparent` that is usable; those of `parent` and `links` likewise."""
    parent: str | None
    remote: bool
    """Whether the parent is in another process."""
    state: str | None
    since: int
    until: int
    """Unix nanoseconds."""
    attributes: Attributes
    """Its own, besides those of its operation."""
    links: Sequence[str] = ()
    failed: bool = False

    def ids(self) -> tuple[str, str, str]:
        """Its trace and span id, and the span id of its parent or nothing, in hexadecimal."""
        return self.own[3:35], self.own[36:52], self.parent[36:52] if self.parent else ""

    def flags(self) -> int:
        """As OTLP has them: those of its context, and whether its parent is remote."""
        return int(self.own[53:], 16) | (0x300 if self.remote and self.parent else 0x100)


class Line(NamedTuple):
    """A line of the log."""

    at: int
    """Unix nanoseconds."""
    severity: str
    text: str
    attributes: Attributes
    trace: str | None
    """Ids in hexadecimal."""
    span: str | None


class Sent(Enum):
    DONE = "done"
    AGAIN = "again"
    """The receiver is down or asks to come back later."""
    NEVER = "never"
    """It refuses this for good."""


class Way(Protocol):
    """Where telemetry goes. Only the thread of an outlet uses it."""

    def deliver(self, things: Sequence[Any], /) -> tuple[Sent, int]:
        """Sends these; how that went, and how many of them were refused."""

    def close(self) -> None: ...


class Outlet(Generic[T]):
    """Things of one kind on their way out; a thread sends what was gathered."""

    def __init__(self, signal: str, way: Way, *, room: int) -> None:
        self.signal = signal
        self.dropped = 0
        self._way = way
        self._told = 0
        self._quiet_until = 0.0
        self._room = room
        self._queue: deque[T] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"{EXPORTING}{signal}", daemon=True)
        self._thread.start()

    def put(self, things: Sequence[T]) -> None:
        """Hands things over, as many as there is room for. Never waits."""
        free = self._room - len(self._queue)
        if len(things) > free:
            self.dropped += len(things) - max(0, free)
            things = things[: max(0, free)]
        self._queue.extend(things)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Has the thread send what is left, once, and end; see `join`."""
        self._closing.set()
        self._wake.set()

    def join(self, within: float) -> None:
        """Waits for that, so many seconds at most."""
        self._thread.join(within)

    def _work(self) -> None:
        closing = False
        while not closing:
            self._wake.wait()
            closing = self._closing.wait(_GATHER)  # what is put from now on may come too late, what was is sent
            self._wake.clear()
            while self._queue:
                self._send([self._queue.popleft() for _ in range(min(_TOGETHER, len(self._queue)))])
            self._admit()
        self._way.close()

    def _send(self, things: Sequence[T]) -> None:
        pause, most = _PAUSES
        while True:
            try:
                sent, refused = self._way.deliver(things)
            except Exception as error:  # a fault of ours must not end the thread, or all that follows is lost
                _log.error("telemetry not sent", exc_info=error, extra={"signal": self.signal})
                sent, refused = Sent.NEVER, 0
            if sent is Sent.DONE:
                self.dropped += refused
                return
            if sent is Sent.NEVER or self._closing.wait(pause):
                self.dropped += len(things)
                return
            self._admit()
            pause = min(most, pause * 2)

    def _admit(self) -> None:
        """Says now and then how much was dropped."""
        if self.dropped > self._told and (monotonic() >= self._quiet_until or self._closing.is_set()):
            _log.warning("telemetry dropped", extra={"signal": self.signal, "dropped": self.dropped})
            self._told, self._quiet_until = self.dropped, monotonic() + _QUIET


class Receiver:
    """An OTLP/HTTP receiver, as one signal knows it."""

    def __init__(
        self,
        endpoint: str,
        signal: str,
        encode: Callable[[Sequence[Any]], bytes],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/{signal}"
        self._headers = headers
        self._encode = encode
        self._answer = _ANSWERS[signal]
        self._client: httpx.Client | None = None

    def deliver(self, things: Sequence[Any]) -> tuple[Sent, int]:
        """Sends these in one request."""
        if self._client is None:
            secured = httpx.URL(self._url).scheme == "https"  # else whom to trust need not be loaded
            self._client = httpx.Client(headers=self._headers, timeout=_ANSWER, trust_env=False, verify=secured)
        try:
            answer = self._client.post(
                self._url, content=self._encode(things), headers={"Content-Type": "application/x-protobuf"}
            )
        except httpx.HTTPError:
            return Sent.AGAIN, 0
        if answer.is_success:
            return Sent.DONE, self._refused(answer.content)
        return Sent.AGAIN if answer.status_code in _PASSING else Sent.NEVER, 0

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _refused(self, content: bytes) -> int:
        try:
            partial = self._answer.FromString(content).partial_success
        except DecodeError:  # whatever it answers with, it took them
            return 0
        return int(sum(value for field, value in partial.ListFields() if field.name.startswith("rejected")))


_ANSWERS: Final[dict[str, Any]] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}


class Encoder:
    """Writes the telemetry of one process as protobuf."""

    def __init__(self, resource: Attributes) -> None:
        self._resource = Resource(attributes=_attributes(resource))
        self._scope = InstrumentationScope(name=SCOPE)
        self._head = _field(1, self._resource.SerializeToString())
        self._scope_head = _field(1, self._scope.SerializeToString())

    def spans(self, spans: Iterable[Span]) -> bytes:
        """An ExportTraceServiceRequest."""
        return self._request(_field(2, _span(span)) for span in spans)

    def lines(self, lines: Iterable[Line]) -> bytes:
        """An ExportLogsServiceRequest: its fields have the same numbers."""
        return self._request(_field(2, _line(line).SerializeToString()) for line in lines)

    def snapshots(self, snapshots: Iterable[Snapshot]) -> bytes:
        """An ExportMetricsServiceRequest."""
        request: bytes = ExportMetricsServiceRequest(
            resource_metrics=[
                ResourceMetrics(
                    resource=self._resource,
                    scope_metrics=[
                        ScopeMetrics(
                            scope=self._scope,
                            metrics=[
                                _metric(instrument, found, snapshot)
                                for instrument, found in snapshot.numbers.items()
                                if found
                            ],
                            schema_url=SCHEMA,
                        )
                    ],
                )
                for snapshot in snapshots
            ]
        ).SerializeToString()
        return request

    def _request(self, records: Iterable[bytes]) -> bytes:
        """One resource, one scope, these records in it."""
        scope = b"".join([self._scope_head, *records, _field(3, SCHEMA.encode())])
        return _field(1, self._head + _field(2, scope))


def _span(span: Span) -> bytes:
    trace, own, parent = span.ids()
    pieces = [
        b"\x0a\x10" + bytes.fromhex(trace) + b"\x12\x08" + bytes.fromhex(own),
        b"\x22\x08" + bytes.fromhex(parent) if parent else b"",
        _TIMES_AND_FLAGS.pack(0x39, span.since, 0x41, span.until, 0x85, 0x01, span.flags()),
        span.operation.encoded,
        _written(span.attributes),
    ]
    if span.state:
        pieces.append(_field(3, span.state.encode()))
    for link in span.links:
        ids = b"\x0a\x10" + bytes.fromhex(link[3:35]) + b"\x12\x08" + bytes.fromhex(link[36:52])
        pieces.append(b"\x6a\x1c" + ids)
    if span.failed:
        pieces.append(_FAILED)
    return b"".join(pieces)


_TIMES_AND_FLAGS: Final = Struct("<BQBQBBI")
"""The fields 7, 8 and 16 of a Span, each with its tag: start, end and flags."""
_FAILED: Final = trace_pb2.Span(
    status=trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR)
).SerializeToString()


def _written(attributes: Attributes) -> bytes:
    """Attributes as fields of a Span."""
    return b"".join([_field(9, _key(key) + _field(2, _any(value))) for key, value in attributes.items()])


@lru_cache(256)
def _key(key: str) -> bytes:
    return _field(1, key.encode())


def _any(value: str | int) -> bytes:
    """An AnyValue."""
    return _field(1, value.encode()) if isinstance(value, str) else b"\x18" + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    """A field with bytes, a text or a message in it (its number is at most 15)."""
    size = len(content)
    return (bytes((number << 3 | 2, size)) if size < 128 else bytes([number << 3 | 2]) + _varint(size)) + content


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def _line(line: Line) -> LogRecord:
    return LogRecord(
        time_unix_nano=line.at,
        observed_time_unix_nano=line.at,
        severity_number=_SEVERITIES.get(line.severity, 0),  # type: ignore[arg-type]
        severity_text=line.severity,
        body=AnyValue(string_value=line.text),
        attributes=_attributes(line.attributes),
        trace_id=bytes.fromhex(line.trace or ""),
        span_id=bytes.fromhex(line.span or ""),
    )


_SEVERITIES: Final = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
"""As OpenTelemetry numbers them."""


def _metric(instrument: Instrument, found: "Any", snapshot: Snapshot) -> Metric:
    metric = Metric(name=instrument.name, unit=instrument.unit, description=instrument.description)
    since = snapshot.began
    if instrument.kind is Kind.HISTOGRAM:
        metric.histogram.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        metric.histogram.data_points.extend(
            HistogramDataPoint(
                attributes=_of(instrument, series),
                start_time_unix_nano=since,
                time_unix_nano=snapshot.at,
                count=sum(spread.counts),
                sum=spread.sum,
                bucket_counts=spread.counts,
                explicit_bounds=instrument.bounds,
            )
            for series, spread in found.items()
            if isinstance(spread, Spread)
        )
        return metric
    if instrument.kind is Kind.COUNTER:
        metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
        metric.sum.is_monotonic = True
    points = metric.sum.data_points if instrument.kind is Kind.COUNTER else metric.gauge.data_points
    points.extend(_number(instrument, series, value, snapshot) for series, value in found.items())
    return metric


def _number(instrument: Instrument, series: Series, value: Value, snapshot: Snapshot) -> NumberDataPoint:
    point = NumberDataPoint(attributes=_of(instrument, series), time_unix_nano=snapshot.at)
    if instrument.kind is Kind.COUNTER:
        point.start_time_unix_nano = snapshot.began
    if isinstance(value, int):
        point.as_int = value
    else:
        point.as_double = float(value)
    return point


def _of(instrument: Instrument, series: Series) -> list[KeyValue]:
    if series == OVERFLOW:
        return [KeyValue(key=OVERFLOW[0], value=AnyValue(bool_value=True))]
    named = zip(instrument.attributes, series, strict=True)
    return _attributes({name: value for name, value in named if value is not None})


def _attributes(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: str | int) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
