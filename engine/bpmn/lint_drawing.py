"""A process as it is drawn, gone through once: scopes, their nodes, and the flows between them. What lint looks at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from engine.bpmn.documents import BPMN, line_of, local_name, tag
from engine.bpmn.event_definitions import EventDefinition, Vocabulary, vocabulary
from engine.bpmn.expression_places import EVENTS, event_definition
from engine.bpmn.reading import Model
from engine.errors import Finding

GATEWAYS = frozenset({"exclusiveGateway", "inclusiveGateway", "parallelGateway", "eventBasedGateway"})
TASKS = frozenset(
    {
        "task", "userTask", "manualTask", "scriptTask", "serviceTask", "sendTask", "receiveTask", "businessRuleTask",
    }
)  # fmt: skip
SUB_PROCESSES = frozenset({"subProcess", "transaction"})
ACTIVITIES = TASKS | SUB_PROCESSES | {"callActivity"}
PEOPLE = frozenset({"userTask", "manualTask"})
#: Nodes that run with the standard's meaning.
RUNS = (
    ACTIVITIES
    | GATEWAYS
    | {"startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent"}
)


@dataclass(eq=False, kw_only=True)
class Node:
    """An event, activity or gateway, with the flows that stand on it."""

    id: str
    kind: str
    element: etree._Element
    scope: "Scope"
    #: What an event, send or receive task waits for or throws.
    definition: EventDefinition | None
    incoming: list[etree._Element] = field(default_factory=list)
    outgoing: list[etree._Element] = field(default_factory=list)
    #: Boundary events that sit on it.
    boundary: list["Node"] = field(default_factory=list)

    @property
    def event(self) -> str:
        """Kind of its event definition; `none` for what has none."""
        return self.definition.kind if self.definition else "none"

    @property
    def is_event_sub_process(self) -> bool:
        """Does it listen, rather than stand in the way of tokens?"""
        return self.kind in SUB_PROCESSES and self.element.get("triggeredByEvent") == "true"

    @property
    def default(self) -> str | None:
        """Id of its default flow."""
        return self.element.get("default")

    def child(self, name: str) -> etree._Element | None:
        """The element's first part of that name."""
        return self.element.find(tag(name))


@dataclass(eq=False, kw_only=True)
class Scope:
    """The process, or a sub-process in it."""

    element: etree._Element
    #: None for the process.
    node: Node | None
    parent: "Scope | None"
    nodes: dict[str, Node] = field(default_factory=dict)
    flows: list[etree._Element] = field(default_factory=list)

    @property
    def is_event_sub_process(self) -> bool:
        """Does an event begin it?"""
        return self.node is not None and self.node.is_event_sub_process

    def around(self) -> Iterator["Scope"]:
        """This scope and those it is in, the innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass(kw_only=True)
class Drawing:
    """Everything that is drawn in a process."""

    model: Model
    declared: Vocabulary
    scopes: list[Scope]
    #: What stands directly in a scope and is neither node nor flow.
    others: list[etree._Element]
    #: Every BPMN element by its name, in the order of the file.
    elements: Mapping[str, list[etree._Element]]

    @property
    def process(self) -> etree._Element:
        """The process's own element."""
        return self.model.process

    def nodes(self, *kinds: str) -> Iterator[Node]:
        """The nodes, or those of these kinds."""
        for scope in self.scopes:
            for node in scope.nodes.values():
                if not kinds or node.kind in kinds:
                    yield node

    def all(self, *names: str) -> Iterator[etree._Element]:
        """Every BPMN element of these names."""
        for name in names:
            yield from self.elements.get(name, ())


def draw(model: Model) -> Drawing:
    """The process, sorted. Linear in its size; of nodes with the same id the last counts."""
    elements: dict[str, list[etree._Element]] = {}
    for element in model.process.iter(f"{{{BPMN}}}*"):
        elements.setdefault(local_name(element), []).append(element)
    drawing = Drawing(model=model, declared=vocabulary(model.root), scopes=[], others=[], elements=elements)
    waiting = [Scope(element=model.process, node=None, parent=None)]
    while waiting:
        scope = waiting.pop()
        drawing.scopes.append(scope)
        _fill(scope, drawing)
        inner = [
            Scope(element=n.element, node=n, parent=scope) for n in scope.nodes.values() if n.kind in SUB_PROCESSES
        ]
        waiting += reversed(inner)
    return drawing


def _fill(scope: Scope, drawing: Drawing) -> None:
    for child in scope.element.iterchildren(tag="*"):
        kind, is_bpmn = local_name(child), str(child.tag).startswith(f"{{{BPMN}}}")
        if is_bpmn and kind in RUNS:
            definition = event_definition(child, drawing.declared) if kind in EVENTS else None
            identity = child.get("id", "")
            scope.nodes[identity] = Node(id=identity, kind=kind, element=child, scope=scope, definition=definition)
        elif is_bpmn and kind == "sequenceFlow":
            scope.flows.append(child)
        else:
            drawing.others.append(child)
    for flow in scope.flows:
        source, target = (scope.nodes.get(flow.get(end, "")) for end in ("sourceRef", "targetRef"))
        if source is not None and target is not None:
            source.outgoing.append(flow)
            target.incoming.append(flow)
    for node in scope.nodes.values():
        host = scope.nodes.get(node.element.get("attachedToRef", "")) if node.kind == "boundaryEvent" else None
        if host is not None and host is not node:
            host.boundary.append(node)


def condition_of(flow: etree._Element) -> str:
    """What must hold for the flow to be taken; empty where nothing must."""
    return (flow.findtext(tag("conditionExpression")) or "").strip()


def finding(
    rule: str,
    where: Node | etree._Element,
    message: str,
    remedy: str,
    *,
    warning: bool = False,
    at: etree._Element | None = None,
) -> Finding:
    """One thing to say of an element; `at` is the part of it whose line helps more."""
    element = where.element if isinstance(where, Node) else where
    identity, name = element.get("id"), element.get("name")
    return Finding(
        rule=rule,
        severity="warning" if warning else "error",
        element=None if identity is None else identity[:120],
        name=None if name is None else name[:300],
        line=line_of(element if at is None else at),
        message=message,
        remedy=remedy,
    )
