"""The mailbox to which mail systems report: read by IMAP, each report once."""

import imaplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from notifications.bounces import MAX_BYTES

#: What one reading takes at most; the rest is there the next time.
MOST = 500
#: Only reports are looked at: what people write stays unread.
_REPORTS = ("UNSEEN", "HEADER", "Content-Type", "multipart/report")


class MailboxError(Exception):
    """The mailbox can't be read."""


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """Where the reports lie."""

    host: str
    user: str
    password: str = field(repr=False)
    port: int = 993
    #: Off only on this machine, in tests.
    tls: bool = True
    folder: str = "INBOX"
    timeout_seconds: float = 20

    def read_reports(self, handle: Callable[[bytes], None]) -> int:
        """Give each report that is unread to `handle`, and then mark it as read; answers how many there were.

        One that `handle` raises for stays unread. Raises MailboxError.
        """
        try:
            with self._open() as box:
                ids = self._found(box, *_REPORTS)[:MOST]
                for uid in ids:
                    handle(self._fetch(box, uid))
                    _require(box.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)"))
                return len(ids)
        except (OSError, imaplib.IMAP4.error) as error:
            raise MailboxError(f"The mailbox at {self.host}:{self.port} can't be read: {error}") from error

    def count_letters(self) -> int:
        """How many unread mails are no reports: what people wrote, which nobody may have seen. Raises MailboxError."""
        try:
            with self._open() as box:
                return len(self._found(box, "UNSEEN", "NOT", *_REPORTS[1:]))
        except (OSError, imaplib.IMAP4.error) as error:
            raise MailboxError(f"The mailbox at {self.host}:{self.port} can't be read: {error}") from error

    @contextmanager
    def _open(self) -> Iterator[imaplib.IMAP4]:
        box = self._connected()
        try:
            box.login(self.user, self.password)
            _require(box.select(f'"{self.folder}"'))
            yield box
        finally:
            with suppress(OSError, imaplib.IMAP4.error):
                box.logout()

    def _connected(self) -> imaplib.IMAP4:
        if not self.tls:
            return imaplib.IMAP4(self.host, self.port, timeout=self.timeout_seconds)
        context = ssl.create_default_context()
        return imaplib.IMAP4_SSL(self.host, self.port, ssl_context=context, timeout=self.timeout_seconds)

    def _found(self, box: imaplib.IMAP4, *wanted: str) -> list[str]:
        found = _require(box.uid("SEARCH", *wanted))
        return [uid.decode("ascii", "replace") for ids in found if ids for uid in ids.split()]

    def _fetch(self, box: imaplib.IMAP4, uid: str) -> bytes:
        # Peeked at: it counts as read only when what it says is kept.
        parts = _require(box.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MAX_BYTES}>)"))
        return next((part[1] for part in parts if isinstance(part, tuple)), b"")


def _require(answer: tuple[str, Sequence[Any]]) -> Sequence[Any]:
    state, data = answer
    if state != "OK":
        raise imaplib.IMAP4.error(f"The server answered {state}.")
    return data
