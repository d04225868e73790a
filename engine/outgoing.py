"""What leaves a case when it is saved: messages and signals, requests for service functions, and what it waits for.

Everything is a row in the case's own transaction; `messages` and `service_tasks` act on it afterwards.
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from engine import history, jobs
from engine.bpmn.execution import Execution, Thrown, WaitingService
from engine.model import EventSubscription, Job, ProcessInstance

MESSAGE, SIGNAL, SERVICE = "deliver-message", "deliver-signal", "service"


def hand_over(session: Session, instance: ProcessInstance, execution: Execution, *, now: datetime) -> None:
    """Let everything leave that the case has thrown, asked for and begun to wait for."""
    for thrown in execution.thrown:
        kind = "message-sent" if thrown.kind == "message" else "signal-sent"
        history.record(session, instance, kind, now=now, name=thrown.name)
        post(session, instance.community_id, thrown, now=now, sender=instance)
    if execution.specification.topics:
        for waiting in execution.waiting_services():
            _request(session, instance, waiting, now)
    if execution.specification.listens:
        subscribe(session, instance, execution)


def subscribe(session: Session, instance: ProcessInstance, execution: Execution) -> None:
    """Make the case's rows agree with what its live state waits for."""
    wanted = {} if execution.completed else {s[3]: s for s in execution.subscriptions()}
    query = select(EventSubscription).where(EventSubscription.instance_id == instance.id)
    for row in session.scalars(query):
        if row.token in wanted:
            row.kind, row.name, row.correlation, _ = wanted.pop(row.token)
        else:
            session.delete(row)
    for kind, name, correlation, token in wanted.values():
        row = EventSubscription(kind=kind, name=name, correlation=correlation, token=token, fired=0)
        row.community_id, row.instance_id = instance.community_id, instance.id
        session.add(row)


def unsubscribe(session: Session, instance: ProcessInstance) -> None:
    """The case waits for nothing any more."""
    session.execute(delete(EventSubscription).where(EventSubscription.instance_id == instance.id))


def post(
    session: Session,
    community_id: int,
    thrown: Thrown,
    *,
    now: datetime,
    sender: ProcessInstance | None = None,
    actor_id: int | None = None,
) -> None:
    """Send a message or signal once the caller's transaction is committed."""
    content = {
        "community": community_id, "name": thrown.name, "correlation": thrown.correlation,
        "payload": dict(thrown.payload), "actor": actor_id,
    }  # fmt: skip
    if thrown.kind == "message":
        jobs.enqueue(session, MESSAGE, run_at=now, payload=content, instance_id=sender.id if sender else None)
        return
    for row in waiting_for(session, community_id, thrown):
        if sender is None or row.instance_id != sender.id:  # its own were reached at once
            receiver = {"instance": row.instance_id, "definition": row.definition_id, "event": row.token}
            jobs.enqueue(session, SIGNAL, run_at=now, payload={**content, **receiver}, instance_id=row.instance_id)


def waiting_for(session: Session, community_id: int, thrown: Thrown) -> list[EventSubscription]:
    """Who waits for it: running cases before processes that it starts, the longest waiting first."""
    query = select(EventSubscription).where(
        EventSubscription.community_id == community_id,
        EventSubscription.kind == thrown.kind,
        EventSubscription.name == thrown.name,
        # What starts a process does not ask whose message it is, and a signal is everybody's.
        (EventSubscription.correlation == thrown.correlation) | EventSubscription.definition_id.is_not(None)
        if thrown.kind == "message"
        else EventSubscription.kind == "signal",
    )
    return list(session.scalars(query.order_by(EventSubscription.definition_id.is_not(None), EventSubscription.id)))


def _request(session: Session, instance: ProcessInstance, waiting: WaitingService, now: datetime) -> None:
    """Ask for the function, unless it is asked for already. After an incident or a suspension it is asked anew."""
    prefix = f"{SERVICE}:{waiting.token}:"
    asked = session.execute(select(Job.state).where(Job.unique_key.startswith(prefix))).scalars().all()
    if not {"queued", "leased"} & set(asked):
        payload = {"token": waiting.token, "topic": waiting.topic}
        key = f"{prefix}{len(asked)}"
        jobs.enqueue(session, SERVICE, run_at=now, payload=payload, unique_key=key, instance_id=instance.id)
