"""Moving meetings and dates: a preview that changes nothing, and the move that does what the preview showed."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from flask import Response, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from agreements import bodies, move_trials, moving
from agreements.model import Meeting
from agreements.moving import Change, Preview
from engine import identity
from engine.errors import InvalidInput, NotAllowed, Stale
from web import move_documents, moves
from web.api import move_schemas
from web.api.blueprint import SECURITY, blueprint
from web.context import acting, community, db, now, person, services, today, welcome

_REFUSALS = {
    403: "Only the secretariat moves meetings, and only the owner of a case its dates.",
    412: "What you looked at has changed; the answer holds the new `preview`, and its `ETag`.",
    428: "Look at the preview first, and send its ETag as If-Match.",
}


# --- meetings ---------------------------------------------------------------------------------------------------------


@blueprint.get("/meetings")
@blueprint.output(move_schemas.Meetings)
@blueprint.doc(summary="Coming meetings of the bodies", security=SECURITY)
def list_meetings() -> dict[str, Any]:
    """Soonest first."""
    coming = (Meeting.community_id == person().community_id) & (Meeting.date >= today())
    query = select(Meeting).where(coming).options(joinedload(Meeting.body)).order_by(Meeting.date, Meeting.id)
    return {"meetings": [{"id": m.public_id, "body": m.body.key, "date": m.date} for m in db().scalars(query)]}


@blueprint.post("/meetings/<meeting_id>/move/preview")
@blueprint.input(move_schemas.MeetingMove, location="json")
@blueprint.output(move_schemas.Preview)
@blueprint.doc(summary="What moving a meeting would bring", security=SECURITY, responses={403: _REFUSALS[403]})
def preview_meeting(meeting_id: str, json_data: dict[str, Any]) -> ResponseReturnValue:
    """Nothing is changed. The answer's `ETag` is what you send as `If-Match` to do it."""
    return _shown(_tried(_of_meeting(meeting_id, json_data), json_data))


@blueprint.post("/meetings/<meeting_id>/move")
@blueprint.input(move_schemas.Seen, location="headers")
@blueprint.input(move_schemas.MeetingMoved, location="json")
@blueprint.output(move_schemas.Moved)
@blueprint.doc(summary="Move a meeting with every case that hangs on it", security=SECURITY, responses=_REFUSALS)
def move_meeting(meeting_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """Does what the preview showed. A repetition with the same `Idempotency-Key` is one move, and answers the first."""
    return _made(headers_data) or _move(lambda: _of_meeting(meeting_id, json_data), headers_data, json_data)


def _of_meeting(meeting_id: str, body: Mapping[str, Any]) -> Change:
    if not moves.may_move(person()):
        raise NotAllowed("Only the secretariat moves meetings.")
    found = bodies.find_meeting(db(), community(), meeting_id)
    return moving.of_meeting(db(), found, body["to"], today=today())


# --- dates of one case ------------------------------------------------------------------------------------------------


@blueprint.post("/process-instances/<instance_id>/dates/preview")
@blueprint.input(move_schemas.CaseDates, location="json")
@blueprint.output(move_schemas.Preview)
@blueprint.doc(summary="What other dates in a case would bring", security=SECURITY, responses={403: _REFUSALS[403]})
def preview_dates(instance_id: str, json_data: dict[str, Any]) -> ResponseReturnValue:
    """Nothing is changed. The answer's `ETag` is what you send as `If-Match` to do it."""
    return _shown(_tried(_of_case(instance_id, json_data), json_data))


@blueprint.post("/process-instances/<instance_id>/dates")
@blueprint.input(move_schemas.Seen, location="headers")
@blueprint.input(move_schemas.CaseDatesMoved, location="json")
@blueprint.output(move_schemas.Moved)
@blueprint.doc(
    summary="Move a case's dates, set one by hand, or give one party more time", security=SECURITY, responses=_REFUSALS
)
def move_dates(instance_id: str, headers_data: dict[str, Any], json_data: dict[str, Any]) -> ResponseReturnValue:
    """Does what the preview showed. A repetition with the same `Idempotency-Key` is one move, and answers the first."""
    return _made(headers_data) or _move(lambda: _of_case(instance_id, json_data), headers_data, json_data)


def _of_case(instance_id: str, body: Mapping[str, Any]) -> Change:
    instance = identity.instance_by_id(db(), person(), instance_id)
    identity.require_owner(person(), instance)
    tasks = {identity.task_by_id(db(), person(), task): day for task, day in body["due_dates"].items()}
    if any(task.instance_id != instance.id for task in tasks):
        raise InvalidInput("A task in due_dates is of another case.", field="due_dates")
    for field in ("facts", "hand_dates", "due_dates"):
        _require_coming(field, body[field])
    due_dates = {task.id: day for task, day in tasks.items()}
    return moving.of_case(instance, facts=body["facts"], hand_dates=body["hand_dates"], due_dates=due_dates)


def _require_coming(field: str, given: Mapping[str, date | None]) -> None:
    if any(day is not None and day < today() for day in given.values()):
        raise InvalidInput(f"A date in {field} has passed.", field=field)


# --- both -------------------------------------------------------------------------------------------------------------


def _tried(change: Change, body: Mapping[str, Any]) -> Preview:
    around = moves.world(services().notifications, now())
    return move_trials.preview(db(), change, actor=person(), now=now(), world=around).chosen(body["choices"])


def _shown(tried: Preview) -> ResponseReturnValue:
    return move_documents.preview(db(), tried), 200, {"ETag": f'"{move_documents.seal(tried)}"'}


def _move(change: Callable[[], Change], headers: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    seen = str(headers.get("if_match") or "").strip().removeprefix("W/").strip('"')
    if not seen:
        return _refused(428, "NotSeen", _REFUSALS[428])
    tried, who, named = _tried(change(), body), person(), _named(headers)
    if move_documents.seal(tried) == seen:
        try:
            with acting() as (session, actor):
                move = moving.commit(
                    session, tried, token=tried.token, actor=actor, now=now(), reason=body["reason"], public_id=named
                )
                return move_documents.done(session, move), 200, {}
        except Stale:  # in the moment between; perhaps by the same request, sent twice
            arrived = identity.arrival(db(), who.id)
            if arrived is None:
                raise
            welcome(arrived)
            if (made := _made(headers)) is not None:
                return made
            tried = _tried(change(), body)
    return _changed(tried)


def _changed(tried: Preview) -> Response:
    shown = move_schemas.Preview().dump(move_documents.preview(db(), tried))
    answer = _refused(412, "Stale", "This has changed since you looked at it. Nothing was moved.", preview=shown)
    answer.set_etag(move_documents.seal(tried))
    return answer


def _refused(status: int, title: str, detail: str, **more: Any) -> Response:
    answer = jsonify({"title": title, "detail": detail, "status": status, **more})
    answer.status_code = status
    return answer


def _made(headers: Mapping[str, Any]) -> ResponseReturnValue | None:
    """What the first request with this key did."""
    named = _named(headers)
    move = moving.find(db(), person().community_id, named) if named else None
    return (move_documents.done(db(), move), 200, {}) if move is not None else None


def _named(headers: Mapping[str, Any]) -> str:
    """The id of the move that this key makes; empty without one. Two people who choose the same key are two."""
    key = headers.get("idempotency_key")
    return hashlib.sha256(f"{person().id}:{key}".encode()).hexdigest()[:12] if key else ""
