"""How each element of BPMN behaves, as specifications that SpiffWorkflow's tasks run.

A token that arrives is READY. When it is run, `begin` does what the element does; where that takes people, time or an
event the token stays STARTED, and is made READY once more, in the phase LEAVING, when it may go on. So everything that
can fail is run from one place, and what fails can be parked in front of its element.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from SpiffWorkflow.specs.base import TaskSpec
from SpiffWorkflow.util.task import TaskState

from engine.bpmn import events, tokens
from engine.bpmn.event_definitions import EventDefinition
from engine.bpmn.expressions import ExpressionError, UndefinedName
from engine.bpmn.tokens import ScopeSpec, Token, case_of, enter

LEAVING = "leaving"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A sequence flow as seen from its source."""

    id: str
    target: str
    condition: str | None
    default: bool


@dataclass(frozen=True, kw_only=True)
class Mappings:
    """What an element takes in and gives out beside its own work: name -> expression, and scripts around it."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    after: Sequence[str] = ()


class Element(TaskSpec):  # type: ignore[misc]
    """An element that tokens pass. Subclasses say what happens on the way."""

    #: Do other tokens hang on one that stands here?
    holds_others = False

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings) -> None:
        super().__init__(scope, identity)
        self.mappings = mappings
        self.flows: list[Flow] = []
        #: Ids of the flows that lead here.
        self.incoming: list[str] = []

    # --- SpiffWorkflow's side: arriving, running, gone ----------------------------------------------------------------

    def test(self) -> None:
        """Whether a model is sound is decided when it is deployed."""

    def _predict_hook(self, my_task: Any) -> None:
        """Nothing is predicted: only live tokens are kept."""

    def _update_hook(self, my_task: Any) -> bool:
        return self.arrive(my_task)

    def _on_ready_hook(self, my_task: Any) -> None:
        case_of(my_task).agenda.append(my_task)

    def _run_hook(self, my_task: Any) -> bool | None:
        if my_task.internal_data.get("phase") != LEAVING and not self.start(my_task):
            return None
        # What it threw may have taken its own token away.
        if tokens.is_live(my_task):
            self.finish(my_task)
        return True

    def _on_complete(self, my_task: Any) -> None:
        tokens.remove(my_task)

    # --- the element's side -------------------------------------------------------------------------------------------

    def arrive(self, token: Token) -> bool:
        """Whether the token may be run at once; a join lets it wait."""
        return True

    def start(self, token: Token) -> bool:
        """Take in what is mapped, then begin."""
        case = case_of(token)
        if self.mappings.inputs:
            token.data.update({name: case.mapped(token, source) for name, source in self.mappings.inputs.items()})
        for script in self.mappings.before:
            case.run_script(token, script)
        return self.begin(token)

    def begin(self, token: Token) -> bool:
        """Do what the element does; True when there is nothing to wait for."""
        return True

    def finish(self, token: Token) -> None:
        """Give out what is mapped, then go on."""
        self.give_out(token)
        self.leave(token)

    def give_out(self, token: Token) -> None:
        """Map the element's results into the variables around it."""
        case = case_of(token)
        given = {name: case.mapped(token, source) for name, source in self.mappings.outputs.items()}
        token.data.clear()
        tokens.set_variables(token, given)
        for script in self.mappings.after:
            case.run_script(token, script)

    def leave(self, token: Token) -> None:
        """Send a token along every flow that is taken."""
        for flow in self.chosen(token):
            enter(token.workflow, flow.target, flow=flow.id)

    def chosen(self, token: Token) -> list[Flow]:
        """All flows; of those with a condition, the ones that are met, and the default where none is."""
        if not any(flow.condition or flow.default for flow in self.flows):
            return self.flows
        return self.choose_all(token)

    def choose_all(self, token: Token) -> list[Flow]:
        """Every flow whose condition is met or that has none; else the default. Raises where no flow is left."""
        taken = [f for f in self.flows if not f.default and (f.condition is None or self.is_met(token, f.condition))]
        taken = taken or [flow for flow in self.flows if flow.default]
        if not taken:
            raise ExpressionError("No outgoing flow's condition is met, and there is no default flow", 1, self.name)
        return taken

    def is_met(self, token: Token, condition: str) -> bool:
        """Whether a condition holds. A name that nothing has set is no error where there is a default flow."""
        try:
            return bool(case_of(token).value(token, condition))
        except UndefinedName:
            if any(flow.default for flow in self.flows):
                return False
            raise


def wake(token: Token) -> None:
    """Let a token that waited go on."""
    token.internal_data["phase"] = LEAVING
    token._ready()


def is_leaving(token: Token) -> bool:
    """Has the token been told to go on?"""
    return bool(token.internal_data.get("phase") == LEAVING)


def is_listening(token: Token) -> bool:
    """Does the token still wait for its event? One that has just arrived already does."""
    return token.has_state(TaskState.READY | TaskState.STARTED) and not is_leaving(token)


# --- gateways ---------------------------------------------------------------------------------------------------------


class ExclusiveGateway(Element):
    """Each token goes on along the first flow whose condition is met."""

    def chosen(self, token: Token) -> list[Flow]:
        if len(self.flows) == 1 and self.flows[0].condition is None:
            return self.flows
        for flow in self.flows:
            if not flow.default and (flow.condition is None or self.is_met(token, flow.condition)):
                return [flow]
        for flow in self.flows:
            if flow.default:
                return [flow]
        raise ExpressionError("No condition of the gateway is met, and it has no default flow", 1, self.name)


class ParallelGateway(Element):
    """Waits for one token on each incoming flow, then sends one along each outgoing."""

    def arrive(self, token: Token) -> bool:
        if len(self.incoming) <= 1:
            return True
        token._set_state(TaskState.WAITING)
        waiting: dict[str, Token] = {}
        for other in tokens.tokens_in(token.workflow):
            if other.task_spec is self and other.has_state(TaskState.WAITING):
                waiting.setdefault(other.internal_data.get("flow", ""), other)
        if not all(flow in waiting for flow in self.incoming):
            return False
        # One token per flow is used up; what came too often waits for the next round.
        kept, *spent = (waiting[flow] for flow in self.incoming)
        for other in spent:
            tokens.remove(other)
        if kept is not token:
            kept._ready()
            return False
        return True

    def chosen(self, token: Token) -> list[Flow]:
        return self.flows


class InclusiveGateway(Element):
    """Waits while a token may still come along an empty flow; sends one along every flow whose condition is met."""

    def arrive(self, token: Token) -> bool:
        if len(self.incoming) <= 1:
            return True
        token._set_state(TaskState.WAITING)
        return False

    def chosen(self, token: Token) -> list[Flow]:
        return self.choose_all(token)

    def fire_if_complete(self, scope: Any) -> bool:
        """Go on if no other token can still reach an incoming flow that has none. BPMN 2.0, section 13.4.3."""
        here = [t for t in tokens.tokens_in(scope) if t.task_spec is self and t.has_state(TaskState.WAITING)]
        arrived = {t.internal_data.get("flow") for t in here}
        missing = set(self.incoming) - arrived
        if missing and any(self._may_come(other, missing, arrived) for other in tokens.tokens_in(scope)):
            return False
        kept: dict[object, Token] = {}
        for token in here:
            kept.setdefault(token.internal_data.get("flow"), token)
        first, *spent = kept.values()
        for token in spent:
            tokens.remove(token)
        first._ready()
        return True

    def _may_come(self, other: Token, missing: set[str], arrived: set[Any]) -> bool:
        if other.task_spec is self or _only_listens(other):
            return False
        reached = flows_reached(other.task_spec, self.name)
        return bool(reached & missing) and not reached & arrived


def _only_listens(token: Token) -> bool:
    """Does it wait for an event on behalf of another token, which is the one to come?"""
    known = token.internal_data
    return "host" in known or "race" in known or token.task_spec.name in token.workflow.spec.listeners


def flows_reached(element: Element, without: str) -> set[str]:
    """Ids of the flows that a token on `element` may come along, without passing the element `without`."""
    reached: set[str] = set()
    seen, ahead = {element.name}, [element]
    while ahead:
        current = ahead.pop()
        beside = [current._wf_spec.task_specs[name] for name in getattr(current, "boundary", ())]
        for flow in current.flows:
            reached.add(flow.id)
            beside.append(current._wf_spec.task_specs[flow.target])
        for following in beside:
            if following.name != without and following.name not in seen:
                seen.add(following.name)
                ahead.append(following)
    return reached


class EventBasedGateway(Element):
    """The first of the events behind it decides; the others are withdrawn."""

    holds_others = True

    def begin(self, token: Token) -> bool:
        for flow in self.flows:
            enter(token.workflow, flow.target, flow=flow.id, race=str(token.id))
        return False


# --- activities -------------------------------------------------------------------------------------------------------


class Activity(Element):
    """Work that takes part in loops and can have boundary events."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings) -> None:
        super().__init__(scope, identity, mappings)
        self.boundary: list[str] = []
        self.marker: Marker | None = None

    @property
    def holds_others(self) -> bool:  # type: ignore[override]
        """Do boundary events or instances hang on a token that stands here?"""
        return bool(self.boundary) or self.marker is not None

    def start(self, token: Token) -> bool:
        instance = "marker" in token.internal_data
        done = super().start(token) if self.marker is None or instance else self.marker.begin(self, token)
        if not done and not instance:
            for event in self.boundary:
                enter(token.workflow, event, host=str(token.id))
        return done

    def finish(self, token: Token) -> None:
        marker_token = tokens.holder(token, "marker")
        if marker_token is not None and self.marker is not None:
            self._finish_instance(token, marker_token, self.marker)
        elif self.marker is not None:
            token.data.clear()
            self.leave(token)
        else:
            super().finish(token)

    def _finish_instance(self, token: Token, marker_token: Token, marker: "Marker") -> None:
        self.give_out_of_instance(token)
        marker.instance_done(self, marker_token, token)

    def give_out_of_instance(self, token: Token) -> None:
        """As `give_out`, but what is local to the instance stays until its marker has seen it."""
        case = case_of(token)
        tokens.set_variables(token, {n: case.mapped(token, source) for n, source in self.mappings.outputs.items()})
        for script in self.mappings.after:
            case.run_script(token, script)


class Marker:
    """A loop or multi-instance marker: runs its activity several times."""

    #: Do instances have a number in their address?
    numbered = True

    def begin(self, element: Activity, token: Token) -> bool:
        """Begin the first instances; True when there are none to run."""
        raise NotImplementedError

    def instance_done(self, element: Activity, token: Token, instance: Token) -> None:
        """One instance is through: begin the next, or let the activity go on."""
        raise NotImplementedError


class UserTask(Activity):
    """Waits for people: engine/steps.py opens its rows. Manual tasks are the same to the engine."""

    def begin(self, token: Token) -> bool:
        return False


class ScriptTask(Activity):
    """Runs a script of the safe language."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, script: str) -> None:
        super().__init__(scope, identity, mappings)
        self.script = script

    def begin(self, token: Token) -> bool:
        case_of(token).run_script(token, self.script)
        return True


class ServiceTask(Activity):
    """Asks for a registered function (`topic`) and waits for its result, or evaluates an expression at once."""

    def __init__(
        self, scope: ScopeSpec, identity: str, mappings: Mappings, topic: str, expression: str, result: str
    ) -> None:
        super().__init__(scope, identity, mappings)
        self.topic = topic
        self.expression = expression
        self.result = result

    def begin(self, token: Token) -> bool:
        if self.topic:
            return False
        value = case_of(token).value(token, self.expression)
        if self.result:
            tokens.set_variables(token, {self.result: value})
        return True


class BusinessRuleTask(Activity):
    """Decides by a DMN table."""

    def __init__(
        self, scope: ScopeSpec, identity: str, mappings: Mappings, decision: str, result: str, single: bool
    ) -> None:
        super().__init__(scope, identity, mappings)
        self.decision = decision
        self.result = result
        #: Is the one output's value wanted, rather than all outputs by name?
        self.single = single

    def begin(self, token: Token) -> bool:
        decided = case_of(token).decide(token, self.decision)
        if self.single and isinstance(decided, Mapping):
            (decided,) = decided.values() if len(decided) == 1 else (dict(decided),)
        if self.result:
            tokens.set_variables(token, {self.result: decided})
        elif isinstance(decided, Mapping):
            tokens.set_variables(token, decided)
        return True


class SubProcess(Activity):
    """Runs a scope of its own, and goes on when nothing is left in it."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, inner: str) -> None:
        super().__init__(scope, identity, mappings)
        self.inner = inner

    def begin(self, token: Token) -> bool:
        self.open(token)
        return False

    def open(self, token: Token, **known: Any) -> Any:
        """Begin the scope inside the token."""
        scope = token.workflow.top_workflow.create_subprocess(token, self.inner)
        for name in scope.spec.listeners:
            enter(scope, name)
        for name in scope.spec.starts:
            enter(scope, name, **known)
        return scope


class CallActivity(SubProcess):
    """Runs another process. All variables go in; all come back, or those that are named."""

    def __init__(
        self, scope: ScopeSpec, identity: str, mappings: Mappings, inner: str, returned: Mapping[str, str] | None
    ) -> None:
        super().__init__(scope, identity, mappings, inner)
        #: Variable here -> expression over the called process's variables; None: all that it has set come back.
        self.returned = returned

    def open(self, token: Token, **known: Any) -> Any:
        variables = dict(tokens.process_of(token).data)
        for local in reversed(list(tokens.local_variables(token))):
            variables.update(local)
        scope = super().open(token, **known)
        if not scope.spec.starts:
            raise ExpressionError("The called process has no start event without a trigger", 1, self.inner)
        scope.data.update(variables)
        return scope

    def close(self, token: Token, scope: Any) -> None:
        """Take back what the called process leaves."""
        case = case_of(token)
        if self.returned is None:
            # Not what it was only given: that may have changed here in the meantime.
            given = {name: scope.data[name] for name in token.internal_data.get("set", ())}
        else:
            given = {name: case.value_in(scope, token, source) for name, source in self.returned.items()}
        token.internal_data.pop("set", None)
        tokens.set_variables(token, given)


class EventSubProcess(SubProcess):
    """Listens while its scope runs, and then runs once or for every event."""

    def __init__(
        self, scope: ScopeSpec, identity: str, inner: str, definition: EventDefinition, interrupting: bool
    ) -> None:
        super().__init__(scope, identity, Mappings(), inner)
        self.definition = definition
        self.interrupting = interrupting

    def begin(self, token: Token) -> bool:
        if token.internal_data.get("triggered"):
            # The payload reaches the start event, which gives it out as any catching event does.
            self.open(token, caught=token.internal_data.get("caught"))
            return False
        events.listen(token, self.definition)
        return False


# --- events -----------------------------------------------------------------------------------------------------------


class StartEvent(Element):
    """Where tokens begin."""

    def start(self, token: Token) -> bool:
        events.receive(token)
        return super().start(token)


class CatchEvent(Element):
    """Waits for its event between two elements."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition) -> None:
        super().__init__(scope, identity, mappings)
        self.definition = definition

    def begin(self, token: Token) -> bool:
        if self.definition.kind in ("none", "link"):
            return True
        events.listen(token, self.definition)
        return False

    def finish(self, token: Token) -> None:
        events.receive(token)
        super().finish(token)


class BoundaryEvent(CatchEvent):
    """Waits while the activity it sits on runs."""

    def __init__(
        self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition, interrupting: bool
    ) -> None:
        super().__init__(scope, identity, mappings, definition)
        self.interrupting = interrupting


class ReceiveTask(Activity):
    """Waits for a message."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition) -> None:
        super().__init__(scope, identity, mappings)
        self.definition = definition

    def begin(self, token: Token) -> bool:
        events.listen(token, self.definition)
        return False

    def finish(self, token: Token) -> None:
        events.receive(token)
        super().finish(token)


class ThrowEvent(Element):
    """Throws its event and goes on, where there is a way on."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition) -> None:
        super().__init__(scope, identity, mappings)
        self.definition = definition

    def begin(self, token: Token) -> bool:
        events.throw(token, self.definition)
        return True


class SendTask(Activity):
    """Throws a message."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition) -> None:
        super().__init__(scope, identity, mappings)
        self.definition = definition

    def begin(self, token: Token) -> bool:
        events.throw(token, self.definition)
        return True


class LinkThrow(Element):
    """Jumps to the catching link of the same name."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, target: str) -> None:
        super().__init__(scope, identity, mappings)
        self.flows.append(Flow(id=f"{identity}>{target}", target=target, condition=None, default=False))
