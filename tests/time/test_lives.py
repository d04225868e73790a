"""Whatever is moved, asked for, answered or left: dates fit working days, and each mail leaves once, in its moment.

`TIME_EXAMPLES=100 python -m pytest tests/time` lives so many lives per process and database instead of the few of a
usual run; `TIME_SEED` gives other lives.
"""

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from engine.database import Database
from tests.conftest import Templates
from tests.fakes import FakeClock
from tests.time import lives
from tests.time.living import Life
from tests.world import EVALUATION, MANDATE, MEETING_CASE, World, load_community

EXAMPLES = os.environ.get("TIME_EXAMPLES")
#: With the usual seed a meeting is moved in the second life; the first is the plainest there is.
SEED = int(os.environ.get("TIME_SEED", "2"))
STEPS = 20 if EXAMPLES else 10
#: Database, the process of the first case, and how many lives.
LIVES = [
    ("sqlite", EVALUATION, 1), ("sqlite", MANDATE, 2), ("sqlite", MEETING_CASE, 2), ("postgresql", MEETING_CASE, 2),
]  # fmt: skip


@pytest.mark.parametrize(("backend", "process", "examples"), LIVES)
def test_dates_and_mails_hold_whatever_is_done(templates: Templates, backend: str, process: str, examples: int) -> None:
    done: Counter[str] = Counter()

    def machine() -> Any:
        url = templates.copy(backend, "world", load_community)
        database = Database(url)

        def close() -> None:
            database.dispose()
            templates.drop(backend, url)

        return lives.Lives(Life(World.of(database, FakeClock())), close, process, done)

    run_state_machine_as_test(
        seed(SEED)(machine),
        settings=settings(
            max_examples=int(EXAMPLES or examples), stateful_step_count=STEPS, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), print_blob=False, report_multiple_bugs=False,
            # A life is long: what fails is not made small.
            phases=[Phase.generate],
        ),
    )  # fmt: skip
    print(f"{backend}, {process}: {dict(done)}")
