from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.calendar import (
    EXTRA_DAYS,
    Calendar,
    FixedCalendar,
    SystemCalendar,
    WorkingDays,
    load_extra_days,
)

RULES = WorkingDays()
DAYS = st.dates(date(2020, 1, 1), date(2040, 12, 31))
FREE_WEEKDAYS = {
    2024: "01-01 03-29 04-01 05-09 05-10 05-20 12-25 12-26 12-27",
    2025: "01-01 04-18 04-21 05-05 05-29 05-30 06-09 12-25 12-26",
    2026: "01-01 01-02 04-03 04-06 04-27 05-05 05-14 05-15 05-25 12-25",
    2027: "01-01 03-26 03-29 04-27 05-05 05-06 05-07 05-17",
    2028: "04-14 04-17 04-27 04-28 05-05 05-25 05-26 06-05 12-25 12-26",
    2029: "01-01 03-30 04-02 04-27 05-10 05-21 12-25 12-26",
    2030: "01-01 04-19 04-22 05-30 06-10 12-25 12-26",
}
"""By hand from the calendar: what the Algemene termijnenwet names, where it is no Saturday or Sunday."""


@pytest.mark.parametrize("year", FREE_WEEKDAYS)
def test_free_weekdays_are_those_of_the_law_and_no_others(year: int) -> None:
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    free = [day for day in days if day.year == year and day.weekday() < 5 and not RULES.is_working_day(day)]

    assert " ".join(day.strftime("%m-%d") for day in free) == FREE_WEEKDAYS[year]


def easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian computus (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    (d, e), g = divmod(b, 4), (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


def free_days(year: int) -> dict[str, date]:
    """What article 3 of the Algemene termijnenwet names, worked out without the library."""
    from_easter = {"Good Friday": -2, "Easter Monday": 1, "Ascension Day": 39, "Whit Monday": 50}
    kings_day = date(year, 4, 27)
    return {
        "New Year's Day": date(year, 1, 1),
        **{name: easter(year) + timedelta(days=days) for name, days in from_easter.items()},
        "King's Day": kings_day - timedelta(days=kings_day.weekday() == 6),
        "5 May": date(year, 5, 5),
        "Christmas Day": date(year, 12, 25),
        "Second Christmas Day": date(year, 12, 26),
    }


@pytest.mark.parametrize(
    ("year", "sunday"),
    [
        *((2024, "03-31"), (2025, "04-20"), (2026, "04-05"), (2027, "03-28"), (2028, "04-16"), (2029, "04-01")),
        *((2030, "04-21"), (2008, "03-23"), (2038, "04-25")),  # the last two: about the earliest and the latest
    ],
)
def test_easter_of_this_test_is_that_of_the_almanac(year: int, sunday: str) -> None:
    assert f"{easter(year):%m-%d}" == sunday
    assert easter(year).weekday() == 6


@pytest.mark.parametrize("year", range(2024, 2031))
def test_every_day_is_what_the_law_makes_it(year: int) -> None:
    """Each day of the year, with each reason that it may be free for."""
    by_law, bridge = set(free_days(year).values()), {day for day in EXTRA_DAYS if day.year == year}
    for day in (date(year, 1, 1) + timedelta(days=n) for n in range(366)):
        if day.year == year:
            works = day.weekday() < 5 and day not in by_law and day not in bridge
            assert RULES.is_working_day(day) is works, day


@pytest.mark.parametrize("year", range(2024, 2031))
@pytest.mark.parametrize("name", free_days(2024))
def test_no_free_day_counts(year: int, name: str) -> None:
    """A term of one working day, set the day before, ends after it: also where it falls in a weekend."""
    free = free_days(year)[name]

    assert not RULES.is_working_day(free)
    assert RULES.add_working_days(free - timedelta(days=1), 1) > free
    assert RULES.working_days_between(free - timedelta(days=1), free) == 0


@pytest.mark.parametrize("day", sorted(EXTRA_DAYS))
def test_bridge_day_is_free_by_the_table_alone(day: date) -> None:
    """Each is a Friday after Ascension Day or King's Day, or after a second Christmas or New Year's Day."""
    assert day.weekday() == 4
    assert day - timedelta(days=1) in free_days(day.year).values()
    assert not RULES.is_working_day(day)
    assert WorkingDays(extra=()).is_working_day(day)


@pytest.mark.parametrize(
    ("year", "last_before", "first_after"),
    [
        (2024, "2024-12-24", "2024-12-30"),  # Wednesday and Thursday, and the bridge day
        (2025, "2025-12-24", "2025-12-29"),  # Thursday and Friday
        (2026, "2026-12-24", "2026-12-28"),  # Friday and Saturday
        (2027, "2027-12-24", "2027-12-27"),  # Saturday and Sunday: no other day is free instead
        (2028, "2028-12-22", "2028-12-27"),  # Monday and Tuesday
        (2029, "2029-12-24", "2029-12-27"),  # Tuesday and Wednesday
        (2030, "2030-12-24", "2030-12-27"),  # Wednesday and Thursday
    ],
)
def test_christmas_on_every_day_of_the_week(year: int, last_before: str, first_after: str) -> None:
    before, after = date.fromisoformat(last_before), date.fromisoformat(first_after)

    assert RULES.add_working_days(before, 1) == after
    assert RULES.add_working_days(date(year, 12, 25), 1) == after
    assert RULES.add_working_days(date(year, 12, 26), -1) == before


@pytest.mark.parametrize("year", range(2024, 2031))
def test_day_begins_at_dutch_midnight_on_both_sides_of_each_change_of_the_clock(year: int) -> None:
    """Forward at 02:00 on the last Sunday of March, back at 03:00 on that of October (2000/84/EC)."""

    def last_sunday(month: int) -> date:
        last = date(year, month, 31)
        return last - timedelta(days=(last.weekday() + 1) % 7)

    for month, hours_before, hours_after in ((3, 1, 2), (10, 2, 1)):
        sunday = last_sunday(month)
        for day, hours in ((sunday, hours_before), (sunday + timedelta(days=1), hours_after)):
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=hours)
            assert FixedCalendar(midnight).today() == day
            assert FixedCalendar(midnight - timedelta(seconds=1)).today() == day - timedelta(days=1)
        # a term over the change counts days, whatever their hours
        assert RULES.working_days_between(sunday - timedelta(days=2), sunday + timedelta(days=1)) == (
            1 if RULES.is_working_day(sunday + timedelta(days=1)) else 0
        )


@given(day=DAYS)
def test_weekends_never_count(day: date) -> None:
    assert not (day.weekday() >= 5 and RULES.is_working_day(day))


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-04-22", 10, "2026-05-08"),  # King's Day and 5 May
        ("2026-11-02", 10, "2026-11-16"),
        ("2026-05-13", 1, "2026-05-18"),  # Ascension Day and the bridge day
        ("2026-12-24", 1, "2026-12-28"),  # second Christmas day on a Saturday
        ("2027-12-24", 1, "2027-12-27"),  # both in a weekend
        ("2024-12-24", 1, "2024-12-30"),  # both, and the bridge day
        ("2025-12-31", 1, "2026-01-05"),  # New Year's Day and the bridge day
        ("2025-04-25", 1, "2025-04-28"),  # King's Day on Saturday the 26th
        ("2026-11-07", 1, "2026-11-09"),  # from a Saturday
        ("2026-11-07", 0, "2026-11-07"),
        ("2026-11-09", -1, "2026-11-06"),
        ("2026-11-08", -1, "2026-11-06"),
        ("2026-01-05", -1, "2025-12-31"),
        ("2023-12-29", 253 + 252 + 251, "2026-12-31"),  # all of three years
    ],
)
def test_adding_working_days(start: str, days: int, end: str) -> None:
    assert RULES.add_working_days(date.fromisoformat(start), days) == date.fromisoformat(end)


def test_library_default_alone_would_be_a_day_early() -> None:
    assert WorkingDays(extra=()).add_working_days(date(2026, 5, 13), 1) == date(2026, 5, 15)
    assert RULES.add_working_days(date(2026, 5, 13), 1) == date(2026, 5, 18)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-11-06", "2026-11-06", 0),
        ("2026-11-06", "2026-11-09", 1),
        ("2026-11-06", "2026-11-08", 0),
        ("2026-11-09", "2026-11-06", -1),
        ("2026-04-22", "2026-05-08", 10),
        ("2025-12-31", "2026-01-05", 1),
        ("2026-01-05", "2025-12-31", -1),
    ],
)
def test_counting_working_days(start: str, end: str, days: int) -> None:
    assert RULES.working_days_between(date.fromisoformat(start), date.fromisoformat(end)) == days


@given(start=DAYS, days=st.integers(-800, 800))
def test_counting_is_the_inverse_of_adding(start: date, days: int) -> None:
    end = RULES.add_working_days(start, days)

    assert RULES.working_days_between(start, end) == days
    assert days == 0 or RULES.is_working_day(end)


@given(start=DAYS, length=st.integers(-60, 60))
def test_counting_agrees_with_going_day_by_day(start: date, length: int) -> None:
    steps = range(1, length + 1) if length > 0 else range(length, 0)
    passed = [start + timedelta(days=n) for n in steps]
    count = sum(RULES.is_working_day(day) for day in passed)

    assert RULES.working_days_between(start, start + timedelta(days=length)) == (count if length > 0 else -count)


@given(start=DAYS, days=st.integers(-300, 300))
def test_more_days_end_later_and_a_later_start_never_ends_earlier(start: date, days: int) -> None:
    end = RULES.add_working_days(start, days)

    assert RULES.add_working_days(start, days + 1) > end
    assert RULES.add_working_days(start + timedelta(days=1), days) >= end


@given(start=DAYS, first=st.integers(1, 100), second=st.integers(1, 100))
def test_adding_twice_is_adding_the_sum(start: date, first: int, second: int) -> None:
    between = RULES.add_working_days(start, first)

    assert RULES.add_working_days(between, second) == RULES.add_working_days(start, first + second)


@pytest.mark.parametrize(
    ("now", "today"),
    [
        ("2026-01-14T22:59:59", "2026-01-14"),  # winter: one hour ahead
        ("2026-01-14T23:00:00", "2026-01-15"),
        ("2026-07-14T21:59:59", "2026-07-14"),  # summer: two
        ("2026-07-14T22:00:00", "2026-07-15"),
        ("2026-03-28T22:59:59", "2026-03-28"),  # the clock goes forward on the 29th
        ("2026-03-28T23:00:00", "2026-03-29"),
        ("2026-03-29T21:59:59", "2026-03-29"),
        ("2026-03-29T22:00:00", "2026-03-30"),
        ("2026-10-24T21:59:59", "2026-10-24"),  # and back on the 25th
        ("2026-10-24T22:00:00", "2026-10-25"),
        ("2026-10-25T22:59:59", "2026-10-25"),
        ("2026-10-25T23:00:00", "2026-10-26"),
        ("2026-12-31T23:00:00", "2027-01-01"),
    ],
)
def test_today_is_the_day_in_the_netherlands(now: str, today: str) -> None:
    calendar = FixedCalendar(datetime.fromisoformat(now).replace(tzinfo=UTC))

    assert calendar.today() == date.fromisoformat(today)


def test_fixed_calendar_stands_still_until_set() -> None:
    calendar = FixedCalendar(datetime(2026, 4, 22, 8, tzinfo=timezone(timedelta(hours=2))))
    assert calendar.now() == datetime(2026, 4, 22, 6, tzinfo=UTC)
    assert calendar.now().tzinfo is UTC

    calendar.set(datetime(2026, 4, 22, 23, tzinfo=UTC))

    assert calendar.today() == date(2026, 4, 23)


def test_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        FixedCalendar(datetime(2026, 4, 22))


def test_system_calendar_tells_the_time_in_utc() -> None:
    calendar: Calendar = SystemCalendar()
    before = datetime.now(UTC)

    assert before <= calendar.now() <= datetime.now(UTC)
    assert calendar.now().tzinfo is UTC
    assert calendar.is_working_day(date(2026, 11, 2))
    assert calendar.working_days_between(date(2026, 4, 22), calendar.add_working_days(date(2026, 4, 22), 10)) == 10


def test_operator_replaces_the_extra_days(tmp_path: Path) -> None:
    path = tmp_path / "vrije-dagen.toml"
    path.write_text("dagen = [2031-05-23, 2029-05-11]\n")
    rules = WorkingDays(load_extra_days(path))

    assert not rules.is_working_day(date(2029, 5, 11))
    assert rules.is_working_day(date(2026, 5, 15))
    assert date(2026, 5, 15) in EXTRA_DAYS


@pytest.mark.parametrize(
    "text", ["", "dagen = 1", 'dagen = ["2026-05-15"]', "dagen = [2026-05-15T00:00:00]", "dagen = []\ndays = []"]
)
def test_wrong_table_of_extra_days_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vrije-dagen.toml"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"vrije-dagen\.toml"):
        load_extra_days(path)
