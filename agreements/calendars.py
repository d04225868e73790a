"""Calendars by secret address: one person's deadlines and meetings, or one body's; and what calendar programs read.

A deadline is a whole day that leaves the reader free, for no calendar of today shows tasks of others. Each entry keeps
its UID, and a higher SEQUENCE tells programs that it has changed.
"""

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import icalendar
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session, joinedload

from agreements.model import Body, CalendarFeed, Meeting
from engine.errors import NotAllowed
from engine.identity import Person, person_by_id
from engine.model import ProcessInstance, Step, User, UserTask

#: Whose members have the calendar of every body.
SECRETARIAT = "sekretariat"
#: The register does not know when a meeting ends.
MEETING_LENGTH = dt.timedelta(hours=2)
#: What is past stays so long, and so does what was called off.
PAST = dt.timedelta(days=90)
CALLED_OFF = dt.timedelta(days=30)

_OSLO = """BEGIN:VTIMEZONE
TZID:Europe/Oslo
BEGIN:DAYLIGHT
DTSTART:19810329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZNAME:CEST
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZNAME:CET
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something on a day, or from one moment to another where `starts` is a moment."""

    uid: str
    summary: str
    #: Paragraphs.
    about: Sequence[str]
    url: str
    starts: dt.date | dt.datetime
    sequence: int
    #: When it was last written.
    stamp: dt.datetime
    place: str = ""
    cancelled: bool = False


# --- addresses --------------------------------------------------------------------------------------------------------


def open_feed(session: Session, person: Person, body: Body | None, *, now: dt.datetime) -> str:
    """A new secret address, shown this once; an earlier one of the same calendar no longer works."""
    close_feed(session, person, body, now=now)
    token = secrets.token_urlsafe(32)
    session.add(
        CalendarFeed(
            community_id=person.community_id, user_id=person.id, body_id=body.id if body else None,
            token_hash=_digest(token), created_at=now,
        )
    )  # fmt: skip
    return token


def close_feed(session: Session, person: Person, body: Body | None, *, now: dt.datetime) -> None:
    """Whoever reads at the calendar's address reads nothing from now on."""
    mine = (CalendarFeed.user_id == person.id) & (
        CalendarFeed.body_id.is_(None) if body is None else CalendarFeed.body_id == body.id
    )
    session.execute(update(CalendarFeed).where(mine, CalendarFeed.revoked_at.is_(None)).values(revoked_at=now))


def feeds(session: Session, person: Person) -> dict[int | None, CalendarFeed]:
    """The person's open addresses: body, or None for their own calendar -> its row."""
    query = select(CalendarFeed).where(CalendarFeed.user_id == person.id, CalendarFeed.revoked_at.is_(None))
    return {feed.body_id: feed for feed in session.scalars(query)}


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """Whose calendar is read; `body` None for the person's own."""

    feed: CalendarFeed
    user: User
    person: Person
    body: Body | None


def find(session: Session, token: str) -> Subscription | None:
    """What the secret opens; None where it opens nothing, not any more, or the person has left the body."""
    query = select(CalendarFeed, User, Body).join(User, User.id == CalendarFeed.user_id)
    query = query.outerjoin(Body, Body.id == CalendarFeed.body_id)
    known = (CalendarFeed.token_hash == _digest(token)) & CalendarFeed.revoked_at.is_(None) & User.active
    row = session.execute(query.where(known)).one_or_none()
    if row is None:
        return None
    feed, user, body = row
    try:
        reader = person_by_id(session, user.id)
    except NotAllowed:
        return None
    if body is not None and not may_read(reader, body):
        return None
    return Subscription(feed=feed, user=user, person=reader, body=body)


def may_read(person: Person, body: Body) -> bool:
    """May they have the body's calendar? Its members, the secretariat and administrators may."""
    everybodys = person.is_admin or SECRETARIAT in person.group_keys
    return person.community_id == body.community_id and (everybodys or body.group_id in person.group_ids)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


# --- what stands in them ----------------------------------------------------------------------------------------------


def deadlines(session: Session, reader: Subscription, *, today: dt.date, now: dt.datetime) -> Sequence[UserTask]:
    """Tasks with a due date that wait for the person or body, and those that were lately called off."""
    open_ = UserTask.state.in_(("open", "submitted"))
    called_off = UserTask.state.in_(("withdrawn", "skipped")) & (Step.ended_at >= now - CALLED_OFF)
    query = (
        select(UserTask)
        .join(UserTask.step)
        .join(UserTask.instance)
        .where(
            UserTask.community_id == reader.person.community_id, UserTask.due_date >= today - PAST, _whose(reader),
            or_(open_ & (ProcessInstance.state == "active"), called_off),
        )
        .options(joinedload(UserTask.instance), joinedload(UserTask.assignee))
        .order_by(UserTask.due_date, UserTask.id)
    )  # fmt: skip
    return session.scalars(query).all()


def _whose(reader: Subscription) -> ColumnElement[bool]:
    if reader.body is not None:
        return (UserTask.candidate_group_id == reader.body.group_id) | (UserTask.item == reader.body.key)
    person = reader.person
    to_approve = UserTask.approver_id.in_(person.acts_for) & (UserTask.state == "submitted")
    theirs = UserTask.assignee_id.in_(person.acts_for) & (UserTask.state != "submitted")
    free = UserTask.assignee_id.is_(None) & UserTask.candidate_group_id.in_(person.acts_in)
    return or_(theirs, to_approve, free)


def meetings(session: Session, reader: Subscription, *, today: dt.date) -> Sequence[Meeting]:
    """Meetings of the body, or of every body that the person is in."""
    query = select(Meeting).join(Meeting.body).where(Meeting.community_id == reader.person.community_id)
    if reader.body is not None:
        query = query.where(Body.id == reader.body.id)
    else:
        query = query.where(Body.group_id.in_(reader.person.group_ids))
    query = query.where(Meeting.date >= today - PAST).options(joinedload(Meeting.body))
    return session.scalars(query.order_by(Meeting.date, Meeting.id)).all()


def starts(meeting: Meeting, zone: ZoneInfo) -> dt.date | dt.datetime:
    """The local moment at which it begins, or its day while that is not settled."""
    if meeting.starts_at is None:
        return meeting.date
    return dt.datetime.combine(meeting.date, meeting.starts_at, zone)


# --- as calendar programs read it -------------------------------------------------------------------------------------


def rendered(entries: Iterable[Entry], *, name: str, zone: ZoneInfo, language: str) -> bytes:
    """The calendar. What anybody wrote stands in it as text, on one line, whatever characters it has."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", f"-//Avtaleflyt//Avtaleflyt//{'EN' if language == 'en' else 'NO'}")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", _line(name))
    calendar.add("x-wr-timezone", zone.key)
    calendar.add("refresh-interval", dt.timedelta(hours=1), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    calendar.add_component(icalendar.Timezone.from_ical(_OSLO))
    for entry in entries:
        calendar.add_component(_event(entry))
    return bytes(calendar.to_ical())


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """Who invites, or is invited."""

    name: str
    address: str


def invitation(entry: Entry, *, organizer: Mailbox, guest: Mailbox) -> tuple[str, str]:
    """What a mail carries that invites to the entry, moves it or calls it off: the method, and the text."""
    method = "CANCEL" if entry.cancelled else "REQUEST"
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Avtaleflyt//Avtaleflyt//NO")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    event = _event(entry)
    event.add("organizer", f"mailto:{organizer.address}", parameters={"CN": _quoted(organizer.name)})
    asked = {"CN": _quoted(guest.name), "ROLE": "REQ-PARTICIPANT", "PARTSTAT": "NEEDS-ACTION", "RSVP": "TRUE"}
    event.add("attendee", f"mailto:{guest.address}", parameters=asked)
    calendar.add_component(event)
    return method, calendar.to_ical().decode()


def _quoted(name: str) -> str:
    """A name as a parameter may hold it."""
    return _line(name).replace('"', "'")


def _event(entry: Entry) -> icalendar.Event:
    event = icalendar.Event()
    event.add("uid", entry.uid)
    event.add("dtstamp", entry.stamp.astimezone(dt.UTC))
    event.add("sequence", entry.sequence)
    event.add("summary", _line(entry.summary))
    event.add("description", "\n".join([*(_line(text) for text in entry.about if text), entry.url]))
    event.add("url", entry.url)
    if entry.place:
        event.add("location", _line(entry.place))
    timed = isinstance(entry.starts, dt.datetime)
    event.add("dtstart", entry.starts)
    event.add("dtend", entry.starts + (MEETING_LENGTH if timed else dt.timedelta(days=1)))
    event.add("transp", "OPAQUE" if timed else "TRANSPARENT")
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    return event


def _line(text: str) -> str:
    """The text without what ends a line or is not seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
