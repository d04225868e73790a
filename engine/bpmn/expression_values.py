"""What the values of expressions are and do: their kinds, limits and operators.

Nothing here knows syntax or columns: what cannot be done raises `Refused`, and the interpreter adds the
place.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

#: The most characters of a text, items of a list or keys of a dictionary.
MAX_LENGTH = 10_000
#: The most characters of all texts and keys in a value together.
MAX_CHARACTERS = 1_000_000
#: The most levels of lists and dictionaries in each other, in a result.
MAX_NESTING = 100
#: The greatest whole number, and with a minus sign the least.
MAX_INT = 10**15

_KINDS: Mapping[type, str] = {
    type(None): "nothing (None)",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a dictionary",
    date: "a date",
}
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Refused(Exception):
    """These values do not allow that."""


class Missing(Refused):
    """There is no such key or position."""


# --- kinds and limits ---


def kind(value: object) -> str:
    """What to call the value's kind in a message."""
    return _KINDS.get(type(value), f"a Python {type(value).__name__}")


def checked(value: object) -> object:
    """The value itself, if its kind and size are allowed; what it contains is not looked at."""
    # Exact types: a subclass could bring operators of its own.
    if type(value) not in _KINDS:
        raise Refused(f"Expected a JSON value or a date, but got {kind(value)}")
    if isinstance(value, str | list | dict) and len(value) > MAX_LENGTH:
        raise Refused(f"{kind(value).capitalize()} has at most {MAX_LENGTH} parts, this one has {len(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused("Expected a finite number")
    if isinstance(value, int) and not -MAX_INT <= value <= MAX_INT:
        raise Refused(f"Expected a whole number between -{MAX_INT} and {MAX_INT}")
    return value


def checked_throughout(value: object) -> object:
    """The value itself, if all it contains is allowed too: at most `MAX_LENGTH` values, keys are texts."""
    waiting, seen, characters = [(value, 1)], 0, 0
    while waiting:
        item, depth = waiting.pop()
        inner = _contents(checked(item))
        waiting.extend((part, depth + 1) for part in inner)
        seen += 1
        characters += _characters(item)
        if depth > MAX_NESTING:
            raise Refused(f"The result is nested more than {MAX_NESTING} levels deep")
        # With those that wait: lists in lists would otherwise fill the memory before they are counted.
        if seen + len(waiting) > MAX_LENGTH:
            raise Refused(f"The result has more than {MAX_LENGTH} values")
        if characters > MAX_CHARACTERS:
            raise Refused(f"The result has more than {MAX_CHARACTERS} characters")
    return value


def _contents(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        if any(type(key) is not str for key in item):
            raise Refused("Expected the keys of a dictionary to be texts")
        return item.values()
    return item if isinstance(item, list) else ()


def _characters(item: object) -> int:
    if isinstance(item, dict):
        return sum(map(len, item))
    return len(item) if isinstance(item, str) else 0


def json_native(value: object) -> object:
    """The value with its dates as texts; of what `checked_throughout` allows."""
    if type(value) is date:
        return value.isoformat()
    if isinstance(value, list):
        return [json_native(item) for item in value]
    if isinstance(value, dict):
        return {key: json_native(item) for key, item in value.items()}
    return value


def is_number(value: object) -> bool:
    return type(value) in (int, float)


def as_number(value: object) -> float:
    """The value, int or float; a truth value is no number."""
    if isinstance(value, int | float) and is_number(value):
        return value
    raise Refused(f"Expected a number, but got {kind(value)}")


def as_int(value: object) -> int:
    if isinstance(value, int) and is_number(value):
        return value
    raise Refused(f"Expected a whole number, but got {kind(value)}")


def as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise Refused(f"Expected a text, but got {kind(value)}")


def as_list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise Refused(f"Expected a list, but got {kind(value)}")


def as_date(value: object) -> date:
    """The date, also from a text such as 2026-11-27."""
    if type(value) is date:
        return value
    if not isinstance(value, str):
        raise Refused(f"Expected a date, but got {kind(value)}")
    parsed = _parsed_date(value)
    if parsed is None:
        raise Refused(f"Expected a date such as 2026-11-27, but got {value[:40]!r}")
    return parsed


def _parsed_date(text: str) -> date | None:
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# --- operators ---


def add(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    return _reckon(operator.add, left, right)


def multiply(left: object, right: object) -> object:
    """Numbers, or a text repeated. Lists are not repeated: lists in lists would grow without end."""
    if isinstance(right, str):
        left, right = right, left
    if not isinstance(left, str):
        # Both are within MAX_INT, so the product is small enough to make before it is checked.
        return _reckon(operator.mul, left, right)
    times = as_int(right)
    if len(left) * times > MAX_LENGTH:
        raise Refused(f"A text has at most {MAX_LENGTH} parts, this one would have {len(left) * times}")
    return left * times


def _reckon(operation: Callable[[float, float], float], left: object, right: object) -> float:
    if date in (type(left), type(right)):
        raise Refused("Dates are not added or subtracted; use days_before, days_after or working_days_between")
    try:
        return operation(as_number(left), as_number(right))
    except ZeroDivisionError:
        raise Refused("A number cannot be divided by zero") from None
    except OverflowError:
        raise Refused("The number is too large") from None


def _reckoning(operation: Callable[[float, float], float]) -> Callable[[object, object], object]:
    return lambda left, right: _reckon(operation, left, right)


def equal(left: object, right: object) -> bool:
    """As JSON has it: True is not 1. A date equals its text."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if type(left) is date and isinstance(right, str):
        return left.isoformat() == right
    if type(right) is date and isinstance(left, str):
        return right.isoformat() == left
    return bool(left == right)


def contains(container: object, item: object) -> bool:
    """Whether a list has the item, a dictionary the key, or a text the text."""
    if isinstance(container, list):
        return any(equal(element, item) for element in container)
    if isinstance(container, dict):
        return as_text(item) in container
    if isinstance(container, str):
        return as_text(item) in container
    raise Refused(f"Expected a list, a dictionary or a text to look in, but got {kind(container)}")


def _ordering(operation: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    return lambda left, right: operation(*comparable([left, right]))


def comparable(values: list[object]) -> list[object]:
    """The values as numbers, as texts or as dates, so that each can be ordered by each other."""
    if date in map(type, values):
        return [as_date(value) for value in values]
    if all(isinstance(value, str) for value in values) or all(is_number(value) for value in values):
        return values
    kinds = " and ".join(sorted({kind(value) for value in values}))
    raise Refused(f"Expected only numbers, only texts or only dates to put in order, but got {kinds}")


BINARY: Mapping[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: add,
    ast.Sub: _reckoning(operator.sub),
    ast.Mult: multiply,
    ast.Div: _reckoning(operator.truediv),
    ast.FloorDiv: _reckoning(operator.floordiv),
    ast.Mod: _reckoning(operator.mod),
}
COMPARISONS: Mapping[type[ast.cmpop], Callable[[object, object], bool]] = {
    ast.Eq: equal,
    ast.NotEq: lambda left, right: not equal(left, right),
    ast.Lt: _ordering(operator.lt),
    ast.LtE: _ordering(operator.le),
    ast.Gt: _ordering(operator.gt),
    ast.GtE: _ordering(operator.ge),
    ast.In: lambda left, right: contains(right, left),
    ast.NotIn: lambda left, right: not contains(right, left),
    ast.Is: lambda left, right: left is right,
    ast.IsNot: lambda left, right: left is not right,
}


def key_of(container: object, key: object) -> object:
    """What a dictionary has at the key, or a list or text at the position (from the end when negative)."""
    try:
        if isinstance(container, dict):
            return container[as_text(key)]
        if isinstance(container, list | str):
            return container[as_int(key)]
    except KeyError:
        raise Missing(f"There is no {str(key)[:40]!r} in the dictionary") from None
    except IndexError:
        raise Missing(f"There is no position {key} in {kind(container)} this short") from None
    raise Refused(f"Expected a dictionary, a list or a text to look in, but got {kind(container)}")
