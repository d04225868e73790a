"""What a process is made of: settings, database, clock, mailer; built once and passed down."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from agreements.functions import FUNCTIONS
from engine import absences, deployments, jobs, messages, scheduling, service_tasks
from engine.clock import Clock, shifted, utc_now
from engine.database import Database
from engine.errors import InvalidInput
from engine.model import ClockOffset
from notifications import delivery, reconciling, weekly
from notifications.mailer import Mailer, PatientMailer, SmtpMailer
from notifications.settings import NotificationSettings
from web.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a page, a command or a worker needs from outside."""

    settings: Settings
    database: Database
    clock: Clock
    mailer: Mailer
    notifications: NotificationSettings

    @property
    def handlers(self) -> Mapping[str, jobs.Handler]:
        """What the engine's jobs do."""
        return {
            **absences.handlers(),
            **delivery.handlers(self.notifications),
            **messages.handlers(),
            **service_tasks.handlers(FUNCTIONS),
        }

    @property
    def kinds(self) -> tuple[scheduling.Kind, ...]:
        """What falls due, and who does it."""
        mails = scheduling.Kind(name="mail", lane=reconciling.LANE, moments=delivery.moments(), do=self._send_mails)
        weeks = scheduling.Kind(name="week", lane=reconciling.LANE, moments=weekly.moments(), do=self._plan_weeks)
        return (*scheduling.engine_kinds(self.database, self.handlers), weeks, mails)

    def drain(self, now: datetime) -> int:
        """Do once what is due at `now`; answers how much was done."""
        return scheduling.drain(self.database, self.handlers, (self._plan_weeks, self._send_mails), now)

    def _plan_weeks(self, clock: Clock) -> int:
        return int(weekly.plan_one(self.database, now=clock(), settings=self.notifications))

    def _send_mails(self, clock: Clock) -> int:
        return delivery.send_batch(self.database, self.mailer, clock=clock, settings=self.notifications)


def build(settings: Settings, *, clock: Clock = utc_now, mailer: Mailer | None = None) -> Services:
    """The services of this process; the demo's clock runs ahead by what the database says."""
    if settings.dispatcher == "procrastinate" and not settings.database_url.startswith("postgresql"):
        raise InvalidInput("AVTALEFLYT_DISPATCHER=procrastinate needs PostgreSQL. Unset it: SQLite serves one process.")
    if settings.database_url.startswith("sqlite:///"):
        settings.var_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    if settings.database_pooler:
        database.behind_pooler()
    return Services(
        settings=settings,
        database=database,
        clock=shifted(clock, lambda: _offset(database)) if settings.demo else clock,
        mailer=mailer or PatientMailer(smtp(settings), clock),
        notifications=NotificationSettings(
            base_url=settings.address,
            element=deployments.element,
            mails_per_minute=settings.mail_per_minute,
            link_keys=settings.signing_keys,
        ),
    )


def smtp(settings: Settings) -> SmtpMailer:
    """The mail server that the settings name."""
    return SmtpMailer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        user=settings.smtp_user or None,
        password=settings.smtp_password.get_secret_value() or None,
        starttls=settings.smtp_starttls,
        timeout_seconds=settings.smtp_timeout,
    )


def _offset(database: Database) -> timedelta:
    with database.reading() as session:
        return timedelta(seconds=session.scalar(select(ClockOffset.seconds)) or 0)
