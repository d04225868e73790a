"""The engine's tests run on both databases."""

import pytest

from engine.database import Database
from tests.conftest import BACKENDS
from tests.engine.lab import Lab
from tests.fakes import FakeClock


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each test twice."""
    return str(request.param)


@pytest.fixture
def lab(database: Database, clock: FakeClock) -> Lab:
    """A small community whose people the test makes, and models drawn for one test."""
    return Lab.of_nobody(database, clock)
