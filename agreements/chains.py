"""The way of a case through the bodies: the earliest meetings it can reach, and what it costs to miss one.

Whether a plan fits its meetings is asked of the rehearsal; here meetings are only looked for.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from engine.calendar import Calendar

#: AU prepares for SSU, SSU reports to the partnership's meeting.
WAY = ("au", "ssu", "pm")


@dataclass(frozen=True, kw_only=True)
class Link:
    """A meeting on the way, and the day its papers go out."""

    body: str
    date: dt.date
    papers: dt.date


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The meetings in the order of the way; one that has no known meeting in time is left out, and all after it."""

    links: tuple[Link, ...]

    def at(self, body: str) -> Link | None:
        """The chain's meeting of that body."""
        return next((link for link in self.links if link.body == body), None)


@dataclass(frozen=True, kw_only=True)
class Missed:
    """What it costs to miss a meeting: where one lands instead, and how much later the last meeting then is."""

    body: str
    instead: Chain | None
    #: Calendar days between the last meetings; None where no meeting is known that one could land on.
    days: int | None


#: Coming meetings of each body with the working days before at which its papers go out.
Meetings = Mapping[str, tuple[Sequence[date], int]]
#: Does the plan fit meetings on these days, by body?
Fits = Callable[[Mapping[str, date]], bool]


def earliest(meetings: Meetings, calendar: Calendar, fits: Fits, *, way: Sequence[str] = WAY) -> Chain | None:
    """The first chain of meetings that the plan fits; None when none of the known meetings can be reached."""
    return _from(meetings, calendar, fits, way, {})


def if_missed(chain: Chain, meetings: Meetings, calendar: Calendar, fits: Fits) -> tuple[Missed, ...]:
    """For each meeting of the chain: what follows when the case is not ready for it."""
    way = tuple(link.body for link in chain.links)
    return tuple(_without(chain, link, meetings, calendar, fits, way) for link in chain.links)


def _without(
    chain: Chain, link: Link, meetings: Meetings, calendar: Calendar, fits: Fits, way: Sequence[str]
) -> Missed:
    later = _from(meetings, calendar, fits, way, {link.body: link.date})
    if later is None or len(later.links) < len(chain.links):
        return Missed(body=link.body, instead=later, days=None)
    return Missed(body=link.body, instead=later, days=(later.links[-1].date - chain.links[-1].date).days)


def _from(
    meetings: Meetings, calendar: Calendar, fits: Fits, way: Sequence[str], after: Mapping[str, date]
) -> Chain | None:
    """The first chain that fits and whose meetings lie after the given days."""
    coming = {body: [link for link in _links(body, meetings, calendar) if _is_after(link, after)] for body in way}
    for links in _ways((), way, coming):
        if fits({link.body: link.date for link in links}):
            return Chain(links=links)
    return None


def _ways(
    behind: tuple[Link, ...], way: Sequence[str], coming: Mapping[str, Sequence[Link]]
) -> Iterator[tuple[Link, ...]]:
    """Every way on from the meetings behind, the earliest first: each body's papers go out after the one before met."""
    reached = [link for link in coming[way[0]] if not behind or link.papers > behind[-1].date] if way else []
    if not reached:
        yield from (behind,) if behind else ()
    for link in reached:
        yield from _ways((*behind, link), way[1:], coming)


def _is_after(link: Link, after: Mapping[str, date]) -> bool:
    return link.body not in after or link.date > after[link.body]


def _links(body: str, meetings: Meetings, calendar: Calendar) -> Sequence[Link]:
    days, papers = meetings.get(body, ((), 0))
    return [Link(body=body, date=d, papers=calendar.working_days_before(d, papers)) for d in sorted(days)]
