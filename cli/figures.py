"""`praktijkbus figures`: what the coördinatiepunt wants to see, for people, spreadsheets and programs."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from cli import place
from cli.place import Database, Partners, State, Trouble
from contracts.catalogue import Owner
from services.chassis.calendar import AMSTERDAM, WorkingDays, load_extra_days
from services.intake import journal
from services.intake.cijfers import DOEL, Cijfers, bereken

Regel = tuple[str, str, str, str | int | float]
"""One figure: its part, its group, its name and its value."""

_KOPPEN: Final = {
    "trechter": "Trajecten die zo ver kwamen",
    "einde": "Trajecten die eerder eindigden",
    "samen": "Alle trajecten",
    "doorlooptijden": "Doorlooptijd in werkdagen",
    "te_laat": "Stappen waarvan de termijn is verlopen, per partner",
    "verloop": "Onderweg",
    "werkstatus": "Naar werkstatus",
    "sector": "Naar sector",
    "toegangspartner": "Naar toegangspartner",
    "uitval": "Waarom trajecten zijn uitgevallen",
    "nazorg": "Nazorg",
    "budget": "Budget per bron, in eurocenten",
}
_LOS: Final = (
    "herplaatsing",
    "match_afgewezen",
    "match_vervallen",
    "erkenning_geweigerd",
    "erkenning_ingetrokken",
)


def figures(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="For a spreadsheet.")] = False,
    op: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="As of the end of this day.", show_default="all that happened"),
    ] = None,
    doel: Annotated[int, typer.Option(min=1, help="How many verklaringen are the goal.")] = DOEL,
    extra_days: Annotated[
        Path | None,
        typer.Option(envvar="PRAKTIJKBUS_EXTRA_DAYS", help="Days that are no working days by decree (TOML)."),
    ] = None,
    state: State = place.STATE,
    partners: Partners = place.PARTNERS,
    database: Database = None,
) -> None:
    """Shows the funnel, how long steps take, who is late, how groups fare, and the budget per source.

    Counts under five are hidden (`<5`), and so is what would betray them (`afgeschermd`).
    """
    if as_json and as_csv:
        raise Trouble("Choose --json or --csv.")
    known = place.registry(partners)
    facts = place.ask(lambda: place.transact(state, Owner.INTAKE, journal.everything, database))
    last = max((fact.time for fact in facts), default=datetime.now(UTC))
    found = bereken(
        facts,
        op.date() if op else max(last, datetime.now(UTC)).astimezone(AMSTERDAM).date(),
        partners=[partner.id for partner in known.partners],
        doel=doel,
        werkdagen=WorkingDays(_extra(extra_days)) if extra_days else None,
    )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    elif as_csv:
        typer.echo(spreadsheet(found), nl=False)
    else:
        _show(found)


def spreadsheet(cijfers: Cijfers) -> str:
    """The figures as CSV (RFC 4180): a line each. No text in it begins a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("op", "onderdeel", "groep", "naam", "waarde"))
    for regel in regels(cijfers):
        writer.writerow([_harmless(cell) for cell in (cijfers.op.isoformat(), *regel)])
    return out.getvalue()


def regels(cijfers: Cijfers) -> Iterator[Regel]:
    """Every figure there is, one by one."""
    yield "doel", "", "verklaringen", cijfers.doel
    for onderdeel, inhoud in cijfers.model_dump(mode="json").items():
        if onderdeel in _LOS:
            yield "verloop", "", onderdeel, inhoud
        elif isinstance(inhoud, dict):
            yield from _regels(onderdeel, inhoud)


def _regels(onderdeel: str, inhoud: dict[str, Any]) -> Iterator[Regel]:
    for naam, waarde in inhoud.items():
        if isinstance(waarde, dict):
            yield from ((onderdeel, naam, maat, "" if cel is None else cel) for maat, cel in waarde.items())
        else:
            yield onderdeel, "", naam, waarde


def _harmless(cell: str | int | float) -> str | int | float:
    """A spreadsheet takes text that begins like this for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _show(cijfers: Cijfers) -> None:
    out = Console(emoji=False, highlight=False, soft_wrap=True)
    out.print(f"[bold]Cijfers tot en met {cijfers.op:%d-%m-%Y}[/bold]  (doel: {cijfers.doel} verklaringen)")
    onderdeel = ""
    for deel, groep, naam, waarde in regels(cijfers):
        if deel in _KOPPEN and deel != onderdeel:
            onderdeel = deel
            out.print(f"\n[bold]{_KOPPEN[deel]}[/bold]")
        if deel in _KOPPEN:
            naar = f"{groep}: {naam}" if groep else naam
            out.print(f"  {naar.replace('_', ' '):<40} {waarde if waarde != '' else '-':>12}", markup=False)
    out.print("\n<5: minder dan vijf. afgeschermd: zou een ander getal verraden.", markup=False)


def _extra(path: Path) -> frozenset[date]:
    try:
        return load_extra_days(path)
    except (OSError, ValueError) as problem:
        raise Trouble(f"The extra days cannot be read: {problem}.") from None
