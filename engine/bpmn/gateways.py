"""How gateways split and join. BPMN 2.0, section 13.4."""

from typing import Any

from SpiffWorkflow.util.task import TaskState

from engine.bpmn import tokens
from engine.bpmn.elements import Element, Flow
from engine.bpmn.expressions import ExpressionError
from engine.bpmn.tokens import Token, enter


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
        put_here = []
        for other in tokens.tokens_in(token.workflow):
            if other.task_spec is self and other.has_state(TaskState.WAITING):
                if "flow" in other.internal_data:
                    waiting.setdefault(other.internal_data["flow"], other)
                else:
                    put_here.append(other)
        arrived = [waiting[flow] for flow in self.incoming if flow in waiting]
        # A person has put it here, so it came along no flow: it stands for one that would have come.
        arrived += put_here[: len(self.incoming) - len(arrived)]
        if len(arrived) < len(self.incoming):
            return False
        # One token per flow is used up; what came too often waits for the next round.
        kept, *spent = arrived
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
