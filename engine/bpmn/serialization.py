"""The live state of a case as one opaque document: an envelope around SpiffWorkflow's tasks, without the specification.

Finished branches are pruned before each save, so that the document does not grow with rounds or years.
"""

import json
from importlib.metadata import version
from typing import Any
from uuid import UUID

import zstandard
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer
from SpiffWorkflow.bpmn.serializer.config import DEFAULT_CONFIG
from SpiffWorkflow.bpmn.serializer.default.workflow import BpmnWorkflowConverter
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState

from engine.bpmn.parsing import Specification
from engine.errors import EngineError

#: Raised when this module writes something older code can't read.
FORMAT = 1
#: Raised when parsing.py names tasks of the specification differently.
PARSER = 1
_SPIFF = version("SpiffWorkflow")


class StateUnreadable(EngineError):
    """The saved state of this case can't be read by this version."""

    status = 500


class _StateConverter(BpmnWorkflowConverter):  # type: ignore[misc]
    def to_dict(self, workflow: Any) -> dict[str, Any]:
        state: dict[str, Any] = super(BpmnWorkflowConverter, self).to_dict(workflow)
        state["subprocesses"] = self.mapping_to_dict(workflow.subprocesses)
        return state

    def from_dict(self, dct: dict[str, Any], spec: Any = None, subs: Any = None) -> Any:
        workflow = self.target_class(spec, subs, deserializing=True)
        workflow.tasks = self.mapping_from_dict(dct["tasks"], UUID, workflow=workflow)
        workflow.task_tree = workflow.tasks.get(UUID(dct["root"]))
        self.set_default_attributes(workflow, dct)
        self.subprocesses_from_dict(dct["subprocesses"], workflow)
        return workflow


_registry = BpmnWorkflowSerializer.configure({**DEFAULT_CONFIG, BpmnWorkflow: _StateConverter})


def dump(workflow: BpmnWorkflow) -> bytes:
    """The document to keep. Prunes `workflow`, which must not be used afterwards with tasks held from before."""
    prune(workflow)
    state = _registry.convert(workflow)
    envelope = {"format": FORMAT, "spiffworkflow": _SPIFF, "parser": PARSER, "state": state}
    text = json.dumps(envelope, separators=(",", ":"), default=_refuse)
    return zstandard.compress(text.encode(), 6)


def _refuse(value: object) -> object:
    raise TypeError(f"Process variables must be plain JSON values, got {type(value).__name__}")


def load(document: bytes, specification: Specification) -> BpmnWorkflow:
    """The workflow as it was saved, on the shared specification."""
    envelope = json.loads(zstandard.decompress(document))
    if envelope["format"] > FORMAT:
        raise StateUnreadable(f"The case was saved in format {envelope['format']}; this version reads up to {FORMAT}.")
    return _registry.restore(
        {**envelope["state"], "typename": "BpmnWorkflow"}, spec=specification.spec, subs=specification.subprocesses
    )


def prune(workflow: BpmnWorkflow) -> None:
    """Drop what is finished: ended sub-processes, and ancestors above the lowest common live task."""
    for task_id in [i for i, sub in workflow.subprocesses.items() if _is_over(workflow, i, sub)]:
        workflow.subprocesses.pop(task_id, None)
    for flow in (workflow, *workflow.subprocesses.values()):
        _prune_tree(flow)


def _is_over(workflow: BpmnWorkflow, task_id: UUID, sub: Any) -> bool:
    task = workflow.get_task_from_id(task_id)
    return bool(task is None or task.has_state(TaskState.FINISHED_MASK))


def _prune_tree(flow: Any) -> None:
    live = [
        t
        for t in flow.tasks.values()
        if t.has_state(TaskState.DEFINITE_MASK) and not t.has_state(TaskState.FINISHED_MASK)
    ]
    if not live:
        return
    # A waiting task reads its parent's data once more when it goes on, so that parent stays as the new root.
    lowest = _lowest_common_ancestor(live).parent
    if lowest is None or lowest.parent is None:
        return
    kept = _below(flow, lowest)
    flow.tasks = {i: t for i, t in flow.tasks.items() if i in kept}
    lowest._parent = None
    flow.task_tree = lowest
    if getattr(flow, "last_task", None) is not None and flow.last_task.id not in kept:
        flow.last_task = lowest


def _lowest_common_ancestor(tasks: list[Any]) -> Any:
    paths = [_path(t) for t in tasks]
    common = paths[0]
    for path in paths[1:]:
        length = 0
        while length < min(len(common), len(path)) and common[length].id == path[length].id:
            length += 1
        common = common[:length]
    return common[-1]


def _path(task: Any) -> list[Any]:
    path = [task]
    while path[-1].parent is not None:
        path.append(path[-1].parent)
    return path[::-1]


def _below(flow: Any, top: Any) -> set[UUID]:
    kept, waiting = set(), [top.id]
    while waiting:
        identity = waiting.pop()
        kept.add(identity)
        waiting.extend(flow.tasks[identity]._children)
    return kept
