"""Search over what someone may see: cases, their own tasks, agreements and meetings. Plain LIKE, a few hits of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from agreements.model import Agreement, Body, Case, Meeting
from engine import identity
from engine.identity import Person
from engine.model import ProcessInstance, UserTask
from web.pages import task_words
from web.pages.task_lists import listed

#: Hits of each kind; one more is fetched to tell that there are more.
LIMIT = 10
MIN_LENGTH = 2
MAX_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One thing found, and where it is."""

    address: str
    title: str
    about: str = ""
    day: date | None = None


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What was found of one kind."""

    items: Sequence[Hit]
    more: bool


def search(session: Session, person: Person, words: str) -> dict[str, Hits]:
    """The hits under `cases`, `tasks`, `agreements` and `meetings`; nothing for fewer than two characters."""
    text = " ".join(words.split())[:MAX_LENGTH]
    if len(text) < MIN_LENGTH:
        return {}
    found = {
        "cases": _cases(session, person, text),
        "tasks": _tasks(session, person, text),
        "agreements": _agreements(session, person, text),
        "meetings": _meetings(session, person, text),
    }
    return {kind: _cut(hits) for kind, hits in found.items() if hits}


def _cut(hits: list[Hit]) -> Hits:
    return Hits(items=hits[:LIMIT], more=len(hits) > LIMIT)


def _has(text: str, *columns: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    # SQLite folds only ASCII letters, so the cases people write are each asked for: "færder" finds "Færder".
    forms = {text, text.lower(), text.capitalize()}
    return or_(*(column.icontains(form, autoescape=True) for column in columns for form in sorted(forms)))


def _cases(session: Session, person: Person, text: str) -> list[Hit]:
    query = (
        select(ProcessInstance.public_id, ProcessInstance.title, Case.case_number)
        .outerjoin(Case, Case.instance_id == ProcessInstance.id)
        .where(
            identity.visible_instances(person),
            _has(text, ProcessInstance.title, Case.case_number, Case.archive_reference),
        )
        .order_by(ProcessInstance.started_at.desc(), ProcessInstance.id.desc())
        .limit(LIMIT + 1)
    )
    return [
        Hit(address=f"/saker/{row.public_id}", title=row.title, about=row.case_number or "")
        for row in session.execute(query)
    ]


def _tasks(session: Session, person: Person, text: str) -> list[Hit]:
    mine = or_(
        UserTask.assignee_id.in_(person.acts_for),
        UserTask.approver_id.in_(person.acts_for),
        UserTask.completed_by_id == person.id,
        UserTask.submitted_by_id == person.id,
        UserTask.candidate_group_id.in_(person.acts_in),
    )
    query = (
        select(UserTask)
        .join(UserTask.instance)
        .where(
            UserTask.community_id == person.community_id,
            mine,
            _has(text, UserTask.name, UserTask.item_name, ProcessInstance.title),  # type: ignore[arg-type]
        )
        .order_by(UserTask.opened_at.desc(), UserTask.id.desc())
        .limit(LIMIT + 1)
    )
    return [
        Hit(
            address=f"/oppgaver/{task.public_id}",
            title=task_words.title(task),
            about=task.instance.title,
            day=task.due_date,
        )
        for task in session.scalars(listed(query))
    ]


def _agreements(session: Session, person: Person, text: str) -> list[Hit]:
    query = (
        select(Agreement.key, Agreement.name)
        .where(Agreement.community_id == person.community_id, _has(text, Agreement.name))
        .order_by(Agreement.position, Agreement.id)
        .limit(LIMIT + 1)
    )
    return [Hit(address=f"/avtaler/{row.key}", title=row.name) for row in session.execute(query)]


def _meetings(session: Session, person: Person, text: str) -> list[Hit]:
    query = (
        select(Meeting.public_id, Meeting.date, Body.name)
        .join(Meeting.body)
        .where(Meeting.community_id == person.community_id, _has(text, Body.name, Body.short_name, Meeting.place))
        .order_by(Meeting.date.desc())
        .limit(LIMIT + 1)
    )
    return [Hit(address=f"/moter/{row.public_id}", title=row.name, day=row.date) for row in session.execute(query)]
