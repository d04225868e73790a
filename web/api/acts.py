"""What an owner does with a case, and what anyone does with an answer of their own."""

from collections.abc import Callable
from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from engine import identity, taking_back
from engine.identity import Person
from engine.model import Community, ProcessInstance
from web import acts, commands
from web.api import act_schemas, schemas
from web.api.blueprint import SECURITY, blueprint
from web.api.tasks import etag, revision
from web.context import acting, db, now, person

_OWNER = {403: "Only the owner of the case may.", 412: "The case has changed since you read it."}
#: Does something to a held case; answers its row.
_Act = Callable[[Session, ProcessInstance, Person], dict[str, Any]]


def _on_case(instance_id: str, headers: dict[str, Any], act: _Act) -> ResponseReturnValue:
    """Hold the case at the revision that was seen, and do it."""
    with acting() as (session, actor):
        community = session.get_one(Community, actor.community_id)
        instance = acts.held(session, community, instance_id, actor, revision(headers))
        row = act(session, instance, actor)
        seen = instance.revision
    return row, 200, etag(seen)


# --- the whole case ---------------------------------------------------------------------------------------------------


@blueprint.post("/process-instances/<instance_id>/suspend")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.Reason, location="json")
@blueprint.output(act_schemas.CaseState)
@blueprint.doc(summary="Put a case on hold", security=SECURITY, responses=_OWNER)
def suspend_instance(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """No timer fires, nobody can answer and no mail is sent. Suspending it twice is suspending it once."""
    return _on_case(instance_id, headers_data, lambda s, i, a: acts.suspend(s, i, a, now=now(), **json_data))


@blueprint.post("/process-instances/<instance_id>/resume")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.MayReason, location="json")
@blueprint.output(act_schemas.CaseState)
@blueprint.doc(summary="Let a case that is on hold go on", security=SECURITY, responses=_OWNER)
def resume_instance(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """What fell due meanwhile happens now."""
    return _on_case(instance_id, headers_data, lambda s, i, a: acts.resume(s, i, a, now=now(), **json_data))


@blueprint.post("/process-instances/<instance_id>/reopen")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.Reopening, location="json")
@blueprint.output(act_schemas.CaseState)
@blueprint.doc(summary="Reopen an ended case", security=SECURITY, responses=_OWNER)
def reopen_instance(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """It goes back to where it was before it ended; its steps open as a new round."""
    return _on_case(instance_id, headers_data, lambda s, i, a: acts.reopen(s, i, a, now=now(), **json_data))


# --- incidents --------------------------------------------------------------------------------------------------------


@blueprint.get("/process-instances/<instance_id>/incidents")
@blueprint.output(act_schemas.Incidents)
@blueprint.doc(summary="Where a case stands, and why", security=SECURITY, responses={403: _OWNER[403]})
def list_incidents(instance_id: str) -> dict[str, Any]:
    """With what each element saw, and when the engine tries again."""
    return {"incidents": acts.incident_rows(db(), _own(instance_id))}


@blueprint.post("/process-instances/<instance_id>/incidents/<incident_id>/retry")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.MayReason, location="json")
@blueprint.output(act_schemas.IncidentDetail)
@blueprint.doc(summary="Run what failed again", security=SECURITY, responses=_OWNER)
def retry_incident(
    instance_id: str, incident_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]
) -> ResponseReturnValue:
    """`resolution` says whether it went well; it is null where the element failed again."""
    return _on_case(instance_id, headers_data, lambda s, i, a: acts.retry(s, i, incident_id, a, now=now(), **json_data))


@blueprint.post("/process-instances/<instance_id>/incidents/<incident_id>/skip")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.Skipping, location="json")
@blueprint.output(act_schemas.IncidentDetail)
@blueprint.doc(summary="Go on without what failed", security=SECURITY, responses=_OWNER)
def skip_incident(
    instance_id: str, incident_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]
) -> ResponseReturnValue:
    """Where the incident has `ways`, `flow` names one."""
    return _on_case(instance_id, headers_data, lambda s, i, a: acts.skip(s, i, incident_id, a, now=now(), **json_data))


# --- variables and tokens ---------------------------------------------------------------------------------------------


@blueprint.post("/process-instances/<instance_id>/variables")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.Variable, location="json")
@blueprint.output(act_schemas.CaseState)
@blueprint.doc(summary="Give a process variable another value", security=SECURITY, responses=_OWNER)
def set_variable(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """Old and new value are kept in the history."""
    name, value = json_data.pop("name"), json_data.pop("value")
    return _on_case(
        instance_id, headers_data, lambda s, i, a: acts.set_variable(s, i, name, value, a, now=now(), **json_data)
    )


@blueprint.get("/process-instances/<instance_id>/tokens")
@blueprint.output(act_schemas.Tokens)
@blueprint.doc(
    summary="Where a case stands, and where it can be moved", security=SECURITY, responses={403: _OWNER[403]}
)
def list_tokens(instance_id: str) -> dict[str, Any]:
    """What runs inside others comes after them."""
    return {"tokens": acts.tokens(db(), _own(instance_id), now=now())}


@blueprint.post("/process-instances/<instance_id>/move")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.Move, location="json")
@blueprint.output(act_schemas.CaseState)
@blueprint.doc(summary="Move a token to another element", security=SECURITY, responses=_OWNER)
def move_token(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """What waits where it stood is withdrawn."""
    token, element = json_data.pop("token"), json_data.pop("element")
    return _on_case(
        instance_id, headers_data, lambda s, i, a: acts.move(s, i, token, element, a, now=now(), **json_data)
    )


# --- those it asks ----------------------------------------------------------------------------------------------------


@blueprint.post("/process-instances/<instance_id>/ask")
@blueprint.input(schemas.IfMatch, location="headers")
@blueprint.input(act_schemas.Asking, location="json")
@blueprint.output(schemas.Task)
@blueprint.doc(summary="Ask one more party or body", security=SECURITY, responses=_OWNER)
def ask_one_more(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """Asking one who is asked already gives their task. The answer's `ETag` is the case's revision."""
    key = json_data.pop("item")
    return _on_case(instance_id, headers_data, lambda s, i, a: acts.ask(s, i, key, a, now=now(), **json_data))


@blueprint.post("/tasks/<task_id>/stop-asking")
@blueprint.input(act_schemas.Reason, location="json")
@blueprint.output(schemas.Task)
@blueprint.doc(summary="Ask one fewer", security=SECURITY, responses={403: _OWNER[403], 409: "They have answered."})
def stop_asking(task_id: str, json_data: dict[str, Any]) -> ResponseReturnValue:
    """Withdraws the task of one who has not answered, in a step that asks several."""
    task = identity.task_by_id(db(), person(), task_id)
    with acting() as (session, actor):
        row = acts.stop_asking(session, task, actor, now=now(), **json_data)
    return row, 200, etag(row["revision"])


@blueprint.post("/tasks/<task_id>/take-back")
@blueprint.input(act_schemas.MayReason, location="json")
@blueprint.output(schemas.Task)
@blueprint.doc(summary="Take your own answer back", security=SECURITY, responses={409: "Something has happened since."})
def take_back(task_id: str, json_data: dict[str, Any]) -> ResponseReturnValue:
    """The task is open again with the answers as its draft, and the case is as it was before them."""
    task = identity.task_by_id(db(), person(), task_id)
    with acting() as (session, actor):
        row = commands.task_row(taking_back.take_back(session, task.id, actor=actor, now=now(), **json_data))
    return row, 200, etag(row["revision"])


def _own(instance_id: str) -> ProcessInstance:
    instance = identity.instance_by_id(db(), person(), instance_id)
    identity.require_owner(person(), instance)
    return instance
