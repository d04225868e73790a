"""Cases: started, woken by time, moved by facts, cancelled. What an owner does beside is in `standing` and `mending`.

Every act here holds the case's row for the whole transaction, so one act at a time happens to a case.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import ScalarSelect, Select, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from engine import deployments, hand_dates, history, identity, incidents, jobs, outgoing, steps, undo
from engine.bpmn.execution import Execution, Place
from engine.database import MomentQuery, announce
from engine.errors import ElementFailed, InvalidInput, NotFound, NotOpen, Stale
from engine.model import (
    Community,
    Group,
    Incident,
    ProcessDefinition,
    ProcessInstance,
    Step,
    User,
    UserTask,
)

#: Changes the live state; repeated from the saved state when an automatic element fails afterwards.
Act = Callable[[Execution], None]
#: More steps than this without anybody to ask is a loop.
MAX_SETTLINGS = 1_000
#: A running case that waits for time. The state stands in the text, so that the index of just these is always used.
_WAITING = (
    ProcessInstance.wake_at.is_not(None),
    ProcessInstance.state == literal("active", literal_execute=True),
)


def start(
    session: Session,
    definition: ProcessDefinition,
    *,
    now: datetime,
    actor: User | None,
    title: str,
    data: Mapping[str, Any] | None = None,
    facts: Mapping[str, date] | None = None,
    roles: Mapping[str, Mapping[str, str]] | None = None,
    by_hand: Mapping[str, date] | None = None,
    owner: User | None = None,
    owner_group: Group | None = None,
    idempotency_key: str | None = None,
    event: str | None = None,
    payload: Mapping[str, Any] | None = None,
) -> ProcessInstance:
    """Start a case on the definition's and its called processes' present versions.

    `by_hand` are due dates that beat what the model derives, by the step's place. A message, signal or timer that
    starts it is named by its start `event`, with what it brought. A repeated start with
    the same `idempotency_key` answers the case that the first one started. Raises InvalidInput.
    """
    if (existing := _started_before(session, definition, idempotency_key)) is not None:
        return existing
    instance = ProcessInstance(
        community_id=definition.community_id, definition_id=definition.id, title=title, started_at=now,
        started_by_id=actor.id if actor else None, owner_id=owner.id if owner else None,
        owner_group_id=owner_group.id if owner_group else None, data=dict(data or {}),
        facts={name: day.isoformat() for name, day in (facts or {}).items()},
        hand_dates={place: day.isoformat() for place, day in (by_hand or {}).items()},
        pins=deployments.pin(session, definition), idempotency_key=idempotency_key,
    )  # fmt: skip
    lanes = deployments.compiled(session, instance).roles
    instance.roles = _bind_roles(session, instance, lanes, roles or {})
    instance.rounds, instance.open_incidents, instance.history_length, instance.revision = {}, 0, 0, 1
    instance.history_hash = ""
    if (existing := _insert(session, instance, definition)) is not None:
        return existing
    with session.no_autoflush:  # one flush at the end writes each row once
        _begin(session, instance, definition, now, event, payload or {})
    return instance


def _insert(session: Session, instance: ProcessInstance, definition: ProcessDefinition) -> ProcessInstance | None:
    """Give the new case its id, which the rows around it need; answers the case that the same start made meanwhile."""
    if instance.idempotency_key is None:
        session.add(instance)
        session.flush()
        return None
    try:
        with session.begin_nested():
            session.add(instance)
            session.flush()
    except IntegrityError:
        # The same start was sent twice at once: the one that was first to commit is the case.
        if (existing := _started_before(session, definition, instance.idempotency_key)) is None:
            raise
        return existing
    return None


def _begin(
    session: Session, instance: ProcessInstance, definition: ProcessDefinition, now: datetime, event: str | None,
    payload: Mapping[str, Any],
) -> None:  # fmt: skip
    history.record(
        session, instance, "started", now=now, actor_id=instance.started_by_id, process=definition.key,
        version=definition.version, facts=instance.facts, roles=instance.roles,
    )  # fmt: skip
    for place in instance.hand_dates:
        hand_dates.enter(session, instance, place, None, now=now, actor_id=instance.started_by_id)
    _let_see(session, instance)
    if event is not None:
        instance.state_document = _begun_by(session, instance, event, payload, now)
    _run(session, instance, now=now, act=None)


def _let_see(session: Session, instance: ProcessInstance) -> None:
    """Owner, starter and everyone bound to a role may see the case."""
    bound = instance.roles.values()
    steps.admit(
        session,
        instance,
        [instance.owner_id, instance.started_by_id, *(r["id"] for r in bound if "user" in r)],
        [instance.owner_group_id, *(r["id"] for r in bound if "group" in r)],
    )


def _started_before(
    session: Session, definition: ProcessDefinition, idempotency_key: str | None
) -> ProcessInstance | None:
    if idempotency_key is None:
        return None
    return session.scalar(
        select(ProcessInstance).where(
            ProcessInstance.community_id == definition.community_id,
            ProcessInstance.idempotency_key == idempotency_key,
        )
    )


def _bind_roles(
    session: Session, instance: ProcessInstance, lanes: Iterable[str], given: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Each lane's people: as given, else the group of the same key where there is one."""
    for role in given:
        if role not in lanes:
            raise InvalidInput(f"The process has no role {role!r}. Its roles: {', '.join(sorted(lanes))}.")
    keys = sorted(set(lanes) - given.keys())
    query = select(Group.key, Group.id).where(Group.community_id == instance.community_id, Group.key.in_(keys))
    bound: dict[str, Any] = {key: {"group": key, "id": id_} for key, id_ in session.execute(query)} if keys else {}
    for role, whom in given.items():
        found: Group | User
        if "group" in whom:
            found = identity.group(session, instance.community_id, whom["group"])
            bound[role] = {"group": found.key, "id": found.id}
        else:
            found = identity.user(session, instance.community_id, whom["user"])
            bound[role] = {"user": found.key, "id": found.id}
    return bound


def locked(session: Session, instance_id: int | ScalarSelect[int]) -> ProcessInstance:
    """The case, held until the transaction ends. Everything that changes a case starts here."""
    instance = session.scalar(_holding(instance_id))
    if instance is None:
        raise NotFound("There is no such case.")
    return instance


def _holding(instance_id: int | ScalarSelect[int]) -> Select[ProcessInstance]:
    return (
        select(ProcessInstance)
        .where(ProcessInstance.id == instance_id)
        .options(joinedload(ProcessInstance.community, innerjoin=True))
        .with_for_update(of=ProcessInstance)
        .execution_options(populate_existing=True)
    )


def require_active(instance: ProcessInstance) -> None:
    """Raises NotOpen unless the case is running."""
    if instance.state == "active":
        return
    remedy = "nothing can be done in it any more."
    if instance.state == "suspended":
        remedy = "it takes acts again when its owner resumes it."
    raise NotOpen(
        f"The case {instance.title!r} is {instance.state}; {remedy}", case=instance.public_id, state=instance.state,
        **history.last_act(instance),
    )  # fmt: skip


def next_wake(session: Session) -> datetime | None:
    """When the next timer of any case is due."""
    return session.scalar(moments()[0])


def moments() -> tuple[MomentQuery, ...]:
    """When the next timer of any case is due, as a query that reads the head of an index."""
    return (select(ProcessInstance.wake_at).where(*_WAITING).order_by(ProcessInstance.wake_at).limit(1),)


def take_due(session: Session, now: datetime) -> ProcessInstance | None:
    """The case whose timer has waited longest, held until the transaction ends.

    Any number of workers may call this at once: each passes over cases that are held, by another worker or a person.
    """
    due = select(ProcessInstance.id).where(*_WAITING, ProcessInstance.wake_at <= now).order_by(ProcessInstance.wake_at)
    first = due.limit(1).with_for_update(skip_locked=True).scalar_subquery()
    return session.scalar(_holding(first))


def wake(session: Session, instance_id: int, *, now: datetime) -> bool:
    """Let the case's due timers fire; answers whether anything was due. Safe to repeat and to race."""
    instance = locked(session, instance_id)
    if instance.state != "active" or instance.wake_at is None or instance.wake_at > now:
        return False
    fire(session, instance, now=now)
    return True


def fire(session: Session, instance: ProcessInstance, *, now: datetime) -> None:
    """Let the due timers of a case fire, which the caller holds."""
    run(session, instance, now=now, act=lambda execution: steps.close_late_rows(session, instance, execution, now=now))


def stand_still(session: Session, instance_id: int, cause: str, *, now: datetime) -> None:
    """A case that can't be woken at all stands, with an incident, instead of being tried for ever."""
    instance = locked(session, instance_id)
    if instance.state == "active" and instance.wake_at is not None and instance.wake_at <= now:
        instance.wake_at = None  # retrying the incident derives it again
        incidents.open_at(session, instance, ElementFailed(call_path="", element_id="", cause=cause), now=now)
        touch(session, instance, now=now)


def set_facts(
    session: Session,
    instance: ProcessInstance,
    facts: Mapping[str, date],
    *,
    now: datetime,
    actor_id: int | None,
    reason: str | None = None,
) -> None:
    """Move dates: everything that is derived from them follows in this transaction; what is set by hand stays.

    Raises InvalidInput where a date or timer can't be derived from them.
    """
    require_active(instance)
    before = {name: instance.facts.get(name) for name in facts}
    instance.facts = {**instance.facts, **{name: day.isoformat() for name, day in facts.items()}}
    new = {name: instance.facts[name] for name in facts}
    behalf_of = identity.in_the_owners_place(session, actor_id, instance)
    history.record(
        session, instance, "facts-set", now=now, actor_id=actor_id, on_behalf_of_id=behalf_of, note=reason, old=before,
        new=new,
    )  # fmt: skip
    run(session, instance, now=now, act=refusing(rederiving(session, instance)))


def answer_facts(
    session: Session,
    instance: ProcessInstance,
    step: Step,
    facts: Mapping[str, date],
    *,
    now: datetime,
    actor_id: int | None,
) -> None:
    """Dates that an answer sets, under the names they have where the step's calls bind them."""
    execution = execution_of(session, instance, now)
    named = {execution.root_fact(step.token, name): day for name, day in facts.items()}
    old = {name: instance.facts.get(name) for name in named}
    new = {name: day.isoformat() for name, day in named.items()}
    instance.facts = {**instance.facts, **new}
    history.record(session, instance, "facts-set", now=now, actor_id=actor_id, old=old, new=new)
    run(session, instance, now=now, act=refusing(rederiving(session, instance)))


def names_read(session: Session, instance: ProcessInstance) -> frozenset[str]:
    """The names that the case's expressions read: the only answers that become process variables."""
    return deployments.compiled(session, instance).names_read


def rederiving(session: Session, instance: ProcessInstance) -> Act:
    """Lets every timer and due date that hangs on facts follow them; what is set by hand stays."""
    return lambda execution: _rederive(session, instance, execution)


def refusing(act: Act) -> Act:
    """Refuses what `act` can't do: an incident would take open tasks away from people over a value just given."""

    def guarded(execution: Execution) -> None:
        try:
            act(execution)
        except ElementFailed as failure:
            raise InvalidInput(failure.cause, element=failure.element_id) from failure

    return guarded


def _rederive(session: Session, instance: ProcessInstance, execution: Execution) -> None:
    execution.rederive_timers()
    open_steps = steps.open_steps(session, instance)
    for waiting in execution.waiting():
        if (step := open_steps.get(waiting.token)) is None:
            continue
        for task in steps.open_tasks(session, step):
            if not task.due_by_hand:
                move_due_date(task, steps.due_date(execution, waiting, task.item_data or task.item))
        step.due_date = latest_due(session, step)
    steps.set_deadlines(execution, open_steps.values())


def move_due_date(task: UserTask, day: date | None) -> None:
    """Give a task another due date; a new generation, so that mails about it go out again once."""
    if day != task.due_date:
        task.due_date = day
        task.due_generation += 1
        task.revision += 1


def latest_due(session: Session, step: Step) -> date | None:
    """The latest due date among the step's open tasks."""
    return max((t.due_date for t in steps.open_tasks(session, step) if t.due_date), default=None)


def follow_rows(session: Session, instance: ProcessInstance, step: Step, latest: date | None, *, now: datetime) -> None:
    """A row of the step was answered, or opened again; `latest` is when the open ones are due, and so the step."""
    if latest == step.due_date:
        touch(session, instance, now=now)
        return
    step.due_date = latest
    run(session, instance, now=now, act=None)


def cancel(session: Session, instance: ProcessInstance, *, now: datetime, actor_id: int | None, reason: str) -> None:
    """End the case; open tasks are withdrawn. The state is kept for reopening. Raises InvalidInput."""
    if instance.state != "suspended":
        require_active(instance)
    if not reason.strip():
        raise InvalidInput("Say why the case is cancelled; the reason is kept in its history.")
    for step in steps.open_steps(session, instance).values():
        steps.end_step(session, instance, step, "withdrawn", now=now)
    history.record(session, instance, "cancelled", now=now, actor_id=actor_id, note=reason)
    outgoing.unsubscribe(session, instance)
    _finish(session, instance, "cancelled", now)
    touch(session, instance, now=now)


def require_revision(instance: ProcessInstance, revision: int | None) -> None:
    """Raises Stale when the caller looked at an older case; None means the caller did not look."""
    if revision is not None and revision != instance.revision:
        raise Stale(
            "The case has changed since you opened the page. Look at it again, then decide.", case=instance.public_id,
            revision=instance.revision, **history.last_act(instance),
        )  # fmt: skip


# --- the one way a case moves -----------------------------------------------------------------------------------------


def run(
    session: Session,
    instance: ProcessInstance,
    *,
    now: datetime,
    act: Act | None,
    retried: Incident | None = None,
    held: Step | None = None,
) -> bool:
    """Do `act` on the live state, let everything automatic follow, make the rows agree, save.

    Answers whether anything left the case, such as a message: that can't be undone.

    When an automatic element fails, `act` is repeated from the saved state and the case stops before that element, held
    by an Incident: what a person did is never lost. The element of `retried` is run in spite of its incident; raises
    FailsStill, before any row is touched, when it fails again. Where the caller locked a step, it is `held`.
    """
    require_active(instance)
    with session.no_autoflush:  # one flush at the end writes each row once
        return _run(session, instance, now=now, act=act, retried=retried, held=held)


def _run(
    session: Session,
    instance: ProcessInstance,
    *,
    now: datetime,
    act: Act | None,
    retried: Incident | None = None,
    held: Step | None = None,
) -> bool:
    standing = [i for i in incidents.open_incidents(session, instance) if i is not retried]
    parked: frozenset[Place] = frozenset(map(incidents.place, standing))
    failures: list[ElementFailed] = []
    while True:
        execution = _execution(session, instance, now, parked)
        opened = steps.Opened(session, instance, execution, held)
        try:
            if act is not None:
                act(execution)
            row_closes = _settle(session, instance, execution, opened, now)
            break
        except ElementFailed as failure:
            place = incidents.place(failure)
            if retried is not None and place == incidents.place(retried):
                raise incidents.FailsStill(failure) from failure
            if place in parked:
                raise
            parked |= {place}
            failure.seen = failure.seen or incidents.variables_around(execution, failure)
            failures.append(failure)
    for failed in failures:
        incidents.open_at(session, instance, failed, now=now)
    if standing:
        incidents.resolve_gone(session, instance, incidents.call_paths(execution), now=now)
    _save(session, instance, execution, row_closes, now)
    return bool(execution.thrown)


def _execution(session: Session, instance: ProcessInstance, now: datetime, parked: frozenset[Place]) -> Execution:
    compiled = deployments.compiled(session, instance)
    calendar = identity.calendar_of(session.get_one(Community, instance.community_id))
    context: dict[str, Any] = {"facts": instance.facts, "calendar": calendar, "now": now, "parked": parked}
    if instance.state_document is None:
        execution = Execution.start(compiled.specification, _variables(compiled, instance), **context)
    else:
        execution = Execution.restore(compiled.specification, instance.state_document, **context)
    execution.outputs = lambda token: _silent_output(session, instance, execution, token)
    return execution


def _begun_by(
    session: Session, instance: ProcessInstance, event: str, payload: Mapping[str, Any], now: datetime
) -> bytes:
    """The state of a case whose only token stands at the start event that came."""
    compiled = deployments.compiled(session, instance)
    execution = Execution.start(
        compiled.specification, _variables(compiled, instance), event=event, payload=payload, facts=instance.facts,
        calendar=identity.calendar_of(session.get_one(Community, instance.community_id)), now=now,
    )  # fmt: skip
    return execution.save()


def execution_of(session: Session, instance: ProcessInstance, now: datetime) -> Execution:
    """The live state, to be looked at; what is done with it is not kept."""
    return _execution(
        session, instance, now, frozenset(map(incidents.place, incidents.open_incidents(session, instance)))
    )


def _variables(compiled: deployments.Compiled, instance: ProcessInstance) -> dict[str, Any]:
    """Of the start data, what the model's expressions read."""
    return {name: value for name, value in instance.data.items() if name in compiled.names_read}


def _silent_output(session: Session, instance: ProcessInstance, execution: Execution, token: str) -> dict[str, Any]:
    # A case that was reopened has an older step of the same token.
    query = select(Step).where(Step.instance_id == instance.id, Step.token == token).order_by(Step.id.desc())
    step = session.scalars(query.limit(1)).first()
    return steps.output_of(execution, step) if step is not None else {}


def _settle(
    session: Session, instance: ProcessInstance, execution: Execution, opened: steps.Opened, now: datetime
) -> datetime | None:
    """Let everything automatic follow; answers when the next row of a step closes before its step."""
    for _ in range(MAX_SETTLINGS):
        execution.advance()
        try:
            return steps.synchronise(session, instance, execution, opened, now=now)
        except steps.NothingToAsk as nobody:
            last = nobody.waiting
    cause = "the model loops through steps that ask nobody"
    raise ElementFailed(call_path=last.call_path, element_id=last.element.id, cause=cause)


def _save(
    session: Session, instance: ProcessInstance, execution: Execution, row_closes: datetime | None, now: datetime
) -> None:
    if execution.completed:
        history.record(session, instance, "completed", now=now)
        undo.keep_end(instance)
        _finish(session, instance, "completed", now)
        instance.state_document = None
    else:
        moments = (execution.next_wake(), row_closes)
        instance.wake_at = min((moment for moment in moments if moment is not None), default=None)
        instance.state_document = execution.save()
        if instance.wake_at is not None:
            announce(session, jobs.LANE, instance.wake_at)
    outgoing.hand_over(session, instance, execution, now=now)
    touch(session, instance, now=now)


def _finish(session: Session, instance: ProcessInstance, state: str, now: datetime) -> None:
    instance.state, instance.ended_at, instance.wake_at = state, now, None
    incidents.resolve_gone(session, instance, None, now=now)


def touch(session: Session, instance: ProcessInstance, *, now: datetime) -> None:
    """Count the act, and ask for the mails to be reconciled once it is committed."""
    instance.revision += 1
    jobs.enqueue(
        session, "reconcile", run_at=now, instance_id=instance.id,
        unique_key=f"reconcile:{instance.id}:{instance.revision}",
    )  # fmt: skip
