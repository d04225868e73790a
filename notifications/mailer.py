"""Handing messages to a mail server, and the ways in which that fails.

The failures are types, because what follows differs: refused for good, try again later, the server takes nothing now,
or nobody knows.
"""

import logging
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.generator import BytesGenerator
from email.message import EmailMessage
from io import BytesIO
from typing import Protocol

from engine.clock import Clock

_OK = range(200, 300)
_PERMANENT = range(500, 600)
_SEND_THE_MESSAGE = 354
_CLOSING = 421

log = logging.getLogger(__name__)


class MailError(Exception):
    """The message was not accepted, or we don't know."""


class PermanentFailure(MailError):
    """The server refused this recipient or this message for good."""


class TransientFailure(MailError):
    """The message was not accepted; the same message may be accepted later."""


class SenderRefused(TransientFailure):
    """The server refused our own address: the message is not to blame, and waits until that is mended."""


class Broken(TransientFailure):
    """The connection ended while the server looked at this message: the message may be why, or the server."""


class Unavailable(TransientFailure):
    """The server takes no message at all now, whichever it is."""


class Uncertain(MailError):
    """The connection was lost after the message had been handed over: it may have been accepted."""


class Conversation(Protocol):
    """An open connection to a mail server."""

    def send(self, message: EmailMessage, to: str) -> None:
        """Return when the server has accepted it. Raises a MailError.

        After Broken, Unavailable or Uncertain the conversation is over.
        """


class Mailer(Protocol):
    """Reaches a mail server."""

    def conversation(self) -> AbstractContextManager[Conversation]:
        """One connection for any number of messages. Raises Unavailable when there is none."""


@dataclass(frozen=True, kw_only=True)
class SmtpMailer:
    """Sends through one SMTP server."""

    host: str
    port: int = 25
    user: str | None = None
    password: str | None = None
    starttls: bool = False
    #: For each step of the conversation, and for the verdict on a whole message, on which servers take their time.
    #: Together far below the delivery's lease.
    timeout_seconds: float = 20
    verdict_seconds: float = 120

    @contextmanager
    def conversation(self) -> Iterator[Conversation]:
        """Connect, encrypt, sign in, and leave politely at the end. Raises Unavailable."""
        conversation = _SmtpConversation(self)
        try:
            yield conversation
        finally:
            conversation.leave()

    def probe(self) -> None:
        """Connect, encrypt, sign in and leave, as before a message. Raises Unavailable."""
        with self.conversation():
            pass

    def connect(self) -> smtplib.SMTP:
        """A connection on which messages may be sent. Raises Unavailable."""
        try:
            return self._connected()
        except OSError as error:
            raise Unavailable(f"No connection to {self.host}:{self.port}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_seconds)
        try:
            if self.starttls:
                server.starttls(context=ssl.create_default_context())
            if self.user is not None:
                server.login(self.user, self.password or "")
            server.ehlo_or_helo_if_needed()
        except BaseException:
            server.close()
            raise
        return server


class _SmtpConversation:
    """One connection, made anew once when the server ends it between two messages."""

    def __init__(self, mailer: SmtpMailer) -> None:
        self._mailer = mailer
        self._server = mailer.connect()
        self._is_fresh = True

    def send(self, message: EmailMessage, to: str) -> None:
        """Hand over one message. Raises a MailError."""
        content = wire_format(message)
        sender = message["From"].addresses[0].addr_spec
        self._begin(sender)
        self._is_fresh = False
        try:
            self._offer(to)
        except MailError:
            self._forget()
            raise
        self._hand_over(content)

    def leave(self) -> None:
        """Say goodbye; what the server says to that changes nothing."""
        with suppress(OSError):
            self._server.quit()
        self._server.close()

    def _begin(self, sender: str) -> None:
        try:
            self._name_sender(sender)
        except Unavailable:
            # Servers end connections that have carried many messages, or were silent for a while.
            if self._is_fresh:
                raise
            self._server.close()
            self._server = self._mailer.connect()
            self._name_sender(sender)

    def _name_sender(self, sender: str) -> None:
        # A refused sender says nothing about the recipient: our own settings may be mended meanwhile.
        try:
            code, text = self._server.mail(sender)
        except OSError as error:  # smtplib's own are of this kind
            raise Unavailable(f"The server ended the conversation: {error}") from error
        if code == _CLOSING:
            raise Unavailable(_said(code, text))
        if code not in _OK:
            self._forget()
            raise SenderRefused(_said(code, text))

    def _offer(self, to: str) -> None:
        try:
            _require(_OK, self._server.rcpt(to))
            _require(range(_SEND_THE_MESSAGE, _SEND_THE_MESSAGE + 1), self._server.docmd("DATA"))
        except OSError as error:
            raise Broken(f"The connection broke before the message was sent: {error}") from error
        except UnicodeError as error:
            raise PermanentFailure(f"{to!r} is no address that this server can be told.") from error

    def _hand_over(self, content: bytes) -> None:
        stuffed = re.sub(rb"(?m)^\.", b"..", content)
        end = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
        try:
            self._set_timeout(self._mailer.verdict_seconds)
            self._server.send(stuffed + end)
            reply = self._server.getreply()
            self._set_timeout(self._mailer.timeout_seconds)
        except OSError as error:
            raise Uncertain(f"The connection broke after the message was sent: {error}") from error
        _require(_OK, reply)

    def _set_timeout(self, seconds: float) -> None:
        if self._server.sock is not None:
            self._server.sock.settimeout(seconds)

    def _forget(self) -> None:
        """Begin the next message with a clean slate; where that fails, the next message finds out."""
        with suppress(OSError):
            self._server.rset()


def wire_format(message: EmailMessage) -> bytes:
    """The message with the line ends that SMTP wants, its headers encoded as its own policy says."""
    stream = BytesIO()
    BytesGenerator(stream).flatten(message, linesep="\r\n")
    return stream.getvalue()


def _require(expected: range, reply: tuple[int, bytes]) -> None:
    code, text = reply
    if code in expected:
        return
    if code == _CLOSING:
        raise Unavailable(_said(code, text))
    raise (PermanentFailure if code in _PERMANENT else TransientFailure)(_said(code, text))


def _said(code: int, text: bytes) -> str:
    return f"{code} {text.decode(errors='replace')}"


# --- patience ---------------------------------------------------------------------------------------------------------

#: How long a server that takes nothing is left alone: after the first failure, the second, …, and then always the last.
PAUSES = tuple(timedelta(seconds=s) for s in (10, 30, 60, 120, 300))


@dataclass
class PatientMailer:
    """A mailer that leaves a server in peace for a growing while when it takes nothing; one per process.

    When the pause is over, one conversation tries again. A thousand mails that wait cost a dead server one knock.
    """

    mailer: Mailer
    clock: Clock
    _failures: int = 0
    _failed_at: datetime | None = field(default=None)

    @contextmanager
    def conversation(self) -> Iterator[Conversation]:
        """The other mailer's conversation. Raises Unavailable, without asking the server while it is left in peace."""
        if self._is_pausing():
            raise Unavailable("The mail server takes nothing; it is tried again in a while.")
        try:
            with self.mailer.conversation() as conversation:
                yield conversation
        except (Broken, Unavailable, Uncertain) as error:
            self._failed_at = self.clock()
            self._failures += 1
            # What a server says may quote addresses, and is kept out of the log; `avtaleflyt doctor` shows it.
            log.warning(
                "the mail server takes nothing", extra={"failure": type(error).__name__, "times": self._failures}
            )
            raise
        self._failures, self._failed_at = 0, None

    def _is_pausing(self) -> bool:
        if self._failed_at is None:
            return False
        # A machine's clock that was put back must not make the pause longer.
        return timedelta() <= self.clock() - self._failed_at < PAUSES[min(self._failures, len(PAUSES)) - 1]


def send_single(mailer: Mailer, message: EmailMessage, to: str) -> None:
    """Send one message that is no planned mail, now. Raises a MailError."""
    with mailer.conversation() as conversation:
        conversation.send(message, to)
