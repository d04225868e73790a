"""One case in motion: start or restore it, fulfil what waits, let events and time come, save it.

How elements behave stands in elements.py and its neighbours, what an expression sees in evaluation.py. Here is in which
order tokens are run, what comes when nothing can be run, and what happens when an element fails.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from SpiffWorkflow.util.task import TaskState

from engine.bpmn import activities, elements, events, gateways, serialization, timers, tokens
from engine.bpmn.evaluation import Place
from engine.bpmn.event_definitions import EventDefinition
from engine.bpmn.events import Thrown
from engine.bpmn.expressions import UndefinedName
from engine.bpmn.interventions import Interventions, Standing
from engine.bpmn.parsing import Specification
from engine.bpmn.reading import UserTaskElement
from engine.bpmn.tokens import Case, Token, tokens_in
from engine.calendar import Calendar
from engine.errors import ElementFailed, InvalidInput

#: An act that makes more automatic elements run than this is an endless loop.
MAX_ELEMENTS = 50_000

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


class Execution(Interventions):
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
        super().__init__(specification, workflow, facts=facts, calendar=calendar, now=now)
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
        if isinstance(held.task_spec, activities.ServiceTask):
            held.task_spec.answer(held, variables)
        else:
            tokens.set_variables(held, variables)
        elements.wake(held)

    def waiting(self, *, even_parked: bool = False) -> list[Waiting]:
        """The user tasks that wait, the outermost scope's first."""
        found = []
        for token in self._all():
            if self.is_parked(token) and not even_parked:
                continue
            if isinstance(token.task_spec, activities.UserTask) and _waits_itself(token):
                call_path, element_id = self.place(token)
                element = self.element(call_path, element_id)
                found.append(Waiting(token=str(token.id), call_path=call_path, element=element))
        return found

    def waiting_services(self) -> list[WaitingService]:
        """The service tasks that wait for their function."""
        found = []
        for token in self._all():
            spec = token.task_spec
            if isinstance(spec, activities.ServiceTask) and _waits_itself(token) and not self.is_parked(token):
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
        if isinstance(host.task_spec, activities.CallActivity):
            host.task_spec.close(host, scope)
        tokens.empty(host)
        elements.wake(host)

    def _complete_joins(self) -> bool:
        for scope in tokens.scopes_of(self.workflow):
            for token in tokens_in(scope):
                if not token.has_state(TaskState.WAITING) or self.is_parked(token):
                    continue
                if isinstance(token.task_spec, gateways.InclusiveGateway) and token.task_spec.fire_if_complete(scope):
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
            if isinstance(held.task_spec, activities.UserTask):
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

    # --- inside ---------------------------------------------------------------------------------------------------

    def is_parked(self, token: Token) -> bool:
        """Does an open incident hold this element?"""
        return bool(self.parked) and self.place(token) in self.parked

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
