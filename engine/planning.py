"""The plan of a case, read from a rehearsal: every step with its dates, what it has to spare, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import deployments, identity, reasons
from engine.bpmn.parsing import Specification
from engine.bpmn.reading import UserTaskElement
from engine.calendar import Calendar
from engine.hand_dates import place_of
from engine.model import Community, HistoryEvent, Membership, ProcessInstance, Step, UserTask
from engine.reasons import Reason
from engine.rehearsing import Rehearsal

__all__ = ["PlannedStep", "Reason", "reminder_dates", "steps"]

#: Where a step stood when the rehearsal began; all is to come in one from the start.
Standing = Literal["ended", "open", "coming"]


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step of the plan."""

    element: str
    call_path: str
    name: str
    round: int
    role: str | None
    performers: tuple[str, ...]
    total: int
    opens: date
    due: date | None
    ends: date | None
    closes: bool
    #: Working days from the day it opens to its due date.
    working_days: int | None
    #: Working days to spare before the next step opens.
    slack: int | None
    basis: str | None
    reason: Reason
    reminders: tuple[date, ...]
    minimum_working_days: int | None
    #: Ids of those who are to do it: the assignees, and who is alone in a group that is asked.
    people: tuple[int, ...] = ()
    #: Was a due date of it set by hand?
    by_hand: bool = False
    #: What the model derives from the facts; None where it hangs on an answer.
    derived: date | None = None
    #: What the model derived when the date was set by hand; None where nobody did, or it hung on an answer.
    derived_then: date | None = None
    stands: Standing = "coming"

    @property
    def place(self) -> str:
        """Where it stands in the model, as dates by hand name it."""
        return place_of(self.call_path, self.element)


# --- reading the plan -------------------------------------------------------------------------------------------------


def steps(rehearsal: Rehearsal) -> tuple[PlannedStep, ...]:
    """Every step of a rehearsed case in the order they opened, also those that a continued case has behind it."""
    instance_id = rehearsal.instance_id
    with rehearsal.database.reading() as session:
        instance = session.get_one(ProcessInstance, instance_id)
        calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
        rows = session.scalars(
            select(Step).where(Step.instance_id == instance_id).order_by(Step.opened_at, Step.id)
        ).all()
        by_hand = session.scalars(select(UserTask.step_id).where(UserTask.due_by_hand))
        reader = _Reader(
            session=session, calendar=calendar, specification=deployments.compiled(session, instance).specification,
            facts=reasons.facts_of(instance), known=reasons.known_of(instance), rows=rows,
            by_hand=frozenset(by_hand), people=_people(session, instance_id),
            derived_then=_derived_then(session, instance_id), found=rehearsal.found,
        )  # fmt: skip
        return tuple(reader.planned(step) for step in rows)


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads the steps of one lived case."""

    session: Session
    calendar: Calendar
    specification: Specification
    facts: Mapping[str, date]
    #: The facts, and the numbers that the start gave.
    known: Mapping[str, object]
    rows: Sequence[Step]
    by_hand: frozenset[int]
    people: Mapping[int, tuple[int, ...]]
    #: By place.
    derived_then: Mapping[str, date]
    found: Mapping[int, str]

    def planned(self, step: Step) -> PlannedStep:
        """One step of the plan."""
        element = self.specification.model_at(step.call_path).user_tasks[step.element_id]
        opens = self.calendar.local_date(step.opened_at)
        minimum = element.properties.get("minimumWorkingDays", "")
        scope = reasons.scope_at(self.specification, step.call_path, self.known, self.calendar)
        why = reasons.reason(element.due_date, self.specification, step.call_path, self.known)
        return PlannedStep(
            element=step.element_id,
            call_path=step.call_path,
            name=step.name,
            round=step.round,
            role=element.role,
            performers=_performers(self.session, step),
            total=step.total,
            opens=opens,
            due=step.due_date,
            ends=self.calendar.local_date(step.ended_at) if step.ended_at else None,
            closes=step.closes,
            working_days=self.calendar.working_days_between(opens, step.due_date) if step.due_date else None,
            slack=_slack(step, self.rows, self.calendar),
            basis=element.due_date,
            reason=reasons.explained(why, element.due_date, scope, self.facts, self.calendar),
            reminders=reminder_dates(element, opens, step.due_date, self.calendar),
            minimum_working_days=int(minimum) if minimum.isdigit() else None,
            people=self.people.get(step.id, ()),
            by_hand=step.id in self.by_hand,
            derived=reasons.main_path_date(why, element.due_date, scope, self.facts, self.calendar),
            derived_then=self.derived_then.get(place_of(step.call_path, step.element_id)),
            stands=_stands(self.found.get(step.id)),
        )


def _stands(found: str | None) -> Standing:
    if found is None:
        return "coming"
    return "open" if found == "open" else "ended"


def reminder_dates(element: UserTaskElement, opens: date, due: date | None, calendar: Calendar) -> tuple[date, ...]:
    """When the silent are reminded; a step shorter than ten working days skips the early ones."""
    if due is None:
        return ()
    short = calendar.working_days_between(opens, due) < 10
    days = (calendar.working_days_before(due, n) for n in element.reminders if not (short and n))
    return tuple(d for d in days if d > opens)


def _performers(session: Session, step: Step) -> tuple[str, ...]:
    tasks = session.scalars(select(UserTask).where(UserTask.step_id == step.id).order_by(UserTask.position))
    names = (t.assignee.name if t.assignee else t.candidate_group.name if t.candidate_group else "" for t in tasks)
    return tuple(dict.fromkeys(names))


def _derived_then(session: Session, instance_id: int) -> dict[str, date]:
    """Place -> what the model derived when a date was last set there by hand."""
    query = select(HistoryEvent.data).where(HistoryEvent.instance_id == instance_id, HistoryEvent.kind == "date-set")
    events = session.scalars(query.order_by(HistoryEvent.sequence)).all()
    return {data["place"]: date.fromisoformat(data["derived"]) for data in events if data["derived"]}


def _people(session: Session, instance_id: int) -> dict[int, tuple[int, ...]]:
    """Step -> who is to do it."""
    alone = (
        select(Membership.group_id, func.min(Membership.user_id).label("user_id"))
        .group_by(Membership.group_id)
        .having(func.count() == 1)
        .subquery()
    )
    query = (
        select(UserTask.step_id, func.coalesce(UserTask.assignee_id, alone.c.user_id))
        .outerjoin(alone, alone.c.group_id == UserTask.candidate_group_id)
        .where(UserTask.instance_id == instance_id)
        .order_by(UserTask.step_id, UserTask.position)
    )
    found: dict[int, tuple[int, ...]] = {}
    for step_id, user_id in session.execute(query):
        if user_id is not None and user_id not in found.get(step_id, ()):
            found[step_id] = (*found.get(step_id, ()), user_id)
    return found


def _slack(step: Step, steps: Sequence[Step], calendar: Calendar) -> int | None:
    if step.due_date is None or step.ended_at is None or calendar.local_date(step.ended_at) > step.due_date:
        return None  # what ended late had nothing to spare
    later = [s.opened_at for s in steps if s.opened_at >= step.ended_at and s.id != step.id]
    if not later:
        return None
    spare = calendar.working_days_between(step.due_date, calendar.local_date(min(later) - timedelta(seconds=1)))
    return spare if spare > 0 else None
