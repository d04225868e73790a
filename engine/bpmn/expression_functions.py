"""The functions an expression may call. Each gets the calendar first, then what the expression gives it."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta

from engine.bpmn.expression_values import (
    Refused,
    as_date,
    as_int,
    as_list,
    as_number,
    as_text,
    comparable,
    contains,
    is_number,
    kind,
)
from engine.calendar import Calendar

#: The most calendar days that days_before and days_after count: a hundred years.
MAX_DAYS = 36_525
#: The most calendar days from one date to another between which working days are counted, one by one.
MAX_SPAN_DAYS = 10_000
MAX_ROUND_DIGITS = 10

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,16}")


def _working_days_before(calendar: Calendar, d: object, n: object) -> date:
    return calendar.out_of_july(calendar.working_days_before(as_date(d), as_int(n)), later=False)


def _working_days_after(calendar: Calendar, d: object, n: object) -> date:
    return calendar.out_of_july(calendar.working_days_after(as_date(d), as_int(n)), later=True)


def _last_working_day(calendar: Calendar, d: object, months_before: object = 0) -> date:
    return calendar.out_of_july(calendar.last_working_day(as_date(d), as_int(months_before)), later=False)


def _first_working_day_of(calendar: Calendar, d: object, months_before: object = 0) -> date:
    return calendar.out_of_july(calendar.first_working_day_of(as_date(d), as_int(months_before)), later=True)


def _working_day_on_or_before(calendar: Calendar, d: object) -> date:
    return calendar.out_of_july(calendar.working_day_on_or_before(as_date(d)), later=False)


def _working_day_on_or_after(calendar: Calendar, d: object) -> date:
    return calendar.out_of_july(calendar.working_day_on_or_after(as_date(d)), later=True)


def _working_days_between(calendar: Calendar, a: object, b: object) -> int:
    first, last = as_date(a), as_date(b)
    if abs((last - first).days) > MAX_SPAN_DAYS:
        raise Refused(f"Expected at most {MAX_SPAN_DAYS} days from {first} to {last}")
    return calendar.working_days_between(first, last)


#: The functions that look at one day after the other.
_COUNTING = frozenset({"working_days_before", "working_days_after", "working_days_between"})


def days_counted(name: str, values: Iterable[object]) -> int:
    """About how many days the function looked at, told from what it was given and what it answered."""
    return max((abs(as_int(value)) for value in values if type(value) is int), default=0) if name in _COUNTING else 0


def _days_before(_: Calendar, d: object, n: object) -> date:
    return _days_from(as_date(d), as_int(n), -1)


def _days_after(_: Calendar, d: object, n: object) -> date:
    return _days_from(as_date(d), as_int(n), 1)


def _days_from(d: date, n: int, sign: int) -> date:
    if not 0 <= n <= MAX_DAYS:
        raise Refused(f"Expected n from 0 to {MAX_DAYS}, but got {n}")
    try:
        return d + timedelta(days=sign * n)
    except OverflowError:
        raise Refused(f"There is no date {n} days from {d.isoformat()}") from None


def _date(_: Calendar, text: object, /) -> date:
    return as_date(text)


def _len(_: Calendar, value: object, /) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise Refused(f"Expected a list, a dictionary or a text, but got {kind(value)}")


def _extreme(pick: Callable[..., object]) -> Callable[..., object]:
    def function(_: Calendar, first: object, /, *rest: object) -> object:
        values = [first, *rest] if rest else as_list(first)
        if not values:
            raise Refused("Expected a list with something in it")
        return pick(comparable(values))

    return function


def _sum(_: Calendar, numbers: object, /) -> float:
    return sum(as_number(number) for number in as_list(numbers))


def _round(_: Calendar, number: object, digits: object = None, /) -> float:
    value = as_number(number)
    if digits is None:
        return round(value)
    places = as_int(digits)
    if not 0 <= places <= MAX_ROUND_DIGITS:
        raise Refused(f"Expected from 0 to {MAX_ROUND_DIGITS} digits, but got {places}")
    return round(value, places)


def _abs(_: Calendar, number: object, /) -> float:
    return abs(as_number(number))


def _lower(_: Calendar, text: object, /) -> str:
    return as_text(text).lower()


def _upper(_: Calendar, text: object, /) -> str:
    return as_text(text).upper()


def _str(_: Calendar, value: object, /) -> str:
    if isinstance(value, str) or is_number(value) or type(value) is date:
        return str(value)
    raise Refused(f"Expected a text, a number or a date, but got {kind(value)}")


def _int(_: Calendar, value: object, /) -> int:
    if not isinstance(value, str):
        return int(as_number(value))
    if not _WHOLE_NUMBER.fullmatch(value.strip()):
        raise Refused(f"Expected a whole number, but got {value[:40]!r}")
    return int(value)


def _contains(_: Calendar, container: object, item: object, /) -> bool:
    return contains(container, item)


def _with_value(_: Calendar, items: object, key: object) -> list[object]:
    name = as_text(key)
    return [item for item in as_list(items) if _given(item, name)]


def _given(item: object, name: str) -> bool:
    if not isinstance(item, dict):
        raise Refused(f"Expected a list of dictionaries, but one item is {kind(item)}")
    value = item.get(name)
    # 0 and False are answers.
    return value is not None and value not in ("", [], {})


def _first_given(_: Calendar, first: object, /, *rest: object) -> object:
    return next((value for value in (first, *rest) if value is not None), None)


#: Every function an expression may call. Parameters before a slash have no name to be given by.
FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "working_days_before": _working_days_before,
    "working_days_after": _working_days_after,
    "last_working_day": _last_working_day,
    "first_working_day_of": _first_working_day_of,
    "working_day_on_or_before": _working_day_on_or_before,
    "working_day_on_or_after": _working_day_on_or_after,
    "working_days_between": _working_days_between,
    "days_before": _days_before,
    "days_after": _days_after,
    "date": _date,
    "len": _len,
    "min": _extreme(min),
    "max": _extreme(max),
    "sum": _sum,
    "round": _round,
    "abs": _abs,
    "lower": _lower,
    "upper": _upper,
    "str": _str,
    "int": _int,
    "contains": _contains,
    "with_value": _with_value,
    "first_given": _first_given,
}
