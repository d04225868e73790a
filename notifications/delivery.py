"""Sending what is due, one mail at a time, so that none is lost and none is sent twice unknowingly.

Three parts, never merged: claim with a lease, freeze the content and commit; hand it to the mail server with
no transaction open; record the outcome and commit. After a crash in the middle the same message goes again
with the same Message-ID.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import MessageError
from email.message import EmailMessage

from jinja2 import TemplateError
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from engine.database import Database
from engine.errors import NotOpen
from engine.jobs import PAUSES, Claimed, Handler
from engine.model import Community, User
from notifications.composing import InvalidAddress, Message, compose, email_message
from notifications.facts import Void, gather
from notifications.mailer import Mailer, PermanentFailure, TransientFailure, Uncertain
from notifications.model import Delivery
from notifications.reconciling import reconcile
from notifications.settings import NotificationSettings

#: What a broken template or unexpected fact raises when a mail is composed.
_BROKEN = (
    TemplateError, MessageError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip

#: Longer than a conversation with a mail server may take.
LEASE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class _Outgoing:
    """A mail that is ours to send until its lease runs out."""

    id: int
    lease: int
    attempts: int
    message: EmailMessage
    to: str


@dataclass(frozen=True, kw_only=True)
class _Settled:
    """A due delivery that was decided without sending anything."""


def send_one(database: Database, mailer: Mailer, *, now: datetime, settings: NotificationSettings) -> bool:
    """Send the mail that has waited longest; answers whether there was one. Workers may call this at once."""
    with database.transaction() as session:
        taken = _take(session, now, settings)
    if isinstance(taken, _Outgoing):
        _send(database, mailer, taken, now)
    return taken is not None


def next_due(session: Session) -> datetime | None:
    """When `send_one` next has something to do; None while nothing is planned."""
    planned = select(Delivery.next_attempt_at).where(Delivery.state == "planned").order_by(Delivery.next_attempt_at)
    sending = select(Delivery.lease_until).where(Delivery.state == "sending").order_by(Delivery.lease_until)
    moments = [session.scalar(planned.limit(1)), session.scalar(sending.limit(1))]
    return min((moment for moment in moments if moment is not None), default=None)


def handlers(settings: NotificationSettings) -> Mapping[str, Handler]:
    """What notifications do about jobs: `reconcile` plans the mails of one case anew."""

    def run(database: Database, job: Claimed, now: datetime) -> None:
        if job.instance_id is None:
            raise ValueError(f"Job {job.id} names no case to reconcile.")
        with database.transaction() as session:
            reconcile(session, job.instance_id, now=now, settings=settings)

    return {"reconcile": run}


def send_again(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """Plan a failed or uncertain mail once more, to the person's present address.

    The Message-ID stays. Raises NotOpen when it is in another state.
    """
    # Compare-and-set: of two who ask at once, one wins.
    row = update(Delivery).where(Delivery.id == delivery.id, Delivery.state.in_(("failed", "uncertain")))
    values = row.values(state="planned", next_attempt_at=now, attempts=0, last_error=None)
    if session.execute(values.returning(Delivery.id)).first() is None:
        raise NotOpen("Only a mail that failed or is uncertain can be sent again.")


# --- claim ---


def _take(session: Session, now: datetime, settings: NotificationSettings) -> _Outgoing | _Settled | None:
    delivery = _next(session, now)
    if delivery is None:
        return None
    left_behind = delivery.state == "sending"
    facts = gather(session, delivery, now=now, settings=settings)
    delivery.attempts += 1
    if isinstance(facts, Void):
        # One that was left in the middle may have reached the person.
        delivery.state, delivery.last_error = ("uncertain" if left_behind else "cancelled"), facts.reason
        return _Settled()
    if left_behind and delivery.attempts > len(PAUSES):
        delivery.state, delivery.last_error = "uncertain", "Sending broke off every time."
        return _Settled()
    recipient = session.get_one(User, delivery.recipient_id)
    community = session.get_one(Community, delivery.community_id)
    try:
        if not left_behind:
            _freeze(delivery, compose(facts), recipient.email, now)
            delivery.due_date = facts.due
        message = _frozen(delivery, community, recipient)
    except InvalidAddress as error:
        delivery.state, delivery.last_error = "failed", str(error)
        return _Settled()
    except _BROKEN as error:  # recorded: one broken mail must not keep the others waiting
        _put_off(delivery, now, f"{type(error).__name__}: {error}")
        return _Settled()
    delivery.state, delivery.lease, delivery.lease_until = "sending", delivery.lease + 1, now + LEASE
    return _Outgoing(
        id=delivery.id,
        lease=delivery.lease,
        attempts=delivery.attempts,
        message=message,
        to=message["To"].addresses[0].addr_spec,
    )


def _next(session: Session, now: datetime) -> Delivery | None:
    due = or_(
        (Delivery.state == "planned") & (Delivery.next_attempt_at <= now),
        (Delivery.state == "sending") & (Delivery.lease_until <= now),
    )
    query = select(Delivery).where(due).order_by(Delivery.next_attempt_at, Delivery.id).limit(1)
    return session.scalars(query.with_for_update(skip_locked=True)).first()


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


def _put_off(delivery: Delivery, now: datetime, reason: str) -> None:
    for name, value in _later(delivery.attempts, now, reason).items():
        setattr(delivery, name, value)


# --- send and record ---


def _send(database: Database, mailer: Mailer, outgoing: _Outgoing, now: datetime) -> None:
    try:
        mailer.send(outgoing.message, outgoing.to)
    except PermanentFailure as error:
        _record(database, outgoing, {"state": "failed", "last_error": str(error)})
    except TransientFailure as error:
        _record(database, outgoing, _later(outgoing.attempts, now, str(error)))
    except Uncertain as error:
        _record(database, outgoing, {"state": "uncertain", "last_error": str(error)})
    else:
        _record(database, outgoing, {"state": "sent", "sent_at": now, "last_error": None})


def _later(attempts: int, now: datetime, reason: str) -> dict[str, object]:
    """Try again after a growing pause; after the last one it has failed."""
    if attempts > len(PAUSES):
        return {"state": "failed", "last_error": reason[:2000]}
    return {"state": "planned", "next_attempt_at": now + PAUSES[attempts - 1], "last_error": reason[:2000]}


def _record(database: Database, outgoing: _Outgoing, values: dict[str, object]) -> None:
    # Only the latest holder may record: one whose lease was outlived says nothing.
    ours = (Delivery.id == outgoing.id) & (Delivery.lease == outgoing.lease) & (Delivery.state == "sending")
    with database.transaction() as session:
        session.execute(update(Delivery).where(ours).values(lease_until=None, **values))
