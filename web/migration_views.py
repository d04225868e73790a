"""Cases tried on another version of their model and moved there: what pages, commands and the API have in common."""

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from engine import identity, instance_migration, places
from engine.bpmn.migration import Problem
from engine.bpmn.parsing import Specification
from engine.database import Database
from engine.errors import EngineError, InvalidInput, NotFound
from engine.identity import Person
from engine.instance_migration import OpenTask, Standstill, Trial
from engine.model import Community, ProcessDefinition, ProcessInstance
from notifications import reconciling
from notifications.settings import NotificationSettings
from web import acts
from web.pages import delivery_views
from web.pages.delivery_views import Mail

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Change(Generic[T]):
    """What something is before and after a case is moved."""

    before: T | None
    after: T | None

    @property
    def kind(self) -> str:
        """stays, changes, begins or ends."""
        if self.before == self.after:
            return "stays"
        if self.before is None:
            return "begins"
        return "ends" if self.after is None else "changes"


@dataclass(frozen=True, kw_only=True)
class Timer:
    """A timer that waits, and when it fires; None while its date is not known."""

    call_path: str
    element_id: str
    name: str
    at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Place:
    """An element of a case by name."""

    call_path: str
    element_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something else than a timer that begins, changes or ends to be waited for."""

    kind: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why a case can't be moved, and what could take the place of the element at fault."""

    problem: Problem
    name: str
    replacements: tuple[places.Element, ...]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What moving one case does, or why it can't be moved: by obstacles in the model, or refused altogether."""

    #: Of the case, when it was tried.
    revision: int
    #: The version it runs on, and the one it was tried on.
    version: int
    to: int
    refused: EngineError | None = None
    obstacles: tuple[Obstacle, ...] = ()
    tasks: tuple[Change[OpenTask], ...] = ()
    timers: tuple[Change[Timer], ...] = ()
    events: tuple[Event, ...] = ()
    mails: tuple[Change[Mail], ...] = ()
    wake: Change[datetime] = Change(before=None, after=None)
    #: Names of the tasks that the new version has behind where the case stands.
    passed: tuple[str, ...] = ()
    #: Roles of the new version that nobody has.
    unbound: tuple[str, ...] = ()
    #: Where something automatic fails in the new version.
    stops: tuple[tuple[Place, str], ...] = ()
    #: Does the case end by being moved?
    ends: bool = False

    @property
    def can_move(self) -> bool:
        """Can the case be moved as it stands?"""
        return self.refused is None and not self.obstacles


# --- trying -----------------------------------------------------------------------------------------------------------


def running(session: Session, definition: ProcessDefinition, person: Person | None) -> list[ProcessInstance]:
    """The cases on other versions that the person may move; all of them for the operator, who is nobody."""
    found = instance_migration.running(session, definition)
    return [case for case in found if person is None or identity.owns(person, case)]


def attempt(
    database: Database,
    instance: ProcessInstance,
    to: ProcessDefinition,
    *,
    now: datetime,
    settings: NotificationSettings,
    mapping: Mapping[str, str] | None = None,
) -> Tried:
    """Try the case on the version, with its planned mails; nothing is kept."""
    about: dict[str, Any] = {"revision": instance.revision, "version": instance.definition.version, "to": to.version}

    def mails(session: Session, case: ProcessInstance) -> list[Mail]:
        reconciling.reconcile(session, case.id, now=now, settings=settings)
        # Without its id: a mail that is planned anew for the same moment is the same to whoever gets it.
        return [replace(m, public_id="") for m in delivery_views.mails_of(session, case) if m.state == "planned"]

    try:
        trial = instance_migration.attempt(database, instance.id, to.id, now=now, mapping=mapping, look=mails)
    except EngineError as refused:
        return Tried(**about, refused=refused)
    with database.reading() as session:
        case, target = session.get_one(ProcessInstance, instance.id), session.get_one(ProcessDefinition, to.id)
        old, new = instance_migration.specifications(session, case, target)
        if trial.problems:
            obstacles = tuple(_obstacle(session, case, target, problem, old) for problem in trial.problems)
            return Tried(**about, obstacles=obstacles)
    return Tried(**about, **_compared(trial, old, new))


def attempt_one_of_many(
    database: Database,
    instance: ProcessInstance,
    to: ProcessDefinition,
    *,
    now: datetime,
    settings: NotificationSettings,
    mapping: Mapping[str, str] | None = None,
) -> Tried | None:
    """As `attempt`; None after a fault of ours, which the log tells about: the other cases are none the worse."""
    try:
        return attempt(database, instance, to, now=now, settings=settings, mapping=mapping)
    except Exception:  # said by whoever asked, and in the log
        log.exception("the case %s could not be tried", instance.public_id)
        return None


def _obstacle(
    session: Session, case: ProcessInstance, to: ProcessDefinition, problem: Problem, old: Specification
) -> Obstacle:
    return Obstacle(
        problem=problem,
        name=place(problem.call_path, problem.element_id, old).name,
        replacements=tuple(instance_migration.replacements(session, case, to, problem)),
    )


def _compared(trial: Trial, old: Specification, new: Specification) -> dict[str, Any]:
    before, after = trial.before, trial.after
    assert after is not None, "without problems there is an after"
    stood = {stop.public_id for stop in before.incidents}
    timers = _pairs(_timers(before.timers, old, new), _timers(after.timers, new, old), _timer_key)
    timed = {_timer_key(timer) for change in timers for timer in (change.before, change.after) if timer}
    return {
        "tasks": tuple(_pairs(before.tasks.values(), after.tasks.values(), lambda task: task.public_id)),
        "timers": tuple(timers),
        "events": tuple(
            Event(kind=c.kind, place=place(c.call_path, c.to_element_id, new, old))
            for c in trial.changes
            if c.kind != "moved" and not {(c.call_path, c.element_id), (c.call_path, c.to_element_id)} & timed
        ),
        "mails": tuple(_pairs(before.seen, after.seen, _mail_key)),
        "wake": Change(before=before.wake_at, after=after.wake_at),
        "passed": tuple(_task_name(new, element_id) for element_id in trial.passed),
        "unbound": trial.unbound,
        "stops": tuple((_stop(stop, new), stop.cause) for stop in after.incidents if stop.public_id not in stood),
        "ends": after.state == "completed",
    }


def place(call_path: str, element_id: str, *specifications: Specification) -> Place:
    """The element by the first name that one of the versions has for it, else by its id."""
    names = (places.name_at(version, call_path, element_id) for version in specifications if _has(version, call_path))
    name = next((name for name in names if name != element_id), element_id)
    return Place(call_path=call_path, element_id=element_id, name=name)


def _task_name(version: Specification, element_id: str) -> str:
    found = (model.user_tasks[element_id] for model in version.models.values() if element_id in model.user_tasks)
    return next((element.name for element in found if element.name), element_id)


def _has(specification: Specification, call_path: str) -> bool:
    """Does this version have what runs at the call path?"""
    model = specification.model_at(call_path)
    last = call_path.rpartition("/")[2].partition("[")[0]
    return not last or model.root.find(f".//*[@id='{last}']") is not None


def _stop(stop: Standstill, new: Specification) -> Place:
    return place(stop.call_path, stop.element_id, new)


def _timers(held: Iterable[tuple[tuple[str, str], datetime | None]], *specifications: Specification) -> list[Timer]:
    return [
        Timer(
            call_path=path, element_id=element_id, name=place(path, element_id, *specifications).name, at=moment
        )
        for (path, element_id), moment in held
    ]  # fmt: skip


def _timer_key(timer: Timer) -> Hashable:
    return timer.call_path, timer.element_id


def _mail_key(mail: Mail) -> Hashable:
    """The same mail to a reader, whichever due date it speaks of."""
    return mail.step_id, mail.task_id, mail.rule, mail.recipient_id


def _pairs(before: Iterable[T], after: Iterable[T], key: Any) -> list[Change[T]]:
    """Those of the same key side by side, in the order they had."""
    groups: dict[Hashable, tuple[list[T], list[T]]] = {}
    for side, found in enumerate((before, after)):
        for one in found:
            groups.setdefault(key(one), ([], []))[side].append(one)
    return [
        Change(before=old, after=new) for olds, news in groups.values() for old, new in zip_longest(olds, news)
    ]  # fmt: skip


# --- moving -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A case to be moved, at the revision that was seen; None where nobody looked."""

    public_id: str
    revision: int | None = None


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What became of one case: moved unless something is said."""

    public_id: str
    title: str
    refused: EngineError | None = None
    #: A fault of ours, which the log tells about.
    faulty: bool = False

    @property
    def is_moved(self) -> bool:
        """Is it on the new version now?"""
        return self.refused is None and not self.faulty


def move_each(
    database: Database,
    wanted: Sequence[Wanted],
    to: ProcessDefinition,
    *,
    actor: Person | None,
    now: datetime,
    reason: str,
    mapping: Mapping[str, str] | None = None,
) -> list[Moved]:
    """Move cases, each in a transaction of its own; what fails for one stops no other."""
    if not reason.strip():
        raise InvalidInput("Say why the cases are moved to another version; the reason is kept in their history.")
    return [_moved(database, one, to, actor, now, reason, mapping or {}) for one in wanted]


def _moved(
    database: Database, one: Wanted, to: ProcessDefinition, actor: Person | None, now: datetime, reason: str,
    mapping: Mapping[str, str],
) -> Moved:  # fmt: skip
    title = ""
    try:
        with database.transaction() as session:
            community = session.get_one(Community, to.community_id)
            title = acts.held(session, community, one.public_id, actor).title
            move(session, one, to, actor=actor, now=now, reason=reason, mapping=mapping)
    except EngineError as refused:
        return Moved(public_id=one.public_id, title=title, refused=refused)
    except Exception:  # said in the result and in the log; the next case is none the worse
        log.exception("the case %s could not be moved", one.public_id)
        return Moved(public_id=one.public_id, title=title, faulty=True)
    return Moved(public_id=one.public_id, title=title)


def move(
    session: Session,
    one: Wanted,
    to: ProcessDefinition,
    *,
    actor: Person | None,
    now: datetime,
    reason: str,
    mapping: Mapping[str, str],
) -> ProcessInstance:
    """Move one case that the actor owns. Raises NotFound, NotAllowed, Stale or MigrationRefused."""
    community = session.get_one(Community, to.community_id)
    instance = acts.held(session, community, one.public_id, actor, one.revision)
    target = session.get_one(ProcessDefinition, to.id)
    actor_id = actor.id if actor else None
    instance_migration.migrate(session, instance, target, now=now, actor_id=actor_id, reason=reason, mapping=mapping)
    return instance


def revert(
    session: Session, instance: ProcessInstance, actor: Person | None, *, now: datetime, reason: str
) -> dict[str, Any]:
    """Move a held case back to the version it came from. Raises NotFound where it was never moved, or NotOpen."""
    made = instance_migration.latest(session, instance)
    if made is None:
        raise NotFound(f"The case {instance.public_id} has not been moved to another version.")
    actor_id = actor.id if actor else None
    instance_migration.revert(session, instance, made, now=now, actor_id=actor_id, reason=reason)
    return {"id": instance.public_id, "version": instance.definition.version, "revision": instance.revision}
