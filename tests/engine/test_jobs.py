"""Effects outside a case: done once, by whoever holds the lease, and never forgotten."""

from datetime import timedelta
from functools import partial
from threading import Lock

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from engine import jobs, scheduling
from engine.database import Database
from engine.jobs import Claimed
from engine.model import Job
from tests.concurrency import at_once
from tests.engine.drawing import model, task, timer
from tests.engine.lab import Lab
from tests.fakes import FakeClock


def enqueue(database: Database, clock: FakeClock, count: int = 1, **values: str) -> None:
    with database.transaction() as session:
        for number in range(count):
            jobs.enqueue(session, "tell", run_at=clock(), payload={"number": number}, **values)


def only(database: Database) -> Job:
    with database.reading() as session:
        return session.scalars(select(Job)).one()


def recording(done: list[int]) -> dict[str, jobs.Handler]:
    lock = Lock()

    def tell(database: Database, job: Claimed, now: object) -> None:
        with lock:
            done.append(job.payload["number"])

    return {"tell": tell}


def test_a_job_is_done_once(database: Database, clock: FakeClock) -> None:
    done: list[int] = []
    enqueue(database, clock)
    assert jobs.run_one(database, recording(done), clock())
    assert not jobs.run_one(database, recording(done), clock())
    assert (done, only(database).state) == ([0], "done")


def test_a_job_waits_for_its_time(database: Database, clock: FakeClock) -> None:
    done: list[int] = []
    enqueue(database, clock)
    assert not jobs.run_one(database, recording(done), clock() - timedelta(seconds=1))
    assert jobs.run_one(database, recording(done), clock())


def test_an_undone_act_asks_for_nothing(database: Database, clock: FakeClock) -> None:
    def act_and_fall() -> None:
        with database.transaction() as session:
            jobs.enqueue(session, "tell", run_at=clock())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act_and_fall()
    assert jobs.claim(database, clock(), ("tell",)) is None


def test_a_job_with_a_key_exists_once(database: Database, clock: FakeClock) -> None:
    enqueue(database, clock, unique_key="a")
    with pytest.raises(IntegrityError):
        enqueue(database, clock, unique_key="a")


def test_another_worker_takes_a_job_whose_lease_has_run_out(database: Database, clock: FakeClock) -> None:
    enqueue(database, clock)
    first = jobs.claim(database, clock(), ("tell",))
    assert jobs.claim(database, clock(), ("tell",)) is None
    second = jobs.claim(database, clock.set(clock() + jobs.LEASE), ("tell",))
    assert first is not None
    assert second is not None
    assert (second.id, second.lease) == (first.id, first.lease + 1)


def test_a_worker_that_outlived_its_lease_records_nothing(database: Database, clock: FakeClock) -> None:
    enqueue(database, clock)

    def slow(_database: Database, job: Claimed, now: object) -> None:
        # While this one works, its lease runs out and another worker takes the job.
        assert jobs.claim(database, clock() + jobs.LEASE, ("tell",)) is not None

    assert jobs.run_one(database, {"tell": slow}, clock())
    assert only(database).state == "leased"


def test_a_failing_job_is_tried_again_after_growing_pauses_and_then_shown_as_failed(
    database: Database, clock: FakeClock
) -> None:
    enqueue(database, clock)

    def fail(_database: Database, job: Claimed, now: object) -> None:
        raise RuntimeError("the server is away")

    for pause in jobs.PAUSES:
        assert jobs.run_one(database, {"tell": fail}, clock())
        row = only(database)
        assert (row.state, row.run_at, row.last_error) == (
            "queued",
            clock() + pause,
            "RuntimeError: the server is away",
        )
        assert not jobs.run_one(database, {"tell": fail}, clock() + pause - timedelta(seconds=1))
        clock.set(clock() + pause)
    assert jobs.run_one(database, {"tell": fail}, clock())
    assert only(database).state == "failed"
    assert not jobs.run_one(database, {"tell": fail}, clock() + timedelta(days=365))


def test_many_workers_do_each_job_exactly_once(database: Database, clock: FakeClock) -> None:
    done: list[int] = []
    enqueue(database, clock, 40)

    def work() -> None:
        while jobs.run_one(database, recording(done), clock()):
            pass

    assert at_once([work] * 6) == [None] * 6
    # A worker may find every row taken and go home while others still work.
    work()
    assert sorted(done) == list(range(40))


def drain(lab: Lab) -> int:
    return scheduling.drain(lab.database, {"reconcile": lambda database, job, now: None}, (), lab.clock())


def test_a_turn_wakes_what_is_due_and_does_the_jobs(lab: Lab) -> None:
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${date('2026-06-10')}"), task("ask")))
    case = lab.begin()
    assert drain(lab) == 1  # the job that the start asked for
    lab.clock.set(lab.instance(case).wake_at or lab.clock())
    assert drain(lab) == 2
    assert (lab.waiting(case), drain(lab)) == (["ask"], 0)


def test_workers_that_turn_at_once_wake_a_case_once(lab: Lab) -> None:
    lab.deploy(model("start>later later>ask ask>end", timer("later", "${date('2026-06-10')}"), task("ask")))
    case = lab.begin()
    lab.clock.set(lab.instance(case).wake_at or lab.clock())
    results = at_once([partial(drain, lab)] * 4)
    assert [r for r in results if isinstance(r, Exception)] == []
    assert [(s.element_id, s.round) for s in lab.steps(case)] == [("ask", 1)]
