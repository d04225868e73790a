"""A case's rows as they were before it was migrated: kept with the migration, put back by its revert."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import steps
from engine.model import ProcessInstance, Step, UserTask

_STEP = ("element_id", "name", "state", "ended_at", "due_date", "total", "completed", "closes")
_TASK = ("name", "state", "due_date", "form_key", "priority", "revision", "due_generation")


def open_rows(session: Session, instance: ProcessInstance) -> list[UserTask]:
    """The case's tasks that wait."""
    query = select(UserTask).where(UserTask.instance_id == instance.id, UserTask.state.in_(steps.OPEN_TASK))
    return list(session.scalars(query.order_by(UserTask.id)))


def take(session: Session, instance: ProcessInstance) -> dict[str, Any]:
    """The case's versions, roles and rounds, and its open steps and tasks."""
    opened = list(steps.open_steps(session, instance).values())
    return {
        "pins": instance.pins,
        "rounds": instance.rounds,
        "hand_dates": instance.hand_dates,
        "roles": instance.roles,
        "steps": {str(step.id): _columns(step, _STEP) for step in opened},
        "tasks": {str(row.id): _columns(row, _TASK) for row in open_rows(session, instance)},
    }


def _columns(row: Step | UserTask, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {n: v.isoformat() if isinstance(v, date | datetime) else v for n, v in values.items()}


def put_back(session: Session, instance: ProcessInstance, kept: Mapping[str, Any], now: datetime) -> None:
    """Open steps and tasks become what they were; steps opened since are withdrawn."""
    for step in steps.open_steps(session, instance).values():
        if str(step.id) not in kept["steps"]:
            steps.end_step(session, instance, step, "withdrawn", now=now)
    for identity, values in kept["steps"].items():
        step = session.get_one(Step, int(identity))
        for name, value in values.items():
            setattr(step, name, _parsed(name, value))
    for identity, values in kept["tasks"].items():
        row = session.get_one(UserTask, int(identity))
        moved = row.due_date != _parsed("due_date", values["due_date"])
        # Forms that were shown meanwhile are stale, and mails about the date may be sent again.
        values = {**values, "revision": row.revision + 1, "due_generation": row.due_generation + moved}
        for name, value in values.items():
            setattr(row, name, _parsed(name, value))


def _parsed(name: str, value: Any) -> Any:
    if value is None or name not in ("due_date", "ended_at"):
        return value
    return date.fromisoformat(value) if name == "due_date" else datetime.fromisoformat(value)
