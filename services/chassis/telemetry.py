"""Ids and trace context: a trace is one reaction, a correlation is a case of months.

Every message carries a `traceparent` (W3C Trace Context), whether or not spans are exported: it is the
context of the span in which that message was created (see `tracing`). Ids are drawn here and nowhere else.

    with part("GET", {"http.request.method": "GET"}) as call:   # below whatever is in hand
        answer = await client.get(url, headers=call.headers)
        call.attributes["http.response.status_code"] = answer.status_code
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import blake2b
from time import time_ns
from typing import Final

import uuid_utils

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])"
)
_FLAGS: Final = {digit: f"0{int(digit, 16) & 0b11}" for digit in "0123456789abcdef"}
"""The flags that are defined, sampled and random; others must not be passed on (W3C Trace Context §3.2.2.5)."""
_SAMPLED: Final = frozenset("13579bdf")

Attributes = dict[str, str | int]


class _Sampling:
    """Which traces that begin here are sampled: those whose id, as a number of 56 bits, is not below this."""

    from_id = 0


def sample(ratio: float) -> None:
    """Has this part of the traces that begin in this process sampled, from 0 to 1; the same ids everywhere."""
    _Sampling.from_id = round((1 - ratio) * 2**56)


def new_uuid() -> str:
    """A UUIDv7: unique, and sorts by time of creation (RFC 9562 §5.7)."""
    return str(uuid_utils.uuid7())


def child_of(traceparent: str | None) -> str:
    """A `traceparent` with a span id of its own in the same trace, or in a new one."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found:
        return f"00-{found[1]}-{os.urandom(8).hex()}-{_FLAGS[found[3]]}"
    return _begun(os.urandom(16).hex())


def begun_by(source: str, message_id: str) -> str:
    """The beginning of a trace by a message that is in none: the same trace whenever it is taken up again."""
    return _begun(blake2b(f"{source}\0{message_id}".encode(), digest_size=16).hexdigest())


def _begun(trace: str) -> str:
    flags = "01" if int(trace[-14:], 16) >= _Sampling.from_id else "00"
    return f"00-{trace}-{os.urandom(8).hex()}-{flags}"


def is_sampled(traceparent: str | None) -> bool:
    """Whether the trace is to be exported, as was decided where it began."""
    return traceparent is not None and traceparent[-1] in _SAMPLED


def kept(traceparent: str) -> str:
    """The same context in a trace that is exported from here on, whatever was decided where it began."""
    return traceparent if traceparent[-1] in _SAMPLED else f"{traceparent[:-1]}{int(traceparent[-1], 16) | 1:x}"


def usable(traceparent: object) -> str | None:
    """What a partner gave as `traceparent`, where it is one."""
    return traceparent if isinstance(traceparent, str) and _TRACEPARENT.fullmatch(traceparent) else None


def parts(traceparent: str | None) -> tuple[str, str, str] | None:
    """Trace id, span id and flags, in hexadecimal."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return (found[1], found[2], _FLAGS[found[3]]) if found else None


def trace_id(traceparent: str | None) -> str | None:
    """The trace id in a `traceparent`, 32 hexadecimal digits."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return found[1] if found else None


def same_trace(one: str, other: str) -> bool:
    """Whether two contexts, both usable, are in one trace."""
    return one[3:35] == other[3:35]


def error_type(error: BaseException) -> str:
    """What kind of error it is. Its text is never told: that may repeat a value."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


@dataclass(slots=True)
class Part:
    """Something that is done for what is in hand: a call over HTTP, a mail over SMTP."""

    name: str
    parent: str | None
    """None: nobody tells of it."""
    attributes: Attributes
    since: int = field(default_factory=time_ns)
    until: int = 0
    traceparent: str = ""
    error: str | None = None
    """Where it failed without an exception: what it answered."""

    @property
    def headers(self) -> dict[str, str]:
        """What tells the other side whose call it is."""
        return {"traceparent": self.traceparent} if self.traceparent else {}


_in_hand: ContextVar[tuple[str, Callable[[Part], None]] | None] = ContextVar("in_hand", default=None)


@contextmanager
def in_hand(traceparent: str, tell: Callable[[Part], None]) -> Iterator[None]:
    """While this lasts, parts are those of the span `traceparent`, and are told when they are over."""
    token = _in_hand.set((traceparent, tell))
    try:
        yield
    finally:
        _in_hand.reset(token)


def current() -> str | None:
    """The context of the span that is in hand."""
    found = _in_hand.get()
    return found[0] if found else None


@contextmanager
def part(name: str, attributes: Attributes) -> Iterator[Part]:
    """Does something as a part of what is in hand. Attributes name no person, subject or id."""
    found = _in_hand.get()
    if found is None:
        yield Part(name, None, attributes)
        return
    parent, tell = found
    doing = Part(name, parent, attributes, traceparent=child_of(parent))
    try:
        yield doing
    except BaseException as error:
        doing.error = error_type(error)
        raise
    finally:
        doing.until = time_ns()
        tell(doing)
