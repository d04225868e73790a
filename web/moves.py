"""What copies of cases are given when a move is tried, and what is noted there of all that waits beside the steps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.functions import FUNCTIONS
from agreements.moving import World
from engine import deployments, places, process_instances
from engine.identity import Person
from engine.model import ProcessInstance, Step, UserTask
from engine.rehearsing import Copied
from notifications import copied, reconciling
from notifications.model import Delivery
from notifications.moves import MOVED
from notifications.rules import kind
from notifications.settings import NotificationSettings

#: Whose members may add and move meetings.
SECRETARIAT = "sekretariat"
#: What says that the dates are new is not among the mails that move: it is what the move itself sends.
_NEWS = (MOVED, "due_changed")


@dataclass(frozen=True, kw_only=True)
class Waits:
    """A timer, a mail or a calendar entry, and when it is for."""

    kind: Literal["timer", "mail", "entry"]
    #: What the timer, the task or the meeting is called.
    name: str
    at: datetime | date
    #: Party or body, where one of several is meant.
    party: str = ""
    #: Who gets the mail.
    person: int | None = None
    #: The mail's rule.
    rule: str = ""


#: What waits, by what makes it the same before and after: its place, its mail's cause, its UID.
Seen = Mapping[tuple[object, ...], Waits]


def world(settings: NotificationSettings, now: datetime) -> World:
    """The world of the copies: they run as the cases do here, and say what waits in them."""

    def look(session: Session, instance: ProcessInstance) -> Seen:
        reconciling.reconcile(session, instance.id, now=now, settings=settings)
        return dict((*_timers(session, instance, now), *_mails(session, instance, now), *_entries(session, instance)))

    def also(instance: ProcessInstance) -> Sequence[Copied]:
        return *copied.of_community(instance.community_id), *copied.of_case(instance.id)

    return World(functions=FUNCTIONS, also=also, look=look)


def may_move(person: Person) -> bool:
    """May they move meetings?"""
    return person.is_admin or SECRETARIAT in person.group_keys


# --- what waits in a case ---------------------------------------------------------------------------------------------

_Found = Iterator[tuple[tuple[object, ...], Waits]]


def _timers(session: Session, instance: ProcessInstance, now: datetime) -> _Found:
    specification = deployments.compiled(session, instance).specification
    for (call_path, element), at in process_instances.execution_of(session, instance, now).timers():
        if at is not None:
            name = places.name_at(specification, call_path, element)
            yield ("timer", call_path, element), Waits(kind="timer", name=name, at=at)


def _mails(session: Session, instance: ProcessInstance, now: datetime) -> _Found:
    query = select(Delivery, Step.name, UserTask.item_name).join(Step, Step.id == Delivery.step_id)
    query = query.outerjoin(UserTask, UserTask.id == Delivery.task_id)
    waiting = (Delivery.instance_id == instance.id) & (Delivery.state == "planned") & (Delivery.planned_at > now)
    for mail, step, party in session.execute(query.where(waiting).order_by(Delivery.planned_at, Delivery.id)):
        if kind(mail.rule) not in _NEWS:
            yield (
                ("mail", mail.step_id, mail.task_id, mail.rule, mail.recipient_id),
                Waits(
                    kind="mail", name=step, at=mail.planned_at, party=party or "", person=mail.recipient_id,
                    rule=mail.rule,
                ),
            )  # fmt: skip


def _entries(session: Session, instance: ProcessInstance) -> _Found:
    """What stands in the calendars of those who have the tasks, by its UID there."""
    waiting = (UserTask.instance_id == instance.id) & UserTask.state.in_(("open", "submitted"))
    query = select(UserTask).where(waiting, UserTask.due_date.is_not(None))
    for task in session.scalars(query.order_by(UserTask.due_date, UserTask.id)):
        assert task.due_date is not None, "asked for in the query"
        yield (
            ("entry", f"task-{task.public_id}"),
            Waits(kind="entry", name=task.name, at=task.due_date, party=task.item_name or ""),
        )
