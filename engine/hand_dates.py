"""Due dates set by hand: they beat what the model derives, for the step that is open at a place or opens there next."""

from datetime import date, datetime

from sqlalchemy.orm import Session

from engine import deployments, history, identity, reasons
from engine.bpmn.parsing import Specification
from engine.bpmn.reading import UserTaskElement
from engine.errors import InvalidInput
from engine.model import Community, ProcessInstance


def place_of(call_path: str, element_id: str) -> str:
    """The place of an element in the case's model, as `ProcessInstance.hand_dates` names it."""
    return f"{call_path}/{element_id}".removeprefix("/")


def require_step(specification: Specification, place: str) -> UserTaskElement:
    """The step at that place of the model. Raises InvalidInput."""
    call_path, _, element_id = place.rpartition("/")
    found = specification.user_task_at(call_path, element_id)
    if found is None or place != place_of(call_path, element_id):
        raise InvalidInput(f"The model has no step {place!r}.", place=place)
    return found


def at(instance: ProcessInstance, place: str) -> date | None:
    """The date that is set there."""
    day = instance.hand_dates.get(place)
    return date.fromisoformat(day) if day else None


def put(instance: ProcessInstance, place: str, day: date | None) -> None:
    """Let it be that day, or none."""
    others = {name: kept for name, kept in instance.hand_dates.items() if name != place}
    instance.hand_dates = {**others, place: day.isoformat()} if day else others


def enter(
    session: Session,
    instance: ProcessInstance,
    place: str,
    old: date | None,
    *,
    now: datetime,
    actor_id: int | None,
    note: str | None = None,
) -> None:
    """Enter in the history that the date there is set, and what the model derived then, or that it is set no more.

    Raises InvalidInput for a place without a step.
    """
    day, was = at(instance, place), old.isoformat() if old else None
    if day is None:
        history.record(session, instance, "date-released", now=now, actor_id=actor_id, note=note, place=place, old=was)
        return
    specification = deployments.compiled(session, instance).specification
    require_step(specification, place)
    calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
    derived = reasons.derived_at(specification, place, reasons.known_of(instance), calendar)
    history.record(
        session, instance, "date-set", now=now, actor_id=actor_id, note=note, place=place, old=was,
        new=day.isoformat(), derived=derived.isoformat() if derived else None,
    )  # fmt: skip
