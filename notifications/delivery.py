"""Sending what is due, so that none is lost and none is sent twice unknowingly.

Three parts, never merged: claim a batch with a lease, freeze the content and commit; hand each mail to the mail
server, over one connection, with no transaction open; record each outcome and commit. After a crash in the middle the
same message goes again with the same Message-ID.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, select, text, tuple_, update
from sqlalchemy.orm import Session

from engine import jobs
from engine.clock import Clock
from engine.database import Database, MomentQuery, announce
from engine.errors import NotOpen
from engine.jobs import Claimed, Handler
from engine.model import UserTask
from notifications import claiming, week_news
from notifications.claiming import PAUSES, Outgoing
from notifications.mailer import (
    Broken,
    Conversation,
    Mailer,
    PermanentFailure,
    SenderRefused,
    TransientFailure,
    Unavailable,
    Uncertain,
)
from notifications.model import TOLD, Delivery
from notifications.reconciling import LANE, reconcile
from notifications.settings import NotificationSettings

#: Mails taken together.
BATCH = 50
#: A batch is worked at for so long, and the rest given back. With the longest that one mail may take, the mail server's
#: timeouts added up, this stays below the lease: no mail is sent by one who doesn't hold it any more.
TURN = timedelta(minutes=2)
#: The longest pause of a mail that is not known to be to blame; it is never given up.
_LONGEST = timedelta(hours=1)


def send_batch(
    database: Database, mailer: Mailer, *, clock: Clock, settings: NotificationSettings, limit: int = BATCH
) -> int:
    """Send up to `limit` due mails; answers how many were sent or settled. Workers may call this at once.

    0 also when the mail server takes nothing more, and while the rate is used up.
    """
    with database.reading() as session:
        if not claiming.is_any_due(session, clock(), settings):
            return 0
        # Before anything is taken: cases are lived ahead for these.
        weeks = week_news.due(session, now=clock())
    with suppress(Broken, Unavailable, Uncertain), mailer.conversation() as conversation:
        # Claimed only now: without a server no mail is taken, and none has an attempt counted.
        now = clock()
        with database.transaction() as session:
            batch = claiming.take(session, now, settings, limit, weeks)
        for position in range(len(batch.outgoing)):
            rest = batch.outgoing[position:]
            if clock() - now >= TURN:
                _give_back(database, rest, clock())
                return position + batch.settled
            _send(database, conversation, rest, clock)
        return len(batch.outgoing) + batch.settled
    # What concerned a mail is recorded. The others wait until the mailer tries again.
    return 0


def send_one(database: Database, mailer: Mailer, *, now: datetime, settings: NotificationSettings) -> bool:
    """Send the most urgent mail at the moment `now`; answers whether there was one."""
    return send_batch(database, mailer, clock=lambda: now, settings=settings, limit=1) > 0


def next_due(session: Session) -> datetime | None:
    """When there is next something to send; None while nothing is planned."""
    found = [session.scalar(query) for query in moments()]
    return min((moment for moment in found if moment is not None), default=None)


def moments() -> tuple[MomentQuery, ...]:
    """When the next mail is to be sent, and when the next one is given back by a worker that died."""
    # The states stand in the text as the index of just these has them, or SQLite would not see that it fits.
    unsent = text("delivery.state IN ('planned', 'sending')")
    planned = select(Delivery.next_attempt_at).where(unsent, Delivery.state == "planned")
    # What another mail carries has no lease, and SQLite would put it first.
    sending = select(Delivery.lease_until).where(unsent, Delivery.state == "sending", Delivery.carrier_id.is_(None))
    return planned.order_by(Delivery.next_attempt_at).limit(1), sending.order_by(Delivery.lease_until).limit(1)


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
    values = row.values(state="planned", next_attempt_at=now, resent_at=now, attempts=0, last_error=None)
    if session.execute(values.returning(Delivery.id)).first() is None:
        raise NotOpen("Only a mail that failed or is uncertain can be sent again.")
    announce(session, LANE, now)


# --- send and record ---


def _send(database: Database, conversation: Conversation, mails: Sequence[Outgoing], clock: Clock) -> None:
    """Send the first of the mails. When that ends the conversation, give the others back; raises what ended it."""
    mail, *others = mails
    try:
        conversation.send(mail.message, mail.to)
    except Unavailable:
        _give_back(database, mails, clock())
        raise
    except (Broken, Uncertain) as error:
        _record(database, mail, _outcome(error, mail, clock()))
        _give_back(database, others, clock())
        raise
    except (PermanentFailure, TransientFailure) as error:
        _record(database, mail, _outcome(error, mail, clock()))
    else:
        _record(database, mail, {"state": "sent", "sent_at": clock(), "last_error": None})


def _outcome(
    error: PermanentFailure | TransientFailure | Uncertain, mail: Outgoing, now: datetime
) -> dict[str, object]:
    said = str(error)[:2000]
    if isinstance(error, PermanentFailure):
        return {"state": "failed", "last_error": said}
    if isinstance(error, Uncertain):
        return {"state": "uncertain", "last_error": said}
    if isinstance(error, Broken | SenderRefused):
        pause = min(PAUSES[min(mail.attempts, len(PAUSES)) - 1], _LONGEST)
        return {"state": "planned", "next_attempt_at": now + pause, "last_error": said}
    return claiming.later(mail.attempts, now, said)


def _record(database: Database, mail: Outgoing, values: dict[str, object]) -> None:
    with database.transaction() as session:
        session.execute(update(Delivery).where(_ours(mail)).values(lease_until=None, **values))
        _tell_the_new_date(session, mail, values)


def _tell_the_new_date(session: Session, mail: Outgoing, values: Mapping[str, object]) -> None:
    """A date that moved while its mail was taken: whoever planned the mails then did not see that one as told."""
    if values["state"] not in TOLD:
        return
    query = select(Delivery.instance_id).join(UserTask, UserTask.id == Delivery.task_id).distinct()
    moved = query.where(Delivery.id.in_([row for row, _ in mail.leases]), UserTask.due_date != Delivery.due_date)
    for instance_id in session.scalars(moved):
        key = f"reconcile:{instance_id}:mail:{mail.id}:{mail.lease}"
        jobs.enqueue(session, "reconcile", run_at=mail.taken_at, instance_id=instance_id, unique_key=key)


def _give_back(database: Database, mails: Sequence[Outgoing], now: datetime) -> None:
    """Let others have mails that were not tried, as if they had not been taken."""
    fresh = [mail for mail in mails if not mail.left_behind]
    left_behind = [mail for mail in mails if mail.left_behind]
    with database.transaction() as session:
        session.execute(_returned(fresh).values(state="planned", lease_until=None))
        # One that may have left already goes as the same bytes, so it stays what it was: left in the middle.
        session.execute(_returned(left_behind).where(Delivery.carrier_id.is_(None)).values(lease_until=now))


def _returned(mails: Sequence[Outgoing]) -> Update:
    ours = tuple_(Delivery.id, Delivery.lease).in_([row for mail in mails for row in mail.leases])
    values = {"attempts": Delivery.attempts - 1, "taken_at": None}
    return update(Delivery).where(ours, Delivery.state == "sending").values(values)


def _ours(mail: Outgoing) -> ColumnElement[bool]:
    """The mail and what it carries. Only the latest holder may record: one whose lease was outlived says nothing."""
    return tuple_(Delivery.id, Delivery.lease).in_(mail.leases) & (Delivery.state == "sending")
