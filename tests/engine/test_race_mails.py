"""A date is moved in the moment when the reminder of it leaves: nobody is left with a date that no longer holds."""

from dataclasses import replace
from datetime import date
from functools import partial
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select

from engine import deployments, jobs
from notifications import delivery, reconciling
from notifications.model import Delivery
from notifications.settings import NotificationSettings
from tests.concurrency import at_once
from tests.engine.drawing import model, task
from tests.engine.lab import Lab, assert_chain_whole
from tests.fakes import RecordingMailer

pytestmark = pytest.mark.usefixtures("unbroken")

SETTINGS = NotificationSettings(base_url="https://avtaleflyt.example.org", element=deployments.element)
#: The reminder of the first date leaves three working days before it; that of the second one a week later.
FIRST, SECOND = date(2026, 6, 10), date(2026, 6, 17)
WARNED = model(
    "start>ask ask>end",
    task("ask", 'camunda:assignee="person1" camunda:dueDate="${meeting}"', properties={"reminders": "3"}),
)
ROUNDS = 4


def plan(lab: Lab, case: int) -> None:
    """What the job that every act asks for does."""
    with lab.database.transaction() as session:
        reconciling.reconcile(session, case, now=lab.clock(), settings=SETTINGS)


def send_due(lab: Lab, mailer: RecordingMailer, settings: NotificationSettings = SETTINGS) -> None:
    """Everything due leaves."""
    while delivery.send_one(lab.database, mailer, now=lab.clock(), settings=settings):
        continue


def do_jobs(lab: Lab) -> None:
    """What the acts so far have asked for."""
    while jobs.run_one(lab.database, delivery.handlers(SETTINGS), lab.clock()):
        continue


def begin(lab: Lab, mailer: RecordingMailer) -> int:
    """A case whose performer has been told of the task, on the morning when the first reminder is due."""
    lab.deploy(WARNED)
    case = lab.begin(facts={"meeting": FIRST})
    plan(lab, case)
    send_due(lab, mailer)
    lab.clock.to(date(2026, 6, 5), 8)
    return case


def move(lab: Lab, case: int) -> None:
    """The owner moves the date, and the mails follow."""
    lab.set_facts(case, meeting=SECOND)
    plan(lab, case)


def mails(lab: Lab, case: int) -> list[tuple[str, str, Any]]:
    """Reminders, and what is said of a new date, unless cancelled: rule, state and the date that it speaks of."""
    query = select(Delivery.rule, Delivery.state, Delivery.due_date).where(Delivery.instance_id == case)
    with lab.database.reading() as session:
        rows = session.execute(query.where(Delivery.state != "cancelled"))
        return sorted(tuple(row) for row in rows if row.rule in ("reminder:3", "due_changed"))


#: The reminder never leaves; or it had left when the date moved. The new date has a reminder of its own.
CANCELLED = [("due_changed", "sent", SECOND), ("reminder:3", "planned", SECOND)]
LEFT_BEFORE = [*CANCELLED, ("reminder:3", "sent", FIRST)]


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_a_date_moved_while_its_reminder_leaves(lab: Lab, _round: int) -> None:
    mailer = RecordingMailer()
    case = begin(lab, mailer)
    results = at_once([partial(move, lab, case), partial(send_due, lab, mailer), partial(send_due, lab, mailer)])
    assert results == [None] * 3
    send_due(lab, mailer)
    assert mails(lab, case) in (sorted(LEFT_BEFORE), CANCELLED)
    assert len({m["Message-ID"] for m in mailer.messages}) == len(mailer.messages)
    assert_chain_whole(lab, case)


@pytest.mark.parametrize("backend", ["postgresql"])
def test_whose_mail_left_with_the_old_date_just_before_it_moved_hears_of_the_new_one(lab: Lab) -> None:
    """The first mail is taken with the old date; before that is committed, the mails are planned for the new one."""
    mailer = RecordingMailer()
    lab.deploy(WARNED)
    case = lab.begin(facts={"meeting": FIRST})
    plan(lab, case)
    mover = Thread(target=lambda: (lab.set_facts(case, meeting=SECOND), do_jobs(lab)), daemon=True)

    def moved_meanwhile(*given: Any) -> Any:
        if mover.ident is None:
            mover.start()
            mover.join(timeout=30)
        return deployments.element(*given)

    send_due(lab, mailer, replace(SETTINGS, element=moved_meanwhile))
    assert not mover.is_alive()
    do_jobs(lab)
    send_due(lab, mailer)
    assert [("10. juni" in str(m), "17. juni" in str(m)) for m in mailer.messages] == [(True, False), (True, True)]
    assert mails(lab, case) == CANCELLED
