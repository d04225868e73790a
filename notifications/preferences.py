"""How people want to be written to. The most specific choice wins: the person's, the group's, the model's, the
community's, at once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from engine import jobs
from engine.errors import InvalidInput
from engine.model import Community, Group, ProcessInstance, User, UserTask
from notifications import timing
from notifications.model import UNSENT, Delivery, MailPreference
from notifications.rules import kind
from notifications.timing import How, Preference

#: What a person may turn off; everything else is somebody's task, or a deadline that is already over.
OPTIONAL = ("reminder",)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What some people and groups have chosen."""

    of_people: Mapping[int, MailPreference]
    of_groups: Mapping[int, MailPreference]
    of_all: MailPreference | None

    def preference(self, person: int, group: int | None, model: str | None) -> Preference:
        """When this person is written to about a task of that group, in a model that says so."""
        own, shared = self.of_people.get(person), self.of_groups.get(group or 0)
        return chosen(own) or chosen(shared) or timing.read(model) or chosen(self.of_all) or timing.AT_ONCE

    def is_off(self, rule: str, person: int) -> bool:
        """Has the person turned this kind of mail off?"""
        own = self.of_people.get(person)
        return kind(rule) in OPTIONAL and own is not None and not own.reminders


def chosen(row: MailPreference | None) -> Preference | None:
    """What a row says; None where nothing was chosen."""
    if row is None or row.how is None:
        return None
    return Preference(how=How(row.how), hour=row.hour, weekday=row.weekday)


def read(
    session: Session, people: Collection[int], groups: Collection[int], community_id: int | None = None
) -> Choices:
    """Their choices, and what the community named chose for all, in one statement."""
    if not people and not groups:
        return Choices(of_people={}, of_groups={}, of_all=None)
    theirs = or_(MailPreference.user_id.in_(people), MailPreference.group_id.in_(groups), _of_all(community_id))
    rows = session.scalars(select(MailPreference).where(theirs)).all()
    return Choices(
        of_people={row.user_id: row for row in rows if row.user_id is not None},
        of_groups={row.group_id: row for row in rows if row.group_id is not None},
        of_all=next((row for row in rows if row.user_id is None and row.group_id is None), None),
    )


def _of_all(community_id: int | None) -> ColumnElement[bool]:
    nobodys = MailPreference.user_id.is_(None) & MailPreference.group_id.is_(None)
    return nobodys & (MailPreference.community_id == community_id)


def of_community(session: Session, community_id: int) -> MailPreference | None:
    """What the community chose for all, if it did."""
    return session.scalar(select(MailPreference).where(_of_all(community_id)))


def of_person(session: Session, user_id: int) -> MailPreference | None:
    """The person's own choice, if they made one."""
    return session.scalar(select(MailPreference).where(MailPreference.user_id == user_id))


def of_group(session: Session, group_id: int) -> MailPreference | None:
    """The group's choice, if one was made."""
    return session.scalar(select(MailPreference).where(MailPreference.group_id == group_id))


def choose(session: Session, user: User, preference: Preference | None, *, reminders: bool, now: datetime) -> None:
    """Set how the person is written to; None leaves it to groups and models. Planned mails follow in a job."""
    row = of_person(session, user.id)
    if row is None:
        row = MailPreference(community_id=user.community_id, user_id=user.id, changed_at=now)
        session.add(row)
    row.reminders = reminders
    _set(row, preference, now)
    _plan_anew(session, select(Delivery.instance_id).where(Delivery.recipient_id == user.id), now)


def choose_for_group(session: Session, group: Group, preference: Preference | None, *, now: datetime) -> None:
    """Set how the group's members are written to about its tasks, where they have not chosen. Raises InvalidInput."""
    row = of_group(session, group.id)
    if row is None:
        row = MailPreference(community_id=group.community_id, group_id=group.id, changed_at=now)
        session.add(row)
    _set(row, preference, now)
    theirs = select(Delivery.instance_id).join(UserTask, UserTask.id == Delivery.task_id)
    _plan_anew(session, theirs.where(UserTask.candidate_group_id == group.id), now)


def choose_for_all(session: Session, community_id: int, preference: Preference | None, *, now: datetime) -> None:
    """Set how people are written to where neither they, a group nor the model chose. Raises InvalidInput."""
    # Of two who choose at once, the second sees the first.
    session.get(Community, community_id, with_for_update=True)
    row = of_community(session, community_id)
    if row is None:
        row = MailPreference(community_id=community_id, changed_at=now)
        session.add(row)
    _set(row, preference, now)
    _plan_anew(session, select(Delivery.instance_id).where(Delivery.community_id == community_id), now)


def turn_reminders(session: Session, user: User, *, on: bool, now: datetime) -> None:
    """Turn the person's reminders on or off, and nothing else."""
    row = of_person(session, user.id)
    choose(session, user, chosen(row), reminders=on, now=now)


def _set(row: MailPreference, preference: Preference | None, now: datetime) -> None:
    if preference is not None and (preference.hour not in timing.HOURS or preference.weekday not in range(5)):
        raise InvalidInput("Choose an hour from 8 to 19 and a weekday from Monday to Friday.")
    row.changed_at = now
    row.how = preference.how.value if preference else None
    if preference is not None:
        row.hour, row.weekday = preference.hour, preference.weekday


def _plan_anew(session: Session, cases: Select[int | None], now: datetime) -> None:
    running = cases.join(ProcessInstance, ProcessInstance.id == Delivery.instance_id)
    unsent = Delivery.state.in_(UNSENT) & (ProcessInstance.state == "active")
    for instance_id in session.scalars(running.where(unsent).distinct().order_by(Delivery.instance_id)).all():
        jobs.enqueue(session, "reconcile", run_at=now, instance_id=instance_id)
