"""The clock: one statement finds what is due; lanes that don't wait for each other do it, in many processes at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine import jobs, process_instances, scheduling
from engine.clock import Clock
from engine.database import Database, Moments, announce
from engine.scheduling import EmbeddedClock, Kind
from notifications import delivery
from tests.conftest import BACKENDS
from tests.engine.counting import counting
from tests.engine.drawing import model, task, timer
from tests.engine.lab import Lab

#: Longer than anything here takes; only a fault waits so long.
PATIENCE = 20
INDEXES = ("ix_process_instance_due", "ix_event_subscription_due", "ix_incident_retry", "ix_job_due", "ix_delivery_due")


def nothing(clock: Clock) -> int:
    return 0


def kinds(database: Database, mails: Callable[[Clock], int] = nothing) -> tuple[Kind, ...]:
    """All that falls due in the product; the jobs of mails do nothing."""
    handlers: dict[str, jobs.Handler] = {"reconcile": lambda database, job, now: None}
    post = Kind(name="mail", lane="mails", moments=delivery.moments(), do=mails)
    return (*scheduling.engine_kinds(database, handlers), post)


@contextmanager
def turning(clock: EmbeddedClock) -> Iterator[None]:
    clock.start()
    yield
    clock.stop()


def wait_for_the_tenth(lab: Lab, cases: int = 1) -> list[int]:
    """Cases that wait for 10 June, and their jobs done."""
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${date('2026-06-10')}"), task("ask")))
    begun = [lab.begin() for _ in range(cases)]
    scheduling.drain(lab.database, {"reconcile": lambda database, job, now: None}, (), lab.clock())
    return begun


# --- looking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_idle_look_is_one_statement_that_reads_the_head_of_each_index(lab: Lab) -> None:
    wait_for_the_tenth(lab)
    clock = EmbeddedClock(lab.database, kinds(lab.database), lab.clock)
    with counting(lab.database) as counted:
        assert clock.look(lab.clock()) == scheduling.POLL
    assert [s.split()[0] for s in counted.statements if s != "BEGIN"] == ["SELECT"]
    assert counted.commits == 0
    plan = explained(lab.database, kinds(lab.database))
    assert [index for index in INDEXES if index not in plan] == []
    assert "Seq Scan" not in plan
    assert "SCAN delivery\n" not in plan


def explained(database: Database, asked: Sequence[Kind]) -> str:
    statement = scheduling.looking(asked).compile(database.engine, compile_kwargs={"literal_binds": True})
    with database.reading() as session:
        if database.is_sqlite:
            rows = session.execute(text(f"EXPLAIN QUERY PLAN {statement}"))
            return "\n".join(row[3] for row in rows)
        # So few rows are read faster whole; what is asked is whether an index can answer.
        session.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(row[0] for row in session.execute(text(f"EXPLAIN {statement}")))


def test_a_look_waits_until_the_next_moment_and_never_longer_than_usual(lab: Lab) -> None:
    [case] = wait_for_the_tenth(lab)
    clock = EmbeddedClock(lab.database, kinds(lab.database), lab.clock)
    due = lab.instance(case).wake_at
    assert due is not None
    assert clock.look(due - timedelta(minutes=5)) == scheduling.POLL
    assert clock.look(due - timedelta(seconds=1)) == timedelta(seconds=1)
    assert clock.look(due) == scheduling.POLL, "what is due is the lanes' to do"


# --- doing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["postgresql"])
def test_workers_that_ask_at_once_are_given_different_cases_and_none_waits_for_another(lab: Lab) -> None:
    cases = wait_for_the_tenth(lab, cases=2)
    now = lab.clock.advance(days=60)

    def taken(session: Session) -> int | None:
        found = process_instances.take_due(session, now)
        return found and found.id

    with lab.database.transaction() as one, lab.database.transaction() as other, lab.database.transaction() as third:
        assert {taken(one), taken(other)} == set(cases)
        assert taken(third) is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_person_makes_due_is_done_without_waiting_for_the_next_look(lab: Lab) -> None:
    [case] = wait_for_the_tenth(lab)
    did = Event()
    handlers: dict[str, jobs.Handler] = {"reconcile": lambda database, job, now: did.set()}
    clock = EmbeddedClock(lab.database, scheduling.engine_kinds(lab.database, handlers), lab.clock)
    with turning(clock), counting(lab.database) as counted:
        lab.set_facts(case)
        assert did.wait(PATIENCE)
        # Nothing but the commit stands between an act and the lane.
        assert len([s for s in counted.statements if "due.kind" in s]) <= 1


def test_mails_that_take_long_do_not_delay_timers(lab: Lab) -> None:
    [case] = wait_for_the_tenth(lab)
    sending, sent = Event(), Event()

    def slow(clock: Clock) -> int:
        sending.set()
        assert sent.wait(PATIENCE)
        return 0

    clock = EmbeddedClock(lab.database, kinds(lab.database, slow), lab.clock)
    with turning(clock):
        clock.lanes["mails"].ring()
        assert sending.wait(PATIENCE)
        lab.clock.advance(days=60)
        clock.look(lab.clock())
        clock.lanes["cases"].work()
        assert lab.waiting(case) == ["ask"]
        sent.set()


def test_a_lane_whose_turn_fails_works_again_when_its_bell_rings(lab: Lab) -> None:
    tries: list[int] = []
    again = Event()

    def away_at_first(clock: Clock) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the database is away")
        again.set()
        return 0

    clock = EmbeddedClock(lab.database, kinds(lab.database, away_at_first), lab.clock)
    lane = clock.lanes["mails"]
    with turning(clock):
        lane.ring()
        while not again.is_set():
            lane.ring()
    assert len(tries) >= 2


def test_a_turn_that_leaves_more_to_do_calls_for_help(lab: Lab) -> None:
    left = [scheduling.BATCH, 1, 0]
    clock = EmbeddedClock(lab.database, kinds(lab.database, lambda clock: left.pop(0)), lab.clock)
    called: list[str] = []
    clock.lanes["mails"].call_for_help = called.append
    clock.lanes["mails"].work()
    assert (called, left) == (["mails"], [])


def test_an_act_announces_the_earliest_moment_after_its_commit_and_only_then(lab: Lab) -> None:
    heard: list[Moments] = []
    lab.database.tell = heard.append
    now = lab.clock()
    with lab.database.transaction() as session:
        for minutes in (5, 1, 3):
            announce(session, "cases", now + timedelta(minutes=minutes))
        assert heard == []

    def fall() -> None:
        with lab.database.transaction() as session:
            announce(session, "mails", now)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fall()
    assert heard == [{"cases": now + timedelta(minutes=1)}]
