"""How tasks, sub-processes and calls behave, and the markers that let them run several times."""

from collections.abc import Mapping
from typing import Any

from engine.bpmn import tokens
from engine.bpmn.elements import Element, Mappings
from engine.bpmn.expressions import ExpressionError
from engine.bpmn.tokens import ScopeSpec, Token, case_of, enter


class Activity(Element):
    """Work that takes part in loops and can have boundary events."""

    is_activity = True

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
        tokens.set_variables(token, self.mapped_out(token))
        self.run_after(token)


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

    def answer(self, token: Token, results: Mapping[str, Any]) -> None:
        """Take what the function answered: as one variable, for the output mapping alone, or as variables by name."""
        if self.result:
            tokens.set_variables(token, {self.result: dict(results)})
        if self.mappings.outputs:
            token.data.update(results)
        elif not self.result:
            tokens.set_variables(token, results)


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
