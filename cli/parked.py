"""`praktijkbus parked`: what services gave up on, and what an operator does about it."""

import dataclasses
import getpass
import json
from collections import defaultdict
from collections.abc import Awaitable, Collection, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Protocol

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncConnection

from cli import place
from cli.place import State, Trouble
from contracts.catalogue import Owner
from services.chassis import repair
from services.chassis.calendar import AMSTERDAM
from services.chassis.repair import Author, Parked, Reden

app = typer.Typer(no_args_is_help=True, help="What services gave up on: look at it, retry it, discard it.")
_out: Final = Console(emoji=False, highlight=False, soft_wrap=True)

Consumer = Annotated[Owner | None, typer.Option("--consumer", help="Only of this service.")]
Cause = Annotated[str | None, typer.Option(help="Only what failed by this cause, as `list` writes it.")]
Json = Annotated[bool, typer.Option("--json", help="For programs: one array of everything.")]
Which = Annotated[Owner | None, typer.Argument(metavar="CONSUMER", help="The service that gave up on it.")]
Handle = Annotated[str | None, typer.Argument(metavar="ID", help="The id that `list --all` gives it.")]
Why = Annotated[Reden, typer.Option(help="Why you do this; it is written down.")]
Door = Annotated[str | None, typer.Option(help="Who does this.", show_default="your account on this machine")]
Yes = Annotated[bool, typer.Option("--yes", help="Does not ask first.")]


@app.command("list")
def show_all(
    consumer: Consumer = None,
    cause: Cause = None,
    every: Annotated[bool, typer.Option("--all", help="A line for each, with its id, instead of groups.")] = False,
    as_json: Json = False,
    state: State = place.STATE,
) -> None:
    """Lists what is parked in all services, and effects such as mails that failed for good."""
    found = _find(state, consumer, cause)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(item) for item in found], default=str, indent=2))
    elif not found:
        _out.print("Nothing is parked.")
    else:
        _out.print(_rows(found) if every else _groups(found), markup=False)


@app.command()
def show(
    consumer: Annotated[Owner, typer.Argument(metavar="CONSUMER", help="The service that gave up on it.")],
    handle: Annotated[str, typer.Argument(metavar="ID", help="The id that `list --all` gives it.")],
    state: State = place.STATE,
) -> None:
    """Shows one: what it is, why it is parked and since when, what it holds back, and what it says of nobody."""
    found = _one(state, consumer, handle)
    item = found.parked
    lines = {
        "what": f"{item.kind} {item.what}".strip(),
        "subject": item.subject,
        "sequence": item.sequence,
        "from": item.partner or item.source,
        "message id": item.id,
        "cause": item.cause,
        "attempts": item.attempts,
        "since": _moment(item.since),
        "holds back": f"{item.holds_back} later facts of its stream" if item.sequence else None,
    }
    for name, value in lines.items():
        if value not in (None, ""):
            _out.print(f"{name:<11} {value}", markup=False)
    if found.content is None:
        _out.print(f"\n{found.bytes} bytes that fit no contract, and are not shown: a name may be in them.")
    else:
        _out.print("\n" + json.dumps(found.content, indent=2, ensure_ascii=False), markup=False)


@app.command()
def retry(
    reden: Why,
    one: Which = None,
    handle: Handle = None,
    consumer: Consumer = None,
    cause: Cause = None,
    door: Door = None,
    yes: Yes = False,
    state: State = place.STATE,
) -> None:
    """Lets the service try again: one (CONSUMER ID) or all of a group (--consumer, --cause)."""
    done = _do(repair.retry, "retry", _chosen(state, one, handle, consumer, cause), reden, door, yes, state)
    _out.print(f"{done} will be tried again, within a second or when the service starts.")


@app.command()
def discard(
    reden: Why,
    one: Which = None,
    handle: Handle = None,
    consumer: Consumer = None,
    cause: Cause = None,
    door: Door = None,
    yes: Yes = False,
    state: State = place.STATE,
) -> None:
    """Gives up one (CONSUMER ID) or all of a group (--consumer, --cause). Nothing brings it back.

    Who sent it gets its final receipt, what a fact held back goes on without it, and a mail is not sent.
    """
    done = _do(repair.discard, "discard", _chosen(state, one, handle, consumer, cause), reden, door, yes, state)
    _out.print(f"{done} discarded. The service settles what follows within a second, or when it starts.")


def author(door: str | None, reden: Reden) -> Author:
    """Who does this, and why.

    Raises:
        Trouble: the name cannot be written down as it is.
    """
    try:
        return repair.author(door or getpass.getuser(), reden)
    except (ValueError, OSError, KeyError) as problem:
        raise Trouble(f"Say with --door who does this, as {problem}.") from None


def _chosen(
    state: Path, one: Owner | None, handle: str | None, consumer: Owner | None, cause: str | None
) -> list[Parked]:
    if one is not None and handle is not None and consumer is None and cause is None:
        return [_one(state, one, handle).parked]
    if one is not None or (consumer is None and cause is None):
        raise Trouble("Say which: CONSUMER ID for one, or --consumer and --cause for a group.")
    found = _find(state, consumer, cause)
    if not found:
        raise Trouble("Nothing like that is parked. See `praktijkbus parked list`.")
    return found


class Deed(Protocol):
    def __call__(self, connection: AsyncConnection, items: Collection[Parked], by: Author) -> Awaitable[int]: ...


def _do(deed: Deed, verb: str, items: list[Parked], reden: Reden, door: str | None, yes: bool, state: Path) -> int:
    by = author(door, reden)
    if len(items) > 1 and not yes:
        _out.print(_groups(items), markup=False)
        if not typer.confirm(f"{verb.capitalize()} all {len(items)}?"):
            raise Trouble("Nothing was done.")

    async def work() -> int:
        done = 0
        for service in sorted({item.consumer for item in items}):
            mine = [item for item in items if item.consumer == service]
            done += await place.transact(state, Owner(service), partial(deed, items=mine, by=by))
        return done

    return place.ask(work)


def _find(state: Path, consumer: Owner | None, cause: str | None) -> list[Parked]:
    async def work() -> list[Parked]:
        found: list[Parked] = []
        for service in [consumer] if consumer else list(Owner):
            found += await place.transact(
                state, service, partial(repair.parked, consumer=service.value, cause=cause)
            )
        return found

    return place.ask(work)


def _one(state: Path, consumer: Owner, handle: str) -> repair.Detail:
    found = place.ask(
        lambda: place.transact(state, consumer, partial(repair.detail, consumer=consumer.value, handle=handle))
    )
    if found is None:
        raise Trouble(f"{consumer.value} has nothing parked under {handle}. See `praktijkbus parked list --all`.")
    return found


def _groups(items: list[Parked]) -> str:
    groups: dict[tuple[str, str, str, str], list[Parked]] = defaultdict(list)
    for item in items:
        groups[item.consumer, item.kind, item.what, item.cause].append(item)
    lines = [("consumer", "kind", "what", "cause", "count", "oldest", "holds back")]
    for (consumer, kind, what, cause), members in sorted(groups.items()):
        oldest = min(item.since for item in members)
        held = sum(item.holds_back for item in members)
        lines.append((consumer, kind, what, cause, str(len(members)), _moment(oldest), str(held)))
    return _columns(lines)


def _rows(items: list[Parked]) -> str:
    lines = [("consumer", "id", "kind", "what", "subject", "cause", "attempts", "since", "holds back")]
    for item in items:
        name = (item.consumer, item.handle, item.kind, item.what, item.subject or "-", item.cause)
        lines.append((*name, str(item.attempts), _moment(item.since), str(item.holds_back)))
    return _columns(lines)


def _columns(lines: Sequence[tuple[str, ...]]) -> str:
    """Lines under one another, each cell whole: a cause or an id is there to be copied."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(AMSTERDAM):%d-%m-%Y %H:%M}"
