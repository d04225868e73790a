"""Against a real SMTP server on this machine: accepting, refusing, and hanging up."""

from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP as WIRE

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from mail_rows import OPENED, Case, oslo
from outbox import send_all

from notifications.local_server import KeepingReceiver, LocalServer, free_port
from notifications.mailer import PermanentFailure, SmtpMailer, TransientFailure, Uncertain, send_single
from notifications.model import ReceivedMail


class Receiver:
    """Replies as it is told and keeps what came; without a reply to the data it hangs up."""

    def __init__(self, *, rcpt: str = "250 OK", data: str | None = "250 OK") -> None:
        self.received: list[bytes] = []
        self._rcpt = rcpt
        self._data = data

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer about the recipient."""
        if self._rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self._rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer about the message."""
        assert isinstance(envelope.content, bytes)
        self.received.append(envelope.content)
        if self._data is None:
            assert server.transport is not None
            server.transport.abort()  # type: ignore[attr-defined]
        return self._data or "250 OK"


def message(text: str = "Hei\n") -> EmailMessage:
    """A mail with Norwegian letters."""
    email = EmailMessage(policy=WIRE)
    email["From"], email["To"] = "sekretariatet@example.org", "larvik@example.org"
    email["Subject"] = "Svar for Færder"
    email.set_content(text, cte="quoted-printable")
    return email


@contextmanager
def mailer_to(receiver: Receiver) -> Iterator[SmtpMailer]:
    """A mailer and the server it talks to."""
    with LocalServer(receiver) as server:
        yield SmtpMailer(host=server.host, port=server.port, timeout_seconds=5)


def test_message_arrives_as_it_was_written() -> None:
    receiver = Receiver()
    with mailer_to(receiver) as mailer:
        send_single(mailer, message(".punktum først\nog så æøå\n"), "larvik@example.org")
    raw = receiver.received[0]
    assert b"\r\n.punktum f=C3=B8rst\r\n" in raw
    assert b"\r\n\r\n" in raw


@pytest.mark.parametrize(
    ("receiver", "failure"),
    [
        (Receiver(rcpt="550 no such user"), PermanentFailure),
        (Receiver(rcpt="451 greylisted"), TransientFailure),
        (Receiver(rcpt="421 closing"), TransientFailure),
        (Receiver(data="554 refused"), PermanentFailure),
        (Receiver(data="452 full"), TransientFailure),
        (Receiver(data=None), Uncertain),
    ],
)
def test_what_the_server_says_decides_what_follows(receiver: Receiver, failure: type[Exception]) -> None:
    with mailer_to(receiver) as mailer, pytest.raises(failure):
        send_single(mailer, message(), "larvik@example.org")


def test_server_that_is_down_is_tried_again() -> None:
    with pytest.raises(TransientFailure):
        send_single(SmtpMailer(host="127.0.0.1", port=free_port()), message(), "larvik@example.org")


def test_server_without_starttls_is_never_talked_to_in_the_clear() -> None:
    receiver = Receiver()
    with LocalServer(receiver) as server, pytest.raises(TransientFailure):
        send_single(SmtpMailer(host=server.host, port=server.port, starttls=True), message(), "larvik@example.org")
    assert receiver.received == []


def test_hanging_up_after_the_message_leaves_the_delivery_uncertain(case: Case) -> None:
    case.survey(parties=["Larvik"])
    case.reconcile(OPENED)
    receiver = Receiver(data=None)
    with mailer_to(receiver) as mailer:
        send_all(case, oslo(9, 1), mailer)
    assert case.deliveries()[0].state == "uncertain"
    assert len(receiver.received) == 1


def test_the_demo_s_server_keeps_what_it_is_given_at_the_demo_s_time(case: Case) -> None:
    case.survey()
    case.reconcile(OPENED)
    now = oslo(9, 1)
    with LocalServer(KeepingReceiver(case.database, lambda: now)) as server:
        send_all(case, now, SmtpMailer(host=server.host, port=server.port))
    with case.database.reading() as session:
        kept = session.query(ReceivedMail).order_by(ReceivedMail.id).all()
    assert [k.envelope_to for k in kept] == [
        "kommunalsjef.larvik@example.org",
        "kommunalsjef.sandefjord@example.org",
        "kommunalsjef.ferder@example.org",
    ]
    assert kept[0].subject == "Svar innen 30. september: evaluering av delavtale om helhetlige pasientforløp"
    assert kept[0].received_at == now
    assert b"Auto-Submitted: auto-generated" in kept[0].raw
