"""What the owner of a case may do to others' steps: set dates, give time, skip, correct. History keeps the reasons."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import deployments, hand_dates, history, identity, process_instances, steps, task_forms, user_tasks
from engine.bpmn.execution import Execution
from engine.errors import InvalidInput, NotOpen
from engine.identity import Person
from engine.model import ProcessInstance, Step, UserTask


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


def set_date(
    session: Session,
    instance: ProcessInstance,
    place: str,
    day: date | None,
    *,
    actor: Person,
    now: datetime,
    reason: str = "",
) -> None:
    """Let the step at `place` ("call path/element") be due on `day`, whatever the model derives; None derives it again.

    It holds for the step that is open there or opens next, with its closing timer, and stays when facts move. Who in it
    got time of their own keeps that. A day that is set already changes nothing. The caller holds the case. Raises
    NotAllowed, NotOpen for a step that has ended, and InvalidInput for a place without a step and for a day that is
    past or outside the calendar.
    """
    identity.require_owner(actor, instance)
    process_instances.require_active(instance)
    _require_to_come(session, instance, place)
    old = hand_dates.at(instance, place)
    if day == old:
        return
    if day is not None:
        _check_day(instance, day, now)
    hand_dates.put(instance, place, day)
    hand_dates.enter(session, instance, place, old, now=now, actor_id=actor.id, note=reason or None)

    def follow(execution: Execution) -> None:
        for waiting in execution.waiting():
            if hand_dates.place_of(waiting.call_path, waiting.element.id) == place:
                step = steps.open_steps(session, instance)[waiting.token]
                for task in steps.open_tasks(session, step):
                    _follow_hand(task, day or steps.due_date(execution, waiting, task.item_data or task.item), day, old)
                step.due_date = process_instances.latest_due(session, step)
                steps.set_deadlines(execution, [step])

    process_instances.run(session, instance, now=now, act=process_instances.refusing(follow))


def _require_to_come(session: Session, instance: ProcessInstance, place: str) -> None:
    """Raises InvalidInput where the model has no such step, and NotOpen where it has ended and is not open again."""
    found = hand_dates.require_step(deployments.compiled(session, instance).specification, place)
    call_path, _, element_id = place.rpartition("/")
    query = select(func.count(), func.count().filter(Step.state == "open")).where(
        Step.instance_id == instance.id, Step.call_path == call_path, Step.element_id == element_id
    )
    lived, still_open = session.execute(query).one()
    if lived and not still_open:
        raise NotOpen(f"The step {found.name!r} has ended; its date stands.", **history.last_act(instance))


def _check_day(instance: ProcessInstance, day: date, now: datetime) -> None:
    calendar = identity.calendar_of(instance.community)
    calendar.why_closed(day)  # refuses a year whose holidays nobody knows
    if day < calendar.local_date(now):
        raise InvalidInput(f"{day.isoformat()} is past. Choose a day that is to come.")


def _follow_hand(task: UserTask, due: date | None, day: date | None, old: date | None) -> None:
    """One row of a step whose date is set or released by hand."""
    if task.due_by_hand and task.due_date != old:
        return  # was given time of its own
    process_instances.move_due_date(task, due)
    task.due_by_hand = day is not None


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
