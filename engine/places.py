"""The elements of the models a case runs on, as people know them: by name, in the order of the diagram."""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from engine.bpmn.parsing import Specification
from engine.bpmn.reading import tag

#: What a token can be put on.
_KINDS = (
    "task", "userTask", "manualTask", "serviceTask", "scriptTask", "sendTask", "receiveTask", "businessRuleTask",
    "subProcess", "transaction", "callActivity", "exclusiveGateway", "parallelGateway", "inclusiveGateway",
    "eventBasedGateway", "intermediateCatchEvent", "intermediateThrowEvent", "endEvent",
)  # fmt: skip
#: What waits for something to happen beside what is done.
LISTENING = ("boundaryEvent", "startEvent")
#: What decides which way a token goes.
_DECIDES = ("exclusiveGateway", "inclusiveGateway", "eventBasedGateway")
_DI = "http://www.omg.org/spec/BPMN/20100524/DI"
_DC = "http://www.omg.org/spec/DD/20100524/DC"


@dataclass(frozen=True, kw_only=True)
class Element:
    """An element of a model. `kind` is its BPMN name, such as `userTask`."""

    id: str
    name: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A way out of an element."""

    id: str
    name: str
    target: Element


def elements_at(specification: Specification, call_path: str) -> list[Element]:
    """What a token that runs at `call_path` can be put on, from left to right as drawn."""
    scope = _scope(specification, call_path)
    where = _drawn(scope)
    found = [node for kind in _KINDS for node in scope.findall(tag(kind)) if node.get("triggeredByEvent") != "true"]
    order = {id(node): number for number, node in enumerate(scope)}
    found.sort(key=lambda node: (*where.get(node.get("id", ""), (0.0, 0.0)), order[id(node)]))
    return [_element(node) for node in found]


def element_at(specification: Specification, call_path: str, element_id: str) -> Element | None:
    """The element with that id where a case runs; None where the model has none, as for a case that can't be read."""
    found = _scope(specification, call_path).find(f".//*[@id='{element_id}']") if element_id else None
    return _element(found) if found is not None else None


def name_at(specification: Specification, call_path: str, element_id: str) -> str:
    """What people call the element; its id where it has no name."""
    found = element_at(specification, call_path, element_id)
    return found.name if found else element_id


def choices(specification: Specification, call_path: str, element_id: str) -> list[Flow]:
    """The ways out between which the element decides, as drawn; none where it has one way, or takes all of them."""
    scope = _scope(specification, call_path)
    node = scope.find(f"*[@id='{element_id}']") if element_id else None
    flows = [flow for flow in scope.findall(tag("sequenceFlow")) if flow.get("sourceRef") == element_id]
    conditional = any(flow.find(tag("conditionExpression")) is not None for flow in flows)
    if node is None or len(flows) < 2 or not (conditional or etree.QName(node).localname in _DECIDES):
        return []
    known = {element.id: element for element in elements_at(specification, call_path)}
    return [
        Flow(id=flow.get("id", ""), name=_text(flow.get("name")), target=known[flow.get("targetRef", "")])
        for flow in flows
        if flow.get("targetRef") in known
    ]


def _scope(specification: Specification, call_path: str) -> etree._Element:
    """The process or sub-process whose inside runs at `call_path`."""
    model = specification.model_at(call_path)
    last = call_path.rpartition("/")[2].partition("[")[0]
    for kind in ("subProcess", "transaction"):
        found = model.root.find(f".//{tag(kind)}[@id='{last}']") if last else None
        if found is not None:
            return found
    process = model.root.find(f"{tag('process')}[@id='{model.process_id}']")
    if process is None:
        raise KeyError(model.process_id)
    return process


def _drawn(scope: etree._Element) -> Mapping[str, tuple[float, float]]:
    """Element id -> left and upper edge in the diagram."""
    places = {}
    for shape in scope.getroottree().iter(f"{{{_DI}}}BPMNShape"):
        bounds = shape.find(f"{{{_DC}}}Bounds")
        if bounds is not None:
            places[shape.get("bpmnElement", "")] = (float(bounds.get("x", "0")), float(bounds.get("y", "0")))
    return places


def _element(node: etree._Element) -> Element:
    kind = etree.QName(node).localname
    return Element(id=node.get("id", ""), name=_text(node.get("name")) or node.get("id", ""), kind=kind)


def _text(name: str | None) -> str:
    return " ".join((name or "").split())
