"""A fresh database in memory with one case."""

from collections.abc import Iterator

import pytest
from mail_rows import Case

from engine.database import Database


@pytest.fixture
def case() -> Iterator[Case]:
    """A case whose tasks the test opens."""
    database = Database("sqlite://")
    yield Case(database)
    database.dispose()
