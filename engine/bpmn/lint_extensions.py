"""Attributes and elements of other namespaces: refused where they would change how the model runs, else read past."""

from collections.abc import Iterator, Mapping

from lxml import etree

from engine.bpmn.documents import BPMN, CAMUNDA, NS, local_name, shown, tag
from engine.bpmn.lint_drawing import GATEWAYS, PEOPLE, RUNS, Drawing, Node, finding
from engine.bpmn.lint_tasks import script_format
from engine.errors import Finding

#: Namespaces of engines: what stands in them says how to run, not how to draw.
_ENGINES: Mapping[str, str] = {
    "http://camunda.org/schema/zeebe/1.0": "zeebe",
    "http://flowable.org/bpmn": "flowable",
    "http://activiti.org/bpmn": "activiti",
    "http://spiffworkflow.org/bpmn/schema/1.0/core": "spiffworkflow",
    "http://spiffworkflow.org/bpmn/schema/1.0": "spiffworkflow",
    "http://www.jboss.org/drools": "drools",
    "http://operaton.org/schema/1.0/bpmn": "operaton",
    "http://cibseven.org/schema/1.0/bpmn": "cibseven",
}
#: Says when or in which thread an engine works, for whom it is listed, or what a modeler remembers.
_HARMLESS = frozenset(
    {
        "async", "asyncBefore", "asyncAfter", "exclusive", "jobPriority", "taskPriority", "historyTimeToLive",
        "isStartableInTasklist", "versionTag", "modelerTemplate", "modelerTemplateVersion", "modelerTemplateIcon",
        "diagramRelationId", "failedJobRetryTimeCycle", "properties", "property", "initiator", "errorCodeVariable",
        "errorMessageVariable", "escalationCodeVariable", "variableName", "variableEvents", "errorMessage",
        "taskHeaders", "userTask", "localizedDescriptions",
    }
)  # fmt: skip
#: Attribute of the camunda: namespace -> the elements on which it runs.
_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("assignee", "candidateGroups", "dueDate", "followUpDate", "priority"), PEOPLE),
    "formKey": PEOPLE | {"startEvent"},
    "candidateStarterGroups": frozenset({"process"}),
    **dict.fromkeys(("topic", "type", "expression"), frozenset({"serviceTask"})),
    "resultVariable": frozenset({"serviceTask", "businessRuleTask"}),
    **dict.fromkeys(("decisionRef", "mapDecisionResult", "decisionRefBinding"), frozenset({"businessRuleTask"})),
    "calledElementBinding": frozenset({"callActivity"}),
    **dict.fromkeys(("collection", "elementVariable"), frozenset({"multiInstanceLoopCharacteristics"})),
}
#: Versions are pinned when a case starts: these mean the same.
_BINDINGS = frozenset({"latest", "deployment"})
_CAMUNDA_ELEMENTS: Mapping[str, frozenset[str]] = {
    "inputOutput": RUNS - GATEWAYS,
    "executionListener": RUNS,
    "in": frozenset({"callActivity"}),
    "out": frozenset({"callActivity"}),
}
#: An element is not told more often than this what is wrong with it.
_ENOUGH = 5


def extensions(drawing: Drawing) -> Iterator[Finding]:
    """Everything about extensions, and about the mappings and listeners among them."""
    for element in drawing.process.iter(f"{{{BPMN}}}*"):
        if len(element.attrib):
            yield from _attributes(element)
        if local_name(element) == "extensionElements":
            yield from _inside(element)
    for node in drawing.nodes():
        yield from _mappings(node)
        yield from _listeners(node)
        yield from _data(node)


def _attributes(element: etree._Element) -> Iterator[Finding]:
    told = 0
    for qualified in element.attrib:
        namespace, _, name = str(qualified).removeprefix("{").rpartition("}")
        if name in _HARMLESS or (namespace != CAMUNDA and namespace not in _ENGINES):
            continue
        if namespace == CAMUNDA and _runs(element, name, element.get(qualified) or ""):
            continue
        owner = owner_of(element)
        prefix = _ENGINES.get(namespace, "camunda")
        message = f"{prefix}:{shown(name)} does not run on {_article(local_name(element))}."
        yield finding("extension", owner, message, "Remove it, or use what docs/reference/bpmn.md lists.", at=element)
        told += 1
        if told == _ENOUGH:
            return


def _runs(element: etree._Element, name: str, value: str) -> bool:
    if name in ("calledElementBinding", "decisionRefBinding") and value not in _BINDINGS:
        return False
    # A service task names its implementation in one of several ways; `type` has one value that means a function.
    if name == "type" and value != "external":
        return False
    return local_name(element) in _ATTRIBUTES.get(name, ())


def _article(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "aeiou" else f"a {kind}"


def owner_of(element: etree._Element) -> etree._Element:
    """The nearest element that has an id and is shown in a diagram: the element itself, or what it is a part of."""
    current: etree._Element | None = element
    while current is not None:
        kind = local_name(current)
        if kind in RUNS or kind in ("process", "sequenceFlow", "lane"):
            return current
        current = current.getparent()
    return element


def _inside(extension: etree._Element) -> Iterator[Finding]:
    owner = owner_of(extension)
    parent = extension.getparent()
    # Inside an event definition or a marker nothing is read.
    holder = local_name(parent) if parent is not None else ""
    for position, element in enumerate(extension.iterchildren(tag="*")):
        namespace, _, name = str(element.tag).removeprefix("{").rpartition("}")
        is_camunda = namespace == CAMUNDA
        if name in _HARMLESS or not (is_camunda or namespace in _ENGINES):
            continue
        if is_camunda and holder in _CAMUNDA_ELEMENTS.get(name, ()):
            continue
        message = f"{_ENGINES.get(namespace, 'camunda')}:{shown(name)} does not run on {_article(holder)}."
        yield finding("extension", owner, message, "Remove it, or use what docs/reference/bpmn.md lists.", at=element)
        if position > _ENOUGH:
            return


# --- mappings, listeners, data ----------------------------------------------------------------------------------------


def _parameters(node: Node, name: str) -> list[etree._Element]:
    return node.element.findall(f"bpmn:extensionElements/camunda:inputOutput/camunda:{name}", NS)


def _mappings(node: Node) -> Iterator[Finding]:
    inputs, outputs = _parameters(node, "inputParameter"), _parameters(node, "outputParameter")
    for parameter in (*inputs, *outputs):
        if len(parameter):
            message = f"A parameter that holds a {shown(local_name(parameter[0])) or 'comment'} does not run."
            yield finding("mapping", node, message, "Write an expression, such as ${[a, b]}.", at=parameter)
        elif not (parameter.get("name") or "").strip() or not (parameter.text or "").strip():
            message = "A parameter needs a name and an expression."
            yield finding("mapping", node, message, "State both.", at=parameter)
    if node.is_event_sub_process and (inputs or outputs):
        message = "Parameters of an event sub-process do not run."
        yield finding("mapping", node, message, "Put them on its start event.")
    if node.kind == "boundaryEvent" and inputs:
        yield finding("mapping", node, "A boundary event takes nothing in.", "Use output parameters.")


def _listeners(node: Node) -> Iterator[Finding]:
    for listener in node.element.findall("bpmn:extensionElements/camunda:executionListener", NS):
        script = listener.find("camunda:script", NS)
        event = listener.get("event", "")
        if script is None or script.get("resource") or not (script.text or "").strip():
            message = "A listener that is no inline script does not run."
            yield finding("listener", node, message, "Write a camunda:script into it.", at=listener)
        elif event not in ("start", "end"):
            message = f"A listener on {shown(event) or 'nothing'} does not run."
            yield finding("listener", node, message, "Use start or end.", at=listener)
        elif node.is_event_sub_process or (node.kind == "boundaryEvent" and event == "start"):
            message = "A listener does not run here."
            yield finding("listener", node, message, "Put it on the element after the event.", at=listener)
        else:
            yield from script_format(node, script.get("scriptFormat", ""))


def _data(node: Node) -> Iterator[Finding]:
    for name in ("dataInputAssociation", "dataOutputAssociation"):
        for association in node.element.iterchildren(tag(name)):
            if association.find(tag("assignment")) is not None or association.find(tag("transformation")) is not None:
                message = "Data associations document; their assignments and transformations do not run."
                yield finding("mapping", node, message, "Use camunda:inputOutput.", at=association)
