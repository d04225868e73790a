"""Cron: Unix's five fields, and Quartz's six or seven with seconds and years, in a community's own clock time.

Where the tools that people draw with disagree about a meaning, it is refused: weekdays as numbers in six fields are
one day off between two of them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import product

from engine.calendar import Calendar

#: Calendar days that are searched for the next moment: a hundred years.
MAX_DAYS = 36_525
#: What some engines write for common fields.
SHORTHANDS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELD = re.compile(rf"(?:[0-9*?L]|{'|'.join(_MONTHS + _WEEKDAYS)})[0-9A-Z*?/,#-]*", re.IGNORECASE)
_RANGE = re.compile(r"(?P<first>\*|[0-9]{1,4})(?:-(?P<last>[0-9]{1,4}))?(?:/(?P<step>[0-9]{1,4}))?")
_LAST_DAY = re.compile(r"L(?:-([0-9]{1,2}))?")
_NTH = re.compile(r"([0-7])(?:(L)|#([1-5]))")
_YEARS = (1970, 2199)
_DAY = timedelta(days=1)
_LONGEST_MONTHS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


class CronRefused(Exception):
    """The text is not cron, or says what never happens; the message says why and the remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, kw_only=True)
class _Days:
    """Which days of which months."""

    month_days: frozenset[int]
    #: Days counted from the end of the month, 0 for the last.
    from_end: frozenset[int]
    #: Sunday is 0.
    weekdays: frozenset[int]
    #: (weekday, n): the nth of the month; 0 for the last.
    nth: frozenset[tuple[int, int]]
    #: Is a day of either kind enough? That is so in Unix when both are given.
    either: bool

    def include(self, day: date) -> bool:
        """Does it run on that day?"""
        following = _first_of_next_month(day)
        left = (following - day).days - 1
        weekday = day.isoweekday() % 7
        by_month = day.day in self.month_days or left in self.from_end
        nth = (day.day - 1) // 7 + 1
        by_week = weekday in self.weekdays or (weekday, nth) in self.nth or (left < 7 and (weekday, 0) in self.nth)
        return (by_month or by_week) if self.either else (by_month and by_week)


@dataclass(frozen=True, kw_only=True)
class Cron:
    """Moments given by fields; made by `parse_cron`."""

    source: str
    seconds: tuple[int, ...] = field(repr=False)
    minutes: tuple[int, ...] = field(repr=False)
    hours: tuple[int, ...] = field(repr=False)
    days: _Days = field(repr=False)
    months: frozenset[int] = field(repr=False)
    years: frozenset[int] | None = field(repr=False)

    def after(self, moment: datetime, calendar: Calendar) -> datetime | None:
        """The first moment (UTC) after `moment`; None if there is none within a hundred years.

        A clock time that the change to summer time skips comes as much later as the clocks go forward; one that the
        change back repeats comes once. What runs every hour runs every hour that passes instead.
        """
        for day in self._days_from(calendar.local_date(moment)):
            found = min((m for m in self._moments(day, calendar, moment) if m > moment), default=None)
            if found is not None:
                return found
        return None

    def _days_from(self, day: date) -> Iterator[date]:
        try:
            end = day + MAX_DAYS * _DAY
            while day < end:
                if day.month not in self.months or (self.years is not None and day.year not in self.years):
                    day = _first_of_next_month(day)
                    continue
                if self.days.include(day):
                    yield day
                day += _DAY
        except OverflowError:  # the end of all dates
            return

    def _moments(self, day: date, calendar: Calendar, moment: datetime) -> Iterator[datetime]:
        """The first moment after `moment` in each minute of the day, not in order when the clocks change."""
        midnight = calendar.start_of_day(day)
        steady = calendar.start_of_day(day + _DAY) - midnight == _DAY
        for hour, minute in product(self.hours, self.minutes):
            once = midnight + timedelta(hours=hour, minutes=minute)
            for begin in [once] if steady else self._on_a_day_of_change(day, time(hour, minute), calendar):
                if begin > moment:
                    yield begin + timedelta(seconds=self.seconds[0])
                elif begin + timedelta(minutes=1) > moment:
                    yield from (begin + timedelta(seconds=second) for second in self.seconds)

    def _on_a_day_of_change(self, day: date, local: time, calendar: Calendar) -> Iterator[datetime]:
        if len(self.hours) < 24:
            yield calendar.at(day, local)
            return
        for fold in (0, 1):
            wall = datetime.combine(day, local.replace(fold=fold), tzinfo=calendar.zone)
            begin = wall.astimezone(UTC)
            if begin.astimezone(calendar.zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                yield begin


def looks_like_cron(text: str) -> bool:
    """Is this five to seven fields of cron, or a shorthand, whether right or wrong?"""
    fields = text.split()
    return text.strip().lower() in SHORTHANDS or (
        5 <= len(fields) <= 7 and all(_FIELD.fullmatch(part) for part in fields)
    )


@lru_cache(maxsize=256)
def parse_cron(text: str) -> Cron:
    """What the fields say. Raises CronRefused."""
    if not looks_like_cron(text):
        raise CronRefused(f"{text[:60]!r} is not cron.", "Write five fields, such as 0 9 * * MON-FRI.")
    fields = SHORTHANDS.get(text.strip().lower(), text).upper().split()
    quartz = len(fields) > 5
    second, minute, hour, month_day, month, weekday, year = [*([] if quartz else ["0"]), *fields, "*"][:7]
    months = frozenset(_numbers(_named(month, _MONTHS, 1), 1, 12, "month"))
    cron = Cron(
        source=text,
        seconds=tuple(_numbers(second, 0, 59, "second")),
        minutes=tuple(_numbers(minute, 0, 59, "minute")),
        hours=tuple(_numbers(hour, 0, 23, "hour")),
        days=_days(month_day, weekday, quartz=quartz),
        months=months,
        years=None if year == "*" else frozenset(_numbers(year, *_YEARS, "year")),
    )
    _check_exists(cron)
    return cron


def _check_exists(cron: Cron) -> None:
    days = cron.days
    longest = max(_LONGEST_MONTHS.get(month, 31) for month in cron.months)
    if not days.either and not days.from_end and min(days.month_days) > longest:
        raise CronRefused(f"{cron.source!r} names a day that its months don't have.", "Name another day, or L.")


# --- fields -----------------------------------------------------------------------------------------------------------


def _named(text: str, names: tuple[str, ...], first: int) -> str:
    """The field with numbers for names."""
    return re.sub("|".join(names), lambda found: str(names.index(found.group()) + first), text)


def _numbers(text: str, low: int, high: int, what: str) -> list[int]:
    """The numbers of a field in order, such as `1,3-5,*/10`."""
    found: set[int] = set()
    for part in text.split(","):
        found.update(_range(part, low, high, what))
    return sorted(found)


def _range(part: str, low: int, high: int, what: str) -> range:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise CronRefused(
            f"{part!r} is not understood as {what}.", "Write a number, a range, a list, or * with a step."
        )
    every, step = match["first"] == "*", int(match["step"] or 1)
    first = low if every else int(match["first"])
    # 5/15 means from 5 on, every 15.
    last = int(match["last"]) if match["last"] else (high if every or match["step"] else first)
    if not (low <= first <= last <= high) or step == 0 or (every and match["last"]):
        raise CronRefused(f"{part!r} is outside {what}, which goes from {low} to {high}.", "Correct the numbers.")
    return range(first, last + 1, step)


def _days(month_day: str, weekday: str, *, quartz: bool) -> _Days:
    if month_day == weekday == "?":
        raise CronRefused("Both day fields are ?.", "Write * in one of them.")
    if quartz and re.search("[0-9]", re.sub(r"[/#][0-9]+", "", weekday)):
        message = f"The weekday {weekday!r} is a number, which means different days in different tools."
        raise CronRefused(message, "Write MON, TUE and so on.")
    open_day, open_week = month_day[0] in "*?", weekday[0] in "*?"
    if quartz and not (open_day or open_week):
        raise CronRefused("Both a day of the month and a weekday are given.", "Write ? for one of them.")
    from_end = {int(m[1] or 0) for part in month_day.split(",") if (m := _LAST_DAY.fullmatch(part))}
    if max(from_end, default=0) > 30:
        raise CronRefused(f"{month_day!r} counts back over more than a month.", "Write L-30 at most.")
    plain = ",".join(part for part in month_day.split(",") if not _LAST_DAY.fullmatch(part))
    weekdays, nth = _weekdays("*" if weekday == "?" else weekday)
    return _Days(
        month_days=frozenset(_numbers("*" if plain == "?" else plain, 1, 31, "day of the month") if plain else ()),
        from_end=frozenset(from_end),
        weekdays=weekdays,
        nth=nth,
        either=not (open_day or open_week),
    )


def _weekdays(text: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    """Plain weekdays, and such as the last or the second of a month."""
    plain: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for part in _named(text, _WEEKDAYS, 0).split(","):
        match = _NTH.fullmatch(part)
        if match:
            nth.add((int(match[1]) % 7, int(match[3] or 0)))
        else:
            plain.update(day % 7 for day in _weekday_range(part))
    return frozenset(plain), frozenset(nth)


def _weekday_range(part: str) -> range:
    """Sunday is 0 and 7; a range may go over the weekend, as FRI-MON does."""
    ends = re.fullmatch(r"([0-7])-([0-7])", part)
    if ends and int(ends[1]) > int(ends[2]):
        return range(int(ends[1]), int(ends[2]) + 8)
    return _range(part, 0, 7 if part[0] != "*" else 6, "weekday")


def _first_of_next_month(day: date) -> date:
    return (day.replace(day=28) + 4 * _DAY).replace(day=1)
