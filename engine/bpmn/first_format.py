"""Reads what the first version saved: SpiffWorkflow's whole tree of tasks, of which only the live ones are tokens.

Variables lay on tasks then, each as a difference to its parent's; they become those of the process.
"""

from datetime import UTC, datetime
from typing import Any

from SpiffWorkflow.util.task import TaskState

from engine.bpmn import activities, event_elements, gateways
from engine.bpmn.parsing import Specification
from engine.bpmn.tokens import ScopeSpec

_LIVE = TaskState.WAITING | TaskState.READY | TaskState.STARTED


def scopes(envelope: dict[str, Any], specification: Specification) -> list[dict[str, Any]]:
    """The scopes as the present format has them, each after the one it is inside of."""
    state = envelope["state"]
    found = [_scope(None, state["tasks"], specification.spec)]
    specs = dict.fromkeys(state["tasks"], specification.spec)
    variables: dict[str | None, dict[str, Any]] = {None: found[0]["data"]}
    waiting = dict(state["subprocesses"])
    while waiting:
        host, inner = next((h, s) for h, s in waiting.items() if h in specs)
        del waiting[host]
        outer = specs[host].task_specs[_element_at(host, state)]
        spec = specification.subprocesses[outer.inner]
        specs.update(dict.fromkeys(inner["tasks"], spec))
        scope = _scope(host, inner["tasks"], spec)
        if not spec.is_process:
            # Variables of an embedded sub-process are those of the process around it.
            around = variables[_scope_of(host, state)]
            around.update(scope.pop("data"))
            scope["data"] = {}
            variables[host] = around
        else:
            variables[host] = scope["data"]
            call = next(token for each in found for token in each["tokens"] if token["id"] == host)
            call["known"].update(_set_in(scope["data"], variables[_scope_of(host, state)]))
        found.append(scope)
    return found


def _set_in(called: dict[str, Any], around: dict[str, Any]) -> dict[str, list[str]]:
    """What a called process has set, and so gives back: it was not noted then, but is what differs."""
    names = [name for name, value in called.items() if name not in around or around[name] != value]
    return {"set": names} if names else {}


def _element_at(task_id: str, state: dict[str, Any]) -> str:
    for scope in (state, *state["subprocesses"].values()):
        if task_id in scope["tasks"]:
            return str(scope["tasks"][task_id]["task_spec"])
    raise KeyError(task_id)


def _scope_of(task_id: str, state: dict[str, Any]) -> str | None:
    """The host of the scope that a task stands in."""
    return next((host for host, scope in state["subprocesses"].items() if task_id in scope["tasks"]), None)


def _scope(host: str | None, tasks: dict[str, Any], spec: ScopeSpec) -> dict[str, Any]:
    live = [t for t in tasks.values() if t["state"] & _LIVE and t["task_spec"] in spec.task_specs]
    data: dict[str, Any] = {}
    for task in live:
        data.update(_data(task, tasks))
    return {"host": host, "data": data, "tokens": [_token(task, tasks, spec) for task in live]}


def _data(task: dict[str, Any], tasks: dict[str, Any]) -> dict[str, Any]:
    parent = tasks.get(task["parent"]) if task["parent"] else None
    if parent is None:
        return dict(task["data"])
    data = _data(parent, tasks)
    delta = task.get("delta") or {}
    for name in delta.get("deletions", ()):
        data.pop(name, None)
    return {**data, **delta.get("updates", {})}


def _token(task: dict[str, Any], tasks: dict[str, Any], spec: ScopeSpec) -> dict[str, Any]:
    element = spec.task_specs[task["task_spec"]]
    known: dict[str, Any] = {}
    if isinstance(element, gateways.ParallelGateway) and task["state"] == TaskState.WAITING:
        state = "waiting"
        known["flow"] = _flow(task, tasks, spec)
    elif isinstance(element, event_elements.CatchEvent):
        state = "started"
        began = datetime.fromtimestamp(task["last_state_change"], UTC).isoformat()
        known.update(since=began, due_at=task["internal_data"].get("event_value"))
    else:
        state = "started" if isinstance(element, activities.UserTask | activities.SubProcess) else "ready"
    if isinstance(element, event_elements.BoundaryEvent):
        beside = tasks[task["parent"]]["children"]
        known["host"] = next(
            i for i in beside if tasks[i]["task_spec"] in spec.task_specs and not _is_boundary(tasks[i], spec)
        )
    return {"id": task["id"], "element": element.name, "state": state, "known": known}


def _is_boundary(task: dict[str, Any], spec: ScopeSpec) -> bool:
    return isinstance(spec.task_specs[task["task_spec"]], event_elements.BoundaryEvent)


def _flow(task: dict[str, Any], tasks: dict[str, Any], spec: ScopeSpec) -> str:
    """The flow along which a token came to a join."""
    before = tasks[task["parent"]]
    while before["task_spec"] not in spec.task_specs:
        before = tasks[before["parent"]]
    flows = spec.task_specs[before["task_spec"]].flows
    return str(next(flow.id for flow in flows if flow.target == task["task_spec"]))
