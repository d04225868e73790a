"""Killing happens on both databases."""

import secrets

import pytest

from tests.conftest import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each test twice."""
    return str(request.param)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Says when processes are killed; `--seed` repeats a run."""
    given = request.config.getoption("--seed")
    return int(given) if given is not None else secrets.randbelow(1_000_000)
