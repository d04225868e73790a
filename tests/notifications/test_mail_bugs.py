"""What other systems have done wrong with mails: doubled, stormed, lost. Each is a test of this one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from mail_rows import DUE, OPENED, OSLO, BreakingDatabase, Case, oslo
from outbox import Outbox, send_all
from sqlalchemy.exc import OperationalError

from engine.database import Database
from notifications.claiming import LEASE
from notifications.delivery import TURN, next_due, send_batch, send_one
from notifications.model import Delivery
from tests.concurrency import at_once
from tests.conftest import BACKENDS, Templates
from tests.fakes import FakeClock

NOW = oslo(9, 1)
#: What a statement raises when the server has gone.
GONE = OperationalError("COMMIT", {}, Exception("the server closed the connection"))


@pytest.fixture(params=BACKENDS)
def case(request: pytest.FixtureRequest, templates: Templates) -> Iterator[Case]:
    """A survey of three parties, its mails planned."""
    url = templates.copy(request.param, "empty", lambda database: None)
    database = Database(url)
    made = Case(database)
    made.survey()
    made.reconcile(OPENED)
    yield made
    database.dispose()
    templates.drop(request.param, url)


def recipients(mailer: Outbox) -> list[str]:
    return sorted(str(message["To"].addresses[0].addr_spec) for message in mailer.messages)


EVERYBODY = [f"kommunalsjef.{name}@example.org" for name in ("ferder", "larvik", "sandefjord")]


def test_many_processes_send_each_mail_once(case: Case) -> None:
    mailer = Outbox()
    # On SQLite one process has one database object; on PostgreSQL each process has its own.
    others = [] if case.database.is_sqlite else [Database(case.database.url) for _ in range(5)]
    databases = others or [case.database] * 5

    def work(database: Database) -> None:
        while send_one(database, mailer, now=NOW, settings=case.settings):
            pass

    assert at_once([lambda database=database: work(database) for database in databases]) == [None] * 5  # type: ignore[misc]
    work(case.database)  # one that found every row taken may have gone home early
    for database in others:
        database.dispose()
    assert recipients(mailer) == EVERYBODY


def test_planning_in_many_processes_plans_each_mail_once(case: Case) -> None:
    before = case.planned()
    assert at_once([lambda: case.reconcile(OPENED)] * 4) == [None] * 4
    assert case.planned() == before


def test_a_mail_that_outlives_its_lease_is_the_same_message_and_sent_twice_at_most(case: Case) -> None:
    second = Outbox()
    first = Outbox(after=lambda: send_all(case, NOW + LEASE, second))
    assert send_one(case.database, first, now=NOW, settings=case.settings)
    (slow,) = first.messages
    assert [m.as_bytes() for m in second.messages].count(slow.as_bytes()) == 1
    third = Outbox()
    send_all(case, NOW + 2 * LEASE, third)
    assert third.messages == []
    assert {d.state for d in case.deliveries() if d.planned_at <= NOW} == {"sent"}


def test_after_weeks_of_standstill_each_person_gets_one_mail(case: Case) -> None:
    """The opening and two reminders were missed: one mail says it all."""
    mailer = Outbox()
    send_all(case, oslo(9, 28), mailer)
    assert recipients(mailer) == EVERYBODY
    send_all(case, oslo(9, 29), mailer)
    assert len(mailer.messages) == len(EVERYBODY)


@pytest.mark.parametrize("transactions", [1, 2], ids=["while it is taken", "while its outcome is recorded"])
def test_a_mail_is_not_lost_when_the_database_is_gone(case: Case, transactions: int) -> None:
    mailer = Outbox()
    with pytest.raises(OperationalError):
        send_one(BreakingDatabase(case.database, transactions, GONE), mailer, now=NOW, settings=case.settings)
    send_all(case, NOW + LEASE, mailer)
    assert sorted(set(recipients(mailer))) == EVERYBODY
    assert len({str(m["Message-ID"]) for m in mailer.messages}) == len(EVERYBODY)
    assert len(mailer.messages) == len(EVERYBODY) + transactions - 1


def test_a_clock_that_steps_back_sends_nothing_again(case: Case) -> None:
    mailer = Outbox()
    send_all(case, oslo(9, 16), mailer)
    sent = [d.message_id for d in case.deliveries("sent")]
    for moment in (oslo(9, 15), oslo(9, 1), oslo(9, 16)):
        case.reconcile(moment)
        send_all(case, moment, mailer)
    assert [d.message_id for d in case.deliveries("sent")] == sent
    assert len(mailer.messages) == len(sent)


@pytest.mark.parametrize("due", [date(2026, 10, 27), date(2027, 3, 31)])
def test_reminders_leave_at_eight_on_both_sides_of_the_change_of_clocks(case: Case, due: date) -> None:
    """Ten, three and no working days before: the first while one clock holds, the last while the other does."""
    assert due != DUE
    for mail in case.deliveries():
        if mail.task_id is not None:
            case.change(mail.task_id, due_date=due)
    case.reconcile(OPENED)
    reminders = [d for d in case.deliveries("planned") if d.rule.startswith("reminder")]
    local = [d.planned_at.astimezone(OSLO) for d in reminders]
    assert {moment.hour for moment in local} == {8}
    assert {moment.utcoffset() for moment in local} == {timedelta(hours=1), timedelta(hours=2)}


# --- no storm, and no lease outlived ----------------------------------------------------------------------------------


@pytest.fixture(params=[("sqlite", 500), ("postgresql", 100)], ids=["sqlite", "postgresql"])
def crowd(request: pytest.FixtureRequest, templates: Templates) -> Iterator[Case]:
    """So many people, and for each four mails that fall due within a week: the opening, and three reminders."""
    backend, size = request.param
    url = templates.copy(backend, "empty", lambda database: None)
    database = Database(url)
    made = Case(database)
    made.element.reminders = (8, 7, 6)
    made.crowd(size, due=date(2026, 9, 15))
    made.reconcile(OPENED)
    yield made
    database.dispose()
    templates.drop(backend, url)


def is_any_planned(case: Case) -> bool:
    with case.database.reading() as session:
        return next_due(session) is not None


def test_after_a_week_of_downtime_mails_leave_at_the_configured_rate(crowd: Case) -> None:
    """On SQLite two thousand are due. On PostgreSQL two processes send at once, and the rate is that of both."""
    people = len(crowd.deliveries("planned")) // 4
    rate = people // 5
    settings = replace(crowd.settings, mails_per_minute=rate)
    clock = FakeClock(oslo(9, 8))
    left: list[datetime] = []
    mailer = Outbox(after=lambda: left.append(clock()))
    processes = [crowd.database] if crowd.database.is_sqlite else [Database(crowd.database.url) for _ in range(2)]

    def work(database: Database) -> None:
        while send_batch(database, mailer, clock=clock, settings=settings):
            pass

    tick = timedelta(seconds=20)
    while is_any_planned(crowd):
        assert at_once([lambda database=database: work(database) for database in processes]) == [None] * len(processes)  # type: ignore[misc]
        clock.set(clock() + tick)
    for database in processes:
        database.dispose()
    # Each person was told once. The reminders, which the late opening makes needless, were not sent.
    assert len(set(recipients(mailer))) == len(mailer.messages) == people
    assert Counter(d.state for d in crowd.deliveries()) == {"sent": people, "cancelled": 3 * people}
    # In no minute more than the rate, and no slower than that.
    assert all(later - first >= timedelta(minutes=1) for first, later in zip(left, left[rate:], strict=False))
    assert clock() <= oslo(9, 8) + timedelta(minutes=people // rate) + tick


def test_the_most_urgent_mails_leave_first_after_a_standstill(case: Case) -> None:
    first, second, third = (d.id for d in case.deliveries("planned") if d.planned_at <= NOW)
    with case.database.transaction() as session:
        for mail, due in ((first, date(2026, 9, 22)), (second, date(2026, 9, 21)), (third, None)):
            session.get_one(Delivery, mail).due_date = due
    mailer = Outbox()
    send_all(case, NOW, mailer)
    # What has no date is about now.
    ids = {d.message_id: d.id for d in case.deliveries("sent")}
    assert [ids[str(m["Message-ID"])] for m in mailer.messages] == [third, second, first]


def test_a_batch_that_a_slow_server_makes_long_is_given_back_before_its_lease_ends(case: Case) -> None:
    """A minute for each mail: what can't be sent in time goes to whoever is free."""
    clock = FakeClock(NOW)
    slow = Outbox(after=lambda: clock.set(clock() + timedelta(minutes=1)) and None)
    sent = send_batch(case.database, slow, clock=clock, settings=case.settings)
    assert (sent, clock() - NOW) == (2, TURN)
    (waiting,) = (d for d in case.deliveries("planned") if d.planned_at <= NOW)
    assert (waiting.attempts, waiting.lease_until) == (0, None)
    assert send_batch(case.database, slow, clock=clock, settings=case.settings) == 1
    assert recipients(slow) == EVERYBODY
