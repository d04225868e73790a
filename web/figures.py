"""How the system stands, in numbers: what is open, what is late, what failed. A handful of queries, all on indexes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from engine import heartbeats, user_tasks
from engine.jobs import PAUSES
from engine.model import Community, Incident, Job, ProcessInstance, UserTask, WorkerHeartbeat
from notifications.model import Delivery

#: Jobs that are not settled. The others are only ever counted by whoever cleans up.
UNSETTLED = ("queued", "leased", "failed")
#: What has ended, and what has left, is not counted: there is more of it every year.
RUNNING, UNWELL = ("active", "suspended"), ("planned", "sending", "failed", "uncertain")
#: A mail that failed longer ago than this is the past.
RECENT = timedelta(days=7)
#: What is due and not done after so long is late: the clock looks every two seconds.
LATE = timedelta(minutes=5)
#: A mail is tried again after one minute, two and five; one that still waits then says something about the server.
MAIL_LATE = timedelta(minutes=15)
_NONE = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class JobFigure:
    """Jobs of one kind in one state."""

    kind: str
    state: str
    count: int
    #: Since the oldest was due: to be done, to be given back by a worker that died, or, if it failed, tried last.
    lag: timedelta


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One look at the system."""

    open_tasks: int
    #: Open tasks whose due date has passed where their community is.
    overdue_tasks: int
    cases: Mapping[str, int]
    #: Cases whose timer is due and has not fired, and how long the first has waited.
    wakes_due: int
    wake_lag: timedelta
    jobs: Sequence[JobFigure]
    #: Mails that are not settled, or not well; those that left are only ever counted lately.
    deliveries: Mapping[str, int]
    #: Mails handed to the mail server within the last hour.
    mails_last_hour: int
    #: Mails of the last days that failed or are uncertain.
    recent_failures: int
    #: Mails that are due and have not left, and how late the first of them is.
    mails_waiting: int
    unsent_lag: timedelta
    incidents: int
    workers: Sequence[WorkerHeartbeat]
    workers_alive: int

    @property
    def failed_jobs(self) -> int:
        """Jobs that were given up."""
        return sum(job.count for job in self.jobs if job.state == "failed")

    @property
    def job_lag(self) -> timedelta:
        """How late the job is that should have been done first."""
        return max((job.lag for job in self.jobs if job.state != "failed"), default=_NONE)


def gather(session: Session, now: datetime) -> Figures:
    """Everything at once, of all communities in the database."""
    waiting = UserTask.state.in_(user_tasks.OPEN)
    due = (ProcessInstance.state == "active") & (ProcessInstance.wake_at <= now)
    wakes, first_wake = session.execute(select(func.count(), func.min(ProcessInstance.wake_at)).where(due)).one()
    workers = heartbeats.workers(session)
    mails, first_mail = _unsent(session, now)
    return Figures(
        open_tasks=_count(session, waiting),
        overdue_tasks=_overdue(session, now, waiting),
        cases=_by_state(session, ProcessInstance, RUNNING),
        wakes_due=wakes,
        wake_lag=_since(first_wake, now),
        jobs=_jobs(session, now),
        deliveries=_by_state(session, Delivery, UNWELL),
        mails_last_hour=_count(session, Delivery.taken_at > now - timedelta(hours=1)),
        recent_failures=_count(
            session, Delivery.state.in_(("failed", "uncertain")), Delivery.planned_at > now - RECENT
        ),
        mails_waiting=mails,
        unsent_lag=_since(first_mail, now),
        incidents=_count(session, Incident.resolved_at.is_(None)),
        workers=workers,
        workers_alive=sum(heartbeats.is_alive(worker, now) for worker in workers),
    )


def _count(session: Session, *where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).where(*where)) or 0


def _since(moment: datetime | None, now: datetime) -> timedelta:
    return max(now - moment, _NONE) if moment else _NONE


def _by_state(session: Session, table: type[ProcessInstance] | type[Delivery], states: Sequence[str]) -> dict[str, int]:
    """Also those of which there is none, so that a graph has a line before the first trouble."""
    query = select(table.state, func.count().label("number")).where(table.state.in_(states)).group_by(table.state)
    return {**dict.fromkeys(states, 0), **{row.state: row.number for row in session.execute(query)}}


def _overdue(session: Session, now: datetime, waiting: ColumnElement[bool]) -> int:
    """The day is another in another zone, so each zone is asked with its own."""
    zones = session.scalars(select(Community.timezone).distinct()).all()
    passed = [
        and_(Community.timezone == zone, UserTask.due_date < now.astimezone(ZoneInfo(zone)).date()) for zone in zones
    ]
    query = select(func.count()).select_from(UserTask).join(Community, Community.id == UserTask.community_id)
    return session.scalar(query.where(waiting, or_(*passed))) or 0 if passed else 0


def _jobs(session: Session, now: datetime) -> list[JobFigure]:
    query = (
        select(Job.kind, Job.state, func.count(), func.min(Job.run_at), func.min(Job.lease_until))
        .where(Job.state.in_(UNSETTLED))
        .group_by(Job.kind, Job.state)
        .order_by(Job.kind, Job.state)
    )
    return [
        JobFigure(kind=kind, state=state, count=count, lag=_since(lease if state == "leased" else run_at, now))
        for kind, state, count, run_at, lease in session.execute(query)
    ]


def _unsent(session: Session, now: datetime) -> tuple[int, datetime | None]:
    # The longest pause is said too, or the index of what is due would be read to the last mail of the year.
    soon = Delivery.next_attempt_at <= now + PAUSES[-1]
    late = Delivery.state.in_(("planned", "sending")) & soon & (Delivery.planned_at <= now)
    count, first = session.execute(select(func.count(), func.min(Delivery.planned_at)).where(late)).one()
    return count, first
