"""How events behave: starting, catching, on a boundary, in an event sub-process, throwing; tasks that do the same."""

from collections.abc import Mapping
from typing import Any

from engine.bpmn import events, tokens
from engine.bpmn.activities import Activity, SubProcess
from engine.bpmn.elements import LEAVING, Element, Flow, Mappings
from engine.bpmn.event_definitions import EventDefinition
from engine.bpmn.tokens import ScopeSpec, Token, case_of, enter


class StartEvent(Element):
    """Where tokens begin."""

    def start(self, token: Token) -> bool:
        events.receive(token)
        return super().start(token)


class _Catching(Element):
    """Waits for its event, and gives out what that brought."""

    hears = True

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition) -> None:
        super().__init__(scope, identity, mappings)
        self.definition = definition

    def begin(self, token: Token) -> bool:
        events.listen(token, self.definition)
        return False

    def finish(self, token: Token) -> None:
        events.receive(token)
        super().finish(token)


class _Throwing(Element):
    """Throws its event."""

    throws = True

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition) -> None:
        super().__init__(scope, identity, mappings)
        self.definition = definition

    def begin(self, token: Token) -> bool:
        events.throw(token, self.definition)
        return True


class CatchEvent(_Catching):
    """Waits for its event between two elements; a plain one, or a link's target, is only passed."""

    def begin(self, token: Token) -> bool:
        return self.definition.kind in ("none", "link") or super().begin(token)


class BoundaryEvent(CatchEvent):
    """Waits while the activity it sits on runs."""

    def __init__(
        self, scope: ScopeSpec, identity: str, mappings: Mappings, definition: EventDefinition, interrupting: bool
    ) -> None:
        super().__init__(scope, identity, mappings, definition)
        self.interrupting = interrupting

    def trigger(self, token: Token, payload: Mapping[str, Any]) -> None:
        scope = token.workflow
        host = tokens.holder(token, "host")
        if not self.interrupting:
            events.rearm(token, self.definition)
        elif host is not None:
            case_of(token).interrupt(host, by_time=self.definition.kind == "timer")
            tokens.remove(host)  # takes this token away too
        enter(scope, self.name, phase=LEAVING, caught=dict(payload))


class ReceiveTask(_Catching, Activity):
    """Waits for a message."""


class ThrowEvent(_Throwing):
    """Throws its event and goes on, where there is a way on."""


class SendTask(_Throwing, Activity):
    """Throws a message."""


class LinkThrow(Element):
    """Jumps to the catching link of the same name."""

    def __init__(self, scope: ScopeSpec, identity: str, mappings: Mappings, target: str) -> None:
        super().__init__(scope, identity, mappings)
        self.flows.append(Flow(id=f"{identity}>{target}", target=target, condition=None, default=False))


class EventSubProcess(SubProcess):
    """Listens while its scope runs, and then runs once or for every event."""

    hears = True

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

    def trigger(self, token: Token, payload: Mapping[str, Any]) -> None:
        scope = token.workflow
        if not self.interrupting:
            events.rearm(token, self.definition)
        for other in tokens.tokens_in(scope) if self.interrupting else ():
            case_of(token).interrupt(other, by_time=self.definition.kind == "timer")
            tokens.remove(other)
        enter(scope, self.name, triggered=True, caught=dict(payload))
