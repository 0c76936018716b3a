"""A line of the log is one JSON object, tells which message it is about, and repeats no value."""

import json
import logging
import sys
from typing import Any

import pytest

from services.chassis.logs import EXPORTING, Exporting, JsonFormatter, about
from services.chassis.telemetry import in_hand

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "jan@voorbeeld.nl"


def line(name: str, message: str, *args: object, extra: dict[str, Any] | None = None, failed: bool = False) -> Any:
    logger = logging.getLogger(name)
    record = logger.makeRecord(
        name, logging.ERROR, "x.py", 1, message, args, sys.exc_info() if failed else None, extra=extra
    )
    text = JsonFormatter("billing").format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_carries_its_ids() -> None:
    ids = about("b-1", TRACEPARENT, "0198c5d2", in_span=True)
    said = line("services.chassis.batch", "handler failed", extra={**ids, "attempts": 2})
    assert said["level"] == "error"
    assert said["service"] == "billing"
    assert said["message"] == "handler failed"
    assert said["message_id"] == "b-1"
    assert said["correlationid"] == "0198c5d2"
    assert said["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert said["span_id"] == "00f067aa0ba902b7"
    assert said["attempts"] == 2
    assert said["time"].endswith("+00:00")


def test_what_is_not_known_is_left_out() -> None:
    assert about(None, None, in_span=True) == {}
    assert about("b-1", "junk", in_span=True) == {"message_id": "b-1"}
    assert about(None, TRACEPARENT, in_span=False) == {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}


def test_a_line_belongs_to_what_is_in_hand() -> None:
    with in_hand(TRACEPARENT, lambda _: None):
        said = line("services.notify.smtp", "mail sent")
        other = line("services.chassis.batch", "x", extra={"trace_id": "0" * 31 + "1"})
    assert (said["trace_id"], said["span_id"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert (other["trace_id"], other.get("span_id")) == ("0" * 31 + "1", None)
    assert "trace_id" not in line("services.notify.smtp", "mail sent")


def test_what_exporting_logs_of_each_request_is_not_exported() -> None:
    taken: list[tuple[int, str, dict[str, object]]] = []
    handler = Exporting(lambda *said: taken.append(said))
    ours = f"{EXPORTING}logs"
    for thread, level in ((ours, logging.INFO), (ours, logging.WARNING), ("x", logging.INFO)):
        record = logging.makeLogRecord({"name": "httpx", "levelno": level, "msg": "said", "threadName": thread})
        handler.handle(record)
    assert [said["message"] for _, _, said in taken] == ["said", "said"]


def test_an_exception_tells_its_kind_and_its_place_but_not_its_text() -> None:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise ValueError(f"not known: {SECRET}") from cause
    except ValueError:
        said = line("services.chassis.batch", "handler failed", failed=True)
    assert said["error"] == ["builtins.ValueError", "builtins.KeyError"]
    assert "test_logs.py" in said["stack"]
    assert SECRET not in json.dumps(said)


@pytest.mark.parametrize("name", ["asyncio", "sqlalchemy.engine", "aio_pika.robust_connection"])
def test_of_a_library_only_the_constant_text_is_kept(name: str) -> None:
    said = line(name, f"Task exception was never retrieved\nfuture: {SECRET}", extra={"url": SECRET})
    assert said["message"] == "Task exception was never retrieved"
    assert SECRET not in json.dumps(said)
    assert line(name, "refused %s", SECRET)["message"] == "refused %s"
