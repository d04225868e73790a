"""Invitations to the dialogue meetings of a case: sent, moved and called off by mails that calendars read.

The meetings stand in the answers of the planning step. Rows keep what calendars know them by, and follow the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import calendars
from agreements.calendars import Entry, Mailbox
from agreements.model import Invitation
from engine import absences, identity
from engine.model import Community, ProcessInstance, User, UserTask
from notifications.model import TOLD, Delivery
from notifications.rules import Wanted
from notifications.settings import NotificationSettings

RULE = "invitation"
#: The form of the planning step, and its rows of meetings.
_FORM, _ROWS = "plan_and_clarify", "meeting_dates"


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """What the mail says of the meeting; `former` is the date from which it was moved."""

    name: str
    day: date
    former: date | None
    cancelled: bool


# --- what is wanted ---


def wanted(session: Session, instance: ProcessInstance, *, now: datetime) -> list[Wanted]:
    """The mails about dialogue meetings that are still to come, after making their rows agree with the plan."""
    rows = _follow(session, instance)
    today = identity.calendar_of(instance.community).local_date(now)
    coming = [row for row in rows if row.date >= today]
    if not coming:
        return []
    guests = absences.present(session, _contacts(session, instance))
    invited = {row.id: _invited(session, row) for row in coming if row.cancelled}
    return [_wanted(row, person, now) for row in coming for person in invited.get(row.id, guests)]


def _follow(session: Session, instance: ProcessInstance) -> Sequence[Invitation]:
    """The case's meetings as its plan now has them; those that it names no longer are called off."""
    rows = session.scalars(
        select(Invitation).where(Invitation.instance_id == instance.id).order_by(Invitation.id)
    ).all()
    planned = _planned(session, instance)
    if planned is None:
        return rows
    known = {row.name: row for row in rows}
    for row in rows:
        _change(row, planned.get(row.name))
    made = [
        Invitation(community_id=instance.community_id, instance_id=instance.id, name=name, date=day)
        for name, day in planned.items()
        if name not in known
    ]
    session.add_all(made)
    session.flush()  # their ids go into what they cause
    return [*rows, *made]


def _change(row: Invitation, day: date | None) -> None:
    if day is None and not row.cancelled:
        row.cancelled, row.sequence = True, row.sequence + 1
    elif day is not None and (row.cancelled or day != row.date):
        row.former = row.date if day != row.date else None
        row.date, row.cancelled, row.sequence = day, False, row.sequence + 1


def _planned(session: Session, instance: ProcessInstance) -> Mapping[str, date] | None:
    """The meetings and their dates; None while nobody can tell, and the rows stay as they are."""
    if instance.state == "cancelled":
        return {}
    answered = select(UserTask.answers).where(
        UserTask.instance_id == instance.id, UserTask.form_key == _FORM, UserTask.state == "completed"
    )
    answers = session.scalars(answered.order_by(UserTask.id.desc()).limit(1)).first()
    if answers is None or instance.state != "active":
        return None
    return {row["name"]: date.fromisoformat(row["date"]) for row in answers.get(_ROWS) or []}


def _contacts(session: Session, instance: ProcessInstance) -> Sequence[int]:
    keys = [party.get("contact") for party in instance.data.get("parties") or []]
    named = select(User.id).where(User.community_id == instance.community_id, User.key.in_(keys), User.active)
    return session.scalars(named.order_by(User.id)).all()


def _invited(session: Session, row: Invitation) -> Sequence[int]:
    """Who may have read that the meeting is to be held."""
    told = select(Delivery.recipient_id).where(
        Delivery.instance_id == row.instance_id, Delivery.rule == RULE, Delivery.state.in_(TOLD),
        Delivery.cause.startswith(f"{RULE}:{row.id}:"),
    )  # fmt: skip
    return sorted(set(session.scalars(told)))


def _wanted(row: Invitation, person: int, now: datetime) -> Wanted:
    return Wanted(
        cause=f"{RULE}:{row.id}:{row.sequence}", rule=RULE, step_id=None, task_id=None, recipient_id=person,
        planned_at=now, due_date=None, due_generation=1, at_once=True,
    )  # fmt: skip


# --- what is said ---


def news(session: Session, delivery: Delivery) -> Meeting | None:
    """What a delivery of this rule says; None where a later one says more."""
    row, sequence = _row(session, delivery)
    if sequence != row.sequence:
        return None
    return Meeting(name=row.name, day=row.date, former=row.former, cancelled=row.cancelled)


def part(
    session: Session, delivery: Delivery, community: Community, recipient: User,
    settings: NotificationSettings,
) -> tuple[str, str] | None:  # fmt: skip
    """What calendars read in the mail: its method and its text; None for mails of other rules."""
    if delivery.rule != RULE:
        return None
    assert delivery.composed_at is not None, "the content is frozen"
    row, sequence = _row(session, delivery)
    entry = Entry(
        uid=f"invitation-{row.public_id}@{urlsplit(settings.base_url).hostname}", summary=row.name,
        about=[row.instance.title], url=settings.case_url(row.instance.public_id), starts=row.date, sequence=sequence,
        stamp=delivery.composed_at, cancelled=row.cancelled,
    )  # fmt: skip
    organizer = Mailbox(name=f"Sekretariatet i {community.name}", address=community.email)
    guest = Mailbox(name=recipient.name, address=delivery.address)
    return calendars.invitation(entry, organizer=organizer, guest=guest)


def _row(session: Session, delivery: Delivery) -> tuple[Invitation, int]:
    _rule, number, sequence = delivery.cause.split(":")
    return session.get_one(Invitation, int(number)), int(sequence)
