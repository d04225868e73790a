"""What is said about dates that were moved together, and about answers to those who asked for more time.

One mail to each person sums up a whole move, over all cases; the single tasks' mails about a new date then stay away.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session, aliased, joinedload

from agreements.model import Body, Meeting, MoreTimeRequest, Move, MoveNotice
from engine.model import ProcessInstance, User, UserTask
from notifications.model import Delivery
from notifications.rules import Wanted
from notifications.settings import NotificationSettings

MOVED = "dates_changed"
ANSWERED = "more_time_answered"
#: The rules whose mails `facts` reads from here.
RULES = frozenset({MOVED, ANSWERED})


@dataclass(frozen=True, kw_only=True)
class ChangedDate:
    """One date that moved, of a step of a case; no step: of the meeting itself."""

    case: str
    step: str
    old: date | None
    new: date | None


@dataclass(frozen=True, kw_only=True)
class Told:
    """Someone is told a task's due date by another mail than the task's own."""

    task_id: int
    person: int
    at: datetime
    due_date: date | None


@dataclass(frozen=True, kw_only=True)
class News:
    """What the mail says."""

    #: Such as "SSU", where a meeting moved.
    meeting: str
    changes: tuple[ChangedDate, ...]
    #: Why, in the words of whoever moved or answered.
    reason: str
    #: The date given, and the one before; of a move of a meeting, the meeting's.
    new: date | None
    old: date | None
    task: str
    url: str


# --- what is wanted ---


def wanted(session: Session, instance: ProcessInstance, *, now: datetime) -> tuple[list[Wanted], list[Told]]:
    """The mails that this case's moves and answers ask for, and what they tell of its tasks.

    Of a move over several cases, each person's mail belongs to the first case that concerns them.
    """
    mails, told = [], []
    notices, answers = _notices(session, instance), _answers(session, instance)
    left = _left(session, {*(f"move:{n.move_id}" for n, _first in notices), *(f"more_time:{a.id}" for a in answers)})
    for notice, first in notices:
        cause = f"move:{notice.move_id}"
        if first == instance.id:
            mails.append(_wanted(cause, MOVED, notice.user_id, now))
        if notice.task_id is not None:
            at = left.get((cause, notice.user_id), now)
            told.append(Told(task_id=notice.task_id, person=notice.user_id, at=at, due_date=notice.new))
    for asked in answers:
        cause = f"more_time:{asked.id}"
        mails.append(_wanted(cause, ANSWERED, asked.asked_by_id, now, asked.task_id))
        if asked.given is not None:
            at = left.get((cause, asked.asked_by_id), now)
            told.append(Told(task_id=asked.task_id, person=asked.asked_by_id, at=at, due_date=asked.given))
    return mails, told


def _left(session: Session, causes: Collection[str]) -> dict[tuple[str, int], datetime]:
    """When the mails of these causes left, by cause and person.

    What has not left yet is said last of all: a reminder may have been taken in the moment before the date moved.
    """
    if not causes:
        return {}
    query = select(Delivery.cause, Delivery.recipient_id, Delivery.composed_at)
    sent = query.where(Delivery.cause.in_(causes), Delivery.composed_at.is_not(None))
    return {(cause, person): at for cause, person, at in session.execute(sent) if at is not None}


def _answers(session: Session, instance: ProcessInstance) -> Sequence[MoreTimeRequest]:
    answered = MoreTimeRequest.state.in_(("granted", "refused"))
    query = select(MoreTimeRequest).where(MoreTimeRequest.instance_id == instance.id, answered)
    return session.scalars(query.order_by(MoreTimeRequest.id)).all()


def _notices(session: Session, instance: ProcessInstance) -> Sequence[Row[MoveNotice, int]]:
    """The case's notices, each with the first case of its move that concerns the person."""
    every = aliased(MoveNotice)
    first = select(func.min(every.instance_id)).where(
        every.move_id == MoveNotice.move_id, every.user_id == MoveNotice.user_id
    )
    query = select(MoveNotice, first.scalar_subquery()).join(User, User.id == MoveNotice.user_id).where(User.active)
    return session.execute(query.where(MoveNotice.instance_id == instance.id).order_by(MoveNotice.id)).all()


def _wanted(cause: str, rule: str, person: int, now: datetime, task_id: int | None = None) -> Wanted:
    return Wanted(
        cause=cause, rule=rule, step_id=None, task_id=task_id, recipient_id=person, planned_at=now, due_date=None,
        due_generation=1, at_once=True,
    )  # fmt: skip


# --- what is said ---


def news(session: Session, delivery: Delivery, settings: NotificationSettings) -> News:
    """What a delivery of these rules is about."""
    number = int(delivery.cause.rpartition(":")[2])
    if delivery.rule == MOVED:
        return _of_move(session, number, delivery.recipient_id, settings)
    return _of_answer(session.get_one(MoreTimeRequest, number), settings)


def _of_move(session: Session, move_id: int, person: int, settings: NotificationSettings) -> News:
    move = session.get_one(Move, move_id)
    query = select(MoveNotice).where(MoveNotice.move_id == move_id, MoveNotice.user_id == person)
    notices = list(session.scalars(query.options(joinedload(MoveNotice.instance)).order_by(MoveNotice.id)))
    steps = tuple(_changed(notice) for notice in notices if notice.step_name)
    return News(
        meeting=_body(session, move), changes=tuple(dict.fromkeys(steps)), reason=move.reason, new=move.new,
        old=move.old, task="", url=_address(session, move, notices, settings),
    )  # fmt: skip


def _changed(notice: MoveNotice) -> ChangedDate:
    return ChangedDate(case=notice.instance.title, step=notice.step_name, old=notice.old, new=notice.new)


def _body(session: Session, move: Move) -> str:
    if move.meeting_id is None:
        return ""
    query = select(Body.short_name).join(Meeting, Meeting.body_id == Body.id).where(Meeting.id == move.meeting_id)
    return session.scalars(query).one()


def _address(session: Session, move: Move, notices: list[MoveNotice], settings: NotificationSettings) -> str:
    """Where the mail's button leads: the person's own task if there is one, else the case, else the meeting."""
    tasks = [notice.task_id for notice in notices if notice.task_id is not None]
    if len(set(tasks)) == 1:
        return settings.task_url(session.get_one(UserTask, tasks[0]).public_id)
    concerned = [notice for notice in notices if notice.step_name]
    if concerned or move.meeting is None:
        return settings.case_url((concerned or notices)[0].instance.public_id)
    return settings.meeting_url(move.meeting.public_id)


def _of_answer(asked: MoreTimeRequest, settings: NotificationSettings) -> News:
    return News(
        meeting="", changes=(), reason=asked.answer, new=asked.given, old=asked.due_date, task=asked.task.name,
        url=settings.task_url(asked.task.public_id),
    )  # fmt: skip
