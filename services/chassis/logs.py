"""Logs: one JSON object a line, with whatever ids the line was given, and no personal data.

Our messages are constant texts; what varies goes into `extra` as ids, codes and counts. Of an exception a line
tells the types and the stack, never the text: that may repeat a value. Of the lines of libraries only the
constant part is kept, for the same reason.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from services.chassis.telemetry import current, error_type, parts

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET: Final = ("aio_pika", "aiormq", "uvicorn.access", "httpx")
_CAREFUL: Final = ("services", "__main__", "alembic", "uvicorn")
"""Loggers that put no value of a message into their texts."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            **said(record),
        }
        return json.dumps(line, default=str, ensure_ascii=False)


class Exporting(logging.Handler):
    """Hands what each line says to whoever exports it, apart from what exporting itself says line by line."""

    def __init__(self, take: Callable[[int, str, dict[str, object]], None]) -> None:
        """`take` gets the time (Unix nanoseconds), the level and what is said, see `said`."""
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno > logging.INFO or not (record.threadName or "").startswith(EXPORTING):
            self._take(round(record.created * 1e9), record.levelname, said(record))


EXPORTING: Final = "telemetry-"
"""What the names of threads begin with that export: of each request a library may log lines of its own."""


def said(record: logging.LogRecord) -> dict[str, object]:
    """What a line says: which logger, what, with which ids, and of an exception its kinds and its stack."""
    careful = record.name.partition(".")[0] in _CAREFUL
    line: dict[str, object] = {
        "logger": record.name,
        "message": record.getMessage() if careful else str(record.msg).partition("\n")[0],
    }
    if careful:
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if "trace_id" not in line and (trace := parts(current())):
        line |= {"trace_id": trace[0], "span_id": trace[1]}
    if record.exc_info and record.exc_info[1]:
        line["error"] = [error_type(error) for error in _chain(record.exc_info[1])]
        line["stack"] = "".join(traceback.format_tb(record.exc_info[2]))
    return line


def configure(service: str, level: str) -> None:
    """Sends the logs of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def about(
    message_id: str | None, traceparent: str | None, correlationid: str | None = None, *, in_span: bool
) -> dict[str, str]:
    """The ids that tie a line to its message, its case and its trace: those that are known.

    `in_span`: the traceparent is that of the span in which this happens, not of what led to it.
    """
    trace = parts(traceparent)
    ids = {
        "message_id": message_id,
        "correlationid": correlationid,
        "trace_id": trace[0] if trace else None,
        "span_id": trace[1] if trace and in_span else None,
    }
    return {name: value for name, value in ids.items() if value is not None}


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
