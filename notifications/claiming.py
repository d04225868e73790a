"""Taking mails that are due: as many as may leave now, each frozen, in one transaction.

How many may leave is counted from rows, so it holds for all processes together. They take turns at taking.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.errors import MessageError
from email.message import EmailMessage
from itertools import chain
from types import MappingProxyType

from jinja2 import TemplateError
from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from engine import jobs
from notifications import invitations, links, surroundings, unsubscribing, weekly
from notifications.bundles import BUNDLED, compose_all
from notifications.composing import InvalidAddress, Message, email_message
from notifications.facts import Facts, Void, gather
from notifications.model import Delivery
from notifications.rules import kind
from notifications.settings import NotificationSettings
from notifications.surroundings import Surroundings
from notifications.week_news import News

#: How long a mail that was taken is nobody else's.
LEASE = timedelta(minutes=10)
#: Pauses after the first, second, … failure; after the last one the mail has failed. A mail server may be unwell for
#: longer than a day.
PAUSES = (*jobs.PAUSES, timedelta(hours=8), timedelta(hours=8))
#: The minute that the rate speaks of.
WINDOW = timedelta(minutes=1)

#: What a broken template or unexpected fact raises when a mail is composed.
_BROKEN = (
    TemplateError, MessageError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
#: Names the lock under which mails are taken on PostgreSQL; any number that nothing else uses.
_TURN = 0x6D61696C


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A mail that is ours to send until its lease runs out."""

    id: int
    lease: int
    attempts: int
    #: Was it taken over from a process that died? Then it may have left already.
    left_behind: bool
    message: EmailMessage
    to: str
    taken_at: datetime
    #: Id and lease of the planned mails that it says: its own and what it carries.
    leases: Sequence[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What was taken together."""

    outgoing: Sequence[Outgoing]
    #: How many due mails were decided without sending anything.
    settled: int


def is_any_due(session: Session, now: datetime, settings: NotificationSettings) -> bool:
    """Is there a mail to take, and may one leave? One statement."""
    due = or_(exists().where(_planned(now)), exists().where(_left_behind(now)))
    found, taken = session.execute(select(due, select(func.count()).where(_taken(now)).scalar_subquery())).one()
    return bool(found) and _room(taken, settings) > 0


def take(
    session: Session, now: datetime, settings: NotificationSettings, limit: int, weeks: News = MappingProxyType({})
) -> Batch:
    """Lease and freeze up to `limit` mails; first what was left in the middle, then the most urgent.

    Of the leaders' weekly mails those in `weeks`, which says what they say.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Two that count at once would both find room. The lock ends with the transaction.
        session.execute(select(func.pg_advisory_xact_lock(_TURN)))
    taken = session.scalar(select(func.count()).where(_taken(now))) or 0
    due = _due(session, now, min(limit, _room(taken, settings)), weeks)
    carried = _carried(session, due)
    around = surroundings.read(session, [*due, *chain.from_iterable(carried.values())], weeks)
    at = _Table(
        around=around, desk=links.desk(around, due, now=now, settings=settings), carried=carried, now=now,
        settings=settings,
    )  # fmt: skip
    outgoing = [mail for mails in _together(due) if (mail := _outgoing(at, mails)) is not None]
    return Batch(outgoing=outgoing, settled=len(due) - sum(len(mail.leases) for mail in outgoing))


# --- what is due ---


def _planned(now: datetime) -> ColumnElement[bool]:
    return (Delivery.state == "planned") & (Delivery.next_attempt_at <= now)


def _left_behind(now: datetime) -> ColumnElement[bool]:
    # What another mail carries follows that one.
    return (Delivery.state == "sending") & (Delivery.lease_until <= now) & Delivery.carrier_id.is_(None)


def _taken(now: datetime) -> ColumnElement[bool]:
    return Delivery.taken_at > now - WINDOW


def _room(taken: int, settings: NotificationSettings) -> int:
    """How many mails may be taken now. Those that come back untried don't count."""
    return max(settings.mails_per_minute - taken, 0)


def _due(session: Session, now: datetime, limit: int, weeks: News) -> Sequence[Delivery]:
    if limit == 0:
        return []
    # One whose words are not found yet comes with the next batch.
    worded = (Delivery.rule != weekly.RULE) | Delivery.id.in_(weeks)
    left = (
        select(Delivery).where(_left_behind(now), worded).order_by(Delivery.next_attempt_at, Delivery.id).limit(limit)
    )
    found = list(session.scalars(left.with_for_update(skip_locked=True)))
    # After a standstill the nearest due date is the most urgent; what has none, such as an incident, is about now.
    urgent = (Delivery.due_date.asc().nulls_first(), Delivery.next_attempt_at, Delivery.id)
    planned = select(Delivery).where(_planned(now), worded).order_by(*urgent).limit(limit - len(found))
    found += session.scalars(planned.with_for_update(skip_locked=True))
    # Whoever gets one of these gets everything of theirs that is due in the same mail, which counts as one.
    people, ids = {d.recipient_id for d in found if d.state == "planned"}, [d.id for d in found]
    if people:
        theirs = Delivery.recipient_id.in_(people) & Delivery.id.not_in(ids)
        more = select(Delivery).where(_planned(now), worded, theirs)
        found += session.scalars(more.order_by(*urgent).with_for_update(skip_locked=True))
    return found


def _carried(session: Session, due: Sequence[Delivery]) -> Mapping[int, Sequence[Delivery]]:
    """What the mails that were left in the middle carry with them."""
    carriers = [d.id for d in due if d.state == "sending"]
    found: defaultdict[int, list[Delivery]] = defaultdict(list)
    if carriers:
        query = select(Delivery).where(Delivery.carrier_id.in_(carriers), Delivery.state == "sending")
        for row in session.scalars(query.order_by(Delivery.id).with_for_update()):
            found[row.carrier_id or 0].append(row)
    return found


def _together(due: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """The mails that leave as one: those to one person, unless they were left in the middle or stand alone."""
    alone = [d for d in due if d.state == "sending" or kind(d.rule) not in BUNDLED]
    yield from ([d] for d in alone)
    by_person: defaultdict[tuple[int, str], list[Delivery]] = defaultdict(list)
    for d in due:
        if d not in alone:
            by_person[d.recipient_id, d.channel].append(d)
    for those in by_person.values():
        yield sorted(those, key=lambda d: (d.due_date or date.min, d.next_attempt_at, d.id))


# --- one mail ---


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What lies beside a batch while it is gone through."""

    around: Surroundings
    desk: links.Desk | None
    #: Carrier -> what left with it before.
    carried: Mapping[int, Sequence[Delivery]]
    now: datetime
    settings: NotificationSettings


def _outgoing(at: _Table, mails: Sequence[Delivery]) -> Outgoing | None:
    """The one mail that says what these say, as far as it is still so."""
    if mails[0].state == "sending":
        return _once_more(at, mails[0])
    said = [(d, facts) for d in mails if (facts := _said(at, d)) is not None]
    if not said:
        return None
    rows = [d for d, _ in said]
    address = at.around.people[rows[0].recipient_id].email
    try:
        _freeze(rows[0], compose_all([facts for _, facts in said]), address, at.now)
        message = _frozen(at, rows)
    except InvalidAddress as error:
        _set_all(rows, {"state": "failed", "last_error": str(error)})
        return None
    except _BROKEN as error:  # recorded: one broken mail must not keep the others waiting
        for d in rows:
            _set_all([d], later(d.attempts, at.now, f"{type(error).__name__}: {error}"))
        return None
    for d in rows[1:]:
        d.carrier_id, d.address = rows[0].id, address
    return _leased(rows, message, at.now, left_behind=False)


def _said(at: _Table, delivery: Delivery) -> Facts | None:
    """What a planned mail says, now counted as said; None where it is not to leave any more."""
    facts = gather(at.around, delivery, now=at.now, settings=at.settings)
    delivery.attempts += 1
    if isinstance(facts, Void):
        # What may have left with another mail before still says with which.
        delivery.state, delivery.last_error = "cancelled", facts.reason
        return None
    delivery.carrier_id = None
    # The others of the batch see that the person is being told.
    delivery.state, delivery.composed_at, delivery.due_date = "sending", at.now, facts.due
    return facts


def _once_more(at: _Table, carrier: Delivery) -> Outgoing | None:
    """What was left in the middle, as the same bytes: it may have reached the person."""
    rows = [carrier, *at.carried.get(carrier.id, ())]
    for d in rows:
        d.attempts += 1
    if (reason := _why_not_again(at, rows)) is not None:
        _set_all(rows, {"state": "uncertain", "last_error": reason})
        return None
    try:
        message = _frozen(at, rows)
    except InvalidAddress as error:
        _set_all(rows, {"state": "failed", "last_error": str(error)})
        return None
    return _leased(rows, message, at.now, left_behind=True)


def _why_not_again(at: _Table, rows: Sequence[Delivery]) -> str | None:
    """Why nothing of it is to leave any more; what is still wanted takes the rest along."""
    if rows[0].attempts > len(PAUSES):
        return "Sending broke off every time."
    found = [gather(at.around, d, now=at.now, settings=at.settings) for d in rows]
    reasons = [facts.reason for facts in found if isinstance(facts, Void)]
    return reasons[0] if len(reasons) == len(rows) else None


def _set_all(rows: Sequence[Delivery], values: Mapping[str, object]) -> None:
    for row in rows:
        for name, value in values.items():
            setattr(row, name, value)


def _leased(rows: Sequence[Delivery], message: EmailMessage, now: datetime, *, left_behind: bool) -> Outgoing:
    # What it carries has no lease that ends: nobody, of no version, ever takes it up by itself.
    for d in rows:
        d.state, d.lease, d.lease_until = "sending", d.lease + 1, None
    carrier = rows[0]
    carrier.lease_until, carrier.taken_at = now + LEASE, now
    return Outgoing(
        id=carrier.id, lease=carrier.lease, attempts=carrier.attempts, left_behind=left_behind, message=message,
        to=message["To"].addresses[0].addr_spec, leases=[(d.id, d.lease) for d in rows],
        taken_at=now,
    )  # fmt: skip


def _freeze(delivery: Delivery, message: Message, address: str, now: datetime) -> None:
    delivery.subject, delivery.body_text, delivery.body_html = message.subject, message.text, message.html
    delivery.address, delivery.composed_at = address, now


def _frozen(at: _Table, rows: Sequence[Delivery]) -> EmailMessage:
    carrier = rows[0]
    content = Message(subject=carrier.subject or "", text=carrier.body_text or "", html=carrier.body_html or "")
    assert carrier.composed_at is not None, "content is frozen together with its moment"
    community, recipient = at.around.communities[carrier.community_id], at.around.people[carrier.recipient_id]
    kinds = {kind(d.rule) for d in rows}
    return email_message(
        links.personal(at.desk, carrier, content), community=community.name, sender=community.email,
        recipient=recipient.name, address=carrier.address, message_id=carrier.message_id, date=carrier.composed_at,
        locale=recipient.locale, unsubscribe=unsubscribing.address(recipient, kinds, at.settings),
        calendar=invitations.part(at.around.session, carrier, community, recipient, at.settings),
    )  # fmt: skip


def later(attempts: int, now: datetime, reason: str) -> dict[str, object]:
    """The columns of a mail that failed so often: tried again after a growing pause, and after the last one failed."""
    if attempts > len(PAUSES):
        return {"state": "failed", "last_error": reason[:2000]}
    return {"state": "planned", "next_attempt_at": now + PAUSES[attempts - 1], "last_error": reason[:2000]}
