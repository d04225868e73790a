"""The earliest way of a case through the bodies in words, and what missing one of its meetings costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext as _

from agreements.chains import Missed
from agreements.reaching import Reach
from web.formatting import Formatter, antall


@dataclass(frozen=True, kw_only=True)
class Link:
    """A meeting on the way, as "AU 5. november"; `missed` is what follows when the case does not reach it."""

    name: str
    papers: date
    missed: str


@dataclass(frozen=True, kw_only=True)
class ReachView:
    """The way, meeting by meeting; empty where none of the known meetings can be reached."""

    links: tuple[Link, ...]
    #: What missing a meeting costs at the most, in one sentence; empty where that is not known, or nothing.
    worst: str


def in_words(reach: Reach, names: Mapping[str, str], words: Formatter) -> ReachView:
    """`names` are the bodies' short names, by key."""
    missed = {each.body: each for each in reach.missed}
    links = tuple(
        Link(
            name=f"{names.get(link.body, link.body)} {words.dag(link.date)}", papers=link.papers,
            missed=_missed(missed[link.body], names, words) if link.body in missed else "",
        )
        for link in (reach.chain.links if reach.chain else ())
    )  # fmt: skip
    return ReachView(links=links, worst=_worst(reach, names))


def _worst(reach: Reach, names: Mapping[str, str]) -> str:
    known = [each for each in reach.missed if each.days]
    if not known:
        return ""
    dearest = max(known, key=lambda each: each.days or 0)
    body = names.get(dearest.body, dearest.body)
    return _("Rekker dere ikke %(body)s, blir saken ferdig %(days)s senere.", body=body, days=_days(dearest))


def _missed(missed: Missed, names: Mapping[str, str], words: Formatter) -> str:
    body = names.get(missed.body, missed.body)
    link = missed.instead.at(missed.body) if missed.instead else None
    if link is None or missed.days is None:
        return _("Rekker dere ikke %(body)s, er det ikke lagt inn noe senere møte å ta i stedet.", body=body)
    text = _("Rekker dere ikke %(body)s, er neste mulige møte %(day)s.", body=body, day=words.dag(link.date))
    later = _("Saken blir ferdig %(days)s senere.", days=_days(missed))
    return f"{text} {later}" if missed.days else text


def _days(missed: Missed) -> str:
    return antall(missed.days or 0, _("dag"), _("dager"))
