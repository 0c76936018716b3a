"""What time it is, and what counts as a working day.

Deadlines run in Dutch working days; instants are UTC and days are those of Europe/Amsterdam. Whoever
needs the time is given a `Calendar`, so that a test or a demonstration can set it.

A working day is no Saturday or Sunday and none of the days of article 3 of the Algemene termijnenwet:
New Year's Day, Good Friday, Easter Monday, King's Day, 5 May (every year), Ascension Day, Whit Monday,
both Christmas days, and the days that a royal decree puts on a par with them.
"""

import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, Self
from zoneinfo import ZoneInfo

from holidays import country_holidays

AMSTERDAM: Final = ZoneInfo("Europe/Amsterdam")
EXTRA_DAYS: Final = frozenset(
    {
        date(2024, 5, 10),
        date(2024, 12, 27),
        date(2025, 5, 30),
        date(2026, 1, 2),
        date(2026, 5, 15),
        date(2027, 5, 7),
        date(2028, 4, 28),
        date(2028, 5, 26),
    }
)
"""Bridge days by royal decree, which no library knows. The next decree: see `load_extra_days`.

From "Besluit gelijkstelling van 28 april 2023, 19 mei 2023, 10 mei 2024, 27 december 2024 en 30 mei 2025"
and "Besluit gelijkstelling van 2 januari 2026, 15 mei 2026, 7 mei 2027, 28 april 2028 en 26 mei 2028".
"""


class Calendar(Protocol):
    def now(self) -> datetime:
        """This instant, in UTC."""

    def today(self) -> date:
        """This day, in the Netherlands."""

    def is_working_day(self, day: date) -> bool: ...

    def add_working_days(self, start: date, days: int) -> date:
        """The `days`-th working day after `start`; `start` itself does not count. Negative goes back."""

    def working_days_between(self, start: date, end: date) -> int:
        """How many working days have passed at `end`: after `start`, up to and including `end`.

        The inverse of `add_working_days`, also backwards: negative where `end` comes before `start`.
        """


@dataclass(frozen=True)
class WorkingDays:
    """The rules. `extra` are the operator's days, in place of `EXTRA_DAYS`."""

    extra: Collection[date] = EXTRA_DAYS
    _years: dict[int, list[date]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def is_working_day(self, day: date) -> bool:
        days = self._of(day.year)
        at = bisect_left(days, day)
        return at < len(days) and days[at] == day

    def add_working_days(self, start: date, days: int) -> date:
        year = start.year
        if days > 0:
            at = bisect_right(self._of(year), start) + days - 1
        elif days < 0:
            at = bisect_left(self._of(year), start) + days
        else:
            return start
        while at < 0:
            year -= 1
            at += len(self._of(year))
        while at >= len(self._of(year)):
            at -= len(self._of(year))
            year += 1
        return self._of(year)[at]

    def working_days_between(self, start: date, end: date) -> int:
        whole_years = sum(len(self._of(year)) for year in range(start.year, end.year))
        whole_years -= sum(len(self._of(year)) for year in range(end.year, start.year))
        place = bisect_right if start <= end else bisect_left
        return whole_years + place(self._of(end.year), end) - place(self._of(start.year), start)

    def _of(self, year: int) -> list[date]:
        """The working days of a year, ascending."""
        if year not in self._years:
            # "optional" is 5 May in the years that "public" leaves it out; the rest of both is in the law
            free = {*self.extra, *country_holidays("NL", years=year, categories=("public", "optional"))}
            first = date(year, 1, 1)
            every = (first + timedelta(days=n) for n in range((date(year, 12, 31) - first).days + 1))
            self._years[year] = [day for day in every if day.weekday() < 5 and day not in free]
        return self._years[year]


class SystemCalendar:
    """The real clock."""

    def __init__(self, working_days: WorkingDays | None = None) -> None:
        self._rules = working_days or WorkingDays()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def today(self) -> date:
        return self.now().astimezone(AMSTERDAM).date()

    def is_working_day(self, day: date) -> bool:
        return self._rules.is_working_day(day)

    def add_working_days(self, start: date, days: int) -> date:
        return self._rules.add_working_days(start, days)

    def working_days_between(self, start: date, end: date) -> int:
        return self._rules.working_days_between(start, end)


class FixedCalendar(SystemCalendar):
    """A clock that stands still until it is set."""

    def __init__(self, now: datetime, working_days: WorkingDays | None = None) -> None:
        super().__init__(working_days)
        self.set(now)

    def set(self, now: datetime) -> None:
        """Sets the clock.

        Raises:
            ValueError: `now` has no zone.
        """
        self._now = _with_zone(now)

    def now(self) -> datetime:
        return self._now


class SteppedCalendar(SystemCalendar):
    """A clock in a file, that several processes go by and one sets: months of a demonstration in a minute."""

    def __init__(self, path: Path, working_days: WorkingDays | None = None) -> None:
        """Raises ValueError where the file holds no time with a zone, FileNotFoundError where there is none."""
        super().__init__(working_days)
        self._path = path
        self._version: tuple[int, int] | None = None
        self.now()

    @classmethod
    def begin(cls, path: Path, now: datetime, working_days: WorkingDays | None = None) -> Self:
        """The clock in that file; it begins at `now` where there was none."""
        if not path.exists():
            _write_time(path, now)
        return cls(path, working_days)

    def now(self) -> datetime:
        found = self._path.stat()
        version = (found.st_ino, found.st_mtime_ns)
        if version != self._version:
            self._now = _with_zone(datetime.fromisoformat(self._path.read_text(encoding="ascii")))
            self._version = version
        return self._now

    def step_to(self, now: datetime) -> None:
        """Sets the clock for everyone.

        Raises:
            ValueError: `now` has no zone, or lies before what it is.
        """
        if _with_zone(now) < self.now():
            raise ValueError("time does not go back")
        _write_time(self._path, now)


def _with_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone")
    return moment.astimezone(UTC)


def _write_time(path: Path, now: datetime) -> None:
    """In one go, so that nobody reads half of it."""
    beside = path.with_suffix(".new")
    beside.write_text(_with_zone(now).isoformat(), encoding="ascii")
    beside.replace(path)


def load_extra_days(path: Path) -> frozenset[date]:
    """The operator's extra days, from TOML: `dagen = [2026-05-15, 2027-05-07]`. They replace `EXTRA_DAYS`.

    Raises:
        ValueError: no such list, or something in it that is not a day.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    days = content.pop("dagen", None)
    if content or not isinstance(days, list):
        raise ValueError(f"{path}: expected only dagen = [2026-05-15, …]")
    for day in days:
        if type(day) is not date:  # a datetime is a date too
            raise ValueError(f"{path}: {day} is not a day such as 2026-05-15")
    return frozenset(days)
