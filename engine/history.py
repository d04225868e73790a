"""Every act, append-only and chained by hash within its case.

Codes and ids are chained; a person's free text stands outside with a salted digest inside, so that it can be erased.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.model import HistoryEvent, ProcessInstance

#: The request or command that acts now; pages and commands set it.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def record(
    session: Session,
    instance: ProcessInstance,
    kind: str,
    *,
    now: datetime,
    actor_id: int | None = None,
    on_behalf_of_id: int | None = None,
    task_id: int | None = None,
    note: str | None = None,
    **data: Any,
) -> HistoryEvent:
    """Append one event. The caller holds the instance row, so the chain has one writer."""
    instance.history_length += 1
    salt = secrets.token_hex(16) if note else None
    event = HistoryEvent(
        instance_id=instance.id, sequence=instance.history_length, at=now, kind=kind, actor_id=actor_id,
        on_behalf_of_id=on_behalf_of_id, task_id=task_id, data=data, note=note, note_salt=salt,
        note_digest=_digest(salt, note), request_id=request_id.get(),
    )  # fmt: skip
    event.hash = _chain(instance.history_hash, event)
    instance.history_hash = event.hash
    session.add(event)
    return event


def _digest(salt: str | None, note: str | None) -> str | None:
    return hashlib.sha256(f"{salt}{note}".encode()).hexdigest() if note else None


def _chain(before: str, event: HistoryEvent) -> str:
    content = [
        before, event.instance_id, event.sequence, event.at.isoformat(), event.kind, event.actor_id,
        event.on_behalf_of_id, event.task_id, event.data, event.note_digest, event.request_id,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def events(session: Session, instance: ProcessInstance) -> list[HistoryEvent]:
    """The case's history, oldest first."""
    query = select(HistoryEvent).where(HistoryEvent.instance_id == instance.id).order_by(HistoryEvent.sequence)
    return list(session.scalars(query))


def broken_at(instance: ProcessInstance, chain: Iterable[HistoryEvent]) -> int | None:
    """The first sequence number where the chain does not hold, or None when it is whole."""
    before, expected = "", 0
    for event in chain:
        expected += 1
        note_holds = event.note is None or _digest(event.note_salt, event.note) == event.note_digest
        if event.sequence != expected or _chain(before, event) != event.hash or not note_holds:
            return expected
        before = event.hash
    return None if (expected, before) == (instance.history_length, instance.history_hash) else expected + 1
