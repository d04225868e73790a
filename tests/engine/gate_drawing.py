"""Models drawn to try one thing at the import gate."""

from typing import Any

from engine.deployments import Source, check
from engine.errors import Finding
from tests.engine.drawing import event, extended, model, node, scope, task
from tests.engine.lab import FORM

#: What is drawn, the rule that refuses it, and the element that the finding names.
Refused = dict[str, tuple[bytes, str, str | None]]
ASK = task("ask", 'camunda:dueDate="${meeting}"')


#: The decision `d`.
DECISION = (
    '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="f" name="f" namespace="n">'
    '<decision id="d" name="d"><literalExpression><text>1</text></literalExpression></decision></definitions>'
)


def findings(*models: bytes) -> list[Finding]:
    drawn = [Source(xml=xml, forms={"svar": FORM}, decisions={"d": DECISION}) for xml in models]
    return [f for _, found in check(drawn) for f in found if f.severity == "error"]


def alone(xml: str, flows: str = "start>it it>end", **given: Any) -> bytes:
    return model(flows, xml, **given)


def replaced(old: str, new: str, base: bytes | None = None) -> bytes:
    text = (base or model("start>ask ask>end", ASK)).decode()
    assert old in text
    return text.replace(old, new).encode()


def beginning(definition: str, inner: str = "", attributes: str = "") -> bytes:
    """A model that begins with an event."""
    return model("it>ask ask>end", ASK, start=event("startEvent", definition, inner, attributes), declared=DECLARED)


def attached(definition: str, to: str = ASK, inner: str = "", attributes: str = "") -> bytes:
    """A model with a boundary event on an element whose id is `ask`."""
    drawn = event("boundaryEvent", definition, inner, f'attachedToRef="ask" {attributes}')
    return model("start>ask ask>end it>end2", to, drawn, declared=DECLARED)


def ending(definition: str, inner: str = "", attributes: str = "") -> bytes:
    return model("start>ask ask>it", ASK, event("endEvent", definition, inner, attributes), declared=DECLARED)


def inside(flows: str, *nodes: str, **given: str) -> bytes:
    return alone(scope(flows, *nodes, **given), declared=DECLARED)


def listening(*nodes: str, flows: str = "in>out", attributes: str = "", **given: str) -> bytes:
    """A model with an event sub-process beside its task."""
    drawn = scope(flows, *nodes, node("endEvent", "out"), attributes=f'triggeredByEvent="true" {attributes}', **given)
    return model("start>ask ask>end", ASK, drawn, declared=DECLARED)


def mapped(parameter: str, kind: str = "task", attributes: str = "") -> bytes:
    return alone(extended(kind, f"<camunda:inputOutput>{parameter}</camunda:inputOutput>", attributes=attributes))


def listener(inner: str, attributes: str = 'event="start"') -> bytes:
    return alone(extended("task", f"<camunda:executionListener {attributes}>{inner}</camunda:executionListener>"))


DECLARED = (
    '<bpmn:message id="m" name="Svar"/><bpmn:signal id="s" name="Varsel"/>'
    '<bpmn:error id="e" errorCode="feil"/><bpmn:escalation id="x" escalationCode="opp"/>'
)
START, END = '<bpmn:startEvent id="start"/>', '<bpmn:endEvent id="end"/>'
DATE = "<bpmn:timeDate>2026-05-18</bpmn:timeDate>"
INSIDE = (node("startEvent", "in"), node("endEvent", "out"))
BEGUN = event("startEvent", "message", attributes='|messageRef="m"', identity="in")
CHOICE = {"g>ask": "${utfall == 1}", "g>end": "${utfall == 2}"}
FORKED = "start>g g>ask g>end ask>end"
SCRIPT = '<camunda:script scriptFormat="avtaleflyt">a = 1</camunda:script>'


def assert_refused(drawn: tuple[bytes, str, str | None]) -> None:
    """The gate refuses it by that rule, at the line of that element, with a remedy."""
    xml, rule, where = drawn
    found = [f for f in findings(xml) if (f.rule, f.element) == (rule, where)]
    assert found, findings(xml)
    lines = xml.decode().splitlines()
    for finding in found:
        assert finding.message
        assert finding.remedy
        assert finding.line is not None
        assert where is None or f"{where}" in lines[finding.line - 1]
