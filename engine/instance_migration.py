"""Running cases moved to another version of their process: tried first, then done, undone while nothing has happened.

A trial is the real migration in a transaction that is rolled back, so what it says is what would happen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from engine import deployments, hand_dates, history, incidents, instance_snapshots, places, process_instances, steps
from engine.bpmn.execution import Execution, Place
from engine.bpmn.migration import Change, Migrated, Problem
from engine.bpmn.migration import migrate as migrate_state
from engine.bpmn.parsing import Specification
from engine.database import Database
from engine.errors import EngineError, InvalidInput, NotFound, NotOpen
from engine.model import Group, InstanceMigration, ProcessDefinition, ProcessInstance, Step, UserTask, new_public_id

#: What another element can take the place of.
REPLACEABLE = ("element-gone", "other-scope", "other-kind", "other-number")


class MigrationRefused(EngineError):
    """The case can't be moved to that version."""

    status = 409

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        places = ", ".join(dict.fromkeys(p.element_id for p in problems))
        super().__init__(f"The case can't be moved to that version because of {places}.")


@dataclass(frozen=True, kw_only=True)
class OpenTask:
    """A task as it waits: what a trial compares."""

    public_id: str
    element_id: str
    name: str
    item_name: str | None
    state: str
    due_date: date | None
    form_key: str | None


@dataclass(frozen=True, kw_only=True)
class Standstill:
    """An element that a case stands at because something automatic failed."""

    public_id: str
    call_path: str
    element_id: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What waits in a case: its open tasks by id, its timers, where it stands, and what else the caller looks at."""

    state: str
    tasks: Mapping[str, OpenTask]
    #: Every waiting timer and when it is due; None while its date is not known.
    timers: tuple[tuple[Place, datetime | None], ...]
    incidents: tuple[Standstill, ...]
    wake_at: datetime | None
    seen: Any


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a migration would do to a case, or why it can't be done."""

    problems: tuple[Problem, ...]
    changes: tuple[Change, ...]
    passed: tuple[str, ...]
    #: Names of the new version's roles that nobody has.
    unbound: tuple[str, ...]
    before: Picture
    after: Picture | None


#: Looks at more than the engine knows, such as planned mails.
Look = Callable[[Session, ProcessInstance], Any]


class _RolledBack(Exception):
    """Ends a trial's transaction without keeping anything."""


def running(session: Session, definition: ProcessDefinition) -> list[ProcessInstance]:
    """The cases that run on other versions of the definition's process, the oldest first."""
    query = (
        select(ProcessInstance)
        .join(ProcessDefinition, ProcessDefinition.id == ProcessInstance.definition_id)
        .where(
            ProcessInstance.community_id == definition.community_id,
            ProcessInstance.state.in_(("active", "suspended")),
            ProcessDefinition.key == definition.key,
            ProcessDefinition.id != definition.id,
        )
        .order_by(ProcessInstance.id)
        .options(defer(ProcessInstance.state_document), defer(ProcessInstance.data))
    )
    return list(session.scalars(query))


def specifications(
    session: Session, instance: ProcessInstance, to: ProcessDefinition
) -> tuple[Specification, Specification]:
    """What the case runs on, and what it would run on as the definition `to`."""
    old = deployments.compiled(session, instance)
    pinned = ProcessInstance(community_id=instance.community_id, pins=deployments.pin(session, to))
    return old.specification, deployments.compiled(session, pinned).specification


def replacements(
    session: Session, instance: ProcessInstance, to: ProcessDefinition, problem: Problem
) -> list[places.Element]:
    """The elements of the new version that can take the place of the one that `problem` is about."""
    if problem.code not in REPLACEABLE or instance.state_document is None:
        return []
    old, new = specifications(session, instance, to)
    document, place = instance.state_document, (problem.call_path, problem.element_id)

    def fits(element: places.Element) -> bool:
        left = migrate_state(document, old, new, {problem.element_id: element.id}).problems
        return all((p.call_path, p.element_id) != place or p.code not in REPLACEABLE for p in left)

    return [element for element in places.elements_at(new, problem.call_path) if fits(element)]


def attempt(
    database: Database,
    instance_id: int,
    to: int,
    *,
    now: datetime,
    mapping: Mapping[str, str] | None = None,
    look: Look = lambda session, instance: None,
) -> Trial:
    """What moving the case to the definition `to` would do. Nothing is kept."""
    result: Trial | None = None
    try:
        with database.transaction() as session:
            instance = process_instances.locked(session, instance_id)
            before = _picture(session, instance, now, look)
            try:
                moved = _switch(session, instance, session.get_one(ProcessDefinition, to), mapping or {}, now)
            except MigrationRefused as refused:
                result = Trial(problems=refused.problems, changes=(), passed=(), unbound=(), before=before, after=None)
            else:
                _run(session, instance, now)
                result = Trial(
                    problems=(), changes=moved.changes, passed=moved.passed, unbound=_unbound(session, instance),
                    before=before, after=_picture(session, instance, now, look),
                )  # fmt: skip
            raise _RolledBack
    except _RolledBack:
        pass
    assert result is not None
    return result


def migrate(
    session: Session,
    instance: ProcessInstance,
    to: ProcessDefinition,
    *,
    now: datetime,
    actor_id: int | None,
    reason: str,
    mapping: Mapping[str, str] | None = None,
) -> InstanceMigration:
    """Move a running case to another version of its process; the caller holds the case.

    Raises MigrationRefused with what stands in the way, and InvalidInput without a reason; nothing is then changed.
    """
    if not reason.strip():
        raise InvalidInput("Say why the case is moved to another version; the reason is kept in its history.")
    made = InstanceMigration(
        public_id=new_public_id(), community_id=instance.community_id, instance_id=instance.id, migrated_at=now,
        migrated_by_id=actor_id, from_definition_id=instance.definition_id, to_definition_id=to.id,
        before=instance_snapshots.take(session, instance), document_before=instance.state_document,
    )  # fmt: skip
    was = instance.definition.version
    _switch(session, instance, to, mapping or {}, now)
    history.record(
        session, instance, "migrated", now=now, actor_id=actor_id, note=reason, process=to.key, old=was,
        new=to.version, migration=made.public_id, mapping=dict(mapping or {}),
    )  # fmt: skip
    _run(session, instance, now)
    made.before = {**made.before, "length_after": instance.history_length, "revision_after": instance.revision}
    session.add(made)
    return made


def latest(session: Session, instance: ProcessInstance) -> InstanceMigration | None:
    """The case's newest migration that has not been reverted."""
    query = (
        select(InstanceMigration)
        .where(InstanceMigration.instance_id == instance.id, InstanceMigration.reverted_at.is_(None))
        .order_by(InstanceMigration.id.desc())
    )
    return session.scalars(query.limit(1)).first()


def find(session: Session, instance: ProcessInstance, public_id: str) -> InstanceMigration:
    """The case's migration of that id. Raises NotFound."""
    query = select(InstanceMigration).where(
        InstanceMigration.public_id == public_id, InstanceMigration.instance_id == instance.id
    )
    if (found := session.scalar(query)) is None:
        raise NotFound(f"The case has no migration {public_id}.")
    return found


def can_revert(instance: ProcessInstance, migration: InstanceMigration) -> bool:
    """Has nothing happened in the case since?"""
    return (
        migration.reverted_at is None
        and instance.state in ("active", "suspended")
        and instance.history_length == migration.before["length_after"]
    )


def revert(
    session: Session,
    instance: ProcessInstance,
    migration: InstanceMigration,
    *,
    now: datetime,
    actor_id: int | None,
    reason: str,
) -> None:
    """Put the case back on the version it came from, as it was. Raises NotOpen once something has happened in it."""
    if not reason.strip():
        raise InvalidInput("Say why the migration is reverted; the reason is kept in the case's history.")
    if not can_revert(instance, migration):
        raise NotOpen(
            "Something has happened in the case since it was migrated. Move it to the version you want instead."
        )
    kept = migration.before
    _require_no_time_lost(instance, now)
    instance.definition_id, instance.pins = migration.from_definition_id, kept["pins"]
    instance.roles = kept["roles"]
    instance.state_document, instance.rounds = migration.document_before, kept["rounds"]
    instance.hand_dates = kept.get("hand_dates", instance.hand_dates)
    instance_snapshots.put_back(session, instance, kept, now)
    migration.reverted_at, migration.reverted_by_id = now, actor_id
    history.record(
        session, instance, "migration-reverted", now=now, actor_id=actor_id, note=reason, migration=migration.public_id
    )
    session.flush()  # the run below reads steps as they are again
    session.refresh(instance, ["definition"])
    _run(session, instance, now)


# --- doing it ---------------------------------------------------------------------------------------------------------


def _switch(
    session: Session, instance: ProcessInstance, to: ProcessDefinition, mapping: Mapping[str, str], now: datetime
) -> Migrated:
    """Put the case on the other version as it stands; `_run` then lets everything follow."""
    if instance.state not in ("active", "suspended"):
        ended = f"The case {instance.title!r} is {instance.state}; only running cases are migrated."
        raise NotOpen(ended, why="ended", **history.last_act(instance))
    if to.community_id != instance.community_id or to.key != instance.definition.key:
        raise InvalidInput(f"The case runs {instance.definition.key}, not {to.key}.")
    if to.id == instance.definition_id:
        same = f"The case already runs version {to.version}."
        raise InvalidInput(same, why="same-version", **history.last_act(instance))
    _require_no_time_lost(instance, now)
    old, new = specifications(session, instance, to)
    assert instance.state_document is not None, "a running case has a state"
    moved = migrate_state(instance.state_document, old, new, mapping)
    if moved.document is None:
        raise MigrationRefused(moved.problems)
    read_before = process_instances.names_read(session, instance)
    instance.pins = deployments.pin(session, to)
    instance.definition_id, instance.state_document = to.id, moved.document
    instance.undo, instance.undo_document = None, None  # taking back would lead into the version before
    _rename(session, instance, mapping, now)
    session.flush()  # what is read below is the new version's
    session.refresh(instance, ["definition"])
    _bind_new_roles(session, instance)
    _tell(session, instance, process_instances.names_read(session, instance) - read_before, now)
    return moved


def _require_no_time_lost(instance: ProcessInstance, now: datetime) -> None:
    """A suspended case has timers that may not fire yet, and moving it would fire them. Raises NotOpen."""
    if instance.state == "suspended" and instance.wake_at is not None and instance.wake_at <= now:
        raise NotOpen(f"A timer of the suspended case {instance.title!r} has fallen due. Resume it first.", why="waits")


def _run(session: Session, instance: ProcessInstance, now: datetime) -> None:
    """Let the rows follow; a suspended case stays suspended."""
    state = instance.state
    instance.state = "active"
    process_instances.run(session, instance, now=now, act=lambda execution: _follow(session, instance, execution))
    if instance.state == "active":
        instance.state = state
    session.flush()  # whoever asked reads the rows


def _follow(session: Session, instance: ProcessInstance, execution: Execution) -> None:
    """Open steps say and ask what their element now says; dates set by hand stay."""
    open_steps = steps.open_steps(session, instance)
    for waiting in execution.waiting():
        if (step := open_steps.get(waiting.token)) is not None:
            steps.describe_anew(session, execution, waiting, step)
    process_instances.rederiving(session, instance)(execution)


def _bind_new_roles(session: Session, instance: ProcessInstance) -> None:
    """The new version's roles get the group of the same key, as at a start."""
    missing = deployments.compiled(session, instance).roles.keys() - instance.roles.keys()
    query = select(Group).where(Group.community_id == instance.community_id, Group.key.in_(missing))
    groups = session.scalars(query).all()
    if groups:
        instance.roles = {**instance.roles, **{g.key: {"group": g.key, "id": g.id} for g in groups}}
        steps.allow(session, instance, [], [g.id for g in groups])


def _unbound(session: Session, instance: ProcessInstance) -> tuple[str, ...]:
    """The roles whose people the new version asks, and that nobody has."""
    compiled = deployments.compiled(session, instance)
    tasks = (task for model in compiled.specification.models.values() for task in model.user_tasks.values())
    asked = {task.role for task in tasks if not task.assignee and not task.candidate_groups}
    return tuple(name or key for key, name in compiled.roles.items() if key in asked and key not in instance.roles)


def _tell(session: Session, instance: ProcessInstance, names: frozenset[str], now: datetime) -> None:
    """Give the case what the new version reads and the old one did not: of the start data, and of answers given.

    Only what is read becomes a process variable, so without this the new version would find nothing there.
    """
    if not names:
        return
    execution = process_instances.execution_of(session, instance, now)
    running = {"", *incidents.call_paths(execution)}
    told: dict[tuple[str, str], Any] = {("", n): v for n, v in instance.data.items() if n in names}
    for step, answers in _answers(session, instance):
        if step.call_path in running:
            told |= {(step.call_path, name): value for name, value in answers.items() if name in names}
    for (path, name), value in told.items():
        if name not in execution.variables(path):
            execution.set_variable(path, name, value)
    instance.state_document = execution.save()


def _answers(session: Session, instance: ProcessInstance) -> list[tuple[Step, dict[str, Any]]]:
    """What was answered in steps that ask one, the newest last."""
    query = select(UserTask).join(UserTask.step).where(
        UserTask.instance_id == instance.id, UserTask.state == "completed", UserTask.item.is_(None), Step.total == 1
    )  # fmt: skip
    answered = session.scalars(query.order_by(UserTask.completed_at, UserTask.id))
    return [(task.step, task.answers or {}) for task in answered]


def _rename(session: Session, instance: ProcessInstance, mapping: Mapping[str, str], now: datetime) -> None:
    """Rows and rounds of elements that another one replaces; what held the old one holds the case no longer."""
    for incident in incidents.open_incidents(session, instance):
        if mapping.get(incident.element_id, incident.element_id) != incident.element_id:
            incidents.resolve(instance, incident, "moved", now=now)
    for step in steps.open_steps(session, instance).values():
        step.element_id = mapping.get(step.element_id, step.element_id)
    rounds: dict[str, Any] = {}
    for place, count in instance.rounds.items():
        path, _, element_id = place.rpartition("/")
        renamed = f"{path}/{mapping.get(element_id, element_id)}"
        rounds[renamed] = max(count, rounds.get(renamed, 0))
    instance.rounds = rounds
    instance.hand_dates = {
        hand_dates.place_of(path, mapping.get(element_id, element_id)): day
        for place, day in instance.hand_dates.items()
        for path, _, element_id in [place.rpartition("/")]
    }


# --- looking ----------------------------------------------------------------------------------------------------------


def _picture(session: Session, instance: ProcessInstance, now: datetime, look: Look) -> Picture:
    session.flush()  # the rows are read below
    tasks = {
        row.public_id: OpenTask(
            public_id=row.public_id, element_id=row.step.element_id, name=row.name, item_name=row.item_name,
            state=row.state, due_date=row.due_date, form_key=row.form_key,
        )
        for row in instance_snapshots.open_rows(session, instance)
    }  # fmt: skip
    stands = tuple(
        Standstill(public_id=i.public_id, call_path=i.call_path, element_id=i.element_id, cause=i.cause)
        for i in incidents.open_incidents(session, instance)
    )
    return Picture(
        state=instance.state, tasks=tasks, timers=_timers(session, instance, now), incidents=stands,
        wake_at=instance.wake_at, seen=look(session, instance),
    )  # fmt: skip


def _timers(session: Session, instance: ProcessInstance, now: datetime) -> tuple[tuple[Place, datetime | None], ...]:
    if instance.state_document is None:
        return ()
    return tuple(process_instances.execution_of(session, instance, now).timers())
