"""Every act, append-only and chained by hash within its case.

Codes and ids are chained; a person's free text stands outside with a salted digest inside, so that it can be erased.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from engine import identity
from engine.database import append
from engine.model import HistoryEvent, ProcessInstance, User

#: What nobody is told of who came second: it changed nothing of theirs, or only follows from what did.
_BESIDE = (
    "draft-saved", "document-added", "document-removed", "reminded", "address-corrected", "mail-resent",
    "links-revoked", "link-renewed", "step-opened", "step-completed", "absence-began", "absence-uncovered",
    "absence-ended",
)  # fmt: skip
#: What happens to a case and so to every task in it.
_TO_ALL = (
    "suspended", "resumed", "cancelled", "reopened", "completed", "skipped", "step-closed", "moved", "migrated",
)  # fmt: skip
#: What only an owner does to a case: whoever stands in for one does it on their behalf.
_STEERING = frozenset(
    {
        "extended", "date-set", "date-released", "skipped", "corrected", "party-added", "party-removed",
        "suspended", "resumed", "reopened", "cancelled", "reminded", "mail-resent", "address-corrected",
        "more-time-refused", "respondents-invited", "respondents-closed", "variable-set", "moved", "incident-retried",
        "incident-skipped", "migrated", "migration-reverted",
    }
)  # fmt: skip
#: What the chain holds fast of an event, in the order in which it is hashed.
_CHAINED = (
    "instance_id", "sequence", "at", "kind", "actor_id", "on_behalf_of_id", "task_id", "data", "note_digest",
    "request_id",
)  # fmt: skip
#: The request or command that acts now; pages and commands set it.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
#: How whoever acts came in, where they did not sign in: "link", a mail's link.
via: ContextVar[str | None] = ContextVar("via", default=None)


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
) -> None:
    """Append one event. The caller holds the instance row, so the chain has one writer.

    On whose behalf an owner's act was done is found here, so that no such act forgets it.
    """
    if kind in _STEERING and on_behalf_of_id is None:
        on_behalf_of_id = identity.in_the_owners_place(session, actor_id, instance)
    instance.history_length += 1
    salt = secrets.token_hex(16) if note else None
    if (way := via.get()) is not None:
        data["via"] = way
    known = {
        "instance_id": instance.id, "sequence": instance.history_length, "at": now, "kind": kind, "actor_id": actor_id,
        "on_behalf_of_id": on_behalf_of_id, "task_id": task_id, "data": data, "note_digest": _digest(salt, note),
        "request_id": request_id.get(),
    }  # fmt: skip
    instance.history_hash = _chain(instance.history_hash, known)
    append(session, HistoryEvent, **known, note=note, note_salt=salt, hash=instance.history_hash)


def _digest(salt: str | None, note: str | None) -> str | None:
    return hashlib.sha256(f"{salt}{note}".encode()).hexdigest() if note else None


def _chain(before: str, known: Mapping[str, Any]) -> str:
    content = [before, *(known[name] for name in _CHAINED)]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=datetime.isoformat)
    return hashlib.sha256(text.encode()).hexdigest()


def _known(event: HistoryEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in _CHAINED}


def events(session: Session, instance: ProcessInstance) -> list[HistoryEvent]:
    """The case's history, oldest first."""
    query = select(HistoryEvent).where(HistoryEvent.instance_id == instance.id).order_by(HistoryEvent.sequence)
    return list(session.scalars(query))


def last_act(instance: ProcessInstance, task_id: int | None = None) -> dict[str, Any]:
    """Who did what last, to the case or to one task of it, for whoever came second: `act`, `by` (a user's key), `at`.

    Empty for a case that is not in the database.
    """
    session = object_session(instance)
    if session is None:
        return {}
    query = (
        select(HistoryEvent.kind, HistoryEvent.at, User.key)
        .outerjoin(User, User.id == HistoryEvent.actor_id)
        .where(HistoryEvent.instance_id == instance.id, HistoryEvent.kind.not_in(_BESIDE))
    )
    if task_id is not None:
        query = query.where((HistoryEvent.task_id == task_id) | HistoryEvent.kind.in_(_TO_ALL))
    last = session.execute(query.order_by(HistoryEvent.sequence.desc()).limit(1)).first()
    return {"act": last.kind, "by": last.key, "at": last.at.isoformat()} if last is not None else {}


def broken_at(instance: ProcessInstance, chain: Iterable[HistoryEvent]) -> int | None:
    """The first sequence number where the chain does not hold, or None when it is whole."""
    before, expected = "", 0
    for event in chain:
        expected += 1
        note_holds = event.note is None or _digest(event.note_salt, event.note) == event.note_digest
        if event.sequence != expected or _chain(before, _known(event)) != event.hash or not note_holds:
            return expected
        before = event.hash
    return None if (expected, before) == (instance.history_length, instance.history_hash) else expected + 1
