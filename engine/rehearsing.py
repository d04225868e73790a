"""A case lived in a sandbox: the real engine under a virtual clock, from its start or from where it stands now.

No second interpreter of BPMN: what a plan shows, what a move would bring and what a rehearsal tells is what the engine
did here. Everyone acts on the due date with the model's `planOutcome`, unless the scenario says otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, insert, select, text, update
from sqlalchemy.orm import Session

from engine import (
    absences,
    deployments,
    identity,
    jobs,
    messages,
    outgoing,
    process_instances,
    service_tasks,
    user_tasks,
)
from engine.bpmn.execution import Thrown
from engine.bpmn.reading import UserTaskElement
from engine.calendar import Calendar
from engine.database import Database
from engine.model import (
    Absence,
    Base,
    Community,
    Deployment,
    EventSubscription,
    Group,
    HistoryEvent,
    Incident,
    InstanceParticipant,
    Job,
    Membership,
    ProcessDefinition,
    ProcessInstance,
    Step,
    User,
    UserTask,
)

#: A rehearsal that is not over after this many acts loops.
MAX_ACTS = 2_000
#: When people act on their due date, local time: first who answers, then who approves.
ACTING_TIME = time(12, 0)
APPROVING_TIME = time(13, 0)

#: Something that looks on: told before an act that time has passed until a moment, and after it that it happened.
Observer = Callable[[Database, int, datetime], None]
#: A table with the rows of it that a sandbox needs.
Copied = tuple[type[Base], ColumnElement[bool]]
#: What is done to the copy before it lives on.
Change = Callable[[Session, ProcessInstance], None]


def _main_path(step: Step, element: UserTaskElement) -> Mapping[str, Any] | None:
    """Nobody answers otherwise than the model's main path."""


def _everyone_acts(task: UserTask) -> bool:
    return False


def _on_the_day(task: UserTask) -> int:
    return 0


def _nothing(database: Database, instance_id: int, now: datetime) -> None:
    """Nobody looks on."""


def _no_change(session: Session, instance: ProcessInstance) -> None:
    """The case lives on as it is."""


@dataclass(frozen=True, kw_only=True)
class _Act:
    """What happens next: when, and what it does in its transaction."""

    at: datetime
    does: Callable[[Session], object]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How people act: by default everyone on the due date, along the main path."""

    #: Answers of a step, by element and round; None leaves the model's planOutcome.
    answers: Callable[[Step, UserTaskElement], Mapping[str, Any] | None] = _main_path
    #: Tasks that nobody ever answers.
    silent: Callable[[UserTask], bool] = _everyone_acts
    #: Working days after the due date that a task is answered.
    late: Callable[[UserTask], int] = _on_the_day


@dataclass(frozen=True, kw_only=True)
class StartArguments:
    """What a case is started with; the same for living, planning and rehearsing."""

    definition_id: int
    title: str
    data: Mapping[str, Any]
    facts: Mapping[str, date]
    roles: Mapping[str, Mapping[str, str]]
    #: Due dates set by hand, by the step's place.
    hand_dates: Mapping[str, date] = field(default_factory=dict)
    owner_group: str | None = None
    owner: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A case lived in a sandbox, which whoever asked closes."""

    database: Database
    instance_id: int
    #: Where the case stood still, in words; empty when it reached its end, or waits for people who are silent.
    stopped: str
    ended: datetime
    #: Steps that were there when the rehearsal began, by id, with their state then.
    found: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Onlooker:
    """Who is told of time and acts: `elapsed` before each act with its moment, `happened` when it is committed."""

    elapsed: Observer = _nothing
    happened: Observer = _nothing


def rehearse(
    source: Session,
    start: StartArguments,
    *,
    now: datetime,
    also: Sequence[Copied] = (),
    scenario: Scenario = Scenario(),
    functions: Mapping[str, service_tasks.Function] | None = None,
    onlooker: Onlooker = Onlooker(),
) -> Rehearsal:
    """Live a whole case from its start at `now` in a database of its own; the source is only read.

    `also` are rows beyond the engine's own that onlookers read. Service tasks call `functions`; those that are not
    given answer nothing. A message comes when nothing else happens before it.
    """
    community_id = source.scalars(
        select(ProcessDefinition.community_id).where(ProcessDefinition.id == start.definition_id)
    ).one()
    sandbox = _sandbox(source, (*_of_community(community_id), *also))
    with sandbox.transaction() as session:
        instance_id = _start(session, start, now).id
    return _live(sandbox, instance_id, now, scenario, functions or {}, onlooker)


def continue_case(
    source: Session,
    instance_id: int,
    *,
    now: datetime,
    change: Change = _no_change,
    also: Sequence[Copied] = (),
    scenario: Scenario = Scenario(),
    functions: Mapping[str, service_tasks.Function] | None = None,
    onlooker: Onlooker = Onlooker(),
) -> Rehearsal:
    """Copy a running case, change the copy, and live it from `now` to its end; the source is only read.

    `also` are rows beyond the engine's own that functions and onlookers read. What the case has asked for and not yet
    got, such as a service, is done at once in the copy.
    """
    community_id = source.scalars(select(ProcessInstance.community_id).where(ProcessInstance.id == instance_id)).one()
    sandbox = _sandbox(source, (*_of_community(community_id), *_of_case(instance_id), *also))
    with sandbox.transaction() as session:
        session.execute(update(Job).values(state="queued", run_at=now, lease_until=None))
        change(session, process_instances.locked(session, instance_id))
    return _live(sandbox, instance_id, now, scenario, functions or {}, onlooker)


# --- living -----------------------------------------------------------------------------------------------------------


def _live(
    sandbox: Database, instance_id: int, now: datetime, scenario: Scenario,
    functions: Mapping[str, service_tasks.Function], onlooker: Onlooker,
) -> Rehearsal:  # fmt: skip
    with sandbox.reading() as session:
        instance = session.get_one(ProcessInstance, instance_id)
        calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
        handlers = _handlers(session, instance, functions)
        stood = _standstills(session).keys()  # what stands already has an owner who knows
        steps = session.execute(select(Step.id, Step.state).where(Step.instance_id == instance_id)).all()
        found = {step.id: step.state for step in steps} if instance.started_at < now else {}
        away = _absence_moments(session, calendar, now)
    with sandbox.transaction() as session:
        for moment in away:
            jobs.enqueue(session, "absence", run_at=moment, payload={"community": instance.community_id})
    _do_jobs(sandbox, handlers, now)
    onlooker.happened(sandbox, instance_id, now)
    stopped = ""
    for _ in range(MAX_ACTS):
        act = _next_act(sandbox, instance_id, now, calendar, scenario)
        if act is None and not _message_comes(sandbox, instance_id, now):
            break
        act = act or _Act(at=now, does=_wake(instance_id, now))
        if (leaves := next((moment for moment in away if now < moment <= act.at), None)) is not None:
            act = _Act(at=leaves, does=_nobody)  # the jobs below let absences begin and end
        now = act.at
        onlooker.elapsed(sandbox, instance_id, now)
        with sandbox.transaction() as session:
            act.does(session)
        _do_jobs(sandbox, handlers, now)
        with sandbox.reading() as session:
            stopped = "; ".join(text for id_, text in _standstills(session).items() if id_ not in stood)
        onlooker.happened(sandbox, instance_id, now)
        if stopped:
            break
    return Rehearsal(database=sandbox, instance_id=instance_id, stopped=stopped, ended=now, found=found)


def _standstills(session: Session) -> dict[int, str]:
    """Open incidents in words."""
    incidents = session.scalars(select(Incident).where(Incident.resolved_at.is_(None)))
    return {i.id: f"{i.element_id}: {i.cause}" for i in incidents}


def _handlers(
    session: Session, instance: ProcessInstance, functions: Mapping[str, service_tasks.Function]
) -> dict[str, jobs.Handler]:
    """What does the jobs that move cases: messages, signals and service tasks. Mails are the observers' matter."""
    topics = deployments.compiled(session, instance).specification.topics
    known = {topic: functions.get(topic, lambda session, call: {}) for topic in topics}
    return {**absences.handlers(), **messages.handlers(), **service_tasks.handlers(known)}


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
    sandbox: Database, instance_id: int, now: datetime, calendar: Calendar, scenario: Scenario
) -> _Act | None:
    """The next thing that happens: a timer is due, or someone answers or approves on the due date."""
    with sandbox.reading() as session:
        instance = session.get_one(ProcessInstance, instance_id)
        if instance.state != "active":
            return None
        waits = UserTask.state.in_(("open", "submitted"))
        tasks = session.scalars(
            select(UserTask).where(UserTask.instance_id == instance_id, waits).order_by(UserTask.id)
        ).all()
        acts = [_act_on(t, scenario, now, calendar) for t in tasks if not scenario.silent(t)]
        if instance.wake_at is not None:
            at = max(now, instance.wake_at)
            acts.insert(0, _Act(at=at, does=_wake(instance_id, at)))
    return min(acts, key=lambda act: act.at, default=None)  # of those at one moment the first


def _wake(instance_id: int, now: datetime) -> Callable[[Session], object]:
    return partial(process_instances.wake, instance_id=instance_id, now=now)


def _nobody(session: Session) -> None:
    """Time passes, and nobody does anything."""


def _act_on(task: UserTask, scenario: Scenario, now: datetime, calendar: Calendar) -> _Act:
    approving = task.state == "submitted"
    # Where nothing says when: the next working day.
    day = task.due_date or calendar.working_days_after(calendar.local_date(task.opened_at), 1)
    if task.due_date is not None and (late := scenario.late(task)):
        day = calendar.working_days_after(day, late)
    at = max(now, calendar.at(day, APPROVING_TIME if approving else ACTING_TIME))
    if approving:
        return _Act(at=at, does=partial(user_tasks.approve_unchecked, task_id=task.id, now=at))
    return _Act(at=at, does=partial(_answer, task_id=task.id, scenario=scenario, now=at))


def _absence_moments(session: Session, calendar: Calendar, now: datetime) -> Sequence[datetime]:
    """Now, and each moment from which somebody is away or back; nothing where nobody will be away."""
    query = select(Absence.starts_on, Absence.ends_on).where(Absence.state.in_(absences.COMING))
    days = {day for row in session.execute(query) for day in (row.starts_on, row.ends_on + timedelta(days=1))}
    moments = {max(now, calendar.start_of_day(day)) for day in days}
    return sorted({now, *moments}) if moments else ()


def _answer(session: Session, task_id: int, scenario: Scenario, now: datetime) -> None:
    task = session.get_one(UserTask, task_id)
    element = deployments.element(session, task.instance, task.step)
    answers = scenario.answers(task.step, element)
    user_tasks.answer_unchecked(session, task_id, answers if answers is not None else plan_outcome(element), now=now)


def plan_outcome(element: UserTaskElement) -> dict[str, Any]:
    """The answers that take the model's main path."""
    pairs = (part.partition("=") for part in element.properties.get("planOutcome", "").split(";"))
    return {name.strip(): _literal(value.strip()) for name, sign, value in pairs if sign}


def _literal(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


# --- the sandbox ------------------------------------------------------------------------------------------------------


def _of_community(community_id: int) -> tuple[Copied, ...]:
    """The community's people, who of them is away, and its models."""
    groups = select(Group.id).where(Group.community_id == community_id)
    return (
        (Community, Community.id == community_id),
        (User, User.community_id == community_id),
        (Group, Group.community_id == community_id),
        (Membership, Membership.group_id.in_(groups)),
        (Absence, Absence.community_id == community_id),
        (Deployment, Deployment.community_id == community_id),
        (ProcessDefinition, ProcessDefinition.community_id == community_id),
    )


def _of_case(instance_id: int) -> tuple[Copied, ...]:
    """One case as it stands. Its history comes along, because what is said to whom depends on it."""
    own = (InstanceParticipant, Step, UserTask, Incident, EventSubscription, HistoryEvent)
    return (
        (ProcessInstance, ProcessInstance.id == instance_id),
        *((table, table.instance_id == instance_id) for table in own),
        (Job, (Job.instance_id == instance_id) & Job.state.in_(("queued", "leased"))),
    )


def _sandbox(source: Session, copied: Sequence[Copied]) -> Database:
    """A database in memory with these rows of the source."""
    sandbox = Database("sqlite://")
    Base.metadata.create_all(sandbox.engine)
    with sandbox.transaction() as session:
        session.execute(text("PRAGMA defer_foreign_keys = ON"))  # a table's rows may name each other, in any order
        for table, condition in copied:
            rows = source.execute(select(*table.__table__.columns).where(condition)).mappings().all()
            if rows:
                session.execute(insert(table), _among_themselves(table, [dict(row) for row in rows]))
    return sandbox


def _among_themselves(table: type[Base], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, naming none of their table that is not copied: a case's mail may have left with another case's."""
    columns = table.__table__.columns
    own = [c.name for c in columns if c.nullable and any(key.column.table is c.table for key in c.foreign_keys)]
    ids = {row.get("id") for row in rows}
    return [row | {name: None for name in own if row[name] not in ids} for row in rows]


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
        by_hand=start.hand_dates,
        owner=identity.user(session, community_id, start.owner) if start.owner else None,
        owner_group=identity.group(session, community_id, start.owner_group) if start.owner_group else None,
    )
