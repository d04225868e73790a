"""Many reminders due at eight in the morning leave through a real mail server: nearest due first, each once.

How long ten thousand take, and what pages are like meanwhile, is measured by `python -m bench mail_storm`.
"""

from collections.abc import Iterator
from datetime import date, datetime
from email import message_from_bytes
from email.policy import default as parsing

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from mail_rows import OPENED, Case, oslo
from outbox import Outbox
from sqlalchemy import select, update

from engine.database import Database
from engine.model import User, UserTask
from notifications import delivery
from notifications.delivery import BATCH, send_batch
from notifications.local_server import LocalServer
from notifications.mailer import SmtpMailer
from tests.conftest import BACKENDS
from tests.engine.counting import counting

#: Ten, three and no working days after this morning: everyone is reminded now.
MORNING, DUE = oslo(9, 16), (date(2026, 9, 30), date(2026, 9, 21), date(2026, 9, 16))
PEOPLE = BATCH + 10
#: What a batch may ask the database for beside each mail's own outcome; and that outcome.
FOR_A_BATCH, FOR_A_MAIL = 30, 4


class Counter:
    """Takes every mail, and notes to whom and with which Message-ID."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called for every mail that arrives."""
        assert isinstance(envelope.content, bytes)
        message_id = str(message_from_bytes(envelope.content, policy=parsing)["Message-ID"])
        self.taken += [(to, message_id) for to in envelope.rcpt_tos]
        return "250 OK"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def mailer(counter: Counter) -> Iterator[SmtpMailer]:
    with LocalServer(counter) as server:
        yield SmtpMailer(host=server.host, port=server.port)


@pytest.fixture
def crowd(database: Database) -> Case:
    """So many people who were asked on 1 September, a third of them with each due date, on the eve of the storm."""
    case = Case(database)
    tasks = case.crowd(PEOPLE)
    with database.transaction() as session:
        for n, due in enumerate(DUE):
            session.execute(update(UserTask).where(UserTask.id.in_(tasks[n::3])).values(due_date=due))
    case.reconcile(OPENED)
    earlier = Outbox()
    while (moment := _next_due(database)) < MORNING:
        send_batch(database, earlier, clock=lambda moment=moment: moment, settings=case.settings)
    return case


def _next_due(database: Database) -> datetime:
    with database.reading() as session:
        moment = delivery.next_due(session)
    assert moment is not None
    return moment


def test_a_storm_of_reminders_leaves_in_order_and_once_with_few_statements_for_each(
    crowd: Case, mailer: SmtpMailer, counter: Counter
) -> None:
    database = crowd.database
    assert send_batch(database, mailer, clock=lambda: oslo(9, 16, 7, 59), settings=crowd.settings) == 0
    for size in (BATCH, PEOPLE - BATCH):
        with counting(database) as counted:
            assert send_batch(database, mailer, clock=lambda: MORNING, settings=crowd.settings) == size
        assert len(counted) <= FOR_A_BATCH + FOR_A_MAIL * size, str(counted)
    assert send_batch(database, mailer, clock=lambda: MORNING, settings=crowd.settings) == 0
    with database.reading() as session:
        query = select(User.email, UserTask.due_date).join(UserTask, UserTask.assignee_id == User.id)
        due = {row.email: row.due_date for row in session.execute(query)}
    assert [due[to] for to, _id in counter.taken] == sorted(due[to] for to, _id in counter.taken)
    assert len({to for to, _id in counter.taken}) == len({id_ for _to, id_ in counter.taken}) == PEOPLE
