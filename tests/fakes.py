"""The two things that tests put in place of the real ones: the clock and the mailer."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from typing import Self
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")
#: Monday 18 May 2026, ten in the morning in Oslo.
START = datetime(2026, 5, 18, 8, 0, tzinfo=UTC)


def oslo(day: date, hour: int = 12, minute: int = 0) -> datetime:
    """A local moment, in UTC."""
    return datetime.combine(day, time(hour, minute), OSLO).astimezone(UTC)


class FakeClock:
    """Stands still until a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def set(self, now: datetime) -> datetime:
        """Make it `now`."""
        self.now = now
        return now

    def to(self, day: date, hour: int = 12, minute: int = 0) -> datetime:
        """Make it that local time of the day."""
        return self.set(oslo(day, hour, minute))

    def advance(self, **duration: float) -> datetime:
        """Let time pass: `hours=2`."""
        return self.set(self.now + timedelta(**duration))

    @property
    def today(self) -> date:
        """The local day."""
        return self.now.astimezone(OSLO).date()


class RecordingMailer:
    """Keeps what is sent; `before` is called with each message first, and may raise."""

    def __init__(self, before: Callable[[EmailMessage, str], None] | None = None) -> None:
        self.messages: list[EmailMessage] = []
        self._before = before

    def conversation(self) -> AbstractContextManager[Self]:
        """Itself."""
        return nullcontext(self)

    def send(self, message: EmailMessage, to: str) -> None:
        """Accept the message."""
        if self._before is not None:
            self._before(message, to)
        assert to in message["To"]
        self.messages.append(message)

    def subjects_to(self, address: str) -> list[str]:
        """Subjects of what that address was sent, oldest first."""
        return [str(m["Subject"]) for m in self.messages if address in m["To"]]
