"""The form of a task and the data it is filled with: what pages, the API and commands ask for."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from engine import deployments, forms, identity
from engine.errors import InvalidAnswers
from engine.form_definitions import conditions_of, fields_of, rows_of
from engine.model import Community, Document, Group, ProcessInstance, User, UserTask

#: Composed once: whoever answers a form waits for this.
_EVERYBODY = {
    table: select(table.key, table.name).where(table.community_id == bindparam("community")).order_by(table.name)
    for table in (Group, User)
}
_NAMED = {table: query.where(table.key.in_(bindparam("named", expanding=True))) for table, query in _EVERYBODY.items()}


def form_of(
    session: Session, instance: ProcessInstance, task: UserTask, answers: Mapping[str, Any] | None = None
) -> tuple[forms.Form, dict[str, object]]:
    """The task's form and its input data; a task without a form has an empty one.

    Whoever only checks `answers` gives them: of files, bodies and people, only those named are then looked up.
    """
    calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
    form = deployments.compiled(session, instance).form_to_ask(task.step.call_path, task.form_key, calendar)
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
    for name, table in (("bodies", Group), ("people", User)):
        if asked := {found.key for found in fields if found.values_key == name}:
            all_of_them = answers is None or any(name in c.names for c in conditions_of(form.components))
            named = None if all_of_them else _named(answers or {}, asked)
            inputs[name] = _options(session, table, instance.community_id, named)
    pickers = {found.key for found in fields_of(form.components) if found.type == "filepicker"}
    if pickers and (answers is None or pickers & _answered(answers)):
        files = session.execute(select(Document.public_id, Document.name).where(Document.task_id == task.id))
        inputs["files"] = {row.public_id: row.name for row in files}
    return inputs


def _answered(answers: Mapping[str, Any]) -> set[str]:
    """Keys with an answer, those inside rows too."""
    return {key for part in _parts(answers) for key, value in part.items() if value}


def _named(answers: Mapping[str, Any], fields: set[str]) -> set[str]:
    """What is chosen in these fields, those inside rows too."""
    chosen = [value for part in _parts(answers) for key, value in part.items() if key in fields and value]
    several = [str(one) for value in chosen for one in (value if isinstance(value, list) else [value])]
    return {one for one in several if one.isprintable()}  # anything else is no key, and databases refuse some of it


def _parts(answers: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The answers, and each row in them."""
    rows = [row for value in answers.values() if isinstance(value, list) for row in value if isinstance(row, Mapping)]
    return [answers, *rows]


def _options(
    session: Session, table: type[Group] | type[User], community_id: int, named: set[str] | None
) -> list[dict[str, str]]:
    """Everybody who may be chosen; with `named`, those of them."""
    if named is not None and not named:
        return []
    query = _EVERYBODY[table] if named is None else _NAMED[table]
    rows = session.execute(query, {"community": community_id, "named": sorted(named or ())})
    return [{"label": name, "value": key} for key, name in rows]


def checked(form: forms.Form, answers: Mapping[str, Any], inputs: Mapping[str, object]) -> dict[str, Any]:
    """The answers, cleaned. Raises InvalidAnswers naming each field."""
    clean, problems = form.validate_json(answers, inputs)
    if problems:
        raise InvalidAnswers(problems)
    return clean
