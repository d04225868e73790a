"""How the system stands, as `avtaleflyt operations` prints it: the same as the page for administrators shows."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import heartbeats, operations
from engine.model import Community, Incident, Job, ProcessInstance, User, WorkerHeartbeat
from notifications.model import Delivery
from web.figures import Figures, gather
from web.pages.operations_views import MOST, RECENT
from web.settings import Settings


def document(session: Session, community: Community, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Numbers of all communities; incidents, jobs and mails of this one; and the processes."""
    found = gather(session, now)
    return {
        "numbers": _numbers(found),
        "incidents": _incidents(session, community),
        "jobs": [_job(session, job) for job in operations.troubled_jobs(session, community.id, limit=MOST)],
        "mails": _mails(session, community, now),
        "workers": [_worker(row, now) for row in found.workers],
        "mail_per_minute": settings.mail_per_minute,
        "dispatcher": settings.dispatcher,
    }


def _numbers(found: Figures) -> dict[str, Any]:
    return {
        "open_tasks": found.open_tasks, "overdue_tasks": found.overdue_tasks, "cases": dict(found.cases),
        "timers_due": found.wakes_due, "timers_late_seconds": found.wake_lag.total_seconds(),
        "jobs_failed": found.failed_jobs, "jobs_late_seconds": found.job_lag.total_seconds(),
        "mails_waiting": found.mails_waiting, "mails_late_seconds": found.unsent_lag.total_seconds(),
        "incidents": found.incidents, "workers_alive": found.workers_alive,
    }  # fmt: skip


def _incidents(session: Session, community: Community) -> list[dict[str, Any]]:
    query = (
        select(Incident, ProcessInstance.public_id)
        .join(ProcessInstance, ProcessInstance.id == Incident.instance_id)
        .where(Incident.resolved_at.is_(None), Incident.community_id == community.id)
        .order_by(Incident.id)
        .limit(MOST)
    )
    return [
        {
            "id": incident.public_id, "instance": case, "element": incident.element_id, "error": incident.cause,
            "since": incident.created_at.isoformat(), "retry_at": _iso(incident.retry_at),
        }
        for incident, case in session.execute(query)
    ]  # fmt: skip


def _job(session: Session, job: Job) -> dict[str, Any]:
    case = session.get(ProcessInstance, job.instance_id) if job.instance_id else None
    return {
        "number": job.id, "kind": job.kind, "instance": case.public_id if case else None, "state": job.state,
        "error": job.last_error, "next_at": None if job.state == "failed" else _iso(job.run_at),
    }  # fmt: skip


def _mails(session: Session, community: Community, now: datetime) -> list[dict[str, Any]]:
    query = (
        select(Delivery, User.key)
        .join(User, User.id == Delivery.recipient_id)
        .where(Delivery.state.in_(("failed", "uncertain")), Delivery.community_id == community.id)
        .where(Delivery.planned_at > now - RECENT)
        .order_by(Delivery.id.desc())
        .limit(MOST)
    )
    return [
        {"id": mail.public_id, "to": to, "state": mail.state, "subject": mail.subject, "error": mail.last_error}
        for mail, to in session.execute(query)
    ]


def _worker(row: WorkerHeartbeat, now: datetime) -> dict[str, Any]:
    return {
        "name": row.name, "kind": row.kind, "version": row.version, "seen_at": row.seen_at.isoformat(),
        "alive": heartbeats.is_alive(row, now),
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def text(found: dict[str, Any]) -> Iterator[str]:
    """The same as lines for a person."""
    numbers = found["numbers"]
    yield f"Workers alive: {numbers['workers_alive']} (dispatcher: {found['dispatcher']})"
    yield f"Tasks: {numbers['open_tasks']} open, {numbers['overdue_tasks']} overdue"
    yield f"Timers due: {numbers['timers_due']}, the first for {numbers['timers_late_seconds']:.0f} s"
    yield f"Mails due: {numbers['mails_waiting']}, at most {found['mail_per_minute']} leave in a minute"
    for one in found["incidents"]:
        yield f"incident {one['id']} in case {one['instance']} at {one['element']}: {one['error']}"
    for one in found["jobs"]:
        after = f"tried again at {one['next_at']}" if one["next_at"] else "given up"
        yield f"job {one['number']} {one['kind']}, {after}: {one['error']}"
    for one in found["mails"]:
        yield f"mail {one['id']} to {one['to']} {one['state']}: {one['error']}"
    for one in found["workers"]:
        yield f"process {one['name']} {one['kind']} {'alive' if one['alive'] else 'silent'} since {one['seen_at']}"
