"""The demo's clock, moved by hand: what falls due on the way happens in its moment, and is told afterwards.

Only forward. The clock that turns by itself may take some of it; whatever is due is found by both, and done once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import scheduling
from engine.errors import InvalidInput
from engine.model import ClockOffset, ProcessInstance, Step
from notifications.model import Delivery
from web.services import Services

#: Moved further at once, a newcomer would lose sight of what happened.
FURTHEST = timedelta(days=400)
#: More moments than this on the way mean that something falls due for ever.
_MOST_MOMENTS = 5_000
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class CaseNews:
    """What happened in one case while the clock was moved."""

    id: str
    title: str
    opened: tuple[str, ...]
    closed: tuple[str, ...]
    mails: int
    ended: bool


@dataclass(frozen=True, kw_only=True)
class Happened:
    """What happened between two moments, by case."""

    since: datetime
    until: datetime
    cases: tuple[CaseNews, ...]

    @property
    def mails(self) -> int:
        """Mails that were sent."""
        return sum(case.mails for case in self.cases)

    @property
    def opened(self) -> int:
        """Steps that opened."""
        return sum(len(case.opened) for case in self.cases)

    @property
    def closed(self) -> int:
        """Steps that ended."""
        return sum(len(case.closed) for case in self.cases)


def next_event(services: Services) -> datetime | None:
    """When something next happens by itself; None while everything waits for people."""
    with services.database.reading() as session:
        moments = scheduling.next_moments(session, scheduling.looking(services.kinds))
    return min(moments.values(), default=None)


def advance(services: Services, until: datetime) -> Happened:
    """Move the clock to `until`, by way of every moment at which something is due.

    Raises InvalidInput where that lies behind, or too far ahead.
    """
    since = services.clock()
    if not since <= until <= since + FURTHEST:
        raise InvalidInput("Demoens klokke kan stilles fram, høyst 400 dager om gangen.")
    _drain(services)
    before = None
    for _ in range(_MOST_MOMENTS):
        due = next_event(services)
        # What is still due where it was, can't be done now: a mail server that is away, for one.
        if due is None or due > until or due == before:
            break
        _set(services, due)
        _drain(services)
        before = due
    _set(services, until)
    _drain(services)
    with services.database.reading() as session:
        return _happened(session, since, services.clock())


def told(services: Services, since: datetime, until: datetime) -> Happened:
    """What happened between the moments, read again."""
    with services.database.reading() as session:
        return _happened(session, since, until)


def _set(services: Services, moment: datetime) -> None:
    """Make it that moment, or a second later: never earlier than what is due."""
    ahead = moment - services.clock()
    if ahead <= timedelta(0):
        return
    seconds = ahead // _SECOND + 1
    with services.database.transaction() as session:
        offset = session.scalars(select(ClockOffset)).first() or ClockOffset(seconds=0)
        offset.seconds += seconds
        session.add(offset)


def _drain(services: Services) -> None:
    while services.drain(services.clock()):
        pass


# --- what happened ----------------------------------------------------------------------------------------------------


def _happened(session: Session, since: datetime, until: datetime) -> Happened:
    opened = _steps(session, since, until, ended=False)
    closed = _steps(session, since, until, ended=True)
    sent = select(Delivery.instance_id, func.count()).where(
        Delivery.state == "sent", Delivery.sent_at > since, Delivery.sent_at <= until
    )
    mails = {row[0]: row[1] for row in session.execute(sent.group_by(Delivery.instance_id))}
    ids = {*opened, *closed, *mails}
    cases = session.scalars(select(ProcessInstance).where(ProcessInstance.id.in_(ids)).order_by(ProcessInstance.id))
    return Happened(
        since=since,
        until=until,
        cases=tuple(
            CaseNews(
                id=case.public_id, title=case.title, opened=tuple(opened.get(case.id, ())),
                closed=tuple(closed.get(case.id, ())), mails=mails.get(case.id, 0),
                ended=case.ended_at is not None and since < case.ended_at <= until,
            )
            for case in cases
        ),
    )  # fmt: skip


def _steps(session: Session, since: datetime, until: datetime, *, ended: bool) -> dict[int, Sequence[str]]:
    moment = Step.ended_at if ended else Step.opened_at
    query = select(Step.instance_id, Step.name).where(moment > since, moment <= until).order_by(Step.id)
    found: dict[int, list[str]] = {}
    for row in session.execute(query):
        found.setdefault(row.instance_id, []).append(row.name)
    return dict(found)
