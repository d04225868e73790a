"""What every test with threads shares: acts let go in one moment, and proof that the database broke off none of them.

`at_once` runs acts in threads and fails where a deadlock was ended or a connection was refused a lock, even if the code
under test got over it. A module with `pytestmark = pytest.mark.usefixtures("unbroken")` is watched from beginning to
end. `deadlocks` counts them for tests whose work is done by other processes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, make_url

from engine.database import Database

#: Deadlock detected, serialization failure, lock not available.
_BROKEN_OFF = ("40P01", "40001", "55P03")
#: What `unbroken` waits for, in the order in which it is tried.
_DATABASES = ("world", "lab", "database")
#: Seconds that a server may take to end the processes of closed connections.
_PATIENCE = 20


def at_once(acts: Sequence[Callable[[], object]]) -> list[object]:
    """Do all acts in threads of their own, let go in the same moment; answers each one's result or exception."""
    barrier = Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(position: int) -> None:
        barrier.wait(timeout=30)
        try:
            results[position] = acts[position]()
        except Exception as error:
            results[position] = error

    threads = [Thread(target=run, args=(position,), daemon=True) for position in range(len(acts))]
    with _no_lock_refused():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "an act did not come to an end: a deadlock?"
    return results


def deadlocks(database: Database) -> int:
    """How often PostgreSQL has ended a deadlock in this database so far; 0 on SQLite, which has none.

    Closes the database's connections first: a server process hands in its figures when it ends, and not before.
    """
    if database.is_sqlite:
        return 0
    database.dispose()
    url = make_url(database.url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        until = time.monotonic() + _PATIENCE
        while _number(connection, f"{others} AND backend_type = 'client backend'"):
            assert time.monotonic() < until, "somebody is still connected: their deadlocks are not counted yet"
        return _number(connection, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


@contextmanager
def nothing_broken_off(database: Database) -> Iterator[None]:
    """Fails when meanwhile a deadlock was ended in the database, or a connection of ours was refused a lock."""
    before = deadlocks(database)
    with _no_lock_refused():
        yield
    assert deadlocks(database) == before, "PostgreSQL ended a deadlock"


@contextmanager
def _no_lock_refused() -> Iterator[None]:
    seen: list[str] = []

    def look(context: Any) -> None:
        state = getattr(context.original_exception, "sqlstate", None)
        if state in _BROKEN_OFF or "database is locked" in str(context.original_exception):
            seen.append(f"{context.original_exception} in {context.statement}")

    event.listen(Engine, "handle_error", look)
    try:
        yield
    finally:
        event.remove(Engine, "handle_error", look)
    assert not seen, f"the database broke off {len(seen)} acts: {'; '.join(seen)}"


@pytest.fixture
def unbroken(request: pytest.FixtureRequest) -> Iterator[None]:
    """The database of the test ended no deadlock and refused no lock."""
    name = next(name for name in _DATABASES if name in request.fixturenames)
    found = request.getfixturevalue(name)
    with nothing_broken_off(found if isinstance(found, Database) else found.database):
        yield
