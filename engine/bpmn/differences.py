"""What differs between two versions of a model: elements, the way between them, forms and decisions.

Compared is what a model says, element by element; where its shapes are drawn comes last, as `moved`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lxml import etree

from engine.bpmn.reading import BPMN, CAMUNDA, parse_xml, properties_of, tag

Kind = Literal["added", "removed", "changed", "moved"]

_DI = "http://www.omg.org/spec/BPMN/20100524/DI"
#: What holds elements of its own.
_SCOPES = {"definitions", "collaboration", "process", "subProcess", "transaction", "adHocSubProcess"}
_LANES = {"laneSet", "childLaneSet"}
#: What belongs to the element around it, and is compared as a property of that.
_PARTS = {
    "documentation", "extensionElements", "incoming", "outgoing", "laneSet", "ioSpecification", "property",
    "multiInstanceLoopCharacteristics", "standardLoopCharacteristics", "flowNodeRef", "childLaneSet",
    "dataInputAssociation", "dataOutputAssociation", "script", "conditionExpression", "import", "relationship",
}  # fmt: skip
#: Said by other means: ends of flows by the flows, a lane's members by the members.
_ECHOES = {"incoming", "outgoing", "flowNodeRef", "childLaneSet", "laneSet"}
#: Properties that name another element.
_REFERENCES = {"sourceRef", "targetRef", "default", "attachedToRef", "scope"}
#: What an attribute means when it is left out: modelers write it or not as they please.
_DEFAULTS = {
    ("isSequential", "false"), ("cancelActivity", "true"), ("isInterrupting", "true"), ("triggeredByEvent", "false"),
    ("startQuantity", "1"), ("completionQuantity", "1"), ("isForCompensation", "false"), ("instantiate", "false"),
    ("gatewayDirection", "Unspecified"), ("parallelMultiple", "false"), ("isCollection", "false"),
    ("testBefore", "false"), ("behavior", "All"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Content:
    """A version to compare: the model, its forms by key, and its decision documents by key."""

    xml: str
    forms: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    decisions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that differs.

    `element_type` is BPMN's name for it, or `form` or `decision`, whose key is then the id. `what` names the changed
    property, such as `name`, `role`, `camunda:dueDate`, `property reminders` or `timeDate`; it is empty where the
    whole element was added, removed or moved. Inside a form it is `field <path>`. `old` and `new` are texts.
    """

    kind: Kind
    element_id: str
    element_name: str
    element_type: str
    what: str = ""
    old: str = ""
    new: str = ""


@dataclass(frozen=True, kw_only=True)
class _Element:
    id: str
    name: str
    type: str
    properties: Mapping[str, str]


def differences(old: Content, new: Content) -> list[Difference]:
    """Everything that differs, in the order of the newer file; what is gone comes after it. Raises ModelRefused."""
    before, after = parse_xml(old.xml.encode()), parse_xml(new.xml.encode())
    found = list(_elements(_read(before), _read(after)))
    said = {difference.element_id for difference in found}
    moved = (d for d in _moved(before, after) if d.element_id not in said)
    return [*found, *_forms(old.forms, new.forms), *_decisions(old.decisions, new.decisions), *moved]


# --- elements ---------------------------------------------------------------------------------------------------------


def _elements(before: Mapping[str, _Element], after: Mapping[str, _Element]) -> Iterator[Difference]:
    names = _names(before), _names(after)
    for identity, element in after.items():
        known = before.get(identity)
        if known is None:
            yield _whole("added", element)
        elif known.type != element.type:
            yield _difference(element, "type", known.type, element.type)
        if known is not None:
            yield from _changes(known, element, names)
    yield from (_whole("removed", element) for identity, element in before.items() if identity not in after)


def _names(elements: Mapping[str, _Element]) -> dict[str, str]:
    return {identity: element.name or identity for identity, element in elements.items()}


def _changes(
    before: _Element, after: _Element, names: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
) -> Iterator[Difference]:
    for what in dict.fromkeys([*after.properties, *before.properties]):
        old, new = before.properties.get(what, ""), after.properties.get(what, "")
        if old != new and what in _REFERENCES:
            old, new = names[0].get(old, old), names[1].get(new, new)
            yield _difference(after, what, old, new)
        elif old != new:
            yield _difference(after, what, old, new)


def _whole(kind: Kind, element: _Element) -> Difference:
    return Difference(kind=kind, element_id=element.id, element_name=element.name, element_type=element.type)


def _difference(element: _Element, what: str, old: str, new: str) -> Difference:
    return Difference(
        kind="changed", element_id=element.id, element_name=element.name, element_type=element.type,
        what=what, old=old, new=new,
    )  # fmt: skip


def _read(root: etree._Element) -> dict[str, _Element]:
    """Every element by its id, in the file's order."""
    names = {node.get("id", ""): _plain(node.get("name", "")) for node in root.iter() if node.get("id")}
    roles = {
        (ref.text or "").strip(): lane.get("name", "") or lane.get("id", "")
        for lane in root.iter(tag("lane"))
        for ref in lane.findall(tag("flowNodeRef"))
    }
    found: dict[str, _Element] = {}
    for node in root.iter():
        if _stands_alone(node):
            identity = node.get("id", "")
            found[identity] = _Element(
                id=identity, name=names[identity] or _way(node, names), type=_local(node),
                properties=_said(node, roles),
            )  # fmt: skip
    return found


def _way(flow: etree._Element, names: Mapping[str, str]) -> str:
    """A flow without a name is known by its ends."""
    ends = [flow.get("sourceRef", ""), flow.get("targetRef", "")]
    return " → ".join(names.get(end, "") or end for end in ends) if all(ends) else ""


def _stands_alone(node: etree._Element) -> bool:
    if not (isinstance(node.tag, str) and node.tag.startswith(f"{{{BPMN}}}") and node.get("id")):
        return False
    parent = node.getparent()
    if parent is None or _local(node) in _PARTS or _local(node) == "collaboration":
        return False
    return _local(parent) in _SCOPES | _LANES and not _local(node).endswith("EventDefinition")


def _said(node: etree._Element, roles: Mapping[str, str]) -> dict[str, str]:
    """Everything the element says, each under a name of its own."""
    said = {_named(key): _plain(value) for key, value in _attributes(node) if _means_something(key, value)}
    if role := roles.get(node.get("id", "")):
        said["role"] = role
    parent = node.getparent()
    if parent is not None and _local(parent) in _SCOPES - {"definitions", "collaboration", "process"}:
        said["scope"] = parent.get("id", "")
    said |= {f"property {name}": value for name, value in properties_of(node).items()}
    return said | dict(_inside(node))


def _inside(node: etree._Element) -> Iterator[tuple[str, str]]:
    """What stands in the element's own children; a repeated name is numbered."""
    counted: dict[str, int] = {}
    waiting = [(child, "") for child in reversed(node)]
    while waiting:
        child, above = waiting.pop()
        if not isinstance(child.tag, str) or _stands_alone(child) or _local(child) in _ECHOES:
            continue
        if child.tag == f"{{{CAMUNDA}}}properties":
            continue
        place = above if _only_wraps(child) else f"{above}/{_local(child)}".strip("/")
        for name, value in _of_part(child, place):
            counted[name] = counted.get(name, 0) + 1
            yield (name if counted[name] == 1 else f"{name} {counted[name]}"), value
        waiting += [(inner, place) for inner in reversed(child)]


def _only_wraps(part: etree._Element) -> bool:
    return _local(part) == "extensionElements" or _local(part).endswith(("EventDefinition", "LoopCharacteristics"))


def _of_part(part: etree._Element, place: str) -> Iterator[tuple[str, str]]:
    if _only_wraps(part) and _local(part) != "extensionElements":
        # A marker or a definition says something by being there.
        yield _local(part), "true"
    if part.tag == f"{{{CAMUNDA}}}in":
        yield f"in {part.get('target', '')}", part.get("sourceExpression") or part.get("source") or ""
        return
    if text := (part.text or "").strip():
        yield place, text
    for key, value in _attributes(part):
        if _means_something(key, value):
            yield f"{place} {_named(key)}".strip(), value


def _means_something(attribute: str, value: str) -> bool:
    return attribute != "id" and not attribute.endswith("}type") and (attribute, value) not in _DEFAULTS


def _attributes(element: etree._Element) -> list[tuple[str, str]]:
    return [(str(key), str(value)) for key, value in element.attrib.items()]


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _named(attribute: str) -> str:
    name = etree.QName(attribute)
    if name.namespace is None:
        return name.localname
    return f"camunda:{name.localname}" if name.namespace == CAMUNDA else f"{{{name.namespace}}}{name.localname}"


def _plain(text: str) -> str:
    return " ".join(text.split())


# --- drawing ----------------------------------------------------------------------------------------------------------


def _moved(before: etree._Element, after: etree._Element) -> Iterator[Difference]:
    old, new, elements = _shapes(before), _shapes(after), _read(after)
    for identity, element in elements.items():
        if identity in new and identity in old and new[identity] != old[identity]:
            yield _whole("moved", element)


def _shapes(root: etree._Element) -> dict[str, list[list[tuple[str, str]]]]:
    """Where each element is drawn: its corners and points."""
    return {
        drawn.get("bpmnElement", ""): [_attributes(point) for point in drawn.iter() if "x" in point.attrib]
        for drawn in root.iter(f"{{{_DI}}}BPMNShape", f"{{{_DI}}}BPMNEdge")
    }


# --- forms and decisions ----------------------------------------------------------------------------------------------


def _forms(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> Iterator[Difference]:
    for key in dict.fromkeys([*after, *before]):
        form = _Element(id=key, name=key, type="form", properties={})
        if key not in before:
            yield _whole("added", form)
        elif key not in after:
            yield _whole("removed", form)
        else:
            old, new = dict(_fields(before[key])), dict(_fields(after[key]))
            yield from _changes(
                _Element(id=key, name=key, type="form", properties=old),
                _Element(id=key, name=key, type="form", properties=new),
            )


def _fields(form: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every part of a form as text: `field <path>` for what asks something, `text <number>` for what does not."""
    waiting: list[tuple[Any, str]] = [(part, "") for part in reversed(_parts(form))]
    texts = 0
    while waiting:
        part, above = waiting.pop()
        if not isinstance(part, Mapping):
            continue
        key = str(part.get("key") or part.get("path") or "")
        if not key and part.get("type") != "group":
            texts += 1
        place = f"{above}/{key}".strip("/")
        yield f"field {place}" if key else f"text {texts}", _as_text(part)
        waiting += [(inner, place) for inner in reversed(_parts(part))]
    for name, value in form.items():
        if name not in ("components", "id", "type", "schemaVersion"):
            yield name, str(value)


def _parts(whole: Mapping[str, Any]) -> list[Any]:
    parts = whole.get("components")
    return parts if isinstance(parts, list) else []


def _as_text(part: Mapping[str, Any]) -> str:
    """A form's part as `label (type), further: value`."""
    head = f"{part.get('label') or part.get('text') or part.get('key') or ''} ({part.get('type', '')})"
    further = [f"{k}: {v}" for k, v in part.items() if k not in ("label", "text", "key", "type", "components", "path")]
    return ", ".join([_plain(head), *further])


def _decisions(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for key in dict.fromkeys([*after, *before]):
        decision = _Element(id=key, name=key, type="decision", properties={})
        if key not in before or key not in after:
            yield _whole("removed" if key in before else "added", decision)
        elif before[key] != after[key]:
            old, new = before[key].splitlines(), after[key].splitlines()
            yield _difference(decision, "content", _only(old, new), _only(new, old))


def _only(lines: list[str], others: list[str]) -> str:
    known = {line.strip() for line in others}
    return "\n".join(line.strip() for line in lines if line.strip() not in known)
