"""The plan of a case: the real engine, run in a sandbox under a virtual clock, everyone acting on the due date.

No second interpreter of BPMN: what the plan shows is what the engine did. Each user task is answered with the model's
`planOutcome`; whoever rehearses with other outcomes gives a scenario.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from engine import deployments, identity, jobs, messages, outgoing, process_instances, service_tasks, user_tasks
from engine.bpmn.execution import Thrown
from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.parsing import Specification
from engine.bpmn.reading import UserTaskElement
from engine.calendar import Calendar
from engine.database import Database
from engine.model import (
    Base,
    Community,
    Deployment,
    EventSubscription,
    Group,
    Incident,
    Membership,
    ProcessDefinition,
    ProcessInstance,
    Step,
    User,
    UserTask,
)

#: A rehearsal that is not over after this many acts loops.
MAX_ACTS = 2_000
#: When people act on their due date, local time.
ACTING_TIME = time(12, 0)

#: Answers of an element, by element id and round; None leaves the model's planOutcome.
Scenario = Callable[[Step, UserTaskElement], Mapping[str, Any] | None]
#: Something that looks on: told before an act that time has passed until a moment, and after it that it happened.
Observer = Callable[[Database, int, datetime], None]


def _nothing(database: Database, instance_id: int, now: datetime) -> None:
    """Nobody looks on."""


@dataclass(frozen=True, kw_only=True)
class StartArguments:
    """What a case is started with; the same for living, planning and rehearsing."""

    definition_id: int
    title: str
    data: Mapping[str, Any]
    facts: Mapping[str, date]
    roles: Mapping[str, Mapping[str, str]]
    owner_group: str | None = None
    owner: str | None = None


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


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A case lived in a sandbox: its steps, and the sandbox for whoever wants to look further."""

    database: Database
    instance_id: int
    steps: tuple[PlannedStep, ...]
    #: Where the case stood still, in words; empty when it reached its end.
    stopped: str
    ended: datetime


def rehearse(
    source: Session,
    start: StartArguments,
    *,
    now: datetime,
    scenario: Scenario = lambda step, element: None,
    functions: Mapping[str, service_tasks.Function] | None = None,
    elapsed: Observer = _nothing,
    happened: Observer = _nothing,
) -> Rehearsal:
    """Live the whole case from `now` in a database of its own; the source is only read.

    Service tasks call `functions`; those that are not given answer nothing. A message comes when nothing else happens
    before it. `elapsed` is called before each act with its moment, `happened` after it is committed.
    """
    sandbox = _sandbox(source, start)
    with sandbox.transaction() as session:
        instance = _start(session, start, now)
        calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
        instance_id = instance.id
        handlers = _handlers(session, instance, functions or {})
    _do_jobs(sandbox, handlers, now)
    happened(sandbox, instance_id, now)
    stopped = ""
    for _ in range(MAX_ACTS):
        act = _next_act(sandbox, instance_id, now, calendar)
        if act is None and not _message_comes(sandbox, instance_id, now):
            break
        now, task_id = act or (now, None)
        elapsed(sandbox, instance_id, now)
        with sandbox.transaction() as session:
            if task_id is None:
                process_instances.wake(session, instance_id, now=now)
            else:
                _answer(session, task_id, scenario, now)
        _do_jobs(sandbox, handlers, now)
        with sandbox.reading() as session:
            incidents = session.scalars(select(Incident).where(Incident.resolved_at.is_(None))).all()
            stopped = "; ".join(f"{i.element_id}: {i.cause}" for i in incidents)
        happened(sandbox, instance_id, now)
        if stopped:
            break
    return Rehearsal(
        database=sandbox,
        instance_id=instance_id,
        steps=_planned(sandbox, instance_id, calendar),
        stopped=stopped,
        ended=now,
    )


# --- the sandbox ------------------------------------------------------------------------------------------------------


def _sandbox(source: Session, start: StartArguments) -> Database:
    """A database in memory with the community's people and models, and nothing else."""
    sandbox = Database("sqlite://")
    Base.metadata.create_all(sandbox.engine)
    community_id = source.scalars(
        select(ProcessDefinition.community_id).where(ProcessDefinition.id == start.definition_id)
    ).one()
    own = [
        (Community, Community.id == community_id),
        (User, User.community_id == community_id),
        (Group, Group.community_id == community_id),
        (Membership, Membership.group_id.in_(select(Group.id).where(Group.community_id == community_id))),
        (Deployment, Deployment.community_id == community_id),
        (ProcessDefinition, ProcessDefinition.community_id == community_id),
    ]
    with sandbox.transaction() as session:
        for table, condition in own:
            columns = table.__table__.columns
            rows = source.execute(select(*columns).where(condition)).mappings().all()
            if rows:
                session.execute(insert(table), [dict(row) for row in rows])
    return sandbox


def _start(session: Session, start: StartArguments, now: datetime) -> ProcessInstance:
    definition = session.get_one(ProcessDefinition, start.definition_id)
    community_id = definition.community_id
    return process_instances.start(
        session,
        definition,
        now=now,
        actor=None,
        title=start.title,
        data=start.data,
        facts=start.facts,
        roles=start.roles,
        owner=identity.user(session, community_id, start.owner) if start.owner else None,
        owner_group=identity.group(session, community_id, start.owner_group) if start.owner_group else None,
    )


def _handlers(
    session: Session, instance: ProcessInstance, functions: Mapping[str, service_tasks.Function]
) -> dict[str, jobs.Handler]:
    """What does the jobs that move cases: messages, signals and service tasks. Mails are the observers' matter."""
    topics = deployments.compiled(session, instance).specification.topics
    known = {topic: functions.get(topic, lambda session, call: {}) for topic in topics}
    return {**messages.handlers(), **service_tasks.handlers(known)}


def _do_jobs(sandbox: Database, handlers: Mapping[str, jobs.Handler], now: datetime) -> None:
    for _ in range(MAX_ACTS):
        if not jobs.run_one(sandbox, handlers, now):
            return


def _message_comes(sandbox: Database, instance_id: int, now: datetime) -> bool:
    """Nothing else happens: let the message or signal come that the case has waited for longest, if any."""
    with sandbox.transaction() as session:
        query = select(EventSubscription).where(EventSubscription.instance_id == instance_id)
        waits = session.scalars(query.order_by(EventSubscription.id).limit(1)).first()
        if waits is None:
            return False
        thrown = Thrown(kind=waits.kind, name=waits.name, correlation=waits.correlation, payload={})
        outgoing.post(session, waits.community_id, thrown, now=now)
    return True


def _next_act(
    sandbox: Database, instance_id: int, now: datetime, calendar: Calendar
) -> tuple[datetime, int | None] | None:
    """The next thing that happens: someone answers on the due date, or a timer is due."""
    with sandbox.reading() as session:
        instance = session.get_one(ProcessInstance, instance_id)
        if instance.state != "active":
            return None
        tasks = session.scalars(
            select(UserTask).where(UserTask.instance_id == instance_id, UserTask.state == "open")
        ).all()
        acts: list[tuple[datetime, int | None]] = [(_acting_moment(t, now, calendar), t.id) for t in tasks]
        if instance.wake_at is not None:
            acts.append((max(now, instance.wake_at), None))
    return min(acts, key=lambda act: (act[0], act[1] or 0), default=None)


def _acting_moment(task: UserTask, now: datetime, calendar: Calendar) -> datetime:
    if task.due_date is not None:
        return max(now, calendar.at(task.due_date, ACTING_TIME))
    # Nothing says when: the next working day.
    opened = calendar.local_date(task.opened_at)
    return max(now, calendar.at(calendar.working_days_after(opened, 1), ACTING_TIME))


def _answer(session: Session, task_id: int, scenario: Scenario, now: datetime) -> None:
    task = session.get_one(UserTask, task_id)
    element = deployments.element(session, task.instance, task.step)
    answers = scenario(task.step, element)
    user_tasks.answer_unchecked(session, task_id, answers if answers is not None else plan_outcome(element), now=now)


def plan_outcome(element: UserTaskElement) -> dict[str, Any]:
    """The answers that take the model's main path."""
    pairs = (part.partition("=") for part in element.properties.get("planOutcome", "").split(";"))
    return {name.strip(): _literal(value.strip()) for name, sign, value in pairs if sign}


def _literal(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


# --- reading the plan -------------------------------------------------------------------------------------------------


def _planned(sandbox: Database, instance_id: int, calendar: Calendar) -> tuple[PlannedStep, ...]:
    with sandbox.reading() as session:
        instance = session.get_one(ProcessInstance, instance_id)
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
