"""An OTLP receiver: over HTTP, as protobuf, as a real one would take it.

In the process of the test (`Collector`), or in one of its own, `python -m tests.integration.collector PORT`, of
which a `Remote` asks what it got.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from deploy.local.bus import ROOT
from deploy.local.processes import Supervisor, free_port
from services.chassis.telemetry import parts

if TYPE_CHECKING:
    from tests.stand import Stand


@dataclass(frozen=True)
class Span:
    service: str
    instance: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str | None
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str | int]
    failed: bool
    start: int
    end: int
    state: str

    def is_context(self, traceparent: str) -> bool:
        """Whether this is the span that `traceparent` names."""
        return parts(traceparent) == (self.trace, self.id, traceparent[-2:])


@dataclass(frozen=True)
class Logged:
    service: str
    severity: str
    text: str
    trace: str
    span: str
    attributes: dict[str, str | int]


@dataclass(frozen=True)
class Point:
    """A number that a metric has for one set of attributes; of a histogram how many values there are."""

    service: str
    attributes: dict[str, str | int]
    value: float
    unit: str


@dataclass
class Received:
    """What was exported so far."""

    spans: list[Span] = field(default_factory=list)
    logs: list[Logged] = field(default_factory=list)
    metrics: dict[str, list[Point]] = field(default_factory=dict)
    """The last round of each service together: what each metric says."""
    raw: dict[str, bytes] = field(default_factory=dict)
    """The bodies, by path."""

    def take(self, path: str, body: bytes) -> None:
        self.raw[path] = self.raw.get(path, b"") + body
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = resource.resource.attributes
                of, instance = _service(about), str(_attributes(about)["service.instance.id"])
                self.spans += [_span(of, instance, wire) for scope in resource.scope_spans for wire in scope.spans]
        elif path == "/v1/logs":
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                of = _service(logs.resource.attributes)
                self.logs += [_logged(of, record) for scope in logs.scope_logs for record in scope.log_records]
        else:
            assert path == "/v1/metrics"
            for metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                of = _service(metrics.resource.attributes)
                self.metrics = {name: _without(of, points) for name, points in self.metrics.items()}
                for scope in metrics.scope_metrics:
                    for metric in scope.metrics:
                        self.metrics.setdefault(metric.name, []).extend(_points(of, metric))


class Collector(Received):
    """Receives in this process. One that `hangs` takes a request and never answers."""

    def __init__(self, port: int = 0, *, hangs: bool = False) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.authorizations: dict[str, set[str | None]] = {}
        """The headers by which senders said who they are, by path."""
        self._release = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                if hangs:
                    collector._release.wait()
                    self.close_connection = True
                    return
                collector.authorizations.setdefault(self.path, set()).add(self.headers["Authorization"])
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                content = json.dumps([asdict(span) for span in collector.spans]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    @contextlib.contextmanager
    def listening(self) -> Iterator["Collector"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._release.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    async def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


class Remote:
    """A collector in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._supervisor = Supervisor(folder)
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        program = [sys.executable, "-m", "tests.integration.collector", str(port)]
        self._supervisor.start("collector", program, {"PYTHONPATH": str(ROOT)}, self.endpoint)
        self._supervisor.wait_ready(["collector"], 30)

    async def spans(self) -> list[Span]:
        """What it got so far."""
        async with httpx.AsyncClient(trust_env=False) as http:
            found = (await http.get(self.endpoint)).json()
        return [Span(**{**span, "links": tuple((trace, of) for trace, of in span["links"])}) for span in found]

    def stop(self) -> None:
        self._supervisor.stop_all()


def _service(attributes: Any) -> str:
    of = _attributes(attributes)
    assert of["service.namespace"] == "praktijkbus"
    return str(of["service.name"])


def _attributes(attributes: Any) -> dict[str, str | int]:
    pairs: list[KeyValue] = list(attributes)
    assert len({pair.key for pair in pairs}) == len(pairs)
    return {
        pair.key: pair.value.int_value if pair.value.HasField("int_value") else pair.value.string_value
        for pair in pairs
    }


def _span(service: str, instance: str, wire: Wire) -> Span:
    return Span(
        service=service,
        instance=instance,
        name=wire.name,
        kind=Wire.SpanKind.Name(wire.kind).removeprefix("SPAN_KIND_").lower(),
        trace=wire.trace_id.hex(),
        id=wire.span_id.hex(),
        parent=wire.parent_span_id.hex() or None,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in wire.links),
        attributes=_attributes(wire.attributes),
        failed=wire.status.code == Status.STATUS_CODE_ERROR,
        start=wire.start_time_unix_nano,
        end=wire.end_time_unix_nano,
        state=wire.trace_state,
    )


def _logged(service: str, record: Any) -> Logged:
    return Logged(
        service=service,
        severity=record.severity_text,
        text=record.body.string_value,
        trace=record.trace_id.hex(),
        span=record.span_id.hex(),
        attributes=_attributes(record.attributes),
    )


def _without(service: str, points: list[Point]) -> list[Point]:
    return [point for point in points if point.service != service]


def _points(service: str, metric: Any) -> list[Point]:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points
    if kind == "histogram":
        return [Point(service, _attributes(p.attributes), p.count, metric.unit) for p in points]
    return [
        Point(service, _attributes(p.attributes), p.as_int if p.HasField("as_int") else p.as_double, metric.unit)
        for p in points
    ]


class Export(Protocol):
    def __call__(self, stand: "Stand", collector: Collector, **more: object) -> None:
        """Has what runs on that stand export there, with more settings."""


if __name__ == "__main__":
    with Collector(int(sys.argv[1])).listening():
        threading.Event().wait()
