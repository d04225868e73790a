"""The community and models that the bench works on."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements import communities
from engine import deployments, identity, process_instances, user_tasks
from engine.database import Database
from engine.deployments import Source
from engine.model import Base, Community, Group, ProcessInstance, UserTask
from web.commands import DEMO_DATA, deploy, own_models

NOW = datetime(2026, 9, 7, 8, tzinfo=UTC)
MEETING = {"meeting": date(2026, 11, 27)}

#: A survey and nothing else: what an answer costs when a step asks many.
SURVEY = b"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:camunda="http://camunda.org/schema/1.0/bpmn" targetNamespace="https://avtaleflyt.example.org/bench">
  <bpmn:process id="bench_survey" name="Survey" isExecutable="true">
    <bpmn:startEvent id="start"/>
    <bpmn:sequenceFlow id="a" sourceRef="start" targetRef="answer"/>
    <bpmn:userTask id="answer" name="Answer" camunda:dueDate="${meeting}" camunda:assignee="${party.contact}">
      <bpmn:multiInstanceLoopCharacteristics camunda:collection="${parties}" camunda:elementVariable="party"/>
    </bpmn:userTask>
    <bpmn:sequenceFlow id="b" sourceRef="answer" targetRef="end"/>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
</bpmn:definitions>"""


@dataclass(frozen=True, kw_only=True)
class BenchWorld:
    """Ids of what the rows need."""

    community_id: int
    user_id: int
    floor_instance: int

    def start(self, database: Database, key: str, data: dict[str, Any] | None = None) -> int:
        """Start a case; answers its id."""
        with database.transaction() as session:
            return self._start(session, key, data).id

    def _start(self, session: Session, key: str, data: dict[str, Any] | None) -> ProcessInstance:
        group = session.scalars(select(Group).where(Group.key == "sekretariat")).one()
        definition = deployments.latest(session, self.community_id, key)
        return process_instances.start(
            session, definition, now=NOW, actor=None, title="Bench", data=data, facts=MEETING, owner_group=group
        )

    def open_task(self, database: Database) -> int:
        """The first task of a fresh two-task case."""
        with database.transaction() as session:
            instance = self._start(session, "motesak", None)
            return session.scalars(select(UserTask.id).where(UserTask.instance_id == instance.id)).one()

    def open_survey(self, database: Database, parties: int) -> list[int]:
        """A fresh survey; the ids of its tasks."""
        items = [{"key": f"p{i}", "name": f"P{i}", "contact": "sekretariatet"} for i in range(parties)]
        with database.transaction() as session:
            instance = self._start(session, "bench_survey", {"parties": items})
            query = select(UserTask.id).where(UserTask.instance_id == instance.id).order_by(UserTask.position)
            return list(session.scalars(query))

    def complete(self, database: Database, task_id: int) -> None:
        """As the page does it: who is it, may they, is the form well filled, then the act, in one transaction."""
        self._answer(database, task_id, ANSWERS)

    def answer(self, database: Database, task_id: int) -> None:
        """One answer of the survey."""
        self._answer(database, task_id, {})

    def _answer(self, database: Database, task_id: int, answers: dict[str, Any]) -> None:
        with database.transaction() as session:
            actor = identity.person_by_id(session, self.user_id)
            user_tasks.complete(session, task_id, answers, actor=actor, now=NOW)


#: Fills the form of the notice of meeting.
ANSWERS: dict[str, Any] = {"agenda": "1/26 Godkjenning av saksliste", "absence_contact": "sekretariatet"}


def build_world(database: Database) -> BenchWorld:
    """A schema, the demo's people and the models, in an empty database."""
    Base.metadata.create_all(database.engine)
    with database.transaction() as session:
        community: Community = communities.load(session, communities.read_data_file(DEMO_DATA), now=NOW)
        deploy(session, community, own_models(), now=NOW, note="")
        deployments.deploy(session, community.id, [Source(xml=SURVEY, forms={})], now=NOW, actor_id=None)
        user = identity.user(session, community.id, "sekretariatet")
        session.flush()  # ids are read below
        world = BenchWorld(community_id=community.id, user_id=user.id, floor_instance=0)
        floor = world._start(session, "motesak", None)
        return BenchWorld(community_id=community.id, user_id=user.id, floor_instance=floor.id)
