"""Cases that are lived from moment to moment, with their mails: everything due happens in its moment, and is looked at.

A life stops wherever something is due, and where somebody ought to be reminded; `looking` says what must hold there.
"""

import dataclasses
from datetime import datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import identity, process_instances
from engine.calendar import Calendar
from engine.errors import EngineError
from engine.model import Community, Job, ProcessInstance, UserTask
from notifications import delivery
from tests.fakes import RecordingMailer, oslo
from tests.time import looking
from tests.world import World
from web import services
from web.settings import Settings

#: Whom every case belongs to.
OWNER = "sekretariatet"
#: What one moment may need before it is at rest, and a life before it ends.
MOST_TURNS, MOST_ACTS = 60, 300


class Life:
    """A community whose clock and mails move together."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mailer = RecordingMailer()
        settings = Settings(
            database_url=world.database.url, demo=True, var_dir=Path(gettempdir()), secret_key="only-for-tests",
            base_url="https://avtaleflyt.example.org", mail_per_minute=100_000,
        )  # fmt: skip
        built = services.build(settings, clock=world.clock, mailer=self.mailer)
        built.database.dispose()
        # One process has one database object: on SQLite it holds the lock that writers queue at.
        self.services = dataclasses.replace(built, database=world.database)
        #: Mails that were looked at when they left.
        self.seen: set[int] = set()

    @property
    def now(self) -> datetime:
        """The moment it is."""
        return self.world.clock()

    @property
    def calendar(self) -> Calendar:
        """The community's."""
        with self.world.database.reading() as session:
            return identity.calendar_of(session.get_one(Community, self.world.community_id))

    # --- time -----------------------------------------------------------------------------------------------------

    def until(self, target: datetime) -> None:
        """Time passes; what falls due on the way happens in its moment."""
        while (moment := self.next_moment(target)) is not None and moment <= target:
            self.world.clock.set(moment)
            self.settle()
        self.world.clock.set(max(target, self.now))
        self.settle()

    def settle(self) -> None:
        """Do everything that is due now, and look at it."""
        for _ in range(MOST_TURNS):
            if not self.services.drain(self.now):
                looking.look(self)
                return
        raise AssertionError(f"there is no end to what is due at {self.now}")

    def next_moment(self, before: datetime) -> datetime | None:
        """When something is next due, or somebody ought to be reminded."""
        with self.world.database.reading() as session:
            moments = [
                process_instances.next_wake(session), delivery.next_due(session),
                session.scalar(select(func.min(Job.run_at)).where(Job.state == "queued")),
                *(p.moment for p in looking.promises(session, self.now, before)),
            ]  # fmt: skip
        return min((m for m in moments if m is not None), default=None)

    # --- people ---------------------------------------------------------------------------------------------------

    def waiting(self) -> list[UserTask]:
        """Every task that waits in a running case, the first that is due first."""
        with self.world.database.reading() as session:
            cases = session.scalars(select(ProcessInstance.id).where(ProcessInstance.state == "active")).all()
        found = [task for case in cases for task in self.world.tasks(case)]
        return sorted(found, key=lambda t: (t.due_date is None, t.due_date or self.now.date(), t.id))

    def answer(self, task: UserTask, outcome: str | None = None, **given: Any) -> bool:
        """Whoever has it answers, and who approves it does; False where that is refused."""
        try:
            if task.state == "submitted":
                self.world.approve(task.id)
            else:
                self.world.complete(task.id, outcome, **given)
        except EngineError:
            return False
        self.settle()
        return True

    def live_on(self, acts: int) -> None:
        """The way that leads on: the tasks that are due first are answered on their day."""
        for _ in range(acts):
            waiting = self.waiting()
            if not waiting:
                if (moment := self._next_wake()) is None:
                    return
                self.until(max(moment, self.now))
                continue
            first = waiting[0]
            self.until(max(self.now, oslo(first.due_date) if first.due_date else self.now))
            if any(task.id == first.id for task in self.waiting()):
                assert self.answer(first), f"nobody can answer {first.name}"

    def live_to_the_end(self) -> None:
        """Until no case is running; then there is nothing left to do or to say."""
        for _ in range(MOST_ACTS):
            if not self._running():
                break
            self.live_on(1)
        assert not self._running(), f"it does not end, and waits for {[task.name for task in self.waiting()]}"
        while (moment := self.next_moment(self.now)) is not None:
            self.until(moment)
        looking.look_at_the_end(self)

    def _running(self) -> bool:
        running = select(ProcessInstance.id).where(ProcessInstance.state == "active").limit(1)
        with self.world.database.reading() as session:
            return session.scalar(running) is not None

    def _next_wake(self) -> datetime | None:
        with self.world.database.reading() as session:
            return process_instances.next_wake(session)

    # --- acts -----------------------------------------------------------------------------------------------------

    def owner(self, session: Session) -> identity.Person:
        """Who steers the cases."""
        return self.world.person(session, OWNER)

    def settings_of(self, **given: Any) -> None:
        """Change what the community says of its working days, before anything is started."""
        with self.world.database.transaction() as session:
            community = session.get_one(Community, self.world.community_id)
            for name, value in given.items():
                setattr(community, name, value)
