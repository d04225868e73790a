"""Dates, times, distances and numbers in words, as the interface writes them.

Pure functions: `today`, zone, calendar and locale are arguments, and `Formatter` binds them for one request. Texts have
no-break spaces inside a date and between a number and its unit. The locale is `nb` or `en`; others read as `nb`.
Numbers and lists in words stand inside translated sentences: without a locale they follow the language of those.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Literal, Protocol

from flask_babel import get_locale
from markupsafe import Markup

from engine.form_answers import MONTHS, NBSP

Gender = Literal["en", "ett"]

_MONTHS_EN = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DATES = re.compile(rf"\b\d{{1,2}}\.? (?:{'|'.join((*MONTHS, *_MONTHS_EN))})\b(?: \d{{4}}\b)?")
_MONTHS_SHORT = ("jan.", "feb.", "mars", "april", "mai", "juni", "juli", "aug.", "sep.", "okt.", "nov.", "des.")
_WEEKDAYS = ("mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag")
_WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NUMBERS = (
    "null", "én", "to", "tre", "fire", "fem", "seks",
    "sju", "åtte", "ni", "ti", "elleve", "tolv",
)  # fmt: skip
_NUMBERS_EN = (
    "zero", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


class WorkingDays(Protocol):
    """What the words about distance need of `engine.calendar.Calendar`."""

    def working_days_between(self, a: date, b: date) -> int: ...


def dag(d: date | datetime, zone: tzinfo | None = None, *, today: date | None = None, locale: str = "nb") -> str:
    """`30. september`, with the year when it isn't today's."""
    day = _local_day(d, zone)
    months, dot = (_MONTHS_EN, "") if locale == "en" else (MONTHS, ".")
    year = f"{NBSP}{day.year}" if today is not None and day.year != today.year else ""
    return f"{day.day}{dot}{NBSP}{months[day.month - 1]}{year}"


def dato(d: date | datetime, zone: tzinfo | None = None, *, today: date | None = None, locale: str = "nb") -> str:
    """`onsdag 30. september`, with the year when it isn't today's."""
    weekdays = _WEEKDAYS_EN if locale == "en" else _WEEKDAYS
    return f"{weekdays[_local_day(d, zone).weekday()]} {dag(d, zone, today=today, locale=locale)}"


def dato_kort(d: date | datetime, zone: tzinfo | None = None, *, today: date | None = None, locale: str = "nb") -> str:
    """`ons. 30. september`, for tables with times."""
    number = _local_day(d, zone).weekday()
    weekday = _WEEKDAYS_EN[number][:3] if locale == "en" else f"{_WEEKDAYS[number][:3]}."
    return f"{weekday} {dag(d, zone, today=today, locale=locale)}"


def klokkeslett(moment: datetime, zone: tzinfo, *, locale: str = "nb") -> str:
    """`kl. 10.42`, on the clock of `zone`."""
    local = _local(moment, zone)
    return f"{local:%-H:%M}" if locale == "en" else f"kl.{NBSP}{local:%-H.%M}"


def tidspunkt(moment: datetime, zone: tzinfo, *, today: date | None = None, locale: str = "nb") -> str:
    """`ons. 30. september kl. 8.00`; for today's moments `i dag kl. 8.00`."""
    clock = klokkeslett(moment, zone, locale=locale)
    at = "at " if locale == "en" else ""
    if today is not None and _local(moment, zone).date() == today:
        return f"{'today' if locale == 'en' else 'i dag'} {at}{clock}"
    return f"{dato_kort(moment, zone, today=today, locale=locale)} {at}{clock}"


def avstand(d: date, today: date, calendar: WorkingDays, *, locale: str = "nb") -> str:
    """How far off a date is, in working days: `om 12 virkedager`, `i morgen`, `for 2 virkedager siden`."""
    days = (d - today).days
    if -1 <= days <= 1:
        words = ("yesterday", "today", "tomorrow") if locale == "en" else ("i går", "i dag", "i morgen")
        return words[days + 1]
    amount = _distance(min(d, today), max(d, today), calendar, locale)
    if days > 0:
        return f"in {amount}" if locale == "en" else f"om {amount}"
    return f"{amount} ago" if locale == "en" else f"for {amount} siden"


def over(d: date, today: date, calendar: WorkingDays, *, locale: str = "nb") -> str:
    """`2 virkedager over fristen`, for a deadline `d` before today; otherwise an empty text."""
    if d >= today:
        return ""
    amount = _distance(d, today, calendar, locale)
    return f"{amount} past the deadline" if locale == "en" else f"{amount} over fristen"


def virkedager(n: int, *, locale: str = "nb") -> str:
    """`1 virkedag`, `12 virkedager`."""
    one, many = ("working day", "working days") if locale == "en" else ("virkedag", "virkedager")
    return f"{n}{NBSP}{one if n == 1 else many}"


def tallord(n: int, gender: Gender = "en", *, stor: bool = False, locale: str | None = None) -> str:
    """A number to twelve as a word, above that in digits; `stor` gives a capital first letter ("Én")."""
    if not 0 <= n < len(_NUMBERS):
        return str(n)
    in_norwegian = "ett" if n == 1 and gender == "ett" else _NUMBERS[n]
    word = _NUMBERS_EN[n] if _is_english(locale) else in_norwegian
    return word.capitalize() if stor else word


def antall(
    n: int, singular: str, plural: str, gender: Gender = "en", *, stor: bool = False, locale: str | None = None
) -> str:
    """`én oppgave`, `tre oppgaver`, `13 oppgaver`, `ingen oppgaver`."""
    none = "no" if _is_english(locale) else "ingen"
    number = tallord(n, gender, stor=stor, locale=locale) if n else none.capitalize() if stor else none
    return f"{number}{NBSP}{singular if n == 1 else plural}"


def liste(*items: str | Iterable[str], og: str = "", locale: str | None = None) -> str:
    """`a, b og c`, from several texts or from one list of them; `og` is another word than "og"."""
    texts = [str(text) for item in items for text in ([item] if isinstance(item, str) else item)]
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {og or ('and' if _is_english(locale) else 'og')} {texts[-1]}"


def sitat(text: str, *, locale: str | None = None) -> str:
    """`«text»`, a name inside a sentence."""
    return f"“{text}”" if _is_english(locale) else f"«{text}»"


def nbsp(text: str) -> str:
    """The text with its dates kept on one line, in either language."""
    return _DATES.sub(lambda found: found[0].replace(" ", NBSP), text)


def tid(d: date | datetime, text: str, zone: tzinfo | None = None) -> Markup:
    """A `<time>` element that says `text` and carries the date, or the moment on the clock of `zone`."""
    local = _local(d, zone) if isinstance(d, datetime) else d
    machine = local.isoformat(timespec="minutes") if isinstance(local, datetime) else local.isoformat()
    return Markup('<time datetime="{}">{}</time>').format(machine, text)


@dataclass(frozen=True, kw_only=True)
class Formatter:
    """The words of one request: today's date, the community's zone and calendar, and the reader's locale."""

    today: date
    zone: tzinfo
    calendar: WorkingDays
    locale: str = "nb"

    def dag(self, d: date | datetime) -> str:
        return dag(d, self.zone, today=self.today, locale=self.locale)

    def dato(self, d: date | datetime) -> str:
        return dato(d, self.zone, today=self.today, locale=self.locale)

    def dato_kort(self, d: date | datetime) -> str:
        return dato_kort(d, self.zone, today=self.today, locale=self.locale)

    def klokkeslett(self, moment: datetime) -> str:
        return klokkeslett(moment, self.zone, locale=self.locale)

    def tidspunkt(self, moment: datetime) -> str:
        return tidspunkt(moment, self.zone, today=self.today, locale=self.locale)

    def month(self, first: date) -> str:
        """A month as a heading, with its year where it is not this one."""
        name = (_MONTHS_EN if self.locale == "en" else MONTHS)[first.month - 1].capitalize()
        return name if first.year == self.today.year else f"{name}{NBSP}{first.year}"

    def month_short(self, d: date) -> str:
        """A month as a mark in a drawing."""
        return _MONTHS_EN[d.month - 1][:3] if self.locale == "en" else _MONTHS_SHORT[d.month - 1]

    def day_short(self, d: date) -> str:
        """A day as a mark in a drawing."""
        return f"{d.day}{'' if self.locale == 'en' else '.'} {self.month_short(d)}"

    def avstand(self, d: date | datetime) -> str:
        return avstand(_local_day(d, self.zone), self.today, self.calendar, locale=self.locale)

    def over(self, d: date | datetime) -> str:
        return over(_local_day(d, self.zone), self.today, self.calendar, locale=self.locale)

    def virkedager(self, n: int) -> str:
        return virkedager(n, locale=self.locale)

    def time(self, d: date | datetime, text: str) -> Markup:
        return tid(d, text, self.zone)


def jinja_filters(current: Callable[[], Formatter]) -> Mapping[str, Callable[..., str]]:
    """The filters of the pages; `current` gives the formatter of the request that is being answered.

    `dag`, `dato`, `dato_kort`, `klokkeslett` and `tidspunkt` give a `<time>` element; with `_tekst` after the name,
    plain text, for titles, attributes and headings.
    """

    def in_element(name: str) -> Callable[..., str]:
        return lambda d: current().time(d, getattr(current(), name)(d))

    def plain(name: str) -> Callable[..., str]:
        return lambda value: str(getattr(current(), name)(value))

    elements = ("dag", "dato", "dato_kort", "klokkeslett", "tidspunkt")
    return {
        **{name: in_element(name) for name in elements},
        **{f"{name}_tekst": plain(name) for name in elements},
        **{name: plain(name) for name in ("avstand", "over", "virkedager")},
        "tallord": tallord,
        "antall": antall,
        "liste": liste,
        "nbsp": nbsp,
    }


def _is_english(locale: str | None) -> bool:
    # Nothing is translated outside a request, and nothing is English there.
    return (locale or str(get_locale() or "nb")) == "en"


def _distance(first: date, last: date, calendar: WorkingDays, locale: str) -> str:
    n = calendar.working_days_between(first, last)
    if n > 0:
        return virkedager(n, locale=locale)
    # Only closed days between: counting working days would say none.
    days = (last - first).days
    one, many = ("day", "days") if locale == "en" else ("dag", "dager")
    return f"{days}{NBSP}{one if days == 1 else many}"


def _local_day(d: date | datetime, zone: tzinfo | None) -> date:
    return _local(d, zone).date() if isinstance(d, datetime) else d


def _local(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is None or zone is None:
        raise ValueError("A moment needs its zone, and a zone to be shown in.")
    return moment.astimezone(zone)
