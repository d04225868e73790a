"""Asking one more, or one fewer, in a step that asks several: the counters stay right, and history has the reason."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import deployments, history, identity, process_instances, steps, user_tasks
from engine.errors import ElementFailed, InvalidInput, NotOpen
from engine.identity import Person
from engine.model import ProcessInstance, Step, UserTask


def add(
    session: Session, step_id: int, item: Mapping[str, Any], *, actor: Person | None, now: datetime, reason: str
) -> UserTask:
    """Ask one more: `item` is built as the collection's items are. Later steps over the same collection ask it too.

    Asking one who is asked already changes nothing. Raises InvalidInput for a step that asks one, without a reason, and
    where the item's people are not found.
    """
    instance, step = _hold(session, step_id, actor)
    marker = deployments.element(session, instance, step).multi_instance
    if marker is None:
        raise InvalidInput(f"The step {step.name!r} does not ask several.")
    key = str(item.get("key") or "")
    if not key:
        raise InvalidInput("An item needs a key.", field="item")
    _require_reason(reason, "one more is asked")
    if (known := _asked(session, step, key)) is not None:
        return known
    try:
        execution = process_instances.execution_of(session, instance, now)
        task = steps.add_row(session, instance, execution, step, item, now)
    except ElementFailed as failure:
        raise InvalidInput(failure.cause, field="item") from failure
    session.flush()  # history names the task by its id
    history.record(
        session, instance, "party-added", now=now, actor_id=actor.id if actor else None, task_id=task.id, note=reason,
        step=step.id, element=step.element_id, item=key, total=step.total,
    )  # fmt: skip
    step.due_date = process_instances.latest_due(session, step)
    process_instances.run(session, instance, now=now, act=_joining(instance, marker.collection, item))
    return task


def _hold(session: Session, step_id: int, actor: Person | None) -> tuple[ProcessInstance, Step]:
    of_step = select(Step.instance_id).where(Step.id == step_id).scalar_subquery()
    instance = process_instances.locked(session, of_step)
    step = session.scalars(select(Step).where(Step.id == step_id).with_for_update()).one()
    if actor is not None:
        identity.require_owner(actor, instance)
    process_instances.require_active(instance)
    if step.state != "open":
        raise NotOpen(f"The step {step.name!r} is already {step.state}.", **history.last_act(instance))
    return instance, step


def _require_reason(reason: str, act: str) -> None:
    if not reason.strip():
        raise InvalidInput(f"Say why {act}; the reason is kept in the case's history.")


def _asked(session: Session, step: Step, key: str) -> UserTask | None:
    query = select(UserTask).where(UserTask.step_id == step.id, UserTask.item == key, UserTask.state != "withdrawn")
    return session.scalars(query.limit(1)).first()


def _joining(instance: ProcessInstance, collection: str, item: Mapping[str, Any]) -> process_instances.Act | None:
    """Let the case's own collection have the item too, where the case was started with one of that name."""
    name = collection.strip().removeprefix("${").removesuffix("}").strip()
    held = instance.data.get(name)
    if not isinstance(held, list) or any(isinstance(i, Mapping) and i.get("key") == item["key"] for i in held):
        return None
    joined = [*held, dict(item)]
    instance.data = {**instance.data, name: joined}
    return lambda execution: execution.set_variable("", name, joined)


def remove(session: Session, task_id: int, *, actor: Person | None, now: datetime, reason: str) -> UserTask:
    """Ask one fewer: its task is withdrawn, and the step ends if enough of the others have answered.

    Removing it twice is removing it once. Raises InvalidInput without a reason, NotOpen for one who has answered and
    for the last who is asked.
    """
    held = user_tasks.hold(session, task_id)
    if actor is not None:
        identity.require_owner(actor, held.instance)
    instance, step, task = held.instance, held.step, held.task
    if task.state == "withdrawn":
        return task
    user_tasks.require_open(held, None, *steps.OPEN_TASK)
    element = deployments.element(session, instance, step)
    if element.multi_instance is None or step.total == 1:
        raise NotOpen(f"Nobody else is asked in {step.name!r}. Skip the step instead.")
    _require_reason(reason, "they are not asked any more")
    was_open, task.state, task.revision = task.state != "pending", "withdrawn", task.revision + 1
    step.total -= 1
    history.record(
        session, instance, "party-removed", now=now, actor_id=actor.id if actor else None, task_id=task.id, note=reason,
        step=step.id, element=step.element_id, item=task.item, total=step.total,
    )  # fmt: skip
    session.flush()  # the rows that are left are counted below
    if steps.is_fulfilled(step, element, steps.Beside(session, task)):
        user_tasks.fulfil(session, held, now, {})
        return task
    if was_open and element.multi_instance.sequential:
        steps.open_next(session, step)
        session.flush()  # its date may be the step's
    step.due_date = process_instances.latest_due(session, step)
    process_instances.run(session, instance, now=now, act=None)
    return task
