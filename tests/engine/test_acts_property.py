"""Every act in any order keeps cases whole; see `acts_machine` for the acts and `acts_invariants` for what holds.

`ACTS_EXAMPLES=500 python -m pytest tests/engine/test_acts_property.py` lives so many lives per process and database
instead of the few of a usual run; `ACTS_SEED` gives other lives.
"""

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import select

from engine.database import Database
from engine.model import Community
from tests.concurrency import deadlocks
from tests.conftest import Templates
from tests.engine import acts_machine
from tests.engine.lab import Lab
from tests.fakes import FakeClock

EXAMPLES = os.environ.get("ACTS_EXAMPLES")
SEED = int(os.environ.get("ACTS_SEED", "1"))
#: Database, number, and how many lives; each begins with the process that the number says.
LIVES = [("sqlite", 0, 7), ("sqlite", 1, 7), ("sqlite", 2, 7), ("postgresql", 1, 3), ("postgresql", 2, 2)]


def opened(templates: Templates, backend: str) -> Lab:
    """A community of its own for one life."""
    url = templates.copy(backend, "acts", lambda new: acts_machine.settle(Lab.of_nobody(new, FakeClock())))
    database = Database(url, pool_size=2)
    with database.reading() as session:
        return Lab(database, FakeClock(), session.scalars(select(Community.id)).one())


@pytest.mark.parametrize(("backend", "number", "examples"), LIVES)
def test_cases_stay_whole_whatever_is_done_to_them(
    templates: Templates, backend: str, number: int, examples: int
) -> None:
    reached: Counter[str] = Counter()

    def machine() -> Any:
        lab = opened(templates, backend)
        before = deadlocks(lab.database)

        def close() -> None:
            assert deadlocks(lab.database) == before
            lab.database.dispose()
            templates.drop(backend, lab.database.url)

        return acts_machine.Acts(lab, close, acts_machine.PROCESSES[number], reached)

    run_state_machine_as_test(
        seed(SEED * 1000 + number)(machine),
        settings=settings(
            max_examples=int(EXAMPLES or examples), stateful_step_count=40, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), print_blob=False, report_multiple_bugs=False,
            # What happens at once does not repeat exactly, so what fails is not made small.
            phases=[Phase.generate],
        ),
    )  # fmt: skip
    print(f"{backend}, {acts_machine.PROCESSES[number]}: {dict(reached)}")
    # With other seeds and lives it may be otherwise; these are chosen so that the rare paths are lived through.
    if EXAMPLES is None and SEED == 1 and (backend, number) == ("sqlite", 1):
        assert reached["later turns"] > 0 and reached["messages received"] > 0, reached
