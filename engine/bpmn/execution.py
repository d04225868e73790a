"""One case in motion: start or restore it, fulfil what waits, let events and time come, save it.

How elements behave stands in elements.py, markers.py and events.py; here is what they share: the order in which tokens
are run, what an expression may see, what time it is, and what happens when an element fails.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from SpiffWorkflow.util.task import TaskState

from engine.bpmn import elements, events, serialization, timers, tokens
from engine.bpmn.decisions import decide
from engine.bpmn.event_definitions import EventDefinition
from engine.bpmn.events import Thrown
from engine.bpmn.expressions import ExpressionError, UndefinedName, evaluate, parse
from engine.bpmn.parsing import Specification
from engine.bpmn.reading import UserTaskElement, is_literal
from engine.bpmn.scripts import parse_script
from engine.bpmn.scripts import run as run_script
from engine.bpmn.tokens import Case, Token, tokens_in
from engine.calendar import Calendar
from engine.errors import ElementFailed, InvalidInput

#: An act that makes more automatic elements run than this is an endless loop.
MAX_ELEMENTS = 50_000

#: More tasks than this completed in one act are steps in a loop that ask nobody.
MAX_COMPLETIONS = 500

#: (call path, element id): names an element wherever it stands.
Place = tuple[str, str]

__all__ = ["Execution", "Place", "Standing", "Thrown", "Waiting", "WaitingService"]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A user task that waits for people."""

    token: str
    call_path: str
    element: UserTaskElement


@dataclass(frozen=True, kw_only=True)
class WaitingService:
    """A service task that waits for its function's result."""

    token: str
    call_path: str
    element_id: str
    topic: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A token: where it stands, and whether it waits (`waiting`), holds others (`running`) or is held up (`ready`)."""

    id: str
    call_path: str
    element_id: str
    state: str


class _Scope(Mapping[str, object]):
    """What an expression sees at a place: items and inputs, what calls bind, facts, process variables."""

    def __init__(self, execution: "Execution", token: Token, item: Mapping[str, object] | None = None) -> None:
        self._execution = execution
        self._token = token
        self._item = item or {}

    def __getitem__(self, name: str) -> object:
        if name in self._item:
            return self._item[name]
        for local in tokens.local_variables(self._token):
            if name in local:
                return local[name]
        bound = self._execution.binding(self._token, name)
        if bound is not None:
            return bound
        facts = self._execution.facts
        return facts[name] if name in facts else tokens.process_of(self._token).data[name]

    def __iter__(self) -> Iterator[str]:
        names = {**tokens.process_of(self._token).data, **self._execution.facts, **self._item}
        for local in tokens.local_variables(self._token):
            names.update(local)
        return iter(names)

    def __len__(self) -> int:
        return len(list(iter(self)))


class Execution:
    """The live state of one case between two saves. Used by one thread, thrown away after any exception."""

    def __init__(
        self,
        specification: Specification,
        workflow: Case,
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
        #: Tokens of user tasks that a timer took away.
        self.interrupted: set[str] = set()
        #: Messages and signals for others than this case.
        self.thrown: list[Thrown] = []
        #: Tokens to be run, the longest waiting first. Elements put them here as they become ready.
        self.agenda: deque[Token] = deque()
        #: May a variable have got another value since conditions were last looked at?
        self.changed = True
        self._completions = 0
        workflow.script_engine = self  # how elements find their execution
        self.agenda.extend(t for t in self._all() if t.has_state(TaskState.READY))

    @classmethod
    def start(
        cls,
        specification: Specification,
        data: Mapping[str, object],
        *,
        event: str | None = None,
        payload: Mapping[str, object] | None = None,
        **context: Any,
    ) -> "Execution":
        """A new case with `data` as its process variables, not yet advanced; begun by the start event `event`.

        Raises InvalidInput where only an event can start the process and none is given.
        """
        if not (event or specification.spec.starts):
            raise InvalidInput("The process has no plain start event: a message, a signal or time starts it.")
        execution = cls(specification, Case(specification.spec, specification.subprocesses), **context)
        scope = execution.workflow
        scope.data.update(data)
        for name in scope.spec.listeners:
            tokens.enter(scope, name)
        for name in [event] if event else scope.spec.starts:
            tokens.enter(scope, name, caught=dict(payload) if payload else None)
        return execution

    @classmethod
    def restore(cls, specification: Specification, document: bytes, **context: Any) -> "Execution":
        """The case as it was saved."""
        return cls(specification, serialization.load(document, specification), **context)

    def save(self) -> bytes:
        """The document to keep."""
        return serialization.dump(self.workflow)

    @property
    def completed(self) -> bool:
        """Has the process reached its end?"""
        return _is_over(self.workflow)

    # --- what people do -------------------------------------------------------------------------------------------

    def complete(self, token: str, variables: Mapping[str, object]) -> None:
        """Fulfil the user or service task `token`; `variables` are added to the process variables."""
        held = self._token(token)
        if held is None or not held.has_state(TaskState.STARTED):
            raise ElementFailed(call_path="", element_id=token, cause="the element does not wait any more")
        self._completions += 1
        if self._completions > MAX_COMPLETIONS:
            raise self._failure(held, "the model loops for ever through steps that ask nobody")
        tokens.set_variables(held, variables)
        elements.wake(held)

    def waiting(self) -> list[Waiting]:
        """The user tasks that wait, the outermost scope's first."""
        found = []
        for token in self._all():
            if isinstance(token.task_spec, elements.UserTask) and _waits_itself(token) and not self.is_parked(token):
                call_path, element_id = self.place(token)
                element = self.element(call_path, element_id)
                found.append(Waiting(token=str(token.id), call_path=call_path, element=element))
        return found

    def waiting_services(self) -> list[WaitingService]:
        """The service tasks that wait for their function."""
        found = []
        for token in self._all():
            spec = token.task_spec
            if isinstance(spec, elements.ServiceTask) and _waits_itself(token) and not self.is_parked(token):
                call_path, element_id = self.place(token)
                inputs = dict(token.data)
                found.append(
                    WaitingService(
                        token=str(token.id), call_path=call_path, element_id=element_id, topic=spec.topic, inputs=inputs
                    )
                )
        return found

    def fail(self, token: str, code: str, message: str) -> None:
        """A service task ended with a BPMN error: what catches it goes on. Raises ElementFailed where nothing does."""
        held = self._token(token)
        if held is None:
            raise ElementFailed(call_path="", element_id=token, cause="the element does not wait any more")
        self._guarded(held, lambda: events.throw_error(held, code, message))

    def element(self, call_path: str, element_id: str) -> UserTaskElement:
        """What the models say of a user task."""
        return self.specification.model_at(call_path).user_tasks[element_id]

    # --- moving on ------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Run everything automatic that can run. Raises ElementFailed at the first that can't."""
        for _ in range(MAX_ELEMENTS):
            token = self._next_ready()
            if token is not None:
                self._guarded(token, token.run)
            elif not self._something_comes():
                self._stop_listening()
                return
            while self.changed and self._meet_conditions():
                pass
        place = self._next_ready() or next(self._all())
        raise self._failure(place, f"more than {MAX_ELEMENTS} elements ran without a pause: the model loops for ever")

    def _next_ready(self) -> Token | None:
        while self.agenda:
            token = self.agenda.popleft()
            if token.has_state(TaskState.READY) and tokens.is_live(token) and not self.is_parked(token):
                return token
        return None

    def _something_comes(self) -> bool:
        """Nothing is ready: does a scope end, a join complete, a condition come true, or a timer fire?"""
        if self._close_scopes() or self._complete_joins():
            return True
        return not self.completed and (self._meet_conditions() or self._fire_timer())

    def _stop_listening(self) -> None:
        """Once the process is over, nothing starts its event sub-processes any more."""
        if self.completed:
            for token in tokens_in(self.workflow):
                tokens.remove(token)

    def _close_scopes(self) -> bool:
        closed = False
        for scope in reversed(list(self.workflow.subprocesses.values())):
            host = tokens.host_of(scope)
            if host is None or self.is_parked(host):
                continue
            if _is_over(scope) and not elements.is_leaving(host):
                self._guarded(host, lambda host=host, scope=scope: self._close(host, scope))  # type: ignore[misc]
                closed = True
        return closed

    def _close(self, host: Token, scope: Any) -> None:
        if isinstance(host.task_spec, elements.CallActivity):
            host.task_spec.close(host, scope)
        tokens.empty(host)
        elements.wake(host)

    def _complete_joins(self) -> bool:
        for scope in tokens.scopes_of(self.workflow):
            for token in tokens_in(scope):
                if not token.has_state(TaskState.WAITING) or self.is_parked(token):
                    continue
                if isinstance(token.task_spec, elements.InclusiveGateway) and token.task_spec.fire_if_complete(scope):
                    return True
        return False

    def _meet_conditions(self) -> bool:
        """Let the first event come whose condition has become true; answers whether there was one."""
        for token in list(events.listeners(self, "conditional")) if self.specification.has_conditions else ():
            if self.is_parked(token) or token.has_state(TaskState.READY):
                continue
            met, was = self._is_met(token), token.internal_data.get("was", False)
            token.internal_data["was"] = met
            if met and not was:
                self._guarded(token, lambda token=token: events.trigger(token))  # type: ignore[misc]
                return True
        self.changed = False
        return False

    def _is_met(self, token: Token) -> bool:
        def value() -> bool:
            try:
                return bool(self.value(token, token.task_spec.definition.condition))
            except UndefinedName:
                return False  # not yet

        return bool(self._guarded(token, value))

    def _fire_timer(self) -> bool:
        due = [(t.internal_data["due_at"], t) for t in self._timers() if t.internal_data.get("due_at")]
        ready = [(datetime.fromisoformat(at), t) for at, t in due if datetime.fromisoformat(at) <= self.now]
        if not ready:
            return False
        _, token = min(ready, key=lambda pair: pair[0])
        self._guarded(token, lambda: events.trigger(token))
        return True

    # --- events from elsewhere ------------------------------------------------------------------------------------

    def deliver(self, thrown: Thrown) -> bool:
        """Let a message reach its receiver here, a signal everybody who waits for it; answers whether anybody did."""
        for token in list(events.listeners(self, thrown.kind)):
            if token.has_state(TaskState.READY) and not self.is_parked(token):
                self._guarded(token, token.run)  # arrived in this very act, not yet listening
        heard = [t for t in events.listeners(self, thrown.kind) if not self.is_parked(t) and _is_for(t, thrown)]
        for token in heard[:1] if thrown.kind == "message" else heard:
            if tokens.is_live(token) and elements.is_listening(token):
                events.trigger(token, thrown.payload)
        return bool(heard)

    def subscriptions(self) -> list[tuple[str, str, str, str]]:
        """What the case waits for from outside: kind, name, correlation and token, of messages and signals."""
        return [
            (
                t.task_spec.definition.kind,
                t.internal_data.get("name", ""),
                t.internal_data.get("correlation", ""),
                str(t.id),
            )
            for t in events.listeners(self, "message", "signal")
            if t.has_state(TaskState.STARTED)
        ]

    def interrupt(self, token: Token, *, by_time: bool) -> None:
        """An event takes this token away with all inside it: user tasks that it closes give what they have."""
        for held in (token, *tokens.attached(token, "marker")):
            if isinstance(held.task_spec, elements.UserTask):
                tokens.set_variables(held, self.outputs(str(held.id)))
                if by_time:
                    self.interrupted.add(str(held.id))
            for inner in tokens_in(scope) if (scope := tokens.inside(held)) is not None else ():
                self.interrupt(inner, by_time=by_time)

    # --- time -----------------------------------------------------------------------------------------------------

    def next_wake(self) -> datetime | None:
        """When the earliest waiting timer is due."""
        values = [t.internal_data.get("due_at") for t in self._timers()]
        return min((datetime.fromisoformat(v) for v in values if v), default=None)

    def set_deadline(self, token: str, moment: datetime | None) -> None:
        """Move the boundary timers that wait for the due date of the user task `token`."""
        for timer in self._timers(even_parked=True):
            if timer.internal_data.get("host") == token and timer.task_spec.definition.is_own_due_date:
                if timer.internal_data.get("fired"):
                    continue
                timer.internal_data["due_at"] = moment.isoformat() if moment else None

    def rederive_timers(self) -> None:
        """Compute again every waiting timer that does not hang on a task's own due date."""
        for timer in self._timers(even_parked=True):
            if not timer.task_spec.definition.is_own_due_date:
                self.set_timer(timer, timer.task_spec.definition)

    def set_timer(self, token: Token, definition: EventDefinition) -> None:
        """Remember when a timer is due; an unknown date waits."""
        known = token.internal_data
        if definition.is_own_due_date:
            known.setdefault("due_at", None)  # set by the step, which knows every row's date
            if known.get("fired"):
                known["due_at"] = None
            return
        value: object = definition.timer
        if not timers.literal(definition.timer):
            try:
                value = self.value(token, definition.timer)
            except UndefinedName:
                known["due_at"] = None
                return
        last = known.get("last")
        moment = timers.due(
            definition.timer_kind, value, started=datetime.fromisoformat(known["since"]), fired=known.get("fired", 0),
            last=datetime.fromisoformat(last) if last else None, now=self.now, calendar=self.calendar,
        )  # fmt: skip
        known["due_at"] = moment.isoformat() if moment else None

    def timers(self) -> list[tuple[Place, datetime | None]]:
        """Where every waiting timer stands, and when it is due; None while its date is not known."""
        due = [(self.place(t), t.internal_data.get("due_at")) for t in self._timers(even_parked=True)]
        return [(place, datetime.fromisoformat(moment) if moment else None) for place, moment in due]

    def _timers(self, *, even_parked: bool = False) -> list[Token]:
        return [
            t for t in events.listeners(self, "timer")
            if t.has_state(TaskState.STARTED) and (even_parked or not self.is_parked(t))
        ]  # fmt: skip

    # --- what an owner mends --------------------------------------------------------------------------------------

    def tokens(self) -> list[Standing]:
        """Where the case stands: every token, the outermost scope's first."""
        found = []
        for token in self._all():
            call_path, element_id = self.place(token)
            state = "running" if tokens.inside(token) else "waiting"
            if token.has_state(TaskState.READY):
                state = "ready"
            found.append(Standing(id=str(token.id), call_path=call_path, element_id=element_id, state=state))
        return found

    def move(self, token: str, element_id: str) -> None:
        """Take a token away, with everything that runs inside it, and put one on another element of its scope.

        Raises KeyError where the scope has no such element, ElementFailed where the token is gone.
        """
        held = self._token(token)
        if held is None:
            raise ElementFailed(call_path="", element_id=token, cause="the element does not wait any more")
        scope = held.workflow
        if not isinstance(scope.spec.task_specs[element_id], elements.Element):
            raise KeyError(element_id)
        tokens.remove(self._holder(held))
        tokens.enter(scope, element_id)

    def place_token(self, call_path: str, element_id: str) -> None:
        """Put a token on an element of a scope that runs. Raises KeyError where there is no such scope or element."""
        tokens.enter(self._scope(call_path), element_id)

    def skip(self, call_path: str, element_id: str, flow_id: str | None = None) -> None:
        """Let the tokens at an element go on without running it: along `flow_id`, or every flow that leaves it.

        Raises KeyError where the element has no such flow.
        """
        for token in [t for t in self._all() if self.place(t) == (call_path, element_id)]:
            if not tokens.is_live(token):
                continue
            held = self._holder(token)
            if "host" in held.internal_data and not elements.is_leaving(held):
                tokens.remove(held)  # the event will not come; what it sits on goes on
                continue
            flows = [f for f in held.task_spec.flows if flow_id in (None, f.id)]
            if flow_id is not None and not flows:
                raise KeyError(flow_id)
            scope = held.workflow
            tokens.remove(held)
            for flow in flows:
                tokens.enter(scope, flow.target, flow=flow.id)

    def _holder(self, token: Token) -> Token:
        """The token itself; for one of several instances or a boundary event, the activity it belongs to."""
        held = token.internal_data.get("marker") or token.internal_data.get("race")
        return next((t for t in tokens_in(token.workflow) if str(t.id) == held), token)

    def variables(self, call_path: str = "") -> dict[str, Any]:
        """The process variables seen in a scope."""
        scope = self._scope(call_path)
        return dict(tokens.process_around(scope).data)

    def set_variable(self, call_path: str, name: str, value: object) -> None:
        """Give a process variable another value."""
        tokens.set_in_process(tokens.process_around(self._scope(call_path)), name, _native(value))
        self.changed = True

    def _scope(self, call_path: str) -> Any:
        for scope in tokens.scopes_of(self.workflow):
            if self.path(scope) == call_path:
                return scope
        raise KeyError(call_path)

    # --- expressions ----------------------------------------------------------------------------------------------

    def value(self, token: Token, expression: str, item: Mapping[str, object] | None = None) -> Any:
        """The value of `expression` at `token`, as process variables hold it: dates as ISO texts."""
        return _native(self.evaluate(token, expression, item))

    def evaluate(self, token: Token, expression: str, item: Mapping[str, object] | None = None) -> object:
        """The value of `expression` at `token`; plain text that is no `${…}` is an expression all the same."""
        return evaluate(parse(expression), _Scope(self, token, item), self.calendar)

    def value_in(self, scope: Any, token: Token, expression: str) -> Any:
        """The value of `expression` over a called process's variables; `token` is the call."""
        seen = {**self.facts, **scope.data}
        call = token.workflow.spec.model.calls[token.task_spec.name]
        for name in call.bindings.keys() - set(token.internal_data.get("set", ())):
            with suppress(UndefinedName):
                seen[name] = self.evaluate(token, call.bindings[name])
        return _native(evaluate(parse(expression), seen, self.calendar))

    def text(self, token: Token, text: str) -> str:
        """A name: plain text as it stands, `${…}` evaluated."""
        if is_literal(text):
            return text
        value = self.value(token, text)
        return value if isinstance(value, str) else str(value)

    def mapped(self, token: Token, source: str) -> Any:
        """What an input or output parameter comes to: plain text as it stands, `${…}` evaluated."""
        return source if is_literal(source) else self.value(token, source)

    def run_script(self, token: Token, script: str) -> None:
        """Run a script of the safe language; what it assigns become variables."""
        tokens.set_variables(token, run_script(parse_script(script), _Scope(self, token), self.calendar))

    def decide(self, token: Token, decision_id: str) -> Any:
        """What a decision says with the variables of this place. Raises ExpressionError."""
        decision = self.specification.decisions.get(decision_id)
        if decision is None:
            raise ExpressionError(f"There is no decision {decision_id}", 1, decision_id)
        return _native(decide(decision, _Scope(self, token), self.calendar))

    def value_at(self, token: str, expression: str, item: Mapping[str, object] | None = None) -> object:
        """The value of `expression` for the waiting user task `token`. Raises ExpressionError."""
        return self.evaluate(self._known(token), expression, item)

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
        caller = self._caller(self._known(token))
        while caller is not None:
            call = caller.workflow.spec.model.calls.get(caller.task_spec.name)
            source = call.bindings.get(name, "") if call else ""
            bare = source.strip().removeprefix("${").removesuffix("}").strip()
            name = bare if bare.isidentifier() else name
            caller = self._caller(caller)
        return name

    def binding(self, token: Token, name: str) -> object | None:
        """The value that the nearest call above `token` binds to `name`, or None; what is set below it goes before."""
        caller = self._caller(token)
        if caller is None or name in caller.internal_data.get("set", ()):
            return None
        call = caller.workflow.spec.model.calls.get(caller.task_spec.name)
        if call is not None and name in call.bindings:
            try:
                return self.evaluate(caller, call.bindings[name])
            except UndefinedName:
                return None
        return self.binding(caller, name)

    # --- inside ---------------------------------------------------------------------------------------------------

    def place(self, token: Token) -> Place:
        """Where a token stands."""
        return self.path(token.workflow), token.task_spec.name

    def path(self, scope: Any) -> str:
        """The call path of a scope: what it is inside of, outermost first, each of several with its number."""
        parts: list[str] = []
        host = tokens.host_of(scope)
        while host is not None:
            marker, index = getattr(host.task_spec, "marker", None), host.internal_data.get("index")
            number = f"[{index}]" if marker is not None and marker.numbered and index is not None else ""
            parts.insert(0, host.task_spec.name + number)
            host = tokens.host_of(host.workflow)
        return "/".join(parts)

    def is_parked(self, token: Token) -> bool:
        """Does an open incident hold this element?"""
        return bool(self.parked) and self.place(token) in self.parked

    def _caller(self, token: Token) -> Token | None:
        """The call activity or sub-process around a token."""
        return tokens.host_of(token.workflow)

    def _all(self) -> Iterator[Token]:
        for scope in tokens.scopes_of(self.workflow):
            yield from tokens_in(scope)

    def _token(self, token: str) -> Token | None:
        identity = UUID(token)
        return next((s.tasks[identity] for s in tokens.scopes_of(self.workflow) if identity in s.tasks), None)

    def _known(self, token: str) -> Token:
        held = self._token(token)
        if held is None:
            raise KeyError(token)
        return held

    def _guarded(self, token: Token, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except ElementFailed:
            raise
        except Exception as error:  # whatever an element raises becomes an incident at that element
            raise self._failure(token, str(error)) from error

    def _failure(self, token: Token, cause: str) -> ElementFailed:
        call_path, element_id = self.place(token)
        seen = dict(tokens.process_of(token).data)
        for local in reversed(list(tokens.local_variables(token))):
            seen.update(local)
        return ElementFailed(call_path=call_path, element_id=element_id, cause=cause, data=seen)


def _is_for(token: Token, thrown: Thrown) -> bool:
    known = token.internal_data
    return bool(known.get("name") == thrown.name) and known.get("correlation", "") == thrown.correlation


def _is_over(scope: Any) -> bool:
    """Is nothing left but what only listens?"""
    return all(
        t.task_spec.name in scope.spec.listeners and not t.internal_data.get("triggered") for t in tokens_in(scope)
    )


def _waits_itself(token: Token) -> bool:
    """Does this very token wait, rather than hold its repetitions?"""
    return token.has_state(TaskState.STARTED) and (token.task_spec.marker is None or "marker" in token.internal_data)


def _as_date(value: object) -> object:
    """ISO texts of dates become dates; everything else stays."""
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _native(value: Any) -> Any:
    """As process variables hold it: dates and moments as ISO texts."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _native(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_native(item) for item in value]
    return value
