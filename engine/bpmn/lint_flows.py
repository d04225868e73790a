"""Flows and the gateways between them: ends, conditions, defaults."""

from collections.abc import Iterator

from lxml import etree

from engine.bpmn.documents import shown
from engine.bpmn.lint_drawing import ACTIVITIES, Drawing, Node, Scope, condition_of, finding
from engine.errors import Finding

#: Nodes whose outgoing flows may have conditions.
_CHOOSES = ACTIVITIES | {"exclusiveGateway", "inclusiveGateway"}
_RACES = frozenset({"message", "signal", "timer", "conditional"})


def flows(drawing: Drawing) -> Iterator[Finding]:
    """Everything about flows and gateways."""
    everywhere = {node.id for node in drawing.nodes()}
    for scope in drawing.scopes:
        for flow in scope.flows:
            yield from _ends(scope, flow, everywhere)
        for node in scope.nodes.values():
            yield from _around(node)
            yield from _conditions(node)
            yield from _default(node)
            if node.kind == "eventBasedGateway":
                yield from _event_gateway(node)


def _ends(scope: Scope, flow: etree._Element, everywhere: set[str]) -> Iterator[Finding]:
    for end in ("sourceRef", "targetRef"):
        reference = flow.get(end, "")
        if reference in scope.nodes:
            continue
        if reference in everywhere:
            message = f"The flow's {end} lies in another process or sub-process."
            yield finding("flow", flow, message, "Let flows stay inside; end the sub-process, or throw an event.")
        else:
            yield finding("flow", flow, f"The flow's {end} names nothing that flows run to.", "Draw the flow again.")


def _around(node: Node) -> Iterator[Finding]:
    """Flows at a node that can have none on that side."""
    begins = node.kind in ("startEvent", "boundaryEvent") or (
        node.kind == "intermediateCatchEvent" and node.event == "link"
    )
    ends = node.kind == "endEvent" or (node.kind == "intermediateThrowEvent" and node.event == "link")
    if node.incoming and (begins or node.is_event_sub_process):
        yield finding("flow", node, "No flow can lead to this element.", "Remove the flow.")
    if node.outgoing and (ends or node.is_event_sub_process):
        yield finding("flow", node, "No flow can lead on from this element.", "Remove the flow.")


def _conditions(node: Node) -> Iterator[Finding]:
    is_gateway = node.kind in ("exclusiveGateway", "inclusiveGateway")
    for flow in node.outgoing:
        conditional, is_default = bool(condition_of(flow)), flow.get("id") == node.default
        if conditional and node.kind not in _CHOOSES:
            message = "A condition counts only after a task, or an exclusive or inclusive gateway."
            yield finding("condition", flow, message, "Remove the condition, or draw a gateway.")
        elif conditional and is_default:
            yield finding("condition", flow, "The default flow has a condition.", "Remove it: it is what is left.")
        elif is_gateway and len(node.outgoing) > 1 and not conditional and not is_default:
            message = "The flow has no condition and is not the default."
            yield finding("condition", flow, message, "State a condition, or make it the default flow.")


def _default(node: Node) -> Iterator[Finding]:
    if node.default is not None and node.default not in [flow.get("id") for flow in node.outgoing]:
        message = f"The default flow {shown(node.default)} does not leave this element."
        yield finding("default", node, message, "Mark a flow that does.")
    elif node.default is None and node.outgoing and all(map(condition_of, node.outgoing)) and node.kind in _CHOOSES:
        message = "It has no default flow: where no condition is met, the case stops with an incident."
        yield finding("default", node, message, "Mark one flow as default.", warning=True)


def _event_gateway(node: Node) -> Iterator[Finding]:
    if node.element.get("instantiate") == "true" or node.element.get("eventGatewayType", "Exclusive") != "Exclusive":
        message = "An event-based gateway that starts a process, or waits for all its events, does not run."
        yield finding("element", node, message, "Draw start events, or a parallel gateway.")
    if not node.outgoing:
        yield finding("flow", node, "An event-based gateway needs events behind it.", "Draw them.")
    for flow in node.outgoing:
        target = node.scope.nodes.get(flow.get("targetRef", ""))
        if target is not None and not _can_race(target):
            message = "Behind an event-based gateway stand catching events and plain receive tasks only."
            yield finding("event", target, message, "Put an event between them.")
        elif target is not None and len(target.incoming) > 1:
            message = "Only its event-based gateway can lead to this event."
            yield finding("flow", target, message, "Remove the other flow, or draw an event of its own for it.")


def _can_race(target: Node) -> bool:
    if target.kind == "receiveTask":
        markers = ("standardLoopCharacteristics", "multiInstanceLoopCharacteristics")
        return not target.boundary and all(target.child(marker) is None for marker in markers)
    return target.kind == "intermediateCatchEvent" and target.event in _RACES
