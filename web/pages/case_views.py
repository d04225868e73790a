"""What the page of a case shows, read in few statements and made ready for its template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, defer, joinedload

from agreements import standings
from engine import deployments, identity, incidents
from engine.calendar import Calendar
from engine.identity import Person
from engine.model import Absence, HistoryEvent, ProcessInstance, Step, User, UserTask
from web.formatting import Formatter, tallord
from web.pages import case_facts, case_history, case_mending, case_status, case_timeline, delivery_views
from web.pages.case_facts import Bound, CaseFacts
from web.pages.case_history import Entry
from web.pages.case_mending import IncidentView
from web.pages.case_status import Holder, Status
from web.pages.case_timeline import TimelineView
from web.pages.delivery_views import MailRow, Unreached

#: Days of history on the page; all of it has a page of its own.
HISTORY_DAYS = 6
_RECENT = 80


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A row of a step: one party's, body's or person's part of it."""

    public_id: str
    name: str
    status: Status
    holder: Holder | None
    due: date | None
    is_open: bool
    has_bounced: bool
    is_mine: bool
    may_read: bool


@dataclass(frozen=True, kw_only=True)
class StepView:
    """A step and its rows, the silent first."""

    token: str
    name: str
    several: bool
    asks_parties: bool
    total: int
    completed: int
    due: date | None
    closes: bool
    ended_at: datetime | None
    rows: tuple[TaskView, ...]


@dataclass(frozen=True, kw_only=True)
class Ball:
    """The three answers at the top: who has the ball, until when, and how many have answered."""

    who: str
    about: str
    due: date | None = None
    due_note: str = ""
    overdue: bool = False
    done: int = 0
    total: int = 0


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """A model with where the case is in it."""

    model: str
    name: str
    active: tuple[str, ...]
    done: tuple[str, ...]
    caption: str


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """Everything the page shows."""

    instance: ProcessInstance
    owns: bool
    ball: Ball | None
    incidents: tuple[IncidentView, ...]
    on_hold: str
    may_ask_more: bool
    unreached: tuple[Unreached, ...]
    asked: tuple[StepView, ...]
    single: tuple[StepView, ...]
    ended: tuple[StepView, ...]
    timeline: TimelineView
    next_mails: tuple[MailRow, ...]
    last_mails: tuple[MailRow, ...]
    mail_counts: Mapping[str, int]
    next_reminder: datetime | None
    history: tuple[Entry, ...]
    diagrams: tuple[Diagram, ...]
    facts: CaseFacts


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows that the page is made of."""

    instance: ProcessInstance
    steps: Sequence[Step]
    tasks: Sequence[UserTask]
    by_step: Mapping[int, list[UserTask]] = field(default_factory=dict)
    #: Ids of those who are away now -> the name of who stands in, empty for nobody.
    instead: Mapping[int, str] = field(default_factory=dict)

    @property
    def open_steps(self) -> list[Step]:
        return [step for step in self.steps if step.state == "open"]


def read_rows(session: Session, instance: ProcessInstance) -> Rows:
    """Steps and tasks with their people, but without what was written: answers stay in the database."""
    steps = session.scalars(select(Step).where(Step.instance_id == instance.id).order_by(Step.opened_at, Step.id)).all()
    people = (joinedload(UserTask.assignee), joinedload(UserTask.approver), joinedload(UserTask.candidate_group))
    deputy = aliased(User)
    away = Absence.user_id.in_((UserTask.assignee_id, UserTask.approver_id)) & Absence.told
    query = select(UserTask, Absence.user_id, deputy.name).outerjoin(Absence, away)
    query = query.outerjoin(deputy, deputy.id == Absence.stand_in_id).where(UserTask.instance_id == instance.id)
    query = query.order_by(UserTask.step_id, UserTask.position)
    found = session.execute(query.options(*people, defer(UserTask.answers), defer(UserTask.draft))).all()
    tasks = list(dict.fromkeys(row[0] for row in found))
    instead = {row[1]: row[2] or "" for row in found if row[1] is not None}
    by_step: dict[int, list[UserTask]] = {}
    for task in tasks:
        by_step.setdefault(task.step_id, []).append(task)
    return Rows(instance=instance, steps=steps, tasks=tasks, by_step=by_step, instead=instead)


def case_view(
    session: Session, person: Person, instance: ProcessInstance, words: Formatter, calendar: Calendar
) -> CaseView:
    """The page of a case as this person may see it."""
    rows = read_rows(session, instance)
    owns = identity.owns(person, instance)
    mails = delivery_views.mails_of(session, instance) if owns else []
    came_back = delivery_views.bounced_tasks(mails)
    about, dates = case_facts.about(session, instance)
    failed = incidents.open_incidents(session, instance)
    steps = [_step_view(step, rows, person, words, came_back) for step in rows.steps]
    waiting = [view for step, view in zip(rows.steps, steps, strict=True) if step.state == "open"]
    planned, sent = delivery_views.planned_rows(mails, words), delivery_views.sent_rows(mails, words)
    stages = case_timeline.stages(case_timeline.plan_of(session, instance), rows.steps, calendar)
    return CaseView(
        instance=instance,
        owns=owns,
        ball=ball(rows.open_steps, rows.by_step, instance, words, rows.instead),
        incidents=tuple(case_mending.view_of(session, instance, incident) for incident in failed),
        on_hold=_on_hold(session, instance),
        may_ask_more=any(view.several for view in waiting),
        unreached=delivery_views.unreached(mails),
        asked=tuple(view for view in waiting if view.several),
        single=tuple(view for view in waiting if not view.several),
        ended=tuple(view for step, view in zip(rows.steps, steps, strict=True) if _is_worth_reading(step, view)),
        timeline=case_timeline.view(
            instance.title, stages, {_body(b): b.day for b in dates if b.meeting or b.fact in ("ssu", "au")},
            calendar, words,
        ),
        next_mails=tuple(planned[:2]),
        last_mails=tuple(row for row in sent if row.status.icon != "pause")[:1],
        mail_counts=delivery_views.counts(mails),
        next_reminder=delivery_views.next_reminder(mails),
        history=tuple(_history(session, instance, rows, person, words)),
        diagrams=tuple(_diagrams(session, instance, rows)),
        facts=case_facts.facts(session, instance, about, dates),
    )  # fmt: skip


def _on_hold(session: Session, instance: ProcessInstance) -> str:
    """Why the case is on hold; empty unless it is."""
    if instance.state != "suspended":
        return ""
    held = (HistoryEvent.instance_id == instance.id) & (HistoryEvent.kind == "suspended")
    query = select(HistoryEvent.note).where(held).order_by(HistoryEvent.sequence.desc())
    return session.scalars(query.limit(1)).first() or ""


def _body(bound: Bound) -> str:
    return bound.name if bound.meeting else bound.fact.upper()


def _is_worth_reading(step: Step, view: StepView) -> bool:
    return step.state != "open" and any(row.may_read for row in view.rows)


# --- steps ------------------------------------------------------------------------------------------------------------


def _step_view(step: Step, rows: Rows, person: Person, words: Formatter, came_back: set[int]) -> StepView:
    tasks = rows.by_step.get(step.id, [])
    ordered = sorted(tasks, key=lambda task: (task.state in ("completed", "skipped", "withdrawn"), task.position))
    return StepView(
        token=step.token, name=step.name, several=step.total > 1 or any(task.item for task in tasks),
        asks_parties=case_status.are_parties(tasks), total=step.total, completed=step.completed, due=step.due_date,
        closes=step.closes, ended_at=step.ended_at,
        rows=tuple(_task_view(task, step, rows, person, words, came_back) for task in ordered),
    )  # fmt: skip


def _task_view(
    task: UserTask, step: Step, rows: Rows, person: Person, words: Formatter, came_back: set[int]
) -> TaskView:
    instance = rows.instance
    concerned, owns = identity.concerns(person, task), identity.owns(person, instance)
    is_open, has_bounced = task.state in ("open", "submitted"), task.id in came_back
    may_see = owns or concerned
    # The owner who answered for themselves reads it as any other; what is not finished is nobody's to read here.
    readable = task.state == "completed" and identity.may_read_answers(person, task, instance, step.state == "open")
    return TaskView(
        public_id=task.public_id,
        name=standings.asked(task),
        status=case_status.status_of(task, words, full=may_see, bounced=has_bounced),
        holder=case_status.holder_of(task, words, rows.instead, bounced=has_bounced) if is_open and may_see else None,
        due=task.due_date if is_open else None,
        is_open=is_open,
        has_bounced=has_bounced and owns,
        is_mine=concerned and is_open,
        may_read=readable,
    )


# --- the three answers ------------------------------------------------------------------------------------------------


def ball(
    open_steps: Sequence[Step], by_step: Mapping[int, list[UserTask]], instance: ProcessInstance, words: Formatter,
    instead: Mapping[int, str],
) -> Ball | None:  # fmt: skip
    """Who has the ball in the step that is due first; None once the case has ended."""
    if instance.state not in ("active", "suspended"):
        return None
    if instance.state == "suspended":
        return Ball(who=_("Ingen"), about=_("Saken er satt på vent."))
    step = standings.first_due(open_steps)
    if step is None:
        return _nobody(instance, words)
    waiting = [task for task in by_step.get(step.id, []) if task.state in ("open", "submitted")]
    due = standings.due_of(step, waiting)
    others = len(open_steps) - 1
    about = step.name
    if others:
        about += _(", og %(count)s steg til pågår", count=tallord(others, "ett"))
    done, total = (step.completed, step.total) if step.total > 1 else (0, 0)
    return Ball(
        who=case_status.names(waiting, instead), about=about, due=due, due_note=_due_note(due, step, words),
        overdue=due is not None and due < words.today, done=done, total=total,
    )  # fmt: skip


def _nobody(instance: ProcessInstance, words: Formatter) -> Ball:
    if instance.wake_at is None:
        return Ball(who=_("Ingen"), about=_("Saken står stille."))
    opens = instance.wake_at.astimezone(words.zone)
    return Ball(who=_("Ingen akkurat nå"), about=_("Neste steg åpner %(day)s.", day=words.dato(opens)))


def _due_note(due: date | None, step: Step, words: Formatter) -> str:
    if due is None:
        return ""
    text = words.over(due) or words.avstand(due)
    return text + ". " + _("Da lukker steget.") if step.closes and due >= words.today else text


# --- history and diagram ----------------------------------------------------------------------------------------------


def _history(session: Session, instance: ProcessInstance, rows: Rows, person: Person, words: Formatter) -> list[Entry]:
    query = select(HistoryEvent).where(HistoryEvent.instance_id == instance.id)
    latest = session.scalars(query.order_by(HistoryEvent.sequence.desc()).limit(_RECENT)).all()
    events = case_history.major(list(reversed(latest)))
    found = case_history.entries(session, instance, events, rows.steps, rows.tasks, person, words)
    return case_history.by_day(found, words, HISTORY_DAYS)


def _diagrams(session: Session, instance: ProcessInstance, rows: Rows) -> list[Diagram]:
    """The case's own model, and each called one that a step is open in."""
    specification = deployments.compiled(session, instance).specification
    paths = ["", *sorted({step.call_path for step in rows.open_steps if step.call_path})]
    found: list[Diagram] = []
    for path in paths:
        model = specification.model_at(path)
        active = {_place(step, path) for step in rows.open_steps} - {None}
        done = {_place(step, path) for step in rows.steps if step.state in ("completed", "closed", "skipped")} - {None}
        found.append(
            Diagram(
                model=model.process_id, name=model.name, active=tuple(sorted(filter(None, active))),
                done=tuple(sorted(filter(None, done - active))), caption=_caption(rows.open_steps),
            )
        )  # fmt: skip
    return found


def _place(step: Step, path: str) -> str | None:
    """The element of the model at `path` that the step is, or lies within."""
    if step.call_path == path:
        return step.element_id
    below = step.call_path if not path else step.call_path.removeprefix(path + "/")
    return below.partition("/")[0] if below and (not path or step.call_path.startswith(path + "/")) else None


def _caption(steps: Sequence[Step]) -> str:
    if not steps:
        return _("Ingen steg er aktive nå.")
    named = [f"{s.name} ({s.completed} av {s.total})" if s.total > 1 else s.name for s in steps]
    return _("Aktive steg: %(steps)s.", steps=", ".join(named))
