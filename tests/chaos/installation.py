"""A whole installation that is put under the axe, and what must hold of it afterwards."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, aliased

from engine.database import Database
from engine.model import ProcessInstance, Step, UserTask
from notifications.local_server import LocalServer
from notifications.model import Delivery
from tests.chaos.processes import Axe, Fleet, Nursery
from tests.chaos.town import SECRET_KEY, People, PostOffice, Town
from tests.world import ROOT, World
from web import migrating

#: The whole story must come to its end within this, in seconds for each kill, and without any.
PATIENCE_PER_KILL, PATIENCE = 10, 150
#: What a sender gave to the wire before it died may be taken in so much later, in seconds.
ON_THE_WIRE = 1.0


@dataclass
class Installation:
    """A database, processes that work on it, and the town around them."""

    database: Database
    fleet: Fleet
    town: Town
    post: PostOffice
    seed: int
    environment: dict[str, str]
    log: Path

    def axe(self, kills: int) -> Axe:
        """An axe that has begun to kill the fleet's processes."""
        mail, request = self.post.arrives, self.town.people.asks
        axe = Axe(self.fleet, self.seed, kills, {"web": request, "worker": mail, "serve": mail})
        axe.start()
        return axe

    def live_under_the_axe(self, kills: int) -> Axe:
        """Live cases to their end while processes are killed; then let the processes stop."""
        axe = self.axe(kills)
        try:
            self.town.live(lambda view: axe.at_rest and view.at_peace, patience=PATIENCE + PATIENCE_PER_KILL * kills)
        finally:
            axe.stop()
        self.fleet.stop()
        return axe

    def story(self) -> str:
        """What happened, in numbers."""
        copies = self.post.copies()
        again = sum(len(taken) - 1 for taken in copies.values())
        return (
            f"{len(self.town.cases)} cases, {sum(p.killed for p in self.fleet.processes)} kills, "
            f"{len(copies)} mails and {again} second copies, {self.town.people.unanswered} requests without an answer"
        )

    def check(self, release: Path = ROOT) -> dict[str, object]:
        """What `avtaleflyt check --ended` finds."""
        found: dict[str, object] = json.loads(self.avtaleflyt("check", "--ended", "--json", release=release))
        return found

    def avtaleflyt(self, *arguments: str, release: Path = ROOT) -> str:
        """Run the command of a release as operators run it; answers what it prints."""
        return avtaleflyt(self.environment, release, *arguments)


def avtaleflyt(environment: dict[str, str], release: Path, *arguments: str) -> str:
    """Run the command of a release as operators run it; answers what it prints."""
    # The clock's offset counts only where the demo runs.
    whole = {**os.environ, **environment, "AVTALEFLYT_DEMO": "true", "PYTHONPATH": str(release)}
    command = [sys.executable, "-m", "web.cli", *arguments]
    done = subprocess.run(command, env=whole, cwd=release, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def installation(
    world: World, kinds: Sequence[str], seed: int, folder: Path, *, dispatcher: str = "polling"
) -> Iterator[Installation]:
    """An installation whose processes run; nothing of it runs on afterwards."""
    post, log = PostOffice(seed), folder / "log"
    _stamp(world.database)
    with LocalServer(post) as server:
        environment = settings(world.database.url, server.port, folder) | {"AVTALEFLYT_DISPATCHER": dispatcher}
        if dispatcher != "polling":
            avtaleflyt(environment, ROOT, "migrate")
        with Nursery(environment, log) as nursery:
            fleet = Fleet(nursery, kinds)
            town = Town(world.database, People(world.database, fleet.ports), seed, fleet.last_death)
            nursery.ready()
            fleet.begin()
            try:
                yield Installation(world.database, fleet, town, post, seed, environment, log)
            except BaseException:
                print(log.read_text())
                raise
            finally:
                town.close()


def _stamp(database: Database) -> None:
    """Say of the tables what `avtaleflyt migrate` would have said."""
    with database.transaction() as session:
        session.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        session.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": migrating.newest()})


def settings(url: str, smtp_port: int, folder: Path) -> dict[str, str]:
    """The environment of every process."""
    return {
        "AVTALEFLYT_DATABASE_URL": url, "AVTALEFLYT_SECRET_KEY": SECRET_KEY, "AVTALEFLYT_VAR_DIR": str(folder),
        "AVTALEFLYT_BASE_URL": "https://avtaleflyt.example.org", "AVTALEFLYT_SMTP_HOST": "127.0.0.1",
        "AVTALEFLYT_SMTP_PORT": str(smtp_port), "AVTALEFLYT_SMTP_STARTTLS": "false",
    }  # fmt: skip


# --- afterwards -------------------------------------------------------------------------------------------------------


def assert_all_cases_ended(it: Installation) -> None:
    """Every case that was asked for is there once, and went its whole way once."""
    with it.database.reading() as session:
        instances = session.scalars(select(ProcessInstance)).all()
        rounds = session.scalars(select(Step.round)).all()
    assert sorted(i.public_id for i in instances) == sorted(it.town.cases)
    assert {i.state for i in instances} == {"completed"}
    # Nobody sent anything back: a step that opened twice had a timer fire or an answer count twice.
    assert set(rounds) == {1}


def assert_mails_are_whole(it: Installation, deaths: list[float]) -> None:
    """What the mail server was given is what the rows say, once; again only where no answer reached the sender.

    `deaths` are the moments at which one that sends mails was killed.
    """
    copies = it.post.copies()
    with it.database.reading() as session:
        deliveries = {d.message_id: d for d in session.scalars(select(Delivery))}
        told = _of_completed_tasks(session)
    assert copies.keys() <= deliveries.keys()
    # What several rows said at once left as the one that carries the others.
    by_id = {d.id: d for d in deliveries.values()}
    left = [by_id[d.carrier_id or d.id] for d in deliveries.values() if d.state == "sent"]
    assert {d.message_id for d in left} <= copies.keys()
    assert {d.state for d in deliveries.values()} <= {"sent", "cancelled"}
    untold = [(d.cause, d.state, d.attempts, d.last_error) for d in map(deliveries.get, told - copies.keys()) if d]
    assert untold == [], f"somebody did a task that they had not been told of: {untold}"
    deaths = sorted(deaths)
    for message_id, taken in sorted(copies.items(), key=lambda copy: copy[1][-1].at):
        assert len({copy.digest for copy in taken}) == 1, f"{message_id} had several contents"
        for first, again in pairwise(taken):
            if not first.lost:
                # One who dies has at most one mail in hand, so each death explains one second copy.
                death = next((at for at in deaths if first.at - ON_THE_WIRE <= at < again.at), None)
                assert death is not None, f"{message_id} was sent again, though nobody died: {first}, {again}, {deaths}"
                deaths.remove(death)


def _of_completed_tasks(session: Session) -> set[str]:
    carrier = aliased(Delivery)
    message_id = func.coalesce(carrier.message_id, Delivery.message_id)
    query = select(message_id).select_from(Delivery).join(UserTask, UserTask.id == Delivery.task_id)
    query = query.outerjoin(carrier, carrier.id == Delivery.carrier_id)
    return set(session.scalars(query.where(Delivery.rule == "assigned", UserTask.state == "completed")))


def assert_nothing_broke(it: Installation) -> None:
    """No request and no turn of the clock failed for a reason of our own, and nobody waited in a ring."""
    # Where time leaps over what a killed one held, mails are late, and the alarm rightly says so.
    log = "".join(line for line in it.log.read_text().splitlines(keepends=True) if " web.mail_watch: " not in line)
    assert "Traceback" not in log and "ERROR" not in log, log
    if not it.database.is_sqlite:
        with it.database.reading() as session:
            query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            assert session.scalar(text(query)) == 0
