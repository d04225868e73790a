"""What whoever looks after the system may do with jobs: try one again now, or throw a message away.

Both are recorded in the history of the case that the job belongs to; the row stays.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from engine import history, jobs, outgoing, process_instances
from engine.database import announce
from engine.errors import NotFound, NotOpen
from engine.model import Job, ProcessInstance

#: What may be tried again now: those that were given up, and those that wait for the end of a pause.
_RETRIED = or_(Job.state == "failed", (Job.state == "queued") & (Job.attempts > 0))


def of_community(community_id: int) -> ColumnElement[bool]:
    """The condition for the jobs of one community: those of its cases, and messages sent to it from outside."""
    cases = select(ProcessInstance.id).where(ProcessInstance.community_id == community_id)
    from_outside = Job.instance_id.is_(None) & (Job.payload["community"].as_integer() == community_id)
    return or_(Job.instance_id.in_(cases), from_outside)


def troubled_jobs(session: Session, community_id: int, *, limit: int) -> Sequence[Job]:
    """Jobs that failed and were given up or wait to be tried again: the given up first, then the oldest."""
    query = select(Job).where(_RETRIED, of_community(community_id)).order_by(Job.state, Job.run_at, Job.id)
    return session.scalars(query.limit(limit)).all()


def find_job(session: Session, community_id: int, job_id: int) -> Job:
    """The community's job with that number. Raises NotFound."""
    found = session.scalar(select(Job).where(Job.id == job_id, of_community(community_id)))
    if found is None:
        raise NotFound(f"There is no job {job_id}.")
    return found


def retry_job(session: Session, job: Job, *, now: datetime, actor_id: int | None) -> None:
    """Let a job be tried now, with all its tries before it. Raises NotOpen when it is being done, or is done."""
    _tell_case(session, job, "job-retried", now=now, actor_id=actor_id)
    # Compare-and-set: of two who ask at once one wins, and a worker that has just taken it keeps it.
    row = update(Job).where(Job.id == job.id, _RETRIED).values(state="queued", run_at=now, attempts=0)
    if session.execute(row.returning(Job.id)).first() is None:
        raise NotOpen("Only a job that failed can be tried again.")
    announce(session, jobs.LANE, now)


def may_drop(job: Job) -> bool:
    """Is it a message that nobody has received?"""
    return job.kind == outgoing.MESSAGE and (job.state == "failed" or (job.state == "queued" and job.attempts > 0))


def drop_message(session: Session, job: Job, *, now: datetime, actor_id: int | None, reason: str) -> None:
    """Throw away a message that nobody has received. Raises NotOpen when it is none, or no longer."""
    _tell_case(session, job, "message-dropped", now=now, actor_id=actor_id, reason=reason)
    row = update(Job).where(Job.id == job.id, Job.kind == outgoing.MESSAGE, _RETRIED)
    row = row.values(state="dropped", last_error=f"Thrown away by user {actor_id}: {reason}")
    if session.execute(row.returning(Job.id)).first() is None:
        raise NotOpen("Only a message that nobody has received can be thrown away.")


def _tell_case(
    session: Session, job: Job, kind: str, *, now: datetime, actor_id: int | None, reason: str | None = None
) -> None:
    """In the history of the job's case, held first: case before job. A message from outside belongs to no case."""
    if job.instance_id is None:
        return
    instance = process_instances.locked(session, job.instance_id)
    name = job.payload.get("name", "")
    history.record(session, instance, kind, now=now, actor_id=actor_id, note=reason, job=job.kind, name=name)
