"""What commands and the API do with cases, without either: rows out, slices in. `actor` None is the operator."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import deployments, identity, incidents, mending, places, process_instances, standing, surveys
from engine.errors import NotFound
from engine.identity import Person
from engine.model import Community, Incident, ProcessInstance, UserTask
from web import commands, survey_items


def held(
    session: Session, community: Community, public_id: str, actor: Person | None, revision: int | None = None
) -> ProcessInstance:
    """The case, held; the actor must own it. Raises NotFound, NotAllowed or Stale."""
    if actor is not None:
        instance_id = identity.instance_by_id(session, actor, public_id).id
    else:
        instance_id = commands.find_instance(session, community, public_id).id
    instance = process_instances.locked(session, instance_id)
    if actor is not None:
        identity.require_owner(actor, instance)
    process_instances.require_revision(instance, revision)
    return instance


def _id(actor: Person | None) -> int | None:
    return actor.id if actor else None


# --- the whole case ---------------------------------------------------------------------------------------------------


def suspend(
    session: Session, instance: ProcessInstance, actor: Person | None, *, now: datetime, reason: str
) -> dict[str, Any]:
    """Put the case on hold."""
    standing.suspend(session, instance, now=now, actor_id=_id(actor), reason=reason)
    return row(instance)


def resume(
    session: Session, instance: ProcessInstance, actor: Person | None, *, now: datetime, reason: str
) -> dict[str, Any]:
    """Let the case go on."""
    standing.resume(session, instance, now=now, actor_id=_id(actor), reason=reason)
    return row(instance)


def reopen(
    session: Session, instance: ProcessInstance, actor: Person | None, *, now: datetime, reason: str,
    due_date: date | None,
) -> dict[str, Any]:  # fmt: skip
    """Take an ended case back to where it was."""
    standing.reopen(session, instance, now=now, actor_id=_id(actor), reason=reason, due_date=due_date)
    return row(instance)


def row(instance: ProcessInstance) -> dict[str, Any]:
    """A case after an act."""
    return {"id": instance.public_id, "state": instance.state, "revision": instance.revision}


# --- incidents --------------------------------------------------------------------------------------------------------


def incident_rows(session: Session, instance: ProcessInstance) -> list[dict[str, Any]]:
    """Where the case stands, why, and when it is tried again."""
    return [incident_row(session, instance, found) for found in incidents.open_incidents(session, instance)]


def incident_row(session: Session, instance: ProcessInstance, found: Incident) -> dict[str, Any]:
    """An incident, and the ways between which skipping it chooses."""
    specification = deployments.compiled(session, instance).specification
    ways = mending.choices(session, instance, found)
    return {
        "id": found.public_id, "element": found.element_id, "call_path": found.call_path, "cause": found.cause,
        "name": places.name_at(specification, found.call_path, found.element_id), "data": found.data,
        "attempts": found.attempts, "retry_at": found.retry_at.isoformat() if found.retry_at else None,
        "resolution": found.resolution,
        "ways": [{"flow": way.id, "name": way.name, "to": way.target.id} for way in ways],
    }  # fmt: skip


def incident_line(found: Mapping[str, Any]) -> str:
    """An incident for a person at a terminal."""
    next_try = f"tried again {found['retry_at']}" if found["retry_at"] else "only a person can go on"
    lines = [f"{found['id']}  {found['name']} ({found['element']}): {found['cause']}; {next_try}"]
    lines += [f"    {name} = {value!r}" for name, value in found["data"].items()]
    lines += [f"    --flow {way['flow']}  {way['name']} to {way['to']}" for way in found["ways"]]
    return "\n".join(lines)


def case_of_incident(session: Session, community: Community, public_id: str) -> str:
    """The public id of the case that the incident holds. Raises NotFound."""
    query = select(ProcessInstance.public_id).join(Incident, Incident.instance_id == ProcessInstance.id)
    found = session.scalar(query.where(Incident.public_id == public_id, Incident.community_id == community.id))
    if found is None:
        raise NotFound(f"There is no incident {public_id}.")
    return found


def retry(
    session: Session, instance: ProcessInstance, incident_id: str, actor: Person | None, *, now: datetime, reason: str
) -> dict[str, Any]:
    """Run what failed again."""
    found = incidents.find(session, instance, incident_id)
    mending.retry(session, instance, found, now=now, actor_id=_id(actor), reason=reason)
    return incident_row(session, instance, found)


def skip(
    session: Session, instance: ProcessInstance, incident_id: str, actor: Person | None, *, now: datetime, reason: str,
    flow: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Go on without what failed."""
    found = incidents.find(session, instance, incident_id)
    mending.skip(session, instance, found, flow=flow, now=now, actor_id=_id(actor), reason=reason)
    return incident_row(session, instance, found)


# --- variables and tokens ---------------------------------------------------------------------------------------------


def set_variable(
    session: Session, instance: ProcessInstance, name: str, value: Any, actor: Person | None, *, now: datetime,
    reason: str, call_path: str,
) -> dict[str, Any]:  # fmt: skip
    """Give a variable another value."""
    mending.set_variable(
        session, instance, name, value, call_path=call_path, now=now, actor_id=_id(actor), reason=reason
    )
    return row(instance)


def tokens(session: Session, instance: ProcessInstance, *, now: datetime) -> list[dict[str, Any]]:
    """Where the case stands, what moving it from there withdraws, and where it can go."""
    if instance.state_document is None or instance.state == "cancelled":
        return []
    specification = deployments.compiled(session, instance).specification
    return [
        {
            "token": s.token, "call_path": s.call_path, "element": s.element.id, "name": s.element.name,
            "withdraws": list(s.steps),
            "to": [{"element": e.id, "name": e.name} for e in places.elements_at(specification, s.call_path)],
        }
        for s in mending.standings(session, instance, now=now)
    ]  # fmt: skip


def token_line(found: Mapping[str, Any]) -> str:
    """A token for a person at a terminal."""
    inside = f" in {found['call_path']}" if found["call_path"] else ""
    to = ", ".join(element["element"] for element in found["to"])
    return f"{found['token']}  {found['name']} ({found['element']}){inside}\n    to: {to}"


def move(
    session: Session, instance: ProcessInstance, token: str, element: str, actor: Person | None, *, now: datetime,
    reason: str,
) -> dict[str, Any]:  # fmt: skip
    """Move a token."""
    mending.move(session, instance, token, element, now=now, actor_id=_id(actor), reason=reason)
    return row(instance)


# --- those it asks ----------------------------------------------------------------------------------------------------


def ask(
    session: Session, instance: ProcessInstance, key: str, actor: Person | None, *, now: datetime, reason: str,
    element: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Ask one more party or body in a step that asks several."""
    step = survey_items.step_of(session, instance, element)
    community = session.get_one(Community, instance.community_id)
    item = survey_items.item(session, community, step, key)
    return commands.task_row(surveys.add(session, step.id, item, actor=actor, now=now, reason=reason))


def stop_asking(
    session: Session, task: UserTask, actor: Person | None, *, now: datetime, reason: str
) -> dict[str, Any]:
    """Ask one fewer."""
    return commands.task_row(surveys.remove(session, task.id, actor=actor, now=now, reason=reason))
