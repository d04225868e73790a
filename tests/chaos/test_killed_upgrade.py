"""The next release is installed one process after the other, while cases go on and processes die."""

import http.client
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text

from engine.model import WorkerHeartbeat
from tests.chaos import installation, next_release
from tests.chaos.processes import Fleet, Nursery
from tests.world import World
from web import migrating

KINDS = ("web", "worker")


@pytest.mark.parametrize("backend", ["postgresql"])
def test_old_and_new_code_share_one_schema_while_cases_pass_between_them(
    world: World, seed: int, tmp_path: Path
) -> None:
    release = next_release.make(tmp_path / "next")
    with (
        installation.installation(world, KINDS, seed, tmp_path) as it,
        Nursery(it.environment, it.log, release) as newer,
    ):
        it.town.start_evaluation()
        it.town.live(lambda view: it.town.acts >= 5, patience=installation.PATIENCE)

        it.avtaleflyt("migrate", release=release)
        assert migrating.present(world.database) == next_release.SCHEMA
        old, new = it.fleet.processes, Fleet(newer, KINDS).processes
        newer.ready()
        for process in new:
            process.begin()
        it.fleet.processes = [*old, *new]
        it.town.people.ports = it.fleet.ports
        it.town.start_meeting()
        # Old code that was killed starts again on the newer schema.
        axe = it.axe(kills=4)
        it.town.live(lambda view: axe.at_rest and it.town.acts >= 20, patience=installation.PATIENCE)
        assert {process.killed for process in it.fleet.processes} == {1}
        assert [readiness(port) for port in it.fleet.ports] == [200, 200]
        assert versions(world) >= {next_release.VERSION}

        it.fleet.processes = new
        it.town.people.ports = it.fleet.ports
        for process in old:
            process.stop()
        it.town.live(lambda view: view.at_peace, patience=installation.PATIENCE)
        it.fleet.stop()
        for code in (release, installation.ROOT):
            assert it.check(code)["faults"] == []
        installation.assert_all_cases_ended(it)
        installation.assert_mails_are_whole(it, axe.senders_killed)
        installation.assert_nothing_broke(it)
        by_new, by_old = answered(world)
        assert by_new > 0 and by_old > 0


def readiness(port: int) -> int:
    """What a machine says, once it listens: it may have been killed a moment ago."""
    deadline = time.monotonic() + installation.PATIENCE
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=installation.PATIENCE)
        with closing(connection):
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, f"nobody listens at {port}"
        threading.Event().wait(0.02)


def versions(world: World) -> set[str]:
    with world.database.reading() as session:
        return set(session.scalars(select(WorkerHeartbeat.version)))


def answered(world: World) -> tuple[int, int]:
    """How many tasks the new release completed, and how many the old."""
    query = "SELECT count(answered_by), count(*) - count(answered_by) FROM user_task WHERE state = 'completed'"
    with world.database.reading() as session:
        by_new, by_old = session.execute(text(query)).one()
        assert session.scalar(text("SELECT count(*) FROM answered")) == by_new
    return by_new, by_old
