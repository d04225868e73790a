"""Effects outside the case, such as mails: asked for in the act's own transaction, done afterwards.

Three parts, never merged: claim with a lease and commit; the effect with no transaction open; record the outcome and
commit. A worker that dies leaves its lease to run out, and another takes the job.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from engine.database import Database, MomentQuery, announce, append
from engine.model import Job

#: The lane in which everything about cases is done: timers, and the jobs that they and people ask for.
LANE = "cases"
LEASE = timedelta(minutes=2)
#: Pauses after the first, second, … failure; after the last one the job has failed.
PAUSES = tuple(timedelta(minutes=m) for m in (1, 2, 5, 15, 30, 60, 120, 240, 480))


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A job that is ours until its lease runs out."""

    id: int
    lease: int
    kind: str
    payload: Mapping[str, Any]
    instance_id: int | None
    #: Times it was taken, this one included.
    attempts: int


#: Does the effect; may open transactions of its own. Raising means: try again later.
Handler = Callable[[Database, Claimed, datetime], None]


def enqueue(
    session: Session,
    kind: str,
    *,
    run_at: datetime,
    payload: dict[str, Any] | None = None,
    unique_key: str | None = None,
    instance_id: int | None = None,
) -> None:
    """Ask for an effect once the caller's transaction is committed."""
    append(
        session, Job, kind=kind, run_at=run_at, payload=payload or {}, unique_key=unique_key, instance_id=instance_id
    )
    announce(session, LANE, run_at)


def moments() -> tuple[MomentQuery, ...]:
    """When the next job is to be done, and when the next one is given back by a worker that died."""
    queued = select(Job.run_at).where(Job.state == "queued").order_by(Job.run_at).limit(1)
    leased = select(Job.lease_until).where(Job.state == "leased").order_by(Job.lease_until).limit(1)
    return queued, leased


def claim(database: Database, now: datetime, kinds: tuple[str, ...]) -> Claimed | None:
    """Take a job that a dead worker left behind, else the one that has waited longest, or None.

    Any number of workers may call this at once: each passes over what another is just taking.
    """
    left = select(Job.id).where(Job.state == "leased", Job.lease_until <= now).order_by(Job.lease_until)
    waiting = select(Job.id).where(Job.state == "queued", Job.run_at <= now).order_by(Job.run_at, Job.id)
    # Two queries that each read the head of an index: one that asked for both would sort everything that waits.
    found = (q.where(Job.kind.in_(kinds)).limit(1).with_for_update(skip_locked=True) for q in (left, waiting))
    taken = (
        update(Job)
        .where(Job.id == func.coalesce(*(query.scalar_subquery() for query in found)))
        .values(state="leased", lease=Job.lease + 1, lease_until=now + LEASE, attempts=Job.attempts + 1)
        .returning(Job.id, Job.lease, Job.kind, Job.payload, Job.instance_id, Job.attempts)
        .execution_options(synchronize_session=False)
    )
    with database.transaction() as session:
        row = session.execute(taken).first()
    return None if row is None else Claimed(**row._mapping)


def run_one(database: Database, handlers: Mapping[str, Handler], now: datetime) -> bool:
    """Do one due job; answers whether there was one. A failing job is tried again after a growing pause."""
    job = claim(database, now, tuple(handlers))
    if job is None:
        return False
    try:
        handlers[job.kind](database, job, now)
    except Exception as error:  # recorded below: the job is retried, then shown as failed
        _record_failure(database, job, now, error)
    else:
        _record(database, job, state="done", last_error=None)
    return True


def _record_failure(database: Database, job: Claimed, now: datetime, error: Exception) -> None:
    text = f"{type(error).__name__}: {error}"[:2000]
    if job.attempts > len(PAUSES):
        _record(database, job, state="failed", last_error=text)
    else:
        _record(database, job, state="queued", last_error=text, run_at=now + PAUSES[job.attempts - 1])


class LeaseLost(Exception):
    """Another worker has taken the job meanwhile; what was done for it is rolled back."""


def finish(session: Session, job: Claimed) -> None:
    """Record the job as done in the transaction of its effect, so that the effect happens once. Raises LeaseLost."""
    # Only the latest holder may record: one whose lease was outlived must not have had its effect either.
    done = session.execute(
        update(Job).where(Job.id == job.id, Job.lease == job.lease).values(state="done", last_error=None)
    )
    if done.rowcount == 0:  # type: ignore[attr-defined]
        raise LeaseLost


def _record(database: Database, job: Claimed, **values: object) -> None:
    # Only the latest holder may record: one whose lease was outlived says nothing.
    with database.transaction() as session:
        session.execute(update(Job).where(Job.id == job.id, Job.lease == job.lease).values(**values))
