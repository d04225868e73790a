"""The import gate: flows, gateways and tasks that do not run are refused."""

import pytest

from tests.engine.drawing import (
    call,
    event,
    extended,
    gateway,
    model,
    node,
    several,
    sub_process,
    task,
)  # fmt: skip
from tests.engine.gate_drawing import (
    ASK,
    CHOICE,
    DATE,
    DECLARED,
    FORKED,
    SCRIPT,
    Refused,
    alone,
    assert_refused,
    listener,
    mapped,
    replaced,
)  # fmt: skip

FLOWS = {
    "a flow without condition": (model(FORKED, gateway("g", "end"), ASK), "condition", "g_ask"),
    "a condition on a default flow": (model(FORKED, gateway("g", "end"), ASK, conditions=CHOICE), "condition", "g_end"),
    "a default that is not there": (
        replaced('default="g_end"', 'default="g_nowhere"', model(FORKED, gateway("g", "end"), ASK, conditions=CHOICE)),
        "default", "g",
    ),
    "a condition after a parallel gateway": (
        model(FORKED, gateway("g", kind="parallel"), ASK, conditions={"g>ask": "${a}"}), "condition", "g_ask",
    ),
    "a condition after an event": (
        model("start>ask ask>end", ASK, conditions={"start>ask": "${a}"}), "condition", "start_ask",
    ),
    "a flow to nowhere": (replaced('targetRef="end"', 'targetRef="nowhere"'), "flow", "ask_end"),
    "a flow into a sub-process": (
        model("start>ask s>end", sub_process("s", "ask")), "flow", "start_ask",
    ),
    "a flow without id": (replaced('id="ask_end"', ""), "id", None),
    "a flow to a start": (model("start>ask ask>start", ASK), "flow", "start"),
    "a flow out of an end": (model("start>ask ask>end end>ask", ASK), "flow", "end"),
    "an event gateway before a task": (
        model("start>it it>ask ask>end", node("eventBasedGateway"), ASK), "event", "ask",
    ),
    "an event gateway before a loop": (
        model("start>it it>r r>end", node("eventBasedGateway"),
              node("receiveTask", "r", '<bpmn:standardLoopCharacteristics loopMaximum="2"/>', 'messageRef="m"'),
              declared=DECLARED),
        "event", "r",
    ),
    "another way to an event": (
        model("start>p p>it p>a it>a a>end", gateway("p", kind="parallel"), node("eventBasedGateway"),
              event("intermediateCatchEvent", "timer", DATE, identity="a")),
        "flow", "a",
    ),
    "an event gateway before nothing": (model("start>it", node("eventBasedGateway")), "flow", "it"),
}  # fmt: skip

TASKS = {
    "a form that is not there": (model("start>ask ask>end", task("ask", 'camunda:formKey="mangler"')), "form", "ask"),
    "a form by name that is not there": (
        model("start>ask ask>end", task("ask", properties={"form": "mangler"})), "form", "ask",
    ),
    "a start form that is not there": (
        replaced('id="start"', 'id="start" camunda:formKey="mangler"'), "form", "start",
    ),
    "a task for nobody": (replaced("<bpmn:flowNodeRef>ask</bpmn:flowNodeRef>", ""), "performer", "ask"),
    "a performer of the standard": (
        model("start>ask ask>end", task("ask", inner="<bpmn:potentialOwner/>")), "performer", "ask",
    ),
    "several groups": (model("start>ask ask>end", task("ask", 'camunda:candidateGroups="a, b"')), "group", "ask"),
    "a call of what is not deployed": (model("start>c c>end", call("c", "mangler")), "call", "c"),
    "a call of itself": (model("start>c c>end", call("c", "prove")), "call", "c"),
    "a call of another version": (
        replaced('calledElement="prove2"', 'calledElement="prove2" camunda:calledElementBinding="version"',
                 model("start>c c>end", call("c", "prove2"))),
        "extension", "c",
    ),
    "a mapping without target": (
        alone(extended("callActivity", '<camunda:in source="a"/>', attributes='calledElement="x"')), "mapping", "it",
    ),
    "all and some come back": (
        alone(extended("callActivity", '<camunda:out variables="all"/><camunda:out source="a" target="b"/>',
                       attributes='calledElement="x"')),
        "mapping", "it",
    ),
    "a service without function": (alone(node("serviceTask")), "service", "it"),
    "a service of a class": (alone(node("serviceTask", attributes='camunda:class="no.Klasse"')), "extension", "it"),
    "a service of a bean": (
        alone(node("serviceTask", attributes='camunda:delegateExpression="${bean}"')), "extension", "it",
    ),
    "a topic that is not external": (alone(node("serviceTask", attributes='camunda:topic="t"')), "service", "it"),
    "a connector": (alone(extended("serviceTask", "<camunda:connector/>")), "extension", "it"),
    "a script task without script": (alone(node("scriptTask")), "script", "it"),
    "a script in another language": (
        alone(node("scriptTask", inner="<bpmn:script>a = 1</bpmn:script>", attributes='scriptFormat="groovy"')),
        "script", "it",
    ),
    "a rule without decision": (alone(node("businessRuleTask")), "decision", "it"),
    "a decision by expression": (
        alone(node("businessRuleTask", attributes='camunda:decisionRef="${valg}"')), "decision", "it",
    ),
    "all that a decision says": (
        alone(node("businessRuleTask",
                   attributes='camunda:decisionRef="d" camunda:mapDecisionResult="collectEntries"')),
        "decision", "it",
    ),
    "a message sent by a class": (
        alone(node("sendTask", attributes='messageRef="m" camunda:class="no.Klasse"'), declared=DECLARED),
        "extension", "it",
    ),
    "a list of values": (
        mapped('<camunda:inputParameter name="a"><camunda:list/></camunda:inputParameter>'), "mapping", "it",
    ),
    "a parameter without name": (mapped("<camunda:inputParameter>${1}</camunda:inputParameter>"), "mapping", "it"),
    "a parameter without value": (mapped('<camunda:outputParameter name="a"/>'), "mapping", "it"),
    "a listener of a class": (listener("", 'event="start" class="no.Klasse"'), "listener", "it"),
    "a listener of a file": (listener('<camunda:script resource="a.py"/>'), "listener", "it"),
    "a listener on a flow": (listener(SCRIPT, 'event="take"'), "listener", "it"),
    "a listener in another language": (listener(SCRIPT.replace("avtaleflyt", "groovy")), "script", "it"),
    "a listener of the process": (
        replaced('"true">\n<bpmn:laneSet',
                 f'"true"><bpmn:extensionElements><camunda:executionListener event="start">{SCRIPT}'
                 "</camunda:executionListener></bpmn:extensionElements><bpmn:laneSet"),
        "extension", "prove",
    ),
    "a listener of a task": (
        model("start>it it>end", extended("userTask", "<camunda:taskListener/>")), "extension", "it",
    ),
    "a form in the model": (
        model("start>it it>end", extended("userTask", "<camunda:formData/>")), "extension", "it",
    ),
    "data that is assigned": (
        alone(node("task", inner="<bpmn:dataInputAssociation><bpmn:assignment/></bpmn:dataInputAssociation>")),
        "mapping", "it",
    ),
    "a loop without end": (
        model("start>ask ask>end", task("ask", inner="<bpmn:standardLoopCharacteristics/>")), "loop", "ask",
    ),
    "a loop of so many": (
        model("start>ask ask>end", task("ask", inner='<bpmn:standardLoopCharacteristics loopMaximum="mange"/>')),
        "loop", "ask",
    ),
    "two markers": (
        model("start>ask ask>end",
              task("ask", inner='<bpmn:standardLoopCharacteristics loopMaximum="2"/>' + several())),
        "multi", "ask",
    ),
    "several of nobody": (model("start>ask ask>end", task("ask", inner=several(""))), "multi", "ask"),
    "several of nothing": (alone(node("task", inner=several(""))), "multi", "it"),
    "a result without item": (
        alone(node("task", inner=several().replace("</", "<bpmn:loopDataOutputRef>a</bpmn:loopDataOutputRef></", 1))),
        "multi", "it",
    ),
    "answers in a list": (
        model("start>ask ask>end", task("ask", inner=several().replace(
            "</", '<bpmn:loopDataOutputRef>a</bpmn:loopDataOutputRef><bpmn:outputDataItem id="b"/></', 1))),
        "multi", "ask",
    ),
    "several that throw": (
        alone(node("task", inner=several().replace("isSequential", 'behavior="One" isSequential'))), "multi", "it",
    ),
}  # fmt: skip

REFUSED: Refused = {**FLOWS, **TASKS}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_run_is_refused(name: str) -> None:
    assert_refused(REFUSED[name])
