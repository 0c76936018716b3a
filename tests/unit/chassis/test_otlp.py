"""What leaves is OTLP as others read it, and what cannot leave is dropped, counted and never waited for."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire

from services.chassis import otlp
from services.chassis.metrics import CONSUMED, LAG, MOST_SERIES, PENDING_OLDEST, Metrics
from services.chassis.otlp import CONSUMER, Encoder, Line, Operation, Outlet, Receiver, Sent, Span
from services.chassis.telemetry import Attributes, child_of, parts
from services.chassis.tracefile import TraceFile, lines_with, previous

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
RESOURCE: Attributes = {"service.name": "praktijkbus-billing", "service.namespace": "praktijkbus"}


def a_span(**changed: Any) -> Span:
    span = Span(
        operation=Operation("process match.bevestigd", CONSUMER),
        own=child_of(GIVEN),
        parent=GIVEN,
        remote=True,
        state="sbb=1",
        since=1,
        until=2,
        attributes={"messaging.message.id": "b-1", "server.port": 5672},
        links=(child_of(None),),
        failed=True,
    )
    return span._replace(**changed)


def read_back(body: bytes) -> list[Wire]:
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == list(RESOURCE.items())
    (scope,) = resource.scope_spans
    assert scope.scope.name == "praktijkbus"
    assert scope.schema_url.startswith("https://opentelemetry.io/schemas/")
    return list(scope.spans)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=300),
            st.dictionaries(st.text(max_size=20), st.text(max_size=300) | st.integers(0, 2**63 - 1)),
            st.integers(0, 5),
        ),
        max_size=5,
    )
)
def test_spans_can_be_read_back(given: list[tuple[str, Attributes, int]]) -> None:
    """Whether attributes are of the operation or the span's own."""
    spans = []
    for name, attributes, shared in given:
        pairs = list(attributes.items())
        operation = Operation(name, CONSUMER, dict(pairs[:shared]))
        spans += [a_span(operation=operation, attributes=dict(pairs[shared:]))]
    found = read_back(Encoder(RESOURCE).spans(spans))
    assert [span.name for span in found] == [name for name, _, _ in given]
    for span, (_, attributes, _) in zip(found, given, strict=True):
        values = {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes}
        assert values == attributes


def test_a_span_keeps_its_place_in_the_trace() -> None:
    span, root = a_span(), a_span(parent=None, remote=False, state=None, links=(), failed=False)
    wire, wire_root = read_back(Encoder(RESOURCE).spans([span, root]))
    assert (wire.trace_id.hex(), wire.span_id.hex()) == (parts(span.own) or ())[:2]
    assert wire.parent_span_id.hex() == "00f067aa0ba902b7"
    assert (wire.kind, wire.trace_state, wire.start_time_unix_nano, wire.end_time_unix_nano) == (5, "sbb=1", 1, 2)
    assert wire.flags == 0x301
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in wire.links] == [(parts(span.links[0]) or ())[:2]]
    assert (wire.status.code, wire_root.status.code) == (2, 0)
    assert (wire_root.parent_span_id, wire_root.flags) == (b"", 0x101)


def test_lines_carry_trace_and_severity() -> None:
    line = Line(7, "WARNING", "mail not sent", {"code": 550, "final": True, "case": "c"}, "4b" * 16, "0f" * 8)
    (resource,) = ExportLogsServiceRequest.FromString(Encoder(RESOURCE).lines([line])).resource_logs
    (record,) = resource.scope_logs[0].log_records
    assert (record.severity_number, record.severity_text, record.body.string_value) == (
        13,
        "WARNING",
        "mail not sent",
    )
    assert (record.trace_id.hex(), record.span_id.hex()) == ("4b" * 16, "0f" * 8)
    said = {each.key: each.value for each in record.attributes}
    assert (said["code"].int_value, said["final"].bool_value, said["case"].string_value) == (550, True, "c")


def test_metrics_say_what_they_are() -> None:
    metrics = Metrics()
    for number in range(MOST_SERIES + 3):
        metrics.add(CONSUMED, "rabbitmq", "process", f"queue-{number}", None, "accepted", value=2)
    metrics.record(LAG, "match", values=[0.001, 7.0])
    metrics.set(PENDING_OLDEST, {("parked", "sbb"): 3.5})
    body = Encoder(RESOURCE).snapshots([metrics.snapshot()])
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}

    counter = found[CONSUMED.name]
    assert (counter.unit, counter.sum.is_monotonic, counter.sum.aggregation_temporality) == ("{message}", True, 2)
    assert len(counter.sum.data_points) == MOST_SERIES + 1
    first, *_, rest = counter.sum.data_points
    assert {a.key: a.value.string_value for a in first.attributes} == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.destination.name": "queue-0",
        "praktijkbus.outcome": "accepted",
    }
    assert [(a.key, a.value.bool_value) for a in rest.attributes] == [("otel.metric.overflow", True)]
    assert (first.as_int, rest.as_int) == (2, 6)
    assert first.start_time_unix_nano == metrics.began

    (spread,) = found[LAG.name].histogram.data_points
    assert (spread.count, spread.sum, len(spread.bucket_counts)) == (2, 7.001, len(LAG.bounds) + 1)
    assert list(spread.explicit_bounds) == list(LAG.bounds)
    (oldest,) = found[PENDING_OLDEST.name].gauge.data_points
    assert oldest.as_double == 3.5


class Way:
    """Goes as it is told; waits where it is told to."""

    def __init__(self, *answers: tuple[Sent, int]) -> None:
        self.answers = list(answers)
        self.got: list[list[int]] = []
        self.closed = False
        self.broken = False
        self.may = threading.Event()
        self.may.set()

    def deliver(self, things: Sequence[int]) -> tuple[Sent, int]:
        self.may.wait()
        self.got.append(list(things))
        if self.broken:
            raise KeyError("planted")
        return self.answers.pop(0) if self.answers else (Sent.DONE, 0)

    def close(self) -> None:
        self.closed = True


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "_GATHER", 0.01)
    monkeypatch.setattr(otlp, "_PAUSES", (0.01, 0.02))


def closed(outlet: Outlet[int]) -> Outlet[int]:
    outlet.close()
    outlet.join(10)
    return outlet


def test_what_is_put_is_sent_together_and_in_order() -> None:
    way = Way()
    outlet = Outlet[int]("traces", way, room=10)
    outlet.put([1, 2])
    outlet.put([3])
    closed(outlet)
    assert (way.got, outlet.dropped, way.closed) == ([[1, 2, 3]], 0, True)


@pytest.mark.usefixtures("quick")
def test_what_finds_no_room_is_dropped_and_counted_at_once() -> None:
    way = Way()
    way.may.clear()
    outlet = Outlet[int]("traces", way, room=4)
    outlet.put([0])
    until(lambda: not outlet._queue)
    began = time.monotonic()
    outlet.put([1, 2, 3])
    outlet.put([4, 5, 6])
    assert time.monotonic() - began < 0.5
    assert outlet.dropped == 2
    way.may.set()
    closed(outlet)
    assert [thing for batch in way.got for thing in batch] == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("quick")
def test_a_receiver_that_was_away_gets_the_same_again() -> None:
    way = Way((Sent.AGAIN, 0), (Sent.AGAIN, 0), (Sent.DONE, 0))
    outlet = Outlet[int]("traces", way, room=4)
    outlet.put([1])
    until(lambda: len(way.got) == 3)
    assert (way.got, closed(outlet).dropped) == ([[1], [1], [1]], 0)


@pytest.mark.parametrize(("answer", "dropped"), [((Sent.NEVER, 0), 2), ((Sent.DONE, 1), 1)])
def test_what_a_receiver_refuses_is_dropped(
    answer: tuple[Sent, int], dropped: int, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = Outlet[int]("logs", Way(answer), room=4)
    outlet.put([1, 2])
    assert closed(outlet).dropped == dropped
    (record,) = caplog.records
    assert (record.message, vars(record)["signal"], vars(record)["dropped"]) == (
        "telemetry dropped",
        "logs",
        dropped,
    )


def test_at_the_end_a_receiver_that_is_away_is_tried_once() -> None:
    way = Way((Sent.AGAIN, 0))
    outlet = Outlet[int]("traces", way, room=4)
    outlet.put([1, 2])
    assert (closed(outlet).dropped, way.got) == (2, [[1, 2]])


def test_a_fault_of_ours_does_not_end_what_sends(caplog: pytest.LogCaptureFixture) -> None:
    way = Way()
    outlet = Outlet[int]("traces", way, room=4)
    way.broken = True
    outlet.put([1])
    until(lambda: outlet.dropped == 1)
    way.broken = False
    outlet.put([2])
    assert (closed(outlet).dropped, way.got[-1]) == (1, [2])
    assert "telemetry not sent" in caplog.messages


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], str]]:
    """Starts a receiver that answers like that; its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, content: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                assert self.headers["Authorization"] == "Bearer abc"
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


PARTLY = ExportTraceServiceResponse()
PARTLY.partial_success.rejected_spans = 3


@pytest.mark.parametrize(
    ("status", "content", "outcome"),
    [
        (200, b"", (Sent.DONE, 0)),
        (200, PARTLY.SerializeToString(), (Sent.DONE, 3)),
        (200, b"\xff", (Sent.DONE, 0)),
        (503, b"", (Sent.AGAIN, 0)),
        (429, b"", (Sent.AGAIN, 0)),
        (400, b"", (Sent.NEVER, 0)),
    ],
)
def test_what_an_answer_means(
    answering: Callable[[int, bytes], str], status: int, content: bytes, outcome: tuple[Sent, int]
) -> None:
    headers = {"authorization": "Bearer abc", "content-type": "text/plain"}
    receiver = Receiver(answering(status, content), "traces", lambda _: b"", headers)
    assert receiver.deliver([a_span()]) == outcome
    receiver.close()


def test_nobody_there_is_a_reason_to_try_again() -> None:
    receiver = Receiver("http://127.0.0.1:9", "traces", lambda _: b"")
    assert receiver.deliver([a_span()]) == (Sent.AGAIN, 0)
    receiver.close()


def test_a_trace_file_holds_the_same_in_otlp_json(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "sub" / "billing.jsonl", RESOURCE)
    span, other = a_span(), a_span(own=child_of(None), parent=None, links=(), state=None, failed=False)
    assert file.deliver([span]) == file.deliver([other]) == (Sent.DONE, 0)
    file.close()
    (line,) = lines_with(tmp_path / "sub", b"4bf92f3577b34da6a3ce929d0e0e4736")
    (resource,) = line["resourceSpans"]
    assert resource["resource"]["attributes"][0] == {
        "key": "service.name",
        "value": {"stringValue": "praktijkbus-billing"},
    }
    trace, own, _ = parts(span.own) or ("", "", "")
    link = parts(span.links[0]) or ("", "", "")
    assert resource["scopeSpans"][0]["spans"] == [
        {
            "traceId": trace,
            "spanId": own,
            "parentSpanId": "00f067aa0ba902b7",
            "flags": 0x301,
            "traceState": "sbb=1",
            "name": "process match.bevestigd",
            "kind": 5,
            "startTimeUnixNano": "1",
            "endTimeUnixNano": "2",
            "attributes": [
                {"key": "messaging.message.id", "value": {"stringValue": "b-1"}},
                {"key": "server.port", "value": {"intValue": "5672"}},
            ],
            "links": [{"traceId": link[0], "spanId": link[1]}],
            "status": {"code": 2},
        }
    ]


def test_a_trace_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "billing.jsonl"
    for _ in range(3):  # a process that starts again goes on where the other was
        file = TraceFile(path, RESOURCE, full=4000)
        for _ in range(7):
            file.deliver([a_span()])
        file.close()
    assert path.stat().st_size <= 4000
    assert 0 < previous(path).stat().st_size <= 4000
    assert len(list(tmp_path.iterdir())) == 2


def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "billing.jsonl", RESOURCE)
    file.deliver([a_span()])
    file.close()
    with (tmp_path / "billing.jsonl").open("ab") as cut:
        cut.write(b'{"resourceSpans":[{"traceId":"4bf92f35')
    assert len(list(lines_with(tmp_path, b"4bf92f35"))) == 1
