"""The form of a task and the data it is filled with: what pages, the API and commands ask for."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import deployments, forms, identity
from engine.errors import InvalidAnswers
from engine.form_definitions import fields_of, rows_of
from engine.model import Community, Document, Group, ProcessInstance, User, UserTask

_EMPTY = {"id": "empty", "type": "default", "components": []}


def form_of(
    session: Session, instance: ProcessInstance, task: UserTask, answers: Mapping[str, Any] | None = None
) -> tuple[forms.Form, dict[str, object]]:
    """The task's form and its input data; a task without a form has an empty one.

    Whoever only checks `answers` gives them: files are then looked up only when some are named.
    """
    definition = deployments.compiled(session, instance).form(task.step.call_path, task.form_key)
    community = session.get_one(Community, instance.community_id)
    form = forms.load(definition or _EMPTY, identity.calendar_of(community))
    return form, _inputs(session, instance, task, form, answers)


def _inputs(
    session: Session, instance: ProcessInstance, task: UserTask, form: forms.Form, answers: Mapping[str, Any] | None
) -> dict[str, object]:
    inputs: dict[str, object] = {**instance.data, **instance.facts, "title": instance.title}
    if task.item_data is not None:
        inputs |= {"item": task.item_data, "party": task.item_data}
    fields = [
        *fields_of(form.components),
        *(f for rows in rows_of(form.components) for f in fields_of(rows.components)),
    ]
    asked = {found.values_key for found in fields}
    if "bodies" in asked:
        inputs["bodies"] = _options(session, Group, instance.community_id)
    if "people" in asked:
        inputs["people"] = _options(session, User, instance.community_id)
    pickers = {found.key for found in fields_of(form.components) if found.type == "filepicker"}
    if pickers and (answers is None or pickers & _answered(answers)):
        files = session.execute(select(Document.public_id, Document.name).where(Document.task_id == task.id))
        inputs["files"] = {row.public_id: row.name for row in files}
    return inputs


def _answered(answers: Mapping[str, Any]) -> set[str]:
    """Keys with an answer, those inside rows too."""
    rows = [row for value in answers.values() if isinstance(value, list) for row in value if isinstance(row, Mapping)]
    return {key for part in (answers, *rows) for key, value in part.items() if value}


def _options(session: Session, table: type[Group] | type[User], community_id: int) -> list[dict[str, str]]:
    query = select(table.key, table.name).where(table.community_id == community_id).order_by(table.name)
    return [{"label": row.name, "value": row.key} for row in session.execute(query)]


def checked(form: forms.Form, answers: Mapping[str, Any], inputs: Mapping[str, object]) -> dict[str, Any]:
    """The answers, cleaned. Raises InvalidAnswers naming each field."""
    clean, problems = form.validate_json(answers, inputs)
    if problems:
        raise InvalidAnswers(problems)
    return clean
