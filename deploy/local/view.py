"""What a person sees while the pilot plays, and at its end. In Dutch: it is about trajecten."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.bus import SERVICES, Bus
from deploy.local.partners.script import BEGIN, Script
from deploy.local.partners.system import Office, Tally
from deploy.local.reckoning import Reckoning
from services.chassis.calendar import Calendar
from services.chassis.database import connect, is_passing

_EACH: Final = 0.5
"""Seconds between pictures."""
_COUNT_EACH: Final = 4
"""Pictures for which mails and parked rows are counted once."""
_PLAIN_EACH: Final = 20
"""Working days between lines where there is no terminal."""
_DAGEN: Final = ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag")
_MAANDEN: Final = (
    *("januari", "februari", "maart", "april", "mei", "juni"),
    *("juli", "augustus", "september", "oktober", "november", "december"),
)
_WAY: Final = ("aangemeld", "geschikt", "gematcht", "erkend", "gestart", "verklaring", "betaald", "gesloten")
_ASIDE: Final = ("niet geschikt", "teruggetrokken", "uitgevallen", "heropend", "onderbroken", "herplaatst")
_ORDINARY: Final = ("aanvaard", "wacht")


def _dag(day: date) -> str:
    return f"{_DAGEN[day.weekday()]} {day.day} {_MAANDEN[day.month - 1]} {day.year}"


def _euro(cent: int) -> str:
    return f"€ {cent // 100:,}".replace(",", ".")


class View:
    """Shows how it goes: alive on a terminal, else now and then a line."""

    def __init__(self, console: Console, script: Script) -> None:
        self._console = console
        self._script = script
        self._alive = console.is_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True, screen=self._alive)
        self._began = time.monotonic()
        self._mails = 0
        self._parked: dict[str, int] = {}
        self._told = -_PLAIN_EACH

    def __enter__(self) -> Self:
        if self._alive:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._alive:
            self._live.stop()

    async def watch(self, bus: Bus, office: Office) -> None:
        """Looks until cancelled."""
        assert bus.clock is not None
        engines = {service.name: connect(bus.address.databases[service.name]) for service in SERVICES}
        try:
            for picture in itertools.count():
                try:
                    if picture % _COUNT_EACH == 0:
                        await self._count(engines)
                except Exception as error:
                    if not is_passing(error):
                        raise
                self._tell(bus.clock, office.tally)
                await asyncio.sleep(_EACH)
        finally:
            for engine in engines.values():
                await engine.dispose()

    async def _count(self, engines: Mapping[str, AsyncEngine]) -> None:
        for name, engine in engines.items():
            async with engine.connect() as connection:
                parked = await connection.scalar(text("SELECT count(*) FROM pending WHERE status = 'parked'"))
                self._parked[name] = int(parked or 0)
                if name == "notify":
                    done = await connection.scalar(text("SELECT count(*) FROM effects WHERE status = 'done'"))
                    self._mails = int(done or 0)

    def _tell(self, calendar: Calendar, tally: Tally) -> None:
        today = calendar.today()
        passed = calendar.working_days_between(BEGIN.date(), today)
        if self._alive:
            self._live.update(self.screen(today, passed, tally), refresh=True)
        elif passed >= self._told + _PLAIN_EACH:
            self._told = passed
            counted = ", ".join(f"{len(tally.reached[step])} {step}" for step in _WAY)
            self._console.print(f"{_dag(today)}: {counted}; {self._mails} mails")

    # The screen

    def screen(self, today: date, passed: int, tally: Tally) -> RenderableType:
        """All of it, for a terminal of 80 by 24 or more."""
        layout = Layout()
        layout.split_column(
            Layout(self._head(today, passed), size=1),
            Layout(name="top", size=12),
            Layout(name="middle", size=7),
            Layout(Panel(self._news(tally), title="Net gebeurd", title_align="left")),
        )
        layout["top"].split_row(
            Layout(Panel(self._way(tally), title="De weg van de trajecten", title_align="left"), ratio=3),
            Layout(Panel(self._outcomes(tally), title="Antwoorden op meldingen", title_align="left"), ratio=2),
        )
        layout["middle"].split_row(
            Layout(Panel(self._money(tally), title="Geld per bron", title_align="left"), ratio=3),
            Layout(Panel(self._rest(tally), title="Verder", title_align="left"), ratio=2),
        )
        return layout

    def _head(self, today: date, passed: int) -> RenderableType:
        seconds = int(time.monotonic() - self._began)
        row = Table.grid(expand=True)
        row.add_column()
        row.add_column(justify="right")
        row.add_row(
            Text.assemble(("Praktijkbus, de pilot  ", "bold"), (_dag(today), "bold cyan")),
            f"werkdag {passed + 1}, na {seconds // 60}:{seconds % 60:02}",
        )
        return row

    def _way(self, tally: Tally) -> RenderableType:
        bars = Table.grid(expand=True, padding=(0, 1))
        bars.add_column(no_wrap=True)
        bars.add_column(ratio=1)
        bars.add_column(justify="right", no_wrap=True)
        for step in _WAY:
            number = len(tally.reached[step])
            bar = ProgressBar(total=max(self._script.count, 1), completed=number, complete_style="cyan")
            bars.add_row(step, bar, str(number))
        aside = "  ".join(f"{step} {len(tally.reached[step])}" for step in _ASIDE if tally.reached[step])
        return Group(bars, Text(aside, style="dim"))

    def _outcomes(self, tally: Tally) -> RenderableType:
        table = Table.grid(expand=True, padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(justify="right")
        refused = {code: number for code, number in tally.outcomes.items() if code not in _ORDINARY}
        table.add_row(Text("aanvaard", style="green"), str(tally.outcomes["aanvaard"]))
        table.add_row(Text("moest eerst wachten", style="yellow"), str(tally.outcomes["wacht"]))
        table.add_row(Text("afgewezen", style="red"), str(sum(refused.values())))
        most = sorted(refused.items(), key=lambda item: (-item[1], item[0]))
        for code, number in most[:6]:
            table.add_row(Text(f"  {code.replace('_', ' ')}", style="dim"), str(number))
        if more := most[6:]:
            table.add_row(Text(f"  {len(more)} andere redenen", style="dim"), str(sum(n for _, n in more)))
        return table

    def _money(self, tally: Tally) -> RenderableType:
        table = Table(box=None, expand=True, pad_edge=False)
        table.add_column("bron")
        for title in ("vrij", "toegezegd", "betaald"):
            table.add_column(title, justify="right", no_wrap=True)
        for bron, stand in sorted(tally.budgets.items()):
            free = stand["vastgesteld_cent"] - stand["gereserveerd_cent"] - stand["besteed_cent"]
            amounts = (free, stand["gereserveerd_cent"], stand["besteed_cent"])
            style = "yellow" if free * 20 < stand["vastgesteld_cent"] else ""
            table.add_row(bron, *map(_euro, amounts), style=style)
        return table

    def _rest(self, tally: Tally) -> RenderableType:
        table = Table.grid(expand=True, padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_row("partners lazen", f"{tally.received:,}".replace(",", "."))
        table.add_row("e-mails verstuurd", str(self._mails))
        table.add_row("te laat met antwoord", str(sum(tally.overdue.values())))
        parked = sum(self._parked.values())
        table.add_row(Text("apart gezet", style="red" if parked else ""), str(parked))
        if tally.silent:
            table.add_row("even niet bereikbaar", ", ".join(sorted(tally.silent)))
        return table

    def _news(self, tally: Tally) -> RenderableType:
        """The latest first; what does not fit falls off."""
        return Text(
            "\n".join(f"{day.day:2} {_MAANDEN[day.month - 1][:3]}  {line}" for day, line in reversed(tally.news))
        )


# The figures at the end

_LABELS: Final = {
    "trajecten": "trajecten",
    "eindstanden": "waar ze staan",
    "submissions": "meldingen van partners",
    "aanvaard": "  aanvaard",
    "afgewezen": "  afgewezen",
    "wacht": "  eerst gewacht",
    "planted": "  fout met opzet, en zo beantwoord",
    "facts": "feiten in het journaal",
    "verklaringen": "geldige praktijkverklaringen",
    "facturen": "facturen die staan",
    "credits": "creditnota's",
    "betalingen": "betalingen",
    "budgets": "geld per bron",
    "mails": "e-mails",
    "mail_copies": "e-mails die nog eens kwamen",
    "overdue": "te laat, per trede",
    "parked": "apart gezet na een storing",
    "coverage": "kwam niet voor",
    "lost": "verloren",
    "duplicate_effects": "dubbel gedaan",
    "seconds": "seconden",
}
"""The figures as people read them; `build/pilot.json` has them by their own names."""


def show(figures: Reckoning, console: Console) -> None:
    """The figures, what is wrong if anything is, and the verdict."""
    table = Table("wat", "hoeveel", title="De pilot", title_justify="left")
    for name, value in asdict(figures).items():
        if name != "findings":
            table.add_row(_LABELS.get(name, name), _shown(name, value))
    console.print(table)
    for finding in figures.findings[:20]:
        console.print(f"[red]✗[/red] {finding}")
    verdict = "[green]Alles klopt.[/green]" if figures.consistent else "[red]De boeken kloppen niet.[/red]"
    console.print(verdict)


def _shown(name: str, value: Any) -> str:
    if name == "budgets":
        return "\n".join(
            f"{bron}: {_euro(s['vastgesteld_cent'])}, betaald {_euro(s['besteed_cent'])},"
            f" toegezegd {_euro(s['gereserveerd_cent'])}"
            for bron, s in value.items()
        )
    if isinstance(value, dict):
        shown = sorted(value.items(), key=lambda item: -item[1])
        return ", ".join(f"{str(key).replace('_', ' ')} {number}" for key, number in shown) or "0"
    if isinstance(value, list):
        return ", ".join(value) or "niets"
    return str(value)
