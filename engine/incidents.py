"""Where cases stand because something automatic failed: kept, tried again after growing pauses, resolved.

Rows only; what a person does about an incident is in `mending`, and the case moves in `process_instances`.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from engine import history
from engine.bpmn.execution import Execution, Place
from engine.database import MomentQuery
from engine.errors import ElementFailed, NotFound
from engine.model import Incident, ProcessInstance, new_public_id

T = TypeVar("T")
#: Pauses before the engine tries by itself; after the last one only a person can.
PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
#: A longer value is not kept with the incident; the case itself still has it.
MAX_VALUE_CHARACTERS = 2_000


class FailsStill(Exception):
    """The element that was tried again failed again; no row has been touched."""

    def __init__(self, failure: ElementFailed) -> None:
        self.failure = failure
        super().__init__(failure.cause)


def place(found: Incident | ElementFailed) -> Place:
    """The element it holds, and where that runs."""
    return found.call_path, found.element_id


def open_incidents(session: Session, instance: ProcessInstance) -> list[Incident]:
    """Where the case stands, the oldest first. Asks nothing of the database for a case that stands nowhere."""
    if not instance.open_incidents:
        return []
    query = select(Incident).where(Incident.instance_id == instance.id, Incident.resolved_at.is_(None))
    return [i for i in session.scalars(query.order_by(Incident.id)) if i.resolved_at is None]


def find(session: Session, instance: ProcessInstance, public_id: str) -> Incident:
    """The case's incident, open or resolved. Raises NotFound."""
    query = select(Incident).where(Incident.public_id == public_id, Incident.instance_id == instance.id)
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound(f"The case has no incident {public_id}.")
    return found


def open_at(session: Session, instance: ProcessInstance, failure: ElementFailed, *, now: datetime) -> Incident:
    """The case stands before this element; the engine tries it again after the first pause."""
    incident = Incident(
        public_id=new_public_id(), community_id=instance.community_id, instance_id=instance.id,
        call_path=failure.call_path, element_id=failure.element_id, cause=failure.cause, created_at=now,
        attempts=0, retry_at=now + PAUSES[0], data=_plain(failure.seen),
    )  # fmt: skip
    session.add(incident)
    instance.open_incidents += 1
    history.record(session, instance, "incident", now=now, incident=incident.public_id, element=failure.element_id)
    return incident


def fails_again(incident: Incident, failure: ElementFailed, *, now: datetime) -> None:
    """Keep what went wrong this time, and when the engine tries again, if it does."""
    incident.cause, incident.data = failure.cause, _plain(failure.seen)
    incident.attempts += 1
    left = PAUSES[incident.attempts : incident.attempts + 1]
    incident.retry_at = now + left[0] if left else None


def resolve(
    instance: ProcessInstance, incident: Incident, resolution: str, *, now: datetime, actor_id: int | None = None
) -> None:
    """It holds the case no longer: retried, skipped, moved or gone."""
    incident.resolved_at, incident.resolved_by_id, incident.resolution = now, actor_id, resolution
    incident.retry_at = None
    instance.open_incidents -= 1


def resolve_gone(session: Session, instance: ProcessInstance, paths: Iterable[str] | None, *, now: datetime) -> None:
    """Resolve what ended with its case (`paths` None) or with the sub-process or call that it stood in."""
    alive = None if paths is None else {"", *paths}
    for incident in open_incidents(session, instance):
        if alive is None or incident.call_path not in alive:
            resolve(instance, incident, "gone", now=now)


def call_paths(execution: Execution) -> set[str]:
    """Where anything runs: each token's path, and those above it."""
    found: set[str] = set()
    for token in execution.tokens():
        parts = token.call_path.split("/")
        found |= {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return found


def variables_around(execution: Execution, failure: ElementFailed) -> dict[str, Any]:
    """The process variables around an element that failed before it looked at any."""
    known = call_paths(execution) | {""}
    return execution.variables(failure.call_path) if failure.call_path in known else {}


def moments() -> tuple[MomentQuery, ...]:
    """When the engine next tries one again."""
    return (_first(select(Incident.retry_at)),)


def take_due(session: Session, now: datetime) -> Incident | None:
    """The incident whose next try has waited longest; its case is held until the transaction ends.

    Any number of workers may call this at once: each passes over the cases that are held.
    """
    query = _first(select(Incident).where(Incident.retry_at <= now))
    return session.scalar(query.with_for_update(of=ProcessInstance, skip_locked=True))


def _first(query: Select[T]) -> Select[T]:
    """Of the incident that is to be tried again first."""
    return (
        query.join(ProcessInstance, ProcessInstance.id == Incident.instance_id)
        .where(Incident.resolved_at.is_(None), Incident.retry_at.is_not(None), ProcessInstance.state == "active")
        .order_by(Incident.retry_at)
        .limit(1)
    )


def _plain(data: Mapping[str, object]) -> dict[str, Any]:
    """What the element saw, as JSON: dates become texts, and what is very long is left out."""
    plain = {name: json.loads(json.dumps(value, default=str)) for name, value in sorted(data.items())}
    return {n: v if len(json.dumps(v)) <= MAX_VALUE_CHARACTERS else "…" for n, v in plain.items()}
