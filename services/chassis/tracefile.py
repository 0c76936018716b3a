"""Spans in a file, for a machine that has no viewer: JSON lines, as OpenTelemetry's file format has them.

Each line is a whole `TracesData` in OTLP's JSON encoding, so that a collector can read the file too. It is
bounded: when it is full it becomes `<name>.1`, in place of the one before.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from pydantic_core import from_json, to_json

from services.chassis.otlp import SCHEMA, SCOPE, Sent, Span
from services.chassis.telemetry import Attributes

_FULL: Final = 64 * 2**20
"""Bytes in one file."""


class TraceFile:
    """The file of one process."""

    def __init__(self, path: Path, resource: Attributes, *, full: int = _FULL) -> None:
        self._path = path
        self._resource = {"attributes": _pairs(resource)}
        self._full = full
        self._file: IO[bytes] | None = None

    def deliver(self, spans: Sequence[Span]) -> tuple[Sent, int]:
        """Appends these as one line."""
        scope = {"scope": {"name": SCOPE}, "spans": [_span(span) for span in spans], "schemaUrl": SCHEMA}
        line = to_json({"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]}) + b"\n"
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            elif self._file.tell() + len(line) > self._full:
                self._file.close()
                self._path.replace(previous(self._path))
                self._file = self._path.open("ab", buffering=0)
            self._file.write(line)
        except OSError:
            return Sent.AGAIN, 0
        return Sent.DONE, 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def previous(path: Path) -> Path:
    """The full file before this one."""
    return path.with_name(f"{path.name}.1")


def lines_with(folder: Path, wanted: bytes) -> Iterator[dict[str, Any]]:
    """Every line of the files in that folder in which these bytes occur, as the JSON it is."""
    for path in sorted(folder.glob("*.jsonl*")):
        with path.open("rb") as file:
            for line in file:
                if wanted in line and line.endswith(b"\n"):
                    yield from_json(line)


def _span(span: Span) -> dict[str, Any]:
    trace, own, parent = span.ids()
    written: dict[str, Any] = {
        "traceId": trace,
        "spanId": own,
        "flags": span.flags(),
        "name": span.operation.name,
        "kind": span.operation.kind,
        "startTimeUnixNano": str(span.since),
        "endTimeUnixNano": str(span.until),
        "attributes": _pairs({**span.operation.attributes, **span.attributes}),
    }
    if parent:
        written["parentSpanId"] = parent
    if span.state:
        written["traceState"] = span.state
    if span.links:
        written["links"] = [{"traceId": link[3:35], "spanId": link[36:52]} for link in span.links]
    if span.failed:
        written["status"] = {"code": 2}
    return written


def _pairs(attributes: Attributes) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for key, value in attributes.items()
    ]
