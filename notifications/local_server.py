"""A mail server on this machine that keeps everything and delivers nothing: for the demo and the tests."""

import socket
from email import message_from_bytes
from email.policy import default as parsing
from types import TracebackType
from typing import Protocol, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from engine.clock import Clock
from engine.database import Database
from notifications.model import ReceivedMail

LOOPBACK = "127.0.0.1"


class Receiver(Protocol):
    """Decides about a message that has come in; the answer is SMTP's reply."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """`250 …` accepts it."""


class KeepingReceiver:
    """Accepts everything and keeps it as rows, so that a page can show it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the message once per recipient."""
        raw = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        subject = str(message_from_bytes(raw, policy=parsing)["Subject"] or "")
        with self._database.transaction() as rows:
            for to in envelope.rcpt_tos:
                rows.add(ReceivedMail(received_at=self._clock(), envelope_to=str(to), subject=subject[:300], raw=raw))
        return "250 OK"


class LocalServer:
    """Runs in a thread of its own from `start` to `stop`; reachable from this machine only."""

    def __init__(self, receiver: Receiver, *, port: int | None = None) -> None:
        self.host = LOOPBACK
        self.port = port if port is not None else free_port()
        self._controller = Controller(receiver, hostname=self.host, port=self.port)

    def start(self) -> None:
        """Listen; returns when it answers."""
        self._controller.start()

    def stop(self) -> None:
        """Stop listening and wait for the thread."""
        self._controller.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port() -> int:
    """A port nobody listens on now; aiosmtpd can't choose one by itself."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
