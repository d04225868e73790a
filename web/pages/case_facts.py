"""What a case is about, the dates that its deadlines hang on, and who fills its roles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from flask_babel import gettext as _
from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session, aliased

from agreements.model import Agreement, Body, Case, CaseMeeting, Meeting
from engine import deployments
from engine.model import Group, ProcessDefinition, ProcessInstance, User


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A date of the case, and the meeting it is taken from."""

    fact: str
    name: str
    day: date
    meeting: str | None = None


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """What is said about the case in its disclosure."""

    number: str
    archive: str
    commissioned_by: str
    agreement: Agreement | None
    #: The process: its name, its key, the version the case is on, and the newest there is.
    process: str
    key: str
    version: int
    newest: int
    owner: str
    started_by: str
    dates: tuple[Bound, ...]
    roles: tuple[tuple[str, str], ...]


def about(session: Session, instance: ProcessInstance) -> tuple[tuple[Case | None, Agreement | None], list[Bound]]:
    """What the case is about, and its dates with the meetings they are taken from, soonest first."""
    query = (
        select(Case, Agreement, CaseMeeting.fact, Meeting.public_id, Meeting.date, Body.short_name)
        .outerjoin(Agreement, Agreement.id == Case.agreement_id)
        .outerjoin(CaseMeeting, CaseMeeting.case_id == Case.id)
        .outerjoin(Meeting, Meeting.id == CaseMeeting.meeting_id)
        .outerjoin(Body, Body.id == Meeting.body_id)
        .where(Case.instance_id == instance.id)
    )
    found = session.execute(query).all()
    meetings = {row.fact: row for row in found if row.fact}
    dates = []
    for name, value in instance.facts.items():
        day, bound = date.fromisoformat(value), meetings.get(name)
        # A case that was moved by itself no longer has its meeting's date.
        if bound is not None and bound.date == day:
            dates.append(Bound(fact=name, name=bound.short_name, day=day, meeting=bound.public_id))
        else:
            dates.append(Bound(fact=name, name=fact_label(name), day=day))
    case = (found[0][0], found[0][1]) if found else (None, None)
    return case, sorted(dates, key=lambda bound: bound.day)


def fact_label(name: str) -> str:
    """What a date is called in a list."""
    known = {
        "ssu": _("Møte i SSU"), "au": _("Møte i AU"), "meeting": _("Møte"), "in_force": _("Trer i kraft"),
    }  # fmt: skip
    return known.get(name, name.replace("_", " ").capitalize())


def dates_of(session: Session, instance: ProcessInstance) -> list[Bound]:
    """The dates that others hang on, with their meetings."""
    return about(session, instance)[1]


def facts(
    session: Session, instance: ProcessInstance, of: tuple[Case | None, Agreement | None], dates: Sequence[Bound]
) -> CaseFacts:
    """What is said about the case."""
    case, agreement = of
    definition = _definition(session, instance)
    people = _people(session, instance)
    rows = session.scalars(select(Group).where(Group.community_id == instance.community_id))
    groups = {group.key: group for group in rows}
    owner_group = next((group.name for group in groups.values() if group.id == instance.owner_group_id), "")
    lanes = deployments.compiled(session, instance).roles
    return CaseFacts(
        number=case.case_number if case else "", archive=case.archive_reference if case else "",
        commissioned_by=case.commissioned_by if case else "", agreement=agreement, process=definition.name,
        key=definition.key, version=definition.version, newest=definition.newest,
        owner=owner_group or people.get(instance.owner_id or 0, ""),
        started_by=people.get(instance.started_by_id or 0, ""), dates=tuple(dates),
        roles=tuple((lanes.get(role, role), _performer(whom, groups, people)) for role, whom in instance.roles.items()),
    )  # fmt: skip


def _definition(session: Session, instance: ProcessInstance) -> Row[str, str, int, int]:
    """Name, key and version of the case's model, and the newest version of it."""
    other = aliased(ProcessDefinition)
    same = (other.community_id == ProcessDefinition.community_id) & (other.key == ProcessDefinition.key)
    newest = select(func.max(other.version)).where(same).correlate(ProcessDefinition).scalar_subquery()
    columns = (ProcessDefinition.name, ProcessDefinition.key, ProcessDefinition.version, newest.label("newest"))
    query = select(*columns).where(ProcessDefinition.id == instance.definition_id)
    return session.execute(query).one()


def _people(session: Session, instance: ProcessInstance) -> dict[object, str]:
    """Names of owner, starter and those bound to roles, by id and by key."""
    ids = {i for i in (instance.owner_id, instance.started_by_id) if i}
    keys = {whom["user"] for whom in instance.roles.values() if "user" in whom}
    query = select(User).where(User.community_id == instance.community_id, User.id.in_(ids) | User.key.in_(keys))
    found: dict[object, str] = {}
    for user in session.scalars(query):
        found[user.id] = found[user.key] = user.name
    return found


def _performer(whom: Mapping[str, str], groups: Mapping[str, Group], people: Mapping[object, str]) -> str:
    if "user" in whom:
        return people.get(whom["user"], whom["user"])
    group = groups.get(whom.get("group", ""))
    return group.name if group else whom.get("group", "")
