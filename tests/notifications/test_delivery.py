"""No mail is lost, whatever dies, and a mail sent twice has one Message-ID."""

from datetime import date, timedelta
from typing import NoReturn

import pytest
from mail_rows import OPENED, BreakingDatabase, Case, oslo
from outbox import Outbox, send_all

from engine.errors import NotOpen
from engine.jobs import enqueue, run_one
from engine.model import User, UserTask
from notifications.claiming import LEASE, PAUSES
from notifications.delivery import handlers, next_due, send_again, send_batch, send_one
from notifications.mailer import PermanentFailure, TransientFailure, Unavailable, Uncertain
from notifications.model import Delivery
from tests.engine.counting import counting


class Killed(BaseException):
    """The machine lost its power."""


def kill() -> NoReturn:
    """Die here."""
    raise Killed


def fail(error: Exception) -> NoReturn:
    """The server says no."""
    raise error


@pytest.fixture
def told(case: Case) -> Case:
    """A case with one due mail."""
    case.survey(parties=["Larvik"])
    case.reconcile(OPENED)
    return case


def only(case: Case) -> Delivery:
    """The first mail."""
    return case.deliveries()[0]


NOW = oslo(9, 1)


def test_nothing_is_sent_before_its_time(told: Case) -> None:
    assert not send_one(told.database, Outbox(), now=NOW - timedelta(seconds=1), settings=told.settings)


def test_mail_is_sent_at_exactly_its_time_and_its_content_kept(told: Case) -> None:
    mailer = Outbox()
    assert send_one(told.database, mailer, now=NOW, settings=told.settings)
    assert not send_one(told.database, mailer, now=NOW, settings=told.settings)
    row = only(told)
    assert (row.state, row.sent_at, row.address, row.due_date, row.attempts) == (
        "sent", NOW, "kommunalsjef.larvik@example.org", date(2026, 9, 30), 1,
    )  # fmt: skip
    assert row.body_text is not None
    assert "Larvik kommune" in row.body_text
    assert row.lease_until is None


@pytest.mark.parametrize("transactions", [1, 2])
def test_process_that_dies_before_a_commit_loses_nothing(told: Case, transactions: int) -> None:
    mailer = Outbox()
    with pytest.raises(Killed):
        send_one(BreakingDatabase(told.database, transactions, Killed()), mailer, now=NOW, settings=told.settings)
    later = NOW + LEASE
    send_all(told, later, mailer)
    assert only(told).state == "sent"
    assert len({m["Message-ID"] for m in mailer.messages}) == 1
    assert len(mailer.messages) == transactions  # died after the server's answer: the same mail again


@pytest.mark.parametrize("moment", ["before", "after"])
def test_process_that_dies_while_it_talks_to_the_server_sends_the_same_message_again(told: Case, moment: str) -> None:
    dying = Outbox(**{moment: kill})
    with pytest.raises(Killed):
        send_one(told.database, dying, now=NOW, settings=told.settings)
    assert only(told).state == "sending"
    mailer = Outbox()
    send_all(told, NOW + LEASE - timedelta(seconds=1), mailer)
    assert mailer.messages == []
    send_all(told, NOW + LEASE, mailer)
    assert [m.as_bytes() for m in dying.messages] in ([], [m.as_bytes() for m in mailer.messages])
    assert len(mailer.messages) == 1
    assert only(told).state == "sent"


def test_process_that_dies_while_it_reads_the_model_loses_nothing(told: Case) -> None:
    living = told.settings.element
    object.__setattr__(told.settings, "element", lambda *_: kill())
    with pytest.raises(Killed):
        send_one(told.database, Outbox(), now=NOW, settings=told.settings)
    object.__setattr__(told.settings, "element", living)
    mailer = Outbox()
    send_all(told, NOW, mailer)
    assert len(mailer.messages) == 1


def test_worker_whose_lease_was_outlived_records_nothing(told: Case) -> None:
    other = Outbox()
    slow = Outbox(after=lambda: send_all(told, NOW + LEASE, other))
    send_one(told.database, slow, now=NOW, settings=told.settings)
    row = only(told)
    assert (row.state, row.sent_at, row.lease) == ("sent", NOW + LEASE, 2)
    assert other.messages[0]["Message-ID"] == slow.messages[0]["Message-ID"]


def test_mail_left_in_the_middle_is_uncertain_when_the_answer_has_come(told: Case) -> None:
    with pytest.raises(Killed):
        send_one(told.database, Outbox(after=kill), now=NOW, settings=told.settings)
    told.change(only(told).task_id or 0, state="completed")
    mailer = Outbox()
    send_all(told, NOW + LEASE, mailer)
    assert (mailer.messages, only(told).state) == ([], "uncertain")


def test_answer_between_planning_and_sending_cancels_the_mail(told: Case) -> None:
    told.change(only(told).task_id or 0, state="completed")
    mailer = Outbox()
    send_all(told, NOW, mailer)
    row = only(told)
    assert (mailer.messages, row.state, row.last_error) == ([], "cancelled", "The task is completed.")


def test_reminder_of_a_date_that_has_moved_is_cancelled(told: Case) -> None:
    mailer = Outbox()
    send_all(told, NOW, mailer)
    told.change(only(told).task_id or 0, due_date=date(2026, 10, 2))
    send_all(told, oslo(9, 16), mailer)
    assert len(mailer.messages) == 1


def test_after_a_standstill_only_one_reminder_is_sent(told: Case) -> None:
    mailer = Outbox()
    send_all(told, NOW, mailer)
    send_all(told, oslo(9, 28), mailer)
    assert [m["Subject"] for m in mailer.messages][1:] == ["To virkedager igjen: vi mangler svar fra Larvik kommune"]


def test_first_mail_stands_in_for_the_reminders_that_are_due_as_well(told: Case) -> None:
    mailer = Outbox()
    send_all(told, oslo(9, 28), mailer)
    assert [m["Subject"][:10] for m in mailer.messages] == ["Svar innen"]


def test_permanent_refusal_is_shown_and_not_repeated(told: Case) -> None:
    mailer = Outbox(before=lambda: fail(PermanentFailure("550 no such user")))
    send_all(told, NOW, mailer)
    row = only(told)
    assert (row.state, row.last_error, row.sent_at) == ("failed", "550 no such user", None)
    told.reconcile(NOW)
    assert only(told).state == "failed"


def test_transient_failure_is_tried_again_after_growing_pauses_and_then_given_up(told: Case) -> None:
    mailer = Outbox(before=lambda: fail(TransientFailure("451 later")))
    now = NOW
    for pause in PAUSES:
        send_one(told.database, mailer, now=now, settings=told.settings)
        assert (only(told).state, only(told).next_attempt_at) == ("planned", now + pause)
        now += pause
    send_one(told.database, mailer, now=now, settings=told.settings)
    assert only(told).state == "failed"
    assert now - NOW > timedelta(hours=24)


def test_uncertain_mail_waits_for_a_person_and_keeps_its_message_id(told: Case) -> None:
    send_all(told, NOW, Outbox(before=lambda: fail(Uncertain("connection lost"))))
    before = only(told)
    assert before.state == "uncertain"
    mailer = Outbox()
    send_all(told, oslo(9, 2), mailer)
    assert mailer.messages == []
    with told.database.transaction() as session:
        send_again(session, session.get_one(Delivery, before.id), now=oslo(9, 2))
    send_all(told, oslo(9, 2), mailer)
    assert mailer.messages[0]["Message-ID"] == before.message_id


def test_mail_sent_again_goes_to_the_corrected_address(told: Case) -> None:
    send_all(told, NOW, Outbox(before=lambda: fail(PermanentFailure("550"))))
    with told.database.transaction() as session:
        row = session.get_one(Delivery, only(told).id)
        session.get_one(User, row.recipient_id).email = "ny@example.org"
        send_again(session, row, now=NOW)
    send_all(told, NOW, Outbox())
    assert only(told).address == "ny@example.org"
    with told.database.transaction() as session, pytest.raises(NotOpen):
        send_again(session, session.get_one(Delivery, only(told).id), now=NOW)


@pytest.mark.parametrize(
    "address", ["", "larvik", "a@b\r\nBcc: x@example.org", "to personer@example.org", "@example.org"]
)
def test_impossible_address_fails_and_lets_the_others_through(case: Case, address: str) -> None:
    larvik, *_ = case.survey()
    with case.database.transaction() as session:
        assignee = session.get_one(UserTask, larvik).assignee_id
        session.get_one(User, assignee).email = address
    case.reconcile(OPENED)
    mailer = Outbox()
    send_all(case, NOW, mailer)
    assert case.deliveries(task_id=larvik)[0].state == "failed"
    assert len(mailer.messages) == 2


def test_broken_template_is_put_off_and_lets_the_others_through(case: Case) -> None:
    case.survey()
    case.reconcile(OPENED)
    with case.database.transaction() as session:
        session.query(Delivery).filter_by(rule="assigned").order_by(Delivery.id).limit(1).one().rule = "unknown"
    mailer = Outbox()
    send_all(case, NOW, mailer)
    assert len(mailer.messages) == 2
    row = only(case)
    assert (row.state, row.next_attempt_at) == ("planned", NOW + PAUSES[0])
    assert "TemplateNotFound" in (row.last_error or "")


def test_next_due_is_the_earliest_plan_or_lease(told: Case) -> None:
    def due() -> object:
        with told.database.reading() as session:
            return next_due(session)

    assert due() == NOW
    with pytest.raises(Killed):
        send_one(told.database, Outbox(before=kill), now=NOW, settings=told.settings)
    assert due() == NOW + LEASE
    send_all(told, NOW + LEASE, Outbox())
    assert due() == oslo(9, 16)
    send_all(told, oslo(9, 30), Outbox())
    assert due() is None


def test_job_reconciles_its_case(case: Case) -> None:
    case.survey(parties=["Larvik"])
    with case.database.transaction() as session:
        enqueue(session, "reconcile", run_at=OPENED, instance_id=case.instance_id, unique_key="reconcile:1:1")
    assert run_one(case.database, handlers(case.settings), OPENED)
    assert len(case.planned()) == 4


# --- batches ----------------------------------------------------------------------------------------------------------


def test_mails_are_taken_together_and_recorded_singly(case: Case) -> None:
    case.crowd(40)
    case.reconcile(OPENED)
    mailer = Outbox()
    with counting(case.database) as few:
        assert send_batch(case.database, mailer, clock=lambda: NOW, settings=case.settings, limit=10) == 10
    with counting(case.database) as many:
        assert send_batch(case.database, mailer, clock=lambda: NOW, settings=case.settings, limit=30) == 30
    assert len(mailer.messages) == 40
    assert many.commits - few.commits == 20, "one outcome, one transaction"
    # What all mails of a batch ask is asked once. For each there is its outcome, which begins a transaction.
    assert (len(many) - len(few)) / 20 <= 3, f"{few}\n\n{many}"
    assert len(few) - 10 * 3 <= 19, f"{few}"


def test_the_mails_of_one_batch_know_of_each_other(case: Case) -> None:
    """After a standstill: the opening says it all, whatever else is due about the same task."""
    case.crowd(3)
    case.reconcile(OPENED)
    mailer = Outbox()
    assert send_batch(case.database, mailer, clock=lambda: oslo(9, 28), settings=case.settings) == 9
    assert [str(m["Subject"])[:10] for m in mailer.messages] == ["Svar innen"] * 3
    assert {d.state for d in case.deliveries("cancelled") if d.planned_at <= oslo(9, 28)} == {"cancelled"}


def test_what_is_given_back_is_as_if_it_had_not_been_taken(case: Case) -> None:
    """The second mail finds no server: it, and those after it, wait for the next turn."""
    case.crowd(3)
    case.reconcile(OPENED)
    before = {d.id: (d.state, d.attempts, d.taken_at, d.lease_until, d.next_attempt_at) for d in case.deliveries()}
    said = iter([None, Unavailable("421 closing")])
    mailer = Outbox(before=lambda: fail(error) if (error := next(said)) else None)
    assert send_batch(case.database, mailer, clock=lambda: NOW, settings=case.settings) == 0
    sent, *others = [d for d in case.deliveries() if d.planned_at <= NOW]
    assert sent.state == "sent"
    assert [(d.state, d.attempts, d.taken_at, d.lease_until, d.next_attempt_at) for d in others] == [
        before[d.id] for d in others
    ]


def test_a_mail_left_in_the_middle_stays_the_same_message_when_the_server_is_away(told: Case) -> None:
    dying = Outbox(after=kill)
    with pytest.raises(Killed):
        send_one(told.database, dying, now=NOW, settings=told.settings)
    send_all(told, NOW + LEASE, Outbox(before=lambda: fail(Unavailable("421 closing"))))
    assert (only(told).state, only(told).attempts) == ("sending", 1)
    mailer = Outbox()
    send_all(told, NOW + LEASE, mailer)
    assert [m.as_bytes() for m in mailer.messages] == [m.as_bytes() for m in dying.messages]
    assert only(told).state == "sent"
