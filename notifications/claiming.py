"""Taking mails that are due: as many as may leave now, each frozen, in one transaction.

How many may leave is counted from rows, so it holds for all processes together. They take turns at taking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import MessageError
from email.message import EmailMessage

from jinja2 import TemplateError
from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from engine import jobs
from engine.model import Community, User
from notifications import surroundings
from notifications.composing import InvalidAddress, Message, compose, email_message
from notifications.facts import Void, gather
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from notifications.surroundings import Surroundings

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


def take(session: Session, now: datetime, settings: NotificationSettings, limit: int) -> Batch:
    """Lease and freeze up to `limit` mails; first what was left in the middle, then the most urgent."""
    if session.get_bind().dialect.name == "postgresql":
        # Two that count at once would both find room. The lock ends with the transaction.
        session.execute(select(func.pg_advisory_xact_lock(_TURN)))
    taken = session.scalar(select(func.count()).where(_taken(now))) or 0
    due = _due(session, now, min(limit, _room(taken, settings)))
    around = surroundings.read(session, due)
    outgoing = [mail for d in due if (mail := _outgoing(around, d, now, settings)) is not None]
    return Batch(outgoing=outgoing, settled=len(due) - len(outgoing))


# --- what is due ---


def _planned(now: datetime) -> ColumnElement[bool]:
    return (Delivery.state == "planned") & (Delivery.next_attempt_at <= now)


def _left_behind(now: datetime) -> ColumnElement[bool]:
    return (Delivery.state == "sending") & (Delivery.lease_until <= now)


def _taken(now: datetime) -> ColumnElement[bool]:
    return Delivery.taken_at > now - WINDOW


def _room(taken: int, settings: NotificationSettings) -> int:
    """How many mails may be taken now. Those that come back untried don't count."""
    return max(settings.mails_per_minute - taken, 0)


def _due(session: Session, now: datetime, limit: int) -> Sequence[Delivery]:
    if limit == 0:
        return []
    left = select(Delivery).where(_left_behind(now)).order_by(Delivery.next_attempt_at, Delivery.id).limit(limit)
    found = list(session.scalars(left.with_for_update(skip_locked=True)))
    # After a standstill the nearest due date is the most urgent; what has none, such as an incident, is about now.
    urgent = (Delivery.due_date.asc().nulls_first(), Delivery.next_attempt_at, Delivery.id)
    planned = select(Delivery).where(_planned(now)).order_by(*urgent).limit(limit - len(found))
    return [*found, *session.scalars(planned.with_for_update(skip_locked=True))]


# --- one mail ---


def _outgoing(
    around: Surroundings, delivery: Delivery, now: datetime, settings: NotificationSettings
) -> Outgoing | None:
    left_behind = delivery.state == "sending"
    facts = gather(around, delivery, now=now, settings=settings)
    delivery.attempts += 1
    if isinstance(facts, Void):
        # One that was left in the middle may have reached the person.
        delivery.state, delivery.last_error = ("uncertain" if left_behind else "cancelled"), facts.reason
        return None
    if left_behind and delivery.attempts > len(PAUSES):
        delivery.state, delivery.last_error = "uncertain", "Sending broke off every time."
        return None
    recipient = around.people[delivery.recipient_id]
    try:
        if not left_behind:
            _freeze(delivery, compose(facts), recipient.email, now)
            delivery.due_date = facts.due
        message = _frozen(delivery, around.communities[delivery.community_id], recipient)
    except InvalidAddress as error:
        delivery.state, delivery.last_error = "failed", str(error)
        return None
    except _BROKEN as error:  # recorded: one broken mail must not keep the others waiting
        for name, value in later(delivery.attempts, now, f"{type(error).__name__}: {error}").items():
            setattr(delivery, name, value)
        return None
    return _leased(delivery, message, now, left_behind=left_behind)


def _leased(delivery: Delivery, message: EmailMessage, now: datetime, *, left_behind: bool) -> Outgoing:
    delivery.state, delivery.lease, delivery.lease_until = "sending", delivery.lease + 1, now + LEASE
    delivery.taken_at = now
    return Outgoing(
        id=delivery.id, lease=delivery.lease, attempts=delivery.attempts, left_behind=left_behind, message=message,
        to=message["To"].addresses[0].addr_spec,
    )  # fmt: skip


def _freeze(delivery: Delivery, message: Message, address: str, now: datetime) -> None:
    delivery.subject, delivery.body_text, delivery.body_html = message.subject, message.text, message.html
    delivery.address, delivery.composed_at = address, now


def _frozen(delivery: Delivery, community: Community, recipient: User) -> EmailMessage:
    content = Message(subject=delivery.subject or "", text=delivery.body_text or "", html=delivery.body_html or "")
    assert delivery.composed_at is not None, "content is frozen together with its moment"
    return email_message(
        content, community=community.name, sender=community.email, recipient=recipient.name,
        address=delivery.address, message_id=delivery.message_id, date=delivery.composed_at,
    )  # fmt: skip


def later(attempts: int, now: datetime, reason: str) -> dict[str, object]:
    """The columns of a mail that failed so often: tried again after a growing pause, and after the last one failed."""
    if attempts > len(PAUSES):
        return {"state": "failed", "last_error": reason[:2000]}
    return {"state": "planned", "next_attempt_at": now + PAUSES[attempts - 1], "last_error": reason[:2000]}
