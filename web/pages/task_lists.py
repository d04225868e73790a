"""The lists of tasks: what waits for someone, what is free in their groups, what they have finished."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, union_all
from sqlalchemy.orm import Session, defer, joinedload

from agreements.model import Body, Case, CaseMeeting, Meeting
from engine import deployments, identity, user_tasks
from engine.identity import Person
from engine.model import Incident, ProcessInstance, Step, UserTask
from web.pages import task_words
from web.pages.task_words import Reader, Status

#: Rows of one page of what waits, and of what is finished.
WAITING_SIZE = 50
PAGE_SIZE = 20
_MAX_STANDING = 200
_LAST_DONE = 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One task in a list. `action` is the filled button of the most urgent one; `group` says where it is free."""

    public_id: str
    revision: int
    title: str
    about: str
    due: date | None
    overdue: bool
    status: Status
    group: str = ""
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The next thing we know of for someone whom nothing waits for."""

    day: date
    text: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A case of one's own that stands still, and whether the engine is still trying."""

    public_id: str
    title: str
    tries_again: bool


@dataclass(frozen=True, kw_only=True)
class Mine:
    """What `Mine oppgaver` shows."""

    ingress: str
    overdue: Sequence[Row]
    this_week: Sequence[Row]
    later: Sequence[Row]
    free: Sequence[Row]
    sent: Sequence[Row]
    #: The page of the list, and whether another follows.
    page: int
    more: bool
    #: Not tasks, but nothing happens in these cases until their owner does something.
    standing: Sequence[Standing] = ()
    next_known: Known | None = None
    last_done: Sequence[Row] = ()

    @property
    def empty(self) -> bool:
        return not (self.overdue or self.this_week or self.later or self.free or self.sent)


def listed(query: Select[UserTask]) -> Select[UserTask]:
    """The query with what rows show, and without what people wrote."""
    case = joinedload(UserTask.instance).load_only(
        ProcessInstance.title, ProcessInstance.public_id, ProcessInstance.state, ProcessInstance.pins
    )
    step = joinedload(UserTask.step).load_only(Step.element_id, Step.call_path, Step.closes, Step.state)
    people = [joinedload(r) for r in (UserTask.assignee, UserTask.approver, UserTask.candidate_group)]
    return query.options(case, step, *people, defer(UserTask.draft), defer(UserTask.answers), defer(UserTask.item_data))


def mine(session: Session, reader: Reader, page: int = 1) -> Mine:
    """Everything that waits for the reader, sorted by when."""
    found = _waiting(session, reader.person, page)
    tasks, more = found[:WAITING_SIZE], len(found) > WAITING_SIZE
    urgent = next((t for t in tasks if task_words.ball_is_with(reader.person, t)), None) if page == 1 else None
    sunday = reader.today + timedelta(days=6 - reader.today.weekday())
    parts: dict[str, list[Row]] = {"overdue": [], "this_week": [], "later": [], "free": [], "sent": []}
    for task in tasks:
        action = _action(session, task, reader.person) if task is urgent else ""
        parts[_part(task, reader, sunday)].append(_row(task, reader, action))
    if more or page > 1:
        ingress = task_words.ingress(*_counted(session, reader, sunday))
    else:
        counted = [task for task in tasks if task_words.ball_is_with(reader.person, task)]
        ingress = _ingress(counted, reader, sunday, len(parts["free"]))
    return Mine(
        ingress=ingress,
        page=page,
        more=more,
        standing=_standing(session, reader.person),
        overdue=parts["overdue"],
        this_week=parts["this_week"],
        later=parts["later"],
        free=parts["free"],
        sent=parts["sent"],
        next_known=None if tasks else next_known(session, reader),
        last_done=() if tasks else finished(session, reader, page=1, size=_LAST_DONE)[0],
    )


def _waiting(session: Session, person: Person, page: int) -> list[UserTask]:
    """One page of the tasks, and the first of the next."""
    to_follow = (UserTask.community_id == person.community_id) & or_(
        and_(UserTask.approver_id.in_(person.acts_for), UserTask.state == "open"),
        and_(UserTask.submitted_by_id == person.id, UserTask.state == "submitted"),
    )
    query = (
        select(UserTask)
        .join(UserTask.instance)
        .where(ProcessInstance.state == "active", or_(user_tasks.waits_for(person), to_follow))
        .order_by(UserTask.due_date.is_(None), UserTask.due_date, UserTask.priority.desc(), UserTask.id)
        .offset(WAITING_SIZE * (page - 1))
        .limit(WAITING_SIZE + 1)
    )
    return list(session.scalars(listed(query)))


def _counted(session: Session, reader: Reader, sunday: date) -> tuple[int, int, int, int]:
    """How many tasks of all pages are overdue, due this week, due later, and free."""
    free = UserTask.assignee_id.is_(None) & (UserTask.state == "open")
    late, soon = UserTask.due_date < reader.today, UserTask.due_date <= sunday
    place = case((free, "free"), (late, "overdue"), (soon, "this_week"), else_="later").label("place")
    query = (
        select(place, func.count())
        .join(UserTask.instance)
        .where(ProcessInstance.state == "active", user_tasks.waits_for(reader.person))
        .group_by(place)
    )
    found = {row[0]: row[1] for row in session.execute(query)}
    return found.get("overdue", 0), found.get("this_week", 0), found.get("later", 0), found.get("free", 0)


def _standing(session: Session, person: Person) -> list[Standing]:
    """The person's own cases that stand still, those that stood first on top."""
    own = identity.steered_instances(person)
    here = (ProcessInstance.community_id == person.community_id) & (ProcessInstance.state == "active")
    query = (
        select(ProcessInstance.public_id, ProcessInstance.title, func.max(Incident.retry_at).label("retry_at"))
        .join(Incident, Incident.instance_id == ProcessInstance.id)
        .where(here, own, ProcessInstance.open_incidents > 0, Incident.resolved_at.is_(None))
        .group_by(ProcessInstance.id)
        .order_by(func.min(Incident.id))
        .limit(_MAX_STANDING)
    )
    rows = session.execute(query)
    return [Standing(public_id=r.public_id, title=r.title, tries_again=r.retry_at is not None) for r in rows]


def _part(task: UserTask, reader: Reader, sunday: date) -> str:
    if task.state == "submitted" and task.approver_id not in reader.person.acts_for:
        return "sent"
    if user_tasks.is_free(task) and task.candidate_group_id in reader.person.acts_in:
        return "free"
    if task_words.is_overdue(task, reader.today):
        return "overdue"
    return "this_week" if task.due_date is not None and task.due_date <= sunday else "later"


def _ingress(tasks: Sequence[UserTask], reader: Reader, sunday: date, free: int) -> str:
    places = [_part(task, reader, sunday) for task in tasks]
    return task_words.ingress(places.count("overdue"), places.count("this_week"), places.count("later"), free)


def _action(session: Session, task: UserTask, person: Person) -> str:
    if task.approver_id in person.acts_for and task.state == "submitted":
        return _("Les og godkjenn")
    return deployments.element(session, task.instance, task.step).action or _("Åpne oppgaven")


def _row(task: UserTask, reader: Reader, action: str = "") -> Row:
    free = user_tasks.is_free(task) and task.candidate_group is not None
    waits = task.state in user_tasks.OPEN
    return Row(
        public_id=task.public_id,
        revision=task.revision,
        title=task_words.title(task),
        about=_about(task, reader),
        due=task.due_date if waits else None,
        overdue=waits and task_words.is_overdue(task, reader.today),
        status=task_words.status(task, reader),
        group=task.candidate_group.name if free and task.candidate_group else "",
        action=action,
    )


def _about(task: UserTask, reader: Reader) -> str:
    sentences = [task.instance.title]
    if name := task_words.in_place_of(reader.person, task):
        sentences.append(_("Du er stedfortreder for %(name)s.", name=name))
    if task.state == "open" and task.approver_id == reader.person.id != task.assignee_id:
        sentences.append(_("%(name)s fyller ut, du godkjenner.", name=task_words.holder(task, reader.instead)))
    elif task.state == "submitted" and task.approver_id in reader.person.acts_for and task.assignee is not None:
        sentences.append(_("%(name)s har fylt ut, du godkjenner.", name=task.assignee.name))
    elif task.state == "submitted":
        sentences.append(_("%(name)s godkjenner.", name=task_words.holder(task, reader.instead)))
    elif task.state == "open" and task_words.is_overdue(task, reader.today):
        sentences.append(_("Du kan fortsatt svare."))
    return ". ".join(s.rstrip(".") for s in sentences) + ("." if len(sentences) > 1 else "")


# --- finished ---------------------------------------------------------------------------------------------------------


def finished(session: Session, reader: Reader, *, page: int, size: int = PAGE_SIZE) -> tuple[list[Row], bool]:
    """One page of what the reader has answered or missed, the latest first; and whether there is more."""
    latest = func.coalesce(UserTask.completed_at, Step.ended_at).desc()
    firsts = [select(way.limit(page * size + 1).subquery()) for way in _done_by(reader.person, latest)]
    query = select(UserTask).join(UserTask.step).where(UserTask.id.in_(union_all(*firsts)))
    query = query.order_by(latest, UserTask.id.desc()).offset((page - 1) * size).limit(size + 1)
    tasks = list(session.scalars(listed(query)))
    return [_row(task, reader) for task in tasks[:size]], len(tasks) > size


def _done_by(person: Person, latest: ColumnElement[Any]) -> Iterator[Select[int]]:
    """Each way of having been done with a task, the latest first: each has its index, and one OR would have none."""
    here = select(UserTask.id).where(UserTask.community_id == person.community_id)
    answered = here.where(UserTask.state == "completed")
    for column in (UserTask.completed_by_id, UserTask.submitted_by_id):
        yield answered.where(column == person.id).order_by(UserTask.completed_at.desc(), UserTask.id.desc())
    # Missed, or answered by another on one's behalf.
    ended = UserTask.state.in_(("completed", "closed", "skipped")) & (UserTask.assignee_id == person.id)
    by_another = func.coalesce(UserTask.completed_by_id, 0) != person.id
    yield here.join(UserTask.step).where(ended, by_another).order_by(latest, UserTask.id.desc())


# --- nothing waits ----------------------------------------------------------------------------------------------------


def next_known(session: Session, reader: Reader) -> Known | None:
    """The earliest of: a row whose turn comes later, and a meeting of one's body that a case waits for."""
    known = [k for k in (_next_turn(session, reader), _next_meeting(session, reader)) if k is not None]
    return min(known, key=lambda k: k.day, default=None)


def _next_turn(session: Session, reader: Reader) -> Known | None:
    person = reader.person
    query = (
        select(UserTask)
        .where(
            UserTask.community_id == person.community_id,
            UserTask.state == "pending",
            UserTask.due_date >= reader.today,
            or_(UserTask.assignee_id == person.id, UserTask.candidate_group_id.in_(person.group_ids)),
        )
        .order_by(UserTask.due_date)
        .limit(1)
    )
    task = session.scalar(listed(query))
    if task is None or task.due_date is None:
        return None
    return Known(day=task.due_date, text=f"{task_words.title(task)}. {task.instance.title}.")


def _next_meeting(session: Session, reader: Reader) -> Known | None:
    query = (
        select(Meeting.date, Body.short_name, ProcessInstance.title)
        .join(Meeting.body)
        .join(CaseMeeting, CaseMeeting.meeting_id == Meeting.id)
        .join(Case, Case.id == CaseMeeting.case_id)
        .join(ProcessInstance, ProcessInstance.id == Case.instance_id)
        .where(
            Body.group_id.in_(reader.person.group_ids),
            Meeting.date >= reader.today,
            ProcessInstance.state == "active",
            identity.visible_instances(reader.person),
        )
        .order_by(Meeting.date, ProcessInstance.id)
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None:
        return None
    return Known(day=row.date, text=_("%(body)s møtes. Saken er %(title)s.", body=row.short_name, title=row.title))
