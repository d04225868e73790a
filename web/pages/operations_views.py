"""How the system stands, as the page for administrators shows it."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version

from babel.dates import format_timedelta
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from engine import heartbeats, operations, outgoing
from engine.database import Database
from engine.identity import Person
from engine.model import Incident, Job, ProcessInstance, User, WorkerHeartbeat
from notifications.model import Delivery
from web import migrating, schema
from web.figures import LATE, MAIL_LATE, Figures, gather
from web.pages import case_mending
from web.pages.case_mending import IncidentView
from web.pages.case_status import Status
from web.settings import Settings

#: Rows shown of each kind.
MOST = 50
#: What failed longer ago is the past.
RECENT = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class IncidentLine:
    """Where a case stands."""

    case_id: str
    case: str
    incident: IncidentView


@dataclass(frozen=True, kw_only=True)
class JobLine:
    """A job that failed: given up, or to be tried again."""

    number: int
    what: str
    case_id: str
    case: str
    status: Status
    error: str
    #: When it is tried next; None for one that was given up.
    next_at: datetime | None
    may_drop: bool


@dataclass(frozen=True, kw_only=True)
class MailLine:
    """A mail that did not arrive, or perhaps did not."""

    public_id: str
    subject: str
    to: str
    at: datetime
    is_uncertain: bool
    error: str


@dataclass(frozen=True, kw_only=True)
class WorkerLine:
    """A process whose clock turns, or turned."""

    name: str
    does: str
    version: str
    started_at: datetime
    seen_at: datetime
    is_alive: bool


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The page."""

    #: What hinders everything, in words; empty where nothing does.
    troubles: Sequence[str]
    incidents: Sequence[IncidentLine]
    incident_count: int
    jobs: Sequence[JobLine]
    mails: Sequence[MailLine]
    workers: Sequence[WorkerLine]
    #: What waits, and how it is found and sent.
    queue: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]

    @property
    def is_well(self) -> bool:
        """Is there nothing to do?"""
        return not (self.troubles or self.incidents or self.jobs or self.mails)


def overview(session: Session, reader: Person, database: Database, settings: Settings, *, now: datetime) -> Overview:
    """What of the reader's community failed, and whether the processes run."""
    found = gather(session, now)
    incidents = _incidents(session, reader)
    return Overview(
        troubles=tuple(_troubles(found)),
        incidents=incidents,
        incident_count=_incident_count(session, reader) if len(incidents) == MOST else len(incidents),
        jobs=[job_line(session, job) for job in operations.troubled_jobs(session, reader.community_id, limit=MOST)],
        mails=_mails(session, reader, now),
        workers=[_worker(row, now) for row in found.workers],
        queue=_queue(found, settings),
        versions=_versions(session, database),
    )


def _troubles(found: Figures) -> Iterator[str]:
    if not found.workers_alive:
        yield _("Klokken står. Ingen frister løper ut, og ingen e-poster sendes.")
        yield _("Start «avtaleflyt serve» eller «avtaleflyt worker» på tjeneren.")
    if found.wake_lag > LATE:
        yield _("Steg som styres av tid, er %(time)s forsinket.", time=_duration(found.wake_lag))
    if found.job_lag > LATE:
        yield _("Jobber er %(time)s forsinket.", time=_duration(found.job_lag))
    if found.unsent_lag > MAIL_LATE:
        yield _("E-poster er %(time)s forsinket. Se om e-posttjeneren svarer.", time=_duration(found.unsent_lag))


def _queue(found: Figures, settings: Settings) -> list[tuple[str, str]]:
    looks = _("Prosessene ser etter annethvert sekund")
    told = _("Procrastinate sier fra straks, og prosessene ser etter annethvert sekund")
    return [
        (_("E-poster som skal sendes nå"), str(found.mails_waiting)),
        (_("Sendes i minuttet"), _("Høyst %(n)s", n=settings.mail_per_minute)),
        (_("Slik finnes arbeid"), told if settings.dispatcher == "procrastinate" else looks),
    ]


def _duration(length: timedelta) -> str:
    return format_timedelta(length, granularity="minute", threshold=2, locale=str(get_locale() or "nb"))


# --- cases that stand -------------------------------------------------------------------------------------------------


def _incidents(session: Session, reader: Person) -> list[IncidentLine]:
    query = (
        select(Incident, ProcessInstance)
        .join(ProcessInstance, ProcessInstance.id == Incident.instance_id)
        .where(Incident.resolved_at.is_(None), Incident.community_id == reader.community_id)
        .options(joinedload(ProcessInstance.definition))
        .order_by(Incident.id)
        .limit(MOST)
    )
    return [
        IncidentLine(case_id=case.public_id, case=case.title, incident=case_mending.view_of(session, case, incident))
        for incident, case in session.execute(query)
    ]


def _incident_count(session: Session, reader: Person) -> int:
    open_ones = Incident.resolved_at.is_(None) & (Incident.community_id == reader.community_id)
    return session.scalar(select(func.count()).where(open_ones)) or 0


# --- jobs -------------------------------------------------------------------------------------------------------------


def job_line(session: Session, job: Job) -> JobLine:
    """A job in words."""
    case = session.get(ProcessInstance, job.instance_id) if job.instance_id else None
    given_up = job.state == "failed"
    return JobLine(
        number=job.id,
        what=_what(job),
        case_id=case.public_id if case else "",
        case=case.title if case else "",
        status=Status(word=_("Gitt opp"), icon="feil", color="danger")
        if given_up
        else Status(word=_("Prøves igjen"), icon="klokke"),
        error=_error(job),
        next_at=None if given_up else job.run_at,
        may_drop=operations.may_drop(job),
    )


def _what(job: Job) -> str:
    known = {
        "reconcile": lambda: _("Planlegge e-postene i saken"),
        outgoing.MESSAGE: lambda: _("Levere beskjeden «%(name)s»", name=job.payload.get("name", "")),
        outgoing.SIGNAL: lambda: _("Levere signalet «%(name)s»", name=job.payload.get("name", "")),
        outgoing.SERVICE: lambda: _("Utføre funksjonen «%(name)s»", name=job.payload.get("topic", "")),
    }
    return known[job.kind]() if job.kind in known else job.kind


def _error(job: Job) -> str:
    if (job.last_error or "").startswith("NobodyWaits"):
        return _("Ingen sak venter på beskjeden.")
    return job.last_error or ""


# --- mails ------------------------------------------------------------------------------------------------------------


def mail_line(session: Session, mail: Delivery) -> MailLine:
    """A mail in words."""
    return MailLine(
        public_id=mail.public_id, subject=mail.subject or _("E-post uten innhold"),
        to=session.get_one(User, mail.recipient_id).name, at=mail.composed_at or mail.planned_at,
        is_uncertain=mail.state == "uncertain", error=mail.last_error or "",
    )  # fmt: skip


def _mails(session: Session, reader: Person, now: datetime) -> list[MailLine]:
    query = (
        select(
            Delivery.public_id, Delivery.subject, Delivery.state, Delivery.last_error, Delivery.planned_at,
            Delivery.composed_at, User.name,
        )
        .join(User, User.id == Delivery.recipient_id)
        .where(Delivery.state.in_(("failed", "uncertain")), Delivery.community_id == reader.community_id)
        .where(Delivery.planned_at > now - RECENT)
        .order_by(Delivery.id.desc())
        .limit(MOST)
    )  # fmt: skip
    return [
        MailLine(
            public_id=row.public_id, subject=row.subject or _("E-post uten innhold"), to=row.name,
            at=row.composed_at or row.planned_at, is_uncertain=row.state == "uncertain", error=row.last_error or "",
        )
        for row in session.execute(query)
    ]  # fmt: skip


# --- processes and versions -------------------------------------------------------------------------------------------


def _worker(row: WorkerHeartbeat, now: datetime) -> WorkerLine:
    return WorkerLine(
        name=":".join(row.name.split(":")[:2]),
        does=_("Bare klokken") if row.kind == "worker" else _("Sider og klokke"),
        version=row.version,
        started_at=row.started_at,
        seen_at=row.seen_at,
        is_alive=heartbeats.is_alive(row, now),
    )


def _versions(session: Session, database: Database) -> list[tuple[str, str]]:
    server = ".".join(str(part) for part in session.connection().dialect.server_version_info or ())
    stands = {
        "missing": lambda: _("mangler"),
        "behind": lambda: _("eldre enn programmet: kjør «avtaleflyt migrate»"),
        "newer": lambda: _("nyere enn programmet"),
        "outgrown": lambda: _("for ny for programmet: installer det nye"),
        "current": lambda: _("som programmet"),
    }[schema.standing(database)]()
    return [
        ("Avtaleflyt", version("avtaleflyt")),
        (_("Databasens skjema"), f"{migrating.present(database) or '–'}, {stands}"),
        ("SQLite" if database.is_sqlite else "PostgreSQL", server),
        ("SpiffWorkflow", version("SpiffWorkflow")),
        ("Python", platform.python_version()),
    ]
