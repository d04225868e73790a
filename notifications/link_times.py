"""How long a mail's link holds."""

from datetime import date, datetime, timedelta

from engine.calendar import Calendar

#: How long a link holds after the due date, and at most.
AFTER_DUE, LONGEST = timedelta(days=14), timedelta(days=60)
_DAY = timedelta(days=1)


def expiry(due: date | None, calendar: Calendar, now: datetime) -> datetime:
    """The end of a link that is made now, to a task with that due date."""
    longest = now + LONGEST
    if due is None:
        return longest
    return min(longest, max(calendar.end_of_day(due) + AFTER_DUE, now + AFTER_DUE))


def last_day(due: date | None, calendar: Calendar, now: datetime) -> date:
    """The last day on which it holds until midnight."""
    return calendar.local_date(expiry(due, calendar, now)) - _DAY
