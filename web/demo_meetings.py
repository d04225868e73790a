"""The demo's meetings: AU and SSU on Thursdays around today, and those from which the demo's cases take their dates."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time, timedelta

from sqlalchemy.orm import Session

from agreements import bodies
from agreements.model import Body, Meeting
from engine.calendar import Calendar
from engine.model import Community

_THURSDAY = 3
_WEEK = timedelta(days=7)
#: A body that meets this near is not given another meeting.
_NEAR = timedelta(days=10)
#: The survey is believable once it has been open for so many working days.
_BELIEVABLE = 6
#: Last month's survey is believable as extended until this day of the month.
_EXTENDED = 20
#: SSU meets every other month in the demo, so many times before and after the survey's meeting.
_BEFORE, _AFTER = 7, 6


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An SSU meeting and the AU meeting that prepares it."""

    ssu: date
    au: date


@dataclass(frozen=True, kw_only=True)
class DemoMeetings:
    """From which meetings the cases take their dates: an open survey, a mandate that waits, and one far ahead."""

    survey: Pair
    mandate: date
    far: Pair


def add(session: Session, community: Community, calendar: Calendar, today: date) -> DemoMeetings:
    """Add the meetings that the register lacks."""
    register = _Register(session, community, calendar)
    survey = register.pair(survey_month(calendar, today))
    mandate = register.soon(today)
    for number in range(-_BEFORE, _AFTER + 1):
        month = _month(survey.ssu, 2 * number)
        if not calendar.in_july(month):
            register.pair(month)
    return DemoMeetings(survey=survey, mandate=mandate, far=register.pair(far_month(calendar, today)))


def survey_month(calendar: Calendar, today: date) -> date:
    """The first of the month in which SSU meets about a survey that is open today, two months after it opened.

    This month's survey where it has been open for a while, else last month's, which its owner has then extended. So is
    last month's where this one's would lead to July, when no body meets, as long as it may still be believed.
    """
    this, last = _month(today, 0), _month(today, -1)
    open_for = calendar.working_days_between(calendar.first_working_day_of(today), today)
    to_july = calendar.in_july(_month(this, 2)) and today.day <= _EXTENDED
    return _month(last if open_for < _BELIEVABLE or to_july else this, 2)


def far_month(calendar: Calendar, today: date) -> date:
    """The first of the month about half a year ahead for whose meeting an evaluation may start now."""
    early = calendar.working_days_after(today, 10)
    months = (_month(today, ahead) for ahead in range(5, 10))
    return next(m for m in months if not calendar.in_july(m) and _planned(calendar, m) >= early)


def _planned(calendar: Calendar, ssu: date) -> date:
    """When the first step of an evaluation for that meeting is due."""
    return calendar.working_days_before(calendar.last_working_day(ssu, 5), 10)


class _Register:
    """Finds a meeting near a day, or adds it."""

    def __init__(self, session: Session, community: Community, calendar: Calendar) -> None:
        self._session = session
        self._calendar = calendar
        self._ssu = bodies.find_body(session, community, "ssu")
        self._au = bodies.find_body(session, community, "au")
        self._held = {body.id: bodies.meetings(session, body) for body in (self._ssu, self._au)}

    def pair(self, month: date) -> Pair:
        """SSU's meeting of the month, else on its last Thursday, and AU's Thursday three weeks before."""
        held = [m.date for m in self._held[self._ssu.id] if _month(m.date, 0) == month]
        if held:
            return self._prepared(held[-1])
        last = _month(month, 1) - timedelta(days=1)
        last -= timedelta(days=(last.weekday() - _THURSDAY) % 7)
        return self._prepared(self._meeting(self._ssu, (last, last - _WEEK, last - 2 * _WEEK)))

    def soon(self, today: date) -> date:
        """The first SSU meeting that lies some days ahead."""
        first = today + timedelta(days=5)
        held = [m.date for m in self._held[self._ssu.id] if first <= m.date <= first + _WEEK]
        thursday = first + timedelta(days=(_THURSDAY - first.weekday()) % 7)
        days = (thursday + number * _WEEK for number in range(7))
        return held[0] if held else self._meeting(self._ssu, days)

    def _prepared(self, ssu: date) -> Pair:
        thursday = ssu - timedelta(days=(ssu.weekday() - _THURSDAY) % 7)
        au = self._meeting(self._au, (thursday - 3 * _WEEK, thursday - 2 * _WEEK, thursday - 4 * _WEEK))
        return Pair(ssu=ssu, au=au)

    def _meeting(self, body: Body, days: Iterable[date]) -> date:
        """The body's meeting near the first of the days that suits; added where there is none."""
        choices = list(days)
        day = next((d for d in choices if self._suits(d)), None)
        day = day or self._calendar.working_day_on_or_before(choices[0])
        near = [m.date for m in self._held[body.id] if abs(m.date - day) <= _NEAR]
        return near[0] if near and body is self._au else self._add(body, day).date

    def _suits(self, day: date) -> bool:
        calendar = self._calendar
        return calendar.is_working_day(day) and not calendar.autumn_break(day) and not calendar.in_july(day)

    def _add(self, body: Body, day: date) -> Meeting:
        ssu = body.id == self._ssu.id
        starts_at, place = (time(12, 30), "Tønsberg, SiV HF, møterom CA-E1-028") if ssu else (time(9), "Teams")
        added = bodies.add_meeting(self._session, body, day, starts_at=starts_at, place=place)
        self._held[body.id].append(added)
        return added


def _month(day: date, later: int) -> date:
    """The first of the month so many months after the day's."""
    months = day.year * 12 + day.month - 1 + later
    return date(months // 12, months % 12 + 1, 1)
