"""Who is away, and who stands in for them: their tasks, mails and approvals follow, and history says for whom.

A deputy who is away is stood in for by their own deputy. `refresh` makes the rows agree with the day; everything else
reads `Absence.stand_in_id`, or, for another day than today, asks `standing_in`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session, joinedload

from engine import history, identity, jobs, process_instances
from engine.database import Database
from engine.errors import InvalidInput, NotAllowed, NotFound, NotOpen
from engine.identity import Person
from engine.model import Absence, Community, Membership, ProcessInstance, User, UserTask

#: Deputies of deputies that are asked, the first one counted.
MAX_DEPUTIES = 5
#: Nobody is away for longer at a time.
MAX_DAYS = 366
#: Of these a deputy may be needed.
COMING = ("planned", "current")


@dataclass(frozen=True, kw_only=True)
class Period:
    """Days away as given: both the first and the last are days away."""

    user: User
    deputy: User
    starts_on: date
    ends_on: date


# --- who stands in ----------------------------------------------------------------------------------------------------


def stand_ins(session: Session, user_ids: Collection[int]) -> dict[int, int]:
    """Of these people, those who are away now and have somebody standing in -> who that is."""
    if not user_ids:
        return {}
    query = select(Absence.user_id, Absence.stand_in_id).where(
        Absence.stand_in_id.is_not(None), Absence.user_id.in_(user_ids)
    )
    return {away: deputy for away, deputy in session.execute(query) if deputy is not None}


def stand_in_names(session: Session, community_id: int) -> Mapping[int, str]:
    """Ids of those who are away now -> the name of who stands in, empty where nobody is there to."""
    query = select(Absence.user_id, User.name).outerjoin(User, User.id == Absence.stand_in_id)
    away = session.execute(query.where(Absence.community_id == community_id, Absence.told))
    return {row.user_id: row.name or "" for row in away}


def present(session: Session, user_ids: Collection[int]) -> tuple[int, ...]:
    """The people in their order, those who are away now replaced by who stands in; nobody twice."""
    instead = stand_ins(session, user_ids)
    return tuple(dict.fromkeys(instead.get(user, user) for user in user_ids))


def standing_in(session: Session, user_ids: Collection[int], day: date) -> dict[int, int | None]:
    """Of these people, those who are away on `day` -> who stands in for them then; None: nobody who is there."""
    if not user_ids:
        return {}
    communities = select(User.community_id).where(User.id.in_(user_ids))
    away = _away_on(session, Absence.community_id.in_(communities), day)
    active = _active(session, set(away.values()))
    return {user: last_deputy(user, away, active) for user in user_ids if user in away}


def last_deputy(user_id: int, away: Mapping[int, int], active: Collection[int]) -> int | None:
    """Who stands in where `away` says whom each named; None after a circle, too many, or someone no longer active."""
    asked = user_id
    for _ in range(MAX_DEPUTIES):
        asked = away[asked]
        if asked not in active or asked == user_id:
            return None
        if asked not in away:
            return asked
    return None


def _away_on(session: Session, where: ColumnElement[bool], day: date) -> dict[int, int]:
    on_that_day = (Absence.starts_on <= day) & (Absence.ends_on >= day) & Absence.state.in_(COMING)
    query = select(Absence.user_id, Absence.deputy_id).where(where, on_that_day)
    return {row.user_id: row.deputy_id for row in session.execute(query)}


def _active(session: Session, user_ids: Collection[int]) -> set[int]:
    return set(session.scalars(select(User.id).where(User.id.in_(user_ids), User.active))) if user_ids else set()


# --- lists ------------------------------------------------------------------------------------------------------------


def coming(session: Session, community_id: int, *, user_id: int | None = None) -> Sequence[Absence]:
    """Absences that are current or planned, with their people, the first to begin on top; of one person if given."""
    query = select(Absence).where(Absence.community_id == community_id, Absence.state.in_(COMING))
    if user_id is not None:
        query = query.where(Absence.user_id == user_id)
    people = (joinedload(Absence.user), joinedload(Absence.deputy))
    return session.scalars(query.options(*people).order_by(Absence.starts_on, Absence.id)).all()


def deputy_for(session: Session, person: Person) -> Sequence[Absence]:
    """Absences for which this person is named as deputy, current or planned."""
    query = select(Absence).where(Absence.deputy_id == person.id, Absence.state.in_(COMING))
    return session.scalars(query.options(joinedload(Absence.user)).order_by(Absence.starts_on, Absence.id)).all()


def at_the_same_time(session: Session, user: User, first: date, last: date) -> Sequence[Absence]:
    """The person's absences on any of these days, with their deputies."""
    query = select(Absence).where(Absence.user_id == user.id, Absence.state.in_(COMING))
    overlaps = (Absence.starts_on <= last) & (Absence.ends_on >= first)
    return session.scalars(query.where(overlaps).options(joinedload(Absence.deputy)).order_by(Absence.starts_on)).all()


def may_register(actor: Person, user: User, *, for_others: bool) -> bool:
    """Everybody registers for themselves; `for_others` says whether this one may for everybody."""
    return actor.community_id == user.community_id and (actor.id == user.id or for_others)


def candidates(session: Session, user: User) -> tuple[Sequence[User], Sequence[User]]:
    """Who may stand in: those in the same groups, and everybody else."""
    groups = select(Membership.group_id).where(Membership.user_id == user.id)
    near = set(session.scalars(select(Membership.user_id).where(Membership.group_id.in_(groups))))
    query = select(User).where(User.community_id == user.community_id, User.active, User.id != user.id)
    everybody = session.scalars(query.order_by(User.name)).all()
    return [u for u in everybody if u.id in near], [u for u in everybody if u.id not in near]


def find(session: Session, actor: Person, public_id: str, *, for_others: bool) -> Absence:
    """The absence, if the actor may change it. Raises NotFound or NotAllowed."""
    query = select(Absence).where(Absence.public_id == public_id, Absence.community_id == actor.community_id)
    found = session.scalar(query.options(joinedload(Absence.user), joinedload(Absence.deputy)))
    if found is None or (actor.id not in (found.user_id, found.deputy_id) and not for_others):
        raise NotFound("There is no such absence.")
    if not may_register(actor, found.user, for_others=for_others):
        raise NotAllowed("Only the one who is away, or the secretariat, can change the absence.")
    return found


# --- acts -------------------------------------------------------------------------------------------------------------


def register(session: Session, period: Period, *, actor: Person, for_others: bool, now: datetime) -> Absence:
    """Say that someone will be, or is, away and who stands in. Raises InvalidInput or NotAllowed."""
    if not may_register(actor, period.user, for_others=for_others):
        raise NotAllowed("Only the secretariat can register the absence of others.")
    community = _hold(session, period.user.community_id)
    _check(session, period, identity.calendar_of(community).local_date(now), None)
    absence = Absence(
        community_id=community.id, user_id=period.user.id, deputy_id=period.deputy.id, starts_on=period.starts_on,
        ends_on=period.ends_on, registered_by_id=actor.id, registered_at=now,
    )  # fmt: skip
    session.add(absence)
    _follow(session, community, absence, now)
    return absence


def end_on(session: Session, absence: Absence, last_day: date, *, now: datetime) -> None:
    """Give the absence another last day. Raises InvalidInput or NotOpen."""
    community = _hold(session, absence.community_id)
    _require_coming(absence)
    period = Period(
        user=absence.user, deputy=absence.deputy, starts_on=absence.starts_on, ends_on=last_day
    )  # fmt: skip
    _check(session, period, identity.calendar_of(community).local_date(now), absence.id)
    absence.ends_on = last_day
    _follow(session, community, absence, now)


def cancel(session: Session, absence: Absence, *, now: datetime) -> None:
    """The person is not away after all, or is back. Doing it twice is doing it once."""
    community = _hold(session, absence.community_id)
    if absence.state in COMING:
        absence.state = "ended" if absence.told else "cancelled"
        session.flush()  # read below
        refresh(session, community, now=now)


def _hold(session: Session, community_id: int) -> Community:
    """The community, so that those who change its absences do it one after the other."""
    # Not the whole lock: rows that refer to the community may be written meanwhile.
    query = select(Community).where(Community.id == community_id).with_for_update(key_share=True)
    return session.scalars(query).one()


def _require_coming(absence: Absence) -> None:
    if absence.state not in COMING:
        raise NotOpen("The absence is over or was cancelled.")


def _check(session: Session, period: Period, today: date, own_id: int | None) -> None:
    user, deputy = period.user, period.deputy
    if deputy.id == user.id or not deputy.active or deputy.community_id != user.community_id:
        raise InvalidInput("Name another active person as deputy.", field="deputy")
    if period.ends_on < period.starts_on or period.ends_on < today:
        raise InvalidInput("The last day is before the first, or has passed.", field="ends_on")
    if period.ends_on - period.starts_on >= timedelta(days=MAX_DAYS):
        raise InvalidInput(f"An absence lasts {MAX_DAYS} days at most.", field="ends_on")
    others = select(Absence).where(Absence.user_id == user.id, Absence.state.in_(COMING), Absence.id != (own_id or 0))
    overlaps = (Absence.starts_on <= period.ends_on) & (Absence.ends_on >= period.starts_on)
    other = session.scalar(others.where(overlaps).limit(1))
    if other is not None:
        raise InvalidInput(
            "There is an absence in these days already. Change or cancel that one.", field="starts_on",
            starts_on=other.starts_on, ends_on=other.ends_on,
        )  # fmt: skip


def _follow(session: Session, community: Community, absence: Absence, now: datetime) -> None:
    """Do what the day asks for now, and ask for it again when the absence begins and when it is over."""
    session.flush()  # read below
    refresh(session, community, now=now)
    calendar = identity.calendar_of(community)
    for day in (absence.starts_on, absence.ends_on + timedelta(days=1)):
        if (moment := calendar.at(day, time.min)) > now:
            jobs.enqueue(session, "absence", run_at=moment, payload={"community": community.id})


# --- the day that begins ----------------------------------------------------------------------------------------------


def handlers() -> Mapping[str, jobs.Handler]:
    """What absences do about jobs: `absence` lets those of one community begin and end."""

    def run(database: Database, job: jobs.Claimed, now: datetime) -> None:
        with database.transaction() as session:
            refresh(session, _hold(session, int(job.payload["community"])), now=now)

    return {"absence": run}


def refresh(session: Session, community: Community, *, now: datetime) -> None:
    """Make absences agree with the community's day; tell the cases of whoever left, came back or changed deputy.

    Doing it twice changes nothing. The caller holds the community; cases are held in the order of their ids.
    """
    today = identity.calendar_of(community).local_date(now)
    query = select(Absence).where(Absence.community_id == community.id, or_(Absence.state.in_(COMING), Absence.told))
    rows = session.scalars(query.options(joinedload(Absence.user), joinedload(Absence.deputy))).unique().all()
    away = {a.user_id: a.deputy_id for a in rows if a.state in COMING and a.starts_on <= today <= a.ends_on}
    active = _active(session, set(away.values()))
    changed = [
        absence for absence in rows if _bring_up_to(today, absence, lambda user: last_deputy(user, away, active))
    ]
    session.flush()  # who stands in is read below
    _tell_cases(session, changed, now)


def _bring_up_to(today: date, absence: Absence, deputy: Callable[[int], int | None]) -> bool:
    """Let it be what it is on that day; answers whether it began, ended or got another to stand in."""
    before = (absence.told, absence.stand_in_id)
    if absence.state in COMING:
        over, begun = absence.ends_on < today, absence.starts_on <= today
        absence.state = "ended" if over else "current" if begun else "planned"
    absence.told = absence.state == "current"
    absence.stand_in_id = deputy(absence.user_id) if absence.told else None
    return before != (absence.told, absence.stand_in_id)


def _tell_cases(session: Session, changed: Sequence[Absence], now: datetime) -> None:
    """Let history of the cases that name them say so, and let the mails of all their cases follow."""
    named: dict[int, list[Absence]] = {}
    shared: set[int] = set()
    for absence in changed:
        shared.update(session.scalars(_cases_of_groups(absence)))
        for instance_id in session.scalars(_cases_that_name(absence)):
            named.setdefault(instance_id, []).append(absence)
    for instance_id in sorted(named):
        instance = process_instances.locked(session, instance_id)
        for absence in named[instance_id]:
            _write_down(session, instance, absence, now)
    # The case itself is as it was: whoever has it open may go on.
    for instance_id in sorted(shared.union(named)):
        jobs.enqueue(session, "reconcile", run_at=now, instance_id=instance_id)


def _write_down(session: Session, instance: ProcessInstance, absence: Absence, now: datetime) -> None:
    deputy = session.get_one(User, absence.stand_in_id).key if absence.stand_in_id is not None else None
    away = "absence-began" if deputy else "absence-uncovered"
    kind = away if absence.told else "absence-ended"
    until = absence.ends_on.isoformat() if absence.told else None
    history.record(session, instance, kind, now=now, user=absence.user.key, to=deputy, until=until)


def _cases_that_name(absence: Absence) -> Select[int]:
    """Running cases in which they are asked, approve or own by name."""
    user = absence.user_id
    waiting = UserTask.state.in_(("open", "submitted", "pending"))
    tasks = select(UserTask.instance_id).where(or_(UserTask.assignee_id == user, UserTask.approver_id == user), waiting)
    theirs = or_(ProcessInstance.owner_id == user, ProcessInstance.id.in_(tasks))
    return select(ProcessInstance.id).where(ProcessInstance.state == "active", theirs)


def _cases_of_groups(absence: Absence) -> Select[int]:
    """Running cases whose mails go to a group they are in."""
    groups = select(Membership.group_id).where(Membership.user_id == absence.user_id)
    tasks = select(UserTask.instance_id).where(
        UserTask.candidate_group_id.in_(groups), UserTask.assignee_id.is_(None), UserTask.state == "open"
    )
    theirs = or_(ProcessInstance.owner_group_id.in_(groups), ProcessInstance.id.in_(tasks))
    return select(ProcessInstance.id).where(ProcessInstance.state == "active", theirs)
