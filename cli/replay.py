"""`praktijkbus replay`: facts from the journal once more, to one service or partner."""

from collections import defaultdict
from dataclasses import replace as changed
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncConnection

from cli import place
from cli.parked import Door, Why, Yes, author
from cli.place import Partners, State, Trouble
from cli.tell import checked
from contracts.catalogue import CATALOGUE, Owner
from contracts.fields import PartnerId
from services.chassis import names, repair
from services.chassis.calendar import AMSTERDAM
from services.intake import journal
from services.intake.journal import Selection

_ENTITIES = sorted({item.entity for item in CATALOGUE.values() if item.owner})
Stream = StrEnum("Stream", {entity.upper(): entity for entity in _ENTITIES})  # type: ignore[misc]


def replay(
    to: Annotated[str, typer.Option("--to", metavar="CONSUMER", help="A service, or a partner by its id.")],
    reden: Why,
    stream: Annotated[list[Stream] | None, typer.Option(help="Only this stream; may be given more often.")] = None,
    first: Annotated[int, typer.Option("--from", min=0, help="Only from this position in the journal on.")] = 0,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only what was recorded from this day on.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only the case of this number, such as PV-…")] = None,
    door: Door = None,
    yes: Yes = False,
    state: State = place.STATE,
    partners: Partners = place.PARTNERS,
) -> None:
    """Sends facts from the journal once more, in their order, to one consumer alone. Nothing is done twice.

    A service takes up what it missed and passes over what it has: after a copy of its database was put back,
    this gives it the rest. A partner gets what it was entitled to when it was recorded, and no more; it knows
    what it has by the id. Receipts are not in the journal: who sends a message again gets its receipt again.
    Facts name no person, and what their dataref led to stays gone after gegevens-gewist.
    """
    by = author(door, reden)
    selection = Selection(
        streams=sorted(item.value for item in stream or []) or _heard(to),
        first=first,
        since=since.replace(tzinfo=AMSTERDAM) if since else None,
        subject=checked(subject) if subject else None,
    )
    if to in set(Owner):
        queue = names.facts_queue(to)
        deaf = sorted(set(selection.streams) - set(_heard(to)))
        if deaf:
            raise Trouble(f"{to} does not listen to {', '.join(deaf)}. It does to {', '.join(_heard(to))}.")
    else:
        queue = names.partner_queue(place.partner_of(place.registry(partners), to).id)
        selection = place.ask(lambda: _entitled(state, to, selection))

    found = place.ask(lambda: place.transact(state, Owner.INTAKE, partial(journal.count, selection=selection)))
    if not found:
        raise Trouble("No fact in the journal is like that, or none that it may read.")
    if not yes and not typer.confirm(f"Send {found} facts to {to} once more?"):
        raise Trouble("Nothing was sent.")

    async def send(connection: AsyncConnection) -> int:
        sent = await journal.replay(connection, queue, selection)
        about = {
            "consumer": to,
            "streams": list(selection.streams),
            "from": first,
            "since": str(since.date()) if since else None,
            "subject": selection.subject,
            "count": sent,
        }
        await repair.record(connection, repair.Deed.REPLAY, by, [about])
        return sent

    sent = place.ask(lambda: place.transact(state, Owner.INTAKE, send))
    Console(emoji=False, highlight=False, soft_wrap=True).print(
        f"{sent} facts are on their way to {to}; intake sends them as soon as it runs."
    )


def _heard(consumer: str) -> list[str]:
    """The streams a service listens to; of a partner any, as its owner's record decides."""
    from deploy.local.bus import SERVICES

    return next((list(item.entities_heard()) for item in SERVICES if item.name == consumer), _ENTITIES)


async def _entitled(state: Path, partner: PartnerId, selection: Selection) -> Selection:
    """Only what the owners' own records say was meant for that partner."""
    types: dict[Owner, list[str]] = defaultdict(list)
    for item in CATALOGUE.values():
        if item.owner is not None and item.entity in selection.streams:
            types[item.owner].append(item.name)
    ids: set[str] = set()
    for owner, wanted in types.items():
        ids |= await place.transact(state, owner, partial(repair.addressed_to, partner=partner, types=wanted))
    return changed(selection, ids=ids)
