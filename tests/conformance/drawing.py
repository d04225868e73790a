"""Models in a few lines: flows as text, nodes by their names, events and markers as fragments.

A node that is only named in the flows is drawn by the beginning of its name: `start` and `end` events, `xor`, `and`,
`or` and `race` gateways; anything else is a user task. `a=>b` is a default flow.
"""

import re
from collections.abc import Mapping

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:camunda="http://camunda.org/schema/1.0/bpmn" id="d" targetNamespace="t">\n'
)
#: What a name's beginning says.
_KINDS = {
    "start": "startEvent",
    "end": "endEvent",
    "xor": "exclusiveGateway",
    "and": "parallelGateway",
    "or": "inclusiveGateway",
    "race": "eventBasedGateway",
}
_PERFORMER = 'camunda:assignee="person0"'
_KIND = re.compile("(start|end|xor|and|or|race)[0-9A-Z_]*")
#: What events and throwing tasks refer to, with these names.
DECLARED = "".join(
    f'<bpmn:{kind} id="{kind}_{name}" name="{name}"{code.replace("?", name)}/>\n'
    for kind, code in (
        ("message", ""),
        ("signal", ""),
        ("error", ' errorCode="?"'),
        ("escalation", ' escalationCode="?"'),
    )
    for name in ("A", "B", "C")
)


def escaped(text: str) -> str:
    """The text as XML holds it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


# --- events -----------------------------------------------------------------------------------------------------------


def timer(text: str, kind: str = "timeDuration") -> str:
    """A timer definition."""
    return f"<bpmn:timerEventDefinition><bpmn:{kind}>{escaped(text)}</bpmn:{kind}></bpmn:timerEventDefinition>"


def refers(kind: str, name: str = "") -> str:
    """A message, signal, error or escalation definition; without a name it catches any."""
    reference = f' {kind}Ref="{kind}_{name}"' if name else ""
    return f"<bpmn:{kind}EventDefinition{reference}/>"


def condition(text: str) -> str:
    """A conditional event definition."""
    inner = f"<bpmn:condition>{escaped(text)}</bpmn:condition>"
    return f"<bpmn:conditionalEventDefinition>{inner}</bpmn:conditionalEventDefinition>"


def plain(kind: str, attributes: str = "") -> str:
    """A terminate, cancel, compensate or link definition."""
    return f"<bpmn:{kind}EventDefinition {attributes}/>"


def event(kind: str, identity: str, definition: str = "", attributes: str = "", extension: str = "") -> str:
    """An event such as `intermediateCatchEvent`."""
    inner = extended(extension) + definition
    return f'<bpmn:{kind} id="{identity}" name="{identity}" {attributes}>{inner}</bpmn:{kind}>'


def boundary(identity: str, host: str, definition: str, *, interrupting: bool = True, extension: str = "") -> str:
    """A boundary event."""
    attributes = f'attachedToRef="{host}" cancelActivity="{str(interrupting).lower()}"'
    return event("boundaryEvent", identity, definition, attributes, extension)


# --- activities -------------------------------------------------------------------------------------------------------


def extended(inner: str) -> str:
    """Extension elements, where there are any."""
    return f"<bpmn:extensionElements>{inner}</bpmn:extensionElements>" if inner else ""


def mapping(*, takes: Mapping[str, str] | None = None, gives: Mapping[str, str] | None = None) -> str:
    """Camunda's input and output parameters."""
    listed = [("input", n, e) for n, e in (takes or {}).items()] + [("output", n, e) for n, e in (gives or {}).items()]
    inner = "".join(f'<camunda:{k}Parameter name="{n}">{escaped(e)}</camunda:{k}Parameter>' for k, n, e in listed)
    return f"<camunda:inputOutput>{inner}</camunda:inputOutput>"


def listener(moment: str, script: str) -> str:
    """A script that runs before (`start`) or after (`end`) the element."""
    inner = f'<camunda:script scriptFormat="avtaleflyt">{escaped(script)}</camunda:script>'
    return f'<camunda:executionListener event="{moment}">{inner}</camunda:executionListener>'


def properties(**values: str) -> str:
    """Camunda's properties."""
    inner = "".join(f'<camunda:property name="{k}" value="{escaped(v)}"/>' for k, v in values.items())
    return f"<camunda:properties>{inner}</camunda:properties>"


def node(kind: str, identity: str, attributes: str = "", inner: str = "", extension: str = "") -> str:
    """Any element."""
    return f'<bpmn:{kind} id="{identity}" name="{identity}" {attributes}>{extended(extension)}{inner}</bpmn:{kind}>'


def user(identity: str, inner: str = "", extension: str = "") -> str:
    """A user task."""
    return node("userTask", identity, _PERFORMER, inner, extension)


def script(identity: str, text: str = "", inner: str = "", extension: str = "") -> str:
    """A script task; without a text it notes its name in `log`."""
    text = text or f"log = log + ['{identity}']"
    return node("scriptTask", identity, "", f"{inner}<bpmn:script>{escaped(text)}</bpmn:script>", extension)


def service(identity: str, topic: str = "topic", inner: str = "", extension: str = "") -> str:
    """A service task that asks for a registered function."""
    return node("serviceTask", identity, f'camunda:type="external" camunda:topic="{topic}"', inner, extension)


def messenger(kind: str, identity: str, name: str, inner: str = "", extension: str = "") -> str:
    """A send or receive task."""
    return node(kind, identity, f'messageRef="message_{name}"', inner, extension)


def call(identity: str, called: str, extension: str = "", inner: str = "") -> str:
    """A call activity."""
    return node("callActivity", identity, f'calledElement="{called}"', inner, extension)


def loop(text: str = "", *, before: bool = False, maximum: str = "") -> str:
    """A standard loop marker."""
    at_most = f' loopMaximum="{maximum}"' if maximum else ""
    inner = f"<bpmn:loopCondition>{escaped(text)}</bpmn:loopCondition>" if text else ""
    return (
        f'<bpmn:standardLoopCharacteristics testBefore="{str(before).lower()}"{at_most}>{inner}'
        "</bpmn:standardLoopCharacteristics>"
    )


def several(
    collection: str = "items", item: str = "item", *, sequential: bool = False, count: str = "", until: str = "",
    gives: tuple[str, str] | None = None,
) -> str:  # fmt: skip
    """A multi-instance marker; `gives` is the list and what each instance puts into it."""
    attributes = f'isSequential="{str(sequential).lower()}"'
    if not count:
        attributes += f' camunda:collection="${{{escaped(collection)}}}" camunda:elementVariable="{item}"'
    inner = f"<bpmn:loopCardinality>{escaped(count)}</bpmn:loopCardinality>" if count else ""
    if gives:
        inner += f"<bpmn:loopDataOutputRef>{gives[0]}</bpmn:loopDataOutputRef>"
        inner += f'<bpmn:outputDataItem id="{gives[0]}_item" name="{gives[1]}"/>'
    if until:
        inner += f"<bpmn:completionCondition>{escaped(until)}</bpmn:completionCondition>"
    return f"<bpmn:multiInstanceLoopCharacteristics {attributes}>{inner}</bpmn:multiInstanceLoopCharacteristics>"


# --- scopes -----------------------------------------------------------------------------------------------------------


def scope(flows: str, *nodes: str, conditions: Mapping[str, str] | None = None) -> str:
    """What stands inside a process or sub-process: nodes, those that only the flows name, and the flows."""
    drawn = "".join(nodes)
    pairs = [(*re.split("=?>", flow), "=>" in flow) for flow in flows.split()]
    defaults = {source: f"{source}_{target}" for source, target, default in pairs if default}
    there = set(re.findall(r' id="(\w+)"', drawn))
    named = dict.fromkeys(name for source, target, _ in pairs for name in (source, target))
    drawn += "".join(_by_name(name, defaults.get(name)) for name in named if name not in there)
    for source in defaults.keys() & there:
        drawn = drawn.replace(f' id="{source}" ', f' id="{source}" default="{defaults[source]}" ', 1)
    return drawn + "".join(_flow(s, t, (conditions or {}).get(f"{s}>{t}")) for s, t, _ in pairs)


def _by_name(name: str, default: str | None) -> str:
    match = _KIND.fullmatch(name)
    chosen = f'default="{default}"' if default else ""
    return node(_KINDS[match[1]], name, chosen) if match else node("userTask", name, f"{_PERFORMER} {chosen}")


def _flow(source: str, target: str, condition: str | None) -> str:
    inner = (
        f'<bpmn:conditionExpression xsi:type="bpmn:tFormalExpression">{escaped(condition)}</bpmn:conditionExpression>'
        if condition else ""
    )  # fmt: skip
    ends = f'sourceRef="{source}" targetRef="{target}"'
    return f'<bpmn:sequenceFlow id="{source}_{target}" {ends}>{inner}</bpmn:sequenceFlow>\n'


def sub_process(identity: str, inside: str, inner: str = "", extension: str = "", kind: str = "subProcess") -> str:
    """An embedded sub-process around what `scope` drew."""
    return node(kind, identity, "", inner + inside, extension)


def handler(
    identity: str, definition: str, flows: str, *nodes: str, interrupting: bool = True, extension: str = ""
) -> str:
    """An event sub-process; its start event is called `<identity>_start`, and the flows begin with `>`."""
    begin = event(
        "startEvent", f"{identity}_start", definition, f'isInterrupting="{str(interrupting).lower()}"', extension
    )
    inside = scope(re.sub(r"^>", f"{identity}_start>", flows), begin, *nodes)
    return node("subProcess", identity, 'triggeredByEvent="true"', inside)


def process(
    flows: str,
    *nodes: str,
    conditions: Mapping[str, str] | None = None,
    identity: str = "prove",
    declared: str = DECLARED,
) -> bytes:
    """A whole model with one process."""
    inside = scope(flows, *nodes, conditions=conditions)
    text = (
        f'{HEAD}{declared}<bpmn:process id="{identity}" name="{identity}" isExecutable="true">\n{inside}</bpmn:process>'
    )
    return f"{text}\n</bpmn:definitions>\n".encode()
