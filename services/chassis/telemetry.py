"""Ids and trace context: a trace is one reaction, a correlation is a case of months.

Every message carries a `traceparent` (W3C Trace Context), whether or not spans are exported: it is the
context of the span in which that message was created (see `tracing`). Ids are drawn here and nowhere else.
"""

import os
import re
from typing import Final

import uuid_utils

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])"
)
_FLAGS: Final = {digit: f"0{int(digit, 16) & 0b11}" for digit in "0123456789abcdef"}
"""The flags that are defined, sampled and random; others must not be passed on (W3C Trace Context §3.2.2.5)."""


def new_uuid() -> str:
    """A UUIDv7: unique, and sorts by time of creation (RFC 9562 §5.7)."""
    return str(uuid_utils.uuid7())


def child_of(traceparent: str | None) -> str:
    """A `traceparent` with a span id of its own in the same trace, or in a new one."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    trace_id, flags = (found[1], _FLAGS[found[3]]) if found else (os.urandom(16).hex(), "01")
    return f"00-{trace_id}-{os.urandom(8).hex()}-{flags}"


def usable(traceparent: object) -> str | None:
    """What a partner gave as `traceparent`, where it is one."""
    return traceparent if isinstance(traceparent, str) and _TRACEPARENT.fullmatch(traceparent) else None


def parts(traceparent: str | None) -> tuple[str, str, str] | None:
    """Trace id, span id and flags, in hexadecimal."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return (found[1], found[2], _FLAGS[found[3]]) if found else None


def error_type(error: BaseException) -> str:
    """What kind of error it is. Its text is never told: that may repeat a value."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


def trace_id(traceparent: str | None) -> str | None:
    """The trace id in a `traceparent`, 32 hexadecimal digits."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return found[1] if found else None
