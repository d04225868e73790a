"""What starts cases by itself: the message, signal and timer start events of each process's newest version.

They wait as rows; `messages` starts the cases. A timer's row says from when it counts (`name`), and when it is due.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from engine import identity
from engine.bpmn import timers
from engine.bpmn.event_definitions import EventDefinition, definition_of, vocabulary
from engine.bpmn.expressions import evaluate, parse
from engine.bpmn.reading import Model, is_literal, tag
from engine.calendar import Calendar
from engine.database import MomentQuery
from engine.model import Community, EventSubscription, ProcessDefinition

#: Before a start that failed is tried again.
PAUSE = timedelta(minutes=15)


def subscribe(session: Session, definition: ProcessDefinition, model: Model, *, now: datetime) -> None:
    """Let the start events of this version wait, and those of the versions before it no longer."""
    older = select(ProcessDefinition.id).where(
        ProcessDefinition.community_id == definition.community_id, ProcessDefinition.key == definition.key
    )
    session.execute(delete(EventSubscription).where(EventSubscription.definition_id.in_(older)))
    calendar = identity.calendar_of(session.get_one(Community, definition.community_id))
    declared = vocabulary(model.root)
    for start in model.process.findall(tag("startEvent")):
        waits = definition_of(start, declared, throws=False)
        if waits.kind in ("message", "signal", "timer"):
            session.add(_row(definition, start.get("id", ""), waits, calendar, now))


def _row(
    definition: ProcessDefinition, event: str, waits: EventDefinition, calendar: Calendar, now: datetime
) -> EventSubscription:
    name = waits.name if is_literal(waits.name) else str(evaluate(parse(waits.name), {}, calendar))
    return EventSubscription(
        community_id=definition.community_id, definition_id=definition.id, kind=waits.kind, token=event,
        name=now.isoformat() if waits.kind == "timer" else name, correlation="", fired=0,
        due_at=_due(waits, calendar, started=now, fired=0, last=None, now=now),
    )  # fmt: skip


def _due(
    waits: EventDefinition, calendar: Calendar, *, started: datetime, fired: int, last: datetime | None, now: datetime
) -> datetime | None:
    if waits.kind != "timer":
        return None
    value: object = waits.timer
    if not timers.literal(waits.timer):
        value = evaluate(parse(waits.timer), {}, calendar)
    return timers.due(waits.timer_kind, value, started=started, fired=fired, last=last, now=now, calendar=calendar)


def moments() -> tuple[MomentQuery, ...]:
    """When the next timer is to start a case."""
    query = select(EventSubscription.due_at).where(EventSubscription.due_at.is_not(None))
    return (query.order_by(EventSubscription.due_at).limit(1),)


def take_due(session: Session, now: datetime) -> EventSubscription | None:
    """The timer that has waited longest to start a case, held until the transaction ends.

    Any number of workers may call this at once: each passes over what another is just doing.
    """
    query = select(EventSubscription).where(EventSubscription.due_at <= now).order_by(EventSubscription.due_at)
    return session.scalar(query.limit(1).with_for_update(skip_locked=True))


def postpone(session: Session, subscription_id: int, *, now: datetime) -> None:
    """A timer could not start its case: it is due again after a pause."""
    row = session.get(EventSubscription, subscription_id, with_for_update=True)
    if row is not None and row.due_at is not None and row.due_at <= now:
        row.due_at = now + PAUSE


def move_on(
    session: Session, row: EventSubscription, definition: ProcessDefinition, model: Model, now: datetime
) -> None:
    """A timer has started a case: let it wait for its next time, or no longer."""
    start = next(e for e in model.process.findall(tag("startEvent")) if e.get("id") == row.token)
    waits = definition_of(start, vocabulary(model.root), throws=False)
    calendar = identity.calendar_of(session.get_one(Community, definition.community_id))
    row.fired += 1
    row.due_at = _due(waits, calendar, started=datetime.fromisoformat(row.name), fired=row.fired, last=now, now=now)
