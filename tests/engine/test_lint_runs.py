"""The import gate lets through what runs: the standard's elements, and the project's own models."""

import pytest

from engine.bpmn.lint import RUNS
from engine.bpmn.parsing import _BUILDERS, compile_models
from engine.bpmn.reading import read
from engine.deployments import check
from tests.engine.drawing import (
    call,
    closes,
    event,
    gateway,
    model,
    node,
    scope,
    several,
    sub_process,
    task,
    timer,
)  # fmt: skip
from tests.engine.gate_drawing import (
    ASK,
    DATE,
    DECLARED,
    INSIDE,
    START,
    alone,
    attached,
    beginning,
    ending,
    findings,
    listening,
)  # fmt: skip
from tests.world import sources


def test_what_is_proven_is_let_through() -> None:
    drawn = model(
        "start>g g>ask g>later ask>end later>c c>s s>p p>a p>b a>j b>j j>end shut>end2",
        gateway("g", "ask"),
        ASK.replace("</bpmn:userTask>", several() + "</bpmn:userTask>"),
        closes("shut", "ask"),
        timer("later", "${meeting}"),
        call("c", "called", meeting="${ssu}"),
        scope("in>out", *INSIDE, identity="s"),
        gateway("p", kind="parallel"),
        gateway("j", kind="parallel"),
        task("a"),
        task("b"),
        conditions={"g>later": "${utfall == 'senere'}"},
    )
    assert findings(drawn, model("start>end", process="called")) == []


#: Every event in every place where the standard lets it stand, and every kind of element.
RUN: dict[str, bytes] = {
    **{kind: alone(node(kind)) for kind in ("task", "exclusiveGateway", "inclusiveGateway", "parallelGateway")},
    "manualTask": model("start>it it>end", node("manualTask")),
    "scriptTask": alone(node("scriptTask", inner="<bpmn:script>a = 1</bpmn:script>")),
    "serviceTask": alone(node("serviceTask", attributes='camunda:type="external" camunda:topic="regn"')),
    "service expression": alone(
        node("serviceTask", attributes='camunda:expression="${1 + 1}" camunda:resultVariable="sum"')
    ),
    "sendTask": alone(node("sendTask", attributes='messageRef="m"'), declared=DECLARED),
    "receiveTask": alone(node("receiveTask", attributes='messageRef="m"'), declared=DECLARED),
    "businessRuleTask": alone(node("businessRuleTask", attributes='camunda:decisionRef="d"')),
    "eventBasedGateway": model(
        "start>it it>a it>b it>c a>end b>end c>end", node("eventBasedGateway"),
        event("intermediateCatchEvent", "timer", DATE, identity="a"),
        event("intermediateCatchEvent", "timer", "<bpmn:timeDuration>PT1H</bpmn:timeDuration>", identity="b"),
        node("receiveTask", "c", attributes='messageRef="m"'), declared=DECLARED,
    ),
    **{f"{d} start": beginning(d, i, a) for d, i, a in (
        ("timer", "<bpmn:timeCycle>R/P1D</bpmn:timeCycle>", ""), ("message", "", '|messageRef="m"'),
        ("signal", "", '|signalRef="s"'),
    )},
    **{f"{d} caught": alone(event("intermediateCatchEvent", d, i, a), declared=DECLARED) for d, i, a in (
        ("timer", "<bpmn:timeCycle>0 0 9 ? * MON-FRI</bpmn:timeCycle>", ""), ("message", "", '|messageRef="m"'),
        ("signal", "", '|signalRef="s"'), ("conditional", "<bpmn:condition>${a}</bpmn:condition>", ""),
    )},
    **{f"{d} thrown": alone(event("intermediateThrowEvent", d, "", a), declared=DECLARED) for d, a in (
        ("message", '|messageRef="m"'), ("signal", '|signalRef="s"'), ("escalation", '|escalationRef="x"'),
    )},
    "nothing thrown": alone(node("intermediateThrowEvent")),
    "a link": model(
        "start>it a>end", event("intermediateThrowEvent", "link", attributes='|name="A"'),
        event("intermediateCatchEvent", "link", attributes='|name="A"', identity="a"),
    ),
    **{f"{d} end": ending(d, "", a) for d, a in (
        ("message", '|messageRef="m"'), ("signal", '|signalRef="s"'), ("error", '|errorRef="e"'),
        ("escalation", '|escalationRef="x"'), ("terminate", ""),
    )},
    **{f"{d} boundary {stops}": attached(d, sub_process("ask", "a"), i, f'cancelActivity="{stops}"{a}')
       for stops in ("true", "false") for d, i, a in (
        ("timer", "<bpmn:timeDuration>PT1H</bpmn:timeDuration>", ""), ("message", "", '|messageRef="m"'),
        ("signal", "", '|signalRef="s"'), ("escalation", "", '|escalationRef="x"'),
        ("conditional", "<bpmn:condition>${a}</bpmn:condition>", ""),
    )},
    "error boundary": attached("error", sub_process("ask", "a"), "", '|errorRef="e"'),
    **{f"{d} begins an event sub-process {stops}": listening(
        event("startEvent", d, i, f'isInterrupting="{stops}"{a}', identity="in")
    ) for stops in ("true", "false") for d, i, a in (
        ("timer", "<bpmn:timeDuration>PT1H</bpmn:timeDuration>", ""), ("message", "", '|messageRef="m"'),
        ("signal", "", '|signalRef="s"'), ("escalation", "", '|escalationRef="x"'),
        ("conditional", "<bpmn:condition>${a}</bpmn:condition>", ""),
    )},
    "error begins an event sub-process": listening(event("startEvent", "error", "", '|errorRef="e"', identity="in")),
    "transaction": model(
        "start>ask ask>end it>end2",
        scope("in>c", node("startEvent", "in"), event("endEvent", "cancel", identity="c"),
              kind="transaction", identity="ask"),
        event("boundaryEvent", "cancel", "", 'attachedToRef="ask"'),
    ),
    "a loop": alone(scope("in>out", *INSIDE, '<bpmn:standardLoopCharacteristics loopMaximum="3"/>')),
    "several": alone(scope("in>out", *INSIDE, several(condition="${nrOfCompletedInstances == 2}", sequential=True))),
    "so many": alone(node("task", inner="<bpmn:multiInstanceLoopCharacteristics><bpmn:loopCardinality>3"
                          "</bpmn:loopCardinality></bpmn:multiInstanceLoopCharacteristics>")),
    "several flows of a task": model("start>ask ask>end ask>end2", ASK, conditions={"ask>end": "${a}"}),
    "no start event": model("a>end b>end", task("a"), task("b"), start=""),
    "two start events": model("start>end second>end", start=START + START.replace('"start"', '"second"')),
    "no end event": model("start>ask", ASK),
    "data": alone('<bpmn:dataObject id="o"/><bpmn:dataObjectReference id="r" dataObjectRef="o"/>'
                  '<bpmn:dataStoreReference id="st"/><bpmn:textAnnotation id="n"/><bpmn:group id="gr"/>'
                  + node("task")),
}  # fmt: skip


@pytest.mark.parametrize("name", RUN)
def test_what_the_standard_allows_is_let_through(name: str) -> None:
    xml = RUN[name]
    assert findings(xml) == []
    assert compile_models(read(xml)).process_id == "prove"


def test_every_kind_of_element_that_is_let_through_has_a_behaviour() -> None:
    assert set(_BUILDERS) == RUNS


def test_the_projects_own_models_are_let_through() -> None:
    assert [f for _, found in check(sources()) for f in found] == []
