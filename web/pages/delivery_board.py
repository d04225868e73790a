"""Every mail that someone may see, of all cases: chosen, sorted, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from agreements.model import Body, Party
from engine import identity
from engine.calendar import Calendar
from engine.identity import Person
from engine.model import Group, Membership, ProcessInstance, User, UserTask
from notifications.model import Delivery
from web.pages import delivery_views
from web.pages.delivery_views import Mail

PAGE = 100
SORTINGS = ("tid", "mottaker", "sak")
#: Days before and after today that are shown until other days are chosen.
BEFORE, AFTER = 14, 30
#: Longest text that is searched for.
MAX_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the reader wants to see."""

    wanted: str
    #: Which kind of mail, such as `reminder`; empty for all.
    rule: str
    #: Key of a group: of a body or a party.
    group: str
    person: str
    case: str
    first: date
    last: date
    sorting: str
    page: int

    @property
    def is_narrow(self) -> bool:
        """Was more than the state and the order chosen?"""
        return bool(self.rule or self.group or self.person or self.case)


@dataclass(frozen=True, kw_only=True)
class Board:
    """A page of mails."""

    mails: Sequence[Mail]
    #: How many each filter of the states shows.
    counts: Mapping[str, int]
    page: int
    pages: int


def board(session: Session, reader: Person, choice: Choice, calendar: Calendar) -> Board:
    """The mails chosen: planned ones first, the soonest on top; then those that left, the latest on top."""
    where = [*_chosen(session, reader, choice, calendar)]
    counts = _counted(session, where)
    total = counts.get(choice.wanted, 0)
    pages = max(1, -(-total // PAGE))
    page = min(max(1, choice.page), pages)
    states = Delivery.state.in_(delivery_views.STATES[choice.wanted])
    query = _sorted(delivery_views.listed().where(*where, states), choice.sorting)
    mails = delivery_views.read(session, query.limit(PAGE).offset(PAGE * (page - 1)))
    return Board(mails=mails, counts=counts, page=page, pages=pages)


def groups(session: Session, reader: Person) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
    """Key and name of the bodies, and of the parties, that have a group."""
    bodies = select(Group.key, Body.name).join(Body, Body.group_id == Group.id).order_by(Body.position, Body.id)
    parties = select(Group.key, Party.name).join(Party, Party.group_id == Group.id).order_by(Party.position, Party.id)
    found = [
        [(row.key, row.name) for row in session.execute(query.where(Group.community_id == reader.community_id))]
        for query in (bodies, parties)
    ]
    return found[0], found[1]


def unmended(session: Session, reader: Person) -> list[Mail]:
    """Mails that did not arrive, about what still waits, in the cases the reader steers: one per person and task."""
    waits = or_(Delivery.task_id.is_(None), UserTask.state.in_(("open", "submitted")))
    query = delivery_views.listed().where(steered_by(reader), Delivery.state == "failed", waits)
    running = or_(Delivery.instance_id.is_(None), ProcessInstance.state.in_(("active", "suspended")))
    failed = delivery_views.read(session, query.where(running))
    if not failed:
        return []
    # A later mail about the same made it good.
    same = (
        Delivery.recipient_id.in_({mail.recipient_id for mail in failed}),
        func.coalesce(ProcessInstance.public_id, "").in_({mail.case_id for mail in failed}),
    )
    sent = delivery_views.read(session, delivery_views.listed().where(Delivery.state == "sent", *same))
    return delivery_views.bounced([*failed, *sent])


# --- choosing ---------------------------------------------------------------------------------------------------------


def seen_by(reader: Person) -> ColumnElement[bool]:
    """The condition under which someone sees a mail, where its case is joined: theirs, or of a case they steer."""
    return or_(
        steered_by(reader), and_(Delivery.community_id == reader.community_id, Delivery.recipient_id == reader.id)
    )


def steered_by(reader: Person) -> ColumnElement[bool]:
    """The condition under which someone steers a mail's case, where that is joined."""
    own = Delivery.community_id == reader.community_id
    if reader.is_admin:
        return own
    return own & identity.steered_instances(reader)


def _chosen(session: Session, reader: Person, choice: Choice, calendar: Calendar) -> list[ColumnElement[bool]]:
    where = [seen_by(reader), Delivery.community_id == reader.community_id, *_period(choice, calendar)]
    if choice.rule:
        where.append((Delivery.rule == choice.rule) | Delivery.rule.startswith(f"{choice.rule}:", autoescape=True))
    if choice.group:
        members = select(Membership.user_id).join(Group, Group.id == Membership.group_id)
        of_group = (Group.key == choice.group) & (Group.community_id == reader.community_id)
        where.append(Delivery.recipient_id.in_(members.where(of_group)))
    if choice.person:
        where.append(_has(User.name, choice.person))
    if choice.case:
        where.append(_has(ProcessInstance.title, choice.case))
    return where


def _period(choice: Choice, calendar: Calendar) -> tuple[ColumnElement[bool], ...]:
    begin, end = (calendar.at(day, time()) for day in (choice.first, choice.last + timedelta(days=1)))
    return Delivery.planned_at >= begin, Delivery.planned_at < end


def _has(column: Any, text: str) -> ColumnElement[bool]:
    # SQLite folds only ASCII letters, so the cases people write are each asked for.
    forms = sorted({text, text.lower(), text.capitalize()})
    return or_(*(column.icontains(form, autoescape=True) for form in forms))


def _counted(session: Session, where: Sequence[ColumnElement[bool]]) -> dict[str, int]:
    query: Select[*tuple[Any, ...]] = select(Delivery.state, func.count().label("number"))
    query = query.select_from(Delivery).outerjoin(ProcessInstance, ProcessInstance.id == Delivery.instance_id)
    query = query.join(User, User.id == Delivery.recipient_id).where(*where).group_by(Delivery.state)
    by_state = {row.state: row.number for row in session.execute(query)}
    return {name: sum(by_state.get(s, 0) for s in states) for name, states in delivery_views.STATES.items()}


def _sorted(query: Select[*tuple[Any, ...]], sorting: str) -> Select[*tuple[Any, ...]]:
    left = Delivery.state != "planned"
    by_time = (case((~left, Delivery.planned_at)), Delivery.planned_at.desc(), Delivery.id.desc())
    if sorting == "mottaker":
        return query.order_by(left, func.lower(User.name), *by_time)
    if sorting == "sak":
        return query.order_by(left, func.lower(ProcessInstance.title), ProcessInstance.id, *by_time)
    return query.order_by(left, *by_time)
