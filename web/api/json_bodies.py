"""What a JSON body may be, checked before anything reads it: no depth, number or text that breaks what comes later."""

import json
from dataclasses import dataclass
from typing import NoReturn

from flask import Request

#: Deeper than any form's answers; a row in a list in an object is three.
MAX_DEPTH = 12


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a body is refused."""

    status: int
    detail: str


def fault(request: Request) -> Fault | None:
    """What is wrong with the request's body; None for one that may be read, and where there is none."""
    body = request.get_data(cache=True)
    if not body:
        return None
    if request.mimetype != "application/json":
        return Fault(status=415, detail="Send the body as application/json.")
    try:
        document = json.loads(body, parse_constant=_refuse)
    except RecursionError:
        return _too_deep()
    except ValueError as error:  # also bytes that are no UTF-8, and numbers of thousands of digits
        return Fault(status=400, detail=f"The body is no JSON: {error}.")
    return _odd(document)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _odd(document: object) -> Fault | None:
    """Walks the document without calling itself, so that its depth can't matter."""
    waiting = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return _too_deep()
        if isinstance(value, str) and not _is_text(value):
            return Fault(status=422, detail="A text holds what can't be stored: NUL, or half of a surrogate pair.")
        if isinstance(value, dict):
            waiting += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            waiting += [(part, depth + 1) for part in value]
    return None


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _too_deep() -> Fault:
    return Fault(status=422, detail=f"The body is nested deeper than {MAX_DEPTH} levels.")
