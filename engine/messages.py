"""Messages and signals arriving: each is received exactly once, in a transaction of its own.

A message has one receiver, and is tried again while there is none; a signal reaches everybody who waited when it was
thrown. What is received by a case that no longer waits is not received at all.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine import deployments, history, identity, jobs, outgoing, process_instances, starts
from engine.bpmn.execution import Execution, Thrown
from engine.database import Database
from engine.errors import EngineError, InvalidInput
from engine.model import EventSubscription, ProcessDefinition, ProcessInstance


class NobodyWaits(EngineError):
    """Nobody waits for this message."""

    status = 409


def send(session: Session, community_id: int, thrown: Thrown, *, now: datetime, actor_id: int | None = None) -> None:
    """Send a message or signal from outside; history says who did. Raises InvalidInput when nobody waits."""
    if thrown.kind == "message" and not outgoing.waiting_for(session, community_id, thrown):
        whose = f" with correlation {thrown.correlation!r}" if thrown.correlation else ""
        raise InvalidInput(f"Nobody waits for the message {thrown.name!r}{whose}.")
    outgoing.post(session, community_id, thrown, now=now, actor_id=actor_id)


def handlers() -> dict[str, jobs.Handler]:
    """What does the jobs of thrown messages and signals."""
    return {outgoing.MESSAGE: deliver_message, outgoing.SIGNAL: deliver_signal}


def deliver_message(database: Database, job: jobs.Claimed, now: datetime) -> None:
    """Give a message to who waits for it. Raises NobodyWaits, and is then tried again."""
    thrown = _thrown("message", job.payload)
    with database.reading() as session:
        rows = outgoing.waiting_for(session, job.payload["community"], thrown)
        found = [(row.instance_id, row.definition_id, row.token) for row in rows]
    for instance_id, definition_id, event in found:
        if _receive(database, job, thrown, instance_id, definition_id, event, now):
            return
    raise NobodyWaits(f"Nobody waits for the message {thrown.name!r} with correlation {thrown.correlation!r}.")


def deliver_signal(database: Database, job: jobs.Claimed, now: datetime) -> None:
    """Give a signal to one of those who waited for it, if it still does."""
    content = job.payload
    thrown = _thrown("signal", content)
    _receive(database, job, thrown, content["instance"], content["definition"], content["event"], now)


def _thrown(kind: str, content: Mapping[str, Any]) -> Thrown:
    return Thrown(kind=kind, name=content["name"], correlation=content["correlation"], payload=content["payload"])


class _NotHeard(Exception):
    """Rolls back: the receiver has moved on."""


def _receive(
    database: Database, job: jobs.Claimed, thrown: Thrown, instance_id: int | None, definition_id: int | None,
    event: str, now: datetime,
) -> bool:  # fmt: skip
    """Whether it was received; the job is then done in the same transaction, so that it is received once."""
    try:
        with database.transaction() as session:
            if instance_id is None:
                definition = session.get_one(ProcessDefinition, definition_id)
                start_by_event(session, definition, event, thrown.payload, now=now)
            else:
                _receive_in(session, instance_id, thrown, job.payload.get("actor"), now)
            jobs.finish(session, job)
    except _NotHeard:
        return False
    return True


def _receive_in(session: Session, instance_id: int, thrown: Thrown, actor_id: int | None, now: datetime) -> None:
    instance = process_instances.locked(session, instance_id)
    if instance.state != "active":
        raise _NotHeard
    heard: list[bool] = []

    def act(execution: Execution) -> None:
        heard.append(execution.deliver(thrown))

    kind = "message-received" if thrown.kind == "message" else "signal-received"
    history.record(session, instance, kind, now=now, actor_id=actor_id, name=thrown.name)
    process_instances.run(session, instance, now=now, act=act)
    if not heard[-1]:
        raise _NotHeard


def start_by_event(
    session: Session, definition: ProcessDefinition, event: str, payload: Mapping[str, Any], *, now: datetime
) -> ProcessInstance:
    """Start a case by a message, signal or timer. The first group that may start the process owns it."""
    model = deployments.model_of(definition.xml, definition.key)
    owner = next((identity.group(session, definition.community_id, key) for key in model.starter_groups), None)
    return process_instances.start(
        session, definition, now=now, actor=None, title=definition.name, owner_group=owner, event=event,
        payload=payload,
    )  # fmt: skip


def start_due(session: Session, row: EventSubscription, *, now: datetime) -> None:
    """Start the case that a timer, which the caller holds, is due for, and let it wait for its next time."""
    definition = session.get_one(ProcessDefinition, row.definition_id)
    starts.move_on(session, row, definition, deployments.model_of(definition.xml, definition.key), now)
    start_by_event(session, definition, row.token, {}, now=now)
