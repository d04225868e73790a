"""What the gate refuses, with element, line and remedy: nothing of it would run as drawn."""

from tests.conformance.drawing import (
    boundary,
    condition,
    event,
    handler,
    mapping,
    node,
    plain,
    process,
    refers,
    scope,
    script,
    service,
    sub_process,
    timer,
    user,
)
from tests.conformance.families import refused


@refused(
    "complex gateway",
    "process",
    "Its activation condition joins in ways that need more than tokens.",
    g=process("start>g g>a g>b a>end b>end", node("complexGateway", "g")),
)
class TestComplexGateway:
    """Refused."""


@refused(
    "ad-hoc sub-process",
    "process",
    "Its activities have no order: people choose what to begin.",
    adhoc=process("start>adhoc adhoc>end", sub_process("adhoc", scope("a>b"), kind="adHocSubProcess")),
)
class TestAdHoc:
    """Refused."""


@refused(
    "compensation",
    "boundary, throw, end, event sub-process, marker",
    "What was done is undone by handlers of its own.",
    undo=process("start>a a>end", user("a"), boundary("undo", "a", plain("compensate"))),
    thrown=process("start>thrown thrown>end", event("intermediateThrowEvent", "thrown", plain("compensate"))),
    last=process("start>a a>last", event("endEvent", "last", plain("compensate"))),
    h_start=process(
        "start>inner inner>end",
        sub_process("inner", scope("start1>a a>end1", handler("h", plain("compensate"), ">e e>end2"))),
    ),
    again=process(
        "start>a a>end",
        user("a"),
        node("scriptTask", "again", 'isForCompensation="true"', "<bpmn:script>x = 1</bpmn:script>"),
    ),
)
class TestCompensation:
    """Refused."""


BOTH = refers("message", "A") + timer("P1D")


@refused(
    "multiple and parallel multiple event",
    "every place",
    "Several definitions on one event.",
    s=process("s>a a>end", event("startEvent", "s", BOTH)),
    c=process("start>c c>end", event("intermediateCatchEvent", "c", BOTH)),
    p=process("start>p p>end", event("intermediateCatchEvent", "p", BOTH, 'parallelMultiple="true"')),
    t=process("start>t t>end", event("intermediateThrowEvent", "t", refers("message", "A") + refers("signal", "A"))),
    b=process("start>a a>end b>end", user("a"), boundary("b", "a", BOTH)),
    e=process("start>e", event("endEvent", "e", refers("message", "A") + refers("signal", "A"))),
)
class TestMultiple:
    """Refused."""


@refused(
    "event-based gateway that starts a process",
    "process",
    "The first of several events would start a case.",
    g=process(
        "g>m m>end",
        node("eventBasedGateway", "g", 'instantiate="true"'),
        event("intermediateCatchEvent", "m", refers("message", "A")),
    ),
)
class TestInstantiatingGateway:
    """Refused."""


@refused(
    "receive task that starts a process",
    "process",
    "A message would start a case without a start event.",
    r=process("r>end", node("receiveTask", "r", 'messageRef="message_A" instantiate="true"')),
)
class TestInstantiatingReceiveTask:
    """Refused."""


@refused(
    "conditional, error and escalation start event",
    "process",
    "There is no case yet in which they could come.",
    c=process("c>a a>end", event("startEvent", "c", condition("${x > 1}"))),
    e=process("e>a a>end", event("startEvent", "e", refers("error", "A"))),
    s=process("s>a a>end", event("startEvent", "s", refers("escalation", "A"))),
)
class TestStartEvents:
    """Refused."""


INNER = sub_process("inner", scope("start1>a a>end1"))


@refused(
    "events in places the standard does not allow",
    "process",
    "A cancel event belongs to a transaction, an error always interrupts, terminate only ends.",
    c=process("start>c", event("endEvent", "c", plain("cancel"))),
    b=process("start>inner inner>end b>end", INNER, boundary("b", "inner", refers("error", "A"), interrupting=False)),
    x=process("start>inner inner>end x>end", INNER, boundary("x", "inner", plain("cancel"))),
    t=process("start>t t>end", event("intermediateThrowEvent", "t", plain("terminate"))),
    f=process("start>f f>end", event("intermediateThrowEvent", "f", refers("error", "A"))),
    h_start=process("start>a a>end", handler("h", refers("error", "A"), ">e e>end2", interrupting=False)),
    l=process("start>l", event("intermediateThrowEvent", "l", plain("link", 'name="nowhere"'))),
)
class TestMisplaced:
    """Refused."""


@refused(
    "code of other engines",
    "process",
    "Java classes, connectors and other script languages do not run here.",
    j=process("start>j j>end", node("serviceTask", "j", 'camunda:class="org.example.Work"')),
    d=process("start>d d>end", node("serviceTask", "d", 'camunda:delegateExpression="${work}"')),
    g=process("start>g g>end", node("scriptTask", "g", 'scriptFormat="groovy"', "<bpmn:script>x = 1</bpmn:script>")),
    k=process(
        "start>k k>end",
        service(
            "k", extension="<camunda:connector><camunda:connectorId>http</camunda:connectorId></camunda:connector>"
        ),
    ),
    l=process(
        "start>l l>end", script("l", extension='<camunda:executionListener event="start" class="org.example.Work"/>')
    ),
)
class TestOtherEngines:
    """Refused."""


@refused(
    "input and output parameters of a gateway",
    "process",
    "A gateway does no work that could take something in or give something out.",
    xor=process("start>xor xor>end", node("exclusiveGateway", "xor", extension=mapping(takes={"x": "${1}"}))),
)
class TestGatewayMapping:
    """Refused."""
