"""A small community for models drawn for one test."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import func, select

from engine import deployments, history, identity, incidents, process_instances, user_tasks
from engine.database import Database
from engine.model import Community, Group, HistoryEvent, Incident, Membership, ProcessDefinition, ProcessInstance, User
from tests.engine.drawing import LANE
from tests.fakes import FakeClock
from tests.world import World

#: The form of every drawn task that names one.
FORM = {
    "id": "svar", "type": "default", "components": [
        {"type": "textfield", "key": "utfall", "label": "Utfall"},
        {"type": "number", "key": "tall", "label": "Tall"},
        {"type": "textarea", "key": "tekst", "label": "Tekst", "validate": {"maxLength": 200}},
        {"type": "datetime", "subtype": "date", "key": "dato", "label": "Dato", "properties": {"setsFact": "meeting"}},
    ],
}  # fmt: skip
WITH_FORM = 'camunda:formKey="svar"'


class Lab(World):
    """A world of numbered people: `person0`, `person1`, …, all of them in the group `alle`."""

    @classmethod
    def of_nobody(cls, database: Database, clock: FakeClock, people: int = 3) -> "Lab":
        """A community with a few people, in an empty database."""
        with database.transaction() as session:
            community = Community(key="lab", name="Lab", email="lab@example.org")
            session.add(community)
            session.flush()
            session.add(Group(community_id=community.id, key=LANE, name="Alle"))
            made = cls(database, clock, community.id)
        made.people(people)
        return made

    def people(self, count: int) -> None:
        """Let there be at least so many people."""
        with self.database.transaction() as session:
            present = session.scalar(select(func.count()).select_from(User)) or 0
            group = identity.group(session, self.community_id, LANE)
            for number in range(present, count):
                key = f"person{number}"
                user = User(community_id=self.community_id, key=key, name=key.title(), email=f"{key}@example.org")
                session.add(user)
                session.flush()
                session.add(Membership(user_id=user.id, group_id=group.id))

    def deploy(self, *models: bytes) -> list[ProcessDefinition]:
        """Deploy drawn models; every one of them has the form `svar`."""
        drawn = [deployments.Source(xml=xml, forms={"svar": FORM}) for xml in models]
        with self.database.transaction() as session:
            return deployments.deploy(session, self.community_id, drawn, now=self.clock(), actor_id=None)

    def begin(
        self,
        process: str = "prove",
        *,
        data: Mapping[str, Any] | None = None,
        facts: Mapping[str, date] | None = None,
        owner: str = "person0",
        version: int | None = None,
        **given: Any,
    ) -> int:
        """Start a version of a process, the newest unless one is named; answers the case's id."""
        with self.database.transaction() as session:
            user = self.user(session, owner)
            definition = deployments.find_version(session, self.community_id, process, version)
            started = process_instances.start(
                session,
                definition,
                now=self.clock(),
                actor=user,
                title="En sak",
                data=data,
                facts=facts,
                owner=user,
                **given,
            )
            return started.id

    def send(self, task_id: int, by: str, **answers: Any) -> Any:
        """Send these answers as that person."""
        with self.database.transaction() as session:
            actor = self.person(session, by)
            return user_tasks.complete(session, task_id, answers, actor=actor, now=self.clock())

    def set_facts(self, instance_id: int, **facts: date) -> None:
        """Move dates."""
        with self.database.transaction() as session:
            held = process_instances.locked(session, instance_id)
            process_instances.set_facts(session, held, facts, now=self.clock(), actor_id=None)

    def waiting(self, instance_id: int) -> list[str]:
        """The elements that wait for people."""
        return [step.element_id for step in self.steps(instance_id, state="open")]

    def incidents(self, instance_id: int) -> list[Incident]:
        """Where the case stands because something failed."""
        with self.database.reading() as session:
            return incidents.open_incidents(session, session.get_one(ProcessInstance, instance_id))


def events(world: World, instance_id: int) -> list[HistoryEvent]:
    """The case's history."""
    with world.database.reading() as session:
        return history.events(session, session.get_one(ProcessInstance, instance_id))


def kinds(world: World, instance_id: int) -> list[str]:
    """What happened, in order."""
    return [event.kind for event in events(world, instance_id)]


def assert_chain_whole(world: World, instance_id: int) -> None:
    """The history's hashes hold from the first event to the last."""
    with world.database.reading() as session:
        instance = session.get_one(ProcessInstance, instance_id)
        assert history.broken_at(instance, history.events(session, instance)) is None
