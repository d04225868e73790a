"""Processes are killed at random moments: no case stops, nothing is lost, nothing is said twice as if new."""

from pathlib import Path

import pytest

from tests.chaos import installation
from tests.world import World

#: SQLite serves one process; PostgreSQL two for pages and two for the clock, with a dispatcher and without.
INSTALLATIONS = {
    "sqlite": ("polling", ("serve",)),
    "postgresql": ("polling", ("web", "worker", "web", "worker")),
    "postgresql-dispatched": ("procrastinate", ("web", "worker", "web", "worker")),
}


@pytest.fixture(params=INSTALLATIONS)
def installed(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backend(installed: str) -> str:
    return installed.partition("-")[0]


def test_no_case_stops_and_no_mail_is_lost_when_processes_are_killed(
    world: World, installed: str, seed: int, kills: int, tmp_path: Path
) -> None:
    dispatcher, kinds = INSTALLATIONS[installed]
    # The two installations on PostgreSQL share the kills.
    wanted = kills if world.database.is_sqlite else kills // 2
    with installation.installation(world, kinds, seed, tmp_path, dispatcher=dispatcher) as it:
        it.town.start_evaluation()
        it.town.start_meeting()
        axe = it.live_under_the_axe(wanted)
        print(it.story())
        assert axe.done == wanted
        assert all(process.killed for process in it.fleet.processes), "each was killed at least once"
        assert it.check()["faults"] == []
        installation.assert_all_cases_ended(it)
        installation.assert_mails_are_whole(it, axe.senders_killed)
        installation.assert_nothing_broke(it)
