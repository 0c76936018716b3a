"""Ids and trace context: a trace is one reaction, a correlation is a case of months.

Every message carries a `traceparent` (W3C Trace Context), whether or not spans are exported.
"""

import os
import re
from typing import Final

import uuid_utils

_TRACEPARENT: Final = re.compile(r"^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$")


def new_uuid() -> str:
    """A UUIDv7: unique, and sorts by time of creation (RFC 9562 §5.7)."""
    return str(uuid_utils.uuid7())


def child_of(traceparent: str | None) -> str:
    """A `traceparent` with a span id of its own in the same trace, or in a new one."""
    found = _TRACEPARENT.match(traceparent) if traceparent else None
    trace_id, flags = (found[1], found[3]) if found else (os.urandom(16).hex(), "01")
    return f"00-{trace_id}-{os.urandom(8).hex()}-{flags}"


def trace_id(traceparent: str | None) -> str | None:
    """The trace id in a `traceparent`, 32 hexadecimal digits."""
    found = _TRACEPARENT.match(traceparent) if traceparent else None
    return found[1] if found else None
