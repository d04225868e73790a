"""Every place of a model that holds an expression or a script: what the gate checks, and what names the model reads."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lxml import etree

from engine.bpmn import timers
from engine.bpmn.documents import BPMN, CAMUNDA, NS, local_name, properties_of, tag
from engine.bpmn.event_definitions import EventDefinition, Vocabulary, bare, definition_of, vocabulary
from engine.bpmn.expressions import ExpressionError, parse
from engine.bpmn.scripts import parse_script

#: An expression is always evaluated; a name only where it is `${…}`, else it is what it says; a script has statements.
Kind = Literal["expression", "name", "script"]

#: Elements that throw or catch, and whether they throw.
EVENTS: Mapping[str, bool] = {
    "startEvent": False, "intermediateCatchEvent": False, "boundaryEvent": False, "receiveTask": False,
    "endEvent": True, "intermediateThrowEvent": True, "sendTask": True,
}  # fmt: skip
_PEOPLE = ("userTask", "manualTask")


@dataclass(frozen=True, kw_only=True)
class ExpressionPlace:
    """One place: the element it belongs to, what the place is called, and what stands there."""

    element: etree._Element
    place: str
    source: str
    kind: Kind

    @property
    def is_evaluated(self) -> bool:
        """Is anything computed here, rather than taken as it is written?"""
        return self.kind != "name" or "${" in self.source

    def names(self) -> frozenset[str]:
        """The names read here. Raises ExpressionError, with column, for what is not in the language."""
        if not self.is_evaluated:
            return frozenset()
        if self.kind == "script":
            return parse_script(self.source).names_read
        return parse(self.source).names

    def names_set(self) -> frozenset[str]:
        """The names that a script sets. Raises ExpressionError."""
        return parse_script(self.source).names_set if self.kind == "script" else frozenset()


def expressions_of(process: etree._Element) -> Iterator[ExpressionPlace]:
    """Every place of a process that holds an expression, a script, or a name that may be an expression."""
    declared = vocabulary(process.getroottree().getroot())
    for element in process.iter(f"{{{BPMN}}}*"):
        kind = local_name(element)
        if kind in EVENTS:
            yield from _event(element, declared, throws=EVENTS[kind])
        if kind in _READERS:
            yield from _READERS[kind](element)
        extension = element.find("bpmn:extensionElements", NS)
        if extension is not None:
            yield from _mappings(element, extension)


def names_read(process: etree._Element) -> Iterator[str]:
    """The names that the process's expressions read; what is not valid, lint reports with its place."""
    for place in expressions_of(process):
        try:
            yield from place.names()
        except ExpressionError:
            continue


def event_definition(event: etree._Element, declared: Vocabulary) -> EventDefinition:
    """What an event, send or receive task waits for or throws, with its correlation."""
    correlation = properties_of(event).get("correlationKey", "")
    return definition_of(event, declared, throws=EVENTS[local_name(event)], correlation=correlation)


def _event(event: etree._Element, declared: Vocabulary, *, throws: bool) -> Iterator[ExpressionPlace]:
    definition = event_definition(event, declared)
    if definition.kind == "timer" and not timers.literal(definition.timer):
        yield from _one(event, definition.timer_kind, definition.timer)
    if definition.kind == "conditional":
        yield from _one(event, "condition", definition.condition)
    if definition.kind in ("message", "signal", "error", "escalation"):
        yield from _one(event, f"{definition.kind} name", definition.name, "name")
    if definition.correlation:
        yield from _one(event, "correlation", bare(definition.correlation))


def _one(
    element: etree._Element, place: str, source: str | None, kind: Kind = "expression"
) -> Iterator[ExpressionPlace]:
    if source and source.strip():
        yield ExpressionPlace(element=element, place=place, source=source, kind=kind)


def _attribute(element: etree._Element, name: str, kind: Kind = "expression") -> Iterator[ExpressionPlace]:
    yield from _one(element, f"camunda:{name}", element.get(f"{{{CAMUNDA}}}{name}"), kind)


def _child(host: etree._Element, parent: etree._Element, name: str) -> Iterator[ExpressionPlace]:
    yield from _one(host, name, parent.findtext(tag(name)))


# --- one reader per kind of element -----------------------------------------------------------------------------------


def _people(task: etree._Element) -> Iterator[ExpressionPlace]:
    for name in ("dueDate", "followUpDate"):
        yield from _attribute(task, name)
    for name in ("assignee", "candidateGroups", "priority"):
        yield from _attribute(task, name, "name")
    properties = properties_of(task)
    for name in ("approver", "title", "form"):
        yield from _one(task, f"property {name}", properties.get(name), "name")


def _flow(flow: etree._Element) -> Iterator[ExpressionPlace]:
    yield from _child(flow, flow, "conditionExpression")


def _loop(marker: etree._Element) -> Iterator[ExpressionPlace]:
    yield from _child(_host(marker), marker, "loopCondition")


def _several(marker: etree._Element) -> Iterator[ExpressionPlace]:
    host = _host(marker)
    yield from _one(host, "camunda:collection", marker.get(f"{{{CAMUNDA}}}collection"))
    for name in ("loopDataInputRef", "loopCardinality", "completionCondition"):
        yield from _child(host, marker, name)
    item = marker.find(tag("outputDataItem"))
    if item is not None:
        yield from _one(host, "outputDataItem", item.get("name") or item.get("id"))


def _host(marker: etree._Element) -> etree._Element:
    host = marker.getparent()
    return marker if host is None else host


def _service(task: etree._Element) -> Iterator[ExpressionPlace]:
    yield from _attribute(task, "expression")


def _script(task: etree._Element) -> Iterator[ExpressionPlace]:
    yield from _one(task, "script", task.findtext(tag("script")), "script")


def _call(call: etree._Element) -> Iterator[ExpressionPlace]:
    for name in ("in", "out"):
        for mapping in call.findall(f"bpmn:extensionElements/camunda:{name}", NS):
            if mapping.get("target"):
                source = mapping.get("sourceExpression") or mapping.get("source")
                yield from _one(call, f"camunda:{name}", source)


def _mappings(element: etree._Element, extension: etree._Element) -> Iterator[ExpressionPlace]:
    for name in ("inputParameter", "outputParameter"):
        for parameter in extension.findall(f"camunda:inputOutput/camunda:{name}", NS):
            yield from _one(element, f"camunda:{name}", parameter.text, "name")
    for script in extension.findall("camunda:executionListener/camunda:script", NS):
        yield from _one(element, "camunda:executionListener", script.text, "script")


_READERS: Mapping[str, Callable[[etree._Element], Iterator[ExpressionPlace]]] = {
    **dict.fromkeys(_PEOPLE, _people),
    "sequenceFlow": _flow,
    "standardLoopCharacteristics": _loop,
    "multiInstanceLoopCharacteristics": _several,
    "serviceTask": _service,
    "scriptTask": _script,
    "callActivity": _call,
}
