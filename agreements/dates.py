"""Dates in Bokmål, for sentences: "27. november", "fredag". Plain spaces: typography belongs to the page."""

from datetime import date

WEEKDAYS = ("mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag")
MONTHS = (
    "januar",
    "februar",
    "mars",
    "april",
    "mai",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "desember",
)


def weekday(d: date) -> str:
    """The day's name: "fredag"."""
    return WEEKDAYS[d.weekday()]


def day(d: date, *, year_of: date) -> str:
    """ "27. november", with the year only when it is not `year_of`'s."""
    text = f"{d.day}. {MONTHS[d.month - 1]}"
    return text if d.year == year_of.year else f"{text} {d.year}"
