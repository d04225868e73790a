"""A whole case put on hold, taken up again, and reopened after its end. The caller has checked who may."""

from datetime import date, datetime

from sqlalchemy.orm import Session

from engine import history, identity, process_instances, steps
from engine.bpmn.execution import Execution
from engine.errors import InvalidInput, NotOpen
from engine.model import Community, ProcessInstance


def suspend(session: Session, instance: ProcessInstance, *, now: datetime, actor_id: int | None, reason: str) -> None:
    """Put the case on hold: no timer fires, nobody can answer, and no mail is sent until it is resumed.

    Suspending it twice is suspending it once. Raises InvalidInput without a reason.
    """
    if instance.state == "suspended":
        return
    process_instances.require_active(instance)
    if not reason.strip():
        raise InvalidInput("Say why the case is suspended; the reason is kept in its history.")
    instance.state = "suspended"
    history.record(session, instance, "suspended", now=now, actor_id=actor_id, note=reason)
    process_instances.touch(session, instance, now=now)


def resume(
    session: Session, instance: ProcessInstance, *, now: datetime, actor_id: int | None, reason: str = ""
) -> None:
    """Let the case go on; timers that fell due meanwhile fire now. Resuming a running case changes nothing."""
    if instance.state == "active":
        return
    if instance.state != "suspended":
        raise NotOpen(f"The case {instance.title!r} is {instance.state}. Reopen it instead.")
    instance.state = "active"
    history.record(session, instance, "resumed", now=now, actor_id=actor_id, note=reason or None)
    process_instances.run(
        session, instance, now=now, act=lambda execution: steps.close_late_rows(session, instance, execution, now=now)
    )


def reopen(
    session: Session, instance: ProcessInstance, *, now: datetime, actor_id: int | None, reason: str,
    due_date: date | None = None,
) -> None:  # fmt: skip
    """Take an ended case back to where it was before it ended; its steps open as a new round, with what is known now.

    Tasks whose own due date has passed get `due_date`. Raises InvalidInput without a reason, without a due date where
    one is needed, and for a case that would end again at once.
    """
    if instance.state in ("active", "suspended"):
        return
    if not reason.strip():
        raise InvalidInput("Say why the case is reopened; the reason is kept in its history.")
    document = instance.state_document if instance.state == "cancelled" else instance.undo_document
    if document is None:
        message = "The case ended without having waited for anybody, so there is nothing to go back to."
        raise InvalidInput(message, reason="nothing")
    ended = instance.state
    instance.state, instance.ended_at, instance.state_document = "active", None, document
    instance.undo_document, instance.undo = None, None
    history.record(session, instance, "reopened", now=now, actor_id=actor_id, note=reason, was=ended)
    process_instances.run(session, instance, now=now, act=_without_deadlines)
    if instance.state != "active":
        raise InvalidInput("The case would end again at once: what ended it has not changed.", reason="ends-again")
    session.flush()  # the rows just opened are looked at below
    _give_time(session, instance, due_date, now)


def _without_deadlines(execution: Execution) -> None:
    """The deadlines of the steps that ended are no longer theirs; the new rows set them again."""
    for waiting in execution.waiting():
        execution.set_deadline(waiting.token, None)


def _give_time(session: Session, instance: ProcessInstance, due_date: date | None, now: datetime) -> None:
    today = identity.calendar_of(session.get_one(Community, instance.community_id)).local_date(now)
    late = [
        task
        for step in steps.open_steps(session, instance).values()
        for task in steps.open_tasks(session, step)
        if task.due_date is not None and task.due_date < today
    ]
    if not late:
        return
    if due_date is None or due_date < today:
        raise InvalidInput("The due dates have passed. Give a new one, today or later.", field="due_date")
    for task in late:
        process_instances.move_due_date(task, due_date)
        task.due_by_hand = True
    session.flush()  # a step's date is the latest of its rows
    opened = steps.open_steps(session, instance).values()
    for step in opened:
        step.due_date = process_instances.latest_due(session, step)
    # Before anything fires: the old deadline has passed.
    process_instances.run(session, instance, now=now, act=lambda execution: steps.set_deadlines(execution, opened))
