"""What a person does with a case that stands, or stands wrong: change a variable, retry, skip, move. Reasons are kept.

The caller holds the case and has checked that the person owns it; `actor_id` None is the operator.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import deployments, history, incidents, places, process_instances, steps
from engine.bpmn.execution import Execution, Place
from engine.bpmn.parsing import Specification
from engine.errors import ElementFailed, InvalidInput, NotFound, NotOpen
from engine.model import Incident, ProcessInstance

#: Longest name of a process variable.
MAX_NAME = 120


def retry(
    session: Session, instance: ProcessInstance, incident: Incident, *, now: datetime, actor_id: int | None,
    reason: str | None = None,
) -> bool:  # fmt: skip
    """Run the element of an incident again; answers whether it went well this time.

    Where it failed again, the incident stays, with the new cause, and the engine tries again after the first pause.
    """
    _require_open(instance, incident)
    about = _about(incident)
    history.record(session, instance, "incident-retried", now=now, actor_id=actor_id, note=reason or None, **about)
    try:
        process_instances.run(session, instance, now=now, act=None, retried=incident)
    except incidents.FailsStill as again:
        incidents.fails_again(incident, again.failure, now=now)
        incident.attempts, incident.retry_at = 0, now + incidents.PAUSES[0]
        history.record(session, instance, "incident-again", now=now, **about)
        process_instances.touch(session, instance, now=now)
        return False
    _passed(instance, incident, now, actor_id)
    return True


def retry_due(session: Session, incident_id: int, *, now: datetime) -> bool:
    """Let the engine try again what is due; answers whether it was due. Safe to repeat and to race."""
    found = _due(session, incident_id, now)
    if found is None:
        return False
    instance, incident = found
    about = _about(incident)
    try:
        process_instances.run(session, instance, now=now, act=None, retried=incident)
    except incidents.FailsStill as again:
        _failed(session, instance, incident, again.failure, now)
        return True
    if incident.resolved_at is None:  # not gone with its case
        incidents.resolve(instance, incident, "retried", now=now)
    if _is_asked_anew(session, instance, incident, now):
        history.record(session, instance, "incident-retried", now=now, **about)
    else:
        history.record(session, instance, "incident-passed", now=now, attempts=incident.attempts + 1, **about)
    return True


def _passed(instance: ProcessInstance, incident: Incident, now: datetime, actor_id: int | None) -> None:
    if incident.resolved_at is None:
        incidents.resolve(instance, incident, "retried", now=now, actor_id=actor_id)
    else:
        # Its element was run, and with that its scope or case ended, which has counted it already.
        incident.resolution, incident.resolved_by_id = "retried", actor_id


def _is_asked_anew(session: Session, instance: ProcessInstance, incident: Incident, now: datetime) -> bool:
    """Is it a service task, whose function has now been asked again and has not answered yet?"""
    if instance.state != "active":
        return False
    waiting = process_instances.execution_of(session, instance, now).waiting_services()
    return (incident.call_path, incident.element_id) in {(w.call_path, w.element_id) for w in waiting}


def not_even_tried(session: Session, incident_id: int, cause: str, *, now: datetime) -> None:
    """The case could not be read or written at all: that counts as an attempt."""
    if (found := _due(session, incident_id, now)) is not None:
        instance, incident = found
        failure = ElementFailed(call_path=incident.call_path, element_id=incident.element_id, cause=cause)
        _failed(session, instance, incident, failure, now)


def _about(incident: Incident) -> dict[str, Any]:
    return {"incident": incident.public_id, "element": incident.element_id}


def _due(session: Session, incident_id: int, now: datetime) -> tuple[ProcessInstance, Incident] | None:
    of_incident = select(Incident.instance_id).where(Incident.id == incident_id).scalar_subquery()
    instance = process_instances.locked(session, of_incident)
    # Read after the case is held: whoever came first has resolved it, or given it another time.
    incident = session.get_one(Incident, incident_id, populate_existing=True)
    due = incident.resolved_at is None and incident.retry_at is not None and incident.retry_at <= now
    return (instance, incident) if due and instance.state == "active" else None


def _failed(
    session: Session, instance: ProcessInstance, incident: Incident, failure: ElementFailed, now: datetime
) -> None:
    """Wait for the next pause; after the last one only a person can go on, and that is worth an event."""
    incidents.fails_again(incident, failure, now=now)
    if incident.retry_at is None:
        history.record(session, instance, "incident-stands", now=now, incident=incident.public_id,
            element=incident.element_id, attempts=incident.attempts)  # fmt: skip
        process_instances.touch(session, instance, now=now)


def _require_open(instance: ProcessInstance, incident: Incident) -> None:
    process_instances.require_active(instance)
    if incident.resolved_at is not None:
        raise NotOpen("The incident is already resolved.")


def _require_reason(reason: str, act: str) -> None:
    if not reason.strip():
        raise InvalidInput(f"Say why {act}; the reason is kept in the case's history.")


# --- variables --------------------------------------------------------------------------------------------------------


def set_variable(
    session: Session, instance: ProcessInstance, name: str, value: Any, *, call_path: str = "", now: datetime,
    actor_id: int | None, reason: str,
) -> None:  # fmt: skip
    """Give a process variable another value, or a first one; `value` is plain JSON. Old and new are history.

    Timers and due dates that hang on it follow. Raises InvalidInput for a name that expressions could not read, for a
    value that no date can be derived from, and for a fact: dates are moved with `set_facts`.
    """
    process_instances.require_active(instance)
    _require_reason(reason, "the variable is changed")
    if not name.isidentifier() or len(name) > MAX_NAME:
        raise InvalidInput(f"{name!r} is no name of a variable. Use letters, digits and underscores.", field="name")
    if name in instance.facts:
        raise InvalidInput(f"{name!r} is a date that others hang on. Move the date instead.", field="name")
    old = variables(session, instance, call_path, now=now).get(name)
    history.record(session, instance, "variable-set", now=now, actor_id=actor_id, note=reason, name=name,
        call_path=call_path, old=old, new=value)  # fmt: skip
    rederive = process_instances.rederiving(session, instance)

    def act(execution: Execution) -> None:
        execution.set_variable(call_path, name, value)
        rederive(execution)

    process_instances.run(session, instance, now=now, act=process_instances.refusing(act))


def variables(session: Session, instance: ProcessInstance, call_path: str, *, now: datetime) -> dict[str, Any]:
    """The process variables at a place, as the live state has them. Raises InvalidInput where nothing runs there."""
    execution = process_instances.execution_of(session, instance, now)
    if call_path and call_path not in incidents.call_paths(execution):
        raise InvalidInput(f"Nothing runs at {call_path!r} now.", field="call_path")
    return execution.variables(call_path)


# --- tokens -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A place where the case stands or runs, by name. `inside` names the calls and sub-processes above it."""

    token: str
    call_path: str
    element: places.Element
    inside: str
    #: Names of the open steps that are withdrawn when the token is moved.
    steps: tuple[str, ...]


def standings(session: Session, instance: ProcessInstance, *, now: datetime) -> list[Standing]:
    """Where the case stands, in the order of the live state; what runs inside others comes after them.

    What only listens, such as a boundary timer, is no place where a case stands.
    """
    specification = deployments.compiled(session, instance).specification
    execution = process_instances.execution_of(session, instance, now)
    opened = list(steps.open_steps(session, instance).values())
    found = []
    for token in execution.tokens():
        element = places.element_at(specification, token.call_path, token.element_id)
        if element is None or element.kind in places.LISTENING:
            continue
        below = f"{token.call_path}/{token.element_id}".removeprefix("/")
        taken = [s.name for s in opened if s.token == token.id or _is_within(s.call_path, below)]
        inside = _path_name(specification, token.call_path)
        found.append(
            Standing(token=token.id, call_path=token.call_path, element=element, inside=inside, steps=tuple(taken))
        )
    return found


def _is_within(call_path: str, below: str) -> bool:
    return f"{call_path}/".startswith((f"{below}/", f"{below}["))


def _path_name(specification: Specification, call_path: str) -> str:
    parts = call_path.split("/") if call_path else []
    above = ["/".join(parts[:number]) for number in range(len(parts))]
    names = [
        places.name_at(specification, path, part.partition("[")[0]) for path, part in zip(above, parts, strict=True)
    ]
    return ", ".join(names)


def move(
    session: Session, instance: ProcessInstance, token: str, element_id: str, *, now: datetime, actor_id: int | None,
    reason: str,
) -> None:  # fmt: skip
    """Take a token away, with everything that runs inside it, and put one on another element of the same scope.

    Raises NotFound when the token is not there any more, InvalidInput for an element that is not in its scope.
    """
    process_instances.require_active(instance)
    _require_reason(reason, "the case is moved")
    standing = next((s for s in standings(session, instance, now=now) if s.token == token), None)
    if standing is None:
        raise NotFound("The case does not stand there any more. Look at it again.", token=token)
    specification = deployments.compiled(session, instance).specification
    if element_id not in {element.id for element in places.elements_at(specification, standing.call_path)}:
        raise InvalidInput(f"{element_id!r} is no element that the case can be moved to from there.", field="element")
    history.record(session, instance, "moved", now=now, actor_id=actor_id, note=reason, element=standing.element.id,
        call_path=standing.call_path, to=element_id)  # fmt: skip
    _resolve_at(session, instance, standing, "moved", now, actor_id)
    process_instances.run(session, instance, now=now, act=lambda execution: execution.move(token, element_id))


def _resolve_at(
    session: Session,
    instance: ProcessInstance,
    standing: Standing,
    resolution: str,
    now: datetime,
    actor_id: int | None,
) -> None:
    """The incident at a place that is left; another token that still stands there fails, and stands, anew."""
    for incident in incidents.open_incidents(session, instance):
        if incidents.place(incident) == _place(standing):
            incidents.resolve(instance, incident, resolution, now=now, actor_id=actor_id)
    session.flush()  # the run must not find them open


def skip(
    session: Session, instance: ProcessInstance, incident: Incident, *, flow: str | None = None, now: datetime,
    actor_id: int | None, reason: str,
) -> None:  # fmt: skip
    """Go on from the element of an incident without running it; where several ways lead out, `flow` names one.

    Raises InvalidInput when the way has to be chosen, or the element has none.
    """
    _require_open(instance, incident)
    _require_reason(reason, "the element is skipped")
    ways = choices(session, instance, incident)
    chosen = next((way for way in ways if way.id == flow), None)
    if ways and chosen is None:
        names = "; ".join(f"{way.id} ({way.name or way.target.name})" for way in ways)
        raise InvalidInput(f"Say which way the case goes on: {names}.", field="flow")
    here = [s for s in standings(session, instance, now=now) if _place(s) == incidents.place(incident)]
    if not here:
        raise InvalidInput("Nothing stands at this element. Retry it, or move the case.", field="flow")
    way: dict[str, Any] = {"to": chosen.target.id} if chosen else {}
    history.record(
        session, instance, "incident-skipped", now=now, actor_id=actor_id, note=reason, **_about(incident), **way
    )
    _resolve_at(session, instance, here[0], "skipped", now, actor_id)
    process_instances.run(
        session, instance, now=now,
        act=lambda execution: execution.skip(*incidents.place(incident), chosen.id if chosen else None),
    )  # fmt: skip


def _place(standing: Standing) -> Place:
    return standing.call_path, standing.element.id


def choices(session: Session, instance: ProcessInstance, incident: Incident) -> list[places.Flow]:
    """The ways between which a person must choose to skip an incident's element; none where it goes on by itself."""
    specification = deployments.compiled(session, instance).specification
    return places.choices(specification, incident.call_path, incident.element_id)
