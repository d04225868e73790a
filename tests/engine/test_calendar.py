"""Working days as the community's own dates have them, and properties that hold for every date."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.calendar import MAX_COUNT, Calendar, CalendarError, public_holidays

CALENDAR = Calendar()
SSU = date(2026, 11, 27)
AU = date(2026, 11, 5)
SSU_2024 = date(2024, 9, 26)

some_date = st.dates(date(2000, 1, 1), date(2080, 1, 1))
some_count = st.integers(0, 60)


@pytest.mark.parametrize(
    ("meeting", "n", "expected"),
    [
        (SSU, 10, date(2026, 11, 13)),
        (SSU, 7, date(2026, 11, 18)),
        (SSU, 5, date(2026, 11, 20)),
        (AU, 15, date(2026, 10, 15)),
        (AU, 10, date(2026, 10, 22)),
        (AU, 7, date(2026, 10, 27)),
        (AU, 5, date(2026, 10, 29)),
        (SSU_2024, 25, date(2024, 8, 22)),
        (SSU_2024, 15, date(2024, 9, 5)),
        (SSU_2024, 9, date(2024, 9, 13)),
        (SSU_2024, 8, date(2024, 9, 16)),
        (SSU_2024, 5, date(2024, 9, 19)),
        (date(2024, 11, 28), 15, date(2024, 11, 7)),
    ],
)
def test_counts_working_days_back_from_a_meeting(meeting: date, n: int, expected: date) -> None:
    assert CALENDAR.working_days_before(meeting, n) == expected


@pytest.mark.parametrize(
    ("meeting", "n", "expected"),
    [
        (SSU, 5, date(2026, 12, 4)),
        (SSU, 10, date(2026, 12, 11)),
        (SSU_2024, 5, date(2024, 10, 3)),
        (SSU_2024, 10, date(2024, 10, 10)),
        (SSU_2024, 20, date(2024, 10, 24)),
        (SSU_2024, 40, date(2024, 11, 21)),
    ],
)
def test_counts_working_days_on_from_a_meeting(meeting: date, n: int, expected: date) -> None:
    assert CALENDAR.working_days_after(meeting, n) == expected


def test_papers_five_working_days_before_skip_the_first_of_may() -> None:
    assert CALENDAR.working_days_before(date(2026, 5, 7), 5) == date(2026, 4, 29)


@pytest.mark.parametrize(
    ("months_before", "expected"), [(5, date(2026, 6, 30)), (3, date(2026, 8, 31)), (2, date(2026, 9, 30))]
)
def test_last_working_day_of_an_earlier_month(months_before: int, expected: date) -> None:
    assert CALENDAR.last_working_day(SSU, months_before) == expected


def test_ten_working_days_before_the_last_of_june() -> None:
    assert CALENDAR.working_days_before(CALENDAR.last_working_day(SSU, 5), 10) == date(2026, 6, 16)


def test_months_are_counted_across_the_turn_of_the_year() -> None:
    assert CALENDAR.last_working_day(date(2027, 1, 15), 1) == date(2026, 12, 30)
    assert CALENDAR.first_working_day_of(date(2027, 2, 28), 14) == date(2025, 12, 1)


def test_first_working_day_of_a_month_skips_the_weekend_and_holidays() -> None:
    assert CALENDAR.first_working_day_of(SSU, months_before=3) == date(2026, 8, 3)
    assert CALENDAR.first_working_day_of(date(2026, 1, 20)) == date(2026, 1, 2)


def test_a_month_closed_throughout_gives_the_nearest_month_that_is_not() -> None:
    july = frozenset(date(2026, 7, day) for day in range(1, 32))
    closed = Calendar(closed=july)
    assert closed.last_working_day(date(2026, 7, 15)) == date(2026, 6, 30)
    assert closed.first_working_day_of(date(2026, 7, 15)) == date(2026, 8, 3)


def test_the_turn_of_the_year_is_closed() -> None:
    assert CALENDAR.working_day_on_or_before(date(2027, 1, 1)) == date(2026, 12, 30)
    assert CALENDAR.working_day_on_or_after(date(2026, 12, 31)) == date(2027, 1, 4)


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2026, 11, 27), None),
        (date(2026, 11, 28), "weekend"),
        (date(2026, 5, 17), "weekend"),
        (date(2026, 4, 6), "holiday:Andre påskedag"),
        (date(2026, 5, 1), "holiday:Arbeidernes dag"),
        (date(2026, 12, 24), "eve"),
        (date(2026, 12, 31), "eve"),
        (date(2026, 5, 15), "closed"),
    ],
)
def test_says_why_a_day_is_closed(day: date, reason: str | None) -> None:
    calendar = Calendar(closed=frozenset({date(2026, 5, 15)}))
    assert calendar.why_closed(day) == reason
    assert calendar.is_working_day(day) is (reason is None)


def test_eves_can_be_working_days() -> None:
    assert Calendar(closed_eves=False).is_working_day(date(2026, 12, 24))


def test_between_excludes_the_first_day_and_includes_the_last() -> None:
    assert CALENDAR.working_days_between(AU, SSU) == 16
    assert CALENDAR.working_days_between(date(2026, 11, 27), date(2026, 11, 29)) == 0
    assert CALENDAR.working_days_between(date(2026, 11, 29), date(2026, 11, 30)) == 1
    assert CALENDAR.working_days_between(date(2026, 11, 30), date(2026, 11, 27)) == -1
    assert CALENDAR.working_days_between(SSU, SSU) == 0


def test_week_40_is_autumn_break_but_still_working_days() -> None:
    assert CALENDAR.autumn_break(date(2026, 9, 30))
    assert CALENDAR.is_working_day(date(2026, 9, 30))
    assert not CALENDAR.autumn_break(date(2026, 10, 5))
    assert Calendar(break_weeks=frozenset({41})).autumn_break(date(2026, 10, 5))


def test_july_is_known() -> None:
    assert CALENDAR.in_july(date(2026, 7, 31))
    assert not CALENDAR.in_july(date(2026, 8, 1))


def test_a_day_ends_at_the_local_midnight_that_begins_the_next() -> None:
    assert CALENDAR.start_of_day(SSU) == datetime(2026, 11, 26, 23, tzinfo=UTC)
    assert CALENDAR.end_of_day(SSU) == datetime(2026, 11, 27, 23, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (SSU, 24)])
def test_days_on_which_clocks_change_are_shorter_or_longer(day: date, hours: int) -> None:
    assert CALENDAR.end_of_day(day) - CALENDAR.start_of_day(day) == timedelta(hours=hours)


def test_a_skipped_local_time_is_moved_on_and_a_doubled_one_is_the_first() -> None:
    assert CALENDAR.at(date(2026, 3, 29), time(2, 30)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert CALENDAR.at(date(2026, 10, 25), time(2, 30, fold=1)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert CALENDAR.at(SSU, time(12, 30)) == datetime(2026, 11, 27, 11, 30, tzinfo=UTC)


def test_the_local_date_changes_at_local_midnight() -> None:
    midnight = CALENDAR.end_of_day(SSU)
    assert CALENDAR.local_date(midnight - timedelta(microseconds=1)) == SSU
    assert CALENDAR.local_date(midnight) == SSU + timedelta(days=1)
    assert CALENDAR.local_date(midnight.astimezone(timezone(timedelta(hours=-8)))) == SSU + timedelta(days=1)
    assert Calendar(zone=ZoneInfo("America/New_York")).local_date(midnight) == SSU


@pytest.mark.parametrize("n", [-1, MAX_COUNT + 1, 10**30])
def test_refuses_counts_out_of_range(n: int) -> None:
    for question in (
        CALENDAR.working_days_before,
        CALENDAR.working_days_after,
        CALENDAR.last_working_day,
        CALENDAR.first_working_day_of,
    ):
        with pytest.raises(CalendarError, match=f"from 0 to {MAX_COUNT}, but got {n}"):
            question(SSU, n)


def test_refuses_years_whose_holidays_are_unknown() -> None:
    with pytest.raises(ValueError, match="1901 to 2100"):
        CALENDAR.is_working_day(date(2101, 1, 3))
    with pytest.raises(CalendarError):
        CALENDAR.working_days_after(date(2100, 12, 30), 1)
    with pytest.raises(CalendarError):
        CALENDAR.last_working_day(date(5, 1, 1), 100)
    with pytest.raises(CalendarError):
        CALENDAR.last_working_day(date.max)


def test_refuses_moments_that_cannot_be_told() -> None:
    with pytest.raises(CalendarError, match="no time zone"):
        CALENDAR.local_date(datetime(2026, 1, 1))
    with pytest.raises(CalendarError, match="without time zone"):
        CALENDAR.at(SSU, time(12, tzinfo=UTC))
    for edge in (CALENDAR.start_of_day, CALENDAR.end_of_day):
        with pytest.raises(CalendarError, match="outside"):
            edge(date.min if edge == CALENDAR.start_of_day else date.max)


def test_holidays_are_reckoned_once_a_year_and_cannot_be_changed() -> None:
    assert public_holidays(2026) is public_holidays(2026)
    with pytest.raises(TypeError):
        public_holidays(2026)[SSU] = "En dag til"  # type: ignore[index]


def test_calendars_with_the_same_days_are_equal() -> None:
    assert Calendar() == Calendar()
    assert hash(Calendar()) == hash(Calendar())


@given(some_date, some_count)
def test_counting_always_lands_on_a_working_day(day: date, n: int) -> None:
    assert CALENDAR.is_working_day(CALENDAR.working_days_before(day, n))
    assert CALENDAR.is_working_day(CALENDAR.working_days_after(day, n))
    assert CALENDAR.is_working_day(CALENDAR.last_working_day(day, n))
    assert CALENDAR.is_working_day(CALENDAR.first_working_day_of(day, n))


@given(some_date, some_count)
def test_before_and_after_undo_each_other_from_a_working_day(day: date, n: int) -> None:
    start = CALENDAR.working_day_on_or_after(day)
    assert CALENDAR.working_days_after(CALENDAR.working_days_before(start, n), n) == start
    assert CALENDAR.working_days_before(CALENDAR.working_days_after(start, n), n) == start


@given(some_date, st.integers(1, 60))
def test_between_counts_what_before_and_after_walked(day: date, n: int) -> None:
    assert CALENDAR.working_days_between(day, CALENDAR.working_days_after(day, n)) == n
    assert CALENDAR.working_days_between(day, CALENDAR.working_days_before(day, n)) == -n


@given(some_date)
def test_every_moment_of_a_day_has_its_local_date(day: date) -> None:
    assert CALENDAR.local_date(CALENDAR.start_of_day(day)) == day
    assert CALENDAR.local_date(CALENDAR.end_of_day(day) - timedelta(microseconds=1)) == day
    assert CALENDAR.end_of_day(day) == CALENDAR.start_of_day(day + timedelta(days=1))


@given(some_date, st.frozensets(some_date, max_size=20))
def test_more_closing_days_never_bring_a_deadline_nearer_to_the_meeting(day: date, closed: frozenset[date]) -> None:
    assert Calendar(closed=closed).working_days_before(day, 10) <= CALENDAR.working_days_before(day, 10)


def test_july_is_left_for_june_or_august_where_it_is_not_allowed() -> None:
    strict = Calendar(july_allowed=False)
    assert strict.out_of_july(date(2026, 7, 15), later=False) == date(2026, 6, 30)
    assert strict.out_of_july(date(2026, 7, 15), later=True) == date(2026, 8, 3)
    assert strict.out_of_july(date(2026, 6, 15), later=True) == date(2026, 6, 15)
    assert Calendar().out_of_july(date(2026, 7, 15), later=True) == date(2026, 7, 15)
