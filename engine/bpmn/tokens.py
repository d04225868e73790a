"""Where a case stands: scopes that hold process variables, and tokens that stand at elements. Nothing else is kept.

Of SpiffWorkflow's tree of tasks only the root is used: live tokens stand beside it, and are gone when they have moved
on. So the state neither grows with rounds nor needs pruning, and a token can be put anywhere.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from SpiffWorkflow.bpmn.util.subworkflow import BpmnSubWorkflow
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.specs.base import TaskSpec
from SpiffWorkflow.specs.WorkflowSpec import WorkflowSpec
from SpiffWorkflow.task import Task
from SpiffWorkflow.util.task import TaskState

if TYPE_CHECKING:
    from engine.bpmn.execution import Execution
    from engine.bpmn.reading import Model

#: No XML id looks like this.
ROOT = "<root>"


class Token(Task):  # type: ignore[misc]
    """A token. FUTURE: arriving; WAITING: at a join; READY: to be run; STARTED: waits for people, time or an event.

    `data` holds variables that only this activity sees; `internal_data` what the engine knows about the token.
    """

    def _set_state(self, value: int) -> None:
        self._state = value  # without SpiffWorkflow's log line per change


class _Root(TaskSpec):  # type: ignore[misc]
    """Above all tokens of a scope; never runs."""

    def _predict_hook(self, my_task: Any) -> None:
        """Nothing is predicted."""

    def test(self) -> None:
        """Needs no inputs."""


class ScopeSpec(WorkflowSpec):  # type: ignore[misc]
    """What a scope is made of: a process, or a sub-process inside one."""

    def __init__(self, name: str, model: "Model", element_id: str | None) -> None:
        super().__init__(name=name)
        self.model = model
        #: The sub-process this is the inside of; None for a process, which has variables of its own.
        self.element_id = element_id
        self.start = _Root(self, ROOT)
        self.data_objects: dict[str, Any] = {}
        #: Where tokens are put when the scope begins, and the event sub-processes that listen in it.
        self.starts: list[str] = []
        self.listeners: list[str] = []

    @property
    def is_process(self) -> bool:
        """Has it process variables of its own?"""
        return self.element_id is None


class Case(BpmnWorkflow):  # type: ignore[misc]
    """The outermost scope."""

    def __init__(self, spec: ScopeSpec, subprocess_specs: Mapping[str, ScopeSpec]) -> None:
        super().__init__(spec, subprocess_specs)
        self.task_tree._set_state(TaskState.COMPLETED)

    def create_subprocess(self, my_task: Any, spec_name: str) -> "Scope":
        """The scope inside the token `my_task`, still empty."""
        scope = Scope(self.subprocess_specs[spec_name], parent_task_id=my_task.id, top_workflow=self)
        self.subprocesses[my_task.id] = scope
        return scope


class Scope(BpmnSubWorkflow):  # type: ignore[misc]
    """What runs inside a sub-process, call or event sub-process."""

    def __init__(self, spec: ScopeSpec, parent_task_id: UUID, top_workflow: Case) -> None:
        super().__init__(spec, parent_task_id, top_workflow)
        self.task_tree._set_state(TaskState.COMPLETED)


def case_of(token: Any) -> "Execution":
    """The execution that moves this token."""
    return cast("Execution", token.workflow.script_engine)


def tokens_in(scope: Any) -> list[Token]:
    """The scope's own tokens, in the order they came."""
    root = scope.task_tree.id
    return [token for identity, token in scope.tasks.items() if identity != root]


def scopes_of(case: Case) -> list[Any]:
    """Every scope, the outermost first."""
    return [case, *case.subprocesses.values()]


def host_of(scope: Any) -> Token | None:
    """The token that this scope is the inside of; None for the outermost."""
    if scope.parent_task_id is None:
        return None
    return cast(Token, scope.top_workflow.get_task_from_id(scope.parent_task_id))


def inside(token: Token) -> Any | None:
    """The scope inside this token, if it has one."""
    return token.workflow.top_workflow.subprocesses.get(token.id)


def enter(scope: Any, element_id: str, *, data: Mapping[str, Any] | None = None, **known: Any) -> Token:
    """A new token on an element; `known` is what the engine has to remember about it."""
    token = Token(scope, scope.spec.task_specs[element_id], state=TaskState.FUTURE)
    token.data.update(data or {})
    token.internal_data.update({name: value for name, value in known.items() if value is not None})
    token.task_spec._update(token)
    return token


def holder(token: Token, relation: str) -> Token | None:
    """The token that this one belongs to; None where it belongs to none."""
    held = token.internal_data.get(relation)
    return cast("Token | None", token.workflow.tasks.get(UUID(held))) if held else None


def attached(token: Token, relation: str) -> list[Token]:
    """Tokens beside this one that belong to it: boundary events (`host`), instances (`marker`) or rivals (`race`)."""
    return [t for t in tokens_in(token.workflow) if t.internal_data.get(relation) == str(token.id)]


def rivals(token: Token) -> list[Token]:
    """The other tokens behind the same event-based gateway, and the gateway's own; the token forgets them."""
    race = token.internal_data.pop("race", None)
    beside = tokens_in(token.workflow) if race else ()
    return [t for t in beside if race in (str(t.id), t.internal_data.get("race"))]


def is_live(token: Token) -> bool:
    """Is the token still where it was?"""
    scope = token.workflow
    return token.id in scope.tasks and (
        scope.parent_task_id is None or scope.top_workflow.subprocesses.get(scope.parent_task_id) is scope
    )


def remove(token: Token) -> None:
    """Take a token away with everything inside it and everything that hangs on it."""
    if not is_live(token):
        return
    empty(token)
    # One of several instances holds nothing: what belongs to the activity hangs on the token with the marker.
    if token.task_spec.holds_others and "marker" not in token.internal_data:
        for relation in ("host", "marker", "race"):
            for other in attached(token, relation):
                remove(other)
    token._set_state(TaskState.CANCELLED)
    del token.workflow.tasks[token.id]


def empty(token: Token) -> None:
    """Take away what runs inside a token."""
    if (scope := inside(token)) is not None:
        for inner in tokens_in(scope):
            remove(inner)
        del token.workflow.top_workflow.subprocesses[token.id]


# --- variables --------------------------------------------------------------------------------------------------------


def local_variables(token: Token) -> Iterator[dict[str, Any]]:
    """The variables that only what surrounds the token sees, innermost first: items, inputs, counters."""
    current: Token | None = token
    while current is not None:
        yield current.data
        scope = current.workflow
        if scope.spec.is_process:
            return
        yield scope.data
        current = host_of(scope)


def process_of(token: Token) -> Any:
    """The scope whose process variables the token sees."""
    return process_around(token.workflow)


def process_around(scope: Any) -> Any:
    """The scope itself or the nearest above it that has process variables of its own."""
    while not scope.spec.is_process:
        host = host_of(scope)
        assert host is not None, "only a process is outermost"
        scope = host.workflow
    return scope


def set_variables(token: Token, values: Mapping[str, Any]) -> None:
    """Give variables values where they are: in the nearest surrounding that has them, else in the process."""
    for name, value in values.items():
        for local in local_variables(token):
            if name in local:
                local[name] = value
                break
        else:
            set_in_process(process_of(token), name, value)
    case_of(token).changed = True


def set_in_process(process: Any, name: str, value: Any) -> None:
    """Give a process variable a value. A call remembers what was set in it: that is what it gives back."""
    process.data[name] = value
    call = host_of(process)
    if call is not None and name not in call.internal_data.setdefault("set", []):
        call.internal_data["set"].append(name)
