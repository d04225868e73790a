"""Mails that came back: reports as mail systems write them, read from a mailbox, and what they change."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_server import PASSWORD, serving
from mail_rows import OPENED, Case, oslo
from outbox import Outbox, send_all
from sqlalchemy import update

from engine.database import Database
from engine.model import User
from notifications import bounces, delivery
from notifications.bounces import Bounce, Outcome
from notifications.mailbox import Mailbox, MailboxError
from notifications.model import Delivery
from tests.conftest import BACKENDS, Templates

NOW = oslo(9, 1)


def report(
    message_id: str, *, action: str = "failed", status: str = "5.1.1", to: str = "kommunalsjef.larvik@example.org",
    said: str = "smtp; 550 5.1.1 <x>: ukjent\r\n mottaker", headers_only: bool = False,
) -> bytes:  # fmt: skip
    """What a mail system writes (RFC 3464)."""
    kind = "text/rfc822-headers" if headers_only else "message/rfc822"
    return "\r\n".join(
        [
            "From: MAILER-DAEMON@mx.example.org", "To: sekretariatet@example.org", "Subject: Undelivered",
            "MIME-Version: 1.0", 'Content-Type: multipart/report; report-type="delivery-status"; boundary="b"', "",
            "--b", "Content-Type: text/plain", "", "Beklager.", "--b", "Content-Type: message/delivery-status", "",
            "Reporting-MTA: dns; mx.example.org", "", f"Final-Recipient: rfc822; {to}", f"Action: {action}",
            f"Status: {status}", f"Diagnostic-Code: {said}", "", "--b", f"Content-Type: {kind}", "",
            f"Message-ID: {message_id}", "Subject: Svar innen", "", "" if headers_only else "Hei", "--b--", "",
        ]
    ).encode()  # fmt: skip


@pytest.fixture(params=BACKENDS)
def case(request: pytest.FixtureRequest, templates: Templates) -> Iterator[Case]:
    """A survey that everybody was told of."""
    url = templates.copy(request.param, "empty", lambda database: None)
    database = Database(url)
    made = Case(database)
    made.survey()
    made.reconcile(OPENED)
    send_all(made, NOW, Outbox())
    yield made
    database.dispose()
    templates.drop(request.param, url)


def record(case: Case, raw: bytes) -> Outcome:
    found = bounces.read(raw)
    assert found is not None
    with case.database.transaction() as session:
        return bounces.record(session, found, now=NOW)


@pytest.mark.parametrize("headers_only", [False, True])
def test_a_report_says_which_mail_failed_and_why(headers_only: bool) -> None:
    assert bounces.read(report("<a@x.org>", headers_only=headers_only)) == Bounce(
        message_id="<a@x.org>", recipients=("kommunalsjef.larvik@example.org",), is_final=True,
        answer="550 5.1.1 <x>: ukjent mottaker",
    )  # fmt: skip
    late = bounces.read(report("<a@x.org>", action="delayed", status="4.4.1", headers_only=headers_only))
    assert late is not None
    assert not late.is_final
    assert bounces.read(report("<a@x.org>", action="delivered")) is None
    assert bounces.read(report("ingen id")) is None
    assert bounces.read(b"From: a@example.org\r\nSubject: Ferie\r\nIn-Reply-To: <a@x.org>\r\n\r\nJeg er borte.") is None


@given(cut=st.integers(0, 900), junk=st.binary(max_size=60))
def test_no_report_breaks_the_reader(cut: int, junk: bytes) -> None:
    raw = report("<a@x.org>")
    found = bounces.read(raw[:cut] + junk + raw[cut + len(junk) :])
    assert found is None or found.answer.isprintable()
    assert bounces.read(junk) is None


def test_a_mail_that_came_back_is_failed_with_its_answer_and_mended_once(case: Case) -> None:
    sent, other, third = case.deliveries("sent")
    assert record(case, report(other.message_id, action="delayed", said="smtp; 451 prøv igjen")) is Outcome.DELAYED
    assert record(case, report(sent.message_id, to=sent.address)) is Outcome.BOUNCED
    assert record(case, report(sent.message_id, to=sent.address)) is Outcome.KNOWN
    assert record(case, report("<ukjent@x.org>")) is Outcome.UNKNOWN
    [failed] = case.deliveries("failed")
    assert (failed.id, failed.last_error, failed.bounced_at) == (sent.id, "550 5.1.1 <x>: ukjent mottaker", NOW)
    delayed = next(mail for mail in case.deliveries("sent") if mail.delayed_at)
    assert (delayed.id, delayed.last_error) == (other.id, "451 prøv igjen")
    assert third.id not in (failed.id, delayed.id)
    with case.database.transaction() as session:
        assert list(bounces.dead_addresses(session, case.community_id)) == [sent.recipient_id]
        session.get_one(User, sent.recipient_id).email = "ny@example.org"
        session.flush()
        assert not bounces.dead_addresses(session, case.community_id)
        delivery.send_again(session, session.get_one(Delivery, sent.id), now=NOW)
    send_all(case, NOW, Outbox())
    # The mailbox is read anew: what it says of the former address concerns nobody.
    assert record(case, report(sent.message_id, to=sent.address)) is Outcome.KNOWN
    assert not case.deliveries("failed")
    assert record(case, report(sent.message_id, to="ny@example.org")) is Outcome.BOUNCED


def test_without_a_message_id_the_address_and_the_time_must_fit_one_mail_only(case: Case) -> None:
    sent, other, third = case.deliveries("sent")

    def returned(to: str, at: datetime, *, header: str = "Arrival-Date") -> bytes:
        said = report("ingen id", to=to).decode()
        line = f"{header}: {format_datetime(at)}"
        before = {"Arrival-Date": "\r\n\r\nFinal-Recipient", "Date": "\r\nSubject: Svar"}[header]
        return said.replace(before, f"\r\n{line}{before}").encode()

    assert bounces.read(returned("uten@x.org", NOW).replace(b"Final-Recipient: rfc822; uten@x.org\r\n", b"")) is None
    for raw in (
        returned(sent.address, NOW + timedelta(minutes=11)), returned("annen@example.org", NOW),
        returned(sent.address, NOW, header="Date").replace(b"Date: ", b"Date: i fjor "),
    ):  # fmt: skip
        found = bounces.read(raw)
        if found is not None:
            assert record(case, raw) is Outcome.UNKNOWN
    # Two to one address within those minutes: it may be about either.
    with case.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id == other.id).values(address=third.address))
    assert record(case, returned(third.address, NOW)) is Outcome.UNKNOWN
    assert not case.deliveries("failed")
    assert record(case, returned(sent.address.upper(), NOW + timedelta(minutes=9))) is Outcome.BOUNCED
    assert record(case, returned(sent.address, NOW, header="Date")) is Outcome.KNOWN
    assert [mail.id for mail in case.deliveries("failed")] == [sent.id]


def test_what_a_mail_carried_came_back_with_it(case: Case) -> None:
    sent, other, _ = case.deliveries("sent")
    with case.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id == other.id).values(carrier_id=sent.id))
    assert record(case, report(sent.message_id, to="videre@example.net")) is Outcome.BOUNCED
    assert {mail.id for mail in case.deliveries("failed")} == {sent.id, other.id}


def test_the_mailbox_is_read_once_and_what_people_write_stays_unread() -> None:
    letter = b"From: a@example.org\r\nSubject: Hei\r\n\r\nHei"
    with serving(a=report("<a@x.org>"), b=letter, c=report("<c@x.org>")) as box:
        mailbox = Mailbox(host="127.0.0.1", port=box.port, tls=False, user="sekretariatet", password=PASSWORD)
        got: list[bytes] = []
        assert mailbox.read_reports(got.append) == 2
        assert [found.message_id for raw in got if (found := bounces.read(raw))] == ["<a@x.org>", "<c@x.org>"]
        assert box.seen == {1, 3}
        assert mailbox.count_letters() == 1
        assert mailbox.read_reports(got.append) == 0
        box.seen.clear()

        def break_off(raw: bytes) -> None:
            raise RuntimeError("the database is away")

        with pytest.raises(RuntimeError):
            mailbox.read_reports(break_off)
        assert not box.seen, "it is read again the next time"
        assert box.said.count("LOGOUT") == 4
        wrong = Mailbox(host="127.0.0.1", port=box.port, tls=False, user="sekretariatet", password="feil")
        with pytest.raises(MailboxError, match="can't be read"):
            wrong.read_reports(got.append)
    for read in (lambda: mailbox.read_reports(got.append), mailbox.count_letters):
        with pytest.raises(MailboxError):
            read()
