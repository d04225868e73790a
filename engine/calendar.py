"""Working days: which days the community works, and "ten working days before the meeting".

Days are local dates; moments are aware UTC datetimes. A working day is Monday to Friday, except Norwegian
public holidays, 24 and 31 December (`closed_eves`) and the community's own closing days (`closed`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

from holidays.countries.norway import NO

from engine.errors import InvalidInput

#: The most working days, or months, that one question may span.
MAX_COUNT = 2000

_DAY = timedelta(days=1)
_SATURDAY = 5
_JULY = 7
_EVES = frozenset({(12, 24), (12, 31)})


class CalendarError(InvalidInput, ValueError):
    """The calendar cannot answer that."""


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """One community's working days in its own time zone."""

    #: Where a local date begins and ends.
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Oslo"))
    #: Extra closing days, such as days between holidays.
    closed: frozenset[date] = frozenset()
    #: Whether 24 and 31 December are closed.
    closed_eves: bool = True
    #: ISO weeks of autumn break: working weeks still, but a deadline there earns a warning.
    break_weeks: frozenset[int] = frozenset({40})
    #: Whether a model's dates may lie in July; otherwise they move out of it, see `out_of_july`.
    july_allowed: bool = True

    # --- one day ---

    def is_working_day(self, d: date) -> bool:
        """Whether people work on `d`. Raises CalendarError outside the years whose holidays are known."""
        return self.why_closed(d) is None

    def why_closed(self, d: date) -> str | None:
        """The first that applies of `weekend`, `holiday:<Norwegian name>`, `eve` and `closed`; else None."""
        holiday = public_holidays(d.year).get(d)
        if d.weekday() >= _SATURDAY:
            return "weekend"
        if holiday is not None:
            return f"holiday:{holiday}"
        if self.closed_eves and (d.month, d.day) in _EVES:
            return "eve"
        return "closed" if d in self.closed else None

    def autumn_break(self, d: date) -> bool:
        """Whether `d` lies in one of the `break_weeks`."""
        return d.isocalendar().week in self.break_weeks

    def in_july(self, d: date) -> bool:
        """Whether `d` is in July, when no body meets."""
        return d.month == _JULY

    def out_of_july(self, d: date, *, later: bool) -> date:
        """`d`, or where July is not allowed: the last working day before the month, or with `later` the first after."""
        if self.july_allowed or not self.in_july(d):
            return d
        if later:
            return self.working_day_on_or_after(date(d.year, _JULY + 1, 1))
        return self.working_day_on_or_before(date(d.year, _JULY, 1) - _DAY)

    # --- counting ---

    def working_days_before(self, d: date, n: int) -> date:
        """The `n`th working day before `d`; for 0, `d` or the nearest working day before it."""
        return self._count(d, n, -_DAY)

    def working_days_after(self, d: date, n: int) -> date:
        """The `n`th working day after `d`; for 0, `d` or the nearest working day after it."""
        return self._count(d, n, _DAY)

    def working_day_on_or_before(self, d: date) -> date:
        """`d` if people work then, else the nearest working day before it."""
        return self._nearest(d, -_DAY)

    def working_day_on_or_after(self, d: date) -> date:
        """`d` if people work then, else the nearest working day after it."""
        return self._nearest(d, _DAY)

    def last_working_day(self, d: date, months_before: int = 0) -> date:
        """The last working day of the month `months_before` months before `d`'s.

        If the whole month is closed: the nearest working day before it.
        """
        _check_count(months_before, "months_before")
        first = _first_of_month(d, months_before)
        following = _first_of_month(_shift(first, timedelta(days=31)), 0)
        return self.working_day_on_or_before(following - _DAY)

    def first_working_day_of(self, d: date, months_before: int = 0) -> date:
        """The first working day of the month `months_before` months before `d`'s.

        If the whole month is closed: the nearest working day after it.
        """
        _check_count(months_before, "months_before")
        return self.working_day_on_or_after(_first_of_month(d, months_before))

    def working_days_between(self, a: date, b: date) -> int:
        """Working days from `a` to `b`, `a` excluded and `b` included; negative when `b` is before `a`."""
        sign = 1 if b >= a else -1
        offsets = range(sign, (b - a).days + sign, sign)
        return sign * sum(self.is_working_day(a + timedelta(days=offset)) for offset in offsets)

    # --- dates and moments ---

    def start_of_day(self, d: date) -> datetime:
        """The moment (UTC) of the local midnight that begins `d`."""
        return self.at(d, time.min)

    def end_of_day(self, d: date) -> datetime:
        """The moment (UTC) of the local midnight that ends `d`; what is due on `d` closes then."""
        return self.start_of_day(_shift(d, _DAY))

    def local_date(self, now: datetime) -> date:
        """The date in the community's zone at `now`, which must be aware."""
        if now.tzinfo is None:
            raise CalendarError(f"Expected an aware moment, but {now.isoformat()} has no time zone")
        return now.astimezone(self.zone).date()

    def at(self, d: date, local: time) -> datetime:
        """The moment (UTC) of the local clock time on `d`.

        Of a time that occurs twice (clocks set back) it is the first; a time that is skipped (clocks set
        forward) is moved on by the length of the gap.
        """
        if local.tzinfo is not None:
            raise CalendarError(f"Expected a local time without time zone, but got {local.isoformat()}")
        try:
            return datetime.combine(d, local.replace(fold=0), tzinfo=self.zone).astimezone(UTC)
        except OverflowError as error:
            raise CalendarError(f"{d.isoformat()} is outside what the calendar can reckon with") from error

    # --- the steps ---

    def _count(self, d: date, n: int, step: timedelta) -> date:
        _check_count(n, "n")
        day = self._nearest(d, step) if n == 0 else d
        for _ in range(n):
            day = self._nearest(_shift(day, step), step)
        return day

    def _nearest(self, d: date, step: timedelta) -> date:
        while not self.is_working_day(d):
            d = _shift(d, step)
        return d


@lru_cache(maxsize=256)
def public_holidays(year: int) -> Mapping[date, str]:
    """Norway's public holidays of `year`, by Norwegian name. Raises CalendarError for unknown years."""
    if not NO.start_year <= year <= NO.end_year:
        raise CalendarError(f"Holidays are known from {NO.start_year} to {NO.end_year}, not for the year {year}")
    # The language is named, because the package otherwise follows the machine's locale.
    return MappingProxyType(dict(NO(years=year, language="no").items()))


def _check_count(n: int, name: str) -> None:
    if not 0 <= n <= MAX_COUNT:
        raise CalendarError(f"Expected {name} from 0 to {MAX_COUNT}, but got {n}")


def _first_of_month(d: date, months_before: int) -> date:
    year, month = divmod(d.year * 12 + d.month - 1 - months_before, 12)
    if year < date.min.year:
        raise CalendarError(f"There is no date {months_before} months before {d.isoformat()}")
    return date(year, month + 1, 1)


def _shift(d: date, step: timedelta) -> date:
    try:
        return d + step
    except OverflowError as error:
        raise CalendarError(f"{d.isoformat()} is outside what the calendar can reckon with") from error
