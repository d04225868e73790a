"""Dates, numbers and lists as mails say them, in each language. Every space inside a date is a no-break space."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

NBSP = "\u00a0"


@dataclass(frozen=True, kw_only=True)
class Language:
    """How one language says them."""

    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    numbers: tuple[str, ...]
    #: After a day's number.
    dot: str
    #: Between the last two of a list.
    conjunction: str
    working_day: str
    working_days_many: str

    def day(self, d: date, today: date) -> str:
        """`30. september`, with the year when it is not today's."""
        return f"{d.day}{self.dot}{NBSP}{self._month(d, today)}"

    def weekday(self, d: date, today: date) -> str:
        """`onsdag 30. september`, with the year when it is not today's."""
        return f"{self.weekdays[d.weekday()]} {self.day(d, today)}"

    def days(self, dates: Sequence[date], today: date) -> str:
        """`16., 25. og 30. september`; a month is named once."""
        months = [
            (self.joined([f"{d.day}{self.dot}" for d in group]), name)
            for name, group in groupby(sorted(dates), key=lambda d: self._month(d, today))
        ]
        return self.joined([f"{numbers}{NBSP}{name}" for numbers, name in months])

    def number(self, n: int) -> str:
        """Words to twelve, digits above."""
        return self.numbers[n] if 0 <= n < len(self.numbers) else str(n)

    def working_days(self, n: int) -> str:
        """`én virkedag`, `tre virkedager`."""
        return f"{self.number(n)} {self.working_day if n == 1 else self.working_days_many}"

    def joined(self, words: Sequence[str]) -> str:
        """`a, b og c`."""
        return f" {self.conjunction} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

    def _month(self, d: date, today: date) -> str:
        name = self.months[d.month - 1]
        return name if d.year == today.year else f"{name}{NBSP}{d.year}"


_MONTHS = (
    "januar", "februar", "mars", "april", "mai", "juni",
    "juli", "august", "september", "oktober", "november", "desember",
)  # fmt: skip
NB = Language(
    months=_MONTHS, dot=".", conjunction="og", working_day="virkedag", working_days_many="virkedager",
    weekdays=("mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag"),
    numbers=(
        "null", "én", "to", "tre", "fire", "fem", "seks", "sju", "åtte", "ni", "ti", "elleve", "tolv",
    ),
)  # fmt: skip
NN = Language(
    months=_MONTHS, dot=".", conjunction="og", working_day="virkedag", working_days_many="virkedagar",
    weekdays=("måndag", "tysdag", "onsdag", "torsdag", "fredag", "laurdag", "søndag"),
    numbers=(
        "null", "éin", "to", "tre", "fire", "fem", "seks", "sju", "åtte", "ni", "ti", "elleve", "tolv",
    ),
)  # fmt: skip
EN = Language(
    months=(
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    dot="", conjunction="and", working_day="working day", working_days_many="working days",
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    numbers=(
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ),
)  # fmt: skip
LANGUAGES = {"nb": NB, "nn": NN, "en": EN}


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
