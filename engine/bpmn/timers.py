"""What people write in timers: dates, durations, repetitions (ISO 8601) and cron, and when such a timer fires.

Days, months and years are counted on the community's calendar: a day later is the same clock time, also when the clocks
change in between. Hours, minutes and seconds pass as they do. Nothing here knows SpiffWorkflow or the machine's clock.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from engine.bpmn.cron import Cron, CronRefused, looks_like_cron, parse_cron
from engine.calendar import Calendar, CalendarError
from engine.errors import InvalidInput

__all__ = [
    "CronCycle",
    "Cycle",
    "Duration",
    "TimerError",
    "due",
    "literal",
    "parse_cycle",
    "parse_date",
    "parse_duration",
]

TimerKind = Literal["timeDate", "timeDuration", "timeCycle"]

#: The longest duration, and the farthest away that a date may be.
MAX_YEARS = 100
#: What repeats more often isn't kept up with.
SHORTEST_PERIOD = timedelta(seconds=1)
#: Characters that a timer may have, once its expression has a value.
MAX_TEXT = 200

_DAYS_PER_YEAR = 365.2425
_DATE = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_DURATION = re.compile(
    r"P(?=[0-9T])(?:(?P<years>[0-9]{1,4})Y)?(?:(?P<months>[0-9]{1,5})M)?(?:(?P<weeks>[0-9]{1,5})W)?"
    r"(?:(?P<days>[0-9]{1,6})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,7}(?:[.,][0-9]{1,6})?)H)?(?:(?P<minutes>[0-9]{1,9}(?:[.,][0-9]{1,6})?)M)?"
    r"(?:(?P<seconds>[0-9]{1,10}(?:[.,][0-9]{1,6})?)S)?)?"
)
_CYCLE = re.compile(r"R(?P<count>[0-9]{0,9})/(?P<first>[^/]+)(?:/(?P<second>[^/]+))?")
#: What is meant as a literal, whether right or wrong; anything else is an expression.
_LITERALS = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*|R-?[0-9]*/.*|-?P(?:[0-9][0-9.,]*[YMWD]|T[0-9])[0-9.,YMWDTHS]*",
    re.DOTALL | re.IGNORECASE,
)


class TimerError(InvalidInput, ValueError):
    """The timer holds no date, duration or repetition."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}", remedy=remedy)
        #: What to write instead.
        self.remedy = remedy


def literal(text: str) -> bool:
    """Is this meant as a date, duration, repetition or cron, rather than as an expression?"""
    stripped = text.strip()
    return _LITERALS.fullmatch(stripped) is not None or looks_like_cron(stripped)


def due(
    kind: TimerKind,
    value: object,
    *,
    started: datetime,
    fired: int,
    last: datetime | None,
    now: datetime,
    calendar: Calendar,
) -> datetime | None:
    """When the timer fires next (UTC); None when it has fired for the last time, and while `value` is None: not known.

    `value` is what stands in the timer, or what its expression is worth. `started` is when the timer began to wait,
    `fired` how many times it has fired, `last` the moment at which it last did, as the clock showed then. Of
    occurrences missed together the latest is given, so that they fire once; the next then comes after `last`. A cycle
    never fires at the very moment of `started`: a loop back to the timer would turn for ever. Raises TimerError.
    """
    if value is None or (kind != "timeCycle" and fired):
        return None
    if kind == "timeDate":
        return _not_too_far(parse_date(value, calendar), started)
    if not isinstance(value, str):
        raise TimerError(f"The {kind} is {value!r:.60}, which is no text.", _REMEDIES[kind])
    if kind == "timeDuration":
        return parse_duration(value).after(started, calendar)
    cycle = parse_cycle(value, calendar)
    if cycle.count is not None and fired >= cycle.count:
        return None
    return _latest_missed(lambda moment: cycle.after(moment, started, calendar), last if fired else None, started, now)


def _latest_missed(
    after: Callable[[datetime], datetime | None], last: datetime | None, started: datetime, now: datetime
) -> datetime | None:
    """The first occurrence after the last firing; if several have passed since, the latest of them."""
    low = last or started
    first = after(low)
    if first is None or first > now:
        return first
    high = now
    # The closer to now, the later the occurrence that follows; halving finds the last that is not after now.
    while high - low > SHORTEST_PERIOD / 2:
        middle = low + (high - low) / 2
        found = after(middle)
        if found is None or found > now:
            high = middle
        else:
            low, first = middle, found
    return first


def _not_too_far(moment: datetime | None, started: datetime) -> datetime | None:
    if moment is not None and abs(moment - started) > timedelta(days=MAX_YEARS * _DAYS_PER_YEAR):
        raise TimerError(f"{moment.date()} is more than {MAX_YEARS} years away.", "Correct the year.")
    return moment


# --- dates ------------------------------------------------------------------------------------------------------------


def parse_date(value: object, calendar: Calendar) -> datetime | None:
    """The moment (UTC); a date means the beginning of that local day, no zone means local. None stays None."""
    if value is None:
        return None
    if isinstance(value, str):
        value = _date_in(value)
    try:
        if isinstance(value, datetime):
            aware = value.tzinfo is not None
            return value.astimezone(UTC) if aware else calendar.at(value.date(), value.time())
        if isinstance(value, date):
            return calendar.start_of_day(value)
    except (OverflowError, CalendarError):
        raise TimerError(f"{value} is outside what the calendar can reckon with.", "Correct the year.") from None
    raise TimerError(f"{value!r:.60} is no date.", _REMEDIES["timeDate"])


def _date_in(text: str) -> date:
    match = _DATE.fullmatch(text.strip()) if len(text) <= MAX_TEXT else None
    if match is None:
        raise TimerError(f"{text[:60]!r} is no date.", _REMEDIES["timeDate"])
    try:
        day = date.fromisoformat(match["date"])
        if match["time"] is None:
            return day
        clock = time.fromisoformat(match["time"] + (match["offset"] or ""))
        return datetime.combine(day, clock)
    except ValueError:
        raise TimerError(f"{text[:60]!r} is not on the calendar.", "Correct the day or the time.") from None


# --- durations --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Duration:
    """How long: on the calendar, and by the clock."""

    months: int = 0
    days: int = 0
    exact: timedelta = timedelta(0)

    @property
    def about(self) -> timedelta:
        """Roughly how long that is."""
        return timedelta(days=self.months * _DAYS_PER_YEAR / 12 + self.days) + self.exact

    def after(self, moment: datetime, calendar: Calendar, times: int = 1) -> datetime:
        """The moment (UTC) that much later, so many times over; earlier when `times` is negative.

        Months go by the calendar from `moment` itself, so that 31 January, a month later twice, is 31 March. Raises
        OverflowError where there are no dates any more.
        """
        months, days = self.months * times, self.days * times
        if not (months or days):
            return moment.astimezone(UTC) + self.exact * times
        local = moment.astimezone(calendar.zone).replace(tzinfo=None)
        day = _months_later(local.date(), months) + timedelta(days=days)
        return calendar.at(day, local.time()) + self.exact * times


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year < date.max.year:
        raise OverflowError(f"There is no year {year}")
    first = date(year, month + 1, 1)
    last = ((first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(day.day, last))


def parse_duration(text: str) -> Duration:
    """The duration written as ISO 8601 has it, weeks beside days allowed. Raises TimerError."""
    stripped = text.strip()
    if stripped.startswith("-"):
        raise TimerError(
            f"{text[:60]!r} is a negative duration.", "Time only goes forward; write it without the minus."
        )
    match = _DURATION.fullmatch(stripped) if len(text) <= MAX_TEXT else None
    if match is None:
        raise TimerError(f"{text[:60]!r} is no duration.", _REMEDIES["timeDuration"])
    given = {name: float((part or "0").replace(",", ".")) for name, part in match.groupdict().items()}
    duration = Duration(
        months=int(given["years"] * 12 + given["months"]),
        days=int(given["weeks"] * 7 + given["days"]),
        exact=timedelta(hours=given["hours"], minutes=given["minutes"], seconds=given["seconds"]),
    )
    if duration.about > timedelta(days=MAX_YEARS * _DAYS_PER_YEAR):
        raise TimerError(f"{text[:60]!r} is longer than {MAX_YEARS} years.", "Correct the numbers.")
    return duration


# --- repetitions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """Moments at equal distances; made by `parse_cycle`.

    Counted from `start`, which is the first; or back from `end`, which is the last; or else from when the timer
    began to wait, one period later.
    """

    #: How many times it fires; None for ever.
    count: int | None
    period: Duration
    start: datetime | None = None
    end: datetime | None = None

    def after(self, moment: datetime, started: datetime, calendar: Calendar) -> datetime | None:
        """The first occurrence (UTC) after `moment` and after `started`; None when there is none."""
        moment = max(moment, started)
        anchor = self.start or self.end or started
        # Calendars differ from the average by less than two periods.
        guess = int((moment - anchor) / self.period.about)
        for number in range(guess - 2, guess + 3):
            found = self._occurrence(min(max(number, self._first_number), self._last_number), anchor, calendar)
            if found is None or found > moment:
                return found
        return None

    @property
    def _first_number(self) -> float:
        """The number of the first occurrence, where the anchor's is 0."""
        if self.end is not None:
            return -math.inf if self.count is None else 1 - self.count
        return 1 if self.start is None else 0

    @property
    def _last_number(self) -> float:
        return math.inf if self.end is None else 0

    def _occurrence(self, number: float, anchor: datetime, calendar: Calendar) -> datetime | None:
        try:
            # By way of the calendar, a clock time that occurs twice would become the first of the two.
            return self.period.after(anchor, calendar, int(number)) if number else anchor
        except (OverflowError, CalendarError):
            return None  # there are no dates any more


@dataclass(frozen=True, kw_only=True)
class CronCycle:
    """Cron as a repetition without end."""

    cron: Cron
    count: None = None

    def after(self, moment: datetime, started: datetime, calendar: Calendar) -> datetime | None:
        """The first moment (UTC) after `moment` and after `started`; None when there is none."""
        return self.cron.after(max(moment, started), calendar)


def parse_cycle(text: str, calendar: Calendar) -> Cycle | CronCycle:
    """The repetition: `R3/PT1H`, `R/2026-01-01T09:00/P1M`, `R5/P1D/2026-12-31` or cron. Raises TimerError."""
    stripped = text.strip()
    if len(text) > MAX_TEXT:
        raise TimerError(f"A repetition has at most {MAX_TEXT} characters.", _REMEDIES["timeCycle"])
    if not stripped.startswith("R"):
        return CronCycle(cron=_cron(stripped))
    match = _CYCLE.fullmatch(stripped)
    if match is None:
        raise TimerError(f"{text[:60]!r} is no repetition.", _REMEDIES["timeCycle"])
    count = int(match["count"]) if match["count"] else None
    if count == 0:
        raise TimerError(f"{text[:60]!r} repeats zero times.", "Write how many times it fires, or R for ever.")
    first, second = match["first"], match["second"]
    if first.startswith(("P", "-")):
        end = parse_date(second, calendar)
        return Cycle(count=count, period=_period(first), end=end)
    if second is None:
        raise TimerError(f"{text[:60]!r} has no duration.", _REMEDIES["timeCycle"])
    return Cycle(count=count, period=_period(second), start=parse_date(first, calendar))


def _period(text: str) -> Duration:
    period = parse_duration(text)
    if period.about < SHORTEST_PERIOD:
        raise TimerError(f"{text[:60]!r} is less than a second to repeat after.", "Write a longer duration.")
    return period


def _cron(text: str) -> Cron:
    try:
        return parse_cron(text)
    except CronRefused as refused:
        raise TimerError(refused.message, refused.remedy) from None


_REMEDIES: Mapping[TimerKind, str] = {
    "timeDate": "Write a date such as 2026-11-27, or a moment such as 2026-11-27T09:00.",
    "timeDuration": "Write a duration such as P5D, PT1H or P1M.",
    "timeCycle": "Write a repetition such as R3/PT1H or R/P1Y, or cron such as 0 9 * * MON-FRI.",
}
