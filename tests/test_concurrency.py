"""The proof that no database broke off an act must itself see one that was."""

from collections.abc import Callable
from functools import partial
from threading import Barrier, Thread

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from engine.database import Database
from tests.concurrency import at_once, deadlocks, nothing_broken_off


@pytest.fixture
def backend() -> str:
    return "postgresql"


def crossing(database: Database) -> list[Callable[[], None]]:
    """Two acts that lock the same two rows in opposite order, each holding its first when it asks for its second."""
    with database.transaction() as session:
        session.execute(text("INSERT INTO clock_offset (id, seconds) VALUES (1, 0), (2, 0)"))
    both_hold_one = Barrier(2)

    def act(first: int, second: int) -> None:
        lock = text("SELECT * FROM clock_offset WHERE id = :id FOR UPDATE")
        with database.transaction() as session:
            session.execute(lock, {"id": first})
            both_hold_one.wait(timeout=30)
            session.execute(lock, {"id": second})

    return [partial(act, 1, 2), partial(act, 2, 1)]


def test_a_deadlock_is_seen_although_one_went_through_and_the_other_was_caught(database: Database) -> None:
    acts = crossing(database)
    assert deadlocks(database) == 0
    with pytest.raises(AssertionError, match="broke off 1 acts: deadlock detected"):
        at_once(acts)
    assert deadlocks(database) == 1


def test_a_deadlock_that_the_code_got_over_is_seen_by_who_watches(database: Database) -> None:
    acts = crossing(database)
    caught: list[type[Exception]] = []

    def get_over(act: Callable[[], None]) -> None:
        try:
            act()
        except OperationalError as error:
            caught.append(type(error))

    def both() -> None:
        threads = [Thread(target=get_over, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)

    with pytest.raises(AssertionError, match="broke off 1 acts: deadlock detected"), nothing_broken_off(database):
        both()
    assert caught == [OperationalError]
