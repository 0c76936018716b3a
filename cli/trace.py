"""`praktijkbus trace`: one trace as a tree, from the files in which local services keep their spans."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import place
from cli.place import State, Trouble
from services.chassis.tracefile import lines_with

_DIGITS: Final = frozenset("0123456789abcdef")
_SHORTEST: Final = 4
_TOLD: Final = (
    *("praktijkbus.outcome", "praktijkbus.code", "http.response.status_code", "praktijkbus.smtp.status_code"),
    "error.type",
)
"""Attributes that say how it went."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A span, as far as it is shown."""

    service: str
    trace: str
    id: str
    parent: str | None
    links: tuple[tuple[str, str], ...]
    name: str
    since: int
    until: int
    attributes: dict[str, str]
    failed: bool

    @property
    def how(self) -> str:
        """How it went, in short."""
        told = [self.attributes[key] for key in _TOLD if key in self.attributes]
        if (attempt := self.attributes.get("praktijkbus.attempt", "1")) != "1":
            told.append(f"attempt {attempt}")
        if count := self.attributes.get("messaging.batch.message_count"):
            told.append("1 message" if count == "1" else f"{count} messages")
        return ", ".join(dict.fromkeys(told))


def trace(
    trace_id: Annotated[
        str, typer.Argument(metavar="ID", help="A trace id, or how it begins; `praktijkbus tell` shows them.")
    ],
    state: State = place.STATE,
) -> None:
    """Draws one trace: what followed from what, in which service, when, and how it went.

    Times are in milliseconds: since the trace began, and how long it took. Linked to it are the commits of the
    transactions in which it was processed, and the windows in which the relay sent its messages.
    """
    wanted = trace_id.strip().lower()
    if not _SHORTEST <= len(wanted) <= 32 or not _DIGITS.issuperset(wanted):
        raise Trouble(
            f"{trace_id} is no trace id: 32 hexadecimal digits, or the first {_SHORTEST} or more of them."
        )
    from deploy.local.bus import TRACES

    folder = state / TRACES
    if not folder.is_dir():
        raise Trouble(f"There are no traces in {folder}. Start the bus with `make run`.")
    found = list(_read(folder, wanted))
    traces = sorted({span.trace for span in found if span.trace.startswith(wanted)})
    if not traces:
        raise Trouble(f"No trace {wanted} in {folder}. It may be older than what is kept there.")
    if len(traces) > 1:
        several = "\n".join(f"  {one}" for one in traces[:20])
        raise Trouble(f"{wanted} is how {len(traces)} traces begin. Which one?\n{several}")
    _show(traces[0], found)


def _read(folder: Path, wanted: str) -> Iterator[Seen]:
    """The spans of traces that begin like that, and those that are linked to one."""
    for line in lines_with(folder, f'"traceId":"{wanted}'.encode()):
        for resource in line["resourceSpans"]:
            service = _attributes(resource["resource"])["service.name"].removeprefix("praktijkbus-")
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    seen = _seen(service, span)
                    if any(one.startswith(wanted) for one in (seen.trace, *(link[0] for link in seen.links))):
                        yield seen


def _seen(service: str, span: dict[str, Any]) -> Seen:
    return Seen(
        service=service,
        trace=span["traceId"],
        id=span["spanId"],
        parent=span.get("parentSpanId"),
        links=tuple((link["traceId"], link["spanId"]) for link in span.get("links", ())),
        name=span["name"],
        since=int(span["startTimeUnixNano"]),
        until=int(span["endTimeUnixNano"]),
        attributes=_attributes(span),
        failed=span.get("status", {}).get("code") == 2,
    )


def _attributes(of: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: str(next(iter(pair["value"].values()))) for pair in of["attributes"]}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the drawing."""

    guide: str
    span: Seen
    linked: bool
    """It is no part of the trace, but says so of one."""


def rows(trace_id: str, found: Sequence[Seen]) -> Iterator[Row]:
    """The spans of the trace, each below what it follows from, by time; what is linked to one below that."""
    inside = {span.id: span for span in found if span.trace == trace_id}
    below: dict[str | None, list[Seen]] = defaultdict(list)
    for span in sorted(found, key=lambda span: span.since):
        if span.trace == trace_id:
            below[span.parent if span.parent in inside else None].append(span)
        else:
            first = next((link[1] for link in span.links if link[1] in inside), None)
            below[first].append(span)

    def draw(parent: str | None, indent: str) -> Iterator[Row]:
        children = below[parent]
        for number, span in enumerate(children, 1):
            last = number == len(children)
            guide = "" if parent is None else f"{indent}{'└─ ' if last else '├─ '}"
            linked = span.trace != trace_id
            yield Row(guide, span, linked)
            if not linked:
                yield from draw(span.id, "" if parent is None else f"{indent}{'   ' if last else '│  '}")

    yield from draw(None, "")


def _show(trace_id: str, found: Sequence[Seen]) -> None:
    inside = [span for span in found if span.trace == trace_id]
    began, ended = min(span.since for span in inside), max(span.until for span in inside)
    out = Console(emoji=False, highlight=False)
    out.print(f"[bold]{trace_id}[/bold]  {len(inside)} spans, {_ms(ended - began)} ms")
    of_facts = [span for span in inside if not span.name.startswith("create ontvangst.")]
    cases = {span.attributes.get("messaging.message.conversation_id") for span in of_facts} - {None}
    for case in sorted(map(str, cases)):
        out.print(f"correlationid {case}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("+ms", justify="right")
    table.add_column("took", justify="right")
    table.add_column("what", overflow="fold")
    table.add_column("service")
    table.add_column("how", overflow="fold")
    for row in rows(trace_id, found):
        table.add_row(*_cells(row, began, trace_id))
    out.print(table)


def _cells(row: Row, began: int, trace_id: str) -> tuple[str, str, Text, str, Text]:
    span = row.span
    what = Text(row.guide, style="dim")
    what.append(f"↪ {span.name}" if row.linked else span.name, style="dim" if row.linked else "")
    how = Text(span.how, style="red" if span.failed else "")
    if row.linked and span.name.startswith("create "):
        how.append(f"{', ' if span.how else ''}begins trace {span.trace}")
    for link in span.links if not row.linked else ():
        if link[0] != trace_id:
            how.append(f"{', ' if span.how else ''}follows from trace {link[0]}")
    return _ms(span.since - began), _ms(span.until - span.since), what, span.service, how


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.1f}"
