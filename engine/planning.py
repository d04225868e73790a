"""The plan of a case, read from a rehearsal: every step with its dates, what it has to spare, and why."""

import ast
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import deployments, identity
from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.parsing import Specification
from engine.bpmn.reading import UserTaskElement
from engine.calendar import Calendar
from engine.model import Community, ProcessInstance, Step, UserTask
from engine.rehearsing import Rehearsal


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a date is what it is: a rule and what it hangs on, `before` or `after` by `days`, or a `month`'s end."""

    rule: str
    base: str | None = None
    days: int = 0
    months: int = 0
    inner: "Reason | None" = None


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
        specification = deployments.compiled(session, instance).specification
        return tuple(_planned_step(session, step, rows, specification, calendar) for step in rows)


def _planned_step(
    session: Session, step: Step, steps: Any, specification: Specification, calendar: Calendar
) -> PlannedStep:
    element = specification.model_at(step.call_path).user_tasks[step.element_id]
    opens = calendar.local_date(step.opened_at)
    working_days = calendar.working_days_between(opens, step.due_date) if step.due_date else None
    minimum = element.properties.get("minimumWorkingDays", "")
    return PlannedStep(
        element=step.element_id,
        call_path=step.call_path,
        name=step.name,
        round=step.round,
        role=element.role,
        performers=_performers(session, step),
        total=step.total,
        opens=opens,
        due=step.due_date,
        ends=calendar.local_date(step.ended_at) if step.ended_at else None,
        closes=step.closes,
        working_days=working_days,
        slack=_slack(step, steps, calendar),
        basis=element.due_date,
        reason=reason(element.due_date, specification, step.call_path),
        reminders=reminder_dates(element, opens, step.due_date, calendar),
        minimum_working_days=int(minimum) if minimum.isdigit() else None,
    )


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


def _slack(step: Step, steps: Any, calendar: Calendar) -> int | None:
    if step.due_date is None or step.ended_at is None:
        return None
    later = [s.opened_at for s in steps if s.opened_at >= step.ended_at and s.id != step.id]
    if not later:
        return None
    spare = calendar.working_days_between(step.due_date, calendar.local_date(min(later) - timedelta(seconds=1)))
    return spare if spare > 0 else None


def reason(source: str | None, specification: Specification, call_path: str) -> Reason:
    """Why an expression gives its date, for the forms that due dates have; otherwise just the rule `expression`."""
    if not source:
        return Reason(rule="none")
    try:
        tree = ast.parse(parse(source).source.strip().removeprefix("${").removesuffix("}").strip(), mode="eval").body
    except (ExpressionError, SyntaxError):
        return Reason(rule="expression")
    return _explain(tree, specification, call_path)


def _explain(node: ast.expr, specification: Specification, call_path: str) -> Reason:
    if isinstance(node, ast.IfExp):
        # What holds on the main path is the last branch.
        return _explain(node.orelse, specification, call_path)
    if isinstance(node, ast.Name):
        return Reason(rule="fact", base=root_name(specification, call_path, node.id))
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
        return Reason(rule="expression")
    if node.func.id in ("first_given", "date"):
        return _explain(node.args[-1], specification, call_path)
    inner = _explain(node.args[0], specification, call_path)
    base = inner.base if inner.rule == "fact" else None
    numbers = [n.value for n in (*node.args[1:], *(k.value for k in node.keywords)) if isinstance(n, ast.Constant)]
    number = int(str(numbers[0])) if numbers else 0
    months = number if node.func.id in ("last_working_day", "first_working_day_of") else 0
    days = number if not months else 0
    return Reason(rule=node.func.id, base=base, days=days, months=months, inner=None if base else inner)


def root_name(specification: Specification, call_path: str, name: str) -> str:
    """What a name inside a called process is called where it was bound."""
    for depth in range(len([p for p in call_path.split("/") if p]), 0, -1):
        parts = call_path.split("/")
        call = specification.model_at("/".join(parts[: depth - 1])).calls.get(parts[depth - 1])
        bound = call.bindings.get(name, "").strip().removeprefix("${").removesuffix("}").strip() if call else ""
        name = bound if bound.isidentifier() else name
    return name
