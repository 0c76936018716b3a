"""A collector of spans in the test process: OTLP over HTTP, as a real one would take it."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from services.chassis.telemetry import parts


@dataclass(frozen=True)
class Span:
    service: str
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


class Collector:
    """What was exported so far. One that `hangs` takes a request and never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.spans: list[Span] = []
        self.raw = b""
        self.asked = threading.Event()
        self._release = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                if hangs:
                    collector._release.wait()
                    self.close_connection = True
                    return
                collector.take(self.path, body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            of = {item.key: item.value.string_value for item in resource.resource.attributes}
            assert of["service.namespace"] == "praktijkbus"
            self.spans += [
                _span(of["service.name"], wire) for scope in resource.scope_spans for wire in scope.spans
            ]

    async def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


def _span(service: str, wire: Wire) -> Span:
    return Span(
        service=service,
        name=wire.name,
        kind=Wire.SpanKind.Name(wire.kind).removeprefix("SPAN_KIND_").lower(),
        trace=wire.trace_id.hex(),
        id=wire.span_id.hex(),
        parent=wire.parent_span_id.hex() or None,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in wire.links),
        attributes={
            item.key: item.value.int_value if item.value.HasField("int_value") else item.value.string_value
            for item in wire.attributes
        },
        failed=wire.status.code == Status.STATUS_CODE_ERROR,
        start=wire.start_time_unix_nano,
        end=wire.end_time_unix_nano,
        state=wire.trace_state,
    )
