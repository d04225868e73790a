"""What the owner of a case may do to others' steps and tasks: give time, skip, correct. Reasons go into history."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import history, identity, process_instances, steps, task_forms, user_tasks
from engine.errors import InvalidInput, NotOpen
from engine.identity import Person
from engine.model import Step, UserTask


def extend(session: Session, task_id: int, *, due_date: date, actor: Person, now: datetime, reason: str) -> UserTask:
    """Give one person another due date; the others keep theirs. The step closes at the latest."""
    held = user_tasks.hold(session, task_id)
    identity.require_owner(actor, held.instance)
    user_tasks.require_open(held, None)
    old = held.task.due_date
    process_instances.move_due_date(held.task, due_date)
    held.task.due_by_hand = True
    session.flush()  # the step's date is the latest of its rows
    held.step.due_date = process_instances.latest_due(session, held.step)
    history.record(
        session, held.instance, "extended", now=now, actor_id=actor.id, task_id=task_id, note=reason or None,
        item=held.task.item, old=old.isoformat() if old else None, new=due_date.isoformat(),
    )  # fmt: skip
    process_instances.run(session, held.instance, now=now, act=lambda execution: None)
    return held.task


def skip(
    session: Session, step_id: int, *, actor: Person, now: datetime, reason: str, answers: Mapping[str, Any]
) -> Step:
    """Go on without this step, with a reason; `answers` are what the model's gateways then read, such as `utfall`."""
    instance_id = session.scalars(select(Step.instance_id).where(Step.id == step_id)).one()
    instance = process_instances.locked(session, instance_id)
    step = session.scalars(select(Step).where(Step.id == step_id).with_for_update()).one()
    identity.require_owner(actor, instance)
    process_instances.require_active(instance)
    if step.state != "open":
        raise NotOpen(f"The step {step.name!r} is already {step.state}.", **history.last_act(instance))
    if not reason.strip():
        raise InvalidInput("Say why the step is skipped; the reason is kept in the case's history.")
    history.record(
        session, instance, "skipped", now=now, actor_id=actor.id, note=reason, step=step.id, element=step.element_id
    )
    steps.end_step(session, instance, step, "skipped", now=now)
    read = process_instances.names_read(session, instance)
    user_tasks.move_on(session, instance, step, now, {name: value for name, value in answers.items() if name in read})
    return step


def correct(
    session: Session, task_id: int, answers: Mapping[str, Any], *, actor: Person, now: datetime, reason: str
) -> UserTask:
    """Correct a given answer, with a reason; what the case already did with it stands. Old and new are history."""
    held = user_tasks.hold(session, task_id)
    identity.require_owner(actor, held.instance)
    if held.task.state != "completed":
        raise NotOpen("Only a given answer can be corrected.")
    if not reason.strip():
        raise InvalidInput("Say why the answer is corrected; the reason is kept in the case's history.")
    form, inputs = task_forms.form_of(session, held.instance, held.task)
    clean = task_forms.checked(form, answers, inputs)
    old = held.task.answers or {}
    changed = sorted(k for k in {*old, *clean} if old.get(k) != clean.get(k))
    held.task.answers, held.task.revision = clean, held.task.revision + 1
    history.record(
        session, held.instance, "corrected", now=now, actor_id=actor.id, task_id=task_id, note=reason, fields=changed,
        item=held.task.item,
    )  # fmt: skip
    process_instances.touch(session, held.instance, now=now)
    return held.task
