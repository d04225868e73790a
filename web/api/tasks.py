"""Tasks: listed, read, claimed and completed."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask.typing import ResponseReturnValue

from engine import deployments, identity, task_forms, user_tasks
from engine.errors import EngineError, InvalidInput, Stale
from engine.form_definitions import fields_of, rows_of
from engine.forms import Form
from engine.identity import Person
from engine.model import UserTask
from web import commands
from web.api import schemas, task_pages
from web.api.blueprint import SECURITY, blueprint
from web.context import acting, close_session, db, now, person, services, today

#: `"7"` as `ETag` gives it, what proxies make of it, and a bare number.
_REVISION = re.compile(r'(?:W/)?"([0-9]{1,18})"|([0-9]{1,18})')
_STALE = {412: "Someone else has changed the task. What you sent is kept as its draft."}


@blueprint.get("/tasks")
@blueprint.input(schemas.TaskQuery, location="query")
@blueprint.output(schemas.Tasks)
@blueprint.doc(summary="Open tasks that you may see", security=SECURITY)
def list_tasks(query_data: dict[str, Any]) -> dict[str, Any]:
    """Soonest first, unless sorted otherwise; tasks without a due date come last."""
    wanted = task_pages.Wanted(
        sort=query_data["sort"], limit=query_data["limit"], cursor=query_data.get("cursor"),
        assignee=query_data.get("assignee"), group=query_data.get("group"), instance=query_data.get("instance"),
        overdue_on=today() if query_data.get("overdue") else None, words=query_data.get("q"),
    )  # fmt: skip
    found, cursor = task_pages.page(db(), person(), wanted)
    return {"tasks": [commands.task_row(task) for task in found], "next_cursor": cursor}


@blueprint.get("/tasks/<task_id>")
@blueprint.output(schemas.TaskDetail)
@blueprint.doc(summary="One task with its form", security=SECURITY, responses={404: "There is none that you may see."})
def show_task(task_id: str) -> ResponseReturnValue:
    """The answer's `ETag` is the task's revision; send it as `If-Match` when you complete."""
    task = identity.task_by_id(db(), person(), task_id)
    return _detail(task, person()), 200, etag(task.revision)


@blueprint.post("/tasks/<task_id>/claim")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.output(schemas.Task)
@blueprint.doc(summary="Take a task of one of your groups", security=SECURITY, responses=_STALE)
def claim_task(task_id: str, headers_data: dict[str, Any]) -> ResponseReturnValue:
    """Taking it twice is taking it once."""
    task = identity.task_by_id(db(), person(), task_id)
    with acting() as (session, actor):
        held = user_tasks.claim(session, task.id, actor=actor, now=now(), revision=revision(headers_data))
        row = commands.task_row(held)
    return row, 200, etag(row["revision"])


@blueprint.post("/tasks/<task_id>/complete")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(schemas.Answers, location="json")
@blueprint.output(schemas.Task)
@blueprint.doc(summary="Send the answers of a task", security=SECURITY, responses=_STALE)
def complete_task(task_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """The body holds the answers by the form's keys. Sending the same answers again gives the first result."""
    task, who = identity.task_by_id(db(), person(), task_id), person()
    seen = revision(headers_data)
    try:
        with acting() as (session, actor):
            held = user_tasks.complete(session, task.id, json_data, actor=actor, now=now(), revision=seen)
            row = commands.task_row(held)
    except Stale:
        _keep(task.id, json_data, who)
        raise
    return row, 200, etag(row["revision"])


def _keep(task_id: int, answers: Mapping[str, Any], who: Person) -> None:
    """Keep as a draft what came too late to be the answer, unless the task has ended or is no longer theirs."""
    close_session()
    with services().database.transaction() as session, suppress(EngineError):
        task = session.get_one(UserTask, task_id)
        form, inputs = task_forms.form_of(session, task.instance, task)
        user_tasks.save_draft(session, task_id, form.clean(answers, inputs), actor=who, now=now())


def _detail(task: UserTask, who: Person) -> dict[str, Any]:
    form, inputs = task_forms.form_of(db(), task.instance, task)
    element = deployments.element(db(), task.instance, task.step)
    definition = deployments.compiled(db(), task.instance).form(task.step.call_path, task.form_key)
    readable = identity.may_read_answers(who, task, task.instance, task.step.state == "open")
    return {
        **commands.task_row(task),
        "title": task.instance.title,
        "documentation": element.documentation or "",
        "form": definition or {},
        "inputs": _offered(form, inputs),
        # A draft is its writers': nobody else reads what a party has not sent.
        "draft": task.draft if identity.concerns(who, task) else None,
        "answers": task.answers if readable else None,
    }


def _offered(form: Form, inputs: Mapping[str, object]) -> dict[str, object]:
    """Of the case's data, what the form asks about."""
    names = {field.values_key for field in fields_of(form.components)}
    for rows in rows_of(form.components):
        names |= {rows.rows_from, *(field.values_key for field in fields_of(rows.components))}
    return {name: inputs[name] for name in sorted(n for n in names if n) if name in inputs}


# --- revisions --------------------------------------------------------------------------------------------------------


def etag(seen: int) -> dict[str, str]:
    """The header that says which revision this is."""
    return {"ETag": f'"{seen}"'}


def revision(headers: Mapping[str, Any]) -> int | None:
    """The revision that `If-Match` names; None where it names none. Raises InvalidInput."""
    given = str(headers.get("if_match") or "").strip()
    if given in ("", "*"):
        return None
    found = _REVISION.fullmatch(given)
    if found is None:
        raise InvalidInput(f"If-Match is no revision: {given}. Send the ETag of the task as you got it.")
    return int(found[1] or found[2])
