"""The alarm: mails that have not left some minutes after their time, and what keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, TextClause, case, func, or_, select, text
from sqlalchemy.orm import Session

from engine import heartbeats
from notifications.claiming import PAUSES, WINDOW
from notifications.model import Delivery

_TRIED = or_(Delivery.attempts > 0, Delivery.state == "sending")
#: When a mail was to leave; of one that waits for another try, when it was planned for, or sent again by hand.
_MOMENT = case((_TRIED, func.coalesce(Delivery.resent_at, Delivery.planned_at)), else_=Delivery.next_attempt_at)


class Hindrance(StrEnum):
    """What keeps mails from leaving."""

    #: No process sends: none has a clock that turns.
    CLOCK = "clock"
    #: As many leave in a minute as may.
    RATE = "rate"
    #: The mail server was given them and did not take them.
    REFUSED = "refused"
    #: Nobody has tried: the mail server takes nothing at all, or there are too many.
    SERVER = "server"


@dataclass(frozen=True, kw_only=True)
class Late:
    """Mails that are late, one at least."""

    count: int
    #: When the first of them was to leave.
    since: datetime
    hindrance: Hindrance


def look(
    session: Session, *, now: datetime, after: timedelta, per_minute: int, only: Sequence[ColumnElement[bool]] = ()
) -> Late | None:
    """The mails that have not left `after` their time; None while there is none. `only` narrows what is looked at."""
    query = select(func.count(), func.min(_MOMENT), func.max(Delivery.attempts)).where(*late(now, after), *only)
    count, since, attempts = session.execute(query).one()
    if not count:
        return None
    return Late(count=count, since=since, hindrance=_hindrance(session, now, per_minute, attempts))


def late(now: datetime, after: timedelta) -> tuple[ColumnElement[bool] | TextClause, ...]:
    """The condition under which a mail is late.

    One that was tried is late from the time it was planned for, or asked for again, also while it waits for the next
    try.
    """
    # The states stand in the text as the index of just these has them, or SQLite would not see that it fits. The
    # longest pause is said too, or the index would be read to the last mail of the year.
    unsent = text("delivery.state IN ('planned', 'sending')")
    return unsent, Delivery.next_attempt_at <= now + max(PAUSES), now - after >= _MOMENT


def is_late(
    *, state: str, planned_at: datetime, resent_at: datetime | None, next_attempt_at: datetime, attempts: int,
    now: datetime, after: timedelta,
) -> bool:  # fmt: skip
    """The same of one mail that was read already."""
    tried = attempts > 0 or state == "sending"
    moment = (resent_at or planned_at) if tried else next_attempt_at
    return state in ("planned", "sending") and moment <= now - after


def _hindrance(session: Session, now: datetime, per_minute: int, attempts: int) -> Hindrance:
    if not any(heartbeats.is_alive(worker, now) for worker in heartbeats.workers(session)):
        return Hindrance.CLOCK
    taken = select(func.count()).where(Delivery.taken_at > now - WINDOW)
    if (session.scalar(taken) or 0) >= per_minute:
        return Hindrance.RATE
    return Hindrance.REFUSED if attempts else Hindrance.SERVER
