"""One case in motion: start or restore it, fulfil what waits, let due timers fire, save it.

The only interpreter of BPMN here is SpiffWorkflow; this module decides what an expression may see, what time it is, and
what happens when an automatic element fails.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any
from uuid import UUID

from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.specs.mixins.events.intermediate_event import BoundaryEvent
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.util.task import TaskState

from engine.bpmn import serialization
from engine.bpmn.expressions import ExpressionError, UndefinedName, evaluate, parse
from engine.bpmn.parsing import Specification, Timer
from engine.bpmn.reading import UserTaskElement, is_literal
from engine.calendar import Calendar
from engine.errors import ElementFailed

#: An act that makes more automatic elements run than this is an endless loop.
MAX_ELEMENTS = 2_000

#: A live task deeper than this in the tree means finished branches that can't be pruned.
MAX_DEPTH = 500

#: (call path, element id): names an element wherever it stands.
Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A user task that waits for people."""

    token: str
    call_path: str
    element: UserTaskElement


class _Scope(Mapping[str, object]):
    """What an expression sees at a place: item, then what calls bind, then facts, then process variables."""

    def __init__(self, execution: "Execution", task: Any, item: Mapping[str, object] | None = None) -> None:
        self._execution = execution
        self._task = task
        self._item = item or {}

    def __getitem__(self, name: str) -> object:
        if name in self._item:
            return self._item[name]
        bound = self._execution.binding(self._task, name)
        if bound is not None:
            return bound
        facts = self._execution.facts
        return facts[name] if name in facts else self._task.data[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._task.data, **self._execution.facts, **self._item})

    def __len__(self) -> int:
        return len(list(iter(self)))


class _Expressions(PythonScriptEngine):  # type: ignore[misc]
    """Puts the safe language in place of eval wherever SpiffWorkflow evaluates something."""

    def __init__(self, execution: "Execution") -> None:
        super().__init__()
        self._execution = execution

    @property
    def now(self) -> datetime:
        return self._execution.now

    def evaluate(self, task: Any, expression: str, external_context: object = None) -> object:
        try:
            return self._execution.evaluate(task, expression)
        except UndefinedName:
            # A condition over a name nothing has set is not met: the default flow is taken.
            return False

    def execute(self, task: Any, script: str, external_context: object = None) -> bool:
        raise ExpressionError(f"Scripts do not run: {script[:40]}", column=1, source=script)

    def timer_value(self, task: Any, expression: str) -> str | None:
        moment = self._execution.moment(task, expression)
        return moment.isoformat() if moment is not None else None


class Execution:
    """The live state of one case between two saves. Used by one thread, thrown away after any exception."""

    def __init__(
        self,
        specification: Specification,
        workflow: BpmnWorkflow,
        *,
        facts: Mapping[str, object],
        calendar: Calendar,
        now: datetime,
        parked: frozenset[Place] = frozenset(),
        outputs: Callable[[str], Mapping[str, object]] = lambda token: {},
    ) -> None:
        self.specification = specification
        self.workflow = workflow
        self.facts = {name: _as_date(value) for name, value in facts.items()}
        self.calendar = calendar
        self.now = now
        #: Elements that an open incident holds: they are not run.
        self.parked = parked
        #: What a step gives to the path that its deadline opens.
        self.outputs = outputs
        #: Tokens of user tasks that an interrupting boundary event took away.
        self.interrupted: set[str] = set()
        workflow.script_engine = _Expressions(self)

    @classmethod
    def start(cls, specification: Specification, data: Mapping[str, object], **context: Any) -> "Execution":
        """A new case with `data` as its process variables, not yet advanced."""
        workflow = BpmnWorkflow(specification.spec, dict(specification.subprocesses))
        execution = cls(specification, workflow, **context)
        workflow.task_tree.data.update(data)
        for task in workflow.get_tasks(state=TaskState.READY):
            task.data.update(data)
        return execution

    @classmethod
    def restore(cls, specification: Specification, document: bytes, **context: Any) -> "Execution":
        """The case as it was saved."""
        return cls(specification, serialization.load(document, specification), **context)

    def save(self) -> bytes:
        """The document to keep; the execution is spent."""
        return serialization.dump(self.workflow)

    @property
    def completed(self) -> bool:
        """Has the process reached its end?"""
        return bool(self.workflow.completed)

    # --- what people do -------------------------------------------------------------------------------------------

    def complete(self, token: str, variables: Mapping[str, object]) -> None:
        """Fulfil the user task `token`; `variables` are added to the process variables of its path."""
        task = self._task(token)
        if task is None or not task.has_state(TaskState.READY):
            raise ElementFailed(call_path="", element_id=token, cause="the element does not wait any more")
        task.data.update(variables)
        task.run()

    def advance(self) -> None:
        """Run every automatic element that can run. Raises ElementFailed at the first that can't."""
        for _ in range(MAX_ELEMENTS):
            if not self._run_next():
                self._check_depth()
                return
        place = next(iter(self._ready()))
        raise self._failure(place, f"more than {MAX_ELEMENTS} elements ran without a pause: the model loops for ever")

    def waiting(self) -> list[Waiting]:
        """The user tasks that wait, in the order of the tree."""
        found = []
        for task in self._all_tasks(TaskState.READY):
            if task.task_spec.manual and self.place(task) not in self.parked:
                call_path, element_id = self.place(task)
                element = self.element(call_path, element_id)
                found.append(Waiting(token=str(task.id), call_path=call_path, element=element))
        return found

    def element(self, call_path: str, element_id: str) -> UserTaskElement:
        """What the models say of a user task."""
        return self.specification.model_at(call_path).user_tasks[element_id]

    # --- time -----------------------------------------------------------------------------------------------------

    def next_wake(self) -> datetime | None:
        """When the earliest waiting timer is due."""
        values = [t._get_internal_data("event_value") for t in self._timers() if self.place(t) not in self.parked]
        return min((datetime.fromisoformat(v) for v in values if v), default=None)

    def set_deadline(self, token: str, moment: datetime | None) -> None:
        """Move the boundary timer that closes the user task `token`."""
        for timer in self._timers():
            if self._host_of(timer) == token and timer.task_spec.event_definition.is_own_due_date:
                timer._set_internal_data(event_value=moment.isoformat() if moment else None)

    def rederive_timers(self) -> None:
        """Compute again every waiting timer that does not hang on a task's own due date."""
        for timer in self._timers():
            definition = timer.task_spec.event_definition
            if not definition.is_own_due_date:
                timer._set_internal_data(
                    event_value=self.workflow.script_engine.timer_value(timer, definition.expression)
                )

    def moment(self, task: Any, expression: str) -> datetime | None:
        """When a timer is due: a date means its beginning, a boundary `due` the end of the task's due date."""
        definition = task.task_spec.event_definition
        if definition.is_own_due_date:
            return None  # set by the step, which knows every row's date
        try:
            value = self.evaluate(task, expression)
        except UndefinedName:
            return None
        if isinstance(value, str):
            value = _as_date(value)
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return self.calendar.start_of_day(value)
        if value is None:
            return None
        raise self._failure(task, f"{expression} is no date: {value!r}")

    # --- expressions ----------------------------------------------------------------------------------------------

    def evaluate(self, task: Any, expression: str, item: Mapping[str, object] | None = None) -> object:
        """The value of `expression` at `task`; plain text that is no `${…}` stays an expression all the same."""
        return evaluate(parse(expression), _Scope(self, task, item), self.calendar)

    def value_at(self, token: str, expression: str, item: Mapping[str, object] | None = None) -> object:
        """The value of `expression` for the waiting user task `token`. Raises ExpressionError."""
        return self.evaluate(self._task(token), expression, item)

    def text_at(self, token: str, text: str | None, item: Mapping[str, object] | None = None) -> str | None:
        """A key such as an assignee: plain text as it stands, `${…}` evaluated; None where a name is not set."""
        if text is None or is_literal(text):
            return text
        try:
            value = self.value_at(token, text, item)
        except UndefinedName:
            return None
        return None if value is None else str(value)

    def root_fact(self, token: str, name: str) -> str:
        """What the fact `name`, as seen inside a called process, is called where it was bound."""
        task = self._task(token)
        while (caller := self._caller(task)) is not None:
            call = self.specification.model_of(caller.workflow.spec.name).calls.get(caller.task_spec.name)
            source = call.bindings.get(name, "") if call else ""
            bare = source.strip().removeprefix("${").removesuffix("}").strip()
            name = bare if bare.isidentifier() else name
            task = caller
        return name

    def binding(self, task: Any, name: str) -> object | None:
        """The value that the nearest call above `task` binds to `name`, or None."""
        caller = self._caller(task)
        if caller is None:
            return None
        call = self.specification.model_of(caller.workflow.spec.name).calls.get(caller.task_spec.name)
        if call is not None and name in call.bindings:
            try:
                return self.evaluate(caller, call.bindings[name])
            except UndefinedName:
                return None
        return self.binding(caller, name)

    # --- inside ---------------------------------------------------------------------------------------------------

    def place(self, task: Any) -> Place:
        """Where a task stands."""
        path: list[str] = []
        caller = self._caller(task)
        while caller is not None:
            path.insert(0, caller.task_spec.name)
            caller = self._caller(caller)
        return "/".join(path), task.task_spec.name

    def _caller(self, task: Any) -> Any:
        parent_id = task.workflow.parent_task_id
        return None if parent_id is None else self.workflow.get_task_from_id(parent_id)

    def _task(self, token: str) -> Any:
        return self.workflow.get_task_from_id(UUID(token))

    def _flows(self) -> list[Any]:
        inner = sorted(self.workflow.get_active_subprocesses(), key=lambda sub: sub.depth, reverse=True)
        return [*inner, self.workflow]

    def _all_tasks(self, state: int) -> Iterator[Any]:
        for flow in reversed(self._flows()):
            yield from (t for t in flow.tasks.values() if t.has_state(state))

    def _ready(self) -> Iterator[Any]:
        for flow in self._flows():
            for task in list(flow.tasks.values()):
                if (
                    task.has_state(TaskState.READY)
                    and not task.task_spec.manual
                    and self.place(task) not in self.parked
                ):
                    yield task

    def _timers(self) -> list[Any]:
        waiting = self.workflow.event_manager.tasks.values()
        return [t for t in waiting if isinstance(getattr(t.task_spec, "event_definition", None), Timer)]

    def _run_next(self) -> bool:
        """Run one ready element, else finish sub-processes, else fire due timers; answers whether anything moved."""
        task = next(self._ready(), None)
        if task is not None:
            self._run(task)
            return True
        before = self._snapshot()
        for flow in self._flows()[:-1]:
            caller = self.workflow.get_task_from_id(flow.parent_task_id)
            caller.task_spec._update(caller)
        for timer in self._timers():
            if self.place(timer) not in self.parked:
                self._guarded(timer, partial(timer.task_spec._update, timer))
        return self._snapshot() != before

    def _check_depth(self) -> None:
        for task in self._all_tasks(TaskState.READY | TaskState.WAITING):
            if self.place(task) not in self.parked and _depth(task) > MAX_DEPTH:
                raise self._failure(task, f"the branch has grown {MAX_DEPTH} elements deep without coming to rest")

    def _snapshot(self) -> list[tuple[UUID, int]]:
        return [(t.id, t.state) for flow in self._flows() for t in flow.tasks.values()]

    def _run(self, task: Any) -> None:
        if isinstance(task.task_spec, BoundaryEvent):
            host = self._host_of(task)
            if host is not None and task.task_spec.cancel_activity:
                task.data.update(self.outputs(host))
                self.interrupted.add(host)
        self._guarded(task, task.run)

    def _guarded(self, task: Any, act: Callable[[], object]) -> None:
        try:
            act()
        except ElementFailed:
            raise
        except Exception as error:  # whatever an element raises becomes an incident at that element
            raise self._failure(task, str(error)) from error

    def _failure(self, task: Any, cause: str) -> ElementFailed:
        call_path, element_id = self.place(task)
        return ElementFailed(call_path=call_path, element_id=element_id, cause=cause)

    def _host_of(self, boundary: Any) -> str | None:
        if not isinstance(boundary.task_spec, BoundaryEvent):
            return None
        siblings = boundary.parent.children
        return next((str(t.id) for t in siblings if not isinstance(t.task_spec, BoundaryEvent)), None)


def _depth(task: Any) -> int:
    depth = 0
    while task.parent is not None:
        task, depth = task.parent, depth + 1
    return depth


def _as_date(value: object) -> object:
    """ISO texts of dates become dates; everything else stays."""
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value
