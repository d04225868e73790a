"""Handing one message to a mail server, and the three ways in which that fails.

The failures are types, because what follows differs: refused for good, try again later, or nobody knows.
"""

import re
import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.generator import BytesGenerator
from email.message import EmailMessage
from io import BytesIO
from typing import Protocol

_OK = range(200, 300)
_PERMANENT = range(500, 600)
_SEND_THE_MESSAGE = 354


class MailError(Exception):
    """The message was not accepted, or we don't know."""


class PermanentFailure(MailError):
    """The server refused this recipient or this message for good."""


class TransientFailure(MailError):
    """The message was not accepted; the same message may be accepted later."""


class Uncertain(MailError):
    """The connection was lost after the message had been handed over: it may have been accepted."""


class Mailer(Protocol):
    """Hands over one message."""

    def send(self, message: EmailMessage, to: str) -> None:
        """Return when the server has accepted it. Raises PermanentFailure, TransientFailure or Uncertain."""


@dataclass(frozen=True, kw_only=True)
class SmtpMailer:
    """Sends through one SMTP server, one connection per message."""

    host: str
    port: int = 25
    user: str | None = None
    password: str | None = None
    starttls: bool = False
    #: For each step of the conversation; far below the delivery's lease.
    timeout_seconds: float = 20

    def send(self, message: EmailMessage, to: str) -> None:
        """Return when the server has accepted it. Raises PermanentFailure, TransientFailure or Uncertain."""
        content = wire_format(message)
        sender = message["From"].addresses[0].addr_spec
        try:
            server = self._connected()
        except (OSError, smtplib.SMTPException) as error:
            raise TransientFailure(f"No connection to {self.host}:{self.port}: {error}") from error
        try:
            _converse(server, sender, to, content)
        finally:
            # What the server says to our goodbye changes nothing.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def probe(self) -> None:
        """Connect, encrypt, sign in and leave, as before a message. Raises TransientFailure."""
        try:
            server = self._connected()
        except (OSError, smtplib.SMTPException) as error:
            raise TransientFailure(f"No connection to {self.host}:{self.port}: {error}") from error
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()

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


def wire_format(message: EmailMessage) -> bytes:
    """The message with the line ends that SMTP wants, its headers encoded as its own policy says."""
    stream = BytesIO()
    BytesGenerator(stream).flatten(message, linesep="\r\n")
    return stream.getvalue()


def _converse(server: smtplib.SMTP, sender: str, to: str, content: bytes) -> None:
    try:
        # A refused sender says nothing about the recipient: our own settings may be mended meanwhile.
        _require(_OK, server.mail(sender), MailError)
        _require(_OK, server.rcpt(to), PermanentFailure)
        _require(range(_SEND_THE_MESSAGE, _SEND_THE_MESSAGE + 1), server.docmd("DATA"), PermanentFailure)
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        raise TransientFailure(f"The conversation broke before the message was sent: {error}") from error
    _hand_over(server, content)


def _hand_over(server: smtplib.SMTP, content: bytes) -> None:
    stuffed = re.sub(rb"(?m)^\.", b"..", content)
    end = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
    try:
        server.send(stuffed + end)
        reply = server.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise Uncertain(f"The connection broke after the message was sent: {error}") from error
    _require(_OK, reply, PermanentFailure)


def _require(expected: range, reply: tuple[int, bytes], refusal: type[MailError]) -> None:
    code, text = reply
    if code in expected:
        return
    said = f"{code} {text.decode(errors='replace')}"
    if code in _PERMANENT and refusal is PermanentFailure:
        raise PermanentFailure(said)
    raise TransientFailure(said)
