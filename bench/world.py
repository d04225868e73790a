"""The community and models that the bench works on."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from agreements import communities
from engine import deployments, identity, process_instances, user_tasks
from engine.calendar import Calendar
from engine.database import Database
from engine.deployments import Source
from engine.model import Base, Community, Group, ProcessInstance, UserTask
from web import migrating
from web.commands import DEMO_DATA, deploy, own_models

NOW = datetime(2026, 9, 7, 8, tzinfo=UTC)
MEETING = date(2026, 11, 27)

#: An answer that is sent back as often as one likes.
SEND_BACK = b"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:camunda="http://camunda.org/schema/1.0/bpmn" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    targetNamespace="https://avtaleflyt.example.org/bench">
  <bpmn:process id="bench_send_back" name="Send back" isExecutable="true">
    <bpmn:startEvent id="start"/>
    <bpmn:sequenceFlow id="a" sourceRef="start" targetRef="write"/>
    <bpmn:userTask id="write" name="Write" camunda:assignee="sekretariatet" camunda:dueDate="${meeting}"/>
    <bpmn:sequenceFlow id="b" sourceRef="write" targetRef="review"/>
    <bpmn:userTask id="review" name="Review" camunda:assignee="sekretariatet" camunda:dueDate="${meeting}"
        camunda:formKey="bench_review"/>
    <bpmn:sequenceFlow id="c" sourceRef="review" targetRef="good"/>
    <bpmn:exclusiveGateway id="good" name="Good?" default="d"/>
    <bpmn:sequenceFlow id="d" sourceRef="good" targetRef="write"/>
    <bpmn:sequenceFlow id="e" sourceRef="good" targetRef="end">
      <bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">${verdict == 'yes'}</bpmn:conditionExpression>
    </bpmn:sequenceFlow>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
</bpmn:definitions>"""
REVIEW_FORM: dict[str, Any] = {
    "id": "bench_review", "type": "default", "schemaVersion": 16,
    "components": [
        {
            "type": "radio", "key": "verdict", "label": "Good?", "validate": {"required": True},
            "values": [{"label": "Yes", "value": "yes"}, {"label": "No", "value": "no"}],
        }
    ],
}  # fmt: skip

#: Waits an hour and ends.
TIMER = b"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="https://avtaleflyt.example.org/bench">
  <bpmn:process id="bench_timer" name="Timer" isExecutable="true">
    <bpmn:startEvent id="start"/>
    <bpmn:sequenceFlow id="a" sourceRef="start" targetRef="wait"/>
    <bpmn:intermediateCatchEvent id="wait" name="Wait an hour">
      <bpmn:timerEventDefinition id="hour">
        <bpmn:timeDuration xsi:type="bpmn:tFormalExpression">PT1H</bpmn:timeDuration>
      </bpmn:timerEventDefinition>
    </bpmn:intermediateCatchEvent>
    <bpmn:sequenceFlow id="b" sourceRef="wait" targetRef="end"/>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
</bpmn:definitions>"""

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

    def start(self, database: Database, key: str, *, meeting: date = MEETING, now: datetime = NOW) -> int:
        """Start a case; answers its id."""
        with database.transaction() as session:
            return self._start(session, key, None, meeting=meeting, now=now).id

    def calendar(self, database: Database) -> Calendar:
        """The community's."""
        with database.reading() as session:
            return identity.calendar_of(session.get_one(Community, self.community_id))

    def _start(
        self,
        session: Session,
        key: str,
        data: dict[str, Any] | None,
        *,
        meeting: date = MEETING,
        now: datetime = NOW,
    ) -> ProcessInstance:
        group = session.scalars(select(Group).where(Group.key == "sekretariat")).one()
        definition = deployments.latest(session, self.community_id, key)
        return process_instances.start(
            session,
            definition,
            now=now,
            actor=None,
            title="Bench",
            data=data,
            facts={"meeting": meeting},
            owner_group=group,
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
        self.send(database, task_id, ANSWERS)

    def answer(self, database: Database, task_id: int) -> None:
        """One answer of the survey."""
        self.send(database, task_id, {})

    def send(self, database: Database, task_id: int, answers: dict[str, Any]) -> None:
        """The secretariat's answers of any task."""
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
        review = Source(xml=SEND_BACK, forms={"bench_review": REVIEW_FORM})
        own = [Source(xml=SURVEY, forms={}), Source(xml=TIMER, forms={}), review]
        deployments.deploy(session, community.id, own, now=NOW, actor_id=None)
        user = identity.user(session, community.id, "sekretariatet")
        session.flush()  # ids are read below
        world = BenchWorld(community_id=community.id, user_id=user.id, floor_instance=0)
        floor = world._start(session, "motesak", None)
        return BenchWorld(community_id=community.id, user_id=user.id, floor_instance=floor.id)


def stamp(database: Database) -> None:
    """Let the schema be known as the newest, so that whoever serves it has nothing to migrate."""
    with database.transaction() as session:
        session.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        session.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": migrating.newest()})
