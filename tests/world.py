"""The demo community with the project's models, and what its people do in it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

import notifications.model
from agreements import communities, starting
from agreements.start_contents import StartRequest
from engine import deployments, identity, process_instances, task_forms, user_tasks
from engine.database import Database
from engine.identity import Person
from engine.model import Base, Community, ProcessInstance, Step, User, UserTask
from tests.factories import main_path_answers, sample_answers
from tests.fakes import START, FakeClock

__all__ = ["START", "Past", "World", "create_schema", "load_community", "notifications", "sources"]

ROOT = Path(__file__).parents[1]
SSU, AU = date(2026, 11, 27), date(2026, 11, 5)
EVALUATION, MANDATE, MEETING_CASE = "delavtale_evaluering", "fagutvalg_mandat", "motesak"
AGREEMENT = "helhetlige-pasientforlop"


@cache
def sources() -> tuple[deployments.Source, ...]:
    """The project's own models with all forms."""
    forms = {p.stem: json.loads(p.read_text()) for p in (ROOT / "workflows" / "forms").glob("*.json")}
    models = sorted((ROOT / "workflows").glob("*.bpmn"))
    return tuple(deployments.Source(xml=path.read_bytes(), forms=forms) for path in models)


def create_schema(database: Database) -> None:
    """Every table, as the newest migration leaves them."""
    Base.metadata.create_all(database.engine)


def load_community(database: Database, now: datetime = START) -> None:
    """The people, parties, bodies, agreements and meetings of the demo, and the deployed models."""
    data = communities.read_data_file(ROOT / "agreements" / "data" / "vestfold.json")
    with database.transaction() as session:
        community = communities.load(session, data, now=now)
        deployments.deploy(session, community.id, sources(), now=now, actor_id=None)


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a community has been through when a test begins: lived once for each database, then copied."""

    name: str
    #: Lives it; answers the mails that left meanwhile.
    live: Callable[["World"], Sequence[EmailMessage]]

    def fill(self, database: Database) -> tuple[datetime, Sequence[EmailMessage]]:
        """Live it in an empty database; answers what time it then is, and the mails."""
        load_community(database)
        world = World.of(database, FakeClock())
        mails = self.live(world)
        return world.clock(), mails


@dataclass(frozen=True)
class World:
    """A community in its own database, at the time that its clock shows."""

    database: Database
    clock: FakeClock
    community_id: int

    @classmethod
    def of(cls, database: Database, clock: FakeClock) -> "World":
        """The world in a database that `load_community` filled."""
        with database.reading() as session:
            return cls(database, clock, session.scalars(select(Community.id)).one())

    # --- people ---------------------------------------------------------------------------------------------------

    def user(self, session: Session, key: str) -> User:
        """The user with that key."""
        return identity.user(session, self.community_id, key)

    def person(self, session: Session, key: str) -> Person:
        """The user with that key, with their groups."""
        return identity.person(session, self.user(session, key))

    # --- cases ----------------------------------------------------------------------------------------------------

    def start(
        self,
        process: str = EVALUATION,
        *,
        meetings: Mapping[str, date | str] | None = None,
        by: str = "sekretariatet",
        **given: Any,
    ) -> int:
        """Start a case as the secretariat does; answers its id. What is not given has a usual value."""
        request = StartRequest(
            process=process, meetings=meetings or _usual_meetings(process), **{**_usual(process), **given}
        )
        with self.database.transaction() as session:
            community = session.get_one(Community, self.community_id)
            actor = self.user(session, by)
            started = starting.start(
                session, community, request, actor=actor, now=self.clock(), confirmed="Møtet er bestemt."
            )
            return started.id

    def only_case(self) -> int:
        """The id of the one case that there is."""
        with self.database.reading() as session:
            return session.scalars(select(ProcessInstance.id)).one()

    def instance(self, instance_id: int) -> ProcessInstance:
        """The case as it is now."""
        with self.database.reading() as session:
            return session.get_one(ProcessInstance, instance_id)

    def steps(self, instance_id: int, **where: Any) -> list[Step]:
        """The case's steps in the order they opened."""
        query = select(Step).where(Step.instance_id == instance_id).filter_by(**where).order_by(Step.id)
        with self.database.reading() as session:
            return list(session.scalars(query))

    def tasks(
        self, instance_id: int, element: str | None = None, *, states: tuple[str, ...] = ("open", "submitted")
    ) -> list[UserTask]:
        """The case's waiting tasks, of one element when it is named, with step, people and case loaded."""
        query = (
            select(UserTask)
            .join(UserTask.step)
            .where(UserTask.instance_id == instance_id, UserTask.state.in_(states))
            .options(
                joinedload(UserTask.step), joinedload(UserTask.instance), joinedload(UserTask.assignee),
                joinedload(UserTask.approver), joinedload(UserTask.candidate_group),
            )
            .order_by(UserTask.id)
        )  # fmt: skip
        if element is not None:
            query = query.where(Step.element_id == element)
        with self.database.reading() as session:
            return list(session.scalars(query))

    def task(self, instance_id: int, element: str, item: str | None = None) -> UserTask:
        """The one waiting task of an element, of one party or body when it asks several."""
        found = [t for t in self.tasks(instance_id, element) if item is None or t.item == item]
        assert len(found) == 1, f"{element} {item or ''}: {len(found)} waiting tasks"
        return found[0]

    def wake(self, instance_id: int) -> bool:
        """Let the case's due timers fire."""
        with self.database.transaction() as session:
            return process_instances.wake(session, instance_id, now=self.clock())

    # --- acts -----------------------------------------------------------------------------------------------------

    def answers(self, task_id: int, outcome: str | None = None, **given: Any) -> dict[str, Any]:
        """Answers that the task's form accepts; without an outcome, those of the model's main path."""
        with self.database.reading() as session:
            task = session.get_one(UserTask, task_id)
            form, inputs = task_forms.form_of(session, task.instance, task)
            element = deployments.element(session, task.instance, task.step)
            day = self.clock.today + timedelta(days=14)
            if outcome is None:
                return main_path_answers(form, inputs, element, day=day, **given)
            return sample_answers(form, inputs, outcome, day=day, **given)

    def performer(self, session: Session, task: UserTask) -> Person:
        """Who fills the task in: its assignee, else the first of its group."""
        if task.assignee_id is not None:
            return identity.person(session, session.get_one(User, task.assignee_id))
        return identity.person(session, identity.members(session, task.candidate_group_id or 0)[0])

    def fill(self, task_id: int, outcome: str | None = None, *, by: str | None = None, **given: Any) -> UserTask:
        """Send the answers; where the task has an approver, it then waits for the approver."""
        answers = self.answers(task_id, outcome, **given)
        with self.database.transaction() as session:
            task = session.get_one(UserTask, task_id)
            actor = self.person(session, by) if by else self.performer(session, task)
            return user_tasks.complete(session, task_id, answers, actor=actor, now=self.clock())

    def approve(self, task_id: int, *, by: str | None = None) -> UserTask:
        """The approver makes the answers the party's."""
        with self.database.transaction() as session:
            approver = session.get_one(User, session.get_one(UserTask, task_id).approver_id)
            actor = self.person(session, by or approver.key)
            return user_tasks.approve(session, task_id, actor=actor, now=self.clock())

    def complete(self, task_id: int, outcome: str | None = None, *, by: str | None = None, **given: Any) -> UserTask:
        """Answer a task all the way: filled in by whoever has it, and approved where someone approves."""
        task = self.fill(task_id, outcome, by=by, **given)
        return self.approve(task_id) if task.state == "submitted" else task

    def complete_step(self, instance_id: int, element: str, outcome: str | None = None, **given: Any) -> None:
        """Answer every waiting task of an element."""
        for task in self.tasks(instance_id, element):
            self.complete(task.id, outcome, **given)

    def proceed_to(self, instance_id: int, element: str) -> None:
        """Live the case along its main path, everyone acting on the due date, until the element waits for people."""
        for _ in range(200):
            if self.tasks(instance_id, element):
                return
            self._next_act(instance_id)
        raise AssertionError(f"{element} was not reached")

    def proceed_to_end(self, instance_id: int) -> None:
        """Live the case along its main path until it has ended."""
        for _ in range(400):
            if self.instance(instance_id).state != "active":
                return
            self._next_act(instance_id)
        raise AssertionError("the case did not end")

    def _next_act(self, instance_id: int) -> None:
        tasks = self.tasks(instance_id)
        wake_at = self.instance(instance_id).wake_at
        first = min(tasks, key=lambda t: (t.due_date or date.max, t.id), default=None)
        moment = self.clock() if first is None or first.due_date is None else max(self.clock(), _noon(first.due_date))
        if wake_at is not None and (first is None or wake_at <= moment):
            self.clock.set(max(self.clock(), wake_at))
            assert self.wake(instance_id)
            return
        assert first is not None, "nothing waits, and no timer is set"
        self.clock.set(moment)
        self.complete(first.id)


def _noon(day: date) -> datetime:
    return FakeClock().to(day, 12)


def _usual_meetings(process: str) -> dict[str, date | str]:
    if process == EVALUATION:
        return {"ssu": SSU, "au": AU}
    if process == MANDATE:
        return {"ssu": date(2024, 9, 26)}
    return {"meeting": SSU}


def _usual(process: str) -> dict[str, Any]:
    if process == EVALUATION:
        return {"agreement": AGREEMENT, "data": {"commissioning_decision": "17/26"}}
    if process == MANDATE:
        return {
            "roles": {"fagutvalg": {"group": "fagutvalg-hr"}},
            "data": {"body_name": "Fagutvalg HR", "hearing_bodies": ["fsu", "lederforum-helse", "tillitsvalgte"]},
        }
    return {"title": "Digital møteserie", "data": {"case_types": ["beslutning"]}}
