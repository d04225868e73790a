"""How running cases stand: who has the ball, until when, and whether anybody has it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, defer, joinedload

from engine import user_tasks
from engine.model import Incident, ProcessInstance, Step, UserTask

#: How a running case stands now: on hold, with nothing that will move it, past a due date, with a due date to come, or
#: without one.
State = Literal["on_hold", "nobody", "late", "in_time", "waits"]

_SUFFIXES = (" kommune", " HF")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A running case, its open steps, and their tasks that wait."""

    instance: ProcessInstance
    steps: Sequence[Step]
    #: Step -> its tasks that wait, in the model's order.
    tasks: Mapping[int, list[UserTask]]
    has_incident: bool

    @property
    def on_hold(self) -> bool:
        """Has somebody put the whole case on hold?"""
        return self.instance.state == "suspended"

    @property
    def step(self) -> Step | None:
        """The step that is due first; None where none is open, or the case is on hold."""
        return None if self.on_hold else first_due(self.steps)

    @property
    def waiting(self) -> Sequence[UserTask]:
        """The tasks of that step that wait for someone."""
        return self.tasks.get(self.step.id, ()) if self.step is not None else ()

    @property
    def due(self) -> date | None:
        """When the first of them is due."""
        return due_of(self.step, self.waiting) if self.step is not None else None

    @property
    def nobody(self) -> bool:
        """Does the case stand with nothing that will ever move it?"""
        return not self.on_hold and (self.has_incident or (not self.steps and self.instance.wake_at is None))

    def is_late(self, today: date) -> bool:
        """Has the due date passed?"""
        return self.due is not None and self.due < today

    def state(self, today: date) -> State:
        """How the case stands; what its plan will come to is another question."""
        if self.on_hold:
            return "on_hold"
        if self.nobody:
            return "nobody"
        if self.due is None:
            return "waits"
        return "late" if self.is_late(today) else "in_time"

    def danger(self, today: date) -> tuple[bool, bool, date, str]:
        """What puts the case in greatest danger first."""
        late = self.nobody or self.is_late(today)
        return not self.nobody, not late, self.due or date.max, self.instance.title


def read(session: Session, instances: Iterable[ProcessInstance], *, today: date) -> list[Standing]:
    """How these running cases stand, in three statements; the one in greatest danger on top."""
    running = list(instances)
    ids = [instance.id for instance in running]
    steps, tasks, failed = _steps(session, ids), _tasks(session, ids), _failed(session, ids)
    found = [Standing(instance=one, steps=steps[one.id], tasks=tasks, has_incident=one.id in failed) for one in running]
    return sorted(found, key=lambda standing: standing.danger(today))


def _steps(session: Session, ids: Sequence[int]) -> Mapping[int, list[Step]]:
    found: defaultdict[int, list[Step]] = defaultdict(list)
    for step in session.scalars(select(Step).where(Step.instance_id.in_(ids), Step.state == "open")):
        found[step.instance_id].append(step)
    return found


def _tasks(session: Session, ids: Sequence[int]) -> Mapping[int, list[UserTask]]:
    found: defaultdict[int, list[UserTask]] = defaultdict(list)
    people = (joinedload(UserTask.assignee), joinedload(UserTask.approver), joinedload(UserTask.candidate_group))
    waiting = UserTask.state.in_(user_tasks.OPEN)
    query = select(UserTask).where(UserTask.instance_id.in_(ids), waiting).order_by(UserTask.position)
    for task in session.scalars(query.options(*people, defer(UserTask.answers), defer(UserTask.draft))):
        found[task.step_id].append(task)
    return found


def _failed(session: Session, ids: Sequence[int]) -> set[int]:
    query = select(Incident.instance_id).where(Incident.instance_id.in_(ids), Incident.resolved_at.is_(None))
    return set(session.scalars(query))


def first_due(steps: Iterable[Step]) -> Step | None:
    """The step that is due first; of several, the one that asks most."""
    return min(steps, key=lambda step: (step.due_date or date.max, -step.total, step.id), default=None)


def due_of(step: Step, waiting: Iterable[UserTask]) -> date | None:
    """When the first who has not answered is to."""
    return min((task.due_date for task in waiting if task.due_date), default=step.due_date)


def asked(task: UserTask) -> str:
    """The party or body asked, else whoever has the task."""
    if task.item_name:
        return task.item_name
    if task.assignee is not None:
        return task.assignee.name
    return task.candidate_group.name if task.candidate_group else task.name


def short(name: str) -> str:
    """`Larvik` for `Larvik kommune`: as one says it in a sentence."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
