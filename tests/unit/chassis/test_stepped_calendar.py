from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.chassis.calendar import SteppedCalendar

NEW_YEARS_EVE = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


def test_everyone_who_reads_the_file_goes_by_the_same_time(tmp_path: Path) -> None:
    one = SteppedCalendar.begin(tmp_path / "clock", datetime(2026, 12, 31, 8, tzinfo=UTC))
    other = SteppedCalendar(tmp_path / "clock")
    one.step_to(NEW_YEARS_EVE)
    assert (one.now(), other.now()) == (NEW_YEARS_EVE, NEW_YEARS_EVE)
    assert other.today() == date(2027, 1, 1)  # in Amsterdam


def test_a_clock_that_was_begun_goes_on_where_it_was(tmp_path: Path) -> None:
    SteppedCalendar.begin(tmp_path / "clock", NEW_YEARS_EVE)
    assert SteppedCalendar.begin(tmp_path / "clock", datetime(2026, 1, 1, tzinfo=UTC)).now() == NEW_YEARS_EVE


def test_time_does_not_go_back(tmp_path: Path) -> None:
    clock = SteppedCalendar.begin(tmp_path / "clock", NEW_YEARS_EVE)
    with pytest.raises(ValueError, match="go back"):
        clock.step_to(datetime(2026, 12, 31, 23, 29, tzinfo=UTC))


@pytest.mark.parametrize("content", ["2026-12-31T23:30:00", "gisteren", ""])
def test_a_file_without_a_time_with_a_zone_is_an_error_at_once(tmp_path: Path, content: str) -> None:
    (tmp_path / "clock").write_text(content, encoding="ascii")
    with pytest.raises(ValueError, match=r"zone|isoformat"):
        SteppedCalendar(tmp_path / "clock")
