"""Who someone is, what they may see, and what they may do.

Every list, file and API goes through `visible_instances`; every task through `visible_task`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, literal, or_, select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.orm.interfaces import ORMOption

from engine.calendar import Calendar
from engine.errors import InvalidInput, NotAllowed, NotFound
from engine.model import Absence, Community, Group, InstanceParticipant, Membership, ProcessInstance, User, UserTask


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
    #: Those who are away and whom this person stands in for now.
    deputising: tuple["Away", ...] = ()

    @property
    def acts_for(self) -> frozenset[int]:
        """Whose tasks are this person's to do now: their own, and those of whom they stand in for."""
        return frozenset({self.id, *(away.user_id for away in self.deputising)})

    @property
    def acts_in(self) -> frozenset[int]:
        """The groups whose tasks are this person's to take now."""
        return self.group_ids.union(*(away.group_ids for away in self.deputising))

    def on_behalf_of(self, task: UserTask) -> int | None:
        """Whom this person fills the task in for; None where it is their own."""
        if task.assignee_id is not None:
            return self.in_place_of(task.assignee_id)
        if task.candidate_group_id in self.group_ids:
            return None
        return next((away.user_id for away in self.deputising if task.candidate_group_id in away.group_ids), None)

    def in_place_of(self, user_id: int | None) -> int | None:
        """The id given, where it is of someone they stand in for."""
        return user_id if user_id != self.id and user_id in self.acts_for else None


@dataclass(frozen=True, kw_only=True)
class Away:
    """Someone who is away, with the groups they are in."""

    user_id: int
    group_ids: frozenset[int]


def person(session: Session, user: User) -> Person:
    """The user with their memberships."""
    return person_by_id(session, user.id)


_BELONGS = or_(Membership.user_id == User.id, Membership.user_id == Absence.user_id)
_GROUPS = (Absence.user_id, Membership.user_id, Group.id, Group.key)
#: Columns rather than whole rows, and composed once: every act asks this, and so it costs half.
_PERSON = (
    select(User.id, User.key, User.name, User.community_id, User.is_admin, *_GROUPS)
    .outerjoin(Absence, Absence.stand_in_id == User.id)
    .outerjoin(Membership, _BELONGS)
    .outerjoin(Group, Group.id == Membership.group_id)
    .where(User.id == bindparam("user"), User.active)
)


def person_by_id(session: Session, user_id: int) -> Person:
    """The active user with their memberships, in one query. Raises NotAllowed."""
    rows = session.execute(_PERSON, {"user": user_id}).all()
    if not rows:
        raise NotAllowed("You are no longer active here.")
    id_, key, name, community_id, is_admin, *_ = rows[0]
    own, away = _belonging(id_, [(r[5], r[6], r[7], r[8]) for r in rows])
    return Person(
        id=id_, key=key, name=name, community_id=community_id, is_admin=is_admin, group_ids=frozenset(own),
        group_keys=frozenset(own.values()), deputising=away,
    )  # fmt: skip


def _belonging(
    user_id: int, rows: Iterable[tuple[int | None, int | None, int | None, str | None]]
) -> tuple[dict[int, str], tuple[Away, ...]]:
    """A person's own groups, id -> key, and those they stand in for; of rows as `_GROUPS` has them."""
    own: dict[int, str] = {}
    away: defaultdict[int, set[int]] = defaultdict(set)
    for absent, member, group_id, key in rows:
        if absent is not None:
            away[absent].update({group_id} if group_id is not None and member == absent else ())
        if group_id is not None and key is not None and member == user_id:
            own[group_id] = key
    return own, tuple(Away(user_id=user, group_ids=frozenset(groups)) for user, groups in sorted(away.items()))


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Someone who asks for something: their row, their community, and who they are."""

    user: User
    community: Community
    person: Person


def arrival(session: Session, user_id: int | ScalarSelect[int]) -> Arrival | None:
    """The active user with everything that each request wants to know of them, in one query; None where none is."""
    query = (
        select(User, Community, *_GROUPS)
        .join(Community, Community.id == User.community_id)
        .outerjoin(Absence, Absence.stand_in_id == User.id)
        .outerjoin(Membership, _BELONGS)
        .outerjoin(Group, Group.id == Membership.group_id)
        .where(User.id == user_id, User.active)
    )
    rows = session.execute(query).all()
    if not rows:
        return None
    found = rows[0][0]
    own, away = _belonging(found.id, [(r[2], r[3], r[4], r[5]) for r in rows])
    who = Person(
        id=found.id, key=found.key, name=found.name, community_id=found.community_id, is_admin=found.is_admin,
        group_ids=frozenset(own), group_keys=frozenset(own.values()), deputising=away,
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
        july_allowed=community.july_allowed,
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
            or_(InstanceParticipant.user_id.in_(person.acts_for), InstanceParticipant.group_id.in_(person.acts_in)),
        )
        .exists()
    )
    return own & or_(steered_instances(person), takes_part)


def steered_instances(person: Person) -> ColumnElement[bool]:
    """The condition under which a case is theirs, or of one they stand in for, without being an administrator."""
    return or_(
        ProcessInstance.owner_id.in_(person.acts_for), ProcessInstance.owner_group_id.in_(person.acts_in)
    )  # fmt: skip


def in_the_owners_place(session: Session, actor_id: int | None, instance: ProcessInstance) -> int | None:
    """For which of the case's owners this person stands in now; None where they are one, or stand in for none."""
    if actor_id is None or actor_id == instance.owner_id:
        return None
    members = select(Membership.user_id).where(Membership.group_id == instance.owner_group_id)
    owner_first = Absence.user_id != instance.owner_id
    query = select(Absence.user_id).where(
        Absence.stand_in_id == actor_id,
        or_(Absence.user_id == instance.owner_id, Absence.user_id.in_(members)),
        literal(actor_id).not_in(members),
    )
    with session.no_autoflush:  # what is being done concerns no absence
        return session.scalar(query.order_by(owner_first, Absence.user_id).limit(1))


def owns(person: Person, instance: ProcessInstance) -> bool:
    """May they steer the case, as its owner or as whoever stands in for one?"""
    return (
        person.is_admin or instance.owner_id in person.acts_for or instance.owner_group_id in person.acts_in
    ) and person.community_id == instance.community_id


def require_owner(person: Person, instance: ProcessInstance) -> None:
    """Raises NotAllowed unless they may steer the case."""
    if not owns(person, instance):
        raise NotAllowed("Only the owner of the case may do this. Ask the secretariat.")


def concerns(person: Person, task: UserTask) -> bool:
    """Is the task theirs or their group's, or of someone they stand in for?"""
    return person.community_id == task.community_id and (
        person.id in (task.completed_by_id, task.submitted_by_id)
        or not person.acts_for.isdisjoint((task.assignee_id, task.approver_id))
        or task.candidate_group_id in person.acts_in
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
