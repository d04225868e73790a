"""The rows around a batch of mails, read together: a hundred mails cost as many statements as one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from engine import identity
from engine.calendar import Calendar
from engine.model import Community, Group, Incident, ProcessInstance, Step, User, UserTask
from notifications import preferences, texts
from notifications.model import Delivery
from notifications.preferences import Choices
from notifications.reconciling import holders_of_each
from notifications.texts import Texts
from notifications.week_news import News

Row = TypeVar("Row", Community, Group, Incident, ProcessInstance, Step, User, UserTask)

#: What one mail looks at in the others about its task. What they say is long, and not read.
_OF_OTHERS = (
    Delivery.task_id, Delivery.recipient_id, Delivery.rule, Delivery.state, Delivery.planned_at,
    Delivery.composed_at, Delivery.due_date,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Rows by their id. A mail that changes while the batch is gone through is seen as it then is."""

    session: Session
    instances: Mapping[int, ProcessInstance]
    communities: Mapping[int, Community]
    calendars: Mapping[int, Calendar]
    steps: Mapping[int, Step]
    tasks: Mapping[int, UserTask]
    incidents: Mapping[int, Incident]
    people: Mapping[int, User]
    groups: Mapping[int, Group]
    #: Task -> who is to act on it now.
    holders: Mapping[int, tuple[int, ...]]
    #: Step -> its tasks that wait, in the model's order; only of steps that a mail is about as a whole.
    waiting: Mapping[int, Sequence[UserTask]]
    #: Task and recipient -> every mail to that person about it.
    mails: Mapping[tuple[int | None, int], Sequence[Delivery]]
    #: What the recipients have chosen.
    choices: Choices
    #: Community -> its own words in mails.
    texts: Mapping[int, Texts]
    #: What the leaders' weekly mails among them say.
    weeks: News


def read(session: Session, deliveries: Sequence[Delivery], weeks: News = MappingProxyType({})) -> Surroundings:
    """Everything that these mails may say, and that decides whether they ought to leave.

    What the leaders' weekly mails say takes a while to find, and is given.
    """
    instances = _by_id(session, ProcessInstance, (d.instance_id for d in deliveries))
    communities = _by_id(session, Community, (d.community_id for d in deliveries))
    tasks = _by_id(session, UserTask, (d.task_id for d in deliveries))
    waiting = _waiting(session, {d.step_id for d in deliveries if d.task_id is None and d.step_id is not None})
    named = [task for of_step in waiting.values() for task in of_step]
    concerned = [*tasks.values(), *named]
    asked = (user for task in concerned for user in (task.assignee_id, task.approver_id))
    people = {*(d.recipient_id for d in deliveries), *asked}
    return Surroundings(
        session=session,
        instances=instances,
        communities=communities,
        calendars={key: identity.calendar_of(community) for key, community in communities.items()},
        steps=_by_id(session, Step, (d.step_id for d in deliveries)),
        tasks=tasks,
        incidents=_by_id(session, Incident, (d.incident_id for d in deliveries)),
        people=_by_id(session, User, people),
        groups=_by_id(session, Group, (task.candidate_group_id for task in concerned)),
        holders=holders_of_each(session, concerned) if concerned else {},
        waiting=waiting,
        mails=_mails(session, deliveries),
        choices=preferences.read(session, {d.recipient_id for d in deliveries}, ()),
        texts=texts.read(session, communities),
        weeks=weeks,
    )


def _by_id(session: Session, table: type[Row], ids: Iterable[int | None]) -> dict[int, Row]:
    wanted = {row_id for row_id in ids if row_id is not None}
    if not wanted:
        return {}
    return {row.id: row for row in session.scalars(select(table).where(table.id.in_(wanted)))}


def _waiting(session: Session, steps: set[int]) -> Mapping[int, Sequence[UserTask]]:
    found: defaultdict[int, list[UserTask]] = defaultdict(list)
    if steps:
        query = select(UserTask).where(UserTask.step_id.in_(steps), UserTask.state.in_(("open", "submitted")))
        for task in session.scalars(query.order_by(UserTask.position)):
            found[task.step_id].append(task)
    return found


def _mails(session: Session, deliveries: Sequence[Delivery]) -> Mapping[tuple[int | None, int], Sequence[Delivery]]:
    found: defaultdict[tuple[int | None, int], list[Delivery]] = defaultdict(list)
    tasks = {d.task_id for d in deliveries if d.task_id is not None}
    if tasks:
        # The same people as a condition lets the index on both columns be used.
        query = select(Delivery).where(
            Delivery.task_id.in_(tasks), Delivery.recipient_id.in_({d.recipient_id for d in deliveries})
        )
        for mail in session.scalars(query.options(load_only(*_OF_OTHERS)).order_by(Delivery.id)):
            found[mail.task_id, mail.recipient_id].append(mail)
    return found
