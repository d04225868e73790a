"""What events wait for or throw, read from a model's XML."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from lxml import etree

from engine.bpmn.timers import TimerKind

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
CAMUNDA = "http://camunda.org/schema/1.0/bpmn"
_SUFFIX = "EventDefinition"
#: Attribute of an event definition -> the element it refers to, and the attribute that names it.
_REFERENCES = {
    "messageRef": ("message", "name"),
    "signalRef": ("signal", "name"),
    "errorRef": ("error", "errorCode"),
    "escalationRef": ("escalation", "escalationCode"),
}


def _tag(name: str) -> str:
    return f"{{{BPMN}}}{name}"


@dataclass(frozen=True, kw_only=True)
class EventDefinition:
    """What one event waits for or throws."""

    #: none, timer, message, signal, error, escalation, conditional, link, terminate, cancel, compensate or multiple.
    kind: str
    #: Name of the message, signal or link, code of the error or escalation; may be `${…}`. Empty catches any.
    name: str = ""
    #: timeDate, timeDuration or timeCycle, and what stands in it.
    timer_kind: TimerKind = "timeDate"
    timer: str = ""
    condition: str = ""
    #: Expression whose value tells whose message it is.
    correlation: str = ""
    #: Variables that get the code of the error or escalation that is caught, and the error's message.
    code_variable: str = ""
    message_variable: str = ""

    @property
    def is_own_due_date(self) -> bool:
        """Does a boundary timer wait for the due date of the task it sits on?"""
        return self.kind == "timer" and is_own_due_date(self.timer)


def is_own_due_date(expression: str | None) -> bool:
    """Does a boundary timer wait for the due date of the task it sits on?"""
    return (expression or "").strip().removeprefix("${").removesuffix("}").strip() == "due"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What a file declares beside its processes: names of messages, signals, errors, escalations, and correlations."""

    names: Mapping[str, str]
    #: Message id -> expressions that tell whose message it is, from the sender's and the receiver's side.
    sent_key: Mapping[str, str]
    received_key: Mapping[str, str]


def vocabulary(root: etree._Element) -> Vocabulary:
    """What the file declares for all its processes."""
    names: dict[str, str] = {}
    for kind, attribute in _REFERENCES.values():
        for element in root.findall(_tag(kind)):
            names[element.get("id", "")] = element.get(attribute) or element.get("name") or element.get("id") or ""
    sent: dict[str, list[str]] = {}
    received: dict[str, list[str]] = {}
    bound = {
        _local(binding.get("correlationPropertyRef", "")): (binding.findtext(_tag("dataPath")) or "").strip()
        for binding in root.iter(_tag("correlationPropertyBinding"))
    }
    for declared in root.findall(_tag("correlationProperty")):
        for retrieval in declared.findall(_tag("correlationPropertyRetrievalExpression")):
            message = _local(retrieval.get("messageRef", ""))
            path = (retrieval.findtext(_tag("messagePath")) or "").strip()
            sent.setdefault(message, []).append(path)
            received.setdefault(message, []).append(bound.get(declared.get("id", "")) or path)
    return Vocabulary(names=names, sent_key=_joined(sent), received_key=_joined(received))


def _joined(paths: Mapping[str, list[str]]) -> dict[str, str]:
    return {m: p[0] if len(p) == 1 else "[" + ", ".join(map(bare, p)) + "]" for m, p in paths.items() if p and p[0]}


def bare(expression: str) -> str:
    """The expression without `${…}` around it."""
    text = expression.strip()
    return text[2:-1].strip() if text.startswith("${") and text.endswith("}") else text


def _local(reference: str) -> str:
    """The id in a reference, which modelers may write with a prefix."""
    return reference.rpartition(":")[2]


def definitions_in(event: etree._Element) -> list[etree._Element]:
    """The event definitions that stand in an event."""
    return [
        child for child in event
        if isinstance(child.tag, str) and child.tag.startswith(f"{{{BPMN}}}") and child.tag.endswith(_SUFFIX)
    ]  # fmt: skip


def dangling_reference(element: etree._Element, declared: Vocabulary) -> str | None:
    """What an event definition, send or receive task refers to, where the file declares nothing by that id."""
    references = (element.get(attribute) for attribute in _REFERENCES)
    return next((r for r in references if r and _local(r) not in declared.names), None)


def definition_of(
    event: etree._Element, declared: Vocabulary, *, throws: bool, correlation: str = ""
) -> EventDefinition:
    """What an event, send task or receive task waits for or throws."""
    if etree.QName(event).localname in ("sendTask", "receiveTask"):
        return _message(event, declared, throws, correlation)
    found = definitions_in(event)
    if not found:
        return EventDefinition(kind="none")
    if len(found) > 1:
        return EventDefinition(kind="multiple")
    element = found[0]
    kind = etree.QName(element).localname.removesuffix(_SUFFIX)
    if kind == "message":
        return _message(element, declared, throws, correlation)
    if kind == "timer":
        return _timer(element)
    if kind == "conditional":
        return EventDefinition(kind=kind, condition=(element.findtext(_tag("condition")) or "").strip())
    if kind == "link":
        return EventDefinition(kind=kind, name=(element.get("name") or event.get("name") or "").strip())
    code = element.get(f"{{{CAMUNDA}}}{kind}CodeVariable", "")
    message = element.get(f"{{{CAMUNDA}}}errorMessageVariable", "")
    return EventDefinition(kind=kind, name=_name(element, declared), code_variable=code, message_variable=message)


def _name(element: etree._Element, declared: Vocabulary) -> str:
    for attribute in _REFERENCES:
        if reference := element.get(attribute):
            return declared.names.get(_local(reference), "")
    return ""


def _message(element: etree._Element, declared: Vocabulary, throws: bool, correlation: str) -> EventDefinition:
    keys = declared.sent_key if throws else declared.received_key
    key = correlation or keys.get(_local(element.get("messageRef", "")), "")
    return EventDefinition(kind="message", name=_name(element, declared), correlation=key)


def _timer(element: etree._Element) -> EventDefinition:
    for child in element:
        if isinstance(child.tag, str) and etree.QName(child).localname in ("timeDate", "timeDuration", "timeCycle"):
            kind = cast(TimerKind, etree.QName(child).localname)
            return EventDefinition(kind="timer", timer_kind=kind, timer=(child.text or "").strip())
    return EventDefinition(kind="timer")
