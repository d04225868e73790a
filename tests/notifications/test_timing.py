"""When mails may leave: never at night, in a weekend or on a holiday, and gathered for who wants it so."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_rows import oslo

from engine.calendar import Calendar
from notifications.timing import AT_ONCE, EVENING, MORNING, How, Preference, awake, next_moment, planned, read

CALENDAR = Calendar()
PREFERENCES = st.builds(
    Preference, how=st.sampled_from(How), hour=st.integers(8, 19), weekday=st.integers(0, 4)
)  # fmt: skip
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2040, 12, 1), timezones=st.just(UTC))


@settings(max_examples=300)
@given(moment=MOMENTS, preference=PREFERENCES, ahead=st.none() | st.integers(-30, 60))
def test_a_mail_leaves_in_working_hours_and_never_learns_one_of_a_deadline_too_late(
    moment: datetime, preference: Preference, ahead: int | None
) -> None:
    due = None if ahead is None else CALENDAR.local_date(moment) + timedelta(days=ahead)
    leaves = planned(moment, due, CALENDAR, preference)
    local = leaves.astimezone(CALENDAR.zone)
    assert leaves >= moment
    assert MORNING <= local.time() < EVENING
    late = due is not None and CALENDAR.local_date(next_moment(moment, CALENDAR, AT_ONCE)) > due
    assert CALENDAR.is_working_day(local.date()) or late
    # Gathered for the last day or later, it goes as soon as anybody may be written to.
    gathered = next_moment(moment, CALENDAR, preference)
    if due is not None and CALENDAR.local_date(gathered) >= due:
        assert leaves <= next_moment(moment, CALENDAR, AT_ONCE)
    else:
        assert leaves == gathered


@settings(max_examples=200)
@given(moment=MOMENTS, preference=PREFERENCES)
def test_a_moment_that_suits_is_kept_and_none_before_it_does(moment: datetime, preference: Preference) -> None:
    leaves = next_moment(moment, CALENDAR, preference)
    assert next_moment(leaves, CALENDAR, preference) == leaves
    assert all(next_moment(moment + n * (leaves - moment) / 3, CALENDAR, preference) == leaves for n in (1, 2))


@pytest.mark.parametrize(
    ("moment", "preference", "leaves"),
    [
        (oslo(5, 18, 12, 30), AT_ONCE, oslo(5, 18, 12, 30)),
        (oslo(5, 18, 3), AT_ONCE, oslo(5, 18, 8)),
        (oslo(5, 15, 20), AT_ONCE, oslo(5, 18, 8)),  # Friday evening; Sunday is 17 May
        (oslo(4, 1, 21), AT_ONCE, oslo(4, 7, 8)),  # the Wednesday before Easter
        (oslo(5, 18, 15), Preference(how=How.DAILY, hour=15), oslo(5, 18, 15)),
        (oslo(5, 18, 15, 1), Preference(how=How.DAILY, hour=15), oslo(5, 19, 15)),
        (oslo(5, 19, 9), Preference(how=How.WEEKLY, weekday=0, hour=9), oslo(5, 26, 9)),  # Whit Monday is closed
        (oslo(5, 25, 9), Preference(how=How.WEEKLY, weekday=0, hour=9), oslo(5, 26, 9)),
    ],
)
def test_days_and_hours(moment: datetime, preference: Preference, leaves: datetime) -> None:
    assert next_moment(moment, CALENDAR, preference) == leaves


def test_what_is_late_waits_for_the_morning_but_not_for_monday() -> None:
    saturday = oslo(5, 16, 6)
    assert planned(saturday, date(2026, 5, 15), CALENDAR, AT_ONCE) == oslo(5, 16, 8) == awake(saturday, CALENDAR)
    assert planned(saturday, date(2026, 5, 29), CALENDAR, AT_ONCE) == oslo(5, 18, 8)


def test_a_weekly_mail_never_comes_on_the_last_day() -> None:
    mondays = Preference(how=How.WEEKLY, weekday=0)
    assert planned(oslo(5, 20, 10), date(2026, 5, 26), CALENDAR, mondays) == oslo(5, 20, 10)
    assert planned(oslo(5, 20, 10), date(2026, 5, 27), CALENDAR, mondays) == oslo(5, 26, 8)


@pytest.mark.parametrize(
    ("words", "preference"),
    [
        ("at once", AT_ONCE),
        ("daily 15", Preference(how=How.DAILY, hour=15)),
        ("weekly 4 9", Preference(how=How.WEEKLY, weekday=4, hour=9)),
        *((words, None) for words in (None, "", "daily", "daily 7", "daily 20", "weekly 5 9", "weekly 12 9", "hourly")),
    ],
)
def test_what_a_model_says(words: str | None, preference: Preference | None) -> None:
    assert read(words) == preference
