"""What every test of this folder is told: when processes are killed, and how often."""

import secrets

import pytest


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Says when processes are killed; `--seed` repeats a run."""
    given = request.config.getoption("--seed")
    number = int(given) if given is not None else secrets.randbelow(1_000_000)
    print(f"seed {number}: repeat with --seed {number}")
    return number


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often processes are killed, for each database."""
    return int(request.config.getoption("--kills"))
