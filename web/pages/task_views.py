"""What the task pages show: one task with its form, its place in the case, its files and the answers so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, load_only

from agreements import cases, respondents
from agreements.model import Case
from engine import deployments, identity, task_forms, user_tasks
from engine.bpmn.reading import UserTaskElement
from engine.errors import FieldProblem
from engine.forms import Form
from engine.identity import Person
from engine.model import Group, HistoryEvent, Membership, ProcessInstance, Step, User, UserTask
from web import forms
from web.form_views import FormView
from web.pages import task_documents, task_words
from web.pages.task_words import Reader, Status

#: What the reader does here: fill in, take it, approve it, answer for others, wait, or look back.
Mode = Literal["fill", "free", "approve", "behalf", "waiting", "ended"]

#: Longer cases show their latest steps.
_MAX_STEPS = 14


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A task the reader may see, with its people, step, case and what the model says about it."""

    task: UserTask
    element: UserTaskElement
    form: Form
    inputs: Mapping[str, object]
    #: The task's files: public id and name.
    files: Mapping[str, str]

    @property
    def instance(self) -> ProcessInstance:
        return self.task.instance


@dataclass(frozen=True, kw_only=True)
class AnswersLink:
    """Answers given at one step that the reader may read."""

    name: str
    count: int
    #: Answers through open links, counted apart.
    open_count: int
    task_public_id: str


@dataclass(frozen=True, kw_only=True)
class Returned:
    """The approver sent the answer back, with these words."""

    who: str
    note: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class TaskPage:
    """Everything `tasks/task.html` and `tasks/approve.html` show."""

    task: UserTask
    mode: Mode
    title: str
    why: str
    what: str
    minutes: int | None
    case: Case | None
    status: Status
    odd_day: str
    form: FormView | None
    summary: Sequence[tuple[str, str]]
    prefilled: bool
    returned: Returned | None
    steps: Sequence[Mapping[str, str]]
    documents: Sequence[task_documents.Listed]
    earlier: Sequence[AnswersLink]
    people: Mapping[str, str]
    owner: bool
    drafts: bool
    may_hand_over: bool
    may_release: bool
    may_upload: bool
    happened: str

    @property
    def instance(self) -> ProcessInstance:
        return self.task.instance

    @property
    def needs_approval(self) -> bool:
        """Will what is sent now wait for the approver?"""
        return self.mode == "fill" and self.task.approver is not None and "approver" in self.people

    @property
    def correcting(self) -> bool:
        """Does someone change what is already sent to the approver?"""
        return self.mode == "fill" and self.task.state == "submitted"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was sent and refused: shown again as it came."""

    answers: Mapping[str, object]
    problems: Sequence[FieldProblem] = ()


# --- one task ---------------------------------------------------------------------------------------------------------


def load(session: Session, person: Person, public_id: str) -> Loaded:
    """The task with its form. Raises NotFound."""
    relations = (UserTask.step, UserTask.assignee, UserTask.approver, UserTask.candidate_group)
    task = identity.task_by_id(session, person, public_id, *(joinedload(relation) for relation in relations))
    form, inputs = task_forms.form_of(session, task.instance, task)
    files = task_documents.names(session, [task.id])[task.id]
    element = deployments.element(session, task.instance, task.step)
    return Loaded(task=task, element=element, form=form, inputs={**inputs, "files": files}, files=files)


def mode_of(task: UserTask, person: Person, *, correcting: bool = False, on_behalf: bool = False) -> Mode:
    """What this person does with the task now; `correcting` and `on_behalf` are what they asked for."""
    if task.instance.state != "active" or task.state not in user_tasks.OPEN:
        return "waiting" if task.state == "pending" else "ended"
    approves = task.approver_id in person.acts_for
    if task.state == "submitted":
        if approves:
            return "fill" if correcting else "approve"
        if task_words.fills(person, task):
            return "fill" if correcting else "waiting"
    elif task.assignee_id in person.acts_for:
        return "fill"
    elif user_tasks.is_free(task) and task_words.fills(person, task):
        return "free"
    elif approves:
        return "fill" if correcting else "waiting"
    return "behalf" if on_behalf and identity.owns(person, task.instance) else "waiting"


def page(session: Session, loaded: Loaded, reader: Reader, mode: Mode, written: Written | None = None) -> TaskPage:
    """Everything the page shows about the task."""
    task, person = loaded.task, reader.person
    owner = identity.owns(person, task.instance)
    fills = task_words.fills(person, task)
    people = _people(session, task)
    if task.approver_id in (None, person.id):
        people.pop("approver", None)
    answers, prefilled = _to_fill_in(session, loaded, mode) if mode in ("fill", "behalf") else ({}, False)
    if written is not None:
        answers, prefilled = dict(written.answers), False
    view = None
    if mode in ("fill", "behalf"):
        view = forms.layout(loaded.form, answers, loaded.inputs, written.problems if written else ())
    may_act = task.state in user_tasks.OPEN and task.instance.state == "active"
    is_open = may_act and task.state == "open"
    return TaskPage(
        task=task,
        mode=mode,
        title=task_words.title(task),
        why=task_words.why(task, person),
        what=loaded.element.documentation,
        minutes=loaded.element.minutes or loaded.form.minutes,
        case=cases.case_of(session, task.instance_id),
        status=task_words.status(task, reader),
        odd_day=task_words.odd_day(task.due_date, reader.words) if task.due_date and may_act else "",
        form=view,
        summary=_own_summary(loaded, reader, mode),
        prefilled=prefilled,
        returned=_returned(session, task) if mode == "fill" and task.state == "open" else None,
        steps=_steps(session, task, reader),
        documents=task_documents.of_task(session, person, task),
        earlier=_earlier(session, task, person),
        people=people,
        owner=owner,
        drafts=is_open and (fills or task.approver_id in person.acts_for),
        may_hand_over=is_open and (fills or owner),
        may_release=is_open and task.assignee_id in person.acts_for and task.candidate_group_id is not None,
        may_upload=may_act and (fills or owner or task.approver_id in person.acts_for),
        happened=task_words.what_happened(task, reader, people.get("completed_by", "")) if mode == "ended" else "",
    )


def _people(session: Session, task: UserTask) -> dict[str, str]:
    """Names of those who have had a hand in the task, by what they did."""
    ids = {
        "approver": task.approver_id,
        "submitted_by": task.submitted_by_id,
        "completed_by": task.completed_by_id,
        "draft_by": task.draft_by_id,
    }
    names = {user.id: user.name for user in (task.assignee, task.approver) if user is not None}
    if others := {i for i in ids.values() if i is not None} - names.keys():
        names |= {row.id: row.name for row in session.execute(select(User.id, User.name).where(User.id.in_(others)))}
    return {what: names[i] for what, i in ids.items() if i is not None}


def _to_fill_in(session: Session, loaded: Loaded, mode: Mode) -> tuple[dict[str, Any], bool]:
    """What the form starts with, and whether it comes from the round before."""
    task = loaded.task
    if task.state == "submitted":
        return dict(task.answers or {}), False
    if mode == "behalf":
        return {}, False
    if task.draft is not None:
        return dict(task.draft), False
    before = _last_round(session, task) if task.step.round > 1 else None
    return dict(before or {}), before is not None


def _last_round(session: Session, task: UserTask) -> Mapping[str, Any] | None:
    same = UserTask.item == task.item if task.item is not None else UserTask.item.is_(None)
    query = (
        select(UserTask.answers)
        .join(UserTask.step)
        .where(
            Step.instance_id == task.instance_id, Step.call_path == task.step.call_path,
            Step.element_id == task.step.element_id, Step.round < task.step.round, UserTask.state == "completed", same,
        )
        .order_by(Step.round.desc())
        .limit(1)
    )  # fmt: skip
    return session.scalar(query)


def _own_summary(loaded: Loaded, reader: Reader, mode: Mode) -> list[tuple[str, str]]:
    """The answers as text: those that count, or the draft that was never sent, for whom they are."""
    task = loaded.task
    if mode in ("fill", "behalf", "free"):
        return []
    if task.answers is not None and identity.may_read_answers(
        reader.person, task, task.instance, task.step.state == "open"
    ):
        return summary(loaded.form, task.answers, loaded.inputs, reader)
    if mode == "ended" and task.draft and identity.concerns(reader.person, task):
        return summary(loaded.form, task.draft, loaded.inputs, reader)
    return []


def summary(
    form: Form, answers: Mapping[str, Any], inputs: Mapping[str, object], reader: Reader
) -> list[tuple[str, str]]:
    """Answers as a person reads them."""
    return form.summary(answers, inputs, reader.words.dag)


def _returned(session: Session, task: UserTask) -> Returned | None:
    """The latest send-back, if nothing was sent to the approver since."""
    query = (
        select(HistoryEvent.kind, HistoryEvent.note, HistoryEvent.at, User.name)
        .outerjoin(User, User.id == HistoryEvent.actor_id)
        .where(
            HistoryEvent.instance_id == task.instance_id, HistoryEvent.task_id == task.id,
            HistoryEvent.kind.in_(("sent-back", "submitted")),
        )
        .order_by(HistoryEvent.sequence.desc())
        .limit(1)
    )  # fmt: skip
    if task.submitted_at is None:
        return None
    row = session.execute(query).first()
    if row is None or row.kind != "sent-back":
        return None
    return Returned(who=row.name or "", note=row.note or "", at=row.at)


# --- where the case stands --------------------------------------------------------------------------------------------


def _steps(session: Session, task: UserTask, reader: Reader) -> list[Mapping[str, str]]:
    """The case's steps so far, the present one marked, and the meetings ahead."""
    query = select(Step).where(Step.instance_id == task.instance_id).order_by(Step.opened_at, Step.id)
    steps = list(session.scalars(query))
    shown = [step for step in steps if step.state != "withdrawn" or step.id == task.step_id][-_MAX_STEPS:]
    return [_step(step, task, reader) for step in shown] + _meetings(task.instance, reader)


def _step(step: Step, task: UserTask, reader: Reader) -> Mapping[str, str]:
    name = step.name if step.round == 1 else _("%(name)s (runde %(number)s)", name=step.name, number=step.round)
    counted = _("%(done)s av %(total)s har svart.", done=step.completed, total=step.total) if step.total > 1 else ""
    if step.state == "open":
        here = _("Her er vi nå.") if step.id == task.step_id else _("Pågår.")
        return {"name": name, "note": f"{here} {counted}".strip(), "state": "naa" if step.id == task.step_id else ""}
    day = reader.words.dag(step.ended_at) if step.ended_at else ""
    words = {
        "completed": _("Ferdig %(day)s", day=day),
        "closed": _("Lukket %(day)s.", day=day),
        "skipped": _("Hoppet over %(day)s", day=day),
        "withdrawn": _("Trukket tilbake %(day)s", day=day),
    }
    note = words.get(step.state, "")
    return {"name": name, "note": f"{note} {counted}".strip() if step.state == "closed" else note, "state": "ferdig"}


def _meetings(instance: ProcessInstance, reader: Reader) -> list[Mapping[str, str]]:
    ahead: dict[date, str] = {}
    for fact, name in (("au", _("Møte i AU")), ("ssu", _("Møte i SSU")), ("meeting", _("Møte"))):
        day = date.fromisoformat(instance.facts[fact]) if instance.facts.get(fact) else None
        if day is not None and day >= reader.today and instance.state == "active":
            ahead.setdefault(day, name)
    return [{"name": name, "note": reader.words.dag(day), "state": "mote"} for day, name in sorted(ahead.items())]


# --- answers so far ---------------------------------------------------------------------------------------------------


def _earlier(session: Session, task: UserTask, person: Person) -> list[AnswersLink]:
    """Per step of the case, the answers this person may read; other parties' only once their step has ended."""
    whose = load_only(
        UserTask.public_id, UserTask.state, UserTask.community_id, UserTask.step_id, UserTask.assignee_id,
        UserTask.approver_id, UserTask.completed_by_id, UserTask.submitted_by_id, UserTask.candidate_group_id,
    )  # fmt: skip
    query = (
        select(UserTask)
        .join(UserTask.step)
        .options(whose, joinedload(UserTask.step))
        .where(
            UserTask.instance_id == task.instance_id, UserTask.state == "completed", UserTask.id != task.id,
            UserTask.form_key.is_not(None),
        )
        .order_by(Step.opened_at, Step.id, UserTask.position)
    )  # fmt: skip
    by_step: dict[int, list[UserTask]] = {}
    for found in session.scalars(query):
        if identity.may_read_answers(person, found, task.instance, found.step.state == "open"):
            by_step.setdefault(found.step_id, []).append(found)
    beside = respondents.counts(session, by_step.keys())
    return [
        AnswersLink(
            name=found[0].step.name, count=len(found), open_count=beside.get(step_id, 0),
            task_public_id=found[0].public_id,
        )
        for step_id, found in by_step.items()
    ]  # fmt: skip


# --- handing over -----------------------------------------------------------------------------------------------------


def candidates(session: Session, task: UserTask) -> Sequence[User]:
    """Who could take the task over: the members of its group, of its party, or of the assignee's groups."""
    groups = select(Membership.group_id).where(Membership.user_id == task.assignee_id)
    key = (task.item_data or {}).get("group")
    if task.candidate_group_id is not None:
        groups = select(Group.id).where(Group.id == task.candidate_group_id)
    elif key:
        groups = select(Group.id).where(Group.key == key, Group.community_id == task.community_id)
    query = (
        select(User)
        .join(Membership)
        .where(Membership.group_id.in_(groups), User.active, User.community_id == task.community_id)
        .distinct()
        .order_by(User.name)
    )
    return [user for user in session.scalars(query) if user.id != task.assignee_id]
