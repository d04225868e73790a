"""What the rows stand beside: the least that keeping anything costs, and SpiffWorkflow alone, which keeps nothing."""

from collections.abc import Iterator
from io import BytesIO
from uuid import uuid4

from lxml import etree
from SpiffWorkflow.bpmn.parser import BpmnParser
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState
from sqlalchemy import select

from bench.measuring import Act
from bench.world import BenchWorld
from engine.database import Database
from engine.model import ProcessInstance

FLOOR = "load-change-save of one row"

_TWO_TASKS = b"""<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="bench">
  <bpmn:process id="two" isExecutable="true">
    <bpmn:startEvent id="start"/><bpmn:sequenceFlow id="a" sourceRef="start" targetRef="one"/>
    <bpmn:manualTask id="one"/><bpmn:sequenceFlow id="b" sourceRef="one" targetRef="other"/>
    <bpmn:manualTask id="other"/><bpmn:sequenceFlow id="c" sourceRef="other" targetRef="end"/>
    <bpmn:endEvent id="end"/>
  </bpmn:process>
</bpmn:definitions>"""


def floors(database: Database, world: BenchWorld) -> Iterator[Act]:
    """Endlessly: lock, load, change and commit one row."""

    def floor() -> None:
        with database.transaction() as session:
            row = session.scalars(
                select(ProcessInstance).where(ProcessInstance.id == world.floor_instance).with_for_update()
            ).one()
            row.revision += 1

    while True:
        yield floor


class RawSpiff:
    """A two-task case in SpiffWorkflow alone, in memory: nothing is kept, nobody is asked whether they may."""

    def __init__(self) -> None:
        parser = BpmnParser()
        parser.add_bpmn_xml(etree.parse(BytesIO(_TWO_TASKS)), filename=f"{uuid4()}.bpmn")
        self._specification = parser.get_spec("two")

    def starts(self) -> Iterator[Act]:
        """Endlessly: start a case and let it run to its first task."""
        while True:
            yield self._started

    def completions(self) -> Iterator[Act]:
        """Endlessly: complete the first task of a fresh case."""
        while True:
            workflow = self._started()
            yield lambda workflow=workflow: self._complete(workflow)

    def _started(self) -> BpmnWorkflow:
        workflow = BpmnWorkflow(self._specification)
        workflow.do_engine_steps()
        return workflow

    def _complete(self, workflow: BpmnWorkflow) -> None:
        (task,) = workflow.get_tasks(state=TaskState.READY, manual=True)
        task.run()
        workflow.do_engine_steps()
