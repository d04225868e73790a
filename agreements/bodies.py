"""The bodies of a community, when they meet, and what is odd about a date someone chose for a meeting."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from agreements.dates import WEEKDAYS, day, weekday
from agreements.model import Body, Meeting
from agreements.parties import Item
from engine.calendar import Calendar
from engine.errors import InvalidInput, NotFound
from engine.model import Community


@dataclass(frozen=True, kw_only=True)
class MeetingWarning:
    """Something odd about a meeting's date; it may be kept all the same.

    `code` is past, weekend, holiday, unusual_weekday, july or autumn_break.
    """

    code: str
    message: str
    date: date


# --- bodies -------------------------------------------------------------------------------------------


def all_of(session: Session, community: Community) -> list[Body]:
    """The community's bodies in their usual order, also those that were never established."""
    query = select(Body).where(Body.community_id == community.id).order_by(Body.position, Body.id)
    return list(session.scalars(query.options(selectinload(Body.group))))


def find_body(session: Session, community: Community, key: str) -> Body:
    """The body with that key. Raises NotFound."""
    found = session.scalar(select(Body).where(Body.community_id == community.id, Body.key == key))
    if found is None:
        raise NotFound(f"Det finnes ikke noe organ med nøkkelen «{key}».", key=key)
    return found


def body_items(session: Session, community: Community, keys: Iterable[str]) -> list[Item]:
    """{key, name, group} per body, in the usual order, each once.

    Raises InvalidInput for an unknown key and for a body that was never established.
    """
    known = {b.key: b for b in all_of(session, community)}
    wanted = list(keys)
    for key in wanted:
        if key not in known:
            raise InvalidInput(f"Ukjent organ: «{key}». Velg blant disse: {', '.join(known)}.", key=key)
    return [_item(b) for b in known.values() if b.key in wanted]


def _item(body: Body) -> Item:
    if body.group is None:
        text = f"{body.name} er ikke opprettet, så ingen kan svare. Opprett det først, eller velg et annet."
        raise InvalidInput(text, body=body.key)
    return {"key": body.key, "name": body.name, "group": body.group.key}


# --- meetings -----------------------------------------------------------------------------------------


def meetings(session: Session, body: Body) -> list[Meeting]:
    """All the body's meetings, the earliest first."""
    return list(session.scalars(select(Meeting).where(Meeting.body_id == body.id).order_by(Meeting.date)))


def next_meetings(session: Session, body: Body, today: date) -> list[Meeting]:
    """The body's meetings from `today` on, the nearest first."""
    query = select(Meeting).where(Meeting.body_id == body.id, Meeting.date >= today)
    return list(session.scalars(query.order_by(Meeting.date)))


def find_meeting(session: Session, community: Community, public_id: str) -> Meeting:
    """The meeting with that id. Raises NotFound."""
    query = select(Meeting).where(Meeting.community_id == community.id, Meeting.public_id == public_id)
    found = session.scalar(query)
    if found is None:
        raise NotFound("Møtet finnes ikke.", public_id=public_id)
    return found


def add_meeting(
    session: Session, body: Body, d: date, *, starts_at: time | None = None, place: str = "", note: str = ""
) -> Meeting:
    """A new meeting of the body. Raises InvalidInput when it already meets that day."""
    query = select(Meeting.id).where(Meeting.body_id == body.id, Meeting.date == d)
    if session.scalar(query) is not None:
        text = f"{body.short_name} har alt et møte {d.isoformat()}. Velg det, eller en annen dag."
        raise InvalidInput(text, body=body.key, date=d)
    made = Meeting(community_id=body.community_id, body_id=body.id, date=d, starts_at=starts_at, place=place, note=note)
    session.add(made)
    session.flush()  # the case that takes its date needs its id
    return made


def meeting_on(session: Session, body: Body, d: date) -> Meeting:
    """The body's meeting that day, added where there is none: those who start cases at once share it."""
    # Whoever comes second waits here, and then sees the meeting of the first.
    session.execute(select(Body.id).where(Body.id == body.id).with_for_update())
    found = session.scalar(select(Meeting).where(Meeting.body_id == body.id, Meeting.date == d))
    return found or add_meeting(session, body, d)


def meeting_warnings(calendar: Calendar, body: Body, d: date, today: date) -> list[MeetingWarning]:
    """What is odd about a meeting of `body` on `d`, seen from `today`; nothing here forbids it."""
    found = [
        ("past", _past(body, d, today)),
        _closed(calendar, body, d, today),
        ("unusual_weekday", _unusual_weekday(calendar, body, d, today)),
        ("july", _july(calendar, body, d, today)),
        ("autumn_break", _autumn_break(calendar, body, d, today)),
    ]
    return [MeetingWarning(code=code, message=message, date=d) for code, message in found if message]


# --- what is odd --------------------------------------------------------------------------------------


def _past(body: Body, d: date, today: date) -> str | None:
    if d >= today:
        return None
    return f"{body.short_name} {day(d, year_of=today)} har allerede vært. Velg en dag som kommer."


def _closed(calendar: Calendar, body: Body, d: date, today: date) -> tuple[str, str | None]:
    reason = calendar.why_closed(d)
    if reason is None:
        return "holiday", None
    before = calendar.working_day_on_or_before(d)
    remedy = f"Nærmeste virkedag før er {weekday(before)} {day(before, year_of=today)}."
    start = f"{body.short_name} {day(d, year_of=today)}"
    if reason == "weekend":
        return "weekend", f"{start} er en {weekday(d)}. {remedy}"
    return "holiday", f"{start} er {_closed_as(reason, d)}. {remedy}"


def _closed_as(reason: str, d: date) -> str:
    if reason.startswith("holiday:"):
        name = reason.removeprefix("holiday:")
        return f"en helligdag ({name})"
    if reason == "eve":
        return "julaften" if d.day == 24 else "nyttårsaften"
    return "en dag helsefellesskapet har stengt"


def _unusual_weekday(calendar: Calendar, body: Body, d: date, today: date) -> str | None:
    # On a closed day the closing says more than the weekday.
    if body.usual_weekday in (None, d.weekday()) or not calendar.is_working_day(d):
        return None
    usual = WEEKDAYS[body.usual_weekday]
    name = body.short_name
    return f"{name} {day(d, year_of=today)} er en {weekday(d)}. {name} pleier å møtes på {usual}er."


def _july(calendar: Calendar, body: Body, d: date, today: date) -> str | None:
    if not calendar.in_july(d):
        return None
    return f"{body.short_name} {day(d, year_of=today)} er i juli, da ingen organer møtes."


def _autumn_break(calendar: Calendar, body: Body, d: date, today: date) -> str | None:
    if not calendar.autumn_break(d):
        return None
    monday = d - timedelta(days=d.weekday())
    friday = monday + timedelta(days=4)
    week = f"{monday.day}.–" if monday.month == friday.month else f"{day(monday, year_of=friday)}–"
    return (
        f"{body.short_name} {day(d, year_of=today)} er i høstferien. "
        f"Uke {d.isocalendar().week} er {week}{day(friday, year_of=today)}, og mange er borte."
    )
