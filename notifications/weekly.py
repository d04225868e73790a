"""The leader's page as a mail: who gets it, and when. One a week, planned ahead, on its first working day at 8.00.

Each person who wants it has a row, which knows the moment of the mail that is planned. When that moment comes, the
clock plans the next week's. After a standstill the weeks that are over are passed by, and this week's leaves late.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from engine import identity
from engine.calendar import Calendar
from engine.database import Database, MomentQuery, announce
from engine.model import Community, User, new_public_id
from notifications.model import Delivery, WeeklyOverview
from notifications.reconciling import LANE
from notifications.settings import NotificationSettings
from notifications.timing import MORNING

RULE = "leader_week"
#: The page of every case that one may see; the others are those of bodies, by their key.
EVERYTHING = ""
_WEEK = timedelta(days=7)


# --- who wants it -----------------------------------------------------------------------------------------------------


def pages_of(session: Session, user_id: int) -> Sequence[str]:
    """The pages that the person gets as a mail; none where they want no such mail."""
    row = _row(session, user_id)
    return row.pages if row is not None else ()


def choose(
    session: Session, user: User, pages: Sequence[str], *, now: datetime, settings: NotificationSettings
) -> None:
    """From now on the mail has these pages; with none, what is planned is cancelled."""
    # Of two who choose at once, the second sees the first.
    session.get(User, user.id, with_for_update=True)
    row = _row(session, user.id)
    if not pages:
        _stop(session, user.id, row)
    elif row is not None:
        row.pages = sorted(pages)
    else:
        calendar = _calendar(session, user.community_id)
        moment = next(at for at in _moments(calendar, calendar.local_date(now)) if at > now)
        session.add(
            WeeklyOverview(community_id=user.community_id, user_id=user.id, pages=sorted(pages), next_at=moment)
        )
        _plan(session, user, moment, calendar, settings)


def next_mail(session: Session, user_id: int) -> datetime | None:
    """When the person gets the next one; None where they want none."""
    row = _row(session, user_id)
    return row.next_at if row is not None else None


def _row(session: Session, user_id: int) -> WeeklyOverview | None:
    return session.scalar(select(WeeklyOverview).where(WeeklyOverview.user_id == user_id))


def _stop(session: Session, user_id: int, row: WeeklyOverview | None) -> None:
    if row is not None:
        session.delete(row)
    planned = (Delivery.recipient_id == user_id) & (Delivery.rule == RULE) & (Delivery.state == "planned")
    reason = "The person does not want it any more."
    session.execute(update(Delivery).where(planned).values(state="cancelled", last_error=reason))


# --- planning ---------------------------------------------------------------------------------------------------------


def moments() -> tuple[MomentQuery, ...]:
    """When the next week is to be planned."""
    return (select(WeeklyOverview.next_at).order_by(WeeklyOverview.next_at).limit(1),)


def plan_one(database: Database, *, now: datetime, settings: NotificationSettings) -> bool:
    """Plan one person's next mail, if one is due to be planned; workers that ask at once are given different people."""
    due = select(WeeklyOverview).where(WeeklyOverview.next_at <= now).order_by(WeeklyOverview.next_at)
    with database.transaction() as session:
        row = session.scalars(due.limit(1).with_for_update(skip_locked=True)).first()
        if row is None:
            return False
        calendar, user = _calendar(session, row.community_id), session.get_one(User, row.user_id)
        first = max(_monday(calendar.local_date(row.next_at)) + _WEEK, _monday(calendar.local_date(now)))
        row.next_at = next(_moments(calendar, first))
        if user.active:
            _plan(session, user, row.next_at, calendar, settings)
    return True


def _plan(session: Session, user: User, moment: datetime, calendar: Calendar, settings: NotificationSettings) -> None:
    """One mail for that week; who stopped it and wants it again has the same row again."""
    cause = cause_of(calendar.local_date(moment))
    mail = session.scalar(select(Delivery).where(Delivery.cause == cause, Delivery.recipient_id == user.id))
    if mail is None:
        public_id = new_public_id()
        mail = Delivery(
            public_id=public_id, message_id=f"<{public_id}@{settings.host}>", community_id=user.community_id,
            recipient_id=user.id, rule=RULE, cause=cause, planned_at=moment, next_attempt_at=moment,
        )  # fmt: skip
        session.add(mail)
    elif mail.state == "cancelled":
        mail.state, mail.planned_at, mail.next_attempt_at, mail.last_error = "planned", moment, moment, None
    announce(session, LANE, moment)


def cause_of(day: date) -> str:
    """What the mail of that day's week is known by: `leader_week:2026-W38`."""
    year, week, _ = day.isocalendar()
    return f"{RULE}:{year}-W{week:02}"


def _moments(calendar: Calendar, day: date) -> Iterator[datetime]:
    """The moments of the mails from that day's week on. A week in which nobody works has none."""
    monday = _monday(day)
    while True:
        first = calendar.working_day_on_or_after(monday)
        if first < monday + _WEEK:
            yield calendar.at(first, MORNING)
        monday += _WEEK


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _calendar(session: Session, community_id: int) -> Calendar:
    return identity.calendar_of(session.get_one(Community, community_id))
