"""The log's part of the alarm: a process whose clock turns says once in a while that mails are late, and why."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from engine.database import Database
from notifications import alarm
from web.settings import Settings

#: How often it is said while it lasts, and looked at at all.
AGAIN, LOOK = timedelta(minutes=10), timedelta(minutes=1)

log = logging.getLogger(__name__)


class MailWatch:
    """Looks at each turn of the clock, once a minute at most."""

    def __init__(self, database: Database, settings: Settings, beat: Callable[[datetime], None]) -> None:
        self._database, self._settings, self._beat = database, settings, beat
        self._looked_at: datetime | None = None
        self._said_at: datetime | None = None

    def beat(self, now: datetime) -> None:
        """The clock turns."""
        self._beat(now)
        if not _is_within(self._looked_at, now, LOOK):
            self._looked_at = now
            self._look(now)

    def _look(self, now: datetime) -> None:
        settings = self._settings
        with self._database.reading() as session:
            late = alarm.look(session, now=now, after=settings.mail_late_after, per_minute=settings.mail_per_minute)
        if late is None:
            self._said_at = None
        elif not _is_within(self._said_at, now, AGAIN):
            self._said_at = now
            seen = {"late": late.count, "since": late.since.isoformat(), "hindrance": late.hindrance.value}
            log.error("planned mails have not left", extra=seen)


def _is_within(moment: datetime | None, now: datetime, length: timedelta) -> bool:
    # Also after the clock was set back, or it would be silent for as long as it was ahead.
    return moment is not None and timedelta() <= now - moment < length
