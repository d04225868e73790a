"""The clock that keeps cases moving: wakes what is due, does jobs, sends what is ready.

Rows are the truth: whatever is due is found by a query, so nothing is lost when a process dies. Embedded, APScheduler
drains what is due, looks at the database for the next moment and sleeps until then, never longer than POLL.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import select
from sqlalchemy.exc import InterfaceError, OperationalError

from engine import incidents, jobs, mending, messages, process_instances, starts
from engine.clock import Clock
from engine.database import Database
from engine.model import Incident, ProcessInstance

POLL = timedelta(seconds=2)
#: Items done before others get a turn.
BATCH = 200

log = logging.getLogger(__name__)

#: Does one item of outside work at a given moment; answers whether there was one.
Worker = Callable[[datetime], bool]


def drain(database: Database, handlers: Mapping[str, jobs.Handler], workers: tuple[Worker, ...], now: datetime) -> int:
    """Do everything that is due at `now`, at most BATCH of each kind; answers how many things were done."""
    done = 0
    with database.reading() as session:
        due = process_instances.due(session, now, BATCH)
        failed = incidents.due(session, now, BATCH)
        starting = starts.due(session, now, BATCH)
    for instance_id in due:
        done += _wake(database, instance_id, now)
    for subscription_id in starting:
        done += _start(database, subscription_id, now)
    for incident_id in failed:
        done += _retry(database, incident_id, now)
    done += _repeat(lambda: jobs.run_one(database, handlers, now))
    for worker in workers:
        done += _repeat(lambda worker=worker: worker(now))  # type: ignore[misc]
    return done


def _repeat(one: Callable[[], bool]) -> int:
    done = 0
    while done < BATCH and one():
        done += 1
    return done


def _wake(database: Database, instance_id: int, now: datetime) -> bool:
    try:
        with database.transaction() as session:
            return process_instances.wake(session, instance_id, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away, not the case broken: everything stays due
    except Exception as error:  # one broken case never stops the others: it stands, and its owner sees why
        log.exception("wake failed", extra={"case": _public_id(database, ProcessInstance, instance_id)})
        with database.transaction() as session:
            process_instances.stand_still(session, instance_id, f"{type(error).__name__}: {error}"[:2000], now=now)
        return False


def _start(database: Database, subscription_id: int, now: datetime) -> bool:
    try:
        with database.transaction() as session:
            return messages.start_due(session, subscription_id, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: it stays due
    except Exception:  # one process that can't be started never stops the others: it is tried again later
        log.exception("start by timer failed", extra={"subscription": subscription_id})
        with database.transaction() as session:
            starts.postpone(session, subscription_id, now=now)
        return False


def _retry(database: Database, incident_id: int, now: datetime) -> bool:
    try:
        with database.transaction() as session:
            return mending.retry_due(session, incident_id, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: it stays due
    except Exception as error:  # as in _wake: what can't even be tried waits for its next pause, or for a person
        log.exception("retry failed", extra={"incident": _public_id(database, Incident, incident_id)})
        with database.transaction() as session:
            mending.not_even_tried(session, incident_id, f"{type(error).__name__}: {error}"[:2000], now=now)
        return False


def _public_id(database: Database, table: type[ProcessInstance] | type[Incident], row_id: int) -> str | None:
    with database.reading() as session:
        return session.scalar(select(table.public_id).where(table.id == row_id))


class EmbeddedClock:
    """APScheduler in this process; started by `demo`, `serve` and `worker`, never by the web application."""

    def __init__(self, drain_due: Callable[[datetime], int], clock: Clock) -> None:
        self._drain_due = drain_due
        self._clock = clock
        self._scheduler = BackgroundScheduler(timezone="UTC")

    def start(self) -> None:
        """Begin to turn, at once and then every POLL."""
        # Two instances, or a turn that comes while one runs would be skipped and what it brings would wait.
        self._scheduler.add_job(
            self._turn,
            "interval",
            seconds=POLL.total_seconds(),
            max_instances=2,
            coalesce=True,
            misfire_grace_time=None,
        )
        self._scheduler.add_job(self._turn, max_instances=1)
        self._scheduler.start()

    def stop(self) -> None:
        """Finish what is running, then stop."""
        self._scheduler.shutdown(wait=True)

    def _turn(self) -> None:
        try:
            while self._drain_due(self._clock()) >= BATCH:
                continue
        except Exception:
            # The database may be away for a while; the next turn finds everything still due.
            log.exception("a turn of the clock failed")
