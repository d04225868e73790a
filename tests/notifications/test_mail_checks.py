"""`check` finds mails that were told twice, are for nobody, or were left behind."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from mail_rows import OPENED, Case, oslo
from outbox import Outbox, send_all
from sqlalchemy import text, update

from engine import jobs
from engine.database import Database
from engine.model import ProcessInstance, Step
from notifications import checks
from notifications.model import Delivery
from tests.conftest import BACKENDS, Templates

NOW = oslo(9, 1)


@pytest.fixture(params=BACKENDS)
def case(request: pytest.FixtureRequest, templates: Templates) -> Iterator[Case]:
    """A survey that everybody was told of, with its reminders planned."""
    url = templates.copy(request.param, "empty", lambda database: None)
    database = Database(url)
    made = Case(database)
    made.survey()
    made.reconcile(OPENED)
    send_all(made, NOW, Outbox())
    yield made
    database.dispose()
    templates.drop(request.param, url)


def rules(case: Case, worked: datetime | None = NOW) -> set[str]:
    with case.database.reading() as session:
        return {fault.rule for fault in checks.faults(session, worked=worked)}


def spoil(case: Case, delivery_id: int, **values: object) -> None:
    with case.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))


def test_nothing_is_found_in_what_was_sent_and_planned(case: Case) -> None:
    assert {d.state for d in case.deliveries()} == {"sent", "planned"}
    assert rules(case) == rules(case, None) == set()


def test_two_mails_with_one_message_id_are_found(case: Case) -> None:
    first, second, *_ = case.deliveries()
    spoil(case, second.id, message_id=first.message_id)
    assert rules(case) == {"message-id-twice"}


def test_two_mails_for_one_cause_are_found_where_the_database_let_them_in(case: Case) -> None:
    first, *others = case.deliveries("sent")
    another = next(d for d in others if d.recipient_id != first.recipient_id)
    with case.database.transaction() as session:
        # SQLite keeps the rule in the table itself: the table is copied without it, and put in its place.
        if case.database.is_sqlite:
            session.execute(text("CREATE TABLE copy AS SELECT * FROM delivery"))
            session.execute(text("DROP TABLE delivery"))
            session.execute(text("ALTER TABLE copy RENAME TO delivery"))
        else:
            session.execute(text("ALTER TABLE delivery DROP CONSTRAINT uq_delivery_cause_recipient_id_channel"))
        values = {"cause": first.cause, "recipient_id": first.recipient_id}
        session.execute(update(Delivery).where(Delivery.id == another.id).values(values))
    assert rules(case) == {"mail-twice"}


def test_a_mail_planned_for_what_has_ended_is_found_once_nothing_will_cancel_it(case: Case) -> None:
    case.change(case.deliveries("planned")[0].task_id or 0, state="completed")
    with case.database.transaction() as session:
        jobs.enqueue(session, "reconcile", run_at=NOW, instance_id=case.instance_id)
    assert rules(case) == set()
    assert jobs.run_one(case.database, {"reconcile": lambda database, job, now: None}, NOW)
    assert rules(case) == {"mail-for-nobody"}
    case.reconcile(NOW)
    assert rules(case) == set()


@pytest.mark.parametrize(("table", "state"), [(Step, "closed"), (ProcessInstance, "suspended")])
def test_a_mail_planned_for_a_step_or_case_that_has_ended_is_found(
    case: Case, table: type[Step] | type[ProcessInstance], state: str
) -> None:
    with case.database.transaction() as session:
        session.execute(update(table).values(state=state))
    assert rules(case) == {"mail-for-nobody"}


def test_a_mail_planned_for_an_incident_that_is_resolved_is_found(case: Case) -> None:
    incident = case.incident()
    case.reconcile(NOW)
    assert rules(case) == set()
    case.set_incident(incident, resolved_at=NOW)
    assert rules(case) == {"mail-for-nobody"}


def test_a_mail_that_a_living_worker_left_is_found(case: Case) -> None:
    due = case.deliveries("planned")[0].next_attempt_at
    assert rules(case, due + checks.PATIENCE) == set()
    assert rules(case, due + checks.PATIENCE + timedelta(seconds=1)) == {"mail-overdue"}


def test_a_mail_that_was_being_sent_and_nobody_took_over_is_found(case: Case) -> None:
    mail = case.deliveries("sent")[0]
    spoil(case, mail.id, state="sending", lease_until=NOW)
    assert rules(case, NOW + timedelta(hours=1)) == set()
    assert rules(case, NOW + timedelta(hours=2)) == {"mail-stuck"}


@pytest.mark.parametrize(
    ("state", "values"),
    [
        ("sent", {"sent_at": None}),
        ("sent", {"composed_at": None}),
        ("sent", {"attempts": 0}),
        ("sent", {"state": "sending", "lease_until": None}),
        ("planned", {"state": "sending", "lease_until": NOW}),
        ("planned", {"lease_until": NOW}),
    ],
)
def test_a_mail_whose_row_says_only_half_of_what_became_of_it_is_found(
    case: Case, state: str, values: dict[str, object]
) -> None:
    spoil(case, case.deliveries(state)[0].id, **values)
    assert rules(case, None) == {"mail-half-said"}


def test_a_mail_that_has_not_left_is_a_fault_only_where_everything_is_said_to_have_ended(case: Case) -> None:
    def unended() -> int:
        with case.database.reading() as session:
            return len(list(checks.unended(session)))

    assert unended() == len(case.deliveries("planned")) > 0
    with case.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.state == "planned").values(state="cancelled"))
    assert unended() == 0
    for state in ("failed", "uncertain", "sending"):
        spoil(case, case.deliveries("sent")[0].id, state=state)
        assert unended() == 1
        spoil(case, case.deliveries(state)[0].id, state="sent")
