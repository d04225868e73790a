"""Processes and cases: what can be started, started, listed and read."""

from datetime import date
from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import defer, joinedload

from agreements import plan_proposals, start_needs, starting
from agreements.starting import StartRequest
from engine import deployments, identity
from engine.errors import InvalidInput
from engine.model import Community, ProcessInstance, User
from web import commands
from web.api import schemas
from web.api.blueprint import SECURITY, blueprint
from web.api.tasks import etag
from web.context import acting, community, db, now, person


@blueprint.get("/process-definitions")
@blueprint.output(schemas.ProcessDefinitions)
@blueprint.doc(summary="The newest version of every process", security=SECURITY)
def list_definitions() -> dict[str, Any]:
    """By name, with the meetings that a start takes."""
    rows = []
    for found in deployments.latest_definitions(db(), person().community_id):
        needs = start_needs.needs(db(), found)
        rows.append(
            {
                "key": found.key, "name": found.name, "version": found.version, "checksum": found.checksum,
                "may_start": start_needs.may_start(person(), found),
                "meetings": [{"name": fact.name, "required": fact.required} for fact in needs.facts],
            }
        )  # fmt: skip
    return {"process_definitions": rows}


@blueprint.get("/process-instances")
@blueprint.input(schemas.InstanceQuery, location="query")
@blueprint.output(schemas.ProcessInstances)
@blueprint.doc(summary="Cases that you may see", security=SECURITY)
def list_instances(query_data: dict[str, Any]) -> dict[str, Any]:
    """Newest first."""
    limit = query_data["limit"]
    query = select(ProcessInstance).where(identity.visible_instances(person()))
    if state := query_data.get("state"):
        query = query.where(ProcessInstance.state == state)
    if cursor := query_data.get("cursor"):
        query = query.where(ProcessInstance.id < _place(cursor))
    heavy = (ProcessInstance.state_document, ProcessInstance.data, ProcessInstance.roles, ProcessInstance.pins)
    query = query.options(joinedload(ProcessInstance.definition), *(defer(column) for column in heavy))
    found = db().scalars(query.order_by(ProcessInstance.id.desc()).limit(limit + 1)).all()
    return {
        "process_instances": [commands.instance_row(instance) for instance in found[:limit]],
        "next_cursor": str(found[limit - 1].id) if len(found) > limit else None,
    }


def _place(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
        raise InvalidInput("The cursor is not one of ours. Begin again without it.")
    return int(cursor)


@blueprint.get("/process-instances/<instance_id>")
@blueprint.output(schemas.ProcessInstanceDetail)
@blueprint.doc(summary="One case with its steps", security=SECURITY, responses={404: "There is none that you may see."})
def show_instance(instance_id: str) -> ResponseReturnValue:
    """The answer's `ETag` is the case's revision."""
    found = identity.instance_by_id(db(), person(), instance_id)
    return commands.instance(db(), community(), found.public_id), 200, etag(found.revision)


@blueprint.post("/process-instances")
@blueprint.input(schemas.IdempotencyKey, location="headers")
@blueprint.input(schemas.Start, location="json")
@blueprint.output(schemas.ProcessInstanceDetail, status_code=201)
@blueprint.doc(
    summary="Start a case",
    security=SECURITY,
    responses={200: "It was started before, with the same Idempotency-Key.", 403: "You may not start this process."},
)
def start_instance(headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """What is odd about the meetings or the plan is refused until `confirm` says why the case starts all the same.

    With `confirm` the plan is not lived, which takes a second, and history has what is odd about the meetings alone.
    """
    who = person()
    key = headers_data.get("idempotency_key")
    # Two people who happen to choose the same key have not started the same case.
    wanted = _request(json_data, f"{who.id}:{key}" if key else None)
    starting.require_may_start(db(), who, wanted.process)
    known = starting.already_started(db(), community(), wanted.idempotency_key)
    # The plan is lived before anything is locked, and only for who has not said why the case starts whatever it shows.
    look = not known and not (json_data.get("confirm") or "").strip()
    odd = plan_proposals.odd_about(db(), community(), wanted, now=now()) if look else ()
    with acting() as (session, actor):
        here = session.get_one(Community, actor.community_id)
        started = starting.start(
            session, here, wanted, actor=session.get_one(User, actor.id), now=now(), confirmed=json_data.get("confirm"),
            findings=odd,
        )  # fmt: skip
        document, seen = commands.instance(session, here, started.public_id), started.revision
    address = url_for("api.show_instance", instance_id=document["id"])
    return document, 200 if known else 201, {**etag(seen), "Location": address}


def _request(body: dict[str, Any], idempotency_key: str | None) -> StartRequest:
    parties = body.get("parties")
    return StartRequest(
        process=body["process"],
        title=body.get("title"),
        agreement=body.get("agreement"),
        meetings={fact: _meeting(given) for fact, given in body["meetings"].items()},
        parties=None if parties is None else tuple(parties),
        roles=body["roles"],
        data=body["data"],
        idempotency_key=idempotency_key,
    )


def _meeting(given: str) -> date | str:
    """A date, or else a meeting's id or body:date, which `starting` reads."""
    try:
        return date.fromisoformat(given)
    except ValueError:
        return given
