"""The import gate: elements, events and timers that do not run are refused, with element, line and remedy."""

import pytest

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
    BEGUN,
    DATE,
    DECLARED,
    Refused,
    alone,
    assert_refused,
    attached,
    beginning,
    ending,
    inside,
    listening,
    replaced,
)  # fmt: skip

#: Elements of BPMN that do not run.
ELEMENTS = {
    **{k: (alone(node(k)), "element", "it") for k in ("complexGateway", "adHocSubProcess", "callChoreography")},
    "an element of another kind": (alone("<camunda:thing id='it'/>", "start>end"), "element", "it"),
    "a task that compensates": (alone(node("task", attributes='isForCompensation="true"')), "element", "it"),
    "a choreography": (
        replaced('<bpmn:process id="prove"', '<bpmn:choreography id="it"/><bpmn:process id="prove"'), "element", "it",
    ),
    "a conversation": (
        replaced(
            '<bpmn:process id="prove"',
            '<bpmn:collaboration id="c"><bpmn:conversation id="it"/></bpmn:collaboration><bpmn:process id="prove"',
        ),
        "element", "it",
    ),
    "a task that waits for two tokens": (alone(node("task", attributes='startQuantity="2"')), "value", "it"),
    "a receive task that starts": (
        alone(node("receiveTask", attributes='instantiate="true" messageRef="m"'), declared=DECLARED), "element", "it",
    ),
    "an event-based gateway that starts": (
        model("start>it it>a a>end", node("eventBasedGateway", attributes='instantiate="true"'),
              event("intermediateCatchEvent", "timer", DATE, identity="a")),
        "element", "it",
    ),
    "an event-based gateway that waits for all": (
        model("start>it it>a a>end", node("eventBasedGateway", attributes='eventGatewayType="Parallel"'),
              event("intermediateCatchEvent", "timer", DATE, identity="a")),
        "element", "it",
    ),
    "nothing": (model("", start=""), "start", "prove"),
    "a circle": (model("ask>other other>ask", ASK, task("other"), start=""), "start", "prove"),
    "yes for true": (alone(node("subProcess", attributes='triggeredByEvent="ja"')), "value", "it"),
    "the same id twice": (replaced('id="ask_end"', 'id="ask"'), "id", "ask"),
    "an id that XML does not allow": (replaced('"ask"', '"a/b"').replace(b">ask<", b">a/b<"), "id", "a/b"),
    "a long id": (replaced('"ask"', f'"{"a" * 121}"'), "long", "a" * 120),
    "a long name": (replaced('name="ask"', f'name="{"a" * 301}"'), "long", "ask"),
    "a long process id": (replaced('id="prove"', f'id="{"p" * 121}"'), "long", "p" * 120),
    "a long message": (alone(event("intermediateCatchEvent", "message", attributes='|messageRef="m"'),
                             declared=f'<bpmn:message id="m" name="{"a" * 301}"/>'), "long", "it"),
    "a deep nest": (alone(scope("", scope("", scope("", identity="c" * 99), identity="b" * 110), identity="a" * 110)),
                    "long", "c" * 99),
}  # fmt: skip

EVENTS = {
    **{f"{d} start": (beginning(d), "event", "it") for d in ("conditional", "error", "escalation", "compensate")},
    **{f"{d} start inside": (inside("it>out", event("startEvent", d), node("endEvent", "out"), identity="sub")
                             .replace(b"start>it it>end", b""), "event", "it") for d in ("timer", "message")},
    **{f"{d} end": (ending(d), "event", "it") for d in ("timer", "conditional", "link", "compensate")},
    **{f"{d} thrown": (alone(event("intermediateThrowEvent", d)), "event", "it")
       for d in ("error", "timer", "terminate", "cancel", "compensate")},
    **{f"{d} caught": (alone(event("intermediateCatchEvent", d)), "event", "it")
       for d in ("error", "escalation", "cancel", "compensate")},
    **{f"{d} boundary": (attached(d), "event", "it") for d in ("compensate", "link", "terminate")},
    "a catch event of nothing": (alone(node("intermediateCatchEvent")), "event", "it"),
    "a boundary event of nothing": (
        model("start>ask ask>end it>end2", ASK, node("boundaryEvent", attributes='attachedToRef="ask"')), "event", "it",
    ),
    "an event of two kinds": (
        alone(node("intermediateCatchEvent", inner="<bpmn:signalEventDefinition/><bpmn:messageEventDefinition/>")),
        "event", "it",
    ),
    "an event that waits for all": (
        beginning("message", attributes='parallelMultiple="true"|messageRef="m"'), "event", "it",
    ),
    "a definition elsewhere": (
        alone(node("intermediateCatchEvent", inner="<bpmn:eventDefinitionRef>d</bpmn:eventDefinitionRef>")),
        "event", "it",
    ),
    "a cancel end outside a transaction": (ending("cancel"), "event", "it"),
    "a cancel end in a transaction that hears nothing": (
        alone(scope("in>c", node("startEvent", "in"), event("endEvent", "cancel", identity="c"), kind="transaction")),
        "event", "c",
    ),
    "a message of nothing": (alone(event("intermediateCatchEvent", "message")), "message", "it"),
    "a message that is not there": (
        alone(event("intermediateThrowEvent", "message", attributes='|messageRef="nei"')), "message", "it",
    ),
    "a signal of nothing": (ending("signal"), "message", "it"),
    "an error that is not there": (attached("error", attributes='|errorRef="nei"'), "message", "it"),
    "a send task of nothing": (alone(node("sendTask")), "message", "it"),
    "a receive task of nothing": (alone(node("receiveTask")), "message", "it"),
    "a conditional event of nothing": (alone(event("intermediateCatchEvent", "conditional")), "condition", "it"),
    "a link without name": (model("start>it", event("intermediateThrowEvent", "link")), "link", "it"),
    "a link to nowhere": (
        model("start>it", event("intermediateThrowEvent", "link", attributes='|name="A"')), "link", "it",
    ),
    "a link from nowhere": (
        model("start>end it>end2", event("intermediateCatchEvent", "link", attributes='|name="A"')), "link", "it",
    ),
    "a link to two": (
        model("start>a it>end b>end2", event("intermediateThrowEvent", "link", attributes='|name="A"', identity="a"),
              event("intermediateCatchEvent", "link", attributes='|name="A"', identity="b"),
              event("intermediateCatchEvent", "link", attributes='|name="A"')),
        "link", "it",
    ),
    "an event sub-process without event": (listening(node("startEvent", "in")), "event", "in"),
    "an event sub-process without start": (listening(flows=""), "start", "it"),
    "an event sub-process with two starts": (
        listening(BEGUN, BEGUN.replace('"in"', '"in2"'), flows="in>out in2>out"), "start", "it",
    ),
    "an event sub-process in the way": (
        alone(scope("in>out", BEGUN, node("endEvent", "out"), attributes='triggeredByEvent="true"'), declared=DECLARED),
        "flow", "it",
    ),
    "an error that does not interrupt": (
        listening(event("startEvent", "error", attributes='isInterrupting="false"', identity="in")), "event", "in",
    ),
    "an event sub-process several times": (
        listening(BEGUN, several()), "multi", "it",
    ),
    "a transaction begun by an event": (listening(BEGUN, kind="transaction"), "event", "it"),
    "a boundary event on an event sub-process": (
        model("start>end b>end2", scope("in>out", BEGUN, node("endEvent", "out"), attributes='triggeredByEvent="true"'),
              event("boundaryEvent", "signal", attributes='attachedToRef="it"|signalRef="s"', identity="b"),
              declared=DECLARED),
        "boundary", "b",
    ),
}  # fmt: skip

TIMERS = {
    "a timer of nothing": (alone(event("intermediateCatchEvent", "timer")), "timer", "it"),
    "an empty timer": (alone(timer("it", "")), "timer", "it"),
    "a timer of two": (
        alone(event("intermediateCatchEvent", "timer", DATE + "<bpmn:timeDuration>P1D</bpmn:timeDuration>")),
        "timer", "it",
    ),
    **{
        f"{kind} {text}": (
            alone(event("intermediateCatchEvent", "timer", f"<bpmn:{kind}>{text}</bpmn:{kind}>")), "timer", "it",
        )
        for kind, text in (
            ("timeDate", "2026-13-01"), ("timeDuration", "-P1D"), ("timeDuration", "P200Y"),
            ("timeCycle", "R/PT0S"), ("timeCycle", "R0/PT1H"), ("timeCycle", "61 * * * *"),
        )
    },
    "a start at a date of the case": (
        beginning("timer", "<bpmn:timeDate>${ssu}</bpmn:timeDate>"), "timer", "it",
    ),
    "due between elements": (alone(timer("it", "${due}")), "boundary", "it"),
    "due on a call": (model("start>c c>end it>end2", call("c", "prove2"), closes("it", "c")), "boundary", "it"),
    "due as a duration": (attached("timer", inner="<bpmn:timeDuration>${due}</bpmn:timeDuration>"), "boundary", "it"),
    "due without interrupting": (
        attached("timer", inner="<bpmn:timeDate>${due}</bpmn:timeDate>", attributes='cancelActivity="false"'),
        "boundary", "it",
    ),
    "due on a loop": (
        model("start>ask ask>end it>end2",
              task("ask", 'camunda:dueDate="${meeting}"',
                   inner='<bpmn:standardLoopCharacteristics loopMaximum="2"/>'), closes("it", "ask")),
        "boundary", "it",
    ),
    "a timer that closes a task without a date": (
        model("start>ask ask>end it>end2", task("ask"), closes("it", "ask")), "due", "ask",
    ),
}  # fmt: skip

BOUNDARY = {
    "attached to nothing": (
        model("start>ask ask>end it>end2", ASK, event("boundaryEvent", "timer", DATE)), "boundary", "it",
    ),
    "attached to itself": (
        model("start>ask ask>end it>end2", ASK, event("boundaryEvent", "timer", DATE, 'attachedToRef="it"')),
        "boundary", "it",
    ),
    "attached to a gateway": (
        model("start>g g>end it>end2", gateway("g"), event("boundaryEvent", "timer", DATE, 'attachedToRef="g"')),
        "boundary", "it",
    ),
    "attached from outside": (
        model("start>s s>end it>end2", sub_process("s", "ask"),
              event("boundaryEvent", "timer", DATE, 'attachedToRef="ask"')),
        "boundary", "it",
    ),
    "an error boundary that does not interrupt": (
        attached("error", attributes='cancelActivity="false"'), "boundary", "it",
    ),
    "a cancel on a task": (attached("cancel"), "boundary", "it"),
    "a flow to a boundary event": (
        model("start>ask ask>it it>end", ASK, event("boundaryEvent", "timer", DATE, 'attachedToRef="ask"')),
        "flow", "it",
    ),
}  # fmt: skip

REFUSED: Refused = {**ELEMENTS, **EVENTS, **TIMERS, **BOUNDARY}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_run_is_refused(name: str) -> None:
    assert_refused(REFUSED[name])
