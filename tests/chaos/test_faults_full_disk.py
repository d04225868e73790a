"""The disk is full: people are told, nothing is half done, and everything goes on when there is room again."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError

from engine import checks
from engine.database import Database
from engine.errors import InvalidInput
from engine.model import HistoryEvent, Job, UserTask
from notifications.model import Delivery
from tests.conftest import BACKENDS
from tests.world import World
from web import backup, migrating

#: Written to by everything that is done.
_TABLES = ("user_task", "history_event", "job", "delivery")
LONG = "Faste telefontider virker godt. " * 2_000


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def full(database: Database) -> Iterator[None]:
    """No row can be written meanwhile.

    A SQLite file may really not grow. On PostgreSQL the server answers as it does when its disk is full; a small disk
    of its own could only be made by root.
    """
    with _file_that_may_not_grow(database) if database.is_sqlite else _server_that_refuses(database):
        yield


@contextmanager
def _file_that_may_not_grow(database: Database) -> Iterator[None]:
    with database.transaction() as session:
        session.execute(text("CREATE TABLE filler (content BLOB)"))

    def limit(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # means: as many as there are

    def widen(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1000000")

    event.listen(database.engine, "checkout", limit)
    event.listen(database.engine, "checkin", widen)
    # Free pages inside the file are used up as well.
    with pytest.raises(OperationalError):
        fill(database)
    yield
    event.remove(database.engine, "checkout", limit)
    event.remove(database.engine, "checkin", widen)


def fill(database: Database) -> None:
    while True:
        with database.transaction() as session:
            session.execute(text("INSERT INTO filler VALUES (zeroblob(3000))"))


@contextmanager
def _server_that_refuses(database: Database) -> Iterator[None]:
    function = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$"
    with database.engine.begin() as connection:
        connection.execute(text(function))
        for table in _TABLES:
            when = f"BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
            connection.execute(text(f"CREATE TRIGGER refuse {when}"))
    yield
    with database.engine.begin() as connection:
        connection.execute(text("DROP FUNCTION refuse CASCADE"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def rows(world: World) -> list[object]:
    """What there is, as far as acts change it."""
    with world.database.reading() as session:
        counts = [session.scalar(select(func.count()).select_from(t)) for t in (HistoryEvent, Job, Delivery)]
        tasks = session.execute(select(UserTask.id, UserTask.state, UserTask.revision).order_by(UserTask.id)).all()
        return [counts, tasks, [job.state for job in session.scalars(select(Job).order_by(Job.id))]]


def test_nothing_is_half_done_and_what_was_written_is_kept(
    world: World, surveyed: int, services: Any, client_for: Callable[[str], Any]
) -> None:
    task = world.task(surveyed, "answer_survey", "larvik")
    client = client_for("radgiver.larvik")
    address = f"/oppgaver/{task.public_id}"
    data = {"revision": str(task.revision), "works": LONG.strip()}
    before = rows(world)
    with full(world.database):
        refused = client.post(address + "/utkast", data=data)
        page = client.get(address)
        with suppress(OperationalError):  # on SQLite a small write may still find room
            services.drain(world.clock())
    assert rows(world) == before
    assert (refused.status_code, page.status_code) == (507, 200)
    assert "Det er ikke plass til mer" in refused.text
    assert refused.text.count(LONG.strip()) == 2, "to copy, and to be sent again"
    assert client.post(address + "/utkast", data=data).status_code in (200, 302, 303)
    world.clock.advance(minutes=2)
    while services.drain(world.clock()):
        continue
    assert rows(world) != before
    assert list(checks.faults(world.database, now=world.clock())) == []


def test_a_back_up_on_a_full_disk_leaves_no_file(world: World, surveyed: int, tmp_path: Path) -> None:
    with world.database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:version)"), {"version": migrating.newest()})
    file = tmp_path / "kopi.avtaleflyt"
    with files_of_at_most(4_096), pytest.raises(InvalidInput, match="can't be written"):
        backup.write(world.database, file, now=world.clock())
    assert list(tmp_path.iterdir()) == []
    backup.write(world.database, file, now=world.clock())
    assert backup.examine(file).rows["user_task"] > 0
