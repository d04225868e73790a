"""The answers given at one step, as text, for those who may read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from engine import identity, task_forms
from engine.errors import NotFound
from engine.model import ProcessInstance, User, UserTask
from web.pages import task_documents
from web.pages.task_views import summary
from web.pages.task_words import Reader


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One given answer, as text."""

    title: str
    who: str
    at: datetime | None
    summary: Sequence[tuple[str, str]]
    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class StepAnswers:
    """The answers given at one step that the reader may read."""

    instance: ProcessInstance
    step_id: int
    #: Is the step over, so that everybody in the case may read what was answered?
    released: bool
    name: str
    answers: Sequence[Answer]
    of: int


def answers_at(session: Session, reader: Reader, public_id: str) -> StepAnswers:
    """The readable answers of the step that the task belongs to. Raises NotFound when there are none."""
    wanted = (
        select(UserTask.step_id)
        .join(UserTask.instance)
        .where(UserTask.public_id == public_id, identity.visible_instances(reader.person))
        .scalar_subquery()
    )
    query = (
        select(UserTask)
        .where(UserTask.step_id == wanted, UserTask.state == "completed")
        .options(joinedload(UserTask.instance), joinedload(UserTask.step))
        .order_by(UserTask.position)
    )
    tasks = [
        task
        for task in session.scalars(query)
        if identity.may_read_answers(reader.person, task, task.instance, task.step.state == "open")
    ]
    if not tasks:
        raise NotFound(_("Svarene finnes ikke, eller du kan ikke lese dem ennå."))
    first = tasks[0]
    names = {r.id: r.name for r in session.execute(_names_of(tasks))}
    files = task_documents.names(session, [task.id for task in tasks])
    form, inputs = task_forms.form_of(session, first.instance, first)
    answers = []
    for task in tasks:
        about = {"item": task.item_data, "party": task.item_data} if task.item_data is not None else {}
        scope = {**inputs, **about, "files": files[task.id]}
        answers.append(
            Answer(
                title=task.item_name or task.name,
                who=names.get(task.completed_by_id or 0, ""),
                at=task.completed_at,
                summary=summary(form, task.answers or {}, scope, reader),
                files=files[task.id],
            )
        )
    return StepAnswers(
        instance=first.instance,
        step_id=first.step_id,
        released=first.step.state != "open",
        name=first.step.name,
        answers=answers,
        of=first.step.total,
    )


def _names_of(tasks: Sequence[UserTask]) -> Any:
    return select(User.id, User.name).where(User.id.in_({t.completed_by_id for t in tasks if t.completed_by_id}))
