"""Dates, numbers and lists as mails say them in Bokmål. Every space inside a date is a no-break space."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

NBSP = "\u00a0"

_MONTHS = (
    "januar", "februar", "mars", "april", "mai", "juni",
    "juli", "august", "september", "oktober", "november", "desember",
)  # fmt: skip
_WEEKDAYS = ("mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag")
_NUMBERS = (
    "null", "én", "to", "tre", "fire", "fem", "seks", "sju", "åtte", "ni", "ti", "elleve", "tolv",
)  # fmt: skip


def day(d: date, today: date) -> str:
    """`30. september`, with the year when it is not today's."""
    return f"{d.day}.{NBSP}{_month(d, today)}"


def weekday(d: date, today: date) -> str:
    """`onsdag 30. september`, with the year when it is not today's."""
    return f"{_WEEKDAYS[d.weekday()]} {day(d, today)}"


def days(dates: Sequence[date], today: date) -> str:
    """`16., 25. og 30. september`; a month is named once."""
    months = [
        (joined([f"{d.day}." for d in group]), name)
        for name, group in groupby(sorted(dates), key=lambda d: _month(d, today))
    ]
    return joined([f"{numbers}{NBSP}{name}" for numbers, name in months])


def number(n: int) -> str:
    """Words to twelve, digits above."""
    return _NUMBERS[n] if 0 <= n < len(_NUMBERS) else str(n)


def working_days(n: int) -> str:
    """`én virkedag`, `tre virkedager`."""
    return f"{number(n)} virkedag{'' if n == 1 else 'er'}"


def joined(words: Sequence[str]) -> str:
    """`a, b og c`."""
    return " og ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def opening(text: str) -> str:
    """The text with a capital letter first."""
    return text[:1].upper() + text[1:]


def inside(text: str) -> str:
    """The text as it stands inside a sentence: a small letter first, except in names such as SSU."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def plain(text: str) -> str:
    """The text with ordinary spaces, for headers and the text part."""
    return text.replace(NBSP, " ")


def one_line(text: str) -> str:
    """The text without line breaks and control characters, fit for a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in plain(text)).split())


def _month(d: date, today: date) -> str:
    name = _MONTHS[d.month - 1]
    return name if d.year == today.year else f"{name}{NBSP}{d.year}"
