"""What other engines have done wrong with time: stuck, doubled, stormed, lost. Each is a test of this one.

That overdue timers fire after a restore is in tests/web/test_backup.py; what goes wrong with mails is in
tests/notifications/test_mail_bugs.py; a server that really stops while a timer fires is in
tests/chaos/test_faults_database.py.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from engine import checks, jobs, messages, outgoing, scheduling, service_tasks
from engine.bpmn.execution import Thrown
from engine.database import Database
from engine.jobs import LEASE, Claimed
from tests.engine.drawing import closes, event, model, task, timer
from tests.engine.lab import Lab, kinds
from tests.fakes import OSLO, oslo
from tests.world import World
from web.app import create_app

#: While somebody is asked, a reminder is opened every day.
DAILY = model(
    "start>ask ask>end remind>nudge nudge>end2",
    task("ask"),
    task("nudge"),
    '<bpmn:boundaryEvent id="remind" attachedToRef="ask" cancelActivity="false"><bpmn:timerEventDefinition>'
    "<bpmn:timeCycle>R/P1D</bpmn:timeCycle></bpmn:timerEventDefinition></bpmn:boundaryEvent>",
)


def drain(lab: Lab, database: Database | None = None, handlers: Mapping[str, jobs.Handler] | None = None) -> int:
    """One turn of the clock; answers how much was done, jobs apart unless handlers are given."""
    return scheduling.drain(database or lab.database, handlers or {}, (), lab.clock())


def nudges(lab: Lab, case: int) -> int:
    return len(lab.steps(case, element_id="nudge"))


# --- downtime ---------------------------------------------------------------------------------------------------------


def test_a_cycle_timer_fires_once_after_downtime(lab: Lab) -> None:
    lab.deploy(DAILY)
    case = lab.begin()
    lab.clock.advance(days=30, hours=1)
    assert (drain(lab), drain(lab)) == (1, 0)
    assert nudges(lab, case) == 1
    wake = lab.instance(case).wake_at
    assert wake is not None
    assert lab.clock() < wake <= lab.clock() + timedelta(days=1)


def test_catching_up_after_a_week_of_downtime_wakes_each_case_once(lab: Lab) -> None:
    lab.deploy(DAILY)
    cases = [lab.begin() for _ in range(8)]
    lab.clock.advance(days=7, hours=1)
    assert (drain(lab), drain(lab)) == (len(cases), 0)
    assert [nudges(lab, case) for case in cases] == [1] * len(cases)


def test_a_start_by_timer_starts_one_case_after_downtime(lab: Lab) -> None:
    cycle = "<bpmn:timeCycle>R/P1D</bpmn:timeCycle>"
    lab.deploy(model("start>ask ask>end", task("ask"), start=event("startEvent", "timer", cycle, identity="start")))
    lab.clock.advance(days=7, hours=1)
    assert (drain(lab), drain(lab)) == (1, 0)
    lab.clock.advance(days=1)
    assert (drain(lab), drain(lab)) == (1, 0)


# --- the database away ------------------------------------------------------------------------------------------------


class FailingDatabase(Database):
    """The same database, which is gone at the end of the next transaction."""

    def __init__(self, living: Database) -> None:
        self.__dict__.update(living.__dict__)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One unit of work, lost before it is committed."""
        with super().transaction() as session:
            yield session
            session.flush()
            raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))


def test_a_timer_is_not_lost_when_the_database_is_gone_while_it_fires(lab: Lab) -> None:
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${date('2026-06-10')}"), task("ask")))
    case = lab.begin()
    lab.clock.set(lab.instance(case).wake_at or lab.clock())
    with pytest.raises(OperationalError):
        drain(lab, FailingDatabase(lab.database))
    assert (lab.waiting(case), lab.incidents(case)) == ([], [])
    assert (drain(lab), drain(lab)) == (1, 0)
    assert lab.waiting(case) == ["ask"]


# --- leases -----------------------------------------------------------------------------------------------------------

RECEIVES = model(
    "start>hear hear>ask ask>end",
    event("intermediateCatchEvent", "message", attributes='|messageRef="m"', identity="hear"),
    task("ask"),
    declared='<bpmn:message id="m" name="klar"/>',
)
CALLS = model(
    "start>look look>ask ask>end",
    '<bpmn:serviceTask id="look" camunda:type="external" camunda:topic="register"/>',
    task("ask"),
)


def test_a_job_whose_lease_was_not_renewed_has_its_effect_once(lab: Lab) -> None:
    lab.deploy(RECEIVES)
    case = lab.begin()
    with lab.database.transaction() as session:
        thrown = Thrown(kind="message", name="klar", correlation="", payload={})
        messages.send(session, lab.community_id, thrown, now=lab.clock())
    slow = jobs.claim(lab.database, lab.clock(), (outgoing.MESSAGE,))
    assert slow is not None
    lab.clock.set(lab.clock() + LEASE)
    assert drain(lab, handlers=messages.handlers())
    with pytest.raises((jobs.LeaseLost, messages.NobodyWaits)):
        messages.deliver_message(lab.database, slow, lab.clock())
    assert kinds(lab, case).count("message-received") == 1
    assert [step.element_id for step in lab.steps(case)] == ["ask"]


def test_a_job_that_outlives_its_lock_has_no_double_effect(lab: Lab) -> None:
    """A worker that was away for an hour comes back, when another has called the function in its place."""
    called: list[datetime] = []

    def register(session: Session, call: service_tasks.Call) -> dict[str, Any]:
        called.append(call.now)
        return {}

    lab.deploy(CALLS)
    case = lab.begin()
    handlers = service_tasks.handlers({"register": register})
    slow = jobs.claim(lab.database, lab.clock(), (outgoing.SERVICE,))
    assert slow is not None
    lab.clock.advance(hours=1)
    assert drain(lab, handlers=handlers)
    assert len(called) == 1
    outlived(lab, handlers[outgoing.SERVICE], slow)
    assert len(called) == 1
    assert [(s.element_id, s.round) for s in lab.steps(case)] == [("ask", 1)]


def outlived(lab: Lab, handler: jobs.Handler, job: Claimed) -> None:
    """The worker whose lease ran out tries to do the job, and is told."""
    with pytest.raises(jobs.LeaseLost):
        handler(lab.database, job, lab.clock())


# --- the machine's clock ----------------------------------------------------------------------------------------------


def test_a_clock_that_steps_back_fires_nothing_twice_and_loses_nothing(lab: Lab) -> None:
    lab.deploy(DAILY)
    case = lab.begin()
    first = lab.clock.set(lab.instance(case).wake_at or lab.clock())
    assert drain(lab) == 1
    second = lab.instance(case).wake_at
    assert second is not None
    for moment in (first - timedelta(hours=1), first, second - timedelta(seconds=1)):
        lab.clock.set(moment)
        assert (drain(lab), nudges(lab, case)) == (0, 1)
    lab.clock.set(second)
    assert (drain(lab), nudges(lab, case)) == (1, 2)


def test_a_job_taken_before_the_clock_stepped_back_is_taken_over_in_the_end(lab: Lab) -> None:
    with lab.database.transaction() as session:
        jobs.enqueue(session, "tell", run_at=lab.clock())
    taken = lab.clock.advance(hours=1)
    assert jobs.claim(lab.database, taken, ("tell",)) is not None
    lab.clock.advance(hours=-1)
    assert jobs.claim(lab.database, lab.clock(), ("tell",)) is None
    assert jobs.claim(lab.database, taken + LEASE, ("tell",)) is not None
    assert list(checks.faults(lab.database, now=lab.clock())) == []


#: The days on which the clocks change, and how many hours they have.
CHANGES = [(date(2026, 10, 25), 25), (date(2027, 3, 28), 23)]


@pytest.mark.parametrize(("day", "hours"), CHANGES)
def test_a_deadline_on_the_day_the_clocks_change_is_the_local_midnight_after_it(
    lab: Lab, day: date, hours: int
) -> None:
    lab.deploy(
        model(
            "start>ask ask>end late>end2", task("ask", f"camunda:dueDate=\"${{date('{day}')}}\""), closes("late", "ask")
        )
    )
    lab.clock.to(day, 0)
    case = lab.begin()
    midnight = lab.clock() + timedelta(hours=hours)
    lab.clock.set(midnight - timedelta(seconds=1))
    assert (drain(lab), lab.waiting(case)) == (0, ["ask"])
    lab.clock.set(midnight)
    assert (drain(lab), lab.instance(case).state) == (1, "completed")


@pytest.mark.parametrize(("day", "hours"), CHANGES)
def test_a_daily_timer_keeps_its_clock_time_when_the_clocks_change(lab: Lab, day: date, hours: int) -> None:
    lab.deploy(DAILY)
    lab.clock.set(oslo(day - timedelta(days=1), 8))
    case = lab.begin()
    for number in (1, 2, 3):
        due = lab.instance(case).wake_at
        assert due is not None
        assert due.astimezone(OSLO).replace(tzinfo=None) == datetime(day.year, day.month, day.day, 8) + timedelta(
            days=number - 1
        )
        lab.clock.set(due)
        assert (drain(lab), nudges(lab, case)) == (1, number)


# --- a clock in every web process -------------------------------------------------------------------------------------


def test_pages_turn_no_clock_however_many_processes_serve_them(world: World, surveyed: int, services: Any) -> None:
    due = world.instance(surveyed).wake_at
    assert due is not None
    world.clock.set(due)
    before = set(threading.enumerate())
    for _ in range(2):
        assert create_app(services).test_client().get("/logg-inn").status_code < 400
    # What counts the tries to sign in tidies up after itself, by a timer.
    begun = set(threading.enumerate()) - before
    assert [thread.name for thread in begun if not isinstance(thread, threading.Timer)] == []
    assert world.instance(surveyed).wake_at == due
    assert scheduling.drain(world.database, {}, (), due) >= 1, "the clock has something to do"
