"""The mailer that tests use instead of a server."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from email.message import EmailMessage
from typing import Self

from mail_rows import Case

from notifications.delivery import send_one
from notifications.mailer import Mailer


class Outbox:
    """Keeps what was sent; `before` and `after` are called around each, and may raise."""

    def __init__(self, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None) -> None:
        self.messages: list[EmailMessage] = []
        self._before = before
        self._after = after

    def conversation(self) -> AbstractContextManager[Self]:
        """Itself."""
        return nullcontext(self)

    def send(self, message: EmailMessage, to: str) -> None:
        """Accept the message."""
        if self._before is not None:
            self._before()
        assert to in message["To"]
        self.messages.append(message)
        if self._after is not None:
            self._after()


def send_all(case: Case, now: datetime, mailer: Mailer) -> None:
    """Send everything that is due."""
    while send_one(case.database, mailer, now=now, settings=case.settings):
        pass
