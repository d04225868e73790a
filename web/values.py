"""What a person writes as a variable's value, read as plain JSON."""

import json
from typing import Any

from engine.errors import InvalidInput

#: What a value can be written as.
KINDS = ("text", "number", "yes-no", "json")
_ANSWERS = {"ja": True, "yes": True, "nei": False, "no": False}


def read_value(kind: str, text: str) -> Any:
    """The value that a text means; `12` and `2,5` are numbers. Raises InvalidInput."""
    try:
        if kind == "number":
            return _number(text)
        if kind == "yes-no":
            return _ANSWERS[text.strip().lower()]
        return json.loads(text, parse_constant=_no_constant) if kind == "json" else text
    except (ValueError, KeyError, RecursionError) as error:
        raise InvalidInput(f"{text[:40]!r} is not of the type {kind}.", field="value") from error


def _number(text: str) -> int | float:
    number = float(text.strip().replace(",", "."))
    if number - number != 0:
        raise ValueError("not a finite number")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
