"""What a process is made of: settings, database, clock, mailer; built once and passed down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from agreements.functions import FUNCTIONS
from engine import deployments, jobs, messages, scheduling, service_tasks
from engine.clock import Clock, shifted, utc_now
from engine.database import Database
from engine.model import ClockOffset
from notifications import delivery
from notifications.mailer import Mailer, SmtpMailer
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
            **delivery.handlers(self.notifications),
            **messages.handlers(),
            **service_tasks.handlers(FUNCTIONS),
        }

    def drain(self, now: datetime) -> int:
        """Do everything that is due; answers how much was done."""
        send: Callable[[datetime], bool] = lambda moment: delivery.send_one(  # noqa: E731
            self.database, self.mailer, now=moment, settings=self.notifications
        )
        return scheduling.drain(self.database, self.handlers, (send,), now)


def build(settings: Settings, *, clock: Clock = utc_now, mailer: Mailer | None = None) -> Services:
    """The services of this process; the demo's clock runs ahead by what the database says."""
    if settings.database_url.startswith("sqlite:///"):
        settings.var_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    return Services(
        settings=settings,
        database=database,
        clock=shifted(clock, lambda: _offset(database)) if settings.demo else clock,
        mailer=mailer or smtp(settings),
        notifications=NotificationSettings(base_url=settings.address, element=deployments.element),
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
