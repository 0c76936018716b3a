"""`praktijkbus tell`: the story of one traject, as the journal has it."""

import re
from functools import partial
from typing import Annotated, Final

import typer
from rich.console import Console
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cli import place
from cli.place import Database, Partners, State, Trouble
from contracts.catalogue import Owner
from contracts.fields import is_number
from contracts.partners import Registry
from services.intake import journal, tables
from services.intake.journal import Entry
from services.intake.verhaal import vertel

_NUMBER: Final = re.compile(r"(PV|M|VK|OP|BT|TM)-[0-9A-Z]{5}-[0-9A-Z]{5}")
_INVOICE: Final = re.compile(r"[A-Z]{2,6}-[0-9]{6}")


def checked(written: str) -> str:
    """The number as the bus writes it.

    Raises:
        Trouble: it is no number of a traject or of something in one, or its check character is wrong.
    """
    number = written.strip().upper()
    if _INVOICE.fullmatch(number):
        return number
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise Trouble(
            f"{written} is geen nummer van een traject. Zo ziet een trajectnummer eruit: PV-7K3F9-QX2ME. "
            "Een nummer dat begint met M-, VK-, OP-, BT- of TM- mag ook, en een factuurnummer."
        )
    if not is_number(number, found[1]):
        raise Trouble(f"Het controleteken van {written} klopt niet. Is het nummer goed overgenomen?")
    return number


def tell(
    nummer: Annotated[str, typer.Argument(help="PV-7K3F9-QX2ME; also a number of something in the traject.")],
    state: State = place.STATE,
    partners: Partners = place.PARTNERS,
    database: Database = None,
) -> None:
    """Tells the story of one traject in Dutch: what happened, when, by whom, and the trace of each step."""
    number = checked(nummer)
    known = place.registry(partners)
    entries, stand = place.ask(
        lambda: place.transact(state, Owner.INTAKE, partial(_case, number=number), database)
    )
    if not entries:
        raise Trouble(f"{number} komt niet voor in het journaal. Is het nummer van deze bus?")
    _show(number, entries, stand, known)


async def _case(connection: AsyncConnection, number: str) -> tuple[list[Entry], str | None]:
    """The case, and the state its traject is in now."""
    entries = await journal.story(connection, number)
    status = select(tables.traject.c.body["status"].astext).where(tables.traject.c.subject == _traject(entries))
    return entries, await connection.scalar(status)


def _traject(entries: list[Entry]) -> str | None:
    return next((entry.subject for entry in entries if entry.subject.startswith("PV-")), None)


def _show(number: str, entries: list[Entry], stand: str | None, known: Registry) -> None:
    out = Console(emoji=False)
    traject = _traject(entries) or number
    count = f"{len(entries)} gebeurtenissen" if len(entries) != 1 else "1 gebeurtenis"
    out.print(
        f"[bold]{traject}[/bold]  stand: {(stand or 'onbekend').replace('_', ' ')}, {count}", highlight=False
    )
    width = max(len(_name(entry.actor, known)) for entry in entries)
    for regel in vertel(entries):
        out.print(f"\n{regel.tijdstip:%d-%m-%Y %H:%M}  {regel.zin}", markup=False, highlight=False, soft_wrap=True)
        below = f"{'':18}{_name(regel.actor, known):<{width}}  trace {regel.trace_id or 'onbekend'}"
        out.print(below, style="dim", markup=False, highlight=False, soft_wrap=True)


def _name(actor: str, known: Registry) -> str:
    """What an actor is called: a partner by its name, a service as a part of the bus."""
    partner = known.get(actor)
    if partner is not None:
        return partner.naam
    return f"Praktijkbus, {actor}" if actor in set(Owner) else actor
