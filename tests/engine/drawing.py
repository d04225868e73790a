"""Models drawn in a few lines, with the least that makes them deployable."""

import re
from collections.abc import Mapping

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
                  xmlns:camunda="http://camunda.org/schema/1.0/bpmn" id="d" targetNamespace="t">
"""
#: Every lane's people, unless a test binds the role otherwise.
LANE = "alle"


def task(identity: str, attributes: str = "", inner: str = "", properties: Mapping[str, str] | None = None) -> str:
    """A user task; `attributes` as in the file, such as `camunda:dueDate="${meeting}"`."""
    listed = "".join(f'<camunda:property name="{k}" value="{v}"/>' for k, v in (properties or {}).items())
    extension = f"<bpmn:extensionElements><camunda:properties>{listed}</camunda:properties></bpmn:extensionElements>"
    inside = (extension if listed else "") + inner
    return f'<bpmn:userTask id="{identity}" name="{identity}" {attributes}>{inside}</bpmn:userTask>'


def several(collection: str = "${items}", item: str = "item", *, sequential: bool = False, condition: str = "") -> str:
    """The marker that asks several."""
    inner = f"<bpmn:completionCondition>{condition}</bpmn:completionCondition>" if condition else ""
    return (
        f'<bpmn:multiInstanceLoopCharacteristics isSequential="{str(sequential).lower()}" '
        f'camunda:collection="{collection}" camunda:elementVariable="{item}">'
        f"{inner}</bpmn:multiInstanceLoopCharacteristics>"
    )


def timer(identity: str, moment: str) -> str:
    """A timer between two elements."""
    return f'<bpmn:intermediateCatchEvent id="{identity}">{_date(moment)}</bpmn:intermediateCatchEvent>'


def closes(identity: str, host: str, moment: str = "${due}") -> str:
    """The boundary timer that closes a user task."""
    return f'<bpmn:boundaryEvent id="{identity}" attachedToRef="{host}">{_date(moment)}</bpmn:boundaryEvent>'


def _date(moment: str) -> str:
    return f"<bpmn:timerEventDefinition><bpmn:timeDate>{moment}</bpmn:timeDate></bpmn:timerEventDefinition>"


def gateway(identity: str, default: str = "", kind: str = "exclusive") -> str:
    """A gateway; `default` is the target of its default flow."""
    chosen = f' default="{identity}_{default}"' if default else ""
    return f'<bpmn:{kind}Gateway id="{identity}"{chosen}/>'


def call(identity: str, called: str, **bound: str) -> str:
    """A call activity that binds names for the called process."""
    inner = "".join(f'<camunda:in sourceExpression="{source}" target="{target}"/>' for target, source in bound.items())
    extension = f"<bpmn:extensionElements>{inner}</bpmn:extensionElements>" if inner else ""
    return f'<bpmn:callActivity id="{identity}" calledElement="{called}">{extension}</bpmn:callActivity>'


def sub_process(identity: str, element: str) -> str:
    """An embedded sub-process around one user task."""
    return (
        f'<bpmn:subProcess id="{identity}"><bpmn:startEvent id="in"/>{task(element)}<bpmn:endEvent id="out"/>'
        f"{_flow(f'in>{element}', None)}{_flow(f'{element}>out', None)}</bpmn:subProcess>"
    )


def node(kind: str, identity: str = "it", inner: str = "", attributes: str = "") -> str:
    """Any element of a process."""
    return f'<bpmn:{kind} id="{identity}" {attributes}>{inner}</bpmn:{kind}>'


def event(kind: str, definition: str, inner: str = "", attributes: str = "", identity: str = "it") -> str:
    """An event with a definition, such as `timer` or `message`; `attributes` are the definition's after a `|`."""
    own, _, of_definition = attributes.partition("|")
    defined = f"<bpmn:{definition}EventDefinition {of_definition}>{inner}</bpmn:{definition}EventDefinition>"
    return node(kind, identity, defined, own)


def extended(kind: str, extension: str, inner: str = "", attributes: str = "", identity: str = "it") -> str:
    """An element with extension elements."""
    return node(kind, identity, f"<bpmn:extensionElements>{extension}</bpmn:extensionElements>{inner}", attributes)


def scope(flows: str, *nodes: str, kind: str = "subProcess", identity: str = "it", attributes: str = "") -> str:
    """A sub-process with what is in it; its flows read as the model's."""
    drawn = "".join(_flow(flow, None) for flow in flows.split())
    return node(kind, identity, "".join(nodes) + drawn, attributes)


def model(
    flows: str,
    *nodes: str,
    process: str = "prove",
    conditions: Mapping[str, str] | None = None,
    declared: str = "",
    start: str = '<bpmn:startEvent id="start"/>',
) -> bytes:
    """A model whose flows read `start>ask ask>end`; a condition is named by its flow.

    `declared` stands beside the process: messages, signals, errors.
    """
    body = "".join(nodes)
    tasks = "".join(
        f"<bpmn:flowNodeRef>{i}</bpmn:flowNodeRef>" for i in re.findall(r'(?:user|manual)Task id="(\w+)"', body)
    )
    lanes = f'<bpmn:laneSet id="lanes"><bpmn:lane id="{LANE}" name="Alle">{tasks}</bpmn:lane></bpmn:laneSet>'
    drawn = "".join(_flow(flow, (conditions or {}).get(flow)) for flow in flows.split())
    ends = "".join(f'<bpmn:endEvent id="{i}"/>' for i in dict.fromkeys(re.findall(r">(end\w*)", flows)))
    text = (
        f'{_HEAD}{declared}<bpmn:process id="{process}" name="{process}" isExecutable="true">\n{lanes}\n'
        f"{start}{ends}\n{body}\n{drawn}\n</bpmn:process></bpmn:definitions>"
    )
    return text.encode()


def _flow(flow: str, condition: str | None) -> str:
    source, target = flow.split(">")
    inner = f"<bpmn:conditionExpression>{condition}</bpmn:conditionExpression>" if condition else ""
    ends = f'sourceRef="{source}" targetRef="{target}"'
    return f'\n<bpmn:sequenceFlow id="{source}_{target}" {ends}>{inner}</bpmn:sequenceFlow>'
