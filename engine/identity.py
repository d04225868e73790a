"""Who someone is, what they may see, and what they may do.

Every list, file and API goes through `visible_instances`; every task through `visible_task`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, or_, select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.orm.interfaces import ORMOption

from engine.calendar import Calendar
from engine.errors import InvalidInput, NotAllowed, NotFound
from engine.model import Community, Group, InstanceParticipant, Membership, ProcessInstance, User, UserTask


@dataclass(frozen=True, kw_only=True)
class Person:
    """A signed-in person with the groups they are in."""

    id: int
    key: str
    name: str
    community_id: int
    is_admin: bool
    group_ids: frozenset[int]
    group_keys: frozenset[str]


def person(session: Session, user: User) -> Person:
    """The user with their memberships."""
    return person_by_id(session, user.id)


#: Columns rather than whole rows, and composed once: every act asks this, and so it costs half.
_PERSON = (
    select(User.id, User.key, User.name, User.community_id, User.is_admin, Group.id, Group.key)
    .outerjoin(Membership, Membership.user_id == User.id)
    .outerjoin(Group, Group.id == Membership.group_id)
    .where(User.id == bindparam("user"), User.active)
)


def person_by_id(session: Session, user_id: int) -> Person:
    """The active user with their memberships, in one query. Raises NotAllowed."""
    rows = session.execute(_PERSON, {"user": user_id}).all()
    if not rows:
        raise NotAllowed("You are no longer active here.")
    id_, key, name, community_id, is_admin, *_ = rows[0]
    return Person(
        id=id_, key=key, name=name, community_id=community_id, is_admin=is_admin,
        group_ids=frozenset(r[5] for r in rows if r[5]), group_keys=frozenset(r[6] for r in rows if r[6]),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Someone who asks for something: their row, their community, and who they are."""

    user: User
    community: Community
    person: Person


def arrival(session: Session, user_id: int | ScalarSelect[int]) -> Arrival | None:
    """The active user with everything that each request wants to know of them, in one query; None where none is."""
    query = (
        select(User, Community, Group.id, Group.key)
        .join(Community, Community.id == User.community_id)
        .outerjoin(Membership, Membership.user_id == User.id)
        .outerjoin(Group, Group.id == Membership.group_id)
        .where(User.id == user_id, User.active)
    )
    rows = session.execute(query).all()
    if not rows:
        return None
    found = rows[0][0]
    who = Person(
        id=found.id, key=found.key, name=found.name, community_id=found.community_id, is_admin=found.is_admin,
        group_ids=frozenset(r[2] for r in rows if r[2]), group_keys=frozenset(r[3] for r in rows if r[3]),
    )  # fmt: skip
    return Arrival(user=found, community=rows[0][1], person=who)


def user(session: Session, community_id: int, key: str) -> User:
    """The active user with that key. Raises InvalidInput."""
    found = session.scalar(select(User).where(User.community_id == community_id, User.key == key, User.active))
    if found is None:
        raise InvalidInput(f"There is no active user {key!r}. `avtaleflyt user list` shows those there are.", key=key)
    return found


def group(session: Session, community_id: int, key: str) -> Group:
    """The group with that key. Raises InvalidInput."""
    found = session.scalar(select(Group).where(Group.community_id == community_id, Group.key == key))
    if found is None:
        raise InvalidInput(f"There is no group {key!r}.", key=key)
    return found


def members(session: Session, group_id: int) -> Sequence[User]:
    """The group's active members, by name."""
    query = select(User).join(Membership).where(Membership.group_id == group_id, User.active).order_by(User.name)
    return session.scalars(query).all()


def calendar_of(community: Community) -> Calendar:
    """The community's working days and zone."""
    return Calendar(
        zone=ZoneInfo(community.timezone),
        closed=frozenset(date.fromisoformat(d) for d in community.closing_days),
        closed_eves=community.closed_eves,
    )


def visible_instances(person: Person) -> ColumnElement[bool]:
    """The condition under which `person` sees a case; goes into every query that lists cases."""
    own = ProcessInstance.community_id == person.community_id
    if person.is_admin:
        return own
    takes_part = (
        select(InstanceParticipant.id)
        .where(
            InstanceParticipant.instance_id == ProcessInstance.id,
            or_(InstanceParticipant.user_id == person.id, InstanceParticipant.group_id.in_(person.group_ids)),
        )
        .exists()
    )
    return own & or_(
        ProcessInstance.owner_id == person.id, ProcessInstance.owner_group_id.in_(person.group_ids), takes_part
    )


def owns(person: Person, instance: ProcessInstance) -> bool:
    """May they steer the case?"""
    return (
        person.is_admin or instance.owner_id == person.id or instance.owner_group_id in person.group_ids
    ) and person.community_id == instance.community_id


def require_owner(person: Person, instance: ProcessInstance) -> None:
    """Raises NotAllowed unless they may steer the case."""
    if not owns(person, instance):
        raise NotAllowed("Only the owner of the case may do this. Ask the secretariat.")


def concerns(person: Person, task: UserTask) -> bool:
    """Is the task theirs or their group's?"""
    return person.community_id == task.community_id and (
        person.id in (task.assignee_id, task.approver_id, task.completed_by_id, task.submitted_by_id)
        or task.candidate_group_id in person.group_ids
    )


def may_read_answers(person: Person, task: UserTask, instance: ProcessInstance, step_open: bool) -> bool:
    """Others' answers are released when their step has ended, never before; the owner reads finished ones."""
    if concerns(person, task):
        return True
    if owns(person, instance):
        return task.state in ("completed", "closed", "skipped")
    return not step_open and task.state == "completed"


def instance_by_id(session: Session, person: Person, public_id: str) -> ProcessInstance:
    """The case, if they may see it. Raises NotFound either way, so that ids tell nothing."""
    query = select(ProcessInstance).where(ProcessInstance.public_id == public_id, visible_instances(person))
    found = session.scalar(query)
    if found is None:
        raise NotFound(f"There is no case {public_id} that you may see.")
    return found


def task_by_id(session: Session, person: Person, public_id: str, *options: ORMOption) -> UserTask:
    """The task, if it concerns them or they own its case; `options` say what is read with it. Raises NotFound."""
    # Whose case it is, is asked in any case.
    query = select(UserTask).where(UserTask.public_id == public_id)
    task = session.scalar(query.options(joinedload(UserTask.instance), *options))
    if task is None or not (concerns(person, task) or owns(person, task.instance)):
        raise NotFound(f"There is no task {public_id} that you may see.")
    return task
