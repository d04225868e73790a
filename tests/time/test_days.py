"""Every day and every hour from 2024 to 2040, beside holidays reckoned anew: the calendar, and when mails may leave."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import pytest

from engine.calendar import Calendar
from notifications.timing import AT_ONCE, EVENING, MORNING, How, Preference, next_moment, planned

FIRST, LAST = date(2024, 1, 1), date(2040, 12, 31)
CALENDAR = Calendar()
STRICT = Calendar(july_allowed=False)
CHOICES = (AT_ONCE, Preference(how=How.DAILY, hour=15), Preference(how=How.WEEKLY, weekday=0, hour=8))
_DAY = timedelta(days=1)


def days(first: date = FIRST, last: date = LAST) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher)."""
    century, rest = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    full = (year % 19 + 11 * moon + 22 * week) // 451
    month, day = divmod(moon + week - 7 * full + 114, 31)
    return date(year, month, day + 1)


def closed_in(year: int) -> set[date]:
    """Norway's holidays, and the two eves that the community closes."""
    fixed = {(1, 1), (5, 1), (5, 17), (12, 24), (12, 25), (12, 26), (12, 31)}
    moving = {easter(year) + timedelta(days=n) for n in (-3, -2, 0, 1, 39, 49, 50)}
    return moving | {date(year, month, day) for month, day in fixed}


def test_people_work_on_every_day_but_weekends_holidays_and_two_eves() -> None:
    closed = {day for year in range(FIRST.year, LAST.year + 1) for day in closed_in(year)}
    wrong = [day for day in days() if CALENDAR.is_working_day(day) != (day.weekday() < 5 and day not in closed)]
    assert wrong == []


def test_no_date_that_is_counted_lies_on_a_closed_day_or_out_of_order() -> None:
    """What the models count with, from a meeting on any day at all."""
    for meeting in days():
        before = [CALENDAR.working_days_before(meeting, n) for n in (0, 5, 15)]
        after = [CALENDAR.working_days_after(meeting, n) for n in (0, 5, 20)]
        months = [CALENDAR.last_working_day(meeting, months_before=n) for n in (2, 5)]
        assert all(map(CALENDAR.is_working_day, [*before, *after, *months])), meeting
        assert before == sorted(before, reverse=True) and before[1] < meeting, meeting
        assert after == sorted(after) and after[1] > meeting, meeting
        assert months == sorted(months, reverse=True), meeting


def test_where_july_is_closed_a_date_leaves_it_for_the_nearest_working_day() -> None:
    for day in days():
        for later in (False, True):
            moved = STRICT.out_of_july(day, later=later)
            assert moved.month != 7
            assert moved == day or (day.month == 7 and STRICT.is_working_day(moved) and (moved > day) == later), day


@pytest.mark.parametrize("preference", CHOICES)
def test_no_mail_leaves_at_night_in_a_weekend_or_on_a_holiday(preference: Preference) -> None:
    """Ready at three moments of every day: at night, at work, in the evening."""
    for day in days(LAST.replace(year=2036, month=1, day=1)):
        for hour in (3, 12, 21):
            ready = CALENDAR.at(day, time(hour))
            leaves = next_moment(ready, CALENDAR, preference)
            local = leaves.astimezone(CALENDAR.zone)
            assert leaves >= ready and CALENDAR.is_working_day(local.date()), ready
            assert MORNING <= local.time() < EVENING, ready


def test_what_is_urgent_is_read_in_time_and_never_at_night() -> None:
    """Said about a day soon or past: on the last day at the latest, and overdue by the next morning."""
    for day in days(date(2025, 12, 1), date(2027, 1, 31)):
        ready = CALENDAR.at(day, time(21))
        for due in (day + n * _DAY for n in (-3, 0, 1, 2, 5)):
            for preference in CHOICES:
                _is_in_time(ready, due, planned(ready, due, CALENDAR, preference))


def _is_in_time(ready: datetime, due: date, leaves: datetime) -> None:
    local = leaves.astimezone(CALENDAR.zone)
    assert MORNING <= local.time() < EVENING
    quiet = CALENDAR.local_date(next_moment(ready, CALENDAR, AT_ONCE))
    if quiet <= due:
        assert local.date() <= due and CALENDAR.is_working_day(local.date()), (ready, due)
    else:
        assert leaves == CALENDAR.at(CALENDAR.local_date(ready) + _DAY, MORNING), (ready, due)
