"""From models to the specification that SpiffWorkflow runs.

A user task with a multi-instance marker stays one waiting element: the people behind it are rows, not engine children.
Timers read the clock they are given, never the machine's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree
from SpiffWorkflow.bpmn.parser import BpmnParser, ValidationException
from SpiffWorkflow.bpmn.parser.event_parsers import (
    BoundaryEventParser,
    IntermediateCatchEventParser,
)
from SpiffWorkflow.bpmn.parser.TaskParser import TaskParser
from SpiffWorkflow.bpmn.parser.util import full_tag
from SpiffWorkflow.bpmn.specs.defaults import BoundaryEvent, IntermediateCatchEvent, UserTask
from SpiffWorkflow.bpmn.specs.event_definitions.timer import TimerEventDefinition
from SpiffWorkflow.bpmn.util import PendingBpmnEvent

from engine.bpmn.reading import Model, is_own_due_date
from engine.errors import Finding, ModelRefused


class Timer(TimerEventDefinition):  # type: ignore[misc]
    """A timer that is due when its moment is reached: `due <= now`, by the clock of the execution."""

    def has_fired(self, my_task: Any) -> bool:
        """Whether the timer has gone off; an unknown date waits."""
        value = my_task._get_internal_data("event_value")
        engine = my_task.workflow.script_engine
        if value is None:
            value = engine.timer_value(my_task, self.expression)
            my_task._set_internal_data(event_value=value)
        if value is not None and datetime.fromisoformat(value) <= engine.now:
            my_task._set_internal_data(event_fired=True)
        return bool(my_task._get_internal_data("event_fired", False))

    def details(self, my_task: Any) -> PendingBpmnEvent:
        """What waits, for SpiffWorkflow's own listing."""
        return PendingBpmnEvent(self.name, "Timer", my_task._get_internal_data("event_value"))

    @property
    def is_own_due_date(self) -> bool:
        """Does it wait for the due date of the task it sits on?"""
        return is_own_due_date(self.expression)


class _TimerParser:
    def parse_timer_event(self, event: etree._Element) -> Timer:
        for child in event:
            if etree.QName(child).localname == "timeDate":
                return Timer(self.node.get("id"), (child.text or "").strip())  # type: ignore[attr-defined]
        raise ValidationException("Only timeDate timers run", node=event, file_name="")


class _CatchParser(_TimerParser, IntermediateCatchEventParser):  # type: ignore[misc]
    pass


class _BoundaryParser(_TimerParser, BoundaryEventParser):  # type: ignore[misc]
    pass


class _PeopleParser(TaskParser):  # type: ignore[misc]
    def _add_multiinstance_task(self, loop_characteristics: etree._Element) -> None:
        """Leave the task as it is: its rows are opened by engine/steps.py."""


class _Parser(BpmnParser):  # type: ignore[misc]
    OVERRIDE_PARSER_CLASSES = {  # noqa: RUF012 - SpiffWorkflow reads this attribute
        full_tag("userTask"): (_PeopleParser, UserTask),
        full_tag("intermediateCatchEvent"): (_CatchParser, IntermediateCatchEvent),
        full_tag("boundaryEvent"): (_BoundaryParser, BoundaryEvent),
    }


@dataclass(frozen=True, kw_only=True)
class Specification:
    """A process with everything it calls, ready to run; immutable and shared between executions."""

    process_id: str
    spec: Any
    subprocesses: Mapping[str, Any]
    models: Mapping[str, Model]

    def model_of(self, process_id: str) -> Model:
        """The model that holds this process or embedded sub-process."""
        if process_id in self.models:
            return self.models[process_id]
        # An embedded sub-process is named by its element and belongs to the file that holds it.
        for model in self.models.values():
            if model.root.find(f".//*[@id='{process_id}']") is not None:
                return model
        raise KeyError(process_id)

    def model_at(self, call_path: str) -> Model:
        """The model that runs below `call_path`: call activities lead into the models they call."""
        model = self.models[self.process_id]
        for element_id in filter(None, call_path.split("/")):
            if (call := model.calls.get(element_id)) is not None:
                model = self.models[call.called]
        return model


def compile_models(main: Model, called: Iterable[Model] = ()) -> Specification:
    """The specification of `main`; `called` are the models it calls, directly or not. Raises ModelRefused."""
    models = {m.process_id: m for m in (main, *called)}
    parser = _Parser()
    try:
        for model in models.values():
            parser.add_bpmn_xml(etree.ElementTree(model.root))
        spec = parser.get_spec(main.process_id)
        subprocesses = parser.get_subprocess_specs(main.process_id)
    except ValidationException as error:
        finding = Finding(
            rule="runs", severity="error", element=getattr(error, "id", None), name=getattr(error, "name", None),
            line=getattr(error, "line_number", None), message=str(error), remedy="Change or remove the element.",
        )  # fmt: skip
        raise ModelRefused([finding]) from error
    return Specification(process_id=main.process_id, spec=spec, subprocesses=subprocesses, models=models)
