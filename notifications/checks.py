"""Proof that every planned mail leaves once: what must hold of deliveries, looked at by rows. Reads only."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from engine.checks import FORGOTTEN, Fault
from engine.model import Incident, Job, ProcessInstance, Step, UserTask
from notifications.model import Delivery

#: A mail server may be slow, and a storm of mails takes its time.
PATIENCE = timedelta(minutes=15)

_OUTBOX = "See `avtaleflyt deliveries` and the worker's log: the mail server may be away or slow."
_COMPARE = "Rows were changed past the database's own rules: compare with the latest back-up."


def faults(session: Session, *, worked: datetime | None) -> Iterator[Fault]:
    """Everything of the mails' that does not hold; `worked` is when a worker last took a job."""
    yield from _told_twice(session)
    yield from _for_nobody(session)
    yield from _half_said(session)
    if worked is not None:
        yield from _late(session, worked)


def unended(session: Session) -> Iterator[Fault]:
    """Mails that have not left, or of which nobody knows: none should be, once everything has ended."""
    query = select(ProcessInstance.public_id, Delivery.public_id, Delivery.state)
    query = query.join(Delivery, Delivery.instance_id == ProcessInstance.id)
    for case_id, mail, state in session.execute(query.where(Delivery.state.not_in(("sent", "cancelled")))):
        remedy = "Let a worker send it; send again what failed or is uncertain, or correct the address."
        yield Fault(rule="mail-not-ended", case=case_id, what=f"The mail {mail} is {state}", remedy=remedy)


def due(session: Session, *, now: datetime) -> int:
    """How many mails wait for a worker."""
    query = select(func.count()).select_from(Delivery)
    return session.scalar(query.where(Delivery.state == "planned", Delivery.next_attempt_at <= now)) or 0


def _told_twice(session: Session) -> Iterator[Fault]:
    """One mail for each cause, person and channel; one Message-ID for each mail."""
    key = (Delivery.cause, Delivery.recipient_id, Delivery.channel)
    for cause, *_, count in session.execute(select(*key, func.count()).group_by(*key).having(func.count() > 1)):
        what = f"{count} mails tell one person of {cause}"
        yield Fault(rule="mail-twice", case=None, what=what, remedy=_COMPARE)
    same = select(Delivery.message_id, func.count()).group_by(Delivery.message_id).having(func.count() > 1)
    for message_id, count in session.execute(same):
        what = f"{count} mails have the Message-ID {message_id}"
        yield Fault(rule="message-id-twice", case=None, what=what, remedy=_COMPARE)


def _for_nobody(session: Session) -> Iterator[Fault]:
    """No mail is planned about what has ended, once the case's mails are reconciled."""
    ended = or_(
        ProcessInstance.state != "active",
        _gone(UserTask, Delivery.task_id, UserTask.state.in_(("open", "submitted"))),
        _gone(Step, Delivery.step_id, Step.state == "open"),
        _gone(Incident, Delivery.incident_id, Incident.resolved_at.is_(None)),
    )
    coming = exists().where(
        Job.instance_id == Delivery.instance_id, Job.kind == "reconcile", Job.state.in_(("queued", "leased"))
    )
    query = (
        select(ProcessInstance.public_id, Delivery.public_id, Delivery.rule)
        .join(Delivery, Delivery.instance_id == ProcessInstance.id)
        .where(Delivery.state == "planned", ended, ~coming)
    )
    for case_id, mail, rule in session.execute(query):
        what = f"The mail {mail} ({rule}) is planned about something that has ended"
        remedy = "It will be cancelled when its time comes; any act on the case reconciles its mails."
        yield Fault(rule="mail-for-nobody", case=case_id, what=what, remedy=remedy)


def _gone(
    table: type[UserTask] | type[Step] | type[Incident],
    column: InstrumentedAttribute[int | None],
    alive: ColumnElement[bool],
) -> ColumnElement[bool]:
    return column.is_not(None) & ~exists().where(table.id == column, alive)


def _half_said(session: Session) -> Iterator[Fault]:
    """What was sent has a content, an address and a moment, and what is being sent is held by somebody."""
    # What another mail carries is worded there.
    worded = Delivery.body_text.is_not(None) | Delivery.carrier_id.is_not(None)
    frozen = worded & Delivery.composed_at.is_not(None) & (Delivery.address != "")
    carrier = aliased(Delivery)
    taken_along = exists().where(carrier.id == Delivery.carrier_id, carrier.state == "sending")
    halves = or_(
        (Delivery.state == "sent")
        & (Delivery.sent_at.is_(None) | Delivery.composed_at.is_(None) | (Delivery.attempts == 0)),
        (Delivery.state == "sending") & (~frozen | (Delivery.lease_until.is_(None) & Delivery.carrier_id.is_(None))),
        (Delivery.state == "sending") & Delivery.carrier_id.is_not(None) & ~taken_along,
        (Delivery.state == "planned") & Delivery.lease_until.is_not(None),
    )
    query = select(ProcessInstance.public_id, Delivery.public_id, Delivery.state).select_from(Delivery)
    query = query.outerjoin(ProcessInstance, ProcessInstance.id == Delivery.instance_id).where(halves)
    for case_id, mail, state in session.execute(query):
        what = f"The mail {mail} is {state}, and its row does not say when, by whom or what"
        yield Fault(rule="mail-half-said", case=case_id, what=what, remedy=_COMPARE)


def _late(session: Session, worked: datetime) -> Iterator[Fault]:
    """What a living worker would have sent, or settled."""
    late = (Delivery.state == "planned") & (Delivery.next_attempt_at < worked - PATIENCE)
    # What another mail carries is stuck when that one is.
    stuck = (
        (Delivery.state == "sending")
        & Delivery.carrier_id.is_(None)
        & or_(Delivery.lease_until.is_(None), Delivery.lease_until < worked - FORGOTTEN)
    )
    query = select(ProcessInstance.public_id, Delivery.public_id, Delivery.state, Delivery.next_attempt_at)
    query = query.select_from(Delivery)
    query = query.outerjoin(ProcessInstance, ProcessInstance.id == Delivery.instance_id).where(late | stuck)
    for case_id, mail, state, when in session.execute(query):
        rule = "mail-overdue" if state == "planned" else "mail-stuck"
        what = f"The mail {mail} was to leave at {when.isoformat()} and is still {state}"
        yield Fault(rule=rule, case=case_id, what=what, remedy=_OUTBOX)
