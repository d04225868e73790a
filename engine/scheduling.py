"""The clock that keeps cases moving: wakes what is due, does jobs, sends what is ready.

Rows are the truth: whatever is due is found by a query, so nothing is lost when a process dies. One statement asks when
the next of each kind is due; whoever is told of something sooner only looks sooner. Work is claimed, never handed out:
any number of processes may do this at once.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Select, literal, select, union_all
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from engine import incidents, jobs, mending, messages, process_instances, starts
from engine.clock import Clock
from engine.database import Database, MomentQuery, Moments
from engine.model import Incident

#: At least so often the clock looks what is due.
POLL = timedelta(seconds=2)
#: A moment that is nearer than this is not waited for exactly.
_SOON = timedelta(milliseconds=10)
#: Items done before others get a turn.
BATCH = 200

log = logging.getLogger(__name__)

#: Does what is due, some of it at a time; answers how much it did.
Worker = Callable[[Clock], int]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of work that falls due."""

    name: str
    #: What is in one lane is done by one thread, turn about; lanes don't wait for each other.
    lane: str
    #: When the next of it is due: queries that read the head of an index.
    moments: Sequence[MomentQuery]
    do: Worker


# --- what is due ------------------------------------------------------------------------------------------------------


def looking(kinds: Sequence[Kind]) -> Select[str, datetime | None]:
    """The statement that asks when the next of each kind is due."""
    asked = [
        select(literal(k.name).label("kind"), query.scalar_subquery().label("at")) for k in kinds for query in k.moments
    ]
    rows = union_all(*asked).subquery("due")
    return select(rows.c.kind, rows.c.at).where(rows.c.at.is_not(None))


def next_moments(session: Session, statement: Select[str, datetime | None]) -> dict[str, datetime]:
    """Kind -> when the next of it is due; without those of which nothing is planned."""
    found: dict[str, datetime] = {}
    for kind, at in session.execute(statement):
        assert at is not None, "the statement leaves out what is not planned"
        found[kind] = min(at, found.get(kind, at))
    return found


# --- doing it ---------------------------------------------------------------------------------------------------------


class _Row(Protocol):
    id: Any


@dataclass(frozen=True, kw_only=True)
class _Timed:
    """What happens to a case by itself when its time comes."""

    name: str
    #: The next due row, held; workers that ask at once are given different ones.
    take: Callable[[Session, datetime], _Row | None]
    #: What the log calls a row.
    about: Callable[[Any], dict[str, object]]
    do: Callable[..., object]
    #: Makes one that can't be done wait, or stand, so that it never stops the others.
    put_aside: Callable[[Session, int, str, datetime], None]


def _stand_still(session: Session, instance_id: int, cause: str, now: datetime) -> None:
    process_instances.stand_still(session, instance_id, cause, now=now)


def _postpone(session: Session, subscription_id: int, _cause: str, now: datetime) -> None:
    starts.postpone(session, subscription_id, now=now)


def _not_even_tried(session: Session, incident_id: int, cause: str, now: datetime) -> None:
    mending.not_even_tried(session, incident_id, cause, now=now)


def _retry(session: Session, incident: Incident, *, now: datetime) -> None:
    mending.retry_due(session, incident.id, now=now)


_WAKE = _Timed(
    name="wake", take=process_instances.take_due, about=lambda case: {"case": case.public_id},
    do=process_instances.fire, put_aside=_stand_still,
)  # fmt: skip
_START = _Timed(
    name="start by timer", take=starts.take_due, about=lambda row: {"subscription": row.id},
    do=messages.start_due, put_aside=_postpone,
)  # fmt: skip
_RETRY = _Timed(
    name="retry", take=incidents.take_due, about=lambda incident: {"incident": incident.public_id},
    do=_retry, put_aside=_not_even_tried,
)  # fmt: skip


def engine_kinds(database: Database, handlers: Mapping[str, jobs.Handler]) -> tuple[Kind, ...]:
    """What falls due in cases, in the order in which it is done."""

    def timed(what: _Timed, moments: Sequence[MomentQuery]) -> Kind:
        return Kind(
            name=what.name, lane=jobs.LANE, moments=moments,
            do=lambda clock: _repeat(lambda: _do_next(database, what, clock())),
        )  # fmt: skip

    return (
        timed(_WAKE, process_instances.moments()),
        timed(_START, starts.moments()),
        timed(_RETRY, incidents.moments()),
        Kind(
            name="job", lane=jobs.LANE, moments=jobs.moments(),
            do=lambda clock: _repeat(lambda: jobs.run_one(database, handlers, clock())),
        ),
    )  # fmt: skip


def drain(database: Database, handlers: Mapping[str, jobs.Handler], workers: tuple[Worker, ...], now: datetime) -> int:
    """Do once, here and now, what the lanes would do at `now`; answers how many things were done."""
    works = [*(kind.do for kind in engine_kinds(database, handlers)), *workers]
    return sum(work(lambda: now) for work in works)


def _repeat(one: Callable[[], bool]) -> int:
    """Do one item after another while there is one, at most BATCH; answers how many."""
    done = 0
    while done < BATCH and one():
        done += 1
    return done


def _do_next(database: Database, timed: _Timed, now: datetime) -> bool:
    """Take what has waited longest and do it, in one transaction; answers whether there was anything."""
    row_id, about = None, None
    try:
        with database.transaction() as session:
            row = timed.take(session, now)
            if row is None:
                return False
            row_id, about = row.id, timed.about(row)
            timed.do(session, row, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away, not the case broken: everything stays due
    except Exception as error:
        if row_id is None:
            raise
        # One that is broken never stops the others: it stands, and its owner sees why.
        log.exception("%s failed", timed.name, extra=about)
        with database.transaction() as session:
            timed.put_aside(session, row_id, f"{type(error).__name__}: {error}"[:2000], now)
    return True


# --- the clock --------------------------------------------------------------------------------------------------------


class Lane:
    """The kinds of work that one thread does, turn about, whenever its bell rings."""

    def __init__(self, name: str, kinds: Sequence[Kind], clock: Clock) -> None:
        self.name = name
        #: Is called after a turn that leaves more to do: others may come and help.
        self.call_for_help: Callable[[str], None] = lambda lane: None
        self._kinds = kinds
        self._clock = clock
        self._bell = threading.Event()
        self._working = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._listen, name=f"lane {name}", daemon=True)

    def start(self) -> None:
        """Begin to listen for the bell."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the kind of work in hand, then stop."""
        self._stopped = True
        self.ring()
        self._thread.join()

    def ring(self) -> None:
        """There may be something to do; returns at once."""
        self._bell.set()

    def work(self) -> None:
        """Do what is due until nothing is left. One at a time in this process; who comes second waits."""
        with self._working:
            while not self._stopped and (done := self._turn()):
                if done >= BATCH:
                    self.call_for_help(self.name)

    def _turn(self) -> int:
        done = 0
        for kind in self._kinds:
            if not self._stopped:
                done += kind.do(self._clock)
        return done

    def _listen(self) -> None:
        while not self._stopped:
            self._bell.wait()
            self._bell.clear()
            try:
                self.work()
            except (OperationalError, InterfaceError) as error:
                # The database may be away for a while; the next look finds everything still due.
                log.warning("the database does not answer", extra={"reason": type(error).__name__})
            except Exception:
                log.exception("a turn of the lane %s failed", self.name)


class EmbeddedClock:
    """APScheduler in this process; started by `demo`, `serve` and `worker`, never by the web application.

    It looks at least every POLL, and at the moment when the next thing is due, and rings the lanes that have something.
    """

    def __init__(self, database: Database, kinds: Sequence[Kind], clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lane_of = {kind.name: kind.lane for kind in kinds}
        self._statement = looking(kinds)
        names = dict.fromkeys(kind.lane for kind in kinds)
        self.lanes = {name: Lane(name, [k for k in kinds if k.lane == name], clock) for name in names}
        self._next_look = clock() + POLL
        # The scheduler holds its own lock while it waits for a look to end, which must not need it then.
        self._looking = threading.Lock()
        self._stopped = False
        self._scheduler = BackgroundScheduler(timezone="UTC")
        #: Is done before each look, such as the heartbeat.
        self.beat: Callable[[datetime], None] = lambda now: None

    def start(self) -> None:
        """Look at once, and go on looking."""
        for lane in self.lanes.values():
            lane.start()
        self._database.tell = self.hear
        self._scheduler.add_job(
            self._tick, "interval", seconds=POLL.total_seconds(), id="look", coalesce=True, misfire_grace_time=None,
            next_run_time=None,
        )  # fmt: skip
        self._scheduler.start()
        self._tick()

    def stop(self) -> None:
        """Finish what is running, then stop."""
        with self._looking:
            self._stopped = True
        self._scheduler.shutdown(wait=True)
        for lane in self.lanes.values():
            lane.stop()

    def hear(self, moments: Moments) -> None:
        """Something of these lanes is due sooner than the next look: their turn is now."""
        for lane, at in moments.items():
            if at < self._next_look and lane in self.lanes:
                self.lanes[lane].ring()

    def look(self, now: datetime) -> timedelta:
        """Ring the lanes that have something to do; answers until when nothing more falls due, at most POLL."""
        with self._database.reading() as session:
            moments = next_moments(session, self._statement)
        for name in {self._lane_of[kind] for kind, at in moments.items() if at <= now}:
            self.lanes[name].ring()
        ahead = [at - now for at in moments.values() if at > now]
        pause = max(min([POLL, *ahead]), _SOON)
        self._next_look = now + pause
        return pause

    def _tick(self) -> None:
        with self._looking:
            if self._stopped:
                return
            pause = POLL
            try:
                now = self._clock()
                self.beat(now)
                pause = self.look(now)
            except (OperationalError, InterfaceError) as error:
                # The database may be away for a while; the next look finds everything still due.
                log.warning("the database does not answer", extra={"reason": type(error).__name__})
            except Exception:
                log.exception("the clock could not look")
            self._scheduler.reschedule_job("look", trigger="interval", seconds=pause.total_seconds())
