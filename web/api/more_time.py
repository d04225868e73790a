"""More time for a task: asked for by whoever has it, answered by the owner of the case."""

from typing import Any

from flask.typing import ResponseReturnValue

from agreements import more_time
from agreements.model import MoreTimeRequest
from engine import identity
from engine.errors import InvalidInput
from web.api import move_schemas, schemas
from web.api.blueprint import SECURITY, blueprint
from web.api.tasks import revision
from web.context import acting, db, now, person, today

_STALE = {412: "The task has changed since you read it.", 409: "It is answered already, or the task is done."}


@blueprint.get("/more-time-requests")
@blueprint.output(move_schemas.MoreTimeList)
@blueprint.doc(summary="Requests for more time that wait for you", security=SECURITY)
def list_more_time() -> dict[str, Any]:
    """In running cases that you own. A preview with the task in `due_dates` says what a yes would bring."""
    return {"requests": [_row(asked) for asked in more_time.waiting_for(db(), person())]}


@blueprint.post("/tasks/<task_id>/more-time")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(move_schemas.Asking, location="json")
@blueprint.output(move_schemas.MoreTime)
@blueprint.doc(summary="Ask the owner for more time", security=SECURITY, responses=_STALE)
def ask_more_time(task_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """A second request for the same task takes the place of the first."""
    task = identity.task_by_id(db(), person(), task_id)
    with acting() as (session, actor):
        asked = more_time.ask(
            session, task.id, wanted=json_data["wanted"], reason=json_data["reason"], actor=actor, now=now(),
            revision=revision(headers_data),
        )  # fmt: skip
        return _row(asked), 200, {}


@blueprint.post("/more-time-requests/<request_id>/answer")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(move_schemas.Answering, location="json")
@blueprint.output(move_schemas.MoreTime)
@blueprint.doc(summary="Give more time, or let the due date stand", security=SECURITY, responses=_STALE)
def answer_more_time(request_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """`If-Match` is the task's revision. The others of the step keep their due date."""
    found = more_time.find(db(), person(), request_id)
    day, given = (
        json_data["due_date"] or found.wanted,
        {"reason": json_data["reason"], "revision": revision(headers_data)},
    )
    if json_data["answer"] == "yes" and day < today():
        raise InvalidInput("The due date has passed. Give one that is to come.", field="due_date")
    with acting() as (session, actor):
        if json_data["answer"] == "yes":
            asked = more_time.grant(session, request_id, day=day, actor=actor, now=now(), **given)
        else:
            asked = more_time.refuse(session, request_id, actor=actor, now=now(), **given)
        return _row(asked), 200, {}


def _row(asked: MoreTimeRequest) -> dict[str, Any]:
    return {
        "id": asked.public_id, "case": asked.instance.public_id, "task": asked.task.public_id, "name": asked.task.name,
        "item": asked.task.item, "asked_by": asked.asked_by.key, "due": asked.due_date, "wanted": asked.wanted,
        "reason": asked.reason, "state": asked.state, "given": asked.given, "answer": asked.answer,
    }  # fmt: skip
