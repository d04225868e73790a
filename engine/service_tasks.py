"""Service tasks: registered functions that do something with rows and answer with variables.

A function runs in the very transaction that completes its task, so what it writes happens exactly once. What it raises
becomes an incident of the task, tried again after growing pauses; a `BpmnError` is what the model's error events catch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from engine import incidents, jobs, outgoing, process_instances
from engine.bpmn.execution import Execution, WaitingService
from engine.database import Database
from engine.errors import ElementFailed
from engine.model import Incident, ProcessInstance


class BpmnError(Exception):
    """A failure that the model expects: an error event with this code catches it."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code, self.message = code, message
        super().__init__(f"{code}: {message}" if message else code)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a function is given."""

    instance: ProcessInstance
    inputs: Mapping[str, Any]
    now: datetime


#: Writes rows or enqueues jobs, never commits; answers variables.
Function = Callable[[Session, Call], Mapping[str, Any]]


def handlers(functions: Mapping[str, Function]) -> dict[str, jobs.Handler]:
    """What does the jobs of waiting service tasks, by the functions' names (topics)."""

    def perform(database: Database, job: jobs.Claimed, now: datetime) -> None:
        _perform(database, job, functions, now)

    return {outgoing.SERVICE: perform}


def _perform(database: Database, job: jobs.Claimed, functions: Mapping[str, Function], now: datetime) -> None:
    try:
        with database.transaction() as session:
            if (held := _waiting(session, job, now)) is not None:
                process_instances.run(session, held[0], now=now, act=_act(session, *held, functions, now))
            jobs.finish(session, job)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the job is tried again
    except Exception as error:  # whatever a function raises becomes an incident of its task
        with database.transaction() as session:
            if (held := _waiting(session, job, now)) is not None:
                _stand(session, *held, f"{type(error).__name__}: {error}"[:2000], now)
            jobs.finish(session, job)


def _waiting(session: Session, job: jobs.Claimed, now: datetime) -> tuple[ProcessInstance, WaitingService] | None:
    """The case, held, and its service task, if that still waits."""
    assert job.instance_id is not None, "a service task belongs to a case"
    instance = process_instances.locked(session, job.instance_id)
    if instance.state != "active":
        return None  # resuming, or reopening, asks again
    waiting = process_instances.execution_of(session, instance, now).waiting_services()
    found = next((w for w in waiting if w.token == job.payload["token"]), None)
    return (instance, found) if found is not None else None


def _act(
    session: Session, instance: ProcessInstance, waiting: WaitingService, functions: Mapping[str, Function],
    now: datetime,
) -> process_instances.Act:  # fmt: skip
    """Call the function once, and let the case go on with what it answers."""
    function = functions.get(waiting.topic)
    if function is None:
        raise LookupError(f"There is no function {waiting.topic!r}. Known: {', '.join(sorted(functions)) or 'none'}.")
    try:
        results = dict(function(session, Call(instance=instance, inputs=waiting.inputs, now=now)))
    except BpmnError as error:
        code, message = error.code, error.message
        return lambda execution: execution.fail(waiting.token, code, message)

    def act(execution: Execution) -> None:
        execution.complete(waiting.token, results)

    return act


def _stand(session: Session, instance: ProcessInstance, waiting: WaitingService, cause: str, now: datetime) -> None:
    """The case stands at the task. Each automatic try after the first comes after a longer pause."""
    query = (
        select(Incident)
        .where(
            Incident.instance_id == instance.id,
            Incident.call_path == waiting.call_path,
            Incident.element_id == waiting.element_id,
        )
        .order_by(Incident.id.desc())
    )
    last = session.scalars(query.limit(1)).first()
    failure = ElementFailed(
        call_path=waiting.call_path, element_id=waiting.element_id, cause=cause, data=waiting.inputs
    )
    incident = incidents.open_at(session, instance, failure, now=now)
    if last is not None and last.resolution == "retried" and last.resolved_by_id is None:
        incident.attempts = last.attempts + 1
        left = incidents.PAUSES[incident.attempts : incident.attempts + 1]
        incident.retry_at = now + left[0] if left else None
    process_instances.touch(session, instance, now=now)
