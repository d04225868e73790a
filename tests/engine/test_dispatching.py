"""Hints between processes: they make a worker look sooner, and nothing depends on them."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from threading import Event, Semaphore

import pytest
from sqlalchemy import select, text

from engine import dispatching, jobs
from engine.clock import Clock
from engine.database import Database
from engine.dispatching import Hints, Listener
from engine.model import Job
from engine.scheduling import POLL, Kind, Lane, engine_kinds
from tests.engine.counting import counting
from tests.fakes import FakeClock

#: Longer than anything here takes; only a fault waits so long.
PATIENCE = 20
TABLES = ("procrastinate_jobs", "procrastinate_events", "procrastinate_workers")


@pytest.fixture
def backend() -> str:
    """Hints need PostgreSQL."""
    return "postgresql"


@pytest.fixture
def hinting(database: Database) -> Database:
    """A database with the dispatcher's tables."""
    install(database)
    return database


@pytest.fixture
def web(hinting: Database) -> Iterator[Database]:
    """The same database, as another process has it."""
    other = Database(hinting.url)
    yield other
    other.dispose()


def install(database: Database) -> None:
    with database.engine.begin() as connection:
        dispatching.install(connection)


def rows(database: Database) -> list[int]:
    """How many rows there are in each of Procrastinate's tables."""
    with database.reading() as session:
        counts = (session.scalar(text(f"SELECT count(*) FROM procrastinate.{table}")) for table in TABLES)
        return [count or 0 for count in counts]


def enqueue(database: Database, clock: Clock, *, later: timedelta = timedelta(0)) -> None:
    with database.transaction() as session:
        jobs.enqueue(session, "tell", run_at=clock() + later)


def test_its_tables_stand_apart_and_are_made_anew_only_for_another_version(database: Database) -> None:
    assert dispatching.standing(database) == "missing"
    install(database)
    Hints(database, FakeClock()).leave("cases")
    install(database)
    assert (dispatching.standing(database), rows(database)[0]) == ("current", 1)
    with database.transaction() as session:
        session.execute(text("COMMENT ON SCHEMA procrastinate IS 'of another version'"))
    assert dispatching.standing(database) == "other"
    install(database)
    assert (dispatching.standing(database), rows(database)) == ("current", [0, 0, 0])
    with database.reading() as session:
        strays = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
    assert [name for name in strays if name.startswith("procrastinate")] == []


def test_what_one_process_makes_due_another_does_and_nothing_of_the_hints_stays(
    hinting: Database, web: Database, clock: FakeClock
) -> None:
    done = Semaphore(0)
    handlers: dict[str, jobs.Handler] = {"tell": lambda database, job, now: done.release()}
    lane = Lane("cases", engine_kinds(hinting, handlers), clock)
    listener, hints = Listener(hinting, {"cases": lane}, pause_seconds=0.01), Hints(web, clock)
    web.tell = hints.hear
    listener.start()
    hints.start()
    with counting(web) as counted:
        enqueue(web, clock)
        in_the_act = [s for s in counted.statements if "procrastinate" not in s and "search_path" not in s]
    assert done.acquire(timeout=PATIENCE)
    assert len(in_the_act) == 1, "the act has its one statement; the hint follows on its own"
    # Its connections are cut: it comes back by itself.
    with web.transaction() as session:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%procrastinate%'"
        session.execute(text(f"{cut} AND pid <> pg_backend_pid()"))
    while not done.acquire(timeout=0.1):
        enqueue(web, clock)
    hints.stop()
    listener.stop()
    hinting.engine.dispose()
    assert rows(hinting)[0] <= 1, "at most the hint that nobody has taken yet"
    with hinting.reading() as session:
        assert session.scalars(select(Job.state).where(Job.state == "leased")).all() == []


def test_hints_that_nobody_takes_do_not_pile_up_and_what_is_far_away_makes_none(
    hinting: Database, clock: FakeClock
) -> None:
    hints = Hints(hinting, clock)
    for _ in range(3):
        hints.leave("cases")
    hints.leave("mails")
    assert rows(hinting) == [2, 2, 0]
    asked: list[str] = []
    hints.send = asked.append  # type: ignore[method-assign]
    hinting.tell = hints.hear
    enqueue(hinting, clock, later=POLL + timedelta(seconds=1))
    assert asked == []
    enqueue(hinting, clock, later=POLL)
    assert asked == ["cases"]


def test_without_its_tables_every_act_goes_on(database: Database, clock: FakeClock) -> None:
    hints = Hints(database, clock)
    database.tell = hints.hear
    hints.start()
    enqueue(database, clock)
    hints.stop()
    done: list[int] = []
    assert jobs.run_one(database, {"tell": lambda database, job, now: done.append(job.id)}, clock())
    assert len(done) == 1


def test_what_a_killed_worker_left_behind_is_removed(hinting: Database, clock: FakeClock) -> None:
    Hints(hinting, clock).leave("cases")
    lane = Lane("cases", (), clock)
    with hinting.transaction() as session:
        session.execute(text("SET LOCAL search_path = procrastinate"))
        worker = session.scalar(text("SELECT procrastinate_register_worker_v1()"))
        session.execute(text("SELECT procrastinate_fetch_job_v2(NULL, :worker)"), {"worker": worker})
    tidy(hinting, lane)
    assert rows(hinting) == [1, 2, 1], "it may be alive"
    with hinting.transaction() as session:
        session.execute(
            text("UPDATE procrastinate.procrastinate_workers SET last_heartbeat = now() - interval '1 min'")
        )
    tidy(hinting, lane)
    assert rows(hinting) == [0, 0, 0]


def tidy(database: Database, lane: Lane) -> None:
    conninfo = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def once() -> None:
        app = dispatching.application(conninfo, {lane.name: lane})
        async with app.open_async():
            await dispatching.tidy(app, 30)

    asyncio.run(once())


def test_a_hint_waits_while_its_lane_is_at_work_so_that_another_process_may_take_the_next(clock: FakeClock) -> None:
    begun, go_on, turns = Event(), Event(), []

    def slow(clock: Clock) -> int:
        turns.append(1)
        begun.set()
        assert go_on.wait(PATIENCE)
        return 0

    lane = Lane("cases", (Kind(name="slow", lane="cases", moments=(), do=slow),), clock)
    lane.start()
    lane.ring()
    assert begun.wait(PATIENCE)
    go_on.set()
    lane.work()
    lane.stop()
    assert len(turns) >= 2
