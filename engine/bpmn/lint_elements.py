"""What a model is made of: ids, sizes, elements that do not run, and the diagram."""

import re
from collections.abc import Iterator

from lxml import etree

from engine.bpmn.documents import BPMN, local_id, local_name, shown, tag
from engine.bpmn.lint_drawing import Drawing, Node, Scope, finding
from engine.errors import Finding

#: What stands in a process and only documents.
DOCUMENTS = frozenset(
    {
        "laneSet", "documentation", "extensionElements", "textAnnotation", "association", "group", "dataObject",
        "dataObjectReference", "dataStoreReference", "ioSpecification", "property", "auditing", "monitoring",
        "correlationSubscription", "incoming", "outgoing", "supports",
    }
)  # fmt: skip
#: Parts of an activity that say how, and are looked at with it.
_PARTS = frozenset(
    {
        "multiInstanceLoopCharacteristics", "standardLoopCharacteristics", "dataInputAssociation",
        "dataOutputAssociation", "resourceRole", "performer", "humanPerformer", "potentialOwner", "ioBinding",
    }
)  # fmt: skip
#: What columns hold: ids of elements, keys of processes and forms, names, call paths.
MAX_ID, MAX_KEY, MAX_NAME, MAX_PATH = 120, 120, 300, 300

_DI = "http://www.omg.org/spec/BPMN/20100524/DI"
_ID = re.compile(r"[^\W\d][\w.\-]*")
_BOOLEANS = (
    "cancelActivity", "isInterrupting", "triggeredByEvent", "isSequential", "testBefore", "instantiate",
    "isForCompensation", "parallelMultiple",
)  # fmt: skip
_CONVERSATIONS = (
    "choreography", "globalChoreographyTask", "globalConversation", "conversation", "subConversation",
    "callConversation",
)  # fmt: skip


def elements(drawing: Drawing) -> Iterator[Finding]:
    """Everything about single elements."""
    yield from _ids(drawing)
    yield from _sizes(drawing)
    yield from _others(drawing)
    yield from _attributes(drawing)
    yield from _starts(drawing)
    yield from _conversations(drawing)
    yield from _diagram(drawing)


def _ids(drawing: Drawing) -> Iterator[Finding]:
    seen: set[str] = set()
    for element in drawing.process.iter(f"{{{BPMN}}}*"):
        identity = element.get("id")
        if identity is not None and identity in seen:
            message = f"The id {shown(identity)} is used more than once."
            yield finding("id", element, message, "Give each element its own.")
        seen.add(identity or "")
    flows = [flow for scope in drawing.scopes for flow in scope.flows]
    for element in [drawing.process, *(n.element for n in drawing.nodes()), *flows, *drawing.all("lane")]:
        identity = element.get("id", "")
        if not identity:
            yield finding("id", element, f"A {local_name(element)} has no id.", "Save the file from a modeler.")
        elif not _ID.fullmatch(identity):
            message = f"The id {shown(identity)} is not one that XML allows."
            yield finding("id", element, message, "Use letters, digits, hyphen, underscore and full stop.")


def _sizes(drawing: Drawing) -> Iterator[Finding]:
    for element in [drawing.process, *(node.element for node in drawing.nodes()), *drawing.all("lane")]:
        if len(element.get("id", "")) > MAX_ID:
            yield _long(element, "id", MAX_ID)
        if len(" ".join(element.get("name", "").split())) > MAX_NAME:
            yield _long(element, "name", MAX_NAME)
    for node in drawing.nodes():
        if node.definition is not None and len(node.definition.name) > MAX_NAME:
            yield _long(node.element, f"{node.event} name", MAX_NAME)
    for scope in drawing.scopes:
        if _path_length(scope) > MAX_PATH and scope.parent and _path_length(scope.parent) <= MAX_PATH:
            message = f"The ids of the sub-processes around it come to more than {MAX_PATH} characters."
            yield finding("long", scope.element, message, "Nest less, or call the inner part as a process.")


def _long(element: etree._Element, what: str, limit: int) -> Finding:
    return finding("long", element, f"The {what} has more than {limit} characters.", "Shorten it.")


def _path_length(scope: Scope) -> int:
    """Characters of the scope's call path, with the number of one instance among several."""
    length = 0
    for around in scope.around():
        if length > MAX_PATH:
            return length
        if around.node is not None:
            several = around.node.child("multiInstanceLoopCharacteristics") is not None
            length += len(around.node.id) + 1 + (len("[9999]") if several else 0)
    return length


def _others(drawing: Drawing) -> Iterator[Finding]:
    for element in drawing.others:
        kind = local_name(element)
        if not str(element.tag).startswith(f"{{{BPMN}}}"):
            message = f"{shown(kind)} is no element of BPMN."
            yield finding("element", element, message, "Remove it, or put it into extensionElements.")
        elif kind not in DOCUMENTS | _PARTS:
            yield finding("element", element, f"{shown(kind)} does not run.", _instead_of(kind))


def _instead_of(kind: str) -> str:
    if kind == "complexGateway":
        return "Use an exclusive, inclusive or parallel gateway."
    if kind == "adHocSubProcess":
        return "Use a sub-process, and draw in which order its parts come."
    return "Use another element of BPMN, or remove it."


def _attributes(drawing: Drawing) -> Iterator[Finding]:
    for element in drawing.process.iter(f"{{{BPMN}}}*"):
        for name in _BOOLEANS:
            if element.get(name, "true") not in ("true", "false"):
                message = f"{name} is {shown(element.get(name, ''))!r}."
                yield finding("value", element, message, "Write true or false.")
    for node in drawing.nodes():
        if node.element.get("isForCompensation") == "true":
            yield finding("element", node, "Compensation does not run.", "Draw what undoes it as a path of its own.")
        for name in ("startQuantity", "completionQuantity"):
            if node.element.get(name, "1") != "1":
                yield finding("value", node, f"{name} other than 1 does not run.", "Remove it.")


def _starts(drawing: Drawing) -> Iterator[Finding]:
    for scope in drawing.scopes:
        standing = [n for n in scope.nodes.values() if n.kind != "boundaryEvent" and not n.is_event_sub_process]
        if scope.node is None and not standing:
            yield finding("start", scope.element, "The process has nothing to run.", "Draw a start event and a task.")
        elif standing and not any(_may_begin(node) for node in standing):
            message = "Nothing here begins: every element has a flow that leads to it."
            yield finding("start", scope.element, message, "Add a start event.")


def _may_begin(node: Node) -> bool:
    return node.kind == "startEvent" or (not node.incoming and node.event != "link")


def _conversations(drawing: Drawing) -> Iterator[Finding]:
    root = drawing.model.root
    inside = root.iterchildren(*(tag(name) for name in (*_CONVERSATIONS, "collaboration")))
    for element in inside:
        if local_name(element) == "collaboration":
            found = list(element.iterchildren(*(tag(name) for name in _CONVERSATIONS)))
        else:
            found = [element]
        for part in found:
            message = f"{local_name(part)} does not run: choreographies and conversations are not executed."
            yield finding("element", part, message, "Draw processes with messages between them.")


# --- the diagram ------------------------------------------------------------------------------------------------------


def _diagram(drawing: Drawing) -> Iterator[Finding]:
    root = drawing.model.root
    drawn = list(root.iter(f"{{{_DI}}}BPMNShape", f"{{{_DI}}}BPMNEdge"))
    if not any(local_name(shape) == "BPMNShape" for shape in drawn):
        yield finding("diagram", drawing.process, "The model has no diagram.", "Save it from a modeler.", warning=True)
        return
    known = {element.get("id") for element in root.iter(f"{{{BPMN}}}*")}
    for shape in drawn:
        drawn_of = local_id(shape.get("bpmnElement"))
        if drawn_of not in known:
            message = f"The diagram draws {shown(drawn_of) or 'something'}, which is not in the model."
            yield finding("diagram", shape, message, "Remove the shape, or save the file from a modeler.", warning=True)
    shapes = {local_id(shape.get("bpmnElement")) for shape in drawn}
    for node in drawing.nodes():
        # What is inside a sub-process may be folded away.
        if node.id not in shapes and node.scope.node is None:
            yield finding("diagram", node, "The element is not drawn.", "Save the file from a modeler.", warning=True)
