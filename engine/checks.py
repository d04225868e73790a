"""Proof that nothing is lost or doubled: what must hold in every database, looked at by rows and live states.

Reads only. Cases are gone through a few at a time, each few as they were at one moment, so the check may run beside
working processes and on any number of cases.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Select, case, exists, func, select, text
from sqlalchemy.orm import Session

from engine import history, incidents, process_instances
from engine.bpmn.execution import Execution
from engine.database import Database
from engine.jobs import LEASE
from engine.model import (
    EventSubscription,
    HistoryEvent,
    Incident,
    Job,
    ProcessInstance,
    Step,
    UserTask,
    WorkerHeartbeat,
)
from engine.steps import OPEN_TASK

#: Cases looked at in one moment.
CASES_AT_ONCE = 100
#: Events of a history read at a time.
EVENTS_AT_ONCE = 500
#: A worker that is alive does what is due within a turn of the clock; this leaves room for many turns.
PATIENCE = timedelta(minutes=5)
#: A lease that ran out so long ago was never taken over.
FORGOTTEN = timedelta(hours=1)
RUNNING = ("active", "suspended")
_ENDED = ("completed", "cancelled")

_RESUME = "`avtaleflyt case suspend {case}` and `avtaleflyt case resume {case}` make its rows agree with its state."
_COMPARE = "Somebody has changed rows by hand, or it is a fault of ours: compare with the latest back-up."
_LIVES = "Let it come to its end; the check without `--ended` takes no offence at what still goes on."
_WORKER = "See the worker's log. While a worker catches up after a standstill, check again later."


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that must hold and does not."""

    #: Names what was broken, for programs.
    rule: str
    #: Public id of the case it is about.
    case: str | None
    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """What waits for a worker now."""

    timers: int
    starts: int
    jobs: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.timers + self.starts + self.jobs


def faults(database: Database, *, now: datetime) -> Iterator[Fault]:
    """Everything of the engine's that does not hold."""
    with database.snapshot() as session:
        yield from _orphans(session)
        yield from _counters(session)
        yield from _open_work(session)
        yield from _ended_cases(session)
        yield from _undone(session, last_work(session))
    last = 0
    while True:
        with database.snapshot() as session:
            query = select(ProcessInstance).where(ProcessInstance.id > last).order_by(ProcessInstance.id)
            cases = session.scalars(query.limit(CASES_AT_ONCE)).all()
            for instance in cases:
                yield from _case(session, instance, now)
        if not cases:
            return
        last = cases[-1].id


def last_work(session: Session) -> datetime | None:
    """When a worker last took a job, or was seen after it had had time to catch up; None before the first."""
    taken = session.scalar(select(func.max(Job.lease_until)))
    beats = session.execute(select(WorkerHeartbeat.started_at, WorkerHeartbeat.seen_at))
    moments = [seen for started, seen in beats if seen >= started + PATIENCE]
    return max([*moments, *([taken - LEASE] if taken is not None else [])], default=None)


def overdue(session: Session, *, now: datetime) -> Overdue:
    """How much waits for a worker."""
    return Overdue(
        timers=_count(session, _due_timers(now)), starts=_count(session, _due_starts(now)),
        jobs=_count(session, _due_jobs(now)),
    )  # fmt: skip


def _count(session: Session, query: Select[str | None] | Select[int]) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def unended(session: Session) -> Iterator[Fault]:
    """What is left to do: nothing should be, once everything has ended."""
    running = select(ProcessInstance.public_id, ProcessInstance.state).where(ProcessInstance.state.in_(RUNNING))
    for case_id, state in session.execute(running):
        yield Fault(rule="not-ended", case=case_id, what=f"The case is {state}", remedy=_LIVES)
    undone = select(Job.id, Job.kind, Job.state).where(Job.state.not_in(("done", "dropped")))
    for job_id, kind, state in session.execute(undone):
        yield Fault(rule="not-ended", case=None, what=f"Job {job_id} ({kind}) is {state}", remedy=_LIVES)


# --- rows among themselves --------------------------------------------------------------------------------------------


def _orphans(session: Session) -> Iterator[Fault]:
    """Every row belongs to a case that is there, and to the same one as the row it hangs on."""
    if session.get_bind().dialect.name == "sqlite":
        # PostgreSQL never lets go of this rule; a SQLite file may have been written to without it.
        for table, row_id, parent, _key in session.execute(text("PRAGMA foreign_key_check")):
            what = f"Row {row_id} of {table} belongs to a {parent} that does not exist"
            yield Fault(rule="orphan", case=None, what=what, remedy=_COMPARE)
    for column, parent in ((UserTask.step_id, Step), (HistoryEvent.task_id, UserTask)):
        child = column.class_
        query = (
            select(ProcessInstance.public_id, child.id)
            .join(child, child.instance_id == ProcessInstance.id)
            .join(parent, parent.id == column)
            .where(parent.instance_id != child.instance_id)
        )
        for case_id, row_id in session.execute(query):
            what = f"Row {row_id} of {child.__tablename__} hangs on a {parent.__tablename__} of another case"
            yield Fault(rule="orphan", case=case_id, what=what, remedy=_COMPARE)


def _counters(session: Session) -> Iterator[Fault]:
    """Steps count their tasks, and cases their open incidents."""
    # One who was taken out of a survey is not counted any more.
    removed = exists().where(
        HistoryEvent.instance_id == UserTask.instance_id, HistoryEvent.task_id == UserTask.id,
        HistoryEvent.kind == "party-removed",
    )  # fmt: skip
    not_asked = UserTask.id.is_(None) | ((UserTask.state == "withdrawn") & removed)
    asked = func.sum(case((not_asked, 0), else_=1))
    answered = func.sum(case((UserTask.state == "completed", 1), else_=0))
    query = (
        select(ProcessInstance.public_id, Step.element_id, Step.total, Step.completed, asked, answered)
        .join(Step, Step.instance_id == ProcessInstance.id)
        .outerjoin(UserTask, UserTask.step_id == Step.id)
        .group_by(Step.id, ProcessInstance.public_id, Step.element_id, Step.total, Step.completed)
        .having((asked != Step.total) | (answered != Step.completed))
    )
    for case_id, element, total, completed, is_asked, has_answered in session.execute(query):
        what = f"{element} says {completed} of {total} have answered; its tasks say {has_answered} of {is_asked}"
        yield Fault(rule="step-counters", case=case_id, what=what, remedy=_COMPARE)
    yield from _incident_counters(session)


def _incident_counters(session: Session) -> Iterator[Fault]:
    unresolved = (
        select(func.count())
        .where(Incident.instance_id == ProcessInstance.id, Incident.resolved_at.is_(None))
        .scalar_subquery()
    )
    query = select(ProcessInstance.public_id, ProcessInstance.open_incidents, unresolved)
    for case_id, said, found in session.execute(query.where(ProcessInstance.open_incidents != unresolved)):
        what = f"The case says that {said} incidents are open; there are {found}"
        yield Fault(rule="incident-counter", case=case_id, what=what, remedy=_COMPARE)


def _open_work(session: Session) -> Iterator[Fault]:
    """Open tasks belong to open steps of running cases, and an open step has somebody to answer."""
    is_open = UserTask.state.in_(OPEN_TASK)
    stray = (
        select(ProcessInstance.public_id, UserTask.public_id, UserTask.name)
        .join(UserTask, UserTask.instance_id == ProcessInstance.id)
        .join(Step, Step.id == UserTask.step_id)
        .where(is_open, (Step.state != "open") | ProcessInstance.state.not_in(RUNNING))
    )
    for case_id, task, name in session.execute(stray):
        what = f"The task {task} ({name}) is open, but its step or case has ended"
        yield Fault(rule="stray-task", case=case_id, what=what, remedy=_COMPARE)
    hollow = (
        select(ProcessInstance.public_id, Step.element_id)
        .join(Step, Step.instance_id == ProcessInstance.id)
        .where(Step.state == "open", ~exists().where(UserTask.step_id == Step.id, is_open))
    )
    for case_id, element in session.execute(hollow):
        what = f"{element} waits, but nobody has an open task in it"
        yield Fault(rule="nobody-asked", case=case_id, what=what, remedy=_COMPARE)


def _ended_cases(session: Session) -> Iterator[Fault]:
    """An ended case waits for nothing, and its columns say that it has ended."""
    ended = ProcessInstance.state.in_(_ENDED)
    waits = (
        exists().where(Step.instance_id == ProcessInstance.id, Step.state == "open")
        | exists().where(EventSubscription.instance_id == ProcessInstance.id)
        | exists().where(Incident.instance_id == ProcessInstance.id, Incident.resolved_at.is_(None))
        | ProcessInstance.wake_at.is_not(None)
        | ProcessInstance.ended_at.is_(None)
    )
    runs_on = ProcessInstance.state.in_(RUNNING) & ProcessInstance.ended_at.is_not(None)
    for case_id, state in session.execute(
        select(ProcessInstance.public_id, ProcessInstance.state).where((ended & waits) | runs_on)
    ):
        what = f"The case is {state}, but something in it still waits, or its end is not told"
        yield Fault(rule="case-end", case=case_id, what=what, remedy=_COMPARE)


# --- what a living worker would have done -----------------------------------------------------------------------------


def _undone(session: Session, worked: datetime | None) -> Iterator[Fault]:
    """What was due long before a worker last worked, and was not done."""
    if worked is None:
        return
    before = worked - PATIENCE
    for case_id in session.scalars(_due_timers(before)):
        yield Fault(rule="timer-overdue", case=case_id, what="A timer is due and was not fired", remedy=_WORKER)
    for name in session.scalars(_due_starts(before)):
        what = f"The timer that starts {name} is due and was not fired"
        yield Fault(rule="timer-overdue", case=None, what=what, remedy=_WORKER)
    for job_id in session.scalars(_due_jobs(before)):
        yield Fault(rule="job-overdue", case=None, what=f"Job {job_id} is due and was not done", remedy=_WORKER)
    stuck = select(Job.id).where(Job.state == "leased", Job.lease_until < worked - FORGOTTEN)
    for job_id in session.scalars(stuck):
        what = f"Job {job_id} was taken by a worker that never finished it, and no other took it over"
        yield Fault(rule="job-stuck", case=None, what=what, remedy=_WORKER)


def _due_timers(moment: datetime) -> Select[str]:
    due = (ProcessInstance.state == "active") & (ProcessInstance.wake_at <= moment)
    return select(ProcessInstance.public_id).where(due)


def _due_starts(moment: datetime) -> Select[str]:
    return select(EventSubscription.token).where(EventSubscription.due_at <= moment)


def _due_jobs(moment: datetime) -> Select[int]:
    return select(Job.id).where(Job.state == "queued", Job.run_at <= moment)


# --- one case ---------------------------------------------------------------------------------------------------------


def _case(session: Session, instance: ProcessInstance, now: datetime) -> Iterator[Fault]:
    yield from _history(session, instance)
    if instance.state in RUNNING:
        yield from _live_state(session, instance, now)


def _history(session: Session, instance: ProcessInstance) -> Iterator[Fault]:
    query = select(HistoryEvent).where(HistoryEvent.instance_id == instance.id).order_by(HistoryEvent.sequence)
    told = _Told()
    with session.scalars(query.execution_options(yield_per=EVENTS_AT_ONCE)) as events:
        broken = history.broken_at(instance, told.of(events))
    if broken is not None:
        what = f"The history does not hold from event {broken} on: it was changed, or events are missing"
        yield Fault(rule="history-chain", case=instance.public_id, what=what, remedy=_COMPARE)
        return
    steps = session.scalars(select(Step).where(Step.instance_id == instance.id)).all()
    for rule, what in (*_told_of_case(instance, told), *_told_of_steps(steps, told)):
        yield Fault(rule=rule, case=instance.public_id, what=what, remedy=_COMPARE)


@dataclass
class _Told:
    """What a history says happened, counted while it is read."""

    kinds: Counter[str] = field(default_factory=Counter)
    #: Step -> how often it ended.
    ends: Counter[int] = field(default_factory=Counter)

    def of(self, events: Iterable[HistoryEvent]) -> Iterator[HistoryEvent]:
        """The same events."""
        for event in events:
            self.kinds[event.kind] += 1
            if event.kind.startswith("step-") and "step" in event.data:
                self.ends[event.data["step"]] += 1
            yield event


def _told_of_case(instance: ProcessInstance, told: _Told) -> Iterator[tuple[str, str]]:
    """A case starts once, and ends once for each time that it was brought back."""
    if told.kinds["started"] != 1:
        yield "started-once", f"The history says that it was started {told.kinds['started']} times"
    ends = told.kinds["completed"] + told.kinds["cancelled"]
    if ends > 1 + told.kinds["reopened"] + told.kinds["taken-back"]:
        yield "ended-once", f"The history says that it ended {ends} times"
    if instance.state in _ENDED and not told.kinds[instance.state]:
        yield "ended-once", f"It is {instance.state}, and the history does not say so"


def _told_of_steps(steps: Sequence[Step], told: _Told) -> Iterator[tuple[str, str]]:
    """A step opens once, and ends once unless an answer was taken back: no timer and no answer counts twice."""
    if told.kinds["step-opened"] != len(steps):
        opened = told.kinds["step-opened"]
        yield "step-once", f"The history says that {opened} steps were opened; there are {len(steps)}"
    most = 1 + told.kinds["taken-back"]
    for step in steps:
        if not (0 if step.state == "open" else 1) <= told.ends[step.id] <= most:
            ends = told.ends[step.id]
            yield "step-once", f"{step.element_id} is {step.state}; the history says that it ended {ends} times"


def _live_state(session: Session, instance: ProcessInstance, now: datetime) -> Iterator[Fault]:
    execution, why = _restored(session, instance, now)
    if execution is None:
        remedy = "Run the version of the program that saved it, or restore the latest back-up."
        what = f"The live state can't be read: {why}"
        yield Fault(rule="state-unreadable", case=instance.public_id, what=what, remedy=remedy)
        return
    opened = list(session.scalars(select(Step).where(Step.instance_id == instance.id, Step.state == "open")))
    remedy = _RESUME.format(case=instance.public_id)
    for rule, what in (
        *_steps_and_tokens(execution, opened),
        *_wakes(session, instance, execution, opened),
        *_subscribed(session, instance, execution),
    ):
        yield Fault(rule=rule, case=instance.public_id, what=what, remedy=remedy)


def _restored(session: Session, instance: ProcessInstance, now: datetime) -> tuple[Execution | None, str]:
    if instance.state_document is None:
        return None, "there is none"
    try:
        return process_instances.execution_of(session, instance, now), ""
    except Exception as error:  # whatever reading raises is what is looked for here
        return None, f"{type(error).__name__}: {error}"


def _steps_and_tokens(execution: Execution, opened: list[Step]) -> Iterator[tuple[str, str]]:
    """Every user task that waits is an open step, and the other way round."""
    waiting = {w.token: w.element.id for w in execution.waiting()}
    known = {step.token: step.element_id for step in opened}
    for token, element in waiting.items():
        if token not in known:
            yield "step-missing", f"{element} waits, but has no open step"
    held_up = {w.token for w in execution.waiting(even_parked=True)}
    for token, element in known.items():
        if token not in held_up:
            yield "step-stray", f"{element} has an open step, but does not wait"


def _wakes(
    session: Session, instance: ProcessInstance, execution: Execution, opened: list[Step]
) -> Iterator[tuple[str, str]]:
    """The case wakes when its earliest timer is due, or the next row of a closing step closes."""
    if any(i.element_id == "" for i in incidents.open_incidents(session, instance)):
        return  # it could not be woken at all; retrying its incident derives the moment
    closing = [step for step in opened if step.closes and step.total > 1]
    moments = [execution.next_wake(), *(_row_closes(session, step, execution) for step in closing)]
    wanted = min((moment for moment in moments if moment is not None), default=None)
    wakes = instance.wake_at
    # The row that closed first may have been answered: the case then wakes for nothing, which does no harm.
    early = wakes is not None and (wanted is None or wakes < wanted) and closing
    if wakes != wanted and not early:
        yield "wake", f"The case wakes at {_said(wakes)}; its earliest timer is due at {_said(wanted)}"


def _row_closes(session: Session, step: Step, execution: Execution) -> datetime | None:
    query = select(func.min(UserTask.due_date)).where(UserTask.step_id == step.id, UserTask.state.in_(OPEN_TASK))
    first = session.scalar(query)
    early = first is not None and step.due_date is not None and first < step.due_date
    return execution.calendar.end_of_day(first) if first is not None and early else None


def _said(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else "no time"


def _subscribed(session: Session, instance: ProcessInstance, execution: Execution) -> Iterator[tuple[str, str]]:
    """The rows by which messages and signals find the case are what it waits for."""
    columns = (EventSubscription.kind, EventSubscription.name, EventSubscription.correlation, EventSubscription.token)
    rows = session.execute(select(*columns).where(EventSubscription.instance_id == instance.id))
    found, wanted = {tuple(row) for row in rows}, set(execution.subscriptions())
    for kind, name, *_ in sorted(wanted - found):
        yield "subscription-missing", f"The case waits for the {kind} {name}, which would not find it"
    for kind, name, *_ in sorted(found - wanted):
        yield "subscription-stray", f"The case does not wait for the {kind} {name}, which would be given to it"
