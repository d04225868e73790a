"""What the leader's weekly mail says, read before it is taken: cases are lived ahead, and that takes a moment.

Nothing here knows a language; the words are in the templates.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from agreements import bodies, overviews, standings
from agreements.model import Body
from agreements.overviews import Deadline, Overview
from agreements.slipping import Coming, Slip
from agreements.standings import Standing
from engine import identity
from engine.calendar import Calendar
from engine.model import Community, User
from notifications import weekly
from notifications.model import Delivery

#: Mails whose cases are lived before a batch is taken; the others come with the next one.
AT_ONCE = 5
#: Cases told of under one heading, and deadlines; the page has the rest.
MAX_CASES, MAX_DEADLINES = 10, 15
#: Names said in full; more are counted.
_MAX_NAMES = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Names:
    """Who has the ball, said in one breath: those named, and how many more."""

    said: tuple[str, ...]
    more: int

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.said) + self.more


@dataclass(frozen=True, kw_only=True)
class CaseNews:
    """A running case."""

    title: str
    on_hold: bool
    #: Does nothing ever move it?
    nobody: bool
    #: While no step is open: when the next one opens.
    opens: date | None
    who: Names
    step: str
    #: Other open steps.
    others: int
    done: int
    total: int
    due: date | None
    #: Working days until the due date, or since it.
    days: int
    closes: bool
    #: What slips if nobody acts; None where that was not lived.
    slip: Slip | None


@dataclass(frozen=True, kw_only=True)
class DeadlineNews:
    """A date to come: a step's of a case, or a body's meeting."""

    day: date
    name: str
    who: Names
    case: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """The cases of a body, or without a name the others."""

    name: str
    cases: tuple[CaseNews, ...]
    #: Cases that the page has and the mail does not.
    more: int


@dataclass(frozen=True, kw_only=True)
class Week:
    """The whole mail."""

    number: int
    running: int
    late: int
    nobody: int
    first_meeting: Coming | None
    sections: tuple[Section, ...]
    deadlines: tuple[DeadlineNews, ...]
    until: date


@dataclass(frozen=True, kw_only=True)
class Silence:
    """There is nothing to send, and why not."""

    reason: str


#: Mail -> what it says.
News = Mapping[int, Week | Silence]


def due(session: Session, *, now: datetime) -> News:
    """What the next of these mails say that are due, or were left in the middle."""
    planned = (Delivery.state == "planned") & (Delivery.next_attempt_at <= now)
    left = (Delivery.state == "sending") & (Delivery.lease_until <= now)
    query = select(Delivery).where(or_(planned, left), Delivery.rule == weekly.RULE)
    rows = session.scalars(query.order_by(Delivery.next_attempt_at, Delivery.id).limit(AT_ONCE)).all()
    return {row.id: _found(session, row, now) for row in rows}


def _found(session: Session, mail: Delivery, now: datetime) -> Week | Silence:
    try:
        return of_mail(session, mail, now=now)
    except SQLAlchemyError:
        raise  # the database is away, not the overview broken: everything stays due
    except Exception as error:  # recorded: one broken overview must not keep all other mails waiting
        log.exception("a weekly overview could not be found", extra={"mail": mail.public_id})
        return Silence(reason=f"What it says could not be found: {type(error).__name__}.")


def of_mail(session: Session, mail: Delivery, *, now: datetime) -> Week | Silence:
    """What the mail says if it leaves at `now`, or why it does not."""
    calendar = identity.calendar_of(session.get_one(Community, mail.community_id))
    today, pages = calendar.local_date(now), weekly.pages_of(session, mail.recipient_id)
    user = session.get_one(User, mail.recipient_id)
    if not pages or not user.active:
        return Silence(reason="The person does not want it any more.")
    if mail.cause != weekly.cause_of(today):
        return Silence(reason="Its week is over.")
    found = _pages(session, user, pages, today, now)
    if not any(page.standings or page.deadlines for _, page in found):
        return Silence(reason="There is nothing to say: no case is running, and no meeting is near.")
    return _week(found, calendar, today)


def _pages(
    session: Session, user: User, pages: Sequence[str], today: date, now: datetime
) -> Sequence[tuple[str, Overview]]:
    """The pages by their heading: bodies first, then what else there is."""
    reader = identity.person_by_id(session, user.id)
    community = session.get_one(Community, user.community_id)
    followed: list[Body | None] = [body for body in bodies.all_of(session, community) if body.key in pages]
    if weekly.EVERYTHING in pages:
        followed.append(None)
    return [
        (body.name if body else "", overviews.read(session, reader, body, today=today, now=now)) for body in followed
    ]


def _week(found: Sequence[tuple[str, Overview]], calendar: Calendar, today: date) -> Week:
    slips = {case_id: slip for _, page in found for case_id, slip in page.slips.items()}
    each = {one.instance.public_id: one for _, page in found for one in page.standings}
    said: set[str] = set()
    sections = [_section(name, page, slips, said, calendar, today) for name, page in found]
    firsts = [page.first_meeting for _, page in found if page.first_meeting is not None]
    deadlines = sorted({one for _, page in found for one in page.deadlines}, key=lambda one: (one.day, one.name))
    return Week(
        number=today.isocalendar().week, running=len(each), late=sum(one.is_late(today) for one in each.values()),
        nobody=sum(one.nobody for one in each.values()),
        first_meeting=min(firsts, key=lambda one: one.day, default=None),
        sections=tuple(section for section in sections if section.cases),
        deadlines=tuple(_deadline(one) for one in deadlines[:MAX_DEADLINES]),
        until=overviews.end_of_deadlines(today),
    )  # fmt: skip


def _section(
    name: str, page: Overview, slips: Mapping[str, Slip], said: set[str], calendar: Calendar, today: date
) -> Section:
    """The page's cases that no section before it told of."""
    fresh = [one for one in page.standings if one.instance.public_id not in said]
    said.update(one.instance.public_id for one in fresh)
    cases = tuple(_case(one, slips.get(one.instance.public_id), calendar, today) for one in fresh[:MAX_CASES])
    return Section(name=name, cases=cases, more=len(fresh) - len(cases))


def _case(one: Standing, slip: Slip | None, calendar: Calendar, today: date) -> CaseNews:
    step, due, wakes = one.step, one.due, one.instance.wake_at
    return CaseNews(
        title=one.instance.title, on_hold=one.on_hold, nobody=one.nobody,
        opens=calendar.local_date(wakes) if wakes is not None and step is None else None,
        who=_names(standings.asked(task) for task in one.waiting), step=step.name if step else "",
        others=len(one.steps) - 1 if step else 0, done=step.completed if step else 0, total=step.total if step else 0,
        due=due, days=abs(calendar.working_days_between(today, due)) if due else 0,
        closes=bool(step and step.closes), slip=slip,
    )  # fmt: skip


def _deadline(one: Deadline) -> DeadlineNews:
    return DeadlineNews(day=one.day, name=one.name, who=_names(one.who), case=one.case)


def _names(names: Iterable[str]) -> Names:
    said = tuple(dict.fromkeys(standings.short(name) for name in names))
    kept = said if len(said) <= _MAX_NAMES else said[: _MAX_NAMES - 2]
    return Names(said=kept, more=len(said) - len(kept))
