"""When a mail may leave: never at night, in a weekend or on a holiday, and gathered for who wants it so. Pure.

What cannot wait goes at once: what is said on the last day or after it, and what gathering would make too late.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from engine.calendar import Calendar

#: Nobody is written to earlier in the day, nor later.
MORNING = time(8)
EVENING = time(20)
#: The hours that people may choose.
HOURS = range(MORNING.hour, EVENING.hour)

_WEEK = timedelta(days=7)


class How(StrEnum):
    """How often somebody wants to be written to."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, kw_only=True)
class Preference:
    """At once, or gathered: at a local hour of every working day, or of one weekday (Monday is 0)."""

    how: How = How.AT_ONCE
    hour: int = MORNING.hour
    weekday: int = 0


AT_ONCE = Preference()


def read(words: str | None) -> Preference | None:
    """What a model says: `at once`, `daily 15` or `weekly 0 8` (weekday, hour); None for anything else."""
    match (words or "").split():
        case ["at", "once"]:
            return AT_ONCE
        case ["daily", hour] if _is_hour(hour):
            return Preference(how=How.DAILY, hour=int(hour))
        case ["weekly", ("0" | "1" | "2" | "3" | "4") as weekday, hour] if _is_hour(hour):
            return Preference(how=How.WEEKLY, weekday=int(weekday), hour=int(hour))
    return None


def _is_hour(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) in HOURS


def planned(moment: datetime, due: date | None, calendar: Calendar, preference: Preference) -> datetime:
    """When something that is ready at `moment`, about a due date, leaves."""
    chosen = next_moment(moment, calendar, preference)
    if due is None or calendar.local_date(chosen) < due:
        return chosen
    # Gathered, it would be read on the last day or later; and after it, not even a weekend is waited for.
    quiet = next_moment(moment, calendar, AT_ONCE)
    return min(chosen, quiet) if calendar.local_date(quiet) <= due else awake(moment, calendar)


def next_moment(moment: datetime, calendar: Calendar, preference: Preference) -> datetime:
    """The first moment, not before the given one, at which that preference lets a mail leave."""
    if preference.how == How.AT_ONCE:
        return _at_work(moment, calendar)
    hours = (calendar.at(day, time(preference.hour)) for day in _days(moment, calendar, preference))
    return next(hour for hour in hours if hour >= moment)


def awake(moment: datetime, calendar: Calendar) -> datetime:
    """The moment, or the morning that ends the night it lies in."""
    day = calendar.local_date(moment)
    if moment >= calendar.at(day, EVENING):
        day += timedelta(days=1)
    return max(moment, calendar.at(day, MORNING))


def _at_work(moment: datetime, calendar: Calendar) -> datetime:
    """The moment, or the next morning of a working day."""
    found = awake(moment, calendar)
    day = calendar.local_date(found)
    working = calendar.working_day_on_or_after(day)
    return found if day == working else calendar.at(working, MORNING)


def _days(moment: datetime, calendar: Calendar, preference: Preference) -> Iterator[date]:
    """The working days of a preference, from before the moment on; a weekday that is closed is moved to the next."""
    today = calendar.local_date(moment)
    if preference.how == How.DAILY:
        day, step = today, timedelta(days=1)
    else:
        day, step = today - timedelta(days=today.weekday() - preference.weekday) - 2 * _WEEK, _WEEK
    while True:
        yield calendar.working_day_on_or_after(day)
        day += step
